"""Readers by the name of their corpus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from miex.corpora.clip import Clip
from miex.corpora.listed import read_list
from miex.corpora.people import corpus_key
from miex.errors import UsageError

READERS: dict[str, Callable[[Path], list[Clip]]] = {}


def has_reader(name: str) -> bool:
    """Whether miex reads that corpus in the layout of its owners."""
    return (corpus_key(name) or "") in READERS


def read(name: str, path: Path) -> list[Clip]:
    """The clips of a corpus.

    Args:
        name: of the corpus, in any spelling (`corpora.people`).
        path: its folder, or its annotation table alone; or a CSV as `corpora.listed` reads it.

    Raises:
        UsageError: no reader of that name.
        InputError: what lies there is not that corpus.
    """
    if has_reader(name):
        return READERS[corpus_key(name) or ""](path)
    if path.suffix.lower() == ".csv":
        return read_list(path, corpus_key(name) or name)
    raise UsageError(
        f"corpus {name!r}",
        expected=f"one of {', '.join(sorted(READERS))}, or a CSV with columns clip, subject, emotion",
        found=str(path),
        do="import its AUs with miex aus import, then miex aus pool",
    )
