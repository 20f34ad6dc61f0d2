"""The tables and figures of Liu et al. 2022 (MiE-X), each by one call."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from miex.api.evaluate import folds_of
from miex.api.examples import machine_of, need_training, recipe_of
from miex.api.experiments import loads_of, to_do
from miex.api.ingredients import FAKES, Ingredients
from miex.api.predict import LoadedRecognizer
from miex.api.train import start_of
from miex.api.work import PathLike, Say, Stages, Workers, executor, path, processes, said, stage, unsaid
from miex.arguments import COUNT, NAMES, PATH, TEXT, YES_NO, Kind, checking, number
from miex.errors import UsageError, one_of
from miex.experiments.present import Drawing, Pictures, Result, Table
from miex.stable import json_digest

if TYPE_CHECKING:
    from miex.evaluation.folds import Protocol
    from miex.experiments.paper.declared import Data, Experiment, Made, Row
    from miex.experiments.paper.shown import Shown
    from miex.experiments.study import Estimate
    from miex.recognition.imagenet import ImageNetWeights
    from miex.recognition.recipe import Recipe
    from miex.recognition.view import View

PAPER, LOSO = "paper", "loso"
REFUSE, SKIP = "refuse", "skip"
DRY = "DRY RUN on fakes, no result: "
DRY_SCALE = 1 / 2500  # 5,000 identities are 2
DRY_SIDE, DRY_BATCH = 32, 4
LEAST_SIDE = {"tlcnn": 64}  # recognizers that cannot see less
REAL, FAKE = "real", "fake"
SHOWN = 2  # apex frames of each kind in a row of Figure 4


@dataclass(frozen=True, repr=False)
class Reproduced(Result):
    """A table or figure of the paper, made again.

    Attributes:
        name: of its files; ends with -dry-run after a dry run.
        title: its title.
        facts: how it was made.
        shown: its lines; None where nothing was trained.
        picture: Figure 4.
        left_out: lines that were left out, and what they lack.
        estimate: what there was to do, where only that was asked for.
        to_make: name and samples of each set that was missing then.
    """

    name: str = "paper"
    title: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    shown: Shown | None = None
    picture: Pictures | None = None
    left_out: Mapping[str, Sequence[str]] | None = None
    estimate: Estimate | None = None
    to_make: Mapping[str, int] | None = None

    def tables(self) -> dict[str, Table]:
        """The table; what was left out; or what is left to do."""
        found: dict[str, Table] = {}
        if self.shown is not None:
            found[""] = self.shown.table()
            if (differences := self.shown.differences()) is not None:
                found["differences"] = differences
        elif self.estimate is not None:
            made = ", ".join(f"{name} ({n:,} samples)" for name, n in (self.to_make or {}).items())
            left = to_do(self.estimate)
            found[""] = Table(f"{self.title}: what is left to do", left.columns, left.rows,
                              f"Sets to make first, in that time: {made}." if made else "")  # fmt: skip
            if self.estimate.loads:
                loads = loads_of(self.estimate)
                found["trainings"] = replace(loads, title=f"{self.title}: trainings to do")
        elif self.picture is not None:
            rows = [[name, "; ".join(caption for _, caption in images)] for name, images in self.picture.rows.items()]
            real = any(caption.startswith(REAL) for images in self.picture.rows.values() for _, caption in images)
            note = "Frames of real corpora: see their licences." if real else ""
            found[""] = Table(self.title, ["label", "apex frames"], rows, note)
        if self.left_out:
            lines = [[name, "; ".join(lacks)] for name, lacks in self.left_out.items()]
            found["left-out" if found else ""] = Table(f"{self.title}: left out", ["line", "lacks"], lines)
        return {key: _marked(table) for key, table in found.items()} if self.facts.get("dry_run") else found

    def chart(self) -> Drawing | None:
        """The picture."""
        return self.picture if self.shown is None else self.shown.chart()

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values."""
        estimate = None if self.estimate is None else {**asdict(self.estimate), "sets": dict(self.to_make or {})}
        return {
            "title": self.title, **self.facts, "lines": [] if self.shown is None else self.shown.plain(),
            "left_out": {name: list(lacks) for name, lacks in (self.left_out or {}).items()}, "estimate": estimate,
        }  # fmt: skip


