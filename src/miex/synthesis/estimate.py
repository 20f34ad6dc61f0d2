"""Estimate from a few samples how long the rest of a run takes, and how much space it needs."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from miex.dataset.plan_file import Plan
from miex.dataset.shard import Failure, members
from miex.errors import OutputError
from miex.storage.base import Storage
from miex.synthesis.worker import ShardTask, render_shard

_PROBE = 12  # samples rendered to estimate the rest
_OVERHEAD = 1.5  # of a run over its rendering alone: files, fsync, processes that share caches (1.3 to 1.8 here)


@dataclass(frozen=True)
class Estimate:
    """What is left to do: samples, shards (each the work of one worker), seconds of one worker, bytes, and the bytes
    that are free, where that is known."""

    samples: int
    shards: int
    seconds: float
    bytes: int
    free: int | None


def estimate_rest(tasks: list[ShardTask], plan: Plan) -> Estimate:
    """What these shards take, from the first samples of the first."""
    size = plan.shard_size
    left = sum(min(size, plan.n_rows - task.shard * size) for task in tasks)
    list(render_shard(tasks[0], most=1))  # pays for what is loaded once
    start = time.perf_counter()
    made = list(render_shard(tasks[0], most=_PROBE))
    seconds = (time.perf_counter() - start) / max(1, len(made))
    # a member takes its header and a multiple of 512 bytes
    sizes = [
        sum(512 + math.ceil(len(content) / 512) * 512 for _, content in members(sample))
        for sample in made
        if not isinstance(sample, Failure)
    ]
    size_of_one = sum(sizes) / len(sizes) if sizes else 0
    return Estimate(left, len(tasks), left * seconds * _OVERHEAD, round(left * size_of_one), None)


def check_room(estimate: Estimate, out: Storage) -> Estimate:
    """The estimate with the room that there is. Raises OutputError if it is too little."""
    free = out.free_bytes()
    if free is not None and estimate.bytes > free:
        raise OutputError(
            f"room for {estimate.samples:,} samples in {out.address}",
            expected=f"about {_size(estimate.bytes)}",
            found=f"{_size(free)} free",
            do="free space, put the set on another disk, or ask for fewer samples",
        )
    return replace(estimate, free=free)


def _size(n: int) -> str:
    return f"{n / 1e6:,.0f} MB" if n >= 1e6 else f"{n / 1e3:,.0f} KB"
