"""The index of a folder of photos: one row each, with landmarks, pose and licence, or why the photo cannot be used."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass, fields, replace
from importlib import metadata
from numbers import Real
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from miex.errors import OutputError, UsageError, one_of
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.faces.credits import CSV_COLUMNS, CSV_NAME, FaceCSV, csv_beside, csv_in, places
from miex.faces.crop import CropOptions, inter_ocular, place_crop
from miex.faces.landmarks import DETECTION, MIN_SCORE, MODEL, Detection, Landmarker
from miex.faces.mesh import N_LANDMARKS
from miex.faces.photos import FoundFiles, kinds_text, look_through, photos_root
from miex.faces.seen import Seen, see
from miex.images import MAX_BYTES, ImageError, open_file, read_noted
from miex.stable import npz_arrays
from miex.storage import Place, storage_at
from miex.storage.cache import cache_folder
from miex.storage.local import write_whole
from miex.tables.written import csv_text

INDEX_SCHEMA: Final = pa.schema(
    [
        ("path", pa.string()),  # relative to the folder, / between parts
        ("sha256", pa.string()),  # of the file's bytes; empty if it could not be read
        ("identity", pa.string()),  # first 16 digits of it
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("n_faces", pa.int32()),  # the largest is taken
        ("inter_ocular", pa.float32()),  # photo pixels
        ("yaw", pa.float32()),  # degrees, see faces.landmarks.Detection
        ("pitch", pa.float32()),
        ("roll", pa.float32()),
        ("turn", pa.int32()),  # degrees clockwise that the photo has to be turned to stand upright, beside EXIF
        ("score", pa.float32()),  # of the detector for this face, in [0, 1]
        ("light", pa.float32()),  # what is seen of the face, see faces.seen.Seen
        ("sharpness", pa.float32()),
        ("mouth", pa.float32()),
        ("eyes", pa.float32()),
        ("landmarks", pa.list_(pa.float32())),  # 478 × (x, y, z), photo pixels
        ("licence", pa.string()),
        ("attribution", pa.string()),
        ("kind", pa.string()),  # real or synthetic, as the CSV says; empty if it says nothing
        ("person", pa.string()),  # whose photo it is, as the CSV says
        ("reason", pa.string()),  # why it cannot be used; empty if it can
        ("detail", pa.string()),  # more about the reason; of photos that can be used, what people should know
    ]
)
REFUSED_FILE = "refused.csv"
_PASSED_OVER: Final = b"passed over"  # in the schema's metadata
PER_TASK = 32  # photos a worker takes at a time: large against loading the model, small against a progress bar


@dataclass(frozen=True)
class Quality:
    """Which photos are refused. A limit that is None refuses none.

    Attributes:
        min_score: smallest score of the detector for the face ("no sure face").
        min_inter_ocular: smallest distance between the eye centers, photo pixels ("too small"). At 128 px a crop
            shows about 40: below 30 a pixel of the crop is less than one of the photo.
        max_yaw, max_pitch: largest turn of the head, degrees ("too turned").
        max_outside: largest fraction of landmarks outside the photo ("cut off").
        min_light, min_sharpness, min_mouth, min_eyes: smallest values of what is seen of the face, see
            `faces.seen.Seen` ("too dark", "too blurred", "mouth covered", "eyes covered"). Of 914 faces without masks
            4 are refused for their mouth (0.06), none for the rest; of masks drawn on them 99 % of white and all of
            black ones, 93 % of skin-colored, 88 % of blue, but only 56 % of knitted and 41 % of colorful ones. Of
            black sunglasses drawn on 200 of them 98 % where nothing shines in them, 84 % where a horizon does, 82 %
            with a spot and 70 % with a streak of light, 77 % with lenses that grow lighter downward, but 18 % where
            such lenses have streaks, too.
        licences: those that are allowed, whatever the case; any, if there is none ("licence").
    """

    min_inter_ocular: float | None = 30.0
    max_yaw: float | None = 30.0
    max_pitch: float | None = 30.0
    max_outside: float | None = 0.01
    min_score: float | None = MIN_SCORE
    min_light: float | None = 20.0
    min_sharpness: float | None = 0.02
    min_mouth: float | None = 0.06
    min_eyes: float | None = 0.04
    licences: tuple[str, ...] = ()


LIMITS: Final = tuple(field.name for field in fields(Quality) if field.name not in ("licences", "min_inter_ocular"))


def quality_of(min_inter_ocular: float, limits: Mapping[str, Any], licences: Sequence[str] = ()) -> Quality:
    """The limits of quality, some of them changed by name. Raises UsageError for a name or value that is no limit."""
    given: dict[str, Any] = dict(limits)  # whatever a caller put in
    for name, value in given.items():
        one_of(name, LIMITS, "`quality`")
        if value is not None and not (isinstance(value, Real) and math.isfinite(value)):
            raise UsageError(f"`quality` {name}={value}", expected="a finite number, or none (off)")
    return replace(Quality(min_inter_ocular, licences=tuple(licences)), **given)


def write_index(index: pa.Table, path: Path) -> None:
    """Write an index, or another table of photos, as Parquet, or as CSV without the landmarks, by the path's suffix."""
    content = io.BytesIO()
    if path.suffix == ".csv":
        content.write(_csv(index.select([name for name in index.column_names if name != "landmarks"])))
    elif path.suffix == ".parquet":
        pq.write_table(index, content, compression="zstd")
    else:
        raise UsageError(f"table {path}", expected="a name that ends in .parquet or .csv")
    write_whole(path, content.getvalue())


