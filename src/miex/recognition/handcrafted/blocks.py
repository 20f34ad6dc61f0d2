"""Blocks of frames and cuboids of clips, and histograms in them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def block_of(sides: Sequence[int], parts: Sequence[int]) -> Tensor:
    """Number of the block that each position lies in, int64 [*sides], row by row.

    Args:
        sides: number of positions along each axis, such as frames, height and width.
        parts: number of blocks along each axis. Their sizes differ by at most one position.
    """
    number = torch.zeros((), dtype=torch.int64)
    for side, count in zip(sides, parts, strict=True):
        number = number[..., None] * count + torch.arange(side) * count // side
    return number


def histograms(values: Tensor, block: Tensor, parts: Sequence[int], bins: int, weights: Tensor | None = None) -> Tensor:
    """The histogram of each block, float32 [n, blocks, bins]. It sums to 1, or is all zero in a block without weight.

    Args:
        values: the bin of each position, int64 [n, …], from 0 to bins - 1.
        block: number of the block of each position, int64 […], as `block_of` gives it.
        parts: number of blocks along each axis.
        bins: number of bins.
        weights: weight of each position, at least 0, [n, …]; None: all are 1.
    """
    n, blocks = len(values), math.prod(parts)
    where = (block.to(values.device) * bins + values).flatten(1)
    weighed = torch.ones_like(where, dtype=torch.float32) if weights is None else weights.flatten(1)
    counts = weighed.new_zeros(n, blocks * bins).scatter_add_(1, where, weighed).reshape(n, blocks, bins)
    return counts / counts.sum(-1, keepdim=True).clamp_min(1e-12)
