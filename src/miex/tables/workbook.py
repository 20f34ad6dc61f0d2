"""Sheets of a workbook, xlsx or xls: how large they are is found before anything is laid out in memory.

calamine, which reads the cells, gives each sheet a place for every cell up to the farthest one, and trusts the sizes
that a file claims; a failed allocation ends the process. So a workbook is first walked through here, without keeping
any cell, and handed on only if its sheets are as small as tables of this field are.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

from miex.errors import InputError
from miex.tables.text import Numbered

ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # how xlsx and xls begin
UNSAVED: Final = "\ue000"  # text of a cell whose formula has no saved value; no table holds it
MOST_BYTES: Final = 256 * 2**20  # of a file, and of what a workbook unpacks to
MOST_CELLS: Final = 10_000_000  # from the first cell of a sheet to its farthest row and column, over all sheets
_MOST_PARTS = 10_000
_END_OF_CHAIN, _NO_SECTOR = 0xFFFFFFFE, 0xFFFFFFFA
# records of an xls that hold a cell: BIFF8 and before
_BIFF_CELLS = {0x0006, 0x0203, 0x0204, 0x00D6, 0x0205, 0x027E, 0x00FD, 0x00BD, 0x0201, 0x00BE}
_BIFF_SEVERAL = {0x00BD: 6, 0x00BE: 2}  # several cells in a record: bytes of each
_BIFF_ROWS, _BIFF_COLUMNS = 65_536, 256  # no xls has more
_SHEET, _SIZE, _BEGIN, _END = 0x0085, 0x0200, 0x0809, 0x000A


class _BrokenError(ValueError):
    pass


class _TooLargeError(ValueError):
    pass


class _OtherError(ValueError):
    """What is whole, but no xlsx."""


def sheets_of(path: Path, asked: str) -> Iterator[tuple[str, list[Numbered]]]:
    """(name, rows without empty ones) of every sheet that is not hidden.

    Cells are text: whole numbers without a point, dates as 2020-12-04. Formulas are not evaluated: what the program
    that saved the file left as their value is read, and UNSAVED where it left none. Merged cells repeat their text
    downwards.

    Raises:
        InputError: a broken workbook; one of more than 256 MiB, as it is or unpacked; sheets of more than 10,000,000
            cells from the first one to the farthest row and column.
    """
    import python_calamine

    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise _TooLargeError(f"{size / 2**20:,.0f} MiB")
        content = path.read_bytes()
        content = _proven_xlsx(content) if content.startswith(ZIP) else _proven_xls(content)
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        shown = python_calamine.SheetVisibleEnum.Visible
        for name in (sheet.name for sheet in book.sheets_metadata if sheet.visible == shown):
            sheet = book.get_sheet_by_name(name)
            rows = sheet.to_python(skip_empty_area=False)
            filled = 0
            for (top, left), (bottom, _) in sheet.merged_cell_ranges or ():
                filled += max(0, min(bottom + 1, len(rows)) - top)
                if filled > MOST_CELLS:
                    raise _TooLargeError(f"merged cells over more than {MOST_CELLS:,} rows")
                for row in rows[top + 1 : bottom + 1]:
                    if left < len(row):
                        row[left] = rows[top][left]
            yield name, list(_numbered(rows))
    except OSError as error:
        raise InputError(asked, found=error.strerror or str(error), do="check the path") from error
    except _TooLargeError as error:
        raise InputError(
            asked,
            expected=f"a table: at most {MOST_BYTES // 2**20} MiB, and {MOST_CELLS:,} cells up to the farthest one",
            found=str(error),
            do="check that it is the right file; if so, delete what stands far from the table, or save it as CSV",
        ) from error
    except _OtherError as error:
        raise InputError(
            asked,
            expected="a workbook (xlsx or xls) or a CSV",
            found=str(error),
            do="open it in the program that made it, and save or export the table as xlsx or CSV",
        ) from error
    except BaseException as error:  # zip, XML, OLE and number errors; a panic of the Rust side is no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, InputError)):
            raise
        raise InputError(
            asked,
            expected="a workbook (xlsx or xls) or a CSV",
            found=f"a broken one: {error}",
            do="open it in a spreadsheet and save it again, or ask for a fresh copy",
        ) from error


def _numbered(rows: Iterable[Sequence[Any]]) -> Iterator[Numbered]:
    for number, row in enumerate(rows, start=1):
        if row.count("") == len(row):  # most of a sheet with a far cell
            continue
        cells = tuple(map(_text, row))
        if any(cells):
            yield number, cells


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.replace("\0", "").strip()  # no path has a zero character
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if value is None:
        return ""
    return str(value)  # dates and times in ISO form, booleans


class _Size:
    """How large the sheets are together."""

    def __init__(self) -> None:
        self.cells = 0

    def add(self, rows: int, columns: int) -> None:
        self.cells += rows * columns
        if self.cells > MOST_CELLS:
            raise _TooLargeError(f"a cell in row {rows:,}, column {columns:,}")


def _proven_xlsx(content: bytes) -> bytes:
    """The parts of an xlsx that hold text, each proven, as a new archive: what was looked at is what is read."""
    size, proven = _Size(), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(proven, "w", zipfile.ZIP_STORED) as small:
        entries = [e for e in archive.infolist() if e.filename.lower().endswith((".xml", ".rels"))]
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > MOST_BYTES:
            raise _TooLargeError(f"a workbook that unpacks to {unpacked / 2**20:,.0f} MiB")
        if len(entries) > _MOST_PARTS:
            raise _TooLargeError(f"a workbook of {len(entries):,} parts")
        _refuse_others(archive)
        for entry in entries:
            small.writestr(zipfile.ZipInfo(entry.filename), _Part(size).proven(archive.read(entry)))
    return proven.getvalue()


def _refuse_others(archive: zipfile.ZipFile) -> None:
    names = {name.lower() for name in archive.namelist()}
    kind = archive.read("mimetype")[:100].decode("ascii", "replace") if "mimetype" in names else ""
    if "opendocument" in kind:
        raise _OtherError("an OpenDocument spreadsheet (ods)" if "spreadsheet" in kind else f"an OpenDocument, {kind}")
    if "xl/workbook.bin" in names:
        raise _OtherError("a binary workbook (xlsb)")
    if any(name.endswith(".iwa") for name in names):
        raise _OtherError("a document of Apple's Numbers or Pages")
    if not any(name.endswith(".xml") for name in names):
        raise _OtherError("a ZIP archive without a workbook in it")


class _Part:
    """One XML part of an xlsx, walked through: the farthest cell of a sheet, counts that are claimed, and formulas."""

    def __init__(self, size: _Size) -> None:
        self._size = size
        self._row = self._column = 0  # of the next cell, from 0
        self._at = (0, 0)  # the open cell
        self._rows = self._columns = 0
        self._depth = self._cell_depth = 0
        self._inside = ""  # the element in the open cell
        self._formula = self._value = False  # what the open cell has
        self._unsaved: list[tuple[int, int, bytes]] = []  # first and last byte of cells, and what takes their place

    def proven(self, part: bytes) -> bytes:
        """The part, with UNSAVED as the value of each formula that has none: programs that read it see nothing."""
        self._parser = parser = expat.ParserCreate()
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.StartDoctypeDeclHandler = self._refuse
        self._length = len(part)
        parser.Parse(part, True)
        self._size.add(self._rows, self._columns)
        if not self._unsaved:
            return part
        pieces, at = [], 0
        for start, end, cell in self._unsaved:
            pieces += [part[at:start], cell]
            at = end
        return b"".join([*pieces, part[at:]])

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        local = name.rpartition(":")[2]
        if local == "row" and "r" in attributes:
            self._row = int(attributes["r"]) - 1
        elif local == "c":
            if "r" in attributes:
                self._row_of_cell, self._column = _place(attributes["r"])
            else:
                self._row_of_cell = self._row
            self._at, self._cell_depth = (self._row_of_cell, self._column), self._depth
            self._start_of_cell, self._named = self._parser.CurrentByteIndex, attributes.get("r", "")
            self._formula = self._value = False
            self._column += 1
        elif self._cell_depth and self._depth == self._cell_depth + 1:  # a cell with something in it
            self._inside = local
            if local == "f":  # the value comes after it
                self._formula, self._parser.CharacterDataHandler = True, self._text
            self._rows, self._columns = max(self._rows, self._at[0] + 1), max(self._columns, self._at[1] + 1)
            if self._rows * self._columns > MOST_CELLS:
                raise _TooLargeError(f"a cell in row {self._at[0] + 1:,}, column {self._at[1] + 1:,}")
        elif local == "sst" and int(attributes.get("uniqueCount", "0")) > self._length:
            raise _BrokenError(f"{attributes['uniqueCount']} texts in {self._length:,} bytes")

    def _end(self, name: str) -> None:
        local = name.rpartition(":")[2]
        if local == "row":
            self._row, self._column = self._row + 1, 0
        elif self._depth == self._cell_depth:
            if self._formula and not self._value:
                prefix, place = name[: -len(local)], f' r="{self._named}"' if self._named else ""
                cell = f'<{name}{place} t="str"><{prefix}v>{UNSAVED}</{prefix}v>'
                self._unsaved.append((self._start_of_cell, self._parser.CurrentByteIndex, cell.encode()))
            self._cell_depth, self._parser.CharacterDataHandler = 0, None
        elif self._cell_depth and self._depth == self._cell_depth + 1:
            self._inside = ""
        self._depth -= 1

    def _text(self, text: str) -> None:
        self._value |= self._inside in ("v", "is") and not text.isspace()

    def _refuse(self, *_: object) -> None:
        raise _BrokenError("a document type, which no workbook has")


def _place(cell: str) -> tuple[int, int]:
    """Row and column, from 0, of a cell such as B7."""
    match = re.fullmatch(r"\$?([A-Za-z]{1,3})\$?(\d{1,9})", cell, re.ASCII)
    if match is None:
        raise _BrokenError(f"a cell {cell[:20]!r}")
    column = 0
    for letter in match[1].upper():
        column = column * 26 + ord(letter) - 64
    return int(match[2]) - 1, column - 1


def _proven_xls(content: bytes) -> bytes:
    """The xls itself, if no chain in it is endless and its sheets are not too large.

    Source: Microsoft, [MS-CFB] (header, FAT, directory) and [MS-XLS] 2.1.4, 2.4 (records).
    """
    size = _Size()
    stream = _workbook_stream(content)
    globals_ = takewhile(lambda record: record[0] != _END, _records(stream, 0))
    sheets = [struct.unpack_from("<I", data)[0] for kind, data in globals_ if kind == _SHEET and len(data) >= 4]
    if len(sheets) > _MOST_PARTS:
        raise _TooLargeError(f"{len(sheets):,} sheets")
    walked = 0
    for start in sheets:
        rows = columns = depth = 0
        for kind, data in _records(stream, start):
            walked += 1
            if walked > MOST_CELLS:
                raise _TooLargeError(f"more than {MOST_CELLS:,} records")
            if kind == _BEGIN:
                depth += 1
            elif kind == _END:
                depth -= 1
                if depth <= 0:
                    break
            elif kind == _SIZE and len(data) in (10, 14):
                top, bottom, _, right = struct.unpack_from("<IIHH" if len(data) == 14 else "<HHHH", data)
                if bottom and right and bottom <= top:
                    raise _BrokenError("a sheet that ends before it begins")
                if bottom > _BIFF_ROWS or right > _BIFF_COLUMNS:
                    raise _TooLargeError(f"a sheet of {bottom:,} rows and {right:,} columns")
            elif kind in _BIFF_CELLS and len(data) >= 4:
                row, column = struct.unpack_from("<HH", data)
                more = max(0, (len(data) - 6) // _BIFF_SEVERAL[kind] - 1) if kind in _BIFF_SEVERAL else 0
                rows, columns = max(rows, row + 1), max(columns, column + more + 1)
                if rows * columns > MOST_CELLS:
                    raise _TooLargeError(f"a cell in row {row + 1:,}, column {column + more + 1:,}")
        size.add(rows, columns)
    return content


def _records(stream: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """(kind, data) of each record from there on."""
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        yield kind, stream[at + 4 : at + 4 + length]
        at += 4 + length


def _workbook_stream(content: bytes) -> bytes:
    if len(content) < 512:
        raise _BrokenError("a file that was cut off")
    shift = struct.unpack_from("<H", content, 30)[0]
    if shift not in (9, 12):
        raise _BrokenError(f"sectors of 2^{shift} bytes")
    sector = 1 << shift
    n_sectors = len(content) // sector
    n_fat, directory, _, _, small_fat, n_small, difat, n_difat = struct.unpack_from("<IIIIIIII", content, 44)
    if max(n_fat, n_small, n_difat) > n_sectors:
        raise _BrokenError(f"more than {n_sectors:,} sectors claimed")

    def at(number: int) -> bytes:
        if number >= n_sectors:
            raise _BrokenError(f"sector {number:,} of {n_sectors:,}")
        start = max(512, sector) + number * sector
        return content[start : start + sector]

    entries = list(struct.unpack_from("<109I", content, 76))
    seen: set[int] = set()
    while difat < _NO_SECTOR:
        if difat in seen:
            raise _BrokenError("a chain of sectors without end")
        seen.add(difat)
        block = _integers(at(difat))
        if not block:
            raise _BrokenError("a file that was cut off")
        entries += block[:-1]
        difat = block[-1]
    fat = [entry for number in entries if number < _NO_SECTOR for entry in _integers(at(number))]

    def chain(start: int, table: Sequence[int]) -> list[int]:
        found: list[int] = []
        known: set[int] = set()
        while start != _END_OF_CHAIN:
            if start >= len(table) or start in known:
                raise _BrokenError("a chain of sectors without end")
            known.add(start)
            found.append(start)
            start = table[start]
        return found

    listing = b"".join(map(at, chain(directory, fat)))
    names: dict[str, tuple[int, int]] = {}
    for offset in range(0, len(listing) - 127, 128):
        name = listing[offset : offset + 64].decode("utf-16-le", "replace").partition("\0")[0]
        names.setdefault(name, struct.unpack_from("<II", listing, offset + 116))
    if not listing:
        raise _BrokenError("no directory")
    root_start, _ = struct.unpack_from("<II", listing, 116)
    small = b""
    small_table: list[int] = []
    if n_small:
        small = b"".join(map(at, chain(root_start, fat)))
        small_table = _integers(b"".join(map(at, chain(small_fat, fat))))
    for name in ("Workbook", "Book", "WORKBOOK", "BOOK"):
        if name in names:
            start, length = names[name]
            if length < 4096:
                parts = [small[64 * i : 64 * i + 64] for i in chain(start, small_table)]
            else:
                parts = list(map(at, chain(start, fat)))
            return b"".join(parts)[:length]
    raise _BrokenError("no workbook in it")


def _integers(block: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(block) // 4}I", block[: len(block) // 4 * 4]))
