"""One photo with AUs set by hand: onset, apex, and a picture that flickers between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from miex.aus.vector import AUArray
from miex.dataset.frames import STATEMENT, encode_frame
from miex.dataset.show import figure, flicker, show
from miex.errors import OutputError
from miex.faces.crop import AlignedFace
from miex.generators.base import Generator
from miex.generators.grid import face_area
from miex.images import Image
from miex.storage.local import write_whole
from miex.synthesis.measures import PairMeasures, measure_pair

FILES = ONSET_FILE, APEX_FILE, FLICKER_FILE = "onset.png", "apex.png", "flicker.webp"


@dataclass(frozen=True, repr=False)
class Preview:
    """A pair made by hand: frames uint8 RGB [size, size, 3], and its measures."""

    onset: Image
    apex: Image
    measures: PairMeasures

    def __repr__(self) -> str:
        side = len(self.onset)
        return f"onset and apex of {side} px, motion {self.measures.motion_p95_px:.2f} px (95th percentile)"

    def _repr_html_(self) -> str:
        return figure(flicker(self.onset, self.apex), repr(self))

    def show(self) -> Path:
        """Show them flickering, as `dataset.reader.SampleData.show` does."""
        return show(self.onset, self.apex, repr(self))


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
    """Write onset.png, apex.png and flicker.webp (lossless, endless), each marked synthetic.

    Raises:
        OutputError: an image of such a name is there that is no preview of before; or they cannot be written.
    """
    for name in FILES:
        there = out / name
        if there.is_file() and STATEMENT.encode() not in there.read_bytes():
            raise OutputError(f"writing {there}", found="an image that miex did not make", do="give another `out`")
    write_whole(out / ONSET_FILE, encode_frame(made.onset, "png"))
    write_whole(out / APEX_FILE, encode_frame(made.apex, "png"))
    write_whole(out / FLICKER_FILE, flicker(made.onset, made.apex))
