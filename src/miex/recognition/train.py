"""Training: direct, after pre-training, or joint; the same for every method."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import torch

from miex.errors import InputError, UsageError
from miex.executors.base import Progress, silent
from miex.recognition.checkpoints import TrainingFolder
from miex.recognition.machine import Machine, running_on
from miex.recognition.method import EachEpoch, Method, Run, make_method, method_class
from miex.recognition.recipe import Recipe
from miex.recognition.recognizer import Recognizer
from miex.recognition.view import View
from miex.stable import stable_hash

CHECKPOINT_SECONDS = 20.0


def train(
    view: View,
    recipe: Recipe,
    *,
    seed: int = 0,
    start: Recognizer | None = None,
    folder: Path | None = None,
    machine: Machine | None = None,
    progress: Progress = silent,
    each_epoch: EachEpoch | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Recognizer:
    """Train a recognizer; on CPUs the same arguments give the same weights.

    Direct: synthetic examples. Pre-train → fine-tune: `start` is the pre-trained one; with other classes it gets a new
    last layer. Joint: the view of `joint`. Nothing of a test set comes in here: early stopping looks at people held
    out of `view`.

    Args:
        view: what is trained on, through the recipe's input; read batch by batch.
        recipe: how.
        seed: of initial weights and all draws.
        start: a recognizer to go on from. Its recipe must name the same method and input.
        folder: where to keep log.csv, TensorBoard's events, a checkpoint, and at the end recognizer.safetensors.
            A folder with a checkpoint of the same training goes on from it, and ends with the same numbers; one that is
            finished is read.
        machine: devices and threads.
        progress: called after each step; its note is the loss.
        each_epoch: called after each epoch with its number and a function that predicts.
        checkpoint_seconds: at least so long between two checkpoints.

    Raises:
        UsageError: no such recognizer, or it cannot look at the recipe's input or go on from another.
        InputError: examples that do not fit the recipe or the recognizer to start from; a loss or weight that is not
            finite; a checkpoint or recognizer in the folder that is not as it was written.
        OutputError: the folder holds another training, or cannot be written.
    """
    machine = machine or Machine()
    if not len(view):
        raise InputError("training", expected="at least one sample", found="none")
    if view.shape != recipe.takes.shape:
        raise InputError(
            f"training {recipe.name}", expected=f"{recipe.takes.name} examples of {list(recipe.takes.shape)}",
            found=f"of {list(view.shape)}", do="compute them through the recipe's input, with Examples.through",
        )  # fmt: skip
    what = {
        "recipe": recipe.digest, "examples": view.digest, "seed": seed,
        "start": None if start is None else start.weights_digest,
    }  # fmt: skip
    with running_on(machine), torch.random.fork_rng():
        torch.manual_seed(seed)
        method = _method(view, recipe, start)
        kept = None if folder is None else TrainingFolder(folder, what)
        if kept is not None and (done := kept.finished()):
            return done
        log = method.fit(view, recipe, Run(seed, machine, progress, each_epoch, kept, checkpoint_seconds))
    facts = {
        **what, "loss": log[-1]["loss"], "epochs": log[-1]["epoch"] + 1, "n": len(view),
        "origins": _origins(view, start),
    }  # fmt: skip
    recognizer = Recognizer(method.eval().cpu(), recipe, view.label_names, facts)
    if kept is not None:
        kept.finish(recognizer, log)
    return recognizer


def joint(real: View, synthetic: View, seed: int) -> View:
    """Real and synthetic examples for joint training: real ones drawn with replacement, classes alike, as many as
    there are synthetic ones."""
    counts = np.bincount(real.labels, minlength=len(real.label_names))
    weight = 1 / counts[real.labels]
    rng = np.random.Generator(np.random.PCG64(stable_hash("joint", seed)))
    drawn = rng.choice(len(real), len(synthetic), p=weight / weight.sum())
    return real.take(drawn).joined(synthetic)


def _method(view: View, recipe: Recipe, start: Recognizer | None) -> Method:
    if start is None:
        return make_method(recipe, len(view.label_names))
    if not method_class(recipe.recognizer).fine_tunes:
        raise UsageError(
            f"fine-tuning {recipe.recognizer}", expected="a recognizer that is trained step by step",
            do="this one is fitted in one step and cannot be continued: train it jointly",
        )  # fmt: skip
    for name in ("recognizer", "input"):
        mine, other = getattr(recipe, name), getattr(start.recipe, name)
        if mine != other:
            raise InputError(
                f"fine-tuning with {recipe.name}", expected=f"{name} {other}, as of the recognizer to start from",
                found=str(mine), do="use a recipe with the same recognizer and input",
            )  # fmt: skip
    method = deepcopy(start.method)
    if start.label_names != view.label_names:
        method.new_head(len(view.label_names))
    return method


def _origins(view: View, start: Recognizer | None) -> list[list[str | None]]:
    """Distinct (source, corpus, subject) of all that was trained on, here and before: for the leak guard."""
    columns = (view.rows[name].to_pylist() for name in ("source", "corpus", "subject"))
    before = [] if start is None else start.history.get("origins", [[None, None, None]])
    found = {*zip(*columns, strict=True), *map(tuple, before)}
    return [list(origin) for origin in sorted(found, key=str)]
