"""The generator's network as sets are painted with it: the same function with less work, at a precision of choice."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from miex.generators.ganimation.networks import GeneratorNetwork, ResidualBlock

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Layers(NamedTuple):
    """What is blended with a picture, as `networks.Painted` has it.

    Attributes:
        color: float32 [n, 3, s, s], in [−1, 1].
        attention: float32 [n, 1, s, s], in [0, 1].
    """

    color: Tensor
    attention: Tensor


class Inference:
    """What a generator's network paints, with less work for each frame.

    - What the first convolution makes of the picture is computed once (`seen`). Planes of AUs are constant, so what it
      makes of them is the same everywhere but at the borders: a canvas as small as the kernel shows all of it.
    - Both heads are one convolution: half the work, since four maps cost as much as one.
    - Instance norm is group norm of one map each, which torch computes faster.

    At float32 that is what the network gives, but for rounding. At bfloat16 all convolutions but the first take and
    give bfloat16; sums of residual blocks, norms, tanh and sigmoid stay float32.

    Args:
        network: the network, which is copied.
        precision: one of PRECISIONS, of all convolutions but the first.
        device: where it is computed, as torch names it.
    """

    def __init__(self, network: GeneratorNetwork, precision: str, device: str) -> None:
        self._dtype, self._device = PRECISIONS[precision], torch.device(device)
        first, *trunk = copy.deepcopy(network).to(self._device).trunk
        self._first, self._trunk = first, trunk
        heads = torch.cat([network.color[0].weight, network.attention[0].weight])
        self._heads = heads.to(self._device, self._dtype)
        for part in trunk:
            for layer in part.modules():
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                    layer.to(self._dtype)

    def seen(self, picture: Tensor) -> Tensor:
        """What the first convolution makes of a picture, float32 [1, width, s, s].

        Args:
            picture: float32 RGB [1, 3, s, s], in [−1, 1]; s is a multiple of 4, 8 or more.
        """
        with self._computing():
            weight = self._first.weight[:, : picture.shape[1]]
            return F.conv2d(picture.to(self._device), weight, self._first.bias, padding=self._first.padding)

    def paint(self, seen: Tensor, aus: Tensor) -> Layers:
        """What is blended with the picture.

        Args:
            seen: from `seen`.
            aus: float32 [n, aus].
        """
        with self._computing():
            x = self._through(self._trunk, seen + self._planes(aus.to(self._device), seen.shape[-1]))
            heads = F.conv2d(x.to(self._dtype), self._heads, padding=self._first.padding).float()
            return Layers(heads[:, :3].tanh(), heads[:, 3:].sigmoid())

    def _planes(self, aus: Tensor, size: int) -> Tensor:
        """What the first convolution makes of planes of AUs, [n, width, s, s]."""
        canvas = self._first.kernel_size[0]
        weight = self._first.weight[:, -aus.shape[1] :]
        planes = aus[:, :, None, None].expand(-1, -1, canvas, canvas)
        made = F.conv2d(planes, weight, padding=self._first.padding)
        middle = canvas // 2  # of the canvas, where the kernel sees no border
        for axis in (2, 3):
            before, after = made.narrow(axis, 0, middle), made.narrow(axis, middle + 1, middle)
            inner = made.narrow(axis, middle, 1).repeat_interleave(size - 2 * middle, axis)
            made = torch.cat([before, inner, after], axis)
        return made

    def _through(self, layers: Any, x: Tensor) -> Tensor:
        for layer in layers:
            if isinstance(layer, ResidualBlock):
                x = x + self._through(layer.trunk, x)
            elif isinstance(layer, nn.InstanceNorm2d):
                x = F.group_norm(x, layer.num_features, layer.weight, layer.bias, layer.eps)
            elif isinstance(layer, nn.ReLU):
                x = F.relu(x)
            else:
                x = layer(x.to(self._dtype)).float()
        return x

    @contextmanager
    def _computing(self) -> Iterator[None]:
        with torch.inference_mode(), torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False):
            yield
