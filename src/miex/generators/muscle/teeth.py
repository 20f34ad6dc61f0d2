"""A row of teeth, drawn once for each face and then seen through the opening of its mouth."""

from __future__ import annotations

from typing import Any

import numpy as np

from miex.compiled import compiled
from miex.generators.grid import bilinear
from miex.generators.muscle.basis import Floats

FINE = 2  # samples of a picture of teeth per pixel of the crop
TALL, BELOW = 0.42, 0.06  # of such a picture: above the edge of the middle teeth, and below; inter-ocular distances
EDGE = 0.014  # by which the corners of a tooth's edge are rounded off, inter-ocular distances
GUM = 0.3  # of a tooth's height: how far the gum comes down between two
TURN = 0.045  # by which the row rises from its middle to where it runs straight back, inter-ocular distances
LEAST = 0.2  # of the light: what is left of it there
ROUND = 0.3  # of the light: what a tooth's ends have less than its middle
SEAM, SEAM_WIDTH = 0.45, 0.006  # between two teeth: darkness, and half the width, inter-ocular distances
# Of something white, as `mouth.illumination` sees it on the neutral photo: the brightest third of what is between the
# lips of 43 people who smile (Face Research Lab London Set) is 1.07 times as bright in the median, and of its color.
WHITE, NECK, GUMS = np.array([(1.07, 1.07, 1.04), (0.95, 0.88, 0.78), (0.66, 0.4, 0.4)], np.float32)


def row_of_teeth(row: dict[str, Any], light: Floats, unit: float) -> Floats:
    """The upper teeth and their gum from the front, on an arch that is a half circle: the farther from the middle, the
    more they turn away from the light.

    Args:
        row: `teeth.upper` or `teeth.lower` of layers.toml; the lower row, too, is drawn as if it were an upper one.
        light: color of something white, float32 [3], gray levels.
        unit: inter-ocular distance, pixels.

    Returns:
        float32 [h, w, 4], FINE samples per pixel: color times cover, and cover in [0, 1]; in a rim of 0. Its middle
        column is between the middle teeth; `BELOW` of it lies below their edge.
    """
    scale, ends, arch = np.float32(FINE * unit), np.cumsum(row["widths"]), np.float32(row["arch"])
    half = int(np.ceil(arch * scale))
    x = np.arange(half + 1, dtype=np.float32) / scale  # the other half is its mirror image
    y = np.arange(-round(TALL * scale), round(BELOW * scale) + 1, dtype=np.float32) / scale
    angle = np.arcsin(np.minimum(x / arch, 1))
    along = angle * arch
    which = np.minimum(np.searchsorted(ends, along), len(ends) - 1)
    widths, heights, rises = (np.asarray(row[key], np.float32)[which] for key in ("widths", "heights", "rises"))
    ahead = np.cos(angle)
    # across a tooth: 0 in its middle, 1 at its ends
    side = np.abs(1 - 2 * (ends[which].astype(np.float32) - along) / widths)
    edge = -rises - EDGE * side**4 - TURN * (1 - ahead)
    gum = edge - heights * (1 - GUM * side**2)
    lit = LEAST + (1 - LEAST) * ahead**2 * (along < ends[-1])
    # from a tooth's end to the seam, as it is seen; at small sizes no seam is thinner than a pixel
    seam = (1 - side) * widths / 2 * np.maximum(ahead, np.float32(0.3)) / max(SEAM_WIDTH, 0.6 / unit)
    shine = lit * (1 - ROUND * np.minimum(side, 1) ** 4) * (1 - SEAM * np.exp(-(seam**2)))
    drawn = np.zeros((len(y) + 2, 2 * half + 3, 4), np.float32)
    _draw(y, edge, gum, heights, shine, lit[:, None] * (light * GUMS), light, scale, drawn)
    return drawn


@compiled
def _draw(
    y: Floats,
    edge: Floats,
    gum: Floats,
    heights: Floats,
    shine: Floats,
    gums: Floats,
    light: Floats,
    scale: np.float32,
    drawn: Floats,
) -> None:
    """Fill what `row_of_teeth` returns; all in float32.

    Args:
        y: of the rows, inter-ocular distances, down.
        edge, gum, heights: of the tooth in each column from the middle to one side, and where its gum ends.
        shine: light on it.
        gums: color of the gum, [w, 3].
        light, scale: color of something white, and samples per inter-ocular distance.
        drawn: zeros, to be filled.
    """
    zero, half, one, two, three = (np.float32(0), np.float32(0.5), np.float32(1), np.float32(2), np.float32(3))
    middle, fine, most = drawn.shape[1] // 2, np.float32(FINE), np.float32(245)
    for i in range(len(y)):
        for j in range(len(edge)):
            t = min(max((edge[j] - y[i]) / heights[j], zero), one)
            neck = t * t * (three - two * t)  # toward the gum teeth are yellower
            pink = min(max((gum[j] - y[i]) * scale / fine + half, zero), one)
            cover = min(max((edge[j] - y[i]) * scale / fine + half, zero), one)
            for c in range(3):
                white = light[c] * (WHITE[c] + neck * (NECK[c] - WHITE[c])) * shine[j]
                color = min(white + (gums[j, c] - white) * pink, most) * cover
                drawn[1 + i, middle + j, c] = drawn[1 + i, middle - j, c] = color
            drawn[1 + i, middle + j, 3] = drawn[1 + i, middle - j, 3] = cover


@compiled
def seen_at(row: Floats, right: float, down: float, unit: float, c: int) -> float:
    """What is at a place of a picture of `row_of_teeth`.

    Args:
        row: the picture.
        right, down: from the middle of the row's edge, pixels of the crop.
        unit: inter-ocular distance, pixels.
        c: which of the four.
    """
    return float(bilinear(row, right * FINE + row.shape[1] // 2, down * FINE + np.rint(TALL * FINE * unit) + 1, c))
