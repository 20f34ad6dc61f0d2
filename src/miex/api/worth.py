"""What a set is worth, in real people."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from miex.api.evaluate import each_once, left_out, on_expert_tables
from miex.api.examples import DATA, RECIPE, faces_of, machine_of, need_training, recipe_of, selected, view_of
from miex.api.experiments import to_do
from miex.api.work import PathLike, Say, Stages, Workers, executor, path, processes, said, stage, unsaid
from miex.arguments import COUNT, MAPPING, TEXT, YES_NO, Kind, checking, many
from miex.errors import UsageError
from miex.experiments.present import Curves, Entry, Result, Table, Value, only_where, spread

if TYPE_CHECKING:
    from miex.api.examples import Data
    from miex.experiments.study import Estimate
    from miex.experiments.worth import InPeople, Point
    from miex.recognition.recipe import Recipe
    from miex.recognition.view import View


@dataclass(frozen=True, repr=False)
class Worth(Result):
    """What a set is worth, in real people.

    Attributes:
        points: UF1 of every way of training by the number of real people trained on, for each view.
        worth: for each view the number of real people at which training on them alone equals the set alone.
        facts: what was asked for: names of the recipes, draws, seeds, and of each view people and clips.
        estimate: what there was to do; where only that was asked for, there are no points.
        notes: what to know when reading the scores, as sentences.
    """

    points: Sequence[Point]
    worth: Sequence[InPeople]
    facts: Mapping[str, Any]
    estimate: Estimate | None = None
    notes: Sequence[str] = ()
    name = "worth"

    def tables(self) -> dict[str, Table]:
        """UF1 by the number of real people; differences to real people alone; what the set is worth."""
        if not self.points:
            return {"": to_do(self.estimate)}
        found = {"": self.table(), "differences": self._differences(), "people": self._people()}
        return {name: replace(table, where=self.facts["where"] or "") for name, table in found.items()}

    def table(self) -> Table:
        """UF1 of every way of training, by the number of real people trained on."""
        ways, n = self._ways, self.facts["draws"]
        rows: list[list[Entry]] = []
        for (view, people), points in self._by_people.items():
            one = next(iter(points.values()))
            row: list[Entry] = [view, people, Value(one.trained, digits=0), Value(one.tested, digits=0)]
            row += [spread(points[way].interval.value, points[way].std, n) for way in ways]
            rows.append([*row, max(point.refused for point in points.values())])
        columns = ["view", "real people", "their clips", "clips tested", *ways, "refused"]
        note = (
            f"{n} draws of people to train on, everybody else is tested; ± is the standard deviation over draws, which "
            "overlap. Refused: training rows that the leak guard dropped, at most in a run."
        )
        return Table("UF1 by the number of real people trained on", columns, rows, self._note(note))

    def _differences(self) -> Table:
        ways = self._ways[1:]
        rows: list[list[Entry]] = []
        for (view, people), points in self._by_people.items():
            row: list[Entry] = [view, people]
            for way in ways:
                found, corrected = points[way].against, points[way].corrected
                assert found is not None
                p = tuple(one for one in (found.p, corrected) if one is not None)
                row.append(Value(found.value, low=found.low, high=found.high, p=p, signed=True))
            rows.append(row)
        note = (
            "95 % intervals by a bootstrap over the people tested, with the predictions of all draws of each person; "
            "n.s. p > 0.05, * p > 0.01, ** p > 0.001, *** below / the same after Holm, for the comparisons of a view."
        )
        return Table(
            "UF1 above that of the same real people alone", ["view", "real people", *ways], rows, note
        )  # fmt: skip

    def _people(self) -> Table:
        rows: list[list[Entry]] = [
            [one.view, one.said(one.people), one.said(one.low), one.said(one.high)] for one in self.worth
        ]
        note = (
            "Trained on alone, so many real people first give the UF1 of the set alone, linear in the logarithm of "
            "their number; 95 % interval by the same bootstrap."
        )
        return Table("What the set is worth, in real people", ["view", "people", "low", "high"], rows, note)

    def chart(self) -> Curves | None:
        """UF1 and differences by the number of real people, view beside view."""
        panels: dict[str, dict[str, dict[int, Value]]] = {}
        marked = {}
        for one in self.worth:
            prefix = f"{one.view}: " if one.view else ""
            scores, gains = f"{prefix}UF1, ± std over draws", f"{prefix}above real alone, 95 % over people"
            for point in (point for point in self.points if point.at.view == one.view):
                value = Value(point.interval.value, point.std)
                panels.setdefault(scores, {}).setdefault(point.at.way, {})[point.at.people] = value
                if (found := point.against) is not None:
                    value = Value(found.value, low=found.low, high=found.high, signed=True)
                    panels.setdefault(gains, {}).setdefault(point.at.way, {})[point.at.people] = value
            if one.least <= one.people <= one.most:
                marked[scores] = (one.people, f"{one.people:.0f} people")
        title = "What a set is worth, in real people" + only_where(self.facts["where"] or "")
        return Curves(title, "real people trained on", panels, rows=2, marked=marked) if panels else None

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            **self.facts, "points": [point.plain() for point in self.points],
            "worth": [one.plain() for one in self.worth],
            "estimate": None if self.estimate is None else asdict(self.estimate), "notes": list(self.notes),
        }  # fmt: skip

    @property
    def _ways(self) -> list[str]:
        return list(dict.fromkeys(point.at.way for point in self.points))

    @property
    def _by_people(self) -> dict[tuple[str, int], dict[str, Point]]:
        found: dict[tuple[str, int], dict[str, Point]] = {}
        for point in self.points:
            found.setdefault((point.at.view, point.at.people), {})[point.at.way] = point
        return found

    def _note(self, text: str) -> str:
        return " ".join([text, *(f"{note}." for note in self.notes)])


def _take_views(value: Any) -> Any:
    found = {TEXT.take(name): DATA.take(data) for name, data in MAPPING.take(value).items()}
    if not found:
        raise ValueError
    return found


_VIEWS = Kind("a dict of views of the same people: name → real samples", _take_views)


@checking(
    sets=DATA, real=DATA | _VIEWS, counts=many(COUNT, "numbers of people, such as [2, 4, 8]", least=1), draws=COUNT,
    seeds=COUNT, classes=TEXT, recipe=RECIPE, tuning=RECIPE, only_estimate=YES_NO,
)  # fmt: skip
def worth(
    sets: Data | Sequence[Data],
    real: Data | Sequence[Data] | Mapping[str, Data | Sequence[Data]],
    *,
    counts: Sequence[int] | None = None,
    draws: int = 10,
    seeds: int = 3,
    seed: int = 0,
    where: str | None = None,
    classes: str | None = None,
    recipe: str | Recipe = "fixed",
    tuning: str | Recipe | None = None,
    accept_unknown: bool = False,
    independent: Collection[str] = (),
    store: PathLike = "results",
    only_estimate: bool = False,
    flow: str | None = None,
    no_apex: str = "refuse",
    on_error: str = "raise",
    device: str | Sequence[str] | None = None,
    threads: int = 1,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Worth:
    """Measure what a set is worth, in real people: UF1 by how many of them a recognizer is trained on.

    For each draw, people are chosen at random to be trained on, and everybody else is tested. A recognizer is trained
    on the real clips of these people alone, on the set alone, on the set and then on the real clips, and on both at
    once.
    Intervals are those of a bootstrap over the people tested, which takes the predictions of all draws of a person
    together (see `miex.experiments.worth`). The leak guard is that of `evaluate`.

    Args:
        sets: the set, its folder or flow file. Several are the same settings with other seeds: draw i trains on the one
            at i modulo their number, so there are no more sets than draws, and no two alike.
        real: real samples as in `evaluate`; or several views of the same people, by name, such as flow maps that two
            groups extracted: each has the same draws. Only that they are the same people is checked: a view may lack
            some of their clips. A list is joined.
        counts: numbers of real people to train on. Default: those of 2, 4, 8, 16 and 24 that leave a third of all
            people to be tested.
        draws: how many draws of people; more of them continue the same.
        seeds: of training; draw i has seed i modulo this, and the set alone is trained on once for each.
        seed: random seed of the draws of people.
        where: query that chooses samples of the sets, as in `miex.train`.
        classes: name of the mapping that gives the classes of all samples, as in `miex.examples`.
        recipe: how to train.
        tuning: recipe of the fine-tuning, such as one with a smaller learning rate. Default: the same as `recipe`.
        accept_unknown, independent: as in `evaluate`.
        store: folder of results; runs that are already there are not repeated.
        only_estimate: train nothing; say what the store lacks and about how long that takes.
        flow, device, threads: as in `miex.train`.
        no_apex, on_error: as in `miex.examples`.
        workers, progress, say: as in `miex.synthesize`.

    Returns:
        Scores, differences with intervals, the number of people that the set stands for, as tables and a picture.

    Raises:
        UsageError: torch is not installed, a value is out of range, a set is given twice, there are more sets than
            draws, or too few people.
        InputError: data cannot be read, views are not of the same people, or nothing is left to train on.
    """
    given_sets = sets if isinstance(sets, list | tuple) else [sets]
    if len(given_sets) > draws:
        raise UsageError(
            f"{len(given_sets)} sets with `draws` {draws}", expected="no more sets than draws: each draw trains on one",
            do="ask for more draws, or give fewer sets",
        )  # fmt: skip
    need_training()
    from miex.evaluation.results import Results
    from miex.experiments import worth as experiment
    from miex.experiments.study import Study

    chosen, machine, kept = recipe_of(recipe, flow=flow), machine_of(device, threads), path(store)
    results, tuned = Results(kept), None if tuning is None else recipe_of(tuning, flow=flow)

    def view(given: Data | Sequence[Data]) -> View:
        return view_of(
            given, chosen, classes=classes, no_apex=no_apex, on_error=on_error, workers=workers, progress=progress,
            say=say,
        )  # fmt: skip

    views = real if isinstance(real, Mapping) else {"": real}
    tested = {name: each_once(view(given)) for name, given in views.items()}
    several = selected(given_sets, where)
    made = [view(one) for one in several]
    if twice := len(made) - len({one.digest for one in made}):
        raise UsageError(
            f"{len(made)} sets", expected="each once: the same settings with different seeds",
            found=f"{twice} with the samples of another", do="leave it out, or synthesize it with another `seed`",
        )  # fmt: skip
    first = next(iter(tested.values()))
    notes = list(dict.fromkeys(
        f"{one if isinstance(one, PathLike) else '`sets`'}: {note}"
        for one, own in zip(several, made, strict=True) for note in on_expert_tables(one, own.rows, first.rows)
    ))  # fmt: skip
    for note in notes:
        say(note)
    for name, one in tested.items():
        notes += left_out(f"to test on{f' ({name})' if name else ''}", one.skipped)
    notes += [] if where is None else [f"of the sets, only samples that meet a query were trained on: {where}"]
    notes += [note for one in made for note in left_out("to train on", one.skipped)]
    people = {name: len(set(one.people)) for name, one in tested.items()}
    numbers = _counts(counts, min(people.values()), experiment.usual_counts(min(people.values())))
    planned = experiment.lines(
        made, tested, chosen, counts=numbers, draws=draws, tuning=tuned, seeds=seeds, seed=seed, models=kept / "models",
        accept_unknown=accept_unknown, independent=independent, faces=faces_of(several), machine=machine,
    )  # fmt: skip
    facts = {
        "recipe": chosen.name, "tuning": (tuned or chosen).name, "sets": len(made), "draws": draws, "seeds": seeds,
        "seed": seed, "counts": numbers, "where": where,
        "views": {name: {"people": people[name], "clips": len(one)} for name, one in tested.items()},
    }  # fmt: skip
    study = Study(list(planned.values()), results, machine)
    left = study.estimate()
    say(said(left, processes(workers)))
    if only_estimate:
        return Worth((), (), facts, left, notes)
    points, found = experiment.points(planned, study.run(executor=executor(workers), progress=stage(progress, "worth")))
    return Worth(points, found, facts, notes=notes)


def _counts(given: Sequence[int] | None, people: int, usual: Sequence[int]) -> list[int]:
    """Numbers of people to train on, ascending, each once."""
    numbers = sorted(set(usual if given is None else given))
    if not numbers or numbers[-1] >= people:
        raise UsageError(
            "`counts` " + (", ".join(map(str, numbers)) or "of people to train on"),
            expected="numbers of people that leave others to be tested", found=f"{people} people in the real samples",
            do="train on fewer people, or give samples of more",
        )  # fmt: skip
    return numbers
