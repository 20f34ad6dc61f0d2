"""One photo in the studio: prepared once for each way to move it, and then moved as fast as a slider is."""

from __future__ import annotations

import json
import shlex
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from threading import Lock
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from miex.aus.vector import AU_NUMBERS, parse
from miex.errors import UsageError
from miex.faces.crop import AlignedFace
from miex.generators.base import Generator
from miex.generators.grid import GRID, cell_centers
from miex.images import Image
from miex.nuisances.columns import OFF, nuisances_of
from miex.synthesis.preview import Preview, Ready, pair_files

ARROW_EVERY = 3  # cells of the grid from one arrow to the next
ARROW_LEAST = 0.02  # pixels of the crop; shorter ones are not seen even where they are drawn ten times as long
DIGITS = 3  # of an intensity
SIZE, OUT = 256, "pair"  # of `miex render`, where nothing else is asked; folder in the lines that are shown

_AU = Annotated[int, AfterValidator(lambda au: AU_NUMBERS[AU_NUMBERS.index(au)])]  # ValueError: it is none
_Intensity = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
# What a recognizer says of onset and apex: probability of each class, most probable first
Read = Callable[[Image, Image], Mapping[str, float]]


class Asked(BaseModel):
    """What a page asks of a face.

    Attributes:
        aus: intensity of each AU on the person's left and right side; those that are not named are 0.
        way: which of the ways to move it (`Way`).
        nuisances, seed: as in `miex.render`.
        arrows: whether the field is wanted.
    """

    model_config = ConfigDict(extra="forbid")
    aus: dict[_AU, tuple[_Intensity, _Intensity]] = {}
    way: Annotated[int, Field(ge=0)] = 0
    nuisances: Annotated[str, Field(max_length=200)] = OFF
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0  # the numbers that a page can hold
    arrows: bool = False

    def texts(self) -> list[str]:
        """The AUs as users type them; one of them at 0 where none is on, since a command needs one."""
        found = []
        for au in AU_NUMBERS:
            left, right = (_short(value) for value in self.aus.get(au, (0, 0)))
            if left == right:
                found += [f"{au}={left}"] if left != "0" else []
            else:
                found += [f"{side}{au}={value}" for side, value in (("L", left), ("R", right)) if value != "0"]
        return found or [f"{AU_NUMBERS[0]}=0"]


@dataclass(frozen=True)
class Way:
    """A way to move faces.

    Attributes:
        name: for people.
        generator: makes the generator.
        settings: how `miex.render` is asked for it: its arguments that are not the default.
        sides: whether left and right move apart.
    """

    name: str
    generator: Callable[[], Generator[Any]]
    settings: Mapping[str, Any]
    sides: bool


@dataclass
class Face:
    """A photo that somebody looks at.

    Attributes:
        aligned: its face.
        photo: its path, or only its name if it was dropped into the page.
        is_path: whether it is a path.
    """

    aligned: AlignedFace
    photo: str
    is_path: bool
    _ready: dict[int, Ready] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def ready(self, asked: Asked, ways: Sequence[Way]) -> Ready:
        """The face, prepared for the way that is asked for. Raises UsageError if there is no such way."""
        if asked.way >= len(ways):
            raise UsageError(f"way {asked.way} to move a face", expected=f"0 to {len(ways) - 1}")
        with self._lock:
            if asked.way not in self._ready:
                self._ready[asked.way] = Ready(self.aligned, ways[asked.way].generator())
            return self._ready[asked.way]

    def pair(self, asked: Asked, ways: Sequence[Way]) -> Preview:
        """Onset and apex with their measures, as `miex.render` makes them. Raises UsageError."""
        return self.ready(asked, ways).pair(parse(asked.texts()), nuisances_of(asked.nuisances), asked.seed)

    def moved(self, asked: Asked, ways: Sequence[Way]) -> bytes:
        """What a page draws: the length of a JSON text (uint32), the text, onset and apex as RGBA, and arrows (float32
        [n, 4]: x, y, right, down in pixels, from onset to apex), all little-endian.

        Raises:
            UsageError: no such nuisances or way; or sides that differ, where they move alike.
        """
        ready = self.ready(asked, ways)
        made = ready.move(parse(asked.texts()), nuisances_of(asked.nuisances), asked.seed)
        moved = None if made.fields is None else made.fields[1] - made.fields[0]
        told = {
            "size": self.aligned.size,
            "motion": None if moved is None else _p95(moved[ready.area]),
            "command": command(self, asked, ways[asked.way]),
            "python": python_lines(self, asked, ways[asked.way]),
        }
        text = json.dumps(told).encode()
        text += b" " * (-len(text) % 4)  # so that what follows is aligned
        frames = np.concatenate([made.frames, np.full_like(made.frames[..., :1], 255)], -1)
        arrows = _arrows(moved, ready.area, self.aligned.size) if asked.arrows and moved is not None else b""
        return b"".join([struct.pack("<I", len(text)), text, frames.tobytes(), arrows])

    def files(self, asked: Asked, ways: Sequence[Way]) -> dict[str, bytes]:
        """The files that `miex.render` would write."""
        return pair_files(self.pair(asked, ways))


