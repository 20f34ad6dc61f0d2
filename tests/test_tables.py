"""Tables as people save them: what their cells say, in which encodings and forms they come, how large they may be."""

from __future__ import annotations

import io
import re
import struct
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xlsxwriter
from tools.fuzz_tables import KINDS, judge, text, xls, xlsx

from miex.aus.vector import AU_NUMBERS
from miex.corpora.corpus import Reading
from miex.corpora.readers.compmie import read_ground_truth
from miex.corpora.readers.plain import Plain
from miex.errors import InputError
from miex.evaluation.folds import Protocol
from miex.evaluation.folds import read_table as read_folds
from miex.extraction.csv_tables import Imported, import_csv
from miex.faces.credits import FaceCSV
from miex.tables.cells import missing, number, numbers, path_in, whole
from miex.tables.table import Columns, read_sheets, read_table
from miex.tables.written import csv_text

ROWS: list[list[object]] = [["Name", "n"], ["Zoë", 2], ["b; c", 2.5], ["d", ""]]
CELLS = [("Name", "n"), ("Zoë", "2"), ("b; c", "2.5"), ("d", "")]


def cells(path: Path) -> list[tuple[str, ...]]:
    (sheet,) = read_sheets(path)
    return [row for _, row in sheet.rows]


@pytest.mark.parametrize(
    "said",
    ["", " ", "nan", "NaN", "-nan", "-nan(ind)", "nan(0x1)", "-1.#IND", "1.#QNAN0", "NA", "N/A", "#N/A", "<NA>", "null",
     "None", "NaT", "\\N"],
)  # fmt: skip
def test_nothing_is_written_in_many_ways(said: str) -> None:
    assert missing(said)
    assert number(said) is whole(said) is None
    assert numbers(said) == []


@pytest.mark.parametrize(
    ("said", "value"),
    [("2", 2), ("2.0", 2), (" 2,0", 2), ("-1", -1), ("−1", -1), ("１２", 12), ("1e3", 1000), ("+7.", 7), ("-0", 0)],
)
def test_whole_numbers_are_written_in_many_ways(said: str, value: int) -> None:
    assert whole(said) == value
    assert number(said) == value


@pytest.mark.parametrize(
    "said", ["/", "-", "inf", "1e999", "1_000", "1.2.3", "1,2,3", "1 2", "0x10", "two", "½", "--1"]
)
def test_what_is_no_number(said: str) -> None:
    assert not missing(said)
    for read in (number, whole):
        with pytest.raises(ValueError, match=r".*"):
            read(said)


def test_half_a_number_is_not_whole() -> None:
    assert number("0,98") == number(".98") == 0.98
    for said in ("0,98", "1e17"):
        with pytest.raises(ValueError, match=said):
            whole(said)


@pytest.mark.parametrize("said", ["1,000", "1.000", " 12,345 ", "-1.000", "１,000"])
def test_one_or_a_thousand_is_not_whole(tmp_path: Path, said: str) -> None:
    with pytest.raises(ValueError, match=said.strip()[-3:]):
        whole(said)
    assert whole("0.000") == 0
    assert whole("1000.000") == 1000
    assert number("1.125") == 1.125
    path = tmp_path / "t.csv"
    path.write_text(f"sample_id;fold;subject;clip;emotion;onset\na;{said};1;a;fear;{said}\n", "utf-8")
    with pytest.raises(InputError, match=r"(?s)t\.csv, row 2, column onset.*without a separator"):
        Plain("mine").read(path)
    with pytest.raises(InputError, match=r"(?s)t\.csv, row 2, column fold.*without a separator"):
        read_folds(["a"], np.array(["mine/1"]), path)
    aus = [f"AU{au:02d}_r" for au in AU_NUMBERS]
    path.write_text(";".join(["frame", *aus]) + "\n" + ";".join([said, *["0"] * len(aus)]), "utf-8")
    with pytest.raises(InputError, match=r"(?s)t\.csv, row 2.*frame = .*without a separator"):
        import_csv([path])


def test_lists_in_cells() -> None:
    assert numbers("[[0.5, 1e-2], [3]]") == [0.5, 0.01, 3]
    for said in ("[0.1, nan]", "[a]"):
        with pytest.raises(ValueError, match=r"nan|a"):
            numbers(said)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_delimiters(tmp_path: Path, encoding: str, sign: str, end: str) -> None:
    path = tmp_path / "t.csv"
    lines = [["Name", "n"], ["Zoë", "2"], ['"b; c"', "2.5"], ["d", ""]]
    path.write_bytes(end.join(sign.join(line) for line in lines).encode(encoding))
    assert cells(path) == CELLS


