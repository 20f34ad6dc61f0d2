"""Annotation tables that people really have: broken, shifted, turned into dates, in other encodings, far too long."""

from __future__ import annotations

import csv
import datetime
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miex.corpora.catalog import corpus_named, read
from miex.corpora.clip import Clip
from miex.errors import InputError, MiexError
from miex.tables.table import read_sheets, read_table
from miex.tables.text import CSVRows, Numbered

HEADER = ("Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units",
          "Estimated Emotion")  # fmt: skip
ROWS: list[list[Any]] = [
    [f"{1 + i // 4:02d}", f"EP{i:02d}_01f", None, 46 + i, 59 + i, 86 + i, None, ("4+L10", 12)[i % 2],
     ("happiness", "disgust", "surprise", "others")[i % 4]]
    for i in range(12)
]  # fmt: skip


def workbook(path: Path, rows: Sequence[Sequence[Any]], *, sheets: Sequence[str] = ("Sheet1",)) -> Path:
    """The rows in the last of the sheets; tuples (first row, last row, column, text) among them merge cells."""
    with xlsxwriter.Workbook(path) as book:
        book.set_properties({"created": datetime.datetime(2020, 1, 1)})  # else its bytes change by the second
        date = book.add_format({"num_format": "d-mmm"})
        for name in sheets:
            sheet = book.add_worksheet(name)
        for i, row in enumerate(rows):
            for j, cell in enumerate(row):
                if isinstance(cell, datetime.date):
                    sheet.write_datetime(i, j, datetime.datetime.combine(cell, datetime.time()), date)
                elif isinstance(cell, tuple):
                    sheet.merge_range(i, j, i + cell[1] - 1, j, cell[0])
                elif cell is not None:
                    sheet.write(i, j, cell)
    return path


def changed(row: int, column: int, value: Any) -> list[Sequence[Any]]:
    rows = [list(cells) for cells in ROWS]
    rows[row][column] = value
    return [HEADER, *rows]


def clips(path: Path, **options: Any) -> list[tuple[str, str, int | None, str]]:
    return [(c.subject, c.clip, c.published[0], c.emotion) for c in read("casme2", path, **options).clips]


WHOLE = [(f"sub{row[0]}", row[1], row[3], row[8]) for row in ROWS]


def test_a_table_as_it_should_be(tmp_path: Path) -> None:
    assert clips(workbook(tmp_path / "t.xlsx", [HEADER, *ROWS])) == WHOLE


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        (0, None, "column Subject"),
        (0, "Anna", "'Anna'"),
        (0, "1e5", "'1e5'"),
        (1, None, "column Filename"),
        (3, None, "column OnsetFrame"),
        (3, "abc", "'abc'"),
        (3, 46.5, "'46.5'"),
        (3, -5, "'-5'"),
        (3, 0, "they count from 1"),
        (3, datetime.date(2020, 12, 4), "turned it into a date"),
        (1, datetime.date(2020, 12, 4), "turned it into a date"),
        (3, "4" * 5000, "column OnsetFrame"),
        (3, True, "'True'"),
        (4, "sixty", "'sixty'"),
        (5, 12, "'12'"),
        (5, "86 (?)", "'86 (?)'"),
        (8, None, "column Estimated Emotion"),
        (8, "hapiness", "'hapiness'"),
        (8, 12, "'12'"),
    ],
)
def test_a_broken_cell_is_named(tmp_path: Path, column: int, value: Any, says: str) -> None:
    path = workbook(tmp_path / "t.xlsx", changed(5, column, value))
    with pytest.raises(InputError) as error:
        read("casme2", path)
    assert f"{path}, sheet Sheet1, row 7" in str(error.value)  # the spreadsheet counts from 1, the header is its first
    assert says in str(error.value)
    kept = [clip for i, clip in enumerate(WHOLE) if i != 5]
    assert clips(path, on_error="skip") == kept
    reading = read("casme2", path, on_error="collect")
    assert [str(problem) for problem in reading.problems] == [str(error.value)]
    assert len(reading.clips) == len(kept)


