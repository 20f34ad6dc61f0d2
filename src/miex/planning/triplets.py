"""A fixed number of distinct AU triplets, used equally often."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.errors import UsageError
from miex.executors.base import Progress, silent
from miex.planning.config import PlanConfig, PlannedClass
from miex.sources.source import AUSource, AUTriplet
from miex.stable import sample_rng, stable_hash


class Bank:
    """A fixed number of distinct triplets of one source and class, handed out evenly."""

    _REPEATS = 1000  # of triplets that are there already, one after the other, before a source counts as exhausted

    def __init__(
        self, seed: int, source: AUSource, kind: PlannedClass, n: int, progress: Callable[[int], None] = lambda n: None
    ) -> None:
        self._key = (seed, "triplets", source.name, kind.name)
        found: dict[bytes, AUTriplet] = {}
        draws = last = 0
        while len(found) < n and draws - last < self._REPEATS:
            rng = sample_rng(stable_hash(*self._key, draws), "aus")
            triplet = source.sample(kind.label, emotion=kind.emotion, rng=rng)
            draws += 1
            if found.setdefault(triplet.onset.tobytes() + triplet.apex.tobytes(), triplet) is triplet:
                last = draws
                progress(len(found))
        self._triplets: list[AUTriplet] = list(found.values())
        self._orders: dict[int, npt.NDArray[np.int64]] = {}

    def triplet(self, i: int) -> AUTriplet:
        """That of the i-th sample: all come once, in random order, before any comes again."""
        turn, place = divmod(i, len(self._triplets))
        if turn not in self._orders:
            rng = sample_rng(stable_hash(*self._key, "turn", turn), "aus")
            self._orders[turn] = rng.permutation(len(self._triplets))
        return self._triplets[int(self._orders[turn][place])]


def banks_of(
    config: PlanConfig, sources: Sequence[AUSource], progress: Progress = silent
) -> dict[tuple[str, PlannedClass], Bank]:
    """A bank for each source and class; none if the number of triplets is not fixed.

    Args:
        progress: called with triplets drawn and triplets in all.

    Raises:
        UsageError: fewer triplets than sources × classes.
    """
    if config.triplets is None:
        return {}
    cells = [(source, kind) for source in sources for kind in config.planned]
    if config.triplets < len(cells):
        raise UsageError(
            f"`triplets` {config.triplets}",
            expected=f"at least one for each of {len(sources)} sources × {len(config.planned)} classes",
            do=f"ask for {len(cells)} or more",
        )
    share, rest = divmod(config.triplets, len(cells))
    found: dict[tuple[str, PlannedClass], Bank] = {}
    drawn = 0
    for k, (source, kind) in enumerate(cells):
        n = share + (k < rest)
        found[source.name, kind] = Bank(
            config.seed, source, kind, n, partial(_report, progress, drawn, config.triplets)
        )
        drawn += n
        progress(drawn, config.triplets, "")
    return found


def _report(progress: Progress, before: int, total: int, n: int) -> None:
    if n % 1000 == 0:
        progress(before + n, total, "")


def distinct_triplets(shards: Iterable[pa.Table]) -> int:
    """How many different (AUs of onset and apex, label) the rows of a plan have."""
    found: set[tuple[str, int]] = set()
    for rows in shards:
        columns = (rows[name].to_pylist() for name in ("aus", "apex", "label"))
        found |= {(str((aus[0], aus[apex])), label) for aus, apex, label in zip(*columns, strict=True)}
    return len(found)
