"""Run a plan: lock, clean, estimate, make what is missing, and sum up."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import filelock
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from miex.errors import InputError, OutputError, PartialFailureError
from miex.executors.base import Executor, InProcess
from miex.plan.schema import CONFIG_FILE, FACES_FILE, PLAN_FILE, PLAN_SCHEMA, Plan, read_plan, read_record, write_plan
from miex.stable import first_difference, parquet_bytes
from miex.storage.local import remove_leftovers, write_whole
from miex.synthesis.commit import SAMPLES_FILE, SHARDS, Failure, members, read_shard_record, tar_path
from miex.synthesis.worker import ShardResult, ShardTask, make_shard, render_shard, result_of

LOCK_FILE = ".miex.lock"
MEASURES = ("motion_mean_px", "motion_p95_px", "motion_mean_iod", "motion_p95_iod", "psnr", "ssim")
SAMPLES_SCHEMA = pa.schema(
    [
        *PLAN_SCHEMA,
        ("shard", pa.int32()),
        ("offset", pa.int64()),  # of the sample's first member in the shard's tar
        ("bytes", pa.int64()),  # of all its members
        ("status", pa.string()),  # ok or failed
        ("reason", pa.string()),
        *((name, pa.float64()) for name in MEASURES),  # see measure.pair.PairMeasures
    ]
)
_PROBE = 12  # samples rendered to estimate the rest
_OVERHEAD = 1.5  # of a run over its rendering alone: files, fsync, processes that share caches (1.3 to 1.8 here)
_OWN = frozenset({PLAN_FILE, FACES_FILE, LOCK_FILE})  # what a run killed before its plan.json leaves


@dataclass(frozen=True)
class Estimate:
    """What is left to do: samples, shards (each the work of one worker), seconds of one worker, bytes, and the bytes
    that are free."""

    samples: int
    shards: int
    seconds: float
    bytes: int
    free: int


@dataclass(frozen=True)
class Summary:
    """What a run left behind.

    Attributes:
        samples: rows of the plan.
        frames: of all these.
        made, failed: how many of them are there, and are not.
        rendered: how many of them, failed ones too, this run worked on.
        bytes: of all shards.
        seconds: that this run took.
    """

    samples: int
    frames: int
    made: int
    failed: int
    rendered: int
    bytes: int
    seconds: float


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """One writer per folder. The system frees the lock when the process ends, however it ends.

    Raises:
        OutputError: another process writes there, or the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(out / LOCK_FILE)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise OutputError(
            f"output folder {out}", found="another miex writes there", do="wait for it, or stop it"
        ) from None
    except OSError as error:
        found = error.strerror or str(error)
        raise OutputError(f"output folder {out}", found=found, do="give a folder that can be written") from error
    try:
        yield
    finally:
        lock.release()


def adopt_plan(plan: Plan, out: Path) -> bool:
    """Put a plan into a folder; if the same plan is there already, keep it, so that a run resumes.

    Returns:
        True if the plan was there.

    Raises:
        OutputError: the folder belongs to another plan (the first difference is named), or to something else.
    """
    if out.is_dir() and not (out / CONFIG_FILE).exists():
        foreign = sorted(p.name for p in out.iterdir() if p.name not in _OWN and ".tmp-" not in p.name)
        if foreign:
            raise OutputError(
                f"output folder {out}",
                expected="a new or empty folder",
                found=", ".join(foreign[:3]),
                do="give a new --out",
            )
    with locked(out):
        if (out / CONFIG_FILE).exists():
            record = read_record(out)
            if record["digests"] != plan.digests:
                raise OutputError(
                    f"output folder {out}",
                    expected=f"no plan, or plan {plan.digests['plan'][:12]}…",
                    found=f"plan {record['digests']['plan'][:12]}…; they differ in: {_difference(out, record, plan)}",
                    do="give a new --out, or repeat the options of the first run to resume it",
                )
            # the same samples; the photos may have moved since
            write_plan(plan, out, record["versions"])
            return True
        write_plan(plan, out)
        return False


