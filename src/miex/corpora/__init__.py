"""Readers of real corpora: tables and frame lists as they lie on disk; nothing here opens an image.

`miex.corpora.read(NAME, PATH)` reads one. What is named here lies in `miex.api.corpora`, above this room, and is loaded
when it is asked for.
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
