"""Training of recognizers: from scratch, by fine-tuning, or jointly on real and synthetic examples."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch

from miex.errors import InputError
from miex.executors.base import Progress, silent
from miex.executors.machine import Machine, running_on
from miex.recognition.checkpoints import RecognizerFolder
from miex.recognition.imagenet import ImageNetWeights
from miex.recognition.method import EachEpoch, Method, Run, make_method, prove_fine_tunes
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
    start: Recognizer | ImageNetWeights | None = None,
    folder: Path | None = None,
    machine: Machine | None = None,
    progress: Progress = silent,
    each_epoch: EachEpoch | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    faces: Mapping[str, tuple[str, str | None]] | None = None,
    workers: int = 1,
) -> Recognizer:
    """Train a recognizer. On CPUs the same arguments give the same weights.

    To fine-tune, give the pre-trained recognizer as `start`; it gets a new last layer if the classes differ. A
    recognizer with a backbone may also start from weights trained on ImageNet; all other weights are random. To train
    jointly, give the examples that `joint` returns. A test set plays no part here: early stopping uses people held out
    of `view`.

    Args:
        view: training examples, made by the recipe's input; they are read batch by batch.
        recipe: recipe of the training.
        seed: random seed of initial weights and all draws.
        start: recognizer to fine-tune, whose recipe must have the same recognizer, backbone and input; or weights of
            the recipe's backbone; None: random weights.
        folder: folder for log.csv, events for TensorBoard, a checkpoint, and at the end recognizer.safetensors. If it
            has a checkpoint of the same training, that is resumed and ends with the same weights; if it has the
            finished recognizer, that is returned. None: nothing is kept.
        machine: devices and threads.
        progress: called after each step; its note is the loss.
        each_epoch: called after each epoch with its number and a function that predicts.
        checkpoint_seconds: least time between two checkpoints, in seconds.
        faces: photo → corpus and subject of whom it shows, the subject None if only the corpus is known; kept in the
            history for the leak guard. None: it is not known.
        workers: processes that render the examples of views that are not stored; their number changes no weight.

    Returns:
        The recognizer, in evaluation mode and on the CPU.

    Raises:
        UsageError: there is no such recognizer, or it does not accept the recipe's input, or cannot be fine-tuned.
        InputError: the examples do not fit the recipe or `start`, a loss or weight is not finite, or a checkpoint or
            recognizer in the folder is damaged.
        OutputError: the folder holds another training or other files, or cannot be written to.
    """
    machine = machine or Machine()
    if isinstance(start, ImageNetWeights):
        recipe = start.recipe(recipe)
    if not len(view):
        raise InputError("training", expected="at least one example", found="none")
    if view.shape != recipe.takes.shape:
        raise InputError(
            f"training {recipe.name}", expected=f"{recipe.takes.name} examples of {list(recipe.takes.shape)}",
            found=f"of {list(view.shape)}", do="make them with Examples.through(recipe.takes, …)",
        )  # fmt: skip
    what = {
        "recipe": recipe.digest, "examples": view.digest, "seed": seed,
        "start": None if start is None else start.weights_digest if isinstance(start, Recognizer) else start.sha256,
    }  # fmt: skip
    with running_on(machine), torch.random.fork_rng():
        torch.manual_seed(seed)
        method = _method(view, recipe, start)
        kept = None if folder is None else RecognizerFolder(folder, what)
        if kept is not None and (done := kept.finished()):
            return done
        log = method.fit(view, recipe, Run(seed, machine, progress, each_epoch, kept, checkpoint_seconds, workers))
    facts = {
        **what, "loss": log[-1]["loss"], "epochs": log[-1]["epoch"] + 1, "n": len(view),
        "origins": _origins(view, start), "marks": _marks(view, start),
        "faces": _faces(view, start, faces), "started_from": _described(start),
        **({"skipped": skipped} if (skipped := _skipped(view, start)) else {}),
    }  # fmt: skip
    recognizer = Recognizer(method.eval().cpu(), recipe, view.label_names, facts)
    if kept is not None:
        kept.finish(recognizer, log)
    return recognizer


def joint(real: View, synthetic: View, seed: int) -> View:
    """Examples for joint training: all synthetic ones, and as many real ones.

    Real examples are drawn with replacement and the random seed `seed`, each class with the same probability.
    """
    counts = np.bincount(real.labels, minlength=len(real.label_names))
    weight = 1 / counts[real.labels]
    rng = np.random.Generator(np.random.PCG64(stable_hash("joint", seed)))
    drawn = rng.choice(len(real), len(synthetic), p=weight / weight.sum())
    return real.take(drawn).joined(synthetic)


def _described(start: Recognizer | ImageNetWeights | None) -> str:
    if isinstance(start, Recognizer):
        return f"a recognizer of {start.history.get('n', 'unknown')} samples, itself started from " + str(
            start.history.get("started_from", "unknown weights")
        )
    return "random weights" if start is None else str(start)


def _method(view: View, recipe: Recipe, start: Recognizer | ImageNetWeights | None) -> Method:
    if not isinstance(start, Recognizer):
        made = make_method(recipe, len(view.label_names))
        if start is not None:
            start.load_into(made)
        return made
    prove_fine_tunes(recipe.recognizer)
    for name in ("recognizer", "backbone", "input"):
        mine, other = getattr(recipe, name), getattr(start.recipe, name)
        if mine != other:
            raise InputError(
                f"fine-tuning with recipe {recipe.name}", expected=f"{name} {other}, as in pre-training",
                found=str(mine), do=f"use a recipe with the same {name}",
            )  # fmt: skip
    method = deepcopy(start.method)
    if start.label_names != view.label_names:
        method.new_head(len(view.label_names))
    return method


def _origins(view: View, start: Recognizer | ImageNetWeights | None) -> list[list[str | None]]:
    """Distinct (source, corpus, subject) of all training examples, including those of `start`, for the leak guard."""
    columns = (view.rows[name].to_pylist() for name in ("source", "corpus", "subject"))
    before = start.history.get("origins", [[None, None, None]]) if isinstance(start, Recognizer) else []
    found = {*zip(*columns, strict=True), *map(tuple, before)}
    return [list(origin) for origin in sorted(found, key=str)]


def _faces(
    view: View, start: Recognizer | ImageNetWeights | None, faces: Mapping[str, tuple[str, str | None]] | None
) -> list[list[str | None]] | None:
    """Distinct (corpus, subject) of the people of corpora whose faces are in training, including that of `start`; None
    if it is not known."""
    before = start.history.get("faces") if isinstance(start, Recognizer) else []
    photos = set(view.rows["photo"].to_pylist()) - {None}
    if before is None or (faces is None and photos):
        return None
    known = faces or {}
    found = {*(known[photo] for photo in photos & known.keys()), *map(tuple, before)}
    return [list(face) for face in sorted(found, key=str)]


def _skipped(view: View, start: Recognizer | ImageNetWeights | None) -> list[str]:
    """Ids of what was left out of the training data because it cannot be read, including those of `start`."""
    before = start.history.get("skipped", []) if isinstance(start, Recognizer) else []
    return list(dict.fromkeys([*before, *view.skipped]))


def _marks(view: View, start: Recognizer | ImageNetWeights | None) -> str | None:
    """What all training examples hold (see `View.marks`), including those of `start`; None if that does not say."""
    found = view.marks.flatten().to_numpy()
    if isinstance(start, Recognizer):
        before = start.marks
        if before is None:
            return None
        found = np.concatenate([found, before])
    return base64.b64encode(np.unique(found).astype("<u8").tobytes()).decode()
