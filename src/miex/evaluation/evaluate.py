"""Run the cells of a table: every fold of every repeat is checked by the leak guard, trained, tested and stored.

How a cell is trained is a function that the caller gives; this module does not depend on torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.corpora.people import person_key
from miex.errors import InputError, UsageError
from miex.evaluation.folds import Fold, Indices, Protocol
from miex.evaluation.leakage import VERSION, Verdict, in_test, verdicts
from miex.evaluation.metrics import Counts, Scores, fold_mean, pooled
from miex.evaluation.results import PREDICTIONS, Results, StoredRun
from miex.evaluation.significance import by_subject
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.stable import json_digest, table_digest


@dataclass(frozen=True, eq=False)
class Job:
    """One training of one fold.

    Attributes:
        seed: random seed of the initial weights and of all draws; that of the repeat.
        train, test: positions of the fold's training and test samples among the real samples, int64.
        extra: positions of the other training rows (such as synthetic ones) that the leak guard allows, int64.
    """

    seed: int
    train: Indices
    test: Indices
    extra: Indices


@dataclass(frozen=True, eq=False)
class Answer:
    """What one training predicts for its test samples.

    Attributes:
        last: probabilities after the last epoch, float32 [test samples, classes].
        best_on_test: the same after the epoch that scores best on the test samples, or None. Older papers report that
            epoch; it serves only to compare with them and is never the result.
        facts: JSON values that are stored with the run, such as the last loss.
    """

    last: npt.NDArray[np.float32]
    best_on_test: npt.NDArray[np.float32] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Cell:
    """One entry of a table, as data: one way of training, tested over folds and repeats. Creating it computes nothing.

    Attributes:
        name: its name in the table.
        test: the real samples, a table of ROWS_SCHEMA, each under an id of its own.
        folds: the folds of each repeat.
        fit: function that trains and tests; it must be picklable if other processes call it.
        what: everything else that decides the numbers, besides folds, fold and seed: digests of the data, the recipe.
        classes: number of classes.
        test_marks: what each real sample holds, for the leak guard (see `leakage.in_test`), as `View.marks` gives it.
        extra: other training samples, a table of ROWS_SCHEMA.
        extra_marks: the same of these.
        train_on_folds: whether the fold's real training samples are used; otherwise only `extra` is.
        accept_unknown: whether to train on rows of `extra` whose origin is unknown. Otherwise the leak guard refuses
            them. They are counted as unchecked.
        independent: corpora that the leak guard does not know, and that share no people with any other by the
            caller's word; see `leakage.allowed`.
        faces: who is in the photos of `extra`, as far as they are people of a corpus; see `leakage.allowed`.
        seeds: random seed of each repeat; None: its number.
    """

    name: str
    test: pa.Table
    folds: Sequence[Protocol]
    fit: Callable[[Job], Answer]
    what: Mapping[str, Any]
    classes: int
    test_marks: pa.ListArray | None = None
    extra: pa.Table | None = None
    extra_marks: pa.ListArray | None = None
    train_on_folds: bool = True
    accept_unknown: bool = False
    independent: Collection[str] = ()
    faces: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    seeds: Sequence[int] | None = None

    def descriptions(self) -> list[list[dict[str, Any]]]:
        """Everything that decides the numbers of each run, as [repeat][fold]; its digest names the stored run."""
        guard = {
            "version": VERSION, "unknown": self.accept_unknown, "independent": sorted(self.independent),
            "sees": self._seen_by_guard,
        }  # fmt: skip
        seeds = range(len(self.folds)) if self.seeds is None else self.seeds
        own = {"data": dict(self.what), "train_on_folds": self.train_on_folds, "guard": guard}
        return [
            [{**own, "folds": protocol.digest, "fold": number, "seed": seed} for number in range(len(protocol.folds))]
            for seed, protocol in zip(seeds, self.folds, strict=True)
        ]

    @cached_property
    def _seen_by_guard(self) -> list[str]:
        """Digests of all that the leak guard judges by: rows that are corrected give other runs."""
        marks = (pa.table({"marks": found}) for found in (self.test_marks, self.extra_marks) if found is not None)
        faces = [(photo, *who) for photo, who in sorted(self.faces.items())]
        tables = [self.test, *([] if self.extra is None else [self.extra]), *marks]
        return [*map(table_digest, tables), json_digest(faces)]


@dataclass(frozen=True, eq=False)
class Run:
    """A run that is not stored yet.

    Attributes:
        cell: the cell that it belongs to.
        what: everything that decides its numbers.
        job: its training.
        facts: number of training rows that are used, refused by the leak guard, and unchecked.
    """

    cell: Cell
    what: Mapping[str, Any]
    job: Job
    facts: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The stored predictions of every fold of every repeat, and the scores computed from them.

    Attributes:
        name: what is evaluated, as named in tables.
        protocol: name of the folds.
        classes: number of classes.
        repeats: the runs of each repeat, in the order of its folds.
        computed: number of runs that were not stored before.
    """

    name: str
    protocol: str
    classes: int
    repeats: Sequence[Sequence[StoredRun]]
    computed: int = 0

    def fact(self, name: str) -> int:
        """The largest count over all runs of one of their facts: trained, refused or unchecked (training rows)."""
        return max(int(run.facts[name]) for runs in self.repeats for run in runs)

    def fold_counts(self, epoch: str = "last", only: Mapping[str, bool] | None = None) -> list[list[Counts]]:
        """Confusion matrices, int64 [classes, classes], as [repeat][fold].

        Args:
            epoch: last or best_on_test.
            only: for each sample id, whether the sample counts. None: all count.
        """
        return [[_part(run, only).counts(self.classes, epoch) for run in runs] for runs in self.repeats]

    def scores(self, epoch: str = "last", only: Mapping[str, bool] | None = None) -> list[Scores]:
        """Scores of each repeat, pooled over its folds. Arguments as in `fold_counts`."""
        return [pooled(folds) for folds in self.fold_counts(epoch, only)]

    def fold_means(self, epoch: str = "last") -> list[tuple[float, float, float]]:
        """UF1, UAR and accuracy of each repeat as means over its folds; they differ from the pooled scores."""
        return [fold_mean(folds) for folds in self.fold_counts(epoch)]

    def corpora(self) -> list[str]:
        """Names of the corpora that are tested, sorted."""
        return sorted({c for run in self.repeats[0] for c in run.predictions["corpus"].to_pylist()})

    def of_corpus(self, corpus: str) -> dict[str, bool]:
        """For each sample id, whether the sample belongs to a corpus; the `only` of other methods."""
        rows = [run.predictions for run in self.repeats[0]]
        return {
            i: c == corpus
            for table in rows
            for i, c in zip(table["sample_id"].to_pylist(), table["corpus"].to_pylist(), strict=True)
        }

    def subject_counts(self, epoch: str = "last", people: Sequence[str] | None = None) -> list[Counts]:
        """For each repeat the confusion matrices of its subjects, int64 [subjects, classes, classes].

        Args:
            epoch: last or best_on_test.
            people: names of the subjects, as `folds.persons` gives them; zeros for those whom a repeat does not test.
                None: whom it tests, sorted by name.
        """
        found = []
        for runs in self.repeats:
            table = pa.concat_tables([run.predictions for run in runs])
            pairs = zip(table["corpus"].to_pylist(), table["subject"].to_pylist(), strict=True)
            who = ["/".join(person_key(*pair) or map(str, pair)) for pair in pairs]
            predicted = np.concatenate([run.predicted(epoch) for run in runs])
            counts = by_subject(table["label"].to_numpy(), predicted, who, self.classes)
            if people is not None:
                own = dict(zip(sorted(set(who)), counts, strict=True))
                counts = np.stack([own.get(name, np.zeros_like(counts[0])) for name in people])
            found.append(counts)
        return found


