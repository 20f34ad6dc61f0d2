"""The store of runs: it keeps every prediction with the id of its sample, so that any metric can be computed later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.errors import InputError, OutputError
from miex.evaluation.metrics import Counts, confusion
from miex.stable import canonical_json, json_digest, json_of, parquet_bytes, parquet_table
from miex.storage.documents import read_bytes
from miex.storage.local import write_whole

PREDICTIONS: Final = pa.schema(
    [
        ("sample_id", pa.string()),
        ("corpus", pa.string()),
        ("subject", pa.string()),
        ("label", pa.int16()),  # the true class
        ("last", pa.list_(pa.float32())),  # probability of each class after the last epoch
        (
            "best_on_test",
            pa.list_(pa.float32()),
        ),  # the same at the epoch with the best result on the test part; null if not kept
    ]
)
_META = b"miex"


@dataclass(frozen=True, eq=False)
class StoredRun:
    """One training and the test of its result.

    Attributes:
        what: everything that decides the results: data, folds, settings, seed. Its digest names the file of the run.
        facts: what else is known of it: numbers of rows that were trained on, refused by the leak guard, and not
            checked by it; loss.
        predictions: one row per test sample, of PREDICTIONS.
    """

    what: Mapping[str, Any]
    facts: Mapping[str, Any]
    predictions: pa.Table

    def predicted(self, epoch: str = "last") -> npt.NDArray[np.int64]:
        """The most probable class of each test sample, int64 [n]; `epoch` is last or best_on_test.

        Raises:
            InputError: this run did not keep best_on_test.
        """
        column = self.predictions[epoch]
        if column.null_count:
            raise InputError(
                f"predictions {epoch} of a run",
                expected="a run that kept them",
                found="none",
                do="evaluate with `best_on_test`",
            )
        return np.array([np.argmax(p) for p in column.to_pylist()], np.int64)

    def counts(self, classes: int, epoch: str = "last") -> Counts:
        """The confusion matrix of the test samples, int64 [classes, classes]. Errors are those of `predicted`."""
        return confusion(self.predictions["label"].to_numpy(), self.predicted(epoch), classes)


class Results:
    """A folder of runs, one file for each. A run that is stored need not be computed again.

    Raises:
        OutputError: the path is that of a file.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"`store` {folder}", expected="a folder", found="a file", do="give another path")
        self.folder = folder

    def path(self, what: Mapping[str, Any]) -> Path:
        """Path of the file of the run that is described by `what`, whether it exists or not."""
        return self.folder / f"{json_digest(what)[:24]}.parquet"

    def __contains__(self, what: Mapping[str, Any]) -> bool:
        return self.path(what).is_file()

    def add(self, run: StoredRun) -> None:
        """Store a run, as a whole or not at all. The same run gives the same bytes.

        Raises:
            OutputError: the file cannot be written.
        """
        meta = canonical_json({"what": run.what, "facts": run.facts})
        table = run.predictions.cast(PREDICTIONS).replace_schema_metadata({_META: meta.encode()})
        write_whole(self.path(run.what), parquet_bytes(table))

    def read(self, what: Mapping[str, Any]) -> StoredRun:
        """Read the run that is described by `what`.

        Raises:
            InputError: it is not in the store, is damaged, or has another description.
        """
        run = _read(self.path(what))
        if canonical_json(run.what) != canonical_json(what):
            raise InputError(
                f"run {self.path(what)}",
                expected="the run that its name stands for",
                found="another run",
                do="delete it, and run the same command again",
            )
        return run

    def all(self) -> list[StoredRun]:
        """Read every run, in the order of file names. Raises InputError if one cannot be read."""
        return [_read(path) for path in sorted(self.folder.glob("*.parquet"))]


def _read(path: Path) -> StoredRun:
    try:
        table = parquet_table(read_bytes(path))
        meta = json_of(table.schema.metadata[_META])
        what, facts, predictions = meta["what"], meta["facts"], table.cast(PREDICTIONS)
        if not isinstance(what, dict) or not isinstance(facts, dict):
            raise ValueError("no description of the run")
        _prove(predictions)
        return StoredRun(what, facts, predictions)
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"run {path}",
            expected="a file that miex wrote",
            found=(str(error).splitlines() or [type(error).__name__])[0],
            do="delete it, and run the same command again",
        ) from error


def _prove(predictions: pa.Table) -> None:
    """Raises ValueError if a sample has no class, or no probability for each class."""
    if any(predictions[name].null_count for name in ("sample_id", "label", "last")):
        raise ValueError("a sample without its id, class or prediction")
    lengths = {len(p) for name in ("last", "best_on_test") for p in predictions[name].to_pylist() if p is not None}
    values = [z for name in ("last", "best_on_test") for p in predictions[name].to_pylist() for z in p or ()]
    if len(lengths) > 1 or not all(z is not None and 0 <= z <= 1.001 for z in values):
        raise ValueError("predictions that are not probabilities of the same classes")
    classes = next(iter(lengths), 0)
    if not all(0 <= label < classes for label in predictions["label"].to_pylist()):
        raise ValueError(f"a class that is none of {classes}")
