"""Pixels that must not change: those to which no facial muscle moves skin."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import AUArray
from miex.generators.grid import face_area
from miex.generators.muscle import MuscleGenerator, MuscleRig
from miex.images import Image


def still_pixels(rig: MuscleRig, aus: AUArray) -> npt.NDArray[np.bool_]:
    """Pixels off the face to which no skin moves: as the muscle generator has it, whichever made the frames.

    Args:
        rig: of the identity, from `MuscleGenerator.prepare`.
        aus: of the frame, float32 [17] or [17, 2].

    Returns:
        bool [size, size]: pixels of the frame that are neither on the face (`face_area`) nor where the displacement is
        not 0, nor as near to either as the skin goes in this frame and a cell of the grid more, by which fields are
        interpolated.
    """
    (field,) = MuscleGenerator().displacement(rig, aus[None])
    size = rig.face.size
    moving = face_area(rig.face) | (field != 0).any(axis=-1)
    reach = 1 + int(np.ceil(np.abs(field).max() * len(field) / size))
    near = cv2.dilate(moving.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    cell = (2 * np.arange(size) + 1) * len(field) // (2 * size)  # that holds the pixel's center
    return np.asarray(near[cell[:, None], cell] == 0)


def changed_pixels(frame: Image, rest: Image, still: npt.NDArray[np.bool_]) -> int:
    """How many of the still pixels differ between two frames uint8 RGB [h, w, 3], in any bit of any channel."""
    return int((frame != rest).any(axis=-1)[still].sum())
