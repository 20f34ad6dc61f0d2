"""Make one shard: a pure function of the plan, its number and the photos."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from miex.aus.vector import AU_NUMBERS
from miex.errors import InputError
from miex.executors.local import one_thread
from miex.faces import VERSION as FACES_VERSION
from miex.faces.crop import AlignedFace, CropPlace, align
from miex.faces.virtual import make_virtual
from miex.generators import generator_of
from miex.generators.base import Generator
from miex.images import Image, PhotoError, decode_frame, decode_photo
from miex.labels import Label
from miex.measure.pair import measure_pair
from miex.plan.build import sample_rng
from miex.plan.camera import PARTS, shown_aus
from miex.plan.schema import read_record, read_shard
from miex.synthesis.camera import drift, through_sensor
from miex.synthesis.commit import Failure, Sample, ShardRecord, read_shard_record, write_shard
from miex.synthesis.frames import LOSSY, SUFFIX, encode_frame


@dataclass(frozen=True)
class ShardTask:
    """What a worker is told.

    Attributes:
        out: folder of the plan, and of the shards.
        shard: number of the shard.
        plan: digest of the plan.
        faces_root: folder that the photos' paths are relative to.
        again: make a shard again that is there, and keep the better one.
    """

    out: Path
    shard: int
    plan: str
    faces_root: Path
    again: bool = False


@dataclass(frozen=True)
class ShardResult:
    """What a worker says: how many samples were made, how many failed, how many bytes."""

    shard: int
    made: int
    failed: int
    bytes: int


def make_shard(task: ShardTask) -> ShardResult:
    """Render the rows of a shard, and commit it.

    Raises:
        OutputError: the shard cannot be written.
        InputError: the plan cannot be read, or its generator is not the installed one.
    """
    with one_thread():
        kept = read_shard_record(task.out, task.shard) if task.again else None
        record = write_shard(task.out, task.shard, task.plan, render_shard(task), kept=kept)
    return result_of(record)


def result_of(record: ShardRecord) -> ShardResult:
    """The summary of a record."""
    return ShardResult(record.shard, len(record.samples), len(record.failed), record.bytes)


def render_shard(task: ShardTask) -> Iterator[Sample | Failure]:
    """The samples of a shard, in the order of the plan; one that cannot be made is a Failure with its reason."""
    settings, generator = _plan_settings(task.out, task.plan)
    rows, faces = read_shard(task.out, task.shard)
    by_identity = {face["identity"]: face for face in faces.to_pylist()}
    actor: _Actor | str = ""
    for row in rows.to_pylist():
        face = by_identity[row["identity"]]
        if not (isinstance(actor, _Actor) and actor.face is face):
            actor = _actor(task.faces_root, face, settings, generator)
        if isinstance(actor, str):
            yield Failure(row["sample_id"], actor)
        else:
            yield _render(actor, row, settings, generator)


@lru_cache(maxsize=2)
def _plan_settings(out: Path, plan: str) -> tuple[dict[str, Any], Generator[Any]]:
    # keyed by the digest, so that a new plan in the same folder is read again
    settings = read_record(out)["settings"]
    if settings["faces_version"] != FACES_VERSION:
        raise InputError(
            f"plan {out}",
            expected=f"faces of version {FACES_VERSION}, as in the installed miex",
            found=f"version {settings['faces_version']}",
            do="install the miex that made the plan (plan.json names it), or make a new plan",
        )
    return settings, generator_of(settings["generator"])


@dataclass(frozen=True)
class _Actor:
    """An identity, ready: its row of faces.parquet, its rig, and what all its samples share."""

    face: dict[str, Any]
    aligned: AlignedFace
    rig: Any
    area: np.ndarray
    crop: Image
    rest: bytes  # the crop, encoded once: most samples start from it


def _actor(faces_root: Path, face: dict[str, Any], settings: dict[str, Any], generator: Generator[Any]) -> _Actor | str:
    """The identity, or the reason why it cannot be made."""
    try:
        aligned = load_face(faces_root, face, settings["size"])
        rig = generator.prepare(aligned)
        crop = aligned.crop
        rest = encode_frame(crop, settings["frame_format"])
        return _Actor(face, aligned, rig, generator.face_area(rig), crop, rest)
    except PhotoError as error:
        return f"{error.reason}: {error.found}"
    except Exception as error:  # one odd face must not end a run of a million; the row carries the reason
        return f"{type(error).__name__}: {error}"


@lru_cache(maxsize=1)  # the relatives of one photo often follow one another; the array is read only by use
def _photo(path: Path, sha256: str) -> Image:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PhotoError(f"photo {path}", found=error.strerror or str(error), reason="unreadable") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise PhotoError(f"photo {path}", found="not the bytes that were planned", reason="changed")
    return decode_photo(io.BytesIO(content), path.name)


def load_face(faces_root: Path, face: dict[str, Any], size: int) -> AlignedFace:
    """The aligned face of a row of faces.parquet.

    Raises:
        PhotoError: the photo is missing, or is not the one that was planned.
    """
    photo = _photo(faces_root / face["path"], face["sha256"])
    landmarks = np.asarray(face["landmarks"], np.float32).reshape(-1, 3)
    place = CropPlace(face["crop_x"], face["crop_y"], face["crop_side"], face["crop_roll"])
    aligned = align(photo, landmarks, place, size)
    return make_virtual(aligned, face["virtual_seed"]) if face["virtual"] else aligned


def _render(
    actor: _Actor, row: dict[str, Any], settings: dict[str, Any], generator: Generator[Any]
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
            onset, apex = decode_frame(encoded[0]), decode_frame(encoded[row["apex"]])
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
        "camera": {part: row[part] for part in PARTS if row[part] is not None},
        **{key: face[key] for key in ("kind", "person", "licence", "attribution") if face[key]},
        "synthetic": True,
        "generator": f"{generator.name} {generator.version}",
    }
