"""From a row of a plan to a sample: a pure function."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from miex.aus.vector import AU_NUMBERS
from miex.dataset.frames import LOSSY, SUFFIX, encode_frame
from miex.dataset.shard import Failure, Sample
from miex.faces.crop import AlignedFace
from miex.faces.planned import load_face
from miex.generators.base import Generator
from miex.images import Image, ImageError, decode_image
from miex.labels import Label
from miex.nuisances.apply import drift, shown_aus, through_sensor
from miex.nuisances.columns import NAMES
from miex.stable import sample_rng
from miex.synthesis.measures import measure_pair


@dataclass(frozen=True)
class Prepared:
    """An identity, ready: its row of faces.parquet, its rig, and what all its samples share."""

    face: dict[str, Any]
    aligned: AlignedFace
    rig: Any
    area: np.ndarray
    crop: Image
    rest: bytes  # the crop, encoded once: most samples start from it


def prepare(
    faces_root: Path, face: dict[str, Any], settings: dict[str, Any], generator: Generator[Any]
) -> Prepared | str:
    """The identity, or the reason why it cannot be made."""
    try:
        aligned = load_face(faces_root, face, settings["size"])
        rig = generator.prepare(aligned)
        crop = aligned.crop
        rest = encode_frame(crop, settings["frame_format"])
        return Prepared(face, aligned, rig, generator.face_area(rig), crop, rest)
    except ImageError as error:
        return f"{error.reason}: {error.found}"
    except Exception as error:  # one odd face must not end a run of a million; the row carries the reason
        return f"{type(error).__name__}: {error}"


def render(
    actor: Prepared, row: dict[str, Any], settings: dict[str, Any], generator: Generator[Any]
) -> Sample | Failure:
    try:
        aus, rng = shown_aus(row), sample_rng(row["seed"], "render")
        moved = drift(row, settings["size"], actor.aligned.inter_ocular, actor.area)
        frames = through_sensor(generator.render(actor.rig, aus, rng, moved), row, rng)
        fields = generator.displacement(actor.rig, aus[[0, row["apex"]]])
        encoded = tuple(
            actor.rest if np.array_equal(frame, actor.crop) else encode_frame(frame, settings["frame_format"])
            for frame in frames
        )
        onset, apex = frames[0], frames[row["apex"]]
        if settings["frame_format"] in LOSSY:  # what is stored is measured
            onset, apex = (decode_image(encoded[i], row["sample_id"]) for i in (0, row["apex"]))
        measures = measure_pair(onset, apex, fields[1] - fields[0], actor.area, actor.aligned.inter_ocular)
    except Exception as error:  # as for the identity above
        return Failure(row["sample_id"], f"{type(error).__name__}: {error}")
    if measures.identical:
        return Failure(row["sample_id"], "identical: onset and apex are the same picture")
    kept = asdict(measures)
    del kept["identical"]  # none is
    if not np.isfinite(measures.psnr):  # colors differ and grays do not; JSON knows no infinity
        kept["psnr"] = None
    return Sample(
        row["sample_id"], encoded, SUFFIX[settings["frame_format"]], _description(actor.face, row, generator), kept
    )


def _description(face: dict[str, Any], row: dict[str, Any], generator: Generator[Any]) -> dict[str, Any]:
    """The .json member: all that is known of a sample, for who has only the tar."""
    return {
        "sample_id": row["sample_id"],
        "label": Label(row["label"]).name,
        "label_index": row["label"],
        "emotion": row["emotion"],
        "source": row["source"],
        "apex": row["apex"],
        "au_numbers": AU_NUMBERS,
        "aus": [[round(z, 6) for z in frame] for frame in row["aus"]],
        "identity": row["identity"],
        "photo": row["photo"],
        "virtual": face["virtual"],
        **{key: row[key] for key in ("corpus", "subject", "clip", "onset_frame", "apex_frame") if row[key] is not None},
        "nuisances": {name: row[name] for name in NAMES if row[name] is not None},
        **{key: face[key] for key in ("kind", "person", "licence", "attribution") if face[key]},
        "synthetic": True,
        "generator": f"{generator.name} {generator.version}",
    }
