"""Read a set back: `miex.dataset.open(OUT)`."""

from miex.dataset.reader import Dataset, SampleData, open_dataset

open = open_dataset  # used as miex.dataset.open, the name that users expect

__all__ = ["Dataset", "SampleData", "open"]
