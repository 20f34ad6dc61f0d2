"""The commands `miex corpora …`: real corpora in, reports, indexes and fakes out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from miex import console
from miex.errors import PartialFailureError

if TYPE_CHECKING:
    from rich.console import Console

    from miex.corpora.check import Report

app = typer.Typer(no_args_is_help=True, help="Read real corpora as their owners distribute them, or fake them.")

Name = Annotated[
    str, typer.Argument(help="Name of the corpus, as `miex corpora list` prints it; any other for one of your own.")
]
Where = Annotated[Path, typer.Argument(metavar="PATH", help="The corpus' folder, or its table alone.")]
TablePath = Annotated[Path | None, typer.Option(help="The annotation table, if another one is wanted.")]
TreeName = Annotated[str | None, typer.Option(help="Which frames: part of their path, such as cropped.")]
Mapping = Annotated[str, typer.Option(help="How emotions become labels, as `miex corpora list --mappings` prints it.")]
NoCorrection = Annotated[list[str] | None, typer.Option(help="A correction that is not wanted, by its id; or all.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


@app.command("list")
def list_corpora(
    mappings: Annotated[bool, typer.Option("--mappings", help="Mappings of emotions to classes instead.")] = False,
    corrections: Annotated[bool, typer.Option("--corrections", help="Corrections of annotations instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Every corpus that can be read, and how to ask for it."""
    from dataclasses import asdict

    from miex.corpora.catalog import corpora
    from miex.corpora.corrections import all_corrections
    from miex.corpora.mappings import mappings as all_mappings

    if mappings:
        rows = [
            {"name": m.name, "gives": m.title, "for": ", ".join(m.corpora), "source": m.source}
            for m in all_mappings().values()
        ]
    elif corrections:
        rows = [asdict(correction) for correction in all_corrections()]
        rows = [{k: row[k] for k in ("id", "field", "published", "used", "reason", "source")} for row in rows]
    else:
        rows = [
            {"name": c.name, "corpus": c.title, "fps": f"{c.fps:g}" if c.fps else "", "to get it": c.licence}
            for c in corpora().values()
        ]
    _table(rows, as_json)


@app.command("check")
def check(
    name: Name,
    path: Where,
    table: TablePath = None,
    tree: TreeName = None,
    mapping: Mapping = "megc2019",
    no_correction: NoCorrection = None,
    as_json: AsJson = False,
) -> None:
    """What is there, what is missing, which rows are broken, which corrections apply."""
    from miex.corpora.catalog import corpus_at
    from miex.corpora.check import check as check_corpus

    report = check_corpus(
        corpus_at(name, path), path, table=table, tree=tree, mapping=mapping, without=no_correction or ()
    )
    if as_json:
        console.show(True, report.facts(), "")
    else:
        _show(report)
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
    as_json: AsJson = False,
) -> None:
    """Write one row per clip: subject, frames, emotion, label, AUs."""
    from miex.corpora.catalog import read
    from miex.corpora.index import write_index

    reading = read(name, path, table=table, tree=tree, mapping=mapping, without=no_correction or (), on_error=on_error)
    n = write_index(reading.clips, out)
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
    landmarker: Annotated[
        Path | None, typer.Option(help="The landmark model's file. Default: found or fetched.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a small corpus in the true layout, quirks included, with synthetic faces that move."""
    from miex.corpora.catalog import corpus_named
    from miex.corpora.fakes.write import fake_frames_of, write_fake
    from miex.dataset.frames import encode_image

    corpus = corpus_named(name)
    if table is not None:
        made = fake_frames_of(corpus, path, table, encode_image)
    else:
        from miex.faces.align import align_photo
        from miex.faces.crop import CropOptions
        from miex.faces.landmarks import find_model
        from miex.faces.photos import default_pool, list_photos
        from miex.generators.people import actors
        from miex.generators.registry import make_generator

        photo = default_pool() / list_photos(default_pool())[0]
        face = align_photo(photo, find_model(landmarker, say=console.say), CropOptions(size))
        with console.bar("faking", "clips") as move:
            made = write_fake(
                corpus, path, actors(face, make_generator(generator), seed), encode_image, subjects=subjects,
                seed=seed, progress=move,
            )  # fmt: skip
    facts = {"corpus": made.corpus, "path": str(made.path), "events": made.events, "images": made.images}
    console.show(
        as_json, facts, f"{made.events:,} events, {made.images:,} images; look at it: miex corpora check {name} {path}"
    )


def _table(rows: list[dict[str, Any]], as_json: bool) -> None:
    import json

    from rich.table import Table

    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(rows[0]):
        table.add_column(column, overflow="fold", no_wrap=i == 0)
    for row in rows:
        table.add_row(*(str(value).replace("[", r"\[") for value in row.values()))
    _console().print(table)


def _console() -> Console:
    import sys

    from rich.console import Console

    # a pipe gets whole lines
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 200)


def _show(report: Report) -> None:
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
    print("\n".join(lines))
