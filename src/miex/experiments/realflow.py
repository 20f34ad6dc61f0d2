"""`miex experiment realflow`: what a flow recognizer trained on synthetic sets reads of real micro-expressions.

The real maps (309 clips of CASME II and SMIC, as two groups extracted them: two views) are lent for evaluation; nothing
of them is kept but predictions, in the caller's own store. References stand beside every result: a rule without
training, hand-made bumps, shuffled labels, real maps of the other corpus and of the other view (a number on one view
is partly a number of matching its crop), and the real maps themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from miex.errors import InputError, UsageError
from miex.evaluation.evaluate import Evaluation
from miex.evaluation.folds import Protocol, k_fold, leave_one_corpus_out, leave_one_subject_out, persons
from miex.evaluation.metrics import confusion, score
from miex.evaluation.results import Results
from miex.evaluation.significance import Interval, bootstrap, by_subject, holm, paired
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.executors.machine import Machine
from miex.experiments.modes import Fit, Mode
from miex.experiments.references import shuffled, sign_rule, toy_examples
from miex.experiments.study import Line, Study
from miex.recognition.examples import Examples, input_cache
from miex.recognition.flow_file import read_flow
from miex.recognition.inputs.flow import FlowMaps
from miex.recognition.recipe import Recipe, load_recipe
from miex.recognition.view import View
from miex.tables.table import Columns, read_table

VIEWS = {"first": "casme2-smic.npz", "second": "casme2-smic-second-view.npz"}
SPLIT = "split.csv"
_SPLIT = ("dataset", "subject", "half")
SEEDS = 3
SHUFFLES = 9
RULE, ALONE = "sign rule, no training", "real only"


@dataclass(frozen=True, eq=False)
class RealMaps:
    """The lent maps, as one group extracted them.

    Attributes:
        view: first or second.
        examples: the maps, with corpus and subject.
        half: choose or report, per example: settings are chosen on one, reported on the other.
    """

    view: str
    examples: Examples
    half: npt.NDArray[np.str_]

    @cached_property
    def parts(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Which examples are in each part of a table: all, both halves, each corpus."""
        corpus = np.asarray(self.examples.rows["corpus"].to_pylist())
        return {
            "all": np.ones(len(corpus), bool),
            **{half: self.half == half for half in ("choose", "report")},
            **{name: corpus == name for name in sorted(set(corpus.tolist()))},
        }


def read_real(folder: Path) -> list[RealMaps]:
    """The views that are in a folder of lent maps: the first, and the second where it is there.

    Raises:
        InputError: they are not there, a subject is in no half, or the views are not of the same clips in one order.
    """
    if not (folder / VIEWS["first"]).is_file() or not (folder / SPLIT).is_file():
        raise InputError(
            f"real flow maps {folder}", expected=f"{VIEWS['first']} and {SPLIT}", found="not both",
            do="name their folder, `real`; they are lent for evaluation and do not come with miex",
        )  # fmt: skip
    rows = read_table(folder / SPLIT, Columns({name: (name,) for name in _SPLIT}, needed=_SPLIT), "halves")
    half = {(row.text("dataset"), row.text("subject")): row.text("half") for row in rows}
    found: list[RealMaps] = []
    for view, name in VIEWS.items():
        if not (folder / name).is_file():
            continue
        examples = read_flow(folder / name)
        who = list(zip(examples.rows["corpus"].to_pylist(), examples.rows["subject"].to_pylist(), strict=True))
        if missing := [person for person in who if person not in half]:
            raise InputError(f"halves {folder / SPLIT}", expected="every subject", found=f"no {missing[0]}")
        if found and not examples.rows.equals(found[0].examples.rows):
            raise InputError(f"real flow maps {folder / name}", expected=f"the clips of {VIEWS['first']} in its order")
        found.append(RealMaps(view, examples, np.array([half[person] for person in who], np.str_)))
    return found


@dataclass(frozen=True)
class Part:
    """Scores of one part: mean and standard deviation (ddof 0) over runs, and how many samples."""

    n: int
    uf1: float
    uf1_std: float
    uar: float
    uar_std: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Row:
    """One line of the table.

    Attributes:
        name, protocol: what was trained, and how it was tested.
        view: the view that was tested, first or second.
        runs: training seeds × sets.
        parts: scores of all, choose, report, and each corpus.
        interval: bootstrap over subjects of UF1 on all.
        confusion: counts of all runs, rows the truth.
        fold_mean: mean UF1, UAR and accuracy over folds; None where there is one fold.
        refused, unchecked: training rows that the leak guard dropped; that it could not judge.
        subjects: counts of each run and subject.
        fold_uf1: UF1 of each run's folds.
        against: difference of UF1 to training on real maps alone: bootstrap over subjects, with p corrected for the
            comparisons of the view and the folds; None where there is nothing to compare.
        paired_p: of the same difference by the paired test over seeds × folds, corrected likewise; None for folds of
            one subject, whose scores say little.
    """

    name: str
    protocol: str
    view: str
    runs: int
    parts: Mapping[str, Part]
    interval: Interval
    confusion: npt.NDArray[np.int64]
    fold_mean: tuple[float, float, float] | None
    refused: int
    unchecked: int
    subjects: Sequence[npt.NDArray[np.int64]]
    fold_uf1: Sequence[Sequence[float]]
    against: Interval | None = None
    paired_p: float | None = None

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "name": self.name, "protocol": self.protocol, "view": self.view, "runs": self.runs,
            "parts": {name: vars(part) for name, part in self.parts.items()}, "interval": vars(self.interval),
            "confusion": self.confusion.tolist(), "fold_mean": self.fold_mean, "refused": self.refused,
            "unchecked": self.unchecked, "against_real": None if self.against is None else vars(self.against),
            "paired_p": self.paired_p,
        }  # fmt: skip


