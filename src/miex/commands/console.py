"""How every command prints: results, notes, progress, errors, and the log."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from miex.errors import OutputError, some_of
from miex.tables.written import visible

if TYPE_CHECKING:
    from miex.api.work import Stages
    from miex.experiments.present import Result, Table


class Stopped(BaseException):
    """Ctrl-C, or the SIGTERM by which batch systems stop jobs. Not KeyboardInterrupt, on which typer exits silently."""


class _Manner:
    """The settings of this run of the program."""

    quiet = False
    log: TextIO | None = None


def be_quiet(quiet: bool) -> None:
    """Set whether notes and progress are left out; results, warnings and errors are always printed."""
    _Manner.quiet = quiet


def keep_log(log: Path | None) -> None:
    """Append messages and results to a file from now on; None: to no file.

    Raises:
        UsageError: it is the address of a bucket.
        OutputError: the file cannot be written.
    """
    _end_log()
    if log is None:
        return
    from miex.api.work import path

    log = path(log)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.is_fifo():  # which would wait for a reader
            raise OSError("a pipe")
        _Manner.log = log.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"`log` {log}", expected="a file that can be written", found=str(error)) from error
    _write("miex " + " ".join(sys.argv[1:]))


def spelled(text: str) -> str:
    """A text of the library as the command line spells it: `max_failed` becomes --max-failed."""
    return re.sub(r"`([a-z][a-z_]*)`", lambda match: "--" + match[1].replace("_", "-"), text)


def say(text: str) -> None:
    """Print a note, which is not part of the result; if notes are off, only one that begins with "warning: "."""
    text = visible(spelled(text))
    if not _Manner.quiet or text.startswith("warning: "):
        print(text, file=sys.stderr)
    _write(text)


def say_skipped(names: Sequence[str]) -> None:
    """At the end of a job, warn that samples were left out because they cannot be read, if there were such."""
    if names:
        say(f"warning: {len(names):,} samples were left out, since they cannot be read: {some_of(names)}")


def complain(text: str) -> None:
    """Print an error, even if notes are off."""
    text = visible(spelled(text))
    print(f"miex: {text}", file=sys.stderr)
    _write(text)


def show(as_json: bool, facts: Any, text: str) -> None:
    """Print a command's result: as JSON for programs, or as text."""
    shown = visible(json.dumps(facts, ensure_ascii=False, allow_nan=False) if as_json else text)
    print(shown)
    _write(shown)


def show_result(found: Result, as_json: bool, out: Path | None, note: str = "") -> None:
    """Print a result as tables or as JSON, and save it to `out` if that is given."""
    if as_json:
        show(True, found.plain(), "")
    else:
        for table in found.tables().values():
            show_table(table)
        if note:
            show(False, None, note)
    if out is not None:
        say("written: " + ", ".join(map(str, found.save(out))))


def show_table(table: Table) -> None:
    """Print a table: as wide as the terminal, or as it needs where there is none."""
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn, shown = RichTable(title=Text(visible(table.heading)), title_justify="left"), table.shown
    for name in shown.columns:
        drawn.add_column(Text(visible(name)))
    for row in shown.texts:
        drawn.add_row(*(Text(visible(text)) for text in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 240).print(drawn)
    if table.note:
        print(visible(table.note))
    _write(visible(str(table)))


def show_list(rows: list[dict[str, Any]]) -> None:
    """Print rows in columns without rules; the first column is never wrapped."""
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(rows[0]):
        drawn.add_column(column, overflow="fold", no_wrap=i == 0)
    for row in rows:
        drawn.add_row(*(Text(visible(str(value))) for value in row.values()))
    # in a pipe lines are not wrapped
    Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 200).print(drawn)


@contextmanager
def bars() -> Iterator[Stages | None]:
    """The progress of a job: a bar on stderr for each of its stages, with rate and remaining time.

    Nothing is drawn with --quiet or where stderr is no terminal; the log gets the end of each stage.
    """
    if _Manner.quiet or not sys.stderr.isatty():
        yield _log_stage if _Manner.log is not None else None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as drawn:
        tasks: dict[str, TaskID] = {}

        def move(what: str, done: int, total: int, note: str) -> None:
            task = tasks.setdefault(what, TaskID(-1))
            if task == -1:
                task = tasks[what] = drawn.add_task(what, total=None, rate="", note="")
            speed = drawn.tasks[drawn.task_ids.index(task)].speed
            rate = f"{speed:,.0f}/s" if speed else ""
            drawn.update(task, completed=done, total=total, note=escape(visible(note)), rate=rate)
            _log_stage(what, done, total, note)

        yield move


def _log_stage(what: str, done: int, total: int, note: str) -> None:
    if done == total:
        _write(visible(f"{what}: {done:,}" + (f", {note}" if note else "")))


def _write(text: str) -> None:
    if _Manner.log is None:
        return
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    try:
        _Manner.log.write(f"{now} {text}\n")
        _Manner.log.flush()
    except OSError as error:  # the job goes on, and ends with its own exit code
        name = _Manner.log.name
        _end_log()
        print(visible(f"miex: nothing more goes into the log {name}: {error.strerror or error}"), file=sys.stderr)


def _end_log() -> None:
    log, _Manner.log = _Manner.log, None
    if log is not None:
        with suppress(OSError):  # of what could not be written before
            log.close()
