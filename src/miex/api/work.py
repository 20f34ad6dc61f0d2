"""What all jobs share: where work runs, how its progress is reported, and notes to the caller."""

from __future__ import annotations

import multiprocessing
import re
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from miex.arguments import KINDS, instance_of, many
from miex.errors import InputError, UsageError
from miex.executors import local
from miex.executors.base import Executor, Progress, silent
from miex.storage import given as as_given
from miex.storage import is_bucket

if TYPE_CHECKING:
    from miex.experiments.study import Estimate
    from miex.extraction.flow import EmbeddedExtractor
    from miex.storage.fetched import PublishedFile

# Called during long work with: stage, how much of it is done, how much there is, a note. `print` will do.
Stages = Callable[[str, int, int, str], object]
# Called with each note that is not part of the result. `print` will do.
Say = Callable[[str], None]
# Where work runs: the number of processes, None for one per processor; or an executor.
Workers = int | Executor | None
# A file or folder.
PathLike = str | Path
SOURCES = many(
    instance_of("a source", "miex.sources.source:AUSource"),
    "a list of at least one source of AUs, such as [miex.sources.expert()]",
    least=1,
)


def unsaid(text: str) -> None:
    """Drop the note."""


def stage(progress: Stages | None, what: str) -> Progress:
    """The progress of one stage of a job."""
    if progress is None:
        return silent
    stages = progress

    def move(done: int, total: int, note: str) -> None:
        stages(what, done, total, note)

    return move


def executor(workers: Workers) -> Executor:
    """The executor that work runs on.

    Raises:
        UsageError: another value; or the call comes from a worker that is importing the caller's script.
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
    """Number of processes that work at once."""
    if isinstance(workers, Executor):
        return workers.at_once
    return workers if workers is not None else local.available_workers()


def here(workers: Workers) -> Executor:
    """The executor, or every processor of this machine instead of other machines: for work on files that those need
    not have, such as photos that are looked at, and models in the user's cache."""
    chosen = executor(workers)
    return executor(None) if chosen.elsewhere else chosen


def path(given: PathLike) -> Path:
    """The path, with ~ expanded. Raises UsageError if it is not a path, or the address of a bucket."""
    if is_bucket(given):
        raise UsageError(
            f"path {reprlib.repr(re.sub('//[^/]*@', '//…@', as_given(given)).partition('?')[0])}",
            expected="a file or folder of this machine",
            do="copy it here first, or write it here: in buckets miex keeps sets, and exports into folders",
        )  # fmt: skip
    try:
        return Path(given).expanduser()
    except (TypeError, RuntimeError) as error:  # of another type, or ~user for an unknown user
        raise UsageError(
            f"path {reprlib.repr(given)}", expected="a path, as text or pathlib.Path", found=str(error)
        ) from error


def landmark_model(given: PathLike | None, say: Say) -> Path:
    """File of the landmark model: the given one, or found, or fetched. Raises InputError if there is none."""
    from miex.faces.landmarks import MODEL

    return MODEL.find(None if given is None else path(given), say=say)


def measuring_models(
    landmarker: PathLike | None, sface: PathLike | None, say: Say, without: str, without_sface: str
) -> tuple[Path | None, Path | None]:
    """Files of the landmark model and of the SFace model; None, with a note, for one that was not given and cannot be
    fetched. Without landmarks SFace sees nothing, and is not looked for.

    Args:
        landmarker, sface: the files, if they were given.
        say: called with what is left out, and the reason.
        without, without_sface: what is left out without each.

    Raises:
        InputError: a file that was named is not the model.
    """
    from miex.faces.landmarks import MODEL
    from miex.faces.sface import SFACE

    model = _if_any(MODEL, landmarker, say, without)
    return model, None if model is None else _if_any(SFACE, sface, say, without_sface)


def _if_any(file: PublishedFile, given: PathLike | None, say: Say, without: str) -> Path | None:
    try:
        return file.find(None if given is None else path(given), say=say)
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
    """A duration as text, in s, min or h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def said(left: Estimate, workers: int) -> str:
    """What a study has yet to do, as a sentence."""
    if left.total == left.stored:
        return f"all of {left.total:,} runs are in the store"
    trainings = left.shared + left.own
    work = f"{trainings:,} trainings" if trainings else f"{left.predictions:,} predictions"
    time = "" if left.seconds is None else f", about {duration(left.seconds / workers)} with {workers} at work"
    return f"{left.total:,} runs, {left.stored:,} of them in the store; to do: {work}{time if trainings else ''}"
