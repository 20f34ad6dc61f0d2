"""Throw damaged and odd tables at every reader of tables: `python -m tools.fuzz_tables [INPUTS] [FIRST_SEED]`.

Each input is a whole table (AUs of every program, clip list, annotation table, fold file, faces.csv; as CSV in several
encodings, xlsx or xls) in which cells, bytes and XML are changed. A reader must give a whole result or an error of miex
that names the file. Inputs are read in a process that may take 2 GiB, so that one which ends it is found, too.
"""

from __future__ import annotations

import csv
import io
import random
import struct
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import xlsxwriter

from miex.aus.tracks import Credit, table_of, tracks_of
from miex.corpora.readers.casme2 import Casme2
from miex.corpora.readers.plain import Plain
from miex.errors import MiexError
from miex.evaluation.folds import persons
from miex.evaluation.folds import read_table as read_folds
from miex.extraction.csv_tables import FORMATS, import_csv
from miex.faces.credits import FaceCSV
from miex.tables.table import read_sheets
from tools.fuzzing import fuzz

Rows = list[list[object]]
ODD: tuple[str, ...] = (
    "", "nan", "-nan(ind)", "NA", "null", "None", "#N/A", "/", "-1", "−1", "2.0", "2,0", "1e999", "-0", "inf", "1_0",
    "½", "１２", "9" * 400, "2147483647", "30000000", "true", "2020-12-04", '"', ",", ";", "\t", "\n", "\r", "\0", "\\",
    "../x", "photos\\b.jpg", "Zoë", "Zoe\u0308", "\ufeff", "中文", "[[0.1, 0.2]]", "[", "=1/0", "sep=;", " ", "AU01_r",
    "frame", "-", "?",
)  # fmt: skip
BATCH = 2_000
MOST_MEMORY = 2 * 2**30


def _aus(luck: random.Random) -> Rows:
    known = luck.choice(FORMATS)
    first = [
        luck.choice(known.frame),
        luck.choice(known.face),
        luck.choice(known.confidence).partition("[")[0],
        "success",
    ]
    if any("[" in name for name in known.columns):
        header = [*first[:3], "action_units"]
        rows: Rows = [[i, 0, "[1, 2, 3, 4, 0.9]", f"[{[0.1 * k for k in range(8)]}]"] for i in range(4)]
    else:
        header = [*first, *known.columns]
        rows = [[i, 0, 0.9, 1, *(luck.random() for _ in known.columns)] for i in range(luck.randrange(1, 5))]
    if luck.random() < 0.2:
        header, rows = ["clip", *header], [[f"c{i % 2}", *row] for i, row in enumerate(rows)]
    return [list(header), *rows]


def _clips(luck: random.Random) -> Rows:
    header = ["subject", "clip", "emotion", "onset", "apex", "offset", "frames", "label", "aus", "kind"]
    return [list(header), *([f"s{i}", f"c{i}", "fear", 2, 5, 9, "", i % 3, "4+7", "micro"] for i in range(4))]


def _annotations(luck: random.Random) -> Rows:
    header = [
        "Subject",
        "Filename",
        "",
        "OnsetFrame",
        "ApexFrame",
        "OffsetFrame",
        "",
        "Action Units",
        "Estimated Emotion",
    ]
    return [list(header), *([f"{i:02d}", f"EP{i}", "", 46, 59, 86, "", "4+L10", "disgust"] for i in range(1, 5))]


def _folds(luck: random.Random) -> Rows:
    return [["sample_id", "fold"], *([f"s{i}", float(i % 2)] for i in range(4))]


def _faces(luck: random.Random) -> Rows:
    header = ["file", "licence", "attribution", "kind", "person_id"]
    return [list(header), *([f"photos\\{i}.jpg", "MIT", "Jo, A.", "real", f"p{i}"] for i in range(4))]


def _read_aus(path: Path) -> None:
    found = import_csv([path])
    for track in found.tracks:
        assert ((track.aus >= 0) & (track.aus <= 1) | np.isnan(track.aus)).all()
        assert (np.diff(track.frames) > 0).all()
    tracks_of(table_of(found.tracks, Credit()))


def _read_clips(path: Path) -> None:
    for clip in Plain("mine").read(path, on_error="collect").clips:
        assert clip.onset is None or clip.onset >= 0
        assert clip.onset is None or clip.apex is None or clip.onset < clip.apex


