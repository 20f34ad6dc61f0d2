"""The program `miex`: all its commands, and how errors end it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Annotated

import typer

from miex.commands import aus, console, corpora, faces, ganimation, generators
from miex.commands.group import Group
from miex.commands.making import add_making
from miex.commands.paper import add_paper
from miex.commands.studio import studio
from miex.commands.training import add_training
from miex.commands.worth import add_worth
from miex.errors import MiexError, OutputError

app = Group("Turn face images and action units into labeled micro-expression data.")
add_making(app)
add_training(app)
add_paper()
add_worth()
app.command()(studio)
groups = {"faces": faces, "aus": aus, "corpora": corpora, "generators": generators, "ganimation": ganimation}
for name, commands in groups.items():
    app.add_group(name, commands.app)


def _version(wanted: bool) -> None:
    if wanted:
        from miex import __version__

        print(f"miex {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Turn face images and action units into labeled micro-expression data."""


def _stop(*_: object) -> None:
    raise console.Stopped


def program_and_exit() -> None:
    """Entry point: `main`, after which the process ends at once.

    Now and then a command that had done its work was aborted at exit ("terminate called without an active exception").
    The only threads that are left then are those of native libraries, such as Arrow's; so they are not unloaded. That
    they are the cause is likely, not proven: the abort is too rare to be provoked.
    """
    code: object = None
    try:
        main()
    except SystemExit as end:
        code = end.code
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # whoever read it is gone
            stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def main() -> None:
    """What `miex` does: errors that a user can act on become a message and an exit code, all others a traceback."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    for stream in (sys.stdout, sys.stderr):  # a file name that the terminal cannot show must not end a run
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app(prog_name="miex")
    except MiexError as error:
        console.complain(str(error))
        sys.exit(error.exit_code)
    except console.Stopped:
        console.complain("stopped. Where results are kept, the same command continues from there.")
        sys.exit(130)
    except MemoryError:
        console.complain("memory ran out. Where results are kept, the same command continues from there.")
        sys.exit(MiexError.exit_code)
    except OSError as error:
        console.complain(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        sys.exit(OutputError.exit_code)
