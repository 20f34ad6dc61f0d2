"""What a sample shows beside its expression: the columns of a plan, and the levels that switch them on."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from miex.aus.vector import N_AUS
from miex.errors import UsageError

COLUMNS: Final = {
    "blink": pa.list_(pa.float32()),  # per frame: added to AU 45
    "others": pa.list_(pa.list_(pa.float32(), N_AUS)),  # per frame: added to the AUs
    "residual": pa.list_(pa.float32(), 2),  # of smooth random motion at the apex: length, rms (inter-ocular)
    "asymmetry": pa.list_(pa.float32(), N_AUS),  # -1 only the right side … 1 only the left side of the person moves
    "head": pa.list_(pa.list_(pa.float32(), 4)),  # per frame: right, down (inter-ocular), roll (radians), zoom - 1
    "outliers": pa.list_(
        pa.list_(pa.float32(), 5)
    ),  # at the apex, less on the way: x, y (of the side); radius, right, down (inter-ocular)
    "light": pa.list_(pa.list_(pa.float32(), 3)),  # per frame: brightness, its slope to the right and down, share
    "noise": pa.float32(),  # standard deviation, gray levels
    "compression": pa.int16(),  # JPEG quality; null: none
}  # what a switched-off part leaves is null
PARTS: tuple[str, ...] = tuple(COLUMNS)
LEVELS: dict[str, tuple[str, ...]] = {"off": (), "light": PARTS[:3], "full": PARTS}


def parts_of(camera: str) -> tuple[str, ...]:
    """The parts that `--camera` names: a level, or a level and some of its parts, as in `full:blink,noise`.

    Raises:
        UsageError: another level, or a part that the level does not have.
    """
    level, _, names = camera.partition(":")
    known = LEVELS.get(level)
    asked = tuple(name.strip() for name in names.split(",")) if names else known or ()
    if known is None or not set(asked) <= set(known):
        raise UsageError(
            f"--camera {camera}",
            expected=f"off, light ({', '.join(LEVELS['light'])}) or full (also {', '.join(PARTS[3:])})",
            do="name a level, or some of its parts: full:blink,head",
        )
    return tuple(part for part in PARTS if part in asked)
