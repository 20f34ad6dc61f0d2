"""Estimate from a few samples how long the rest of a run takes, and how much space it needs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from miex.dataset.plan_file import Plan
from miex.errors import OutputError
from miex.storage.base import Storage
from miex.synthesis.worker import Probe, ShardTask

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


def estimate_rest(tasks: list[ShardTask], plan: Plan, sample: Probe) -> Estimate:
    """What these shards take, from what a sample does."""
    size = plan.shard_size
    left = sum(min(size, plan.n_rows - task.shard * size) for task in tasks)
    return Estimate(left, len(tasks), left * sample.seconds * _OVERHEAD, round(left * sample.bytes), None)


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
