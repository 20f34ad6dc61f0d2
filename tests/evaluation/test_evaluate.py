"""Runs and their store, with a classifier that needs no network: leak guard, resuming, recomputation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as oracle

from miex.dataset.schema import ROWS_SCHEMA
from miex.errors import InputError, UsageError
from miex.evaluation.evaluate import Answer, Cell, Evaluation, Job, compute, evaluate, missing, read
from miex.evaluation.folds import Fold, Protocol, k_fold, leave_one_subject_out, persons
from miex.evaluation.results import Results
from miex.executors.base import IN_PROCESS, Executor
from miex.executors.local import LocalProcesses


def rows(n: int, source: str | None, corpus: list[str | None], subject: list[str | None]) -> pa.Table:
    columns = {
        "sample_id": [f"{source}-{i}" for i in range(n)],
        "label": (np.arange(n) % 3).tolist(),
        "source": [source] * n,
        "corpus": corpus,
        "subject": subject,
        "photo": [None] * n,
    }
    return pa.table(columns, schema=ROWS_SCHEMA)


REAL = rows(24, "real", ["casme2"] * 12 + ["smic"] * 12, [f"s{i // 3}" for i in range(24)])
OF = persons(REAL["corpus"].to_pylist(), REAL["subject"].to_pylist())


@dataclass
class Guess:
    """A classifier that is right with probability 0.7, drawn from seed and fold; it remembers its jobs."""

    jobs: list[Job] = field(default_factory=list)

    def __call__(self, job: Job) -> Answer:
        self.jobs.append(job)
        rng = np.random.default_rng([job.seed, *job.test])
        truth = np.asarray(REAL["label"].to_pylist())[job.test]
        guess = np.where(rng.random(len(truth)) < 0.7, truth, rng.integers(0, 3, len(truth)))
        probabilities = np.eye(3, dtype=np.float32)[guess]
        return Answer(probabilities, probabilities[:, ::-1].copy(), {"loss": 0.5})


def run(
    name: str, test: pa.Table, folds: list[Protocol], fit: Callable[[Job], Answer], *, store: Results,
    executor: Executor = IN_PROCESS, **cell: Any,
) -> Evaluation:  # fmt: skip
    return evaluate(Cell(name, test, folds, fit, **cell), store, executor=executor)


def test_any_metric_can_be_computed_again_from_the_store(tmp_path: Path) -> None:
    folds = [k_fold(OF, 3, seed) for seed in range(2)]
    store = Results(tmp_path)
    found = run("guess", REAL, folds, Guess(), what={"a": 1}, store=store, classes=3)
    assert found.computed == 6
    assert len(store.all()) == 6
    for seed, scores in enumerate(found.scores()):
        table = pa.concat_tables([run.predictions for run in store.all() if run.what["seed"] == seed])
        y, p = table["label"].to_pylist(), [int(np.argmax(q)) for q in table["last"].to_pylist()]
        assert sorted(table["sample_id"].to_pylist()) == sorted(REAL["sample_id"].to_pylist())
        assert scores.uf1 == pytest.approx(oracle.f1_score(y, p, average="macro"))
        assert scores.uar == pytest.approx(oracle.recall_score(y, p, average="macro"))
    smic = found.scores(only=found.of_corpus("smic"))
    assert [s.n for s in smic] == [12, 12]
    assert found.scores("best_on_test")[0].uf1 != found.scores()[0].uf1
    assert sum(c.sum() for c in found.subject_counts()) == 48
    assert len(found.fold_means()) == 2


def test_only_missing_runs_are_computed_and_bytes_stay(tmp_path: Path) -> None:
    folds, store = [leave_one_subject_out(OF)], Results(tmp_path)
    run("guess", REAL, folds, Guess(), what={"a": 1}, store=store, classes=3)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.parquet")}
    assert len(before) == len(folds[0].folds)
    again = Guess()
    assert run("guess", REAL, folds, again, what={"a": 1}, store=store, classes=3).computed == 0
    assert not again.jobs
    victim = sorted(before)[0]
    (tmp_path / victim).unlink()
    assert run("guess", REAL, folds, again, what={"a": 1}, store=store, classes=3).computed == 1
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.parquet")} == before
    assert run("guess", REAL, folds, again, what={"a": 2}, store=store, classes=3).computed == len(before)


@pytest.mark.parametrize("name", ["real", "seed", "fold", "folds", "unknown", "train_on_folds", "guard", "data"])
def test_nothing_that_decides_the_numbers_is_overwritten(name: str, tmp_path: Path) -> None:
    """Other values in the description are other runs, whatever the caller names them."""
    one, other = (Cell("x", REAL, [k_fold(OF, 3)], Guess(), {name: value}, 3) for value in "ab")
    runs = missing([one, other], Results(tmp_path))
    assert len(runs) == 6


def test_processes_give_the_same_bytes(tmp_path: Path) -> None:
    folds = [k_fold(OF, 3)]
    run("guess", REAL, folds, Guess(), what={}, store=Results(tmp_path / "a"), classes=3)
    run("guess", REAL, folds, Guess(), what={}, store=Results(tmp_path / "b"), classes=3, executor=LocalProcesses(2))
    a, b = ({path.name: path.read_bytes() for path in (tmp_path / side).iterdir()} for side in "ab")
    assert a == b


def test_the_guard_looks_at_every_run(tmp_path: Path) -> None:
    """Rows with AUs of subject 1 of casme2 are used in folds that do not test it; unknown rows only if requested."""
    corpus = ["casme2", None, None]
    extra = pa.concat_tables(
        [
            rows(3, "real_mie", ["CASME II"] * 3, ["sub01"] * 3),
            rows(3, "expert", [None] * 3, [None] * 3),
            rows(3, None, corpus, ["1", None, None]),
        ]
    )
    guess = Guess()
    found = run("x", REAL, [leave_one_subject_out(OF)], guess, what={}, store=Results(tmp_path), classes=3, extra=extra)
    for job in guess.jobs:
        tested = set(OF[job.test])
        assert ("casme2/1" in tested) == (not {0, 1, 2} & set(job.extra.tolist()))
        assert {3, 4, 5} <= set(job.extra.tolist())
        assert not {6, 7, 8} & set(job.extra.tolist())
    assert found.fact("refused") == 6
    assert found.fact("unchecked") == 0
    lenient = Guess()
    found = run(
        "x", REAL, [leave_one_subject_out(OF)], lenient, what={}, store=Results(tmp_path), classes=3, extra=extra,
        accept_unknown=True,
    )  # fmt: skip
    assert all({7, 8} <= set(job.extra.tolist()) for job in lenient.jobs)
    assert found.fact("unchecked") == 3


def test_nothing_to_train_on_and_folds_that_leak(tmp_path: Path) -> None:
    unknown = rows(3, None, [None] * 3, [None] * 3)
    with pytest.raises(InputError, match="the leak guard allows none of"):
        run("x", REAL, [k_fold(OF, 3)], Guess(), what={}, store=Results(tmp_path), classes=3, extra=unknown,
            train_on_folds=False,
        )  # fmt: skip
    with pytest.raises(InputError, match="the leak guard allows none of"):  # though the folds have samples of their own
        run("x", REAL, [k_fold(OF, 3)], Guess(), what={}, store=Results(tmp_path), classes=3, extra=unknown)
    bad = Protocol("bad", (Fold("0", np.array([0, 5]), np.array([1, 2])),), "x")
    with pytest.raises(InputError, match="no test subject among its training samples"):
        run("x", REAL, [bad], Guess(), what={}, store=Results(tmp_path), classes=3)


def test_a_damaged_run_is_named(tmp_path: Path) -> None:
    folds, store = [k_fold(OF, 3)], Results(tmp_path)
    run("x", REAL, folds, Guess(), what={}, store=store, classes=3)
    path = sorted(tmp_path.glob("*.parquet"))[0]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=path.name):
        run("x", REAL, folds, Guess(), what={}, store=store, classes=3)


def test_other_corpora_of_one_laboratory_are_left_out_of_training(tmp_path: Path) -> None:
    """Subjects of casme2 may also be in casme3: rows of one are not trained on where the other is tested."""
    table = REAL.set_column(3, "corpus", pa.array(["casme2"] * 12 + ["casme3"] * 12))
    of = persons(table["corpus"].to_pylist(), table["subject"].to_pylist())
    guess = Guess()
    found = run("x", table, [leave_one_subject_out(of)], guess, what={}, store=Results(tmp_path), classes=3)
    for job in guess.jobs:
        assert len({of[i].split("/")[0] for i in [*job.train, *job.test]}) == 1
    assert found.fact("refused") == 12


def test_corpora_of_ones_own_are_vouched_for(tmp_path: Path) -> None:
    table = REAL.set_column(3, "corpus", pa.array(["mine"] * 24))
    folds = [k_fold(persons(table["corpus"].to_pylist(), table["subject"].to_pylist()), 3)]
    with pytest.raises(UsageError, match="independent"):
        run("x", table, folds, Guess(), what={}, store=Results(tmp_path), classes=3)
    found = run("x", table, folds, Guess(), what={}, store=Results(tmp_path), classes=3, independent=["mine"])
    assert (found.computed, found.fact("refused")) == (3, 0)


def test_cells_that_have_runs_in_common_share_them(tmp_path: Path) -> None:
    """Runs that two cells share are computed once; a cell that was stopped continues where it stopped."""
    store, guess = Results(tmp_path), Guess()
    folds = [k_fold(OF, 3, seed) for seed in range(2)]
    one, two = (Cell(name, REAL, folds[:n], guess, {"a": 1}, 3) for name, n in (("one", 1), ("two", 2)))
    runs = missing([one, two], store)
    assert [(run.cell.name, run.what["seed"], run.what["fold"]) for run in runs] == [
        *(("one", 0, i) for i in range(3)), *(("two", 1, i) for i in range(3))
    ]  # fmt: skip
    seen: list[tuple[int, int]] = []
    compute(runs[:2], store, done=1, progress=lambda done, total, note: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(InputError, match="run"):
        read(one, store)
    rest = missing([one, two], store)
    assert [run.what for run in rest] == [run.what for run in runs[2:]]
    compute(rest, store)
    assert len(guess.jobs) == 6
    assert (read(one, store, runs).computed, read(two, store, runs).computed) == (3, 3)
    assert [s.n for s in read(two, store).scores()] == [24, 24]
