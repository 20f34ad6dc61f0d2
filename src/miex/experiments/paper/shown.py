"""Ours beside the paper's: tables with the paper's columns, and bars with stars between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from miex.evaluation.evaluate import Evaluation
from miex.evaluation.significance import holm, paired
from miex.experiments.paper.declared import Experiment, Row
from miex.experiments.paper.printed import Printed, printed, text_of
from miex.experiments.present import Bars, Entry, Table, Value

NAMES = {"uf1": "UF1", "uar": "UAR", "accuracy": "accuracy"}
PLACE = {"uf1": 0, "uar": 1, "accuracy": 2}  # in `Evaluation.fold_means`
HOW = (
    "In %, mean ± std (ddof 0) over repeats. Fold mean: the average over the folds' tests, as the paper says; pooled: "
    "counts of all folds, as in MEGC 2019. Last epoch, but for best_on_test: the epoch that the test part likes best, "
    "for reference only. Refused: training rows that the leak guard left out, at most in a run."
)
STARS = (
    "Stars: n.s. p > 0.05, * p > 0.01, ** p > 0.001, *** below, by a corrected paired t-test of fold scores over "
    "repeats × folds (Nadeau & Bengio 2003), after Holm; the paper does not name its test in its main text."
)


@dataclass(frozen=True, eq=False)
class Found:
    """A line with its runs.

    Attributes:
        row: the line.
        folds: name of its folds.
        size: number of examples that it is trained on beside the tested corpus, or of that corpus.
        runs: its runs.
    """

    row: Row
    folds: str
    size: int
    runs: Evaluation

    @property
    def by_subject(self) -> bool:
        """Whether each fold is one subject, whose scores alone say little."""
        return self.folds == "loso"

    def mean(self, score: str, epoch: str = "last") -> Value:
        """Mean over the folds' tests, in %."""
        return _percent([means[PLACE[score]] for means in self.runs.fold_means(epoch)])

    def pooled(self, score: str, epoch: str = "last") -> Value:
        """Of the counts of all folds, in %."""
        return _percent([getattr(one, score) for one in self.runs.scores(epoch)])

    def fold_scores(self, score: str) -> list[float]:
        """That of every fold of every repeat."""
        from miex.evaluation.metrics import score as scored

        return [float(getattr(scored(counts), score)) for folds in self.runs.fold_counts() for counts in folds]


