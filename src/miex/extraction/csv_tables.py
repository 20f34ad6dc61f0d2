"""Read AU tables of other programs: OpenFace, py-feat and LibreFace, told apart by their columns."""

from __future__ import annotations

import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import Final

import numpy as np

from miex.aus.tracks import Track
from miex.aus.vector import AU_INDEX, AU_NUMBERS, N_AUS
from miex.errors import InputError, ScaleError, UsageError
from miex.tables.cells import in_thousands, missing, number, numbers, whole
from miex.tables.table import SUFFIXES, Sheet, flaw, is_stray, normal, read_sheets
from miex.tables.text import HEAD_LINES

CLIP_COLUMN = "clip"  # in a file of several clips
MOST_ABSENT: Final = 100_000  # frames that a table leaves out: 8 minutes at 200 frames per second
_MOST_CONFIDENCE = 1.1  # some detectors go a little above 1
_TRUTH = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class Format:
    """How a program writes AUs.

    Attributes:
        name: of the program.
        columns: the AU of each column; `name[k]` is number k, from 0, of those in a cell that holds a list.
        top: largest value of its scale.
        optional: columns that need not be there; of the others all must, and any more may.
        frame, confidence, success, face: names of these columns; of several the first that is there.
        first: number of a video's first frame, where the program always gives the same.
        omits: whether frames without a face have no row.
        ghosts: whether a frame may have several rows of one face, of which the surest is taken.
        note: what its numbers are.
    """

    name: str
    columns: Mapping[str, int]
    top: float
    optional: tuple[str, ...] = ()
    frame: tuple[str, ...] = ("frame",)
    confidence: tuple[str, ...] = ("confidence",)
    success: tuple[str, ...] = ("success",)
    face: tuple[str, ...] = ("face_id", "face")
    first: int | None = None
    omits: bool = False
    ghosts: bool = False
    note: str = ""


# OpenFace: TadasBaltrusaitis/OpenFace, wiki page Output Format. The tables of OpenFace 0.x, such as the CLNF_AUs.txt of
# DAIC-WOZ, have no intensity of AU 7, 23 and 45.
# OpenFace 3: CMU-MultiComp-Lab/OpenFace-3.0, the package openface-test 0.1.26, openface/demo.py. A cell `action_units`
# holds [[…]], eight numbers without names; their AUs are those of the repository's demo2.py (commit 662a555), which are
# also those that its training takes from DISFA. A frame without a face has a row of empty cells. The AUs of a frame
# with several faces are those of the surest one, in the row of each.
# LibreFace: ihp-lab/LibreFace, the package libreface 0.2.0, libreface/__init__.py, utils.py and
# AU_Recognition/inference.py. Frames without a face are dropped from its tables. Columns au_1, au_2 … beside the
# intensities say whether an AU is there, by another head of the network.
# py-feat: cosanlab/py-feat, feat/detector.py and detector_v2.py (commit 5d235ef): a row for each face of a frame, with
# empty AUs where there is none; since 0.7 the column Identity says whose face it is.
FORMATS = (
    Format(
        "openface", {f"AU{au:02d}_r": au for au in AU_NUMBERS}, 5, optional=("AU07_r", "AU23_r", "AU45_r"),
        note="intensities, 0 to 5; OpenFace 0.x gives none of AU 7, 23, 45",
    ),
    Format(
        "openface3",
        {f"action_units[{k}]": au for k, au in enumerate((1, 2, 4, 6, 9, 12, 25, 26))},
        1,
        frame=("frame_index", "frame"),
        confidence=("face_detection[4]",),
        first=0,
        note="probabilities of presence, 0 to 1, of 8 AUs, taken for intensities",
    ),
    Format(
        "libreface",
        {f"au_{au}_intensity": au for au in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)},
        5,
        frame=("frame_idx", "frame"),
        first=0,
        omits=True,
        note="intensities, 0 to 5, of 12 AUs; it gives no intensity of AU 7, 10, 14, 23, 45",
    ),
    Format(
        "py-feat",
        {f"AU{au:02d}": au for au in AU_NUMBERS if au != 45} | {"AU43": 45},
        1,
        confidence=("FaceScore",),
        face=("Identity",),
        ghosts=True,
        note="probabilities of presence, 0 to 1, taken for intensities; AU 43 (eyes closed) stands for 45",
    ),
)  # fmt: skip


