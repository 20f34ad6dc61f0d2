"""What the fuzzers share: inputs by their seeds, read in processes of their own, with bounds of memory and time.

`python -m tools.fuzz_NAME [INPUTS] [FIRST_SEED]`; a seed gives the same input always.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

TAKEN = ("read", "refused")


def fuzz(module: str, judge: Callable[[int], tuple[str, str]], *, inputs: int, batch: int, memory: int,
        seconds: int | None = None, prepare: Callable[[], None] = lambda: None) -> None:  # fmt: skip
    """The program of a fuzzer; it ends with 1 if an input was not taken as it should be.

    Args:
        module: its name, by which its processes are started.
        judge: what the input of a seed is, and how it was taken: "read", "refused", or what went wrong.
        inputs: how many, if none are given.
        batch: inputs of a process.
        memory: most bytes of address space of a process.
        seconds: most seconds of the processor for an input; None: any.
        prepare: called once in a process, before memory is bounded.
    """
    if sys.argv[1:2] == ["--work"]:
        prepare()
        _work(judge, int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), memory, seconds)
    else:
        given = [int(number) for number in sys.argv[1:3]]
        n, first = given + [inputs, 0][len(given) :]
        sys.exit(_all(module, n, first, batch) > 0)


def _work(
    judge: Callable[[int], tuple[str, str]], first: int, n: int, at: Path, memory: int, seconds: int | None
) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for seed in range(first, first + n):
        at.write_text(str(seed))
        if seconds is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (int(sum(os.times()[:2])) + seconds, resource.RLIM_INFINITY))
        what, how = judge(seed)
        print(seed, what, how.replace("\n", " "), sep="\t", flush=True)


def _all(module: str, n: int, first: int, batch: int) -> int:
    """Read that many inputs; returns how many of them were not taken as they should be."""
    counts: Counter[str] = Counter()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder) / "seed"
        start = first
        while start < first + n:
            size = min(batch, first + n - start)
            at.write_text(str(start))
            work = [sys.executable, "-m", module, "--work", str(start), str(size), str(at)]
            quiet = {**os.environ, "RUST_BACKTRACE": "0"}
            done = subprocess.run(work, capture_output=True, text=True, errors="replace", check=False, env=quiet)
            for line in done.stdout.splitlines():
                if line.count("\t") < 2:  # decoders print, too
                    continue
                seed, what, how = line.split("\t", 2)
                counts[f"{what}: {how if how in TAKEN else 'wrong'}"] += 1
                if how not in TAKEN:
                    bad += 1
                    print(f"seed {seed} ({what}): {how[:300]}", flush=True)
            start += size
            if done.returncode:
                bad += 1
                ended = int(at.read_text())
                print(f"seed {ended} ended the process: {done.returncode}: {done.stderr[-300:]}", flush=True)
                start = ended + 1
    for what, count in sorted(counts.items()):
        print(f"{what}: {count:,}")
    print(f"{sum(counts.values()):,} inputs, {bad:,} uncaught")
    return bad
