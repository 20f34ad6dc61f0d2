"""Prevent folding: where strong AUs together would push skin through itself, all motion is smoothly reduced.

A displacement F folds nowhere if I + J is invertible everywhere (J: its derivatives), and stays so when it is scaled
down: if no real eigenvalue of J lies at or below −1. The negative of the smallest is the rate at which skin is
compressed. Within the working range of micro-expressions it stays far below 1, and nothing changes.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from miex.compiled import compiled
from miex.generators.grid import Field, moving_cells
from miex.generators.muscle.basis import Floats

MOST = 0.8  # compression that skin bears: a fifth of its length is left
WIDER = (0.06, 0.12, 0.24, 0.48)  # around the worst places, how far the motion gives way, inter-ocular distances


def _derivatives(field: Field) -> tuple[Floats, Floats, Floats, Floats]:
    """Of right and down along a row, then along a column, per cell."""
    across, down = field[:-1, 1:] - field[:-1, :-1], field[1:, :-1] - field[:-1, :-1]
    return across[..., 0], across[..., 1], down[..., 0], down[..., 1]


def compression(field: Field, cells_per_pixel: float) -> Floats:
    """The rate at which a field compresses skin, float32 [h − 1, w − 1]; 1 and above folds."""
    xx, yx, xy, yy = _derivatives(field)
    apart = np.square((xx - yy) / 2) + xy * yx
    return np.asarray((np.sqrt(np.maximum(0, apart)) - (xx + yy) / 2) * np.float32(cells_per_pixel), np.float32)


@compiled
def bound(
    fields: Floats,
    rows: npt.NDArray[np.intp],
    seen: npt.NDArray[np.bool_],
    first: tuple[int, int],
    cell: int,
    per: float,
    into: Floats,
) -> None:
    """Raise the bounds of the tiles of a grid to no less than the compression by each field, and such that bounds of
    fields add up to no less than that of their sum.

    Args:
        fields: on a window of the grid, float32 [k, h, w, 2], pixels.
        rows: which of them, [n].
        seen: cells of the window that count, [h, w].
        first: row and column of the window's first cell.
        cell: cells per tile each way.
        per: cells per pixel.
        into: float32 [n, tiles, tiles], no less than 0, changed in place.
    """
    rates = np.empty(fields.shape[2])
    for n in range(len(rows)):
        field = fields[rows[n]]
        top, bottom, left, right = moving_cells(field)
        left, right = max(0, left - 1), min(right, field.shape[1] - 1)
        for i in range(max(0, top - 1), min(bottom, field.shape[0] - 1)):
            here, below, counts = field[i, left:], field[i + 1, left:], seen[i, left:]
            for j in range(right - left):
                xx, yx = here[j + 1, 0] - here[j, 0], here[j + 1, 1] - here[j, 1]
                xy, yy = below[j, 0] - here[j, 0], below[j, 1] - here[j, 1]
                worst = (np.sqrt((xx - yy) ** 2 + (xy + yx) ** 2) - (xx + yy)) / 2 * per
                rates[j] = worst if counts[j] else 0.0
            tiles = into[n, (first[0] + i) // cell]
            for tile in range((first[1] + left) // cell, (first[1] + right - 1) // cell + 1):
                begin, end = tile * cell - first[1] - left, (tile + 1) * cell - first[1] - left
                highest = float(tiles[tile])
                for j in range(max(0, begin), min(right - left, end)):
                    highest = max(highest, rates[j])
                tiles[tile] = highest


Part = tuple[tuple[slice, slice], Field, npt.NDArray[np.bool_]]  # window of the grid, field on it, cells that are seen


def restraint(parts: list[Part], grid: int, cells_per_pixel: float, unit: float) -> Floats | None:
    """By how much to shorten motion so that nothing folds: float32 [g, g] in (0, 1]; None: not at all.

    Args:
        parts: the fields that are seen, and where.
        grid, cells_per_pixel: of the fields.
        unit: inter-ocular distance, pixels.
    """

    def worst(scale: Floats | None) -> Floats:
        found = np.zeros((grid, grid), np.float32)
        for window, field, seen in parts:
            moved = field if scale is None else field * scale[window][..., None]
            here = found[window][:-1, :-1]
            np.maximum(here, compression(moved, cells_per_pixel) * seen[:-1, :-1], out=here)
        return found

    rate = worst(None)
    if rate.max() <= MOST:
        return None
    scale = np.ones((grid, grid), np.float32)
    for width in WIDER:
        radius = max(1, round(width * unit * cells_per_pixel))
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        near = cv2.erode(np.minimum(1, MOST / np.maximum(rate, 1e-6)).astype(np.float32), disk)
        scale *= cv2.GaussianBlur(near, (0, 0), radius / 2)
        rate = worst(scale)
        if rate.max() <= MOST:
            return scale
    return np.asarray(scale * np.float32(min(1.0, MOST / max(1e-6, float(rate.max())))), np.float32)
