"""Find the columns of a table by their names, and read its rows; errors name file, sheet, row, column and value."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Final

from miex.errors import InputError
from miex.storage.base import only_regular
from miex.tables.cells import in_thousands, missing, whole
from miex.tables.text import HEAD_LINES, Numbered, csv_rows
from miex.tables.workbook import OLE, UNSAVED, ZIP, sheets_of

SUFFIXES: Final = (".xlsx", ".xls", ".csv", ".tsv", ".txt")
MOST_ROWS: Final = 100_000  # of an annotation table: the largest of any corpus has 4,206
_MOST_NUMBER = 10**9
_WRONG_TABLE = "check that it is the table of this corpus, complete and as its owners sent it"
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_COMMENT = re.compile(r"#(?!\d)")  # #1 is a number
_SUM = re.compile(
    r"(?:(?:grand |sub-?)?(?:total|sum|average|mean|count)s?"
    r"(?: (?:of|number|all|clips?|samples?|videos?|subjects?|rows?))*|合计|总计|总数)\s*[:=]?[\d\s.,]*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sheet:
    """A sheet of a workbook, or a CSV.

    Attributes:
        where: what it is called in messages: file and sheet.
        name: of the sheet; empty for a CSV.
        rows: (number from 1, cells) of each row that is not empty; they can be gone through more than once.
        delimiter: of a CSV.
    """

    where: str
    name: str
    rows: Iterable[Numbered]
    delimiter: str = ""


def read_sheets(path: Path, what: str = "table") -> list[Sheet]:
    """Every sheet of a workbook that is not hidden, or the one table of a CSV.

    What a file is, its content says, not its suffix.

    Args:
        path: the file.
        what: what it is called in messages.

    Raises:
        InputError: no such file; neither a workbook nor text; a workbook that is too large (see `workbook.sheets_of`).
    """
    asked = f"{what} {path}"
    try:
        with open(path, "rb", opener=only_regular) as file:
            magic = file.read(8)
    except OSError as error:
        raise InputError(asked, found=error.strerror or str(error), do="check the path") from error
    if magic.startswith(ZIP) or magic == OLE:
        return [Sheet(f"{path}, sheet {name}", name, rows) for name, rows in sheets_of(path, asked)]
    rows = csv_rows(path, asked)
    return [Sheet(str(path), "", rows, rows.delimiter)]


def first_row(path: Path) -> tuple[str, ...]:
    """The cells of the first row that has any; none of an empty file, and none of what is no table."""
    try:
        return next((cells for sheet in read_sheets(path) for _, cells in islice(iter(sheet.rows), 1)), ())
    except InputError:
        return ()


def is_stray(name: str) -> bool:
    """Whether a file or folder of that name is what systems and programs leave behind (`._a.csv`, `~$a.xlsx`)."""
    return name.startswith((".", "~$"))


def normal(name: str) -> str:
    """A column's name as compared: letters and digits alone, lower case (`Onset Frame` is `onset_frame`)."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", name).lower())


