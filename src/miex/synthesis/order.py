"""The order of a stream: the samples of a plan, shuffled without holding the plan, and cut into shares.

An epoch is a line of all samples. Parts of the plan (about 8,000 rows that are read together) come in random order, and
within each the groups: the rows of one identity, which are rendered together, since a face is prepared once for all of
them. Shares are pieces of this line whose lengths differ by one sample at most. Each share is given in blocks, as many
samples as fit into memory, and every block is shuffled sample by sample. So an identity is prepared once in an epoch,
or twice where a share or block ends between its samples, and a sample can follow any other of its block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.dataset.epochs import shuffler
from miex.dataset.plan_file import PlanRows

Ints = npt.NDArray[np.int64]
# Of the rows of an identity that are rendered together. Preparing a face takes about as long as 15 frames.
FRAMES_PER_GROUP = 128


@dataclass(frozen=True)
class Group:
    """Rows of one identity: a table of PLAN_SCHEMA, and which of its rows, in their order."""

    rows: pa.Table
    at: Ints


def line(plan: PlanRows, first: int, last: int, *, most: int, rng: np.random.Generator | None) -> Iterator[Group]:
    """The samples from place `first` to before `last` of an epoch's line, group by group.

    Args:
        plan: the rows; only parts that are needed are read.
        first, last: places in the line.
        most: rows of a group.
        rng: decides the order, the same for every share; None: that of the plan.
    """
    n = -(-plan.n_rows // plan.part_rows)
    place, luck = 0, np.zeros(n, np.int64)
    numbers = np.arange(n)
    if rng is not None:
        numbers, luck = rng.permutation(n), rng.integers(2**62, size=n)
    for number in numbers.tolist():
        count = min(plan.part_rows, plan.n_rows - number * plan.part_rows)
        if place < last and place + count > first:
            rows = plan.part(number)
            groups = _groups(rows, most)
            if rng is not None:
                groups = [groups[i] for i in shuffler(int(luck[number]), number).permutation(len(groups))]
            at = place
            for group in groups:
                if len(chosen := group[max(0, first - at) : max(0, last - at)]):
                    yield Group(rows, chosen)
                at += len(group)
        place += count


def _groups(rows: pa.Table, most: int) -> list[Ints]:
    """Places of rows that stand together and show one identity, at most so many."""
    codes = rows["identity"].combine_chunks().dictionary_encode().indices.to_numpy()
    ends = np.flatnonzero(np.diff(codes)) + 1
    runs = np.split(np.arange(len(codes)), ends)
    return [run[i : i + most] for run in runs for i in range(0, len(run), most)]


def blocks(groups: Iterator[Group], size: int) -> Iterator[list[Group]]:
    """The groups in blocks of `size` rows; the last may have fewer."""
    block: list[Group] = []
    room = size
    for group in groups:
        at = group.at
        while len(at) >= room:
            yield [*block, Group(group.rows, at[:room])]
            block, at, room = [], at[room:], size
        if len(at):
            block.append(Group(group.rows, at))
            room -= len(at)
    if block:
        yield block
