"""One plan made in three ways: by two workers of this machine, by two runs of halves, and by a Ray cluster.

    python -m benchmarks.cluster [--faces DIR] [--samples N …] [--ways WAY …] [--out FILE]

Each way is `miex run` in a process of its own, and every byte of shards, records and samples.parquet is compared. The
bound of a frame is one bilinear remap and one PNG. Needs Linux, whose /proc tells the peak memory of each process, and,
for the way `ray`, `pip install "miex[ray]"`.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import cv2

from benchmarks.machine import bound, bound_beside, processor_seconds
from benchmarks.page import page, parser
from benchmarks.synthesis import make_plan
from miex.dataset.samples import SAMPLES_FILE
from miex.dataset.shard import SHARDS
from miex.faces.photos import default_pool
from miex.faces.planned import load_face
from miex.images import Image
from miex.synthesis.adopt import adopt_plan

WORKERS = 2
HALVES = [["--shards", f"{i}/{WORKERS}", "--workers", "1"] for i in range(1, WORKERS + 1)]
WAYS = {
    "workers": (f"`--workers {WORKERS}`", [["--workers", str(WORKERS)]]),
    "halves": ("`--shards 1/2` and `--shards 2/2`, at once", HALVES),
    "ray": (f"`--executor ray --workers {WORKERS}`", [["--executor", "ray", "--workers", str(WORKERS)]]),
}
WORKER = ("ray::_tried", "ray::IDLE")  # the names of Ray's workers that work, and wait for work
SHARDS_AT_LEAST = 12  # of small sets, so that there is something to share
MOMENTS, SECONDS_BETWEEN = 20, 1.0  # in which the bound is measured, before and after a run
SECONDS_BETWEEN_LOOKS = 2.0  # at the memory of processes: a look at all takes 4 ms that workers lack
LEAST_MB = 50  # of a worker: Python's own helper of its processes stays below


def hashes(out: Path) -> dict[str, str]:
    """sha256 of each file that a set promises to be the same, by its name."""
    paths = [*sorted((out / SHARDS).iterdir()), out / SAMPLES_FILE]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def digest(files: dict[str, str]) -> str:
    """sha256 of them all."""
    return hashlib.sha256("".join(f"{name} {sha256}\n" for name, sha256 in files.items()).encode()).hexdigest()


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
    start, before = time.perf_counter(), processor_seconds((resource.RUSAGE_CHILDREN,))
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
        time.sleep(SECONDS_BETWEEN_LOOKS)
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError("a run failed: see above")
    seconds = time.perf_counter() - start
    facts = [json.loads(text) for text in said]
    return {
        "seconds": seconds, "used": processor_seconds((resource.RUSAGE_CHILDREN,)) - before, "files": hashes(out),
        "failed": sum(fact["failed"] for fact in facts), "frames": sum(fact["frames"] for fact in facts),
        "bytes": sum(fact["bytes"] for fact in facts), "driver": list(drivers.values()),
        "workers": [peak for peak in workers.values() if peak >= LEAST_MB],
        "own": sum(others.values()), "making": max(fact["seconds"] for fact in facts),
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Print the tables."""
    options = parser("cluster", __doc__)
    options.add_argument("--faces", type=Path, default=default_pool())
    options.add_argument("--samples", type=int, nargs="+", default=[600])
    options.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    given = options.parse_args(arguments)
    with page("One plan, made in several ways", options, given), tempfile.TemporaryDirectory() as folder:
        print("Wall time is that of the whole command, with the start of its processes and the gallery; the time of")
        print(f"processors, divided by {WORKERS}, is what it would be if nobody else used them and they never waited.")
        print(f"The bound is the median of {MOMENTS} moments before each run and as many after it; and once more,")
        print("while another process does the same.")
        print("Its share is the time that one remap and one PNG of each frame take two processors, of the time of")
        print("rendering. Peak memory is each process' own.")
        for samples in given.samples:
            compare(given.faces, samples, given.ways, Path(folder))


def bounds(crop: Image) -> list[float]:
    """The bound at moments of half a minute: what a shared machine does in one of them changes from one to the next."""
    found = []
    for _ in range(MOMENTS):
        found.append(bound(crop))
        time.sleep(SECONDS_BETWEEN)
    return found


def compare(faces: Path, samples: int, ways: list[str], folder: Path) -> None:
    """Print the table of a plan of about that many samples."""
    size = min(500, max(1, samples // SHARDS_AT_LEAST))
    plan, planned = make_plan(faces, samples, shard_size=size), folder / "planned"
    adopt_plan(plan, planned)
    pixels = plan.settings["size"]
    (face,) = plan.faces.slice(0, 1).to_pylist()
    crop = load_face(Path(plan.faces_root), face, pixels).crop
    cv2.setNumThreads(1)
    print(f"\n## {plan.n_rows:,} pairs of {pixels} px, {plan.n_faces:,} identities, {plan.n_shards} shards\n")
    print("| `miex run` with | bound, ms | beside another, ms | s | wall time, bounds | ", end="")
    print(
        f"processors' s / {WORKERS} | the same, bounds | s of rendering | frames/s | share of the bound | MB | ", end=""
    )
    print("peak MB: driver | a worker | Ray's own, all | sha256 of all bytes |\n" + "|---" * 15 + "|")
    first: dict[str, str] = {}
    others: set[str] = set()
    failed = []
    for name, runs in map(WAYS.__getitem__, ways):
        out = shutil.copytree(planned, folder / "set")
        before = bounds(crop)
        took = made(out, runs)
        limit, beside = median([*before, *bounds(crop)]), bound_beside(crop, WORKERS - 1)
        files = took["files"]
        first, failed = first or files, [*failed, took["failed"]]
        others |= {name for name in {**first, **files} if first.get(name) != files.get(name)}
        share = limit / 1e3 * took["frames"] / WORKERS / took["making"]
        used = took["used"] / WORKERS
        # Ray's workers are no children of the command
        of_all = "– | –" if took["own"] else f"{used:.1f} | {used * 1e3 / limit:,.0f}"
        print(
            f"| {name} | {limit:.3f} | {beside:.3f} | {took['seconds']:.1f} | {took['seconds'] * 1e3 / limit:,.0f} | "
            f"{of_all} | {took['making']:.1f} | {took['frames'] / took['making']:,.0f} | "
            f"{share:.0%} | {took['bytes'] / 1e6:,.0f} | {_each(took['driver'])} | {_each(took['workers'])} | "
            f"{took['own']:,.0f} | {digest(files)[:12]}… |",
            flush=True,
        )
        shutil.rmtree(out)
    shutil.rmtree(planned)
    print(f"\nSamples that failed: {' / '.join(map(str, failed))}.")
    if len(ways) > 1:
        print(f"\nBytes: {f'DIFFERENT in {sorted(others)}' if others else 'the same in every way'}.")


def _each(peaks: list[float]) -> str:
    return " / ".join(f"{peak:,.0f}" for peak in sorted(peaks, reverse=True)) or "–"


if __name__ == "__main__":
    main()
