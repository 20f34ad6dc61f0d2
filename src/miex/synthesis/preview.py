"""One photo with AUs set by hand: onset, apex, and a picture that flickers between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AUArray, on_sides
from miex.dataset.frames import STATEMENT, encode_frame
from miex.dataset.show import figure, flicker, show
from miex.errors import OutputError
from miex.faces.crop import AlignedFace
from miex.generators.base import Generator, Rendered
from miex.generators.grid import face_area
from miex.generators.muscle.blendshapes import relief
from miex.images import Image
from miex.nuisances.apply import drift, moved_besides, through_sensor
from miex.nuisances.columns import NAMES, OFF, Chosen, nuisances_of
from miex.nuisances.draw import draw
from miex.nuisances.still import still_area
from miex.storage.local import write_whole
from miex.synthesis.measures import PairMeasures, measure_pair

FILES = ONSET_FILE, APEX_FILE, FLICKER_FILE = "onset.png", "apex.png", "flicker.webp"
NONE_CHOSEN: Final = nuisances_of(OFF)
_PER_FRAME = ("blink", "others", "head", "turn", "light")


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


class Ready:
    """A face that is prepared once, and then moved by hand as often as asked.

    Args:
        face: the aligned face.
        generator: what moves it.
    """

    def __init__(self, face: AlignedFace, generator: Generator[Any]) -> None:
        self.face, self.generator = face, generator
        self.rig = generator.prepare(face)
        self.area = face_area(face)

    @cached_property
    def _still(self) -> npt.NDArray[np.bool_]:
        return still_area(self.face)

    @cached_property
    def _relief(self) -> npt.NDArray[np.float32]:
        return relief(self.face)

    def move(self, aus: AUArray, nuisances: Chosen = NONE_CHOSEN, seed: int = 0) -> Rendered:
        """Onset (all AUs zero) and apex, with the field of each, if the generator knows it.

        Args:
            aus: intensities of the apex, float32 [17] or [17, 2] (left, right).
            nuisances: what else happens, drawn as for a sample of a set that has this seed. They are drawn for each AU
                at the higher intensity of its two sides, which decides only what is not drawn beside it.
            seed: random seed of the nuisances.

        Raises:
            UsageError: left and right differ, and the generator moves both alike.
        """
        both = np.stack([np.zeros_like(aus), aus])
        if not nuisances.names:
            return self.generator.render(self.rig, both)
        if both.ndim == 2:
            both = on_sides(both, None)
        drawn = draw(nuisances, both.max(2), np.array([2]), np.array([1]), [seed])
        row = {name: None if drawn[name] is None else _own(drawn[name], name) for name in NAMES}
        row |= {"aus": both, "apex": 1, "seed": seed}
        turned = self._relief if row["turn"] is not None else None
        drifting = drift(row, self.face.size, self.face.inter_ocular, self.area, self._still, turned)
        made = self.generator.render(self.rig, moved_besides(both, row), drifting)
        return Rendered(through_sensor(made.frames, row), made.fields)

    def pair(self, aus: AUArray, nuisances: Chosen = NONE_CHOSEN, seed: int = 0) -> Preview:
        """The same as a pair with its measures."""
        made = self.move(aus, nuisances, seed)
        onset, apex = made.frames
        moved = None if made.fields is None else made.fields[1] - made.fields[0]
        return Preview(onset, apex, measure_pair(onset, apex, moved, self.area, self.face.inter_ocular))


def _own(values: Any, name: str) -> Any:
    """Of one sample of two frames: what has a value per frame is that of both frames, other values are its own."""
    value = values if name in _PER_FRAME else values[0]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def preview(
    face: AlignedFace, aus: AUArray, generator: Generator[Any], nuisances: Chosen = NONE_CHOSEN, seed: int = 0
) -> Preview:
    """Onset (all AUs zero) and apex of a face; arguments and errors as in `Ready`."""
    return Ready(face, generator).pair(aus, nuisances, seed)


def pair_files(made: Preview) -> dict[str, bytes]:
    """The files of a pair by their names: onset.png, apex.png and flicker.webp (lossless, endless), each marked
    synthetic."""
    return {
        ONSET_FILE: encode_frame(made.onset, "png"),
        APEX_FILE: encode_frame(made.apex, "png"),
        FLICKER_FILE: flicker(made.onset, made.apex),
    }


def write_preview(made: Preview, out: Path) -> None:
    """Write the files of a pair into a folder.

    Raises:
        OutputError: an image of such a name is there that is no preview of before; or they cannot be written.
    """
    for name in FILES:
        there = out / name
        if there.is_file() and STATEMENT.encode() not in there.read_bytes():
            raise OutputError(f"writing {there}", found="an image that miex did not make", do="give another `out`")
    for name, content in pair_files(made).items():
        write_whole(out / name, content)
