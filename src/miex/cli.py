"""The command line: parse → config → one library call. Heavy imports wait until a command needs them."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from functools import partial, wraps
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from miex import __version__, cli_aus, cli_corpora, cli_generators, console
from miex.cli_train import add_training
from miex.errors import InputError, MiexError, OutputError, PartialFailureError, UsageError, one_of

if TYPE_CHECKING:
    import pyarrow as pa

    from miex.faces.credits import FaceCSV
    from miex.faces.index import Quality
    from miex.quality.audit import Audit
    from miex.synthesis.estimate import Estimate
    from miex.synthesis.run import Summary

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # an error that is not ours is a bug: its plain trace belongs in the report
    help="Face images and action units in, labelled micro-expression data out.",
)
faces_app = typer.Typer(no_args_is_help=True, help="Look through a folder of photos.")
app.add_typer(faces_app, name="faces")
app.add_typer(cli_aus.app, name="aus")
app.add_typer(cli_corpora.app, name="corpora")
app.add_typer(cli_generators.app, name="generators")

DEFAULT_IDS = 12  # identities made from the embedded face when nothing is asked for

# Options that several commands share.
Faces = Annotated[
    Path | None, typer.Option(help="Folder of photos, or a .txt list of them. Default: the embedded face.")
]
FacesCSVPath = Annotated[Path | None, typer.Option(help="CSV of licences. Default: a faces.csv beside the photos.")]
FacesColumn = Annotated[
    list[str] | None, typer.Option(help="Column of that CSV: file=…, licence=…, attribution=…, kind=…, person=….")
]
MinInterOcular = Annotated[float, typer.Option(help="Smallest distance between the eyes in a photo, pixels.")]
Landmarker = Annotated[Path | None, typer.Option(help="The landmark model's file. Default: found or fetched.")]
Out = Annotated[Path, typer.Option(help="Folder of the set.")]
Ids = Annotated[int | None, typer.Option(help="Identities. Default: every photo. More than photos: the rest virtual.")]
Per = Annotated[int | None, typer.Option(help="Samples per identity, class and source. Default: 1.")]
Samples = Annotated[int | None, typer.Option(help="Samples in all, in place of --per.")]
Triplets = Annotated[int | None, typer.Option(help="Distinct AU triplets in all. Default: one for each sample.")]
Classes = Annotated[str, typer.Option(help="Classes, separated by commas.")]
Size = Annotated[int, typer.Option(help="Side of the frames, pixels.")]
EyeLine = Annotated[float, typer.Option(help="Height of the eyes in the frame, fraction of its side.")]
EyeMouth = Annotated[float, typer.Option(help="Distance from eyes to mouth, fraction of the frame's side.")]
Seed = Annotated[int, typer.Option(help="Seed of the set.")]
Frames = Annotated[
    str, typer.Option(help="Frames of each sample: 2 (onset, apex), N evenly spaced, or all that --fps sees.")
]
Until = Annotated[str, typer.Option(help="Last frame: apex, or offset (back at the onset; --frames 3 or more).")]
Fps = Annotated[float, typer.Option(help="Frames per second, for --frames all.")]
FrameFormat = Annotated[str, typer.Option(help="png or webp (lossless), or jpeg (changes the motion's signal).")]
Nuisances = Annotated[
    str,
    typer.Option(help="What is seen beside the expression: off, clean, face, all, or some of a level: all:blink,head."),
]
ShardSize = Annotated[int | None, typer.Option(min=1, help="Samples per shard. Default: about 1,000 frames' worth.")]
GeneratorName = Annotated[str, typer.Option("--generator", help="What moves the faces: muscle.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes. Default: one per processor.")]
MaxFailed = Annotated[float, typer.Option(min=0, max=1, help="Largest fraction of samples that may fail.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a summary as JSON.")]
SetFolder = Annotated[Path, typer.Argument(help="Folder of the set.")]

_ALL = "negative,positive,surprise"


def _plan(
    out: Out = Path("mie-x"),
    faces: Faces = None,
    faces_csv: FacesCSVPath = None,
    faces_column: FacesColumn = None,
    min_inter_ocular: MinInterOcular = 30,
    ids: Ids = None,
    per: Per = None,
    samples: Samples = None,
    triplets: Triplets = None,
    classes: Classes = _ALL,
    size: Size = 128,
    eye_line: EyeLine = 0.38,
    eye_mouth: EyeMouth = 0.34,
    seed: Seed = 0,
    real_mie: cli_aus.RealMiE = None,
    early_mae: cli_aus.EarlyMaE = None,
    coded_mie: cli_aus.CodedMiE = None,
    expert: cli_aus.Expert = "micro",
    mu: cli_aus.Mu = 0.1,
    nu: cli_aus.Nu = 0.3,
    au_origin: cli_aus.AUOrigin = None,
    early_window: cli_aus.EarlyWindow = None,
    early_onset: cli_aus.EarlyOnset = "first",
    au_noise: cli_aus.AUNoise = 0,
    frames: Frames = "2",
    until: Until = "apex",
    fps: Fps = 200,
    nuisances: Nuisances = "face",
    shard_size: ShardSize = None,
    frame_format: FrameFormat = "png",
    generator: GeneratorName = "muscle",
    workers: Workers = None,
    landmarker: Landmarker = None,
) -> tuple[str, int]:
    """Write a plan: its digest, and how many samples. Its parameters are the options of all commands that plan."""
    from dataclasses import asdict

    from miex.dataset.plan_file import read_plan
    from miex.faces.index import Quality, write_refused
    from miex.faces.photos import default_pool
    from miex.generators.registry import describe, make_generator
    from miex.nuisances.columns import nuisances_of
    from miex.plan.rows import build_plan
    from miex.plan.triplets import distinct_triplets
    from miex.sources.timing import UNTIL
    from miex.synthesis.adopt import adopt_plan

    if per is not None and samples is not None:
        raise UsageError(f"--per {per} and --samples {samples}", expected="one of them: both say how many samples")
    config = _config(
        ids=DEFAULT_IDS if ids is None and faces is None else ids,
        per=1 if per is None else per,
        samples=samples,
        triplets=triplets,
        classes=tuple(name.strip() for name in classes.split(",")),
        size=size,
        eye_line=eye_line,
        eye_mouth=eye_mouth,
        seed=seed,
        frames=frames,
        until=one_of(until, UNTIL, "--until"),
        fps=fps,
        nuisances=nuisances,
        shard_size=shard_size,
        frame_format=frame_format,
    )
    moves = make_generator(generator)
    if "asymmetry" in nuisances_of(nuisances).names:
        moves.require_sides(f"nuisances {nuisances}")
    sources = cli_aus.build_sources(
        real_mie=real_mie, early_mae=early_mae, coded_mie=coded_mie, expert=expert, mu=mu, nu=nu,
        # muscle adds to the template's own rest; what is learned from real AUs (GANimation) takes them as they are
        origin=au_origin or ("relative" if generator == "muscle" else "absolute"),
        early_window=early_window, early_onset=early_onset, au_noise=au_noise, workers=workers, landmarker=landmarker,
    )  # fmt: skip
    pool = faces or default_pool()
    quality = Quality(min_inter_ocular)
    index = _index(pool, _csv(pool, faces_csv, faces_column), quality, workers, landmarker)
    refused = index.num_rows - index["reason"].to_pylist().count("")
    several = sum(n > 1 for n in index["n_faces"].to_pylist())
    with console.bar("planning", "samples") as move:
        made = build_plan(
            config, index, sources, describe(moves), faces_root=str(_root(pool)),
            chosen_by={"quality": asdict(quality)},
            progress=move,
        )  # fmt: skip
        adopted = adopt_plan(made, out)
    n_virtual = sum(made.faces["virtual"].to_pylist())
    console.say(
        f"{index.num_rows:,} photos, {index.num_rows - refused:,} usable"
        + (f"; {several:,} show several faces: the largest is taken" if several else "")
        + f"; {made.faces.num_rows:,} identities"
        + (f", {n_virtual:,} of them virtual" if n_virtual else "")
        + f"; {made.n_rows:,} samples"
    )
    if config.frame_format == "jpeg":
        console.say(
            "jpeg: compression changes the onset → apex difference by a quarter (12 to 52 %) at micro intensity"
        )
    if triplets is not None and (found := distinct_triplets(read_plan(out).shards())) < min(triplets, made.n_rows):
        console.say(
            f"{triplets:,} AU triplets asked for, {found:,} there: real clips give no more; --au-noise makes more"
        )
    if adopted.was_there:
        console.say(f"{out} holds this plan: going on with it")
    listed = write_refused(index, out)
    if listed:
        console.say(f"{refused:,} photos refused: {listed}")
    return adopted.digest, made.n_rows


def _options_of(planned: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options of a function before its own; they come as its keywords."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def called(**values: Any) -> None:
            command(**values)

        every = [p for f in (planned, command) for p in signature(f, eval_str=True).parameters.values()]
        options = [p for p in every if p.kind is not p.VAR_KEYWORD]
        called.__signature__ = Signature(options)  # type: ignore[attr-defined]  # what typer reads
        called.__annotations__ = {p.name: p.annotation for p in options}
        return called

    return decorate


@app.command()
@_options_of(_plan)
def synthesize(max_failed: MaxFailed = 0.01, as_json: AsJson = False, **options: Any) -> None:
    """From photos to a set: plan, render, gallery, dataset card. Run it again to resume."""
    digest, _ = _plan(**options)
    _run(options["out"], None, options["workers"], max_failed, as_json, digest=digest)


@app.command()
@_options_of(_plan)
def plan(as_json: AsJson = False, **options: Any) -> None:
    """Write the plan of a set, without rendering anything."""
    digest, rows = _plan(**options)
    out = options["out"]
    console.show(as_json, {"out": str(out), "plan": digest, "samples": rows}, f"miex run {out} makes it")


@app.command()
def run(
    folder: Annotated[Path, typer.Argument(metavar="PLAN", help="Folder of a plan.")],
    faces: Annotated[Path | None, typer.Option(help="Where the photos are now, if they moved.")] = None,
    workers: Workers = None,
    max_failed: MaxFailed = 0.01,
    as_json: AsJson = False,
) -> None:
    """Make what is missing of a plan."""
    _run(folder, faces, workers, max_failed, as_json)


@app.command()
def repair(
    folder: SetFolder,
    faces: Annotated[Path | None, typer.Option(help="Where the photos are now, if they moved.")] = None,
    workers: Workers = None,
    max_failed: MaxFailed = 0.01,
    as_json: AsJson = False,
) -> None:
    """Look at every shard of a set, and make again what is damaged, missing or failed."""
    _run(folder, faces, workers, max_failed, as_json, repair=True)


@app.command()
def verify(folder: SetFolder, workers: Workers = None, as_json: AsJson = False) -> None:
    """Check every byte of a set against its records, and every sample against its plan."""
    from miex.dataset.verify import verify as verify_set

    with console.bar("verifying", "shards") as move:
        found = verify_set(folder, executor=console.executor(workers), progress=move)
    for problem in found.problems:
        console.say(problem)
    facts = {
        "samples": found.samples,
        "failed": found.failed,
        "identical": found.identical,
        "problems": list(found.problems),
    }
    verdict = "clean" if not found.problems else f"{len(found.problems)} problems"
    console.show(
        as_json,
        facts,
        f"{found.samples:,} samples, {found.failed} not made, {found.identical} identical pairs: {verdict}",
    )
    if found.problems:
        raise typer.Exit(PartialFailureError.exit_code)


@app.command()
def report(
    folder: SetFolder,
    n: Annotated[int, typer.Option("--samples", min=1, help="Samples on the sheet.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of their choice.")] = 0,
    audit: Annotated[
        int, typer.Option(min=0, help="Samples whose frames are measured: AUs realized, identity kept. 0: none.")
    ] = 60,
    faces: Annotated[Path | None, typer.Option(help="Where the photos are now, if they moved.")] = None,
    workers: Workers = None,
    landmarker: Landmarker = None,
    as_json: AsJson = False,
) -> None:
    """Write README.md and gallery.html of a set, and measure on a random subsample what its frames show."""
    from miex.report.build import write_report

    measured = _audit(folder, audit, seed, faces, workers, landmarker) if audit else None
    gallery = write_report(folder, n=n, seed=seed, audit=measured)
    facts: dict[str, Any] = {"gallery": str(gallery)}
    if measured:
        from miex.quality.audit import describe_audit

        facts["measured"] = describe_audit(measured)
    console.show(as_json, facts, str(gallery))


def _audit(folder: Path, n: int, seed: int, faces: Path | None, workers: int | None, landmarker: Path | None) -> Audit:
    from miex.faces.landmarks import find_model
    from miex.quality.audit import audit_set

    try:
        model = find_model(landmarker, say=console.say)
    except InputError as error:
        if landmarker:  # a file that was named is wanted
            raise
        console.say(f"AUs and identity are left out of the report: {error}")
        model = None
    with console.bar("measuring frames", "samples") as move:
        measured = audit_set(
            folder, n=n, seed=seed, model=model, faces_root=_root(faces) if faces else None,
            executor=console.executor(workers), progress=move,
        )  # fmt: skip
    for note in measured.notes:
        console.say(note)
    return measured


@app.command()
def export(
    folder: SetFolder,
    out: Annotated[Path, typer.Option(help="The file, ending in .npz; for a folder its path.")],
    to: Annotated[
        str,
        typer.Option(help="flow: 28 × 28 maps of u, v and strain from onset to apex. folder: every frame, a table."),
    ] = "flow",
    flow: Annotated[str, typer.Option(help="dis, tvl1 or farneback.")] = "dis",
    seed: Annotated[int, typer.Option(help="Seed of the crops.")] = 0,
    side: Annotated[int, typer.Option(min=8, help="Side of the maps; the convention's is 28.")] = 28,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Turn a set into what a recognizer takes."""
    from miex.dataset import open as open_set
    from miex.dataset.export.folder import export_folder
    from miex.recognition.flow_file import flow_set, write_flow_set
    from miex.recognition.inputs.flow import METHODS

    if to not in ("flow", "folder"):
        raise UsageError(f"--to {to}", expected="flow or folder")
    dataset = open_set(folder)
    if to == "folder":
        with console.bar("writing", "samples") as move:
            n = export_folder(dataset, out, progress=move)
        facts = {"out": str(out), "samples": len(dataset), "frames": n}
        console.show(as_json, facts, f"{len(dataset):,} samples, {n:,} frames: {out}")
        return
    with console.bar("computing flow", "samples") as move:
        maps = flow_set(
            dataset, method=one_of(flow, METHODS, "flow"), seed=seed, side=side, executor=console.executor(workers),
            progress=move,
        )  # fmt: skip
    write_flow_set(maps, out)
    console.show(as_json, {"out": str(out), "samples": len(maps["label"])}, f"{len(maps['label']):,} maps: {out}")