def test_chinese_and_accents_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for written, encoding in (("姓名,厌恶\n李明,快乐\n", "gb18030"), ("Müller,Größe\nÅse,Prénom\n", "cp1252")):
        path.write_bytes(written.encode(encoding))
        assert cells(path) == [tuple(line.split(",")) for line in written.split()]


def test_decimal_commas_do_not_count_as_delimiters(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b;c\n" + "0,5;1,5;2,5\n" * 50)
    assert cells(path)[1] == ("0,5", "1,5", "2,5")
    path.write_text("sep=|\na|b\n1|2;3;4\n")
    assert cells(path) == [("a", "b"), ("1", "2;3;4")]


@pytest.mark.parametrize("form", ["xlsx", "xls"])
def test_a_workbook_says_the_same_as_a_csv(tmp_path: Path, form: str) -> None:
    path = tmp_path / "t.csv"  # what it is, its content says
    path.write_bytes({"xlsx": xlsx, "xls": xls}[form](ROWS))
    assert cells(path) == CELLS


LARGE = {
    "a far row and column": (xls(ROWS, moved=(60_000, 200)), r"row 60,004, column 201"),
    "a claimed size": (xls(ROWS, size=(2**31, 2)), r"2,147,483,648 rows"),
    "a column that xls has not": (xls(ROWS, moved=(60_000, 60_000)), r"column 60,001"),
}


@pytest.mark.parametrize("what", LARGE)
def test_sizes_of_an_old_workbook_are_looked_at_first(tmp_path: Path, what: str) -> None:
    content, found = LARGE[what]
    (tmp_path / "t.xls").write_bytes(content)
    with pytest.raises(InputError, match=rf"(?s)t\.xls.*10,000,000 cells.*{found}"):
        read_sheets(tmp_path / "t.xls")


def test_two_far_cells_of_a_spreadsheet_are_refused(tmp_path: Path) -> None:
    """Laid out in memory they would take 512 GiB."""
    import xlsxwriter

    path = tmp_path / "t.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, 1)
        sheet.write(2**20 - 1, 2**14 - 1, 1)
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match=r"(?s)t\.xlsx.*10,000,000 cells.*row 1,048,576, column 16,384"):
        read_sheets(path)


def test_chains_without_end_are_refused(tmp_path: Path) -> None:
    """calamine follows them until the memory is full."""
    content = bytearray(xls(ROWS))
    for sector in (1, 2):  # directory, workbook: each follows itself
        endless = content.copy()
        struct.pack_into("<I", endless, 512 + 4 * sector, sector)
        (tmp_path / "t.xls").write_bytes(endless)
        with pytest.raises(InputError, match=r"(?s)t\.xls.*without end"):
            read_sheets(tmp_path / "t.xls")


def test_a_row_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for content in (b"1," * (2**21 + 1), b'"\n",' * (2**20 + 1)):
        path.write_bytes(b"a\n" + content)
        with pytest.raises(InputError, match=r"(?s)t\.csv.*row 2: more than 4,194,304 characters"):
            cells(path)


def test_a_comma_too_many_moves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2,\n1,2,3\n")
    names = {"a": ("a",), "b": ("b",)}
    assert [row.cells for row in read_table(path, Columns(names, needed=("a",)))] == [{"a": "1", "b": "2"}] * 2
    with pytest.raises(InputError, match=r"row 3\n.*2 cells.*\n.*1 \| 2 \| 3"):
        read_table(path, Columns(names, needed=("a",), even=True))


