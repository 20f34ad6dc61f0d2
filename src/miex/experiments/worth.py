"""`miex experiment worth`: how well a recognizer does by the number of real people in its training, and how many of
them a synthetic set stands for.

A draw chooses people at random; a recognizer is trained on their clips and tested on those of everybody else. It is
trained in four ways, on the same draws: on the real clips alone, on synthetic samples alone, on synthetic ones and then
on the real ones, on both at once. No such curve is published for any synthetic set of micro-expressions.

Scores are UF1 of each draw, as means over draws. Draws overlap, in whom they train on and whom they test, so they are
no independent repeats, and no test over draws is made. What is resampled are the people tested: in each round of the
bootstrap as many of them as there are, drawn with replacement, and whoever is drawn brings along the predictions of all
draws in which they were tested, by every way of training. Scores, their differences to training on the same real people
alone, and the number of people at which real training reaches synthetic training are computed anew in each round. So
an interval says how far a value depends on who is tested, with the draws as they are; how far it depends on whom one
trains on is the standard deviation over draws.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from miex.errors import InputError
from miex.evaluation.evaluate import Cell, Evaluation
from miex.evaluation.folds import Persons, drawn_people, persons, training_on
from miex.evaluation.significance import Interval, holm, interval, mean_scores, resamples
from miex.executors.machine import Machine
from miex.experiments.modes import Fit, Mode
from miex.experiments.study import Line
from miex.recognition.method import method_class
from miex.recognition.recipe import Recipe
from miex.recognition.view import View

COUNTS: Final = (2, 4, 8, 16, 24)
DRAWS = 10
SEEDS = 3
REAL, SYNTHETIC = "real alone", "synthetic alone"
WAYS: Final[dict[str, Mode]] = {
    REAL: "real", SYNTHETIC: "direct", "fine-tuned": "fine-tune", "both together": "joint",
}  # fmt: skip
_TESTED = 1 / 3  # of the people at least are tested by the usual counts


@dataclass(frozen=True, order=True)
class At:
    """A point of a curve: the view that is tested, how many real people are drawn, the way of training."""

    view: str
    people: int
    way: str


@dataclass(frozen=True, eq=False)
class Point:
    """The score at a point.

    Attributes:
        at: the point.
        draws: UF1 of each draw.
        interval: mean UF1 over draws, 95 % by a bootstrap over the people tested.
        against: difference of mean UF1 to training on the same real people alone, likewise, with its p; None for that
            training itself.
        corrected: this p, corrected for the comparisons of the view (Holm).
        trained, tested: clips of the people drawn, and of all others, as means over draws.
        refused, unchecked: training rows that the leak guard dropped, and that it could not judge; at most in one run.
    """

    at: At
    draws: Sequence[float]
    interval: Interval
    against: Interval | None
    corrected: float | None
    trained: float
    tested: float
    refused: int
    unchecked: int

    @property
    def std(self) -> float:
        """Standard deviation over draws (ddof 0)."""
        return float(np.std(self.draws))

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            **vars(self.at), "uf1": self.interval.value, "uf1_std": self.std, "draws": list(self.draws),
            "uf1_95": [self.interval.low, self.interval.high],
            "against_real": None if self.against is None else vars(self.against), "p_holm": self.corrected,
            "clips_trained": self.trained, "clips_tested": self.tested, "refused": self.refused,
            "unchecked": self.unchecked,
        }  # fmt: skip


@dataclass(frozen=True)
class InPeople:
    """How many real people a set is worth: with so many, training on real clips alone equals it.

    Attributes:
        view: what is tested.
        people, low, high: the number, and its 95 % interval by the same bootstrap as the scores; 0 if real clips of
            the smallest number of people drawn reach it already, infinite if those of the largest do not.
        least, most: these two.
    """

    view: str
    people: float
    low: float
    high: float
    least: int
    most: int

    def said(self, people: float) -> str:
        """One of the three numbers as text."""
        if people == 0:
            return f"{self.least} or fewer"
        return f"more than {self.most}" if people == np.inf else f"{people:.1f}"

    def plain(self) -> dict[str, Any]:
        """As JSON values; a number beyond those that were drawn is text."""
        numbers = {"people": self.people, "low": self.low, "high": self.high}
        return {
            "view": self.view,
            **{name: one if 0 < one < np.inf else self.said(one) for name, one in numbers.items()},
        }


def usual_counts(people: int) -> list[int]:
    """The numbers of people to train on where none are chosen: those of COUNTS that leave a third to be tested."""
    return [count for count in COUNTS if count <= people * (1 - _TESTED)]


def lines(
    sets: Sequence[View], real: Mapping[str, View], recipe: Recipe, *, counts: Sequence[int], draws: int = DRAWS,
    tuning: Recipe | None = None, seeds: int = SEEDS, seed: int = 0, models: Path | None = None,
    accept_unknown: bool = False, independent: Collection[str] = (),
    faces: Mapping[str, tuple[str, str | None]] | None = None, machine: Machine | None = None,
) -> dict[At, Line]:  # fmt: skip
    """The lines of the study. All ways of training, on all views, have the same draws, sets and seeds.

    Args:
        sets: synthetic samples, one entry per generation seed; draw i has the one at i modulo their number.
        real: real samples by view: the same people, as several groups extracted their clips.
        recipe: how to train.
        counts: numbers of people to train on, ascending.
        draws: how many draws of people.
        tuning: recipe of the fine-tuning; None: `recipe`.
        seeds: of training; draw i has seed i modulo this. Synthetic samples alone are trained on once per seed and set.
        seed: of the draws of people.
        models: folder that keeps what is trained on synthetic samples alone.
        accept_unknown, independent, faces: see `evaluation.evaluate.Cell`.
        machine: where networks run.

    Raises:
        InputError: views have other people, or a sample does not say who is in it.
        UsageError: a count leaves nobody to be tested.
    """
    who = {
        name: persons(view.rows["corpus"].to_pylist(), view.rows["subject"].to_pylist()) for name, view in real.items()
    }
    first = next(iter(who))
    for name, of in who.items():
        if odd := set(of.tolist()) ^ set(who[first].tolist()):
            raise InputError(
                f"`real` {name}", expected=f"the people of {first or 'the other view'}, so that draws are the same",
                found=f"{len(odd)} who are in one of the two, such as {min(odd)}", do="leave their clips out",
            )  # fmt: skip
    orders = drawn_people(who[first], real[first].labels, draws, least=counts[0], seed=seed)
    ways = {
        way: mode for way, mode in WAYS.items() if mode != "fine-tune" or method_class(recipe.recognizer).fine_tunes
    }
    found = {}
    for name, view in real.items():
        for count in counts:
            folds = [training_on(who[name], order[:count], f"draw {i}") for i, order in enumerate(orders)]
            for way, mode in ways.items():
                title, cells = ", ".join(filter(None, (name, way, f"{count} people"))), []
                group: Sequence[View | None] = [None] if mode == "real" else sets
                for k, other in enumerate(group[:draws]):
                    last = tuning or recipe if mode == "fine-tune" else recipe
                    fit = Fit(mode, view, last, other, recipe, models=models, machine=machine or Machine())
                    cell = fit.cell(
                        title, folds[k :: len(group)], accept_unknown=accept_unknown, independent=independent,
                        faces=faces,
                    )  # fmt: skip
                    chosen = [i % seeds for i in range(draws)][k :: len(group)]
                    cells.append(replace(cell, seeds=chosen))
                found[At(name, count, way)] = Line(title, name, cells)
    return found


def points(planned: Mapping[At, Line], found: Sequence[Evaluation]) -> tuple[list[Point], list[InPeople]]:
    """The curves of all views, and what the set is worth on each, from the runs of the lines in their order."""
    made: list[Point] = []
    worths = []
    runs = dict(zip(planned, found, strict=True))
    for view in dict.fromkeys(at.view for at in planned):
        own = {at: one for at, one in runs.items() if at.view == view}
        people = _people(planned[next(iter(own))].cells[0])
        weights = resamples(len(people))
        scores = {at: mean_scores(one.subject_counts(people=people), weights) for at, one in own.items()}
        against = {
            at: interval(values - scores[replace(at, way=REAL)], len(people))
            for at, values in scores.items() if at.way != REAL
        }  # fmt: skip
        corrected = dict(zip(against, holm([one.p or 0.0 for one in against.values()]), strict=True))
        for at, one in own.items():
            folds = [fold for cell in planned[at].cells for part in cell.folds for fold in part.folds]
            made.append(Point(
                at, _in_order([s.uf1 for s in one.scores()], len(planned[at].cells)), interval(scores[at]),
                against.get(at), corrected.get(at), float(np.mean([len(fold.train) for fold in folds])),
                float(np.mean([len(fold.test) for fold in folds])), one.fact("refused"), one.fact("unchecked"),
            ))  # fmt: skip
        counts = sorted({at.people for at in own})
        gaps = np.stack([scores[At(view, n, REAL)] - scores[At(view, n, SYNTHETIC)] for n in counts])
        reached = crossing(counts, gaps)
        low, high = np.quantile(reached[1:], [0.025, 0.975], method="nearest")
        worths.append(InPeople(view, float(reached[0]), float(low), float(high), counts[0], counts[-1]))
    return made, worths


def crossing(counts: Sequence[int], gaps: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """At how many people a gap first reaches 0, linear in log2 of their number between two that were measured.

    Args:
        counts: numbers of people [n], ascending.
        gaps: of each the score of real training minus that of synthetic training, float64 [n, m]; columns with NaN are
            left out.

    Returns:
        float64 [up to m]: 0 where the gap is not below 0 at the first number, infinite where it is at all of them.
    """
    gaps = gaps[:, ~np.isnan(gaps).any(0)]
    reached = gaps >= 0
    i, column = reached.argmax(0), np.arange(gaps.shape[1])
    before, after = gaps[np.maximum(i - 1, 0), column], gaps[i, column]
    x = np.log2(counts)
    share = np.divide(-before, after - before, out=np.zeros_like(after), where=after > before)
    people = 2.0 ** (x[np.maximum(i - 1, 0)] + share * (x[i] - x[np.maximum(i - 1, 0)]))
    people[i == 0] = 0
    people[~reached.any(0)] = np.inf
    return np.asarray(people)


def _people(cell: Cell) -> list[str]:
    """Everybody in the real samples, sorted; as `folds.persons` names them."""
    of: Persons = persons(cell.test["corpus"].to_pylist(), cell.test["subject"].to_pylist())
    return sorted(set(of.tolist()))


def _in_order(values: Sequence[float], cells: int) -> list[float]:
    """Values of the draws in the order of the draws, of which each cell has every so many."""
    order = np.argsort(np.concatenate([np.arange(len(values))[k::cells] for k in range(cells)]), kind="stable")
    return [values[i] for i in order]
