"""Examples of a plan whose frames are rendered when they are read: what synthesis makes, as recognition takes it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.corpora.mappings import ClassMapping
from miex.dataset.plan_file import PlanRows, read_record
from miex.dataset.schema import ROWS_SCHEMA
from miex.dataset.shard import Failure
from miex.errors import InputError
from miex.executors.base import Executor, Progress
from miex.executors.local import one_thread
from miex.faces.crop import CropOptions
from miex.images import Image
from miex.recognition.examples import make_examples
from miex.recognition.inputs.base import Frames, Input
from miex.recognition.streamed import Renders, Streamed
from miex.recognition.view import LABELS, View, in_memory
from miex.storage.base import Storage
from miex.synthesis.render import Seen
from miex.synthesis.stream import Faces, Renderer
from miex.synthesis.worker import opened

Ints = npt.NDArray[np.int64]
HELD_BYTES = 256 * 2**20  # of examples that are the same in every epoch, and made only once


@dataclass(frozen=True, eq=False)
class PlanFrames(Renders):
    """The frames of rows of a plan.

    Attributes:
        renderer: of the plan.
        layout: size of the frames, and position of the face in them.
        rows: which rows of the plan, int64 [n].
        groups, parts, new_draws: see `Renders`.
    """

    renderer: Renderer
    layout: CropOptions
    rows: Ints
    groups: Ints
    parts: Ints
    new_draws: bool

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.renderer.plan.encode() + self.rows.astype("<i8").tobytes()).hexdigest()

    def part(self, first: int, count: int) -> PlanFrames:
        chosen = slice(first, first + count)
        return replace(self, rows=self.rows[chosen], groups=self.groups[chosen], parts=self.parts[chosen])

    def made(self, positions: Ints, takes: Input, epoch: int) -> list[Any]:
        """See `Renders.made`; an example that cannot be rendered is an InputError."""
        found: dict[int, Any] = {}
        order = np.lexsort((self.rows[positions], self.parts[positions]))
        groups = self.groups[positions[order]]
        for run in np.split(order, np.flatnonzero(np.diff(groups)) + 1):
            if len(run):
                found.update(zip(run.tolist(), self._of_group(positions[run], takes, epoch), strict=True))
        return [found[i] for i in range(len(positions))]

    def _of_group(self, positions: Ints, takes: Input, epoch: int) -> Iterator[Any]:
        number = int(self.parts[positions[0]])
        size, table, faces = _part(self.renderer.out, self.renderer.plan, self.renderer.weights, number)
        rows = table.take(self.rows[positions] - number * size).to_pylist()
        with one_thread():
            for one in self.renderer.show(faces[rows[0]["identity"]], rows, epoch):
                yield self._failed(one) if isinstance(one, Failure) else takes.of(self._frames(one))

    def _frames(self, seen: Seen) -> Frames:
        name, frames = seen.row["sample_id"], seen.frames
        read: Callable[[int], Image] = frames.__getitem__
        return Frames(name, self.layout, len(frames), seen.row["apex"], read, varied=True)

    def _failed(self, found: Failure) -> InputError:
        return InputError(
            f"sample {found.sample_id} of {self.renderer.out.address}", expected="frames", found=found.reason,
            do="remove the cause, or make a plan without this photo",
        )  # fmt: skip


@lru_cache(maxsize=2)
def _part(out: Storage, plan: str, weights: Path | None, number: int) -> tuple[int, pa.Table, Faces]:
    """A part of a plan: rows of each part, its rows, and their faces."""
    rows = opened(out, plan, weights).rows
    table = rows.part(number)
    return rows.part_rows, table, Renderer(out, plan, Path(), weights).faces(table["identity"].to_pylist())


def view_of_plan(
    renderer: Renderer, mapping: ClassMapping | None, takes: Input, executor: Executor, progress: Progress
) -> tuple[View, dict[str, str]]:
    """The examples of a plan, and {sample_id: why} of those that could not be made.

    Where all epochs have the same draws, and the examples fit into HELD_BYTES, they are made now, and held in memory.
    Else they are made when they are read, and none is known to fail.

    Args:
        renderer: of the plan.
        mapping: decides the classes, as in `recognition.places.of_set`.
        takes: the input of the recognizer.
        executor, progress: of what is made now.
    """
    record = read_record(renderer.out)
    _part.cache_clear()  # an earlier view's photos may have moved since
    settings = record["settings"]
    plan = PlanRows(renderer.out, record)
    names = LABELS if mapping is None or mapping.gives_labels else mapping.classes
    read = [*ROWS_SCHEMA.names, "emotion", "identity"]
    table = pa.concat_tables([shard.select(read) for shard in plan.shards()])
    labels: list[int | None] = table["label"].to_pylist()
    if mapping is not None and not mapping.gives_labels:
        labels = [mapping.code_of_sample(emotion) for emotion in table["emotion"].to_pylist()]
    at = np.array([i for i, label in enumerate(labels) if label is not None], np.int64)
    i = ROWS_SCHEMA.get_field_index("label")
    chosen = pa.array([labels[k] for k in at.tolist()], ROWS_SCHEMA.field(i).type)
    rows = table.take(at).select(ROWS_SCHEMA.names).cast(ROWS_SCHEMA).set_column(i, ROWS_SCHEMA.field(i), chosen)
    identities = table["identity"].combine_chunks().dictionary_encode().indices.to_numpy()[at].astype(np.int64)
    layout = CropOptions(settings["size"], settings["eye_line"], settings["eye_mouth"])
    frames = PlanFrames(renderer, layout, at, identities, at // plan.part_rows, renderer.draws is not None)
    if renderer.draws is not None or takes.dtype.itemsize * int(np.prod(takes.shape)) * len(rows) > HELD_BYTES:
        return View((Streamed(frames, takes, rows),), names), {}
    array = np.zeros((len(rows), *takes.shape), takes.dtype)

    def put(first: int, chunk: npt.NDArray[Any]) -> None:
        array[first : first + len(chunk)] = chunk

    unread = make_examples(frames, len(rows), takes, put, executor=executor, progress=progress)
    whole = np.delete(np.arange(len(rows)), list(unread))
    if unread:
        array = array[whole]
    return in_memory(array, rows.take(whole), names), {rows["sample_id"][k].as_py(): why for k, why in unread.items()}
