"""Run a plan: estimate, make what is missing, and summarize."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from miex.dataset.plan_file import Plan, read_plan, read_record
from miex.dataset.samples import SAMPLES_FILE, write_samples
from miex.dataset.shard import read_shard_record, tar_name
from miex.errors import InputError, OutputError, PartialFailureError
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.storage import Place, storage_at
from miex.storage.base import Storage
from miex.synthesis.estimate import Estimate, check_room, estimate_rest
from miex.synthesis.worker import ShardResult, ShardTask, make_shard, result_of


@dataclass(frozen=True)
class Summary:
    """The state of a set after a run.

    Attributes:
        samples: rows of the plan.
        frames: of all these.
        made, failed: number of samples that exist, and of those that failed.
        rendered: number of samples, failed ones included, that this run worked on.
        bytes: size of all shards.
        seconds: duration of this run.
    """

    samples: int
    frames: int
    made: int
    failed: int
    rendered: int
    bytes: int
    seconds: float


def run_plan(
    out: Place,
    *,
    faces_root: Path | None = None,
    weights: Path | None = None,
    executor: Executor = IN_PROCESS,
    max_failed: float = 0.01,
    digest: str | None = None,
    announce: Callable[[Estimate], None] = lambda estimate: None,
    progress: Progress = silent,
) -> Summary:
    """Make every shard of a plan that is not there yet, then samples.parquet.

    Stopping it at any moment, even by SIGKILL, loses only shards in work; running it again goes on.

    Args:
        out: where the plan lies; the shards go there.
        faces_root: where the photos are now, if not where the plan was made.
        weights: file of the generator's weights; None: it is found by its sha256 (`generators.weights`).
        executor: where shards are made.
        max_failed: largest fraction of failed rows; above it the run stops.
        digest: of the plan that is meant to be there; by default any.
        announce: called once, before long work.
        progress: called with rows done and rows in all; the note says how many failed.

    Raises:
        InputError: no plan, or a damaged one; a damaged record; another version of the generator, or no weights for it.
        OutputError: the place is in use, cannot be written, or has too little room.
        PartialFailureError: more rows failed than `max_failed` allows.
    """
    out = storage_at(out)
    read_record(out)  # where there is none, nothing is written
    with out.alone():
        plan = read_plan(out)
        if digest not in (None, plan.digests["plan"]):
            raise OutputError(
                f"output folder {out.address}",
                expected=f"plan {digest[:12]}…" if digest else "",
                found=f"plan {plan.digests['plan'][:12]}…",
                do="give another `out`: another process of miex has just put its plan there",
            )
        found = {shard: _committed(out, shard, plan.digests["plan"]) for shard in range(plan.n_shards)}
        there = {shard: result for shard, result in found.items() if result is not None}
        return make_shards(
            out, plan, there, frozenset(), faces_root=faces_root, weights=weights, executor=executor,
            max_failed=max_failed, announce=announce, progress=progress,
        )  # fmt: skip


def make_shards(
    out: Storage,
    plan: Plan,
    there: Mapping[int, ShardResult],
    better: Collection[int],
    *,
    faces_root: Path | None,
    weights: Path | None,
    executor: Executor,
    max_failed: float,
    announce: Callable[[Estimate], None],
    progress: Progress,
) -> Summary:
    """Make the shards that are not there, and samples.parquet; for who holds the lock.

    Args:
        there: what is known of the shards that stay.
        better: shards that are there with failed rows: made again, and the better one stays.

    The other arguments and errors are those of `run_plan`.
    """
    start = time.monotonic()
    root = faces_root or Path(plan.faces_root)
    tasks = [
        ShardTask(out, shard, plan.digests["plan"], root, again=shard in better, weights=weights)
        for shard in range(plan.n_shards)
        if shard not in there
    ]
    results = dict(there)
    if tasks:
        if not root.is_dir():
            raise InputError(
                f"photos of {out.address}", expected="their folder", found=f"no folder {root}",
                do="give the folder in which the photos are now: `faces` DIR",
            )  # fmt: skip
        announce(check_room(estimate_rest(tasks, plan), out))
        out.delete(SAMPLES_FILE)  # what it says of these shards may soon be wrong

    def failed() -> int:
        return sum(result.failed for result in results.values())

    def done() -> int:
        return sum(result.made + result.failed for result in results.values())

    resumed = done()
    progress(done(), plan.n_rows, f"{failed()} failed")
    # one shard is made faster here than by a process that must first start
    chosen = executor if len(tasks) > 1 else IN_PROCESS
    for outcome in chosen.run(make_shard, tasks):
        if outcome.error is not None:
            raise outcome.error
        assert outcome.result is not None
        results[outcome.task.shard] = outcome.result
        progress(done(), plan.n_rows, f"{failed()} failed")
        if failed() > max_failed * plan.n_rows:
            break
    _check_failed(out, failed(), plan.n_rows, max_failed, results)
    write_samples(out, plan)
    return Summary(
        samples=plan.n_rows,
        frames=read_record(out)["frames"],
        made=sum(result.made for result in results.values()),
        failed=failed(),
        rendered=done() - resumed,
        bytes=sum(result.bytes for result in results.values()),
        seconds=time.monotonic() - start,
    )


def _committed(out: Storage, shard: int, digest: str) -> ShardResult | None:
    record = read_shard_record(out, shard)
    if record is None:
        return None
    if record.plan != digest:
        raise OutputError(
            f"shard {shard} of {out.address}", expected=f"plan {digest[:12]}…", found=f"plan {record.plan[:12]}…",
            do="give a new `out`: this shard was made from another plan",
        )  # fmt: skip
    return result_of(record) if out.size(tar_name(shard)) == record.bytes else None


def _check_failed(out: Storage, failed: int, total: int, max_failed: float, results: dict[int, ShardResult]) -> None:
    if failed <= max_failed * total:
        return
    shard = min(result.shard for result in results.values() if result.failed)
    record = read_shard_record(out, shard)
    assert record is not None
    first = record.failed[0]
    raise PartialFailureError(
        f"{total:,} samples in {out.address}",
        expected=f"at most {max_failed:.1%} failed",
        found=f"{failed:,} failed, the first {first['sample_id']}: {first['reason']}",
        do="remove the cause and run miex repair, or raise `max_failed`",
    )
