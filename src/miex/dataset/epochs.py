"""Streams: samples in epochs, in an order that each epoch has for itself, cut into shares."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeGuard

import numpy as np

from miex.arguments import COUNT, MAPPING, PLACE
from miex.dataset.reader import Dataset, SampleData, needing_torch
from miex.errors import UsageError
from miex.stable import first_difference, json_digest, sample_rng, stable_hash

if TYPE_CHECKING:
    from miex.dataset.torch_stream import StreamLoader, TorchStream


def shuffler(seed: int, *of: object) -> np.random.Generator:
    """The randomness of one part of an order."""
    return sample_rng(stable_hash(seed, *of), "order")


def share(first: int, last: int, number: int, of: int) -> tuple[int, int]:
    """The piece of a line that share `number` of `of` has: all differ by one sample at most."""
    n = last - first
    return first + number * n // of, first + (number + 1) * n // of


def is_place(value: object, most: int) -> TypeGuard[int]:
    """Whether this is a whole number from 0 to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def rank_and_world(rank: int | None, world: int | None) -> tuple[int, int]:
    """Which share of how many is meant: by default that of torch.distributed if it is initialized, else 0 of 1.

    Raises:
        UsageError: one of them alone is given, or there is no such rank.
    """
    if (rank is None) != (world is None):
        raise UsageError(f"`rank` {rank} and `world` {world}", expected="both of them, or none")
    if rank is None or world is None:
        torch = sys.modules.get("torch")  # whoever distributes has it loaded
        distributed = torch and torch.distributed
        if distributed and distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return 0, 1
    if rank >= world:
        raise UsageError(f"`rank` {rank} of `world` {world}", expected="a rank from 0 to below `world`")
    return rank, world


class Epochs(Iterable[SampleData]):
    """A stream of samples. Iterating gives the rest of an epoch, and the next time the next one: it goes on where it
    stopped.

    Attributes:
        first, last: the share of this stream: places in the line of an epoch.
        epoch: number of the epoch, from 0.
        given: samples of the epoch that were given already.
    """

    first: int
    last: int
    epoch: int
    given: int

    def __len__(self) -> int:
        """Samples of an epoch in this share."""
        return self.last - self.first

    def __iter__(self) -> Iterator[SampleData]:
        return self.samples()

    @abstractmethod
    def samples(self) -> Iterator[SampleData]:
        """The rest of the epoch. `given` counts a sample before it is given."""

    @abstractmethod
    def _what(self) -> dict[str, Any]:
        """What streams that are made alike have in common, as JSON values."""

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch."""
        self.epoch, self.given = epoch, 0

    def share(self, number: int, of: int) -> Self:
        """The part of this stream that one of `of` readers gets, at the beginning of its epoch. Together they give
        each sample once."""
        part = copy(self)
        part.first, part.last = share(self.first, self.last, number, of)
        part.set_epoch(self.epoch)
        return part

    def state_dict(self) -> dict[str, Any]:
        """Where it is, as JSON values; `load_state_dict` of a stream that was made alike goes on from there."""
        return {**self._what(), "epoch": self.epoch, "given": self.given}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another stream was.

        Raises:
            UsageError: that was a stream of other samples, or of another order or share.
        """
        MAPPING.checked("state", state)
        differ = first_difference(self._what(), {name: state.get(name) for name in self._what()})
        if differ:
            raise UsageError(
                "state of a stream", expected="that of a stream which was made alike", found=f"another: {differ}",
                do="make the stream with the same arguments as then, and the same number of readers",
            )  # fmt: skip
        epoch, given = state.get("epoch"), state.get("given")
        if not (is_place(epoch, 2**63 - 1) and is_place(given, len(self))):
            raise UsageError(
                "state of a stream", expected=f"an epoch, and up to {len(self):,} samples that were given",
                found=f"epoch {epoch!r}, given {given!r}",
                do="give a stream what a stream's `state_dict` told, and a loader what a loader's told",
            )  # fmt: skip
        self.set_epoch(epoch)
        self.given = given

    def torch(self) -> TorchStream:
        """A torch dataset of this stream for a DataLoader of your own, whose workers share the samples; of the form of
        `Dataset.torch`. As with torch's DistributedSampler, call its `set_epoch` before each epoch.

        Raises:
            UsageError: torch is not installed.
        """
        made: TorchStream = needing_torch("torch_stream").TorchStream(self)
        return made

    def loader(self, batch_size: int, *, workers: int = 0, **options: Any) -> StreamLoader:
        """A torch DataLoader of this stream that counts what it gave: its `state_dict` is exact in the middle of an
        epoch, whatever its workers have made ahead.

        Args:
            batch_size: samples of a batch.
            workers: processes that make the samples; 0: this one.
            options: others of DataLoader, such as `drop_last`, `collate_fn` or `persistent_workers`.

        Raises:
            UsageError: torch is not installed, or a number is out of range.
        """
        COUNT.checked("batch_size", batch_size)
        PLACE.checked("workers", workers)
        made: StreamLoader = needing_torch("torch_stream").StreamLoader(self, batch_size, workers, options)
        return made


@dataclass(eq=False, repr=False)
class StoredStream(Epochs):
    """The stored samples of a set; see `Dataset.stream`.

    Attributes:
        dataset: the samples.
        seed: random seed of the order; None: that of the dataset, without shuffling.
    """

    dataset: Dataset
    seed: int | None
    first: int
    last: int
    epoch: int = 0
    given: int = 0

    def __repr__(self) -> str:
        shared = "" if len(self) == len(self.dataset) else f"{len(self):,} of "
        return f"stream of {shared}{self.dataset!r} · epoch {self.epoch}, {self.given:,} given"

    def samples(self) -> Iterator[SampleData]:
        n = len(self.dataset)
        order = np.arange(n) if self.seed is None else shuffler(self.seed, self.epoch).permutation(n)
        for i in order[self.first + self.given : self.last].tolist():
            self.given += 1
            yield self.dataset[i]
        self.set_epoch(self.epoch + 1)

    def _what(self) -> dict[str, Any]:
        return {"samples": self._samples, "seed": self.seed, "share": [self.first, self.last]}

    @cached_property
    def _samples(self) -> str:
        ids = self.dataset.table["sample_id"].to_pylist()
        return json_digest([self.dataset.record["digests"]["plan"], ids])
