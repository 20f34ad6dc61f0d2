"""Train and test a recognizer over folds, or test a trained one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from miex.api.examples import DATA, RECIPE, machine_of, need_training, recipe_of, view_of
from miex.api.experiments import said
from miex.api.predict import RECOGNIZER, LoadedRecognizer, load_recognizer
from miex.api.train import start_of
from miex.api.work import PathLike, Say, Stages, Workers, executor, path, processes, stage, unsaid
from miex.arguments import PATH, TEXT, checking
from miex.corpora.mappings import mapping_named
from miex.errors import InputError, UsageError, one_of
from miex.experiments.present import Entry, Result, Table, Value, spread

if TYPE_CHECKING:
    from miex.api.examples import Data
    from miex.evaluation.evaluate import Evaluation
    from miex.evaluation.folds import Protocol
    from miex.evaluation.metrics import Scores
    from miex.evaluation.significance import Interval
    from miex.recognition.recipe import Recipe
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
    """

    runs: Evaluation
    label_names: tuple[str, ...]
    folds: Sequence[Protocol]
    epochs: tuple[str, ...] = ("last",)
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
        return Table(title, ["", "n", "UF1", "UAR", "accuracy"], lines)

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
            "refused": self.refused, "unchecked": self.unchecked,
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
    """

    scores: Scores
    interval: Interval
    label_names: tuple[str, ...]
    name = "evaluation"

    def tables(self) -> dict[str, Table]:
        """Scores and confusion matrix."""
        s, between = self.scores, self.interval
        uf1 = Value(s.uf1, low=between.low, high=between.high)
        scores = Table(
            "Scores, 95 % interval over subjects", ["n", "UF1", "UAR", "accuracy"],
            [[s.n, uf1, Value(s.uar), Value(s.accuracy)]],
        )  # fmt: skip
        return {"": scores, "confusion": _confusion(self.label_names, s.confusion, "confusion (rows: truth)")}

    def __repr__(self) -> str:
        return (
            f"{self.scores.n} samples: UF1 {self.scores.uf1:.3f} ({self.interval.low:.2f} … {self.interval.high:.2f} "
            f"over subjects), UAR {self.scores.uar:.3f}, accuracy {self.scores.accuracy:.3f}"
        )

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "n": self.scores.n, **{count: getattr(self.scores, count) for count in COUNTS},
            "uf1_95": [self.interval.low, self.interval.high], "confusion": self.scores.confusion.tolist(),
        }  # fmt: skip


@checking(real=DATA, extra=DATA, classes=TEXT, extra_classes=TEXT, recipe=RECIPE, pretrain=RECIPE, start=PATH)
def evaluate(
    real: Data | Sequence[Data],
    *,
    extra: Data | Sequence[Data] | None = None,
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
    device: str | Sequence[str] | None = None,
    threads: int = 1,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Evaluated:
    """Train and test a recognizer over folds and repeats.

    A leak guard refuses training samples whose AUs come from a person who is tested.

    Args:
        real: real samples to test on: clips of a corpus, NAME=PATH of one, or a flow file (.npz) with corpus and
            subject. A list is joined.
        extra: samples to train on besides the real ones (see `miex.examples`); a list is joined. Required with every
            mode but real.
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
        no_apex: as in `miex.examples`.
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
    machine = machine_of(device, threads)

    def view(given: Data | Sequence[Data], by: str | None) -> View:
        return view_of(given, chosen, classes=by, no_apex=no_apex, workers=workers, progress=progress, say=say)

    tested = each_once(view(real, classes))
    other = None if extra is None else view(extra, extra_classes or classes)
    for note in _shared_frequencies(extra, {str(name) for name in set(tested.rows["corpus"].to_pylist())}):
        say(note)
    fit = Fit(way, tested, chosen, other, before, begin, best_on_test, path(store) / "models", machine)
    parts = folds_of(folds, tested, repeats)
    begun = "" if begin is None else f", from {begin}"
    cell = fit.cell(f"{chosen.name}, {mode}{begun}", parts, accept_unknown=accept_unknown, independent=independent)
    study = Study([Line(cell.name, "", [cell])], Results(path(store)), fit.machine)
    say(said(study.estimate(), processes(workers)))
    (found,) = study.run(executor=executor(workers), progress=stage(progress, f"{chosen.name}, {mode}, {folds}"))
    say(f"folds of seed 0: {parts[0].digest[:12]}")
    return Evaluated(found, tested.label_names, parts, ("last", "best_on_test") if best_on_test else ("last",))


