"""What travels to where a fold is trained: names and positions, no pixels."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from miex.errors import OutputError, UsageError  # noqa: E402
from miex.evaluation.evaluate import evaluate, missing  # noqa: E402
from miex.evaluation.folds import k_fold  # noqa: E402
from miex.evaluation.results import Results  # noqa: E402
from miex.executors.base import IN_PROCESS, InProcess, Outcome, Result, Task  # noqa: E402
from miex.executors.local import LocalProcesses  # noqa: E402
from miex.executors.machine import Machine  # noqa: E402
from miex.experiments.modes import MODES, Fit, Mode, Training  # noqa: E402
from miex.recognition.examples import Arrays, Examples, of_maps  # noqa: E402
from miex.recognition.inputs.flow import FlowMaps  # noqa: E402
from miex.recognition.recipe import load_recipe  # noqa: E402
from miex.recognition.view import View  # noqa: E402
from tests.recognition.planted import planted  # noqa: E402


class NotRunError(Exception):
    pass


class Weighed(InProcess):
    """Notes how many bytes each task is sent as, and runs none."""

    def __init__(self) -> None:
        self.bytes: list[int] = []

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Outcome[Task, Result]]:
        self.bytes += [len(pickle.dumps((function, task))) for task in tasks]
        raise NotRunError


def stored(plain: View, folder: Path) -> View:
    """The same examples, in a file."""
    source = Arrays(plain.batch(), "flow maps")
    return Examples(plain.rows, source, plain.label_names).through(FlowMaps(), folder)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> View:
    """45,000 examples in a file."""
    n = 45_000
    made = of_maps(np.zeros((n, 28, 28, 3), np.uint8), (np.arange(n) % 3).tolist(), source="expert", prefix="x")
    return made.through(FlowMaps(), tmp_path_factory.mktemp("synthetic"))


@pytest.mark.parametrize("mode", MODES)
def test_a_fold_task_of_45_000_examples_is_small(mode: Mode, synthetic: View, tmp_path: Path) -> None:
    shuffled = synthetic.labelled(np.random.default_rng(0).permutation(synthetic.labels))
    real = stored(planted(300), tmp_path)
    folds = [k_fold(np.asarray(real.people), 3)]
    for other in (None,) if mode == "real" else (synthetic, shuffled):
        fit, executor = Fit(mode, real, load_recipe("fixed"), other), Weighed()
        with pytest.raises(NotRunError):
            evaluate(fit.cell("x", folds), Results(tmp_path / "store"), executor=executor)
        assert len(executor.bytes) == 3
        assert max(executor.bytes) < 500_000


def test_examples_in_files_in_other_processes_give_what_arrays_at_hand_give(tmp_path: Path) -> None:
    real, other = planted(90), planted(120, seed=5, source="expert")
    recipe = load_recipe("fixed").but(samples_seen=256, batch=64)
    folds, found = [k_fold(np.asarray(real.people), 3)], []
    kept = [stored(view, tmp_path / "cache") for view in (real, other)]
    for name, views, executor in (("hand", (real, other), IN_PROCESS), ("files", kept, LocalProcesses(2))):
        fit = Fit("joint", views[0], recipe, views[1], best_on_test=True)
        evaluate(fit.cell("x", folds), Results(tmp_path / name), executor=executor)
        found.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert len(found[0]) == 3
    assert found[0] == found[1]


@pytest.mark.parametrize("mode", ["real", "fine-tune", "joint"])
def test_examples_beside_join_every_fold_but_for_people_who_are_tested(mode: Mode, tmp_path: Path) -> None:
    """Every training part is that of the fold, and all of the others whose people are not tested in it."""
    real, other = planted(90), None if mode == "real" else planted(30, seed=5, source="expert")
    beside = planted(40, seed=7).take(np.arange(5, 40))  # of the same ten people
    fit = Fit(mode, real, load_recipe("fixed").but(samples_seen=64, batch=32), other, beside=beside)
    protocol = k_fold(np.asarray(real.people), 3)
    runs = missing([fit.cell("x", [protocol])], Results(tmp_path))
    for run, fold in zip(runs, protocol.folds, strict=True):
        tested = set(real.take(fold.test).people)
        own, shared = fit.own(run.job), fit.shared(run.job)
        assert own is not None
        ids = own.view.rows["sample_id"].to_pylist()
        allowed = [name for name, who in zip(beside.rows["sample_id"].to_pylist(), beside.people, strict=True)
                   if who not in tested]  # fmt: skip
        assert 0 < len(allowed) < len(beside)
        if mode == "joint":  # real ones are drawn, as often as the others
            assert {name for name in ids if name.startswith("7-")} <= set(allowed)
            assert len(ids) == 60
        else:
            assert ids == [*real.take(fold.train).rows["sample_id"].to_pylist(), *allowed]
        assert (shared is None) == (mode != "fine-tune")
        if shared is not None and other is not None:
            assert shared.view.digest == other.digest
        assert fit(run.job).last.shape == (len(fold.test), 3)


def test_what_joins_decides_the_numbers_and_has_no_place_where_nothing_real_is_trained_on() -> None:
    real, recipe = planted(30), load_recipe("fixed")
    assert Fit("real", real, recipe).what != Fit("real", real, recipe, beside=planted(30, seed=7)).what
    with pytest.raises(UsageError, match="mode direct"):
        Fit("direct", real, recipe, planted(30, source="expert"), beside=real)


def test_models_in_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is read from there; what is not names the folder, and nothing is trained."""
    training = Training(planted(60), load_recipe("fixed").but(samples_seen=64, batch=64), 1, tmp_path / "models")
    made = training.made(Machine())

    def no_lock(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("filelock.FileLock.acquire", no_lock)
    monkeypatch.setattr("miex.experiments.modes.train", lambda *_, **__: pytest.fail("it is trained"))
    assert training.made(Machine()).weights_digest == made.weights_digest
    with pytest.raises(OutputError, match=f"trained models in {tmp_path / 'models'}"):
        replace(training, seed=2).made(Machine())
