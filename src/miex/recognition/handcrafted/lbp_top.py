"""LBP-TOP: a linear support vector machine on local binary patterns from three orthogonal planes.

Source of the descriptor: Zhao, Pietikäinen, "Dynamic Texture Recognition Using Local Binary Patterns with an
Application to Facial Expressions", TPAMI 2007. Source of the settings: the baseline of See, Yap, Li, Hong, Wang, "MEGC
2019 – The Second Facial Micro-Expressions Grand Challenge", FG 2019.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from miex.recognition.handcrafted.planes import BLOCKS, PLANES, ThreePlanes

RADII = (4, 1, 1)  # along t, y and x
NEIGHBORS = 4


def uniform_bins(neighbors: int) -> list[int]:
    """The bin of each local binary pattern of that many neighbors, 2^neighbors bins.

    A pattern is uniform if, going around the circle, its bits change at most twice. Each uniform pattern has its own
    bin, in the order of the patterns as numbers; all others share the last bin, neighbors · (neighbors - 1) + 2.
    """
    patterns = range(2**neighbors)
    changes = [sum((p >> k ^ p >> (k + 1) % neighbors) & 1 for k in range(neighbors)) for p in patterns]
    uniform = [p for p in patterns if changes[p] <= 2]
    return [uniform.index(p) if p in uniform else len(uniform) for p in patterns]


class LBPTOP(ThreePlanes):
    """Linear support vector machine on uniform local binary patterns on the planes XY, XT and YT, in 5 × 5 blocks.

    Layers: gray clip [1, 10, s, s] → 25 blocks × 3 planes × 15 patterns, each histogram summing to 1 → 1,125 → classes.

    The settings are those of the baseline of MEGC 2019: temporal interpolation to 10 frames, radii of 1, 1 and 4 along
    x, y and t, 4 neighbors, uniform patterns, and 5 × 5 blocks. With 4 neighbors, 14 of the 16 patterns are uniform,
    and the other two share a bin, so there are 15 bins; the often quoted 59 are those of 8 neighbors. No neighbor lies
    between pixels, so that nothing is interpolated. With radius 4 in time, 2 of 10 frames are coded: the fifth, which
    is compared with the first and ninth, and the sixth, with the second and tenth.

    Choices that the description leaves open: the blocks divide the aligned face of the input; the machine has
    scikit-learn's default C = 1, as no other is stated.
    """

    recipe = "lbp-top"
    citation = "Zhao & Pietikäinen, Dynamic Texture Recognition Using Local Binary Patterns, TPAMI 2007"
    published = (
        "No count is published: the descriptor has no parameters. The support vector machine has 1,125 weights and a "
        "bias per class: 3,378 for three classes"
    )

    margin = RADII
    maps, bins = 1, NEIGHBORS * (NEIGHBORS - 1) + 3
    width = math.prod(BLOCKS) * len(PLANES) * bins

    def codes(self, clip: Tensor, plane: tuple[int, int]) -> list[Tensor]:
        """The bin of the pattern of each pixel: bit p tells whether neighbor p is at least as bright as the pixel."""
        center = self.neighbors(clip, plane, 0, (0, 0, 0))
        pattern = torch.zeros_like(center, dtype=torch.int64)
        for p in range(NEIGHBORS):
            pattern |= (self.neighbors(clip, plane, p / NEIGHBORS, RADII) >= center).long() << p
        return [torch.tensor(uniform_bins(NEIGHBORS), device=clip.device)[pattern]]
