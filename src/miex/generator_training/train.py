"""The training of GANimation: a generator against a discriminator that also reads AUs."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from miex.aus.vector import N_AUS
from miex.errors import InputError, UsageError
from miex.executors.base import Progress, silent
from miex.executors.machine import Machine, running_on
from miex.figures import write_picture
from miex.generator_training.losses import gradient_penalty, total_variation
from miex.generator_training.pictures import Pictures
from miex.generator_training.recipe import GeneratorRecipe
from miex.generator_training.sheet import curves, sheet
from miex.generator_training.watch import Look, collapsed, look_at
from miex.generators.ganimation.checkpoints import tensors_of
from miex.generators.ganimation.manifest import known_weights
from miex.generators.ganimation.networks import (
    ORIGINAL,
    REPLICATE,
    DiscriminatorNetwork,
    GeneratorNetwork,
    as_pictures,
)
from miex.generators.weights import sha256_of
from miex.stable import stable_hash
from miex.storage.local import write_whole
from miex.storage.training import LOG, TrainingFolder
from miex.storage.weights import not_finite

GENERATOR, DISCRIMINATOR, MANIFEST = "generator.safetensors", "discriminator.safetensors", "weights.toml"
SHEETS, CURVES = "sheets", "curves.png"
LOSSES = ("critic", "penalty", "critic_aus", "adversary", "aus", "cycle", "kept", "variation")
COLUMNS = ("step", "epoch", "learning_rate", *LOSSES, *Look.__annotations__)
SHOWN, LOOKED_AT = 6, 64  # people on a sheet, and pictures that are measured
MICRO = (0.05, 0.3)  # of the AU that changes most
REDRAWN = 20  # times another picture is drawn that is too much alike
CHECKPOINT_SECONDS, PAUSES = 60.0, 20  # a checkpoint of the whole network has 640 MB: at most a 20th goes into them
FORMS = {"original": ORIGINAL, "replicate": REPLICATE}


@dataclass(frozen=True)
class TrainedGenerator:
    """What a training ends with.

    Attributes:
        folder: generator.safetensors and discriminator.safetensors, under the names of the recipe's family;
            weights.toml, which says what they are; training.json, which says what decided them; log.csv, curves.png,
            sheets.
        history: rows of the log.
    """

    folder: Path
    history: list[dict[str, Any]]

    @property
    def generator(self) -> Path:
        """The file of the generator's weights."""
        return self.folder / GENERATOR