def _shared_frequencies(extra: Data | Sequence[Data] | None, tested: set[str]) -> Iterator[str]:
    """Says which sets draw AUs as often as coders saw them in a corpus that is tested."""
    from miex.dataset.plan_file import CONFIG_FILE, read_record
    from miex.dataset.reader import Dataset
    from miex.sources.expert import corpora_of
    from miex.storage import storage_at

    for one in extra if isinstance(extra, list | tuple) else [extra]:
        if isinstance(one, Dataset):
            storage = one.storage
        elif isinstance(one, PathLike) and (path(one) / CONFIG_FILE).is_file():
            storage = storage_at(path(one))
        else:
            continue
        table = read_record(storage)["config"].get("sources", {}).get("expert", {}).get("table", "")
        if shared := sorted(corpora_of(table) & tested):
            yield (
                f"{storage.name}: its expert table, {table}, holds how often each AU was seen in "
                f"{', '.join(shared)}, which is tested; a set with another table, such as du2014, does not"
            )


@checking(recognizer=RECOGNIZER, real=DATA, classes=TEXT)
def evaluate_recognizer(
    recognizer: LoadedRecognizer | PathLike,
    real: Data | Sequence[Data],
    *,
    classes: str | None = None,
    accept_unknown: bool = False,
    independent: Collection[str] = (),
    no_apex: str = "refuse",
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Tested:
    """Test a trained recognizer as it is, on people who were not in its training data.

    Args:
        recognizer: a trained recognizer, its file, or its folder.
        real: real samples to test on, as in `evaluate`.
        classes: name of the mapping that has the recognizer's classes, as in `miex.examples`.
        accept_unknown, independent: as in `evaluate`.
        no_apex: as in `miex.examples`.
        workers, progress, say: as in `miex.synthesize`.

    Raises:
        UsageError: torch is not installed, or a value is out of range.
        InputError: the data cannot be read, or the recognizer was trained on people who are tested, or on samples of
            unknown origin.
    """
    need_training()
    import pyarrow as pa

    from miex.evaluation.leakage import Verdict, verdicts
    from miex.evaluation.metrics import confusion, score
    from miex.evaluation.significance import bootstrap, by_subject

    loaded = (recognizer if isinstance(recognizer, LoadedRecognizer) else load_recognizer(recognizer)).recognizer
    samples = each_once(
        view_of(real, loaded.recipe, classes=classes, no_apex=no_apex, workers=workers, progress=progress, say=say)
    )
    origins = loaded.history.get("origins", [[None] * 3])
    table = pa.table({n: [o[i] for o in origins] for i, n in enumerate(("source", "corpus", "subject"))})
    columns = (samples.rows[name].to_pylist() for name in ("corpus", "subject"))
    people = {pair for pair in zip(*columns, strict=True) if pair[1]}
    found = [verdict for verdict in verdicts(table, people, independent=independent) if verdict is not Verdict.allowed]
    if [v for v in found if not (accept_unknown and v is Verdict.unknown)]:
        name = "a recognizer" if isinstance(recognizer, LoadedRecognizer) else recognizer
        raise InputError(
            f"testing {name}", expected="a recognizer that was trained on none of the people tested",
            found=f"{len(found)} of {len(origins)} origins of its training data are refused: {found[0]}",
            do="evaluate over folds, or test on other people",
        )  # fmt: skip
    predicted = loaded.predict(samples).argmax(1)
    k = len(loaded.label_names)
    scores = score(confusion(samples.labels, predicted, k))
    return Tested(
        scores, bootstrap([by_subject(samples.labels, predicted, np.asarray(samples.people), k)]), loaded.label_names
    )


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
    twice = [name for name, n in Counter(tested.rows["sample_id"].to_pylist()).items() if n > 1]
    if twice:
        raise UsageError(
            "samples to test on", expected="each sample once",
            found=f"{twice[0]} more than once; {len(twice)} such samples in all",
            do="give every corpus and flow file once; different samples need different values of sample_id",
        )  # fmt: skip
    return tested


def _no_folds(name: str) -> UsageError:
    return UsageError(f"`folds` {name!r}", expected="3-fold, 5-fold …, loso, cde, loco, a folder of lists, or a .csv")
