"""Displacement fields: their grid, seeing them between two pictures, inverting them, and warping pictures by them.

A field is float32 [g, g, 2]: where the point at the center of each cell goes, (right, down), pixels of the crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from miex.compiled import compiled, interpolated
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


@lru_cache(maxsize=8)
def cell_centers(size: int, grid: int) -> npt.NDArray[np.float32]:
    """Pixel coordinates of the grid's columns, which are those of its rows: float32 [grid], not to be written."""
    centers = ((np.arange(grid) + 0.5) * size / grid - 0.5).astype(np.float32)
    centers.flags.writeable = False
    return centers


def face_area(face: AlignedFace) -> npt.NDArray[np.bool_]:
    """Which cells of the grid lie on the face, within its oval: bool [GRID, GRID]."""
    return np.asarray(radius(face, GRID, 0.0) < 1)


@lru_cache(maxsize=4)  # of one face or two
def radius(face: AlignedFace, grid: int, neck: float) -> npt.NDArray[np.float32]:
    """Distance of the cells of a grid from the middle of the face, 1 being its oval: below 1 on the face, above 1
    outside. float32 [grid, grid], not to be written.

    Args:
        face: the face.
        grid: cells each way.
        neck: how far the oval is drawn out below the chin, pixels.
    """
    found = np.empty((grid, grid), np.float32)
    _radius(*_polar(face, grid), *face.outline(neck=neck), found)
    found.flags.writeable = False
    return found


@compiled
def _radius(
    angles: npt.NDArray[np.float32],
    distances: npt.NDArray[np.float32],
    angle: npt.NDArray[np.float64],
    length: npt.NDArray[np.float64],
    found: npt.NDArray[np.float32],
) -> None:
    """Fill in `radius` from angles and distances of the cells, and those of points of the oval."""
    near = 0
    for i in range(len(found)):
        for j in range(len(found)):
            reach, near = interpolated(angle, length, angles[i, j], near)
            found[i, j] = distances[i, j] / reach


