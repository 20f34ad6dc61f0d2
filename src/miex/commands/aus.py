"""The commands `miex aus …`: AUs of real clips, and plots of AUs."""

from pathlib import Path
from typing import Annotated

import typer

from miex.commands import console
from miex.commands import options as o
from miex.commands.group import Group
from miex.errors import UsageError, one_of

app = Group("Extract or import the AUs of real clips, pool them, and plot them.")

Licence = Annotated[str, typer.Option(help="Licence of these AUs, recorded in every set made with them.")]
Attribution = Annotated[str, typer.Option(help="Whom to credit for these AUs, recorded there too.")]
TableOut = Annotated[Path, typer.Option(help="AU table to write, .parquet.")]


@app.command("import")
def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="CSV", help="Tables of OpenFace, py-feat or LibreFace, or folders of them."),
    ],
    out: TableOut,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Program that wrote them: openface, openface3, libreface, py-feat. Default: told by the columns.",
        ),
    ] = None,
    version: Annotated[str, typer.Option(help="Version of that program, recorded in the table.")] = "",
    scale: Annotated[
        float | None, typer.Option(help="Largest value of the AU scale. Default: that of the program.")
    ] = None,
    first_frame: Annotated[
        int | None,
        typer.Option(min=0, max=1, help="Number of a clip's first frame, 0 or 1. Default: told by each file."),
    ] = None,
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Confidence below which a frame counts as failed.")
    ] = 0,
    licence: Licence = "",
    attribution: Attribution = "",
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Make an AU table from CSV files of other programs."""
    from miex.api.corpora import import_aus

    found = import_aus(
        paths, out, format_name=format_name, version=version, scale=scale, first_frame=first_frame,
        min_confidence=min_confidence, licence=licence, attribution=attribution,
    )  # fmt: skip
    if found.several_faces:
        console.say(
            f"{len(found.several_faces):,} clips show several faces, such as {found.several_faces[0]}: the face in "
            "most frames was taken"
        )
    if found.passed_over:
        verb = "file is no AU table" if len(found.passed_over) == 1 else "files are no AU tables"
        named = ", ".join(map(str, found.passed_over[:5]))
        console.say(f"{len(found.passed_over):,} {verb}, and passed over, such as {named}")
    if found.unseen_aus:
        console.say(f"AUs that are in no table: {', '.join(map(str, found.unseen_aus))}")
    facts = {
        "out": str(out), "format": found.format, "files": found.files, "clips": len(found.tracks),
        "frames": found.frames, "failed": found.failed, "several_faces": found.several_faces,
        "unseen_aus": found.unseen_aus, "passed_over": list(map(str, found.passed_over)),
    }  # fmt: skip
    text = f"{len(found.tracks):,} clips, {found.frames:,} frames ({found.failed:,} failed) of {found.format}: {out}"
    console.show(as_json, facts, text)


@app.command("extract")
def extract(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the corpus; any other name for one of your own.")
    ],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the corpus, or its clips.csv.")],
    out: TableOut,
    openface: Annotated[
        Path | None, typer.Option(help="Path of OpenFace's FeatureExtraction. Default: the embedded extractor is used.")
    ] = None,
    version: Annotated[str, typer.Option(help="Version of that OpenFace, recorded in the table.")] = "",
    licence: Licence = "",
    attribution: Attribution = "",
    on_error: Annotated[
        str,
        typer.Option(help="Treatment of clips without frames: raise an error, or skip them, which are named."),
    ] = "raise",
    workers: o.Workers = None,
    landmarker: o.Landmarker = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Extract the AUs of every clip of a corpus. Run it again to resume."""
    from miex.api.corpora import read, readable
    from miex.aus.tracks import Credit

    skip = one_of(on_error, ("raise", "skip"), "`on_error`") == "skip"
    clips = readable(name, path, console.say) if skip else read(name, path)
    with console.bars() as progress:
        seen = clips.extract(
            openface=openface, version=version, parts=out.with_name(f"{out.name}.parts"), workers=workers,
            landmarker=landmarker, progress=progress, say=console.say,
        )  # fmt: skip
    seen.save(out, Credit(licence, attribution))
    facts = {
        "out": str(out), "extractor": seen.extractor, "version": seen.version, "clips": len(seen.tracks),
        "frames": seen.frames, "failed": seen.failed,
    }  # fmt: skip
    text = (
        f"{len(seen.tracks):,} clips, {seen.frames:,} frames ({seen.failed:,} failed) by {seen.extractor} "
        f"{seen.version}: {out}"
    )
    console.show(as_json, facts, text)


