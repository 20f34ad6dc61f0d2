"""Memory of training on pairs of color frames, and the loader's share of a training step.

    python -m benchmarks.loader [--pairs N,N] [--side N] [--steps N] [--threads N] [--out FILE]

For each number of pairs, a process makes the stored examples, and trains Branches on them for a few steps. The pairs
are those of a small set, again and again: storing and reading do not know that. Memory is sampled every 20 ms: what a
process holds for itself (anonymous pages), and pages of files that it has mapped, which the system can take back.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

import miex
from benchmarks.page import page, parser
from miex.dataset.reader import Dataset
from miex.executors.local import available_workers
from miex.executors.machine import Machine
from miex.faces.photos import default_pool
from miex.recognition.examples import Examples, FrameSource
from miex.recognition.inputs.base import Input
from miex.recognition.places import SetFrames, of_set
from miex.recognition.recipe import load_recipe
from miex.recognition.train import train
from miex.recognition.view import View


@dataclass(frozen=True, eq=False)
class Again(FrameSource):
    """The frames of a set, again and again, `count` in all, from number `first` on."""

    dataset: Dataset
    count: int
    first: int = 0

    @property
    def digest(self) -> str:
        return f"{SetFrames(self.dataset).digest} {self.count}"

    def part(self, first: int, count: int) -> Again:
        return Again(self.dataset, min(count, self.count - first), self.first + first)

    def examples(self, takes: Input) -> Iterator[npt.NDArray[Any]]:
        for i in range(self.first, self.first + self.count):
            yield from SetFrames(self.dataset[[i % len(self.dataset)]]).examples(takes)


class Memory(threading.Thread):
    """Samples the memory of this process; keeps the peaks since the last `peaks`."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen = {"RssAnon": 0, "RssFile": 0}
        self.start()

    def run(self) -> None:
        while True:
            for line in Path("/proc/self/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in self.seen:
                    self.seen[name] = max(self.seen[name], int(value.split()[0]))
            time.sleep(0.02)

    def peaks(self) -> tuple[float, float]:
        """Peaks in MB of what the process holds for itself, and of mapped files."""
        time.sleep(0.05)
        found = self.seen
        self.seen = dict.fromkeys(found, 0)
        return found["RssAnon"] / 1e3, found["RssFile"] / 1e3


def measure(folder: Path, n: int, side: int, steps: int, threads: int) -> dict[str, float]:
    """What one process needs to store n pairs and to train on them."""
    dataset = miex.open(folder / "set")
    rows = of_set(dataset).rows
    repeated = rows.take(pa.array(np.arange(n) % len(rows)))
    samples = Examples(repeated, Again(dataset, n))
    recipe = load_recipe("branches").but(side=side, samples_seen=32 * steps)
    memory = Memory()
    base, _ = memory.peaks()
    start = time.perf_counter()
    view = samples.through(recipe.takes, folder / f"inputs-{n}")
    made, stored = time.perf_counter() - start, memory.peaks()[0]
    spent = 0.0
    read = View.batch

    def timed(self: View, positions: Any = slice(None)) -> Any:
        nonlocal spent
        begin = time.perf_counter()
        found = read(self, positions)
        spent += time.perf_counter() - begin
        return found

    View.batch = timed  # type: ignore[method-assign]
    times: list[float] = []
    train(view, recipe, machine=Machine(threads=threads), progress=lambda *_: times.append(time.perf_counter()))
    trained, mapped = memory.peaks()
    rng = np.random.default_rng(0)
    for _ in range(200):  # enough that every page of a small file was read
        read(view, rng.integers(0, n, 32))
    return {
        "pairs": n, "bytes": n * 2 * side * side * 3, "make": made, "base": base, "storing": stored,
        "training": trained, "mapped": max(mapped, memory.peaks()[1]), "step": float(np.mean(np.diff(times))),
        "batch": spent / len(times),
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    options = parser("loader", __doc__)
    options.add_argument("--pairs", default="500,2000")
    options.add_argument("--side", type=int, default=112)
    options.add_argument("--steps", type=int, default=4)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--only", type=Path, default=None, help=argparse.SUPPRESS)
    given = options.parse_args(arguments)
    torch.set_num_threads(given.threads)
    if given.only is not None:
        print(json.dumps(measure(given.only, int(given.pairs), given.side, given.steps, given.threads)))
        return
    with page("Memory of training on pairs of color frames, and the loader's share", options, given):
        print_memory(given.pairs.split(","), given.side, given.steps, given.threads)


def print_memory(numbers: list[str], side: int, steps: int, threads: int) -> None:
    """Print the table."""
    print(f"Branches on pairs of {side} px, batches of 32. Storing and training: the most memory that the process held")
    print("for itself. Mapped files: pages that the system can take back.")
    print(f"torch {torch.__version__}, {threads} threads\n")
    print("| pairs | stored, GB | made in, s | s/step | loader's share |", end="")
    print(" memory at start, MB | storing | training | mapped files |\n|" + "---|" * 9)
    work = Path(tempfile.mkdtemp())
    try:
        miex.synthesize(work / "set", faces=default_pool(), ids=20, workers=available_workers())
        for n in numbers:
            command = [sys.executable, "-m", "benchmarks.loader", "--only", str(work), "--pairs", n]
            command += ["--side", str(side), "--steps", str(steps), "--threads", str(threads)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            m = json.loads(done.stdout.splitlines()[-1])
            line = [f"{m['pairs']:,}", f"{m['bytes'] / 1e9:.2f}", f"{m['make']:.0f}", f"{m['step']:.2f}"]
            line += [f"{m['batch'] / m['step']:.2%}"]
            line += [f"{m[name]:,.0f}" for name in ("base", "storing", "training", "mapped")]
            print("| " + " | ".join(line) + " |", flush=True)
            shutil.rmtree(work / f"inputs-{n}")
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
