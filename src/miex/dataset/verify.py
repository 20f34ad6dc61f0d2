"""Verify a set: shards and pages to the byte, tables by their values, and every sample against its plan."""

from __future__ import annotations

import hashlib
import io
import json
import math
import tarfile
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, BinaryIO

import numpy as np

from miex.dataset.description import describe_sample
from miex.dataset.frames import DIGITAL_SOURCE_TYPE
from miex.dataset.pages import page_problems
from miex.dataset.plan_file import Plan, PlanFaces, PlanRows, read_identities, read_plan, read_record
from miex.dataset.proven import ProvenFile
from miex.dataset.samples import SAMPLES_FILE, SampleRows, with_results
from miex.dataset.schema import MEASURE_COLUMNS, SAMPLES_SCHEMA
from miex.dataset.shard import (
    SHARDS,
    Sample,
    ShardRecord,
    read_shard_record,
    read_stored,
    record_name,
    stored_in,
    tar_name,
)
from miex.errors import InputError
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.images import decode_image
from miex.stable import first_difference, sample_rng
from miex.storage import Place, storage_at
from miex.storage.base import Storage
from miex.storage.local import is_leftover


@dataclass(frozen=True)
class Report:
    """What verify found.

    Attributes:
        shards: shards that were checked.
        samples: samples that were checked.
        failed: rows that the set itself says it could not make.
        identical: pairs whose onset and apex are the same picture.
        problems: what is wrong, each with the shard or file; empty for a clean set.
    """

    shards: int
    samples: int
    failed: int
    identical: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class ShardCheck:
    """What was found in one shard: samples checked, rows not made, identical pairs, problems."""

    shard: int
    samples: int = 0
    failed: int = 0
    identical: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Task:
    out: Storage
    shard: int
    plan: str
    size: int


def verify(out: Place, *, sample: float = 1, executor: Executor = IN_PROCESS, progress: Progress = silent) -> Report:
    """Check a finished set: the plan against its digests, each shard's sha256 and size against its record, each
    sample's checksum, ids and order against the plan, every description against its row and face, every frame there,
    decoded, of the right size and marked as synthetic, no identical pair, nothing else in or among the shards,
    samples.parquet against plan and records, README.md, gallery.html and refused.csv against their digests.

    Args:
        out: the set.
        sample: share of the shards that are checked, in (0, 1]; at least one, chosen by the plan's digest. Of the
            others only the record is read, and the size of the tar.
        executor: where shards are checked.
        progress: called with shards done and shards in all.

    Returns:
        The report; problems are returned, not raised, so that all of them are seen.

    Raises:
        InputError: there is no plan to check against.
    """
    out = storage_at(out)
    plan = read_plan(out)
    read_identities(out)  # of shards that are looked at some are proven; this proves all
    checks = check_shards(out, plan, sample=sample, executor=executor, progress=progress)
    return Report(
        len(checks),
        sum(check.samples for check in checks),
        sum(check.failed for check in checks),
        sum(check.identical for check in checks),
        (
            *(problem for check in checks for problem in check.problems),
            *(f"{name}: not of this plan" for name in foreign_files(out, plan.n_shards)),
            *_samples_problems(out, plan, {check.shard for check in checks}),
            *page_problems(out),
        ),
    )


def check_shards(
    out: Storage, plan: Plan, *, sample: float = 1, executor: Executor = IN_PROCESS, progress: Progress = silent
) -> list[ShardCheck]:
    """Check the shards of a set, or a share of them; in their order."""
    digest, shards = plan.digests["plan"], list(range(plan.n_shards))
    if sample < 1:
        chosen = sample_rng(0, digest).choice(len(shards), max(1, math.ceil(sample * len(shards))), replace=False)
        shards = sorted(chosen.tolist())
    tasks = [_Task(out, shard, digest, plan.settings["size"]) for shard in shards]
    found: dict[int, ShardCheck] = {}
    for outcome in executor.run(_check_shard, tasks):
        shard = outcome.task.shard
        problem = f"shard {shard:05d}: {outcome.error}"
        found[shard] = outcome.result or ShardCheck(shard, problems=(problem,))
        progress(len(found), len(tasks), "")
    return [found[shard] for shard in sorted(found)]


@lru_cache(maxsize=2)
def _opened(out: Storage, plan: str) -> tuple[dict[str, Any], PlanRows, PlanFaces]:
    # keyed by the digest, so that a new plan in the same place is read again
    record = read_record(out)
    return record["settings"], PlanRows(out, record), PlanFaces(out, record)