def test_cells_shifted_by_one(tmp_path: Path) -> None:
    rows: list[Sequence[Any]] = [HEADER, *ROWS[:3], [None, *ROWS[3]], *ROWS[4:]]
    with pytest.raises(InputError, match="row 5"):
        read("casme2", workbook(tmp_path / "t.xlsx", rows))


def test_a_row_that_stands_twice(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", [HEADER, *ROWS, ROWS[2]])
    with pytest.raises(InputError, match=r"it stands already in .*row 4") as error:
        read("casme2", path)
    assert "row 14" in str(error.value)


def test_merged_cells_are_filled(tmp_path: Path) -> None:
    rows: list[list[Any]] = [list(HEADER), *[list(row) for row in ROWS]]
    rows[1][0] = ("01", 4)
    for i in (2, 3, 4):
        rows[i][0] = None
    assert clips(workbook(tmp_path / "t.xlsx", rows)) == WHOLE


@pytest.mark.parametrize("above", [0, 1, 13])
def test_what_stands_around_the_table_does_not_matter(tmp_path: Path, above: int) -> None:
    rows = [["some notes"]] * above + [HEADER, *ROWS, [], HEADER]  # people paste tables one below the other
    assert clips(workbook(tmp_path / "t.xlsx", rows, sheets=["notes", "Sheet2", "data"])) == WHOLE


def test_columns_have_any_order_and_spelling(tmp_path: Path) -> None:
    order = [8, 5, 3, 4, 1, 0]
    names = ["ESTIMATED EMOTION ", "offset_frame", "Onset Frame", "apexframe", "filename", "subject"]
    rows = [names, *([row[i] for i in order] for row in ROWS)]
    assert clips(workbook(tmp_path / "t.xlsx", rows)) == WHOLE


def text_of(delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([HEADER, *ROWS])
    return text.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "cp1252", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters(tmp_path: Path, encoding: str, delimiter: str) -> None:
    note = "备注" if encoding in ("gb18030", "utf-16", "utf-8") else "Prénom"
    path = tmp_path / "t.csv"
    path.write_bytes((text_of(delimiter) + f"{note}\r\n").encode(encoding))
    reading = read("casme2", path, on_error="collect")
    assert [(c.subject, c.clip) for c in reading.clips] == [w[:2] for w in WHOLE]
    assert len(reading.problems) == 1  # the note below is in the first column, where subjects are
    assert f"row {len(ROWS) + 2}" in str(reading.problems[0])
    assert note in str(reading.problems[0]) or encoding in ("cp1252", "latin-1")  # may be read as Chinese


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 100, b"PK\x03\x04" + b"x" * 50, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 600, b"\x89PNG\r\n",
     b"a,b,c\n1,2,3\n", b'"' * 1001, b'a,"' + b"x" * 200_000 + b'"\n'],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".xls"])
