"""The commands that plan, make, check, show and export a set, or move a single face."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from miex.commands import console
from miex.commands import options as o
from miex.commands.group import Group
from miex.errors import PartialFailureError, RequirementError

if TYPE_CHECKING:
    from miex.api.synthesize import Made, Part


def add_making(app: Group) -> None:
    """Add the commands to the program."""
    for command in (synthesize, plan, run, repair, verify, report, export, import_flow, render, doctor):
        app.command()(command)


def synthesize(
    out: o.Out = Path("mie-x"),
    faces: o.Faces = None,
    faces_csv: o.FacesCSV = None,
    faces_column: o.FacesColumn = None,
    min_inter_ocular: o.MinInterOcular = 30,
    quality: o.Quality = None,
    licence_allow: o.LicenceAllow = None,
    ids: o.Ids = None,
    per: o.Per = None,
    samples: o.Samples = None,
    triplets: o.Triplets = None,
    classes: o.Classes = o.ALL_CLASSES,
    size: o.Size = 128,
    eye_line: o.EyeLine = 0.38,
    eye_mouth: o.EyeMouth = 0.34,
    seed: o.Seed = 0,
    real_mie: o.RealMiE = None,
    early_mae: o.EarlyMaE = None,
    coded_mie: o.CodedMiE = None,
    expert: o.Expert = "micro-dfme",
    mu: o.Mu = 0.1,
    nu: o.Nu = 0.3,
    au_origin: o.AUOrigin = None,
    early_window: o.EarlyWindow = None,
    early_onset: o.EarlyOnset = "first",
    au_noise: o.AUNoise = 0,
    frames: o.Frames = "2",
    until: o.Until = "apex",
    fps: o.Fps = 200,
    nuisances: o.Nuisances = "face",
    shard_size: o.ShardSize = None,
    frame_format: o.FrameFormat = "png",
    generator: o.GeneratorName = "muscle",
    weights: o.Weights = None,
    generator_option: o.GeneratorOption = None,
    workers: o.Workers = None,
    executor: o.ExecutorName = "local",
    ray_address: o.RayAddress = None,
    landmarker: o.Landmarker = None,
    max_failed: o.MaxFailed = 0.01,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Make a set from photos: plan, frames, gallery and dataset card. Run it again to resume."""
    asked = locals()
    from miex.api import synthesize as api

    with console.bars() as progress:
        made = api.synthesize(**_planned(asked, progress))
    _show_made(made, out, as_json)