def write_refused(index: pa.Table, place: Place) -> Path | str | None:
    """Write refused.csv (path, reason, detail of every photo that cannot be used) beside a plan; returns its path, or
    its address in a bucket.

    Where none is refused there is no such file, and None is returned.
    """
    table = index.filter(pc.not_equal(index["reason"], "")).select(["path", "reason", "detail"])
    out = storage_at(place)
    if not table.num_rows:
        out.delete(REFUSED_FILE)
        return None
    out.write(REFUSED_FILE, _csv(table))
    return out.place(REFUSED_FILE)


def _csv(table: pa.Table) -> bytes:
    return csv_text(table.column_names, (row.values() for row in table.to_pylist())).encode()


def index_photos(
    faces: Path,
    *,
    model: Callable[[], Path],
    table: FaceCSV | None = None,
    quality: Quality | None = None,
    executor: Executor = IN_PROCESS,
    per_task: int = PER_TASK,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> pa.Table:
    """The index of a folder of photos.

    Landmarks are detected once for each content, ever: they are cached by the sha256 of the file.

    Args:
        faces: a folder, or a .txt list.
        model: gives the landmark model's file; called only if a photo is not in the cache.
        table: licences and attributions; by default the files called faces.csv in the folder (or above it) and in
            folders of it. Of photos that none of them names, what the pool's layout says.
        quality: which photos are refused.
        executor: where the work is done.
        per_task: photos a worker takes at a time.
        progress: called with photos done and photos in all.
        say: called with what should be known: what is assumed of the folder, how many files are in it, rows of the
            table that name no photo, photos without a row.

    Returns:
        Table of INDEX_SCHEMA, a row per photo in the order of paths; unusable photos have a reason: "unreadable",
        "other format", "too large", "no face", "no sure face", "too small", "too turned", "cut off", "too dark", "too
        blurred", "mouth covered", "eyes covered", "licence", "duplicate". Pictures and videos that are not read have
        rows, too; all other files are counted in its metadata (see `passed_over`).

    Raises:
        InputError: no such folder, no photos, a broken CSV.
    """
    files = look_through(faces)
    paths, root = files.photos, photos_root(faces)
    beside = table or csv_beside(root)
    described, lacking = _credits(files, root, beside, say, deeper=table is None)
    by_layout: dict[str, dict[str, str]] = {}
    for pool in files.pools:
        of_pool = pool.describe(paths)
        by_layout |= of_pool
        say(pool.assumed(of_pool))
    tasks = [_Chunk(root, tuple(paths[i : i + per_task]), cache_folder()) for i in range(0, len(paths), per_task)]
    examined: dict[str, _Examined] = {}
    missing: list[_Chunk] = []
    for task in tasks:
        for item in _examine(task):
            examined[item.path] = item
        unknown = tuple(path for path in task.paths if examined[path].detection is None and not examined[path].reason)
        if unknown:
            missing.append(_Chunk(root, unknown, task.cache))
        progress(len(examined) - sum(len(chunk.paths) for chunk in missing), len(paths), "")
    if missing:
        found_model = model()
        done = len(paths) - sum(len(chunk.paths) for chunk in missing)
        for chunk in executor.map(_detect, [_Chunk(c.root, c.paths, c.cache, found_model) for c in missing]):
            examined.update({item.path: item for item in chunk})
            done += len(chunk)
            progress(done, len(paths), "")
    nothing = dict.fromkeys(("licence", "attribution", "kind", "person"), "")
    reason = {path: "unreadable" if path.endswith("/") else "other format" for path in files.refused}
    examined |= {path: _Examined(path, reason=reason[path], detail=why) for path, why in files.refused.items()}
    rows, first, bare = [], dict[str, str](), list[str]()
    name = beside.path.name if beside else CSV_NAME
    for path in sorted(examined):
        row = _row(examined[path], quality or Quality())
        facts = described.get(path) or by_layout.get(path, nothing)
        row.update({column: facts[column] for column in nothing})
        allowed = quality.licences if quality else ()
        if allowed and not row["reason"] and row["licence"].casefold() not in {one.casefold() for one in allowed}:
            row["reason"], row["detail"] = "licence", row["licence"] or "unknown"
        if not row["reason"] and first.setdefault(row["sha256"], path) != path:
            row["reason"], row["detail"] = "duplicate", f"same bytes as {first[row['sha256']]}"
        if path in lacking and not row["reason"]:
            row["detail"] = "; ".join(filter(None, (row["detail"], f"no row in {name}")))
            bare.append(path)
        rows.append(row)
    if bare:
        verb, by_pool = "has" if len(bare) == 1 else "have", all(path in by_layout for path in bare)
        say(
            f"{len(bare):,} of {len(paths):,} photos can be used, but {verb} no row in {name}, such as "
            f"{_name(bare[0])}: {'the licence of the pool' if by_pool else 'no licence'} is noted for them"
        )
    refused = sum(bool(row["reason"]) for row in rows)
    passed = files.passed_over
    if refused or passed:
        say(
            f"{len(rows) + passed.total():,} files: {len(rows) - refused:,} photos used, {refused:,} refused, "
            f"{passed.total():,} passed over" + (f" ({kinds_text(passed)})" if passed else "")
        )
    counted = {_PASSED_OVER: json.dumps(passed).encode()}
    return pa.Table.from_pylist(rows, schema=INDEX_SCHEMA.with_metadata(counted))


def _credits(
    files: FoundFiles, root: Path, beside: FaceCSV | None, say: Callable[[str], None], *, deeper: bool
) -> tuple[dict[str, dict[str, str]], set[str]]:
    """{photo: its row of the CSV}, of several the nearest above the photo; and the photos below one, but without a row.

    Args:
        beside: of the folder itself.
        deeper: whether those in folders of it count, too.
    """
    photos = [*files.photos, *files.refused]
    described, texts = beside.match(root, photos) if beside else ({}, [])
    covered = set(photos if beside else ())
    for text in texts:
        say(text)
    names = f"no column of file names ({', '.join(CSV_COLUMNS['file'])}; or name it by `faces_column`)"
    if beside is None and (others := places(root)):
        say(f"{others[0]} is not used: it has {names}")
    if files.tables and not deeper:
        count, first = len(files.tables), files.tables[0]
        say(f"{count:,} faces.csv in folders of {root}, such as {first}: not used beside the given one")
    for path in sorted(files.tables, key=lambda path: path.count("/")) if deeper else ():
        folder = path.removesuffix(f"/{CSV_NAME}")
        if (table := csv_in(root / folder)) is None:
            say(f"{path} is not used: it has {names}")
            continue
        below = [photo.removeprefix(f"{folder}/") for photo in photos if photo.startswith(f"{folder}/")]
        rows, texts = table.match(root / folder, below)
        described |= {f"{folder}/{photo}": row for photo, row in rows.items()}
        covered |= {f"{folder}/{photo}" for photo in below}
        for text in (f"{path} is used, too: {len(rows):,} of {len(below):,} photos below it", *texts):
            say(text)
    return described, covered - described.keys()


def passed_over(index: pa.Table) -> dict[str, int]:
    """{kind, such as ".csv" or "hidden": files of it in the folder that were no photos}; see `photos.FoundFiles`."""
    found: dict[str, int] = json.loads((index.schema.metadata or {}).get(_PASSED_OVER, b"{}"))
    return found


@dataclass(frozen=True)
class _Chunk:
    root: Path
    paths: tuple[str, ...]
    cache: Path
    model: Path | None = None


@dataclass(frozen=True)
class _Examined:
    path: str
    sha256: str = ""
    size: tuple[int, int] = (0, 0)
    detection: Detection | None = None
    seen: Seen | None = None
    reason: str = ""
    detail: str = ""


def _name(path: str) -> str:
    # systems allow names that are no text; tables and JSON do not
    return path.encode(errors="replace").decode()


def _examine(chunk: _Chunk) -> list[_Examined]:
    """What is known of the photos without a detector: the hash, and the cache's answer."""
    found = []
    for path in chunk.paths:
        if path != _name(path):
            found.append(_Examined(path, reason="unreadable", detail="its name is not UTF-8"))
            continue
        try:
            with open_file(chunk.root / path, MAX_BYTES) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            found.append(_Examined(path, reason="unreadable", detail=error.strerror or str(error)))
            continue
        cached = _load_cached(_cache_file(chunk.cache, digest))
        if cached is None:
            found.append(_Examined(path, digest))
        else:
            size, detection, seen, note = cached
            found.append(_Examined(path, digest, size, detection, seen, detail=note))
    return found


def _detect(chunk: _Chunk) -> list[_Examined]:
    """Detect what the cache does not hold, and put it there."""
    assert chunk.model is not None
    found = []
    with Landmarker(chunk.model) as landmarker:
        for item in _examine(chunk):
            if item.reason:
                found.append(item)
                continue
            try:
                photo, note = read_noted(chunk.root / item.path)
            except ImageError as error:
                found.append(_Examined(item.path, item.sha256, reason=error.reason, detail=_told(error)))
                continue
            size = (photo.shape[1], photo.shape[0])
            detection = landmarker.detect(photo)
            seen = see(photo, detection.landmarks[detection.largest]) if len(detection.landmarks) else None
            with suppress(OutputError):  # a cache that cannot be written costs time, not the run
                _save_cached(_cache_file(chunk.cache, item.sha256), size, detection, seen, note)
            found.append(_Examined(item.path, item.sha256, size, detection, seen, detail=note))
    return found


def _told(error: ImageError) -> str:
    return f"{error.found}: {error.do}" if error.reason == "other format" else error.found


def _cache_file(cache: Path, digest: str) -> Path:
    # another model, runtime or way of asking gives other landmarks: all are part of the place
    made_with = f"{MODEL.sha256[:8]}-{metadata.version('mediapipe')}-{DETECTION}"
    return cache / "landmarks" / made_with / digest[:2] / f"{digest}.npz"


def _save_cached(path: Path, size: tuple[int, int], detection: Detection, seen: Seen | None, note: str) -> None:
    content = io.BytesIO()
    facts: dict[str, Any] = {"turn": np.array(detection.turn), "score": np.array(detection.score)}
    facts |= {"seen": np.array(astuple(seen) if seen else ()), "note": np.array(note)}
    np.savez(content, size=np.array(size), landmarks=detection.landmarks, pose=detection.pose, **facts)
    write_whole(path, content.getvalue())


def _load_cached(path: Path) -> tuple[tuple[int, int], Detection, Seen | None, str] | None:
    try:
        arrays = npz_arrays(path.read_bytes())
        width, height = map(int, arrays["size"])
        landmarks, pose = arrays["landmarks"], arrays["pose"]
        note = str(arrays["note"])
        turn, score = int(arrays["turn"]), float(arrays["score"])
        seen = Seen(*map(float, arrays["seen"])) if len(arrays["seen"]) else None
    except Exception:  # absent, or broken in one of the many ways of zip and npy: detect again
        return None
    if landmarks.shape[1:] != (N_LANDMARKS, 3) or pose.shape != (len(landmarks), 3):
        return None
    return (width, height), Detection(landmarks, pose, turn, score), seen, note


def _row(item: _Examined, quality: Quality) -> dict[str, Any]:
    width, height = item.size
    row: dict[str, Any] = dict.fromkeys(INDEX_SCHEMA.names)
    row.update(
        path=_name(item.path), sha256=item.sha256, identity=item.sha256[:16], width=width, height=height, n_faces=0,
        reason=item.reason, detail=item.detail,
    )  # fmt: skip
    if item.detection is None:
        return row
    row["n_faces"] = len(item.detection.landmarks)
    if not row["n_faces"]:
        row["reason"] = "no face"
        return row
    largest = item.detection.largest
    landmarks, (yaw, pitch, roll) = item.detection.landmarks[largest], item.detection.pose[largest].tolist()
    row.update(turn=item.detection.turn, score=item.detection.score)
    row.update(landmarks=landmarks.ravel(), inter_ocular=inter_ocular(landmarks), yaw=yaw, pitch=pitch, roll=roll)
    row.update(asdict(item.seen) if item.seen else {})
    refusal, why = _refusal(row, landmarks, quality)
    if refusal:
        row["reason"], row["detail"] = refusal, why
    return row


_SEEN = {"light": "too dark", "sharpness": "too blurred", "mouth": "mouth covered", "eyes": "eyes covered"}


def _below(value: float, limit: float | None) -> bool:
    return limit is not None and value < limit


def _above(value: float, limit: float | None) -> bool:
    return limit is not None and value > limit


def _refusal(row: Mapping[str, Any], landmarks: np.ndarray, quality: Quality) -> tuple[str, str]:
    x, y = landmarks[:, 0], landmarks[:, 1]
    outside = float(((x < -0.5) | (y < -0.5) | (x > row["width"] - 0.5) | (y > row["height"] - 0.5)).mean())
    if _below(row["score"], quality.min_score):
        return "no sure face", f"score {row['score']:.2f} of the detector, at least {quality.min_score:g}"
    if _below(row["inter_ocular"], quality.min_inter_ocular):
        return "too small", f"{row['inter_ocular']:.0f} px between the eyes, at least {quality.min_inter_ocular:g}"
    if _above(abs(row["yaw"]), quality.max_yaw) or _above(abs(row["pitch"]), quality.max_pitch):
        return "too turned", f"yaw {row['yaw']:.0f}°, pitch {row['pitch']:.0f}°"
    if place_crop(landmarks, CropOptions()).side <= row["inter_ocular"]:
        return "too turned", "the mouth is not below the eyes"
    if _above(outside, quality.max_outside):
        return "cut off", f"{outside:.0%} of the face is outside the photo"
    return unseen(row, quality)


def unseen(seen: Mapping[str, float | None], quality: Quality) -> tuple[str, str]:
    """The first reason for which too little is seen of a face, and its measure; both empty if there is none.

    Args:
        seen: the fields of `faces.seen.Seen`.
        quality: the limits.
    """
    for name, reason in _SEEN.items():
        least, found = getattr(quality, f"min_{name}"), seen[name]
        if found is not None and _below(found, least):
            return reason, f"{name} {found:.3g}, at least {least:g}"
    return "", ""
