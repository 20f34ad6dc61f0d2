"""A second generator, as unlike muscle as the contract allows: it paints, knows no sides and no motion, softens the
photo even at rest, and rounds otherwise when it renders many frames at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from miex.aus.vector import AUArray
from miex.errors import InputError
from miex.faces.crop import AlignedFace
from miex.generators.base import Generator, Rendered
from miex.generators.grid import Field, warp

# Where the strokes of each AU lie, right and left of the midline, in the order of AU vectors.
LANDMARKS = (
    (55, 285), (53, 283), (65, 295), (159, 386), (50, 280), (145, 374), (98, 327), (39, 269), (61, 291),
    (61, 291), (91, 321), (201, 421), (58, 288), (37, 267), (84, 314), (152, 152), (158, 385),
)  # fmt: skip
STROKE = 0.08  # width, inter-ocular distances


class Painter(Generator[tuple[np.ndarray, np.ndarray]]):
    """Dark strokes on a softened photo; a rig is that photo, float32 [s, s, 3], and strokes, float32 [17, s, s]."""

    name = "painter"
    version = 1
    exact_rest = sides = fields = False
    batch_tolerance = 1

    def __init__(self, ink: float = 60.0) -> None:
        self.ink = ink

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], *, find: Callable[[str], Path]) -> Self:
        if set(settings) != {"ink"}:
            raise InputError(f"painter with {dict(settings)}", expected="ink")
        return cls(settings["ink"])

    @property
    def settings(self) -> dict[str, Any]:
        return {"ink": self.ink}

    def prepare(self, face: AlignedFace) -> tuple[np.ndarray, np.ndarray]:
        line = np.arange(face.size, dtype=np.float32)
        width = 2 * (STROKE * face.inter_ocular) ** 2
        strokes = np.zeros((len(LANDMARKS), face.size, face.size), np.float32)
        for stroke, places in zip(strokes, LANDMARKS, strict=True):
            for x, y in face.landmarks[list(places)]:
                stroke += np.exp(-((line - x) ** 2 + (line[:, None] - y) ** 2) / width)
        return cv2.GaussianBlur(face.crop.astype(np.float32), (0, 0), 0.6), strokes

    def _render(self, rig: tuple[np.ndarray, np.ndarray], aus: AUArray, drift: Field | None) -> Rendered:
        photo, strokes = rig
        rounding = 0.5 if len(aus) <= 2 else 0.9
        painted = [
            photo - self.ink * (z @ strokes.reshape(len(z), -1)).reshape(photo.shape[:2])[..., None] for z in aus
        ]
        frames = np.floor(np.clip(np.stack(painted) + np.float32(rounding), 0, 255)).astype(np.uint8)
        return Rendered(warp(frames, drift))