@dataclass
class Imported:
    """The result of an import.

    Attributes:
        tracks: one for each clip.
        format: name of the program.
        files: how many were read.
        frames, failed: rows of the chosen faces, and how many of them the program failed on.
        several_faces: clips with more than one face; the one seen in most frames was taken.
        unseen_aus: AUs that no table gives.
        passed_over: files of a folder that are no AU tables.
    """

    tracks: list[Track] = field(default_factory=list)
    format: str = ""
    files: int = 0
    frames: int = 0
    failed: int = 0
    several_faces: list[str] = field(default_factory=list)
    unseen_aus: list[int] = field(default_factory=list)
    passed_over: list[Path] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"{len(self.tracks):,} clips, {self.frames:,} frames ({self.failed:,} failed) of {self.format}"


@dataclass(frozen=True)
class _Row:
    where: str  # file, sheet and row, for messages
    frame: int | None
    face: str | None  # None: no face in this frame
    confidence: float
    aus: np.ndarray | None  # None: failed


def import_csv(
    paths: Sequence[Path],
    *,
    format_name: str | None = None,
    version: str = "",
    first_frame: int | None = None,
    scale: float | None = None,
    min_confidence: float = 0.0,
    single: bool = False,
) -> Imported:
    """AU tracks of tables (CSV, TSV, xlsx), or of folders that hold them.

    A file is one clip, or several where it has a column `clip`. A clip is named by the path of its file below the
    folder that was given, without suffix; `sub01/EP02/EP02.csv` is `sub01/EP02`. Files without frame numbers are those
    of single images (OpenFace's FaceLandmarkImg): all in one folder are one clip, in the order of the numbers in their
    names; a file of that kind without rows is a frame where no face was found. Of a folder, names that begin with a dot
    are left out; files that cannot be read, are empty or do not have all AU columns of a program are passed over if
    others are AU tables.

    Where a file holds several faces (FaceLandmarkVidMulti, py-feat with Identity), the one that was seen in most frames
    is taken, of equals the one of higher confidence; of several rows of py-feat for one frame that of the higher
    FaceScore. Rows without success, below `min_confidence`, or with AU cells that are empty or say nan, NA or null are
    failed frames.

    Args:
        paths: files and folders.
        format_name: openface, openface3, libreface or py-feat; by default recognized by the columns.
        version: of the program, recorded.
        first_frame: the number of a clip's first frame, 0 or 1; by default what the program gives, or 0 where the
            file has a frame 0, else 1.
        scale: largest value of the file's AU scale, where it is not the program's own (5; 1 for py-feat, openface3).
        min_confidence: rows below it are failed frames.
        single: whether images without frame numbers have nothing to do with each other: each file is a clip then.

    Raises:
        UsageError: no such format, or a scale that is not above 0.
        InputError: no files; a missing column; a cell that is no number; a frame twice; more than 100,000 frames left
            out. It names file, row and value.
        ScaleError: an AU outside the scale, or a confidence outside [0, 1].
    """
    known = {known_format.name: known_format for known_format in FORMATS}
    if format_name is not None and format_name not in known:
        raise UsageError(f"AU tables of {format_name!r}", expected="one of " + ", ".join(known))
    if scale is not None and not 0 < scale < math.inf:
        raise UsageError(f"`scale` {scale:g}", expected="the largest value of the AU scale, above 0")
    chosen = known[format_name] if format_name else None
    result = Imported()
    clips: dict[str, list[_Row]] = {}
    images: dict[str, list[tuple[Path, list[_Row]]]] = defaultdict(list)
    empty: set[Path] = set()
    stray: _StrayError | None = None
    for name, path, given in _files(paths):
        try:
            found = _read(path, chosen, scale)
        except _StrayError as error:
            if given:
                raise
            stray = error if stray is None or (error.partly and not stray.partly) else stray
            result.passed_over.append(path)
            continue
        result.files += 1
        if found is None:  # nothing in it at all: the frame of a folder of images where no face was found
            images[name if single else _parent(name)].append((path, []))
            if not given:
                empty.add(path)
            continue
        chosen, rows_of, numbered = found
        if not numbered:
            images[name if single else _parent(name)].append((path, rows_of.get("", [])))
            continue
        for inner, rows in rows_of.items():
            clip = inner or name
            if clip in clips:
                raise InputError(f"AU table {path}", expected="each clip once", found=f"clip {clip} more than once")
            clips[clip] = rows
    if chosen is None or not (clips or images):
        if stray is not None:
            raise stray
        first = next(iter(images.values()))[0][0]
        raise InputError(
            f"AU table {first}", expected="a header and rows", found="an empty file", do="extract it again"
        )
    for clip, files in images.items():
        if clips and not single and all(path in empty for path, _ in files):
            result.passed_over += [path for path, _ in files]
            result.files -= len(files)
            continue
        if clip in clips or (not single and all(not rows for _, rows in files)):
            raise InputError(
                f"AU table {files[0][0]}", expected="rows", found="none", do="extract it again, or remove it"
            )
        clips[clip] = _of_images(files)
    result.format = chosen.name
    seen = np.zeros(N_AUS, bool)
    for clip, rows in sorted(clips.items()):
        track, several = _track(clip, rows, chosen, version, first_frame, min_confidence)
        result.tracks.append(track)
        result.frames += len(track.frames)
        result.failed += int((~track.success).sum())
        seen |= track.seen
        if several:
            result.several_faces.append(clip)
    if result.failed < result.frames:
        result.unseen_aus = [au for au, there in zip(AU_NUMBERS, seen, strict=True) if not there]
    return result