@app.command("pool")
def pool(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE", help="AU tables of one corpus.")],
    corpus: Annotated[str, typer.Option(help="Name of the corpus, or any for your own.")],
    clips: Annotated[
        Path,
        typer.Option(
            help="Folder or table of the corpus; for a corpus of your own, a CSV with columns subject, clip, emotion "
            "and others (docs/your-corpus.md)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Pool to write, .parquet.")],
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=NAME", help="Name of a column in your CSV, such as subject=person. Repeatable."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EMOTION=LABEL",
            help="Label of an emotion in your CSV; emotions not named are left out. Repeatable. Default: the column "
            "label, or else the mapping megc2019.",
        ),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="Kind of your clips if no column says it: micro or macro. Default: micro.")
    ] = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Join AU tables with subjects and labels of their clips. Sources of real AUs draw from such a pool."""
    from miex.api.corpora import pool as join
    from miex.sources.pool import write_pool

    columns = dict(o.pairs(column, "column", "COLUMN=NAME"))
    labels = dict(o.pairs(label, "label", "EMOTION=LABEL"))
    made = join(tables, corpus, clips, columns=columns, labels=labels, kind=kind)
    write_pool(made, out)
    emotions = sorted({clip.emotion for clip in made.clips})
    facts = {
        "out": str(out),
        "emotions": {emotion: sum(clip.emotion == emotion for clip in made.clips) for emotion in emotions},
        "left_out": made.left_out,
        "corpora": made.facts,
    }
    for reason, n in made.left_out.items():
        console.say(f"{n:,} clips left out: {reason}")
    text = f"{len(made.clips):,} clips of {len({clip.person for clip in made.clips}):,} subjects: {out}"
    console.show(as_json, facts, text)


@app.command("show")
def show(
    folder: Annotated[
        Path | None, typer.Argument(metavar="SET", help="Set or plan whose AUs are plotted; without it, sources are.")
    ] = None,
    real_mie: o.RealMiE = None,
    early_mae: o.EarlyMaE = None,
    coded_mie: o.CodedMiE = None,
    expert: o.Expert = "none",
    mu: o.Mu = 0.1,
    nu: o.Nu = 0.3,
    au_origin: o.AUOrigin = None,
    early_window: o.EarlyWindow = None,
    early_onset: o.EarlyOnset = "first",
    au_noise: o.AUNoise = 0,
    n: Annotated[
        int, typer.Option("--samples", min=1, help="Number of AU triplets drawn per source and class.")
    ] = 1000,
    recovered: Annotated[
        bool, typer.Option("--recovered", help="Also compare the AUs read from the set's frames with its plan.")
    ] = False,
    pairs: Annotated[int, typer.Option(min=1, help="Number of pairs to read with --recovered.")] = 300,
    seed: Annotated[int, typer.Option(help="Random seed of what is drawn.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the plots.")] = Path("aus"),
    workers: o.Workers = None,
    landmarker: o.Landmarker = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Plot AUs of a set or of sources: histograms, co-occurrence, sources side by side."""
    asked = o.source_options(locals())
    from miex.api.aus import pictures_of_set, pictures_of_sources
    from miex.api.sources import named_sources

    if recovered and folder is None:
        raise UsageError("`recovered`", expected="the folder of a finished set", found="none given")
    with console.bars() as progress:
        if folder is not None:
            made = pictures_of_set(
                folder, out, recovered=recovered, pairs=pairs, seed=seed, workers=workers, landmarker=landmarker,
                progress=progress, say=console.say,
            )  # fmt: skip
        else:
            sources = named_sources(**asked, workers=workers, landmarker=landmarker, progress=progress, say=console.say)
            made = pictures_of_sources(sources, out, samples=n, seed=seed)
    written = list(map(str, made.pictures))
    facts = {"pictures": written} if made.recovered is None else {"pictures": written, "recovered": made.recovered}
    console.show(as_json, facts, "\n".join(written))
