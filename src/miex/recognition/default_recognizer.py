"""The recognizer that comes with miex: networks trained on synthetic sets alone, which OpenCV runs without torch.

`python -m tools.recognizer` makes its two files: the networks as ONNX, and the card, which says what they were trained
on, what they read of real clips, and what they must not be used for.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from miex.errors import DamagedError
from miex.recognition.inputs.base import make_input
from miex.recognition.inputs.flow import FlowMaps, mirrored, standardized
from miex.recognition.predictor import Limits, prove_form
from miex.stable import object_of, prove_sealed

FOLDER = Path(str(resources.files("miex.recognition"))) / "default"
NETWORK, CARD = "recognizer.onnx", "recognizer.json"
_AT_ONCE = 1024  # maps, which bounds the memory


@dataclass(frozen=True, eq=False)
class DefaultRecognizer:
    """The recognizer that comes with miex.

    Attributes:
        network: gives the probability of each class, float32 [n, classes], of prepared maps, float32 [n, 3, side,
            side]; the mean over its networks.
        takes: its input.
        card: what is known of it, as JSON values.
    """

    network: Any = field(repr=False)
    takes: FlowMaps
    card: dict[str, Any]

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(self.card["labels"])

    @property
    def limits(self) -> Limits:
        return Limits(**self.card["limits"])

    def facts(self) -> list[str]:
        trained = self.card["trained_on"]
        seen = [f"{one['uf1']:.3f} ({view} view of {one['n']} clips)" for view, one in self.card["measured"].items()]
        return [
            f"the recognizer that comes with miex, {self.takes.name} {' × '.join(map(str, self.takes.shape))}",
            ", ".join(self.label_names),
            f"trained on {trained['pairs']:,} synthetic pairs of {trained['identities']:,} identities, no real one",
            *(["UF1 on real flow maps " + ", ".join(seen)] if seen else []),
        ]

    def probabilities(self, examples: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """As of any `Predictor`; a map and its mirror image are averaged, as the recipe of its training says."""
        prove_form(examples, self.takes)
        found = [np.zeros((0, len(self.label_names)), np.float32)]
        for first in range(0, len(examples), _AT_ONCE):
            maps = standardized(examples[first : first + _AT_ONCE])
            found.append(np.asarray((self._seen(maps) + self._seen(mirrored(maps))) / 2, np.float32))
        return np.concatenate(found)

    def _seen(self, maps: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self.network.setInput(np.ascontiguousarray(maps), "maps")
        return np.array(self.network.forward(), np.float32)  # a copy: the network writes into its own memory again


def load_default(folder: Path = FOLDER) -> DefaultRecognizer:
    """The recognizer that comes with miex, proven by the sha256 in its card, and the card by its own digest.

    Raises:
        DamagedError: a file is missing, or not what was installed.
    """
    try:
        card = object_of((folder / CARD).read_bytes())
        prove_sealed(card)
        content = (folder / NETWORK).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != card["sha256"]:
            raise ValueError(f"{NETWORK} of sha256 {digest}, not {card['sha256']}")
    except (OSError, ValueError) as error:
        raise DamagedError(
            f"the recognizer that comes with miex, in {folder}",
            expected=f"{NETWORK} and {CARD} as they were installed", found=str(error),
            do="install miex again from where it came: pip install --force-reinstall --no-deps CLONE (or the wheel); "
            "for a clone that is used in place, git restore the two files",
        ) from error  # fmt: skip
    takes = make_input({name: value for name, value in card["input"].items() if name != "version"})
    assert isinstance(takes, FlowMaps), "a card that is whole is one that miex wrote"
    return DefaultRecognizer(cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8)), takes, card)
