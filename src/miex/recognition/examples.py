"""Labelled examples with who stands behind each, and where their frames are: of stored sets, corpora, flow files."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.dataset.schema import ROWS_SCHEMA
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.executors.local import one_thread
from miex.recognition.inputs.base import Input
from miex.recognition.view import LABELS, Put, View, people, stored
from miex.stable import canonical_json, table_digest
from miex.storage.cache import cache_folder

_CHUNK = 32  # examples that one task makes


def input_cache() -> Path:
    """Where examples lie that recognizers have looked at: in the user's cache."""
    return cache_folder() / "inputs"


class FrameSource(ABC):
    """Where the frames of examples are. It is sent to other processes, so it must be picklable."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """Of all that the frames depend on and that can be known without decoding them."""

    @abstractmethod
    def part(self, first: int, count: int) -> FrameSource:
        """The frames of the examples from `first` on: what a task needs."""

    @abstractmethod
    def examples(self, takes: Input) -> Iterator[npt.NDArray[Any]]:
        """Every example through an input, in order.

        Raises:
            InputError: a frame that cannot be read, or that shows no face.
        """


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples and what is known of each; their pixels stay where they are.

    Attributes:
        rows: table of ROWS_SCHEMA: sample_id, label, source, corpus, subject, photo.
        frames: where their frames are, in the same order.
        label_names: names of the classes 0, 1, ….
    """

    rows: pa.Table
    frames: FrameSource
    label_names: tuple[str, ...] = LABELS

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def __repr__(self) -> str:
        counts = np.bincount(self.labels, minlength=len(self.label_names))
        listed = ", ".join(f"{n:,} {name}" for n, name in zip(counts, self.label_names, strict=True))
        return f"{len(self):,} examples: {listed}"

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The classes, int64 [n]."""
        return np.asarray(self.rows["label"].to_numpy(), np.int64)

    @property
    def people(self) -> list[str]:
        """Who is behind each example: subject of a corpus, else the photo, else the example alone."""
        return people(self.rows)

    @property
    def digest(self) -> str:
        """sha256 of rows and frames, without decoding any."""
        return hashlib.sha256(f"{table_digest(self.rows)} {self.frames.digest}".encode()).hexdigest()

    def through(
        self, takes: Input, cache: Path, *, executor: Executor = IN_PROCESS, progress: Progress = silent
    ) -> View:
        """The examples as a recognizer looks at them: made once for each input, then mapped from the cache.

        Args:
            takes: the input.
            cache: folder of arrays, each named by the digests of examples and input.
            executor: where the work is done; several processes that want the same array make it once.
            progress: called with examples done and examples in all.

        Raises:
            InputError: a frame that cannot be read, or that shows no face; a damaged array.
            OutputError: the cache cannot be written.
        """
        what = {"examples": self.digest, "input": takes.stored()}
        name = hashlib.sha256(canonical_json(what).encode()).hexdigest()[:32]

        def make(put: Put) -> None:
            make_examples(self.frames, len(self), takes, put, executor=executor, progress=progress)

        part = stored(cache / name, self.rows, takes.shape, takes.dtype, what, make)
        progress(len(self), len(self), "")
        return View((part,), self.label_names)

    def array(self, takes: Input, *, executor: Executor = IN_PROCESS, progress: Progress = silent) -> npt.NDArray[Any]:
        """The examples through an input, all of them in memory: [n, *shape]."""
        found = np.zeros((len(self), *takes.shape), takes.dtype)

        def put(first: int, chunk: npt.NDArray[Any]) -> None:
            found[first : first + len(chunk)] = chunk

        make_examples(self.frames, len(self), takes, put, executor=executor, progress=progress)
        return found


def make_examples(
    frames: FrameSource, n: int, takes: Input, put: Put, *, executor: Executor = IN_PROCESS, progress: Progress = silent
) -> None:
    """Make n examples in chunks and hand each chunk over, in any order, with the position of its first."""
    tasks = [(frames.part(first, _CHUNK), first, takes) for first in range(0, n, _CHUNK)]
    done = 0
    for first, chunk in executor.map(_chunk, tasks):
        put(first, chunk)
        done += len(chunk)
        progress(done, n, "")


def _chunk(task: tuple[FrameSource, int, Input]) -> tuple[int, npt.NDArray[Any]]:
    frames, first, takes = task
    with one_thread():
        return first, np.stack(list(frames.examples(takes)))


@dataclass(frozen=True, eq=False)
class Arrays(FrameSource):
    """Examples that somebody has made already, [n, …]; `kind` says in which convention: "flow maps"."""

    arrays: npt.NDArray[Any]
    kind: str

    @property
    def digest(self) -> str:
        digest = hashlib.sha256(f"{self.kind} {self.arrays.dtype} {self.arrays.shape}".encode())
        digest.update(np.ascontiguousarray(self.arrays).reshape(-1).view(np.uint8).data)
        return digest.hexdigest()

    def part(self, first: int, count: int) -> Arrays:
        return Arrays(self.arrays[first : first + count], self.kind)

    def examples(self, takes: Input) -> Iterator[npt.NDArray[Any]]:
        return (takes.of_array(array, self.kind) for array in self.arrays)


def of_maps(maps: npt.NDArray[np.uint8], labels: Sequence[int], *, source: str | None, prefix: str) -> Examples:
    """Examples of flow maps uint8 [n, s, s, 3] with classes [n], behind which nobody stands; ids are numbered."""
    texts: dict[str, list[str | None]] = {name: [None] * len(maps) for name in ROWS_SCHEMA.names if name != "label"}
    texts["source"], texts["sample_id"] = [source] * len(maps), [f"{prefix}-{i}" for i in range(len(maps))]
    return Examples(rows_of(list(labels), texts), Arrays(maps, "flow maps"))


def rows_of(labels: Sequence[int], texts: dict[str, list[str | None]]) -> pa.Table:
    """Table of ROWS_SCHEMA out of its columns."""
    columns = {**texts, "label": labels}
    return pa.table({name: columns[name] for name in ROWS_SCHEMA.names}, schema=ROWS_SCHEMA)
