"""What it costs that everything that is read is proven.

    python -m benchmarks.proving [--faces DIR] [--rows N] [--many N] [--out FILE]

Reading samples (their members, and decoding onset and apex) and the rows of samples.parquet, and synthesis, with and
without proof, in turn, by processor time. Without means that what computes checksums and digests answers at once. Rows
are read of two tables: of the set, and of a large plan whose results are made up, for none of its samples is rendered.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa

import miex
from benchmarks.machine import processor_seconds
from benchmarks.page import page, parser
from miex.dataset.plan_file import read_plan, read_record
from miex.dataset.proven import ProvenFile, write_blocks
from miex.dataset.samples import SAMPLES_FILE, read_samples
from miex.dataset.schema import PLAN_COLUMNS, RESULT_COLUMNS, SAMPLES_SCHEMA
from miex.stable import Hashable
from miex.storage import storage_at

ROUNDS, SYNTHESIZED = 15, 60


class _NoDigest:
    """Answers at once, as all others do."""

    def update(self, content: object) -> None:
        """Take no time."""

    def hexdigest(self) -> str:
        return "0" * 64


def _no_stored(*_: object) -> None:
    """Take no time, as a mock would."""


def _no_proof(*_: object) -> str:
    return "0" * 64


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser("proving", __doc__)
    options.add_argument("--faces", type=Path, help="Folder of photos. Default: the embedded face.")
    options.add_argument("--rows", type=int, default=900, help="Samples of the set. Default: 900.")
    options.add_argument("--many", type=int, default=45_000, help="Rows of the large table. Default: 45,000.")
    given = options.parse_args(arguments)
    title = "What it costs that everything that is read is proven"
    with page(title, options, given), tempfile.TemporaryDirectory() as folder:
        made = miex.synthesize(Path(folder) / "set", faces=given.faces, ids=given.rows // 3)
        print_costs(made, given.faces)
        miex.plan(Path(folder) / "many", faces=given.faces, ids=given.many // 3)
        write_results(Path(folder) / "many")
        print_rows([Path(folder) / "set", Path(folder) / "many"])


def print_costs(made: miex.Dataset, faces: Path | None) -> None:
    """Print the table of pairs and synthesis."""
    some = range(0, len(made), max(1, len(made) // 300))
    sums = iter(())

    def no_crc(content: bytes) -> int:
        return next(sums)

    def read_pairs() -> None:
        nonlocal sums
        sums = iter(made.table["crc32"].take(list(some)).to_pylist())
        for i in some:
            made.pair(i)

    def unproven() -> AbstractContextManager[object]:
        off = ExitStack()
        off.enter_context(mock.patch("miex.dataset.shard.isal_zlib", SimpleNamespace(crc32=no_crc)))
        off.enter_context(mock.patch("miex.dataset.description.prove_stored", _no_stored))
        return off

    def synthesize() -> None:
        with tempfile.TemporaryDirectory() as again:
            miex.synthesize(Path(again) / "set", faces=faces, ids=SYNTHESIZED // 3)

    def unproven_shards() -> AbstractContextManager[object]:
        off = ExitStack()
        off.enter_context(mock.patch("miex.dataset.shard.isal_zlib", SimpleNamespace(crc32=lambda *_: 0)))
        off.enter_context(mock.patch("miex.dataset.shard.hashlib", SimpleNamespace(sha256=_NoDigest)))
        off.enter_context(mock.patch("miex.dataset.proven.table_digest", return_value="0" * 64))
        off.enter_context(mock.patch.object(ProvenFile, "_prove", _no_proof))
        off.enter_context(mock.patch("miex.dataset.plan_file.table_digest", return_value="0" * 64))
        return off

    print(f"{len(made):,} pairs of 128 px, default settings; medians of {ROUNDS} turns, of synthesis of 5.\n")
    print("| work | with proof, ms | without, ms | ratio |\n|---|---|---|---|")
    for what, job, off in (
        (f"reading {len(some):,} pairs, decoded", read_pairs, unproven),
        (f"synthesizing {SYNTHESIZED} pairs", synthesize, unproven_shards),
    ):
        proven, plain = _in_turn(job, off, 5 if job is synthesize else ROUNDS)
        print(f"| {what} | {proven:.1f} | {plain:.1f} | {proven / plain:.3f} |")


def write_results(folder: Path) -> None:
    """Write samples.parquet of a plan, with results that are made up."""
    plan, luck = read_plan(folder), np.random.default_rng(0)

    def results(shard: int, n: int) -> Iterator[pa.Array]:
        for column in RESULT_COLUMNS:
            if column.type == pa.string():
                yield pa.array([{"status": "ok", "motion_from": "field"}.get(column.name, "")] * n)
            elif pa.types.is_floating(column.type):
                yield pa.array(luck.random(n), column.type)
            else:
                yield pa.array([shard] * n if column.name == "shard" else luck.integers(0, 2**31, n), column.type)

    def blocks() -> Iterator[pa.Table]:
        for shard, rows in enumerate(plan.shards()):
            columns = [*(rows[column.name] for column in PLAN_COLUMNS), *results(shard, rows.num_rows)]
            yield pa.Table.from_arrays(columns, schema=SAMPLES_SCHEMA)

    told = {"plan": plan.digests["plan"]}
    with storage_at(folder).writing(SAMPLES_FILE) as draft:
        write_blocks(draft, blocks(), SAMPLES_SCHEMA, block_rows=plan.shard_size, told=lambda: told)


def print_rows(sets: Sequence[Path]) -> None:
    """Print the table of rows. One thread of Arrow's reads: several disturb each other where others work, too."""
    pa.set_cpu_count(1)
    print(
        "\nAll rows of samples.parquet. They are proven by sha256 of every value, which also says that they are those"
        "\nof the plan. What sha256 alone takes, of values that lie ready, is the least that this proof can cost.\n"
    )
    print("| rows | values, MB | with proof, ms | without, ms | ratio | sha256 alone, ms | the least ratio |")
    print("|---|---|---|---|---|---|---|")
    for place in sets:
        record, n, parts = read_record(storage_at(place)), len(read_samples(place)), _hashed(place)

        def unproven(rows: str = record["digests"]["rows"]) -> AbstractContextManager[object]:
            off = ExitStack()
            # no mocks, which would keep what they are given
            off.enter_context(mock.patch("miex.dataset.proven.Hashable", _no_proof))
            off.enter_context(mock.patch.object(ProvenFile, "_prove", _no_proof))
            off.enter_context(mock.patch("miex.dataset.samples.root_of", return_value=rows))
            return off

        def alone(parts: list[Any] = parts) -> None:
            digest = hashlib.sha256()
            for part in parts:
                digest.update(part)

        proven, plain = _in_turn(partial(read_samples, place), unproven, ROUNDS)
        least, _ = _in_turn(alone, nullcontext, ROUNDS)
        size = sum(memoryview(part).nbytes for part in parts) / 1e6
        print(
            f"| {n:,} | {size:.1f} | {proven:.1f} | {plain:.1f} | {proven / plain:.3f} | {least:.1f} |"
            f" {1 + least / plain:.3f} |"
        )


