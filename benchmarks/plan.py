"""Plans of any length in the same memory: drawn and written, opened, read and proven; shards made from their middle.

    python -m benchmarks.plan [--drawn N] [--rows N] [--ids N] [--out FILE]

All identities are made from the embedded face. Of the longest plan only the first rows are drawn, and stand in it again
and again: what it shows is reading. Processes are looked at in Linux' /proc.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.cluster import peak
from benchmarks.machine import bound, processor_seconds
from benchmarks.page import page, parser
from miex.dataset.plan_file import (
    CONFIG_FILE,
    FACES_FILE,
    PLAN_FILE,
    Plan,
    PlanRows,
    read_plan,
    read_record,
    write_plan,
)
from miex.dataset.shard import SHARDS, tar_name
from miex.faces.align import align_photo
from miex.faces.crop import CropOptions
from miex.faces.index import index_photos
from miex.faces.landmarks import MODEL
from miex.faces.photos import default_pool, list_photos
from miex.generators.registry import describe, make_generator
from miex.labels import Label
from miex.planning.config import PlanConfig
from miex.planning.rows import build_plan
from miex.sources.expert import ExpertSource, load_table
from miex.sources.pool import Pool, PoolClip
from miex.sources.real_mie import RealMiESource
from miex.sources.source import AUSource
from miex.storage.local import Folder
from miex.synthesis.adopt import adopt_plan

SIZE = 128  # of the bound's frame, pixels
READ = 20  # shards that are read one by one, as workers do
TRIED = 5_000  # rows of each kind that are only drawn
AT_ONCE, EACH = 2, 1  # processes that make shards at the same time, and shards of each
CLIPS, FRAMES = 250, 61  # of a pool, about CASME II's


def plan_of(rows: int, ids: int, source: AUSource, **options: Any) -> Plan:
    """A plan of virtual identities from the embedded face."""
    pool = default_pool()
    index, generator = index_photos(pool, model=MODEL.find), describe(make_generator("muscle"))
    return build_plan(PlanConfig(samples=rows, ids=ids, **options), index, [source], generator, faces_root=str(pool))


def pooled() -> RealMiESource:
    """A source of real clips, whose AUs nobody has measured."""
    rng = np.random.default_rng(0)
    clips = (
        PoolClip(
            "casme2", f"sub{i // 10}", f"EP{i}", "micro", "happiness", Label(i % 3), 0, FRAMES // 2, FRAMES - 1,
            np.arange(FRAMES, dtype=np.int32), rng.random((FRAMES, 17), np.float32), np.ones(17, bool),
            np.zeros(17, np.float32), FRAMES, "", "",
        )
        for i in range(CLIPS)
    )  # fmt: skip
    return RealMiESource((Pool(tuple(clips)),))


def megabytes() -> float:
    """Peak of this process so far."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most / 1e3


def main(arguments: list[str] | None = None) -> None:
    """Print the tables."""
    options = parser("plan", __doc__)
    options.add_argument("--drawn", type=int, default=100_000, help="Rows that are drawn.")
    options.add_argument("--rows", type=int, default=1_000_000, help="Rows of the longest plan.")
    options.add_argument("--ids", type=int, default=1000)
    given = options.parse_args(arguments)
    with page("Time and memory of plans", options, given), tempfile.TemporaryDirectory() as folder:
        face = align_photo(default_pool() / list_photos(default_pool())[0], MODEL.find(), CropOptions(SIZE))
        limit = bound(face.crop) * 1e3
        print(f"Time is the processor's. The bound, one bilinear remap and one PNG of {SIZE} px, is {limit:,.0f} µs.\n")
        draw(limit)
        whole(given.drawn, given.rows, given.ids, Path(folder), limit)
        middle(Path(folder))


def draw(limit: float) -> None:
    """Rows of each kind of source, drawn and dropped."""
    print(f"{TRIED:,} rows, drawn and not written:\n")
    print("| source | frames | µs a row | bounds a row | rows/s |\n|---|---|---|---|---|")
    for source in (ExpertSource(load_table("micro")), pooled()):
        for frames in (2, 10):
            plan = plan_of(TRIED, 100, source, frames=frames)
            start = processor_seconds()
            for _ in plan.shards():
                pass
            micro = (processor_seconds() - start) / TRIED * 1e6
            print(f"| {source.name} | {frames} | {micro:.0f} | {micro / limit:.2f} | {1e6 / micro:,.0f} |", flush=True)


