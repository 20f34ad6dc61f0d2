"""Licences and attributions of photos, from the CSV beside them."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
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
    names = {normal(name) for name in CSV_COLUMNS["file"]}
    for path in (folder / CSV_NAME, folder.resolve().parent / CSV_NAME):
        if path.is_file() and (any_columns or names & set(map(normal, first_row(path)))):
            return FaceCSV(path)
    return None


def photo_key(path: Path) -> str:
    """What two paths of one photo have in common: where they lead, in one spelling of accents."""
    return unicodedata.normalize("NFC", os.path.realpath(path))  # Path.resolve raises on a loop of links
