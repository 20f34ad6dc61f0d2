"""What must hold still: pixels where the generator moves no skin."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import AUArray
from miex.generators.base import Generator
from miex.images import Image


def still_pixels(generator: Generator[Any], rig: Any, aus: AUArray, size: int) -> npt.NDArray[np.bool_]:
    """Pixels off the face to which no skin moves.

    Args:
        generator, rig: of the identity.
        aus: of the frame, float32 [17] or [17, 2].
        size: side of the frame.

    Returns:
        bool [size, size]: pixels that are neither on the face (`Generator.face_area`) nor where the displacement is
        not 0, nor as near to either as the skin goes in this frame and a cell of the grid more, by which fields are
        interpolated.
    """
    (field,) = generator.displacement(rig, aus[None])
    moving = generator.face_area(rig) | (field != 0).any(axis=-1)
    reach = 1 + int(np.ceil(np.abs(field).max() * len(field) / size))
    near = cv2.dilate(moving.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    cell = (2 * np.arange(size) + 1) * len(field) // (2 * size)  # that holds the pixel's center
    return np.asarray(near[cell[:, None], cell] == 0)


def changed_pixels(frame: Image, rest: Image, still: npt.NDArray[np.bool_]) -> int:
    """How many of the still pixels differ between two frames uint8 RGB [h, w, 3], in any bit of any channel."""
    return int((frame != rest).any(axis=-1)[still].sum())
