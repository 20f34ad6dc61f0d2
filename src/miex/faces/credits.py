"""Licences and attributions of photos, from the CSV beside them."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from miex.errors import InputError

# Columns of the CSV beside the photos, and the names under which they are found when none are given.
CSV_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "file": ("file", "path", "filename", "image"),
    "licence": ("licence", "license"),
    "attribution": ("attribution", "credit", "author"),
    "kind": ("kind",),
    "person": ("person_id", "person"),
}
CSV_NAME = "faces.csv"


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

    def rows(self) -> dict[Path, dict[str, str]]:
        """{photo: {licence, attribution, kind, person}}; what the CSV does not say is empty.

        Raises:
            InputError: no CSV, or a column that is missing.
        """
        try:
            text = self.path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"faces CSV {self.path}", expected="a CSV in UTF-8", found=str(error)) from error
        rows: dict[Path, dict[str, str]] = {}
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
        try:
            names = list(reader.fieldnames or [])
            chosen = {column: self._find(column, names) for column in CSV_COLUMNS}
            for row in reader:
                if row.get(chosen["file"]):
                    photo = real_path(self.path.parent / row[chosen["file"]])
                    rows[photo] = {k: (row.get(v) or "") if v else "" for k, v in chosen.items() if k != "file"}
        except (csv.Error, ValueError) as error:  # ValueError: a path that no system has
            found = f"line {reader.line_num}: {error}"
            raise InputError(f"faces CSV {self.path}", expected="a CSV in UTF-8", found=found) from error
        return rows

    def _find(self, column: str, names: list[str]) -> str:
        wanted = (self.columns[column],) if column in self.columns else CSV_COLUMNS[column]
        found = next((name for name in wanted if name in names), "")
        if not found and (column == "file" or column in self.columns):
            raise InputError(
                f"column for {column} in {self.path}",
                expected=" or ".join(wanted),
                found=", ".join(names) or "an empty file",
                do=f"name the column: `faces_column` {column}=NAME",
            )
        return found


def csv_beside(folder: Path, *, any_columns: bool = False) -> FaceCSV | None:
    """The faces.csv in the folder or in the one above it; unless any_columns, only if it has a column of file names."""
    for path in (folder / CSV_NAME, folder.resolve().parent / CSV_NAME):
        if path.is_file():
            with path.open(encoding="utf-8-sig", errors="replace") as file:
                header = file.readline()
            names = next(csv.reader([header], delimiter=_delimiter(header)), [])
            if any_columns or set(names) & set(CSV_COLUMNS["file"]):
                return FaceCSV(path)
    return None


def _delimiter(text: str) -> str:
    # spreadsheets of half the world write semicolons
    header = text.split("\n", 1)[0]
    return ";" if header.count(";") > header.count(",") else ","


def real_path(path: Path) -> Path:
    """Where a path leads, links followed; a loop of links leads to itself."""
    return Path(os.path.realpath(path))  # Path.resolve raises on a loop