def plan(
    out: o.Out = Path("mie-x"),
    faces: o.Faces = None,
    faces_csv: o.FacesCSV = None,
    faces_column: o.FacesColumn = None,
    min_inter_ocular: o.MinInterOcular = 30,
    quality: o.Quality = None,
    licence_allow: o.LicenceAllow = None,
    ids: o.Ids = None,
    per: o.Per = None,
    samples: o.Samples = None,
    triplets: o.Triplets = None,
    classes: o.Classes = o.ALL_CLASSES,
    size: o.Size = 128,
    eye_line: o.EyeLine = 0.38,
    eye_mouth: o.EyeMouth = 0.34,
    seed: o.Seed = 0,
    real_mie: o.RealMiE = None,
    early_mae: o.EarlyMaE = None,
    coded_mie: o.CodedMiE = None,
    expert: o.Expert = "micro-dfme",
    mu: o.Mu = 0.1,
    nu: o.Nu = 0.3,
    au_origin: o.AUOrigin = None,
    early_window: o.EarlyWindow = None,
    early_onset: o.EarlyOnset = "first",
    au_noise: o.AUNoise = 0,
    frames: o.Frames = "2",
    until: o.Until = "apex",
    fps: o.Fps = 200,
    nuisances: o.Nuisances = "face",
    shard_size: o.ShardSize = None,
    frame_format: o.FrameFormat = "png",
    generator: o.GeneratorName = "muscle",
    weights: o.Weights = None,
    generator_option: o.GeneratorOption = None,
    workers: o.Workers = None,
    landmarker: o.Landmarker = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Write the plan of a set without rendering anything."""
    asked = locals()
    from miex.api import synthesize as api
    from miex.storage import given

    with console.bars() as progress:
        made = api.plan(**_planned(asked, progress))
    where = given(out)
    facts = {"out": where, "plan": made.digests["plan"], "samples": made.n_rows, "shards": made.n_shards}
    text = f"plan written, {made.n_shards:,} shard{'s' * (made.n_shards > 1)}; to render it: miex run {where}"
    console.show(as_json, facts, text)


def run(
    folder: Annotated[Path, typer.Argument(metavar="PLAN", help="Folder of the plan, or its address in a bucket.")],
    shards: o.Shards = None,
    faces: o.FacesMoved = None,
    weights: o.WeightsMoved = None,
    workers: o.Workers = None,
    executor: o.ExecutorName = "local",
    ray_address: o.RayAddress = None,
    max_failed: o.MaxFailed = 0.01,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Render the samples of a plan that are still missing."""
    from miex.api import synthesize as api

    with console.bars() as progress:
        made = api.run(
            folder, shards=shards, faces=faces, weights=weights, workers=o.work(workers, executor, ray_address),
            max_failed=max_failed, progress=progress, say=console.say,
        )  # fmt: skip
    _show_made(made, folder, as_json)


def repair(
    folder: o.SetFolder,
    faces: o.FacesMoved = None,
    weights: o.WeightsMoved = None,
    workers: o.Workers = None,
    executor: o.ExecutorName = "local",
    ray_address: o.RayAddress = None,
    max_failed: o.MaxFailed = 0.01,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Check every shard of a set, and remake what is damaged, missing or failed."""
    from miex.api import synthesize as api

    with console.bars() as progress:
        made = api.repair(
            folder, faces=faces, weights=weights, workers=o.work(workers, executor, ray_address),
            max_failed=max_failed, progress=progress, say=console.say,
        )  # fmt: skip
    _show_made(made, folder, as_json)


def _share(text: str | float) -> float:
    number = str(text).removesuffix("%")  # the default comes as a number
    return float(number) / (100 if number != str(text) else 1)


def verify(
    folder: o.SetFolder,
    sample: Annotated[
        float,
        typer.Option(
            parser=_share,
            metavar="SHARE",
            help="Share of the shards that are checked, such as 5% or 0.05. Of the others only the record and the size "
            "are looked at.",
        ),
    ] = 1.0,
    workers: o.Workers = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Check shards and pages to the byte, tables by their values, every sample against the plan, and this by itself."""
    from miex.api import synthesize as api

    with console.bars() as progress:
        found = api.verify(folder, sample=sample, workers=workers, progress=progress)
    facts = {
        "shards": found.shards,
        "samples": found.samples,
        "failed": found.failed,
        "identical": found.identical,
        "problems": list(found.problems),
    }
    verdict = "clean" if not found.problems else f"{len(found.problems)} problems"
    checked = f"{found.samples:,} samples in {found.shards:,} shard{'s' * (found.shards != 1)}"
    text = f"{checked}, {found.failed} not made, {found.identical} identical pairs: {verdict}"
    console.show(as_json, facts, "\n".join([*found.problems, text]))
    if found.problems:
        raise typer.Exit(PartialFailureError.exit_code)


def _tell_measures(wanted: bool) -> None:
    if wanted:
        from miex.quality.gate import MEASURES

        named = {f"{name}(AU)" if one.of_au else name: one.meaning for name, one in MEASURES.items()}
        width = max(map(len, named))
        print("\n".join(f"{name:{width}}  {meaning}" for name, meaning in named.items()))
        raise typer.Exit


def report(
    folder: o.SetFolder,
    n: Annotated[int, typer.Option("--samples", min=1, help="Number of samples in the gallery.")] = 60,
    seed: Annotated[int, typer.Option(help="Random seed of the choice of samples.")] = 0,
    audit: Annotated[
        int,
        typer.Option(
            min=0,
            help="Number of samples whose frames are measured (AUs realized, identity, sharpness, stray motion); "
            "0 measures none.",
        ),
    ] = 60,
    require: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help='What is required of the set: "identical == 0, identity >= 0.95, au_slope(12) > 0.8", for example. '
            "The exit code is 6 if any of it is not met, or cannot be measured.",
        ),
    ] = None,
    measures: Annotated[
        bool,
        typer.Option(
            "--measures", help="Tell what --require can ask for, and exit.", is_eager=True, callback=_tell_measures
        ),
    ] = False,
    where: o.Where = None,
    faces: o.FacesMoved = None,
    workers: o.Workers = None,
    landmarker: o.Landmarker = None,
    sface: o.SFace = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Write README.md, gallery.html and croissant.json of a set, measure frames, and judge what is required of it."""
    from miex.api import synthesize as api
    from miex.quality.audit import describe_audit

    with console.bars() as progress:
        found = api.report(
            folder, samples=n, seed=seed, audit=audit, require=require, where=where, faces=faces,
            workers=workers, landmarker=landmarker, sface=sface, progress=progress, say=console.say,
        )  # fmt: skip
    facts: dict[str, Any] = {"gallery": str(found.gallery)}
    if found.audit is not None:
        facts["measured"] = describe_audit(found.audit)
    if require is not None:
        facts["required"] = [one.plain() for one in found.verdicts]
    console.show(as_json, facts, "\n".join([*map(str, found.verdicts), str(found.gallery)]))
    if not found.met:
        wrong = [one for one in found.verdicts if not one.met]
        raise RequirementError(
            f"{folder}: {len(wrong)} of {len(found.verdicts)} requirements not met",
            found="; ".join(map(str, wrong)) if as_json else "",
        )


def export(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="SET",
            help="Folder of the set, or its address in a bucket; with --to flow, also a corpus as NAME=PATH.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="File to write, ending in .npz; with another --to, a new or empty folder, which may be in a bucket."
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            help="Form of the export: flow (maps of u, v and strain from onset to apex), folder (every frame as an "
            "image file, with a table of the clips), huggingface (Parquet files that datasets.load_dataset reads) or "
            "webdataset (shuffled tars)."
        ),
    ] = "flow",
    where: o.Where = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With flow, mapping that gives the classes, such as mmew-6 (see miex corpora list --mappings): "
            "samples go by their emotion; those of no class are not written. Default: negative, positive and surprise.",
        ),
    ] = None,
    flow: Annotated[str, typer.Option(help="Optical flow method: dis, tvl1 or farneback.")] = "dis",
    seed: Annotated[int, typer.Option(help="Random seed of the crops; with webdataset, of the order.")] = 0,
    side: Annotated[int, typer.Option(min=8, help="Side of the maps, in pixels; STSTNet takes 28.")] = 28,
    no_apex: o.NoApex = "refuse",
    on_error: o.OnDamage = "raise",
    landmarker: o.Landmarker = None,
    workers: o.Workers = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Export a set or a corpus as optical flow maps, or a set for other programs."""
    from miex.api.export import export as write
    from miex.storage import given

    with console.bars() as progress:
        made = write(
            folder, out, to=to, where=where, classes=classes, flow=flow, seed=seed, side=side, no_apex=no_apex,
            on_error=on_error, landmarker=landmarker, workers=workers, progress=progress, say=console.say,
        )  # fmt: skip
    where = given(out)
    facts = {"out": where, "samples": made.samples, "frames": made.frames, "skipped": list(made.skipped)}
    if made.frames is None:
        del facts["frames"]
        console.show(as_json, facts, f"{made.samples:,} maps: {where}")
    else:
        console.show(as_json, facts, f"{made.samples:,} samples, {made.frames:,} frames: {where}")
    console.say_skipped(made.skipped)


def import_flow(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folder of maps called <subject>_<clip>.png, in a folder of their class (0, 1, 2); of u_train and "
            "u_test the latter are read.",
        ),
    ],
    channels: Annotated[
        str,
        typer.Option(
            metavar="R,G,B",
            help="What red, green and blue hold: u, v and os (optical strain) in their order. OpenCV makes os,v,u of "
            "maps u, v, os.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Flow file to write, ending in .npz.")],
    corpus: Annotated[
        str,
        typer.Option(
            help="Name of the corpus. The default means CASME II, SMIC and SAMM, told by subjects such as sub01, s01 "
            "and 006."
        ),
    ] = "compmie",
    clips: Annotated[
        Path | None,
        typer.Option(help="Table with the columns subject, clip and label, for maps whose folder names no class."),
    ] = None,
    side: Annotated[int, typer.Option(min=8, help="Side of the square maps, in pixels.")] = 28,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Make a flow file of flow maps that others published as PNG files."""
    from miex.api.export import import_flow as read

    made = read(folder, out, channels=channels, corpus=corpus, clips=clips, side=side)
    console.show(as_json, {"out": str(out), "samples": made.samples}, f"{made.samples:,} maps: {out}")


def render(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Photo with a face.")],
    au: Annotated[
        list[str],
        typer.Option(
            metavar="AU[=INTENSITY]",
            help="AU and its intensity in [0, 1]: 12=0.2, or L12=0.2 for the person's left side alone. Repeatable. "
            "Default intensity: 0.2.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for onset.png, apex.png and flicker.webp.")] = Path("render"),
    size: Annotated[
        int, typer.Option(help="Side of the square frames, in pixels: a multiple of 4 from 32 to 1024.")
    ] = 256,
    generator: o.GeneratorName = "muscle",
    weights: o.Weights = None,
    generator_option: o.GeneratorOption = None,
    nuisances: o.Nuisances = "off",
    seed: Annotated[int, typer.Option(help="Random seed of the nuisances.")] = 0,
    landmarker: o.Landmarker = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Move a single face by AUs that you set."""
    from dataclasses import asdict

    from miex.api.render import render as move
    from miex.synthesis.preview import FLICKER_FILE

    made = move(
        photo, au, out=out, size=size, generator=generator, weights=weights,
        generator_options=o.generator_options(generator_option), nuisances=nuisances, seed=seed, landmarker=landmarker,
        say=console.say,
    )  # fmt: skip
    facts = asdict(made.measures)
    if made.measures.identical:  # JSON has no infinity
        facts["psnr"] = None
    text = f"motion {made.measures.motion_p95_px:.2f} px (95th percentile): {out / FLICKER_FILE}"
    console.show(as_json, {"out": str(out), **facts}, text)


