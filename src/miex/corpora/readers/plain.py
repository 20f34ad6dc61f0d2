"""Any other corpus, described by a plain CSV.

Columns: subject, clip, onset, apex, offset, emotion, frames; optional: aus, kind, objective. `frames` is the folder of
the clip's images, relative to the CSV; onset, apex and offset are the numbers in the files' names; an empty apex or
offset is not known. The file is called clips.csv, or given by its path (xlsx will do as well).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from miex.corpora.corpus import Corpus, Key, Tree
from miex.corpora.folders import IMAGE, Folder
from miex.corpora.mappings import mapping_named
from miex.corpora.tables import Columns, Row, read_table


class Plain(Corpus):
    name = "plain"
    title = "a corpus of your own"
    licence = "it is yours: write a clips.csv"
    emotions = (*mapping_named("megc2019").corpora["plain"], "others", "repression", "tense", "neutral", "")
    folders = "(?P<frames>.+)"
    tables = ("clips",)
    columns = Columns(
        {
            "subject": ("subject",),
            "clip": ("clip", "filename"),
            "onset": ("onset", "onset frame"),
            "apex": ("apex", "apex frame"),
            "offset": ("offset", "offset frame"),
            "emotion": ("emotion", "estimated emotion"),
            "frames": ("frames", "frames folder", "folder"),
            "aus": ("aus", "action units"),
            "kind": ("kind", "type"),
            "objective": ("objective", "objective class"),
        },
        needed=("subject", "clip", "onset", "offset", "emotion"),
    )
    paths = (Tree("frames", "frames/{subject}/{clip}", "{number}.png"),)
    fake_table = "clips.csv"

    def key(self, subject: str, clip: str, row: Row) -> Key:
        return (row.cells.get("frames", ""),)

    def needs_frames(self, row: Row, folders: Mapping[Key, Folder]) -> bool:
        return bool(row.cells.get("frames"))

    def trees(self, path: Path, tables: Sequence[Path]) -> dict[str, dict[Key, Folder]]:
        folders: dict[Key, Folder] = {}
        for table in tables:
            for row in read_table(table, self.columns):
                below = row.cells.get("frames", "")
                folder = table.parent / below
                if below and (below,) not in folders and folder.is_dir():
                    names = tuple(f.name for f in folder.iterdir() if IMAGE.fullmatch(f.name) and f.name[0] != ".")
                    folders[below,] = Folder(folder, below, names)
        return {"": folders} if folders else {}
