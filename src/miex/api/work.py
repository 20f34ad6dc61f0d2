"""What every job shares: where its work runs, how far it has come, and what is said beside the result."""

from __future__ import annotations

import multiprocessing
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from miex.arguments import KINDS, instance_of, many
from miex.errors import InputError, UsageError
from miex.executors import local
from miex.executors.base import Executor, Progress, silent

if TYPE_CHECKING:
    from miex.extraction.flow import EmbeddedExtractor

# Called during long work: what is being done, how much of it is done, how much there is, a note. `print` is one.
Stages = Callable[[str, int, int, str], object]
# Called with what is worth knowing beside the result. `print` is one.
Say = Callable[[str], None]
# Where work runs: in so many processes, None for one per processor; or an executor.
Workers = int | Executor | None
# A file or folder.
PathLike = str | Path
SOURCES = many(
    instance_of("a source", "miex.sources.source:AUSource"),
    "a list of at least one source of AUs, such as [miex.sources.expert()]",
    least=1,
)


def unsaid(text: str) -> None:
    """Say nothing."""


def stage(progress: Stages | None, what: str) -> Progress:
    """The progress of one stage of a job."""
    if progress is None:
        return silent
    stages = progress

    def move(done: int, total: int, note: str) -> None:
        stages(what, done, total, note)

    return move


def executor(workers: Workers) -> Executor:
    """Where work runs.

    Raises:
        UsageError: what is none of these; or a worker is starting just now, and runs a script that starts workers.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing itself asks
        raise UsageError(
            "starting workers from a script that one of its own workers is importing",
            expected='a script that starts work only below `if __name__ == "__main__":`',
            found="work at its top level, which every worker would start again",
            do='move that work into a function, and call it below `if __name__ == "__main__":`',
        )
    KINDS["workers"].checked("workers", workers)
    if isinstance(workers, Executor):
        return workers
    return local.local_executor(processes(workers))


def processes(workers: Workers) -> int:
    """How many processes of this machine work at once, as far as that is known."""
    if isinstance(workers, int):
        return workers
    return int(getattr(workers, "workers", 1)) if workers is not None else local.available_workers()


def path(given: PathLike) -> Path:
    """The path, with ~ resolved. Raises UsageError for what is no path."""
    try:
        return Path(given).expanduser()
    except (TypeError, RuntimeError) as error:  # of another type; of a user who is not there
        raise UsageError(
            f"path {reprlib.repr(given)}", expected="a string or a pathlib.Path", found=str(error)
        ) from error


def landmark_model(given: PathLike | None, say: Say) -> Path:
    """The landmark model's file: the given one, or found, or fetched. Raises InputError."""
    from miex.faces.landmarks import find_model

    return find_model(None if given is None else path(given), say=say)


def landmark_model_if_any(given: PathLike | None, say: Say, without: str) -> Path | None:
    """The landmark model's file; where none was named and none can be had, None, and why is said.

    Args:
        given: its file, if it was named.
        say: called with `without` and the reason.
        without: what is done without it.

    Raises:
        InputError: the file that was named is not the model.
    """
    try:
        return landmark_model(given, say)
    except InputError as error:
        if given is not None:
            raise
        say(f"{without}: {error}")
        return None


def embedded_extractor(landmarker: PathLike | None, say: Say) -> EmbeddedExtractor:
    """The extractor that comes with miex."""
    from miex.extraction.flow import EmbeddedExtractor

    return EmbeddedExtractor(landmark_model(landmarker, say))


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