def realflow(
    sets: Mapping[str, Sequence[Examples]],
    real: Sequence[RealMaps],
    store: Path,
    *,
    modes: Sequence[Mode] = ("direct", "fine-tune", "joint", "real"),
    protocols: Sequence[str] = ("3-fold",),
    recipe: Recipe | None = None,
    seeds: int = SEEDS,
    references: bool = True,
    faces: Mapping[str, tuple[str, str | None]] | None = None,
    machine: Machine | None = None,
    executor: Executor = IN_PROCESS,
    progress: Callable[[str], Progress] = lambda name: silent,
    before: Callable[[Study], bool] = lambda study: True,
) -> list[Row]:
    """The table of the experiment, each line on every view. Only runs that the store lacks are made.

    Args:
        sets: name of a setting → examples of it, one entry per generation seed.
        real: the lent maps, each view of them.
        store: folder of runs and shared models.
        modes: ways of training on each setting; `real` is made once.
        protocols: "3-fold" (subject-wise; other folds for each seed), "loso", "loco".
        recipe: by default `fixed`.
        seeds: training seeds.
        references: also the sign rule, the bumps, the shuffled labels, real maps of the other corpus and view.
        faces: who is in the photos of the sets, see `leakage.allowed`.
        machine: where nets run.
        executor: where the work is done.
        progress: called with a stage's name, gives its progress.
        before: called with the study before anything is trained; if it says no, nothing is, and no row comes out.

    Raises:
        UsageError: no such protocol.
        InputError: a set that cannot be read, a damaged run.
        OutputError: the store cannot be written.
    """
    recipe = recipe or load_recipe("fixed")
    machine = machine or Machine()
    see = partial(Examples.through, takes=recipe.takes, executor=executor)
    with TemporaryDirectory(prefix="miex-") as scratch:  # the lent maps do not stay in the cache
        tested = {maps.view: see(maps.examples, cache=Path(scratch)) for maps in real}
        views = {
            name: [see(one, cache=input_cache(), progress=progress(f"examples of {name}")) for one in group]
            for name, group in sets.items()
        }
        table = _Table(tested, store, recipe, seeds, machine, faces or {})
        lines: list[Line] = []
        if references:
            toy = see(toy_examples(), cache=input_cache())
            lines += table.lines("3,000 bumps, direct", "direct", "3-fold", [toy])
            first = next(iter(views.values()))[0] if views else toy
            # one shuffle alone is a throw of dice: what a net makes of noise is one direction, which fits or does not
            dice = [shuffled(first, i) for i in range(SHUFFLES)]
            lines += replace(table, seeds=1).lines("shuffled labels, direct", "direct", "3-fold", dice)
            lines += table.lines("real maps of the other corpus", "real", "loco", [None])
            lines += table.other_view()
        ways = [(f"{name}, {mode}", mode, group) for name, group in views.items() for mode in modes if mode != "real"]
        for protocol in protocols:
            if "real" in modes:
                lines += table.lines(ALONE, "real", protocol, [None])
            for name, mode, group in ways:
                lines += table.lines(name, mode, protocol, group)
        study = Study(lines, Results(store), machine)
        if not before(study):
            return []
        maps = {one.view: one for one in real}
        rows = [
            _row(found, maps[line.tested])
            for line, found in zip(lines, study.run(executor=executor, progress=progress("runs")), strict=True)
        ]
        if references:
            rows = [_rule(one, one.examples.through(FlowMaps(), Path(scratch))) for one in real] + rows
    return _compared(rows, {name for name, _, _ in ways})


@dataclass(frozen=True, eq=False)
class Choice:
    """Alternatives tried on one half of the subjects, and the chosen one on the other.

    Attributes:
        choose: name of each setting → its UF1 on the half `choose`, mean over runs and views.
        best: the setting with the highest.
        report: its rows, one for each view; only their part `report` was not looked at when it was chosen.
    """

    choose: Mapping[str, float]
    best: str
    report: Sequence[Row]


def choose(recipes: Sequence[Recipe], run: Callable[[Recipe], Sequence[Row]]) -> Choice:
    """Run each recipe, choose by UF1 on `choose`. What is quoted is `report` of the chosen one, with their number.

    Args:
        recipes: the alternatives.
        run: gives the rows of one line, one for each view.
    """
    rows = {recipe.name: run(recipe) for recipe in recipes}
    found = {name: float(np.mean([row.parts["choose"].uf1 for row in views])) for name, views in rows.items()}
    best = max(found, key=lambda name: found[name])
    return Choice(found, best, rows[best])


