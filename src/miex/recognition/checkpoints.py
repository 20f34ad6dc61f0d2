"""The folder of a training: log.csv, events for TensorBoard, a checkpoint, and at the end the recognizer."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from torch import Tensor

from miex.errors import OutputError
from miex.recognition.method import COLUMNS
from miex.recognition.recognizer import CHECKPOINT, MODEL, Recognizer, load_recognizer
from miex.stable import canonical_json
from miex.storage.base import as_output_errors
from miex.storage.local import is_leftover, write_whole
from miex.storage.weights import read_weights, write_weights

LOG, EVENTS = "log.csv", "events"


def prove_own(folder: Path) -> None:
    """Check that a folder is new, empty, or that of a training.

    Raises:
        OutputError: it holds something else, such as a set, or cannot be read.
    """
    with as_output_errors(f"training in {folder}"):
        there = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    foreign = [name for name in there if not name.startswith(".") and not is_leftover(name)]
    if foreign and not {CHECKPOINT, LOG, EVENTS, MODEL} & set(foreign):
        raise OutputError(
            f"training in {folder}", expected="a new or empty folder, or the folder of this training",
            found=", ".join(foreign[:3]), do="give another folder",
        )  # fmt: skip


class TrainingFolder:
    """The log, events, checkpoint and recognizer of one training.

    Args:
        folder: the folder; it is made if it is missing.
        what: JSON values of everything that decides the weights; a folder of other values is refused.

    Raises:
        OutputError: the folder holds something else than a training, or cannot be written to.
    """

    def __init__(self, folder: Path, what: dict[str, Any]) -> None:
        self.folder, self.what = folder, what
        prove_own(folder)
        with as_output_errors(f"training in {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
        self._events: Any = None

    def finished(self) -> Recognizer | None:
        """The trained recognizer, or None if the training is not finished.

        Raises:
            InputError: its file is damaged.
            OutputError: it comes from another training.
        """
        path = self.folder / MODEL
        if not path.is_file():
            return None
        stored = load_recognizer(path)
        self._same({key: stored.history.get(key) for key in self.what})
        return stored

    def checkpoint(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """The JSON values and tensors of the last checkpoint, or None if there is none.

        Raises:
            InputError: its file is damaged.
            OutputError: it comes from another training.
        """
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return None
        plain, tensors = read_weights(path, "checkpoint")
        self._same(plain.get("what", {}))
        return plain, tensors

    def _same(self, there: dict[str, Any]) -> None:
        differing = [key for key in self.what if canonical_json(there.get(key)) != canonical_json(self.what[key])]
        if differing:
            raise OutputError(
                f"training in {self.folder}", expected="a new or empty folder, or the folder of this training",
                found="a training that differs in " + ", ".join(differing), do="give another folder",
            )  # fmt: skip

    def save(self, plain: dict[str, Any], tensors: dict[str, Tensor], history: list[dict[str, Any]]) -> None:
        """Write a checkpoint, and the log up to it. Raises OutputError if they cannot be written."""
        self._write_log(history)
        write_weights(self.folder / CHECKPOINT, "checkpoint", {**plain, "what": self.what}, tensors)

    def wrote(self, *rows: dict[str, Any], again: bool = False) -> None:
        """Write rows of the log as events for TensorBoard.

        `again` follows a resume: nothing is written, and events later than the last of these rows are discarded.
        """
        if self._events is None:
            from tensorboardX import SummaryWriter

            purge = rows[-1]["step"] + 1 if again and rows else None
            self._events = SummaryWriter(str(self.folder / EVENTS), purge_step=purge)
        for row in () if again else rows:
            for name in ("loss", "learning_rate", "validation_loss"):
                if row[name] is not None:
                    self._events.add_scalar(name, row[name], row["step"])

    def finish(self, recognizer: Recognizer, history: list[dict[str, Any]]) -> None:
        """Write log and recognizer, and remove the checkpoint. Raises OutputError if they cannot be written."""
        if self._events is not None:
            self._events.close()
        self._write_log(history)
        recognizer.save(self.folder / MODEL)
        (self.folder / CHECKPOINT).unlink(missing_ok=True)

    def _write_log(self, history: list[dict[str, Any]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_whole(self.folder / LOG, text.getvalue().encode())
