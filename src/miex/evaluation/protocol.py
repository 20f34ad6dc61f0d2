"""Run folds × repeats: guard, train, test, store. What trains is handed in; nothing here knows a network."""

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


def evaluate(
    name: str,
    test: pa.Table,
    folds: Sequence[Protocol],
    fit: Callable[[Job], Answer],
    *,
    what: Mapping[str, Any],
    store: Results,
    classes: int,
    extra: pa.Table | None = None,
    train_on_folds: bool = True,
    accept_unknown: bool = False,
    independent: Collection[str] = (),
    executor: Executor = IN_PROCESS,
    progress: Progress = silent,
) -> Evaluation:
    """Train and test every fold of every repeat that is not in the store.

    The leak guard looks at every training row in every run. Rows that it does not allow are dropped and counted; a
    fold whose own training part holds a test subject is an error.

    Args:
        name: of the result.
        test: rows of the real samples (columns of ROWS_SCHEMA).
        folds: the folds of each repeat; the repeat's number is the seed.
        fit: trains and tests; must be picklable if `run` uses processes.
        what: everything beside folds, fold and seed that decides the numbers: digests of the data, the config.
        store: where runs lie.
        extra: rows of other training samples.
        train_on_folds: whether the fold's real training part is used; else only `extra` is.
        accept_unknown: train on extra rows of unknown provenance, which the guard refuses otherwise; they are counted
            as unchecked.
        independent: corpora that the guard does not know and the caller vouches for, see `leakage.allowed`.
        executor: where the work is done.
        progress: called with runs done, runs in all, and a note.

    Raises:
        InputError: nothing is left to train on, or a fold's own training part holds a test subject.
    """
    descriptions: list[list[dict[str, Any]]] = []
    tasks: list[tuple[Callable[[Job], Answer], int, Job]] = []
    pending: list[tuple[dict[str, Any], dict[str, int], Indices]] = []
    for seed, protocol in enumerate(folds):
        descriptions.append([])
        for number, fold in enumerate(protocol.folds):
            one = {
                **what, "folds": protocol.digest, "fold": number, "seed": seed, "real": train_on_folds,
                "unknown": accept_unknown, **({"independent": sorted(independent)} if independent else {}),
            }  # fmt: skip
            descriptions[-1].append(one)
            if one in store:
                continue
            part = fold.train if train_on_folds else fold.train[:0]
            job, facts = _job(test, Fold(fold.name, part, fold.test), extra, seed, accept_unknown, independent)
            tasks.append((fit, len(pending), job))
            pending.append((one, facts, job.test))
    total, done = sum(map(len, descriptions)), sum(map(len, descriptions)) - len(tasks)
    progress(done, total, "")
    for number, answer in executor.map(_answer, tasks):
        one, facts, tested = pending[number]
        store.add(StoredRun(one, {**facts, **answer.facts}, _predictions(test, tested, answer)))
        done += 1
        loss = answer.facts.get("loss")
        progress(done, total, f"fold {one['fold']}, seed {one['seed']}" + (f", loss {loss:.3f}" if loss else ""))
    repeats = [[store.read(one) for one in group] for group in descriptions]
    return Evaluation(name, folds[0].name, classes, repeats, len(tasks))


def _answer(task: tuple[Callable[[Job], Answer], int, Job]) -> tuple[int, Answer]:
    fit, number, job = task
    return number, fit(job)


def _job(
    test: pa.Table, fold: Fold, extra: pa.Table | None, seed: int, accept_unknown: bool, independent: Collection[str]
) -> tuple[Job, dict[str, int]]:
    tested = test.take(fold.test)
    people = set(zip(tested["corpus"].to_pylist(), tested["subject"].to_pylist(), strict=True))
    own = verdicts(test.take(fold.train), people, independent=independent)
    leaks = [i for i, verdict in zip(fold.train, own, strict=True) if verdict is Verdict.test_subject]
    if leaks:
        raise InputError(
            f"fold {fold.name}", expected="no test subject among its training rows",
            found=f"{test['sample_id'][int(leaks[0])]} and {len(leaks) - 1} more",
        )  # fmt: skip
    train = fold.train[np.array([verdict is Verdict.allowed for verdict in own], bool)]
    found = verdicts(extra, people, independent=independent) if extra is not None else []
    seen = Counter(found)
    fine = {Verdict.allowed, Verdict.unknown} if accept_unknown else {Verdict.allowed}
    allowed = np.flatnonzero([verdict in fine for verdict in found])
    unchecked = seen[Verdict.unknown] if accept_unknown else 0
    if not len(allowed) and not len(train):
        raise InputError(
            f"fold {fold.name}",
            expected="rows to train on",
            found=f"of {len(found)} none that the leak guard allows: "
            + ", ".join(f"{n} ({verdict})" for verdict, n in seen.items()),
            do="give a set whose provenance is known (samples.parquet, or maps exported from it)",
        )
    refused = len(found) - len(allowed) + len(fold.train) - len(train)
    facts = {"trained": len(train) + len(allowed), "refused": refused, "unchecked": unchecked}
    return Job(seed, train, fold.test, allowed), facts


def _predictions(test: pa.Table, tested: Indices, answer: Answer) -> pa.Table:
    rows = test.take(tested)
    columns = [rows[name] for name in ("sample_id", "corpus", "subject", "label")]
    best = answer.best_on_test
    columns += [
        pa.array(answer.last.astype(np.float32).tolist(), PREDICTIONS.field("last").type),
        pa.array([None] * len(tested) if best is None else best.tolist(), PREDICTIONS.field("best_on_test").type),
    ]
    return pa.table(columns, names=PREDICTIONS.names)


def _part(run: StoredRun, only: Mapping[str, bool] | None) -> StoredRun:
    if only is None:
        return run
    keep = pa.array([only[i] for i in run.predictions["sample_id"].to_pylist()], pa.bool_())
    return StoredRun(run.what, run.facts, run.predictions.filter(keep))
