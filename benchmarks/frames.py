"""What recognizers of frames learn from a set: accuracy on identities that were held out of the training.

    python -m benchmarks.frames [--faces DIR] [--ids N] [--held N] [--size N] [--per N] [--epochs N] [--threads N]
        [--mu M] [--nu N] [--runs NAMES] [--out FILE]

Each recognizer is trained by its own recipe for a few epochs, from
ImageNet (EfficientNet-Lite0) and from random weights. STSTNet, which sees optical flow, is trained and tested on the
same samples with its own recipe. Without photos the identities are virtual ones, relatives of each other.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import miex
from benchmarks.page import page, parser
from miex.api.examples import recipe_of
from miex.evaluation.significance import by_subject
from miex.executors.local import available_workers, local_executor
from miex.executors.machine import Machine
from miex.experiments.present import Entry, Table, Value
from miex.faces.photos import default_pool
from miex.recognition.imagenet import find_weights
from miex.recognition.places import of_set
from miex.recognition.train import train

# recognizer, backbone, and whether it starts from ImageNet
RUNS = {
    "ststnet": ("ststnet", None, False),
    "branches-lite0": ("branches", "efficientnet-lite0", True),
    "branches-resnet18": ("branches", "resnet18", False),
    "apexme-lite0": ("apexme", "efficientnet-lite0", True),
    "apexme-resnet18": ("apexme", "resnet18", False),
}
ROUNDS = 10_000


def accuracy(truth: np.ndarray, predicted: np.ndarray, people: list[str]) -> Value:
    """Accuracy with its 95 % interval, by a bootstrap over identities."""
    counts = by_subject(truth, predicted, people, 3).astype(float)
    right, n = counts.trace(axis1=1, axis2=2), counts.sum((1, 2))
    rng = np.random.Generator(np.random.PCG64(0))
    draws = rng.multinomial(len(n), np.full(len(n), 1 / len(n)), ROUNDS)
    low, high = np.quantile((draws @ right) / (draws @ n), [0.025, 0.975])
    return Value(right.sum() / n.sum(), low=low, high=high)


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    options = parser("frames", __doc__)
    options.add_argument("--faces", type=Path, default=default_pool(), help="photos; default: virtual people")
    options.add_argument("--ids", type=int, default=60)
    options.add_argument("--held", type=int, default=20, help="identities held out of the training, beside --ids")
    options.add_argument("--size", type=int, default=64)
    options.add_argument("--per", type=int, default=1)
    options.add_argument("--mu", type=float, default=0.1, help="weakest AU; 0.5 and --nu 1 show macro-expressions")
    options.add_argument("--nu", type=float, default=0.3, help="strongest AU")
    options.add_argument("--epochs", type=int, default=1)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--runs", default=",".join(RUNS), help="some of " + ", ".join(RUNS))
    given = options.parse_args(arguments)
    work = Path(tempfile.mkdtemp())
    try:
        made = miex.synthesize(
            work / "set", faces=given.faces, ids=given.ids + given.held, per=given.per,
            size=given.size, sources=[miex.sources.expert(mu=given.mu, nu=given.nu)], workers=available_workers(),
        )  # fmt: skip
        with page("What recognizers of frames learn from a small set", options, given):
            print(f"torch {torch.__version__}, {given.threads} threads\n")
            print(_table(made, work, given).markdown())
    finally:
        shutil.rmtree(work)


def _table(dataset: Any, work: Path, given: argparse.Namespace) -> Table:
    samples = of_set(dataset)
    people = dataset.table["identity"].to_pylist()
    names = sorted(set(people))
    held = set(np.random.default_rng(0).permutation(names)[: given.held].tolist())
    test = np.asarray([person in held for person in people])
    lines: list[list[Entry]] = []
    for run in given.runs.split(","):
        recognizer, backbone, from_imagenet = RUNS[run]
        recipe = recipe_of(None, recognizer=recognizer, backbone=backbone)
        if recipe.takes.name != "flow":
            recipe = recipe.but(side=given.size, epochs=given.epochs, shift=given.size // 14)
        view = samples.through(recipe.takes, work / "inputs", executor=local_executor(available_workers()))
        start, times = time.perf_counter(), list[float]()
        found = train(
            view.take(np.flatnonzero(~test)), recipe, start=find_weights("imagenet") if from_imagenet else None,
            machine=Machine(threads=given.threads), progress=lambda *_, keep=times.append: keep(time.perf_counter()),
        )  # fmt: skip
        seconds = time.perf_counter() - start
        shown = view.take(np.flatnonzero(test))
        value = accuracy(shown.labels, found.predict(shown).argmax(1), [p for p in people if p in held])
        known = view.take(np.flatnonzero(~test)[: int(test.sum())])
        fitted = float((found.predict(known).argmax(1) == known.labels).mean())
        step = float(np.median(np.diff(times))) if len(times) > 1 else seconds
        lines.append([
            recognizer, backbone or "–", found.history["started_from"].split(" (")[0], value, Value(fitted),
            f"{found.method.parameter_count:,}", f"{step:.2f}", f"{seconds:.0f}",
        ])  # fmt: skip
    trained, tested = int((~test).sum()), int(test.sum())
    title = (
        f"{trained:,} pairs of {len(names) - given.held} identities, {given.size} px, AUs of {given.mu:g} to "
        f"{given.nu:g}, {given.epochs} epochs; tested on {tested:,} pairs of {given.held} others; chance: 0.333"
    )
    return Table(
        title,
        ["recognizer", "backbone", "starts from", "accuracy (95 %)", "on trained ones", "parameters", "s/step", "s"],
        lines,
    )


if __name__ == "__main__":
    main()
