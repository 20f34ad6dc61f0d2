"""Run cells of a table: folds × repeats, guarded, trained, tested, stored. What trains is handed in; nothing here knows
a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.errors import InputError
from miex.evaluation.folds import Fold, Indices, Protocol
from miex.evaluation.leakage import Verdict, verdicts
from miex.evaluation.metrics import Counts, Scores, fold_mean, pooled
from miex.evaluation.results import PREDICTIONS, Results, StoredRun
from miex.evaluation.significance import by_subject
from miex.executors.base import IN_PROCESS, Executor, Progress, silent


@dataclass(frozen=True, eq=False)
class Job:
    """One training.

    Attributes:
        seed: of initial weights and draws: the repeat.
        train, test: positions among the real samples, of the fold.
        extra: positions among the other training rows (synthetic ones, say) that the guard allows.
    """

    seed: int
    train: Indices
    test: Indices
    extra: Indices


@dataclass(frozen=True, eq=False)
class Answer:
    """What a training gives back.

    Attributes:
        last: probabilities float32 [test, classes] after the last epoch.
        best_on_test: the same at the epoch that the test part likes best, or None: kept to set older tables beside
            ours, never as the result.
        facts: JSON values to keep, such as the last loss.
    """

    last: npt.NDArray[np.float32]
    best_on_test: npt.NDArray[np.float32] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Cell:
    """One entry of a table, as data: a way of training, tested over folds and repeats. It computes nothing by itself.

    Attributes:
        name: for the table.
        test: rows of the real samples, table of ROWS_SCHEMA.
        folds: the folds of each repeat; the repeat's number is the seed.
        fit: trains and tests; must be picklable where processes do the work.
        what: everything beside folds, fold and seed that decides the numbers: digests of the data, the config.
        classes: number of classes.
        extra: rows of other training samples.
        train_on_folds: whether the fold's real training part is used; else only `extra` is.
        accept_unknown: train on extra rows of unknown provenance, which the guard refuses otherwise; they are counted
            as unchecked.
        independent: corpora that the guard does not know and the caller vouches for, see `leakage.verdicts`.
    """

    name: str
    test: pa.Table
    folds: Sequence[Protocol]
    fit: Callable[[Job], Answer]
    what: Mapping[str, Any]
    classes: int
    extra: pa.Table | None = None
    train_on_folds: bool = True
    accept_unknown: bool = False
    independent: Collection[str] = ()

    def descriptions(self) -> list[list[dict[str, Any]]]:
        """All that decides the numbers of each run, [repeat][fold]."""
        guard = {"unknown": self.accept_unknown, "independent": sorted(self.independent)}
        own = {"data": dict(self.what), "train_on_folds": self.train_on_folds, "guard": guard}
        return [
            [{**own, "folds": protocol.digest, "fold": number, "seed": seed} for number in range(len(protocol.folds))]
            for seed, protocol in enumerate(self.folds)
        ]


@dataclass(frozen=True, eq=False)
class Run:
    """A run that the store lacks: of a cell, all that decides its numbers, its training, what the guard counted."""

    cell: Cell
    what: Mapping[str, Any]
    job: Job
    facts: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Every fold of every repeat.

    Attributes:
        name: what is evaluated, for a table.
        protocol: name of the folds.
        classes: number of classes.
        repeats: the runs of each repeat, in the order of its folds.
        computed: runs that were not in the store before.
    """

    name: str
    protocol: str
    classes: int
    repeats: Sequence[Sequence[StoredRun]]
    computed: int = 0

    def fact(self, name: str) -> int:
        """The largest value over runs of a count among their facts: trained, refused, unchecked."""
        return max(int(run.facts[name]) for runs in self.repeats for run in runs)

    def fold_counts(self, epoch: str = "last", only: Mapping[str, bool] | None = None) -> list[list[Counts]]:
        """Confusion matrices [repeat][fold]; `only` says per sample id whether it counts."""
        return [[_part(run, only).counts(self.classes, epoch) for run in runs] for runs in self.repeats]

    def scores(self, epoch: str = "last", only: Mapping[str, bool] | None = None) -> list[Scores]:
        """Scores of each repeat, pooled over its folds."""
        return [pooled(folds) for folds in self.fold_counts(epoch, only)]

    def fold_means(self, epoch: str = "last") -> list[tuple[float, float, float]]:
        """UF1, UAR, accuracy of each repeat as means over its folds: other numbers, under their own name."""
        return [fold_mean(folds) for folds in self.fold_counts(epoch)]

    def corpora(self) -> list[str]:
        """The corpora tested, sorted."""
        return sorted({c for run in self.repeats[0] for c in run.predictions["corpus"].to_pylist()})

    def of_corpus(self, corpus: str) -> dict[str, bool]:
        """Which samples are of a corpus, for `only`."""
        rows = [run.predictions for run in self.repeats[0]]
        return {
            i: c == corpus
            for table in rows
            for i, c in zip(table["sample_id"].to_pylist(), table["corpus"].to_pylist(), strict=True)
        }

    def subject_counts(self, epoch: str = "last") -> list[Counts]:
        """Per repeat the counts of each subject, for the bootstrap."""
        found = []
        for runs in self.repeats:
            table = pa.concat_tables([run.predictions for run in runs])
            who = [f"{c}/{s}" for c, s in zip(table["corpus"].to_pylist(), table["subject"].to_pylist(), strict=True)]
            predicted = np.concatenate([run.predicted(epoch) for run in runs])
            found.append(by_subject(table["label"].to_numpy(), predicted, who, self.classes))
        return found