def _difference(out: Path, record: dict[str, Any], plan: Plan) -> str:
    """The first difference between the plan in a folder and another one, for people."""
    for old, new in ((record["config"], plan.config), (record["settings"], plan.settings)):
        found = first_difference(old, new)
        if found:
            return found
    faces = [{f["identity"]: f for f in t.to_pylist()} for t in (pq.read_table(out / FACES_FILE), plan.faces)]
    gone, came = faces[0].keys() - faces[1].keys(), faces[1].keys() - faces[0].keys()
    if gone or came:
        return f"the photos: {len(came)} added, {len(gone)} removed or changed"
    for identity in sorted(faces[0]):
        old, new = (table[identity] for table in faces)
        for name in new:
            if name != "path" and old.get(name) != new[name]:
                shown = "" if name == "landmarks" else f" {old.get(name)!r} → {new[name]!r}"
                return f"{name} of {new['path']}{shown}"
    return "the rows"


def run_plan(
    out: Path,
    *,
    faces_root: Path | None = None,
    executor: Executor | None = None,
    max_failed: float = 0.01,
    retry: bool = False,
    digest: str | None = None,
    announce: Callable[[Estimate], None] = lambda estimate: None,
    progress: Callable[[int, int, int], None] = lambda done, failed, total: None,
) -> Summary:
    """Make every shard of a folder's plan that is not there yet, then samples.parquet.

    Stopping it at any moment, even by SIGKILL, loses only shards in work; running it again goes on.

    Args:
        out: folder with a plan; the shards go there.
        faces_root: where the photos are now, if not where the plan was made.
        executor: where shards are made; by default in this process.
        max_failed: largest fraction of failed rows; above it the run stops.
        retry: make shards with failed rows again; the better one stays.
        digest: of the plan that is meant to be there; by default any.
        announce: called once, before long work.
        progress: called with rows done, rows failed, rows in all.

    Raises:
        InputError: no plan, or a damaged one; another version of the generator.
        OutputError: the folder is in use, cannot be written, or has too little room.
        PartialFailureError: more rows failed than `max_failed` allows.
    """
    start = time.monotonic()
    with locked(out):
        plan = read_plan(out)
        remove_leftovers(out)
        remove_leftovers(out / SHARDS)
        total, found = plan.rows.num_rows, plan.digests["plan"]
        if digest not in (None, found):
            raise OutputError(
                f"output folder {out}",
                expected=f"plan {digest[:12]}…" if digest else "",
                found=f"plan {found[:12]}…",
                do="another miex put its plan there meanwhile: give another --out",
            )
        root = faces_root or Path(plan.faces_root)
        n_shards = count_shards(plan)
        results, tasks = {}, []
        for shard in range(n_shards):
            result = _committed(out, shard, found)
            if result is None or (retry and result.failed):
                tasks.append(ShardTask(out, shard, found, root, again=result is not None))
            else:
                results[shard] = result
        resumed = sum(result.made + result.failed for result in results.values())
        if tasks:
            if not root.is_dir():
                raise InputError(
                    f"photos of {out}", expected="their folder", found=f"no folder {root}", do="say where: --faces DIR"
                )
            announce(_check_room(_estimate(tasks, plan), out))
            (out / SAMPLES_FILE).unlink(missing_ok=True)  # what it says of these shards may soon be wrong

        def failed() -> int:
            return sum(result.failed for result in results.values())

        progress(sum(r.made + r.failed for r in results.values()), failed(), total)
        # one shard is made faster here than by a process that must first start
        chosen = executor if executor and len(tasks) > 1 else InProcess()
        for outcome in chosen.run(make_shard, tasks):
            if outcome.error is not None:
                raise outcome.error
            assert outcome.result is not None
            results[outcome.task.shard] = outcome.result
            progress(sum(r.made + r.failed for r in results.values()), failed(), total)
            if failed() > max_failed * total:
                break
        _check_failed(out, failed(), total, max_failed, results)
        write_whole(out / SAMPLES_FILE, parquet_bytes(collect_samples(out, plan), plan.settings["shard_size"]))
    made = sum(result.made for result in results.values())
    size = sum(result.bytes for result in results.values())
    frames = pc.sum(pc.list_value_length(plan.rows["aus"])).as_py()
    return Summary(total, frames, made, failed(), made + failed() - resumed, size, time.monotonic() - start)


def _committed(out: Path, shard: int, digest: str) -> ShardResult | None:
    record = read_shard_record(out, shard)
    if record is None:
        return None
    if record.plan != digest:
        raise OutputError(
            f"shard {shard} of {out}", expected=f"plan {digest[:12]}…", found=f"plan {record.plan[:12]}…",
            do="it was made from another plan: give a new --out",
        )  # fmt: skip
    try:
        whole = tar_path(out, shard).stat().st_size == record.bytes
    except FileNotFoundError:
        whole = False
    return result_of(record) if whole else None