def _hashed(place: Path) -> list[Any]:
    """What is hashed when the rows of a set are read."""
    parts: list[Any] = []

    class Kept(_NoDigest):
        def update(self, content: object) -> None:
            parts.append(content)

    def hash_only(file: ProvenFile, number: int, rows: Hashable, first: int, last: int, columns: int) -> str:
        return rows.digests(first, last, columns)[0]

    with (
        mock.patch("miex.stable.hashlib", SimpleNamespace(sha256=Kept)),
        mock.patch.object(ProvenFile, "_prove", hash_only),
    ):
        for _ in ProvenFile(partial(open, place / SAMPLES_FILE, "rb"), SAMPLES_SCHEMA, SAMPLES_FILE).blocks():
            pass
    return parts


def _in_turn(
    job: Callable[[], object], off: Callable[[], AbstractContextManager[object]], rounds: int
) -> tuple[float, float]:
    """Milliseconds with and without, each the median of its turns."""
    times: tuple[list[float], list[float]] = ([], [])
    job()
    for _ in range(rounds):
        for kept, context in zip(times, (nullcontext, off), strict=True):
            with context():
                start = processor_seconds()
                job()
                kept.append((processor_seconds() - start) * 1e3)
    return median(times[0]), median(times[1])


if __name__ == "__main__":
    main()
