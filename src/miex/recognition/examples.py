"""Labeled examples of sets, corpora and flow files: who is behind each, and where its frames are."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.dataset.schema import ROWS_SCHEMA
from miex.errors import InputError
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.executors.local import one_thread
from miex.recognition.inputs.base import Input
from miex.recognition.view import FORMAT, LABELS, Put, View, people, stored
from miex.stable import canonical_json, table_digest
from miex.storage.cache import cache_folder

_CHUNK = 32  # number of examples in a task


def input_cache() -> Path:
    """Folder in the user's cache for examples that were made into inputs."""
    return cache_folder() / "inputs"


class FrameSource(ABC):
    """Where the frames of examples are. It must be picklable, as it is sent to other processes."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """sha256 of everything that the frames depend on and that is known without decoding them."""

    @abstractmethod
    def part(self, first: int, count: int) -> FrameSource:
        """The frames of `count` examples from `first` on."""

    def files(self) -> Sequence[Sequence[Path]]:
        """The files of the frames of each example, for sources that read the frames of real people; else nothing."""
        return ()

    @abstractmethod
    def examples(self, takes: Input) -> Iterator[npt.NDArray[Any] | InputError]:
        """Make every example with an input, in order; in place of one that cannot be read, a source that skips such
        examples gives the error.

        Raises:
            UsageError: the input cannot be made from this source.
            InputError: a frame cannot be read, or shows no face, and the source does not skip.
        """


@dataclass(frozen=True, eq=False)
class Examples:
    """Labeled examples, without their pixels.

    Attributes:
        rows: one row per example, of ROWS_SCHEMA: sample_id, label, source, corpus, subject, photo.
        frames: where the frames are, in the same order.
        label_names: names of the classes 0, 1, ….
        faces: {photo: whom it shows, such as casme2/1, or None}, where whatever they were read from says so.
        skipped: ids of samples that are left out because they cannot be read.
        au_tables: the expert tables that AUs were drawn from, where a flow file says so (`flow_file.tables_in`).
    """

    rows: pa.Table
    frames: FrameSource
    label_names: tuple[str, ...] = LABELS
    faces: Mapping[str, str | None] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    au_tables: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def __repr__(self) -> str:
        counts = np.bincount(self.labels, minlength=len(self.label_names))
        listed = ", ".join(f"{n:,} {name}" for n, name in zip(counts, self.label_names, strict=True))
        return f"{len(self):,} examples: {listed}"

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The class of each example, int64 [n]."""
        return np.asarray(self.rows["label"].to_numpy(), np.int64)

    @property
    def people(self) -> list[str]:
        """The person behind each example: the subject of a corpus, or else the photo, or else the example itself."""
        return people(self.rows)

    @property
    def digest(self) -> str:
        """sha256 of frames and rows, without the classes: the same frames may be divided into classes in several ways.

        No frame is decoded.
        """
        return hashlib.sha256(f"{table_digest(self.rows, ['label'])} {self.frames.digest}".encode()).hexdigest()

    def through(
        self,
        takes: Input,
        cache: Path,
        *,
        executor: Executor = IN_PROCESS,
        progress: Progress = silent,
        unread: Callable[[Mapping[str, str]], None] = lambda found: None,
    ) -> View:
        """Make the examples with an input, or read them from the cache if that was done before.

        Args:
            takes: the input.
            cache: folder of arrays, named by the digests of examples and input. One array serves the same examples in
                any classes. If several processes need it, only one makes it.
            executor: runs the work.
            progress: called with the number of examples done, and of all examples.
            unread: called with {sample_id: why} if examples were skipped because they cannot be read.

        Returns:
            A view of the examples, mapped into memory from the cache, without those that cannot be read.

        Raises:
            UsageError: the input cannot be made from these examples.
            InputError: a frame cannot be read or shows no face, or, if such examples are skipped, all are of that
                kind; or an array in the cache is damaged.
            OutputError: the cache cannot be written to.
        """
        import cv2

        what = {"format": FORMAT, "opencv": cv2.__version__, "examples": self.digest, "input": takes.stored()}
        name = hashlib.sha256(canonical_json(what).encode()).hexdigest()[:32]

        def make(put: Put) -> Mapping[int, str]:
            return make_examples(self.frames, len(self), takes, put, executor=executor, progress=progress)

        part = stored(cache / name, self.rows, takes.shape, takes.dtype, what, make, self.frames.files)
        progress(len(self), len(self), "")
        view = View((part,), self.label_names, None, self.labels.astype(np.int16), self.skipped)
        if not part.unread:
            return view
        for i, _ in part.unread:  # a source that does not skip raises here what it would have raised then
            list(self.frames.part(i, 1).examples(takes))
        found = {self.rows["sample_id"][i].as_py(): why for i, why in part.unread}
        if len(found) == len(self):
            first, why = next(iter(found.items()))
            raise InputError(
                f"{len(self):,} examples", expected="at least one that can be read",
                found=f"none; of {first}, {why}", do="unpack the corpus again; miex corpora check --images lists the "
                "damaged frames",
            )  # fmt: skip
        unread(found)
        kept = view.take(np.delete(np.arange(len(self)), [i for i, _ in part.unread]))
        return replace(kept, skipped=(*self.skipped, *found))

    def array(self, takes: Input, *, executor: Executor = IN_PROCESS, progress: Progress = silent) -> npt.NDArray[Any]:
        """Make the examples with an input, as one array [n, *shape] in memory; those that are skipped are zeros.

        Errors are those of `through`.
        """
        found = np.zeros((len(self), *takes.shape), takes.dtype)

        def put(first: int, chunk: npt.NDArray[Any]) -> None:
            found[first : first + len(chunk)] = chunk

        make_examples(self.frames, len(self), takes, put, executor=executor, progress=progress)
        return found


