"""The anatomy as data: anatomy.toml, read and checked."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from miex.aus.vector import au_index
from miex.errors import InputError, UsageError
from miex.faces.mesh import N_LANDMARKS

TABLE = Path(__file__).with_name("anatomy.toml")


@dataclass(frozen=True)
class Reach:
    """How far a muscle moves skin beyond its insertion, in inter-ocular distances; all positive."""

    above: float
    below: float
    medial: float
    lateral: float


@dataclass(frozen=True)
class Gate:
    """A border in the skin, such as the lips' line: between two lines of landmarks a motion goes from whole to nothing.

    Attributes:
        keep: the side on which the motion is whole.
        upper, lower: landmarks of the lines at which the hand-over begins and ends, right side.
    """

    keep: Literal["above", "below"]
    upper: tuple[int, ...]
    lower: tuple[int, ...]


@dataclass(frozen=True)
class Rim:
    """Where every motion ends.

    Attributes:
        neck: how far below the chin, in inter-ocular distances.
    """

    neck: float


@dataclass(frozen=True)
class Muscle:
    """One muscle, or the part of one that does one thing.

    Attributes:
        au: number of the AU it belongs to.
        name: of the muscle.
        insertion: landmarks of the skin it moves, right side.
        weights: share of the gain at each of them, in [0, 1].
        pull: direction of the motion, (lateral, down); its length does not matter.
        reach: how the motion fades around the insertion.
        gain: displacement where it is largest, at intensity 1, inter-ocular distances.
        gate, rim: the borders that it does not cross.
        source: where direction, reach and gain come from.
    """

    au: int
    name: str
    insertion: tuple[int, ...]
    weights: tuple[float, ...]
    pull: tuple[float, float]
    reach: Reach
    gain: float
    gate: Gate | None
    rim: Rim
    source: str


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The whole table; two are the same only if they are one object.

    Attributes:
        midline: landmarks from forehead to chin where the halves of the face meet.
        gates: by their names.
        muscles: in the order of the table.
    """

    midline: tuple[int, ...]
    gates: dict[str, Gate]
    muscles: tuple[Muscle, ...]

    @cached_property
    def rims(self) -> tuple[Rim, ...]:
        """All rims of its muscles."""
        return tuple(dict.fromkeys(muscle.rim for muscle in self.muscles))


@cache
def load(path: Path = TABLE) -> Anatomy:
    """The anatomy of that file.

    Raises:
        InputError: the file is not TOML, a key is missing or unknown, a number is out of range.
    """
    try:
        return _anatomy(tomllib.loads(path.read_text("utf-8")))
    except (KeyError, TypeError, ValueError, UsageError) as error:
        reason = f"no key {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"anatomy {path}", expected="the form described at its top", found=reason) from error


def _anatomy(table: dict[str, Any]) -> Anatomy:
    midline = tuple(table["midline"])
    gates = {name: _gate(row) for name, row in table["gate"].items()}
    rims = {name: Rim(**row) for name, row in table["rim"].items()}
    muscles = tuple(_muscle(row, gates, rims) for row in table["muscle"])
    return Anatomy(midline, gates, muscles)


def landmarks(indices: list[int]) -> tuple[int, ...]:
    """The indices, proven to be landmarks. Raises ValueError."""
    for index in indices:
        if not 0 <= index < N_LANDMARKS:
            raise ValueError(f"landmark {index}, of {N_LANDMARKS}")
    return tuple(indices)


def _gate(row: dict[str, Any]) -> Gate:
    if row["keep"] not in ("above", "below"):
        raise ValueError(f"gate that keeps {row['keep']!r}")
    return Gate(row["keep"], landmarks(row["upper"]), landmarks(row["lower"]))


def _muscle(row: dict[str, Any], gates: dict[str, Gate], rims: dict[str, Rim]) -> Muscle:
    row = {"gate": None, "rim": "face", "weights": [1.0] * len(row["insertion"])} | row
    muscle = Muscle(
        **row
        | {
            "insertion": landmarks(row["insertion"]),
            "weights": tuple(row["weights"]),
            "pull": tuple(row["pull"]),
            "reach": Reach(**row["reach"]),
            "gate": gates[row["gate"]] if row["gate"] else None,
            "rim": rims[row["rim"]],
        }
    )
    au_index(muscle.au, where=muscle.name)
    if len(muscle.weights) != len(muscle.insertion) or not all(0 <= weight <= 1 for weight in muscle.weights):
        raise ValueError(f"AU {muscle.au}, {muscle.name}: weights {muscle.weights}")
    if len(muscle.pull) != 2 or not math.hypot(*muscle.pull) > 0:
        raise ValueError(f"AU {muscle.au}, {muscle.name}: pull {muscle.pull}")
    if not all(length > 0 for length in (muscle.gain, *vars(muscle.reach).values())):
        raise ValueError(f"AU {muscle.au}, {muscle.name}: gain and reach are positive")
    return muscle