@app.command()
def render(
    photo: Annotated[Path, typer.Argument(help="A photo with a face.")],
    au: Annotated[list[str], typer.Option(help="AU=INTENSITY: 12=0.2; one side: L12=0.2, R4=0.5.")],
    out: Annotated[Path, typer.Option(help="Folder for onset.png, apex.png, flicker.webp.")] = Path("render"),
    size: Size = 256,
    generator: GeneratorName = "muscle",
    landmarker: Landmarker = None,
    as_json: AsJson = False,
) -> None:
    """Move one face by hand."""
    from dataclasses import asdict

    from miex.aus.vector import parse
    from miex.faces.align import align_photo
    from miex.faces.crop import CropOptions
    from miex.faces.landmarks import find_model
    from miex.generators.registry import make_generator
    from miex.synthesis.preview import FLICKER_FILE, preview, write_preview

    aus = parse(au)
    face = align_photo(photo, find_model(landmarker, say=console.say), CropOptions(_config(size=size).size))
    made = preview(face, aus, make_generator(generator))
    write_preview(made, out)
    facts = asdict(made.measures)
    if made.measures.identical:  # JSON knows no infinity
        facts["psnr"] = None
    text = f"motion {made.measures.motion_p95_px:.2f} px (95th percentile): {out / FLICKER_FILE}"
    console.show(as_json, {"out": str(out), **facts}, text)


