"""FDM: a linear support vector machine on the Facial Dynamics Map.

Source of the descriptor: Xu, Zhang, Wang, "Microexpression Identification and Categorization Using a Facial Dynamics
Map", TAC 2017.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from miex.recognition.handcrafted.base import LinearSVM
from miex.recognition.handcrafted.blocks import block_of

CUBOIDS = (5, 8, 8)
STARTS = 8  # directions from which the principal one is sought
STEPS = 20


def principal_motion(flow: Tensor, cuboid: Tensor, cuboids: int) -> Tensor:
    """The principal motion of each cuboid, float32 [n, 2, cuboids].

    The principal direction of a cuboid is the unit vector d with the greatest sum of max(0, v · d) over its flow
    vectors v. It is found iteratively: of eight directions, the one with the greatest sum is the start; then d is,
    again and again, the direction of the sum of those vectors that point to its side (v · d > 0), until these are the
    same as before, at most 20 times. No step lowers the sum, so the end is a maximum, at least among the directions
    near by. The principal motion is the sum of the vectors on its side, divided by the number of all vectors in the
    cuboid.

    Args:
        flow: flow vectors, float32 [n, 2, …].
        cuboid: number of the cuboid of each of them, int64 […].
        cuboids: number of cuboids.
    """
    vectors, where = flow.flatten(2), cuboid.flatten().to(flow.device)

    def side(direction: Tensor) -> Tensor:
        """Sum of the vectors on the side of the direction of each cuboid [n, 2, cuboids]."""
        ahead = (vectors * direction[:, :, where]).sum(1, keepdim=True) > 0
        return torch.zeros_like(direction).index_add_(2, where, vectors * ahead)

    turns = torch.arange(STARTS, device=flow.device) * (2 * math.pi / STARTS)
    starts = torch.stack([turns.cos(), turns.sin()], 1)
    sums = torch.stack([side(start.expand(len(flow), cuboids, 2).movedim(2, 1)) for start in starts])
    found = sums.gather(0, (sums * starts[:, None, :, None]).sum(2).argmax(0)[None, :, None].expand(1, -1, 2, -1))[0]
    for _ in range(STEPS):
        before, found = found, side(found)
        if torch.equal(before, found):
            break
    return found / torch.bincount(where, minlength=cuboids).clamp_min(1)


class FDM(LinearSVM):
    """Linear support vector machine on the Facial Dynamics Map: the principal motion in each cuboid of a flow clip.

    Layers: flow clip [2, 10, s, s] → 5 × 8 × 8 cuboids × (u, v) → 640 → classes.

    The paper aligns the frames pixel by pixel with optical flow, divides the sequence into cuboids, and finds the
    principal direction of the flow in each by an iterative strategy; more is not taken from it. Our choices are:

    - Alignment: the median of u and of v over each flow field (of an even number, the lower one in the middle) is
      subtracted. Most of a face is at rest in a micro-expression, so the median is the motion of the head.
    - Granularity: 8 × 8 blocks, 7 pixels wide at the default side of 56, and five parts of two steps each, so that the
      rise and the fall of an expression do not cancel.
    - The iteration is that of `principal_motion`: a few vectors that point backward, as noise does, do not shorten it.
    - The map is divided by its root mean square length, as the strength of an expression differs between people and
      clips; without that, the values would also be too small for the margin of the machine. A clip without any motion
      has a map of zeros.
    """

    inputs = ("flow-clip",)
    recipe = "fdm"
    citation = "Xu et al., Microexpression Identification and Categorization Using a Facial Dynamics Map, TAC 2017"
    published = (
        "No count is published: the descriptor has no parameters. The support vector machine has 640 weights and a "
        "bias per class: 1,923 for three classes"
    )

    width = 2 * math.prod(CUBOIDS)

    def descriptor(self, x: Tensor) -> Tensor:
        """The maps [n, 640]: u of all cuboids, by time, row and column; then v."""
        aligned = x - x.flatten(3).median(3)[0][..., None, None]
        found = principal_motion(aligned, block_of(x.shape[2:], CUBOIDS), math.prod(CUBOIDS))
        strength = found.square().sum(1).mean(1).sqrt()[:, None, None]
        return (found / strength.clamp_min(1e-12)).flatten(1)
