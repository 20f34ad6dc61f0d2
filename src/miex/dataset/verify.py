"""Prove a set: every byte against its record, every sample against its plan."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from miex.dataset.plan_file import Plan, count_shards, read_plan, read_shard
from miex.dataset.samples import collect_samples, read_samples
from miex.dataset.shard import SHARDS, read_shard_record, read_stored, record_path, tar_path
from miex.errors import InputError
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.images import decode_image
from miex.labels import Label


@dataclass(frozen=True)
class Report:
    """What verify found.

    Attributes:
        samples: samples that were looked at.
        failed: rows that the set itself says it could not make.
        identical: pairs whose onset and apex are the same picture.
        problems: what is wrong, each with the shard or file; empty for a clean set.
    """

    samples: int
    failed: int
    identical: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Task:
    out: Path
    shard: int
    plan: str
    size: int


@dataclass(frozen=True)
class _Found:
    samples: int = 0
    failed: int = 0
    identical: int = 0
    problems: tuple[str, ...] = ()


def verify(
    out: Path,
    *,
    executor: Executor = IN_PROCESS,
    progress: Progress = silent,
) -> Report:
    """Check a finished set: the plan against its digest, each shard's sha256 and size against its record, ids and
    order against the plan, every description against its row, every frame there, decoded and of the right size, no
    identical pair, nothing else among the shards, samples.parquet against plan and records.

    Args:
        out: folder of the set.
        executor: where shards are checked; by default in this process.
        progress: called with shards done and shards in all.

    Returns:
        The report; problems are returned, not raised, so that all of them are seen.

    Raises:
        InputError: there is no plan to check against.
    """
    plan = read_plan(out)
    n_shards = count_shards(plan)
    tasks = [_Task(out, shard, plan.digests["plan"], plan.settings["size"]) for shard in range(n_shards)]
    found: dict[int, _Found] = {}
    for outcome in executor.run(_verify_shard, tasks):
        problem = f"shard {outcome.task.shard}: {outcome.error}"
        found[outcome.task.shard] = outcome.result or _Found(problems=(problem,))
        progress(len(found), n_shards, "")
    parts = [found[shard] for shard in sorted(found)]
    return Report(
        sum(p.samples for p in parts),
        sum(p.failed for p in parts),
        sum(p.identical for p in parts),
        (
            *(problem for p in parts for problem in p.problems),
            *_foreign(out, n_shards),
            *_samples_problems(out, plan),
        ),
    )


def _verify_shard(task: _Task) -> _Found:
    where = f"shard {task.shard:05d}"
    try:
        record = read_shard_record(task.out, task.shard)
    except InputError as error:
        return _Found(problems=(f"{where}: {error.found}",))
    if record is None:
        return _Found(problems=(f"{where}: not there (no record)",))
    try:
        with tar_path(task.out, task.shard).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return _Found(problems=(f"{where}: {error.strerror}",))
    if record.plan != task.plan:
        return _Found(problems=(f"{where}: made from plan {record.plan[:12]}…, not {task.plan[:12]}…",))
    if digest != record.sha256:
        return _Found(problems=(f"{where}: sha256 {digest[:12]}…, its record says {record.sha256[:12]}…",))
    problems = []
    rows, _ = read_shard(task.out, task.shard)
    by_id = {row["sample_id"]: row for row in rows.to_pylist()}
    planned = list(by_id)
    made = {sample["sample_id"]: sample for sample in record.samples}
    failed = {failure["sample_id"] for failure in record.failed}
    if [i for i in planned if i in made] != [s["sample_id"] for s in record.samples] or made.keys() | failed != set(
        planned
    ):
        problems.append(f"{where}: its samples are not the plan's rows")
    identical = 0
    for sample_id, sample in made.items():
        try:
            stored = read_stored(task.out, task.shard, sample["offset"], sample["bytes"], sample_id)
            frames = [decode_image(frame, sample_id) for frame in stored.frames]
        except (InputError, ValueError, tarfile.TarError) as error:
            problems.append(f"{where}, {sample_id}: {error}")
            continue
        wrong = next((frame.shape for frame in frames if frame.shape != (task.size, task.size, 3)), None)
        if wrong:
            problems.append(f"{where}, {sample_id}: a frame of {wrong}")
            continue
        if sample_id in by_id and len(frames) != len(by_id[sample_id]["aus"]):
            problems.append(f"{where}, {sample_id}: {len(frames)} frames, {len(by_id[sample_id]['aus'])} planned")
            continue
        contradiction = _contradiction(stored.description, by_id[sample_id]) if sample_id in by_id else ""
        if contradiction:
            problems.append(f"{where}, {sample_id}: its {contradiction} is not the plan's")
        elif np.array_equal(frames[0], frames[by_id[sample_id]["apex"]]):
            identical += 1
            problems.append(f"{where}, {sample_id}: onset and apex are the same picture")
    return _Found(len(made), len(failed), identical, tuple(problems))


def _samples_problems(out: Path, plan: Plan) -> tuple[str, ...]:
    try:
        samples = read_samples(out)
    except InputError as error:
        return (f"samples.parquet: {error.found}",)
    try:
        expected = collect_samples(out, plan)
    except InputError:
        return ()  # a shard is not there, which is said already
    wrong = [name for name in expected.schema.names if not samples[name].equals(expected[name])]
    return (f"samples.parquet: {', '.join(wrong)} are not what plan and records say",) if wrong else ()


def _foreign(out: Path, n_shards: int) -> tuple[str, ...]:
    """Whoever reads shards/*.tar reads everything that lies there."""
    known = {path(out, shard).name for path in (tar_path, record_path) for shard in range(n_shards)}
    there = {path.name for path in (out / SHARDS).iterdir()} if (out / SHARDS).is_dir() else set()
    return tuple(f"{SHARDS}/{name}: not of this plan" for name in sorted(there - known))


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
