"""What a camera adds to frames: the parts of `plan.camera` that are not AUs, applied to one row of a plan."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from miex.aus.timing import ease, progress
from miex.faces.crop import Image
from miex.generators.base import Field
from miex.generators.muscle.basis import cell_centers


def drift(row: dict[str, Any], size: int, inter_ocular: float, grid: int) -> Field | None:
    """Where everything that is seen goes, beside the skin's own motion: the head, and local outliers.

    Args:
        row: of a plan.
        size: side of the frames, pixels.
        inter_ocular: distance of the eyes in them, pixels.
        grid: cells along a side.

    Returns:
        float32 [n, grid, grid, 2], (right, down) in pixels; None if nothing drifts.
    """
    if row["head"] is None and not row["outliers"]:
        return None
    line = cell_centers(size, grid)
    x, y = np.meshgrid(line, line)
    middle = np.float32((size - 1) / 2)
    field = np.zeros((len(row["aus"]), grid, grid, 2), np.float32)
    for to, (right, down, roll, zoom) in zip(field, row["head"] or (), strict=False):
        dx, dy, scale = x - middle, y - middle, 1 + zoom
        to[..., 0] = (scale * np.cos(roll) - 1) * dx - scale * np.sin(roll) * dy + right * inter_ocular
        to[..., 1] = scale * np.sin(roll) * dx + (scale * np.cos(roll) - 1) * dy + down * inter_ocular
    for at_x, at_y, radius, right, down in row["outliers"] or ():
        far = ((x - at_x * size) ** 2 + (y - at_y * size) ** 2) / (2 * (radius * inter_ocular) ** 2)
        push = np.array([right, down], np.float32) * np.float32(inter_ocular)
        bump = np.exp(-far)[..., None].astype(np.float32) * push
        for to, share in zip(field, ease(progress(len(field), row["apex"])), strict=True):
            to += bump * np.float32(share)
    return field


def through_sensor(frames: Image, row: dict[str, Any], rng: np.random.Generator) -> Image:
    """The frames uint8 [n, h, w, 3] after light, noise and compression; the same array where all are off."""
    if row["light"] is None and not row["noise"] and row["compression"] is None:
        return frames
    size = frames.shape[1]
    slope = np.linspace(-1, 1, size, dtype=np.float32)
    seen = []
    for i, frame in enumerate(frames):
        levels = frame.astype(np.float32)
        if row["light"] is not None:
            brightness, right, down = row["light"][i]
            levels *= (1 + brightness + right * slope[None, :, None] + down * slope[:, None, None]).astype(np.float32)
        if row["noise"]:
            levels += rng.standard_normal(levels.shape, np.float32) * np.float32(row["noise"])
        picture = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        if row["compression"] is not None:
            _, packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, row["compression"]])
            picture = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
        seen.append(picture)
    return np.stack(seen)
