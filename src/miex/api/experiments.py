"""Tables of the experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from miex.api.examples import examples, machine_of, need_training, recipe_of
from miex.api.tables import Table, spread
from miex.api.work import PathLike, Say, Stages, Workers, executor, path, stage, unsaid
from miex.errors import UsageError, one_of

if TYPE_CHECKING:
    from miex.api.examples import Data
    from miex.experiments.realflow import Choice, Row
    from miex.recognition.recipe import Recipe


@dataclass(frozen=True, repr=False)
class RealFlow:
    """What is learned of real flow maps.

    Attributes:
        rows: the lines of the table; of a choice the one that is reported.
        choice: what was chosen among, where recipes were.
    """

    rows: Sequence[Row]
    choice: Choice | None = None

    @property
    def unchecked(self) -> int:
        """Training rows of unknown provenance, at most in one line."""
        return max((row.unchecked for row in self.rows), default=0)

    def table(self) -> Table:
        """UF1 on every part, UAR, and the comparison with training on real maps alone; or the choice."""
        if self.choice is not None:
            chosen = self.choice
            lines = [[name, f"{uf1:.3f}", "←" if name == chosen.best else ""] for name, uf1 in chosen.choose.items()]
            return Table(f"{len(lines)} settings, UF1 on the half `choose`", ["recipe", "UF1", "chosen"], lines)
        from miex.evaluation.significance import stars

        names = list(self.rows[0].parts)
        columns = ["trained on", "test", "runs", *(f"{name} ({self.rows[0].parts[name].n})" for name in names)]
        columns += ["95 % over subjects", "UAR", "against real", "refused"]
        lines = []
        for row in self.rows:
            tests = [p for p in (row.against.p if row.against else None, row.paired_p) if p is not None]
            against = f"{row.against.value:+.3f} {' / '.join(map(stars, tests))}" if row.against else ""
            uf1 = [spread(row.parts[n].uf1, row.parts[n].uf1_std, row.runs) for n in names]
            uar = spread(row.parts["all"].uar, row.parts["all"].uar_std, row.runs)
            interval = f"{row.interval.low:.2f} … {row.interval.high:.2f}"
            lines.append([row.name, row.protocol, str(row.runs), *uf1, interval, uar, against, str(row.refused)])
        title = "UF1 on real flow maps (n), mean ± std over runs; recipe and folds are in the store"
        return Table(title, columns, lines)

    @property
    def note(self) -> str:
        """How to read the table."""
        if self.choice is None:
            return (
                "against real: difference of UF1 to training on the real maps alone; n.s. > 0.05, * > 0.01, "
                "** > 0.001, *** by a bootstrap over subjects / a corrected paired test over seeds × folds, each after "
                "Holm. Differences under 0.03 are noise on a set of this size."
            )
        part, row = self.choice.report.parts["report"], self.choice.report
        return (
            f"{self.choice.best} on the half `report` ({part.n} samples, {row.runs} runs, chosen among "
            f"{len(self.choice.choose)}): UF1 {part.uf1:.3f} ± {part.uf1_std:.3f}, UAR {part.uar:.3f} "
            f"± {part.uar_std:.3f}"
        )

    def __repr__(self) -> str:
        return f"{self.table()}\n{self.note}"

    def _repr_html_(self) -> str:
        from html import escape

        return f"{self.table()._repr_html_()}<p>{escape(self.note)}</p>"

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values."""
        choice = None if self.choice is None else {"choose": dict(self.choice.choose), "best": self.choice.best}
        return {"rows": [row.plain() for row in self.rows], "choice": choice}


def realflow(
    sets: Mapping[str, Sequence[Data]],
    real: PathLike = "real-flow",
    *,
    store: PathLike = "results",
    modes: Sequence[str] = ("direct", "fine-tune", "joint", "real"),
    folds: Sequence[str] = ("3-fold",),
    recipe: str | Recipe = "fixed",
    alternatives: Sequence[str] | None = None,
    seeds: int = 3,
    references: bool = True,
    flow: str | None = None,
    threads: int = 1,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> RealFlow:
    """Train on synthetic sets, test on 309 real flow maps of CASME II and SMIC, beside references.

    Args:
        sets: settings by name, each of sets or flow files of several seeds.
        real: folder of the lent real maps.
        store: folder of results; what is there is not computed again.
        modes: of direct, fine-tune, joint, real.
        folds: of 3-fold, loso (subjects), loco (corpora).
        recipe: how to train.
        alternatives: recipes to try instead: chosen on one half of the subjects, reported on the other.
        seeds: of training.
        references: also sign rule, bumps, shuffled labels, the other corpus.
        flow, threads: as in `miex.train`.
        workers, progress, say: as in `miex.synthesize`.

    Raises:
        UsageError: torch is not installed, or a value that cannot be.
        InputError: maps or sets that cannot be read.
    """
    need_training()
    from miex.experiments import realflow as experiment
    from miex.experiments.fit import MODES

    wanted = {one_of(name, MODES, "modes") for name in modes}
    kinds = [mode for mode in MODES if mode in wanted]
    maps, base = experiment.read_real(path(real)), recipe_of(recipe, flow=flow)
    given = {name: [examples(one, say=say) for one in several] for name, several in sets.items()}
    table = partial(
        experiment.realflow, given, maps, path(store), seeds=seeds, machine=machine_of(None, threads),
        executor=executor(workers), progress=partial(stage, progress),
    )  # fmt: skip
    if alternatives is None:
        return RealFlow(table(modes=kinds, protocols=list(folds), recipe=base, references=references))
    if len(given) > 1 or len(kinds) != 1 or len(folds) != 1:
        raise UsageError("`alternatives`", expected="one setting, one of `modes`, and one kind of folds")
    recipes = [recipe_of(name, flow=flow) for name in alternatives]
    choice = experiment.choose(
        recipes, lambda one: table(modes=kinds, protocols=list(folds), recipe=one, references=False)[0]
    )
    return RealFlow([choice.report], choice)