@dataclass(frozen=True, eq=False)
class Shown:
    """A table or figure with its runs.

    Attributes:
        experiment: what was declared.
        title: its title, with all that is to be known of how it was made.
        lines: its lines.
    """

    experiment: Experiment
    title: str
    lines: Sequence[Found]

    def table(self) -> Table:
        """Ours beside the paper's."""
        lead = [name for name, of in self._leading.items() if len({of(one) for one in self.lines}) > 1 or name == _ON]
        columns, best = [*lead, "folds", "repeats"], any(one.row.best for one in self.lines)
        for score in self.experiment.scores:
            columns += [f"{NAMES[score]} {what}" for what in ("fold mean", "printed", "pooled")]
            columns += [f"{NAMES[score]} best_on_test"] if best else []
            columns += [f"{NAMES[score]} best printed"] if best and score == "accuracy" else []
        rows: list[list[Entry]] = []
        for one in self.lines:
            row: list[Entry] = [self._leading[name](one) for name in lead]
            row += [one.folds, len(one.runs.repeats)]
            for score in self.experiment.scores:
                how = one.pooled if one.by_subject else one.mean
                row += ["–" if one.by_subject else one.mean(score), self._printed(one, score), one.pooled(score)]
                row += [how(score, "best_on_test") if one.row.best else "–"] if best else []
                row += [self._printed(one, "best")] if best and score == "accuracy" else []
            rows.append([*row, one.runs.fact("refused")])
        columns += ["refused"]
        texts = [HOW, self.experiment.note, f"The paper: {text}" if (text := text_of(self.experiment.name)) else ""]
        return Table(self.title, columns, rows, " ".join(text for text in texts if text))

    def differences(self) -> Table | None:
        """The lines that are compared, with stars; None where none are."""
        rows: list[list[Entry]] = [
            [NAMES[score], panel, folds, a, b, value]
            for (score, panel, folds), found in self.compared.items() for a, b, value in found
        ]  # fmt: skip
        if not rows:
            return None
        columns = ["score", "varied", "folds", "from", "to", "difference, in %"]
        return Table(f"{self.title}: differences", columns, rows, STARS)

    def chart(self) -> Bars | None:
        """Bars, where the paper draws some."""
        kind = self.experiment.chart
        if not kind or not self.lines:
            return None
        panels: dict[str, dict[str, Value]] = {}
        published: dict[str, dict[str, Value]] = {}
        pairs: dict[str, list[tuple[str, str, float]]] = {}
        for one in self.lines:
            if kind == "sizes":
                panels.setdefault("samples", {})[_trained_on(one.row)] = Value(float(one.size), digits=0)
            for score in self.experiment.scores:
                panel = self._panel(one.row.panel, one.folds, score)
                name = _trained_on(one.row) if kind == "sizes" else one.row.name
                panels.setdefault(panel, {})[name] = one.pooled(score) if one.by_subject else one.mean(score)
                if isinstance(known := self._printed(one, score), Value):
                    published.setdefault(panel, {})[name] = known
        for (score, panel, folds), compared in self.compared.items():
            pairs[self._panel(panel, folds, score)] = [(a, b, value.p[0]) for a, b, value in compared]
        known = "; diamonds: printed by the paper" if published else ""
        repeated = ", ±\N{NO-BREAK SPACE}std over repeats" * any(len(one.runs.repeats) > 1 for one in self.lines)
        title = f"{self.title} (in\N{NO-BREAK SPACE}%{repeated}{known})"
        return Bars(title, panels, published, pairs, frozenset({"samples"}))

    @cached_property
    def compared(self) -> dict[tuple[str, str, str], list[tuple[str, str, Value]]]:
        """By score, panel and folds: two bars, and the second one's difference to the first, in %, with its p value."""
        found: dict[tuple[str, str, str], list[tuple[str, str, Value]]] = {}
        for folds in dict.fromkeys(one.folds for one in self.lines if not one.by_subject):
            lines = {(one.row.panel, one.row.name): one for one in self.lines if one.folds == folds}
            wanted = [(panel, a, b) for panel, a, b in self.experiment.pairs
                      if (panel, a) in lines and (panel, b) in lines]  # fmt: skip
            for score in self.experiment.scores:
                tests = []
                for panel, a, b in wanted:
                    one, two = lines[panel, a], lines[panel, b]
                    share = 1 / (len(one.runs.repeats[0]) - 1)
                    tests.append(paired(one.fold_scores(score), two.fold_scores(score), test_share=share))
                corrected = holm([test.p for test in tests])
                for (panel, a, b), test, p in zip(wanted, tests, corrected, strict=True):
                    value = Value(100 * test.difference, p=(p,), signed=True, digits=1)
                    found.setdefault((score, panel, folds), []).append((a, b, value))
        return found

    def plain(self) -> list[dict[str, Any]]:
        """The lines as JSON values; scores are fractions."""
        found = []
        for one in self.lines:
            row, epochs = one.row, ("last", "best_on_test") if one.row.best else ("last",)
            found.append({
                "row": row.name, "panel": row.panel, "recognizer": row.recognizer, "tested": row.tested.name,
                "folds": one.folds, "mode": row.mode, "size": one.size, "repeats": len(one.runs.repeats),
                "refused": one.runs.fact("refused"),
                **{epoch: {
                    "fold_mean": [dict(zip(PLACE, means, strict=True)) for means in one.runs.fold_means(epoch)],
                    "pooled": [{name: getattr(s, name) for name in PLACE} for s in one.runs.scores(epoch)],
                } for epoch in epochs},
                "printed": {name: value.numbers() for name, value in known.values.items()}
                if (known := self._known(row)) else {},
            })  # fmt: skip
        return found

    @property
    def _leading(self) -> dict[str, Any]:
        return {
            "tested on": lambda one: one.row.tested.name, "varied": lambda one: one.row.panel,
            _ON: lambda one: one.row.name,
            # names of lines may begin with it
            "recognizer": lambda one: "" if one.row.name.lower().startswith(one.row.recognizer) else one.row.recognizer,
            "samples": lambda one: one.size if self.experiment.chart == "sizes" else 0,
        }  # fmt: skip

    def _panel(self, panel: str, folds: str, score: str) -> str:
        several = len({one.folds for one in self.lines}) > 1
        return ", ".join(part for part in (panel, NAMES[score], folds if several else "") if part)

    def _known(self, row: Row) -> Printed | None:
        """What the paper prints for a row: of those that are told apart by nothing else, the only one."""
        name = "table1" if self.experiment.name == "fig1" else self.experiment.name
        for one in printed(name):
            same = one.row == row.name and one.panel == row.panel
            if same and one.recognizer in ("", row.recognizer) and one.tested in ("", row.tested.printed):
                return one
        return None

    def _printed(self, one: Found, score: str) -> Entry:
        known = self._known(one.row)
        if known is None or score not in known.values or one.by_subject:
            return "–"
        value = known.values[score]
        return Value(100 * (value.value or 0), None if value.std is None else 100 * value.std, digits=1)


_ON = "trained on"


def _trained_on(row: Row) -> str:
    return row.name.removesuffix(" → CompMiE").replace("–", "CompMiE alone")


def _percent(values: Sequence[float]) -> Value:
    scaled = 100 * np.asarray(values)
    return Value(float(scaled.mean()), float(scaled.std()) if len(scaled) > 1 else None, digits=1)
