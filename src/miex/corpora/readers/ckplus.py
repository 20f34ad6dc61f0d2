"""CK+ (Lucey et al. 2010): 593 sequences from neutral to the peak, 327 of them with an emotion, 118 subjects.

No table: onset is the first frame, apex and offset are the last, the emotion is in a file of its own, AUs in another.
A list of sequences with their emotions, `S130/007 Angry` a line, may stand in for the folders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from miex.corpora.au_codes import parse_aus
from miex.corpora.corpus import Corpus, Key, Tree, key_of
from miex.corpora.folders import Folder, files_below
from miex.errors import InputError
from miex.tables.table import Row

EMOTION_CODES = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
_LETTERS = " ABCDE"  # FACS intensity 0: present, not graded
_DEPTH = 6  # Emotion_labels/Emotion/S005/001/…


class CKPlus(Corpus):
    """Sequences without an emotion file have no emotion: "" and no label."""

    name = "ckplus"
    title = "CK+"
    fps = 30.0
    licence = "sign the agreement of the Affect Analysis Group, University of Pittsburgh"
    source = "Lucey, Cohn, Kanade, Saragih, Ambadar & Matthews, CVPR Workshops 2010"
    emotions = (*EMOTION_CODES, "")
    folders = r"(?P<subject>S\d{3})(?:/|_|-|/[a-z]+/)(?P<clip>\d{3})"
    prefer = ("cohn-kanade-images", "images")
    paths = (Tree("images", "cohn-kanade-images/{subject}/{clip}", "{subject}_{clip}_{number:08d}.png"),)

    def kind(self, row: Row) -> Literal["macro"]:
        return "macro"

    def rows_of_folders(self, path: Path, folders: Mapping[Key, Folder]) -> list[Row]:
        emotions = _label_files(path, "emotion")
        facs = _label_files(path, "facs")
        if not emotions:
            raise InputError(
                f"labels of {self.title} in {path}",
                expected="files such as Emotion/S005/001/S005_001_00000011_emotion.txt",
                found="none",
                do="unpack Emotion_labels.zip beside the images",
            )
        rows = []
        for key, folder in folders.items():
            match = re.fullmatch(rf"(?:.*/)?{self.folders}", "/".join(folder.path.parts[-3:]), re.IGNORECASE)
            assert match, "its folders were found so"
            cells = {"subject": match["subject"].upper(), "clip": match["clip"]}
            row = Row(str(folder.path), 0, cells)
            if folder.numbers:
                cells |= {"onset": str(folder.numbers[0]), "apex": str(folder.numbers[-1])}
                cells["offset"] = cells["apex"]
            # what cannot be parsed stays as text: the reader then names it as a broken row
            cells["emotion"] = _emotion(emotions[key]) if key in emotions else ""
            cells["aus"] = _facs(facs[key]) if key in facs else ""
            rows.append(row)
        return rows

    def label_files(self, subject: str, clip: str, emotion: str, last: int, aus: str) -> dict[str, str]:
        """An unlabeled sequence has an empty folder of emotions; FACS intensity 0 means that it was not graded."""
        name = f"{subject}/{clip}/{subject}_{clip}_{last:08d}"
        facs = "".join(f"   {au.au:.7e}   {_LETTERS.index(au.intensity or ' '):.7e}\n" for au in parse_aus(aus).aus)
        label = f"   {EMOTION_CODES.index(emotion):.7e}\n" if emotion else ""
        files = {f"Emotion/{name}_emotion.txt" if emotion else f"Emotion/{subject}/{clip}/": label}
        return files | ({f"FACS/{name}_facs.txt": facs} if facs else {})

    def rows_of_table(self, path: Path) -> list[Row]:
        """Rows of a list of sequences with emotions; lines of another form are headings."""
        rows = []
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), start=1):
            match = re.fullmatch(r"(S\d{3})/(\d{3})\s+([A-Za-z]+)\s*", line)
            if match:
                cells = {"subject": match[1], "clip": match[2], "emotion": match[3], "onset": "1"}
                rows.append(Row(str(path), number, cells))
        return rows


def _label_files(path: Path, what: str) -> dict[Key, Path]:
    found = {}
    for file in files_below(path, _DEPTH):
        match = re.fullmatch(rf"(S\d{{3}})_(\d{{3}})_\d+_{what}\.txt", file.name, re.IGNORECASE)
        if match:
            found[key_of(match[1], match[2])] = file
    return found


def _emotion(path: Path) -> str:
    text = path.read_text("utf-8", errors="replace").strip()
    try:
        code = float(text)
        return EMOTION_CODES[int(code)] if code >= 0 and code == int(code) else f"{text} ({path})"
    except (ValueError, IndexError, OverflowError):
        return f"{text!r} ({path})"


def _facs(path: Path) -> str:
    aus = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            au, grade = (int(float(cell)) for cell in line.split())
            aus.append(f"{au}{_LETTERS[grade].strip()}")
        except (ValueError, IndexError, OverflowError):
            aus += [line.strip()] if line.strip() else []
    return "+".join(aus)
