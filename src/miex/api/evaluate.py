"""Train and test a recognizer over folds, or test a trained one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from miex.api.examples import DATA, RECIPE, faces_of, machine_of, need_training, recipe_of, selected, tables_of, view_of
from miex.api.predict import RECOGNIZER, LoadedRecognizer, load_recognizer
from miex.api.train import start_of
from miex.api.work import PathLike, Say, Stages, Workers, executor, path, processes, said, stage, unsaid
from miex.arguments import PATH, TEXT, checking
from miex.corpora.mappings import mapping_named
from miex.corpora.people import corpus_key, person_key, same_lab
from miex.errors import InputError, UsageError, one_of, some_of
from miex.experiments.present import Entry, Result, Table, Value, spread

if TYPE_CHECKING:
    import pyarrow as pa

    from miex.api.examples import Data
    from miex.evaluation.evaluate import Evaluation
    from miex.evaluation.folds import Protocol
    from miex.evaluation.metrics import Scores
    from miex.evaluation.significance import Interval
    from miex.recognition.recipe import Recipe
    from miex.recognition.recognizer import Recognizer
    from miex.recognition.view import View

COUNTS = ("uf1", "uar", "accuracy")


@dataclass(frozen=True, repr=False)
class Evaluated(Result):
    """Result of an evaluation over folds. Scores are those of the last epoch, pooled over folds, as means over repeats.

    Attributes:
        runs: the predictions of every fold of every repeat.
        label_names: names of the classes.
        folds: the folds of each repeat.
        epochs: epochs whose predictions are stored: last, and best_on_test if it was requested.
        notes: what to know when reading the scores, as sentences.
    """

    runs: Evaluation
    label_names: tuple[str, ...]
    folds: Sequence[Protocol]
    epochs: tuple[str, ...] = ("last",)
    notes: tuple[str, ...] = ()
    name = "evaluation"

    @property
    def uf1(self) -> float:
        """Unweighted F1 score (mean over the classes), in [0, 1]."""
        return float(np.mean([s.uf1 for s in self.runs.scores()]))

    @property
    def uar(self) -> float:
        """Unweighted average recall, in [0, 1]."""
        return float(np.mean([s.uar for s in self.runs.scores()]))

    @property
    def accuracy(self) -> float:
        """Fraction of samples that are predicted right, in [0, 1]."""
        return float(np.mean([s.accuracy for s in self.runs.scores()]))

    @property
    def interval(self) -> Interval:
        """UF1 with its 95 % confidence interval, by a bootstrap over subjects."""
        from miex.evaluation.significance import bootstrap

        return bootstrap(self.runs.subject_counts())

    @property
    def confusion(self) -> npt.NDArray[np.int64]:
        """Confusion matrix summed over all repeats, int64 [classes, classes]; rows are the truth."""
        return np.asarray(np.sum([s.confusion for s in self.runs.scores()], axis=0), np.int64)

    @property
    def refused(self) -> int:
        """Number of training rows that the leak guard refused; the largest of all runs."""
        return self.runs.fact("refused")

    @property
    def unchecked(self) -> int:
        """Number of training rows of unknown origin that were used, with `accept_unknown`; the largest of all runs."""
        return self.runs.fact("unchecked")

    def __repr__(self) -> str:
        between = self.interval
        return (
            f"{self.runs.name}, {self.runs.protocol}, {len(self.runs.repeats)} repeats: UF1 {self.uf1:.3f} "
            f"({between.low:.2f} … {between.high:.2f} over subjects), UAR {self.uar:.3f}, accuracy {self.accuracy:.3f}"
            + "".join(f"\n{note}" for note in self.notes)
        )

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(repr(self))}</p>{super()._repr_html_()}"

    def table(self) -> Table:
        """Scores pooled over folds, of each corpus, and as means over folds; each as mean ± std over repeats."""
        lines: list[list[Entry]] = []

        def line(name: str, n: int, scores: Sequence[Sequence[float]]) -> None:
            columns = np.asarray(scores).T
            lines.append([name, n, *(spread(column.mean(), column.std(), len(scores)) for column in columns)])

        def numbers(scores: Sequence[Scores]) -> list[tuple[float, ...]]:
            return [tuple(getattr(s, count) for count in COUNTS) for s in scores]

        for epoch in self.epochs:
            note = "" if epoch == "last" else f" {epoch}"
            whole = self.runs.scores(epoch)
            line(f"pooled{note}", whole[0].n, numbers(whole))
            for corpus in self.runs.corpora():
                part = self.runs.scores(epoch, only=self.runs.of_corpus(corpus))
                line(f"  {corpus}{note}", part[0].n, numbers(part))
            line(f"fold mean{note}", whole[0].n, self.runs.fold_means(epoch))
        n = len(self.runs.repeats)
        many = "1 repeat" if n == 1 else f"{n} repeats (± std over them, ddof 0)"
        title = f"{self.runs.name}, {self.runs.protocol}, {many}"
        return Table(title, ["", "n", "UF1", "UAR", "accuracy"], lines, _said_below(self.notes))

    def confusion_table(self) -> Table:
        """The confusion matrix summed over all repeats; rows are the truth."""
        return _confusion(self.label_names, self.confusion, "confusion, all repeats (rows: truth)")

    def tables(self) -> dict[str, Table]:
        """Scores and confusion matrix."""
        return {"": self.table(), "confusion": self.confusion_table()}

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values."""
        from miex.evaluation.significance import bootstrap

        found = self.runs

        def scores(given: Sequence[Scores]) -> list[dict[str, Any]]:
            return [{"n": s.n, **{count: getattr(s, count) for count in COUNTS}} for s in given]

        return {
            "name": found.name, "protocol": found.protocol, "computed": found.computed,
            "folds": [one.digest for one in self.folds], "label_names": list(self.label_names),
            "refused": self.refused, "unchecked": self.unchecked, "notes": list(self.notes),
            **{
                epoch: {
                    "pooled": scores(found.scores(epoch)),
                    "corpora": {c: scores(found.scores(epoch, only=found.of_corpus(c))) for c in found.corpora()},
                    "fold_mean": [
                        dict(zip((f"{count}_fold_mean" for count in COUNTS), means, strict=True))
                        for means in found.fold_means(epoch)
                    ],
                    "confusion": [s.confusion.tolist() for s in found.scores(epoch)],
                    "interval": vars(bootstrap(found.subject_counts(epoch))),
                }
                for epoch in self.epochs
            },
        }  # fmt: skip