@app.command()
def doctor(
    landmarker: Landmarker = None, fetch: Annotated[bool, typer.Option(help="Fetch what is missing.")] = False
) -> None:
    """Say what is there and what is missing."""
    from miex.doctor import examine

    findings = list(examine(landmarker, fetch=fetch, say=console.say))
    for finding in findings:
        state = "ok" if finding.good else "MISSING" if finding.needed else "-"
        print(f"{state:7} {finding.name}: {finding.text}")
    if any(finding.needed and not finding.good for finding in findings):
        raise typer.Exit(1)


@faces_app.command("index")
def faces_index(
    folder: Annotated[Path, typer.Argument(help="Folder of photos.")],
    out: Annotated[Path | None, typer.Option(help="Write the index there (.parquet or .csv).")] = None,
    faces_csv: FacesCSVPath = None,
    faces_column: FacesColumn = None,
    min_inter_ocular: MinInterOcular = 30,
    workers: Workers = None,
    landmarker: Landmarker = None,
    as_json: AsJson = False,
) -> None:
    """Find the faces in a folder; say which photos cannot be used, and why."""
    from miex.faces.index import Quality, write_index

    index = _index(folder, _csv(folder, faces_csv, faces_column), Quality(min_inter_ocular), workers, landmarker)
    if out:
        write_index(index, out)
    rows = index.select(["path", "n_faces", "reason", "detail"]).to_pylist()
    refused = [{key: row[key] for key in ("path", "reason", "detail")} for row in rows if row["reason"]]
    if not as_json:
        for row in rows:
            if row["reason"]:
                print(f"{row['path']}: {row['reason']}" + (f" ({row['detail']})" if row["detail"] else ""))
            elif row["n_faces"] > 1:
                print(f"{row['path']}: {row['n_faces']} faces, the largest is taken")
    facts = {"photos": index.num_rows, "usable": index.num_rows - len(refused), "refused": refused}
    console.show(as_json, facts, f"{facts['usable']:,} of {facts['photos']:,} photos can be used")


