"""Render rows of a plan into samples. The result depends only on the row, its face and the settings: not on other rows,
the worker or the shard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from miex.dataset.description import describe_sample
from miex.dataset.frames import LOSSY, SUFFIX, FrameFormat, encode_frame
from miex.dataset.schema import rendered_aus
from miex.dataset.shard import Failure, Sample
from miex.faces.crop import AlignedFace
from miex.faces.planned import load_face
from miex.generators.base import Generator, Rendered
from miex.generators.grid import GRID, Field, face_area
from miex.generators.muscle.blendshapes import relief
from miex.images import Image, ImageError, decode_image
from miex.nuisances.apply import PATTERN, drift, through_sensor
from miex.nuisances.still import still_area
from miex.stable import sample_rngs
from miex.synthesis.measures import measure_pair

# Of the frames that go to a generator in one call, unless a single row has more: 64 frames of 128 px. With their fields
# they take about 10 MB, however many rows an identity has.
PIXELS_PER_CALL = 2**20

Row = dict[str, Any]
Made = TypeVar("Made")


@dataclass(frozen=True)
class _Prepared:
    """An identity, ready: its row of faces.parquet, its rig, and what all its samples share."""

    face: dict[str, Any]
    aligned: AlignedFace
    rig: Any
    area: npt.NDArray[np.bool_]
    still: npt.NDArray[np.bool_]
    frame_format: FrameFormat

    @cached_property
    def levels(self) -> bytes:
        """Those of the crop: bytes are compared in half the time of arrays."""
        return self.aligned.crop.tobytes()

    @cached_property
    def relief(self) -> npt.NDArray[np.float32]:
        """How far the face stands out, where a head turns."""
        return relief(self.aligned)

    @cached_property
    def rest(self) -> bytes:
        """The crop, encoded once: most samples start from it."""
        return encode_frame(self.aligned.crop, self.frame_format)


@dataclass(frozen=True)
class Seen:
    """A sample as a reader of the stored set sees it: its row, its frames, uint8 RGB [n, size, size, 3], and what its
    .json member would hold."""

    row: Row
    frames: Image
    description: dict[str, Any]


Finish = Callable[[_Prepared, Row, Rendered, dict[str, Any], Generator[Any]], Made | Failure]


def render_identity(
    faces_root: Path, face: dict[str, Any], rows: Sequence[Row], settings: dict[str, Any], generator: Generator[Any]
) -> Iterator[Sample | Failure]:
    """The samples of one identity, in the order of its rows; what cannot be made is a Failure with its reason.

    The generator gets as many rows in one call as PIXELS_PER_CALL holds, or one, if it is not exact in batches
    (`Generator.batch_tolerance`) or mixes each sample anew: so a shard may begin or end between any two rows of an
    identity, and no byte changes.

    Args:
        faces_root: folder that the photos' paths are relative to.
        face: row of faces.parquet.
        rows: of the plan, all of this face.
        settings: of the plan.
        generator: of the plan.
    """
    return _finished(faces_root, face, rows, settings, generator, _sample)


def show_identity(
    faces_root: Path, face: dict[str, Any], rows: Sequence[Row], settings: dict[str, Any], generator: Generator[Any]
) -> Iterator[Seen | Failure]:
    """What a reader sees of the samples that `render_identity` makes, without storing them: lossless frames are not
    encoded at all, and of lossy ones it is the decoded picture."""
    return _finished(faces_root, face, rows, settings, generator, _seen)


def _finished(
    faces_root: Path,
    face: dict[str, Any],
    rows: Sequence[Row],
    settings: dict[str, Any],
    generator: Generator[Any],
    finish: Finish[Made],
) -> Iterator[Made | Failure]:
    try:
        prepared = _prepare(faces_root, face, settings, generator)
    except Exception as error:  # one odd face must not end a run of a million; its rows carry the reason
        _prove_memory(error)
        yield from (Failure(row["sample_id"], _reason(error)) for row in rows)
        return
    for batch in _batches(rows, settings["size"], generator):
        yield from _render(prepared, batch, settings, generator, finish)


def _prepare(faces_root: Path, face: dict[str, Any], settings: dict[str, Any], generator: Generator[Any]) -> _Prepared:
    aligned = load_face(faces_root, face, settings["size"])
    return _Prepared(
        face, aligned, generator.prepare(aligned), face_area(aligned), still_area(aligned),
        settings["frame_format"],
    )  # fmt: skip


def _batches(rows: Sequence[Row], size: int, generator: Generator[Any]) -> Iterator[Sequence[Row]]:
    together = generator.batch_tolerance == 0 and not generator.mixed
    most = PIXELS_PER_CALL // size**2 if together else 0
    batch: list[Row] = []
    frames = 0
    for row in rows:
        if batch and frames + len(row["aus"]) > most:
            yield batch
            batch, frames = [], 0
        batch.append(row)
        frames += len(row["aus"])
    if batch:
        yield batch


def _render(
    prepared: _Prepared,
    rows: Sequence[Row],
    settings: dict[str, Any],
    generator: Generator[Any],
    finish: Finish[Made],
) -> Iterator[Made | Failure]:
    try:
        rendered = _rendered(prepared, rows, settings["size"], generator)
    except Exception as error:  # as for the identity above
        _prove_memory(error)
        if len(rows) == 1:
            yield Failure(rows[0]["sample_id"], _reason(error))
            return
        for row in rows:  # one of them is odd
            yield from _render(prepared, [row], settings, generator, finish)
        return
    for row, one in zip(rows, rendered, strict=True):
        try:
            found = finish(prepared, row, one, settings, generator)
        except Exception as error:
            _prove_memory(error)
            found = Failure(row["sample_id"], _reason(error))
        yield found


def _rendered(prepared: _Prepared, rows: Sequence[Row], size: int, generator: Generator[Any]) -> list[Rendered]:
    """What the generator makes of each row, in one call."""
    aus = [rendered_aus(row) for row in rows]
    unit = prepared.aligned.inter_ocular
    drifts = [
        drift(row, size, unit, prepared.area, prepared.still, prepared.relief if row["turn"] else None, rng)
        for row, rng in zip(rows, sample_rngs((row["seed"] for row in rows), PATTERN), strict=True)
    ]
    rig = generator.mix(prepared.rig, rows[0]["mixture"]) if generator.mixed else prepared.rig
    made = generator.render(rig, np.concatenate(aus), _together(drifts, aus))
    ends = np.cumsum([len(z) for z in aus])
    return [
        Rendered(made.frames[end - len(z) : end], None if made.fields is None else made.fields[end - len(z) : end])
        for z, end in zip(aus, ends.tolist(), strict=True)
    ]


def _together(drifts: list[Field | None], aus: list[npt.NDArray[np.float32]]) -> Field | None:
    if all(one is None for one in drifts):
        return None
    still = np.zeros((GRID, GRID, 2), np.float32)
    return np.concatenate([[still] * len(z) if one is None else one for z, one in zip(aus, drifts, strict=True)])


def _sample(
    prepared: _Prepared, row: Row, rendered: Rendered, settings: dict[str, Any], generator: Generator[Any]
) -> Sample | Failure:
    frames = through_sensor(rendered.frames, row)
    encoded = tuple(
        prepared.rest if frame.tobytes() == prepared.levels else encode_frame(frame, settings["frame_format"])
        for frame in frames
    )
    onset, apex = frames[0], frames[row["apex"]]
    if settings["frame_format"] in LOSSY:  # what is stored is measured
        onset, apex = (decode_image(encoded[i], row["sample_id"]) for i in (0, row["apex"]))
    moved = None if rendered.fields is None else rendered.fields[row["apex"]] - rendered.fields[0]
    measures = measure_pair(onset, apex, moved, prepared.area, prepared.aligned.inter_ocular)
    if measures.identical:
        return _identical(row)
    kept = {name: value for name, value in vars(measures).items() if name != "identical"}  # none is
    if not np.isfinite(measures.psnr):  # colors differ and grays do not; JSON knows no infinity
        kept["psnr"] = None
    return Sample(
        row["sample_id"], encoded, SUFFIX[settings["frame_format"]], describe_sample(prepared.face, row, settings), kept
    )


def _seen(
    prepared: _Prepared, row: Row, rendered: Rendered, settings: dict[str, Any], generator: Generator[Any]
) -> Seen | Failure:
    frames, kind = through_sensor(rendered.frames, row), settings["frame_format"]
    if kind in LOSSY:
        frames = np.stack([decode_image(encode_frame(frame, kind), row["sample_id"]) for frame in frames])
    if np.array_equal(frames[0], frames[row["apex"]]):
        return _identical(row)
    return Seen(row, frames, describe_sample(prepared.face, row, settings))


def _identical(row: Row) -> Failure:
    return Failure(row["sample_id"], "identical: onset and apex are the same picture")


def _prove_memory(error: Exception) -> None:
    """Raises MemoryError for what ran out of memory: that is no fault of the row, which another try can make."""
    told = isinstance(error, cv2.error) and ("bad_alloc" in str(error) or error.code == cv2.Error.StsNoMem)
    if told or isinstance(error, MemoryError):
        raise MemoryError(str(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, ImageError):
        return f"{error.reason}: {error.found}"
    return f"{type(error).__name__}: {error}"
