"""One photo, AUs by hand: onset, apex, and a picture that flickers between them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from miex.aus.vector import AUArray
from miex.dataset.frames import XMP, encode_frame
from miex.faces.crop import AlignedFace
from miex.generators.base import Generator
from miex.generators.grid import face_area
from miex.images import Image
from miex.storage.local import write_whole
from miex.synthesis.measures import PairMeasures, measure_pair

ONSET_FILE, APEX_FILE, FLICKER_FILE = "onset.png", "apex.png", "flicker.webp"
_MILLISECONDS = 400  # each of the two frames


@dataclass(frozen=True)
class Preview:
    """A pair made by hand: frames uint8 RGB [size, size, 3], and its measures."""

    onset: Image
    apex: Image
    measures: PairMeasures


def preview(face: AlignedFace, aus: AUArray, generator: Generator[Any]) -> Preview:
    """Onset (all AUs zero) and apex of a face.

    Args:
        face: the aligned face.
        aus: intensities of the apex, float32 [17] or [17, 2] (left, right).
        generator: what moves it.

    Raises:
        UsageError: left and right differ, and the generator moves both alike.
    """
    rendered = generator.render(generator.prepare(face), np.stack([np.zeros_like(aus), aus]))
    onset, apex = rendered.frames
    moved = None if rendered.fields is None else rendered.fields[1] - rendered.fields[0]
    measures = measure_pair(onset, apex, moved, face_area(face), face.inter_ocular)
    return Preview(onset, apex, measures)


def write_preview(made: Preview, out: Path) -> None:
    """Write onset.png, apex.png and flicker.webp (lossless, endless), each marked synthetic."""
    write_whole(out / ONSET_FILE, encode_frame(made.onset, "png"))
    write_whole(out / APEX_FILE, encode_frame(made.apex, "png"))
    content = io.BytesIO()
    first, second = PillowImage.fromarray(made.onset), PillowImage.fromarray(made.apex)
    first.save(
        content, "WEBP", save_all=True, append_images=[second], duration=_MILLISECONDS, loop=0, lossless=True, xmp=XMP
    )
    write_whole(out / FLICKER_FILE, content.getvalue())