def _files(paths: Sequence[Path]) -> Iterator[tuple[str, Path, bool]]:
    """(name of the clip, file, whether it was given itself), in an order that depends on names alone."""
    for given in paths:
        if not given.exists():
            raise InputError(
                f"AU tables {given}",
                expected="a CSV file or a folder",
                found="no such file or folder",
                do="check the path",
            )
        files = [given]
        if given.is_dir():
            files = sorted(path for path in given.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
            files = [path for path in files if not any(map(is_stray, path.relative_to(given).parts))]
        if not files:
            raise InputError(f"AU tables {given}", expected="CSV files", found="none", do="check the folder")
        for path in files:
            try:
                str(path).encode()
            except UnicodeEncodeError:
                spelled = os.fsencode(path).decode("utf-8", "backslashreplace")
                raise InputError(
                    f"AU table {spelled}", expected="a name in UTF-8", found="bytes that are not", do="rename the file"
                ) from None
            parts = path.relative_to(given).with_suffix("").parts if given.is_dir() else (path.stem,)
            if len(parts) > 1 and parts[-1] == parts[-2]:
                parts = parts[:-1]
            yield "/".join(parts), path, not given.is_dir()


def _parent(name: str) -> str:
    return name.rpartition("/")[0] or "images"


class _StrayError(InputError):
    """What is no AU table: a file that cannot be read, or a table without all AU columns of any program.

    Attributes:
        partly: whether it has some of them.
    """

    partly = False


def _read(path: Path, given: Format | None, scale: float | None) -> tuple[Format, dict[str, list[_Row]], bool] | None:
    """The format, the rows of each clip ("" where no column names it), and whether frames are numbered."""
    asked = f"AU table {path}"
    headers: list[tuple[Sheet, int, tuple[str, ...]]] = []
    try:
        for sheet in read_sheets(path, "AU table"):
            head = [cells for _, cells in islice(iter(sheet.rows), HEAD_LINES)]
            # what stands above the header, such as a title, has no AUs
            at = next((i for i, cells in enumerate(head) if _known_columns(cells)), 0)
            if head:
                headers.append((sheet, at, _without_empty_end(head[at])))
    except InputError as error:
        raise _StrayError(error.asked, expected=error.expected, found=error.found, do=error.do) from error
    if not headers:
        return None
    known = [(s, at, h) for s, at, h in headers if _known_columns(h)]
    whole_ones = [s.name for s, _, h in known if any(not _missing_columns(f, h) for f in FORMATS)]
    if len(whole_ones) > 1:
        raise InputError(
            asked, expected="one sheet of AUs", found=f"sheets {', '.join(whole_ones)}",
            do="save each as a file of its own, or hide those that are not to be read",
        )  # fmt: skip
    sheet, above, header = (known or headers)[0]
    chosen = given or _format_of(header, asked)
    table = _Columns(header, chosen, scale, sheet, asked)
    rows: dict[str, list[_Row]] = defaultdict(list)
    for line, cells in islice(iter(sheet.rows), above + 1, None):
        if wrong := flaw(f"AU table {sheet.where}", line, cells, table.names):
            raise wrong
        rows[table.clip(cells, line)].append(table.row(cells, line))
    if not table.numbered:
        _prove_images(rows, table, asked)
    if table.numbered and not rows:
        raise InputError(asked, expected="rows of frames", found="only a header", do="extract it again, or remove it")
    return chosen, rows, table.numbered


def _prove_images(rows_of: Mapping[str, Sequence[_Row]], table: _Columns, asked: str) -> None:
    """Raises InputError if rows without frame numbers cannot be the faces of one image."""
    for rows in rows_of.values():
        faces = Counter(row.face for row in rows)
        face, n = max(faces.items(), key=lambda item: item[1], default=("", 0))
        if n > 1 and (table.face is None or face is not None):
            frame, names = table.format.frame[0], " or ".join(table.format.face)
            raise InputError(
                asked,
                expected=f"a column {frame}" + (f", or {names}" if table.face is None else ", or each face once"),
                found=f"{len(rows):,} rows with neither" if table.face is None else f"{n:,} rows of face {face}",
                do=f"add the column {frame}, since the rows do not say which frames they are",
            )


def _without_empty_end(cells: Sequence[str]) -> tuple[str, ...]:
    """The cells, without empty ones at the end, as a delimiter at the end of a line leaves them."""
    n = next((i for i in range(len(cells), 0, -1) if cells[i - 1]), 0)
    return tuple(cells[:n])


def _bare(column: str) -> str:
    """The name of a column without the place of a number in its cells, as it is compared."""
    return normal(column.partition("[")[0])


def _known_columns(header: Iterable[str]) -> set[str]:
    return {_bare(column) for known in FORMATS for column in known.columns} & {normal(name) for name in header}


def _missing_columns(known: Format, header: Iterable[str]) -> list[str]:
    there = {normal(name) for name in header}
    return [name for name in known.columns if name not in known.optional and _bare(name) not in there]


def _format_of(header: Sequence[str], asked: str) -> Format:
    for known in FORMATS:
        if not _missing_columns(known, header):
            return known
    nearest = min(FORMATS, key=lambda known: len(_missing_columns(known, header)) / len(known.columns))
    partly = bool(_known_columns(header))
    stray = _StrayError(
        asked,
        expected="AU columns of "
        + ", ".join(f"{f.name} ({next(iter(f.columns)).partition('[')[0]} …)" for f in FORMATS),
        found=f"no {', '.join(_missing_columns(nearest, header))}" if partly else f"columns {', '.join(header)[:120]}",
        do="write the table with its header and AUs (OpenFace: -aus)",
    )
    stray.partly = partly
    raise stray


class _Columns:
    """Where the columns of one file are, and what its cells mean."""

    def __init__(self, header: Sequence[str], chosen: Format, scale: float | None, sheet: Sheet, asked: str) -> None:
        names = [normal(name) for name in header]
        absent = _missing_columns(chosen, header)
        used = (*chosen.columns, *chosen.frame, *chosen.confidence, *chosen.success, *chosen.face, CLIP_COLUMN)
        counts = Counter(names)
        twice = sorted(name for name in used if counts[_bare(name)] > 1)
        if absent or twice:
            whole_one = any(not _missing_columns(known, header) for known in FORMATS)
            kind = InputError if whole_one else _StrayError
            found = f"no {', '.join(absent)}" if absent else f"{twice[0]} twice"
            raise kind(asked, expected=f"each AU column of {chosen.name} once", found=found)
        self.format = chosen
        self.sheet, self.width, self.top = sheet, len(header), scale or chosen.top
        self.aus = [
            (_Column(name, names.index(_bare(name))), AU_INDEX[au])
            for name, au in chosen.columns.items()
            if _bare(name) in names
        ]
        self.listed = sum("[" in name for name in chosen.columns)  # how many numbers a cell of AUs holds

        def one_of(wanted: Sequence[str]) -> _Column | None:
            return next((_Column(name, names.index(_bare(name))) for name in wanted if _bare(name) in names), None)

        self.frame, self.confidence, self.success, self.face, self.clip_at = map(
            one_of, (chosen.frame, chosen.confidence, chosen.success, chosen.face, (CLIP_COLUMN,))
        )
        self.numbered = self.frame is not None
        ours = (self.frame, self.confidence, self.success, self.face, self.clip_at, *(column for column, _ in self.aus))
        self.names = {column.place: column.name for column in ours if column is not None}

    def _at(self, line: int) -> str:
        return f"AU table {self.sheet.where}, row {line}"

    def clip(self, cells: Sequence[str], line: int) -> str:
        if self.sheet.delimiter and (len(cells) < self.width or any(cells[self.width :])):
            digits = sum(cell.isdecimal() for cell in cells)
            if self.sheet.delimiter == "," and len(cells) > self.width and 2 * digits > len(cells):
                raise InputError(
                    self._at(line), expected=f"{self.width} cells, as in the header",
                    found=f"{len(cells)}: decimal commas between commas, so that nobody can tell the numbers apart",
                    do="write the table with decimal points, or with semicolons between cells",
                )  # fmt: skip
            raise InputError(
                self._at(line), expected=f"{self.width} cells", found=f"{len(cells)}",
                do="extract it again: the file may have been cut off",
            )  # fmt: skip
        name = self.clip_at.text(cells) if self.clip_at else ""
        if self.clip_at and missing(name):
            raise InputError(self._at(line), expected=f"a name in column {CLIP_COLUMN}", found="none")
        return name

    def row(self, cells: Sequence[str], line: int) -> _Row:
        frame = self._frame(cells, line) if self.frame else None
        confidence = self._number(cells, line, self.confidence) if self.confidence else None
        if confidence is not None and self.confidence and not -0.1 <= confidence <= _MOST_CONFIDENCE:
            raise ScaleError(
                f"{self._at(line)}: {self.confidence.name} = {confidence:g}", expected="a confidence in [0, 1]",
                do="divide the column by its largest value",
            )  # fmt: skip
        success = self._success(cells, line) if self.success else 1.0
        face: str | None = self.face.text(cells) if self.face else ""
        aus = self._aus(cells, line) if success else None
        if self.face and missing(face or ""):
            face = None
        return _Row(
            self._at(line), frame, face, math.nan if confidence is None else min(max(confidence, 0.0), 1.0), aus
        )

    def _frame(self, cells: Sequence[str], line: int) -> int:
        assert self.frame is not None
        text = self.frame.text(cells)
        try:
            frame = whole(text)
        except ValueError:
            frame = None
        if frame is None or not 0 <= frame < 2**31 - 1:
            found = f"{self.frame.name} = {text[:40]!r}"
            do = "write it without a separator of thousands (1000)" if in_thousands(text) else ""
            raise InputError(self._at(line), expected="a frame number from 0 on", found=found, do=do)
        return frame

    def _success(self, cells: Sequence[str], line: int) -> float | None:
        assert self.success is not None
        told = _TRUTH.get(self.success.text(cells).lower())
        return self._number(cells, line, self.success) if told is None else told

    def _aus(self, cells: Sequence[str], line: int) -> np.ndarray | None:
        vector = np.full(N_AUS, np.nan)
        for column, i in self.aus:
            value = self._number(cells, line, column)
            if value is None:
                return None  # not measured in this frame
            if not 0 <= value <= self.top:
                raise ScaleError(
                    f"{self._at(line)}: {column.name} = {value:g}",
                    expected=f"an intensity in [0, {self.top:g}]",
                    do="if the file has another scale, give its largest value: `scale`",
                )
            vector[i] = value / self.top
        return vector

    def _number(self, cells: Sequence[str], line: int, column: _Column) -> float | None:
        """The number in a cell; None where it says that there is no value."""
        text = column.text(cells)
        try:
            if column.item is None:
                return number(text)
            listed = numbers(text)
            if not listed:
                return None
            if column.item < len(listed) and (not column.of_aus or len(listed) == self.listed):
                return listed[column.item]
            expected = f"{self.listed} numbers" if column.of_aus else f"more than {column.item} numbers"
            raise InputError(
                self._at(line), expected=f"{expected} in column {column.bare}", found=f"{len(listed)}: {text[:40]}"
            )
        except ValueError:
            raise InputError(
                self._at(line), expected=f"a number in column {column.bare}", found=repr(text[:40])
            ) from None


class _Column:
    """A column of the file: its name, its place, and which number of a list in its cells is meant."""

    def __init__(self, name: str, place: int) -> None:
        self.name, self.place = name, place
        self.bare, _, item = name.partition("[")
        self.item = int(item.rstrip("]")) if item else None
        self.of_aus = self.bare == "action_units"

    def text(self, cells: Sequence[str]) -> str:
        return cells[self.place] if self.place < len(cells) else ""


def _of_images(files: Sequence[tuple[Path, list[_Row]]]) -> list[_Row]:
    """Rows of single images as those of one clip: the order of the numbers in their names, the surest face of each."""

    def natural(path: Path) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.stem)]

    rows = []
    for frame, (_, faces) in enumerate(sorted(files, key=lambda file: natural(file[0]))):
        seen = [face for face in faces if face.aus is not None]
        best = max(seen, key=_sureness, default=None)
        rows.append(_Row("", frame, "", best.confidence if best else math.nan, best.aus if best else None))
    return rows


