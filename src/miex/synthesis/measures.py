"""Cheap measures of a pair: how far the skin moved, and how much the picture changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from miex.compiled import compiled
from miex.generators.grid import Field, optical_flow
from miex.images import Image, gray

# SSIM as scikit-image computes it by default (Wang et al. 2004): uniform window, sample covariance, interior
_WINDOW = 7
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@dataclass(frozen=True)
class PairMeasures:
    """One pair, measured.

    Attributes:
        motion_mean_px, motion_p95_px: length of the displacement onset → apex over the face, pixels of the crop: mean
            and 95th percentile.
        motion_mean_iod, motion_p95_iod: the same in inter-ocular distances.
        motion_from: "field": the displacement is the generator's own, of the AUs alone; "flow": of a generator that
            knows none, the optical flow of the frames, in which everything counts that changed.
        psnr: peak signal-to-noise ratio of the whole gray frames, dB; inf where they are identical. Like SSIM, it
            depends on the frames' size: both are compared between sets of one size only.
        ssim: structural similarity of the gray frames, at most 1: the mean over the frame.
        identical: whether the RGB frames are equal in every bit.
    """

    motion_mean_px: float
    motion_p95_px: float
    motion_mean_iod: float
    motion_p95_iod: float
    motion_from: Literal["field", "flow"]
    psnr: float
    ssim: float
    identical: bool


def psnr(a: Image, b: Image) -> float:
    """10·log10(255² / mean squared error) of two gray images uint8 [h, w], dB; inf where they are equal."""
    squared_error = float(cv2.norm(a, b, cv2.NORM_L2SQR))
    return float(10 * np.log10(255.0**2 * a.size / squared_error)) if squared_error else float("inf")


def ssim(a: Image, b: Image) -> float:
    """Mean structural similarity of two gray images uint8 [h, w], h and w at least 7; equals scikit-image's default.

    Sums over windows are whole numbers, and so without error.
    """
    return float(_ssim(a, b))


@compiled
def _ssim(a: Image, b: Image) -> float:
    """The mean over all windows. In float64, and row by row: several values at a time."""
    height, width = a.shape
    n = _WINDOW * _WINDOW
    columns = np.zeros((4, width))  # sums of x, y, x² + y² and xy over the rows of a window
    found = np.empty(width - _WINDOW + 1)
    total = 0.0
    for i in range(height):
        for j in range(width):
            x, y = np.float64(a[i, j]), np.float64(b[i, j])
            columns[0, j] += x
            columns[1, j] += y
            columns[2, j] += x * x + y * y
            columns[3, j] += x * y
        if i >= _WINDOW:
            for j in range(width):
                x, y = np.float64(a[i - _WINDOW, j]), np.float64(b[i - _WINDOW, j])
                columns[0, j] -= x
                columns[1, j] -= y
                columns[2, j] -= x * x + y * y
                columns[3, j] -= x * y
        if i < _WINDOW - 1:
            continue
        for j in range(len(found)):
            sx, sy, squares, sxy = columns[0, j], columns[1, j], columns[2, j], columns[3, j]
            for k in range(1, _WINDOW):
                sx, sy = sx + columns[0, j + k], sy + columns[1, j + k]
                squares, sxy = squares + columns[2, j + k], sxy + columns[3, j + k]
            # sums of n values, sample covariance: cov = (n Σxy − Σx Σy) / (n (n − 1))
            covariance = (n * sxy - sx * sy) / (n * (n - 1))
            variances = (n * squares - sx * sx - sy * sy) / (n * (n - 1))
            means, c1 = sx * sx + sy * sy, n * n * _C1  # n² times as large, like the other side of the fraction
            found[j] = (2 * sx * sy + c1) * (2 * covariance + _C2) / ((means + c1) * (variances + _C2))
        for j in range(len(found)):
            total += found[j]
    return float(total / ((height - _WINDOW + 1) * (width - _WINDOW + 1)))


def motion(field: npt.NDArray[np.float32], area: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Mean and 95th percentile of the length of a displacement field.

    Args:
        field: float32 [g, g, 2], any unit.
        area: bool [g, g], the cells that count; at least one.
    """
    lengths = np.empty(area.size, np.float32)
    lengths = lengths[: _lengths(field, area, lengths)]
    rank = int(0.95 * (len(lengths) - 1))
    # sorted, not partitioned: that takes ten times as long where most cells hold still
    return float(lengths.mean(dtype=np.float64)), float(np.sort(lengths)[rank])


@compiled
def _lengths(field: npt.NDArray[np.float32], area: npt.NDArray[np.bool_], lengths: npt.NDArray[np.float32]) -> int:
    """Put the lengths of a field in the cells of an area first; how many they are."""
    n = 0
    for i in range(area.shape[0]):
        for j in range(area.shape[1]):
            if area[i, j]:
                right, down = np.float64(field[i, j, 0]), np.float64(field[i, j, 1])
                lengths[n] = np.sqrt(right * right + down * down)
                n += 1
    return n


def measure_pair(
    onset: Image, apex: Image, field: Field | None, area: npt.NDArray[np.bool_], inter_ocular: float
) -> PairMeasures:
    """All of them.

    Args:
        onset, apex: uint8 RGB [h, w, 3].
        field: displacement onset → apex, pixels, float32 [g, g, 2]; None: the optical flow stands for it.
        area: cells of the field on the face, bool [g, g].
        inter_ocular: distance between the eye centers, pixels.
    """
    a, b = gray(onset), gray(apex)
    motion_from: Literal["field", "flow"] = "field" if field is not None else "flow"
    if field is None:
        flow = cv2.resize(optical_flow(a, b), area.shape[::-1], interpolation=cv2.INTER_LINEAR)
        field = np.asarray(flow, np.float32)
    mean, p95 = motion(field, area)
    in_decibels = psnr(a, b)
    return PairMeasures(
        motion_mean_px=mean,
        motion_p95_px=p95,
        motion_mean_iod=mean / inter_ocular,
        motion_p95_iod=p95 / inter_ocular,
        motion_from=motion_from,
        psnr=in_decibels,
        ssim=ssim(a, b),
        identical=bool(np.isinf(in_decibels) and np.array_equal(onset, apex)),  # equal colors have equal grays
    )
