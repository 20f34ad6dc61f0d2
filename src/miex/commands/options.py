"""Options that several commands share, and how their values are parsed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from miex.commands import console
from miex.errors import UsageError, one_of

if TYPE_CHECKING:
    from miex.executors.base import Executor

# in the order in which help shows them
PANELS = FACES, AUS, MOTION, DATA, TRAINING, OUTPUT, RUN = (
    "Faces",
    "AUs",
    "Motion",
    "Data",
    "Training",
    "Output",
    "Run",
)

# faces
Faces = Annotated[
    Path | None,
    typer.Option(
        help="Folder of photos, or a .txt file that lists them. Default: the embedded face.", rich_help_panel=FACES
    ),
]
FacesMoved = Annotated[Path | None, typer.Option("--faces", help="Folder of the photos, if they have been moved.")]
FacesCSV = Annotated[
    Path | None,
    typer.Option(
        help="CSV with the licence and attribution of each photo. Default: faces.csv beside the photos.",
        rich_help_panel=FACES,
    ),
]
FacesColumn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN=NAME",
        help="Name in that CSV of the column file, licence, attribution, kind or person. Repeatable.",
        rich_help_panel=FACES,
    ),
]
MinInterOcular = Annotated[
    float,
    typer.Option(help="Smallest distance between the eyes in a usable photo, in pixels.", rich_help_panel=FACES),
]
Quality = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Limit of a usable photo, off for none: max_yaw and max_pitch (30 degrees), max_outside (0.01 of the face "
        "outside the photo), min_score (0.6, of the face detector), min_light (20 of 255), min_sharpness (0.02), "
        "min_mouth (0.06) and min_eyes (0.04: contrast, against masks and sunglasses). Repeatable.",
        rich_help_panel=FACES,
    ),
]
LicenceAllow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="LICENCE",
        help="Licence of photos that may be used; all others are refused, unknown ones too. Repeatable. Default: any.",
        rich_help_panel=FACES,
    ),
]
Ids = Annotated[
    int | None,
    typer.Option(
        help="Number of identities; those beyond the number of photos are virtual: changed faces from the photos, for "
        "a face recognizer still the same people. Default: one per photo, or 12 of the embedded face.",
        rich_help_panel=FACES,
    ),
]
EyeLine = Annotated[
    float,
    typer.Option(
        help="Distance of the eyes from the top of the frame, as a fraction of its side.", rich_help_panel=FACES
    ),
]
EyeMouth = Annotated[
    float,
    typer.Option(help="Distance from eyes to mouth, as a fraction of the frame's side.", rich_help_panel=FACES),
]
Landmarker = Annotated[
    Path | None,
    typer.Option(
        help="File of the face landmark model. Default: the copy in the cache, fetched if it is missing.",
        rich_help_panel=RUN,
    ),
]
SFace = Annotated[
    Path | None,
    typer.Option(
        help="File of SFace, the face recognition network that identity is measured by. Default: the copy in the "
        "cache, fetched if it is missing.",
        rich_help_panel=RUN,
    ),
]

# AUs
RealMiE = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=PATH",
        help="AU source: onset and apex of real micro-expressions. NAME is a corpus, PATH its folder or its pool (see "
        "miex aus pool). Repeatable.",
        rich_help_panel=AUS,
    ),
]
EarlyMaE = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=PATH",
        help="AU source: early frames of macro-expressions. NAME is a corpus, PATH its folder or its pool. Repeatable.",
        rich_help_panel=AUS,
    ),
]
CodedMiE = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=FILE",
        help="AU source: AU codes of human coders. NAME is a corpus, FILE its annotation table. Repeatable.",
        rich_help_panel=AUS,
    ),
]
Expert = Annotated[
    str,
    typer.Option(
        metavar="TABLE",
        help="AU source: which AUs each emotion shows, by an expert table: micro-dfme, micro, dfme (sets of AUs, some "
        "on one side alone), du2014, du2014-compound, mie-x-code, a TOML file, or none.",
        rich_help_panel=AUS,
    ),
]
Mu = Annotated[
    float,
    typer.Option(
        help="Smallest intensity of AUs from an expert table, and of coded AUs without an intensity letter; above 0.",
        rich_help_panel=AUS,
    ),
]
Nu = Annotated[float, typer.Option(help="Largest intensity of those AUs; at most 1.", rich_help_panel=AUS)]
AUOrigin = Annotated[
    str | None,
    typer.Option(
        help="Zero point of real AUs: relative (to the person's resting face) or absolute (as extracted). Default: "
        "relative with the generator muscle, absolute with others.",
        rich_help_panel=AUS,
    ),
]
EarlyWindow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WINDOW",
        help="Part of a macro-expression from which the apex is drawn: paper (0.3 to 0.5 of its length), mie-x-code, "
        "or CORPUS=α:β for one corpus. Repeatable. Default: paper.",
        rich_help_panel=AUS,
    ),
]
EarlyOnset = Annotated[
    str,
    typer.Option(
        help="Onset of a macro-expression: first (its first frame), or rest (the person's resting face, for clips "
        "that begin mid-expression).",
        rich_help_panel=AUS,
    ),
]
AUNoise = Annotated[
    float,
    typer.Option(
        help="Largest random change of each AU that is on at the apex, from 0 (none) to 1.", rich_help_panel=AUS
    ),
]
Triplets = Annotated[
    int | None,
    typer.Option(
        help="Number of distinct AU triplets (onset, apex, label) in all. Default: one per sample.",
        rich_help_panel=AUS,
    ),
]

# motion
Frames = Annotated[
    str,
    typer.Option(
        metavar="N",
        help="Frames of each sample: 2 (onset and apex), 3 or more evenly spaced ones, or all (as many as a camera "
        "of --fps records).",
        rich_help_panel=MOTION,
    ),
]
Until = Annotated[
    str,
    typer.Option(
        help="Last frame of each sample: apex, or offset (the face is back at its onset; needs 3 frames or more).",
        rich_help_panel=MOTION,
    ),
]
Fps = Annotated[float, typer.Option(help="Frames per second with --frames all.", rich_help_panel=MOTION)]
Nuisances = Annotated[
    str,
    typer.Option(
        metavar="LEVEL",
        help="What changes besides the expression: off, clean, face or all; or only some of a level, such as "
        "all:blink,head.",
        rich_help_panel=MOTION,
    ),
]
GeneratorName = Annotated[
    str,
    typer.Option(
        "--generator", help="Generator that moves the faces: muscle, or ganimation (a trained network, with "
        "--weights).", rich_help_panel=MOTION,
    ),
]  # fmt: skip
Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Checkpoint of GANimation (see miex ganimation inspect). Default: the only one in the "
        "file or folder that MIEX_WEIGHTS names, and in the folder weights of the cache.",
        rich_help_panel=MOTION,
    ),
]  # fmt: skip
GeneratorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--generator-option", metavar="NAME=VALUE", help="What to choose of the generator; of muscle: "
        "basis=blendshapes, or mixed (each sample of a set draws its share of both; elsewhere half of each); of "
        "ganimation: precision=bfloat16, painted=SIDE (pixels), device=cuda. Repeatable.",
        rich_help_panel=MOTION,
    ),
]  # fmt: skip
WeightsMoved = Annotated[
    Path | None,
    typer.Option(
        "--weights", metavar="FILE", help="File of the generator's weights, if it has any. Default: found by its "
        "sha256, in the file or folder that MIEX_WEIGHTS names, or in the folder weights of the cache.",
    ),
]  # fmt: skip

# data
NoApex = Annotated[
    str,
    typer.Option(
        "--no-apex", help="Treatment of clips without an apex: refuse (an error), drop (leave them out), middle (the "
        "middle frame is the apex, as in MiE-X), or spot (where the face differs most from the onset).",
        rich_help_panel=DATA,
    ),
]  # fmt: skip
OnDamage = Annotated[
    str,
    typer.Option(
        "--on-error", help="Treatment of damaged samples of a set, and of clips that cannot be read, for no frames, a "
        "damaged one or no face in the onset: raise an error, or skip them, which are counted and named.",
        rich_help_panel=DATA,
    ),
]  # fmt: skip
Where = Annotated[
    str | None,
    typer.Option(
        metavar="QUERY",
        help="Take only the samples of sets that meet a query, such as \"label == 'positive' and AU12 >= 0.1\". It has "
        "==, !=, <, <=, >, >=, in, not in, and, or, not and parentheses; the columns of samples.parquet and of faces, "
        'such as licence or virtual; and AU1 … AU45, the coded intensities at the apex. "sample_id in @marked.txt" '
        "takes the values from a file, one a line.",
        rich_help_panel=DATA,
    ),
]

# output
Out = Annotated[
    Path, typer.Option(help="Folder of the set, or s3://bucket/folder (gs://, az://).", rich_help_panel=OUTPUT)
]
Per = Annotated[
    int | None,
    typer.Option(help="Samples per identity, class and source. Default: 1.", rich_help_panel=OUTPUT),
]
Samples = Annotated[
    int | None, typer.Option(help="Number of samples in all, instead of --per.", rich_help_panel=OUTPUT)
]
Classes = Annotated[
    str,
    typer.Option(
        help="Classes of the set, separated by commas: labels; or emotions, such as happiness,anger,fear; or the name "
        "of a mapping, such as emotion (7 classes), mmew-6 or samm-5 (see miex corpora list --mappings).",
        rich_help_panel=OUTPUT,
    ),
]
Size = Annotated[
    int,
    typer.Option(help="Side of the square frames, in pixels: a multiple of 4 from 32 to 1024.", rich_help_panel=OUTPUT),
]
Seed = Annotated[int, typer.Option(help="Random seed of the set.", rich_help_panel=OUTPUT)]
FrameFormat = Annotated[
    str,
    typer.Option(
        help="Image format of the frames: png or webp (lossless), or jpeg (compression alters small motion).",
        rich_help_panel=OUTPUT,
    ),
]
ShardSize = Annotated[
    int | None,
    typer.Option(min=1, help="Samples per shard. Default: as many as have about 1,000 frames.", rich_help_panel=OUTPUT),
]

# run
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Number of worker processes. Default: one per processor.", rich_help_panel=RUN),
]
Shards = Annotated[
    str | None,
    typer.Option(
        metavar="RANGES|I/N",
        help="Only these shards, so that several machines share the work: ranges such as 0-9,20-29, or the I-th of N "
        "parts, such as 3/8. The last run to end finishes the set.",
        rich_help_panel=RUN,
    ),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        help="Where samples are rendered: local (processes of this machine), or ray (the machines of a Ray cluster, "
        "which see the set and the photos under the same paths).",
        rich_help_panel=RUN,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Address of the Ray cluster. Default: RAY_ADDRESS, or the cluster of this machine, or a new one.",
        rich_help_panel=RUN,
    ),
]
MaxFailed = Annotated[
    float,
    typer.Option(min=0, max=1, help="Fraction of samples that may fail before the run stops.", rich_help_panel=RUN),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=RUN)]
# their callbacks do all the work: commands take these two and ignore them
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Print only the result, warnings and errors.", callback=console.be_quiet,
        expose_value=False, rich_help_panel=RUN,
    ),
]  # fmt: skip
Log = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="File to which messages and results are appended.", callback=console.keep_log,
        expose_value=False, rich_help_panel=RUN,
    ),
]  # fmt: skip

SetFolder = Annotated[Path, typer.Argument(metavar="SET", help="Folder of the set, or its address in a bucket.")]
ALL_CLASSES = "negative,positive,surprise"


def work(workers: int | None, executor: str, ray_address: str | None) -> int | Executor | None:
    """Where samples are rendered, as functions take it: a number of processes, or an executor.

    Raises:
        UsageError: an unknown executor, or the address of a cluster that is not used.
    """
    if one_of(executor, ("local", "ray"), "`executor`") == "local":
        if ray_address is not None:
            raise UsageError(f"`ray_address` {ray_address}", expected="with `executor` ray only")
        return workers
    from miex.executors.ray import RayCluster

    return RayCluster(ray_address, workers, say=console.say)


def pairs(given: Iterable[str] | None, option: str, form: str) -> list[tuple[str, str]]:
    """The parts of each text before and after its first =.

    Raises:
        UsageError: a text has no =, or nothing on one side of it.
    """
    found = []
    for text in given or ():
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            raise UsageError(f"`{option}` {text}", expected=form)
        found.append((name, value))
    return found


def named(given: Iterable[str] | None, option: str, form: str) -> dict[str, str]:
    """The same as a mapping. Raises UsageError if a name occurs twice, too."""
    found: dict[str, str] = {}
    for name, value in pairs(given, option, form):
        if name in found:
            raise UsageError(
                f"`{option}` {name}={value}", expected="each name once", found=f"{name}={found[name]}, too"
            )
        found[name] = value
    return found


def columns(given: Iterable[str] | None) -> dict[str, str]:
    """The columns of --faces-column. Raises UsageError for a text of another form."""
    return dict(pairs(given, "faces_column", "COLUMN=NAME, where COLUMN is file, licence, attribution, kind or person"))


def limits(given: Iterable[str] | None) -> dict[str, float | None]:
    """The limits of --quality. Raises UsageError for a text of another form."""
    found: dict[str, float | None] = {}
    for name, value in pairs(given, "quality", "NAME=VALUE"):
        try:
            found[name] = None if value == "off" else float(value)
        except ValueError:
            raise UsageError(f"`quality` {name}={value}", expected="a number, or off") from None
    return found


def generator_options(given: Iterable[str] | None) -> dict[str, Any]:
    """The options of --generator-option; digits are a number. Raises UsageError for a text of another form."""
    found = pairs(given, "generator_option", "NAME=VALUE")
    return {name: int(value) if value.isdecimal() else value for name, value in found}


def source_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options that name sources of AUs, removed from a command's, under their names in `named_sources`."""
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
