"""Labelled flow maps with who stands behind each: one form for stored sets, clips of real corpora, and flow files."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.corpora.clip import Clip
from miex.dataset import Dataset
from miex.dataset import open as open_set
from miex.dataset.plan_file import CONFIG_FILE
from miex.dataset.schema import ROWS_SCHEMA
from miex.errors import InputError, UsageError
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.executors.local import one_thread
from miex.faces.crop import CropOptions, align, place_crop
from miex.faces.landmarks import Landmarker
from miex.images import Image, read_image
from miex.labels import Label
from miex.recognition.flow import SIDE, Method, aligned_map, flow_set

LABELS: Final = tuple(label.name for label in Label)
REAL = "real"  # source of a clip's own frames
CLIP_SIZE = 256  # side of the aligned crop that a clip's flow is cut from, pixels
NoApex = Literal["refuse", "drop", "middle"]
NO_APEX: tuple[NoApex, ...] = get_args(NoApex)


_ALIASES = {"corpus": ("dataset",)}  # what the public flow files of MEGC 2019 call it


@dataclass(frozen=True, eq=False)
class Samples:
    """Maps and what is known of each.

    Attributes:
        maps: uint8 [n, side, side, 3]: u, v, strain, each channel stretched to 0 … 255 (see recognition.flow).
        rows: table of ROWS_SCHEMA in the same order: sample_id, label, source, corpus, subject, photo.
        label_names: names of the classes 0, 1, ….
    """

    maps: Image
    rows: pa.Table
    label_names: tuple[str, ...] = LABELS

    def __len__(self) -> int:
        return len(self.maps)

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        """The classes, int64 [n]."""
        return np.asarray(self.rows["label"].to_numpy(), np.int64)

    @cached_property
    def digest(self) -> str:
        """sha256 of maps, classes and their names: what a training depends on."""
        digest = hashlib.sha256(repr((self.maps.shape, self.label_names)).encode())
        digest.update(np.ascontiguousarray(self.maps).tobytes())
        digest.update(np.ascontiguousarray(self.labels, "<i8").tobytes())
        return digest.hexdigest()

    @property
    def people(self) -> list[str]:
        """Who is behind each sample: subject of a corpus, else the photo, else the sample alone."""
        columns = (self.rows[name].to_pylist() for name in ("corpus", "subject", "photo", "sample_id"))
        return [
            f"{corpus}/{subject}" if subject else photo or name
            for corpus, subject, photo, name in zip(*columns, strict=True)
        ]

    def take(self, indices: npt.ArrayLike) -> Samples:
        """The samples at these positions, in this order."""
        i = np.asarray(indices, np.int64)
        return replace(self, maps=self.maps[i], rows=self.rows.take(i))

    def joined(self, other: Samples) -> Samples:
        """These, then the others.

        Raises:
            InputError: other classes, or maps of another size.
        """
        if (self.label_names, self.maps.shape[1:]) != (other.label_names, other.maps.shape[1:]):
            raise InputError(
                "joining samples", expected=f"{self.label_names}, maps {self.maps.shape[1:]}",
                found=f"{other.label_names}, maps {other.maps.shape[1:]}",
            )  # fmt: skip
        rows = pa.concat_tables([self.rows, other.rows])
        return replace(self, maps=np.concatenate([self.maps, other.maps]), rows=rows)

    def at(self, side: int) -> Samples:
        """The same with maps of another side: enlarged bilinearly or reduced by area. Enlarging adds no detail."""
        if side == self.maps.shape[1]:
            return self
        kind = cv2.INTER_LINEAR if side > self.maps.shape[1] else cv2.INTER_AREA
        resized = [cv2.resize(one, (side, side), interpolation=kind) for one in self.maps]
        return replace(self, maps=np.asarray(resized, np.uint8).reshape(-1, side, side, 3))


def read_flow(path: Path) -> Samples:
    """Samples of a flow file: an .npz with flow uint8 [n, s, s, 3] and label int [n].

    Where the file has them, str [n] sample_id (or clip), source, corpus (or dataset), subject and photo are taken
    over; rows with a subject but no source are clips of a corpus. `label_names`, str [classes], names classes other
    than negative, positive, surprise. A file that says nothing of where its maps come from keeps that unknown: source
    is null, which the leak guard refuses.

    Raises:
        InputError: no such file, no .npz, or arrays of another kind.
    """
    asked = f"flow file {path}"
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(asked, expected="an .npz with flow and label", found=str(error)) from error
    flow, label = arrays.get("flow"), arrays.get("label")
    if flow is None or label is None:
        raise InputError(asked, expected="arrays flow and label", found=", ".join(arrays) or "none")
    if flow.dtype != np.uint8 or flow.ndim != 4 or flow.shape[1] != flow.shape[2] or flow.shape[3] != 3:
        raise InputError(asked, expected="flow uint8 [n, s, s, 3]", found=f"{flow.dtype} {list(flow.shape)}")
    names = tuple(map(str, arrays["label_names"])) if "label_names" in arrays else LABELS
    if label.shape != (len(flow),) or label.dtype.kind not in "iu" or not np.isin(label, range(len(names))).all():
        raise InputError(
            asked, expected=f"label int [{len(flow)}] of classes 0 to {len(names) - 1}",
            found=f"{label.dtype} {list(label.shape)}" + (f", up to {label.max()}" if label.size else ""),
            do="other classes are named by an array label_names",
        )  # fmt: skip
    texts = {name: _texts(arrays, name, len(flow), asked) for name in ROWS_SCHEMA.names if name != "label"}
    if "source" not in arrays:
        texts["source"] = [REAL if subject else None for subject in texts["subject"]]
    if "sample_id" not in arrays:
        clips = arrays["clip"].tolist() if "clip" in arrays else [str(i) for i in range(len(flow))]
        parts = zip(texts["corpus"], texts["subject"], clips, strict=True)
        texts["sample_id"] = ["/".join(filter(None, part)) for part in parts]
    return Samples(flow, _rows(label.tolist(), texts), names)


def of_arrays(maps: Image, labels: Sequence[int], *, source: str | None, prefix: str) -> Samples:
    """Samples of maps that no real person stands behind, uint8 [n, s, s, 3], with classes [n]; ids are numbered."""
    texts: dict[str, list[str | None]] = {name: [None] * len(maps) for name in ROWS_SCHEMA.names if name != "label"}
    texts["source"], texts["sample_id"] = [source] * len(maps), [f"{prefix}-{i}" for i in range(len(maps))]
    return Samples(maps, _rows(list(labels), texts))


def of_clips(
    clips: Sequence[Clip],
    *,
    model: Path,
    method: Method = "dis",
    side: int = SIDE,
    classes: Sequence[str] = LABELS,
    label: Callable[[Clip], str | None] = lambda clip: None if clip.label is None else clip.label.name,
    no_apex: NoApex = "refuse",
    executor: Executor = IN_PROCESS,
    progress: Progress = silent,
) -> Samples:
    """Samples of real clips: flow from the onset to the apex frame, on the face found in the onset.

    Args:
        clips: of one or several corpora, with their frames.
        model: the landmark model's file.
        method, side: as in `flow_set`.
        classes: names of the classes.
        label: the name of a clip's class, or None where it has none; those clips are left out. By default the three
            classes; `lambda clip: clip.emotion` takes a corpus' own.
        no_apex: what to do with clips without an apex, such as all of SMIC: refuse them, drop them, or take the middle
            one, frame N // 2 of the N from onset to offset, as the MiE-X authors do (DATASETS §7).

    Raises:
        InputError: a clip without onset, apex or frames; a frame that cannot be read; no face in it.
    """
    kept = [_with_apex(clip, no_apex) for clip in clips if label(clip) in classes]
    if no_apex == "drop":
        kept = [clip for clip in kept if clip.apex is not None]
    maps = np.zeros((len(kept), side, side, 3), np.uint8)
    chunks = [(kept[i : i + 16], i, model, method, side) for i in range(0, len(kept), 16)]
    done = 0
    for first, found in executor.map(_clip_maps, chunks):
        maps[first : first + len(found)] = found
        done += len(found)
        progress(done, len(kept), "")
    texts: dict[str, list[str | None]] = {
        "sample_id": [f"{c.corpus}/{c.subject}/{c.clip}" + (f"/{c.onset}" if c.onset else "") for c in kept],
        # of a synthetic clip, as of a sample of a set: whose AUs it shows, on which photo
        "source": [c.descent.source if c.descent else REAL for c in kept],
        "corpus": [c.descent.corpus if c.descent else c.corpus for c in kept],
        "subject": [c.descent.subject if c.descent else c.subject for c in kept],
        "photo": [c.subject if c.descent else None for c in kept],
    }
    return Samples(maps, _rows([classes.index(label(c) or "") for c in kept], texts), tuple(classes))


def pair_map(
    onset: Image, apex: Image, landmarker: Landmarker, *, name: str, method: Method = "dis", side: int = SIDE
) -> Image:
    """The map of a pair of frames, uint8 [side, side, 3], as stored sets have them: face aligned, tight crop, flow.

    Args:
        onset, apex: uint8 RGB [h, w, 3] of one size. The face is looked for in the onset, and the apex cut at the
            same place, so that the alignment adds no motion of its own.
        name: of the sample; its hash draws the crop, and names it in errors.

    Raises:
        InputError: frames of two sizes, or no face.
    """
    if onset.shape != apex.shape:
        raise InputError(name, expected="two frames of one size", found=f"{onset.shape[:2]} and {apex.shape[:2]}")
    found = landmarker.detect(onset)
    if not len(found.landmarks):
        raise InputError(name, expected="a face in its onset frame", found="none")
    mesh = found.landmarks[found.largest]
    options = CropOptions(CLIP_SIZE)
    place = place_crop(mesh, options)
    still, moved = (align(frame, mesh, place, CLIP_SIZE).crop for frame in (onset, apex))
    return aligned_map(still, moved, options, name, method=method, side=side)


def load_samples(
    where: Path,
    *,
    method: Method = "dis",
    side: int = SIDE,
    executor: Executor = IN_PROCESS,
    progress: Progress = silent,
) -> Samples:
    """Samples of a flow file (.npz), or of the folder of a stored set, whose flow is computed now.

    Raises:
        UsageError: something else.
    """
    if where.suffix == ".npz":
        return read_flow(where).at(side)
    if not (where / CONFIG_FILE).is_file():
        raise UsageError(
            f"samples {where}", expected="a flow file .npz, or the folder of a set", found="neither",
            do="miex synthesize makes a set, miex export --to flow its flow file",
        )  # fmt: skip
    return of_set(open_set(where), method=method, side=side, executor=executor, progress=progress)


def of_set(dataset: Dataset, **how: Any) -> Samples:
    """Samples of a stored set or a part of one; the arguments are those of `flow_set`."""
    arrays = flow_set(dataset, **how)
    texts = {name: [t or None for t in arrays[name].tolist()] for name in ROWS_SCHEMA.names if name != "label"}
    return Samples(arrays["flow"], _rows(arrays["label"].tolist(), texts))


def _with_apex(clip: Clip, no_apex: NoApex) -> Clip:
    if clip.apex is not None or no_apex != "middle" or not clip.frames:
        return clip
    onset = clip.onset or 0
    offset = len(clip.frames) - 1 if clip.offset is None else clip.offset
    return replace(clip, onset=onset, apex=onset + (offset - onset + 1) // 2)


def _clip_maps(task: tuple[Sequence[Clip], int, Path, Method, int]) -> tuple[int, list[Image]]:
    clips, first, model, method, side = task
    maps = []
    with Landmarker(model) as landmarker, one_thread():
        for clip in clips:
            name = f"{clip.corpus}/{clip.subject}/{clip.clip}"
            if clip.onset is None or clip.apex is None or not clip.frames:
                raise InputError(
                    f"clip {name}", expected="frames, an onset and an apex",
                    found=f"{len(clip.frames)} frames, onset {clip.onset}, apex {clip.apex}",
                    do="choose an apex, or leave the clip out",
                )  # fmt: skip
            onset, apex = (read_image(clip.frames[i]) for i in (clip.onset, clip.apex))
            maps.append(pair_map(onset, apex, landmarker, name=f"clip {name}", method=method, side=side))
    return first, maps


def _texts(arrays: dict[str, npt.NDArray[Any]], name: str, n: int, asked: str) -> list[str | None]:
    for key in (name, *_ALIASES.get(name, ())):
        if key in arrays:
            if arrays[key].shape != (n,) or arrays[key].dtype.kind != "U":
                raise InputError(asked, expected=f"{key} str [{n}]", found=f"{arrays[key].dtype} {arrays[key].shape}")
            return [text or None for text in arrays[key].tolist()]
    return [None] * n


def _rows(label: list[int], texts: dict[str, list[str | None]]) -> pa.Table:
    columns = {**texts, "label": label}
    return pa.table({name: columns[name] for name in ROWS_SCHEMA.names}, schema=ROWS_SCHEMA)
