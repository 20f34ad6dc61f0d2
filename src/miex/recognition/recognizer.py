"""A trained recognizer: predicts, is saved and loaded, and refuses what it was not made for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, Field, ValidationError
from torch import Tensor

from miex.errors import InputError, UsageError
from miex.images import Image
from miex.recognition.flow import Method
from miex.recognition.network import Network, network_class
from miex.recognition.recipe import Recipe
from miex.recognition.samples import LABELS, Samples
from miex.recognition.weights import forms, read_weights, weights_digest, write_weights
from miex.stable import first_difference

MODEL = "recognizer.safetensors"  # its name in the folder of its training
_BATCH = 1024


@dataclass(frozen=True, eq=False)
class Recognizer:
    """A network with all that its numbers mean.

    Attributes:
        network: in evaluation mode.
        recipe: how it was trained; holds its input convention (side, normalization).
        label_names: what its outputs are called.
        flow: method of the optical flow of its training maps: what a clip's flow is computed by.
        history: facts of its training: seeds, digests of data, loss.
    """

    network: Network
    recipe: Recipe
    label_names: tuple[str, ...] = LABELS
    flow: Method = "dis"
    history: dict[str, Any] = field(default_factory=dict)

    def probabilities(self, maps: Image) -> npt.NDArray[np.float32]:
        """Probability of each class, float32 [n, classes], of maps uint8 [n, side, side, 3]. Never augmented.

        Raises:
            InputError: maps of another form.
        """
        side = self.recipe.side
        if maps.dtype != np.uint8 or maps.shape[1:] != (side, side, 3):
            raise InputError(
                f"a recognizer for maps of {side} × {side}", expected=f"uint8 [n, {side}, {side}, 3]",
                found=f"{maps.dtype} {list(maps.shape)}", do="make maps of that side, or train another recognizer",
            )  # fmt: skip
        found = probabilities(self.network, prepare(maps, self.recipe), self.recipe)
        return np.asarray(found.cpu().numpy(), np.float32)

    def predict(self, samples: Samples) -> npt.NDArray[np.float32]:
        """Probabilities float32 [n, classes] of labelled samples.

        Raises:
            InputError: samples of other classes, or maps of another side.
        """
        if samples.label_names != self.label_names:
            raise InputError(
                "a recognizer of " + ", ".join(self.label_names), expected="samples of these classes",
                found=", ".join(samples.label_names), do="fine-tune it for them: miex train --start",
            )  # fmt: skip
        return self.probabilities(samples.maps)

    @property
    def weights_digest(self) -> str:
        """sha256 of all weights: two trainings gave the same recognizer exactly when it is the same."""
        return weights_digest(self.network.state_dict())

    def save(self, path: Path) -> None:
        """Write it as one file: the weights and a header of all else. Whole or not at all; same recognizer, same bytes.

        Raises:
            InputError: a weight is NaN or infinite.
            OutputError: it cannot be written.
        """
        takes = _Input(side=self.recipe.side, flow=self.flow)
        header = _Header(recipe=self.recipe, input=takes, label_names=self.label_names, history=self.history)
        write_weights(path, "recognizer", header.model_dump(mode="json"), self.network.state_dict())


class _Input(BaseModel):
    kind: Literal["flow"] = "flow"
    channels: tuple[str, ...] = ("u", "v", "strain")
    side: int
    flow: Method


class _Header(BaseModel):
    """What a file says beside its weights."""

    recipe: Recipe
    input: _Input
    label_names: tuple[str, ...] = Field(min_length=1)
    history: dict[str, Any]


def load_recognizer(path: Path) -> Recognizer:
    """The recognizer of a file, or of the folder of its training. The file is data: nothing in it is run.

    Raises:
        InputError: no file, another kind of file, another format, a file that is not as it was written, or weights
            that do not fit their network.
    """
    if path.is_dir():
        path = path / MODEL
    asked = f"recognizer {path}"
    stored, weights = read_weights(path, "recognizer")
    try:
        header = _Header.model_validate(stored)
        recipe, names = header.recipe, header.label_names
        with torch.random.fork_rng(devices=[]):  # its first weights are thrown away: nobody else's draws may move
            network = network_class(recipe.recognizer)(recipe.side, len(names))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            asked, expected=f"{'.'.join(map(str, first['loc']))}: {first['msg']}", found=repr(first["input"])[:80],
            do="use the miex that wrote it",
        ) from error  # fmt: skip
    except UsageError as error:
        raise InputError(asked, expected=error.expected, found=error.asked, do="use the miex that wrote it") from error
    wrong = first_difference(forms(network.state_dict()), forms(weights))
    if wrong:
        raise InputError(
            asked, expected=f"the weights of {recipe.recognizer} for maps of {recipe.side} and {len(names)} classes",
            found=wrong, do="use the miex that wrote it",
        )  # fmt: skip
    network.load_state_dict(weights)
    return Recognizer(network.eval(), recipe, names, header.input.flow, header.history)


def prepare(maps: Image, recipe: Recipe) -> Tensor:
    """Maps uint8 [n, s, s, 3] as a network takes them: float32 [n, 3, s, s], normalized by the recipe."""
    x = torch.from_numpy(np.ascontiguousarray(maps)).permute(0, 3, 1, 2).float() / 255
    if recipe.normalize == "unit":
        return x.contiguous()
    still = x.flatten(2).median(2)[0][..., None, None]  # amplitude and zero are lost; most of the skin is still
    x = x - still
    strength = x.flatten(2).square().mean(2).sqrt()[..., None, None]
    return (x / (strength + 1e-6)).clamp(-4, 4).contiguous()


def mirrored(x: Tensor, recipe: Recipe) -> Tensor:
    """The mirror image of prepared maps [n, 3, s, s]: what moved right moves left, so u is turned over."""
    x = x.flip(-1)
    u = 1 - x[:, :1] if recipe.normalize == "unit" else -x[:, :1]
    return torch.cat([u, x[:, 1:]], 1)


@torch.no_grad()  # type: ignore[untyped-decorator]
def probabilities(network: Network, x: Tensor, recipe: Recipe) -> Tensor:
    """Probabilities float32 [n, classes] of prepared maps, in evaluation mode; the network's mode is kept."""
    training = network.training
    network.eval()
    found = []
    for part in x.split(_BATCH):
        p = network(part).float().softmax(1)
        found.append((p + network(mirrored(part, recipe)).float().softmax(1)) / 2 if recipe.mirror_test else p)
    network.train(training)
    return torch.cat(found) if found else torch.zeros(0, network.classes)
