"""One plan made in three ways: by two workers of this machine, by two runs of halves, and by a Ray cluster.

    python -m benchmarks.cluster [--faces DIR] [--samples N] [--out FILE]

Each way is `miex run` in a process of its own, and every byte of shards, records and samples.parquet is compared. Needs
`pip install "miex[ray]"`, and Linux, whose /proc tells the peak memory of each process.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.page import page, parser
from benchmarks.synthesis import make_plan
from miex.dataset.samples import SAMPLES_FILE
from miex.dataset.shard import SHARDS
from miex.faces.photos import default_pool
from miex.synthesis.adopt import adopt_plan

WORKERS = 2
HALVES = [["--shards", f"{i}/{WORKERS}", "--workers", "1"] for i in range(1, WORKERS + 1)]
WAYS = {
    f"`--workers {WORKERS}`": [["--workers", str(WORKERS)]],
    "`--shards 1/2` and `--shards 2/2`, at once": HALVES,
    f"`--executor ray --workers {WORKERS}`": [["--executor", "ray", "--workers", str(WORKERS)]],
}
WORKER = ("ray::_tried", "ray::IDLE")  # the names of Ray's workers that work, and wait for work
SHARDS_AT_LEAST = 12  # of small sets, so that there is something to share


def digest(out: Path) -> str:
    """sha256 of all that a set promises to be the same."""
    whole = hashlib.sha256()
    for path in [*sorted((out / SHARDS).iterdir()), out / SAMPLES_FILE]:
        whole.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


def below(root: int) -> dict[int, str]:
    """Names of the processes that this one and those that it started have started, itself too."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:  # it has ended
            continue
        parents[int(folder.name)], names[int(folder.name)] = int(rest.split()[1]), name
    found = {root}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {process: names.get(process, "") for process in found}


def peak(process: int) -> float:
    """Most memory of a process so far, in MB; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def made(out: Path, runs: list[list[str]]) -> dict[str, Any]:
    """What the runs of a plan took, all at once."""
    start = time.perf_counter()
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "miex", "run", str(out), "--json", "--quiet", *options],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for options in runs
    ]
    drivers: dict[int, float] = {}
    workers: dict[int, float] = {}
    others: dict[int, float] = {}
    while any(process.poll() is None for process in running):
        for driver in running:
            for process, name in below(driver.pid).items():
                if process == driver.pid:
                    kind = drivers
                elif "ray" not in runs[0] or name.startswith(WORKER):
                    kind = workers
                else:
                    kind = others
                kind[process] = max(kind.get(process, 0.0), peak(process))
        time.sleep(0.2)
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError("a run failed: see above")
    seconds = time.perf_counter() - start
    facts = [json.loads(text) for text in said]
    return {
        "seconds": seconds, "digest": digest(out),
        "frames": sum(fact["frames"] for fact in facts),
        "driver": max(drivers.values()), "worker": max(workers.values(), default=0.0),
        "own": sum(others.values()), "making": max(fact["seconds"] for fact in facts),
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    options = parser("cluster", __doc__)
    options.add_argument("--faces", type=Path, default=default_pool())
    options.add_argument("--samples", type=int, default=600)
    given = options.parse_args(arguments)
    with page("One plan, made in three ways", options, given), tempfile.TemporaryDirectory() as folder:
        size = min(500, max(1, given.samples // SHARDS_AT_LEAST))
        plan, planned = make_plan(given.faces, given.samples, shard_size=size), Path(folder) / "planned"
        adopt_plan(plan, planned)
        print(f"{plan.n_rows:,} pairs of {plan.settings['size']} px in {plan.n_shards} shards. Wall time is that of")
        print("the whole command, with the start of its processes and the gallery; peak memory is each process' own.\n")
        print(
            "| `miex run` with | s | s of rendering | frames/s | peak MB: driver | a worker | Ray's own, all |", end=""
        )
        print(" sha256 of all bytes |\n|---|---|---|---|---|---|---|---|")
        found = set()
        for name, runs in WAYS.items():
            out = shutil.copytree(planned, Path(folder) / "set")
            took = made(out, runs)
            found.add(took["digest"])
            worker = f"{took['worker']:,.0f}" if took["worker"] else "–"
            print(
                f"| {name} | {took['seconds']:.1f} | {took['making']:.1f} | {took['frames'] / took['making']:,.0f} | "
                f"{took['driver']:,.0f} | {worker} | {took['own']:,.0f} | {took['digest'][:12]}… |",
                flush=True,
            )
            shutil.rmtree(out)
        print(f"\nBytes: {'the same in every way' if len(found) == 1 else 'DIFFERENT'}.")


if __name__ == "__main__":
    main()
