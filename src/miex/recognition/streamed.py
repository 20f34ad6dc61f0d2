"""Examples whose frames are rendered when they are read, and their order in training."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.errors import InputError
from miex.recognition.examples import FrameSource
from miex.recognition.inputs.base import Input
from miex.recognition.view import FORMAT, MARKS, Array, Positions, View
from miex.stable import canonical_json, sample_rng


class Renders(FrameSource):
    """Whatever renders the frames of examples, in any order, and in each epoch anew.

    Attributes:
        groups: of each example the number of its group: examples that cost least when they are made together, as they
            show the same face; int64 [n].
        parts: of each example the number of the part of the plan that it is read with, int64 [n].
        new_draws: whether every epoch has other examples.
    """

    groups: Positions
    parts: Positions
    new_draws: bool

    @abstractmethod
    def made(self, positions: Positions, takes: Input, epoch: int) -> list[Array | InputError]:
        """The examples at these positions in an epoch, made with an input; the error in place of one that cannot be."""

    def examples(self, takes: Input) -> Iterator[Array | InputError]:
        return iter(self.made(np.arange(len(self.groups)), takes, 0))


@dataclass(frozen=True, eq=False)
class Streamed:
    """A part of a view: examples that are made whenever they are read.

    Their marks are those of their photos alone: nobody else has what was rendered and is not kept.
    """

    frames: Renders
    takes: Input
    rows: pa.Table

    @property
    def array(self) -> Any:
        return _Made(self)

    @property
    def digest(self) -> str:
        import cv2

        of = [FORMAT, cv2.__version__, self.frames.digest, self.frames.new_draws, self.takes.stored()]
        return hashlib.sha256(canonical_json(of).encode()).hexdigest()

    @property
    def marks(self) -> pa.ListArray:
        return pa.array([[]] * self.rows.num_rows, MARKS.type)

    def release(self) -> None:
        """Nothing: no example is kept."""


class _Made:
    """Looks like an array of the examples of epoch 0."""

    def __init__(self, of: Streamed) -> None:
        self._of, self.dtype = of, of.takes.dtype
        self.shape = (of.rows.num_rows, *of.takes.shape)

    def __getitem__(self, positions: npt.NDArray[np.int64]) -> Array:
        found = self._of.frames.made(np.asarray(positions), self._of.takes, 0)
        for one in found:
            if isinstance(one, InputError):
                raise one
        return np.stack(found) if found else np.empty((0, *self.shape[1:]), self.dtype)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Task:
    """Examples of one group that are made together: part of the view, epoch, positions in the part, and for which
    draws of the epoch each is (`draws` [k] → index into `positions`)."""

    part: int
    epoch: int
    positions: Positions
    draws: Positions
    index: Positions


class Line:
    """The draws of an epoch in an order in which few groups are in memory at a time.

    The draws are those of the recipe, with or without replacement. They are divided into blocks of `room` draws: parts
    of the plan in random order, groups in random order within, and examples that are not rendered anywhere. Within a
    block the order is that of the recipe; if there is but one block, all of it is.

    Args:
        view: the examples.
        drawn: their positions in the view, in the order of the recipe, int64 [m].
        room: draws of a block.
        seed, epoch: decide the blocks.

    Attributes:
        drawn: the positions in the new order.
        rendered: which of these are of rendered examples, bool [m].
    """

    def __init__(self, view: View, drawn: Positions, room: int, seed: int, epoch: int) -> None:
        self._parts, self._epoch = view.parts, epoch
        base = drawn if view.picks is None else view.picks[drawn]
        ends = np.cumsum([part.rows.num_rows for part in view.parts])
        of = np.searchsorted(ends, base, "right")
        at = base - np.concatenate([[0], ends])[of]
        block = np.zeros(len(drawn), np.int64)
        if len(drawn) > room:
            rng = sample_rng(seed, f"blocks of epoch {epoch}")
            key = rng.random(len(drawn))
            for k, part in enumerate(view.parts):
                if isinstance(part, Streamed):
                    mine, frames = of == k, part.frames
                    rank = rng.permutation(int(frames.parts.max()) + 1)[frames.parts]
                    luck = rng.random(int(frames.groups.max()) + 1)[frames.groups]
                    key[mine] = ((rank + luck) / (rank.max() + 1))[at[mine]]
            block[np.argsort(key, kind="stable")] = np.arange(len(drawn)) // room
        order = np.argsort(block, kind="stable")
        self.drawn, self._of, self._at, self._block = drawn[order], of[order], at[order], block[order]
        self.rendered = np.array([isinstance(part, Streamed) for part in view.parts])[self._of]

    def tasks(self) -> Iterator[Task]:
        """What is to be rendered, in the order in which it is needed."""
        rendered = np.flatnonzero(self.rendered)
        groups, before = np.zeros(len(self.drawn), np.int64), 0
        for k, part in enumerate(self._parts):
            if isinstance(part, Streamed):
                mine = self._of == k
                groups[mine] = before + part.frames.groups[self._at[mine]]
                before += int(part.frames.groups.max()) + 1
        together = self._block[rendered] * before + groups[rendered]
        _, first, inverse = np.unique(together, return_index=True, return_inverse=True)
        members = np.split(rendered[np.argsort(inverse, kind="stable")], np.cumsum(np.bincount(inverse))[:-1])
        for i in np.argsort(first).tolist():
            draws = members[i]
            positions, index = np.unique(self._at[draws], return_inverse=True)
            yield Task(int(self._of[draws[0]]), self._epoch, positions, draws, index)
