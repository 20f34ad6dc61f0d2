"""Rows of a CSV, whatever its encoding and delimiter, in memory that the file's length does not fill."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from miex.errors import InputError
from miex.storage.base import only_regular
from miex.tables.written import unguarded

Numbered = tuple[int, tuple[str, ...]]  # the row's number as a spreadsheet counts, from 1; its cells, stripped
MOST_CHARACTERS: Final = 4 * 2**20  # of a row; py-feat's longest have 3,000 numbers
HEAD_LINES: Final = 40  # in which delimiters are counted, and headers looked for: SAMM's preamble has 13
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_CHUNK = 2**18
_SAID = re.compile(r"\"?sep=(.)\"?\s*", re.IGNORECASE)  # the first line by which Excel is told the delimiter
_UNCLOSED = "a quote that does not close where its cell ends"
_NOT_A_TABLE = "a workbook (xlsx or xls) or a CSV"


@dataclass(frozen=True)
class CSVRows:
    """The rows of a CSV; each iteration reads the file anew.

    Attributes:
        path: the file.
        asked: how errors begin.
        encoding, delimiter: as they were found.
        said: whether its first line says no more than the delimiter.
    """

    path: Path
    asked: str
    encoding: str
    delimiter: str
    said: bool

    def __iter__(self) -> Iterator[Numbered]:
        """The rows that are not empty.

        Raises:
            InputError: with the row, for what is no CSV: a row of more than 4 MiB, a quote that never ends or after
                which a cell goes on, a quoted cell that holds whole rows.
        """
        number = width = 0
        try:
            with self.path.open(encoding=self.encoding, newline="") as file:
                lines = _Lines(file)
                rows = csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True, strict=True)
                for number, cells in enumerate(rows, 1):
                    width = max(width, len(cells))
                    if lines.in_row > 1 and any(self._holds_rows(cell, width) for cell in cells):
                        number -= 1
                        raise csv.Error(_UNCLOSED)
                    lines.of_row = lines.in_row = 0
                    stripped = tuple(unguarded(cell.strip()).strip() for cell in cells)
                    if any(stripped) and not (self.said and number == 1):
                        yield number, stripped
        except csv.Error as error:
            said = str(error)
            quoted = said == _UNCLOSED or "end of data" in said or "expected after" in said
            raise InputError(
                self.asked, expected="a CSV", found=f"row {number + 1}: {_UNCLOSED if quoted else said}",
                do="close the quote that opens in this row, double it where it is part of the text, or take the line "
                "breaks out of the cell" if quoted else "check that it is the right file",
            ) from error  # fmt: skip
        except (UnicodeDecodeError, _TooLongError) as error:
            found = f"row {number + 1}: {error}"
            raise InputError(self.asked, expected="a CSV", found=found, do="check that it is the right file") from error
        except OSError as error:
            raise InputError(self.asked, found=error.strerror or str(error), do="check the path") from error

    def _holds_rows(self, cell: str, width: int) -> bool:
        """Whether a cell has as many delimiters as the rows that its line breaks would end.

        So it is where a quote was left open, and one in a later row closed it. Notes of several lines have fewer, and
        printed arrays have theirs in brackets.
        """
        breaks = len(cell.splitlines()) - 1
        inside = re.sub(r"\[[^\]]*\]", "", cell).count(self.delimiter)
        return width > 1 and breaks > 0 and inside >= breaks * (width - 1)


class _TooLongError(ValueError):
    pass


class _Lines:
    """The lines of a file, none of them so long that it fills the memory."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.of_row = self.in_row = 0  # characters and lines since the last row ended: quotes may hold line breaks

    def __iter__(self) -> Iterator[str]:
        while line := self._file.readline(MOST_CHARACTERS + 1):
            self.of_row += len(line)
            self.in_row += 1
            if self.of_row > MOST_CHARACTERS:
                raise _TooLongError(f"more than {MOST_CHARACTERS:,} characters")
            if "\0" in line:
                raise _TooLongError("a zero character")
            yield line


def csv_rows(path: Path, asked: str) -> CSVRows:
    """The rows of a CSV, its encoding and delimiter found.

    Encodings are UTF-8, UTF-16 and UTF-32, GB 18030 (many corpora come from China), and Windows' cp1252. The
    delimiter is the most frequent of comma, semicolon and tab in the first lines, where commas between digits and all
    that is quoted or in brackets do not count.

    Raises:
        InputError: no such file, or one that is not text.
    """
    try:
        with open(path, "rb", opener=only_regular) as file:
            head = file.read(_CHUNK)
            encoding = _marked(head)
            if encoding is None:
                file.seek(0)
                encoding = _guessed(iter(lambda: file.read(_CHUNK), b""), asked)
    except OSError as error:
        raise InputError(asked, found=error.strerror or str(error), do="check the path") from error
    lines = head.decode(encoding, errors="replace").splitlines()[:HEAD_LINES]
    said = _SAID.fullmatch(lines[0]) if lines else None
    return CSVRows(path, asked, encoding, said[1] if said else _delimiter(lines), said is not None)


def _marked(head: bytes) -> str | None:
    """The encoding that the first bytes tell."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    half = len(head) // 2
    if head[1::2].count(0) > half / 2 > head[::2].count(0):
        return "utf-16-le"
    if head[::2].count(0) > half / 2 > head[1::2].count(0):
        return "utf-16-be"
    return None


def _guessed(chunks: Iterator[bytes], asked: str) -> str:
    chinese, others = 0, 0
    decoders = {name: codecs.getincrementaldecoder(name)() for name in ("utf-8", "gb18030", "cp1252")}
    for chunk in chunks:
        if b"\0" in chunk:
            raise InputError(asked, expected=_NOT_A_TABLE, found="neither", do="check that it is the right file")
        _try(decoders, chunk)
        # a character of GB 2312 is two bytes from A1 on; accented letters stand alone between others
        for run in re.findall(rb"[\x80-\xff]+", chunk):
            if len(run) % 2 == 0 and min(run) >= 0xA1:
                chinese += len(run)
            else:
                others += len(run)
    _try(decoders, b"", final=True)
    order = ("utf-8", "gb18030", "cp1252") if chinese > others else ("utf-8", "cp1252", "gb18030")
    found = next((name for name in order if name in decoders), None)
    if found is None:
        raise InputError(asked, expected=_NOT_A_TABLE, found="neither", do="check that it is the right file")
    return found


def _try(decoders: dict[str, codecs.IncrementalDecoder], chunk: bytes, *, final: bool = False) -> None:
    """Drop the decoders that cannot read on."""
    for name, decoder in list(decoders.items()):
        try:
            decoder.decode(chunk, final)
        except UnicodeDecodeError:
            del decoders[name]


def _delimiter(lines: list[str]) -> str:
    bare = [re.sub(r'"[^"]*"|\[[^\]]*\]', "", line) for line in lines]
    for counted in ([re.sub(r"(?<=\d),(?=\d)", "", line) for line in bare], bare):
        counts = {sign: sum(line.count(sign) for line in counted) for sign in ",;\t"}
        if any(counts.values()):
            return max(counts, key=lambda sign: counts[sign])
    return ","
