"""Oulu-CASIA NIR&VIS (Zhao et al. 2011): 25 fps, 80 subjects, six sequences each, in two cameras and three lights.

No table: the emotion is the folder; onset is the first frame (neutral), apex and offset are the last (peak). Frames
count from 0. The tree is camera and light: VL/Strong by default, others by `tree`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from miex.corpora.corpus import Corpus, Key, Tree
from miex.corpora.folders import Folder
from miex.tables.table import Row

_FOLDERS = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")


class OuluCasia(Corpus):
    name = "oulu-casia"
    title = "Oulu-CASIA NIR&VIS"
    fps = 25.0
    licence = (
        "ask the Center for Machine Vision and Signal Analysis, University of Oulu; a group leader signs the agreement"
    )
    source = "Zhao, Huang, Taini, Li & Pietikäinen, Image and Vision Computing 2011"
    emotions = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
    first_number = 0
    folders = rf"(?P<subject>P\d{{3}})/(?P<clip>{'|'.join(_FOLDERS)})"
    prefer = ("VL/Strong", "VL/Weak", "VL/Dark", "NI/Strong", "NI/Weak", "NI/Dark")
    paths = (
        Tree("VL/Strong", "OriginalImg/VL/Strong/{subject}/{clip}", "{number:03d}.jpeg"),
        Tree("NI/Dark", "OriginalImg/NI/Dark/{subject}/{clip}", "{number:03d}.jpeg"),
    )

    def kind(self, row: Row) -> Literal["macro"]:
        return "macro"

    def rows_of_folders(self, path: Path, folders: Mapping[Key, Folder]) -> list[Row]:
        rows = []
        for folder in folders.values():
            name = folder.path.name.capitalize()
            cells = {"subject": folder.path.parent.name.upper(), "clip": name, "emotion": name}
            if folder.numbers:
                cells |= {"onset": str(folder.numbers[0]), "apex": str(folder.numbers[-1])}
                cells["offset"] = cells["apex"]
            rows.append(Row(str(folder.path), 0, cells))
        return rows