def missing(cells: Sequence[Cell], store: Results) -> list[Run]:
    """The runs of the cells that the store lacks, each once.

    The leak guard looks at every training row of each. Rows that it does not allow are dropped and counted; a fold
    whose own training part holds a test subject is an error.

    Raises:
        InputError: nothing is left to train on, or a fold's own training part holds a test subject.
    """
    found: dict[str, Run] = {}
    for cell in cells:
        for protocol, descriptions in zip(cell.folds, cell.descriptions(), strict=True):
            for fold, what in zip(protocol.folds, descriptions, strict=True):
                name = store.path(what).name
                if name not in found and what not in store:
                    found[name] = Run(cell, what, *_job(cell, fold, what["seed"]))
    return list(found.values())


def compute(
    runs: Sequence[Run], store: Results, *, done: int = 0, executor: Executor = IN_PROCESS, progress: Progress = silent
) -> None:
    """Train and test runs, and store each as soon as it is there.

    Args:
        runs: from `missing`.
        store: where they go.
        done: runs that were there before, for the progress.
        executor: where the work is done.
        progress: called with runs done, runs in all, and a note.
    """
    total = done + len(runs)
    progress(done, total, "")
    for number, answer in executor.map(_answer, [(run.cell.fit, i, run.job) for i, run in enumerate(runs)]):
        run = runs[number]
        store.add(StoredRun(run.what, {**run.facts, **answer.facts}, _predictions(run, answer)))
        done += 1
        loss = answer.facts.get("loss")
        note = f"{run.cell.name}, fold {run.what['fold']}, seed {run.what['seed']}"
        progress(done, total, note + (f", loss {loss:.3f}" if loss else ""))


def read(cell: Cell, store: Results, computed: Sequence[Run] = ()) -> Evaluation:
    """What the store holds of a cell; `computed`: runs that it lacked before.

    Raises:
        InputError: a run is not there, or damaged.
    """
    repeats = [[store.read(what) for what in descriptions] for descriptions in cell.descriptions()]
    return Evaluation(cell.name, cell.folds[0].name, cell.classes, repeats, sum(run.cell is cell for run in computed))


def evaluate(cell: Cell, store: Results, *, executor: Executor = IN_PROCESS, progress: Progress = silent) -> Evaluation:
    """Train and test every fold of every repeat of a cell that is not in the store.

    Arguments and errors are those of `missing` and `compute`.
    """
    runs = missing([cell], store)
    compute(runs, store, done=sum(map(len, cell.descriptions())) - len(runs), executor=executor, progress=progress)
    return read(cell, store, runs)


def _answer(task: tuple[Callable[[Job], Answer], int, Job]) -> tuple[int, Answer]:
    fit, number, job = task
    return number, fit(job)


def _job(cell: Cell, fold: Fold, seed: int) -> tuple[Job, dict[str, int]]:
    tested, candidates = cell.test.take(fold.test), fold.train if cell.train_on_folds else fold.train[:0]
    people = set(zip(tested["corpus"].to_pylist(), tested["subject"].to_pylist(), strict=True))
    own = verdicts(cell.test.take(candidates), people, independent=cell.independent)
    leaks = [i for i, verdict in zip(candidates, own, strict=True) if verdict is Verdict.test_subject]
    if leaks:
        raise InputError(
            f"fold {fold.name}", expected="no test subject among its training rows",
            found=f"{cell.test['sample_id'][int(leaks[0])]} and {len(leaks) - 1} more",
        )  # fmt: skip
    train = candidates[np.array([verdict is Verdict.allowed for verdict in own], bool)]
    found = verdicts(cell.extra, people, independent=cell.independent) if cell.extra is not None else []
    seen = Counter(found)
    fine = {Verdict.allowed, Verdict.unknown} if cell.accept_unknown else {Verdict.allowed}
    allowed = np.flatnonzero([verdict in fine for verdict in found])
    unchecked = seen[Verdict.unknown] if cell.accept_unknown else 0
    if not len(allowed) and not len(train):
        raise InputError(
            f"fold {fold.name}",
            expected="rows to train on",
            found=f"of {len(found)} none that the leak guard allows: "
            + ", ".join(f"{n} ({verdict})" for verdict, n in seen.items()),
            do="train on samples of known origin, such as a set or flow maps exported from one",
        )
    refused = len(found) - len(allowed) + len(candidates) - len(train)
    facts = {"trained": len(train) + len(allowed), "refused": refused, "unchecked": unchecked}
    return Job(seed, train, fold.test, allowed), facts


def _predictions(run: Run, answer: Answer) -> pa.Table:
    rows = run.cell.test.take(run.job.test)
    columns = [rows[name] for name in ("sample_id", "corpus", "subject", "label")]
    best = answer.best_on_test
    columns += [
        pa.array(answer.last.astype(np.float32).tolist(), PREDICTIONS.field("last").type),
        pa.array([None] * len(rows) if best is None else best.tolist(), PREDICTIONS.field("best_on_test").type),
    ]
    return pa.table(columns, names=PREDICTIONS.names)


def _part(run: StoredRun, only: Mapping[str, bool] | None) -> StoredRun:
    if only is None:
        return run
    keep = pa.array([only[i] for i in run.predictions["sample_id"].to_pylist()], pa.bool_())
    return StoredRun(run.what, run.facts, run.predictions.filter(keep))
