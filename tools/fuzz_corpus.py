"""Inputs of the fuzzers that are kept, so that what once went wrong is tried whenever tests run.

    python -m tools.fuzz_corpus files|tables|images SEED …

keeps the inputs of these seeds of a fuzzer as they are now; seeds alone would not do, for a fuzzer that is changed
makes others of them. Each is a folder KIND/SEED in tests/fuzz-corpus/FUZZER, with its files, but for whole ones.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools import fuzz_files, fuzz_images, fuzz_tables

CORPUS = Path(__file__).parents[1] / "tests" / "fuzz-corpus"
MOST_BYTES = 24_000  # of an input
_ONE = "input"  # the file's name, where an input is one
_READERS = {
    reader.__name__.strip("_"): reader
    for reader in (*(reader for _, reader in fuzz_tables.KINDS), fuzz_tables._read_sheets)
}


def made(fuzzer: str, seed: int) -> tuple[str, dict[str, bytes]]:
    """The kind of a seed's input, and its files."""
    if fuzzer == "files":
        return fuzz_files.make(seed)
    if fuzzer == "tables":
        table, reader, _ = fuzz_tables.make(seed)
        return reader.__name__.strip("_"), {_ONE: table}
    picture, what = fuzz_images.make(seed)
    return what, {_ONE: picture}


def taken(fuzzer: str, kind: str, files: dict[str, bytes]) -> str:
    """How an input was taken: read, refused, or what went wrong."""
    if fuzzer == "files":
        return fuzz_files.taken(kind, files)
    if fuzzer == "images":
        return fuzz_images.taken(files[_ONE])
    with tempfile.TemporaryDirectory() as folder:
        return fuzz_tables.taken(files[_ONE], _READERS[kind], Path(folder) / "fuzzed.csv")


def kept() -> Iterator[tuple[str, str, str, dict[str, bytes]]]:
    """Fuzzer, kind, seed and files of every input that is kept."""
    for folder in sorted(CORPUS.glob("*/*/*")):
        fuzzer, kind, seed = folder.relative_to(CORPUS).parts
        files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        yield fuzzer, kind, seed, files


def keep(fuzzer: str, seed: int) -> None:
    """Keep the input of a seed. Raises ValueError if it is too large for a corpus."""
    kind, files = made(fuzzer, seed)
    if (size := sum(map(len, files.values()))) > MOST_BYTES:
        raise ValueError(f"{size:,} bytes, and at most {MOST_BYTES:,} are kept: write a test that makes it")
    for name, content in files.items():
        path = CORPUS / fuzzer / kind / str(seed) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    for given in sys.argv[2:]:
        keep(sys.argv[1], int(given))
