"""The commands `miex ganimation …`: trained networks that repaint faces."""

from pathlib import Path
from typing import Annotated

import typer

from miex.commands import console
from miex.commands import options as o
from miex.commands.group import Group
from miex.errors import InputError

app = Group("Use GANimation, a trained network that repaints a face by AUs.")


@app.callback()
def ganimation() -> None:
    """Use GANimation, a trained network that repaints a face by AUs."""  # a group of one command stays a group


@app.command("inspect")
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File of torch.save or of safetensors.")],
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Say what a checkpoint is, and whether miex can use it, without running any code in it."""
    from miex.api.ganimation import inspect as look

    found = look(file)
    console.show(as_json, found.plain(), str(found))
    if found.problems:
        raise typer.Exit(InputError.exit_code)
