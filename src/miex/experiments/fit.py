"""Ways to train for a fold: direct, pre-train → fine-tune, joint, real only. What `evaluation.protocol` is handed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from miex import __version__
from miex.errors import UsageError
from miex.evaluation.metrics import confusion, score
from miex.evaluation.protocol import Answer, Job
from miex.recognition.machine import Machine
from miex.recognition.recipe import Recipe
from miex.recognition.recognizer import Recognizer, load_recognizer
from miex.recognition.train import joint, train
from miex.recognition.view import View
from miex.stable import canonical_json

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
        best_on_test: also keep the predictions of the epoch that the test part likes best (UF1; the first of equals).
        models: folder that keeps what is trained on `other` alone, which many folds share; None trains it each time.
        machine: where it runs.
    """

    mode: Mode
    real: View
    recipe: Recipe
    other: View | None = None
    pretrain: Recipe | None = None
    best_on_test: bool = False
    models: Path | None = None
    machine: Machine = field(default_factory=Machine)

    def __post_init__(self) -> None:
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
        pretrain = (self.pretrain or self.recipe).digest if self.mode == "fine-tune" else None
        return {
            "mode": self.mode, "recipe": self.recipe.digest, "pretrain": pretrain, "real": self.real.digest,
            "other": None if self.other is None else self.other.digest, "best_on_test": self.best_on_test,
        }  # fmt: skip

    @property
    def uses_folds(self) -> bool:
        """Whether the fold's real training part is trained on."""
        return self.mode != "direct"

    def __call__(self, job: Job) -> Answer:
        """Train for the job, test, and answer."""
        test = self.real.take(job.test)
        watch = _Watch(test) if self.best_on_test else None
        recipe, start = self.recipe, None
        extra = self.other.take(job.extra) if self.other is not None else None
        if self.mode == "direct" and extra is not None:
            if watch is None:
                return _answer(self._shared(extra, recipe, job.seed), test)
            view = extra
        else:
            view = self.real.take(job.train)
            if self.mode == "fine-tune" and extra is not None:
                start = self._shared(extra, self.pretrain or recipe, job.seed)
            elif self.mode == "joint" and extra is not None:
                view = joint(view, extra, job.seed)
        made = train(view, recipe, seed=job.seed, start=start, machine=self.machine, each_epoch=watch)
        return _answer(made, test, watch)

    def _shared(self, view: View, recipe: Recipe, seed: int) -> Recognizer:
        if self.models is None:
            return train(view, recipe, seed=seed, machine=self.machine)
        key = canonical_json([recipe.digest, view.digest, seed])
        path = self.models / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.safetensors"
        self.models.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):  # of several processes that want it one makes it
            if not path.is_file():
                train(view, recipe, seed=seed, machine=self.machine).save(path)
        return load_recognizer(path)


class _Watch:
    """Keeps the test predictions of the epoch with the highest UF1."""

    def __init__(self, test: View) -> None:
        self.test, self.uf1, self.probabilities = test, -1.0, np.zeros((0, 0), np.float32)

    def __call__(self, epoch: int, predict: Any) -> None:
        found: npt.NDArray[np.float32] = predict(self.test)
        uf1 = score(confusion(self.test.labels, found.argmax(1), found.shape[1])).uf1
        if uf1 > self.uf1:
            self.uf1, self.probabilities = uf1, found


def _answer(made: Recognizer, test: View, watch: _Watch | None = None) -> Answer:
    last = made.predict(test)
    best = None if watch is None else (watch.probabilities if len(watch.probabilities) else last)
    facts = {"loss": round(float(made.history["loss"]), 6), "miex": __version__, "torch": metadata.version("torch")}
    return Answer(last, best, facts)
