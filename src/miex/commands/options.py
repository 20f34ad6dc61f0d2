"""Options that several commands share, and what people type in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from miex.commands import console
from miex.errors import UsageError

PANELS = FACES, AUS, MOTION, OUTPUT, RUN = "Faces", "AUs", "Motion", "Output", "Run"  # in the order of help

# faces
Faces = Annotated[
    Path | None,
    typer.Option(help="Folder of photos, or a .txt list of them. Default: the embedded face.", rich_help_panel=FACES),
]
FacesMoved = Annotated[Path | None, typer.Option("--faces", help="Where the photos are now, if they moved.")]
FacesCSV = Annotated[
    Path | None,
    typer.Option(help="CSV of licences. Default: a faces.csv beside the photos.", rich_help_panel=FACES),
]
FacesColumn = Annotated[
    list[str] | None,
    typer.Option(help="Column of that CSV: file=…, licence=…, attribution=…, kind=…, person=….", rich_help_panel=FACES),
]
MinInterOcular = Annotated[
    float, typer.Option(help="Smallest distance between the eyes in a photo, pixels.", rich_help_panel=FACES)
]
Ids = Annotated[
    int | None,
    typer.Option(help="Identities. Default: every photo. More than photos: the rest virtual.", rich_help_panel=FACES),
]
EyeLine = Annotated[
    float, typer.Option(help="Height of the eyes in the frame, fraction of its side.", rich_help_panel=FACES)
]
EyeMouth = Annotated[
    float,
    typer.Option(help="Distance from eyes to mouth, fraction of the frame's side.", rich_help_panel=FACES),
]
Landmarker = Annotated[
    Path | None, typer.Option(help="The landmark model's file. Default: found or fetched.", rich_help_panel=RUN)
]

# AUs
RealMiE = Annotated[
    list[str] | None,
    typer.Option(
        help="NAME=PATH of a micro-expression corpus: a pool of miex aus pool, or the corpus' folder.",
        rich_help_panel=AUS,
    ),
]
EarlyMaE = Annotated[
    list[str] | None,
    typer.Option(help="NAME=PATH of a macro-expression corpus: a pool, or the corpus' folder.", rich_help_panel=AUS),
]
CodedMiE = Annotated[
    list[str] | None,
    typer.Option(help="NAME=FILE: a corpus' annotation table, whose AU codes are used.", rich_help_panel=AUS),
]
Expert = Annotated[
    str,
    typer.Option(
        help="Expert table: micro, du2014, du2014-compound, mie-x-code, a TOML file, or none.", rich_help_panel=AUS
    ),
]
Mu = Annotated[
    float,
    typer.Option(help="Smallest intensity of expert AUs, and of coded ones without a letter.", rich_help_panel=AUS),
]
Nu = Annotated[float, typer.Option(help="Largest intensity of these.", rich_help_panel=AUS)]
AUOrigin = Annotated[
    str | None,
    typer.Option(
        help="relative: real AUs minus the person's rest; absolute: as extracted. Default: relative (muscle).",
        rich_help_panel=AUS,
    ),
]
EarlyWindow = Annotated[
    list[str] | None,
    typer.Option(
        help="Where early apexes are drawn from: paper, mie-x-code, and CORPUS=α:β for single corpora.",
        rich_help_panel=AUS,
    ),
]
EarlyOnset = Annotated[
    str,
    typer.Option(
        help="Onset of macro clips: first (frame), or rest (of the person), if they begin in mid-expression.",
        rich_help_panel=AUS,
    ),
]
AUNoise = Annotated[
    float,
    typer.Option(help="Largest random change of each AU that is on at the apex; 0: none.", rich_help_panel=AUS),
]
Triplets = Annotated[
    int | None,
    typer.Option(help="Distinct AU triplets in all. Default: one for each sample.", rich_help_panel=AUS),
]

# motion
Frames = Annotated[
    str,
    typer.Option(
        help="Frames of each sample: 2 (onset, apex), N evenly spaced, or all that --fps sees.",
        rich_help_panel=MOTION,
    ),
]
Until = Annotated[
    str,
    typer.Option(help="Last frame: apex, or offset (back at the onset; --frames 3 or more).", rich_help_panel=MOTION),
]
Fps = Annotated[float, typer.Option(help="Frames per second, for --frames all.", rich_help_panel=MOTION)]
Nuisances = Annotated[
    str,
    typer.Option(
        help="What is seen beside the expression: off, clean, face, all, or some of a level: all:blink,head.",
        rich_help_panel=MOTION,
    ),
]
GeneratorName = Annotated[
    str, typer.Option("--generator", help="What moves the faces: muscle.", rich_help_panel=MOTION)
]

# output
Out = Annotated[Path, typer.Option(help="Folder of the set.", rich_help_panel=OUTPUT)]
Per = Annotated[
    int | None,
    typer.Option(help="Samples per identity, class and source. Default: 1.", rich_help_panel=OUTPUT),
]
Samples = Annotated[int | None, typer.Option(help="Samples in all, in place of --per.", rich_help_panel=OUTPUT)]
Classes = Annotated[str, typer.Option(help="Classes, separated by commas.", rich_help_panel=OUTPUT)]
Size = Annotated[int, typer.Option(help="Side of the frames, pixels.", rich_help_panel=OUTPUT)]
Seed = Annotated[int, typer.Option(help="Seed of the set.", rich_help_panel=OUTPUT)]
FrameFormat = Annotated[
    str,
    typer.Option(help="png or webp (lossless), or jpeg (changes the motion's signal).", rich_help_panel=OUTPUT),
]
ShardSize = Annotated[
    int | None,
    typer.Option(min=1, help="Samples per shard. Default: about 1,000 frames' worth.", rich_help_panel=OUTPUT),
]

# run
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Processes. Default: one per processor.", rich_help_panel=RUN),
]
MaxFailed = Annotated[
    float,
    typer.Option(min=0, max=1, help="Largest fraction of samples that may fail.", rich_help_panel=RUN),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=RUN)]
# what is asked is done when it is read: commands take these two and do nothing with them
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Say nothing but the result and what goes wrong.", callback=console.be_quiet,
        expose_value=False, rich_help_panel=RUN,
    ),
]  # fmt: skip
Log = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Add what is said and done to this file.", callback=console.keep_log, expose_value=False,
        rich_help_panel=RUN,
    ),
]  # fmt: skip

SetFolder = Annotated[Path, typer.Argument(help="Folder of the set.")]
ALL_CLASSES = "negative,positive,surprise"


def pairs(given: Iterable[str] | None, option: str, form: str) -> list[tuple[str, str]]:
    """What stands before and after the first = of each text.

    Raises:
        UsageError: a text without one.
    """
    found = []
    for text in given or ():
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            raise UsageError(f"`{option}` {text}", expected=form)
        found.append((name, value))
    return found


def columns(given: Iterable[str] | None) -> dict[str, str]:
    """The columns of --faces-column. Raises UsageError for a text of another form."""
    return dict(pairs(given, "faces_column", "=NAME after one of file, licence, attribution, kind, person"))


def source_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options that name sources of AUs, taken out of a command's, as `miex.api.sources.named_sources` has them."""
    expert = options.pop("expert")
    return {
        "real": pairs(options.pop("real_mie"), "real_mie", "NAME=PATH"),
        "early": pairs(options.pop("early_mae"), "early_mae", "NAME=PATH"),
        "coded": pairs(options.pop("coded_mie"), "coded_mie", "NAME=FILE"),
        "table": None if expert == "none" else expert,
        "mu": options.pop("mu"),
        "nu": options.pop("nu"),
        "origin": options.pop("au_origin"),
        "window": options.pop("early_window") or (),
        "onset": options.pop("early_onset"),
        "noise": options.pop("au_noise"),
    }
