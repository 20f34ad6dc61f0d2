"""HOOF + SVM: Chaudhry, Ravichandran, Hager, Vidal, "Histograms of oriented optical flow …", CVPR 2009."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from miex.recognition.handcrafted.base import LinearSVM

BLOCKS, BINS = 4, 8


class HoofSVM(LinearSVM):
    """Histograms of flow directions, weighted by length, in 4 × 4 blocks; a linear support vector machine.

    (u, v) [2, s, s] → 16 blocks × 8 directions, each block's histogram summing to 1 → 128 → classes.
    Departures from the paper: it bins by the angle to the horizontal, left and right alike, over the whole frame; here
    left and right differ and blocks keep the place, without which brows and mouth corners cannot be told apart.
    """

    inputs = ("flow",)
    citation = "Chaudhry et al., Histograms of Oriented Optical Flow and Binet-Cauchy Kernels, CVPR 2009"
    published = (
        "none: the descriptor has no parameters; the machine has 128 weights and a bias per class, 387 for three"
    )

    width = BLOCKS**2 * BINS

    def descriptor(self, x: Tensor) -> Tensor:
        """[n, 128], rows of blocks first; a block without flow is all zero."""
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
