"""Read annotation tables as text, from xlsx, xls and CSV alike; each cell knows where it was read."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from miex.errors import InputError

SUFFIXES = (".xlsx", ".xls", ".csv", ".txt")
MOST_ROWS = 100_000  # the largest table of any corpus has 4,206
_MOST_BYTES = 256 * 2**20  # of a file, and of what a workbook unpacks to
_HEADER_WITHIN = 40  # rows: SAMM's preamble has 13
_ENCODINGS = ("utf-8-sig", "gb18030", "cp1252")  # half of the corpora come from China; cp1252 is what Excel writes
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        table: what it is called in messages: file and sheet.
        number: as a spreadsheet counts, from 1; 0 where a folder takes the place of a table.
        cells: text of each known column, stripped; a column that the table does not have is not there.
        names: how each column is called in the table itself.
    """

    table: str
    number: int
    cells: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict)

    def where(self, column: str = "") -> str:
        """File, sheet, row (and column), for messages."""
        if not self.number:
            return self.table
        named = self.names.get(column, column)
        return f"{self.table}, row {self.number}" + (f", column {named}" if named else "")

    def wrong(self, column: str, expected: str, *, do: str = "") -> InputError:
        """The error that says what is wrong with a cell of this row."""
        value = self.cells.get(column, "")
        if _DATE.match(value):
            do = "the spreadsheet turned it into a date: format the column as text and type it again"
        return InputError(
            f"reading {self.where(column)}",
            expected=expected,
            found=repr(value) if value else "an empty cell",
            do=do or "correct the cell in a copy of the table, or leave such rows out with `on_error` skip",
        )

    def text(self, column: str) -> str:
        """The cell's text. Raises InputError if it is empty or not there."""
        value = self.cells.get(column, "")
        if not value or _DATE.match(value):
            raise self.wrong(column, "text")
        return value

    def integer(self, column: str, *, missing: Iterable[str] = ("",)) -> int | None:
        """The cell's number, or None if the column is not there or the cell reads as one of `missing`.

        Raises:
            InputError: anything else.
        """
        value = self.cells.get(column)
        if value is None or value in missing:
            return None
        if re.fullmatch(r"-?\d{1,9}(\.0+)?", value, re.ASCII):
            return int(value.split(".")[0])
        raise self.wrong(column, "a whole number")


@dataclass(frozen=True)
class Sheet:
    """A sheet of a workbook, or a CSV: rows of text from its first row on."""

    name: str
    rows: tuple[tuple[int, tuple[str, ...]], ...]  # (number from 1, cells), without empty rows


