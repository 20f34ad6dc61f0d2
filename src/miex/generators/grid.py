"""Displacement fields: their grid, seeing them between two pictures, inverting them, and warping pictures by them.

A field is float32 [g, g, 2]: where the point at the center of each cell goes, (right, down), pixels of the crop.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from miex.compiled import compiled
from miex.images import Image

if TYPE_CHECKING:
    from miex.faces.crop import AlignedFace

Field = npt.NDArray[np.float32]

GRID = 80  # cells: 1.6 px of a 128 px crop, 0.04 inter-ocular distances
TOLERANCE = 0.002  # of the inversion, pixels: far below the smallest motion that counts
MOST_STEPS = 24  # of the inversion, where a field is too steep to be inverted to the tolerance
# Samples per pixel that `warp` reads between, as OpenCV rounds positions to 1/32 of one; odd, so that every pixel is
# a sample itself. Lanczos finds them: what OpenCV calls bicubic takes a shift of 0.1 px for 0.113
# (docs/results/resampling.md).
FINER = 5
_NOWHERE = np.empty((0, 0), bool)


@lru_cache(maxsize=8)
def cell_centers(size: int, grid: int) -> npt.NDArray[np.float32]:
    """Pixel coordinates of the grid's columns, which are those of its rows: float32 [grid], not to be written."""
    centers = ((np.arange(grid) + 0.5) * size / grid - 0.5).astype(np.float32)
    centers.flags.writeable = False
    return centers


def face_area(face: AlignedFace) -> npt.NDArray[np.bool_]:
    """Which cells of the grid lie on the face, within its oval: bool [GRID, GRID]."""
    centers = cell_centers(face.size, GRID)
    return np.asarray(face.radius(centers[None, :], centers[:, None]) < 1)