def _marked(table: Table) -> Table:
    """The table with a last column that marks every row, since programs that read the CSV see no title."""
    return replace(table, columns=[*table.columns, "dry run"], rows=[[*row, "yes"] for row in table.rows])


def _take_paths(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise TypeError
    return {TEXT.take(name): PATH.take(where) for name, where in value.items()}


_PATHS_BY_NAME = Kind("a dict from names to paths", _take_paths)


@checking(
    corpora=_PATHS_BY_NAME, lists=_PATHS_BY_NAME, real_mie=PATH, early_mae=PATH, start=PATH, folds=NAMES,
    scale=number(1e-4, 1), side=COUNT, epochs=COUNT, cells=COUNT, missing=TEXT, dry_run=YES_NO, only_estimate=YES_NO,
    work=PATH,
)  # fmt: skip
def paper(
    name: str,
    *,
    corpora: Mapping[str, PathLike] | None = None,
    faces: PathLike | None = None,
    real_mie: PathLike | None = None,
    early_mae: PathLike | None = None,
    generator: str = "muscle",
    weights: PathLike | None = None,
    start: PathLike | None = None,
    folds: Sequence[str] = (PAPER,),
    lists: Mapping[str, PathLike] | None = None,
    independent: Collection[str] = (),
    scale: float = 1,
    side: int | None = None,
    epochs: int | None = None,
    cells: int | None = None,
    missing: str = REFUSE,
    dry_run: bool = False,
    only_estimate: bool = False,
    store: PathLike = "results",
    work: PathLike = "paper",
    landmarker: PathLike | None = None,
    device: str | Sequence[str] | None = None,
    threads: int = 1,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Reproduced:
    """Make a table or figure of Liu et al. 2022 (MiE-X) again, beside the printed numbers.

    Sets and runs that are there are not made again: the same call continues one that was stopped.

    Args:
        name: table1, table2, table3, fig1, fig4, fig5, fig6 or fig7.
        corpora: folder of each corpus by its name: casme2, samm and smic (which are CompMiE), ckplus, mmew, casme.
        faces: folder of photos, 5,000 or more.
        real_mie: AU pool of CompMiE. Default: the AUs of its clips by the extractor of miex.
        early_mae: AU pool of CK+. Default: likewise.
        generator: name of the generator that moves the faces.
        weights: file of its weights, if it needs one.
        start: weights trained on ImageNet that recognizers with a backbone start from: "imagenet"
            (EfficientNet-Lite0, which miex fetches), or a file of torchvision (.pth). Default: random weights.
        folds: paper (new subject-disjoint folds, as many as in the paper), loso (leave one subject out), or both.
        lists: folder of the authors' fold lists for compmie, mmew or samm, which take the place of new folds. Those of
            samm are for its 115 clips.
        independent: as in `miex.evaluate`. The line CASME needs "casme": one laboratory filmed CASME and CASME II.
        scale: factor of all sizes of sets, for those who have fewer photos.
        side: side of the frames that recognizers see, in pixels; smaller ones are faster, and not the paper's. Default:
            that of each recipe.
        epochs: length of each training; likewise. Default: that of each recipe. A dry run has its own side and length.
        cells: number of lines to make, the first ones (fig4 is one). Default: all.
        missing: what to do with lines whose ingredients were not given: refuse (an error), or skip (leave them out).
        dry_run: whether to go through every line in minutes, on fakes of what was not given: tiny sets, one step of
            training, one repeat. Everything that comes out is marked as a dry run.
        only_estimate: make and train nothing; say what is missing, and about how long that takes.
        store: folder of the stored runs; a dry run keeps its own in `work`.
        work: folder of the sets.
        landmarker: as in `miex.synthesize`.
        device, threads: as in `miex.train`.
        workers, progress, say: as in `miex.synthesize`.

    Raises:
        UsageError: torch is not installed, a value is out of range, something that a line needs was not given, or an
            option of training with fig4.
        InputError: data cannot be read, or nothing is left to train on.
        OutputError: a folder cannot be written, or holds another set.
    """
    need_training()
    from miex.experiments.paper.declared import EXPERIMENTS, FIGURE_4, MIE_X, REPEATS
    from miex.experiments.study import Estimate, Study

    experiment = EXPERIMENTS[one_of(name, EXPERIMENTS, "`name`")]
    kinds = [one_of(one, (PAPER, LOSO), "`folds`") for one in dict.fromkeys(folds)] or [PAPER]
    for key in corpora or {}:
        one_of(key, FAKES, "`corpus`")
    listed = {one_of(key, ("compmie", "mmew", "samm"), "`lists`"): where for key, where in (lists or {}).items()}
    for key, where in listed.items():
        if not path(where).is_dir():
            raise UsageError(
                f"`lists` {key}={where}", expected="the folder of the authors' lists", found="no such folder"
            )
    one_of(missing, (REFUSE, SKIP), "`missing`")
    if name == "fig4":
        _refuse_training(start=start, lists=lists, side=side, epochs=epochs, loso=LOSO in kinds)
    place, kept = path(work), path(store)
    if dry_run:
        given = [corpora, faces, real_mie, early_mae, weights]  # what is made of other things has another folder
        place /= f"dry-run-{json_digest(str(given))[:8]}" if any(given) else "dry-run"
        scale, independent = DRY_SCALE, {*independent, "casme"}
        kept = place / "results"
    stock = Ingredients(
        corpora or {}, faces, real_mie, early_mae, place, scale, generator, weights, independent, dry_run, workers,
        landmarker, progress, say,
    )  # fmt: skip
    recipes = _Recipes(start, dry_run, say, side, epochs)
    facts = {
        "experiment": name, "dry_run": dry_run, "scale": scale, "generator": generator, "folds": kinds,
        "start": recipes.named, "side": side, "epochs": epochs, "repeats": 1 if dry_run else REPEATS,
    }  # fmt: skip
    title = _title(experiment, facts)
    files = f"{name}-dry-run" if dry_run else name
    if name == "fig4":
        if lacks := stock.lacking(FIGURE_4):
            raise _incomplete(name, dict.fromkeys(lacks, ""), skip=False)
        if only_estimate:
            to_make = {} if stock.there(MIE_X) else {MIE_X.name: MIE_X.at(scale).size}
            estimate = Estimate(0, 0, 0, 0, 0, stock.seconds([MIE_X]))
            return Reproduced(files, title, facts, estimate=estimate, to_make=to_make)
        return Reproduced(files, title, facts, picture=_figure4(stock, title, dry_run))
    asked = experiment.rows if missing == SKIP else experiment.rows[:cells]  # what no line needs is not asked for
    lacking = {row: lacks for row in asked if (lacks := stock.lacking(row))}
    if lacking and (missing == REFUSE or len(lacking) == len(asked)):
        some = any(not stock.lacking(row) for row in experiment.rows)  # lines for which all is there
        raise _incomplete(name, _needed(lacking), skip=some and missing == REFUSE)
    rows = [row for row in asked if row not in lacking]
    left_out = {_called(row): lacks for row, lacks in lacking.items()}
    repeats = 1 if dry_run else REPEATS

    def protocols(row: Row, real: View) -> dict[str, list[Protocol]]:
        found: dict[str, list[Protocol]] = {}
        for kind in kinds:
            tested, asked = row.tested, f"{row.tested.k}-fold"
            if kind == LOSO:
                asked = LOSO
            elif tested.corpus in listed and tested.classes != "samm-5":
                asked = str(listed[tested.corpus])
            parts = folds_of(asked, real, repeats)
            found[LOSO if kind == LOSO else parts[0].name] = parts
        return found

    from miex.evaluation.results import Results
    from miex.experiments.paper.lines import Setting, lines_of
    from miex.experiments.paper.shown import Found, Shown

    machine = machine_of(device, threads)
    models = None if dry_run else kept / "models"  # those of a dry run are large, and quickly trained

    def study(view: Any) -> tuple[Study, list[tuple[Row, str]]]:
        setting = Setting(view, recipes, protocols, models, machine, independent, stock.people)
        made = ((row, line) for row in rows for line in lines_of(row, setting))
        pairs = list(islice(made, cells))  # no more data is read than these need
        of = [(row, line.tested) for row, line in pairs]
        return Study([line for _, line in pairs], Results(kept), machine), of

    if only_estimate or not dry_run:
        todo, of = study(stock.stand_in)
        left, to_make = _estimate(todo, stock, [row for row, _ in of])
        say(said(left, processes(workers)))
        if to_make:
            say(
                "sets to make first, in that time: " + ", ".join(f"{key} ({n:,} samples)" for key, n in to_make.items())
            )
        if only_estimate:
            return Reproduced(files, title, facts, left_out=left_out, estimate=left, to_make=to_make)
    whole, of = study(stock.view)
    runs = whole.run(executor=executor(workers), progress=stage(progress, name))
    found = [
        Found(row, folds_name, _size(line), one)
        for (row, folds_name), line, one in zip(of, whole.lines, runs, strict=True)
    ]
    return Reproduced(files, title, facts, Shown(experiment, title, found), left_out=left_out)


class _Recipes:
    """The recipe of each recognizer, and the weights that it starts from."""

    def __init__(
        self, start: PathLike | None, dry: bool, say: Say, side: int | None = None, epochs: int | None = None
    ) -> None:
        self.start, self.dry, self.say = start, dry, say
        self.side, self.epochs = side, epochs
        self.known: dict[str, tuple[Recipe, ImageNetWeights | None]] = {}

    @property
    def named(self) -> str:
        return "random" if self.start is None else path(self.start).name

    def __call__(self, recognizer: str) -> tuple[Recipe, ImageNetWeights | None]:
        from miex.recognition.method import method_class

        if recognizer not in self.known:
            recipe, weights = recipe_of(None, recognizer=recognizer), None
            if self.dry:
                recipe = recipe.but(
                    side=LEAST_SIDE.get(recognizer, DRY_SIDE), batch=DRY_BATCH, samples_seen=DRY_BATCH,
                    optimizer="sgd",  # whose step is the cheapest
                )  # fmt: skip
            else:
                epochs = self.epochs if method_class(recognizer).fine_tunes else None
                recipe = recipe.but(side=self.side, epochs=epochs)
            if self.start is not None and method_class(recognizer).backbones:
                begin, recipe = start_of(self.start, recipe, self.say)
                weights = _of_imagenet(begin, self.start)
            self.known[recognizer] = recipe, weights
        return self.known[recognizer]


def _of_imagenet(begin: Any, given: PathLike) -> ImageNetWeights | None:
    from miex.recognition.recognizer import Recognizer

    if isinstance(begin, Recognizer | LoadedRecognizer):
        raise UsageError(
            f"`start` {given}", expected="weights trained on ImageNet, or random ones", found="a trained recognizer"
        )
    weights: ImageNetWeights | None = begin
    return weights


def _title(experiment: Experiment, facts: Mapping[str, Any]) -> str:
    parts = [experiment.title, f"generator {facts['generator']}"]
    if experiment.rows:
        parts.append(f"networks start from {facts['start']} weights")
    if facts["side"] and not facts["dry_run"]:
        parts.append(f"frames of {facts['side']} pixels")
    if facts["epochs"] and not facts["dry_run"]:
        parts.append(f"{facts['epochs']} epochs")
    if facts["scale"] != 1 and not facts["dry_run"]:
        parts.append(f"sets at {facts['scale']:g} of their printed sizes")
    return (DRY if facts["dry_run"] else "") + "; ".join(parts)


def _called(row: Row) -> str:
    parts = [row.panel, row.name, row.recognizer, row.tested.name]
    return ", ".join(part for part in parts if part)


def _needed(lacking: Mapping[Row, Iterable[str]]) -> dict[str, str]:
    """What is lacking, and which lines need it."""
    needed: dict[str, list[str]] = {}
    for row, lacks in lacking.items():
        for lack in lacks:
            needed.setdefault(lack, []).append(_called(row))
    return {
        lack: f"{len(lines)} lines, such as {lines[0]}" if len(lines) > 2 else "; ".join(lines)
        for lack, lines in needed.items()
    }


def _incomplete(name: str, needed: Mapping[str, str], *, skip: bool) -> UsageError:
    """One message for all that is missing, with the lines that need it; `skip`: whether lines are left without them."""
    listed = "".join(f"\n    {lack}" + (f": {lines}" if lines else "") for lack, lines in needed.items())
    return UsageError(
        f"experiment {name}", expected="all that its lines need" if any(needed.values()) else "all that it needs",
        found=f"without:{listed}",
        do="give them" + (", or leave these lines out: `missing` skip" if skip else "")
        + "; to see it run on fakes: `dry_run`",
    )  # fmt: skip


def _estimate(study: Any, stock: Ingredients, rows: Sequence[Row]) -> tuple[Estimate, dict[str, int]]:
    """What is left to do, with the time to make sets; and name and size of each set that is missing."""
    sets: dict[str, Made] = {made.name: made for row in rows for made in row.sets}
    absent = {name: made for name, made in sets.items() if not stock.there(made)}
    left = study.estimate()
    if left.seconds is not None:
        left = replace(left, seconds=left.seconds + stock.seconds(absent.values()))
    return left, {name: made.at(stock.scale).size for name, made in absent.items()}


def _size(line: Any) -> int:
    fit = line.cells[0].fit
    return len(fit.real if fit.other is None else fit.other)


def _refuse_training(**given: object) -> None:
    """Raises UsageError for what would be without effect on a picture of frames."""
    for name, value in given.items():
        if value:
            raise UsageError(
                "`folds` loso" if name == "loso" else f"`{name}` {value}",
                expected="none with fig4, for which nothing is trained", do="leave it out",
            )  # fmt: skip


def _figure4(stock: Ingredients, title: str, dry: bool) -> Pictures:
    """Apex frames of CompMiE beside those that each source gives."""
    import numpy as np

    from miex.experiments.paper.declared import COMPMIE, LABELS, MIE_X, SOURCES, Part

    recipe, _ = _Recipes(None, dry, stock.say)("apexme")
    parts: dict[str, Data] = {REAL: "compmie"}
    parts |= {f"z^{short}": Part(MIE_X, (source,)) for source, short in SOURCES.items()}
    lines: dict[str, list[tuple[Any, str]]] = {label: [] for label in LABELS}
    for kind, data in parts.items():
        view = stock.view(data, COMPMIE.classes, recipe)
        for code, label in enumerate(LABELS):
            found = np.flatnonzero(view.labels == code)
            at = found[np.linspace(0, len(found) - 1, min(SHOWN, len(found))).astype(np.int64)]
            corpora = view.rows["corpus"].take(at).to_pylist() if kind == REAL else [""] * len(at)
            names = (f"{FAKE if dry and one not in stock.corpora else REAL}, {one}" if one else kind for one in corpora)
            lines[label] += list(zip(view.batch(at), names, strict=True))
    return Pictures(title, lines)
