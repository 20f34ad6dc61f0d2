"""The parts of a fake: events, tables with their quirks, and stray files."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from miex.corpora.corpus import Corpus

STATEMENT = "A fake made by miex: synthetic faces in the layout of a real corpus. Nobody made these expressions."
_CREATED = datetime.datetime(2020, 1, 1)  # the date of writing would change the bytes


@dataclass(frozen=True)
class FakeEvent:
    """An event of a fake.

    Attributes:
        subject, clip, emotion, kind: as the reader returns them.
        aus: as the table writes them.
        onset, apex, offset: frame numbers of the movement that is rendered.
        first, last: numbers of the folder's frames; lost: those that are not there.
        says: what the table says in place of the truth: {column of the reader: cell}.
        folder_emotion: the emotion's folder, where the layout has one and spells it otherwise.
    """

    subject: str
    clip: str
    emotion: str
    aus: str
    onset: int
    apex: int
    offset: int
    first: int
    last: int
    lost: tuple[int, ...] = ()
    says: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "micro"
    folder_emotion: str = ""

    def cell(self, column: str) -> Any:
        """What stands in the table."""
        return self.says.get(column, getattr(self, column, None))


@dataclass(frozen=True)
class Formula:
    """A formula cell; the value that the spreadsheet left is not there, as in files of other programs."""

    text: str


@dataclass(frozen=True)
class Book:
    """A table: {sheet: rows of cells}. A .csv has one sheet. `merged`: (sheet, row, first and last column), from 0."""

    name: str
    sheets: Mapping[str, Sequence[Sequence[Any]]]
    merged: tuple[tuple[str, int, int, int], ...] = ()


@dataclass(frozen=True)
class FakePart:
    """What a fake is made of: a corpus, its events, its tables, whether frames are gray, files that are in the way."""

    corpus: Corpus
    events: tuple[FakeEvent, ...]
    books: tuple[Book, ...] = ()
    gray: bool = False
    strays: tuple[str, ...] = ()


def write_tables(part: FakePart, path: Path) -> None:
    """Write the tables of a part, as xlsx or CSV by their names."""
    for book in part.books:
        target = path / book.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".csv":
            (rows,) = book.sheets.values()
            text = io.StringIO(newline="")
            csv.writer(text).writerows(rows)
            target.write_text(text.getvalue(), "utf-8", newline="")
        else:
            target.write_bytes(_workbook(book))


def _workbook(book: Book) -> bytes:
    import xlsxwriter

    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True}) as workbook:
        workbook.set_properties({"created": _CREATED, "comments": STATEMENT})
        for name, rows in book.sheets.items():
            sheet = workbook.add_worksheet(name)
            for i, row in enumerate(rows):
                for j, cell in enumerate(row):
                    if isinstance(cell, Formula):
                        sheet.write_formula(i, j, cell.text, None, "")
                    elif isinstance(cell, str):
                        sheet.write_string(i, j, cell)
                    elif cell is not None:
                        sheet.write_number(i, j, cell)
            for merged, at, left, right in book.merged:
                if merged == name:
                    sheet.merge_range(at, left, at, right, rows[at][left])
    return content.getvalue()


def write_strays(part: FakePart, path: Path) -> None:
    """Write stray files that every reader must ignore, such as operating systems and programs leave behind."""
    for name in part.strays:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"")
