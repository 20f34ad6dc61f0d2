"""`miex experiment realflow`: what a flow recognizer trained on synthetic sets reads of real micro-expressions.

The real maps (309, of CASME II and SMIC) are lent for evaluation; nothing of them is kept but predictions, in the
caller's own store. References stand beside every result: a rule without training, hand-made bumps, shuffled labels,
real maps of the other corpus (which know no more of a corpus than synthetic ones do), and the real maps themselves.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from miex.errors import InputError, UsageError
from miex.evaluation.folds import Protocol, k_fold, leave_one_corpus_out, leave_one_subject_out, persons
from miex.evaluation.metrics import confusion, score
from miex.evaluation.protocol import Evaluation, evaluate
from miex.evaluation.results import Results
from miex.evaluation.significance import Interval, bootstrap, by_subject, holm, paired
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.experiments.fit import Fit, Mode
from miex.experiments.toy import toy_examples
from miex.recognition.examples import Examples, input_cache
from miex.recognition.flow_file import read_flow
from miex.recognition.inputs.flow import FlowMaps
from miex.recognition.machine import Machine
from miex.recognition.recipe import Recipe, load_recipe
from miex.recognition.recognizer import prepared
from miex.recognition.view import View
from miex.stable import stable_hash

FLOW, SPLIT = "casme2-smic.npz", "split.csv"
SEEDS = 3
SHUFFLES = 9
BROWS, CORNERS = (slice(2, 8), slice(5, 23)), (slice(18, 23), (slice(4, 11), slice(17, 24)))


@dataclass(frozen=True, eq=False)
class RealMaps:
    """The lent maps.

    Attributes:
        examples: the maps, with corpus and subject.
        half: choose or report, per example: settings are chosen on one, reported on the other.
    """

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


def read_real(folder: Path) -> RealMaps:
    """The lent maps of a folder.

    Raises:
        InputError: they are not there, or a subject is in no half.
    """
    if not (folder / FLOW).is_file() or not (folder / SPLIT).is_file():
        raise InputError(
            f"real flow maps {folder}", expected=f"{FLOW} and {SPLIT}", found="not both",
            do="name their folder, `real`; they are lent for evaluation and do not come with miex",
        )  # fmt: skip
    examples = read_flow(folder / FLOW)
    with (folder / SPLIT).open(encoding="utf-8", newline="") as file:
        half = {(row["dataset"], row["subject"]): row["half"] for row in csv.DictReader(file)}
    who = list(zip(examples.rows["corpus"].to_pylist(), examples.rows["subject"].to_pylist(), strict=True))
    if missing := [person for person in who if person not in half]:
        raise InputError(f"halves {folder / SPLIT}", expected="every subject", found=f"no {missing[0]}")
    return RealMaps(examples, np.array([half[person] for person in who], np.str_))


def sign_rule(view: View) -> npt.NDArray[np.int64]:
    """No training: brows up → surprise; mouth corners up → positive; else negative. Classes int64 [n].

    Up is v below the median of the map; what counts as up was fixed with the maps' own description.
    """
    v = prepared(view.batch(), FlowMaps())[:, 1].numpy()
    brow = v[:, *BROWS].mean((1, 2))
    corner = np.mean([v[:, CORNERS[0], side].mean((1, 2)) for side in CORNERS[1]], axis=0)
    positive = (corner < -0.35) & (brow > -0.35)
    return np.where((brow < 0) & (brow < corner), 2, np.where(positive, 1, 0)).astype(np.int64)


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
        runs: training seeds × sets.
        parts: scores of all, choose, report, and each corpus.
        interval: bootstrap over subjects of UF1 on all.
        confusion: counts of all runs, rows the truth.
        fold_mean: mean UF1, UAR and accuracy over folds; None where there is one fold.
        refused, unchecked: training rows that the leak guard dropped; that it could not judge.
        subjects: counts of each run and subject.
        fold_uf1: UF1 of each run's folds.
        against: difference of UF1 to training on real maps alone: bootstrap over subjects, with p corrected for the
            comparisons of the table; None where there is nothing to compare.
        paired_p: of the same difference by the paired test over seeds × folds, corrected likewise; None for folds of
            one subject, whose scores say little.
    """

    name: str
    protocol: str
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
            "name": self.name, "protocol": self.protocol, "runs": self.runs,
            "parts": {name: vars(part) for name, part in self.parts.items()}, "interval": vars(self.interval),
            "confusion": self.confusion.tolist(), "fold_mean": self.fold_mean, "refused": self.refused,
            "unchecked": self.unchecked, "against_real": None if self.against is None else vars(self.against),
            "paired_p": self.paired_p,
        }  # fmt: skip


