"""Training: one loop for every recognizer, direct, after pre-training, or joint; checkpoints, resume, early stop."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from miex.errors import InputError, OutputError, UsageError
from miex.executors.base import Progress, silent
from miex.recognition.flow import Method
from miex.recognition.hoof_svm import HoofSVM
from miex.recognition.network import Network, network_class
from miex.recognition.recipe import Recipe
from miex.recognition.recognizer import MODEL, Recognizer, load_recognizer, mirrored, prepare, probabilities
from miex.recognition.samples import REAL, Samples
from miex.recognition.weights import read_weights, write_weights
from miex.stable import canonical_json, stable_hash
from miex.storage.local import write_whole

CHECKPOINT, LOG = "checkpoint.safetensors", "log.csv"
COLUMNS = ("epoch", "step", "loss", "learning_rate", "validation_loss")
CHECKPOINT_SECONDS = 20.0
SHORTEST_CYCLE = 4  # steps; shorter trainings keep the rate constant

EachEpoch = Callable[[int, Callable[[Samples], npt.NDArray[np.float32]]], None]


@dataclass(frozen=True)
class Machine:
    """Where a training runs; none of it is part of a recipe.

    Attributes:
        devices: torch names. Several CUDA devices share each batch (torch.nn.DataParallel).
        threads: of torch on the CPU. The same number gives the same numbers again; small nets gain nothing by more.
    """

    devices: tuple[str, ...] = ("cpu",)
    threads: int = 1

    def __post_init__(self) -> None:
        try:
            kinds = {torch.device(name).type for name in self.devices}
        except RuntimeError as error:
            raise UsageError(f"devices {self.devices}", expected="torch devices", found=str(error)) from error
        there = {"cpu", *(["cuda"] if torch.cuda.is_available() else [])}
        if not kinds <= there or not self.devices:
            raise UsageError(
                f"devices {', '.join(self.devices)}", expected=" or ".join(sorted(there)), found="not here"
            )
        if len(self.devices) > 1 and kinds != {"cuda"}:
            raise UsageError(
                f"devices {', '.join(self.devices)}", expected="one device, or several of CUDA",
                do="on a CPU, more --threads",
            )  # fmt: skip


def train(
    samples: Samples,
    recipe: Recipe,
    *,
    seed: int = 0,
    start: Recognizer | None = None,
    flow: Method = "dis",
    folder: Path | None = None,
    machine: Machine | None = None,
    progress: Progress = silent,
    each_epoch: EachEpoch | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Recognizer:
    """Train a recognizer; on CPUs the same arguments give the same weights.

    Direct: synthetic samples. Pre-train → fine-tune: `start` is the pre-trained one; with other classes it gets a new
    last layer. Joint: the samples of `joint`. Nothing of a test set comes in here: early stopping looks at people held
    out of `samples`.

    Args:
        samples: what is trained on; maps of the recipe's side.
        recipe: how.
        seed: of initial weights and all draws.
        start: a recognizer to go on from. Its recipe must name the same network, side and normalization.
        flow: method of the samples' optical flow, to be remembered with the recognizer.
        folder: where to keep log.csv, TensorBoard's events, a checkpoint, and at the end recognizer.safetensors.
            A folder with a checkpoint of the same training goes on from it, and ends with the same numbers; one that is
            finished is read.
        machine: devices and threads.
        progress: called after each step; its note is the loss.
        each_epoch: called after each epoch with its number and a function that predicts.
        checkpoint_seconds: at least so long between two checkpoints.

    Raises:
        InputError: samples that do not fit the recipe or the recognizer to start from; a loss or weight that is not
            finite; a checkpoint or recognizer in the folder that is not as it was written.
        OutputError: the folder holds another training, or cannot be written.
    """
    machine = machine or Machine()
    _fits(samples, recipe, start)
    what = {
        "recipe": recipe.digest, "samples": samples.digest, "seed": seed,
        "start": None if start is None else start.weights_digest,
    }  # fmt: skip
    with _threads(machine.threads), _deterministic(), torch.random.fork_rng():
        torch.manual_seed(seed)
        network = _network(samples, recipe, start)
        kept = None if folder is None else _Folder(folder, what)
        if kept is not None and (done := kept.finished(network)):
            return Recognizer(network.eval(), recipe, samples.label_names, flow, done)
        training, held = _split(samples, recipe, seed)
        if isinstance(network, HoofSVM):
            state = _State(history=[])
            loss = network.solve(
                prepare(samples.maps, recipe), torch.from_numpy(samples.labels), balanced=_balanced(samples, recipe)
            )
            state.log(0, 1, loss, 0.0, None)
            progress(1, 1, f"loss {loss:.3f}")
        else:
            loop = _Loop(network, training, held, recipe, machine)
            state = loop.run(kept, progress, each_epoch, checkpoint_seconds)
    facts = {
        **what, "loss": state.history[-1]["loss"], "epochs": state.history[-1]["epoch"] + 1, "n": len(samples),
        "origins": _origins(samples, start),
    }  # fmt: skip
    recognizer = Recognizer(network.eval().cpu(), recipe, samples.label_names, flow, facts)
    if kept is not None:
        kept.finish(recognizer, state)
    return recognizer


def joint(real: Samples, synthetic: Samples, seed: int) -> Samples:
    """Real and synthetic samples for joint training: real ones drawn with replacement, classes alike, as many as
    there are synthetic ones."""
    counts = np.bincount(real.labels, minlength=len(real.label_names))
    weight = 1 / counts[real.labels]
    rng = np.random.Generator(np.random.PCG64(stable_hash("joint", seed)))
    drawn = rng.choice(len(real), len(synthetic), p=weight / weight.sum())
    return real.take(drawn).joined(synthetic)


def augment(x: Tensor, recipe: Recipe) -> Tensor:
    """Some samples of a batch [n, 3, s, s] mirrored, the batch shifted; all channels of a sample move alike."""
    if recipe.mirror:
        turned = torch.rand(len(x), device="cpu") < recipe.mirror
        x = torch.where(turned.to(x.device)[:, None, None, None], mirrored(x, recipe), x)
    if recipe.shift:
        down, right = torch.randint(-recipe.shift, recipe.shift + 1, (2,), device="cpu").tolist()
        x = torch.roll(x, (down, right), (2, 3))
    return x


def batches(n: int, recipe: Recipe) -> Iterator[Tensor]:
    """Positions of the samples of each step of one epoch, int64 [batch]; drawn from torch's own generator."""
    if recipe.replacement:
        for _ in range(steps_per_epoch(n, recipe)):
            yield torch.randint(n, (recipe.batch,))
        return
    parts = torch.randperm(n).split(recipe.batch)
    # batch norm cannot learn from one sample alone
    yield from parts[:-1] if len(parts) > 1 and len(parts[-1]) == 1 else parts


