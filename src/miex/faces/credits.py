"""Licences and attributions of photos, from the CSV beside them."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from miex.errors import InputError
from miex.tables.cells import path_in
from miex.tables.table import Columns, Row, first_row, normal, read_table

# Columns of the CSV beside the photos, and the names under which they are found when none are given.
CSV_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "file": ("file", "path", "filename", "image"),
    "licence": ("licence", "license"),
    "attribution": ("attribution", "credit", "author"),
    "kind": ("kind",),
    "person": ("person_id", "person"),
}
_OF_ONE_NAME = ("licence", "attribution")  # what the other column says must not be lost in silence
CSV_NAME = "faces.csv"
_MOST_ROWS = 10_000_000
_Facts = dict[str, str]


@dataclass(frozen=True)
class FaceCSV:
    """Licences and attributions beside the photos.

    Attributes:
        path: the CSV; its file names are relative to its own folder.
        columns: {licence | attribution | file | kind | person: name of the column}, for names that are not among
            CSV_COLUMNS.
    """

    path: Path
    columns: Mapping[str, str] = field(default_factory=dict)

    def rows(self) -> dict[str, dict[str, str]]:
        """{key of the photo (see `photo_key`): its row: file as written, licence, attribution, kind, person}.

        What the CSV does not say is empty.

        Raises:
            InputError: no CSV, a column that is missing or stands twice, two columns that both say licences or
                attributions, a row with more cells than the header, or two rows that differ on one photo.
        """
        wanted = {**CSV_COLUMNS, **{column: (name,) for column, name in self.columns.items()}}
        apart = {(column, name): f"{column} {name}" for column in _OF_ONE_NAME for name in wanted[column]}
        names = {column: wanted[column] for column in wanted if column not in _OF_ONE_NAME}
        names |= {key: (name,) for (_, name), key in apart.items()}
        needed = [apart[column, name] if column in _OF_ONE_NAME else column for column, name in self.columns.items()]
        columns = Columns(names, needed=("file", *needed), most=_MOST_ROWS, even=True)
        found = read_table(self.path, columns, "faces CSV", do="name the column: `faces_column` file=NAME")
        filled = {column: self._filled(column, wanted[column], found, apart) for column in _OF_ONE_NAME}
        rows: dict[str, dict[str, str]] = {}
        for row in found:
            if not row.said("file"):
                continue
            said = {column: row.said(filled.get(column, column)) for column in CSV_COLUMNS}
            said["person"] = re.sub(r"^(\d+)[.,]0$", r"\1", said["person"])  # pandas writes 1.0 for 1
            photo = path_in(self.path.parent, said["file"]) or self.path.parent / said["file"]
            known = rows.setdefault(photo_key(photo), said)
            if {**known, "file": ""} != {**said, "file": ""}:
                raise row.wrong("file", "each photo once", do="leave one of the rows of this photo")
        return rows

    def match(self, root: Path, photos: Sequence[str]) -> tuple[dict[str, dict[str, str]], list[str]]:
        """Which row is whose, for a CSV that may come from another system.

        Beside either slash and accents composed or not, names may differ in upper and lower case, and the folder of the
        photos may have lain elsewhere: then all these rows must have the path before it in common. Both only where one
        photo alone can be meant, and it has no row of its own.

        Args:
            root: folder that the photos' paths are relative to.

        Returns:
            {photo: its row, as `rows` gives it}; and what must be known: rows that were matched by guess, rows that
            name no photo.

        Raises:
            InputError: see `rows`.
        """
        rows = self.rows()
        keys = {photo: photo_key(root / photo) for photo in photos}
        found = {photo: rows[key] for photo, key in keys.items() if key in rows}
        lost = [facts for facts in rows.values() if path_in(self.path.parent, facts["file"]) is None]
        if not lost:
            return found, []
        said, of = [], f"of {len(rows):,} rows of {self.path.name}"
        beside = _by_name((os.path.relpath(root / photo, self.path.parent), photo) for photo in photos)
        in_case = [(facts, beside.get(_plain(facts["file"]).casefold())) for facts in lost]
        if taken := _alone(in_case, found):
            photo, facts = next(iter(taken.items()))
            example = f"{facts['file']} for {photo}"
            said.append(f"{_count(taken, of)} a photo in other upper and lower case, such as {example}: taken as meant")
            found |= taken
            lost = [facts for facts, photo in in_case if photo not in taken]
        moved, before = _moved(lost, root, photos)
        if taken := _alone(moved, found):
            said.append(f"{_count(taken, of)} a photo below {before or 'another folder'}: taken as those of {root}")
            found |= taken
            lost = [facts for facts, photo in moved if photo not in taken]
        if lost:
            said.append(f"{_count(lost, of)} no photo, such as {lost[0]['file']}")
        return found, said

    def _filled(
        self, column: str, names: Sequence[str], rows: Sequence[Row], apart: Mapping[tuple[str, str], str]
    ) -> str:
        """Of the columns of several names for one thing that which says something.

        Raises:
            InputError: two of them do.
        """
        filled = [name for name in names if any(row.said(apart[column, name]) for row in rows)]
        if len(filled) > 1:
            raise InputError(
                f"faces CSV {self.path}", expected=f"one column of {column}", found=" and ".join(filled),
                do=f"delete one, or name the right one: `faces_column` {column}={filled[0]}",
            )  # fmt: skip
        return apart[column, (filled or names)[0]]


def csv_beside(folder: Path, *, any_columns: bool = False) -> FaceCSV | None:
    """The faces.csv in the folder or in the one above it; unless any_columns, only if it has a column of file names."""
    return next((FaceCSV(path) for path in places(folder) if any_columns or _names_files(path)), None)


def csv_in(folder: Path) -> FaceCSV | None:
    """The faces.csv in the folder, if it has a column of file names."""
    return FaceCSV(folder / CSV_NAME) if _names_files(folder / CSV_NAME) else None


def _names_files(path: Path) -> bool:
    return bool({normal(name) for name in CSV_COLUMNS["file"]} & set(map(normal, first_row(path))))


def places(folder: Path) -> list[Path]:
    """The files called faces.csv in the folder and in the one above it."""
    return [path for path in (folder / CSV_NAME, folder.resolve().parent / CSV_NAME) if path.is_file()]


def photo_key(path: Path) -> str:
    """What two paths of one photo have in common: where they lead, in one spelling of accents."""
    return unicodedata.normalize("NFC", os.path.realpath(path))  # Path.resolve raises on a loop of links


def _plain(path: str) -> str:
    """A path as written on any system, in one spelling."""
    return posixpath.normpath(unicodedata.normalize("NFC", path).replace("\\", "/"))


def _by_name(named: Iterable[tuple[str, str]]) -> dict[str, str | None]:
    """{name without regard to case: the photo}; None where several have it."""
    found: dict[str, str | None] = {}
    for name, photo in named:
        key = _plain(name).casefold()
        found[key] = None if key in found else photo
    return found


def _moved(lost: Sequence[_Facts], root: Path, photos: Iterable[str]) -> tuple[list[tuple[_Facts, str | None]], str]:
    """Each row with the photo that ends its path, and the folder before it: the one that most rows have.

    A relative path must have the name of the photos' folder before it, or none: s1/1.jpg is not the photo 1.jpg.
    """
    by_name, here = _by_name((photo, photo) for photo in photos), root.resolve().name.casefold()
    found: list[tuple[str | None, str | None]] = []
    for facts in lost:
        parts = _plain(facts["file"]).split("/")
        tails = (("/".join(parts[:k]), "/".join(parts[k:]).casefold()) for k in range(len(parts)))
        before, tail = next(((before, tail) for before, tail in tails if tail in by_name), (None, ""))
        absolute = parts[0] == "" or parts[0][1:] == ":"
        if before and not absolute and posixpath.basename(before).casefold() != here:
            before = None
        found.append((before, by_name.get(tail)))
    most = Counter(before for before, _ in found if before is not None).most_common(2)
    if not most or (len(most) > 1 and most[0][1] == most[1][1]):
        return [], ""
    chosen = most[0][0]
    pairs = zip(lost, found, strict=True)
    return [(facts, photo if before == chosen else None) for facts, (before, photo) in pairs], chosen


def _alone(rows: Iterable[tuple[_Facts, str | None]], known: Mapping[str, _Facts]) -> dict[str, _Facts]:
    """{photo: its row} of the photos without one so far, where all rows of a photo say the same."""
    said: dict[str, list[_Facts]] = {}
    for facts, photo in rows:
        if photo is not None and photo not in known:
            said.setdefault(photo, []).append(facts)
    return {
        photo: all_of[0]
        for photo, all_of in said.items()
        if all({**facts, "file": ""} == {**all_of[0], "file": ""} for facts in all_of)
    }


def _count(rows: Sized, of: str) -> str:
    return f"{len(rows):,} {of} {'names' if len(rows) == 1 else 'name'}"