def _read_annotations(path: Path) -> None:
    for clip in Casme2().read(path, on_error="collect").clips:
        assert clip.onset is not None
        assert clip.onset >= 0


def _read_folds(path: Path) -> None:
    ids = [f"s{i}" for i in range(4)]
    found = read_folds(ids, persons(["mine"] * 4, ids), path)
    assert sorted(i for fold in found.folds for i in fold.test.tolist()) == list(range(4))


def _read_faces(path: Path) -> None:
    for facts in FaceCSV(path).rows().values():
        assert facts["file"]


def _read_sheets(path: Path) -> None:
    for sheet in read_sheets(path):
        for number, cells in sheet.rows:
            assert number > 0
            assert any(cells)


KINDS: tuple[tuple[Callable[[random.Random], Rows], Callable[[Path], None]], ...] = (
    (_aus, _read_aus), (_clips, _read_clips), (_annotations, _read_annotations), (_folds, _read_folds),
    (_faces, _read_faces),
)  # fmt: skip


def text(rows: Rows, luck: random.Random) -> bytes:
    """A CSV of some delimiter and encoding."""
    content = io.StringIO(newline="")
    csv.writer(content, delimiter=luck.choice(",,;\t"), lineterminator=luck.choice(["\n", "\r\n"])).writerows(rows)
    encoding = luck.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "gb18030", "cp1252", "utf-16-le", "utf-32"])
    return content.getvalue().encode(encoding, "replace")


def xlsx(rows: Rows) -> bytes:
    """A workbook with one sheet."""
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True, "nan_inf_to_errors": True}) as book:
        sheet = book.add_worksheet()
        for i, row in enumerate(rows):
            for j, cell in enumerate(row):
                sheet.write(i, j, cell)
    return content.getvalue()


