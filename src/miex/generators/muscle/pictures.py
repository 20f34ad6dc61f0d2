"""Pictures of what the generator does: the field of AUs on a face, and the sheet of all AUs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from miex.aus.vector import AU_NAMES, AU_NUMBERS, AUArray, parse
from miex.faces.crop import AlignedFace
from miex.generators.base import Generator
from miex.images import Image

INTENSITIES = (0.1, 0.3, 1.0)
HANDS = (("", "both"), ("L", "left"), ("R", "right"))  # the person's own, as in FACS
PAPER, INK = (255, 255, 255), (40, 40, 40)
ARROW, TIP = (0, 90, 220), (200, 30, 30)
ARROWS = 28  # across a picture
TEXT_HEIGHT = 22  # of a line above pictures, pixels
LEAST = 0.03  # of the longest arrow: shorter ones are not drawn


def field_picture(generator: Generator[Any], face: AlignedFace, aus: AUArray, title: str) -> Image:
    """A face at rest with arrows to where its skin goes, beside the face that has moved.

    Args:
        generator: what moves it; it has `fields`.
        face: the aligned face.
        aus: intensities, float32 [17] or [17, 2].
        title: written above.

    Returns:
        uint8 RGB, two crops wide. Arrows show the true displacement, in the crop's own pixels.
    """
    rig = generator.prepare(face)
    rendered = generator.render(rig, aus[None])
    assert rendered.fields is not None
    (moved,), (field,) = rendered.frames, rendered.fields
    size, grid = face.size, len(field)
    drawn = cv2.addWeighted(face.crop, 0.6, np.full_like(face.crop, 255), 0.4, 0)
    step = max(1, round(grid / ARROWS))
    lengths = np.hypot(field[..., 0], field[..., 1])
    for i in range(step // 2, grid, step):
        for j in range(step // 2, grid, step):
            if lengths[i, j] > LEAST * lengths.max():
                start = np.array([(j + 0.5) * size / grid - 0.5, (i + 0.5) * size / grid - 0.5])
                ends = [tuple(np.rint(16 * point).astype(int).tolist()) for point in (start, start + field[i, j])]
                width = max(1, size // 256)
                cv2.line(drawn, ends[0], ends[1], ARROW, width, cv2.LINE_AA, shift=4)
                cv2.circle(drawn, ends[1], 24 * width, TIP, -1, cv2.LINE_AA, shift=4)
    longest = lengths.max() / face.inter_ocular
    note = f"{title}: longest {longest:.3f} inter-ocular distances"
    return np.vstack([_band(note, 2 * size), np.hstack([drawn, moved])])


def sheet_rows(generator: Generator[Any], faces: list[AlignedFace], size: int) -> Iterator[tuple[int, Image]]:
    """The rows of the sheet: all 17 AUs × both, left and right × INTENSITIES, each face on a row of its own.

    Args:
        generator: what moves them; it has `sides`.
        faces: aligned, all of one size.
        size: side of each picture on the sheet, pixels.

    Yields:
        AU number, and its rows, uint8 RGB [len(faces)·size + a line of text, (1 + 9)·size, 3].
    """
    rigs = [generator.prepare(face) for face in faces]
    for au in AU_NUMBERS:
        settings = [f"{hand}{au}={z}" for hand, _ in HANDS for z in INTENSITIES]
        aus = np.stack([parse([setting]) for setting in settings])
        rows = []
        for rig in rigs:
            frames = generator.render(rig, aus).frames
            tiles = [rig.face.crop, *frames]
            rows.append(np.hstack([_fit(tile, size) for tile in tiles]))
        yield au, np.vstack([_labels(au, size), *rows])


def _labels(au: int, size: int) -> Image:
    texts = [f"AU {au} {AU_NAMES[au]}", *(f"{name} {z:g}" for _, name in HANDS for z in INTENSITIES)]
    return np.hstack([_band(text, size) for text in texts])


def _band(text: str, width: int) -> Image:
    band = np.full((TEXT_HEIGHT, width, 3), PAPER, np.uint8)
    scale = 0.42
    while scale > 0.2 and cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0] > width - 6:
        scale -= 0.02
    cv2.putText(band, text, (3, 15), cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1, cv2.LINE_AA)
    return band


def _fit(picture: Image, size: int) -> Image:
    if len(picture) == size:
        return picture
    return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
