"""Displacement fields: their grid, seeing them between two pictures, inverting them, and warping pictures by them.

A field is float32 [g, g, 2]: where the point at the center of each cell goes, (right, down), pixels of the crop.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from miex.images import Image

if TYPE_CHECKING:
    from miex.faces.crop import AlignedFace

Field = npt.NDArray[np.float32]

GRID = 80  # cells: 1.6 px of a 128 px crop, 0.04 inter-ocular distances
TOLERANCE = 0.01  # of the inversion, pixels: a tenth of the smallest motion that counts
MOST_STEPS = 24  # of the inversion, where a field is too steep to be inverted to the tolerance
# Samples per pixel that `warp` reads between, as OpenCV rounds positions to 1/32 of one; odd, so that every pixel is
# a sample itself. Lanczos finds them: what OpenCV calls bicubic takes a shift of 0.1 px for 0.113
# (docs/results/resampling.md).
FINER = 5


def cell_centers(size: int, grid: int) -> npt.NDArray[np.float32]:
    """Pixel coordinates of the grid's columns, which are those of its rows: float32 [grid]."""
    return ((np.arange(grid) + 0.5) * size / grid - 0.5).astype(np.float32)


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


def invert(field: Field, size: int, *, needed: npt.NDArray[np.uint8] | None = None) -> Field:
    """Invert a field: where the skin that is seen at a point came from.

    Solves m(y) = −F(y + m(y)) by fixed-point steps until the equation holds within TOLERANCE everywhere. Where the
    field folds it has several solutions; the steps end near one of them.

    Args:
        field: F, float32 [g, g, 2], (right, down), pixels of the crop.
        size: side of the crop, pixels.
        needed: uint8 [g, g]: 0 where the equation need not hold. Default: it must everywhere.

    Returns:
        m, as `field`. Exactly 0 where F is 0 all around.
    """
    cells_per_pixel = len(field) / size
    steep = _steepest(field, needed) * cells_per_pixel
    return _steps(field, -field, lattice(len(field), 1), cells_per_pixel, steep, needed)


def invert_sheets(field: Field, cells: tuple[slice, slice], cells_per_pixel: float) -> Field:
    """The ways back of two fields on a window of the grid for a block of its cells, at once.

    Args:
        field: one below the other, float32 [2·h, w, 2].
        cells: the block.
        cells_per_pixel: of the grid.

    Returns:
        one below the other, as `field`.
    """
    height = len(field) // 2
    start = lattice(max(field.shape), 1)[cells]
    down = np.array([0, height], np.float32)
    halves = field[:height], field[height:]
    steep = max(_steepest(half, None) for half in halves) * cells_per_pixel
    starts = np.concatenate([start, start + down])
    return _steps(field, np.concatenate([-half[cells] for half in halves]), starts, cells_per_pixel, steep, None)


def _steepest(field: Field, needed: npt.NDArray[np.uint8] | None) -> float:
    down, across = (None, None) if needed is None else (needed[1:] & needed[:-1], needed[:, 1:] & needed[:, :-1])
    return max(
        cv2.norm(field[1:], field[:-1], cv2.NORM_INF, mask=down),
        cv2.norm(field[:, 1:], field[:, :-1], cv2.NORM_INF, mask=across),
    )


def _steps(
    field: Field,
    back: Field,
    start: Field,
    cells_per_pixel: float,
    steep: float,
    needed: npt.NDArray[np.uint8] | None,
) -> Field:
    damping = min(1.0, 1.5 / (1 + steep))  # plain steps run away where the gradient nears 1
    planes = cv2.split(field)  # of two channels at once, OpenCV rounds positions to 1/32 cell; of one it does not
    for _ in range(MOST_STEPS):
        where = cv2.scaleAdd(back, cells_per_pixel, start)
        miss = cv2.add(back, cv2.merge([sample(plane, where) for plane in planes]))
        back = np.asarray(cv2.scaleAdd(miss, -damping, back), np.float32)
        if cv2.norm(miss, cv2.NORM_INF, mask=needed) < TOLERANCE:
            break
    return back


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
