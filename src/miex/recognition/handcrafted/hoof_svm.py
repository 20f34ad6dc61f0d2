"""HOOF + SVM: a linear support vector machine on histograms of oriented optical flow.

Source of the descriptor: Chaudhry, Ravichandran, Hager, Vidal, "Histograms of Oriented Optical Flow and Binet-Cauchy
Kernels on Nonlinear Dynamical Systems for the Recognition of Human Actions", CVPR 2009.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from miex.recognition.handcrafted.base import LinearSVM

BLOCKS, BINS = 4, 8


class HoofSVM(LinearSVM):
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

    width = BLOCKS**2 * BINS

    def descriptor(self, x: Tensor) -> Tensor:
        """The histograms [n, 128], block after block, row by row; that of a block without flow is all zero."""
        n, _, s, _ = x.shape
        u, v = x[:, 0], x[:, 1]
        length = torch.sqrt(u * u + v * v)
        direction = (
            torch.floor((torch.atan2(v, u) / (2 * math.pi) + 1 / (2 * BINS)) % 1 * BINS).long().clamp(0, BINS - 1)
        )
        block = torch.arange(s, device=x.device) * BLOCKS // s
        cell = (block[:, None] * BLOCKS + block[None]) * BINS + direction
        counts = torch.zeros(n, BLOCKS**2 * BINS, device=x.device, dtype=x.dtype)
        counts.scatter_add_(1, cell.flatten(1), length.flatten(1))
        each = counts.reshape(n, -1, BINS)
        return (each / each.sum(-1, keepdim=True).clamp_min(1e-12)).flatten(1)