def command(face: Face, asked: Asked, way: Way) -> str:
    """The command line that makes this pair."""
    options = [word for text in asked.texts() for word in ("--au", text)]
    for name, value in _given(face, asked, way).items():
        if isinstance(value, Mapping):
            options += [word for pair in value.items() for word in ("--generator-option", "{}={}".format(*pair))]
        else:
            options += [f"--{name}", str(value)]
    return shlex.join(["miex", "render", _named(face), *options, "--out", OUT])


def python_lines(face: Face, asked: Asked, way: Way) -> str:
    """The Python lines that make this pair."""
    aus = {key if key[0] in "LR" else int(key): float(z) for key, z in (text.split("=") for text in asked.texts())}
    typed = ", ".join(f"{json.dumps(au)}: {z:g}" for au, z in aus.items())
    rest = "".join(f", {name}={_literal(value)}" for name, value in _given(face, asked, way).items())
    photo = json.dumps(_named(face), ensure_ascii=False)
    return f'import miex\n\nmiex.render({photo}, {{{typed}}}{rest}, out="{OUT}")'


def _given(face: Face, asked: Asked, way: Way) -> dict[str, Any]:
    """The arguments of `miex.render` that are not the default."""
    size = {} if face.aligned.size == SIZE else {"size": face.aligned.size}
    besides = {} if asked.nuisances == OFF else {"nuisances": asked.nuisances, "seed": asked.seed}
    return {**size, **way.settings, **besides}


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _named(face: Face) -> str:
    """The photo in the lines; what does not print, such as marks that turn the direction of a text, is in no line that
    somebody copies into a terminal."""
    name = face.photo if face.is_path else PurePath(face.photo.replace("\\", "/")).name
    if not face.is_path and (not name.isprintable() or len(name) > 120 or not name):
        name = "photo"
    return f"./{name}" if name.startswith("-") else name


def _short(value: float) -> str:
    return f"{round(value, DIGITS):g}"


def _p95(motion: npt.NDArray[np.float32]) -> float:
    return round(float(np.percentile(np.hypot(*motion.reshape(-1, 2).T), 95)), 3)


_PLACES: Final = np.arange(ARROW_EVERY // 2, GRID, ARROW_EVERY)


def _arrows(motion: npt.NDArray[np.float32], area: npt.NDArray[np.bool_], size: int) -> bytes:
    rows, columns = (one.ravel() for one in np.meshgrid(_PLACES, _PLACES, indexing="ij"))
    centers, there = cell_centers(size, GRID), motion[rows, columns]
    shown = np.hypot(*there.T) >= ARROW_LEAST
    found = np.column_stack([centers[columns], centers[rows], there])[shown]
    return bytes(found.astype("<f4"))
