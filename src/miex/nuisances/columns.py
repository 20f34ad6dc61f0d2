"""What changes besides the expression: one column of a plan per nuisance, and the levels that switch them on.

`clean` is for human viewers: the onset is neutral, and only what a face at rest does is added. `face` is for training:
other muscles, and blinks at the onset, are added. `all` adds uneven sides, a head that is never quite still and turns a
little, and the effects of light, sensor, compression and tracking. Real onset → apex pairs show all of these; `face` is
the default because recognition worked best with it (docs/trainability.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa

from miex.aus.vector import N_AUS
from miex.errors import UsageError

Level = Literal["clean", "face", "all"]
LEVELS: Final[tuple[Level, ...]] = ("clean", "face", "all")  # each includes those before it
OFF: Final = "off"


@dataclass(frozen=True)
class Nuisance:
    """One column.

    Attributes:
        name: of the column; null in rows where it is off.
        type: of its values.
        meaning: with units.
        level: the first level that has it.
        scope: whether it changes the face alone or the whole frame.
    """

    name: str
    type: pa.DataType
    meaning: str
    level: Level
    scope: Literal["face", "frame"] = "face"


_PER_FRAME = pa.list_  # of what each frame has
NUISANCES: Final = (
    Nuisance("blink", _PER_FRAME(pa.float32()), "per frame, added to AU 45", "clean"),
    Nuisance("others", _PER_FRAME(pa.list_(pa.float32(), N_AUS)), "per frame, added to the AUs", "face"),
    Nuisance(
        "residual",
        pa.list_(pa.float32(), 2),
        "smooth random motion of the face at the apex: its length and rms, inter-ocular distances",
        "clean",
    ),
    Nuisance(
        "asymmetry",
        pa.list_(pa.float32(), N_AUS),
        "for each AU, from −1 (only the person's right side moves) to 1 (only the left side)",
        "all",
    ),
    Nuisance(
        "head",
        _PER_FRAME(pa.list_(pa.float32(), 4)),
        "per frame: right, down (inter-ocular distances), roll (radians), zoom − 1",
        "all",
        "frame",
    ),
    Nuisance(
        "turn",
        _PER_FRAME(pa.list_(pa.float32(), 2)),
        "per frame: yaw to the right of the picture and pitch down, radians; they move what stands out of the face",
        "all",
    ),
    Nuisance(
        "outliers",
        pa.list_(pa.list_(pa.float32(), 5)),
        "local motion at the apex, smaller before it: x, y (fractions of the side); radius, right, down (inter-ocular "
        "distances)",
        "all",
        "frame",
    ),
    Nuisance(
        "light",
        _PER_FRAME(pa.list_(pa.float32(), 3)),
        "per frame: brightness, and its slope to the right and down, as fractions",
        "all",
        "frame",
    ),
    Nuisance("noise", pa.float32(), "standard deviation of noise, gray levels", "all", "frame"),
    Nuisance("compression", pa.int16(), "JPEG quality", "all", "frame"),
)
NAMES: Final = tuple(nuisance.name for nuisance in NUISANCES)


@dataclass(frozen=True)
class Chosen:
    """Which nuisances are on.

    Attributes:
        names: in the order of NUISANCES.
        neutral_onset: whether the face is at rest at the onset, but for the expression.
    """

    names: tuple[str, ...]
    neutral_onset: bool


def nuisances_of(text: str) -> Chosen:
    """The nuisances that a text switches on: a level, or a level and some of its nuisances, as in `all:blink,noise`.

    Raises:
        UsageError: another level, or a nuisance that the level does not have.
    """
    level, colon, listed = text.partition(":")
    known = tuple(n.name for n in NUISANCES if level in LEVELS[LEVELS.index(n.level) :])
    asked = tuple(name.strip() for name in listed.split(",")) if colon else known
    if level not in (OFF, *LEVELS) or not set(asked) <= set(known):
        added = (f"{one} ({', '.join(n.name for n in NUISANCES if n.level == one)})" for one in LEVELS)
        raise UsageError(
            f"`nuisances` {text}",
            expected=f"{OFF}, {', '.join(added)}, where each level includes those before it",
            do="give a level, or a level and some of its nuisances, such as all:blink,head",
        )
    return Chosen(tuple(name for name in NAMES if name in asked), level == "clean")
