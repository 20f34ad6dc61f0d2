"""A set as a torch dataset. Imported only if torch is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from miex.labels import Label

if TYPE_CHECKING:
    from miex.dataset.reader import Dataset, SampleData


class TorchDataset(torch.utils.data.Dataset):  # type: ignore[misc]
    """Map-style; see `Dataset.torch`."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __repr__(self) -> str:
        return f"torch dataset of {self.dataset!r}"

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return tensors(self.dataset[i])


def tensors(sample: SampleData) -> dict[str, Any]:
    """A sample as `Dataset.torch` gives it."""
    return {
        "frames": torch.from_numpy(sample.frames).permute(0, 3, 1, 2).contiguous(),
        "aus": torch.from_numpy(sample.aus),
        "rendered": torch.from_numpy(sample.rendered),
        "label": torch.tensor(int(Label[sample.label])),
        "apex": torch.tensor(sample.apex),
        "sample_id": sample.sample_id,
    }