def missing(cells: Sequence[Cell], store: Results) -> list[Run]:
    """The runs of the cells that are not stored yet, without duplicates.

    The leak guard checks every training row of each run. Rows that it refuses are left out and counted. A fold whose
    own training samples include a test subject is an error.

    Raises:
        UsageError: two samples to test on have the same id, or two others to train on, and hold the same.
        InputError: nothing is left to train on, or a fold's own training samples include a test subject.
    """
    found: dict[str, Run] = {}
    for cell in cells:
        prove_each_once(cell.test)
        if cell.extra is not None:
            prove_each_once(cell.extra, "samples to train on", cell.extra_marks)
        for protocol, descriptions in zip(cell.folds, cell.descriptions(), strict=True):
            for fold, what in zip(protocol.folds, descriptions, strict=True):
                name = store.path(what).name
                if name not in found and what not in store:
                    found[name] = Run(cell, what, *_job(cell, fold, what["seed"]))
    return list(found.values())


def compute(
    runs: Sequence[Run], store: Results, *, done: int = 0, executor: Executor = IN_PROCESS, progress: Progress = silent
) -> None:
    """Train and test runs, and store each as soon as it is finished.

    Args:
        runs: runs from `missing`.
        store: where they are stored.
        done: number of runs that were stored before; progress starts from it.
        executor: where the work is done.
        progress: called with the number of runs done, the number of runs in all, and a note.
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
    """The stored runs of a cell. `computed`: the runs that were not stored before, which are counted.

    Raises:
        InputError: a run is missing or damaged.
    """
    repeats = [[store.read(what) for what in descriptions] for descriptions in cell.descriptions()]
    return Evaluation(cell.name, cell.folds[0].name, cell.classes, repeats, sum(run.cell is cell for run in computed))


def evaluate(cell: Cell, store: Results, *, executor: Executor = IN_PROCESS, progress: Progress = silent) -> Evaluation:
    """Train and test every fold of every repeat of a cell that is not stored yet.

    Arguments and errors are those of `missing` and `compute`.
    """
    runs = missing([cell], store)
    compute(runs, store, done=sum(map(len, cell.descriptions())) - len(runs), executor=executor, progress=progress)
    return read(cell, store, runs)


def prove_each_once(samples: pa.Table, what: str = "samples to test on", marks: pa.ListArray | None = None) -> None:
    """Raises UsageError if two of these rows have the same sample_id: a sample would count twice.

    With `marks` only if they hold the same, too: ids of sets from the same photos and other seeds are the same.
    """
    ids = samples["sample_id"].to_pylist()
    held = [None] * len(ids) if marks is None else [tuple(own) for own in marks.to_pylist()]
    twice = [name for (name, _), n in Counter(zip(ids, held, strict=True)).items() if n > 1]
    if twice:
        raise UsageError(
            what, expected="each sample once",
            found=f"{twice[0]} more than once; {len(twice)} such samples in all",
            do="give every corpus and flow file once; different samples need different values of sample_id",
        )  # fmt: skip


def _answer(task: tuple[Callable[[Job], Answer], int, Job]) -> tuple[int, Answer]:
    fit, number, job = task
    return number, fit(job)


def _job(cell: Cell, fold: Fold, seed: int) -> tuple[Job, dict[str, int]]:
    tested, candidates = cell.test.take(fold.test), fold.train if cell.train_on_folds else fold.train[:0]
    people = set(zip(tested["corpus"].to_pylist(), tested["subject"].to_pylist(), strict=True))
    judge = partial(verdicts, test_subjects=people, independent=cell.independent, faces=cell.faces)
    own = judge(cell.test.take(candidates))
    leaks = [i for i, verdict in zip(candidates, own, strict=True) if verdict is Verdict.test_subject]
    if leaks:
        raise InputError(
            f"fold {fold.name}", expected="no test subject among its training samples",
            found=f"{cell.test['sample_id'][int(leaks[0])]} and {len(leaks) - 1} more",
            do="correct the folds, so that all samples of a subject are on one side",
        )  # fmt: skip
    found = judge(cell.extra) if cell.extra is not None else []
    if cell.test_marks is not None:
        held = cell.test_marks.take(pa.array(fold.test))
        own = _without(own, in_test(cell.test_marks.take(pa.array(candidates)), held))
        if cell.extra_marks is not None:
            found = _without(found, in_test(cell.extra_marks, held))
    train = candidates[np.array([verdict is Verdict.allowed for verdict in own], bool)]
    seen = Counter(found)
    fine = {Verdict.allowed, Verdict.unknown} if cell.accept_unknown else {Verdict.allowed}
    allowed = np.flatnonzero([verdict in fine for verdict in found])
    unchecked = seen[Verdict.unknown] if cell.accept_unknown else 0
    if not len(allowed) and (cell.extra is not None or not len(train)):
        raise InputError(
            f"fold {fold.name}",
            expected="samples to train on",
            found=f"the leak guard allows none of {len(found or own)}: "
            + ", ".join(f"{n} ({verdict})" for verdict, n in (seen or Counter(own)).items()),
            do="train on samples of other people, and of known origin; a corpus that, as you know, shares no people "
            "with those that are tested can be named as `independent`",
        )
    refused = len(found) - len(allowed) + len(candidates) - len(train)
    facts = {"trained": len(train) + len(allowed), "refused": refused, "unchecked": unchecked}
    return Job(seed, train, fold.test, allowed), facts


def _without(found: Sequence[Verdict], there: npt.NDArray[np.bool_]) -> list[Verdict]:
    return [Verdict.test_content if is_there else verdict for verdict, is_there in zip(found, there, strict=True)]


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
