"""Repair a set: remake what is damaged, missing or failed, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from miex.dataset.plan_file import read_identities, read_plan, read_record
from miex.dataset.samples import SAMPLES_FILE, write_samples
from miex.dataset.shard import read_shard_record, record_name
from miex.dataset.verify import check_shards
from miex.errors import InputError, PartialFailureError
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.storage import Place, storage_at
from miex.synthesis.estimate import Estimate
from miex.synthesis.run import Summary, check_failed, make_shards
from miex.synthesis.worker import ShardResult, State, result_of


def repair_set(
    out: Place,
    *,
    faces_root: Path | None = None,
    weights: Path | None = None,
    executor: Executor = IN_PROCESS,
    max_failed: float = 0.01,
    announce: Callable[[Estimate], None] = lambda estimate: None,
    finish: Callable[[Summary], None] = lambda summary: None,
    progress: Progress = silent,
) -> Summary:
    """Look at every shard, and make again those that are damaged or missing, or that hold failed rows.

    Of a shard that is damaged or has failed rows, each sample that is proven (by its checksum and its description)
    stays byte for byte, and the others are rendered: photos that are gone by now take nothing along. A shard is
    replaced when the new one is complete, and samples.parquet after that; the pages are made anew if it changed.

    Arguments, summary and errors are those of `run.run_plan`; `progress` is first called with shards checked. If more
    rows fail than `max_failed` allows, all that can be made has been made, and the set can be read.
    """
    out = storage_at(out)
    read_record(out)  # where there is none, nothing is written
    with out.alone():
        plan = read_plan(out)
        read_identities(out)  # of a plan that is damaged no shard is taken for damaged
        there: dict[int, ShardResult] = {}
        states: dict[int, State] = {}
        finished = out.size(SAMPLES_FILE) is not None

        def checked(done: int, total: int, note: str) -> None:
            progress(done, total, "shards checked")

        for check in check_shards(out, plan, executor=executor, progress=checked):
            if check.problems:
                lost = not finished and out.size(record_name(check.shard)) is None
                states[check.shard] = "missing" if lost else "damaged"
            elif check.failed:
                states[check.shard] = "failed"
            else:
                record = read_shard_record(out, check.shard)
                assert record is not None
                there[check.shard] = result_of(record)
        summary = make_shards(
            out, plan, there, states, mend=True, faces_root=faces_root, weights=weights, executor=executor,
            max_failed=max_failed, announce=announce, progress=progress,
        )  # fmt: skip
        write_samples(out, plan, rendered=summary.rendered > 0)
        try:
            check_failed(out, summary.failed, summary.samples, max_failed, range(plan.n_shards))
        except PartialFailureError:
            with suppress(InputError):  # of a set without any sample there is nothing to tell
                finish(summary)
            raise
        finish(summary)
        return summary
