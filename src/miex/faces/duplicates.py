"""Photos that are one picture, and photos of one person: within a pool, and across pools that must not share any.

Two descriptors of a photo. The *picture* is the face crop in gray levels, small, as logarithms (so that other light is
a shift) less their surroundings (so that the shift is taken away), of length 1. The *person* is the embedding of SFace.
Both are compared by 1 − cosine. How far apart the nearest pictures and persons of 910 faces are, and how many
copies of them are known again, stands in docs/results/duplicates.md (`python -m benchmarks.duplicates`). Most of those
that are not were cropped so narrowly that the mesh lay elsewhere. A neutral and a smiling photo of one person may be
called one picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.executors.base import Executor, Progress, silent
from miex.executors.local import one_thread
from miex.faces.crop import CropOptions, cut, place_crop
from miex.faces.sface import SFace
from miex.images import Image, gray, read_image

Vectors = npt.NDArray[np.float32]

SAME_PICTURE: Final = 0.08
SAME_PERSON: Final = 0.376  # where docs/results/identity.md tells all people apart
_CROP = CropOptions(32, eye_line=0.3, eye_mouth=0.45)  # hardly more than the face, which crops of a photo keep
_SURROUNDINGS = 4.0  # standard deviation, pixels of the crop
_DARK = 10  # gray levels that are added, or noise of dark places would count most
_PER_TASK = 32
_BLOCK = 2048  # photos that are compared with as many at once: 16 MiB of distances, whatever the pool's size

BYTES, PICTURE, PERSON, NAME = KINDS = ("same bytes", "same picture", "same person", "same name")
DUPLICATES_SCHEMA: Final = pa.schema(
    [
        ("kind", pa.string()),  # one of KINDS; same name: called one person, but SFace sees two
        ("pool", pa.string()),
        ("photo", pa.string()),
        ("other_pool", pa.string()),
        ("other_photo", pa.string()),
        ("picture", pa.float32()),  # distances, 0 to 2
        ("person", pa.float32()),  # null without SFace
        ("named", pa.string()),  # what faces.csv says of both: same, different, or nothing
    ]
)


@dataclass(frozen=True)
class Pool:
    """Photos that belong together.

    Attributes:
        name: of the pool.
        root: folder that the photos' paths are relative to.
        index: of `faces.index.index_photos`.
    """

    name: str
    root: Path
    index: pa.Table


@dataclass(frozen=True)
class Described:
    """Descriptors of photos.

    Attributes:
        picture: float32 [n, 1024], each of length 1.
        person: float32 [n, 128], the same; None: not measured.
    """

    picture: Vectors
    person: Vectors | None


def picture_of(photo: Image, landmarks: npt.NDArray[np.floating]) -> Vectors:
    """The picture of a face, float32 [1024], of length 1, or 0 where all is of one gray level.

    Args:
        photo: uint8 RGB [h, w, 3].
        landmarks: of the face, [478, 2 or 3], its pixels.
    """
    crop = gray(cut(photo, place_crop(landmarks, _CROP).photo_from_crop(_CROP.size), _CROP.size))
    levels = np.log(crop.astype(np.float32) + _DARK)
    fine = (levels - cv2.GaussianBlur(levels, (0, 0), _SURROUNDINGS)).ravel()
    length = float(np.linalg.norm(fine))
    return np.asarray(fine / length if length > 1e-3 else 0 * fine, np.float32)


def find_duplicates(
    pools: Sequence[Pool], sface: Path | None, *, executor: Executor, progress: Progress = silent
) -> pa.Table:
    """Pairs of photos that are one picture, or show one person.

    Of equal bytes, same pictures and same persons a pair has the first kind that is true of it. One picture is what is
    nearer than SAME_PICTURE, and no two people to SFace. Photos that cannot be used are not compared.

    Args:
        pools: one or more.
        sface: file of the SFace model; None: persons are not compared.
        executor: where the photos are read.
        progress: called with photos read and photos in all.

    Returns:
        Table of DUPLICATES_SCHEMA, by pools, then kinds, then photos.
    """
    rows = [
        {"pool": pool.name, "root": pool.root, **row}
        for pool in pools
        for row in pool.index.select(["path", "sha256", "person", "reason", "landmarks"]).to_pylist()
    ]
    used = [row for row in rows if not row["reason"]]
    described = describe(used, sface, executor, progress)
    found = [_pair(BYTES, one, other, 0.0, None if sface is None else 0.0) for one, other in _equal_in_pool(rows)]
    persons, pictures = described.person, described.picture
    for i, j in near_pairs(pictures if persons is None else persons, SAME_PICTURE if persons is None else SAME_PERSON):
        one, other, picture = used[i], used[j], _distance(pictures, i, j)
        same = BYTES if one["sha256"] == other["sha256"] else PICTURE if picture < SAME_PICTURE else PERSON
        found.append(_pair(same, one, other, picture, None if persons is None else _distance(persons, i, j)))
    if persons is not None:
        for i, j in _named_alike(used):
            if (person := _distance(persons, i, j)) >= SAME_PERSON:
                found.append(_pair(NAME, used[i], used[j], _distance(pictures, i, j), person))
    place = {pool.name: k for k, pool in enumerate(pools)}
    order = ("pool", "other_pool", "kind", "photo", "other_photo")
    by = {"pool": place, "other_pool": place, "kind": {kind: k for k, kind in enumerate(KINDS)}}
    found.sort(key=lambda row: [by[name][row[name]] if name in by else row[name] for name in order])
    return pa.Table.from_pylist(found, schema=DUPLICATES_SCHEMA)


def _pair(
    kind: str, one: dict[str, Any], other: dict[str, Any], picture: float, person: float | None
) -> dict[str, Any]:
    names = one["person"], other["person"]
    return {
        "kind": kind, "pool": one["pool"], "photo": one["path"], "other_pool": other["pool"],
        "other_photo": other["path"], "picture": picture, "person": person,
        "named": "" if not all(names) else "same" if names[0] == names[1] else "different",
    }  # fmt: skip


def _equal_in_pool(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Photos that the index refuses as duplicates, each behind the one that it keeps."""
    kept = {(row["pool"], row["sha256"]): row for row in rows if not row["reason"]}
    for row in rows:
        if row["reason"] == "duplicate":
            yield kept[row["pool"], row["sha256"]], row


