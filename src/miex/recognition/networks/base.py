"""The base of networks: they learn by gradient descent, from batches that are read when they are needed."""

from __future__ import annotations

import math
import time
from contextlib import closing, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from miex.errors import InputError
from miex.executors.machine import Machine
from miex.recognition.inputs.base import Input
from miex.recognition.loader import Loader, steps_per_epoch
from miex.recognition.method import COLUMNS, Method, Run, balanced
from miex.recognition.recipe import Recipe
from miex.recognition.recognizer import pieces, prepared, probabilities
from miex.recognition.streamed import Streamed
from miex.recognition.view import View, in_memory
from miex.stable import stable_hash
from miex.storage.training import TrainingFolder

SHORTEST_CYCLE = 4  # trainings of at most so many steps keep the learning rate constant


class Network(Method):
    """A network that is trained from its first to its last layer."""

    fine_tunes = True

    def fit(self, view: View, recipe: Recipe, run: Run) -> list[dict[str, Any]]:
        """Train all layers. Early stopping uses people held out of the view.

        Raises:
            InputError: a loss is not finite, a checkpoint cannot be used, or there are too few people to hold any out.
        """
        training, held = split(view, recipe, run.seed)
        if held is not None and any(isinstance(part, Streamed) for part in held.parts):  # once, not in every epoch
            held = in_memory(held.batch(), held.rows, held.label_names)
        return _Loop(self, training, held, recipe, run.machine).run(run).history


def augment(x: Tensor, recipe: Recipe, takes: Input) -> Tensor:
    """Mirror some examples of a prepared batch [n, …, h, w], turn and move each, change its light, shift the batch.

    All channels and frames of an example are treated alike.
    """
    if recipe.mirror:
        turned = torch.rand(len(x), device="cpu") < recipe.mirror
        x = torch.where(turned.to(x.device).reshape(-1, *[1] * (x.ndim - 1)), takes.mirror(x), x)
    if recipe.shift:
        down, right = torch.randint(-recipe.shift, recipe.shift + 1, (2,), device="cpu").tolist()
        x = torch.roll(x, (down, right), (-2, -1))
    if recipe.turn or recipe.move:
        angles = (torch.rand(len(x), device="cpu") * 2 - 1) * math.radians(recipe.turn)
        x = moved_by(x, angles, (torch.rand(len(x), 2, device="cpu") * 2 - 1) * recipe.move)
    if recipe.light:
        contrast, brightness = (
            ((torch.rand(2, len(x), device="cpu") * 2 - 1) * recipe.light)
            .to(x.device)
            .reshape(2, len(x), *[1] * (x.ndim - 1))
        )
        x = x * (1 + contrast) + brightness * x.flatten(1).std(1).reshape(contrast.shape)
    return x


def moved_by(x: Tensor, angles: Tensor, shifts: Tensor) -> Tensor:
    """Turn each example of a batch [n, …, s, s] about its middle, counterclockwise, and then move it.

    Args:
        x: the batch; what comes in from outside repeats the border.
        angles: in radians, [n].
        shifts: to the right and down, as fractions of the side, [n, 2].
    """
    cos, sin = angles.cos(), angles.sin()
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    # where each position comes from: the way back, in units of half a side
    affine = torch.cat([turn, -turn @ (2 * shifts)[..., None]], 2).to(x)
    flat = x.flatten(1, -3) if x.ndim > 4 else x
    grid = F.affine_grid(affine, list(flat.shape), align_corners=False)
    return F.grid_sample(flat, grid, padding_mode="border", align_corners=False).reshape(x.shape)


def split(view: View, recipe: Recipe, seed: int) -> tuple[View, View | None]:
    """Split a view into training examples, and those of the people held out (None if the recipe holds out none).

    People are chosen by hashes of their names, so that adding or removing a person changes the choice little.

    Raises:
        InputError: there are too few people.
    """
    if not recipe.validation:
        return view, None
    people = np.asarray(view.people)
    names = sorted(set(people.tolist()), key=lambda name: stable_hash("validation", seed, name))
    held = np.isin(people, names[: max(1, round(recipe.validation * len(names)))])
    if held.all():
        raise InputError(
            "early stopping", expected="at least one person to train on and one to hold out",
            found=f"{len(names)} in the training data",
            do="add data of other people, or use a recipe with a smaller `validation`, or none",
        )  # fmt: skip
    return view.take(np.flatnonzero(~held)), view.take(np.flatnonzero(held))


