"""Actors for fakes: each name stands for a person of its own, who moves by given AUs."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from miex.aus.vector import AUArray
from miex.executors.local import one_thread
from miex.faces.crop import AlignedFace
from miex.faces.virtual import make_virtual
from miex.generators.base import Generator
from miex.images import Image

_PEOPLE = 8  # rigs kept: clips of one person follow one another


def actors(face: AlignedFace, generator: Generator[Any], seed: int = 0) -> Callable[[str, AUArray], Image]:
    """A renderer of many people, all of them virtual identities of one face.

    Args:
        face: an aligned photo.
        generator: what moves them.
        seed: other seeds give other people.

    Returns:
        A function of (name, AUs float32 [n, 17] or [n, 17, 2]) that gives frames, uint8 RGB [n, size, size, 3]: the
        same for the same name and AUs.
    """

    @lru_cache(maxsize=_PEOPLE)
    def rig(name: str) -> Any:
        return generator.prepare(make_virtual(face, zlib.crc32(f"{seed}/{name}".encode())))

    def render(name: str, aus: AUArray) -> Image:
        with one_thread():
            return generator.render(rig(name), aus).frames

    return render