def test_what_is_no_table(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"CASME2-coding-20140508{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read("casme2", path)
    assert str(path) in str(error.value)


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    workbook(tmp_path / "t.xlsx", [HEADER, *ROWS]).rename(tmp_path / "t.csv")
    assert clips(tmp_path / "t.csv") == WHOLE


def read_or_refuse(name: str, path: Path) -> tuple[str, tuple[Clip, ...]]:
    """The error's text or the clips; rows that are left out must be named."""
    try:
        reading = read(name, path, on_error="collect")
    except InputError as error:
        return str(error), ()
    for problem in reading.problems:
        assert re.search(r"row \d+", str(problem))
    return "", reading.clips


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_damaged_workbooks_are_refused_or_read(tmp_path: Path, data: st.DataObject) -> None:
    path = workbook(tmp_path / "t.xlsx", [HEADER, *ROWS])
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    else:
        for _ in range(data.draw(st.integers(1, 20))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    refused, found = read_or_refuse("casme2", path)
    assert (str(path) in refused) or len(found) <= len(ROWS)


CELLS = st.one_of(st.none(), st.text(max_size=8), st.integers(-5, 10**12), st.floats(allow_nan=False), st.booleans())
NAMES = ["casme", "casme2", "samm", "smic-e", "mmew", "casme-sq", "casme3-a", "casme3-c", "casme3-c-macro", "4dme",
         "plain"]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(name=st.sampled_from(NAMES), data=st.data())
def test_any_cells_give_clips_that_keep_the_promise(tmp_path: Path, name: str, data: st.DataObject) -> None:
    columns = corpus_named(name).columns
    assert columns is not None
    header = [names[0] for names in columns.names.values()]
    width = len(header) or len(columns.headerless)
    rows = data.draw(st.lists(st.lists(CELLS, min_size=width - 1, max_size=width + 1), min_size=1, max_size=6))
    path = tmp_path / "t.csv"
    with path.open("w", encoding="utf-8", newline="", errors="replace") as file:
        csv.writer(file).writerows([header, *rows] if header else rows)
    refused, clips = read_or_refuse(name, path)
    assert not refused or str(path) in refused
    for clip in clips:
        assert clip.subject
        assert clip.clip
        onset, apex, offset = clip.onset, clip.apex, clip.offset
        assert onset is not None or name == "plain"
        assert onset is None or onset >= 0
        assert None in (onset, apex) or onset < apex  # type: ignore[operator]
        assert None in (onset, offset) or onset < offset  # type: ignore[operator]
        assert apex is None or offset is None or apex <= offset


def many_rows(path: Path, cells: str, n: int) -> Path:
    """A workbook of n rows more than ROWS, written by hand: its writer would need half a minute for 10⁶."""
    workbook(path, [HEADER, *ROWS])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    more = "".join(f'<row r="{i}">{cells.format(i)}</row>' for i in range(14, 14 + n))
    parts["xl/worksheets/sheet1.xml"] = sheet.replace("</sheetData>", more + "</sheetData>").encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_a_million_empty_rows_do_not_matter(tmp_path: Path) -> None:
    assert clips(many_rows(tmp_path / "t.xlsx", '<c r="A{}"/>', 10**6)) == WHOLE


def test_so_many_rows_are_no_annotation_table(tmp_path: Path) -> None:
    columns = replace(corpus_named("casme2").columns, most=1000)
    path = many_rows(tmp_path / "t.xlsx", '<c r="A{}"><v>1</v></c>', 1000)
    with pytest.raises(InputError, match="more than 1,000 rows") as error:
        read_table(path, columns)
    assert str(path) in str(error.value)
    text = tmp_path / "t.csv"
    text.write_text(text_of() + "1,EP,,1,2,3,,4,others\n" * 1000)
    with pytest.raises(InputError, match="more than 1,000 rows"):
        read_table(text, columns)


@pytest.mark.parametrize("name", ["CASME2-coding.csv", "my.csv"])
def test_what_cannot_be_read_is_not_read_by_every_corpus(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking the others whose it is takes its first rows alone; one whose clips are called so reads it, too."""
    path, n = tmp_path / name, 20_000
    path.write_text(text_of() + "1,EP01_01f,,1,2,3,,4,others\n" * n + '1,"EP\n')
    rows, whole = 0, CSVRows.__iter__

    def counted(self: CSVRows) -> Iterator[Numbered]:
        nonlocal rows
        for row in whole(self):
            rows += 1
            yield row

    monkeypatch.setattr(CSVRows, "__iter__", counted)
    with pytest.raises(InputError, match="does not close"):
        read("casme2", path)
    assert rows < 3 * n


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (300 * 2**20))
    with pytest.raises(InputError, match="unpacks to 300 MiB"):
        read_sheets(path)


def test_formulas_are_not_evaluated(tmp_path: Path) -> None:
    rows = changed(5, 5, "=SUM(D7,E7)")  # no value beside the formula: its writer leaves 0, which is no offset
    (clip,) = (c for c in read("casme2", workbook(tmp_path / "t.xlsx", rows)).clips if c.clip == ROWS[5][1])
    assert clip.published[2] is None
    assert clip.notes == ("offset '0' is no frame number: taken as missing",)


def test_errors_can_be_shown(tmp_path: Path) -> None:
    with pytest.raises(MiexError) as error:
        read("casme2", workbook(tmp_path / "t.xlsx", changed(0, 8, "glee")))
    lines = str(error.value).splitlines()
    assert lines[0].startswith("reading ")
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["expected", "found", "what to do"]
