"""Verify a set: every byte against its record, and every sample against its plan."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from miex.dataset.plan_file import Plan, PlanRows, read_plan, read_record
from miex.dataset.samples import collect_samples, read_samples
from miex.dataset.shard import SHARDS, read_shard_record, read_stored, record_name, tar_name
from miex.errors import InputError
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.images import decode_image
from miex.labels import Label
from miex.storage import Place, storage_at
from miex.storage.base import Storage


@dataclass(frozen=True)
class Report:
    """What verify found.

    Attributes:
        samples: samples that were checked.
        failed: rows that the set itself says it could not make.
        identical: pairs whose onset and apex are the same picture.
        problems: what is wrong, each with the shard or file; empty for a clean set.
    """

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


def verify(out: Place, *, executor: Executor = IN_PROCESS, progress: Progress = silent) -> Report:
    """Check a finished set: the plan against its digests, each shard's sha256 and size against its record, each
    sample's checksum, ids and order against the plan, every description against its row, every frame there, decoded
    and of the right size, no identical pair, nothing else among the shards, samples.parquet against plan and records.

    Args:
        out: the set.
        executor: where shards are checked.
        progress: called with shards done and shards in all.

    Returns:
        The report; problems are returned, not raised, so that all of them are seen.

    Raises:
        InputError: there is no plan to check against.
    """
    out = storage_at(out)
    plan = read_plan(out)
    checks = check_shards(out, plan, executor=executor, progress=progress)
    return Report(
        sum(check.samples for check in checks),
        sum(check.failed for check in checks),
        sum(check.identical for check in checks),
        (
            *(problem for check in checks for problem in check.problems),
            *(f"{name}: not of this plan" for name in foreign_files(out, plan.n_shards)),
            *_samples_problems(out, plan),
        ),
    )


def check_shards(
    out: Storage, plan: Plan, *, executor: Executor = IN_PROCESS, progress: Progress = silent
) -> list[ShardCheck]:
    """Check every shard of a set; in their order."""
    tasks = [_Task(out, shard, plan.digests["plan"], plan.settings["size"]) for shard in range(plan.n_shards)]
    found: dict[int, ShardCheck] = {}
    for outcome in executor.run(_check_shard, tasks):
        shard = outcome.task.shard
        problem = f"shard {shard:05d}: {outcome.error}"
        found[shard] = outcome.result or ShardCheck(shard, problems=(problem,))
        progress(len(found), plan.n_shards, "")
    return [found[shard] for shard in sorted(found)]


@lru_cache(maxsize=2)
def _rows_of(out: Storage, plan: str) -> PlanRows:
    # keyed by the digest, so that a new plan in the same place is read again
    return PlanRows(out, read_record(out))


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
        with task.out.open(tar_name(task.shard)) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # BinaryIO has readinto
    except OSError as error:
        return broken(error.strerror or str(error))
    if record.plan != task.plan:
        return broken(f"made from plan {record.plan[:12]}…, not {task.plan[:12]}…")
    if digest != record.sha256:
        return broken(f"sha256 {digest[:12]}…, its record says {record.sha256[:12]}…")
    problems = []
    by_id = {row["sample_id"]: row for row in _rows_of(task.out, task.plan).shard(task.shard).to_pylist()}
    planned = list(by_id)
    made = {sample["sample_id"]: sample for sample in record.samples}
    failed = {failure["sample_id"] for failure in record.failed}
    in_order = [sample_id for sample_id in planned if sample_id in made]
    if in_order != [sample["sample_id"] for sample in record.samples] or made.keys() | failed != set(planned):
        problems.append(f"{where}: its samples are not the plan's rows")
    identical = 0
    for sample_id, sample in made.items():
        problem = _problem(task, sample, by_id.get(sample_id))
        if problem:
            problems.append(f"{where}, {sample_id}: {problem}")
            identical += problem == _IDENTICAL
    return ShardCheck(task.shard, len(made), len(failed), identical, tuple(problems))


_IDENTICAL = "onset and apex are the same picture"


def _problem(task: _Task, sample: dict[str, Any], row: dict[str, Any] | None) -> str:
    """What is wrong with a sample; empty if nothing is."""
    sample_id, place = sample["sample_id"], (sample["offset"], sample["bytes"], sample["crc32"])
    try:
        stored = read_stored(task.out, task.shard, *place, sample_id)
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
    contradiction = _contradiction(stored.description, row)
    if contradiction:
        return f"its {contradiction} is not the plan's"
    return _IDENTICAL if np.array_equal(frames[0], frames[row["apex"]]) else ""


def _samples_problems(out: Storage, plan: Plan) -> tuple[str, ...]:
    try:
        samples = read_samples(out)
    except InputError as error:
        return (f"samples.parquet: {error.found}",)
    wrong: dict[str, None] = {}
    first = 0
    try:
        for expected in collect_samples(out, plan):
            there = samples.slice(first, expected.num_rows)
            wrong |= dict.fromkeys(name for name in expected.schema.names if not there[name].equals(expected[name]))
            first += expected.num_rows
    except InputError:
        return ()  # a shard is not there, which is said already
    if first != samples.num_rows:
        return (f"samples.parquet: {samples.num_rows} rows, {first} planned",)
    return (f"samples.parquet: {', '.join(wrong)} are not what plan and records say",) if wrong else ()


def foreign_files(out: Storage, n_shards: int) -> list[str]:
    """What lies among the shards and is not of the plan: whoever reads shards/*.tar reads it, too."""
    known = {name(shard) for name in (tar_name, record_name) for shard in range(n_shards)}
    return [name for name in (f"{SHARDS}/{name}" for name in out.names(SHARDS)) if name not in known]


def _contradiction(description: dict[str, Any], row: dict[str, Any]) -> str:
    """The first entry of a .json member that is not what the plan says; empty if there is none."""
    for name in ("sample_id", "identity", "photo", "source", "emotion", "apex"):
        if description.get(name) != row[name]:
            return name
    if (description.get("label"), description.get("label_index")) != (Label(row["label"]).name, row["label"]):
        return "label"
    try:
        same = np.allclose(np.array(description.get("aus"), float), np.array(row["aus"]), atol=1e-6)
    except ValueError:
        same = False
    return "" if same else "aus"