@faces_app.command("list")
def faces_list(
    folder: Annotated[Path, typer.Argument(help="Folder of a face pool: CelebA, FFHQ, LFW, EmotioNet, or any other.")],
    out: Annotated[Path, typer.Option(help="The list, .txt; it must lie in FOLDER. Use it as --faces.")],
    where: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE: partition=train, or an attribute: Smiling=no (CelebA).")
    ] = None,
) -> None:
    """List the photos of a face pool that pass filters."""
    from miex.faces.layouts import find_layout
    from miex.faces.photos import list_photos, write_list

    photos = list_photos(folder)
    known = find_layout(folder)
    filters = dict(entry.split("=", 1) for entry in where or [] if "=" in entry)
    wrong = next((entry for entry in where or [] if "=" not in entry), None)
    if wrong or (filters and known is None):
        raise UsageError(f"--where {wrong or where}", expected="NAME=VALUE, and a pool whose layout is known")
    chosen = known.select(photos, filters) if known else photos
    write_list(chosen, folder, out)
    print(f"{len(chosen):,} of {len(photos):,} photos of {known.layout.title if known else folder}: {out}")


@faces_app.command("frontal")
def faces_frontal(
    folder: Annotated[Path, typer.Argument(help="Folder of photos.")],
    n: Annotated[int, typer.Option("--ids", help="How many faces.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the list there; it must lie in FOLDER. Use it as --faces.")
    ] = None,
    query: Annotated[
        list[str] | None, typer.Option(help="A query photo, relative to FOLDER. Default: the ten most frontal.")
    ] = None,
    min_inter_ocular: MinInterOcular = 30,
    workers: Workers = None,
    landmarker: Landmarker = None,
) -> None:
    """Choose frontal faces as the paper does: those whose landmarks lie nearest to a few query faces."""
    from miex.faces.index import Quality
    from miex.faces.photos import write_list
    from miex.faces.pose import choose_frontal, rows_of

    index = _index(folder, None, Quality(min_inter_ocular), workers, landmarker)
    rows = choose_frontal(index, n, rows_of(index, query) if query else None)
    paths = [index["path"][row].as_py() for row in rows]
    if out:
        write_list(paths, folder, out)
        print(f"{len(paths):,} faces: {out}")
    else:
        print("\n".join(paths))


