"""A set as a plain folder of image files, with one table that names them."""

from __future__ import annotations

import json
from typing import Any

from miex.aus.vector import AU_NUMBERS, SIDES
from miex.dataset.export.parts import Target
from miex.dataset.frames import SUFFIX
from miex.dataset.reader import Dataset
from miex.dataset.shard import StoredSample
from miex.executors.base import Progress, silent
from miex.labels import Label
from miex.storage import Place
from miex.tables.written import csv_text

CLIPS_FILE = "clips.csv"
_ROWS_AT_ONCE = 500
_KINDS = {"coded": "aus", **{f"rendered_{side}": f"rendered_{side}" for side in SIDES}}  # in the table: in the plan
_COLUMNS = (
    "subject", "clip", "onset", "apex", "offset", "emotion", "label", "frames",
    "aus_source", "aus_corpus", "aus_subject", "aus_clip", "aus_onset", "aus_apex", "face_photo", "face", "identity",
    "also_seen",
    *(f"{kind}_{when}_AU{au:02d}" for kind in _KINDS for when in ("onset", "apex") for au in AU_NUMBERS),
)  # fmt: skip


def export_folder(dataset: Dataset, place: Place, *, progress: Progress = silent) -> int:
    """Write every frame of every sample, byte for byte as stored: `frames/<sample_id>/001.png` (onset), `002.png`, …,
    with a `sample.json` (AUs of every frame as coded and as rendered, licence, attribution and all else that is known),
    and finally `clips.csv`.

    The table can be read as a corpus (`miex corpora check NAME OUT`). Its subject is the photo, shared by the virtual
    identities made from it. Onset, apex and offset are the numbers of the files; the offset is empty if the sequence
    ends with the apex. aus_source … aus_clip say where the AUs come from, for the leak guard, aus_onset and aus_apex
    which frames of that clip they are, 0-based. face_photo, which begins with the name of the folder of photos, and
    face, where their list names a person, say for the leak guard whose face it is. Further columns, for other programs,
    hold the identity; what is seen beside the coded AUs, in words; and the intensity of every AU at onset and apex, in
    [0, 1], as coded (coded_onset_AU12) and as each side of the face performs it, nuisances included
    (rendered_left_onset_AU12).

    Args:
        dataset: the set, or a selection of it.
        place: a new or empty folder, or one in a bucket.
        progress: called with samples done and samples in all.

    Returns:
        How many frames were written.

    Raises:
        OutputError: the folder is not empty, or cannot be written to.
        InputError: the set is damaged, or an id cannot be the name of a folder.
    """
    suffix = SUFFIX[dataset.record["settings"]["frame_format"]]
    rows = []
    n_frames = 0
    root = dataset.record["faces_root"].replace("\\", "/").rstrip("/").rpartition("/")[2]
    faces = dataset.identities.select(["identity", "path", "person"]).to_pylist()
    shown = {face["identity"]: (f"{root}/{face['path']}", face["person"]) for face in faces}
    batches = dataset.table.to_batches(_ROWS_AT_ONCE)  # as Python's objects a row takes ten times as much
    with Target(dataset, place) as out:
        for i, row in enumerate(row for batch in batches for row in batch.to_pylist()):
            stored = dataset.stored(i)
            folder = f"frames/{row['sample_id']}"
            for k, frame in enumerate(stored.frames, 1):  # corpora count from 1
                out.write(f"{folder}/{k:03d}{suffix}", frame)
            text = json.dumps(stored.description, indent=1, ensure_ascii=False) + "\n"
            out.write(f"{folder}/sample.json", text.encode())
            rows.append(_cells(row, stored, folder, shown[row["identity"]]))
            n_frames += len(stored.frames)
            progress(i + 1, len(dataset), "")
        out.write(CLIPS_FILE, csv_text(_COLUMNS, rows).encode())
    return n_frames


def _cells(row: dict[str, Any], stored: StoredSample, folder: str, shown: tuple[str, str | None]) -> tuple[Any, ...]:
    apex, n = row["apex"] + 1, len(stored.frames)
    numbers = 1, apex, n if apex < n else None
    descent = (row[name] for name in ("source", "corpus", "subject", "clip", "onset_frame", "apex_frame"))
    aus = (f"{z:.6g}" for name in _KINDS.values() for at in (0, row["apex"]) for z in row[name][at])
    label, also = Label(row["label"]).name, "; ".join(stored.description["also_seen"])
    start = (row["photo"], row["sample_id"], *numbers, row["emotion"], label, folder, *descent, *shown)
    return (*start, row["identity"], also, *aus)
