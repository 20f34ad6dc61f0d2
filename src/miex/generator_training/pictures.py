"""Pictures of faces whose AUs are known: from a set, from photos with a table, from clips of a corpus."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.aus.tracks import Track
from miex.aus.vector import N_AUS, AUArray
from miex.corpora.clip import Clip
from miex.dataset.reader import Dataset
from miex.dataset.schema import rendered_aus
from miex.errors import InputError, UsageError
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.executors.local import one_thread
from miex.extraction.extractor import track_name
from miex.faces.crop import CropOptions, cut, place_crop
from miex.faces.landmarks import Landmarker
from miex.images import Image, ImageError, read_image
from miex.stable import stable_hash

PER_TASK = 64


@dataclass(frozen=True, eq=False)
class Pictures:
    """Aligned faces. They stay in memory: 49 kB each at 128 px.

    Attributes:
        pixels: uint8 RGB [n, s, s, 3].
        aus: intensities in [0, 1], float32 [n, 17]; 0 where an AU was not seen.
        people: whom each shows.
    """

    pixels: Image
    aus: AUArray
    people: tuple[str, ...]

    def __post_init__(self) -> None:
        assert len(self.pixels) == len(self.aus) == len(self.people)

    def __len__(self) -> int:
        return len(self.people)

    def __repr__(self) -> str:
        return f"{len(self):,} pictures of {len(set(self.people)):,} people, {self.pixels.shape[1]} px"

    @cached_property
    def digest(self) -> str:
        """sha256 of pixels, AUs and people."""
        digest = hashlib.sha256(repr((self.pixels.shape, self.people)).encode())
        for values in (self.pixels, self.aus):
            digest.update(np.ascontiguousarray(values).view(np.uint8).data)
        return digest.hexdigest()

    def take(self, rows: Sequence[int] | npt.NDArray[np.integer]) -> Pictures:
        """Those at these places."""
        rows = np.asarray(rows, np.int64)
        return Pictures(self.pixels[rows], self.aus[rows], tuple(self.people[i] for i in rows))

    def split(self, held_out: float, seed: int) -> tuple[Pictures, Pictures]:
        """Those to train on, and those of the people who are held out, chosen by hashes of their names.

        Args:
            held_out: fraction of the people; at least one is held out.
            seed: of the choice.

        Raises:
            InputError: there is only one person.
        """
        held = chosen_people(self.people, held_out, seed)
        if held.issuperset(self.people):
            raise InputError(
                f"training of a generator, {held_out:g} of the people held out",
                expected="people to train on, and people to hold out", found=f"{len(held)} in all",
                do="give faces of more people whose AUs are known, or a smaller `held_out`",
            )  # fmt: skip
        mask = np.array([name in held for name in self.people])
        return self.take(np.flatnonzero(~mask)), self.take(np.flatnonzero(mask))


def chosen_people(people: Iterable[str], fraction: float, seed: int) -> set[str]:
    """A fraction of some people, at least one, chosen by hashes of their names."""
    names = sorted(set(people), key=lambda name: stable_hash("held out", seed, name))
    return set(names[: max(1, round(fraction * len(names)))])


def people_of(dataset: Dataset) -> dict[str, str]:
    """Whom each identity of a set shows: who the set says, or else its photo, which virtual relatives share."""
    named = {face["identity"]: face["person"] for face in dataset.identities.to_pylist()}
    columns = (dataset.table[name].to_pylist() for name in ("identity", "photo"))
    return {identity: named[identity] or photo for identity, photo in zip(*columns, strict=True)}


def of_set(dataset: Dataset, size: int, *, executor: Executor = IN_PROCESS, progress: Progress = silent) -> Pictures:
    """All frames of a set, with the AUs that they show; a person is who the set says, or else the photo.

    Args:
        dataset: the set.
        size: side of the pictures in pixels; larger frames are reduced.
        executor: where frames are decoded.
        progress: called with samples done and samples in all.

    Raises:
        UsageError: the frames are smaller.
        InputError: a damaged set, or none of its samples was made.
    """
    side = dataset.record["settings"]["size"]
    if side < size:
        raise UsageError(
            f"training at `size` {size} on the set {dataset.storage.name}", expected=f"frames of {size} px or more",
            found=f"{side} px", do=f"make the set with `size` {size}, or train at a smaller size",
        )  # fmt: skip
    people = people_of(dataset)
    return _gathered(
        [(dataset[i : i + PER_TASK], size, people) for i in range(0, len(dataset), PER_TASK)], _of_samples,
        len(dataset), f"set {dataset.storage.address}", executor, progress,
    )  # fmt: skip


def of_photos(
    index: pa.Table, root: Path, aus: Mapping[str, AUArray], size: int, *, executor: Executor = IN_PROCESS,
    progress: Progress = silent,
) -> Pictures:  # fmt: skip
    """The photos of an index that can be used and whose AUs are known; a person is who the index says, or the photo.

    Args:
        index: table of `faces.index.INDEX_SCHEMA`.
        root: folder that its paths are relative to.
        aus: float32 [17] by the photo's path in the index.
        size: side of the pictures in pixels.
        executor: where photos are read.
        progress: called with photos done and photos in all.

    Raises:
        InputError: there is none.
    """
    rows = [row for row in index.to_pylist() if not row["reason"] and row["path"] in aus]
    tasks = [
        [
            _Photo(
                root / row["path"], row["person"] or row["identity"], aus[row["path"]],
                np.asarray(row["landmarks"], np.float32).reshape(-1, 3),
            )
            for row in rows[i : i + PER_TASK]
        ]
        for i in range(0, len(rows), PER_TASK)
    ]  # fmt: skip
    return _gathered([(task, size) for task in tasks], _of_photos, len(rows), f"photos of {root}", executor, progress)


def of_clips(
    clips: Sequence[Clip], tracks: Mapping[str, Track], model: Path, size: int, *, per_clip: int = 8,
    executor: Executor = IN_PROCESS, progress: Progress = silent,
) -> Pictures:  # fmt: skip
    """Frames of clips, evenly spaced among those whose AUs are known; a person is a subject.

    Args:
        clips: of a corpus, with their frames.
        tracks: AUs by the clip's name, as `miex aus extract` names it.
        model: file of the landmark model.
        size: side of the pictures in pixels.
        per_clip: most frames of a clip.
        executor: where frames are read.
        progress: called with frames done and frames in all.

    Raises:
        InputError: no frame has AUs and a face.
    """
    found = []
    for clip in clips:
        track = tracks.get(track_name(clip))
        if track is None:
            continue
        places = np.flatnonzero(track.success & (track.frames < len(clip.frames)))
        chosen = places[np.unique(np.linspace(0, len(places) - 1, min(per_clip, len(places))).round().astype(int))]
        found += [_Photo(clip.frames[track.frames[i]], f"{clip.corpus}/{clip.subject}", track.aus[i]) for i in chosen]
    tasks = [(found[i : i + PER_TASK], size, model) for i in range(0, len(found), PER_TASK)]
    return _gathered(tasks, _of_frames, len(found), f"{len(clips):,} clips", executor, progress)


def aus_of_photos(paths: Sequence[str], tracks: Mapping[str, Track]) -> dict[str, AUArray]:
    """The AUs of photos, float32 [17] by path, of those that a table names and on which its program did not fail.

    A track of a single frame is that of the photo at its name: the path with or without suffix, or only the file's.

    Args:
        paths: of the photos, relative to their folder.
        tracks: by name.

    Raises:
        InputError: a track of several frames has the name of a photo; or a name could be of several photos.
    """
    named: dict[str, list[str]] = {}
    for path in paths:
        pure = PurePosixPath(path)
        for name in {path, str(pure.with_suffix("")), pure.name, pure.stem}:
            named.setdefault(name, []).append(path)
    found: dict[str, AUArray] = {}
    for name, track in tracks.items():
        photos = named.get(name, [])
        if not photos:
            continue
        if len(photos) > 1 or len(track.frames) != 1:
            several = ", ".join(photos[:2]) if len(photos) > 1 else f"{len(track.frames):,} frames"
            raise InputError(
                f"AUs of {name}", expected="one frame of one photo", found=several,
                do="name each photo in the AU table by its path, without suffix",
            )  # fmt: skip
        if track.success.all():
            found[photos[0]] = track.aus[0]
    return found


@dataclass(frozen=True)
class _Photo:
    path: Path
    person: str
    aus: AUArray
    landmarks: npt.NDArray[np.float32] | None = None


_Part = list[tuple[Image, AUArray, str]]


def _gathered(tasks: Sequence[Any], work: Any, n: int, asked: str, executor: Executor, progress: Progress) -> Pictures:
    parts: dict[int, _Part] = {}
    done = 0
    for i, part, tried in executor.map(_numbered, [(i, work, task) for i, task in enumerate(tasks)]):
        parts[i] = part
        done += tried
        progress(done, n, "")
    every = [one for i in sorted(parts) for one in parts[i]]
    if not every:
        raise InputError(
            f"training of a generator on {asked}", expected="faces whose AUs are known", found="none",
            do="check that the AU table names them as they are named there",
        )  # fmt: skip
    pixels, aus, people = zip(*every, strict=True)
    return Pictures(np.stack(pixels), np.nan_to_num(np.stack(aus).astype(np.float32)), people)


def _numbered(task: tuple[int, Any, Any]) -> tuple[int, _Part, int]:
    i, work, rest = task
    with one_thread():
        return i, list(work(*rest)), len(rest[0])


def _of_samples(samples: Dataset, size: int, people: Mapping[str, str]) -> Iterator[tuple[Image, AUArray, str]]:
    for sample, row in zip(samples, samples.table.to_pylist(), strict=True):
        for frame, aus in zip(sample.frames, rendered_aus(row), strict=True):
            small = frame if len(frame) == size else cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA)
            yield np.asarray(small, np.uint8), aus.reshape(N_AUS, -1).mean(1), people[row["identity"]]


def _of_photos(photos: Sequence[_Photo], size: int) -> Iterator[tuple[Image, AUArray, str]]:
    for photo in photos:
        assert photo.landmarks is not None
        yield _aligned(read_image(photo.path), photo.landmarks, size), photo.aus, photo.person


def _of_frames(photos: Sequence[_Photo], size: int, model: Path) -> Iterator[tuple[Image, AUArray, str]]:
    with Landmarker(model) as landmarker:
        for photo in photos:
            try:
                picture = read_image(photo.path)
            except ImageError as error:
                if error.out_of_reach:
                    raise
                continue
            mesh = landmarker.mesh(picture)
            if mesh is not None:
                yield _aligned(picture, mesh, size), photo.aus, photo.person


def _aligned(photo: Image, landmarks: npt.NDArray[np.floating], size: int) -> Image:
    return cut(photo, place_crop(landmarks, CropOptions(size)).photo_from_crop(size), size)