def test_names_of_columns_may_be_in_any_script(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("备注,被试\nx,1\n", "utf-8")
    (row,) = read_table(path, Columns({"subject": ("被试",)}, needed=("subject",)))
    assert row.text("subject") == "1"


def test_paths_from_other_systems(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    there = tmp_path / "a" / unicodedata.normalize("NFD", "Zoë.jpg")
    there.touch()
    for name in ("a/Zoë.jpg", "a\\Zoë.jpg", unicodedata.normalize("NFD", "a\\Zoë.jpg")):
        assert path_in(tmp_path, name) == there
    for name in ("a\\no.jpg", "x" * 5000, "\0"):
        assert path_in(tmp_path, name) is None


@pytest.mark.parametrize("first", range(0, 300, 100))
def test_no_table_ends_a_reader(tmp_path: Path, first: int) -> None:
    """`python -m tools.fuzz_tables` reads more of them, within bounds of memory."""
    taken = {judge(seed, tmp_path / "fuzzed.csv")[1] for seed in range(first, first + 100)}
    assert taken == {"read", "refused"}


def test_fuzzing_begins_with_whole_tables(tmp_path: Path) -> None:
    import random

    for rows, reader in KINDS:
        luck = random.Random(1)
        for content in (text(rows(luck), luck), xlsx(rows(luck)), xls(rows(luck))):
            (tmp_path / "whole.csv").write_bytes(content)
            reader(tmp_path / "whole.csv")


@pytest.mark.parametrize(
    ("part", "old", "new", "found"),
    [
        ("xl/sharedStrings.xml", b'uniqueCount="', b'uniqueCount="99999999999', "texts in"),
        ("xl/sharedStrings.xml", b"<sst", b'<!DOCTYPE a [<!ENTITY b "c">]><sst', "a document type"),
        ("xl/worksheets/sheet1.xml", b'r="A2"', b'r="XFD1048576"', "row 1,048,576, column 16,384"),
        ("xl/worksheets/sheet1.xml", b'<row r="2"', b'<row r="99999999"', "row 99,999,999"),
    ],
)
def test_what_a_spreadsheet_claims_is_looked_at_first(
    tmp_path: Path, part: str, old: bytes, new: bytes, found: str
) -> None:
    path = tmp_path / "t.xlsx"
    with zipfile.ZipFile(io.BytesIO(xlsx(ROWS))) as sound, zipfile.ZipFile(path, "w") as claiming:
        for name in sound.namelist():
            content = sound.read(name)
            if name == part:
                assert old in content
                content = content.replace(b' r="A2"', b"") if b"row" in old else content
                content = content.replace(old, new, 1)
            claiming.writestr(name, content)
    with pytest.raises(InputError, match=rf"(?s)t\.xlsx.*{found}"):
        read_sheets(path)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ('s1,a,happiness,"blink\ns1,b,disgust,\ns2,c,surprise,\n', 2),  # never closed
        ('s1,a,happiness,"blink\ns1,b,disgust,\ns2,c,surprise,"twice"\n', 2),  # closed by one that opens a cell
        ('s1,a,happiness,\ns1,b,disgust,"blink\ns2,c,surprise,\ns2,d,fear,ok"\n', 3),
        ('s1,"a,happiness,x\ns1,b",disgust,\ns2,c,surprise,\n', 2),
    ],
)
@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_an_open_quote_swallows_no_rows(tmp_path: Path, text: str, row: int, sign: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(("subject,clip,emotion,notes\n" + text).replace(",", sign))
    with pytest.raises(InputError, match=rf"(?s)t\.csv.*row {row}: a quote.*close the quote"):
        cells(path)


def test_quoted_cells_may_have_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('subject,clip,"emo\ntion"\ns1,"a, b\nc ""d"" e",fear\ns2,"[[1, 2, 3],\n [4, 5, 6]]",5" off\n')
    assert cells(path) == [
        ("subject", "clip", "emo\ntion"), ("s1", 'a, b\nc "d" e', "fear"), ("s2", "[[1, 2, 3],\n [4, 5, 6]]", '5" off'),
    ]  # fmt: skip


def several_sheets(path: Path, rows: list[list[object]], hidden: tuple[str, ...] = ()) -> Path:
    """A workbook with the rows in sheets `old` and `new`."""
    with xlsxwriter.Workbook(path) as book:
        for name in ("old", "new"):
            sheet = book.add_worksheet(name)
            for i, row in enumerate(rows):
                sheet.write_row(i, 0, [*row, name] if i else row)
            if name == "new":
                sheet.activate()
            if name in hidden:
                sheet.hide()
    return path


AU_COLUMNS = [f"AU{au:02d}_r" for au in AU_NUMBERS]


@pytest.mark.parametrize(
    ("rows", "read"),
    [
        ([["subject", "clip", "emotion"], ["1", "a"]], Plain("mine").read),
        ([["sample_id", "fold"], ["a"]], lambda path: read_folds(["a"], np.array(["mine/1"]), path)),
        ([["file", "licence"], ["a.jpg"]], lambda path: FaceCSV(path).rows()),
        ([["data", "subject", "clip", "label"], ["samm", "6", "a", 1]], read_ground_truth),
        ([["frame", *AU_COLUMNS], [1, *[0] * 17]], lambda path: import_csv([path])),
    ],
)
def test_of_several_sheets_none_is_taken_in_silence(
    tmp_path: Path, rows: list[list[object]], read: Callable[[Path], object]
) -> None:
    with pytest.raises(InputError, match=r"(?s)t\.xlsx.*one sheet.*sheets old, new.*hide"):
        read(several_sheets(tmp_path / "t.xlsx", rows))
    hidden = several_sheets(tmp_path / "hidden.xlsx", rows, hidden=("old",))
    (sheet,) = read_sheets(hidden)
    assert sheet.name == "new"
    assert read(hidden)


@pytest.mark.parametrize("face", ["face_id", "face"])
def test_a_film_without_its_frame_column_is_no_image(tmp_path: Path, face: str) -> None:
    path = tmp_path / "t.csv"

    def written(faces: list[int]) -> Path:
        rows = [[face, *AU_COLUMNS], *([str(number), *["1"] * 17] for number in faces)]
        path.write_text("\n".join(map(",".join, rows)))
        return path

    with pytest.raises(InputError, match=r"(?s)t\.csv.*a column frame.*3 rows of face 0.*add the column frame"):
        import_csv([written([0, 0, 0])])
    assert import_csv([written([0, 1, 2])]).frames == 1


@pytest.mark.parametrize(
    ("text", "column", "read"),
    [
        ("subject,clip,emotion,Emotion\n1,a,fear,joy\n", "emotion", Plain("mine").read),
        ("subject,onset,clip,emotion,onset\n1,2,a,fear,3\n", "onset", Plain("mine").read),
        ("sample_id,fold,fold\na,1,2\n", "fold", lambda path: read_folds(["a"], np.array(["mine/1"]), path)),
        ("file,licence,licence\na.jpg,MIT,CC0\n", "licence", lambda path: FaceCSV(path).rows()),
        ("data,subject,clip,label,label\nsamm,6,a,1,2\n", "label", read_ground_truth),
    ],
)
def test_a_column_that_stands_twice_is_refused(
    tmp_path: Path, text: str, column: str, read: Callable[[Path], object]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"(?s)t\.csv.*one column {column}.*found: 2.*delete or rename"):
        read(path)


READERS: list[tuple[str, Callable[[Path], object]]] = [
    ("subject,clip,emotion\n1,a,fear\n", Plain("mine").read),
    ("sample_id,fold\na,1\n", lambda path: read_folds(["a"], np.array(["mine/1"]), path)),
    ("file,licence\na.jpg,MIT\n", lambda path: FaceCSV(path).rows()),
    ("data,subject,clip,label\nsamm,6,a,1\n", read_ground_truth),
    (f"frame,{','.join(AU_COLUMNS)}\n1{',1' * 17}\n", lambda path: import_csv([path])),
]


@pytest.mark.parametrize(("text", "read"), READERS)
def test_comments_and_sums_are_named(tmp_path: Path, text: str, read: Callable[[Path], object]) -> None:
    """They are no data, and nothing is left out of a table by how it looks."""
    path = tmp_path / "t.csv"
    path.write_text(text)
    read(path)
    sign = text.splitlines()[0].count(",")
    for row, said, do in (
        ("# to do: ask", "a comment: '# to do", "take the # away"), ("Total", "a sum: 'Total'", "delete this row"),
        ("Grand total: 12", "a sum: 'Grand total: 12'", "delete this row"),
    ):  # fmt: skip
        path.write_text(text + row + "," * sign + "\n")
        with pytest.raises(InputError, match=rf"(?s)t\.csv, row 3.*a row of data.*{re.escape(said)}.*{do}"):
            read(path)


def test_comments_and_sums_of_a_corpus_are_broken_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("subject,clip,emotion\n#1,a,fear\n# 2,a,fear\n3,mean,fear\nMean,,\n4,a,fear\n")
    found = Plain("mine").read(path, on_error="collect")
    assert [clip.subject for clip in found.clips] == ["#1", "3", "4"]
    assert [str(problem).split("row ")[1][0] for problem in found.problems] == ["3", "5"]


@pytest.mark.parametrize("above", ["AUs of my clips\n", "made by OpenFace,2.2.0\n", "# a comment\n\nanother,,\n"])
@pytest.mark.parametrize(("text", "read"), READERS)
def test_titles_above_the_header(tmp_path: Path, above: str, text: str, read: Callable[[Path], object]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    expected = read(path)
    path.write_text(above + text)
    found = read(path)
    if isinstance(expected, Reading):
        assert isinstance(found, Reading)
        assert len(found.clips) == len(expected.clips) == 1
    elif isinstance(expected, Imported):
        assert isinstance(found, Imported)
        assert np.array_equal(found.tracks[0].aus, expected.tracks[0].aus)
    elif isinstance(expected, Protocol):
        assert isinstance(found, Protocol)
        assert found.digest == expected.digest
    else:
        assert found == expected


@pytest.mark.parametrize("ends", [("", ","), (",", ""), (",", ",")])
@pytest.mark.parametrize(("text", "read"), READERS)
def test_delimiters_at_the_ends_of_lines(
    tmp_path: Path, ends: tuple[str, str], text: str, read: Callable[[Path], object]
) -> None:
    path = tmp_path / "t.csv"
    header, row = text.splitlines()
    path.write_text(f"{header}{ends[0]}\n{row}{ends[1]}\n")
    assert read(path)
    if header.startswith("frame"):  # one that was cut off is still seen
        path.write_text(f"{header}{ends[0]}\n{row.rpartition(',')[0]}\n")
        with pytest.raises(InputError, match="18 cells"):
            read(path)


def with_formula(path: Path, cell: str, form: str) -> Path:
    """A workbook in which the value of a cell is replaced by a formula without one, as openpyxl writes it."""
    whole = path.with_name("whole.xlsx")
    xlsx_of = [["subject", "clip", "emotion", "onset", "remark"], ["1", "a", "fear", 1, 2]]
    with xlsxwriter.Workbook(whole) as book:
        sheet = book.add_worksheet()
        for i, row in enumerate(xlsx_of):
            sheet.write_row(i, 0, row)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            part = old.read(entry)
            if entry.filename.endswith("sheet1.xml"):
                part, n = re.subn(rb'<c r="%s"><v>.*?</v></c>' % cell.encode(), form.encode(), part)
                assert n == 1
            new.writestr(entry.filename, part)
    return path


@pytest.mark.parametrize(
    "form",
    ['<c r="D2"><f>A2+1</f></c>', '<c r="D2"><f>A2+1</f><v></v></c>', '<c r="D2" t="n"><f>A2+1</f><v/></c>',
     '<c t="str" r="D2"><f t="shared" si="0"/></c>', '<c r="D2" t="b"><f>A2</f><v> </v></c>'],
)  # fmt: skip
def test_a_formula_without_its_value_is_said(tmp_path: Path, form: str) -> None:
    path = with_formula(tmp_path / "t.xlsx", "D2", form)
    with pytest.raises(
        InputError, match=r"(?s)t\.xlsx, sheet Sheet1, row 2, column onset.*formula without a saved value.*save it"
    ):
        Plain("mine").read(path)
    saved = with_formula(tmp_path / "saved.xlsx", "D2", '<c r="D2"><f>A2+1</f><v>2</v></c>')
    assert [clip.onset for clip in Plain("mine").read(saved).clips] == [1]
    unread = with_formula(tmp_path / "unread.xlsx", "E2", '<c r="E2"><f>A2+1</f></c>')
    assert len(Plain("mine").read(unread).clips) == 1


def test_a_formula_without_its_value_is_no_au(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["frame", *AU_COLUMNS])
        sheet.write_row(1, 0, [1, *[1] * 16])
        sheet.write_formula(1, 17, "=A2", value="")
    with pytest.raises(InputError, match=rf"(?s)t\.xlsx.*row 2, column {AU_COLUMNS[-1]}.*without a saved value"):
        import_csv([path])


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<a/>"}, "OpenDocument"),
        ({"xl/workbook.bin": "x"}, "xlsb"), ({"Index/Document.iwa": "x"}, "Numbers"), ({"a.csv": "x"}, "ZIP archive"),
    ],
)  # fmt: skip
def test_other_spreadsheets_are_named(tmp_path: Path, entries: dict[str, str], found: str) -> None:
    path = tmp_path / "clips.ods"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match=rf"(?s)clips\.ods.*found: .*{found}.*save or export the table as xlsx or CSV"):
        read_sheets(path)
    with pytest.raises(InputError, match=r"save clips\.ods as xlsx or CSV"):
        Plain("mine").read(tmp_path)


