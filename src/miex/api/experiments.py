"""Tables of the experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from miex.api.examples import ONE_DATA, RECIPE, examples, faces_of, machine_of, need_training, recipe_of
from miex.api.work import PathLike, Say, Stages, Workers, duration, executor, path, processes, said, stage, unsaid
from miex.arguments import COUNT, MAPPING, PATH, TEXT, YES_NO, Kind, checking, many
from miex.errors import UsageError, one_of
from miex.experiments.present import Chart, Entry, Result, Table, Value, spread

COMPARED = (
    "Against real: difference of UF1 to training on the real maps of the same view alone; n.s. p > 0.05, * p > 0.01, "
    "** p > 0.001, *** below, by a bootstrap over subjects / a corrected paired test over seeds × folds, each after "
    "Holm. Differences under 0.03 are noise on a set of this size."
)

if TYPE_CHECKING:
    from miex.api.examples import Data
    from miex.experiments.realflow import Choice, Row
    from miex.experiments.study import Estimate, Study
    from miex.recognition.recipe import Recipe


@dataclass(frozen=True, repr=False)
class RealFlow(Result):
    """What is learned of real flow maps.

    Attributes:
        rows: the lines of the table, for each view of the maps; of alternatives the chosen one.
        choice: what was chosen among, where alternatives were given.
        estimate: what there was to do; where only that was asked for, there are no rows.
        notes: what to know when reading the scores, as sentences.
    """

    rows: Sequence[Row]
    choice: Choice | None = None
    estimate: Estimate | None = None
    notes: Sequence[str] = ()
    name = "realflow"

    def table(self) -> Table:
        """UF1 on every part, UAR, the comparison with real maps alone; or the choice; or what is left to do."""
        if self.choice is not None:
            return self._choice(self.choice)
        if not self.rows:
            return to_do(self.estimate)
        names = list(self.rows[0].parts)
        columns = ["trained on", "view", "folds", "runs"]
        columns += [f"{name} ({self.rows[0].parts[name].n})" for name in names]
        columns += ["95 % over subjects", "UAR", "against real", "refused"]
        lines: list[list[Entry]] = []
        for row in self.rows:
            between, against = row.interval, row.against
            tests = () if against is None else tuple(p for p in (against.p, row.paired_p) if p is not None)
            lines.append([
                row.name, row.view, row.protocol, row.runs,
                *(spread(row.parts[n].uf1, row.parts[n].uf1_std, row.runs) for n in names),
                Value(None, low=between.low, high=between.high, digits=2),
                spread(row.parts["all"].uar, row.parts["all"].uar_std, row.runs),
                "" if against is None else Value(against.value, p=tests, signed=True), row.refused,
            ])  # fmt: skip
        return Table("UF1 on real flow maps (n), mean ± std over runs", columns, lines, self._note(COMPARED))

    def tables(self) -> dict[str, Table]:
        """The table."""
        return {"": self.table()}

    def chart(self) -> Chart | None:
        """UF1 of every line, view beside view."""
        panels: dict[str, dict[str, Value]] = {}
        for row in self.rows:
            part, name = (
                row.parts["all"],
                row.name if row.protocol in ("3-fold", "–") else f"{row.name}, {row.protocol}",
            )
            panels.setdefault(f"{row.view} view", {})[name] = Value(
                part.uf1, None if row.runs == 1 else part.uf1_std, row.interval.low, row.interval.high,
                () if row.against is None or row.against.p is None else (row.against.p,),
            )  # fmt: skip
        title = "Read of real micro-expressions: 309 clips of CASME II and SMIC"
        return Chart(title, "UF1: ± std over runs, 95 % over subjects", panels, "real only") if panels else None

    def _note(self, text: str) -> str:
        return " ".join([text, *(f"{note}." for note in self.notes)])

    def _choice(self, chosen: Choice) -> Table:
        lines = [[name, Value(uf1), "←" if name == chosen.best else ""] for name, uf1 in chosen.choose.items()]
        said = []
        for row in chosen.report:
            part = row.parts["report"]
            uf1, uar = spread(part.uf1, part.uf1_std, row.runs), spread(part.uar, part.uar_std, row.runs)
            said.append(f"{row.view} view ({part.n} samples, {row.runs} runs): UF1 {uf1}, UAR {uar}")
        note = f"{chosen.best} on the half `report`, chosen among {len(lines)}: " + "; ".join(said) + "."
        return Table(
            f"{len(lines)} settings, UF1 on the half `choose`, mean over views",
            ["recipe", "UF1", "chosen"],
            lines,
            self._note(note),
        )

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values."""
        choice = None if self.choice is None else {"choose": dict(self.choice.choose), "best": self.choice.best}
        estimate = None if self.estimate is None else asdict(self.estimate)
        return {
            "rows": [row.plain() for row in self.rows],
            "choice": choice,
            "estimate": estimate,
            "notes": list(self.notes),
        }