@lru_cache(maxsize=1)
def _polar(face: AlignedFace, grid: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    centers = cell_centers(face.size, grid)
    return face.polar(centers[None, :], centers[:, None])


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


def invert(field: Field, size: int, *, steep: Sequence[tuple[slice, slice]] = ()) -> Field:
    """Invert a field: where the skin that is seen at a point came from.

    Solves m(y) = −F(y + m(y)) in each cell by fixed-point steps until the equation holds within TOLERANCE. Where the
    field folds it has several solutions; the steps end near one of them.

    Args:
        field: F, float32 [g, g, 2], (right, down), pixels of the crop.
        size: side of the crop, pixels.
        steep: blocks of cells whose field is far steeper than that of the others, which are solved in more and smaller
            steps.

    Returns:
        m, as `field`. Exactly 0 where F is 0 all around.
    """
    back, blocks = np.empty_like(field), [(r.start, r.stop, c.start, c.stop) for r, c in steep]
    _invert(field, back, len(field) / size, np.array(blocks, np.int64).reshape(-1, 4))
    return back


@compiled
def _invert(field: Field, back: Field, cells_per_pixel: float, steep: npt.NDArray[np.int64]) -> None:
    """Fill what `invert` returns; `steep`: first row and the one behind the last, and columns, of each block [n, 4]."""
    there = np.zeros(field.shape[:2], np.bool_)
    for top, bottom, left, right in steep:
        there[top:bottom, left:right] = True
    slow, fast = _dampings(field, cells_per_pixel, steep)
    _solve(field, back, (0, 0), cells_per_pixel, there, slow, fast)


@compiled
def invert_block(field: Field, back: Field, first: tuple[int, int], cells_per_pixel: float) -> None:
    """The way back of a field on a window of the grid [h, w, 2] for a block of its cells that begins at `first`, into
    [rows, columns, 2]."""
    damping, _ = _dampings(field, cells_per_pixel, np.empty((0, 4), np.int64))
    _solve(field, back, first, cells_per_pixel, np.empty((0, 0), np.bool_), damping, damping)


@compiled
def _dampings(field: Field, cells_per_pixel: float, steep: npt.NDArray[np.int64]) -> tuple[float, float]:
    """The share of a step that the steepest place of a field bears, and that beyond some blocks of it: plain steps run
    away where the gradient nears 1."""
    height, width = field.shape[0], 2 * field.shape[1]
    most, most_elsewhere = np.zeros(width, np.float32), np.zeros(width, np.float32)
    down, across = np.zeros(width, np.float32), np.zeros(width, np.float32)
    for i in range(height):
        above, here = field[max(i - 1, 0)].reshape(-1), field[i].reshape(-1)
        for j in range(width):
            down[j] = abs(here[j] - above[j])
        for j in range(2, width):
            across[j] = abs(here[j] - here[j - 2])
        for j in range(width):
            most[j] = max(most[j], down[j], across[j])
        for top, bottom, left, right in steep:
            if max(1, top) <= i <= bottom:
                down[2 * left : 2 * right] = 0
            if top <= i < bottom:
                across[2 * left : 2 * right + 2] = 0
        if len(steep):
            for j in range(width):
                most_elsewhere[j] = max(most_elsewhere[j], down[j], across[j])
    steepest = most.max()
    elsewhere = most_elsewhere.max() if len(steep) else steepest
    return min(1.0, 1.5 / (1 + steepest * cells_per_pixel)), min(1.0, 1.5 / (1 + elsewhere * cells_per_pixel))


@compiled
def _solve(
    field: Field,
    back: Field,
    first: tuple[int, int],
    cells_per_pixel: float,
    steep: npt.NDArray[np.bool_],
    slow: float,
    fast: float,
) -> None:
    """Invert a field [h, w, 2] for a block of cells [rows, columns, 2] that begins at `first`; `steep`, bool [h, w],
    is as for `invert`, or of size 0; `slow`, `fast`: `_dampings` there and elsewhere."""
    for i in range(len(back)):
        for j in range(back.shape[1]):
            right, down = -field[first[0] + i, first[1] + j, 0], -field[first[0] + i, first[1] + j, 1]
            back[i, j, 0], back[i, j, 1] = right, down
            if right == 0 and down == 0:
                continue
            damping = slow if steep.size and steep[i, j] else fast
            for _ in range(MOST_STEPS):
                x, y = first[1] + j + right * cells_per_pixel, first[0] + i + down * cells_per_pixel
                miss_right, miss_down = right + bilinear(field, x, y, 0), down + bilinear(field, x, y, 1)
                right -= damping * miss_right
                down -= damping * miss_down
                if max(abs(miss_right), abs(miss_down)) < TOLERANCE:
                    break
            back[i, j, 0], back[i, j, 1] = right, down


@compiled
def bilinear(image: npt.NDArray[Any], x: float, y: float, c: int) -> float:
    """Channel c of an image [h, w, n] at a position, for kernels; beyond its edges it goes on as at them."""
    height, width = image.shape[:2]
    x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
    column, row = min(int(x), width - 2), min(int(y), height - 2)
    right, down = x - column, y - row
    above = image[row, column, c] * (1 - right) + image[row, column + 1, c] * right
    below = image[row + 1, column, c] * (1 - right) + image[row + 1, column + 1, c] * right
    return float(above * (1 - down) + below * down)


def moving(field: Field, size: int) -> tuple[slice, slice]:
    """Rows and columns of the crop's pixels between which all are that a field [g, g, 2] moves."""
    top, bottom, left, right = moving_cells(field)
    per = size / len(field)
    down = slice(max(0, int((top - 0.5) * per - 0.5)), min(size, int((bottom + 0.5) * per + 0.5)))
    return down, slice(max(0, int((left - 0.5) * per - 0.5)), min(size, int((right + 0.5) * per + 0.5)))


@compiled
def moving_cells(field: Field) -> tuple[int, int, int, int]:
    """First row and the one behind the last, and columns, between which all cells are that a field moves; all are 0
    where it moves none."""
    top, bottom, left, right = 0, 0, field.shape[1], 0
    for i in range(field.shape[0]):
        row, moved = field[i].reshape(-1), False
        for j in range(len(row)):  # to the end: eight values at a time
            moved |= row[j] != 0
        if not moved:
            continue
        top, bottom = top if bottom else i, i + 1
        first, last = 0, field.shape[1] - 1
        while first < left and field[i, first, 0] == 0 and field[i, first, 1] == 0:
            first += 1
        while last >= right and field[i, last, 0] == 0 and field[i, last, 1] == 0:
            last -= 1
        left, right = first, last + 1
    return top, bottom, min(left, right), right


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