def _run(
    out: Path,
    faces: Path | None,
    workers: int | None,
    max_failed: float,
    as_json: bool,
    *,
    repair: bool = False,
    digest: str | None = None,
) -> None:
    from dataclasses import asdict

    from miex.dataset.plan_file import read_plan
    from miex.dataset.verify import foreign_files
    from miex.executors.local import available_workers
    from miex.report.build import report_files, write_report
    from miex.storage import storage_at
    from miex.synthesis.repair import repair_set
    from miex.synthesis.run import run_plan

    processes = console.processes(workers)

    def announce(estimate: Estimate) -> None:
        at_once = min(processes, estimate.shards, available_workers())
        console.say(
            f"{estimate.samples:,} samples to make: about {console.duration(estimate.seconds / at_once)} with "
            f"{at_once} at work, {estimate.bytes / 1e6:,.0f} MB"
            + (f" ({estimate.free / 1e9:,.0f} GB free)" if estimate.free is not None else "")
        )

    how: dict[str, Any] = {
        "faces_root": _root(faces) if faces else None, "executor": console.executor(processes),
        "max_failed": max_failed, "announce": announce,
    }  # fmt: skip
    with console.bar("repairing" if repair else "synthesizing", "" if repair else "samples") as move:
        make = repair_set if repair else partial(run_plan, digest=digest)
        summary: Summary = make(out, **how, progress=move)
    if repair:
        storage = storage_at(out)
        for name in foreign_files(storage, read_plan(storage).n_shards):
            console.say(f"{name} is not of this plan, and stays as it is: remove it, or readers of the shards meet it")
    gallery, readme = report_files(out)
    if summary.rendered or not (gallery.exists() and readme.exists()):  # what was measured on the same frames stays
        write_report(out)
    each = summary.frames / summary.samples
    rate = summary.rendered * each / summary.seconds if summary.seconds else 0.0
    facts = {"out": str(out), "gallery": str(gallery), **asdict(summary)}
    made = f"{summary.rendered:,} made in {console.duration(summary.seconds)} ({rate:,.0f} frames/s)"
    text = (
        f"{summary.made:,} {'pairs' if each == 2 else 'sequences'} ({summary.failed} failed), "
        f"{summary.bytes / 1e6:,.0f} MB; "
        f"{made if summary.rendered else 'all were there'}\nlook at them: {gallery}"
    )
    console.show(as_json, facts, text)