def whole(drawn: int, rows: int, ids: int, at: Path, limit: float) -> None:
    """A plan on disk, and in its place a longer one."""
    print(f"\nPairs of the expert source, {ids:,} identities:\n")
    print("| step | s | µs a row | bounds a row | peak memory so far, MB |\n|---|---|---|---|---|")

    def line(step: str, seconds: float, n: int, peak: float | None = None) -> None:
        micro = seconds / n * 1e6
        print(f"| {step} | {seconds:.1f} | {micro:.1f} | {micro / limit:.3f} | {peak or megabytes():.0f} |", flush=True)

    line(f"`miex plan` of {drawn:,} rows, all in one process: every core waits for it", *command(drawn, ids))
    out, source = Folder(at), ExpertSource(load_table("micro"))
    start = processor_seconds()
    adopt_plan(plan_of(drawn, ids, source), out)
    line(f"draw and write {drawn:,} rows", processor_seconds() - start, drawn)
    start = processor_seconds()
    assert sum(part.num_rows for part in read_plan(out).shards()) == drawn
    line("read all, proven", processor_seconds() - start, drawn)
    start = processor_seconds()
    plan = plan_of(rows, ids, source)
    first = list(islice(plan.shards(), max(1, drawn // plan.shard_size)))
    line(f"draw the first of {rows:,}", processor_seconds() - start, sum(map(len, first)))
    start = processor_seconds()
    write_plan(replace(plan, shards=lambda: islice(cycle(first), plan.n_shards)), out)
    line(f"write {rows:,}, these again and again", processor_seconds() - start, rows)
    start = processor_seconds()
    plan = read_plan(out)
    line("open", processor_seconds() - start, rows)
    start = processor_seconds()
    stored, every = PlanRows(out, read_record(out)), max(1, plan.n_shards // READ)
    read = sum(stored.shard(shard).num_rows for shard in range(0, plan.n_shards, every))
    line(f"read {-(-plan.n_shards // every)} shards one by one", processor_seconds() - start, read)


def command(rows: int, ids: int) -> tuple[float, int, float]:
    """Processor's seconds of `miex plan`, from its start to its end, its rows, and its peak memory in MB."""
    asked = ["--samples", str(rows), "--ids", str(ids), "--workers", "1", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        called = [sys.executable, "-m", "miex", "plan", *asked, "--out", f"{folder}/plan"]
        running = subprocess.Popen(called, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    assert running.returncode == 0, "no plan was made"
    return used.ru_utime + used.ru_stime, rows, used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def middle(planned: Path) -> None:
    """Shards of the beginning and of the middle, made by processes of their own at the same time."""
    plan, size = read_plan(planned), (planned / PLAN_FILE).stat().st_size
    groups = pq.read_metadata(planned / PLAN_FILE).num_row_groups
    print(f"\n{PLAN_FILE}: {plan.n_rows:,} rows of {plan.n_faces:,} identities in {plan.n_shards:,} shards,")
    print(f"{size / 1e6:,.0f} MB, {size / plan.n_rows:.0f} bytes a row, {groups:,} row groups.")
    print(f"{AT_ONCE} processes of `miex run --shards`, at the same time; of each process:\n")
    print("| shards | s to the first stored frame | s in all | peak MB | MB read |\n|---|---|---|---|---|")
    for first in (0, plan.n_shards // 2):
        with tempfile.TemporaryDirectory() as folder:
            for name in (PLAN_FILE, FACES_FILE, CONFIG_FILE):
                (Path(folder) / name).symlink_to((planned / name).resolve())
            starts = range(first, min(first + AT_ONCE * EACH, plan.n_shards), EACH)
            running = [_Run(Path(folder), start, min(start + EACH, plan.n_shards) - 1) for start in starts]
            while [run for run in running if run.looked_at()]:
                time.sleep(0.02)
            for run in running:
                print(run.line(), flush=True)


class _Run:
    """`miex run` of some shards, in a process of its own."""

    def __init__(self, at: Path, first: int, last: int) -> None:
        self._at, self._shards = at, range(first, last + 1)
        command = [sys.executable, "-m", "miex", "run", str(at), "--shards", f"{first}-{last}", "--json", "--quiet"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self._first = self._seconds = self._peak = self._read = 0.0

    def looked_at(self) -> bool:
        """Whether it goes on; what it has done so far is noted."""
        there = Path(f"/proc/{self._process.pid}")
        self._peak = max(self._peak, peak(self._process.pid))
        try:
            times = (there / "stat").read_text().rpartition(")")[2].split()[11:13]
            self._seconds = sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
            facts = dict(line.split(": ") for line in (there / "io").read_text().splitlines())
            self._read = int(facts["rchar"]) / 1e6
        except (OSError, ValueError, KeyError):  # it has ended
            pass
        name = Path(tar_name(self._shards[0])).name
        with suppress(FileNotFoundError):  # a draft that has just got its name
            if not self._first and any(path.stat().st_size for path in (self._at / SHARDS).glob(f"{name}*")):
                self._first = self._seconds
        return self._process.poll() is None

    def line(self) -> str:
        """Its line of the table."""
        assert self._process.stdout is not None
        assert json.load(self._process.stdout)["rendered"], "nothing was made"
        return (
            f"| {', '.join(f'{shard:,}' for shard in self._shards)} | {self._first:.1f} | {self._seconds:.1f} | "
            f"{self._peak:,.0f} | {self._read:,.0f} |"
        )


if __name__ == "__main__":
    main()