@dataclass(frozen=True, eq=False)
class _Table:
    """Makes the lines of the table, each for every view."""

    tested: Mapping[str, View]
    store: Path
    recipe: Recipe
    seeds: int
    machine: Machine
    faces: Mapping[str, tuple[str, str | None]]

    def lines(self, name: str, mode: Mode, protocol: str, views: Sequence[View | None]) -> list[Line]:
        made = []
        for view, real in self.tested.items():
            folds, cells = _folds(protocol, real, self.seeds), []
            for i, other in enumerate(views):
                fit = Fit(mode, real, self.recipe, other, models=self.store / "models", machine=self.machine)
                label = name + (f" ({i + 1}/{len(views)})" if len(views) > 1 else "")
                cells.append(fit.cell(f"{label}, {view} view", folds, faces=self.faces, experiment="realflow"))
            made.append(Line(name, view, cells))
        return made

    def other_view(self) -> list[Line]:
        """Trained on the other view of the same clips; the leak guard leaves out whoever is tested."""
        made = []
        for view, real in self.tested.items():
            for name, other in self.tested.items():
                if name != view:
                    # models are not kept: they would be all that is left of the lent maps
                    fit = Fit("direct", real, self.recipe, other, machine=self.machine)
                    cell = fit.cell(
                        f"real maps of the {name} view, {view} view", _folds("3-fold", real, self.seeds),
                        experiment="realflow",
                    )  # fmt: skip
                    made.append(Line("real maps of the other view", view, [cell]))
        return made


def _folds(protocol: str, real: View, seeds: int) -> list[Protocol]:
    of = persons(real.rows["corpus"].to_pylist(), real.rows["subject"].to_pylist())
    if protocol == "loso":
        return [leave_one_subject_out(of)] * seeds
    if protocol == "loco":
        return [leave_one_corpus_out(of)] * seeds
    if protocol == "3-fold":
        return [k_fold(of, 3, seed) for seed in range(seeds)]
    raise UsageError(f"protocol {protocol!r}", expected="3-fold, loso or loco")


def _row(found: Evaluation, real: RealMaps) -> Row:
    ids = real.examples.rows["sample_id"].to_pylist()
    parts = {}
    for name, mask in real.parts.items():
        scores = found.scores(only=dict(zip(ids, mask.tolist(), strict=True)))
        uf1, uar, accuracy = ([getattr(s, key) for s in scores] for key in ("uf1", "uar", "accuracy"))
        parts[name] = Part(int(mask.sum()), *_spread(uf1), *_spread(uar), float(np.mean(accuracy)))
    subjects = found.subject_counts()
    means = tuple(float(np.mean(values)) for values in zip(*found.fold_means(), strict=True))
    return Row(
        found.name, found.protocol.lower(), real.view, len(found.repeats), parts, bootstrap(subjects),
        np.sum([s.confusion for s in found.scores()], axis=0), (means[0], means[1], means[2]),
        found.fact("refused"), found.fact("unchecked"), subjects,
        [[score(counts).uf1 for counts in folds] for folds in found.fold_counts()],
    )  # fmt: skip


def _rule(real: RealMaps, view: View) -> Row:
    y, p = view.labels, sign_rule(view)
    parts = {}
    for name, mask in real.parts.items():
        one = score(confusion(y[mask], p[mask], 3))
        parts[name] = Part(one.n, one.uf1, 0.0, one.uar, 0.0, one.accuracy)
    subjects = [by_subject(y, p, view.people, 3)]
    return Row(RULE, "–", real.view, 1, parts, bootstrap(subjects), confusion(y, p, 3), None, 0, 0, subjects, [])


def _compared(rows: Sequence[Row], names: Collection[str]) -> list[Row]:
    """The rows; those of these names with their difference to training on real maps alone, of their view and folds.

    p values are corrected for their number (Holm).
    """
    changed: dict[int, Row] = {}
    for alone in (row for row in rows if row.name == ALONE):
        where = alone.view, alone.protocol
        same = [i for i, row in enumerate(rows) if row.name in names and (row.view, row.protocol) == where]
        found = [bootstrap(rows[i].subjects, alone.subjects) for i in same]
        corrected = holm([one.p or 0.0 for one in found])
        tests: list[float | None] = [None] * len(same)
        if alone.protocol != "loso" and same:
            # one value per seed and fold: sets are averaged, for all of them meet the same runs on real maps
            base = np.asarray(alone.fold_uf1)
            means = [np.asarray(rows[i].fold_uf1).reshape(-1, *base.shape).mean(0) for i in same]
            share = 1 / (base.shape[1] - 1)
            tests = [*holm([paired(base.ravel(), mean.ravel(), test_share=share).p for mean in means])]
        for i, one, p, test in zip(same, found, corrected, tests, strict=True):
            changed[i] = replace(rows[i], against=replace(one, p=p), paired_p=test)
    return [changed.get(i, row) for i, row in enumerate(rows)]


def _spread(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values))