def _estimate(tasks: list[ShardTask], plan: Plan) -> Estimate:
    size = plan.settings["shard_size"]
    left = sum(min(size, plan.rows.num_rows - task.shard * size) for task in tasks)
    first = iter(render_shard(tasks[0]))
    next(first, None)  # pays for what is loaded once
    start = time.perf_counter()
    made = list(islice(first, _PROBE))
    seconds = (time.perf_counter() - start) / max(1, len(made))
    # a member takes its header and a multiple of 512 bytes
    sizes = [
        sum(512 + math.ceil(len(content) / 512) * 512 for _, content in members(sample))
        for sample in made
        if not isinstance(sample, Failure)
    ]
    size_of_one = sum(sizes) / len(sizes) if sizes else 0
    return Estimate(left, len(tasks), left * seconds * _OVERHEAD, round(left * size_of_one), 0)


def _check_room(estimate: Estimate, out: Path) -> Estimate:
    estimate = replace(estimate, free=shutil.disk_usage(out).free)
    if estimate.bytes > estimate.free:
        raise OutputError(
            f"room for {estimate.samples:,} samples in {out}",
            expected=f"about {estimate.bytes / 1e6:,.0f} MB",
            found=f"{estimate.free / 1e6:,.0f} MB free",
            do="free space, give another --out, or ask for fewer samples",
        )
    return estimate


def _check_failed(out: Path, failed: int, total: int, max_failed: float, results: dict[int, ShardResult]) -> None:
    if failed <= max_failed * total:
        return
    shard = min(result.shard for result in results.values() if result.failed)
    record = read_shard_record(out, shard)
    assert record is not None
    first = record.failed[0]
    raise PartialFailureError(
        f"{total:,} samples in {out}",
        expected=f"at most {max_failed:.1%} failed",
        found=f"{failed:,} failed, the first {first['sample_id']}: {first['reason']}",
        do="mend the cause, then miex retry; or raise --max-failed",
    )


def count_shards(plan: Plan) -> int:
    """How many shards a plan has."""
    return -(-int(plan.rows.num_rows) // int(plan.settings["shard_size"]))


def collect_samples(out: Path, plan: Plan) -> pa.Table:
    """The plan's rows with what became of each, from the shards' records: what samples.parquet holds.

    Raises:
        InputError: a shard has no record, or one that does not cover its rows.
    """
    found: dict[str, dict[str, object]] = {}
    for shard in range(count_shards(plan)):
        record = read_shard_record(out, shard)
        if record is None:
            raise InputError(f"shard {shard} of {out}", found="no record", do="run again: the shard is made again")
        for sample in record.samples:
            found[sample["sample_id"]] = {**sample, "shard": shard, "status": "ok", "reason": ""}
        for failure in record.failed:
            found[failure["sample_id"]] = {**failure, "shard": shard, "status": "failed"}
    ids = plan.rows["sample_id"].to_pylist()
    if found.keys() != set(ids):
        raise InputError(f"records of {out}", expected="the plan's rows", found="others", do="make the set again")
    columns = [plan.rows[name] for name in PLAN_SCHEMA.names]
    for field in list(SAMPLES_SCHEMA)[len(PLAN_SCHEMA) :]:
        columns.append(pa.array([found[sample_id].get(field.name) for sample_id in ids], field.type))
    return pa.Table.from_arrays(columns, schema=SAMPLES_SCHEMA)


def read_samples(out: Path) -> pa.Table:
    """samples.parquet of a finished set.

    Raises:
        InputError: the set is not finished, or the file is not one.
    """
    try:
        return pq.read_table(out / SAMPLES_FILE, schema=SAMPLES_SCHEMA)
    except FileNotFoundError:
        raise InputError(
            f"set {out}", expected=f"a finished set with {SAMPLES_FILE}", found="none",
            do="finish it with miex run, or check the path",
        ) from None  # fmt: skip
    except (OSError, pa.ArrowException, ValueError) as error:
        first = str(error).splitlines()[0]
        raise InputError(
            f"set {out}", expected=f"a whole {SAMPLES_FILE}", found=first, do="miex run makes it again"
        ) from error
