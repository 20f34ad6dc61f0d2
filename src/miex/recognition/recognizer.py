"""A trained recognizer: predicts, is saved and loaded, and refuses what it was not made for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, Field, ValidationError
from torch import Tensor

from miex.errors import InputError, UsageError, first_wrong
from miex.recognition.inputs.base import Input
from miex.recognition.method import Method, make_method
from miex.recognition.recipe import Recipe
from miex.recognition.view import LABELS, View
from miex.recognition.weights import forms, read_weights, weights_digest, write_weights
from miex.stable import first_difference

MODEL = "recognizer.safetensors"  # its name in the folder of its training
_PIECE = 1024  # examples that are predicted at once


@dataclass(frozen=True, eq=False)
class Recognizer:
    """A trained method with all that its numbers mean.

    Attributes:
        method: in evaluation mode.
        recipe: how it was trained; names its input.
        label_names: what its outputs are called.
        history: facts of its training: seeds, digests of data, loss.
    """

    method: Method
    recipe: Recipe
    label_names: tuple[str, ...] = LABELS
    history: dict[str, Any] = field(default_factory=dict)

    def probabilities(self, examples: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Probability of each class, float32 [n, classes], of examples [n, …] of its input. Never augmented.

        Raises:
            InputError: examples of another form.
        """
        takes = self.recipe.takes
        if examples.dtype != takes.dtype or examples.shape[1:] != takes.shape:
            raise _other_form(takes, f"{examples.dtype} {list(examples.shape)}")
        parts = (examples[i : i + _PIECE] for i in range(0, len(examples), _PIECE))
        return probabilities(self.method, parts, self.recipe)

    def predict(self, view: View) -> npt.NDArray[np.float32]:
        """Probabilities float32 [n, classes] of labelled examples, read piece by piece.

        Raises:
            InputError: examples of other classes, or of another form.
        """
        if view.label_names != self.label_names:
            raise InputError(
                "a recognizer of " + ", ".join(self.label_names), expected="examples of these classes",
                found=", ".join(view.label_names), do="fine-tune it for these classes: train with it as `start`",
            )  # fmt: skip
        if view.shape != self.recipe.takes.shape:
            raise _other_form(self.recipe.takes, str([len(view), *view.shape]))
        return probabilities(self.method, pieces(view), self.recipe)

    @property
    def weights_digest(self) -> str:
        """sha256 of all weights: two trainings gave the same recognizer exactly when it is the same."""
        return weights_digest(self.method.state_dict())

    def save(self, path: Path) -> None:
        """Write it as one file: the weights and a header of all else. Whole or not at all; same recognizer, same bytes.

        Raises:
            InputError: a weight is NaN or infinite.
            OutputError: it cannot be written.
        """
        header = _Header(recipe=self.recipe, label_names=self.label_names, history=self.history)
        write_weights(path, "recognizer", header.model_dump(mode="json"), self.method.state_dict())


class _Header(BaseModel):
    """What a file says beside its weights."""

    recipe: Recipe
    label_names: tuple[str, ...] = Field(min_length=1)
    history: dict[str, Any]


def load_recognizer(path: Path) -> Recognizer:
    """The recognizer of a file, or of the folder of its training. The file is data: nothing in it is run.

    Raises:
        InputError: no file, another kind of file, another format, a file that is not as it was written, or weights
            that do not fit their method.
    """
    if path.is_dir():
        path = path / MODEL
    asked = f"recognizer {path}"
    stored, weights = read_weights(path, "recognizer")
    try:
        header = _Header.model_validate(stored)
        recipe, names = header.recipe, header.label_names
        with torch.random.fork_rng(devices=[]):  # its first weights are thrown away: nobody else's draws may move
            method = make_method(recipe, len(names))
    except ValidationError as error:
        where, expected, found = first_wrong(error)
        do = "use the miex that wrote it"
        raise InputError(asked, expected=f"{where}: {expected}", found=found, do=do) from error
    except UsageError as error:
        raise InputError(
            asked, expected=error.expected, found=error.asked, do="use the version of miex that wrote it"
        ) from error
    wrong = first_difference(forms(method.state_dict()), forms(weights))
    if wrong:
        raise InputError(
            asked, expected=f"weights of {recipe.recognizer} for {len(names)} classes of {list(recipe.takes.shape)}",
            found=wrong, do="use the version of miex that wrote it",
        )  # fmt: skip
    method.load_state_dict(weights)
    return Recognizer(method.eval(), recipe, names, header.history)


def pieces(view: View) -> Iterator[npt.NDArray[Any]]:
    """Its examples in their order, a piece at a time."""
    return (view.batch(slice(i, i + _PIECE)) for i in range(0, len(view), _PIECE))


def prepared(examples: npt.NDArray[Any], takes: Input, device: torch.device | str = "cpu") -> Tensor:
    """Stored examples [n, …] as a method sees them, on a device: float32 [n, *seen_shape]."""
    return takes.prepare(torch.from_numpy(np.require(examples, requirements=["C", "W"])).to(device))


def probabilities(method: Method, examples: Iterable[npt.NDArray[Any]], recipe: Recipe) -> npt.NDArray[np.float32]:
    """Probabilities float32 [n, classes] of stored examples, in evaluation mode; the method's mode is kept."""
    training, takes, device = method.training, recipe.takes, next(method.parameters()).device
    method.eval()
    found = [np.zeros((0, method.classes), np.float32)]
    with torch.no_grad():
        for part in examples:
            x = prepared(part, takes, device)
            p = method(x).float().softmax(1)
            if recipe.mirror_test:
                p = (p + method(takes.mirror(x)).float().softmax(1)) / 2
            found.append(p.cpu().numpy())
    method.train(training)
    return np.concatenate(found)


def _other_form(takes: Input, found: str) -> InputError:
    size = " × ".join(map(str, takes.shape))
    return InputError(
        f"a recognizer of {takes.name} of {size}", expected=f"{takes.dtype} [n, {', '.join(map(str, takes.shape))}]",
        found=found, do="compute the examples through its input, or train another recognizer",
    )  # fmt: skip
