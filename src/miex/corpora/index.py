"""An index of clips: one row each, as CSV that the corpus `plain` reads back, or as Parquet."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from miex.corpora.au_codes import format_aus
from miex.corpora.clip import Clip
from miex.errors import UsageError
from miex.storage.local import write_whole


def index_rows(clips: Iterable[Clip], folder: Path) -> list[dict[str, Any]]:
    """A row per clip: what the corpus `plain` needs (frame numbers as in file names, `frames` relative to `folder`),
    and besides corpus, label, the 0-based places of onset, apex and offset, the number of frames, notes and source."""
    rows = []
    for clip in clips:
        onset, apex, offset = clip.published
        frames = os.path.relpath(clip.frames[0].parent.resolve(), folder.resolve()) if clip.frames else ""
        rows.append(
            {
                "corpus": clip.corpus, "subject": clip.subject, "clip": clip.clip, "onset": onset, "apex": apex,
                "offset": offset, "emotion": clip.emotion, "frames": Path(frames).as_posix() if frames else "",
                "aus": format_aus(clip.aus), "kind": clip.kind, "objective": clip.objective,
                "label": None if clip.label is None else clip.label.name, "onset_place": clip.onset,
                "apex_place": clip.apex, "offset_place": clip.offset, "n_frames": len(clip.frames),
                "notes": "; ".join(clip.notes), "source": clip.source,
            }
        )  # fmt: skip
    return rows


def write_index(clips: Iterable[Clip], out: Path) -> int:
    """Write the index as .csv or .parquet, by the path's suffix; returns the number of rows."""
    rows = index_rows(clips, out.parent)
    if out.suffix == ".csv":
        text = io.StringIO(newline="")
        names = list(rows[0]) if rows else ["corpus", "subject", "clip"]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(out, text.getvalue().encode())
    elif out.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        content = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), content, compression="zstd")
        write_whole(out, content.getvalue())
    else:
        raise UsageError(f"index {out}", expected="a name that ends in .csv or .parquet")
    return len(rows)
