"""Studies: the engine behind every table. Its cells are data; what the store lacks is listed, estimated, and run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from miex.evaluation.evaluate import Cell, Evaluation, Run, compute, missing, read
from miex.evaluation.results import Results
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.executors.machine import Machine
from miex.experiments.modes import Fit, Training
from miex.recognition.loader import steps_per_epoch
from miex.recognition.method import method_class
from miex.recognition.recipe import Recipe
from miex.recognition.train import train

PROBE = (2, 6)  # batches of the two short trainings that tell how long a step takes


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a table: cells that differ in nothing but their folds and the seed of their data; their runs count
    together.

    Attributes:
        name: what is trained on, and how.
        tested: what it is tested on, where a table has several.
        cells: made by `Fit.cell`.
    """

    name: str
    tested: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Load:
    """The trainings of one recipe that a study has yet to do.

    Attributes:
        recipe: its name.
        trainings: how many.
        samples: samples that all of them look at, epoch after epoch.
        steps: steps of the optimizer; 0 of what is fitted at once.
        per_second: samples per second, from two short trainings on the study's machine; None where they failed.
    """

    recipe: str
    trainings: int
    samples: int
    steps: int
    per_second: float | None


@dataclass(frozen=True)
class Estimate:
    """What a study has yet to do.

    Attributes:
        total: runs in all.
        stored: of them in the store.
        shared: trainings to do that several runs have in common.
        own: trainings to do that belong to one run.
        predictions: runs to do, each of which ends with predictions.
        seconds: how long all that takes one processor, from two short trainings of each recipe; 0 if nothing is left,
            None where such a training failed: then the study will say why.
        loads: the trainings to do by recipe.
    """

    total: int
    stored: int
    shared: int
    own: int
    predictions: int
    seconds: float | None
    loads: tuple[Load, ...] = ()


@dataclass(frozen=True, eq=False)
class Study:
    """Lines of a table and where their runs are kept.

    Attributes:
        lines: the table.
        store: a run that is there is not computed again, whichever study stored it.
        machine: where networks run.
    """

    lines: Sequence[Line]
    store: Results
    machine: Machine = field(default_factory=Machine)

    @cached_property
    def missing(self) -> list[Run]:
        """The runs that the store lacked when this was first asked.

        Raises:
            InputError: a fold has nothing to train on, or leaks.
        """
        return missing([cell for line in self.lines for cell in line.cells], self.store)

    @property
    def total(self) -> int:
        """Its runs in all; one that several cells have in common counts once."""
        cells = (cell for line in self.lines for cell in line.cells)
        return len({self.store.path(what) for cell in cells for runs in cell.descriptions() for what in runs})

    def estimate(self) -> Estimate:
        """What is left to do, and about how long it takes. Two short trainings of each recipe are timed for it."""
        shared, own = self._shared, [one for run in self.missing if (one := _fit(run).own(run.job)) is not None]
        groups: dict[str, list[Training]] = {}
        for one in [*shared, *own]:
            groups.setdefault(one.recipe.digest, []).append(one)
        loads = []
        seconds: float | None = 0.0
        for several in groups.values():
            recipe, cost = several[0].recipe, None
            samples = [_length(recipe, len(one.view)) for one in several]
            try:
                cost = _cost(several[0], self.machine)
            except Exception:  # what fails on some examples may work on all; if not, the training itself says so
                seconds = None
            if cost is not None and seconds is not None:
                seconds += cost[0] * len(several) + cost[1] * sum(samples)
            steps = sum(_steps(recipe, len(one.view)) for one in several)
            rate = round(1 / cost[1], 3) if cost is not None and cost[1] > 0 else None
            loads.append(Load(recipe.name, len(several), sum(samples), steps, rate))
        left = len(self.missing)
        return Estimate(self.total, self.total - left, len(shared), len(own), left, seconds, tuple(loads))

    def run(self, *, executor: Executor = IN_PROCESS, progress: Progress = silent) -> list[Evaluation]:
        """Compute what is missing; then, of each line, the runs of all its cells.

        Trainings that runs have in common come first, each once; then all runs, of whichever line, are shared out. What
        is done is stored at once, so that a study that was stopped goes on where it was.

        Args:
            executor: where the work is done.
            progress: called with runs done, runs in all, and a note.

        Raises:
            InputError: a fold has nothing to train on, or leaks; a damaged run.
            OutputError: the store cannot be written.
        """
        runs, total, shared = self.missing, self.total, self._shared
        progress(total - len(runs), total, f"{len(shared)} trainings that runs share" if shared else "")
        for _ in executor.map(_keep, [(one, self.machine) for one in shared]):
            pass
        compute(runs, self.store, done=total - len(runs), executor=executor, progress=progress)
        found = []
        for line in self.lines:
            parts = [read(cell, self.store, runs) for cell in line.cells]
            repeats = [run for part in parts for run in part.repeats]
            found.append(
                replace(parts[0], name=line.name, repeats=repeats, computed=sum(part.computed for part in parts))
            )
        return found

    @cached_property
    def _shared(self) -> list[Training]:
        """Trainings that the missing runs have in common and that are not kept yet."""
        found = {}
        for run in self.missing:
            one = _fit(run).shared(run.job)
            if one is not None and one.path is not None and not one.path.is_file():
                found[one.path] = one
        return list(found.values())


def _fit(run: Run) -> Fit:
    assert isinstance(run.cell.fit, Fit)
    return run.cell.fit


def _keep(task: tuple[Training, Machine]) -> None:
    training, machine = task
    training.made(machine)


def _length(recipe: Recipe, n: int) -> int:
    """Examples that a training looks at."""
    if not method_class(recipe.recognizer).fine_tunes:
        return n  # fitted at once
    return recipe.samples_seen or (recipe.epochs or 1) * n


def _steps(recipe: Recipe, n: int) -> int:
    """Steps of the optimizer that a training makes."""
    if not method_class(recipe.recognizer).fine_tunes:
        return 0
    if recipe.samples_seen:
        return max(1, recipe.samples_seen // recipe.batch)
    return (recipe.epochs or 1) * steps_per_epoch(n, recipe)


def _cost(training: Training, machine: Machine) -> tuple[float, float]:
    """Seconds of a training: of its beginning, and of each example that it looks at."""
    recipe, view = training.recipe, training.view

    def seconds(batches: int) -> tuple[int, float]:
        short = recipe.but(samples_seen=batches * recipe.batch, validation=0.0, patience=0)
        n = min(len(view), batches * recipe.batch)
        few = view.take(np.arange(n) * len(view) // n)  # from all of them: neighbors may be of one class
        begun = time.perf_counter()
        train(few, short, machine=machine)
        return _length(short, len(few)), time.perf_counter() - begun

    seconds(1)  # the first one loads what all of them need
    (small, less), (large, more) = map(seconds, PROBE)
    each = max(0.0, more - less) / max(1, large - small)
    return max(0.0, less - each * small), each