@dataclass(frozen=True, repr=False)
class Tested(Result):
    """Result of testing a trained recognizer.

    Attributes:
        scores: UF1, UAR, accuracy, confusion matrix and number of samples.
        interval: UF1 with its 95 % confidence interval, by a bootstrap over subjects.
        label_names: names of the classes.
        notes: what to know when reading the scores, as sentences.
    """

    scores: Scores
    interval: Interval
    label_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    name = "evaluation"

    def tables(self) -> dict[str, Table]:
        """Scores and confusion matrix."""
        s, between = self.scores, self.interval
        uf1 = Value(s.uf1, low=between.low, high=between.high)
        scores = Table(
            "Scores, 95 % interval over subjects", ["n", "UF1", "UAR", "accuracy"],
            [[s.n, uf1, Value(s.uar), Value(s.accuracy)]], _said_below(self.notes),
        )  # fmt: skip
        return {"": scores, "confusion": _confusion(self.label_names, s.confusion, "confusion (rows: truth)")}

    def __repr__(self) -> str:
        return (
            f"{self.scores.n} samples: UF1 {self.scores.uf1:.3f} ({self.interval.low:.2f} … {self.interval.high:.2f} "
            f"over subjects), UAR {self.scores.uar:.3f}, accuracy {self.scores.accuracy:.3f}"
            + "".join(f"\n{note}" for note in self.notes)
        )

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "n": self.scores.n, **{count: getattr(self.scores, count) for count in COUNTS},
            "uf1_95": [self.interval.low, self.interval.high], "confusion": self.scores.confusion.tolist(),
            "notes": list(self.notes),
        }  # fmt: skip