def _config(**values: Any) -> Any:
    from pydantic import ValidationError

    from miex.plan.config import PlanConfig

    try:
        return PlanConfig(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = "--" + "-".join(map(str, first["loc"][:1])).replace("_", "-")
        raise UsageError(
            f"{name} {first.get('input')}", expected=first["msg"], do="see miex synthesize --help"
        ) from error


def _index(
    faces: Path, table: FaceCSV | None, quality: Quality, workers: int | None, landmarker: Path | None
) -> pa.Table:
    from miex.faces.index import index_photos
    from miex.faces.landmarks import find_model

    with console.bar("finding faces", "photos") as move:
        return index_photos(
            faces, model=lambda: find_model(landmarker, say=console.say), table=table, quality=quality,
            executor=console.executor(workers), progress=move,
        )  # fmt: skip


def _csv(faces: Path, given: Path | None, columns: list[str] | None) -> FaceCSV | None:
    from miex.faces.credits import CSV_COLUMNS, FaceCSV, csv_beside

    named = dict(entry.split("=", 1) for entry in columns or [] if "=" in entry)
    wrong = [entry for entry in columns or [] if entry.split("=", 1)[0] not in CSV_COLUMNS or "=" not in entry]
    if wrong:
        raise UsageError(f"--faces-column {wrong[0]}", expected="=NAME after one of " + ", ".join(CSV_COLUMNS))
    beside = csv_beside(_root(faces), any_columns=bool(named)) if given is None else None
    path = given or (beside.path if beside else None)
    if named and path is None:
        raise UsageError(
            "--faces-column", expected="a CSV", found=f"no faces.csv beside {faces}", do="name it: --faces-csv"
        )
    return FaceCSV(path, named) if path else None


def _root(faces: Path) -> Path:
    from miex.faces.photos import photos_root

    return photos_root(faces).resolve()


add_training(app)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"miex {__version__}")
        raise typer.Exit


class _Stopped(BaseException):
    """Ctrl-C, or the SIGTERM by which batch systems stop jobs. Not KeyboardInterrupt, which typer ends in silence."""


def _stop(*_: object) -> None:
    raise _Stopped


def main() -> None:
    """Entry point: errors that a user can act on become a message and an exit code, everything else a trace."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    for stream in (sys.stdout, sys.stderr):  # a file name that the terminal cannot show must not end a run
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app()
    except MiexError as error:
        console.say(f"miex: {error}")
        sys.exit(error.exit_code)
    except _Stopped:
        console.say("miex: stopped. Finished shards are kept; the same command goes on from there.")
        sys.exit(130)
    except OSError as error:
        console.say(f"miex: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        sys.exit(OutputError.exit_code)
