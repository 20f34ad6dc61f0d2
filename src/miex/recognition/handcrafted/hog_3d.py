"""3DHOG: a linear support vector machine on histograms of spatiotemporal gradients.

Source of the descriptor: Polikovsky, Kameda, Ohta, "Facial Micro-Expressions Recognition Using High Speed Camera and
3D-Gradient Descriptor", ICDP 2009.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from miex.recognition.handcrafted.base import LinearSVM
from miex.recognition.handcrafted.blocks import block_of, histograms
from miex.recognition.handcrafted.planes import PLANES

CUBOIDS, BINS = (2, 5, 5), 8


class HOG3D(LinearSVM):
    """Linear support vector machine on histograms of the directions of gradients in x, y and t, in cuboids of a clip.

    Layers: gray clip [1, 10, s, s] → 50 cuboids × 3 planes × 8 directions, each histogram summing to 1 → 1,200
    → classes.

    The gradient of each pixel is projected onto the planes XY, XT and YT, where it votes for its direction, weighted by
    its length. On XT and YT the direction is that of motion: a gradient along an axis of the frame is at rest, and it
    turns to one side or the other with the speed.

    Only this outline is taken from the paper, which divides the face into regions. Our choices are:

    - The cuboids: 5 × 5 blocks of the aligned face, as for LBP-TOP, so that no points need to be marked; and two halves
      of the clip, so that the rise and the fall of an expression do not cancel.
    - Gradients are central differences, and one-sided ones in the first and last row, column and frame.
    - Directions are those of lines, in half a turn: dark on bright moves as bright on dark does.
    - Eight bins lie around their directions, and a gradient votes for the two nearest in proportion (Dalal, Triggs,
      CVPR 2005). So even the slowest motion moves some weight, to one side or the other, and rest moves none.
    """

    inputs = ("clip",)
    recipe = "3dhog"
    citation = "Polikovsky et al., Facial Micro-Expressions Recognition Using High Speed Camera, ICDP 2009"
    published = (
        "No count is published: the descriptor has no parameters. The support vector machine has 1,200 weights and a "
        "bias per class: 3,603 for three classes"
    )

    width = math.prod(CUBOIDS) * len(PLANES) * BINS

    def descriptor(self, x: Tensor) -> Tensor:
        """The histograms [n, 1200]: cuboid after cuboid, by time, row and column; in each XY, XT, YT."""
        clip = x[:, 0]
        gradient = torch.gradient(clip, dim=(1, 2, 3))
        cuboid = block_of(clip.shape[1:], CUBOIDS)
        found = []
        for first, second in PLANES:
            a, b = gradient[first], gradient[second]
            length = torch.sqrt(a * a + b * b)
            turn = torch.atan2(b, a) / math.pi % 1 * BINS
            low = torch.floor(turn)
            part, nearest = turn - low, low.long() % BINS
            values = torch.stack([nearest, (nearest + 1) % BINS], 1)
            votes = torch.stack([length * (1 - part), length * part], 1)
            found.append(histograms(values, cuboid, CUBOIDS, BINS, votes))
        return torch.cat(found, 2).flatten(1)
