"""The commands `miex corpora …`: list, check, index and fake real corpora."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miex.commands import console
from miex.commands import options as o
from miex.commands.group import Group
from miex.errors import PartialFailureError

if TYPE_CHECKING:
    from miex.corpora.check import Report

app = Group("Read real corpora as their owners distribute them, or write fake ones.")

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of the corpus: one that miex corpora list prints, or any other for a corpus of your own.",
    ),
]
Where = Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the corpus, or only its annotation table.")]
TablePath = Annotated[Path | None, typer.Option(help="Annotation table to read instead of the one in the folder.")]
TreeName = Annotated[
    str | None,
    typer.Option(help="Which of several copies of the frames to read, by a part of their path, such as cropped."),
]
Mapping = Annotated[
    str, typer.Option(help="Mapping of emotions to labels, one of those that miex corpora list --mappings prints.")
]
NoCorrection = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ID",
        help="Correction not to apply: an id that miex corpora list --corrections prints, or all. Repeatable.",
    ),
]


@app.command("list")
def list_corpora(
    mappings: Annotated[
        bool, typer.Option("--mappings", help="List the mappings of emotions to classes instead.")
    ] = False,
    corrections: Annotated[
        bool, typer.Option("--corrections", help="List the corrections of annotations instead.")
    ] = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """List every corpus that can be read, and how to request it."""
    from miex.api.corpora import listed

    rows = listed("mappings" if mappings else "corrections" if corrections else "corpora")
    if as_json:
        console.show(True, rows, "")
    else:
        console.show_list(rows)


@app.command("check")
def check(
    name: Name,
    path: Where,
    table: TablePath = None,
    tree: TreeName = None,
    mapping: Mapping = "megc2019",
    no_correction: NoCorrection = None,
    images: Annotated[
        bool, typer.Option("--images", help="Open every frame, and list those that are damaged.")
    ] = False,
    workers: o.Workers = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Report what of a corpus is there, missing, broken or corrected."""
    from miex.api.corpora import inspect

    with console.bars() as progress:
        report = inspect(
            name, path, table=table, tree=tree, mapping=mapping, without=no_correction or (), images=images,
            workers=workers, progress=progress,
        )  # fmt: skip
    console.show(as_json, report.facts(), _text(report))
    if not report.good:
        raise typer.Exit(PartialFailureError.exit_code)


@app.command("index")
def index(
    name: Name,
    path: Where,
    out: Annotated[Path, typer.Option(help="File to write: .csv (which can be read back as a corpus) or .parquet.")],
    table: TablePath = None,
    tree: TreeName = None,
    mapping: Mapping = "megc2019",
    no_correction: NoCorrection = None,
    on_error: Annotated[
        str, typer.Option(help="Treatment of a row that cannot be read: raise an error, or skip it.")
    ] = "raise",
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Write a table of the clips: subject, frames, emotion, label and AUs of each."""
    from miex.api import corpora as api

    clips = api.read(
        name, path, table=table, tree=tree, mapping=mapping, without=no_correction or (), on_error=on_error
    )
    n = api.write_index(clips, out)
    console.show(as_json, {"out": str(out), "clips": n}, f"{n:,} clips: {out}")


@app.command("fake")
def fake(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the corpus, one that miex corpora list prints.")],
    path: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for the fake.")],
    table: Annotated[
        Path | None, typer.Option(help="Real annotation table: write only tiny frames, for the clips that it names.")
    ] = None,
    subjects: Annotated[int, typer.Option(help="Number of subjects.")] = 4,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Side of the square frames, in pixels.")] = 96,
    seed: Annotated[int, typer.Option(help="Random seed of the fake.")] = 0,
    strength: Annotated[
        float, typer.Option(help="Factor of all intensities: 1 for micro-expressions, 2 or more for macro-expressions.")
    ] = 1.0,
    generator: Annotated[str, typer.Option(help="Generator that moves the faces: muscle.")] = "muscle",
    landmarker: o.Landmarker = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Write a small fake corpus in the layout of the real one. Its faces are synthetic, and move."""
    from miex.api.corpora import fake as write

    with console.bars() as progress:
        made = write(
            name, path, table=table, subjects=subjects, size=size, seed=seed, strength=strength,
            generator=generator, landmarker=landmarker, progress=progress, say=console.say,
        )  # fmt: skip
    facts = {"corpus": made.corpus, "path": str(made.path), "events": made.events, "images": made.images}
    console.show(
        as_json, facts, f"{made.events:,} events, {made.images:,} images; to check it: miex corpora check {name} {path}"
    )


def _text(report: "Report") -> str:
    from miex.corpora.corpus import listed

    facts = report.facts()
    emotions = ", ".join(f"{name} {n}" for name, n in facts["emotions"].items())
    labels = ", ".join(f"{name} {n}" for name, n in facts["labels"].items())
    read = set() if facts["tree"] is None else set(facts["tree"].split(", "))  # the composite corpus reads several
    lines = [
        f"{report.corpus.title} in {report.path}",
        *(f"table: {table}" for table in facts["tables"]),
        *(f"not read: {table} (use --table to read it)" for table in facts["other_tables"]),
        *(
            f"frames: {name or report.path}, {n:,} clip folders" + (", read" if name in read else "")
            for name, n in facts["trees"].items()
        ),
        f"clips: {facts['clips']:,} of {facts['subjects']:,} subjects, {facts['with_frames']:,} with frames, "
        f"{facts['with_aus']:,} with AUs, {facts['without_apex']:,} without apex",
        f"emotions: {emotions}",
        f"labels: {labels}",
    ]
    if facts["missing_frames"]:
        lines.append(f"gaps: {facts['missing_frames']:,} frames are missing within clips")
    if facts["unnamed_folders"]:
        first = ", ".join(facts["unnamed_folders"][:3])
        lines.append(f"clip folders that no row names: {len(facts['unnamed_folders'])}, such as {first}")
    if facts["other_folders"]:
        lines.append(f"folders of images that are not of this layout: {listed(facts['other_folders'])}")
    if facts["opened"]:
        lines.append(f"frames opened: {facts['opened']:,}, {len(facts['damaged']):,} damaged")
    lines += [f"DAMAGED {text}" for text in facts["damaged"][:20]]
    lines += [f"noted: {what}, {n}" for what, n in facts["notes"].items()]
    times = Counter(report.reading.corrections)
    lines += [
        f"correction {c.id}: {c.field} {c.published} → {c.used}: {c.reason} ({c.source})"
        + (f", {n} rows" if n > 1 else "")
        for c, n in times.items()
    ]
    lines += [f"still packed: {path}" for path in facts["packed"]]
    if report.reading.tree is None:
        lines.append(f"no frames found: unpack them, or request them: {report.corpus.licence}")
    problems = report.reading.problems
    lines += [f"BROKEN {problem}" for problem in problems[:20]]
    lines += [f"… and {len(problems) - 20:,} more; --json lists all"] if len(problems) > 20 else []
    if problems:
        lines.append(f"broken rows: {len(problems)}")
    else:
        lines.append("every row can be read" + (", but no folder of images is of this layout" if report.lost else ""))
    return "\n".join(lines)
