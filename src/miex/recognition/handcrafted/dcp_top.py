"""DCP-TOP: a linear support vector machine on dual-cross patterns from three orthogonal planes.

Sources: for the three planes, Ben, Jia, Yan, Zhang, Meng, "Learning Effective Binary Descriptors for Micro-Expression
Recognition Transferred by Macro-Information", Pattern Recognition Letters 2018; for the patterns, Ding, Choi, Tao,
Davis, "Multi-Directional Multi-Level Dual-Cross Patterns for Robust Face Recognition", TPAMI 2016.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from miex.recognition.handcrafted.planes import BLOCKS, PLANES, ThreePlanes

INNER, OUTER = (2, 1, 1), (4, 2, 2)  # radii along t, y and x
DIRECTIONS = 8


class DCPTOP(ThreePlanes):
    """Linear support vector machine on dual-cross patterns on the planes XY, XT and YT, in 5 × 5 blocks.

    Layers: gray clip [1, 10, s, s] → 25 blocks × 3 planes × 2 crosses × 256 patterns, each histogram summing to 1
    → 38,400 → classes.

    In each of eight directions a pixel O has an inner neighbor A and an outer neighbor B; two bits say whether A is at
    least as bright as O, and B as A. The four directions along the axes are one cross (DCP-1), the four between them
    the other (DCP-2); the code of a cross is one of 4⁴ = 256. Levels between pixels are interpolated linearly.

    The patterns are those of their authors; of the three planes only the idea is taken. Our choices are:

    - Radii of 1 and 2 pixels, as the movements to be seen are of a pixel or two. The patterns' authors take 4 and 6
      pixels for faces of 128 pixels (their code), to tell people apart, which is not wanted here. In time, radii of 2
      and 4 frames: the greater is that of LBP-TOP, so that neighbors reach to the ends of 10 frames.
    - 10 frames and 5 × 5 blocks, as for LBP-TOP, so that the two differ only in their patterns.
    - No filter before coding. The patterns' authors even out the light of photos, or take derivatives; within a clip
      the light is nearly constant, and the patterns do not depend on brightness and contrast.

    An example has 38,400 values: a few thousand fit into memory, tens of thousands do not.
    """

    recipe = "dcp-top"
    citation = "Ben et al., Learning Effective Binary Descriptors for Micro-Expression Recognition, PRL 2018"
    published = (
        "No count is published: the descriptor has no parameters. The support vector machine has 38,400 weights and a "
        "bias per class: 115,203 for three classes"
    )

    margin = OUTER
    maps, bins = 2, 4 ** (DIRECTIONS // 2)
    width = math.prod(BLOCKS) * len(PLANES) * maps * bins

    def codes(self, clip: Tensor, plane: tuple[int, int]) -> list[Tensor]:
        """The codes of DCP-1 and DCP-2: digit i, to base 4, is that of the i-th direction of the cross."""
        center = self.neighbors(clip, plane, 0, (0, 0, 0))
        crosses = [torch.zeros_like(center, dtype=torch.int64) for _ in range(2)]
        for i in range(DIRECTIONS):
            inner, outer = (self.neighbors(clip, plane, i / DIRECTIONS, radii) for radii in (INNER, OUTER))
            crosses[i % 2] |= (2 * (inner >= center).long() + (outer >= inner).long()) << 2 * (i // 2)
        return crosses
