"""A corpus of your own, described by a table with one row per clip.

Columns: subject, clip, emotion; optional: onset, apex, offset, frames, aus, kind, objective, corpus, label, and where
the AUs of a synthetic clip come from: aus_source, aus_corpus, aus_subject, aus_clip (`clip.Descent`). `miex corpora
index` and `miex export --to folder` write such tables.

- `frames` is the folder of the clip's images, or its only image, relative to the table. onset, apex and offset are the
  numbers in the files' names. Without frames, the first frame of a clip has number 1. Cells that are empty, or say nan,
  NA or null, mean unknown.
- Where no column is called clip, the one called name is (as in lists of the AU codes of DFME).
- `emotion` is any word. Its label is the one that the mapping gives, or none if the mapping does not have the word. A
  column `label` (negative, positive, surprise, or 0, 1, 2) takes the place of the mapping; an empty cell is no label.
- `corpus` is the corpus of the clip; by default, the name under which the table is read.

The table is named clips.csv, or given by its path (xlsx, and a Parquet index of miex, work too).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from miex.corpora.clip import Descent, Kind
from miex.corpora.corpus import Corpus, Key, Tree
from miex.corpora.folders import IMAGE, Folder
from miex.corpora.mappings import ClassMapping, emotion_named, mapping_named
from miex.corpora.people import corpus_key, photographed
from miex.errors import InputError, UsageError
from miex.labels import Label, label_named
from miex.tables.cells import path_in, whole
from miex.tables.table import Columns, Row, Sheet, read_table

DESCENT: Final = ("aus_source", "aus_corpus", "aus_subject", "aus_clip")  # the fields of Descent
_FACE = ("face_photo", "face")
_NEEDED = ("subject", "clip", "emotion")
_OPTIONAL = ("onset", "apex", "offset", "frames", "aus", "kind", "objective", "corpus", "label", *DESCENT, *_FACE)


class Plain(Corpus):
    """A corpus of your own.

    Args:
        corpus: its name.
        columns: {column: its name in the table}, for columns with other names there.
        labels: label of each emotion, instead of the mapping and the column `label`; other emotions have none.
        kind: kind of the clips if the table has no such column.

    Raises:
        UsageError: there is no such column.
    """

    name = "plain"
    title = "a corpus of your own"
    licence = "it is yours: write a clips.csv that says where its frames are"
    emotions = (*mapping_named("megc2019").corpora["plain"], "others", "repression", "tense", "neutral", "")
    folders = "(?P<frames>.+)"
    tables = ("clips",)
    columns = Columns({name: (name,) for name in (*_NEEDED, *_OPTIONAL)} | {"clip": ("clip", "name")}, needed=_NEEDED)
    paths = (Tree("frames", "frames/{subject}/{clip}", "{number}.png"),)
    fake_table = "clips.csv"

    def __init__(
        self,
        corpus: str = name,
        *,
        columns: Mapping[str, str] | None = None,
        labels: Mapping[str, Label] | None = None,
        kind: Kind = "micro",
    ) -> None:
        renamed = dict(columns or {})
        unknown = [column for column in renamed if column not in self.columns.names]
        if unknown:
            raise UsageError(f"column {unknown[0]}", expected="one of " + ", ".join(self.columns.names))
        names = {**self.columns.names, **{column: (given,) for column, given in renamed.items()}}
        self.columns = Columns(names, needed=tuple(dict.fromkeys((*_NEEDED, *renamed))))
        self._corpus = corpus_key(corpus) or corpus
        self._labels = None if labels is None else {emotion_named(emotion): label for emotion, label in labels.items()}
        self._kind = kind

    @property
    def corpus_name(self) -> str:
        return self._corpus

    def corpus_of(self, row: Row) -> str:
        return row.cells.get("corpus", "").lower() or self._corpus

    def events(self, row: Row) -> list[Row]:
        said = {name: row.said(name) for name in row.cells}
        for name in ("subject", "clip"):
            if not said[name]:
                raise row.wrong(name, f"the name of a {name}", do="write one that does not say that there is no value")
        return [replace(row, cells={name: cell for name, cell in said.items() if cell or name != "onset"})]

    def counts_from(self, folder: Folder | None) -> int:
        return 1 if folder is None else 0

    def emotion(self, row: Row, notes: list[str]) -> str:
        emotion = emotion_named(row.cells["emotion"])
        if not self.has(emotion) and self._labels is None and "label" not in row.cells:
            notes.append(f"emotion without a label: {emotion!r}")
        return emotion

    def label(self, row: Row, emotion: str, mapping: ClassMapping) -> Label | None:
        if self._labels is not None:
            return self._labels.get(emotion)
        said = row.cells.get("label")
        if said is None:
            return super().label(row, emotion, mapping)
        if not said:
            return None
        with suppress(UsageError):
            return label_named(said)
        with suppress(ValueError):
            index = whole(said)
            if index is not None:
                return Label(index)
        raise row.wrong("label", "negative, positive, surprise; 0, 1, 2; or nothing")

    def kind(self, row: Row) -> Kind:
        return super().kind(row) if row.cells.get("kind") else self._kind

    def descent(self, row: Row) -> Descent | None:
        source, corpus, subject, clip = (row.cells.get(column) or None for column in DESCENT)
        *folders, file = row.cells.get("face_photo", "").split("/")
        who = photographed(folders, file, row.cells.get("face") or None)
        face = "/".join(filter(None, who)) if who else None
        found = Descent(source, corpus, subject, clip, face)
        return None if found == Descent(None) else found

    def key(self, subject: str, clip: str, row: Row) -> Key:
        return (row.cells.get("frames", ""),)

    def needs_frames(self, row: Row, folders: Mapping[Key, Folder]) -> bool:
        return bool(row.cells.get("frames"))

    def rows_of_table(self, path: Path) -> list[Row]:
        if path.suffix.lower() == ".parquet":
            return _of_parquet(path, self.columns)
        return read_table(path, self.columns, flawed=True)

    def is_table(self, path: Path, sheets: Sequence[Sheet] | None = None) -> bool:
        try:
            return bool(self.rows_of_table(path))
        except InputError:
            return False

    def trees(self, path: Path, tables: Sequence[Path]) -> dict[str, dict[Key, Folder]]:
        folders: dict[Key, Folder] = {}
        for table in tables:
            for row in self.rows_of_table(table):
                below = row.said("frames")
                if below and (below,) not in folders:
                    there = path_in(table.parent, below)
                    images = _images(there) if there is not None else None
                    if images is not None:
                        folders[below,] = Folder(images[0], below, images[1])
        return {"": folders} if folders else {}


def _of_parquet(path: Path, columns: Columns) -> list[Row]:
    import pyarrow as pa

    from miex.stable import parquet_table

    try:
        table = parquet_table(path.read_bytes())
        values = {name: table[name].to_pylist() for name in table.column_names}
    except (OSError, pa.ArrowException, ValueError) as error:
        found = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"table {path}", expected="a Parquet index of miex", found=found,
            do="make it again with miex corpora index",
        ) from error  # fmt: skip
    header = columns.header(table.column_names)
    if header is None:
        raise InputError(
            f"table {path}", expected="an index with " + ", ".join(columns.needed), found=", ".join(table.column_names),
            do="give the file that miex corpora index wrote",
        )  # fmt: skip
    names = {column: table.column_names[i] for i, column in header.items()}
    cells = {c: ["" if v is None else str(v) for v in values[name]] for c, name in names.items()}
    return [Row(str(path), i + 1, {c: v[i] for c, v in cells.items()}, names) for i in range(table.num_rows)]


def _images(path: Path) -> tuple[Path, tuple[str, ...]] | None:
    """A folder and the names of its images, or of that one image; None if there is neither."""
    if path.is_dir():
        return path, tuple(file.name for file in path.iterdir() if IMAGE.fullmatch(file.name) and file.name[0] != ".")
    return (path.parent, (path.name,)) if path.is_file() and IMAGE.fullmatch(path.name) else None
