"""The .json member of a sample: written with its frames, and proven by the plan."""

from __future__ import annotations

from typing import Any

from miex.aus.vector import AU_NUMBERS
from miex.dataset.also import also_seen
from miex.dataset.schema import AU_COLUMNS
from miex.labels import Label
from miex.nuisances.columns import NAMES


def describe_sample(face: dict[str, Any], row: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """All that is known of a sample, for who has only its tar: JSON values.

    Args:
        face: its row of faces.parquet.
        row: its row of plan.parquet.
        settings: of its plan.
    """
    generator = settings["generator"]
    return {
        "sample_id": row["sample_id"],
        "label": Label(row["label"]).name,
        "label_index": row["label"],
        "emotion": row["emotion"],
        "source": row["source"],
        "apex": row["apex"],
        "au_numbers": AU_NUMBERS,
        **{name: [[round(z, 6) for z in frame] for frame in row[name]] for name in AU_COLUMNS},
        "also_seen": also_seen(row),
        "identity": row["identity"],
        "photo": row["photo"],
        "virtual": face["virtual"],
        **{key: row[key] for key in ("corpus", "subject", "clip", "onset_frame", "apex_frame") if row[key] is not None},
        "nuisances": {name: row[name] for name in NAMES if row[name] is not None},
        **{key: face[key] for key in ("kind", "person", "licence", "attribution") if face[key]},
        "synthetic": True,
        "generator": f"{generator['name']} {generator['version']}",
    }
