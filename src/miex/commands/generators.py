"""The commands `miex generators …`: what moves the faces, in pictures."""

from pathlib import Path
from typing import Annotated

import typer

from miex.commands import console
from miex.commands import options as o
from miex.commands.group import Group
from miex.errors import UsageError

app = Group("Look at what moves the faces.")


@app.callback()
def generators() -> None:
    """Look at what moves the faces."""  # with a callback typer keeps a group of one command a group


@app.command("show")
def show(
    out: Annotated[Path, typer.Option(help="The picture, ending in .png.")],
    photo: Annotated[Path | None, typer.Argument(help="A photo with a face. Default: the embedded face.")] = None,
    au: Annotated[list[str] | None, typer.Option(help="AU or AU=INTENSITY: 12, L12=0.2. Default: intensity 1.")] = None,
    sheet: Annotated[bool, typer.Option("--sheet", help="All AUs, at three intensities, both sides and each.")] = False,
    faces: Annotated[Path | None, typer.Option(help="Folder of photos for the sheet, or a .txt list of them.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="How many of those photos, evenly spread.")] = 6,
    size: Annotated[int | None, typer.Option(min=64, help="Side of a face. Default: 512, on a sheet 192.")] = None,
    landmarker: o.Landmarker = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Draw the field of AUs on a face, or a sheet of all AUs."""
    from miex.api.render import generator_picture

    if sheet == bool(au):
        raise UsageError("generators show", expected="either --au 12 or --sheet", found="both" if au else "neither")
    aus = None if sheet else [text if "=" in text else f"{text}=1" for text in au or ()]
    with console.bars() as progress:
        made = generator_picture(
            out, aus=aus, photo=photo, faces=faces, n=n, size=size, landmarker=landmarker, progress=progress,
            say=console.say,
        )  # fmt: skip
    console.show(as_json, {"out": str(made)}, str(made))
