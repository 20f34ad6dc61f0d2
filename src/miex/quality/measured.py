"""What is measured of a stored sample: the AUs that its frames show, its likeness to its face, its sharpness, and what
else moved.

The ruler is the same for every set: what an AU looks like, and where it moves skin, is the muscle generator's idea,
whichever generator made the frames.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from miex.aus.vector import AUArray
from miex.dataset import Dataset
from miex.dataset.plan_file import read_faces
from miex.dataset.schema import rendered_aus
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.executors.local import one_thread
from miex.extraction.flow import EmbeddedExtractor
from miex.faces.crop import AlignedFace, Points
from miex.faces.landmarks import Landmarker
from miex.faces.planned import load_face
from miex.faces.sface import SFace
from miex.generators.grid import Field, face_area
from miex.generators.muscle import MuscleGenerator
from miex.generators.muscle.blendshapes import relief
from miex.images import Image, ImageError
from miex.nuisances.apply import drift
from miex.nuisances.still import still_area
from miex.quality.identity import FrameDescriptor, describe_frames
from miex.quality.motion import Motion, motion_of
from miex.quality.recovery import read_change
from miex.quality.sharpness import sharpness
from miex.quality.stillness import changed_pixels, still_pixels

_SAMPLES_PER_TASK = 4
# Nuisances that change the levels of every pixel: fine detail, and flow, would be theirs.
SENSOR = ("light", "noise", "compression")


@dataclass(frozen=True)
class Measured:
    """One sample; None where it could not be measured.

    Attributes:
        identity: whose face it is.
        identical: whether onset and apex are the same picture.
        known: intensities, apex − onset, that the frames were made with, nuisances included, float32 [17].
        read: intensities, apex − onset, read off the frames, float32 [17]; NaN where no face was found.
        frames: descriptors of rest crop, onset and apex.
        changed: pixels, of onset and apex, that differ from the rest crop where no skin moves.
        still: share of the frame that those places are, mean of onset and apex.
        sharpness: of onset and apex.
        motion: that AUs asked for, and that none did.
        rest: whether the photo is there.
    """

    identity: str
    identical: bool
    known: AUArray
    read: AUArray | None
    frames: list[FrameDescriptor] | None
    changed: int | None
    still: float
    sharpness: tuple[float, float] | None
    motion: Motion | None
    rest: bool


@dataclass(frozen=True)
class _Task:
    first: int
    samples: Dataset
    model: Path | None
    sface: Path | None
    faces_root: Path
    outside: bool


def measure(
    samples: Dataset, *, model: Path | None, sface: Path | None, faces_root: Path, outside: bool = False,
    executor: Executor = IN_PROCESS, progress: Progress = silent,
) -> list[Measured]:  # fmt: skip
    """Measure each sample, in order.

    Args:
        samples: of a finished set.
        model: file of the landmark model; None: AUs and identity are left out.
        sface: file of the SFace model; None: frames are described without it.
        faces_root: folder that the photos' paths are relative to. Without a photo AUs are read against the onset, and
            the rest is left out. Sharpness and motion are left out as well where nuisances change every pixel's level.
        outside: whether to compare the pixels to which no skin moves.
        executor: where the work is done.
        progress: called with samples done and samples in all.

    Raises:
        InputError: a damaged set.
    """
    starts = range(0, len(samples), _SAMPLES_PER_TASK)
    tasks = [_Task(i, samples[i : i + _SAMPLES_PER_TASK], model, sface, faces_root, outside) for i in starts]
    found: dict[int, Measured] = {}
    for part in executor.map(_measure, tasks):
        found |= part
        progress(len(found), len(samples), "")
    return [found[i] for i in range(len(samples))]  # whatever the order in which they came


def _measure(task: _Task) -> dict[int, Measured]:
    dataset = task.samples
    size = dataset.record["settings"]["size"]
    identities = dataset.table["identity"].unique().to_pylist()
    faces = {face["identity"]: face for face in read_faces(dataset.storage, identities).to_pylist()}
    muscles = MuscleGenerator()
    found: dict[int, Measured] = {}
    faced: dict[int, list[tuple[Image, Points]]] = {}  # frames of a sample with the face found in each
    with one_thread(), ExitStack() as open_until_end:
        extractor = EmbeddedExtractor(task.model) if task.model else None
        landmarker = open_until_end.enter_context(Landmarker(task.model)) if task.model else None
        for i, row in enumerate(dataset.table.to_pylist()):
            shown = rendered_aus(row)[[0, row["apex"]]]  # with the nuisances
            pair = dataset.pair(i)
            try:
                face = load_face(task.faces_root, faces[row["identity"]], size)
            except ImageError:
                face = None
            rest = face.crop if face else None
            read = changed = None
            still = 0.0
            if extractor and landmarker:
                read = read_change(extractor, landmarker, pair, rest)
                if rest is not None and (meshes := _meshes(landmarker, (rest, *pair))):
                    faced[task.first + i] = list(zip((rest, *pair), meshes, strict=True))
            sharp = moved = None
            seen = not any(row[name] for name in SENSOR)
            if face and (seen or task.outside):
                rig = muscles.prepare(face)
                if seen:
                    onset, apex = sharpness(pair, face)
                    sharp, moved = (onset, apex), motion_of(rig, pair, shown, _drift(row, face))
                if task.outside:
                    masks = [still_pixels(rig, aus) for aus in shown]
                    changed = sum(changed_pixels(*one) for one in zip(pair, [face.crop] * 2, masks, strict=True))
                    still = float(np.mean(masks))
            known = (shown[1] - shown[0]).mean(-1)
            found[task.first + i] = Measured(
                row["identity"], bool(np.array_equal(*pair)), known, read, None, changed, still, sharp, moved,
                face is not None,
            )  # fmt: skip
        every = [one for frames in faced.values() for one in frames]
        sface = SFace(task.sface) if task.sface and every else None
        described = describe_frames([frame for frame, _ in every], [mesh for _, mesh in every], sface)
    for k, i in enumerate(faced):
        found[i] = replace(found[i], frames=described[3 * k : 3 * k + 3])
    return found


def _drift(row: dict[str, Any], face: AlignedFace) -> Field | None:
    """Where the plan moves all that is seen beside the AUs, from onset to apex."""
    out = relief(face) if row["turn"] else None
    field = drift(row, face.size, face.inter_ocular, face_area(face), still_area(face), out)
    return None if field is None else field[row["apex"]] - field[0]


def _meshes(landmarker: Landmarker, frames: tuple[Image, ...]) -> list[Points]:
    """Landmarks of the face in each frame; empty if one of them shows none."""
    found = [landmarker.detect(frame) for frame in frames]
    return [one.landmarks[one.largest] for one in found] if all(len(one.landmarks) for one in found) else []