def optical_flow(onset: Image, apex: Image) -> Field:
    """Where each pixel of one gray image uint8 [h, w] is in the other: float32 [h, w, 2], (right, down), pixels; by DIS
    (Kroeger et al. 2016) in full resolution."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)  # the preset stops at half resolution, too coarse for a tenth of a pixel
    none: Any = None
    return np.asarray(dis.calc(onset, apex, none), np.float32)


def warp(frames: Image, drift: Field | None) -> Image:
    """The frames with everything in them moved, for generators that do not resample the photo themselves.

    Args:
        frames: uint8 RGB [n, s, s, 3].
        drift: where each point goes, float32 [n, g, g, 2], pixels; None: nowhere.

    Returns:
        uint8 [n, s, s, 3]; beyond their edges frames go on as at them. What does not move keeps its bits.
    """
    if drift is None:
        return frames
    size = frames.shape[1]
    pixels = lattice(size, FINER) + np.float32(FINER // 2)  # among the samples
    moved = np.empty_like(frames)
    for to, frame, field in zip(moved, frames, drift, strict=True):
        if not field.any():
            to[:] = frame
            continue
        back: Any = cv2.resize(invert(field, size), (size, size), interpolation=cv2.INTER_LINEAR)
        levels = frame.astype(np.float32)
        samples = cv2.resize(levels, (FINER * size, FINER * size), interpolation=cv2.INTER_LANCZOS4)
        to[:] = np.clip(np.rint(sample(samples, cv2.scaleAdd(back, FINER, pixels))), 0, 255)
    return moved


def invert(field: Field, size: int, *, steep: npt.NDArray[np.bool_] | None = None) -> Field:
    """Invert a field: where the skin that is seen at a point came from.

    Solves m(y) = −F(y + m(y)) in each cell by fixed-point steps until the equation holds within TOLERANCE. Where the
    field folds it has several solutions; the steps end near one of them.

    Args:
        field: F, float32 [g, g, 2], (right, down), pixels of the crop.
        size: side of the crop, pixels.
        steep: bool [g, g]: cells whose field is far steeper than that of the others, which are solved in more and
            smaller steps. Default: none.

    Returns:
        m, as `field`. Exactly 0 where F is 0 all around.
    """
    back = -field
    _solve(field, back, (0, 0), len(field) / size, _NOWHERE if steep is None else steep)
    return back


def invert_sheets(fields: Field, cells: tuple[slice, slice], cells_per_pixel: float) -> Field:
    """The ways back of fields on a window of the grid for a block of its cells.

    Args:
        fields: float32 [k, h, w, 2].
        cells: the block.
        cells_per_pixel: of the grid.

    Returns:
        float32 [k, rows, columns, 2] of the block.
    """
    back = -fields[:, *cells]
    for field, one in zip(fields, back, strict=True):
        _solve(field, one, (cells[0].start, cells[1].start), cells_per_pixel, _NOWHERE)
    return back


@compiled
def _solve(
    field: Field, back: Field, first: tuple[int, int], cells_per_pixel: float, steep: npt.NDArray[np.bool_]
) -> None:
    """Invert a field [h, w, 2] for a block of cells [rows, columns, 2] that begins at `first`, in place from −F there;
    `steep`, bool [h, w], is as for `invert`, or of size 0."""
    height, width = field.shape[:2]
    steepest, elsewhere = 0.0, 0.0
    for i in range(height):
        for j in range(width):
            for c in range(2):
                down = abs(field[i, j, c] - field[i - 1, j, c]) if i else 0.0
                right = abs(field[i, j, c] - field[i, j - 1, c]) if j else 0.0
                steepest = max(steepest, down, right)
                if not (steep.size and (steep[i, j] or (i and steep[i - 1, j]))):
                    elsewhere = max(elsewhere, down)
                if not (steep.size and (steep[i, j] or (j and steep[i, j - 1]))):
                    elsewhere = max(elsewhere, right)
    for i in range(len(back)):
        for j in range(back.shape[1]):
            most = steepest if steep.size and steep[i, j] else elsewhere
            damping = min(1.0, 1.5 / (1 + most * cells_per_pixel))  # plain steps run away where the gradient nears 1
            right, down = float(back[i, j, 0]), float(back[i, j, 1])
            for _ in range(MOST_STEPS):
                x = min(max(first[1] + j + right * cells_per_pixel, 0.0), width - 1.0)
                y = min(max(first[0] + i + down * cells_per_pixel, 0.0), height - 1.0)
                column, row = int(x), int(y)
                beside, below = min(column + 1, width - 1), min(row + 1, height - 1)
                fx, fy = x - column, y - row
                a, b, c, d = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
                miss_right = right + (
                    a * field[row, column, 0] + b * field[row, beside, 0]
                    + c * field[below, column, 0] + d * field[below, beside, 0]
                )  # fmt: skip
                miss_down = down + (
                    a * field[row, column, 1] + b * field[row, beside, 1]
                    + c * field[below, column, 1] + d * field[below, beside, 1]
                )  # fmt: skip
                right -= damping * miss_right
                down -= damping * miss_down
                if max(abs(miss_right), abs(miss_down)) < TOLERANCE:
                    break
            back[i, j, 0], back[i, j, 1] = right, down


def sample(image: Any, where: Any, border: int = cv2.BORDER_REPLICATE) -> Any:
    """The image at the positions (x, y) [h, w, 2], bilinear; by default it goes on beyond its edges as at them."""
    second: Any = None  # all positions come in one array, which OpenCV's type stubs do not know
    return cv2.remap(image, where, second, cv2.INTER_LINEAR, borderMode=border)


@lru_cache(maxsize=8)
def lattice(n: int, spacing: int) -> npt.NDArray[np.float32]:
    """Positions (x, y) of n × n points, float32 [n, n, 2], not to be written."""
    line = np.arange(n, dtype=np.float32) * spacing
    points = np.stack(np.meshgrid(line, line), -1)
    points.flags.writeable = False
    return points
