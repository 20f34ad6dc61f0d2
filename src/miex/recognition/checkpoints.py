"""The folder of a recognizer's training, which ends with recognizer.safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from miex.recognition.method import COLUMNS
from miex.recognition.recognizer import MODEL, Recognizer, load_recognizer
from miex.storage.training import TrainingFolder

CURVES = ("loss", "learning_rate", "validation_loss")


class RecognizerFolder(TrainingFolder):
    """The log, events, checkpoint and recognizer of one training. Arguments and errors are those of its base."""

    def __init__(self, folder: Path, what: dict[str, Any]) -> None:
        super().__init__(folder, what, MODEL, COLUMNS, CURVES)

    def finished(self) -> Recognizer | None:
        """The trained recognizer, or None if the training is not finished.

        Raises:
            InputError: its file is damaged.
            OutputError: it comes from another training.
        """
        if not self.has(MODEL):
            return None
        stored = load_recognizer(self.folder / MODEL)
        self.prove_same({key: stored.history.get(key) for key in self.what})
        self.remove_checkpoint()  # it is there if the training was stopped between the two
        return stored

    def finish(self, recognizer: Recognizer, history: list[dict[str, Any]]) -> None:
        """Write log and recognizer, and remove the checkpoint. Raises OutputError if they cannot be written."""
        self.close(history)
        recognizer.save(self.folder / MODEL)
        self.remove_checkpoint()
