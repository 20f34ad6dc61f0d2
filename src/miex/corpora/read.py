"""The clips of a corpus by its name: those that miex reads, and any other that a list describes."""

from __future__ import annotations

from pathlib import Path

from miex.corpora.catalog import corpora
from miex.corpora.clip import Clip
from miex.corpora.listed import read_list
from miex.corpora.people import corpus_key
from miex.errors import UsageError


def has_reader(name: str) -> bool:
    """Whether miex reads that corpus in the layout of its owners."""
    return name.strip().lower() in corpora()


def read(name: str, path: Path) -> list[Clip]:
    """The clips of a corpus.

    Args:
        name: of the corpus, as `miex corpora list` spells it; any other name for a CSV.
        path: its folder, or its annotation table alone; or a CSV as `corpora.listed` reads it.

    Raises:
        UsageError: no reader of that name.
        InputError: what lies there is not that corpus.
    """
    if has_reader(name):
        return list(corpora()[name.strip().lower()].read(path).clips)
    if path.suffix.lower() == ".csv":
        return read_list(path, corpus_key(name) or name)
    raise UsageError(
        f"corpus {name!r}",
        expected=f"one of {', '.join(corpora())}, or a CSV with columns clip, subject, emotion",
        found=str(path),
        do="import its AUs with miex aus import, then miex aus pool",
    )
