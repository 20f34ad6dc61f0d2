"""Ways to train for a fold: direct, pre-train → fine-tune, joint, real only. What `evaluation.evaluate` is handed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex import __version__
from miex.errors import UsageError
from miex.evaluation.evaluate import Answer, Cell, Job
from miex.evaluation.folds import Protocol
from miex.evaluation.metrics import confusion, score
from miex.executors.machine import Machine
from miex.recognition.imagenet import ImageNetWeights
from miex.recognition.inputs.base import INPUTS
from miex.recognition.method import METHODS, EachEpoch
from miex.recognition.recipe import Recipe
from miex.recognition.recognizer import Recognizer, load_recognizer
from miex.recognition.train import joint, train
from miex.recognition.view import View
from miex.stable import canonical_json
from miex.storage.local import one_maker

Mode = Literal["direct", "fine-tune", "joint", "real"]
MODES: tuple[Mode, ...] = ("direct", "fine-tune", "joint", "real")


@dataclass(frozen=True)
class Fit:
    """Trains for a job and tests. It travels by names of files and digests: its examples stay where they are.

    Attributes:
        mode: direct: on the other samples alone; fine-tune: on them, then on the fold's real ones; joint: on both at
            once, real ones drawn as often; real: on the fold's real ones alone.
        real: examples that are tested, and in their folds trained on.
        recipe: of the last training, and of pre-training where `pretrain` is None.
        other: synthetic examples, or another corpus.
        pretrain: recipe of pre-training.
        start: weights from which the first training starts; None: random ones.
        best_on_test: also keep the predictions of the epoch that the test part likes best (UF1; the first of equals).
        models: folder that keeps what is trained on `other` alone, which many folds share; None trains it each time.
        machine: where it runs.
        beside: examples, such as another corpus, that join the real ones of every fold's training part.
    """

    mode: Mode
    real: View
    recipe: Recipe
    other: View | None = None
    pretrain: Recipe | None = None
    start: ImageNetWeights | None = None
    best_on_test: bool = False
    models: Path | None = None
    machine: Machine = field(default_factory=Machine)
    beside: View | None = None

    def __post_init__(self) -> None:
        if self.mode == "direct" and self.beside is not None:
            raise UsageError(
                "mode direct with examples beside the real ones", expected="none: it trains on no real ones",
                do="join them to the other examples, or choose another mode",
            )  # fmt: skip
        if (self.mode == "real") != (self.other is None):
            if self.other is None:
                raise UsageError(f"mode {self.mode}", expected="examples to train on beside the real ones")
            beside = ", ".join(mode for mode in MODES if mode != "real")
            raise UsageError(
                "mode real", expected="no other examples", do=f"with examples beside the real ones, a mode of {beside}"
            )

    @property
    def what(self) -> dict[str, Any]:
        """All that decides its numbers beside the fold and the seed."""
        pretrain = decides(self.pretrain or self.recipe) if self.mode == "fine-tune" else None
        return {
            "mode": self.mode, "recipe": decides(self.recipe), "pretrain": pretrain, "real": self.real.digest,
            "other": None if self.other is None else self.other.digest, "best_on_test": self.best_on_test,
            "start": None if self.start is None else self.start.sha256,
            **({} if self.beside is None else {"beside": self.beside.digest}),
        }  # fmt: skip

    def cell(
        self, name: str, folds: Sequence[Protocol], *, accept_unknown: bool = False,
        independent: Collection[str] = (), faces: Mapping[str, tuple[str, str | None]] | None = None, **what: str,
    ) -> Cell:  # fmt: skip
        """The entry of a table that it gives over these folds; `what` is added to what decides the numbers."""
        beside = [view for view in (self.other, self.beside) if view is not None]
        extra = [view.rows for view in beside]
        return Cell(
            name, self.real.rows, folds, self, {**what, **self.what}, len(self.real.label_names),
            test_marks=self.real.marks, extra=pa.concat_tables(extra) if extra else None,
            extra_marks=pa.concat_arrays([view.marks for view in beside]) if beside else None,
            train_on_folds=self.mode != "direct", accept_unknown=accept_unknown, independent=independent,
            faces=faces or {},
        )  # fmt: skip

    def shared(self, job: Job) -> Training | None:
        """The training on other examples alone that this job starts from or tests: many folds have it in common."""
        if self.other is None or not (self.mode == "fine-tune" or (self.mode == "direct" and not self.best_on_test)):
            return None
        recipe = self.recipe if self.mode == "direct" else self.pretrain or self.recipe
        other = self._other(job)
        assert other is not None
        return Training(other, recipe, job.seed, self.models, self.start)

    def own(self, job: Job) -> Training | None:
        """The training that no other fold has in common with this job, without what it starts from."""
        extra = self._other(job)
        if self.mode == "direct":
            if extra is None or not self.best_on_test:
                return None
            return Training(extra, self.recipe, job.seed, start=self.start)
        real = self.real.take(job.train)
        if self.beside is not None:  # the guard is shown its rows after those of the other examples
            first = 0 if self.other is None else len(self.other)
            real = real.joined(self.beside.take(job.extra[job.extra >= first] - first))
        view = joint(real, extra, job.seed) if self.mode == "joint" and extra is not None else real
        return Training(view, self.recipe, job.seed, start=None if self.mode == "fine-tune" else self.start)

    def _other(self, job: Job) -> View | None:
        return None if self.other is None else self.other.take(job.extra[job.extra < len(self.other)])

    def __call__(self, job: Job) -> Answer:
        """Train for the job, test, and answer."""
        test, shared, own = self.real.take(job.test), self.shared(job), self.own(job)
        watch = _Watch(test) if self.best_on_test else None
        made = None if shared is None else shared.made(self.machine)
        if own is not None:
            made = own.made(self.machine, made, watch)
        assert made is not None  # every mode has one training or two
        last = made.predict(test)
        best = None if watch is None else (watch.probabilities if len(watch.probabilities) else last)
        facts = {"loss": round(float(made.history["loss"]), 6), "miex": __version__, "torch": metadata.version("torch")}
        if skipped := {
            name for view in (self.real, self.other, self.beside) if view is not None for name in view.skipped
        }:
            facts["skipped"] = sorted(skipped)
        return Answer(last, best, facts)


@dataclass(frozen=True, eq=False)
class Training:
    """A training to do.

    Attributes:
        view, recipe, seed: as in `train`.
        models: folder that keeps what comes out; None: nothing is kept.
        start: weights from which it starts; None: random ones.
    """

    view: View
    recipe: Recipe
    seed: int
    models: Path | None = None
    start: ImageNetWeights | None = None

    @property
    def path(self) -> Path | None:
        """The file of what comes out, named by all that decides it."""
        if self.models is None:
            return None
        start = None if self.start is None else self.start.sha256
        key = canonical_json([decides(self.recipe), self.view.digest, self.seed, start])
        return self.models / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.safetensors"

    def made(
        self, machine: Machine, start: Recognizer | None = None, each_epoch: EachEpoch | None = None
    ) -> Recognizer:
        """What comes out: trained, or read where it is kept. Arguments and errors are those of `train`.

        A recognizer given as `start` is fine-tuned.
        """
        path, begin = self.path, start or self.start
        if path is None:
            return train(self.view, self.recipe, seed=self.seed, start=begin, machine=machine, each_epoch=each_epoch)
        if not path.is_file():  # files appear whole, so who only reads needs no lock
            with one_maker(path, "trained models"):
                if not path.is_file():
                    train(self.view, self.recipe, seed=self.seed, start=begin, machine=machine).save(path)
        return load_recognizer(path)


def decides(recipe: Recipe) -> list[str]:
    """What a recipe decides: its digest, and the versions of the packages that its recognizer and input come from."""
    packages = METHODS.package(recipe.recognizer), INPUTS.package(recipe.input["name"])
    return [recipe.digest, *(package for package in packages if package is not None)]


class _Watch:
    """Keeps the test predictions of the epoch with the highest UF1."""

    def __init__(self, test: View) -> None:
        self.test, self.uf1, self.probabilities = test, -1.0, np.zeros((0, 0), np.float32)

    def __call__(self, epoch: int, predict: Any) -> None:
        found: npt.NDArray[np.float32] = predict(self.test)
        uf1 = score(confusion(self.test.labels, found.argmax(1), found.shape[1])).uf1
        if uf1 > self.uf1:
            self.uf1, self.probabilities = uf1, found
