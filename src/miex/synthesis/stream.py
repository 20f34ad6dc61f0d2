"""A stream: the samples of a plan, rendered when they are asked for, and never stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from miex.dataset.epochs import Epochs, share, shuffler
from miex.dataset.plan_file import read_identities, read_record
from miex.dataset.reader import SampleData, sample_of
from miex.dataset.shard import Failure
from miex.errors import InputError, PartialFailureError
from miex.executors.local import one_thread
from miex.planning.rows import Draws
from miex.storage.base import Storage
from miex.synthesis.order import FRAMES_PER_GROUP, Group, blocks, line
from miex.synthesis.render import Row, Seen, show_identity
from miex.synthesis.worker import opened

BLOCK_BYTES = 128 * 2**20  # of the frames of a block, in memory


class Faces:
    """Rows of faces.parquet by identity, in Arrow: landmarks take eight times as much in Python."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._places = {name: i for i, name in enumerate(table["identity"].to_pylist())}

    def __getitem__(self, identity: str) -> dict[str, Any]:
        found: dict[str, Any] = self._table.slice(self._places[identity], 1).to_pylist()[0]
        return found


@dataclass(frozen=True)
class Renderer:
    """Renders rows of a plan. It can be pickled, and holds neither rows nor faces.

    Attributes:
        out: where the plan lies.
        plan: its digest.
        faces_root: folder that the photos' paths are relative to.
        weights: file of the generator's weights; None: it is found by its sha256, or there is none.
        draws: how rows are drawn anew in each epoch; None: every epoch has those of the plan.
    """

    out: Storage
    plan: str
    faces_root: Path
    weights: Path | None = None
    draws: Draws | None = None

    def faces(self, identities: Iterable[str]) -> Faces:
        """The rows of faces.parquet of these identities."""
        return Faces(opened(self.out, self.plan, self.weights).faces.of(set(identities)))

    def show(self, face: dict[str, Any], rows: Sequence[Row], epoch: int) -> list[Seen | Failure]:
        """What a reader of the stored set would see of rows of one identity, in their order.

        Args:
            face: row of faces.parquet.
            rows: of the plan, all of this face.
            epoch: number of the epoch.

        Raises:
            InputError: the generator is not the installed one, or has no weights at hand.
            UsageError: faces move unevenly, and the generator moves both sides alike.
        """
        settings, generator, *_ = opened(self.out, self.plan, self.weights)
        if self.draws is not None and epoch:
            place = _places(self.out, self.plan)[face["identity"]] if self.draws.banks else 0
            rows = self.draws.again(rows, place, epoch)
        if any(row["asymmetry"] is not None or row["sides"] is not None for row in rows):
            generator.require_sides("nuisance asymmetry, or AUs on one side alone")
        with one_thread():
            return list(show_identity(self.faces_root, face, rows, settings, generator))


_PLACES: dict[str, dict[str, int]] = {}


def _places(out: Storage, plan: str) -> dict[str, int]:
    """The place of each identity in faces.parquet."""
    if plan not in _PLACES:
        names = read_identities(out)["identity"].to_pylist()
        _PLACES.clear()
        _PLACES[plan] = {name: i for i, name in enumerate(names)}
    return _PLACES[plan]


