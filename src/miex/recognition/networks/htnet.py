"""HTNet, a hierarchical transformer on optical flow.

Source: Wang, Zhang, Luo, Sankaranarayana, "HTNet for micro-expression recognition", 2023 (arXiv 2307.14637).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from miex.recognition.networks.base import Network

HEADS = 3  # attention heads of the first level; they double from level to level
# Centers of eyes and mouth corners, (row, column) as fractions of the side of a map, in the convention of flow maps.
CENTERS = ((0.23, 0.23), (0.23, 0.73), (0.66, 0.27), (0.66, 0.77))


def four_areas(x: Tensor) -> Tensor:
    """Put together four areas of each map: eyes above, mouth corners below; [n, 3, s, s] → the same shape.

    Each area has half the side of the map. The authors cut areas around the landmarks of each face. Flow maps come
    without landmarks, so here areas lie where the convention of flow maps has eyes and mouth corners, moved inward
    where they would reach beyond the map.
    """
    side = x.shape[-1]
    half = side // 2
    rows_columns = [[min(max(round(c * side) - half // 2, 0), side - half) for c in center] for center in CENTERS]
    areas = [x[..., r : r + half, c : c + half] for r, c in rows_columns]
    return torch.cat([torch.cat(areas[:2], -1), torch.cat(areas[2:], -1)], -2)


class ChannelNorm(nn.LayerNorm):  # type: ignore[misc]
    """Layer norm over the channels of a batch [n, c, h, w]."""

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return normed


class Attention(nn.Module):  # type: ignore[misc]
    """Self-attention among the positions of a batch [n, c, h, w].

    Each head has c // heads channels, so together they have less than c if that is not a multiple of their number.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, width = heads, dim // heads * heads
        self.norm = ChannelNorm(dim)
        self.qkv = nn.Conv2d(dim, 3 * width, 1, bias=False)
        self.out = nn.Conv2d(width, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(n, 3, self.heads, -1, h * w).transpose(-1, -2).unbind(1)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(-1, -2).reshape(n, -1, h, w)
        out: Tensor = self.out(seen)
        return out


class Level(nn.Module):  # type: ignore[misc]
    """Transformer layers within the blocks of a level, with one learned number as the embedding of each position."""

    def __init__(self, dim: int, heads: int, depth: int, positions: int) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(positions))
        self.layers = nn.ModuleList(
            nn.ModuleList(
                (
                    Attention(dim, heads),
                    nn.Sequential(ChannelNorm(dim), nn.Conv2d(dim, 4 * dim, 1), nn.GELU(), nn.Conv2d(4 * dim, dim, 1)),
                )
            )
            for _ in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Blocks [n·blocks, c, h, w] → the same shape."""
        x = x + self.position.reshape(1, 1, *x.shape[-2:])
        for attention, feed_forward in self.layers:
            x = x + attention(x)
            x = x + feed_forward(x)
        return x


class HTNet(Network):
    """Hierarchical transformer: attention within small blocks, which are joined two by two from level to level.

    Layers: four areas [3, 28, 28] → 4 × 4 patches of 7 × 7, each a vector of 256 → level 1: 16 blocks; join →
    [512, 2, 2] → level 2: 4 blocks; join → [1024, 1, 1] → level 3: one block → layer norm, mean over positions,
    classes. Joining is conv 3×3, layer norm, max-pool 3 (stride 2).

    Sizes are those of the authors' code. With them each block is a single position, so that attention has no choice.
    Larger maps do not change this: patches always have a quarter of the side of the map, so there are always 4 × 4.
    """

    inputs = ("flow",)
    citation = "Wang et al., HTNet for micro-expression recognition, arXiv 2307.14637, 2023"
    published = "No count is known to us. Ours: 139,582,982, nine tenths of them in the ten layers of 1,024 maps"

    def __init__(
        self,
        shape: Sequence[int] = (3, 28, 28),
        classes: int = 3,
        *,
        dim: int = 256,
        depths: Sequence[int] = (2, 2, 10),
    ) -> None:
        """As for every method; `dim`: channels of the first level, which double from level to level; `depths`: number
        of layers of each level."""
        super().__init__(shape, classes)
        self.patch = nn.Conv2d(3, dim, shape[-1] // 4, stride=shape[-1] // 4)
        dims = [dim * 2**i for i in range(3)]
        self.levels = nn.ModuleList(
            Level(wide, HEADS * 2**i, depth, 1) for i, (wide, depth) in enumerate(zip(dims, depths, strict=True))
        )
        self.joins = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), ChannelNorm(b), nn.MaxPool2d(3, 2, 1))
            for a, b in pairwise(dims)
        )
        self.norm = ChannelNorm(dims[-1])
        self.classifier = nn.Linear(dims[-1], classes)

    def level(self, x: Tensor, i: int) -> Tensor:
        """Apply level i within each of its b × b blocks, b = 4, 2, 1: [n, c, b·h, b·w] → the same shape."""
        b = 2 ** (2 - i)
        n, c, h, w = x.shape
        blocks = x.reshape(n, c, b, h // b, b, w // b).permute(0, 2, 4, 1, 3, 5).reshape(n * b * b, c, h // b, w // b)
        seen = self.levels[i](blocks).reshape(n, b, b, c, h // b, w // b)
        done: Tensor = seen.permute(0, 3, 1, 4, 2, 5).reshape(n, c, h, w)
        return done

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(four_areas(x))
        for i in range(3):
            x = self.level(x, i)
            if i < 2:
                x = self.joins[i](x)
        logits: Tensor = self.classifier(self.norm(x).mean((2, 3)))
        return logits
