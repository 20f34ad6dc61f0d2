"""What it costs that everything that is read is proven.

    python -m benchmarks.proving [--faces DIR] [--rows N] [--out FILE]

Reading samples (their members, and decoding onset and apex) and the rows of samples.parquet, and synthesis, with and
without proof, in turn, by processor time. Without means that what computes checksums and digests answers at once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from unittest import mock

import miex
from benchmarks.machine import processor_seconds
from benchmarks.page import page, parser
from miex.dataset.proven import ProvenFile
from miex.dataset.samples import read_samples

ROUNDS, SYNTHESIZED = 15, 60


class _NoDigest:
    """Answers at once, as all others do."""

    def update(self, content: object) -> None:
        """Take no time."""

    def hexdigest(self) -> str:
        return "0" * 64


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser("proving", __doc__)
    options.add_argument("--faces", type=Path, help="Folder of photos. Default: the embedded face.")
    options.add_argument("--rows", type=int, default=900, help="Samples of the set. Default: 900.")
    given = options.parse_args(arguments)
    title = "What it costs that everything that is read is proven"
    with page(title, options, given), tempfile.TemporaryDirectory() as folder:
        print_costs(Path(folder), given.faces, given.rows)


def print_costs(folder: Path, faces: Path | None, rows: int) -> None:
    """Print the table."""
    made = miex.synthesize(folder / "set", faces=faces, ids=rows // 3)
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
        off.enter_context(mock.patch("miex.dataset.shard.zlib", SimpleNamespace(crc32=no_crc)))
        off.enter_context(mock.patch("miex.dataset.description.prove_stored"))
        return off

    def unproven_rows() -> AbstractContextManager[object]:
        off = ExitStack()
        off.enter_context(mock.patch.object(ProvenFile, "_prove", return_value=""))
        off.enter_context(mock.patch("miex.dataset.proven.Hashable"))
        off.enter_context(mock.patch("miex.dataset.samples.root_of", return_value=made.record["digests"]["rows"]))
        return off

    def synthesize() -> None:
        with tempfile.TemporaryDirectory() as again:
            miex.synthesize(Path(again) / "set", faces=faces, ids=SYNTHESIZED // 3)

    def unproven_shards() -> AbstractContextManager[object]:
        off = ExitStack()
        off.enter_context(mock.patch("miex.dataset.shard.zlib", SimpleNamespace(crc32=lambda *_: 0)))
        off.enter_context(mock.patch("miex.dataset.shard.hashlib", SimpleNamespace(sha256=_NoDigest)))
        off.enter_context(mock.patch("miex.dataset.proven.table_digest", return_value="0" * 64))
        off.enter_context(mock.patch.object(ProvenFile, "_prove", return_value="0" * 64))
        off.enter_context(mock.patch("miex.dataset.plan_file.table_digest", return_value="0" * 64))
        return off

    print(f"{len(made):,} pairs of 128 px, default settings; medians of {ROUNDS} turns, of synthesis of 5.\n")
    print("| work | with proof, ms | without, ms | ratio |\n|---|---|---|---|")
    for what, job, off in (
        (f"reading {len(some):,} pairs, decoded", read_pairs, unproven),
        (f"reading all {len(made):,} rows of samples.parquet", lambda: read_samples(folder / "set"), unproven_rows),
        (f"synthesizing {SYNTHESIZED} pairs", synthesize, unproven_shards),
    ):
        proven, plain = _in_turn(job, off, 5 if job is synthesize else ROUNDS)
        print(f"| {what} | {proven:.1f} | {plain:.1f} | {proven / plain:.3f} |")


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
