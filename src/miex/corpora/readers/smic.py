"""SMIC (Li et al. 2013): HS at 100 fps, VIS and NIR at 25; no apex, no AUs. And SMIC-E, its long clips with a table.

SMIC itself has no table: a clip is its folder, onset and offset are its first and last file. A list with the columns
Subject, Filename, OnsetFrame, OffsetFrame may stand in for the folders. The folders of VIS, NIR
and SMIC-E have been confirmed only in part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from miex.corpora.corpus import Corpus, Key, Tree, key_of
from miex.corpora.folders import Folder
from miex.tables.table import Columns, Row

_CLASSES = {"ne": "negative", "po": "positive", "sur": "surprise"}
_EXTENDED = r"(?:SMIC[-_]E|SMIC[-_](?:HS|VIS|NIR)[-_]E|(?:HS|VIS|NIR)_long)(?![a-z])"
_LATER = ("2", "3")  # a long clip may hold a second and a third event


class Smic(Corpus):
    name = "smic"
    title = "SMIC-HS"
    fps = 100.0
    licence = (
        "ask the Center for Machine Vision and Signal Analysis, University of Oulu; a group leader signs the agreement"
    )
    source = "Li, Pfister, Huang, Zhao & Pietikäinen, FG 2013"
    emotions = ("negative", "positive", "surprise")
    folders = r"(?:s\d+(?:/|_|-))?(?:micro/)?(?:(?:negative|positive|surprise)/)?(?P<clip>s\d+_(?:ne|po|sur)_\d+)"
    belongs = rf"^(?!.*{_EXTENDED})(?!.*(?<![a-z])(?:VIS|NIR)(?![a-z]))"
    prefer = ("raw", "cropped")
    columns = Columns(
        {
            "subject": ("Subject",),
            "clip": ("Filename",),
            "onset": ("OnsetFrame", "OnsetF"),
            "offset": ("OffsetFrame", "OffsetF"),
            "emotion": ("Estimated Emotion", "Emotion"),
        },
        needed=("subject", "clip", "onset", "offset"),
    )
    paths: ClassVar[tuple[Tree, ...]] = (
        Tree("raw", "SMIC_all_raw/HS/{subject}/micro/{emotion}/{clip}", "image{number:06d}.bmp"),
        Tree("cropped", "SMIC_all_cropped/HS/{subject}/micro/{emotion}/{clip}", "reg_image{number:06d}.bmp"),
    )

    def identify(self, row: Row) -> tuple[str, str]:
        """Subject `s1` and clip `s1_ne_01`, unpadded as the folders are."""
        match = re.fullmatch(r"s0*(\d{1,3})_(ne|po|sur)_(\d+)", row.text("clip"), re.IGNORECASE | re.ASCII)
        if not match:
            raise row.wrong("clip", "a clip such as s1_ne_01")
        return f"s{match[1]}", f"s{match[1]}_{match[2].lower()}_{match[3]}"

    def key(self, subject: str, clip: str, row: Row) -> Key:
        return key_of(clip)

    def rows_of_folders(self, path: Path, folders: Mapping[Key, Folder]) -> list[Row]:
        rows = []
        for folder in folders.values():
            *_, subject, emotion, number = folder.path.name.split("_")  # what stands before is a flat folder's subject
            name = f"{subject}_{emotion}_{number}"
            cells = {"clip": name, "emotion": _CLASSES[emotion.lower()]}
            if folder.numbers:
                cells |= {"onset": str(folder.numbers[0]), "offset": str(folder.numbers[-1])}
            rows.append(Row(str(folder.path), 0, cells))
        return rows


class SmicVis(Smic):
    name = "smic-vis"
    title = "SMIC-VIS"
    fps = 25.0
    belongs = rf"^(?!.*{_EXTENDED}).*(?<![a-z])VIS(?![a-z])"
    paths = (Tree("raw", "SMIC_all_raw/VIS/{subject}/micro/{emotion}/{clip}", "image{number:06d}.bmp"),)


class SmicNir(Smic):
    name = "smic-nir"
    title = "SMIC-NIR"
    fps = 25.0
    belongs = rf"^(?!.*{_EXTENDED}).*(?<![a-z])NIR(?![a-z])"
    paths = (Tree("raw", "SMIC_all_raw/NIR/{subject}/micro/{emotion}/{clip}", "image{number:06d}.bmp"),)


class SmicE(Smic):
    """SMIC-E, HS: long clips around the events; a clip may hold two events, or three."""

    name = "smic-e"
    title = "SMIC-E-HS"
    source = "Li, Hong, Moilanen, Huang, Pfister, Zhao & Pietikäinen, IEEE Transactions on Affective Computing 2018"
    belongs = rf"^(?!.*(?<![a-z])(?:VIS|NIR)(?![a-z])).*{_EXTENDED}"
    folders = r"s\d+/(?P<clip>s\d+_(?:ne|po|sur)_\d+)"
    tables: ClassVar[tuple[str, ...]] = (r"SMIC[-_]HS[-_]E_annotation.*",)
    columns = Columns(
        {
            "subject": ("Subject",),
            "clip": ("Filename",),
            "onset": ("OnsetF",),
            "offset": ("OffsetF",),
            **{f"{what}{k}": (f"{what.title()}{k}F",) for k in _LATER for what in ("onset", "offset")},
            "first": ("FirstF",),
            "last": ("LastF",),
            "emotion": ("Emotion",),
        },
        needed=("subject", "clip", "onset", "offset", "first"),
        sheet="HS",
    )
    paths = (Tree("long", "SMIC-E_raw image/HS_long/SMIC-HS-E/{padded}/{clip}", "image{number:06d}.jpg"),)
    fake_table = "SMIC-E_raw image/HS_long/SMIC-HS-E_annotation.xlsx"

    def path_fields(self, subject: str, clip: str, emotion: str) -> dict[str, Any]:
        return super().path_fields(subject, clip, emotion) | {"padded": f"s{int(subject[1:]):02d}"}

    def wanted(self, row: Row) -> bool:
        return row.cells["subject"].isdigit() or bool(row.cells["onset"])  # text rows end the official files

    def events(self, row: Row) -> list[Row]:
        """The row itself, and one for each later event that lies within the clip."""
        rows = [row]
        for k in _LATER:
            onset, offset = row.cells.get(f"onset{k}", ""), row.cells.get(f"offset{k}", "")
            # edited copies of the table hold values there that lie outside the clip, or repeat the second event
            if onset.isdigit() and offset.isdigit() and int(onset) < int(offset) and _inside(row, int(onset)):
                event = replace(row, cells={**row.cells, "onset": onset, "offset": offset})
                if all(event.cells["onset"] != other.cells["onset"] for other in rows):
                    rows.append(event)
        return rows


def _inside(row: Row, number: int) -> bool:
    first, last = row.cells.get("first", ""), row.cells.get("last", "")
    return (not first.isdigit() or number >= int(first)) and (not last.isdigit() or number <= int(last))


class SmicEVis(SmicE):
    name = "smic-e-vis"
    title = "SMIC-E-VIS"
    fps = 25.0
    belongs = r"(?<![a-z])VIS(?![a-z])"
    tables = (r"SMIC[-_]VIS[-_]E_annotation.*", r"SMIC[-_]HS[-_]E_annotation.*")
    columns = replace(SmicE.columns, sheet="VIS")
    folders = r"(?:s\d+/)?(?P<clip>s\d+_(?:ne|po|sur)_\d+)"
    paths = (Tree("long", "SMIC-E_raw image/VIS_long/SMIC-VIS-E/VIS/{clip}", "image{number:06d}.jpg"),)
    fake_table = "SMIC-E_raw image/VIS_long/SMIC-VIS-E_annotation.xlsx"


class SmicENir(SmicEVis):
    name = "smic-e-nir"
    title = "SMIC-E-NIR"
    belongs = r"(?<![a-z])NIR(?![a-z])"
    tables = (r"SMIC[-_]NIR[-_]E_annotation.*", r"SMIC[-_]HS[-_]E_annotation.*")
    columns = replace(SmicE.columns, sheet="NIR")
    paths = (Tree("long", "SMIC-E_raw image/NIR_long/SMIC-NIR-E/NIR/{clip}", "image{number:06d}.jpg"),)
    fake_table = "SMIC-E_raw image/NIR_long/SMIC-NIR-E_annotation.xlsx"