def _planned(task: _Task) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Settings, rows of a shard, and rows of its faces by identity."""
    settings, rows, faces = _opened(task.out, task.plan)
    table = rows.shard(task.shard)
    found = faces.of(table["identity"].unique().to_pylist())
    return settings, table.to_pylist(), {face["identity"]: face for face in found.to_pylist()}


def _gap(file: BinaryIO, record: ShardRecord) -> str:
    """What of a tar belongs to none of its samples; empty if nothing does."""
    end = 0
    for sample in record.samples:
        if sample["offset"] != end:
            return f"{sample['sample_id']} lies at byte {sample['offset']}, not behind the sample before it ({end})"
        end += sample["bytes"]
    rest = record.bytes - end  # a tar ends with two empty blocks, and is filled up to a record of 10,240 bytes
    if not 2 * tarfile.BLOCKSIZE <= rest < 2 * tarfile.BLOCKSIZE + tarfile.RECORDSIZE:
        return f"{rest} bytes behind its last sample"
    file.seek(end)
    return "members behind its last sample" if any(file.read(rest)) else ""


def _check_shard(task: _Task) -> ShardCheck:
    where = f"shard {task.shard:05d}"

    def broken(problem: str) -> ShardCheck:
        return ShardCheck(task.shard, problems=(f"{where}: {problem}",))

    try:
        record = read_shard_record(task.out, task.shard)
    except InputError as error:
        return broken(error.found)
    if record is None:
        return broken("not there (no record)")
    try:
        # its samples are read one after the other, which in a bucket takes few requests
        with task.out.open(tar_name(task.shard)) as file:
            if (size := file.seek(0, io.SEEK_END)) != record.bytes:
                return broken(f"{size} bytes, its record says {record.bytes}")
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # BinaryIO has readinto
            if record.plan != task.plan:
                return broken(f"made from plan {record.plan[:12]}…, not {task.plan[:12]}…")
            if digest != record.sha256:
                return broken(f"sha256 {digest[:12]}…, its record says {record.sha256[:12]}…")
            return _check_samples(task, record, file)
    except FileNotFoundError:
        return broken(f"no {tar_name(task.shard)}")
    except OSError as error:
        return broken(error.strerror or str(error))
    except InputError as error:
        return broken(f"{error.asked}: {error.found}")


def _check_samples(task: _Task, record: ShardRecord, file: BinaryIO) -> ShardCheck:
    where, size, problems = f"shard {task.shard:05d}", file.seek(0, io.SEEK_END), []
    settings, rows, faces = _planned(task)
    by_id = {row["sample_id"]: row for row in rows}
    planned = list(by_id)
    made = {sample["sample_id"]: sample for sample in record.samples}
    failed = {failure["sample_id"] for failure in record.failed}
    problems += [f"{where}: {gap}" for gap in [_gap(file, record)] if gap]
    in_order = [sample_id for sample_id in planned if sample_id in made]
    if in_order != [sample["sample_id"] for sample in record.samples] or made.keys() | failed != set(planned):
        problems.append(f"{where}: its samples are not the plan's rows")
    identical = 0
    for sample_id, sample in made.items():
        row = by_id.get(sample_id)
        file.seek(sample["offset"])
        content = file.read(max(0, min(sample["bytes"], size - sample["offset"])))  # no memory for what is not there
        problem = _problem(task, sample, content, row, row and describe_sample(faces[row["identity"]], row, settings))
        if problem:
            problems.append(f"{where}, {sample_id}: {problem}")
            identical += problem == _IDENTICAL
    return ShardCheck(task.shard, len(made), len(failed), identical, tuple(problems))


@dataclass(frozen=True)
class Sound:
    """What is good of a shard.

    Attributes:
        samples: per id the place of the sample in the tar and its measures, as in a record.
        unread: per id why nothing could be read in its place.
    """

    samples: dict[str, dict[str, Any]]
    unread: dict[str, InputError]


def sound_samples(out: Storage, shard: int, plan: str) -> Sound:
    """The samples of a shard in which `verify` finds nothing wrong, whatever else has become of record and tar.

    Where they lie is known by the record, and by samples.parquet: one of them may be damaged.

    Args:
        out: the set.
        shard: number of the shard.
        plan: digest of the plan.

    Raises:
        InputError: the plan is damaged.
    """
    settings = _opened(out, plan)[0]
    task, sound = _Task(out, shard, plan, settings["size"]), Sound({}, {})
    _, rows, faces = _planned(task)
    by_id = {row["sample_id"]: row for row in rows}
    for place in (*_places_in_record(task), *_places_in_samples(task)):
        row = by_id.get(sample_id := place["sample_id"])
        if row is None or sample_id in sound.samples:
            continue
        try:
            content = out.read_range(tar_name(shard), place["offset"], place["bytes"])
        except FileNotFoundError:
            continue
        except InputError as error:
            sound.unread[sample_id] = error
            continue
        if not _problem(task, place, content, row, describe_sample(faces[row["identity"]], row, settings)):
            sound.samples[sample_id] = place
    return sound


def _places_in_record(task: _Task) -> list[dict[str, Any]]:
    with suppress(InputError):
        record = read_shard_record(task.out, task.shard)
        return record.samples if record and record.plan == task.plan else []
    return []


def _places_in_samples(task: _Task) -> list[dict[str, Any]]:
    with suppress(InputError, FileNotFoundError):
        where = f"{SAMPLES_FILE} of {task.out.address}"
        file = ProvenFile(partial(task.out.open, SAMPLES_FILE), SAMPLES_SCHEMA, where)
        if file.block_rows == _opened(task.out, task.plan)[0]["shard_size"] and task.shard < len(file):
            rows = file.block(task.shard).to_pylist()
            names = ("sample_id", "offset", "bytes", "crc32", *(column.name for column in MEASURE_COLUMNS))
            return [{name: row[name] for name in names} for row in rows if row["status"] == "ok"]
    return []


def kept_sample(out: Storage, shard: int, place: dict[str, Any], suffix: str) -> Sample:
    """A sound sample, to be written again as it is. Raises InputError if it is no more.

    Args:
        out, shard: where it lies.
        place: of `sound_samples`.
        suffix: of its frames' names.
    """
    where = {"sample_id", "offset", "bytes", "crc32"}
    sample_id = place["sample_id"]
    stored = read_stored(out, shard, place["offset"], place["bytes"], place["crc32"], sample_id)
    in_order = dict.fromkeys(column.name for column in MEASURE_COLUMNS if column.name in place)
    measures = {name: place[name] for name in in_order | place if name not in where}
    return Sample(sample_id, stored.frames, suffix, stored.description, measures)


_IDENTICAL = "onset and apex are the same picture"


def _problem(
    task: _Task, sample: dict[str, Any], content: bytes, row: dict[str, Any] | None, described: dict[str, Any] | None
) -> str:
    """What is wrong with a sample, whose members are that content; empty if nothing is."""
    sample_id, where = sample["sample_id"], f"{tar_name(task.shard)}, byte {sample['offset']}"
    try:
        stored = stored_in(content, f"sample {sample_id} of {task.out.address}", where, sample["crc32"], sample_id)
        frames = [decode_image(frame, sample_id) for frame in stored.frames]
    except (InputError, ValueError, tarfile.TarError) as error:
        return str(error)
    wrong = next((frame.shape for frame in frames if frame.shape != (task.size, task.size, 3)), None)
    if wrong:
        return f"a frame of {wrong}"
    if row is None:
        return ""  # said of the whole shard
    if len(frames) != len(row["aus"]):
        return f"{len(frames)} frames, {len(row['aus'])} planned"
    if (planned := json.loads(json.dumps(described))) != stored.description:
        return f"not as planned: {first_difference(planned, stored.description) or 'more entries'}"
    if not all(DIGITAL_SOURCE_TYPE.encode() in frame for frame in stored.frames):
        return "a frame without the mark of a synthetic picture"
    return _IDENTICAL if np.array_equal(frames[0], frames[row["apex"]]) else ""


def _samples_problems(out: Storage, plan: Plan, checked: Collection[int]) -> tuple[str, ...]:
    """What is wrong with samples.parquet, and with shards that were not checked."""
    wrong: dict[str, None] = {}
    problems = []
    try:
        samples = SampleRows(out, of_plan=False)
    except InputError as error:
        return (f"samples.parquet: {error.found}",)
    blocks = samples.blocks()
    for shard, rows in enumerate(plan.shards()):
        try:
            stated = next(blocks, SAMPLES_SCHEMA.empty_table())
        except InputError as error:
            return (f"samples.parquet: {error.found}",)
        try:
            record = read_shard_record(out, shard)
            expected = with_results(out, shard, record, rows)
            if record and shard not in checked and (size := out.size(tar_name(shard))) != record.bytes:
                there = f"no {tar_name(shard)}" if size is None else f"{size} bytes"
                problems.append(f"shard {shard:05d}: {there}, its record says {record.bytes} bytes")
        except InputError as error:
            if shard not in checked:  # of those that were, it is said already
                problems.append(f"shard {shard:05d}: {error.found}")
            continue
        wrong |= dict.fromkeys(name for name in expected.schema.names if not stated[name].equals(expected[name]))
    if plan.n_rows != samples.n_rows:
        problems.append(f"samples.parquet: {samples.n_rows} rows, {plan.n_rows} planned")
    elif wrong:
        problems.append(f"samples.parquet: {', '.join(wrong)} are not what plan and records say")
    return tuple(problems)


def foreign_files(out: Storage, n_shards: int) -> list[str]:
    """What lies among the shards and is not of the plan: whoever reads shards/*.tar reads it, too. Drafts are no part
    of it: they are removed when the set is finished."""
    known = {name(shard) for name in (tar_name, record_name) for shard in range(n_shards)}
    there = (f"{SHARDS}/{name}" for name in out.names(SHARDS) if not is_leftover(name))
    return [name for name in there if name not in known]
