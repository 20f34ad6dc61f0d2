"""An index of clips, one row each: a CSV that can be read back as a corpus (`readers.plain`), or Parquet."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from miex.corpora.au_codes import format_aus
from miex.corpora.clip import Clip, Descent
from miex.errors import OutputError, UsageError
from miex.storage.local import write_whole
from miex.tables.table import first_row
from miex.tables.written import csv_text

COLUMNS = (
    "corpus", "subject", "clip", "onset", "apex", "offset", "emotion", "frames", "aus", "kind", "objective", "label",
    "aus_source", "aus_corpus", "aus_subject", "aus_clip", "face", "onset_place", "apex_place", "offset_place",
    "n_frames", "notes", "source",
)  # fmt: skip


def index_rows(clips: Iterable[Clip], folder: Path) -> list[dict[str, Any]]:
    """A row per clip: the columns of `readers.plain` (frame numbers as in the files' names, `frames` relative to
    `folder`; without frames, numbers count from 1), and besides the 0-based places of onset, apex and offset, the
    number of frames, notes and source."""
    rows = []
    for clip in clips:
        places = clip.onset, clip.apex, clip.offset
        onset, apex, offset = clip.published if clip.frames else (None if p is None else p + 1 for p in places)
        descent = clip.descent or Descent(None)
        rows.append(
            {
                "corpus": clip.corpus, "subject": clip.subject, "clip": clip.clip, "onset": onset, "apex": apex,
                "offset": offset, "emotion": clip.emotion, "frames": _frames(clip, folder),
                "aus": format_aus(clip.aus), "kind": clip.kind, "objective": clip.objective,
                "label": None if clip.label is None else clip.label.name, "aus_source": descent.source,
                "aus_corpus": descent.corpus, "aus_subject": descent.subject, "aus_clip": descent.clip,
                "face": descent.face, "onset_place": clip.onset, "apex_place": clip.apex, "offset_place": clip.offset,
                "n_frames": len(clip.frames), "notes": "; ".join(clip.notes), "source": clip.source,
            }
        )  # fmt: skip
    return rows


def _frames(clip: Clip, folder: Path) -> str:
    """Where the frames lie: their folder, or the only one itself, since others may lie beside it."""
    if not clip.frames:
        return ""
    there = clip.frames[0] if len(clip.frames) == 1 else clip.frames[0].parent
    return Path(os.path.relpath(there.resolve(), folder.resolve())).as_posix()


def write_index(clips: Iterable[Clip], out: Path) -> int:
    """Write the index as .csv or .parquet, by the path's suffix; returns the number of rows.

    Raises:
        UsageError: another suffix.
        OutputError: something else than an index has that name, or it cannot be written.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise UsageError(f"index {out}", expected="a name that ends in .csv or .parquet")
    if out.exists() and _columns(out) != list(COLUMNS):
        raise OutputError(
            f"index {out}", expected="a new name, or that of an index of miex", found="another file there",
            do="give another name, or move that file away",
        )  # fmt: skip
    rows = index_rows(clips, out.parent)
    if out.suffix == ".csv":
        write_whole(out, csv_text(COLUMNS, ([row[name] for name in COLUMNS] for row in rows)).encode())
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        content = io.BytesIO()
        pq.write_table(pa.table({name: [row[name] for row in rows] for name in COLUMNS}), content, compression="zstd")
        write_whole(out, content.getvalue())
    return len(rows)


def _columns(file: Path) -> list[str]:
    """Those of a table that is there; none of what is no table."""
    try:
        if file.suffix == ".csv":
            return list(first_row(file))
        import pyarrow.parquet as pq

        names: list[str] = pq.read_schema(file).names
        return names
    except (OSError, ValueError):
        return []
