"""A corpus that one CSV describes: a row per clip, with subject and emotion; for AU tables of people's own corpora."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from miex.corpora.clip import Clip
from miex.errors import InputError, UsageError
from miex.labels import Label

NEEDED, OPTIONAL = ("clip", "subject", "emotion"), ("onset", "apex", "offset")
# Basic emotions in the spellings that tables use; the mapping of MEGC 2019 (contempt is negative). What is not here has
# no label.
BASIC_LABELS: dict[str, Label] = {
    **dict.fromkeys(("happy", "happiness", "joy", "positive"), Label.positive),
    **dict.fromkeys(("surprise", "surprised"), Label.surprise),
    **dict.fromkeys(
        ("sad", "sadness", "fear", "fearful", "anger", "angry", "disgust", "disgusted", "contempt", "negative"),
        Label.negative,
    ),
}


def read_list(
    path: Path,
    corpus: str,
    *,
    columns: Mapping[str, str] | None = None,
    labels: Mapping[str, Label] | None = None,
    kind: Literal["micro", "macro"] = "micro",
) -> list[Clip]:
    """The clips of a CSV with columns clip, subject, emotion, and, if known, onset, apex, offset (0-based frames).

    Args:
        path: the file.
        corpus: its name.
        columns: the file's own name for any of these columns.
        labels: label of each emotion (lower case), in place of BASIC_LABELS; others have none.
        kind: what the clips show.

    Raises:
        InputError: no such file, a missing column, an empty cell, a frame that is no number, a clip twice; it names
            file, line and value.
        UsageError: a column that is not one of these.
    """
    named = dict(columns or {})
    unknown = named.keys() - {*NEEDED, *OPTIONAL}
    if unknown:
        raise UsageError(f"column {sorted(unknown)[0]}", expected="one of " + ", ".join((*NEEDED, *OPTIONAL)))
    asked = f"clip list {path}"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(asked, expected="a CSV file in UTF-8", found=str(error)) from error
    if not rows:
        raise InputError(asked, expected="a header and rows", found="no rows")
    missing = [name for name in NEEDED if named.get(name, name) not in rows[0]]
    if missing:
        raise InputError(
            asked,
            expected="columns " + ", ".join(NEEDED),
            found=f"no {named.get(missing[0], missing[0])} among {', '.join(map(str, rows[0]))}"[:200],
            do=f"name it: --column {missing[0]}=NAME",
        )
    known = BASIC_LABELS if labels is None else labels
    clips: dict[tuple[object, ...], Clip] = {}
    for line, row in enumerate(rows, 2):
        where = f"{asked}, line {line}"
        clip, subject, emotion = (_text(row, named.get(name, name), where) for name in NEEDED)
        onset, apex, offset = (_frame(row, named.get(name, name), where) for name in OPTIONAL)
        emotion = emotion.lower()
        key = subject, clip, onset
        if key in clips:
            raise InputError(where, expected="each clip once", found=f"clip {clip} of subject {subject} again")
        clips[key] = Clip(corpus, subject, clip, emotion, known.get(emotion), onset, apex, offset, kind=kind)
    return list(clips.values())


def _text(row: Mapping[str, str | None], column: str, where: str) -> str:
    text = (row[column] or "").strip()
    if not text:
        raise InputError(where, expected=f"a value in column {column}", found="none")
    return text


def _frame(row: Mapping[str, str | None], column: str, where: str) -> int | None:
    text = (row.get(column) or "").strip()
    if not text:
        return None
    if not text.isdecimal():
        raise InputError(where, expected=f"a frame number from 0 on in column {column}", found=repr(text))
    return int(text)