def _named_alike(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[int, int]]:
    people: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        if row["person"]:
            people.setdefault(row["person"], []).append(i)
    for places in people.values():
        yield from ((i, j) for k, i in enumerate(places) for j in places[k + 1 :])


def _distance(vectors: Vectors, i: int, j: int) -> float:
    return max(0.0, 1 - float(vectors[i] @ vectors[j]))


def near_pairs(vectors: Vectors, limit: float, block: int = _BLOCK) -> Iterator[tuple[int, int]]:
    """Places i < j of vectors of length 1 whose 1 − cosine is below the limit.

    Args:
        vectors: float32 [n, d].
        limit: of the distance.
        block: vectors that are compared with as many at once; it bounds the memory. 10,000 of 128 dimensions take 0.4 s
            of one core of an AMD EPYC, so 50,000 about 10 s.
    """
    for a in range(0, len(vectors), block):
        for b in range(a, len(vectors), block):
            near = vectors[a : a + block] @ vectors[b : b + block].T > 1 - limit
            if a == b:
                near = np.triu(near, 1)
            for i, j in np.argwhere(near).tolist():
                yield a + i, b + j


@dataclass(frozen=True)
class _Task:
    first: int
    photos: tuple[tuple[Path, Vectors], ...]  # file, and landmarks [478, 3]
    sface: Path | None


def describe(
    rows: Sequence[dict[str, Any]], sface: Path | None, executor: Executor, progress: Progress = silent
) -> Described:
    """Describe photos, in their order.

    Args:
        rows: of indices, with the root that each path is relative to.
        sface: file of the SFace model; None: persons are left out.
        executor: where they are read.
        progress: called with photos read and photos in all.

    Raises:
        ImageError: a photo has gone, or cannot be read any more.
    """
    meshes = [np.asarray(row["landmarks"], np.float32).reshape(-1, 3) for row in rows]
    photos = [(row["root"] / row["path"], mesh) for row, mesh in zip(rows, meshes, strict=True)]
    tasks = [_Task(i, tuple(photos[i : i + _PER_TASK]), sface) for i in range(0, len(photos), _PER_TASK)]
    pictures = np.zeros((len(rows), _CROP.size**2), np.float32)
    persons = None if sface is None else np.zeros((len(rows), 128), np.float32)
    done = 0
    for first, picture, person in executor.map(_describe, tasks):
        pictures[first : first + len(picture)] = picture
        if persons is not None:
            persons[first : first + len(picture)] = person
        done += len(picture)
        progress(done, len(rows), "")
    return Described(pictures, persons)


def _describe(task: _Task) -> tuple[int, Vectors, Vectors | None]:
    with one_thread():
        photos = [read_image(path) for path, _ in task.photos]
        meshes = [mesh for _, mesh in task.photos]
        pictures = np.stack([picture_of(*one) for one in zip(photos, meshes, strict=True)])
        persons = None if task.sface is None else SFace(task.sface).embeddings(photos, meshes)
    return task.first, pictures, None if persons is None else persons.astype(np.float32)
