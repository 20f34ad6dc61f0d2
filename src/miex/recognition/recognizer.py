"""Trained recognizers: they predict, are saved and loaded, and refuse examples of another form."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Iterator, Sequence
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
from miex.recognition.predictor import Limits, other_form, prove_form
from miex.recognition.recipe import Recipe
from miex.recognition.view import LABELS, View
from miex.stable import first_difference
from miex.storage.training import CHECKPOINT
from miex.storage.weights import forms, read_weights, weights_digest, write_weights

MODEL = "recognizer.safetensors"
# Most examples that are predicted at once, and most bytes of them: clips are a hundred times as large as flow maps.
_PIECE, _PIECE_BYTES = 1024, 16 * 2**20


@dataclass(frozen=True, eq=False)
class Recognizer:
    """A trained recognizer, and everything needed to use it.

    Attributes:
        method: the trained network or classifier, in evaluation mode.
        recipe: recipe of its training, which names its input.
        label_names: names of its classes, in the order of its outputs.
        history: facts of its training, such as seed, digests of the data, and loss.
    """

    method: Method
    recipe: Recipe
    label_names: tuple[str, ...] = LABELS
    history: dict[str, Any] = field(default_factory=dict)

    @property
    def takes(self) -> Input:
        """The input of its recipe."""
        return self.recipe.takes

    @property
    def limits(self) -> Limits:
        """None: what its training data showed is not in its file."""
        return Limits()

    def facts(self) -> list[str]:
        """Its name, input, classes and training, in short texts."""
        history = self.history
        return [
            f"{self.recipe.recognizer}, {self.takes.name} {' × '.join(map(str, self.takes.shape))}",
            ", ".join(self.label_names),
            *([f"trained on {history['n']:,} samples"] if "n" in history else []),
            *([f"{len(history['skipped']):,} left out, which cannot be read"] if "skipped" in history else []),
            *([f"loss {history['loss']:.3f}"] if "loss" in history else []),
        ]

    def probabilities(self, examples: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Probability of each class, float32 [n, classes], of examples [n, …] of its input.

        Raises:
            InputError: the examples have another shape or type.
        """
        takes = self.takes
        prove_form(examples, takes)
        size = _piece(takes.shape, takes.dtype)
        parts = (examples[i : i + size] for i in range(0, len(examples), size))
        return probabilities(self.method, parts, self.recipe)

    def predict(self, view: View) -> npt.NDArray[np.float32]:
        """Probability of each class, float32 [n, classes], of labeled examples, which are read in pieces.

        Raises:
            InputError: the examples have other classes or another shape.
        """
        if view.label_names != self.label_names:
            raise InputError(
                "predicting with a recognizer of " + ", ".join(self.label_names), expected="examples of these classes",
                found=", ".join(view.label_names), do="give `classes`, the mapping that has the recognizer's classes, "
                "or fine-tune it for these: train with it as `start`",
            )  # fmt: skip
        if view.shape != self.takes.shape:
            raise other_form(self.takes, str([len(view), *view.shape]))
        return probabilities(self.method, pieces(view), self.recipe)

    @property
    def marks(self) -> npt.NDArray[np.uint64] | None:
        """What its training examples held, as `View.marks` tells, each once; None if its file does not say."""
        text = self.history.get("marks")
        try:
            return None if text is None else np.frombuffer(base64.b64decode(text, validate=True), "<u8")
        except (TypeError, ValueError):
            return None

    @property
    def weights_digest(self) -> str:
        """sha256 of all weights, which differs if any weight does."""
        return weights_digest(self.method.state_dict())

    def save(self, path: Path) -> None:
        """Write it to a file, as a whole or not at all. The same recognizer gives the same bytes.

        Raises:
            InputError: a weight is NaN or infinite.
            OutputError: the file cannot be written.
        """
        header = _Header(recipe=self.recipe, label_names=self.label_names, history=self.history)
        write_weights(path, "recognizer", header.model_dump(mode="json"), self.method.state_dict())


class _Header(BaseModel):
    """What the file of a recognizer holds beside its weights."""

    recipe: Recipe
    label_names: tuple[str, ...] = Field(min_length=1)
    history: dict[str, Any]


def load_recognizer(path: Path) -> Recognizer:
    """Load a recognizer from its file, or from the folder of its training. No code in the file is run.

    Raises:
        InputError: there is no such file, it is of another kind or format, it is damaged, or its weights do not fit
            its recipe.
    """
    if path.is_dir():
        if not (path / MODEL).is_file() and (path / CHECKPOINT).is_file():
            raise InputError(
                f"recognizer {path}", expected="a finished training", found="one that was stopped",
                do="run the command that began it again: it resumes",
            )  # fmt: skip
        path = path / MODEL
    asked = f"recognizer {path}"
    stored, weights = read_weights(path, "recognizer")
    try:
        header = _Header.model_validate(stored)
        recipe, names = header.recipe, header.label_names
        with torch.random.fork_rng(
            devices=[]
        ):  # its initial weights are not used, and must not change the draws of others
            method = make_method(recipe, len(names))
    except ValidationError as error:
        where, expected, found = first_wrong(error)
        do = "use the version of miex that wrote it"
        raise InputError(asked, expected=f"{where}: {expected}", found=found, do=do) from error
    except UsageError as error:
        raise InputError(
            asked,
            expected=error.expected,
            found=error.asked,
            do="use the version of miex that wrote it, or install the package that it needs",
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
    """The examples of a view in their order, as arrays of up to 1,024 and up to 16 MiB."""
    size = _piece(view.shape, view.parts[0].array.dtype)
    return (view.batch(slice(i, i + size)) for i in range(0, len(view), size))


def _piece(shape: Sequence[int], dtype: np.dtype[Any]) -> int:
    """Number of examples of a shape and type that are predicted at once."""
    return max(1, min(_PIECE, _PIECE_BYTES // (math.prod(shape) * dtype.itemsize)))


def prepared(examples: npt.NDArray[Any], takes: Input, device: torch.device | str = "cpu") -> Tensor:
    """Prepare stored examples [n, *shape] on a device: float32 [n, *seen_shape]."""
    return takes.prepare(torch.from_numpy(np.require(examples, requirements=["C", "W"])).to(device))


def probabilities(method: Method, examples: Iterable[npt.NDArray[Any]], recipe: Recipe) -> npt.NDArray[np.float32]:
    """Probability of each class, float32 [n, classes], of stored examples, given as arrays [n, *shape].

    The method predicts in evaluation mode; its own mode is restored afterwards.
    """
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