def xls(rows: Rows, *, moved: tuple[int, int] = (0, 0), size: tuple[int, int] | None = None) -> bytes:
    """A workbook with one sheet as Excel 97 wrote it.

    Args:
        rows: numbers and text.
        moved: rows and columns by which the last cell stands farther away.
        size: rows and columns that the sheet claims to have.
    """

    def record(kind: int, data: bytes = b"") -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    begin = record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0010, 0, 0, 0, 0))
    name = record(0x0085, struct.pack("<IHBB", 0, 0, 5, 0) + b"Sheet")
    start = len(begin) + len(name) + 4
    name = record(0x0085, struct.pack("<IHBB", start, 0, 5, 0) + b"Sheet")
    height, width = size or (len(rows), max(map(len, rows), default=0))
    sheet = begin + record(0x0200, struct.pack("<IIHHH", 0, height, 0, width, 0))
    cells = [(i, j, cell) for i, row in enumerate(rows) for j, cell in enumerate(row) if cell not in ("", None)]
    for at, (i, j, cell) in enumerate(cells):
        if at == len(cells) - 1:
            i, j = i + moved[0], j + moved[1]
        if isinstance(cell, int | float):
            sheet += record(0x0203, struct.pack("<HHHd", i, j, 0, cell))
        else:
            written = str(cell)[:200].encode("utf-16-le")
            sheet += record(0x0204, struct.pack("<HHHHB", i, j, 0, len(written) // 2, 1) + written)
    stream = begin + name + record(0x000A) + sheet + record(0x000A)
    stream += bytes(max(4096, -(-len(stream) // 512) * 512) - len(stream))
    n = len(stream) // 512
    entries = [0xFFFFFFFD, 0xFFFFFFFE, *range(3, n + 2), 0xFFFFFFFE]
    fat = struct.pack("<128I", *(entries + [0xFFFFFFFF] * (128 - len(entries))))

    def entry(name: str, kind: int, first: int, length: int, child: int) -> bytes:
        written = name.encode("utf-16-le")
        tree = struct.pack("<HBBIII", len(written) + 2, kind, 1, 0xFFFFFFFF, 0xFFFFFFFF, child)
        return written.ljust(64, b"\0") + tree + bytes(36) + struct.pack("<IQ", first, length)

    folder = entry("Root Entry", 5, 0xFFFFFFFE, 0, 1) + entry("Workbook", 2, 2, len(stream), 0xFFFFFFFF) + bytes(256)
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    head += struct.pack("<109I", 0, *[0xFFFFFFFF] * 108)
    return head + fat + folder + stream


@cache
def _whole(kind: int, seed: int) -> bytes:
    return xlsx(KINDS[kind][0](random.Random(seed)))  # the slowest to make


def damaged(content: bytes, luck: random.Random, words: Sequence[bytes]) -> bytes:
    """Some bytes changed, cut, doubled or put in between."""
    changed = bytearray(content)
    for _ in range(luck.randrange(1, 6)):
        if not changed:
            break
        at = luck.randrange(len(changed))
        match luck.randrange(6):
            case 0:
                changed[at] = luck.randrange(256)
            case 1:
                del changed[at : at + luck.randrange(1, 30)]
            case 2:
                changed[at:at] = luck.choice(words)
            case 3:
                changed[at:at] = changed[: luck.randrange(60)]
            case 4:
                del changed[at:]
            case _:
                changed[at : at + 4] = struct.pack("<I", luck.choice([0, 1, 2, 0xFFFF, 2**31, 2**32 - 2, len(changed)]))
    return bytes(changed)


def _damaged_xlsx(content: bytes, luck: random.Random) -> bytes:
    words = [
        b'r="XFD1048576"', b'<c r="XFD1048576"><v>1</v></c>', b"<v>", b"&lt;", b"&a;", b'uniqueCount="99999999999"',
        b'<!DOCTYPE x [<!ENTITY a "b">]>', b'<mergeCell ref="A1:XFD1048576"/>', b"1e999", b"-1", b'"',
    ]  # fmt: skip
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as archive,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, True, 1) as new,
    ):
        names = archive.namelist()
        chosen = luck.choice([name for name in names if "sheet" in name.lower() or "shared" in name.lower()])
        for name in names:
            part = archive.read(name)
            if name == chosen:
                for _ in range(luck.randrange(1, 4)):
                    if luck.random() < 0.6:  # between two elements, or in one
                        ends = [i for i in range(len(part)) if part[i : i + 1] in (b">", b" ")]
                        at = (luck.choice(ends) + 1) if ends else 0
                        part = part[:at] + luck.choice(words) + part[at:]
                    else:
                        part = damaged(part, luck, words)
            new.writestr(name, part)
    return out.getvalue()


def make(seed: int) -> tuple[bytes, Callable[[Path], None], str]:
    """The input of a seed, who is to read it, and what it is."""
    luck = random.Random(seed)
    kind = luck.randrange(len(KINDS))
    rows = KINDS[kind][0](luck)
    for _ in range(luck.randrange(4)):
        row = luck.choice(rows)
        row[luck.randrange(len(row))] = luck.choice(ODD)
    if luck.random() < 0.1:
        rows.insert(luck.randrange(len(rows)), [luck.choice(ODD)] * luck.randrange(3))
    reader = _read_sheets if luck.random() < 0.1 else KINDS[kind][1]
    form = luck.choices(("csv", "xlsx", "xls"), (6, 2, 2))[0]
    if form == "csv":
        content = text(rows, luck)
        if luck.random() < 0.7:
            content = damaged(content, luck, [word.encode() for word in ODD])
    elif form == "xlsx":
        content = _whole(kind, luck.randrange(8))
        content = damaged(content, luck, [b"PK"]) if luck.random() < 0.3 else _damaged_xlsx(content, luck)
    else:
        far = luck.choices([(0, 0), (60_000, 0), (0, 60_000), (60_000, 60_000)], (92, 2, 3, 3))[0]
        size = luck.choice([None, None, (2**31, 60_000), (0, 0)])
        content = xls(rows, moved=far, size=size)
        if luck.random() < 0.7:
            content = damaged(content, luck, [b"\x09\x08", b"\x0a\x00", b"\x00\x02"])
    return content, reader, f"{KINDS[kind][0].__name__[1:]} {form}"


def taken(content: bytes, reader: Callable[[Path], None], path: Path) -> str:
    """How a table, written to that path, was taken: read, refused, or what went wrong."""
    path.write_bytes(content)
    try:
        reader(path)
    except MiexError as error:
        return "refused" if path.stem in str(error) else f"no file named: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "read"


def judge(seed: int, path: Path) -> tuple[str, str]:
    """What the input of a seed is, and how it was taken."""
    content, reader, what = make(seed)
    return what, taken(content, reader, path)


def _in_a_folder(seed: int) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        return judge(seed, Path(folder) / "fuzzed.csv")


if __name__ == "__main__":
    fuzz("tools.fuzz_tables", _in_a_folder, inputs=100_000, batch=BATCH, memory=MOST_MEMORY)
