"""Run a plan: lock, clean, estimate, make what is missing, and sum up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from miex.dataset.plan_file import (
    count_shards,
    read_plan,
)
from miex.dataset.samples import SAMPLES_FILE, collect_samples
from miex.dataset.shard import SHARDS, read_shard_record, tar_path
from miex.errors import InputError, OutputError, PartialFailureError
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.stable import parquet_bytes
from miex.storage.local import remove_leftovers, write_whole
from miex.synthesis.adopt import locked
from miex.synthesis.estimate import Estimate, check_room, estimate_rest
from miex.synthesis.worker import ShardResult, ShardTask, make_shard, result_of


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


def run_plan(
    out: Path,
    *,
    faces_root: Path | None = None,
    executor: Executor = IN_PROCESS,
    max_failed: float = 0.01,
    retry: bool = False,
    digest: str | None = None,
    announce: Callable[[Estimate], None] = lambda estimate: None,
    progress: Progress = silent,
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
        progress: called with rows done and rows in all; the note says how many failed.

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
            announce(check_room(estimate_rest(tasks, plan), out))
            (out / SAMPLES_FILE).unlink(missing_ok=True)  # what it says of these shards may soon be wrong

        def failed() -> int:
            return sum(result.failed for result in results.values())

        progress(sum(r.made + r.failed for r in results.values()), total, f"{failed()} failed")
        # one shard is made faster here than by a process that must first start
        chosen = executor if len(tasks) > 1 else IN_PROCESS
        for outcome in chosen.run(make_shard, tasks):
            if outcome.error is not None:
                raise outcome.error
            assert outcome.result is not None
            results[outcome.task.shard] = outcome.result
            progress(sum(r.made + r.failed for r in results.values()), total, f"{failed()} failed")
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
