"""What every command says and how: progress, summaries, and how many processes work."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miex.executors.base import Executor


def processes(given: int | None) -> int:
    """How many were asked for, by default one per processor."""
    from miex.executors.local import available_workers

    return given or available_workers()


def executor(given: int | None) -> Executor:
    """Where tasks run: in as many processes as were asked for, by default one per processor."""
    from miex.executors.local import local_executor

    return local_executor(processes(given))


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def say(text: str) -> None:
    """Tell the user something beside the result."""
    print(text, file=sys.stderr)


def show(as_json: bool, facts: dict[str, Any], text: str) -> None:
    """Print a command's result: as JSON for programs, or as text."""
    print(json.dumps(facts, ensure_ascii=False, allow_nan=False) if as_json else text)


@contextmanager
def bar(what: str, unit: str) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar on the terminal's error stream, with rate, remaining time and a note."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
        TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task(what, total=None, rate="", note="")

        def move(done: int, total: int, note: str) -> None:
            speed = bars.tasks[0].speed
            bars.update(task, completed=done, total=total, note=note, rate=f"{speed:,.0f}/s" if speed else "")

        yield move