@pytest.mark.parametrize("below", [["subject", "clip", "emotion"], ["", "", ""]])
def test_a_header_of_two_rows(tmp_path: Path, below: list[str]) -> None:
    path = tmp_path / "t.csv"
    heads = [["subject", "clip", "emotion", "frames of the event", "", ""], [*below, "onset", "apex", "offset"]]
    path.write_text("\n".join(map(",".join, [*heads, ["1", "a", "fear", "2", "5", "9"]])))
    (clip,) = Plain("mine").read(path).clips
    assert (clip.clip, clip.onset, clip.apex, clip.offset) == ("a", 1, 4, 8)


@pytest.mark.parametrize("said", ["nan", "NA", "null", "none"])
def test_no_name_is_no_value(tmp_path: Path, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"subject,clip,emotion\n{said},a,fear\n1,{said},fear\n1,c,{said}\n")
    found = Plain("mine").read(path, on_error="collect")
    assert [(clip.clip, clip.emotion, clip.label) for clip in found.clips] == [("c", "", None)]
    for problem, where in zip(found.problems, ("row 2, column subject", "row 3, column clip"), strict=True):
        assert where in str(problem)
        assert repr(said) in str(problem)


@pytest.mark.parametrize(
    ("one", "other", "column"),
    [("licence", "license", "licence"), ("attribution", "author", "attribution"), ("credit", "author", "attribution")],
)
def test_two_columns_of_one_thing_are_not_chosen_from(tmp_path: Path, one: str, other: str, column: str) -> None:
    path = tmp_path / "faces.csv"
    path.write_text(f"file,{one},{other}\na.jpg,MIT,\nb.jpg,,CC0\n")
    with pytest.raises(InputError, match=rf"(?s)faces\.csv.*one column of {column}.*{one} and {other}.*faces_column"):
        FaceCSV(path).rows()
    assert [row[column] for row in FaceCSV(path, {column: other}).rows().values()] == ["", "CC0"]
    for cells in ("MIT,", ",MIT", "NA,MIT"):
        path.write_text(f"file,{one},{other}\na.jpg,{cells}\n")
        assert [row[column] for row in FaceCSV(path).rows().values()] == ["MIT"]