@checking(real=DATA, extra=DATA, classes=TEXT, extra_classes=TEXT, recipe=RECIPE, pretrain=RECIPE, start=PATH)
def evaluate(
    real: Data | Sequence[Data],
    *,
    extra: Data | Sequence[Data] | None = None,
    where: str | None = None,
    mode: str = "real",
    classes: str | None = None,
    extra_classes: str | None = None,
    recognizer: str | None = None,
    folds: str = "3-fold",
    recipe: str | Recipe | None = None,
    backbone: str | None = None,
    side: int | None = None,
    epochs: int | None = None,
    start: PathLike | None = None,
    pretrain: str | Recipe | None = None,
    repeats: int = 3,
    best_on_test: bool = False,
    accept_unknown: bool = False,
    independent: Collection[str] = (),
    store: PathLike = "results",
    flow: str | None = None,
    no_apex: str = "refuse",
    on_error: str = "raise",
    device: str | Sequence[str] | None = None,
    threads: int = 1,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Evaluated:
    """Train and test a recognizer over folds and repeats.

    A leak guard refuses training samples that show a person who is tested, by their AUs or, as far as that is known, by
    their face, and whatever is in the test part byte for byte.

    Real clips are aligned and cropped alike, as in `LoadedRecognizer.predict`, for training and test; crops of samples
    of sets are drawn (see `recognition.inputs.crops`).

    Args:
        real: real samples to test on: clips of a corpus, NAME=PATH of one, or a flow file (.npz) with corpus and
            subject. A list is joined.
        extra: samples to train on besides the real ones (see `miex.examples`); a list is joined. Required with every
            mode but real.
        where: query that chooses samples of the sets in `extra`, as in `miex.train`.
        mode: what to train on: real (the folds' real samples), direct (only `extra`), fine-tune (`extra`, then real
            ones) or joint (both at once).
        classes: name of the mapping that gives the classes of `real` and `extra`, as in `miex.examples`.
        extra_classes: other classes for `extra`, with mode fine-tune, which then starts a new last layer. Default:
            those of `classes`.
        recognizer: name of the recognizer, instead of the recipe's.
        folds: "3-fold", "5-fold" …; "loso" (leave one subject out; on CompMiE this is the CDE of MEGC 2019); "loco"
            (leave one corpus out); a folder of the MiE-X authors' lists; or a CSV with columns sample_id and fold.
        recipe, backbone, side, epochs: as in `miex.train`.
        start: weights trained on ImageNet that the first training starts from, as in `miex.train`.
        pretrain: recipe of the pre-training with mode fine-tune. Default: the same as `recipe`.
        repeats: number of repeats, each with its own seed; k-fold also draws new folds for each.
        best_on_test: whether to also report the epoch that scores best on the test part, under that name; it is never
            the result.
        accept_unknown: whether to also train on samples of unknown origin, which the leak guard cannot check; they are
            counted.
        independent: names of corpora that share no people with any other corpus: your own, or one whose laboratory
            filmed several (such as casme beside casme2); the leak guard relies on your word.
        store: folder of the stored runs; runs that are already there are not repeated.
        flow: as in `miex.train`.
        no_apex, on_error: as in `miex.examples`.
        device, threads: as in `miex.train`.
        workers, progress, say: as in `miex.synthesize`.

    Returns:
        Scores, confusion matrix, intervals and the predictions behind them.

    Raises:
        UsageError: torch is not installed, a value is out of range, or options contradict each other.
        InputError: the data cannot be read, nothing is left to train on, or a fold trains on a subject that it tests.
    """
    need_training()
    from miex.evaluation.results import Results
    from miex.experiments.modes import MODES, Fit
    from miex.experiments.study import Line, Study
    from miex.recognition.method import prove_fine_tunes
    from miex.recognition.recognizer import Recognizer

    way = one_of(mode, MODES, "mode")
    if (way == "real") != (extra is None):
        raise UsageError(f"`mode` {mode}", expected="`extra` with direct, fine-tune and joint, and none with real")
    if where is not None and extra is None:
        raise UsageError(f"`where` {where!r} with `mode` {mode}", expected="`extra`, from which samples are chosen")
    for name, asked in ((classes, "`classes`"), (extra_classes, "`extra_classes`")):
        if name is not None:
            mapping_named(name, asked)
    if extra_classes is not None and way != "fine-tune":
        raise UsageError(
            f"`extra_classes` {extra_classes} with `mode` {mode}", expected="mode fine-tune",
            do="give `classes`: only fine-tuning passes from one set of classes to another",
        )  # fmt: skip
    prove_folds(folds)
    chosen = recipe_of(recipe, recognizer=recognizer, backbone=backbone, side=side, epochs=epochs, flow=flow)
    begin, chosen = start_of(start, chosen, say)
    if isinstance(begin, Recognizer):
        raise UsageError(
            f"`start` {start}", expected="weights trained on ImageNet, or random ones",
            found="a trained recognizer, which may have seen people who are tested",
            do="give what it was trained on as `extra`, with `mode` fine-tune",
        )  # fmt: skip
    before = None if pretrain is None else recipe_of(pretrain, backbone=chosen.backbone, flow=flow)
    if before is not None and begin is not None:
        before = begin.recipe(before)
    if way == "fine-tune":
        prove_fine_tunes(chosen.recognizer)
    machine, extra = machine_of(device, threads), selected(extra, where)

    def view(given: Data | Sequence[Data], by: str | None) -> View:
        return view_of(
            given, chosen, classes=by, no_apex=no_apex, on_error=on_error, workers=workers, progress=progress, say=say
        )

    tested = each_once(view(real, classes))
    other = None if extra is None else view(extra, extra_classes or classes)
    notes = [] if other is None else [f"`extra`: {note}" for note in on_expert_tables(extra, other.rows, tested.rows)]
    for note in notes:
        say(note)
    notes += (
        [] if where is None else [f"of the sets in `extra`, only samples that meet a query were trained on: {where}"]
    )
    notes += left_out("to test on", tested.skipped)
    notes += [] if other is None else left_out("to train on", other.skipped)
    fit = Fit(way, tested, chosen, other, before, begin, best_on_test, path(store) / "models", machine)
    parts = folds_of(folds, tested, repeats)
    begun = "" if begin is None else f", from {begin}"
    cell = fit.cell(
        f"{chosen.name}, {mode}{begun}", parts, accept_unknown=accept_unknown, independent=independent,
        faces=faces_of(extra),
    )  # fmt: skip
    study = Study([Line(cell.name, "", [cell])], Results(path(store)), fit.machine)
    say(said(study.estimate(), processes(workers)))
    (found,) = study.run(executor=executor(workers), progress=stage(progress, f"{chosen.name}, {mode}, {folds}"))
    say(f"folds of seed 0: {parts[0].digest[:12]}")
    epochs_kept = ("last", "best_on_test") if best_on_test else ("last",)
    return Evaluated(found, tested.label_names, parts, epochs_kept, tuple(notes))


def left_out(which: str, names: Sequence[str]) -> list[str]:
    """A sentence on samples, such as those to test on, that were left out because they cannot be read, if there are."""
    return (
        [f"{len(names):,} samples {which} were left out, since they cannot be read: {some_of(names)}"] if names else []
    )


def on_expert_tables(extra: Data | Sequence[Data] | None, rows: pa.Table, tested: pa.Table) -> list[str]:
    """What expert tables of training samples know of the corpora that are tested, as sentences.

    Args:
        extra: the training samples.
        rows: their rows.
        tested: rows of the samples that are tested.
    """
    several: Sequence[Any] = extra if isinstance(extra, list | tuple) else [extra]
    told = [tables_of(one) for one in several]
    tables = [table for one in told for table in one or ()]
    if None in told and "expert" in rows["source"].unique().to_pylist():  # such as clips that were exported
        tables.append("")
    return [note for table in dict.fromkeys(tables) for note in _frequencies(table, tested)]


def _frequencies(table: str, tested: pa.Table) -> Iterator[str]:
    """Says that an expert table, empty: an unknown one, holds how often AUs were seen in a corpus that is tested, or in
    one whose laboratory filmed one that is tested."""
    from miex.sources.expert import PRESETS, corpora_of

    name = " ".join(table.split()[:-1]) or PRESETS[0]  # without its digest
    of_table = {str(corpus_key(corpus)) for corpus in corpora_of(name)}
    corpora = sorted({str(corpus_key(corpus)) for corpus in tested["corpus"].unique().to_pylist()})
    why = [f"{one}, which is tested" for one in corpora if one in of_table]
    why += [
        f"{one}, whose laboratory filmed {other}, which is tested, perhaps with some of the same people"
        for one in sorted(of_table) for other in corpora if same_lab(one, other)
    ]  # fmt: skip
    if why:
        which = (
            f"its expert table, {table}, holds" if table
            else f"its expert samples do not say from which table they were drawn; the default one, {name}, holds"
        )  # fmt: skip
        yield (
            f"{which} how often each AU was seen in {'; and in '.join(why)}: the scores may owe something to that; a "
            "set with another table, such as du2014, does not"
        )


def _said_below(notes: Sequence[str]) -> str:
    return " ".join(f"{note}." for note in notes)


@checking(recognizer=RECOGNIZER, real=DATA, classes=TEXT)
def evaluate_recognizer(
    recognizer: LoadedRecognizer | PathLike,
    real: Data | Sequence[Data],
    *,
    classes: str | None = None,
    accept_unknown: bool = False,
    independent: Collection[str] = (),
    no_apex: str = "refuse",
    on_error: str = "raise",
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Tested:
    """Test a trained recognizer as it is, on people who were not in its training data.

    Clips are aligned and cropped as in `LoadedRecognizer.predict`.

    Args:
        recognizer: a trained recognizer, its file, or its folder.
        real: real samples to test on, as in `evaluate`.
        classes: name of the mapping that has the recognizer's classes, as in `miex.examples`.
        accept_unknown: whether to also test a recognizer that was trained on samples of unknown origin, or whose file
            does not say what it has seen.
        independent: as in `evaluate`.
        no_apex, on_error: as in `miex.examples`.
        workers, progress, say: as in `miex.synthesize`.

    Raises:
        UsageError: torch is not installed, or a value is out of range.
        InputError: the data cannot be read, a sample does not say who is in it, or the recognizer was trained on people
            or on maps and frames that are tested, or on samples of unknown origin.
    """
    need_training()
    from miex.evaluation.metrics import confusion, score
    from miex.evaluation.significance import bootstrap, by_subject

    loaded = (recognizer if isinstance(recognizer, LoadedRecognizer) else load_recognizer(recognizer)).trained
    samples = each_once(
        view_of(
            real,
            loaded.recipe,
            classes=classes,
            no_apex=no_apex,
            on_error=on_error,
            workers=workers,
            progress=progress,
            say=say,
        )
    )
    _prove_says_who(samples)
    name = "a recognizer" if isinstance(recognizer, LoadedRecognizer) else str(recognizer)
    _prove_apart(loaded, samples, name, accept_unknown, independent)
    by_table = any(origin[0] == "expert" for origin in loaded.history.get("origins", []))
    notes = [f"{name}: {note}" for note in _frequencies("", samples.rows)] if by_table else []
    for note in notes:
        say(note)
    notes += left_out("to test on", samples.skipped)
    predicted = loaded.predict(samples).argmax(1)
    k = len(loaded.label_names)
    scores = score(confusion(samples.labels, predicted, k))
    between = bootstrap([by_subject(samples.labels, predicted, np.asarray(samples.people), k)])
    return Tested(scores, between, loaded.label_names, tuple(notes))


def _prove_says_who(samples: View) -> None:
    """Raises InputError if a sample shows neither a subject of a corpus nor, as of the expert source, only a face."""
    from miex.evaluation.leakage import WITHOUT_PEOPLE, existing_sources

    columns = (samples.rows[name].to_pylist() for name in ("sample_id", "source", "corpus", "subject", "photo"))
    nobody, sources = [], {None, *existing_sources(samples.rows["source"].to_pylist())}
    for name, source, corpus, subject, photo in zip(*columns, strict=True):
        only_face = (source, corpus, subject) == (WITHOUT_PEOPLE, None, None) and photo is not None
        if source not in sources or not (only_face or person_key(corpus, subject)):
            nobody.append((name, source, corpus, subject))
    if nobody:
        name, source, corpus, subject = nobody[0]
        raise InputError(
            "samples to test on", expected="corpus and subject of each, so that nobody is tested who was trained on",
            found=f"{len(nobody):,} of {len(samples):,} do not say who is in them, such as {name} (source {source!r}, "
            f"corpus {corpus!r}, subject {subject!r})",
            do="add corpus and subject to the flow file, spelled as the corpus does (sub01, S01, 006); the source of "
            "clips is real",
        )  # fmt: skip


def _prove_apart(
    trained: Recognizer, samples: View, name: str, accept_unknown: bool, independent: Collection[str]
) -> None:
    """Raises InputError if a recognizer was trained on people or content that is tested, or it is not known."""
    import pyarrow as pa

    from miex.evaluation.leakage import COLUMNS, WITHOUT_PEOPLE, Verdict, verdicts

    origins = trained.history.get("origins", [[None] * 3])
    faces = {str(i): (face[0], face[1]) for i, face in enumerate(trained.history.get("faces") or [])}
    rows = [*([*origin, None] for origin in origins), *([WITHOUT_PEOPLE, None, None, photo] for photo in faces)]
    table = pa.table({n: [row[i] for row in rows] for i, n in enumerate((*COLUMNS, "photo"))})
    columns = (samples.rows[key].to_pylist() for key in ("corpus", "subject"))
    people = {pair for pair in zip(*columns, strict=True) if pair[1]}
    judged = verdicts(table, people, independent=independent, faces=faces)
    found = [verdict for verdict in judged if verdict is not Verdict.allowed]
    why, marks = "", trained.marks
    if [v for v in found if not (accept_unknown and v is Verdict.unknown)]:
        why = f"{len(found)} of {len(rows)} origins and faces of its training data are refused: {found[0]}"
    elif not accept_unknown and (marks is None or trained.history.get("faces") is None):
        why = "its file does not say which maps, frames and faces it was trained on"
    elif shared := int(np.isin(samples.marks.flatten().to_numpy(), [] if marks is None else marks).sum()):
        why = f"{shared:,} maps, frames or photos of the test samples were in its training data"
    if why:
        raise InputError(
            f"testing {name}", expected="a recognizer that was trained on none of the people tested", found=why,
            do="evaluate over folds, or test on other people",
        )  # fmt: skip


def folds_of(name: str, real: View, repeats: int) -> list[Protocol]:
    """The folds of each repeat, by their name or file.

    Raises:
        UsageError: there are no such folds, or too few people for them.
        InputError: the lists or the table do not fit the samples.
    """
    from miex.evaluation import folds

    corpus, subject = (real.rows[key].to_pylist() for key in ("corpus", "subject"))
    of = folds.persons(corpus, subject)
    number = re.fullmatch(r"(\d+)-fold", name)
    if number:
        return [folds.k_fold(of, int(number[1]), seed) for seed in range(repeats)]
    if name.lower() in {"loso", "cde"}:
        return [folds.leave_one_subject_out(of)] * repeats
    if name.lower() == "loco":
        return [folds.leave_one_corpus_out(of)] * repeats
    where, ids = path(name), real.rows["sample_id"].to_pylist()
    if where.is_dir():
        clips = [i.split("/")[2] if i.count("/") >= 2 else i for i in ids]
        listed = [folds.clip_key(*who) for who in zip(corpus, subject, clips, strict=True)]
        return [folds.published(listed, where)] * repeats
    if where.suffix == ".csv":
        return [folds.read_table(ids, of, where)] * repeats
    raise _no_folds(name)


def _confusion(names: Sequence[str], counts: npt.NDArray[np.int64], title: str) -> Table:
    rows: list[list[Entry]] = [[name, *map(int, row)] for name, row in zip(names, counts, strict=True)]
    return Table(title, ["", *names], rows)


def prove_folds(name: str) -> None:
    """Raises UsageError if the folds are neither a known name nor a folder or CSV; needs no samples."""
    known = re.fullmatch(r"\d+-fold", name) or name.lower() in {"loso", "cde", "loco"}
    if not (known or path(name).is_dir() or path(name).suffix == ".csv"):
        raise _no_folds(name)


def each_once(tested: View) -> View:
    """The same samples. Raises UsageError if a sample occurs twice, because scores would count it twice."""
    from miex.evaluation.evaluate import prove_each_once

    prove_each_once(tested.rows)
    return tested


def _no_folds(name: str) -> UsageError:
    return UsageError(f"`folds` {name!r}", expected="3-fold, 5-fold …, loso, cde, loco, a folder of lists, or a .csv")
