"""The face mesh: its 478 landmarks, its outline, and the mirror image of each landmark."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

N_LANDMARKS = 478
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # round the face, from the forehead  # fmt: skip


@cache
def mirror_landmarks() -> tuple[int, ...]:
    """For each landmark its twin on the other side of the face; landmarks on the midline are their own."""
    text = resources.files("miex.faces").joinpath("mesh_mirror.toml").read_text("utf-8")
    return tuple(tomllib.loads(text)["mirror"])
