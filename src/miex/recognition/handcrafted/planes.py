"""Codes on three orthogonal planes: the base of LBP-TOP and DCP-TOP.

Source of the three planes: Zhao, Pietikäinen, "Dynamic Texture Recognition Using Local Binary Patterns with an
Application to Facial Expressions", TPAMI 2007.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from miex.errors import UsageError
from miex.recognition.handcrafted.base import LinearSVM
from miex.recognition.handcrafted.blocks import block_of, histograms

# The two axes of XY, XT and YT. The axes of a clip are t, y, x.
PLANES = ((2, 1), (2, 0), (1, 0))
BLOCKS = (1, 5, 5)


class ThreePlanes(LinearSVM):
    """Linear support vector machine on histograms of codes, one for each block and plane.

    As in the paper, the same pixels are coded on all three planes: those that have all their neighbors, in space and in
    time. Blocks divide the whole frame; pixels near its border are in no histogram.

    Attributes:
        margin: largest distance of a neighbor along t, y and x, in frames and pixels.
        maps: number of code maps for each plane.
        bins: number of codes in a map.
    """

    inputs = ("clip",)
    margin: ClassVar[tuple[int, int, int]]
    maps: ClassVar[int]
    bins: ClassVar[int]

    def __init__(self, shape: Sequence[int] = (1, 10, 128, 128), classes: int = 3) -> None:
        short = [(m, size) for m, size in zip(self.margin, shape[1:], strict=True) if size <= 2 * m]
        if short:
            least = " × ".join(str(2 * m + 1) for m in self.margin)
            raise UsageError(
                f"{type(self).__name__} on clips of {' × '.join(map(str, shape[1:]))}",
                expected=f"clips of at least {least} (frames × height × width), so that a pixel has all its neighbors",
                do="choose a larger `side`, or in a recipe of your own a greater length of its input",
            )  # fmt: skip
        super().__init__(shape, classes)

    @abstractmethod
    def codes(self, clip: Tensor, plane: tuple[int, int]) -> list[Tensor]:
        """The code maps of one plane, int64 [n, frames, height, width] each, without the margin.

        Args:
            clip: gray levels, float32 [n, frames, height, width].
            plane: its two axes, one of PLANES.
        """

    def descriptor(self, x: Tensor) -> Tensor:
        """The histograms [n, width]: block after block, row by row; in each XY, XT, YT."""
        clip = x[:, 0]
        inside = tuple(slice(m, size - m) for m, size in zip(self.margin, clip.shape[1:], strict=True))
        block = block_of(clip.shape[1:], BLOCKS)[inside]
        maps = [found for plane in PLANES for found in self.codes(clip, plane)]
        return torch.cat([histograms(found, block, BLOCKS, self.bins) for found in maps], 2).flatten(1)

    def neighbors(self, clip: Tensor, plane: tuple[int, int], turn: float, radii: Sequence[float]) -> Tensor:
        """The level beside each pixel, on an ellipse in a plane: float32 [n, frames, height, width] without the margin.

        Between frames and pixels, levels are interpolated linearly, along one axis after the other. Among equal levels
        this gives exactly the same level, so that a flat area has equal levels everywhere.

        Args:
            clip: gray levels, float32 [n, frames, height, width].
            plane: its two axes, one of PLANES.
            turn: angle from the first axis to the second, as a fraction of a full turn.
            radii: radii of the ellipse along t, y and x.
        """
        offset = [0.0, 0.0, 0.0]
        for axis, along in zip(plane, (math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)), strict=True):
            offset[axis] = round(radii[axis] * along, 9)  # cos and sin of a quarter turn are not exact

        def level(*whole: int) -> Tensor:
            axis = len(whole)
            if axis == 3:
                sides = zip(whole, self.margin, clip.shape[1:], strict=True)
                return clip[(slice(None), *(slice(m + w, size - m + w) for w, m, size in sides))]
            low = math.floor(offset[axis])
            part = offset[axis] - low
            near = level(*whole, low)
            return near + part * (level(*whole, low + 1) - near) if part else near

        return level()
