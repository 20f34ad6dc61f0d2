"""Read a set back: `miex.dataset.open(OUT)`."""

from miex.dataset.reader import Dataset, SampleData, open_dataset

open = open_dataset  # the word users expect; read as miex.dataset.open

__all__ = ["Dataset", "SampleData", "open"]
