"""Read AU tables of other programs: CSV files of OpenFace 2, py-feat and LibreFace, told apart by their columns."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from miex.aus.tracks import Track
from miex.aus.vector import AU_INDEX, AU_NUMBERS, N_AUS
from miex.errors import InputError, ScaleError, UsageError

CLIP_COLUMN = "clip"  # in a file of several clips


@dataclass(frozen=True)
class Format:
    """How a program writes AUs.

    Attributes:
        name: of the program.
        columns: the AU of each column; all must be there, other columns may.
        top: largest value of its scale.
        frame, confidence, success, face: names of these columns; of several the first that is there.
        note: what its numbers are.
    """

    name: str
    columns: Mapping[str, int]
    top: float
    frame: tuple[str, ...] = ("frame",)
    confidence: tuple[str, ...] = ("confidence",)
    success: tuple[str, ...] = ("success",)
    face: tuple[str, ...] = ("face_id", "face")
    note: str = ""


FORMATS = (
    Format("openface", {f"AU{au:02d}_r": au for au in AU_NUMBERS}, 5, note="intensities, 0 to 5"),
    Format(
        "libreface",
        {f"au_{au}_intensity": au for au in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)},
        5,
        frame=("frame_idx", "frame"),
        note="intensities, 0 to 5, of 12 AUs; it gives no intensity of AU 7, 10, 14, 23, 45",
    ),
    Format(
        "py-feat",
        {f"AU{au:02d}": au for au in AU_NUMBERS if au != 45} | {"AU43": 45},
        1,
        confidence=("FaceScore",),
        note="probabilities of presence, 0 to 1, taken for intensities; AU 43 (eyes closed) stands for 45",
    ),
)


@dataclass
class Imported:
    """The result of an import.

    Attributes:
        tracks: one for each clip.
        format: name of the program.
        files: how many were read.
        frames, failed: rows of the chosen faces, and how many of them the program failed on.
        several_faces: clips with more than one face; the one seen in most frames was taken.
    """

    tracks: list[Track] = field(default_factory=list)
    format: str = ""
    files: int = 0
    frames: int = 0
    failed: int = 0
    several_faces: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"{len(self.tracks):,} clips, {self.frames:,} frames ({self.failed:,} failed) of {self.format}"


@dataclass(frozen=True)
class _Row:
    line: int
    frame: int | None
    face: str
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
    """AU tracks of CSV files, or of folders that hold them.

    A file is one clip, or several where it has a column `clip`. A clip is named by the path of its file below the
    folder that was given, without suffix; `sub01/EP02/EP02.csv` is `sub01/EP02`. Files without frame numbers are those
    of single images (OpenFace's FaceLandmarkImg): all in one folder are one clip, in the order of the numbers in their
    names; a file of that kind without rows is a frame where no face was found.

    Where a file holds several faces (FaceLandmarkVidMulti), the one that was seen in most frames is taken, of equals
    the one of higher confidence. Rows without success, below `min_confidence`, or with empty AU cells are failed
    frames.

    Args:
        paths: files and folders.
        format_name: openface, libreface or py-feat; by default recognized by the columns.
        version: of the program, recorded.
        first_frame: the number of a clip's first frame, 0 or 1; by default 0 where the file has a frame 0, else 1.
        scale: largest value of the file's AU scale, where it is not the program's own (5, or 1 for py-feat).
        min_confidence: rows below it are failed frames.
        single: whether images without frame numbers have nothing to do with each other: each file is a clip then.

    Raises:
        InputError: no files; a missing column; a cell that is no number; a frame twice. It names file, row and value.
        ScaleError: an AU outside the scale.
    """
    known = {known_format.name: known_format for known_format in FORMATS}
    if format_name is not None and format_name not in known:
        raise UsageError(f"AU tables of {format_name!r}", expected="one of " + ", ".join(known))
    chosen = known[format_name] if format_name else None
    result = Imported()
    clips: dict[str, list[_Row]] = {}
    images: dict[str, list[tuple[Path, list[_Row]]]] = defaultdict(list)
    for name, path in _files(paths):
        found = _read(path, chosen, scale)
        result.files += 1
        if found is None:  # nothing in it at all: the frame of a folder of images where no face was found
            images[name if single else _parent(name)].append((path, []))
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
    if chosen is None:
        empty = next(iter(images.values()))[0][0]
        raise InputError(
            f"AU table {empty}", expected="a header and rows", found="an empty file", do="extract it again"
        )
    for clip, files in images.items():
        if clip in clips or (not single and all(not rows for _, rows in files)):
            raise InputError(
                f"AU table {files[0][0]}", expected="rows", found="none", do="extract it again, or remove it"
            )
        clips[clip] = _of_images(files)
    result.format = chosen.name
    for clip, rows in sorted(clips.items()):
        track, n_faces = _track(clip, rows, chosen, version, first_frame, min_confidence)
        result.tracks.append(track)
        result.frames += len(track.frames)
        result.failed += int((~track.success).sum())
        if n_faces > 1:
            result.several_faces.append(clip)
    return result


def _files(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """(name of the clip, file), in an order that depends on names alone."""
    for given in paths:
        if not given.exists():
            raise InputError(
                f"AU tables {given}",
                expected="a CSV file or a folder",
                found="no such file or folder",
                do="check the path",
            )
        files = sorted(p for p in given.rglob("*.csv") if p.is_file()) if given.is_dir() else [given]
        if not files:
            raise InputError(f"AU tables {given}", expected="CSV files", found="none", do="check the folder")
        for path in files:
            parts = path.relative_to(given).with_suffix("").parts if given.is_dir() else (path.stem,)
            if len(parts) > 1 and parts[-1] == parts[-2]:
                parts = parts[:-1]
            yield "/".join(parts), path


def _parent(name: str) -> str:
    return name.rpartition("/")[0] or "images"


def _read(path: Path, given: Format | None, scale: float | None) -> tuple[Format, dict[str, list[_Row]], bool] | None:
    """The format, the rows of each clip ("" where no column names it), and whether frames are numbered."""
    asked = f"AU table {path}"
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            asked, expected="text in UTF-8", found=str(error), do="check that this is a CSV file"
        ) from error
    except OSError as error:
        raise InputError(asked, expected="a readable file", found=error.strerror or str(error)) from error
    if not text.strip():
        return None
    first = text.lstrip().splitlines()[0]
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), skipinitialspace=True)
    try:
        header = [name.strip() for name in next(filter(any, lines))]
        chosen = given or _format_of(header, asked)
        table = _Columns(header, chosen, scale, asked)
        rows: dict[str, list[_Row]] = defaultdict(list)
        for cells in lines:
            if any(cell.strip() for cell in cells):
                rows[table.clip(cells, lines.line_num)].append(table.row(cells, lines.line_num))
    except csv.Error as error:
        raise InputError(f"{asked}, line {lines.line_num}", expected="CSV", found=str(error)) from error
    if not table.numbered and table.face is None and max(map(len, rows.values()), default=0) > 1:
        raise InputError(
            asked,
            expected=f"a column {chosen.frame[0]}, or {' or '.join(chosen.face)}",
            found="several rows with neither",
            do="add such a column, since the rows do not say which frames they are",
        )
    if table.numbered and not rows:
        raise InputError(asked, expected="rows of frames", found="only a header", do="extract it again, or remove it")
    return chosen, rows, table.numbered


def _format_of(header: Sequence[str], asked: str) -> Format:
    there = set(header)
    for known in FORMATS:
        if known.columns.keys() <= there:
            return known
    nearest = max(FORMATS, key=lambda known: len(known.columns.keys() & there))
    missing = [name for name in nearest.columns if name not in there]
    raise InputError(
        asked,
        expected="AU columns of " + ", ".join(f"{f.name} ({next(iter(f.columns))} …)" for f in FORMATS),
        found=f"no {', '.join(missing)}"
        if len(missing) < len(nearest.columns)
        else f"columns {', '.join(header)[:120]}",
        do="write the table with its header and AUs (OpenFace: -aus)",
    )


class _Columns:
    """Where the columns of one file are, and what its cells mean."""

    def __init__(self, header: Sequence[str], chosen: Format, scale: float | None, asked: str) -> None:
        twice = [name for name, n in Counter(header).items() if n > 1 and name]
        missing = [name for name in chosen.columns if name not in header]
        used = {*chosen.columns, *chosen.frame, *chosen.confidence, *chosen.success, *chosen.face, CLIP_COLUMN}
        if missing or used.intersection(twice):
            found = f"no {', '.join(missing)}" if missing else f"{sorted(used.intersection(twice))[0]} twice"
            raise InputError(asked, expected=f"each AU column of {chosen.name} once", found=found)
        self.asked, self.width, self.top = asked, len(header), scale or chosen.top
        self.aus = [(name, header.index(name), AU_INDEX[au]) for name, au in chosen.columns.items()]
        place = {name: i for i, name in enumerate(header)}

        def one_of(names: Sequence[str]) -> tuple[str, int] | None:
            return next(((name, place[name]) for name in names if name in place), None)

        self.frame, self.confidence, self.success, self.face = map(
            one_of, (chosen.frame, chosen.confidence, chosen.success, chosen.face)
        )
        self.clip_at = one_of([CLIP_COLUMN])
        self.numbered = self.frame is not None

    def clip(self, cells: Sequence[str], line: int) -> str:
        if len(cells) != self.width:
            raise InputError(
                f"{self.asked}, line {line}", expected=f"{self.width} cells", found=f"{len(cells)}",
                do="extract it again: the file may have been cut off",
            )  # fmt: skip
        name = cells[self.clip_at[1]].strip() if self.clip_at else ""
        if self.clip_at and not name:
            raise InputError(f"{self.asked}, line {line}", expected=f"a name in column {CLIP_COLUMN}", found="none")
        return name

    def row(self, cells: Sequence[str], line: int) -> _Row:
        frame = None
        if self.frame:
            number = self._number(cells, line, self.frame)
            if number is None or number != int(number) or not 0 <= number < 2**31 - 1:
                found = f"{self.frame[0]} = {cells[self.frame[1]].strip()!r}"
                raise InputError(f"{self.asked}, line {line}", expected="a frame number from 0 on", found=found)
            frame = int(number)
        confidence = self._number(cells, line, self.confidence) if self.confidence else None
        success = self._number(cells, line, self.success) if self.success else 1.0
        face = cells[self.face[1]].strip() if self.face else ""
        aus = self._aus(cells, line) if success else None
        return _Row(line, frame, face, math.nan if confidence is None else min(max(confidence, 0.0), 1.0), aus)

    def _aus(self, cells: Sequence[str], line: int) -> np.ndarray | None:
        vector = np.full(N_AUS, np.nan)
        for name, place, i in self.aus:
            value = self._number(cells, line, (name, place))
            if value is None:
                return None  # not measured in this frame
            if not 0 <= value <= self.top:
                raise ScaleError(
                    f"{self.asked}, line {line}: {name} = {value:g}",
                    expected=f"an intensity in [0, {self.top:g}]",
                    do="if the file has another scale, give its largest value: `scale`",
                )
            vector[i] = value / self.top
        return vector

    def _number(self, cells: Sequence[str], line: int, column: tuple[str, int]) -> float | None:
        """The number in a cell; None where it is empty or says nan."""
        text = cells[column[1]].strip()
        if not text or text.lower() == "nan":
            return None
        try:
            value = float(text)
            if math.isinf(value):
                raise ValueError
        except ValueError:
            raise InputError(
                f"{self.asked}, line {line}", expected=f"a number in column {column[0]}", found=repr(text[:40])
            ) from None
        return value


def _of_images(files: Sequence[tuple[Path, list[_Row]]]) -> list[_Row]:
    """Rows of single images as those of one clip: the order of the numbers in their names, the surest face of each."""

    def natural(path: Path) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.stem)]

    rows = []
    for frame, (_, faces) in enumerate(sorted(files, key=lambda file: natural(file[0]))):
        seen = [face for face in faces if face.aus is not None]
        best = max(
            seen, key=lambda face: (0 if math.isnan(face.confidence) else face.confidence, -face.line), default=None
        )
        rows.append(_Row(0, frame, "", best.confidence if best else math.nan, best.aus if best else None))
    return rows


def _track(
    clip: str, rows: Sequence[_Row], chosen: Format, version: str, first_frame: int | None, min_confidence: float
) -> tuple[Track, int]:
    faces: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        faces[row.face].append(row)

    def rank(face: str) -> tuple[int, float]:
        seen = [row.confidence for row in faces[face] if row.aus is not None]
        return len(seen), float(np.nan_to_num(seen).mean()) if seen else 0.0

    # sorted first: of equals the face of the lower number
    best = max(sorted(faces, key=lambda face: (len(face), face)), key=rank)
    kept = sorted(faces[best], key=lambda row: row.frame or 0)
    for a, b in pairwise(kept):
        if a.frame == b.frame:
            raise InputError(
                f"AU table of clip {clip}, line {b.line}", expected="each frame once", found=f"frame {b.frame} twice"
            )
    numbers = np.array([row.frame for row in kept], np.int32)
    numbered = np.array([row.frame for row in rows], np.int32)
    first = first_frame if first_frame is not None else int(numbered.min() > 0)
    # a program for several faces says nothing of a frame without any: it failed there
    frames = np.arange(first, numbers[-1] + 1, dtype=np.int32) if len(faces) > 1 else numbers
    aus = np.full((len(frames), N_AUS), np.nan, np.float32)
    confidence = np.full(len(frames), np.nan, np.float32)
    for at, row in zip(np.searchsorted(frames, numbers), kept, strict=True):
        confidence[at] = row.confidence
        if row.aus is not None and not row.confidence < min_confidence:
            aus[at] = row.aus
    if len(frames) and frames[0] < first:
        raise InputError(f"AU table of clip {clip}", expected=f"frames from {first} on", found=f"frame {frames[0]}")
    return Track(clip, frames - np.int32(first), aus, confidence, chosen.name, version), len(faces)
