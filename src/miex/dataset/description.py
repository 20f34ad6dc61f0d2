"""The .json member of a sample: written with its frames, and proven by the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from miex.aus.vector import AU_NUMBERS
from miex.dataset.also import also_seen
from miex.dataset.frames import MIME, SUFFIX
from miex.dataset.schema import AU_COLUMNS
from miex.errors import DamagedError
from miex.images import claimed
from miex.labels import Label
from miex.nuisances.columns import NAMES

if TYPE_CHECKING:
    from miex.dataset.shard import StoredSample

_OF_ROW = ("sample_id", "emotion", "source", "identity", "photo", "apex")  # said in both, in the same words


def generator_text(settings: Mapping[str, Any]) -> str:
    """Name and version of the generator in the settings of a plan, and its options that are not as by default:
    `muscle 18, basis=mixed`."""
    told = settings["generator"]
    return ", ".join([f"{told['name']} {told['version']}", *(f"{k}={v}" for k, v in told.get("options", {}).items())])


def describe_sample(face: dict[str, Any], row: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """All that is known of a sample, for who has only its tar: JSON values.

    Args:
        face: its row of faces.parquet.
        row: its row of plan.parquet.
        settings: of its plan.
    """
    return {
        "sample_id": row["sample_id"],
        "label": Label(row["label"]).name,
        "label_index": row["label"],
        "emotion": row["emotion"],
        "source": row["source"],
        "apex": row["apex"],
        "au_numbers": AU_NUMBERS,
        **dict(zip(AU_COLUMNS, np.round([row[name] for name in AU_COLUMNS], 6).tolist(), strict=True)),
        **({} if row["sides"] is None else {"sides": row["sides"]}),
        "also_seen": also_seen(row),
        "identity": row["identity"],
        "photo": row["photo"],
        "virtual": face["virtual"],
        **{key: row[key] for key in ("corpus", "subject", "clip", "onset_frame", "apex_frame") if row[key] is not None},
        **({"mixture": row["mixture"]} if row["mixture"] is not None else {}),
        "nuisances": {name: row[name] for name in NAMES if row[name] is not None},
        **{key: face[key] for key in ("kind", "person", "licence", "attribution") if face[key]},
        "synthetic": True,
        "generator": generator_text(settings),
    }


def prove_stored(stored: StoredSample, row: dict[str, Any], settings: dict[str, Any], where: str) -> None:
    """What readers rely on: as many frames as planned, of the planned format and size, and a description of that row.

    No frame is decoded: format and size are those of its header. `verify` compares the whole description with the plan.

    Args:
        stored: the sample.
        row: its row of samples.parquet.
        settings: of its plan.
        where: the set, for messages.

    Raises:
        DamagedError: something else is stored; the error names shard, sample and field.
    """
    from miex.dataset.records import prove_description  # loads pydantic, which `import miex.dataset` need not

    kind, side, n = settings["frame_format"], settings["size"], len(row["aus"])
    expected = f"{n} {kind} frames of {side} × {side} px and their description, as planned"
    try:
        if len(stored.frames) != n:
            raise ValueError(f"{len(stored.frames)} frames")
        if stored.mime != MIME[SUFFIX[kind]]:
            raise ValueError(f"frames named as {stored.mime or 'no image'}")
        for i, frame in enumerate(stored.frames):
            if (found := claimed(frame)) != (kind, side, side):
                raise ValueError(f"frame {i} of {found[1]} × {found[2]} px in {found[0]}")
        prove_description(stored.description)
        told = {**{name: row[name] for name in _OF_ROW}, "label": Label(row["label"]).name, "label_index": row["label"]}
        for name, value in told.items():
            if stored.description[name] != value:
                raise ValueError(f"description, {name}: {stored.description[name]!r}, expected {value!r}")
    except ValueError as error:
        raise DamagedError(
            f"sample {row['sample_id']} of {where}", expected=expected,
            found=f"shard {row['shard']:05d}, byte {row['offset']}: {error}",
            do="run miex verify to list the damaged shards, and miex repair to make them again; or leave such samples "
            "out with `on_error` skip",
        ) from error  # fmt: skip
