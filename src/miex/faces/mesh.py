"""The face mesh: its 478 landmarks, and which of them are twins."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

N_LANDMARKS = 478


@cache
def mirror_landmarks() -> tuple[int, ...]:
    """For each landmark its twin on the other side of the face; landmarks on the midline are their own."""
    text = resources.files("miex.faces").joinpath("mesh_mirror.toml").read_text("utf-8")
    return tuple(tomllib.loads(text)["mirror"])
