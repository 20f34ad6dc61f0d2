"""The commands `miex ganimation …`: trained networks that repaint faces."""

from pathlib import Path
from typing import Annotated

import typer

from miex.commands import console
from miex.commands import options as o
from miex.commands.group import Group
from miex.commands.training import Threads
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


@app.command("train")
def train(
    faces: Annotated[
        str,
        typer.Option(
            metavar="FACES",
            help="Folder of a set, whose AUs are known (macro range: made with --expert du2014 --mu 0.2 --nu 1 "
            "--nuisances off); folder of photos, with --aus or --openface; or a corpus as NAME=PATH.",
            rich_help_panel=o.DATA,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for log, curves, sheets and a checkpoint, and at the end generator.safetensors. Run the same "
            "command again to resume.",
            rich_help_panel=o.OUTPUT,
        ),
    ],
    au_table: Annotated[
        list[Path] | None,
        typer.Option(
            "--au-table",
            "--aus",
            metavar="TABLE",
            help="AUs of the photos (CSV files of OpenFace's FaceLandmarkImg, or a folder of them) or of the clips (as "
            "miex aus extract writes them). Repeatable. Default: AUs of clips are extracted.",
            rich_help_panel=o.DATA,
        ),
    ] = None,
    openface: Annotated[
        Path | None,
        typer.Option(help="Path of OpenFace's FeatureExtraction, to extract AUs.", rich_help_panel=o.DATA),
    ] = None,
    per_clip: Annotated[int, typer.Option(help="Most frames of a clip of a corpus.", rich_help_panel=o.DATA)] = 8,
    on_error: Annotated[
        str,
        typer.Option(
            help="Treatment of damaged samples of a set: raise an error, or skip them, which are counted and named.",
            rich_help_panel=o.DATA,
        ),
    ] = "raise",
    preset: Annotated[
        str,
        typer.Option(
            help="AUs that faces are repainted to: macro (those of another picture), or micro (changes as small as "
            "those of micro-expressions).",
            rich_help_panel=o.TRAINING,
        ),
    ] = "macro",
    size: Annotated[
        int, typer.Option(help="Side of the pictures in pixels, a multiple of 64.", rich_help_panel=o.TRAINING)
    ] = 128,
    epochs: Annotated[
        int | None,
        typer.Option(help="Epochs at full learning rate. Default: 20.", rich_help_panel=o.TRAINING),
    ] = None,
    decay_epochs: Annotated[
        int | None,
        typer.Option(help="Epochs after them, with a falling rate. Default: 10.", rich_help_panel=o.TRAINING),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Pictures per step. Default: 25.", rich_help_panel=o.TRAINING)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Learning rate of Adam. Default: 0.0001.", rich_help_panel=o.TRAINING)
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(
            help="Maps of the first layers; less makes a trial fast. Default: 64, as published.",
            rich_help_panel=o.TRAINING,
        ),
    ] = None,
    blocks: Annotated[
        int | None,
        typer.Option(help="Residual blocks of the generator. Default: 6, as published.", rich_help_panel=o.TRAINING),
    ] = None,
    mixed_precision: Annotated[
        bool, typer.Option("--mixed-precision", help="Compute in bfloat16.", rich_help_panel=o.TRAINING)
    ] = False,
    held_out: Annotated[
        float | None,
        typer.Option(help="Fraction of the people who are only looked at. Default: 0.05.", rich_help_panel=o.TRAINING),
    ] = None,
    look: Annotated[
        int | None,
        typer.Option(
            help="Steps between two looks at them. Default: 1000, or a twentieth of all steps if that is less.",
            rich_help_panel=o.TRAINING,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of weights and draws.", rich_help_panel=o.TRAINING)] = 0,
    device: Annotated[
        str | None, typer.Option(help="Torch device, such as cuda. Default: cpu.", rich_help_panel=o.RUN)
    ] = None,
    threads: Threads = 1,
    workers: o.Workers = None,
    landmarker: o.Landmarker = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Train a generator, with sheets and curves as it goes; it stops if the training collapses."""
    from miex.api.ganimation import train as fit

    with console.bars() as progress:
        made = fit(
            faces, out=out, au_table=au_table, openface=openface, per_clip=per_clip, preset=preset, size=size,
            epochs=epochs, decay_epochs=decay_epochs, batch=batch, learning_rate=learning_rate, width=width,
            blocks=blocks, mixed_precision=mixed_precision, held_out=held_out, look=look, seed=seed, device=device,
            on_error=on_error, threads=threads, workers=workers, landmarker=landmarker, progress=progress,
            say=console.say,
        )  # fmt: skip
    last = made.history[-1]
    facts = {"out": str(made.generator), **{name: last[name] for name in ("step", "attention", "realized", "au_error")}}
    text = (
        f"{last['step']:,} steps; on people held out: mean attention {last['attention']:.2f}, "
        f"{last['realized']:.0%} of the asked changes of AUs seen: {made.generator}"
    )
    console.show(as_json, facts, text)


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Checkpoint of a generator.")],
    out: Annotated[Path, typer.Option(help="File to write, ending in .onnx.")] = Path("generator.onnx"),
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Write a generator as an ONNX file, for programs without torch."""
    from miex.api.ganimation import export as write

    made = write(file, out)
    console.show(as_json, {"out": str(made)}, str(made))