def flaw(where: str, number: int, cells: Sequence[str], names: Mapping[int, str]) -> InputError | None:
    """Why a row holds no data that can be read: it is a comment or a sum, or a formula has no saved value.

    Nothing of a table is passed over by how it looks, so that no data are lost in silence.

    Args:
        where: file and sheet.
        number: of the row.
        cells: of the row, all of them.
        names: {position: name} of the columns that are read.
    """
    asked, first = f"reading {where}, row {number}", next(filter(None, cells), "")
    comment = _COMMENT.match(first) and not missing(first)
    if comment or _SUM.fullmatch(first):
        return InputError(
            asked, expected="a row of data", found=f"{'a comment' if comment else 'a sum'}: {first[:200]!r}",
            do="delete this row in a copy of the table; if it holds data, "
            + ("take the # away" if comment else "call it otherwise"),
        )  # fmt: skip
    if UNSAVED in cells:
        unsaved = next((name for i, name in names.items() if i < len(cells) and cells[i] == UNSAVED), None)
        if unsaved is not None:
            return InputError(
                f"{asked}, column {unsaved}", expected="a value", found="a formula without a saved value",
                do="open the file in a spreadsheet and save it, which stores the values of formulas, or type the value",
            )  # fmt: skip
    return None


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        table: what it is called in messages: file and sheet.
        number: as a spreadsheet counts, from 1; 0 where a folder takes the place of a table.
        cells: text of each known column, stripped; a column that the table does not have is not there.
        names: how each column is called in the table itself.
        flaw: why it holds no data that can be read, if so (see `flaw`).
    """

    table: str
    number: int
    cells: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict)
    flaw: InputError | None = None

    def whole(self) -> Row:
        """The row itself. Raises InputError if it holds no data that can be read."""
        if self.flaw is not None:
            raise self.flaw
        return self

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
        elif in_thousands(value):
            do = "write it without a separator of thousands (1000), or as 1 or 1.0: it may be one or a thousand"
        return InputError(
            f"reading {self.where(column)}",
            expected=expected,
            found=repr(value[:200]) if value else "an empty cell",
            do=do or "correct the cell in a copy of the table, or leave such rows out with `on_error` skip",
        )

    def text(self, column: str) -> str:
        """The cell's text. Raises InputError if it is empty or not there."""
        value = self.cells.get(column, "")
        if not value or _DATE.match(value):
            raise self.wrong(column, "text")
        return value

    def said(self, column: str) -> str:
        """The cell's text; empty where the column is not there, or the cell says that there is no value."""
        value = self.cells.get(column, "")
        return "" if missing(value) else value

    def integer(self, column: str, *, needed: bool = False, none: Collection[str | int] = ()) -> int | None:
        """The cell's number, which may be written 2.0.

        None if the column is not there, the cell says that there is no value (unless it is needed), or its text or
        number is among `none`.

        Raises:
            InputError: anything else.
        """
        value = self.cells.get(column)
        if value is None or value in none or (missing(value) and not needed):
            return None
        try:
            number = whole(value)
        except ValueError:
            number = None
        if number is None or abs(number) >= _MOST_NUMBER:
            raise self.wrong(column, "a whole number")
        return None if number in none else number


@dataclass(frozen=True)
class Columns:
    """How to find the columns of a table.

    Attributes:
        names: {column: names under which it is found}.
        needed: columns without which it is another table.
        headerless: for tables without a header: column of each position; needed ones must not be empty.
        sheet: part of the sheet's name, where sheets have the same columns.
        most: how many rows such a table may have.
        even: whether no row may have more cells than the header: a comma that is not quoted moves what follows it.
    """

    names: Mapping[str, tuple[str, ...]]
    needed: tuple[str, ...]
    headerless: tuple[str, ...] = ()
    sheet: str = ""
    most: int = MOST_ROWS
    even: bool = False

    def header(self, cells: Sequence[str]) -> dict[int, str] | None:
        """{position: column} if these cells are the header."""
        found: dict[int, str] = {}
        given = [normal(cell) for cell in cells]
        for column, names in self.names.items():
            position = next((given.index(normal(name)) for name in names if normal(name) in given), None)
            if position is not None:
                found.setdefault(position, column)
        return found if set(self.needed) <= set(found.values()) else None


def read_table(
    path: Path,
    columns: Columns,
    what: str = "table",
    *,
    published: bool = False,
    flawed: bool = False,
    do: str = _WRONG_TABLE,
) -> list[Row]:
    """The rows of the sheet that has the columns, whatever its place in the workbook and whatever stands above it.

    Rows that repeat the header, and rows without any of the needed columns, are left out (notes below the table).

    Args:
        path: the file.
        columns: the columns.
        what: what the table is called in messages.
        published: whether it is a corpus' own table, whose first sheet and column are read where two are called alike.
            Of tables that people write themselves none says which is meant: both are refused.
        flawed: whether to give rows that hold no data too, with their `flaw`, in place of raising it.
        do: what to do where no sheet has the columns.

    Raises:
        InputError: see `read_sheets`; no sheet has the columns, two have them, or a column stands twice (see
            `published`); it has more rows than such a table may have; a row holds no data (see `flawed`).
    """
    rows = list(rows_in(read_sheets(path, what), columns, f"{what} {path}", published=published, do=do))
    return rows if flawed else [row.whole() for row in rows]