@dataclass(eq=False, repr=False)
class Stream(Epochs):
    """The samples of a plan, rendered one epoch after the other; see `miex.stream`.

    Attributes:
        renderer: of the plan.
        seed: random seed of the order; None: that of the plan, without shuffling.
        block: samples that are shuffled together, and held in memory at most.
        first, last: the share of this stream: places in the line of an epoch.
        max_failed: largest fraction of the share that may fail in an epoch.
        epoch: number of the epoch, from 0.
        given: samples of the epoch that were given already, with those that failed.
        failed: {sample_id: reason} of the samples of this epoch that could not be rendered in this process. A reader of
            the stored set does not see them either.
    """

    renderer: Renderer
    seed: int | None
    block: int
    first: int
    last: int
    max_failed: float = 0.01
    epoch: int = 0
    given: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        record = read_record(self.renderer.out)
        generator, all_of_it = record["settings"]["generator"], len(self) == record["rows"]
        draws = "same draws in each epoch" if self.renderer.draws is None else "new draws in each epoch"
        return (
            f"stream of {len(self):,} samples{'' if all_of_it else ' of ' + format(record['rows'], ',')} · "
            f"{generator['name']} {generator['version']} · {draws} · plan {self.renderer.plan[:4]}… · "
            f"epoch {self.epoch}, {self.given:,} given"
        )

    def samples(self) -> Iterator[SampleData]:
        """The rest of the epoch. `given` counts a sample before it is given.

        Raises:
            InputError: the plan is damaged, or its generator is not the installed one.
            PartialFailureError: more samples failed than `max_failed` allows.
        """
        for block in self._blocks():
            sizes = [len(group.at) for group in block]
            of, order = np.repeat(np.arange(len(block)), sizes), np.arange(sum(sizes))
            if self.seed is not None:
                at = self.first + self.given // self.block * self.block
                order = shuffler(self.seed, self.epoch, at).permutation(len(order))
            order = order[self.given % self.block :]
            starts, waiting = np.cumsum([0, *sizes]), np.sort(order)
            faces = self.renderer.faces(_identities(block[i]) for i in np.unique(of[order]))
            ready: dict[int, Seen | Failure] = {}
            for place in order.tolist():
                if place not in ready:
                    k = of[place]
                    left = waiting[np.searchsorted(waiting, starts[k]) : np.searchsorted(waiting, starts[k + 1])]
                    rows = block[k].rows.take(block[k].at[left - starts[k]]).to_pylist()
                    show = self.renderer.show  # whose list is not kept by a name: what was given is free then
                    ready.update(zip(left.tolist(), show(faces[rows[0]["identity"]], rows, self.epoch), strict=True))
                found = ready.pop(place)
                self.given += 1
                if isinstance(found, Failure):
                    self._fail(found)
                else:
                    yield sample_of(found.row, found.frames, found.description)
        self.set_epoch(self.epoch + 1)

    def _blocks(self) -> Iterator[list[Group]]:
        plan = opened(self.renderer.out, self.renderer.plan, self.renderer.weights).rows
        rng = None if self.seed is None else shuffler(self.seed, self.epoch)
        frames = read_record(self.renderer.out)["frames"]
        most = max(1, FRAMES_PER_GROUP * plan.n_rows // max(1, frames))
        first = self.first + self.given // self.block * self.block
        return blocks(line(plan, first, self.last, most=most, rng=rng), self.block)

    def _fail(self, found: Failure) -> None:
        self.failed[found.sample_id] = found.reason
        if len(self.failed) > self.max_failed * len(self):
            raise PartialFailureError(
                f"stream of {len(self):,} samples of {self.renderer.out.address}",
                expected=f"at most {self.max_failed:.1%} failed",
                found=f"{len(self.failed):,} failed, the last {found.sample_id}: {found.reason}",
                do="remove the cause, or raise `max_failed`",
            )

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self.failed = {}

    def _what(self) -> dict[str, Any]:
        return {
            "plan": self.renderer.plan, "new_draws": self.renderer.draws is not None, "seed": self.seed,
            "block": self.block, "share": [self.first, self.last],
        }  # fmt: skip


def _identities(group: Group) -> str:
    return str(group.rows["identity"][int(group.at[0])].as_py())


def stream_of(
    out: Storage,
    *,
    faces_root: Path | None = None,
    weights: Path | None = None,
    draws: Draws | None = None,
    seed: int | None = 0,
    block: int | None = None,
    number: int = 0,
    of: int = 1,
    max_failed: float = 0.01,
) -> Stream:
    """A stream of the plan that lies there, or of one share of it.

    Args:
        out: where the plan lies.
        faces_root: where the photos are now, if not where the plan was made.
        weights, draws: see `Renderer`.
        seed, block, max_failed: see `Stream`; by default as many samples as have 128 MB of frames are in a block.
        number, of: the share.

    Raises:
        InputError: no plan, or a damaged one; no photos; the generator is not the installed one.
    """
    renderer = renderer_of(out, faces_root=faces_root, weights=weights, draws=draws)
    record = read_record(out)
    each = record["frames"] / max(1, record["rows"]) * record["settings"]["size"] ** 2 * 3
    first, last = share(0, record["rows"], number, of)
    return Stream(renderer, seed, block or max(1, int(BLOCK_BYTES / each)), first, last, max_failed)


def renderer_of(
    out: Storage, *, faces_root: Path | None = None, weights: Path | None = None, draws: Draws | None = None
) -> Renderer:
    """The renderer of the plan that lies there. Arguments and errors are those of `stream_of`."""
    record = read_record(out)
    root = faces_root or Path(record["faces_root"])
    if not root.is_dir():
        raise InputError(
            f"photos of {out.address}", expected="their folder", found=f"no folder {root}",
            do="give the folder in which the photos are now: `faces` DIR",
        )  # fmt: skip
    plan = record["digests"]["plan"]
    opened(out, plan, weights)
    return Renderer(out, plan, root, weights, draws)
