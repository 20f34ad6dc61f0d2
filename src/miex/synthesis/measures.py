"""Cheap measures of a pair: how far the skin moved, and how much the picture changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from miex.generators.grid import Field, optical_flow
from miex.images import Image, gray

# SSIM as scikit-image computes it by default (Wang et al. 2004): uniform window, sample covariance, interior
_WINDOW = 7
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_BORDER = _WINDOW // 2


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

    float32 throughout: within 1e-4 of scikit-image's float64, and faster.
    """
    # gray levels are centered first: variances are small differences of large squares
    x, y = a.astype(np.float32) - 128, b.astype(np.float32) - 128
    moments = cv2.merge([x, y, x * x + y * y, x * y])
    mean = cv2.boxFilter(moments, -1, (_WINDOW, _WINDOW))[_BORDER:-_BORDER, _BORDER:-_BORDER]
    mx, my, power, product = cv2.split(mean)
    unbiased = np.float32(_WINDOW**2 / (_WINDOW**2 - 1))
    variances = (power - mx * mx - my * my) * unbiased
    covariance = (product - mx * my) * unbiased
    mx += 128
    my += 128
    similarity = (2 * mx * my + _C1) * (2 * covariance + _C2)
    similarity /= (mx * mx + my * my + _C1) * (variances + _C2)
    return min(1.0, float(similarity.mean(dtype=np.float64)))


def motion(field: npt.NDArray[np.float32], area: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Mean and 95th percentile of the length of a displacement field.

    Args:
        field: float32 [g, g, 2], any unit.
        area: bool [g, g], the cells that count; at least one.
    """
    inside = field[area]
    length = np.sqrt(inside[:, 0] ** 2 + inside[:, 1] ** 2)
    rank = int(0.95 * (len(length) - 1))
    return float(length.mean(dtype=np.float64)), float(np.partition(length, rank)[rank])


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
    return PairMeasures(
        motion_mean_px=mean,
        motion_p95_px=p95,
        motion_mean_iod=mean / inter_ocular,
        motion_p95_iod=p95 / inter_ocular,
        motion_from=motion_from,
        psnr=psnr(a, b),
        ssim=ssim(a, b),
        identical=bool(np.array_equal(onset, apex)),
    )
