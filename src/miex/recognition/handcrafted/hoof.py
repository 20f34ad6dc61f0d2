"""HOOF: a linear support vector machine on histograms of oriented optical flow.

Source of the descriptor: Chaudhry, Ravichandran, Hager, Vidal, "Histograms of Oriented Optical Flow and Binet-Cauchy
Kernels on Nonlinear Dynamical Systems for the Recognition of Human Actions", CVPR 2009.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from miex.recognition.handcrafted.base import LinearSVM
from miex.recognition.handcrafted.blocks import block_of, histograms

BLOCKS, BINS = (4, 4), 8


class HOOF(LinearSVM):
    """Linear support vector machine on histograms of flow directions, weighted by flow length, in 4 × 4 blocks.

    Layers: (u, v) [2, s, s] → 16 blocks × 8 directions, the histogram of each block summing to 1 → 128 → classes.

    Departures from the paper: its histogram covers the whole frame, and bins by the angle to the horizontal, so that
    left and right fall into the same bin. Here left and right have different bins, and each block has its own
    histogram; without blocks, motion of the brows could not be told from motion of the mouth corners.
    """

    inputs = ("flow",)
    citation = "Chaudhry et al., Histograms of Oriented Optical Flow and Binet-Cauchy Kernels, CVPR 2009"
    published = (
        "No count is published: the descriptor has no parameters. The support vector machine has 128 weights and a "
        "bias per class: 387 for three classes"
    )

    width = math.prod(BLOCKS) * BINS

    def descriptor(self, x: Tensor) -> Tensor:
        """The histograms [n, 128], block after block, row by row; that of a block without flow is all zero."""
        u, v = x[:, 0], x[:, 1]
        length = torch.sqrt(u * u + v * v)
        turn = (torch.atan2(v, u) / (2 * math.pi) + 1 / (2 * BINS)) % 1  # bins lie around their directions
        direction = torch.floor(turn * BINS).long().clamp(0, BINS - 1)
        return histograms(direction, block_of(x.shape[2:], BLOCKS), BLOCKS, BINS, length).flatten(1)
