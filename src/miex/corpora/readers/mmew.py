"""MMEW (Ben et al. 2022): 90 fps, 30 subjects, 300 micro-expression clips; 900 single images of macro-expressions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from miex.corpora.corpus import Corpus, Key, Tree, key_of
from miex.corpora.folders import Folder
from miex.tables.table import Columns, Row

# `repression` is how some copies call the folder of `others`
_FOLDERS = r"(?:happiness|surprise|disgust|others?|repression|fear|sadness|anger)"
_LICENCE = "write to the authors of the paper (Xianye Ben, Shandong University)"
_SOURCE = "Ben, Ren, Zhang, Wang, Kpalma, Meng & Liu, IEEE TPAMI 2022"
EMOTION_CODES = {
    "01": "happiness", "02": "surprise", "03": "disgust", "04": "others", "05": "fear", "06": "sadness", "07": "anger",
}  # fmt: skip


class Mmew(Corpus):
    """Micro-expressions. The folders of some clips of S04 and S13 go on long after the offset."""

    name = "mmew"
    title = "MMEW"
    fps = 90.0
    licence = _LICENCE
    source = _SOURCE
    emotions = ("surprise", "disgust", "others", "happiness", "fear", "sadness", "anger")
    folders = rf"(?:S\d\d/)?(?:{_FOLDERS}/)?(?P<clip>S\d\d-\d\d-\d{{3}})"
    tables = (r"MMEW_Micro_Exp", r"MMEW.*")
    columns = Columns(
        {
            "subject": ("Subject",),
            "clip": ("Filename",),
            "onset": ("OnsetFrame",),
            "apex": ("ApexFrame",),
            "offset": ("OffsetFrame",),
            "aus": ("Action Units",),
            "emotion": ("Estimated Emotion",),
        },
        needed=("subject", "clip", "onset", "offset", "emotion"),
    )
    paths = (Tree("micro", "MMEW_Final/Micro_Expression/{emotion}/{clip}", "{number}.jpg"),)
    fake_table = "MMEW_Final/MMEW_Micro_Exp.xlsx"

    def identify(self, row: Row) -> tuple[str, str]:
        return _identify(row)

    def key(self, subject: str, clip: str, row: Row) -> Key:
        return key_of(clip)


class MmewMacro(Corpus):
    """Macro-expressions: single images at the apex, without onset or offset; every image is a clip of one frame."""

    name = "mmew-macro"
    title = "MMEW, macro-expressions"
    licence = _LICENCE
    source = _SOURCE
    emotions = ("happiness", "surprise", "disgust", "fear", "sadness", "anger")
    folders = r"S\d\d/(?:happiness|surprise|disgust|fear|sadness|anger)"
    paths = (Tree("macro", "MMEW_Final/Macro_Expression/{subject}/{emotion}", "{clip}.jpg"),)

    def parts_of_folder(self, folder: Folder, found: Mapping[str, str]) -> Iterator[tuple[Key, Folder]]:
        for name in sorted(folder.images):
            if re.fullmatch(r"S\d\d-\d\d-\d+", Path(name).stem, re.IGNORECASE):
                yield key_of(Path(name).stem), Folder(folder.path, folder.below, (name,))

    def rows_of_folders(self, path: Path, folders: Mapping[Key, Folder]) -> list[Row]:
        return [
            Row(
                str(folder.frames[0]), 0,
                {"clip": folder.frames[0].stem, "emotion": folder.path.name, "kind": "macro",
                 "apex": str(folder.numbers[0])},
            )
            for folder in folders.values()
        ]  # fmt: skip

    def identify(self, row: Row) -> tuple[str, str]:
        return _identify(row)

    def key(self, subject: str, clip: str, row: Row) -> Key:
        return key_of(clip)


def _identify(row: Row) -> tuple[str, str]:
    """The subject is the prefix of the clip's name; the table must not say another one."""
    clip = row.text("clip")
    match = re.fullmatch(r"(S\d\d)-\d\d-\d{3}", clip, re.IGNORECASE | re.ASCII)
    if not match:
        raise row.wrong("clip", "a clip such as S01-01-001")
    subject = row.cells.get("subject", "")
    if subject and key_of(subject.lower().removeprefix("s")) != key_of(match[1][1:]):
        raise row.wrong("subject", f"the subject of {clip}, {int(match[1][1:])}")
    return match[1].upper(), clip
