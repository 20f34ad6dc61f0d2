"""What every executor promises. Executors know nothing about the tasks that they run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, TypeVar

from miex.errors import MiexError

# Called during long work with: how much is done, how much there is, and a note.
Progress = Callable[[int, int, str], None]

Task = TypeVar("Task")
Result = TypeVar("Result")


class WorkerDiedError(MiexError):
    """A worker process ended without an answer, again and again (killed by the system for its memory, say)."""


def out_of_memory(task: object, cause: MemoryError) -> WorkerDiedError:
    """The error of a task that found too little memory."""
    error = WorkerDiedError(
        f"{task}", expected="enough memory", found=f"it ran out: {cause}".rstrip(": "),
        do="use fewer `workers`, end other programs, and run the same command again to resume",
    )  # fmt: skip
    error.__cause__ = cause
    return error


@dataclass(frozen=True)
class Outcome(Generic[Task, Result]):
    """The outcome of a task: a result, or the exception that ended it."""

    task: Task
    result: Result | None = None
    error: BaseException | None = None


class Executor(ABC):
    """Maps a function over tasks.

    Every task has exactly one outcome, in any order. A task whose worker died is tried again, `retries` times; so
    is one that ran out of memory, which others may have taken. One that raised anything else is not: the same input
    would raise again. Functions, tasks and results must be picklable.
    """

    retries: int = 2
    elsewhere: ClassVar[bool] = False  # on other machines, which see only the files of shared disks

    @property
    def at_once(self) -> int:
        """How many tasks it runs at the same time."""
        return 1

    @contextmanager
    def begun(self, first: Callable[[], Result], most: int) -> Iterator[tuple[Executor, Callable[[], Result]]]:
        """The executor, whose processes may start now, `most` of them, while the caller does other work: each calls
        `first`, to load what its tasks need. What that raises is left to the tasks.

        Beside it a function that says what `first` returned, as soon as one of them knows; where none does, and where
        tasks run elsewhere, it is called here.
        """
        yield self, first

    @abstractmethod
    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Outcome[Task, Result]]:
        """Outcomes as they come. Closing the iterator early lets running tasks end, and starts no more."""

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Results as they come; the first error is raised."""
        for outcome in self.run(function, tasks):
            if outcome.error is not None:
                raise outcome.error
            yield outcome.result  # type: ignore[misc]


class InProcess(Executor):
    """Runs one task after the other in this process."""

    def __repr__(self) -> str:
        return "InProcess()"

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Outcome[Task, Result]]:
        for task in tasks:
            try:
                outcome = Outcome[Task, Result](task, function(task))
            except MemoryError as error:
                outcome = Outcome[Task, Result](task, error=out_of_memory(task, error))
            except Exception as error:  # the outcome carries it
                outcome = Outcome[Task, Result](task, error=error)
            yield outcome


IN_PROCESS: Final = InProcess()


def silent(done: int, total: int, note: str = "") -> None:
    """Progress that is not reported."""
