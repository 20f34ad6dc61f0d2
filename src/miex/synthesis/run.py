"""Run a plan: estimate, make what is missing, and summarize."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from miex.dataset.pages import REPORT
from miex.dataset.plan_file import Plan, read_plan, read_record
from miex.dataset.samples import SAMPLES_FILE, write_samples
from miex.dataset.shard import SHARDS, ShardRecord, read_shard_record, record_name, tar_name
from miex.errors import InputError, InUseError, OutputError, PartialFailureError
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.storage import Place, storage_at
from miex.storage.base import Storage
from miex.synthesis.estimate import Estimate, check_room, estimate_rest
from miex.synthesis.shards import shards_of
from miex.synthesis.worker import ShardResult, ShardTask, State, begun, make_shard, prove_faces_version, result_of

_SECONDS_BETWEEN_TRIES = 0.2  # to hold a place that others hold


@dataclass(frozen=True)
class Summary:
    """The state of a set after a run, or of the shards that were asked for.

    Attributes:
        samples: rows of the plan, or of these shards.
        frames: of all these; of some shards by their share of the rows.
        made, failed: number of samples that exist, and of those that failed.
        rendered: number of samples, failed ones included, that this run has put there.
        bytes: size of all shards, or of these.
        seconds: duration of this run.
        left: shards of the plan that are not there.
    """

    samples: int
    frames: int
    made: int
    failed: int
    rendered: int
    bytes: int
    seconds: float
    left: int


def run_plan(
    out: Place,
    *,
    shards: str | None = None,
    faces_root: Path | None = None,
    weights: Path | None = None,
    executor: Executor = IN_PROCESS,
    max_failed: float = 0.01,
    digest: str | None = None,
    announce: Callable[[Estimate], None] = lambda estimate: None,
    finish: Callable[[Summary], None] = lambda summary: None,
    progress: Progress = silent,
) -> Summary:
    """Make every shard of a plan that is not there yet, then samples.parquet.

    Stopping it at any moment, even by SIGKILL, loses only shards in work; running it again goes on.

    A run of some `shards` shares the set with any number of others, on any machines: nothing is locked while it
    renders, and no draft of others is removed. When its shards are there and all others of the plan are, too, it
    finishes the set, one run after the other: only the first finds something to do. A run of all shards finishes, too.

    Args:
        out: where the plan lies; the shards go there.
        shards: which ones, as `shards_of` reads them. None: all, and nobody else may write meanwhile.
        faces_root: where the photos are now, if not where the plan was made.
        weights: file of the generator's weights; None: it is found by its sha256 (`generators.weights`).
        executor: where shards are made.
        max_failed: largest fraction of failed rows; above it the run stops.
        digest: of the plan that is meant to be there; by default any.
        announce: called once, before long work.
        finish: called when all shards and samples.parquet are there, while nobody else may finish.
        progress: called with rows done and rows in all; the note says how many failed.

    Raises:
        UsageError: shards that the plan does not have.
        InputError: no plan, or a damaged one; a damaged record; another version of the generator, or no weights for it.
        OutputError: the place is in use, cannot be written, or has too little room.
        PartialFailureError: more rows failed than `max_failed` allows.
    """
    out = storage_at(out)
    read_record(out)  # where there is none, nothing is written
    how: dict[str, Any] = {
        "faces_root": faces_root, "weights": weights, "executor": executor, "max_failed": max_failed,
        "announce": announce, "progress": progress,
    }  # fmt: skip
    if shards is None:
        with out.alone():
            plan = _plan(out, digest)
            finished = out.size(SAMPLES_FILE) is not None
            there, states = _there(out, plan, range(plan.n_shards), finished=finished)
            with _samples_follow(out, plan, there) as arrived:
                summary = make_shards(out, plan, there, states, arrived=arrived, **how)
            finish(summary)
            return summary
    plan = _plan(out, digest)
    chosen = shards_of(shards, plan.n_shards)

    def start() -> None:
        if out.size(SAMPLES_FILE) is None:
            return
        # a finished set that lost shards; or others have just made them, and finished
        with _when_free(out.locked):
            if len(_there(out, plan, chosen)[0]) < len(chosen):
                _unfinish(out)

    summary = make_shards(out, plan, *_there(out, plan, chosen), chosen=chosen, start=start, **how)
    if not summary.left:
        with _when_free(out.alone):
            if out.size(SAMPLES_FILE) is None:
                write_samples(out, plan)
            finish(summary)
    return summary


@contextmanager
def _samples_follow(out: Storage, plan: Plan, there: Collection[int]) -> Iterator[Callable[[int], None]]:
    """Write samples.parquet beside who makes shards, and says of each that it is there. It is put in its place when the
    block has ended; if that fails, all stays as it was.

    Args:
        there: the shards that are there before.
    """
    # a signal may come between any two steps, so that nothing here holds a lock
    known, told, over = set(there), SimpleQueue[int | None](), False

    def arrived(shard: int) -> None:
        told.put(shard)
        if written.done():  # it has failed: who makes shards need not go on
            written.result()

    def wait(shard: int) -> None:
        while not over and shard not in known:
            if (one := told.get()) is not None:
                known.add(one)
        if over:
            raise CancelledError

    with ThreadPoolExecutor(1) as beside:
        try:
            written = beside.submit(write_samples, out, plan, rendered=len(known) < plan.n_shards, wait=wait)
            yield arrived
            arrived(plan.n_shards)
            written.result()
        except BaseException:
            over = True
            told.put(None)
            raise


@contextmanager
def _when_free(held: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Hold the place, as soon as others let it go."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(held())
                break
            except InUseError:
                time.sleep(_SECONDS_BETWEEN_TRIES)
        yield


def _unfinish(out: Storage) -> None:
    """Remove what is written of a whole set, for who holds the lock: what it says of some shards may soon be wrong."""
    for name in (*REPORT, SAMPLES_FILE):  # while the last is there, the next run removes the others
        out.delete(name)


def _plan(out: Storage, digest: str | None) -> Plan:
    plan = read_plan(out)
    if digest not in (None, plan.digests["plan"]):
        raise OutputError(
            f"output folder {out.address}",
            expected=f"plan {digest[:12]}…" if digest else "",
            found=f"plan {plan.digests['plan'][:12]}…",
            do="give another `out`: another process of miex has just put its plan there",
        )
    return plan


def _there(
    out: Storage, plan: Plan, shards: Iterable[int], *, finished: bool = False
) -> tuple[dict[int, ShardResult], dict[int, State]]:
    """What is known of the shards that are there, and the state of those that are not wholly there.

    Of a finished set without a shard's record, samples.parquet still knows what is in the tar.
    """
    there: dict[int, ShardResult] = {}
    states: dict[int, State] = {}
    for shard in shards:
        record = _record(out, shard, plan.digests["plan"])
        if record and out.size(tar_name(shard)) == record.bytes:
            there[shard] = result_of(record)
        elif record or finished:
            states[shard] = "damaged"
    return there, states


def make_shards(
    out: Storage,
    plan: Plan,
    there: Mapping[int, ShardResult],
    states: Mapping[int, State],
    *,
    chosen: Sequence[int] | None = None,
    start: Callable[[], None] = lambda: None,
    arrived: Callable[[int], None] = lambda shard: None,
    mend: bool = False,
    faces_root: Path | None,
    weights: Path | None,
    executor: Executor,
    max_failed: float,
    announce: Callable[[Estimate], None],
    progress: Progress,
) -> Summary:
    """Make the shards that are not there.

    Args:
        there: what is known of the shards that stay.
        states: of the others; those that are not named are missing.
        chosen: the shards that are asked for. None: all, for who holds the lock.
        start: called when it is known that they can be made, before the first is.
        arrived: called with the number of each that has been made.
        mend: make all, however many rows fail: no shard is left worse than it was.

    The other arguments and errors are those of `run_plan`.
    """
    began = time.monotonic()
    root = faces_root or Path(plan.faces_root)
    shards: Sequence[int] = range(plan.n_shards) if chosen is None else chosen
    tasks = [
        ShardTask(out, shard, plan.digests["plan"], root, states.get(shard, "missing"), weights)
        for shard in shards
        if shard not in there
    ]
    results = dict(there)
    rows = sum(min(plan.shard_size, plan.n_rows - shard * plan.shard_size) for shard in shards)

    def failed() -> int:
        return sum(result.failed for result in results.values())

    def done() -> int:
        return sum(result.made + result.failed for result in results.values())

    with ExitStack() as stack:
        at: Executor = IN_PROCESS
        if tasks:
            if not root.is_dir():
                raise InputError(
                    f"photos of {out.address}", expected="their folder", found=f"no folder {root}",
                    do="give the folder in which the photos are now: `faces` DIR",
                )  # fmt: skip
            for task in tasks:
                if task.state != "missing":
                    out.size(tar_name(task.shard))  # raises for a folder of that name, before anything is replaced
            prove_faces_version(out, plan.settings)
            progress(done(), rows, "starting; the first time, code is compiled")
            # one shard is made faster here than by a process that must first start
            at, said = stack.enter_context(
                begun(executor if len(tasks) > 1 else IN_PROCESS, plan, root, weights, len(tasks))
            )
            announce(check_room(estimate_rest(tasks, plan, said()), out))
            start()
        progress(done(), rows, f"{failed()} failed")
        for outcome in at.run(make_shard, tasks):
            if outcome.error is not None:
                raise outcome.error
            assert outcome.result is not None
            results[outcome.task.shard] = outcome.result
            arrived(outcome.task.shard)
            progress(done(), rows, f"{failed()} failed")
            if not mend and failed() > max_failed * rows:
                break
    if not mend:
        check_failed(out, failed(), rows, max_failed, (shard for shard in sorted(results) if results[shard].failed))
    names = set(out.names(SHARDS))
    return Summary(
        samples=rows,
        frames=round(read_record(out)["frames"] * rows / max(1, plan.n_rows)),
        made=sum(result.made for result in results.values()),
        failed=failed(),
        rendered=sum(result.made + result.failed for result in results.values() if result.own),
        bytes=sum(result.bytes for result in results.values()),
        seconds=time.monotonic() - began,
        left=sum(record_name(shard).removeprefix(f"{SHARDS}/") not in names for shard in range(plan.n_shards)),
    )


def _record(out: Storage, shard: int, digest: str) -> ShardRecord | None:
    record = read_shard_record(out, shard)
    if record and record.plan != digest:
        raise OutputError(
            f"shard {shard} of {out.address}", expected=f"plan {digest[:12]}…", found=f"plan {record.plan[:12]}…",
            do="give a new `out`: this shard was made from another plan",
        )  # fmt: skip
    return record


def check_failed(out: Storage, failed: int, total: int, max_failed: float, shards: Iterable[int]) -> None:
    """Raises PartialFailureError if more failed than may; it names the first of these shards."""
    if failed <= max_failed * total:
        return
    records = (read_shard_record(out, shard) for shard in shards)
    first = next(failure for record in records if record for failure in record.failed)
    raise PartialFailureError(
        f"{total:,} samples in {out.address}",
        expected=f"at most {max_failed:.1%} failed",
        found=f"{failed:,} failed, the first {first['sample_id']}: {first['reason']}",
        do="remove the cause and run miex repair, or raise `max_failed`",
    )
