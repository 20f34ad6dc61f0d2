"""The two networks of GANimation: one repaints a face by AUs, the other judges pictures and reads their AUs.

Pumarola, Agudo, Martinez, Sanfeliu, Moreno-Noguer, "GANimation: Anatomically-aware Facial Animation from a Single
Image", ECCV 2018. The paper leaves out the layers' sizes; they are those of the two families of published checkpoints,
whose numbers of parameters ours have.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from miex.aus.vector import N_AUS
from miex.errors import UsageError

STRIDE = 4  # pixels of a side for each cell of the generator's inner maps
PATCH = 64  # the same of the discriminator
LAYERS = 6  # of the discriminator, each of which halves the maps


@dataclass(frozen=True)
class Form:
    """In what generators differ.

    Attributes:
        aus: number of AUs.
        width: number of maps of the first layer; the inner ones have 2 and 4 times as many.
        blocks: number of residual blocks.
        bias: whether the convolutions of the trunk have one. Those of the heads have none.
        affine: whether instance norm has a scale and a shift of each map.
    """

    aus: int = N_AUS
    width: int = 64
    blocks: int = 6
    bias: bool = False
    affine: bool = True


ORIGINAL = Form()  # of the authors: 8,471,296 parameters
REPLICATE = Form(bias=True, affine=False)  # of its public replication: 8,467,584


class Painted(NamedTuple):
    """What the generator makes of a picture.

    Attributes:
        pictures: float32 [n, 3, s, s], in [−1, 1].
        color: what it paints, float32 [n, 3, s, s], in [−1, 1].
        attention: A, how much of the input is kept, float32 [n, 1, s, s], in [0, 1].
    """

    pictures: Tensor
    color: Tensor
    attention: Tensor


def blend(pictures: Tensor, color: Tensor, attention: Tensor) -> Tensor:
    """A·pictures + (1 − A)·color: where A = 1 the picture stays what it is, bit for bit."""
    return attention * pictures + (1 - attention) * color


def as_pictures(levels: Tensor) -> Tensor:
    """Gray levels, uint8 RGB [n, s, s, 3], as the networks take them: float32 [n, 3, s, s], in [−1, 1]."""
    return levels.permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1


def as_levels(pictures: Tensor) -> Tensor:
    """Pictures, float32 [n, 3, s, s], in [−1, 1], as gray levels, uint8 RGB [n, s, s, 3]."""
    return ((pictures + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


class ResidualBlock(nn.Module):  # type: ignore[misc]
    """Two 3×3 convolutions with instance norm, whose output is added to the input: [4·width, s/4, s/4] → the same."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        width = 4 * form.width
        self.trunk = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=form.bias), nn.InstanceNorm2d(width, affine=form.affine), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=form.bias), nn.InstanceNorm2d(width, affine=form.affine),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = x + self.trunk(x)
        return added


class GeneratorNetwork(nn.Module):  # type: ignore[misc]
    """Repaints pictures by AUs.

    Layers, each but the last two followed by instance norm and ReLU: [3 + aus, s, s] → conv 7×7 → [width, s, s] → two
    convs 4×4 that halve the maps → [4·width, s/4, s/4] → residual blocks → two transposed convs 4×4 that double them →
    [width, s, s] → conv 7×7 and tanh: color; and conv 7×7 and sigmoid: attention.

    Args:
        form: in what generators differ.
    """

    def __init__(self, form: Form = ORIGINAL) -> None:
        super().__init__()
        self.form, width = form, form.width

        def normed(conv: nn.Module) -> list[nn.Module]:
            return [conv, nn.InstanceNorm2d(conv.out_channels, affine=form.affine), nn.ReLU()]

        self.trunk = nn.Sequential(
            *normed(nn.Conv2d(3 + form.aus, width, 7, 1, 3, bias=form.bias)),
            *normed(nn.Conv2d(width, 2 * width, 4, 2, 1, bias=form.bias)),
            *normed(nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=form.bias)),
            *(ResidualBlock(form) for _ in range(form.blocks)),
            *normed(nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=form.bias)),
            *normed(nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=form.bias)),
        )
        self.color = nn.Sequential(nn.Conv2d(width, 3, 7, 1, 3, bias=False), nn.Tanh())
        self.attention = nn.Sequential(nn.Conv2d(width, 1, 7, 1, 3, bias=False), nn.Sigmoid())

    def forward(self, pictures: Tensor, aus: Tensor) -> Painted:
        """Repaint pictures.

        Args:
            pictures: float32 RGB [n, 3, s, s], in [−1, 1]; s is a multiple of 4.
            aus: float32 [n, aus]; each is appended to the picture as a plane.
        """
        planes = aus[:, :, None, None].expand(-1, -1, *pictures.shape[2:])
        features = self.trunk(torch.cat([pictures, planes], 1))
        color, attention = self.color(features), self.attention(features)
        return Painted(blend(pictures, color, attention), color, attention)


class DiscriminatorNetwork(nn.Module):  # type: ignore[misc]
    """Judges patches of pictures, and reads the AUs of the whole. 44,860,352 parameters for 17 AUs at 128 px.

    Layers: [3, s, s] → six convs 4×4 that halve the maps, each with leaky ReLU (0.01) → [32·width, s/64, s/64] → conv
    3×3: patches; and a conv as large as the maps: AUs. Only the first six have a bias.

    Args:
        aus: number of AUs.
        size: side of its pictures in pixels, a multiple of 64.
        width: number of maps of the first layer; each further layer has twice as many.

    Raises:
        UsageError: another size.
    """

    def __init__(self, aus: int = N_AUS, size: int = 128, width: int = 64) -> None:
        super().__init__()
        if size < PATCH or size % PATCH:
            raise UsageError(
                f"GANimation trained at `size` {size}", expected=f"a multiple of {PATCH}",
                do="its discriminator halves pictures six times; a trained generator takes any multiple of 4",
            )  # fmt: skip
        widths = [3, *(width * 2**i for i in range(LAYERS))]
        layers: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            layers += [nn.Conv2d(inner, outer, 4, 2, 1), nn.LeakyReLU(0.01)]
        self.trunk = nn.Sequential(*layers)
        self.patches = nn.Conv2d(widths[-1], 1, 3, 1, 1, bias=False)
        self.aus = nn.Conv2d(widths[-1], aus, size // PATCH, bias=False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of patches, float32 [n, 1, s/64, s/64] (larger: more like a photo), and AUs, float32 [n, aus].

        Args:
            pictures: float32 RGB [n, 3, s, s], in [−1, 1].
        """
        features = self.trunk(pictures)
        return self.patches(features), self.aus(features).flatten(1)
