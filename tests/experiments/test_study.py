"""The engine of studies: what is missing, how long it takes, and that a stopped one goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from miex.evaluation.folds import k_fold  # noqa: E402
from miex.evaluation.results import Results  # noqa: E402
from miex.executors.base import InProcess, Outcome, Result, Task  # noqa: E402
from miex.executors.local import LocalProcesses  # noqa: E402
from miex.experiments.modes import Fit  # noqa: E402
from miex.experiments.study import Estimate, Line, Study  # noqa: E402
from miex.recognition.recipe import load_recipe  # noqa: E402
from tests.recognition.planted import planted  # noqa: E402

QUICK = load_recipe("fixed").but(samples_seen=128, batch=32)


class StoppedError(Exception):
    pass


class Stopping(InProcess):
    """Stops before the task of that number."""

    def __init__(self, tasks: int) -> None:
        self.left = tasks

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Outcome[Task, Result]]:
        for task in tasks:
            if not self.left:
                raise StoppedError
            self.left -= 1
            yield from super().run(function, [task])


def study(store: Path) -> Study:
    """Two lines that pre-train alike, and one that does not."""
    real, sets = planted(60), [planted(60, seed=seed, source="expert") for seed in (5, 6)]
    folds = [k_fold(np.asarray(real.people), 3, seed) for seed in range(2)]
    lines = []
    for mode in ("direct", "fine-tune"):
        fits = [Fit(mode, real, QUICK, one, models=store / "models") for one in sets]  # type: ignore[arg-type]
        lines.append(Line(mode, "real", [fit.cell(f"{mode} {i}", folds) for i, fit in enumerate(fits)]))
    lines.append(Line("real", "real", [Fit("real", real, QUICK).cell("real", folds)]))
    return Study(lines, Results(store))


def test_what_is_missing_is_counted_before_and_after(tmp_path: Path) -> None:
    asked = study(tmp_path)
    left = asked.estimate()
    # 5 cells × 3 folds × 2 repeats; 2 sets × 2 seeds are pre-trained; fine-tune and real train in every fold
    assert (left.total, left.stored, left.shared, left.own) == (30, 0, 4, 18)
    assert left.seconds > 0
    assert not list(tmp_path.glob("*.parquet"))
    found = asked.run()
    assert [(one.name, len(one.repeats), one.computed) for one in found] == [
        ("direct", 4, 12), ("fine-tune", 4, 12), ("real", 2, 6)
    ]  # fmt: skip
    assert study(tmp_path).estimate() == Estimate(30, 30, 0, 0, 0.0)
    assert [one.computed for one in study(tmp_path).run()] == [0, 0, 0]


def test_a_stopped_study_goes_on_and_ends_alike_whoever_works(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    study(tmp_path / "whole").run(executor=LocalProcesses(2), progress=lambda done, n, note: seen.append((done, n)))
    assert seen[-1] == (30, 30)
    with pytest.raises(StoppedError):
        study(tmp_path / "stopped").run(executor=Stopping(4 + 9))
    left = study(tmp_path / "stopped")
    assert (left.estimate().stored, left.estimate().shared) == (9, 0)
    left.run()
    whole, stopped = (
        {path.name: path.read_bytes() for path in (tmp_path / side).glob("*.parquet")} for side in ("whole", "stopped")
    )
    assert len(whole) == 30
    assert whole == stopped


def test_longer_trainings_are_estimated_longer(tmp_path: Path) -> None:
    """Ten times the steps, about ten times the time of steps; wide bounds, for the clock is the machine's."""
    real = planted(60)
    folds = [k_fold(np.asarray(real.people), 3)]
    short, long = (
        Study([Line("x", "", [Fit("real", real, QUICK.but(samples_seen=n)).cell("x", folds)])], Results(tmp_path))
        for n in (3200, 320_000)
    )
    assert long.estimate().seconds > 5 * short.estimate().seconds


def test_recognizers_that_are_fitted_at_once_are_estimated(tmp_path: Path) -> None:
    real = planted(60)
    recipe = QUICK.but(recognizer="hoof_svm")
    cell = Fit("real", real, recipe).cell("x", [k_fold(np.asarray(real.people), 3)])
    left = Study([Line("x", "", [cell])], Results(tmp_path)).estimate()
    assert (left.shared, left.own) == (0, 3)
    assert 0 < left.seconds < 600
