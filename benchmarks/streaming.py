"""Samples per second of streams, stored sets and folders of images, and the loader's share of a training step.

    python -m benchmarks.streaming [--faces DIR] [--ids N] [--repeats N] [--epochs N] [--out FILE]

Readers take turns in one process: each repeat reads all samples once by each, in random order. Rates are of the
processor's time. Steps of training are timed by the clock, for the loader's workers run beside them.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

import miex
from benchmarks.page import page, parser
from miex.api.examples import recipe_of
from miex.dataset.reader import Dataset
from miex.executors.local import available_workers, one_thread
from miex.recognition.loader import Loader

IDENTITIES, EACH, BATCH = 5000, 9, 256  # of the order that is looked at: as many as MiE-X has
BATCH_OF_STEPS = 32


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the page."""
    options = parser("streaming", __doc__)
    options.add_argument("--faces", type=Path, help="Folder of photos. Default: the embedded face.")
    options.add_argument("--ids", type=int, default=12)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--epochs", type=int, default=2)
    given = options.parse_args(arguments)
    with page("Streams beside stored sets", options, given), tempfile.TemporaryDirectory() as folder:
        print_rates(Path(folder), given.faces, given.ids, given.repeats)
        print_order()
        print_steps(Path(folder), given.epochs)


def print_rates(folder: Path, faces: Path | None, ids: int, repeats: int) -> None:
    """Print samples per second."""
    print(f"Pairs of 128 px of {ids} identities, one process; samples per second of the processor's time, median of")
    print(f"{repeats} turns, and the range. Image folder: the two PNG files of each sample alone, by OpenCV.\n")
    print("| samples of an identity | reader | samples/s | range | of the stored set's |\n|---|---|---|---|---|")
    for per in (1, 3):
        made = miex.synthesize(folder / f"{per}", faces=faces, ids=ids, per=per, workers=available_workers())
        made.export(folder / f"{per}-files")
        readers: dict[str, Callable[[], int]] = {
            "stored set": lambda made=made: _stored(made),
            "image folder": lambda per=per: _files(folder / f"{per}-files"),
            "stream": lambda made=made: sum(1 for _ in miex.stream(made)),
            "stream, each sample by itself": lambda made=made: sum(1 for _ in miex.stream(made, block=1)),
        }
        rates: dict[str, list[float]] = {name: [] for name in readers}
        for name in [*readers] * (repeats + 1):
            start = time.process_time()
            with one_thread():
                n = readers[name]()
            assert n == len(made)
            rates[name].append(n / (time.process_time() - start))
        for name, found in rates.items():
            found = found[1:]  # the first opens files and generators
            rate, share = median(found), median(a / b for a, b in zip(found, rates["stored set"][1:], strict=True))
            print(f"| {3 * per} | {name} | {rate:,.0f} | {min(found):,.0f} to {max(found):,.0f} | {share:.2f} |")


def _stored(made: Dataset) -> int:
    return sum(1 for i in np.random.default_rng(0).permutation(len(made)).tolist() if made[i].frames.size)


def _files(folder: Path) -> int:
    files = sorted(folder.rglob("*.png"))
    pairs = [files[i : i + 2] for i in range(0, len(files), 2)]
    for i in np.random.default_rng(0).permutation(len(pairs)).tolist():
        for file in pairs[i]:
            frame = cv2.imread(str(file))
            assert frame is not None
            cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    return len(pairs)


def print_order() -> None:
    """Print how many identities there are among samples that follow each other."""
    n, rng = IDENTITIES * EACH, np.random.default_rng(0)
    identity = np.repeat(np.arange(IDENTITIES), EACH)
    print(f"\nDifferent identities in a batch of {BATCH}, of {n:,} samples of {IDENTITIES:,} identities, mean:\n")
    print("| order | identities |\n|---|---|")

    def shuffled(block: int) -> np.ndarray:
        line = np.concatenate([np.flatnonzero(identity == i) for i in rng.permutation(IDENTITIES)])
        return np.concatenate([rng.permutation(line[i : i + block]) for i in range(0, n, block)])

    for name, block in (("stream, blocks of 1,365 (128 MB of pairs of 128 px)", 1365), ("all shuffled", n)):
        order = identity[shuffled(block)]
        found = [len(np.unique(order[i : i + BATCH])) for i in range(0, n - BATCH, BATCH)]
        print(f"| {name} | {np.mean(found):.0f} |")


def print_steps(folder: Path, epochs: int) -> None:
    """Print the loader's share of a step."""
    print(f"\nTraining on the larger set for {epochs} epochs, batches of {BATCH_OF_STEPS}, Branches on pairs of 64 px:")
    print("seconds of a step by the clock,")
    print("and the share of them in which it waits for its examples, mean of all epochs but the first. New draws are")
    print("rendered meanwhile; with the same draws in each epoch, examples are made before the training begins.\n")
    print("| recipe | examples | loader's workers | s/step | loader's share |\n|---|---|---|---|---|")
    for name, side in (("fixed", None), ("branches", 64)):
        recipe = recipe_of(name, side=side)
        recipe = recipe.but(batch=BATCH_OF_STEPS, epochs=epochs)
        plan = folder / "plan"
        shutil.copytree(
            folder / "3", plan, ignore=shutil.ignore_patterns("shards", "samples.parquet", "*.html", "*.md")
        )
        for examples, how, workers in (
            ("stored", {}, 1), ("streamed, same draws", {"stream": True}, 1),
            ("streamed, new draws", {"stream": True, "new_draws": True}, 1),
            ("streamed, new draws", {"stream": True, "new_draws": True}, 2),
        ):  # fmt: skip
            data = folder / "3" if examples == "stored" else plan
            step, share = _steps(lambda: miex.train(data, recipe=recipe, workers=workers, **how))  # noqa: B023
            print(f"| {name} | {examples} | {workers} | {step:.3f} | {share:.1%} |", flush=True)
        shutil.rmtree(plan)


def _steps(run: Callable[[], Any]) -> tuple[float, float]:
    """Mean seconds of a step after the first epoch, and the share of them that the loader took."""
    epoch, waited, whole = Loader.epoch, [], []

    def timed(self: Loader, number: int) -> Iterator[Any]:
        batches = epoch(self, number)
        while True:
            start = time.perf_counter()
            batch = next(batches, None)
            read = time.perf_counter()
            if batch is None:
                return
            yield batch
            if number:  # the first epoch starts workers
                waited.append(read - start)
                whole.append(time.perf_counter() - start)

    Loader.epoch = timed  # type: ignore[method-assign]
    try:
        run()
    finally:
        Loader.epoch = epoch  # type: ignore[method-assign]
    return sum(whole) / len(whole), sum(waited) / sum(whole)


if __name__ == "__main__":
    main()
