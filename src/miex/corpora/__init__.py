"""Readers of real corpora: annotation tables and lists of frames, as distributed; nothing here opens an image.

`miex.corpora.read(NAME, PATH)` reads one. It and the other names offered here are functions of `miex.api.corpora`,
loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miex.api.corpora import Clips, fake, import_aus, inspect, listed, pool, read, write_index

__all__ = ["Clips", "fake", "import_aus", "inspect", "listed", "pool", "read", "write_index"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from miex.api import corpora

    return getattr(corpora, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
