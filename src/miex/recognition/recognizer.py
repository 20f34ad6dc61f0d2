"""A trained recognizer: predicts, is saved and loaded, and refuses what it was not made for."""

from __future__ import annotations

import io
import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from miex import __version__
from miex.errors import InputError, one_of
from miex.images import Image
from miex.recognition.flow import METHODS, Method
from miex.recognition.network import Network, network_class
from miex.recognition.recipe import Recipe
from miex.recognition.samples import LABELS, Samples
from miex.storage.local import write_whole

FORMAT = 1
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

    def save(self, path: Path) -> None:
        """Write it as one file: a JSON header and the weights. Whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        header = {
            "format": FORMAT, "miex": __version__, "recipe": self.recipe.model_dump(mode="json"),
            "input": {"kind": "flow", "channels": ["u", "v", "strain"], "side": self.recipe.side, "flow": self.flow},
            "label_names": list(self.label_names), "history": self.history,
        }  # fmt: skip
        content = io.BytesIO()
        state = {key: value.cpu() for key, value in self.network.state_dict().items()}
        torch.save({"header": json.dumps(header), "weights": state}, content)
        write_whole(path, content.getvalue())


def load_recognizer(path: Path) -> Recognizer:
    """The recognizer of a file. The file is data: nothing in it is run.

    Raises:
        InputError: no file, another kind of file, another format, or weights that do not fit their network.
    """
    asked = f"recognizer {path}"
    stored = read_torch(path, asked)
    try:
        header = json.loads(stored["header"])
        if header["format"] != FORMAT or header["input"]["kind"] != "flow":
            raise InputError(
                asked, expected=f"format {FORMAT}, input flow",
                found=f"format {header['format']}, input {header['input']['kind']}", do="use the miex that made it",
            )  # fmt: skip
        recipe, names = Recipe(**header["recipe"]), tuple(map(str, header["label_names"]))
        network = network_class(recipe.recognizer)(recipe.side, len(names))
        network.load_state_dict(stored["weights"])
        flow, history = one_of(header["input"]["flow"], METHODS, "flow"), dict(header["history"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        found = str(error).strip().splitlines()
        raise InputError(asked, expected="a recognizer of miex", found=" ".join(found[:2])) from error
    return Recognizer(network.eval(), recipe, names, flow, history)


def read_torch(path: Path, asked: str) -> dict[str, Any]:
    """A file of torch.save that holds tensors and plain values, and nothing that would have to be run.

    Raises:
        InputError: anything else.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # about odd files, which are refused anyway
            stored = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # a damaged file fails in the reader in any way it likes
        found = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise InputError(asked, expected="a file of weights that miex wrote", found=found[0][:200]) from error
    if not isinstance(stored, dict):
        raise InputError(asked, expected="a file of weights that miex wrote", found=type(stored).__name__)
    return stored


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
