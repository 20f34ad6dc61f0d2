"""Corrections of published annotations, all listed in a table (corrections.csv)."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources

from miex.errors import UsageError
from miex.tables.table import Row

ALL = "all"


@dataclass(frozen=True)
class Correction:
    """A published value that is wrong, and what is used in its place.

    Attributes:
        id: name by which users switch it off.
        corpus, subject, clip: whose row; onset: its published onset as text, where a clip has several rows.
        field: onset, apex, offset or emotion.
        published: the value as text; "*" is any other than `used`.
        used: what is read in its place.
        reason, source: why, and who says so.
    """

    id: str
    corpus: str
    subject: str
    clip: str
    onset: str
    field: str
    published: str
    used: str
    reason: str
    source: str


@lru_cache(maxsize=1)
def all_corrections() -> tuple[Correction, ...]:
    """The whole table."""
    text = (resources.files("miex.corpora") / "corrections.csv").read_text("utf-8")
    return tuple(Correction(**row) for row in csv.DictReader(io.StringIO(text, newline="")))


def corrections_of(corpora: Iterable[str], without: Collection[str] = ()) -> tuple[Correction, ...]:
    """The corrections of some corpora but those whose ids are named; "all" switches off every one.

    Raises:
        UsageError: an id that no correction has.
    """
    known = {correction.id for correction in all_corrections()} | {ALL}
    wrong = next((name for name in without if name not in known), None)
    if wrong is not None:
        raise UsageError(f"correction {wrong!r}", expected="one of " + ", ".join(sorted(known)))
    if ALL in without:
        return ()
    chosen = set(corpora)
    return tuple(c for c in all_corrections() if c.corpus in chosen and c.id not in without)


def corrected(row: Row, subject: str, clip: str, corrections: Iterable[Correction]) -> tuple[Row, list[Correction]]:
    """The row of that subject and clip with its corrections, and which they are."""
    fitting = [correction for correction in corrections if _fits(correction, row, subject, clip)]
    cells = dict(row.cells) | {correction.field: correction.used for correction in fitting}
    return (replace(row, cells=cells) if fitting else row), fitting


def _fits(correction: Correction, row: Row, subject: str, clip: str) -> bool:
    if (correction.subject, correction.clip) != (subject, clip) or correction.onset not in ("", row.cells.get("onset")):
        return False
    value = row.cells.get(correction.field)
    if correction.published == "*":
        return value not in (None, correction.used)
    return value == correction.published
