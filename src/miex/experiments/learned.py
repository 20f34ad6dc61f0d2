"""What a recipe learns from each of two sets: trained on one, tested on faces of both that it has not seen, and on
real samples."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from miex.errors import UsageError
from miex.evaluation.evaluate import Evaluation
from miex.evaluation.folds import Protocol, k_fold, persons
from miex.evaluation.results import Results
from miex.evaluation.significance import Interval, bootstrap
from miex.executors.machine import Machine
from miex.experiments.modes import Fit
from miex.experiments.study import Line, Study
from miex.recognition.recipe import Recipe
from miex.recognition.view import Array, Part, View

FACES = "faces"  # stands for the corpus where the photos of a set are the people
REAL_SAMPLES = "real"
SIDES = ("a", "b")


@dataclass(frozen=True)
class Learned:
    """What was learned from one set, tested on one thing.

    Attributes:
        trained, tested: a or b; of what is tested also real.
        runs: seeds.
        uf1, uf1_std: mean and standard deviation (ddof 0) over runs.
        interval: of UF1, by a bootstrap over the people tested (photos, subjects).
        refused: training rows that the leak guard dropped, at most in one run: of sets those whose photo is tested.
    """

    trained: str
    tested: str
    runs: int
    uf1: float
    uf1_std: float
    interval: Interval
    refused: int

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "interval": vars(self.interval)}


@dataclass(frozen=True)
class _OfFaces(Part):
    """A part whose people are the faces: who lent the AUs is not asked between two synthetic sets."""

    part: Part

    @property
    def array(self) -> Array:
        return self.part.array

    @property
    def digest(self) -> str:
        return self.part.digest

    @property
    def marks(self) -> pa.ListArray:
        return self.part.marks

    def release(self) -> None:
        self.part.release()

    @property
    def rows(self) -> pa.Table:
        rows = self.part.rows
        names = {"corpus": [FACES] * len(rows), "subject": rows["photo"].to_pylist()}
        for name, values in names.items():
            i = rows.schema.get_field_index(name)
            rows = rows.set_column(i, rows.schema.field(i), pa.array(values, rows.schema.field(i).type))
        return rows


def of_faces(view: View) -> View:
    """The view of a set with the photos as its people, in the place of those who lent the AUs.

    Raises:
        UsageError: an example without a photo.
    """
    if None in view.rows["photo"].to_pylist():
        raise UsageError("what is learned from a set", expected="examples of a set, with the photo of each")
    return View(
        tuple(_OfFaces(part) for part in view.parts), view.label_names, view.picks, view.given_labels, view.skipped
    )


def photos(view: View) -> int:
    """How many photos the examples are of."""
    return len(set(view.rows["photo"].to_pylist()))


def learning(
    a: View, b: View, recipe: Recipe, store: Path, *, real: View | None = None, seeds: int = 3, folds: int = 3,
    independent: Collection[str] = (), faces: Mapping[str, tuple[str, str | None]] | None = None,
    machine: Machine | None = None,
) -> tuple[Study, list[str]]:  # fmt: skip
    """The study: every set tested on every set, by folds of photos, and on real samples.

    Args:
        a, b: the sets through the recipe's input.
        recipe: how to train.
        store: folder of runs.
        real: real samples; who lent AUs to a set is guarded against, row by row.
        seeds: of training; folds are drawn anew for each.
        folds: how many; fewer where there are fewer photos.
        independent: corpora of the real samples that the leak guard does not know, see `leakage.allowed`.
        faces: who is in the photos of the sets, see there.
        machine: where networks run.

    Returns:
        The study, and what is left out of it and why: sentences.

    Raises:
        UsageError: fewer than two photos.
    """
    machine, models = machine or Machine(), store / "models"
    people = {side: of_faces(view) for side, view in zip(SIDES, (a, b), strict=True)}
    lines, notes = [], []
    for tested, view in people.items():
        parts = _folds(view, folds, seeds)
        shown = np.asarray(view.people)
        for trained, other in people.items():
            if any(set(other.people) <= set(shown[fold.test].tolist()) for part in parts for fold in part.folds):
                notes.append(f"Not trained on {trained} and tested on {tested}: a fold tests all photos of {trained}.")
                continue
            fit = (
                Fit("real", view, recipe, machine=machine)
                if trained == tested
                else Fit("direct", view, recipe, other, models=models, machine=machine)
            )
            cell = fit.cell(f"{trained}, tested on {tested}", parts, independent=[FACES], experiment="compare")
            lines.append(Line(trained, tested, [cell]))
    if real is not None:
        parts = _folds(real, folds, seeds)
        for trained, other in zip(SIDES, (a, b), strict=True):
            fit = Fit("direct", real, recipe, other, models=models, machine=machine)
            name = f"{trained}, tested on real samples"
            cell = fit.cell(name, parts, independent=independent, faces=faces, experiment="compare")
            lines.append(Line(trained, REAL_SAMPLES, [cell]))
    return Study(lines, Results(store), machine), notes


def _folds(view: View, folds: int, seeds: int) -> list[Protocol]:
    of = persons(view.rows["corpus"].to_pylist(), view.rows["subject"].to_pylist())
    return [k_fold(of, min(folds, len(set(of.tolist()))), seed) for seed in range(seeds)]


@dataclass(frozen=True, eq=False)
class Difference:
    """What b teaches more than a, tested on one thing: UF1, with its interval and p by a bootstrap over the people."""

    tested: str
    uf1: Interval


def learned(study: Study, found: Sequence[Evaluation]) -> tuple[list[Learned], list[Difference]]:
    """The scores of each line of the study; for everything on which both were tested, what b teaches more than a."""
    scores, counts = [], {}
    for line, one in zip(study.lines, found, strict=True):
        uf1 = [each.uf1 for each in one.scores()]
        counts[line.name, line.tested] = one.subject_counts()
        mean, std = float(np.mean(uf1)), float(np.std(uf1))
        interval = bootstrap(counts[line.name, line.tested])
        scores.append(Learned(line.name, line.tested, len(uf1), mean, std, interval, one.fact("refused")))
    tests = [tested for tested in dict.fromkeys(line.tested for line in study.lines) if ("a", tested) in counts]
    tests = [tested for tested in tests if ("b", tested) in counts]
    return scores, [Difference(tested, bootstrap(counts["b", tested], counts["a", tested])) for tested in tests]
