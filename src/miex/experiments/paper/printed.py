"""The numbers that the paper prints, as fractions."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from miex.experiments.present import Value

SCORES = ("uf1", "uar", "accuracy", "best")


@dataclass(frozen=True)
class Printed:
    """What the paper prints for a line of a table or a bar of a figure.

    Attributes:
        row, recognizer, tested, panel: the line; empty where the table has only one.
        values: mean ± std over repeats by score: uf1, uar, accuracy; best is the accuracy of the epoch that the test
            part likes best.
    """

    row: str
    recognizer: str
    tested: str
    panel: str
    values: Mapping[str, Value]


@lru_cache
def printed(experiment: str) -> tuple[Printed, ...]:
    """Every number that the paper prints for that table or figure."""
    found = []
    for entry in _table().get(experiment, {}).get("values", ()):
        values = {name: value_of(entry[name]) for name in SCORES if name in entry}
        recognizer, tested, panel = (str(entry.get(name, "")) for name in ("recognizer", "tested", "panel"))
        found.append(Printed(entry["row"], recognizer, tested, panel, values))
    return tuple(found)


def text_of(experiment: str) -> str:
    """What the paper says of a figure in words; may be empty."""
    return str(_table().get(experiment, {}).get("text", ""))


def value_of(percent: list[float]) -> Value:
    """A mean, and a standard deviation where there is one."""
    mean, std = (round(number / 100, 6) for number in (*percent, 0.0)[:2])
    return Value(mean, std if len(percent) > 1 else None)


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return tomllib.loads((resources.files(__package__ or "") / "printed.toml").read_text("utf-8"))