def read_sheets(path: Path) -> list[Sheet]:
    """Every sheet of a workbook (what it is, its content says, not its suffix), or the one table of a CSV.

    Cells are text: whole numbers without a point, dates as 2020-12-04. Formulas are not evaluated: what the program
    that saved the file left as their value is read. Merged cells repeat their text downwards.

    Raises:
        InputError: no such file; neither a workbook nor text; larger than any annotation table.
    """
    asked = f"table {path}"
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= _MOST_BYTES else b""
    except OSError as error:
        raise InputError(asked, found=error.strerror or str(error), do="check the path") from error
    if size > _MOST_BYTES:
        raise _too_large(asked, f"{size / 2**20:,.0f} MB")
    if content[:4] == b"PK\x03\x04" or content[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        return list(_workbook(content, asked))
    return [Sheet("", tuple(_numbered(_csv_rows(content, asked), asked)))]


def _too_large(asked: str, found: str) -> InputError:
    return InputError(
        asked,
        expected=f"an annotation table: at most {MOST_ROWS:,} rows, {_MOST_BYTES // 2**20} MB",
        found=found,
        do="check that it is the right file; if so, save its annotation sheet as a file of its own",
    )


def _workbook(content: bytes, asked: str) -> Iterator[Sheet]:
    import python_calamine

    try:
        if content[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > _MOST_BYTES:
                raise _too_large(asked, f"a workbook that unpacks to {unpacked / 2**20:,.0f} MB")
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        for name in book.sheet_names:
            sheet = book.get_sheet_by_name(name)
            rows = sheet.to_python(skip_empty_area=False)
            for (top, left), (bottom, _) in sheet.merged_cell_ranges or ():
                for row in rows[top + 1 : bottom + 1]:
                    if left < len(row):
                        row[left] = rows[top][left]
            yield Sheet(name, tuple(_numbered(rows, asked)))
    except InputError:
        raise
    except BaseException as error:  # zip, XML, OLE and number errors; a panic of the Rust side is no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)):
            raise
        raise InputError(
            asked,
            expected="a workbook (xlsx or xls) or a CSV",
            found=f"a broken one: {error}",
            do="open it in a spreadsheet and save it again, or ask for a fresh copy",
        ) from error


def _numbered(rows: Iterable[Sequence[Any]], asked: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    kept = 0
    for number, row in enumerate(rows, start=1):
        cells = tuple(map(_text, row))
        if any(cells):
            kept += 1
            if kept > MOST_ROWS:
                raise _too_large(asked, f"more than {MOST_ROWS:,} rows")
            yield number, cells


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if value is None:
        return ""
    return str(value)  # dates and times in ISO form, booleans


def _csv_rows(content: bytes, asked: str) -> Iterator[list[str]]:
    encodings = ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else _ENCODINGS
    for encoding in encodings:
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            text = "\0"
    if "\0" in text:
        raise InputError(
            asked, expected="a workbook (xlsx or xls) or a CSV", found="neither", do="check that it is the right file"
        )
    head = text.split("\n", _HEADER_WITHIN)[:_HEADER_WITHIN]
    delimiter = max(",;\t", key=lambda sign: sum(line.count(sign) for line in head))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        yield from reader
    except csv.Error as error:
        raise InputError(asked, expected="a CSV", found=f"line {reader.line_num}: {error}") from error


def normal(name: str) -> str:
    """A column's name as compared: letters and digits alone, lower case (`Onset Frame` is `onset_frame`)."""
    return re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKC", name).lower())


@dataclass(frozen=True)
class Columns:
    """How to find the columns of a corpus' table.

    Attributes:
        names: {column: names under which it is found}.
        needed: columns without which it is another table.
        headerless: for tables without a header: column of each position; needed ones must not be empty.
        sheet: part of the sheet's name, where sheets have the same columns.
    """

    names: Mapping[str, tuple[str, ...]]
    needed: tuple[str, ...]
    headerless: tuple[str, ...] = ()
    sheet: str = ""

    def header(self, cells: Sequence[str]) -> dict[int, str] | None:
        """{position: column} if these cells are the header."""
        found: dict[int, str] = {}
        given = [normal(cell) for cell in cells]
        for column, names in self.names.items():
            position = next((given.index(normal(name)) for name in names if normal(name) in given), None)
            if position is not None:
                found.setdefault(position, column)
        return found if set(self.needed) <= set(found.values()) else None


def read_table(path: Path, columns: Columns) -> list[Row]:
    """The rows of the sheet that has the columns, whatever its place in the workbook and whatever stands above it.

    Rows that repeat the header, and rows without any of the needed columns, are left out (notes below the table).

    Raises:
        InputError: see `read_sheets`; or no sheet has the columns.
    """
    sheets = [sheet for sheet in read_sheets(path) if columns.sheet in sheet.name or not sheet.name]
    for sheet in sheets:
        name = f"{path}" + (f", sheet {sheet.name}" if sheet.name else "")
        for at, (_, cells) in enumerate(sheet.rows[:_HEADER_WITHIN]):
            header = columns.header(cells)
            if header:
                names = {column: cells[position] for position, column in header.items()}
                below = _rows(name, sheet.rows[at + 1 :], header, names)
                return [row for row in below if any(row.cells[c] and row.cells[c] != names[c] for c in columns.needed)]
    if columns.headerless:
        header = dict(enumerate(columns.headerless))
        names = {column: f"{chr(65 + i)} ({column})" for i, column in header.items()}
        for sheet in sheets:
            rows = list(_rows(f"{path}" + (f", sheet {sheet.name}" if sheet.name else ""), sheet.rows, header, names))
            if rows and all(rows[0].cells.get(column) for column in columns.needed):
                return [row for row in rows if any(row.cells.get(c) for c in columns.needed)]
    first = next((cells for sheet in sheets for _, cells in sheet.rows), ())
    raise InputError(
        f"table {path}",
        expected=("a header with " if columns.names else "columns in this order: ")
        + ", ".join(" or ".join(columns.names.get(c, (c,))) for c in columns.needed or columns.headerless),
        found=("first row: " + " | ".join(filter(None, first))[:200]) if first else "no row at all",
        do="check that it is the table of this corpus, complete and as its owners sent it",
    )


def _rows(
    table: str, rows: Iterable[tuple[int, tuple[str, ...]]], header: Mapping[int, str], names: Mapping[str, str]
) -> Iterator[Row]:
    for number, cells in rows:
        yield Row(table, number, {c: cells[i] if i < len(cells) else "" for i, c in header.items()}, names)