def _sureness(row: _Row) -> tuple[bool, float]:
    return row.aus is not None, 0.0 if math.isnan(row.confidence) else row.confidence


def _track(
    clip: str, rows: Sequence[_Row], chosen: Format, version: str, first_frame: int | None, min_confidence: float
) -> tuple[Track, bool]:
    """The track of the face that was seen most, and whether there were others."""
    faces: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        if row.face is not None:
            faces[row.face].append(row)

    def rank(face: str) -> tuple[int, float]:
        seen = [row.confidence for row in faces[face] if row.aus is not None]
        return len(seen), float(np.nan_to_num(seen).mean()) if seen else 0.0

    # sorted first: of equals the face of the lower number
    kept = faces[max(sorted(faces, key=lambda face: (len(face), face)), key=rank)] if faces else []
    kept = sorted(kept, key=lambda row: row.frame or 0)
    several = len(faces) > 1
    if chosen.ghosts:
        surest: dict[int | None, _Row] = {}
        for row in kept:
            surest[row.frame] = max(surest.get(row.frame, row), row, key=_sureness)
        several |= len(surest) < len(kept)
        kept = list(surest.values())
    for a, b in pairwise(kept):
        if a.frame == b.frame:
            raise InputError(b.where, expected="each frame of a clip once", found=f"frame {b.frame} twice in {clip}")
    first = chosen.first if first_frame is None else first_frame
    if first is None:
        first = int(min(row.frame or 0 for row in rows) > 0)
    # rows without any face say that the frame is there
    numbers = np.array(sorted({row.frame or 0 for row in (*kept, *(r for r in rows if r.face is None))}), np.int64)
    frames = numbers
    if (len(faces) > 1 or chosen.omits) and numbers[-1] >= first:
        # a program for several faces, or one that omits, says nothing of a frame without any: it failed there
        if numbers[-1] + 1 - first - len(numbers) > MOST_ABSENT:
            raise InputError(
                f"AU table of clip {clip}", expected=f"at most {MOST_ABSENT:,} frames without a row",
                found=f"frame {numbers[-1]:,} in a table of {len(numbers):,} frames",
                do="check that frame number; if it is right, cut the table where a face is seen",
            )  # fmt: skip
        frames = np.arange(min(first, numbers[0]), numbers[-1] + 1)
    aus = np.full((len(frames), N_AUS), np.nan, np.float32)
    confidence = np.full(len(frames), np.nan, np.float32)
    for at, row in zip(np.searchsorted(frames, [row.frame or 0 for row in kept]), kept, strict=True):
        confidence[at] = row.confidence
        if row.aus is not None and not row.confidence < min_confidence:
            aus[at] = row.aus
    if len(frames) and frames[0] < first:
        raise InputError(f"AU table of clip {clip}", expected=f"frames from {first} on", found=f"frame {frames[0]}")
    return Track(clip, (frames - first).astype(np.int32), aus, confidence, chosen.name, version), several