@dataclass
class _State:
    """State of a training beside its weights: the log, and the weights with the lowest loss on the people held out."""

    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Tensor] | None = None
    best_loss: float = math.inf
    waited: int = 0

    def log(self, epoch: int, step: int, loss: float, rate: float, validation: float | None) -> None:
        self.history.append(dict(zip(COLUMNS, (epoch, step, loss, rate, validation), strict=True)))


class _Loop:
    def __init__(self, network: Network, training: View, held: View | None, recipe: Recipe, machine: Machine):
        self.recipe, self.network, self.device = recipe, network, torch.device(machine.devices[0])
        self.takes, self.training, self.held = recipe.takes, training, held
        network.to(self.device)
        several = len(machine.devices) > 1
        self.forward = torch.nn.DataParallel(network, list(machine.devices)) if several else network
        self.y = torch.from_numpy(training.labels).to(self.device)
        self.weight = None
        if balanced(training, recipe):
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
            # torch divides by the number of warm-up steps minus one
            warmup = min(max(recipe.warmup, 2 / self.steps), 1 - 2 / self.steps)
            self.schedule = torch.optim.lr_scheduler.OneCycleLR(
                self.optimizer, recipe.learning_rate, total_steps=self.steps, pct_start=warmup
            )
        kind = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        self.cast: Any = nullcontext
        if recipe.mixed_precision:
            self.cast = lambda: torch.autocast(self.device.type, dtype=kind)
        # only float16 loses small gradients unless they are scaled up
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=recipe.mixed_precision and kind == torch.float16)

    def run(self, run: Run) -> _State:
        kept = run.kept
        state = self._resumed(kept) if kept else _State()
        step, saved = (state.history[-1]["step"] if state.history else 0), time.monotonic()
        self.network.train()
        with closing(Loader(self.training, self.recipe, run.seed, len(state.history), run.workers)) as loader:
            while step < self.steps and not self._ended(state):
                losses = []
                for indices, examples in loader.epoch(len(state.history)):
                    losses.append(self._step(indices, examples))
                    step += 1
                    run.progress(step, self.steps, f"loss {losses[-1]:.3f}")
                    if step == self.steps:
                        break
                loss = float(np.mean(losses))
                validation = self._validate(state)
                for value in (loss, validation):
                    if value is not None and not math.isfinite(value):
                        raise InputError(
                            f"training {self.recipe.name}, step {step}", expected="a finite loss", found=str(value),
                            do="use a recipe with a smaller `learning_rate`",
                        )  # fmt: skip
                epoch = len(state.history)
                state.log(epoch, step, loss, self.optimizer.param_groups[0]["lr"], validation)
                if run.each_epoch:
                    run.each_epoch(epoch, lambda view: probabilities(self.network, pieces(view), self.recipe))
                if kept:
                    kept.wrote(state.history[-1])
                    if time.monotonic() - saved >= run.checkpoint_seconds and step < self.steps:
                        kept.save(*self._frozen(state), state.history)
                        saved = time.monotonic()
        if state.best is not None:
            self.network.load_state_dict(state.best)
        return state

    def _step(self, indices: Tensor, examples: npt.NDArray[Any]) -> float:
        recipe = self.recipe
        x = augment(prepared(examples, self.takes, self.device), recipe, self.takes)
        y = self.y[indices.to(self.device)]
        with self.cast():
            logits = self.forward(x)
            loss = F.cross_entropy(logits.float(), y, weight=self.weight, label_smoothing=recipe.label_smoothing)
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
        logits = [self.network(prepared(piece, self.takes, self.device)).float() for piece in pieces(self.held)]
        truth = torch.from_numpy(self.held.labels).to(self.device)
        loss = float(F.cross_entropy(torch.cat(logits), truth, weight=self.weight))
        self.network.train()
        if loss < state.best_loss:
            state.best, state.best_loss, state.waited = deepcopy(self.network.state_dict()), loss, 0
        else:
            state.waited += 1
        return loss

    def _ended(self, state: _State) -> bool:
        return bool(self.recipe.patience) and state.waited >= self.recipe.patience

    def _frozen(self, state: _State) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Everything that the next step depends on: JSON values, and tensors by part/name."""
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

    def _resumed(self, kept: TrainingFolder) -> _State:
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
                f"checkpoint in {kept.folder}", expected="a state of this training that this miex and torch can read",
                found=" ".join(str(error).split())[:200], do="delete it: the training then starts again",
            ) from error  # fmt: skip
        kept.wrote(*state.history, again=True)
        return state
