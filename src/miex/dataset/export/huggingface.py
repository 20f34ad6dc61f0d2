"""A set as Parquet files that Hugging Face's `datasets` reads, with frames, AUs and classes as its features."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from miex.dataset.export.features import IMAGE, LABEL, feature_of
from miex.dataset.export.parts import MOST_BYTES, Target, in_parts, sizes_of, write_card
from miex.dataset.frames import SUFFIX
from miex.dataset.reader import Dataset
from miex.dataset.schema import FACES_SCHEMA, MEASURE_COLUMNS, PLAN_COLUMNS
from miex.executors.base import Progress, silent
from miex.storage import Place

GROUP_BYTES, GROUP_ROWS = 32 * 2**20, 500  # at most, of a row group: readers hold one, and take one row from it
_FRAMES: Final = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))  # how `datasets` keeps images
_TOLD: Final = {  # what the .json member of a sample says, beside its row
    "also_seen": pa.list_(pa.string()),
    "virtual": pa.bool_(),
    **{name: FACES_SCHEMA.field(name).type for name in ("kind", "person", "licence", "attribution")},
    "synthetic": pa.bool_(),
    "generator": pa.string(),
}
_ROWS: Final = {
    column.name: pa.int64() if column.name == "label" else column.type for column in (*PLAN_COLUMNS, *MEASURE_COLUMNS)
}
_FIRST: Final = {
    "sample_id": pa.string(),
    "frames": _FRAMES,
    **{name: _ROWS[name] for name in ("apex", "label", "emotion")},
}
_SCHEMA: Final = pa.schema({**_FIRST, **_ROWS, **_TOLD})
FEATURES: Final[dict[str, Any]] = {
    **{field.name: feature_of(field.type) for field in _SCHEMA if field.name != "frames"},
    "frames": {"feature": IMAGE, "_type": "Sequence"},
    "label": LABEL,
}


def export_huggingface(dataset: Dataset, place: Place, *, progress: Progress = silent) -> int:
    """Write `data/train-00000-of-00002.parquet` …, and README.md, which says how `datasets` finds them.

    One row per sample, in the order of the plan: `frames`, a list of images, onset first, each byte for byte as stored;
    `label`, of the classes negative, positive and surprise; and everything else that samples.parquet and the sample's
    own description know: AU vectors of every frame, provenance, measures, licence and attribution.

    Args:
        dataset: the set, or a selection of it.
        place: a new or empty folder, or one in a bucket.
        progress: called with samples done and samples in all.

    Returns:
        How many frames were written.

    Raises:
        OutputError: the folder is not empty, or cannot be written to.
        InputError: the set is damaged, or an id cannot be part of a file's name.
    """
    features = {field.name: FEATURES[field.name] for field in _SCHEMA}
    schema = _SCHEMA.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    sizes, frames = sizes_of(dataset), 0
    shards = list(in_parts(sizes, MOST_BYTES))
    with Target(dataset, place) as out:
        for number, shard in enumerate(shards):
            name = f"data/train-{number:05d}-of-{len(shards):05d}.parquet"
            with out.writing(name) as draft, pq.ParquetWriter(draft, schema) as writer:
                for part in in_parts(sizes[shard.start : shard.stop], GROUP_BYTES, rows=GROUP_ROWS):
                    rows = range(shard.start + part.start, shard.start + part.stop)
                    group, n = _group(dataset, rows, schema)
                    writer.write_table(group, row_group_size=len(rows))
                    frames += n
                    progress(rows.stop, len(dataset), "")
        opened = [
            "from datasets import load_dataset",
            "",
            'samples = load_dataset("FOLDER", split="train")  # the folder of this file',
            "sample = samples[0]",
            'onset, apex = sample["frames"][0], sample["frames"][sample["apex"]]  # PIL images',
            'samples.features["label"].int2str(sample["label"]), sample["aus"][sample["apex"]], sample["attribution"]',
        ]
        write_card(out, dataset, "data/train-*.parquet", opened)
    return frames


def _group(dataset: Dataset, rows: Sequence[int], schema: pa.Schema) -> tuple[pa.Table, int]:
    """The rows as a table, and how many frames they have."""
    stored = [dataset.stored(i) for i in rows]
    table = dataset.table.slice(rows[0], len(rows))
    ids, suffix = table["sample_id"].to_pylist(), SUFFIX[dataset.record["settings"]["frame_format"]]
    columns = {name: table[name].cast(kind) for name, kind in _ROWS.items()}
    columns["frames"] = pa.array(
        [
            [{"bytes": frame, "path": f"{sample_id}.{k:03d}{suffix}"} for k, frame in enumerate(one.frames)]
            for sample_id, one in zip(ids, stored, strict=True)
        ],
        _FRAMES,
    )
    for name, kind in _TOLD.items():
        columns[name] = pa.array([one.description.get(name) for one in stored], kind)
    made = pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)
    return made, sum(len(one.frames) for one in stored)