def to_do(left: Estimate | None) -> Table:
    """What a study has yet to do, as a table."""
    columns = ["runs", "stored", "shared trainings to do", "other trainings to do", "time on one processor"]
    rows: list[list[Entry]] = []
    if left is not None:
        time = "unknown" if left.seconds is None else duration(left.seconds)
        rows.append([left.total, left.stored, left.shared, left.own, time])
    return Table("What is left to do", columns, rows)


def loads_of(left: Estimate) -> Table:
    """What the trainings to do look at, by recipe."""
    columns = ["recipe", "trainings", "samples seen", "steps", "samples/s", "hours at that rate"]
    rows: list[list[Entry]] = []
    for one in left.loads:
        rate = one.per_second
        measured: list[Entry] = (
            [Value(rate, digits=1), Value(one.samples / rate / 3600, digits=1)] if rate else ["unknown"] * 2
        )
        rows.append([one.recipe, one.trainings, one.samples, one.steps, *measured])
    note = (
        "Samples seen: samples × epochs. Rates by two short trainings of each recipe, on the device that was asked for."
    )
    return Table("Trainings to do", columns, rows, note)


def _take_settings(value: Any) -> Any:
    return {TEXT.take(name): _SETS.take(several) for name, several in MAPPING.take(value).items()}


_SETS = many(ONE_DATA, "a list of sets or flow files", least=1)
_SETTINGS = Kind("a dict of settings: name → a list of at least one set or flow file", _take_settings)
_NAMES = many(TEXT, "a list of at least one name", least=1)


@checking(
    sets=_SETTINGS, real=PATH, modes=_NAMES, folds=_NAMES, recipe=RECIPE, alternatives=_NAMES, seeds=COUNT,
    references=YES_NO, only_estimate=YES_NO,
)  # fmt: skip
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
    only_estimate: bool = False,
    flow: str | None = None,
    threads: int = 1,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> RealFlow:
    """Train on synthetic sets, test on two views of 309 real flow maps of CASME II and SMIC, beside references.

    Args:
        sets: settings by name, each of sets or flow files of several seeds.
        real: folder of the lent real maps.
        store: folder of results; runs that are already there are not repeated.
        modes: of direct, fine-tune, joint, real.
        folds: of 3-fold, loso (subjects), loco (corpora).
        recipe: how to train.
        alternatives: recipes to try instead: chosen on one half of the subjects, reported on the other.
        seeds: of training.
        references: also sign rule, bumps, shuffled labels, the other corpus, the other view.
        only_estimate: train nothing; say what the store lacks and about how long that takes.
        flow, threads: as in `miex.train`.
        workers, progress, say: as in `miex.synthesize`.

    Raises:
        UsageError: torch is not installed, or a value that cannot be.
        InputError: maps or sets that cannot be read.
    """
    need_training()
    from miex.api.evaluate import on_expert_tables
    from miex.experiments import realflow as experiment
    from miex.experiments.modes import MODES

    wanted = {one_of(name, MODES, "modes") for name in modes}
    kinds, folds = [mode for mode in MODES if mode in wanted], list(dict.fromkeys(folds))
    if not references and not sets and "real" not in kinds:
        raise UsageError(
            "`sets`", expected="a set or flow file, or `references`, or mode real", found="nothing to train on"
        )
    maps, base = experiment.read_real(path(real)), recipe_of(recipe, flow=flow)
    given = {name: [examples(one, say=say) for one in several] for name, several in sets.items()}
    notes = [
        f"{name}: {note}"
        for name, several in sets.items()
        for note in dict.fromkeys(
            note for data, read in zip(several, given[name], strict=True)
            for note in on_expert_tables(data, read.rows, maps[0].examples.rows)
        )
    ]  # fmt: skip
    for note in notes:
        say(note)
    looked: list[Estimate] = []

    def before(study: Study) -> bool:
        looked.append(study.estimate())
        say(said(looked[-1], processes(workers)))
        return not only_estimate

    table = partial(
        experiment.realflow, given, maps, path(store), seeds=seeds, machine=machine_of(None, threads),
        faces=faces_of([one for several in sets.values() for one in several]), executor=executor(workers),
        progress=partial(stage, progress), before=before,
    )  # fmt: skip
    if alternatives is None:
        rows = table(modes=kinds, protocols=list(folds), recipe=base, references=references)
        # what was left to do depends on the store and the clock: it is no part of a result
        return RealFlow(rows, estimate=looked[-1] if only_estimate else None, notes=notes)
    if len(given) > 1 or len(kinds) != 1 or len(folds) != 1 or only_estimate:
        raise UsageError(
            "`alternatives`", expected="one setting, one of `modes`, one kind of folds, no `only_estimate`"
        )
    recipes = [recipe_of(name, flow=flow) for name in alternatives]
    if len({one.name for one in recipes}) < len(recipes):
        raise UsageError(
            "`alternatives`", expected="recipes of different names", found=", ".join(one.name for one in recipes),
            do='a recipe file may say `name = "…"`; without it the name is that of the file',
        )  # fmt: skip
    choice = experiment.choose(
        recipes, lambda one: table(modes=kinds, protocols=list(folds), recipe=one, references=False)
    )
    return RealFlow(choice.report, choice, notes=notes)
