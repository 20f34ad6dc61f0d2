"""The loader of a training: batches of stored examples, and of those that are rendered while the network trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from miex.errors import InputError, PartialFailureError
from miex.recognition.recipe import Recipe
from miex.recognition.streamed import Line, Streamed, Task
from miex.recognition.view import Array, View
from miex.stable import stable_hash

ROOM_BYTES = 256 * 2**20  # of examples that are held in memory
MAX_FAILED = 0.01  # of the draws of an epoch


def batches(n: int, recipe: Recipe, generator: torch.Generator | None = None) -> Iterator[Tensor]:
    """Positions of the examples of each step of an epoch, int64 [batch], by default drawn by torch's global
    generator."""
    if recipe.replacement:
        for _ in range(steps_per_epoch(n, recipe)):
            yield torch.randint(n, (recipe.batch,), generator=generator)
        return
    parts = torch.randperm(n, generator=generator).split(recipe.batch)
    # batch norm cannot learn from a batch of a single example
    yield from parts[:-1] if len(parts) > 1 and len(parts[-1]) == 1 else parts


def steps_per_epoch(n: int, recipe: Recipe) -> int:
    """Number of steps in an epoch, which sees as many examples as there are.

    Without replacement, a last batch of a single example is left out.
    """
    full, rest = divmod(n, recipe.batch)
    return max(1, full + (rest > 1 or (rest == 1 and recipe.replacement)))


class Loader:
    """The batches of a training, epoch by epoch.

    Of a view that is stored, positions are drawn by torch's global generator, and read step by step. Of one with parts
    that are rendered, the draws of all epochs are known beforehand (they depend on the seed and the epoch alone), so
    that workers render ahead; batches do not depend on how many there are. See `Line` for their order.

    Args:
        view: the examples.
        recipe: of the training.
        seed: random seed of the draws, of views that are not stored.
        first: the epoch that is asked for first; all others follow one after the other.
        workers: processes that render; 1: this one.
    """

    def __init__(self, view: View, recipe: Recipe, seed: int, first: int = 0, workers: int = 1) -> None:
        self._view, self._recipe, self._seed, self._first = view, recipe, seed, first
        self._results: Iterator[tuple[Task, list[Array | InputError]]] = iter(())
        self._streamed = any(isinstance(part, Streamed) for part in view.parts)
        if not self._streamed:
            return
        self._room = max(recipe.batch, ROOM_BYTES // example_bytes(view))
        several: dict[str, Any] = {}
        if workers > 1:
            # as many tasks ahead as a block has, so that workers are busy while it is used up
            ahead = sum(task.draws[0] < self._room for task in self._line(first)[0].tasks())
            several = {
                "num_workers": workers, "prefetch_factor": max(2, min(256, ahead // workers)),
                "multiprocessing_context": "spawn",  # as all processes of miex
            }  # fmt: skip
        self._results = iter(
            DataLoader(
                _Tasks(view.parts),
                batch_size=None,
                sampler=_InTurn(self._tasks),
                collate_fn=_as_it_is,
                generator=torch.Generator(),
                **several,  # the global one is for what decides weights
            )
        )

    def close(self) -> None:
        """End the workers: those that are left to the end of the program leave semaphores behind."""
        self._results = iter(())

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Array]]:
        """Positions of the examples in the view, int64 [k], and the examples, [k, …], of each step.

        Raises:
            PartialFailureError: more than MAX_FAILED of the examples could not be rendered.
        """
        if not self._streamed:
            yield from ((i, self._view.batch(i.numpy())) for i in batches(len(self._view), self._recipe))
            return
        line, sizes = self._line(number)
        ready: dict[int, Array | InputError] = {}
        failed, first = 0, 0
        for size in sizes:
            draws = np.arange(first, first + size)
            first += size
            rendered = line.rendered[draws]
            while not ready.keys() >= set(draws[rendered].tolist()):
                task, made = next(self._results)
                ready.update(zip(task.draws.tolist(), (made[i] for i in task.index.tolist()), strict=True))
            whole = np.ones(size, bool)
            found = np.empty((size, *self._view.shape), self._view.parts[0].array.dtype)
            for i in np.flatnonzero(rendered).tolist():
                one = ready.pop(int(draws[i]))
                if isinstance(one, InputError):
                    whole[i], failed = False, failed + 1
                    if failed > MAX_FAILED * len(line.drawn):
                        raise PartialFailureError(
                            f"training on {len(line.drawn):,} streamed examples",
                            expected=f"at most {MAX_FAILED:.1%} failed", found=f"{failed:,} failed, the last: {one}",
                            do="remove the cause",
                        ) from one  # fmt: skip
                else:
                    found[i] = one
            if not rendered.all():
                found[~rendered] = self._view.batch(line.drawn[draws[~rendered]])
            if whole.sum() > (size > 1):  # as in `batches`, none of a single example, unless it is all there is
                yield torch.from_numpy(line.drawn[draws[whole]]), found[whole]

    def _line(self, epoch: int) -> tuple[Line, list[int]]:
        generator = torch.Generator().manual_seed(stable_hash("draws", self._seed, epoch) >> 1)
        drawn = [part.numpy() for part in batches(len(self._view), self._recipe, generator)]
        return Line(self._view, np.concatenate(drawn), self._room, self._seed, epoch), [len(part) for part in drawn]

    def _tasks(self) -> Iterator[Task]:
        for epoch in count(self._first):
            yield from self._line(epoch)[0].tasks()


def example_bytes(view: View) -> int:
    """Bytes of one stored example."""
    return int(view.parts[0].array.dtype.itemsize) * int(np.prod(view.shape))


class _Tasks(Dataset):  # type: ignore[misc]
    """What workers do: tasks come in place of indices."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = [part if isinstance(part, Streamed) else None for part in parts]

    def __getitem__(self, task: Task) -> tuple[Task, list[Array | InputError]]:
        part = self.parts[task.part]
        assert part is not None
        return task, part.frames.made(task.positions, part.takes, task.epoch)


class _InTurn(Sampler):  # type: ignore[misc]
    def __init__(self, tasks: Callable[[], Iterator[Task]]) -> None:
        self._tasks = tasks

    def __iter__(self) -> Iterator[Task]:
        return self._tasks()


def _as_it_is(made: Any) -> Any:
    return made
