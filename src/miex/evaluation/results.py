"""The store of runs: every prediction with its sample's id, so that any metric can be computed again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from miex.errors import InputError, OutputError
from miex.evaluation.metrics import Counts, confusion
from miex.stable import canonical_json, json_digest, parquet_bytes
from miex.storage.local import write_whole

PREDICTIONS: Final = pa.schema(
    [
        ("sample_id", pa.string()),
        ("corpus", pa.string()),
        ("subject", pa.string()),
        ("label", pa.int16()),  # the truth
        ("last", pa.list_(pa.float32())),  # probability of each class after the last epoch
        (
            "best_on_test",
            pa.list_(pa.float32()),
        ),  # the same at the epoch that the test part likes best; null if not kept
    ]
)
_META = b"miex"


@dataclass(frozen=True, eq=False)
class StoredRun:
    """One training, tested.

    Attributes:
        what: everything that decides its numbers: data, folds, config, seed. Its digest is the run's name.
        facts: what came out beside the predictions: rows trained on, refused by the leak guard, unchecked.
        predictions: table of PREDICTIONS, one row per test sample.
    """

    what: Mapping[str, Any]
    facts: Mapping[str, Any]
    predictions: pa.Table

    def predicted(self, epoch: str = "last") -> npt.NDArray[np.int64]:
        """The class of highest probability of each test sample, int64 [n]; epoch is last or best_on_test.

        Raises:
            InputError: best_on_test was not kept in this run.
        """
        column = self.predictions[epoch]
        if column.null_count:
            raise InputError(
                f"{epoch} of a run", expected="a run that stored it", found="none", do="evaluate with `best_on_test`"
            )
        return np.array([np.argmax(p) for p in column.to_pylist()], np.int64)

    def counts(self, classes: int, epoch: str = "last") -> Counts:
        """Its confusion matrix, int64 [classes, classes]."""
        return confusion(self.predictions["label"].to_numpy(), self.predicted(epoch), classes)


class Results:
    """A folder of runs, one file each; a run that is there is not computed again."""

    def __init__(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"`store` {folder}", expected="a folder", found="a file", do="give another one")
        self.folder = folder

    def path(self, what: Mapping[str, Any]) -> Path:
        """Where the run of that description lies, or would."""
        return self.folder / f"{json_digest(what)[:24]}.parquet"

    def __contains__(self, what: Mapping[str, Any]) -> bool:
        return self.path(what).is_file()

    def add(self, run: StoredRun) -> None:
        """Store a run, whole or not at all; the same run gives the same bytes.

        Raises:
            OutputError: it cannot be written.
        """
        meta = canonical_json({"what": run.what, "facts": run.facts})
        table = run.predictions.cast(PREDICTIONS).replace_schema_metadata({_META: meta.encode()})
        write_whole(self.path(run.what), parquet_bytes(table, max(1, table.num_rows)))

    def read(self, what: Mapping[str, Any]) -> StoredRun:
        """The run of that description.

        Raises:
            InputError: it is not there, damaged, or another one.
        """
        run = _read(self.path(what))
        if canonical_json(run.what) != canonical_json(what):
            raise InputError(
                f"run {self.path(what)}",
                expected="the run that its name says",
                found="another run",
                do="delete it; the run is then computed again",
            )
        return run

    def all(self) -> list[StoredRun]:
        """Every run, by name of file."""
        return [_read(path) for path in sorted(self.folder.glob("*.parquet"))]


def _read(path: Path) -> StoredRun:
    try:
        table = pq.read_table(path)
        meta = json.loads(table.schema.metadata[_META])
        return StoredRun(meta["what"], meta["facts"], table.cast(PREDICTIONS))
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"run {path}",
            expected="a run of miex",
            found=str(error).splitlines()[0],
            do="delete it; the run is then computed again",
        ) from error
