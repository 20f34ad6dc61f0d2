"""The engine of studies: what is missing, how long it takes, and that a stopped one goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch")

from miex.evaluation.evaluate import Job  # noqa: E402
from miex.evaluation.folds import k_fold  # noqa: E402
from miex.evaluation.results import Results  # noqa: E402
from miex.executors.base import InProcess, Outcome, Result, Task  # noqa: E402
from miex.executors.local import LocalProcesses  # noqa: E402
from miex.experiments.modes import Fit  # noqa: E402
from miex.experiments.study import Estimate, Line, Study  # noqa: E402
from miex.recognition.recipe import load_recipe  # noqa: E402
from miex.recognition.view import View, in_memory  # noqa: E402
from miex.stable import canonical_json  # noqa: E402
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
    assert left.seconds is not None
    (load,) = left.loads
    assert (load.trainings, load.samples) == (22, 22 * (QUICK.samples_seen or 0))
    assert load.steps == 22 * ((QUICK.samples_seen or 0) // QUICK.batch)
    assert load.per_second
    assert not list(tmp_path.glob("*.parquet"))
    found = asked.run()
    assert [(one.name, len(one.repeats), one.computed) for one in found] == [
        ("direct", 4, 12), ("fine-tune", 4, 12), ("real", 2, 6)
    ]  # fmt: skip
    assert study(tmp_path).estimate() == Estimate(30, 30, 0, 0, 0, 0.0)
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
    times = [one.estimate().seconds or 0 for one in (short, long)]
    assert times[1] > 5 * times[0] > 0


def test_recognizers_that_are_fitted_at_once_are_estimated(tmp_path: Path) -> None:
    real = planted(60)
    recipe = QUICK.but(recognizer="hoof")
    cell = Fit("real", real, recipe).cell("x", [k_fold(np.asarray(real.people), 3)])
    left = Study([Line("x", "", [cell])], Results(tmp_path)).estimate()
    assert (left.shared, left.own) == (0, 3)
    assert [(load.trainings, load.samples, load.steps) for load in left.loads] == [(3, 120, 0)]  # 3 × 40 of 60
    assert left.seconds is not None
    assert 0 < left.seconds < 600


def test_an_estimate_never_ends_a_study(tmp_path: Path) -> None:
    """The first batches are of one class, which this recognizer cannot learn from; the whole is not."""
    view = planted(600)
    ordered = view.take(np.argsort(view.labels, kind="stable"))
    folds = [k_fold(np.asarray(ordered.people), 3)]
    cell = Fit("real", ordered, QUICK.but(recognizer="hoof", batch=8)).cell("x", folds)
    study = Study([Line("x", "", [cell])], Results(tmp_path))
    assert study.estimate().seconds is not None
    (found,) = study.run()
    assert found.scores()[0].uf1 > 0.5
    bad = Fit("real", ordered, QUICK.but(learning_rate=1e30)).cell("x", folds)
    assert Study([Line("x", "", [bad])], Results(tmp_path)).estimate().seconds is None


@pytest.mark.parametrize("column", ["source", "corpus", "subject", "photo", "sample_id"])
def test_who_is_behind_the_rows_decides_which_run_it_is(column: str, tmp_path: Path) -> None:
    """The same maps of other people are other runs, of the tested samples as of the others; so are shared models."""
    real, other = planted(60), planted(60, seed=5, source="expert")

    def renamed(view: View) -> View:
        rows, i = view.rows, view.rows.schema.get_field_index(column)
        values = [f"{value}x" for value in rows[column].to_pylist()]
        return in_memory(view.batch(), rows.set_column(i, rows.schema.field(i), pa.array(values)), view.label_names)

    folds = [k_fold(np.asarray(real.people), 3)]
    fits = [Fit("direct", *pair, models=tmp_path) for pair in ((real, QUICK, other), (real, QUICK, renamed(other)))]
    fits.append(Fit("direct", renamed(real), QUICK, other, models=tmp_path))
    whats = [canonical_json(fit.what) for fit in fits]
    assert len(set(whats)) == 3
    job = Job(0, folds[0].folds[0].train, folds[0].folds[0].test, np.arange(60))
    paths = [one.path for fit in fits[:2] if (one := fit.shared(job)) is not None]
    assert len(set(paths)) == 2