def make_examples(
    frames: FrameSource, n: int, takes: Input, put: Put, *, executor: Executor = IN_PROCESS, progress: Progress = silent
) -> dict[int, str]:
    """Make n examples in chunks, and call `put` with the position and array of each chunk, in any order.

    Returns:
        {position: why} of those that cannot be read, if the source skips them.
    """
    unread: dict[int, str] = {}
    tasks = [(frames.part(first, _CHUNK), first, takes) for first in range(0, n, _CHUNK)]
    done = 0
    for first, chunk, missed in executor.map(_chunk, tasks):
        put(first, chunk)
        unread |= missed
        done += len(chunk)
        progress(done, n, "")
    return unread


def _chunk(task: tuple[FrameSource, int, Input]) -> tuple[int, npt.NDArray[Any], dict[int, str]]:
    frames, first, takes = task
    chunk, unread = [], {}
    with one_thread():
        for i, made in enumerate(frames.examples(takes), first):
            if isinstance(made, InputError):
                unread[i] = f"expected {made.expected}, found {made.found}"
            chunk.append(np.zeros(takes.shape, takes.dtype) if isinstance(made, InputError) else made)
    return first, np.stack(chunk), unread


@dataclass(frozen=True, eq=False)
class Arrays(FrameSource):
    """Examples that other programs made, as an array [n, …]; `kind` is their convention, such as "flow maps"."""

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
    """Examples of flow maps uint8 [n, s, s, 3] of classes [n], without corpus, subject or photo.

    All have the given source, and the sample ids `prefix`-0, `prefix`-1, ….
    """
    texts: dict[str, list[str | None]] = {name: [None] * len(maps) for name in ROWS_SCHEMA.names if name != "label"}
    texts["source"], texts["sample_id"] = [source] * len(maps), [f"{prefix}-{i}" for i in range(len(maps))]
    return Examples(rows_of(list(labels), texts), Arrays(maps, "flow maps"))


def rows_of(labels: Sequence[int], texts: dict[str, list[str | None]]) -> pa.Table:
    """Make a table of ROWS_SCHEMA from its columns: the labels, and all others by name."""
    columns = {**texts, "label": labels}
    return pa.table({name: columns[name] for name in ROWS_SCHEMA.names}, schema=ROWS_SCHEMA)