def realflow(
    sets: Mapping[str, Sequence[Examples]],
    real: RealMaps,
    store: Path,
    *,
    modes: Sequence[Mode] = ("direct", "fine-tune", "joint", "real"),
    protocols: Sequence[str] = ("3-fold",),
    recipe: Recipe | None = None,
    seeds: int = SEEDS,
    references: bool = True,
    machine: Machine | None = None,
    executor: Executor = IN_PROCESS,
    progress: Callable[[str], Progress] = lambda name: silent,
) -> list[Row]:
    """The table of the experiment. Only runs that the store lacks are made.

    Args:
        sets: name of a setting → examples of it, one entry per generation seed.
        real: the lent maps.
        store: folder of runs and shared models.
        modes: ways of training on each setting; `real` is made once.
        protocols: "3-fold" (subject-wise; other folds for each seed), "loso", "loco".
        recipe: by default `fixed`.
        seeds: training seeds.
        references: also the sign rule, the bumps, the shuffled labels, and real maps of the other corpus.
        machine: where nets run.
        executor: where the work is done.
        progress: called with a line's name, gives the progress of its runs.
    """
    recipe = recipe or load_recipe("fixed")
    machine = machine or Machine()
    see = partial(Examples.through, takes=recipe.takes, executor=executor)
    with TemporaryDirectory(prefix="miex-") as scratch:  # the lent maps do not stay in the cache
        tested = see(real.examples, cache=Path(scratch))
        views = {
            name: [see(one, cache=input_cache(), progress=progress(f"examples of {name}")) for one in group]
            for name, group in sets.items()
        }
        runner = _Runner(real, tested, store, recipe, seeds, machine, executor, progress)
        rows = []
        if references:
            rows.append(_rule(real, real.examples.through(FlowMaps(), Path(scratch))))
            toy = see(toy_examples(), cache=input_cache())
            rows.append(runner.row("3,000 bumps, direct", "direct", "3-fold", [toy]))
            first = next(iter(views.values()))[0] if views else toy
            # one shuffle alone is a throw of dice: what a net makes of noise is one direction, which fits or does not
            shuffled = [_shuffled(first, i) for i in range(SHUFFLES)]
            rows.append(replace(runner, seeds=1).row("shuffled labels, direct", "direct", "3-fold", shuffled))
            rows.append(runner.row("real maps of the other corpus", "real", "loco", [None]))
        for protocol in protocols:
            alone = runner.row("real only", "real", protocol, [None]) if "real" in modes else None
            made = [
                runner.row(f"{name}, {mode}", mode, protocol, group)
                for name, group in views.items()
                for mode in modes
                if mode != "real"
            ]
            rows += ([alone] if alone else []) + (_compared(made, alone) if alone else made)
    return rows


@dataclass(frozen=True, eq=False)
class Choice:
    """Alternatives tried on one half of the subjects, and the chosen one on the other.

    Attributes:
        choose: name of each setting → its UF1 on the half `choose`, mean over runs.
        best: the setting with the highest.
        report: its row; only its part `report` was not looked at when it was chosen.
    """

    choose: Mapping[str, float]
    best: str
    report: Row


def choose(recipes: Sequence[Recipe], run: Callable[[Recipe], Row]) -> Choice:
    """Run each recipe, choose by UF1 on `choose`. What is quoted is `report` of the chosen one, with their number."""
    rows = {recipe.name: run(recipe) for recipe in recipes}
    found = {name: row.parts["choose"].uf1 for name, row in rows.items()}
    best = max(found, key=lambda name: found[name])
    return Choice(found, best, rows[best])