def doctor(
    landmarker: o.Landmarker = None,
    sface: o.SFace = None,
    fetch: Annotated[bool, typer.Option(help="Fetch the landmark model and SFace if they are missing.")] = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Check this machine for everything that miex needs."""
    from dataclasses import asdict

    from miex.commands.doctor import examine

    findings = list(examine(landmarker, sface, fetch=fetch, say=console.say))
    states = ["ok" if found.good else "MISSING" if found.needed else "-" for found in findings]
    lines = (f"{state:7} {found.name}: {found.text}" for state, found in zip(states, findings, strict=True))
    console.show(as_json, [asdict(found) for found in findings], "\n".join(lines))
    if "MISSING" in states:
        raise typer.Exit(1)


def _planned(options: dict[str, Any], progress: Any) -> dict[str, Any]:
    """The options of a plan as `miex.api.synthesize` takes them."""
    from miex.api.sources import named_sources

    for name in ("as_json", "quiet", "log"):
        del options[name]
    columns = o.columns(options.pop("faces_column"))
    chosen = o.generator_options(options.pop("generator_option"))
    options["quality"] = o.limits(options["quality"])
    how = {"progress": progress, "say": console.say}
    at = {name: options[name] for name in ("workers", "landmarker", "generator")}
    sources = named_sources(**o.source_options(options), **at, **how)
    classes = [name.strip() for name in options.pop("classes").split(",")]
    named: dict[str, Any] = {
        "classes": classes, "sources": sources, "faces_columns": columns, "generator_options": chosen
    }  # fmt: skip
    if "executor" in options:
        named["workers"] = o.work(options["workers"], options.pop("executor"), options.pop("ray_address"))
    return {**options, **how, **named}


def _show_made(made: "Made | Part", out: Path, as_json: bool) -> None:
    from dataclasses import asdict

    from miex.api.synthesize import Made
    from miex.api.work import duration
    from miex.dataset.plan_file import read_record
    from miex.storage import given, storage_at

    summary, record = made.summary, read_record(storage_at(out))
    each = record["frames"] / max(1, record["rows"])  # of some shards there may be no sample
    rate = summary.rendered * each / summary.seconds if summary.seconds else 0.0
    now = f"{summary.rendered:,} made in {duration(summary.seconds)} ({rate:,.{0 if rate >= 10 else 1}f} frames/s)"
    text = (
        f"{summary.made:,} {'sequences' if each > 2 else 'pairs'} ({summary.failed} failed), "
        f"{summary.bytes / 1e6:,.0f} MB; {now if summary.rendered else 'nothing was left to do'}\n"
    )
    gallery = str(made.gallery) if isinstance(made, Made) else None
    if gallery:
        text += f"the set is finished; gallery: {gallery}"
    else:
        shards = f"{summary.left:,} shard{'s' * (summary.left > 1)}"
        text += f"{shards} of the plan left for others; the last to end finishes the set, or miex run {given(out)}"
    console.show(as_json, {"out": given(out), "gallery": gallery, **asdict(summary)}, text)
