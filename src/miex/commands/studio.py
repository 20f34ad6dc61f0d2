"""The command that opens the studio."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from miex.commands import console
from miex.commands import options as o


def studio(
    what: Annotated[
        Path | None,
        typer.Argument(
            metavar="PHOTO|SET",
            help="Photo with a face, or folder of a set, or its address in a bucket. Default: the embedded face.",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(help="Side of the square frames, in pixels: a multiple of 4 from 32 to 1024.")
    ] = 256,
    weights: o.Weights = None,
    recognizer: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Recognizer whose reading of each pair is shown. Default: the one that comes with miex.",
            rich_help_panel=o.MOTION,
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="127.0.0.1 or ::1: the studio is for this machine alone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port. Default: any that is free.", show_default=False)] = 0,
    landmarker: o.Landmarker = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Open pages in the browser that move a face by hand, or show a set. Ends with Ctrl-C."""
    from miex.api.studio import studio as start

    running = start(
        what, size=size, weights=weights, recognizer=recognizer, host=host, port=port, landmarker=landmarker,
        say=console.say,
    )  # fmt: skip
    with running:
        address = running.address
        console.show(as_json, {"address": address}, f"open in a browser on this machine: {address}\nCtrl-C ends it")
        sys.stdout.flush()  # a program that reads the address need not wait for the end
        try:
            running.wait()
        except console.Stopped:
            console.say("the studio is closed")
