"""Plans of any length in the same memory: drawn and written, opened, read and proven, a shard here and there.

    python -m benchmarks.plan [--rows N] [--ids N] [--out FILE]

The landmarks of the embedded face stand for every photo: a plan reads no pixel.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.machine import processor_seconds
from benchmarks.page import page, parser
from miex.dataset.plan_file import PLAN_FILE, PlanRows, read_plan, read_record
from miex.faces.index import index_photos
from miex.faces.landmarks import MODEL
from miex.faces.photos import default_pool
from miex.planning.config import PlanConfig
from miex.planning.rows import build_plan
from miex.sources.expert import ExpertSource, load_table
from miex.stable import stable_hash
from miex.storage.local import Folder
from miex.synthesis.adopt import adopt_plan

GENERATOR = {"name": "muscle", "version": 4, "settings": {}}
SHARDS = 20  # read one by one, as workers do


def photos(n: int) -> pa.Table:
    """An index of n photos with one and the same face."""
    (row,) = index_photos(default_pool(), model=MODEL.find).to_pylist()
    names = [f"{stable_hash('photo', i):016x}" for i in range(n)]
    return pa.Table.from_pylist([{**row, "identity": name, "sha256": name * 4, "path": name} for name in names])


def megabytes() -> float:
    """Peak of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    options = parser("plan", __doc__)
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--ids", type=int, default=1000)
    given = options.parse_args(arguments)
    with page("Time and memory of plans", options, given):
        measure(given.rows, given.ids)


def measure(n: int, ids: int) -> None:
    """Print the table."""
    print(f"{n:,} rows, {ids:,} identities; time is the processor's.\n")
    print("| step | s | µs a row | peak memory so far, MB |\n|---|---|---|---|")

    def line(step: str, seconds: float, rows: int) -> None:
        print(f"| {step} | {seconds:.1f} | {seconds / rows * 1e6:.1f} | {megabytes():.0f} |", flush=True)

    index = photos(ids)
    with tempfile.TemporaryDirectory() as folder:
        out = Folder(Path(folder))
        start = processor_seconds()
        config = PlanConfig(samples=n)
        adopt_plan(build_plan(config, index, [ExpertSource(load_table("micro"))], GENERATOR, faces_root="faces"), out)
        line("draw and write", processor_seconds() - start, n)
        start = processor_seconds()
        plan = read_plan(out)
        line("open", processor_seconds() - start, n)
        start = processor_seconds()
        assert sum(rows.num_rows for rows in plan.shards()) == n
        line("read every shard, proven", processor_seconds() - start, n)
        start = processor_seconds()
        rows, every = PlanRows(out, read_record(out)), max(1, plan.n_shards // SHARDS)
        read = sum(rows.shard(shard).num_rows for shard in range(0, plan.n_shards, every))
        line(f"read {-(-plan.n_shards // every)} shards one by one", processor_seconds() - start, read)
        size = out.size(PLAN_FILE) or 0
        groups = pq.read_metadata(out.path / PLAN_FILE).num_row_groups
    print(f"\n{PLAN_FILE}: {size / 1e6:,.0f} MB, {size / n:.0f} bytes a row, {groups} row groups")


if __name__ == "__main__":
    main()
