"""Repair a set: remake what is damaged, missing or failed, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from miex.dataset.plan_file import read_plan, read_record
from miex.dataset.samples import write_samples
from miex.dataset.shard import read_shard_record, record_name
from miex.dataset.verify import check_shards
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.storage import Place, storage_at
from miex.synthesis.estimate import Estimate
from miex.synthesis.run import Summary, make_shards
from miex.synthesis.worker import result_of


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

    A shard that was damaged gets its bytes back. Of one with failed rows the better one stays. samples.parquet is
    written anew.

    Arguments, summary and errors are those of `run.run_plan`; `progress` is first called with shards checked.
    """
    out = storage_at(out)
    read_record(out)  # where there is none, nothing is written
    with out.alone():
        plan = read_plan(out)
        there, better = {}, set()

        def checked(done: int, total: int, note: str) -> None:
            progress(done, total, "shards checked")

        for check in check_shards(out, plan, executor=executor, progress=checked):
            if check.problems:
                out.delete(record_name(check.shard))  # from here on it is missing
            elif check.failed:
                better.add(check.shard)
            else:
                record = read_shard_record(out, check.shard)
                assert record is not None
                there[check.shard] = result_of(record)
        summary = make_shards(
            out, plan, there, better, faces_root=faces_root, weights=weights, executor=executor,
            max_failed=max_failed, announce=announce, progress=progress,
        )  # fmt: skip
        write_samples(out, plan)
        finish(summary)
        return summary
