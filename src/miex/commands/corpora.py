"""The commands `miex corpora …`: real corpora in, reports, indexes and fakes out."""

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

app = Group("Read real corpora as their owners distribute them, or fake them.")

Name = Annotated[
    str, typer.Argument(help="Name of the corpus, as `miex corpora list` prints it; any other for one of your own.")
]
Where = Annotated[Path, typer.Argument(metavar="PATH", help="The corpus' folder, or its table alone.")]
TablePath = Annotated[Path | None, typer.Option(help="The annotation table, if another one is wanted.")]
TreeName = Annotated[str | None, typer.Option(help="Which frames: part of their path, such as cropped.")]
Mapping = Annotated[str, typer.Option(help="How emotions become labels, as `miex corpora list --mappings` prints it.")]
NoCorrection = Annotated[list[str] | None, typer.Option(help="A correction that is not wanted, by its id; or all.")]


@app.command("list")
def list_corpora(
    mappings: Annotated[bool, typer.Option("--mappings", help="Mappings of emotions to classes instead.")] = False,
    corrections: Annotated[bool, typer.Option("--corrections", help="Corrections of annotations instead.")] = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Every corpus that can be read, and how to ask for it."""
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
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """What is there, what is missing, which rows are broken, which corrections apply."""
    from miex.api.corpora import inspect

    report = inspect(name, path, table=table, tree=tree, mapping=mapping, without=no_correction or ())
    console.show(as_json, report.facts(), _text(report))
    if not report.good:
        raise typer.Exit(PartialFailureError.exit_code)


@app.command("index")
def index(
    name: Name,
    path: Where,
    out: Annotated[Path, typer.Option(help="The index: .csv (which reads back as the same clips) or .parquet.")],
    table: TablePath = None,
    tree: TreeName = None,
    mapping: Mapping = "megc2019",
    no_correction: NoCorrection = None,
    on_error: Annotated[str, typer.Option(help="What a broken row does: raise or skip.")] = "raise",
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Write one row per clip: subject, frames, emotion, label, AUs."""
    from miex.api import corpora as api

    clips = api.read(
        name, path, table=table, tree=tree, mapping=mapping, without=no_correction or (), on_error=on_error
    )
    n = api.write_index(clips, out)
    console.show(as_json, {"out": str(out), "clips": n}, f"{n:,} clips: {out}")


@app.command("fake")
def fake(
    name: Name,
    path: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    table: Annotated[
        Path | None, typer.Option(help="A real table: write tiny frames for what it names, nothing more.")
    ] = None,
    subjects: Annotated[int, typer.Option(help="How many people.")] = 4,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Side of the frames, pixels.")] = 96,
    seed: Annotated[int, typer.Option(help="Seed of the fake.")] = 0,
    generator: Annotated[str, typer.Option(help="What moves the faces: muscle.")] = "muscle",
    landmarker: o.Landmarker = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Write a small corpus in the true layout, quirks included, with synthetic faces that move."""
    from miex.api.corpora import fake as write

    with console.bars() as progress:
        made = write(
            name, path, table=table, subjects=subjects, size=size, seed=seed, generator=generator,
            landmarker=landmarker, progress=progress, say=console.say,
        )  # fmt: skip
    facts = {"corpus": made.corpus, "path": str(made.path), "events": made.events, "images": made.images}
    console.show(
        as_json, facts, f"{made.events:,} events, {made.images:,} images; look at it: miex corpora check {name} {path}"
    )


def _text(report: "Report") -> str:
    facts = report.facts()
    emotions = ", ".join(f"{name} {n}" for name, n in facts["emotions"].items())
    labels = ", ".join(f"{name} {n}" for name, n in facts["labels"].items())
    read = set() if facts["tree"] is None else set(facts["tree"].split(", "))  # the composite reads several
    lines = [
        f"{report.corpus.title} in {report.path}",
        *(f"table: {table}" for table in facts["tables"]),
        *(f"not read: {table} (--table reads it)" for table in facts["other_tables"]),
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
        lines.append(f"gaps: {facts['missing_frames']:,} frames are missing between others")
    if facts["unnamed_folders"]:
        first = ", ".join(facts["unnamed_folders"][:3])
        lines.append(f"{len(facts['unnamed_folders'])} clip folders are in no row: {first} …")
    lines += [f"noted: {what}, {n}" for what, n in facts["notes"].items()]
    times = Counter(report.reading.corrections)
    lines += [
        f"correction {c.id}: {c.field} {c.published} → {c.used}: {c.reason} ({c.source})"
        + (f", {n} rows" if n > 1 else "")
        for c, n in times.items()
    ]
    lines += [f"still packed: {path}" for path in facts["packed"]]
    if report.reading.tree is None:
        lines.append(f"no frames here: unpack them, or to get them: {report.corpus.licence}")
    problems = report.reading.problems
    lines += [f"BROKEN {problem}" for problem in problems[:20]]
    lines += [f"… and {len(problems) - 20:,} more: --json lists all"] if len(problems) > 20 else []
    lines.append("every row can be read" if report.good else f"broken rows: {len(problems)}")
    return "\n".join(lines)