def steps_per_epoch(n: int, recipe: Recipe) -> int:
    """Steps in which as many samples are seen as there are; a last batch of one sample is left out."""
    full, rest = divmod(n, recipe.batch)
    return max(1, full + (rest > 1 or (rest == 1 and recipe.replacement)))


@dataclass
class _State:
    """What a training has come to beside weights: its log, and the best weights on the people held out."""

    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Tensor] | None = None
    best_loss: float = math.inf
    waited: int = 0

    def log(self, epoch: int, step: int, loss: float, rate: float, validation: float | None) -> None:
        self.history.append(dict(zip(COLUMNS, (epoch, step, loss, rate, validation), strict=True)))


class _Loop:
    def __init__(self, network: Network, training: Samples, held: Samples | None, recipe: Recipe, machine: Machine):
        self.recipe, self.network, self.device = recipe, network, torch.device(machine.devices[0])
        network.to(self.device)
        several = len(machine.devices) > 1
        self.forward = torch.nn.DataParallel(network, list(machine.devices)) if several else network
        self.x, self.y = self._tensors(training)
        self.held = None if held is None else self._tensors(held)
        self.weight = None
        if _balanced(training, recipe):
            counts = torch.bincount(self.y, minlength=network.classes).clamp_min(1)
            self.weight = len(self.y) / network.classes / counts.float()
        self.each = steps_per_epoch(len(self.y), recipe)
        self.steps = recipe.samples_seen // recipe.batch if recipe.samples_seen else (recipe.epochs or 1) * self.each
        self.steps = max(1, self.steps)
        kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
        self.optimizer = kinds[recipe.optimizer](
            network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.schedule = None
        if recipe.schedule == "one-cycle" and self.steps > SHORTEST_CYCLE:
            # torch divides by the steps of the warm-up less one
            warmup = min(max(recipe.warmup, 2 / self.steps), 1 - 2 / self.steps)
            self.schedule = torch.optim.lr_scheduler.OneCycleLR(
                self.optimizer, recipe.learning_rate, total_steps=self.steps, pct_start=warmup
            )
        kind = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        self.cast: Any = nullcontext
        if recipe.mixed_precision:
            self.cast = lambda: torch.autocast(self.device.type, dtype=kind)
        # float16 alone needs its small gradients scaled up
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=recipe.mixed_precision and kind == torch.float16)

    def _tensors(self, samples: Samples) -> tuple[Tensor, Tensor]:
        return prepare(samples.maps, self.recipe).to(self.device), torch.from_numpy(samples.labels).to(self.device)

    def run(
        self, kept: _Folder | None, progress: Progress, each_epoch: EachEpoch | None, checkpoint_seconds: float
    ) -> _State:
        state = self._resumed(kept) if kept else _State()
        step, saved = (state.history[-1]["step"] if state.history else 0), time.monotonic()
        self.network.train()
        while step < self.steps and not self._ended(state):
            losses = []
            for indices in batches(len(self.y), self.recipe):
                losses.append(self._step(indices.to(self.device)))
                step += 1
                progress(step, self.steps, f"loss {losses[-1]:.3f}")
                if step == self.steps:
                    break
            loss = float(np.mean(losses))
            validation = self._validate(state)
            for value in (loss, validation):
                if value is not None and not math.isfinite(value):
                    raise InputError(
                        f"training {self.recipe.name}, step {step}", expected="a finite loss", found=str(value),
                        do="a smaller learning rate",
                    )  # fmt: skip
            epoch = len(state.history)
            state.log(epoch, step, loss, self.optimizer.param_groups[0]["lr"], validation)
            if each_epoch:
                each_epoch(epoch, lambda samples: probabilities(
                    self.network, prepare(samples.maps, self.recipe).to(self.device), self.recipe
                ).cpu().numpy())  # fmt: skip
            if kept:
                kept.wrote(state.history[-1])
                if time.monotonic() - saved >= checkpoint_seconds and step < self.steps:
                    kept.save(*self._frozen(state), state)
                    saved = time.monotonic()
        if state.best is not None:
            self.network.load_state_dict(state.best)
        return state

    def _step(self, indices: Tensor) -> float:
        x, recipe = augment(self.x[indices], self.recipe), self.recipe
        with self.cast():
            logits = self.forward(x)
            loss = F.cross_entropy(
                logits.float(), self.y[indices], weight=self.weight, label_smoothing=recipe.label_smoothing
            )
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        if recipe.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.schedule:
            self.schedule.step()
        return float(loss.detach())

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _validate(self, state: _State) -> float | None:
        if self.held is None:
            return None
        self.network.eval()
        loss = float(F.cross_entropy(self.network(self.held[0]).float(), self.held[1], weight=self.weight))
        self.network.train()
        if loss < state.best_loss:
            state.best, state.best_loss, state.waited = deepcopy(self.network.state_dict()), loss, 0
        else:
            state.waited += 1
        return loss

    def _ended(self, state: _State) -> bool:
        return bool(self.recipe.patience) and state.waited >= self.recipe.patience

    def _frozen(self, state: _State) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """All that the next step depends on: plain values, and tensors by part/name."""
        optimizer = self.optimizer.state_dict()
        parts = {
            "network": self.network.state_dict(), "best": state.best or {}, "random": {"cpu": torch.get_rng_state()},
            **{f"optimizer/{i}": values for i, values in optimizer["state"].items()},
        }  # fmt: skip
        plain = {
            "optimizer": optimizer["param_groups"], "schedule": self.schedule.state_dict() if self.schedule else {},
            "scaler": self.scaler.state_dict(), "history": state.history, "waited": state.waited,
            "best_loss": state.best_loss if state.best else None,
        }  # fmt: skip
        return plain, {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}

    def _resumed(self, kept: _Folder) -> _State:
        frozen = kept.checkpoint()
        if frozen is None:
            return _State()
        plain, tensors = frozen
        parts: dict[str, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            part, _, rest = name.rpartition("/")
            parts.setdefault(part, {})[rest] = value
        try:
            moments = {int(part.split("/")[1]): values for part, values in parts.items() if "/" in part}
            self.network.load_state_dict(parts["network"])
            self.optimizer.load_state_dict({"param_groups": plain["optimizer"], "state": moments})
            if self.schedule:
                self.schedule.load_state_dict(plain["schedule"])
            self.scaler.load_state_dict(plain["scaler"])
            torch.set_rng_state(parts["random"]["cpu"])
            state = _State(plain["history"], waited=plain["waited"])
            if "best" in parts:
                state.best, state.best_loss = parts["best"], plain["best_loss"]
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise InputError(
                f"checkpoint in {kept.folder}", expected="the state of this training, as this miex and torch keep it",
                found=" ".join(str(error).split())[:200], do="delete it: the training begins anew",
            ) from error  # fmt: skip
        kept.wrote(*state.history, again=True)
        return state


class _Folder:
    """log.csv, events, checkpoint and result of one training."""

    def __init__(self, folder: Path, what: dict[str, Any]) -> None:
        self.folder, self.what = folder, what
        folder.mkdir(parents=True, exist_ok=True)
        self._events: Any = None

    def finished(self, network: Network) -> dict[str, Any] | None:
        path = self.folder / MODEL
        if not path.is_file():
            return None
        stored = load_recognizer(path)
        self._same({key: stored.history.get(key) for key in self.what})
        network.load_state_dict(stored.network.state_dict())
        return stored.history

    def checkpoint(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return None
        plain, tensors = read_weights(path, "checkpoint")
        self._same(plain.get("what", {}))
        return plain, tensors

    def _same(self, there: dict[str, Any]) -> None:
        differing = [key for key in self.what if canonical_json(there.get(key)) != canonical_json(self.what[key])]
        if differing:
            raise OutputError(
                f"training in {self.folder}", expected="an empty folder, or one of this training",
                found="a training with other " + ", ".join(differing), do="give another folder",
            )  # fmt: skip

    def save(self, plain: dict[str, Any], tensors: dict[str, Tensor], state: _State) -> None:
        self._write_log(state)
        write_weights(self.folder / CHECKPOINT, "checkpoint", {**plain, "what": self.what}, tensors)

    def wrote(self, *rows: dict[str, Any], again: bool = False) -> None:
        """Tell TensorBoard; `again` after a resume, when what came after the checkpoint is to be forgotten."""
        if self._events is None:
            from tensorboardX import SummaryWriter

            purge = rows[-1]["step"] + 1 if again and rows else None
            self._events = SummaryWriter(str(self.folder / "events"), purge_step=purge)
        for row in () if again else rows:
            for name in ("loss", "learning_rate", "validation_loss"):
                if row[name] is not None:
                    self._events.add_scalar(name, row[name], row["step"])

    def finish(self, recognizer: Recognizer, state: _State) -> None:
        if self._events is not None:
            self._events.close()
        self._write_log(state)
        recognizer.save(self.folder / MODEL)
        (self.folder / CHECKPOINT).unlink(missing_ok=True)

    def _write_log(self, state: _State) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(state.history)
        write_whole(self.folder / LOG, text.getvalue().encode())


def _fits(samples: Samples, recipe: Recipe, start: Recognizer | None) -> None:
    if not len(samples):
        raise InputError("training", expected="samples", found="none")
    if samples.maps.shape[1] != recipe.side:
        raise InputError(
            f"training {recipe.name}", expected=f"maps of {recipe.side}", found=f"of {samples.maps.shape[1]}",
            do="Samples.at enlarges or reduces them",
        )  # fmt: skip
    if start is not None and recipe.recognizer == "hoof_svm":
        raise UsageError("fine-tuning HOOF + SVM", expected="a network", do="it is fitted at once, from nothing: joint")
    if start is not None:
        for name in ("recognizer", "side", "normalize"):
            mine, other = getattr(recipe, name), getattr(start.recipe, name)
            if mine != other:
                raise InputError(f"fine-tuning with {recipe.name}", expected=f"{name} {other}", found=str(mine))


def _network(samples: Samples, recipe: Recipe, start: Recognizer | None) -> Network:
    if start is None:
        return network_class(recipe.recognizer)(recipe.side, len(samples.label_names))
    network = deepcopy(start.network)
    if start.label_names != samples.label_names:
        network.new_head(len(samples.label_names))
    return network


def _origins(samples: Samples, start: Recognizer | None) -> list[list[str | None]]:
    """Distinct (source, corpus, subject) of all that was trained on, here and before: for the leak guard."""
    columns = (samples.rows[name].to_pylist() for name in ("source", "corpus", "subject"))
    before = [] if start is None else start.history.get("origins", [[None, None, None]])
    found = {*zip(*columns, strict=True), *map(tuple, before)}
    return [list(origin) for origin in sorted(found, key=str)]


def _split(samples: Samples, recipe: Recipe, seed: int) -> tuple[Samples, Samples | None]:
    """Training samples, and those of the people held out: a stable choice that no other person changes much."""
    if not recipe.validation:
        return samples, None
    people = np.asarray(samples.people)
    names = sorted(set(people.tolist()), key=lambda name: stable_hash("validation", seed, name))
    held = np.isin(people, names[: max(1, round(recipe.validation * len(names)))])
    if held.all():
        raise InputError("early stopping", expected="people to train on and people held out", found=f"{len(names)}")
    return samples.take(np.flatnonzero(~held)), samples.take(np.flatnonzero(held))


def _balanced(samples: Samples, recipe: Recipe) -> bool:
    return recipe.balance_real and set(samples.rows["source"].to_pylist()) == {REAL}


@contextmanager
def _threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _deterministic() -> Iterator[None]:
    before, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(not torch.cuda.is_available())  # on CUDA it would refuse what nets need
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn)
