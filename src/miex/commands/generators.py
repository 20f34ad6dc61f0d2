"""The commands `miex generators …`: pictures of what generators do."""

from pathlib import Path
from typing import Annotated

import typer

from miex.commands import console
from miex.commands import options as o
from miex.commands.group import Group
from miex.errors import UsageError

app = Group("Show what generators do to a face.")


@app.callback()
def generators() -> None:
    """Show what generators do to a face."""  # with a callback typer keeps a group of one command a group


@app.command("show")
def show(
    out: Annotated[Path, typer.Option(help="Picture to write, ending in .png.")],
    photo: Annotated[
        Path | None, typer.Argument(metavar="PHOTO", help="Photo with a face. Default: the embedded face.")
    ] = None,
    au: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AU[=INTENSITY]",
            help="AU to draw: 12, or L12=0.2 for the person's left side alone. Repeatable. Default intensity: 1.",
        ),
    ] = None,
    sheet: Annotated[
        bool, typer.Option("--sheet", help="Draw all AUs instead: three intensities, both sides and each alone.")
    ] = False,
    faces: Annotated[
        Path | None, typer.Option(help="Folder of photos for the sheet, or a .txt file that lists them.")
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Number of those photos to use, evenly spread.")] = 2,
    size: Annotated[
        int | None,
        typer.Option(
            min=64,
            help="Side of each face, in pixels. Default: 512. On a sheet, which has at most 6 million pixels, the most "
            "that it may be; default: 192.",
        ),
    ] = None,
    generator_option: o.GeneratorOption = None,
    landmarker: o.Landmarker = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Draw how AUs move the skin of a face, or a sheet of all AUs."""
    from miex.api.render import generator_picture

    if sheet == bool(au):
        raise UsageError("generators show", expected="either --au or --sheet", found="both" if au else "neither")
    with console.bars() as progress:
        made = generator_picture(
            out, aus=None if sheet else au, photo=photo, faces=faces, n=n, size=size,
            generator_options=o.generator_options(generator_option), landmarker=landmarker, progress=progress,
            say=console.say,
        )  # fmt: skip
    console.show(as_json, {"out": str(made)}, str(made))