def test_persons_by_number(tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    path.write_text("file,person_id\na,1.0\nb,1\nc,01\nd,12.0\ne,p1.0\nf,nan\ng,10\n")
    assert [row["person"] for row in FaceCSV(path).rows().values()] == ["1", "1", "01", "12", "p1.0", "", "10"]


@pytest.mark.parametrize(
    ("said", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"), ("@sum", "'@sum"), ("-1+2|cmd", "'-1+2|cmd"), (" =1", "' =1"),
        ("'=1", "''=1"), ("-1.5e-3", "-1.5e-3"), ("+4", "+4"), ("it's", "it's"), ("'tis", "'tis"),
        ("a\x1b[2Jb", r"a\u001b[2Jb"), ("a\x00\u202eb", r"a\u0000\u202eb"), (r"a\u00e4b", r"a\u00e4b"),
        ("=\x7f1", r"'=\u007f1"), (r"a\u0041", r"a\u0041"),
    ],
)  # fmt: skip
def test_no_cell_that_is_written_is_a_formula(tmp_path: Path, said: str, cell: str) -> None:
    """As OWASP advises; what miex wrote it reads as it was."""
    written = csv_text(["name", "other"], [[said, 1]])
    assert written == f"name,other\n{cell},1\n"
    (tmp_path / "t.csv").write_text(written)
    rows = read_table(tmp_path / "t.csv", Columns({"name": ("name",), "other": ("other",)}, ("name",)))
    assert [row.cells["name"] for row in rows] == [said.strip()]


def test_a_column_that_is_written_commands_no_terminal() -> None:
    assert csv_text(["a\x1b"], [["b\r\x9b"]]) == "a\\u001b\nb\\u000d\\u009b\n"
