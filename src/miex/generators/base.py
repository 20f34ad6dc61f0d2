"""What every generator is: prepare a face once, then render AU vectors on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AUArray
from miex.faces.crop import AlignedFace
from miex.generators.grid import Field
from miex.images import Image

Rig = TypeVar("Rig")


class Generator(ABC, Generic[Rig]):
    """x = G(face, z) of PROTOCOL §1: pure functions of their arguments; no files, no clock, no global state.

    Attributes:
        name: as users type it.
        version: grows whenever the same input gives other pixels; part of every plan's digest.
    """

    name: str
    version: int

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Every option that changes pixels, as plain JSON values; part of every plan's digest."""

    @abstractmethod
    def prepare(self, face: AlignedFace) -> Rig:
        """The work that one identity needs once, whatever its AUs."""

    @abstractmethod
    def render(self, rig: Rig, aus: AUArray, rng: np.random.Generator, drift: Field | None = None) -> Image:
        """Frames of one identity.

        Args:
            rig: from `prepare`.
            aus: intensities in [0, 1], float32 [n, 17], or [n, 17, 2] (the person's left and right side apart).
            rng: source of every random choice of the generator.
            drift: displacement of everything that is seen beside the skin's own motion (the head, say), float32
                [n, g, g, 2] as `displacement` gives it; None: nothing drifts.

        Returns:
            uint8 RGB [n, size, size, 3]. Where aus[i] is all zero and nothing drifts, frame i is the crop, bit for bit.
        """

    @abstractmethod
    def displacement(self, rig: Rig, aus: AUArray) -> Field:
        """Where the skin goes: the displacement of each point of the rest face.

        Args:
            rig, aus: as in `render`.

        Returns:
            float32 [n, g, g, 2]: (right, down) in pixels of the crop, on a grid of g × g cells over the crop:
            cell (i, j) is centered at ((j + .5)·size/g − .5, (i + .5)·size/g − .5).
        """

    @abstractmethod
    def face_area(self, rig: Rig) -> npt.NDArray[np.bool_]:
        """Which cells of that grid lie on the face, bool [g, g]."""
