"""Two sets side by side."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from miex.api.evaluate import each_once, left_out
from miex.api.examples import (
    DATA,
    RECIPE,
    faces_of,
    machine_of,
    need_training,
    readable_samples,
    recipe_of,
    selected,
    view_of,
)
from miex.api.work import (
    PathLike,
    Say,
    Stages,
    Workers,
    executor,
    measuring_models,
    path,
    processes,
    said,
    stage,
    unsaid,
)  # fmt: skip
from miex.arguments import COUNT, PATH, TEXT, YES_NO, checking, instance_of, whole
from miex.aus.vector import AU_NAMES, AU_NUMBERS
from miex.dataset.choose import choose
from miex.dataset.reader import ON_ERROR, Dataset, open_dataset
from miex.errors import UsageError, one_of
from miex.evaluation.results import Results
from miex.experiments.present import Chart, Entry, Result, Table, Value, only_where, spread

if TYPE_CHECKING:
    from miex.api.examples import Data
    from miex.evaluation.significance import Interval
    from miex.experiments.compare import Comparison
    from miex.experiments.learned import Difference, Learned
    from miex.recognition.recipe import Recipe

DIFFERENCE = (
    "Difference: b − a, 95 % interval by a bootstrap over photos; n.s. p > 0.05, * p > 0.01, ** p > 0.001, *** below."
)
SHOWN = 12  # samples of the page
SET = PATH | instance_of("a set", "miex.dataset.reader:Dataset")


@dataclass(frozen=True, repr=False)
class Compared(Result):
    """How two sets differ.

    Attributes:
        sets: their names, a and b.
        measured: motion, AUs, sharpness, likeness.
        learned: what a recipe learned from each; empty where that was not asked for.
        more: how much more it learned from b, for everything tested.
        classes: how many classes it learned.
        shown: of samples that both sets have, those that the page shows, from each set; empty: it has no page.
        where: query that chose the samples of both sets; empty: all were taken.
    """

    sets: tuple[str, str]
    measured: Comparison
    learned: Sequence[Learned] = ()
    more: Sequence[Difference] = ()
    classes: int = 3
    shown: tuple[Dataset, Dataset] | tuple[()] = ()
    where: str = ""
    name = "compare"

    def tables(self) -> dict[str, Table]:
        """What was measured; AU by AU; what was learned."""
        found = {"": self.table()}
        if self.measured.read_aus():
            found["aus"] = self._aus()
        if self.learned:
            found["learned"] = self._learned()
        return {name: replace(table, where=self.where) for name, table in found.items()}

    def table(self) -> Table:
        """Each measure of both sets, and the difference."""
        one = self.measured
        lines: list[list[Entry]] = []
        for m in one.measures:
            n = m.n[0] if m.n[0] == m.n[1] else f"{m.n[0]:,} / {m.n[1]:,}"
            lines.append([m.name + (f", {m.unit}" if m.unit else ""), n, Value(m.a), Value(m.b), _signed(m.difference)])
        shared = f"{one.shared:,} samples in both, {one.same_aus:,} of them with the same AUs in the plan"
        title = (
            f"a = {self.sets[0]}, b = {self.sets[1]}: {shared}; {one.only[0]:,} only in a, {one.only[1]:,} only in b"
        )
        notes = [DIFFERENCE, *one.notes]
        if one.direction is not None:
            cosine = Value(one.direction.value, low=one.direction.low, high=one.direction.high)
            notes.insert(1, f"Cosine between the optical flow of a and of b: {cosine}.")
        return Table(title, ["measure (mean)", "n", "a", "b", "difference"], lines, " ".join(notes))

    def _aus(self) -> Table:
        lines: list[list[Entry]] = []
        for i, both in self.measured.read_aus().items():
            line: list[Entry] = [f"AU{AU_NUMBERS[i]} {AU_NAMES[AU_NUMBERS[i]]}"]
            for side in both:
                line += ["", "", ""] if side is None else [side[0], Value(side[1]), Value(side[2])]
            lines.append(line)
        columns = ["AU", *(f"{what} {side}" for side in "ab" for what in ("pairs", "slope", "r"))]
        note = "Read by miex's own extractor; slope 1 is perfect. Fewer pixels, a weaker measure."
        return Table("AUs read off the frames per AU that they were made with, apex − onset", columns, lines, note)

    def _learned(self) -> Table:
        tests = list(dict.fromkeys(one.tested for one in self.learned))
        found = {(one.trained, one.tested): one for one in self.learned}
        lines: list[list[Entry]] = []
        for trained in dict.fromkeys(one.trained for one in self.learned):
            cells = [found.get((trained, tested)) for tested in tests]
            lines.append([trained, *("" if one is None else spread(one.uf1, one.uf1_std, one.runs) for one in cells)])
        differences = {one.tested: one.uf1 for one in self.more}
        lines.append(["b − a", *(_signed(differences[tested]) if tested in differences else "" for tested in tests)])
        columns = ["trained on", *(f"tested on {tested}" for tested in tests)]
        note = (
            "No photo is in both the training and the test part of a fold; nobody of the real samples tested lent AUs. "
            "Interval and stars of b − a: bootstrap over photos (a, b) or subjects (real). A guess at random has UF1 "
            f"{1 / self.classes:.2f} on even classes."
        )
        return Table("What the recipe learns: UF1, mean ± std over seeds", columns, lines, note)

    def chart(self) -> Chart | None:
        """UF1 of what was learned, if that was asked for."""
        panels: dict[str, dict[str, Value]] = {}
        for one in self.learned:
            value = Value(one.uf1, one.uf1_std, one.interval.low, one.interval.high)
            panels.setdefault(f"tested on {one.tested}", {})[f"trained on {one.trained}"] = value
        title = f"a = {self.sets[0]}, b = {self.sets[1]}{only_where(self.where)}"
        return Chart(title, "UF1: ± std over seeds, 95 % over people", panels) if panels else None

    def page(self) -> str | None:
        """Samples of both sets side by side: onset, apex and their difference, and the tables."""
        from miex.report.side_by_side import render_side_by_side

        if not self.shown:
            return None
        tables = [table._repr_html_() for table in self.tables().values()]
        return render_side_by_side(self.sets, self.shown, tables, only=only_where(self.where))

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "a": self.sets[0], "b": self.sets[1], "where": self.where or None, **self.measured.plain(),
            "learned": [one.plain() for one in self.learned],
            "more_from_b": {one.tested: vars(one.uf1) for one in self.more},
        }  # fmt: skip


@checking(a=SET, b=SET, real=DATA, n=whole(2), learn=YES_NO, classes=TEXT, recipe=RECIPE, seeds=COUNT)
def compare(
    a: Dataset | PathLike,
    b: Dataset | PathLike,
    *,
    where: str | None = None,
    real: Data | Sequence[Data] | None = None,
    n: int = 200,
    seed: int = 0,
    learn: bool = True,
    classes: str | None = None,
    recipe: str | Recipe = "fixed",
    seeds: int = 3,
    store: PathLike = "results",
    faces: PathLike | None = None,
    flow: str | None = None,
    no_apex: str = "refuse",
    on_error: str = "raise",
    independent: Collection[str] = (),
    device: str | Sequence[str] | None = None,
    landmarker: PathLike | None = None,
    sface: PathLike | None = None,
    threads: int = 1,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Compared:
    """Compare two sets: motion, AUs, sharpness, likeness to the face, and what a recipe learns from each.

    Samples of the same id (the same face, source, class and round of two plans) are compared with each other, and some
    of them stand side by side in the page that `save` writes; sets that share none are compared as wholes.

    Args:
        a, b: sets, or their folders.
        where: query that chooses samples of both sets, such as "source == 'expert'" (see `Dataset.where`).
        real: real samples that what was learned is also tested on, as in `miex.evaluate`.
        n: samples whose frames are measured; what the sets know of their samples is compared for all.
        seed: of their choice.
        learn: whether to train.
        classes: name of the mapping that gives the classes of what is learned, as in `miex.examples`.
        recipe: how.
        seeds: of training.
        store: folder of results; runs that are already there are not repeated.
        faces: folder of the photos. Default: where each plan found them.
        flow: as in `miex.train`.
        no_apex, on_error: as in `miex.examples`; with `on_error` skip, damaged samples of the sets are left out of
            everything.
        independent: as in `miex.evaluate`, of the real samples.
        landmarker: as in `miex.synthesize`; without it AUs and likeness are left out.
        sface: as in `miex.report`.
        device, threads: as in `miex.train`.
        workers, progress, say: as in `miex.synthesize`.

    Raises:
        UsageError: torch is not installed (`learn=False` does without), or a value that cannot be.
        InputError: a set that is not finished, or damaged; real samples that cannot be read.
    """
    from miex.experiments.compare import compare_sets, in_both

    if learn:
        need_training()
    elif real is not None:
        raise UsageError("`real` without `learn`", expected="`learn`, or no real samples")
    given = [one if isinstance(one, Dataset) else open_dataset(one) for one in (a, b)]
    first, second = (f"{one.storage.name} (a part of it)" if one.part else one.storage.name for one in given)
    names, sets = (first, second), [selected(one, where) for one in given]
    work, doing = executor(workers), partial(stage, progress)
    skipped: list[str] = []
    if one_of(on_error, ON_ERROR, "`on_error`") == "skip":
        for i, one in enumerate(sets):
            sets[i], unread = readable_samples(one, say, progress)
            skipped += left_out(f"of {names[i]}", list(unread))
    root = None if faces is None else path(faces)
    # what is wrong with what learning needs is said before a minute of measuring
    prepared = None
    if learn:
        from miex.experiments.learned import learned, learning, photos

        chosen, machine, kept = recipe_of(recipe, flow=flow), machine_of(device, threads), path(store)
        Results(kept)
        see = partial(
            view_of,
            recipe=chosen,
            classes=classes,
            no_apex=no_apex,
            on_error=on_error,
            workers=workers,
            progress=progress,
            say=say,
        )
        prepared = None if real is None else each_once(see(real))
    model, network = measuring_models(
        landmarker, sface, say, "AUs and likeness are not measured", "likeness is measured by shape alone"
    )
    measured = compare_sets(
        sets[0], sets[1], n=n, seed=seed, model=model, sface=network, faces_root=root, executor=work, progress=doing
    )
    measured = replace(measured, notes=[*measured.notes, *(f"{note}." for note in skipped)])
    both = in_both(sets[0], sets[1])
    some = choose(both[0].table, SHOWN, seed)
    found = Compared(names, measured, shown=(both[0][some], both[1][some]) if some else (), where=where or "")
    if not learn:
        return found
    views = [see(one, on_error="raise") for one in sets]
    if min(map(photos, views)) < 2:
        note = "Nothing was trained: it takes faces of two photos or more to test on other faces."
        return replace(found, measured=replace(measured, notes=[*measured.notes, note]))
    study, notes = learning(
        views[0],
        views[1],
        chosen,
        kept,
        real=prepared,
        seeds=seeds,
        independent=independent,
        faces=faces_of(sets),
        machine=machine,
    )
    say(said(study.estimate(), processes(workers)))
    scores, more = learned(study, study.run(executor=work, progress=doing("learning")))
    measured = replace(measured, notes=[*measured.notes, *notes])
    return replace(found, measured=measured, learned=scores, more=more, classes=len(views[0].label_names))


def _signed(found: Interval) -> Value:
    p = () if found.p is None else (found.p,)
    return Value(found.value, low=found.low, high=found.high, p=p, signed=True)