def train(
    training: Pictures,
    held: Pictures,
    recipe: GeneratorRecipe,
    folder: Path,
    *,
    seed: int = 0,
    origin: str = "",
    licence: str = "",
    machine: Machine | None = None,
    progress: Progress = silent,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> TrainedGenerator:
    """Train a generator and a discriminator. On CPUs the same arguments give the same weights.

    All draws of a step depend on the seed and the number of the step alone, so a training that was stopped goes on with
    the same steps, and on a CPU ends with the same bytes.

    Args:
        training, held: faces to learn from, and faces of other people, which are only looked at.
        recipe: how.
        folder: for all that is written as it goes, and at the end the weights. If it has a checkpoint of the same
            training, that is resumed; if it has its weights, nothing is done.
        seed: of weights and draws.
        origin, licence: where the weights come from, and under which terms they may be used, as weights.toml says it.
        machine: device and threads.
        progress: called after each step; its note is the last losses.
        checkpoint_seconds: least time between two checkpoints.

    Raises:
        UsageError: several devices.
        InputError: a loss is not finite; the training has collapsed (the message says how: what it wrote stays); too
            few pictures, or so few that the generator would not take a step; or a checkpoint or the weights in the
            folder are damaged.
        OutputError: the folder holds another training or other files, or cannot be written to.
    """
    machine = machine or Machine()
    if len(machine.devices) > 1:
        raise UsageError(
            "training of GANimation on " + ", ".join(machine.devices), expected="one device", do="give one of them"
        )
    for name, pictures in (("training", training), ("held out", held)):
        side = pictures.pixels.shape[1]
        if side != recipe.size:
            raise UsageError(
                f"pictures ({name}) of {side} px", expected=f"{recipe.size} px, as in the recipe", do="make them anew"
            )
    if len(training) < recipe.batch:
        raise InputError(
            f"training of GANimation by batches of {recipe.batch}", expected="as many pictures",
            found=f"{len(training)}", do="give more faces, or a smaller `batch`",
        )  # fmt: skip
    if recipe.steps(len(training))[1] < recipe.critic:
        raise InputError(
            f"training of GANimation by {recipe.steps(len(training))[1]} steps",
            expected=f"{recipe.critic} or more: only then the generator is trained, too",
            do="give more faces, or more `epochs`",
        )  # fmt: skip
    what = {"recipe": recipe.digest, "pictures": training.digest, "held out": held.digest, "seed": seed}
    kept = TrainingFolder(folder, what, GENERATOR, COLUMNS, [name for name in COLUMNS if name not in ("step", "epoch")])
    if (done := _finished(kept)) is not None:
        return done
    with running_on(machine), torch.random.fork_rng():
        torch.manual_seed(stable_hash("weights", seed) % 2**63)
        loop = _Loop(training, held, recipe, seed, torch.device(machine.devices[0]))
        history = loop.run(kept, progress, checkpoint_seconds)
    return _finish(kept, loop, history, origin, licence)


class _Loop:
    def __init__(
        self, training: Pictures, held: Pictures, recipe: GeneratorRecipe, seed: int, device: torch.device
    ) -> None:
        self.training, self.recipe, self.seed, self.device = training, recipe, seed, device
        form = replace(FORMS[recipe.family], width=recipe.width, blocks=recipe.blocks)
        self.generator = GeneratorNetwork(form).to(device)
        self.discriminator = DiscriminatorNetwork(size=recipe.size, width=recipe.width).to(device)
        self.optimizers = {
            name: torch.optim.Adam(
                network.parameters(), recipe.learning_rate, (recipe.beta1, recipe.beta2), foreach=False
            )
            for name, network in self.networks.items()
        }
        self.each, self.steps = recipe.steps(len(training))
        self.look = recipe.look_every(self.steps)
        self._ordered, self._order = -1, np.empty(0, np.int64)
        self.cast: Any = nullcontext
        if recipe.mixed_precision:
            self.cast = lambda: torch.autocast(device.type, dtype=torch.bfloat16)
        rng = _rng("looked at", seed)
        looked_at = held.take(np.sort(rng.permutation(len(held))[:LOOKED_AT]))
        self.held = as_pictures(torch.from_numpy(looked_at.pixels).to(device))
        self.held_aus = torch.from_numpy(looked_at.aus).to(device)
        self.held_targets = torch.from_numpy(self._targets(looked_at.aus, rng)).to(device)
        first = {person: i for i, person in reversed(list(enumerate(looked_at.people)))}
        self.shown = self.held[sorted(first.values())[:SHOWN]]

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def run(self, kept: TrainingFolder, progress: Progress, seconds: float) -> list[dict[str, Any]]:
        recipe = self.recipe
        step, history, sums = self._resumed(kept)
        self._prove(kept, history)
        saved = time.monotonic()
        while step < self.steps:
            rate = recipe.rate(step, self.each)
            for optimizer in self.optimizers.values():
                optimizer.param_groups[0]["lr"] = rate
            for name, value in self._step(step).items():
                total, n = sums.get(name, (0.0, 0))
                sums[name] = (total + value, n + 1)
            step += 1
            if step % self.look == 0 or step == self.steps:
                means = {name: total / n for name, (total, n) in sums.items()}
                history.append(self._look(kept, step, rate, means))
                sums = {}
                kept.wrote(history[-1])
                write_picture(curves(history), kept.folder / CURVES)
                if step < self.steps:  # afterwards there is nothing to stop
                    self._prove(kept, history)
            if time.monotonic() - saved >= seconds and step < self.steps:
                began = time.monotonic()
                kept.save(*self._frozen(step, history, sums), history)
                saved = time.monotonic()
                seconds = max(seconds, PAUSES * (saved - began))
            progress(step, self.steps, _note(history))
        return history

    def _step(self, step: int) -> dict[str, float]:
        """One step: the discriminator learns, and every `critic` steps the generator, too. The losses by name."""
        rng = _rng("step", self.seed, step)
        rows = self._rows(step)
        pixels = self.training.pixels[rows]
        mirrored = rng.random(len(rows)) < self.recipe.mirror
        pixels[mirrored] = pixels[mirrored][:, :, ::-1]
        own = self.training.aus[rows]
        target = self._targets(own, rng)
        share = rng.random(len(rows), np.float32)
        pictures = as_pictures(torch.from_numpy(pixels).to(self.device))
        aus, targets, shares = (torch.from_numpy(values).to(self.device) for values in (own, target, share))
        losses = self._criticize(pictures, aus, targets, shares)
        if (step + 1) % self.recipe.critic == 0:
            losses |= self._repaint(pictures, aus, targets)
        found = {name: float(value) for name, value in losses.items()}
        for name, value in found.items():
            if not math.isfinite(value):
                raise InputError(
                    f"training of GANimation, step {step + 1}", expected="finite losses", found=f"{name} {value}",
                    do="train with a smaller `learning_rate`",
                )  # fmt: skip
        return found

    def _criticize(self, pictures: Tensor, aus: Tensor, targets: Tensor, shares: Tensor) -> dict[str, Tensor]:
        recipe, network = self.recipe, self.discriminator
        with self.cast():
            with torch.no_grad():
                painted = self.generator(pictures, targets).pictures
            scores, read = network(pictures)
            painted_scores, _ = network(painted)
        critic = scores.float().mean() - painted_scores.float().mean()
        read_error = F.mse_loss(read.float(), aus)
        penalty = gradient_penalty(network, pictures, painted.float(), shares)
        self._learn("discriminator", -critic + recipe.aus * read_error + recipe.penalty * penalty)
        return {"critic": critic.detach(), "penalty": penalty.detach(), "critic_aus": read_error.detach()}

    def _repaint(self, pictures: Tensor, aus: Tensor, targets: Tensor) -> dict[str, Tensor]:
        recipe = self.recipe
        self.discriminator.requires_grad_(False)
        with self.cast():
            painted = self.generator(pictures, targets)
            scores, read = self.discriminator(painted.pictures)
            back = self.generator(painted.pictures, aus)
        losses = {
            "adversary": -scores.float().mean(),
            "aus": F.mse_loss(read.float(), targets),
            "cycle": F.l1_loss(back.pictures.float(), pictures),
            "kept": painted.attention.float().mean() + back.attention.float().mean(),
            "variation": total_variation(painted.attention.float()) + total_variation(back.attention.float()),
        }
        self._learn(
            "generator",
            losses["adversary"] + recipe.aus * losses["aus"] + recipe.cycle * losses["cycle"]
            + recipe.attention * losses["kept"] + recipe.variation * losses["variation"],
        )  # fmt: skip
        self.discriminator.requires_grad_(True)
        return {name: value.detach() for name, value in losses.items()}

    def _learn(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def _rows(self, step: int) -> npt.NDArray[np.int64]:
        """The pictures of a step: each epoch goes through all of them in an order of its own."""
        epoch, i = divmod(step, self.each)
        if self._ordered != epoch:
            order = _rng("order", self.seed, epoch).permutation(len(self.training))
            self._ordered, self._order = epoch, order
        return self._order[i * self.recipe.batch : (i + 1) * self.recipe.batch]

    def _targets(self, own: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Target AUs of pictures with these AUs, float32 [n, 17]: see `GeneratorRecipe.preset`."""
        pool = self.training.aus
        others = pool[rng.integers(len(pool), size=len(own))]
        if self.recipe.preset == "macro":
            noise = rng.uniform(-self.recipe.noise, self.recipe.noise, (len(own), N_AUS))
            return np.asarray(np.clip(others + noise, 0, 1), np.float32)
        for _ in range(REDRAWN):
            alike = np.abs(others - own).max(1) < MICRO[0]
            others[alike] = pool[rng.integers(len(pool), size=int(alike.sum()))]
        change = others - own
        largest = np.abs(change).max(1, keepdims=True)
        wanted = rng.uniform(*MICRO, (len(own), 1))
        share = np.minimum(1, wanted / np.maximum(largest, 1e-6))
        return np.asarray(np.clip(own + change * share, 0, 1), np.float32)

    def _look(self, kept: TrainingFolder, step: int, rate: float, losses: dict[str, float]) -> dict[str, Any]:
        seen = look_at(
            self.generator, self.discriminator, self.held, self.held_aus, self.held_targets, self.recipe.batch
        )
        intensity = 1.0 if self.recipe.preset == "macro" else MICRO[1]
        title = f"step {step:,} of {self.steps:,}: AUs at intensity {intensity:g}, people held out"
        picture = sheet(self.generator, self.shown, intensity, title)
        write_picture(picture, kept.folder / SHEETS / f"{step:07d}.png")
        row: dict[str, Any] = dict.fromkeys(COLUMNS)
        row |= {"step": step, "epoch": (step - 1) // self.each, "learning_rate": rate}
        row |= losses | seen.plain()
        return row

    def _prove(self, kept: TrainingFolder, history: list[dict[str, Any]]) -> None:
        why = collapsed(history, self.steps)
        if why is not None:
            kept.write_log(history)
            raise InputError(
                f"training of GANimation in {kept.folder}, stopped at step {history[-1]['step']:,}",
                expected="a generator that paints what it is asked to", found=f"a collapse: {why}",
                do=f"look at {CURVES} and {SHEETS}; train in a new folder: longer (more faces, or more `epochs`) if "
                "losses were still falling, with a smaller `learning_rate` if they rose",
            )  # fmt: skip

    def _frozen(
        self, step: int, history: list[dict[str, Any]], sums: dict[str, tuple[float, int]]
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Everything that the next step depends on: JSON values, and tensors by part/name."""
        tensors: dict[str, Tensor] = {}
        for name, network in self.networks.items():
            tensors |= {f"{name}/{key}": value for key, value in network.state_dict().items()}
            for i, moments in self.optimizers[name].state_dict()["state"].items():
                tensors |= {f"{name}/moments/{i}/{key}": value for key, value in moments.items()}
        return {"step": step, "history": history, "sums": sums}, tensors

    def _resumed(self, kept: TrainingFolder) -> tuple[int, list[dict[str, Any]], dict[str, tuple[float, int]]]:
        frozen = kept.checkpoint()
        if frozen is None:
            return 0, [], {}
        plain, tensors = frozen
        try:
            for name, network in self.networks.items():
                moments: dict[int, dict[str, Tensor]] = {}
                weights = {}
                for key, value in tensors.items():
                    part, _, rest = key.partition("/")
                    if part == name and rest.startswith("moments/"):
                        _, i, moment = rest.split("/")
                        moments.setdefault(int(i), {})[moment] = value
                    elif part == name:
                        weights[rest] = value
                network.load_state_dict(weights)
                optimizer = self.optimizers[name]
                optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
            found = plain["step"], plain["history"], {name: tuple(pair) for name, pair in plain["sums"].items()}
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise InputError(
                f"checkpoint in {kept.folder}", expected="a state of this training that this miex and torch can read",
                found=" ".join(str(error).split())[:200], do="delete it: the training then starts again",
            ) from error  # fmt: skip
        kept.wrote(*found[1], again=True)
        return found


def _rng(*parts: object) -> np.random.Generator:
    """Draws that depend on these parts alone."""
    return np.random.Generator(np.random.PCG64(stable_hash(*parts)))


def _note(history: list[dict[str, Any]]) -> str:
    if not history:
        return ""
    last = history[-1]
    return f"attention {last['attention']:.2f}, AUs realized {last['realized']:.2f}, cycle {last['held_cycle']:.3f}"


def _finish(
    kept: TrainingFolder, loop: _Loop, history: list[dict[str, Any]], origin: str, licence: str
) -> TrainedGenerator:
    kept.close(history)
    entries = []
    for file, network in ((DISCRIMINATOR, loop.discriminator), (GENERATOR, loop.generator)):
        tensors = tensors_of(network, loop.recipe.family)
        if odd := not_finite(tensors):
            raise InputError(
                f"training of GANimation in {kept.folder}", expected="finite weights", found=odd,
                do="train with a smaller `learning_rate`",
            )  # fmt: skip
        content = save(tensors)
        entries.append(_entry(file, hashlib.sha256(content).hexdigest(), loop.recipe.family, origin, licence))
        if file == GENERATOR:  # its file ends the training, so that what describes it is there before
            write_whole(kept.folder / MANIFEST, "\n".join(entries).encode())
        write_whole(kept.folder / file, content)
    kept.remove_checkpoint()
    return TrainedGenerator(kept.folder, history)


def _entry(file: str, sha256: str, family: str, origin: str, licence: str) -> str:
    facts: Iterator[tuple[str, str]] = iter(
        (("sha256", sha256), ("name", file), ("family", family), ("licence", licence), ("origin", origin))
    )
    lines = [f'{name} = "{_escaped(value)}"' for name, value in facts]
    return "\n".join(["[[weights]]", *lines, "scale = 1.0", ""])


def _escaped(text: str) -> str:
    """A text as TOML has it between quotes; what is no text (of names of files) is a question mark."""
    whole = text.encode("utf-8", "replace").decode()
    return "".join(f"\\u{ord(c):04x}" if c in '"\\' or ord(c) < 32 or ord(c) == 127 else c for c in whole)


def _finished(kept: TrainingFolder) -> TrainedGenerator | None:
    """The training, if it is finished. Raises InputError if its weights are not those that it ended with."""
    path = kept.folder / GENERATOR
    if not path.is_file():
        return None
    sha256 = sha256_of(path)
    if known_weights(sha256, path) is None:
        raise InputError(
            f"training in {kept.folder}", expected=f"the weights that its {MANIFEST} names",
            found=f"{GENERATOR} of sha256 {sha256}", do="restore them from a copy, or train in a new folder",
        )  # fmt: skip
    kept.remove_checkpoint()
    rows = csv.DictReader(io.StringIO((kept.folder / LOG).read_text("utf-8")))
    whole = ("step", "epoch")
    history = [
        {name: None if not value else (int if name in whole else float)(value) for name, value in row.items()}
        for row in rows
    ]
    return TrainedGenerator(kept.folder, history)
