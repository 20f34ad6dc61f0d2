"""DTSCNN, two shallow streams of 3-D convolutions on optical flow at two temporal scales.

Source: Peng, Wang, Chen, Liu, Fu, "Dual Temporal Scale Convolutional Neural Network for Micro-Expression Recognition",
Frontiers in Psychology 8:1745, 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from miex.errors import UsageError
from miex.recognition.networks.base import Network

MAPS = (16, 32, 64, 128)  # of the four convolutions
STEPS = 16  # that the first convolution leaves of a long clip
SHORTEST, SMALLEST = 8, 32  # clip and frame of which one step and one position are left at the end


class Stream(nn.Module):  # type: ignore[misc]
    """Four 3-D convolutions with ReLU and max-pool: [n, 2, steps, s, s] → [n, 128, 1, s // 32, s // 32].

    The kernels are those of Table 2. The first convolution covers two of its strides and leaves about 16 steps; of
    clips with fewer than 32 it keeps every step, with a kernel of 3. The last one covers all steps that are left: 4,
    or fewer in short clips.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        stride = max(1, steps // STEPS)
        kernel, pad = (2 * stride, stride // 2) if stride > 1 else (3, 1)
        left = ((steps + 2 * pad - kernel) // stride + 1) // 4  # two of the pools halve time
        self.conv1 = nn.Conv3d(2, MAPS[0], (kernel, 3, 3), (stride, 2, 2), (pad, 1, 1))
        self.conv2 = nn.Conv3d(MAPS[0], MAPS[1], 3, padding=1)
        self.conv3 = nn.Conv3d(MAPS[1], MAPS[2], 3, padding=1)
        self.conv4 = nn.Conv3d(MAPS[2], MAPS[3], (left, 3, 3), padding=(0, 1, 1))

    def stages(self, x: Tensor) -> list[Tensor]:
        """The output of each of the four stages, [n, 16 … 128, steps, h, w]."""
        found = []
        pools = ((1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2))
        for conv, pool in zip((self.conv1, self.conv2, self.conv3, self.conv4), pools, strict=True):
            x = F.max_pool3d(conv(x), pool).relu()
            found.append(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(x)[-1]


class DTSCNN(Network):
    """Two streams see the same clip of optical flow, one of them at half the temporal resolution.

    Layers of each stream (Table 2), with s = 96 and 128 or 64 steps: conv 3×3×16 or 3×3×8 (stride 2×2×8 or 2×2×4, 16
    maps), max-pool 2×2×1 → [16, 16, 24, 24]; conv 3×3×3 (32), max-pool 2 → [32, 8, 12, 12]; conv 3×3×3 (64), max-pool 2
    → [64, 4, 6, 6]; conv 3×3×4 (128, no padding in time), max-pool 2×2×1 → [128, 1, 3, 3]. ReLU follows each
    convolution. Both streams joined, 2,304 → dropout 0.5 → classes. Other lengths: see `Stream`.

    Departures from the paper:

    - It interpolates clips to 129 and to 65 frames. Here the second stream sees the sums of two successive steps of the
      first, which, for motion this small, is the flow of a clip with half the frames. The recipe has 16 and 8 steps,
      since the clips of MiE-X have 10 frames, between which interpolation adds no motion. With 128 steps the
      kernels are those of the paper.
    - It draws each flow field as a color image. Here a stream sees u and v themselves, which say the same, and whose
      mirror image is known.
    - It trains the streams separately, gives the output of the last pool of each to a linear SVM, and of the two
      answers believes the surer one. Here one softmax layer on both outputs is trained with the streams, so that all
      of it can be fine-tuned.
    - It crops faces to 96 × 112 pixels; here frames are square. A side of 96 leaves 3 × 3 positions, as in the paper.

    The paper does not name the activation or the initial weights: ReLU and those of torch are used. With those of He et
    al., ICCV 2015, which are larger, training begins with a loss of 2.7 instead of 1.1.
    """

    inputs = ("flow-clip",)
    recipe = "dtscnn"
    citation = "Peng et al., Dual Temporal Scale Convolutional Neural Network, Frontiers in Psychology 8:1745, 2017"
    published = "None is published. Ours: 589,731 with 16 steps of 96 × 96, and 742,371 with the paper's 128"

    def __init__(self, shape: Sequence[int] = (2, 16, 96, 96), classes: int = 3) -> None:
        """As for every method.

        Raises:
            UsageError: the length is not a multiple of 8, or the frames are too small.
        """
        super().__init__(shape, classes)
        _, steps, _, side = shape
        if steps % SHORTEST or side < SMALLEST:
            raise UsageError(
                "recognizer dtscnn",
                expected=f"a length that is a multiple of {SHORTEST}, and a side of at least {SMALLEST}",
                found=f"length {steps}, side {side}",
                do="choose another `side`, or in a recipe of your own another length of its input",
            )  # fmt: skip
        self.fine, self.coarse = Stream(steps), Stream(steps // 2)
        self.dropout = nn.Dropout(0.5)
        positions = ((side - 1) // 2 + 1) // 16  # of each row; a convolution and four pools halve it
        self.classifier = nn.Linear(2 * MAPS[-1] * positions**2, classes)

    def join(self, x: Tensor) -> Tensor:
        """The output of both streams, joined: [n, 2 · 128 · positions]."""
        coarse = x.unflatten(2, (-1, 2)).sum(3)
        return torch.cat([self.fine(x).flatten(1), self.coarse(coarse).flatten(1)], 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(self.join(x)))
        return logits
