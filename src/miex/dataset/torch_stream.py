"""Streams in torch: a dataset whose samples the workers of a DataLoader share, and a loader that resumes exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, default_collate, get_worker_info

from miex.arguments import MAPPING
from miex.dataset.epochs import Epochs, is_place
from miex.dataset.torch_dataset import tensors
from miex.errors import UsageError


class TorchStream(IterableDataset):  # type: ignore[misc]
    """Iterable; see `Epochs.torch`. In a worker of a DataLoader, `state_dict` is that of the worker's share, so that
    loaders which ask the dataset (torchdata's StatefulDataLoader does) resume exactly, too."""

    def __init__(self, stream: Epochs) -> None:
        self.stream = stream
        self._own: Epochs | None = None

    def __repr__(self) -> str:
        return f"torch dataset of {self.stream!r}"

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(tensors, self._shared())

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch, before an iteration begins."""
        self.stream.set_epoch(epoch)
        self._own = None

    def state_dict(self) -> dict[str, Any]:
        """See `Epochs.state_dict`."""
        return self._shared().state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Epochs.load_state_dict`."""
        self._shared().load_state_dict(state)

    def _shared(self) -> Epochs:
        worker = get_worker_info()
        if worker is None:
            return self.stream
        if self._own is None:
            self._own = self.stream.share(worker.id, worker.num_workers)
        return self._own


class StreamLoader(DataLoader):  # type: ignore[misc]
    """A DataLoader of a stream; see `Epochs.loader`.

    Iterating gives the rest of an epoch, and the next time the next one. Batches come from the workers in turn, so
    their order depends on how many there are; the samples of an epoch do not.

    Args:
        stream: whose share of an epoch the workers divide among themselves.
        batch_size: samples of a batch.
        workers: processes; 0: this one.
        options: others of DataLoader.
    """

    def __init__(self, stream: Epochs, batch_size: int, workers: int, options: Mapping[str, Any]) -> None:
        if odd := sorted({"shuffle", "sampler", "batch_sampler", "num_workers", "dataset"} & options.keys()):
            raise UsageError(f"a loader of a stream with {odd[0]}", expected="none: the stream has an order of its own")
        collate = options.get("collate_fn") or default_collate
        # epoch, whose turn it is, and samples given of each share
        self._at = torch.zeros(2 + max(1, workers), dtype=torch.int64)
        self._at[0] = stream.epoch
        # as it was when the iteration began: a worker may read it long after others have given batches
        self._began = self._at.clone().share_memory_()
        self.stream = stream
        super().__init__(
            _Counted(stream, self._began), batch_size, num_workers=workers,
            **{**options, "collate_fn": _Collate(collate)},
        )  # fmt: skip

    def __len__(self) -> int:
        """Batches of an epoch, if no sample fails."""
        return sum(n // self.batch_size if self.drop_last else -(-n // self.batch_size) for n in self._sizes())

    def __iter__(self) -> Iterator[Any]:
        shares = len(self._at) - 2
        self._began.copy_(self._at)
        for number, given, batch in super().__iter__():
            self._at[2 + number], self._at[1] = given, (number + 1) % shares
            yield batch
        self.set_epoch(int(self._at[0]) + 1)

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch."""
        self._at.zero_()
        self._at[0] = epoch

    def state_dict(self) -> dict[str, Any]:
        """Where it is, as JSON values: what the batches held that it gave."""
        epoch, turn, *given = self._at.tolist()
        what = {name: value for name, value in self.stream.state_dict().items() if name not in ("epoch", "given")}
        return {**what, "epoch": epoch, "turn": turn, "given": given}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another loader was.

        Raises:
            UsageError: that was a loader of another stream, or with another number of workers.
        """
        MAPPING.checked("state", state)
        given, turn = state.get("given"), state.get("turn")
        if not isinstance(given, list) or not isinstance(turn, int):
            raise UsageError(
                "state of a loader", expected="what a loader's `state_dict` told",
                found=f"given {given!r}, turn {turn!r}", do="give a stream's own state to the stream",
            )  # fmt: skip
        self.stream.load_state_dict({**state, "given": 0})
        if len(given) != len(self._at) - 2:
            raise UsageError(
                "state of a loader", expected=f"that of a loader with `workers` {self.num_workers}",
                found=f"{len(given)} workers", do="make the loader with the same number of workers as then",
            )  # fmt: skip
        sizes = self._sizes()
        if not (is_place(turn, len(sizes) - 1) and all(map(is_place, given, sizes))):
            raise UsageError(
                "state of a loader", expected=f"a turn from 0 to {len(sizes) - 1}, and up to {sizes} samples given",
                found=f"given {given!r}, turn {turn!r}", do="give what a loader's `state_dict` told",
            )  # fmt: skip
        self._at.copy_(torch.tensor([state["epoch"], turn, *given]))

    def _sizes(self) -> list[int]:
        """Samples of each worker's share of an epoch."""
        shares = len(self._at) - 2
        return [len(self.stream.share(number, shares)) for number in range(shares)]


class _Counted(IterableDataset):  # type: ignore[misc]
    """The samples of a worker's share, each with the number of the share and how many were given then."""

    def __init__(self, stream: Epochs, began: torch.Tensor) -> None:
        self.stream, self.began = stream, began

    def __iter__(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        worker = get_worker_info()
        epoch, turn, *given = self.began.tolist()
        # the first worker is asked first: it takes the share whose turn it is
        number = 0 if worker is None else (worker.id + turn) % worker.num_workers
        own = self.stream.share(number, len(given))
        own.set_epoch(epoch)
        own.given = given[number]
        for sample in own:
            yield number, own.given, tensors(sample)


class _Collate:
    def __init__(self, collate: Callable[[list[dict[str, Any]]], Any]) -> None:
        self.collate = collate

    def __call__(self, samples: list[tuple[int, int, dict[str, Any]]]) -> tuple[int, int, Any]:
        number, given, _ = samples[-1]
        return number, given, self.collate([sample for *_, sample in samples])