def rows_in(
    sheets: Sequence[Sheet], columns: Columns, asked: str, *, published: bool = False, do: str = _WRONG_TABLE
) -> Iterator[Row]:
    """The rows of `read_table` one by one, from sheets that are open already; those that hold no data have a `flaw`.

    `asked` is how errors begin. They are those of `read_table`, raised when the row is reached.
    """
    found = [sheet for sheet in sheets if columns.sheet in sheet.name or not sheet.name]
    headed = [(sheet, *at) for sheet in found if (at := _header(sheet, columns))]
    if len(headed) > 1 and not published:
        raise InputError(
            asked, expected="one sheet with " + ", ".join(columns.needed),
            found="sheets " + ", ".join(sheet.name for sheet, *_ in headed),
            do="hide or delete those that are not to be read, or save the right one as a file of its own",
        )  # fmt: skip
    for sheet, below, cells in headed[:1]:
        header = columns.header(cells) or {}
        names = {column: cells[position] for position, column in header.items()}
        given = [normal(cell) for cell in cells]
        twice = [name for name in names.values() if given.count(normal(name)) > 1]
        if twice and not published:
            raise InputError(
                f"reading {sheet.where}", expected=f"one column {twice[0]}", found=f"{given.count(normal(twice[0]))}",
                do="delete or rename the others",
            )  # fmt: skip
        for row in _rows(sheet, below, header, names, columns, asked):
            if any(row.cells[c] and row.cells[c] != names[c] for c in columns.needed):
                yield row
        return
    if columns.headerless:
        header = dict(enumerate(columns.headerless))
        names = {column: f"{chr(65 + i)} ({column})" for i, column in header.items()}
        for sheet in found:
            listed = _rows(sheet, 0, header, names, columns, asked)
            first_row = next(listed, None)
            if first_row and all(first_row.cells.get(column) for column in columns.needed):
                yield from (r for r in chain([first_row], listed) if any(r.cells.get(c) for c in columns.needed))
                return
    first = next((cells for sheet in found for _, cells in islice(iter(sheet.rows), 1)), ())
    raise InputError(
        asked,
        expected=("a header with " if columns.names else "columns in this order: ")
        + ", ".join(" or ".join(columns.names.get(c, (c,))) for c in columns.needed or columns.headerless),
        found=("first row: " + " | ".join(filter(None, first))[:200]) if first else "no row at all",
        do=do,
    )


def _header(sheet: Sheet, columns: Columns) -> tuple[int, tuple[str, ...]] | None:
    """How many rows the table begins after, and the header; None if there is none.

    A header may take two rows, with cells of the first merged over those of the second, or blank below.
    """
    head = list(islice(iter(sheet.rows), HEAD_LINES + 1))
    for at, (_, cells) in enumerate(head[:HEAD_LINES]):
        found = columns.header(cells)
        if found is None:
            continue
        under = head[at + 1][1] if at + 1 < len(head) else ()
        both = tuple(low or high for high, low in zip_longest(cells, under, fillvalue=""))
        joined = columns.header(both) or {}
        if set(joined.values()) > set(found.values()) and all(both[i] == cells[i] for i in found):
            return at + 2, both
        return at + 1, cells
    return None


def _rows(
    sheet: Sheet, skip: int, header: Mapping[int, str], names: Mapping[str, str], columns: Columns, asked: str
) -> Iterator[Row]:
    rows = islice(iter(sheet.rows), max(skip - 1, 0), None)
    width = len(next(rows, (0, ()))[1]) if skip else 0
    for kept, (number, cells) in enumerate(rows):
        if kept == columns.most:
            raise InputError(
                asked, expected=f"at most {columns.most:,} rows", found=f"more than {columns.most:,} rows",
                do="check that it is the right file; if so, save its annotation sheet as a file of its own",
            )  # fmt: skip
        if columns.even and any(cells[width:]):
            raise InputError(
                f"reading {sheet.where}, row {number}", expected=f"at most {width} cells, as in the header",
                found=f"{len(cells)}: {' | '.join(cells)[:200]}",
                do="put quotes around cells that hold the delimiter",
            )  # fmt: skip
        named = {i: names[column] for i, column in header.items()}
        yield Row(
            sheet.where, number, {c: cells[i] if i < len(cells) else "" for i, c in header.items()}, names,
            flaw(sheet.where, number, cells, named),
        )  # fmt: skip