@dataclass(frozen=True, eq=False)
class _Runner:
    real: RealMaps
    tested: View
    store: Path
    recipe: Recipe
    seeds: int
    machine: Machine
    executor: Executor
    progress: Callable[[str], Progress]

    def row(self, name: str, mode: Mode, protocol: str, views: Sequence[View | None]) -> Row:
        folds = self._folds(protocol)
        found = []
        for i, other in enumerate(views):
            fit = Fit(mode, self.tested, self.recipe, other, models=self.store / "models", machine=self.machine)
            label = name + (f" ({i + 1}/{len(views)})" if len(views) > 1 else "")
            found.append(
                evaluate(
                    label,
                    self.tested.rows,
                    folds,
                    fit,
                    what={"experiment": "realflow", **fit.what},
                    store=Results(self.store),
                    classes=len(self.tested.label_names),
                    extra=None if other is None else other.rows,
                    train_on_folds=fit.uses_folds,
                    accept_unknown=True,
                    executor=self.executor,
                    progress=self.progress(f"{label}, {protocol}"),
                )
            )
        together = replace(found[0], name=name, repeats=[runs for one in found for runs in one.repeats])
        return _row(together, self.real, protocol)

    def _folds(self, protocol: str) -> list[Protocol]:
        rows = self.tested.rows
        of = persons(rows["corpus"].to_pylist(), rows["subject"].to_pylist())
        if protocol == "loso":
            return [leave_one_subject_out(of)] * self.seeds
        if protocol == "loco":
            return [leave_one_corpus_out(of)] * self.seeds
        if protocol == "3-fold":
            return [k_fold(of, 3, seed) for seed in range(self.seeds)]
        raise UsageError(f"protocol {protocol!r}", expected="3-fold, loso or loco")


def _row(found: Evaluation, real: RealMaps, protocol: str) -> Row:
    ids = real.examples.rows["sample_id"].to_pylist()
    parts = {}
    for name, mask in real.parts.items():
        scores = found.scores(only=dict(zip(ids, mask.tolist(), strict=True)))
        uf1, uar, accuracy = ([getattr(s, key) for s in scores] for key in ("uf1", "uar", "accuracy"))
        parts[name] = Part(int(mask.sum()), *_spread(uf1), *_spread(uar), float(np.mean(accuracy)))
    subjects = found.subject_counts()
    means = tuple(float(np.mean(values)) for values in zip(*found.fold_means(), strict=True))
    return Row(
        found.name, protocol, len(found.repeats), parts, bootstrap(subjects),
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
    return Row(
        "sign rule, no training", "–", 1, parts, bootstrap(subjects), confusion(y, p, 3), None, 0, 0, subjects, []
    )


def _compared(rows: list[Row], alone: Row) -> list[Row]:
    """Differences to training on real maps alone, with p values corrected for their number (Holm)."""
    found = [bootstrap(row.subjects, alone.subjects) for row in rows]
    corrected = holm([one.p or 0.0 for one in found])
    folds = len(alone.fold_uf1[0])
    tests: list[float | None] = [None] * len(rows)
    if alone.protocol != "loso":
        # one value per seed and fold: sets are averaged, for all of them meet the same runs on real maps
        base = np.asarray(alone.fold_uf1)
        means = [np.asarray(row.fold_uf1).reshape(-1, *base.shape).mean(0) for row in rows]
        tests = [*holm([paired(base.ravel(), mean.ravel(), test_share=1 / (folds - 1)).p for mean in means])]
    return [
        replace(row, against=replace(one, p=p), paired_p=test)
        for row, one, p, test in zip(rows, found, corrected, tests, strict=True)
    ]


def _shuffled(view: View, seed: int) -> View:
    order = np.random.Generator(np.random.PCG64(stable_hash("shuffled", seed))).permutation(len(view))
    return view.labelled(view.labels[order])


def _spread(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values))
