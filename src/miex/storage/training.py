"""The folder of a training: what decides it, log, events for TensorBoard, a checkpoint, and at the end the result."""

from __future__ import annotations

import csv
import io
import json
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from miex.errors import OutputError
from miex.stable import canonical_json, json_of
from miex.storage.base import as_output_errors
from miex.storage.documents import read_bytes
from miex.storage.local import Folder, is_leftover, write_whole
from miex.storage.weights import read_weights, write_weights

RECORD, LOG, EVENTS, CHECKPOINT = "training.json", "log.csv", "events", "checkpoint.safetensors"
_SEEN = 10  # seconds between two times at which those who look at the curves see more of them


def prove_own(folder: Path, product: str) -> None:
    """Check that a folder is new, empty, or that of a training whose result has that name: its training.json says so.

    Raises:
        OutputError: it holds something else, such as a set, its training.json is damaged, or it cannot be read.
    """
    with as_output_errors(f"training in {folder}"):
        there = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    foreign = [name for name in there if not name.startswith(".") and not is_leftover(name)]
    if foreign and _record(folder).get("product") != product:
        raise OutputError(
            f"training in {folder}", expected="a new or empty folder, or the folder of this training",
            found=", ".join(foreign[:3]), do="give another folder",
        )  # fmt: skip


def _record(folder: Path) -> dict[str, Any]:
    """What training.json says; empty if there is none. Raises OutputError for a damaged one."""
    try:
        found = json_of(read_bytes(folder / RECORD))
        if not (isinstance(found, dict) and isinstance(found.get("product"), str) and isinstance(found["what"], dict)):
            raise ValueError("no product, or nothing of what decides its weights")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError) as error:
        raise OutputError(
            f"training in {folder}", expected=f"a whole {RECORD}",
            found=f"a damaged one: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            do=f"put back {RECORD} from a copy, or give another folder",
        ) from error  # fmt: skip
    record: dict[str, Any] = found
    return record


class TrainingFolder:
    """The log, events and checkpoint of one training. What decides it is recorded before anything else is written.

    Args:
        folder: the folder; it is made if it is missing.
        what: JSON values of everything that decides the weights; a folder of other values is refused.
        product: name of the file that the training ends with.
        columns: of the log; one of them is `step`.
        curves: columns that are written as events.

    Raises:
        OutputError: the folder holds something else than this training, or cannot be written to.
    """

    def __init__(
        self, folder: Path, what: dict[str, Any], product: str, columns: Sequence[str], curves: Sequence[str]
    ) -> None:
        self.folder, self.what, self.product, self.columns, self.curves = folder, what, product, columns, curves
        prove_own(folder, product)
        with as_output_errors(f"training in {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
        Folder(folder).remove_leftovers()
        if there := _record(folder):
            self.prove_same(there["what"])
        else:
            record = {"product": product, "what": what}
            write_whole(folder / RECORD, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
        self._events: _Events | None = None

    def has(self, name: str) -> bool:
        """Whether the folder has that file. Raises OutputError if the system does not say."""
        with as_output_errors(f"training in {self.folder}"):
            return (self.folder / name).is_file()

    def checkpoint(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """The JSON values and tensors of the last checkpoint, or None if there is none.

        Raises:
            InputError: its file is damaged.
            OutputError: it comes from another training.
        """
        if not self.has(CHECKPOINT):
            return None
        plain, tensors = read_weights(self.folder / CHECKPOINT, "checkpoint")
        self.prove_same(plain.get("what", {}))
        return plain, tensors

    def prove_same(self, there: dict[str, Any]) -> None:
        """Raises OutputError unless these are the values of what decides the weights."""
        differing = [key for key in self.what if canonical_json(there.get(key)) != canonical_json(self.what[key])]
        if differing:
            raise OutputError(
                f"training in {self.folder}", expected="a new or empty folder, or the folder of this training",
                found="a training that differs in " + ", ".join(differing), do="give another folder",
            )  # fmt: skip

    def save(self, plain: dict[str, Any], tensors: dict[str, Tensor], history: list[dict[str, Any]]) -> None:
        """Write a checkpoint, and the log up to it. Raises OutputError if they cannot be written."""
        self.write_log(history)
        write_weights(self.folder / CHECKPOINT, "checkpoint", {**plain, "what": self.what}, tensors)

    def wrote(self, *rows: dict[str, Any], again: bool = False) -> None:
        """Write rows of the log as events for TensorBoard.

        `again` follows a resume: nothing is written, and events later than the last of these rows are discarded. Raises
        OutputError if they cannot be written.
        """
        with as_output_errors(f"events of the training in {self.folder}"):
            if self._events is None:
                self._events = _Events(self.folder / EVENTS, rows[-1]["step"] + 1 if again and rows else None)
            for row in () if again else rows:
                self._events.add(row["step"], {name: row[name] for name in self.curves if row[name] is not None})

    def close(self, history: list[dict[str, Any]]) -> None:
        """Write the log and end the events. Raises OutputError if they cannot be written."""
        if self._events is not None:
            with as_output_errors(f"events of the training in {self.folder}"):
                self._events.write()
        self.write_log(history)

    def remove_checkpoint(self) -> None:
        """Remove the checkpoint, once the result is there."""
        with as_output_errors(f"deleting {self.folder / CHECKPOINT}"):
            (self.folder / CHECKPOINT).unlink(missing_ok=True)

    def write_log(self, history: list[dict[str, Any]]) -> None:
        """Write log.csv. Raises OutputError if it cannot be written."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_whole(self.folder / LOG, text.getvalue().encode())


class _Events:
    """A new file of events for TensorBoard; those that other files have from step `purged` on are discarded.

    Nothing stays open, and no thread writes, as in tensorboardX's SummaryWriter: where the disk is full its thread ends
    with a traceback, and whoever adds to its queue waits for ever. The file is a TFRecord: length, checksum, event,
    checksum, each as TensorFlow documents it.
    """

    def __init__(self, folder: Path, purged: int | None) -> None:
        from tensorboardX.proto.event_pb2 import SessionLog

        # TensorBoard reads the files of a folder in the order of their names
        self._path = folder / f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}"
        self._waiting, self._written = bytearray(), 0.0
        self._add(file_version="brain.Event:2")
        if purged is not None:
            self._add(step=purged, session_log=SessionLog(status=SessionLog.START))

    def add(self, step: int, values: dict[str, float]) -> None:
        """A value of each curve."""
        from tensorboardX.summary import scalar

        for name, value in values.items():
            self._add(step=step, summary=scalar(name, value))
        if time.monotonic() - self._written > _SEEN:
            self.write()

    def write(self) -> None:
        """Append what waits."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(self._waiting)
        self._waiting.clear()
        self._written = time.monotonic()

    def _add(self, **facts: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import masked_crc32c

        event = Event(wall_time=time.time(), **facts).SerializeToString()
        length = struct.pack("<Q", len(event))
        for part in (length, event):
            self._waiting += part + struct.pack("<I", masked_crc32c(part))
