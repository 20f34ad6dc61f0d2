"""`miex aus`, and the options by which `miex synthesize` names its sources of AUs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miex import console
from miex.errors import InputError, UsageError, one_of

if TYPE_CHECKING:
    from miex.corpora.clip import Clip
    from miex.extraction.flow import EmbeddedExtractor
    from miex.sources.pool import Pool
    from miex.sources.source import AUSource

app = typer.Typer(no_args_is_help=True, help="AUs of real clips: extract or import them, make pools, look at them.")

RealMiE = Annotated[
    list[str] | None,
    typer.Option(help="NAME=PATH of a micro-expression corpus: a pool of miex aus pool, or the corpus' folder."),
]
EarlyMaE = Annotated[
    list[str] | None, typer.Option(help="NAME=PATH of a macro-expression corpus: a pool, or the corpus' folder.")
]
CodedMiE = Annotated[
    list[str] | None, typer.Option(help="NAME=FILE: a corpus' annotation table, whose AU codes are used.")
]
Expert = Annotated[
    str, typer.Option(help="Expert table: micro, du2014, du2014-compound, mie-x-code, a TOML file, or none.")
]
Mu = Annotated[float, typer.Option(help="Smallest intensity of expert AUs, and of coded ones without a letter.")]
Nu = Annotated[float, typer.Option(help="Largest intensity of these.")]
AUOrigin = Annotated[
    str | None,
    typer.Option(
        help="relative: real AUs minus the person's rest; absolute: as extracted. Default: relative (muscle)."
    ),
]
EarlyWindow = Annotated[
    list[str] | None,
    typer.Option(help="Where early apexes are drawn from: paper, mie-x-code, and CORPUS=α:β for single corpora."),
]
EarlyOnset = Annotated[
    str,
    typer.Option(help="Onset of macro clips: first (frame), or rest (of the person), if they begin in mid-expression."),
]
AUNoise = Annotated[float, typer.Option(help="Largest random change of each AU that is on at the apex; 0: none.")]
Landmarker = Annotated[Path | None, typer.Option(help="The landmark model's file. Default: found or fetched.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes. Default: one per processor.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a summary as JSON.")]
Licence = Annotated[str, typer.Option(help="Licence of these AUs; it goes into every set made with them.")]
Attribution = Annotated[str, typer.Option(help="Whom to name; it goes there too.")]
TableOut = Annotated[Path, typer.Option(help="The AU table to write, .parquet.")]


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(help="CSV files of OpenFace 2, py-feat or LibreFace, or folders.")],
    out: TableOut,
    format_name: Annotated[
        str | None, typer.Option("--format", help="openface, libreface, py-feat. Default: by the columns.")
    ] = None,
    version: Annotated[str, typer.Option(help="Version of the program that wrote them, recorded.")] = "",
    scale: Annotated[float | None, typer.Option(help="Top of the AU scale, where it is not the program's own.")] = None,
    first_frame: Annotated[
        int | None, typer.Option(min=0, max=1, help="Number of a clip's first frame. Default: as each file has it.")
    ] = None,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Rows below it count as failed.")] = 0,
    licence: Licence = "",
    attribution: Attribution = "",
    as_json: AsJson = False,
) -> None:
    """Make an AU table of other programs' CSV files."""
    from miex.aus.tracks import Credit, table_of, write_parquet
    from miex.extraction.csv_tables import import_csv

    found = import_csv(
        paths, format_name=format_name, version=version, scale=scale, first_frame=first_frame,
        min_confidence=min_confidence,
    )  # fmt: skip
    write_parquet(table_of(found.tracks, Credit(licence, attribution)), out)
    facts = {
        "out": str(out),
        "format": found.format,
        "files": found.files,
        "clips": len(found.tracks),
        "frames": found.frames,
        "failed": found.failed,
        "several_faces": found.several_faces,
    }
    if found.several_faces:
        console.say(
            f"{len(found.several_faces):,} clips show several faces, such as {found.several_faces[0]}: the one seen in "
            "most frames is taken"
        )
    text = f"{len(found.tracks):,} clips, {found.frames:,} frames ({found.failed:,} failed) of {found.format}: {out}"
    console.show(as_json, facts, text)


@app.command("extract")
def extract(
    name: Annotated[str, typer.Argument(help="Name of the corpus; any other for one of your own.")],
    path: Annotated[Path, typer.Argument(help="Its folder or table.")],
    out: TableOut,
    openface: Annotated[
        Path | None, typer.Option(help="FeatureExtraction of your OpenFace. Default: the embedded extractor.")
    ] = None,
    version: Annotated[str, typer.Option(help="Version of that OpenFace, recorded.")] = "",
    licence: Licence = "",
    attribution: Attribution = "",
    workers: Workers = None,
    landmarker: Landmarker = None,
    as_json: AsJson = False,
) -> None:
    """See the AUs in the frames of a corpus. Run it again to resume."""
    from miex.aus.tracks import Credit, table_of, write_parquet
    from miex.corpora.catalog import read
    from miex.extraction.extractor import AUExtractor, extract_clips
    from miex.extraction.openface import OpenFaceBinary

    clips = read(name, path).clips
    extractor: AUExtractor = OpenFaceBinary(openface, version) if openface else _embedded(landmarker)
    parts = out.with_name(f"{out.name}.parts")
    with console.bar(f"AUs by {extractor.name}", "clips") as move:
        tracks = extract_clips(
            clips, extractor, parts, executor=console.executor(workers),
            progress=move,
        )  # fmt: skip
    write_parquet(table_of(tracks, Credit(licence, attribution)), out)
    frames = sum(len(track.frames) for track in tracks)
    failed = sum(int((~track.success).sum()) for track in tracks)
    facts = {"out": str(out), "extractor": extractor.name, "version": extractor.version, "clips": len(tracks)}
    text = (
        f"{len(tracks):,} clips, {frames:,} frames ({failed:,} failed) by {extractor.name} {extractor.version}: {out}"
    )
    console.show(as_json, {**facts, "frames": frames, "failed": failed}, text)


@app.command("pool")
def pool(
    tables: Annotated[list[Path], typer.Argument(help="AU tables of one corpus.")],
    corpus: Annotated[str, typer.Option(help="Name of the corpus; any other for one of your own.")],
    clips: Annotated[
        Path,
        typer.Option(help="Its folder or table; of a corpus of your own a CSV with columns subject, clip, emotion, …"),
    ],
    out: Annotated[Path, typer.Option(help="The pool to write, .parquet.")],
    column: Annotated[list[str] | None, typer.Option(help="Column of that CSV: subject=NAME, emotion=NAME, …")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="EMOTION=LABEL of that CSV, for each emotion to keep. Default: its column label, or all."),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="What its clips show, micro or macro, if no column says it. Default: micro.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Join AU tables with the clips' labels and subjects: what real AUs are drawn from."""
    from miex.aus.tracks import credit_of, read_table, tracks_of
    from miex.corpora.catalog import read
    from miex.corpora.clip import KINDS
    from miex.corpora.readers.plain import Plain
    from miex.labels import label_named
    from miex.sources.pool import make_pool, write_pool

    if column or label or kind:
        labels = {emotion: label_named(of) for emotion, of in _pairs(label, "--label", "EMOTION=LABEL")} or None
        own = Plain(
            corpus, columns=dict(_pairs(column, "--column", "COLUMN=NAME")), labels=labels,
            kind=one_of(kind or "micro", KINDS, "--kind"),
        )  # fmt: skip
        found = own.read(clips).clips
    else:
        found = read(corpus, clips).clips
    read_tables = [read_table(path) for path in tables]
    tracks = {}
    for path, table in zip(tables, read_tables, strict=True):
        for name, track in tracks_of(table).items():
            if name in tracks:
                raise UsageError(
                    f"AU tables for {corpus}", expected="each clip once", found=f"clip {name} again in {path}"
                )
            tracks[name] = track
    credits = sorted({credit_of(table) for table in read_tables}, key=str)
    if len(credits) > 1:
        raise UsageError(
            f"AU tables for {corpus}", expected="one licence and attribution", found=f"{credits[0]} and {credits[1]}",
            do="import them with the same --licence and --attribution, or make a pool of each",
        )  # fmt: skip
    made = make_pool(found, tracks, credits[0])
    write_pool(made, out)
    counts = {
        emotion: sum(clip.emotion == emotion for clip in made.clips) for emotion in {c.emotion for c in made.clips}
    }
    facts = {
        "out": str(out),
        "emotions": dict(sorted(counts.items())),
        "left_out": made.left_out,
        "corpora": made.facts,
    }
    for reason, n in made.left_out.items():
        console.say(f"{n:,} clips left out: {reason}")
    text = f"{len(made.clips):,} clips of {len({clip.person for clip in made.clips}):,} subjects: {out}"
    console.show(as_json, facts, text)


@app.command("show")
def show(
    folder: Annotated[Path | None, typer.Argument(help="A set or plan, to see its AUs.")] = None,
    real_mie: RealMiE = None,
    early_mae: EarlyMaE = None,
    coded_mie: CodedMiE = None,
    expert: Expert = "none",
    mu: Mu = 0.1,
    nu: Nu = 0.3,
    au_origin: AUOrigin = None,
    early_window: EarlyWindow = None,
    early_onset: EarlyOnset = "first",
    au_noise: AUNoise = 0,
    n: Annotated[int, typer.Option("--samples", min=1, help="Triplets drawn per source and class.")] = 1000,
    recovered: Annotated[
        bool, typer.Option("--recovered", help="Read the AUs of the set's frames again, and compare.")
    ] = False,
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs are read again.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of what is drawn.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("aus"),
    workers: Workers = None,
    landmarker: Landmarker = None,
    as_json: AsJson = False,
) -> None:
    """Pictures of AUs: histograms, co-occurrence, sources side by side; with --recovered what comes back of them."""
    from miex.report.au_drawn import drawn_triplets, planned_triplets, write_pictures

    if recovered and folder is None:
        raise UsageError("--recovered", expected="the folder of a set", found="none")
    if folder is not None:
        sources = planned_triplets(folder)
    else:
        asked = build_sources(
            real_mie=real_mie, early_mae=early_mae, coded_mie=coded_mie, expert=expert, mu=mu, nu=nu,
            origin=au_origin or "relative", early_window=early_window, early_onset=early_onset, au_noise=au_noise,
            workers=workers, landmarker=landmarker,
        )  # fmt: skip
        sources = {source.name: drawn_triplets(source, n, seed) for source in asked}
    written = write_pictures(sources, out)
    facts: dict[str, object] = {"pictures": list(map(str, written))}
    if recovered and folder is not None:
        path, numbers = _recovered(folder, out, pairs, seed, workers, landmarker)
        written.append(path)
        facts = {"pictures": list(map(str, written)), "recovered": numbers}
    console.show(as_json, facts, "\n".join(map(str, written)))


def _recovered(
    folder: Path, out: Path, pairs: int, seed: int, workers: int | None, landmarker: Path | None
) -> tuple[Path, dict[str, object]]:
    from miex.quality.recovery import describe_recovery, recovered_aus
    from miex.report.au_pictures import recovery_picture, write_picture

    with console.bar("reading AUs again", "pairs") as move:
        found, known, read = recovered_aus(
            folder, _embedded(landmarker), n=pairs, seed=seed, executor=console.executor(workers),
            progress=move,
        )  # fmt: skip
    path = out / "recovered.png"
    write_picture(recovery_picture(found, known, read, f"AUs read off {folder.resolve().name}"), path)
    return path, describe_recovery(found)


def build_sources(
    *,
    real_mie: Sequence[str] | None,
    early_mae: Sequence[str] | None,
    coded_mie: Sequence[str] | None,
    expert: str,
    mu: float,
    nu: float,
    origin: str,
    early_window: Sequence[str] | None,
    early_onset: str,
    au_noise: float,
    workers: int | None,
    landmarker: Path | None,
) -> list[AUSource]:
    """The sources that the options name, in the order real_mie, early_mae, coded_mie, expert.

    Raises:
        UsageError: none at all, or an option of another form.
        InputError: a pool or corpus that cannot be read.
    """
    from miex.corpora.catalog import read
    from miex.sources.coded_mie import CodedMiESource
    from miex.sources.early_mae import ONSETS, EarlyMaESource, parse_windows
    from miex.sources.expert import ExpertSource, load_table
    from miex.sources.origin import ORIGINS
    from miex.sources.real_mie import RealMiESource
    from miex.sources.source import PerturbedSource

    counted_from = one_of(origin, ORIGINS, "AU origin")
    windows = parse_windows(early_window or ())
    onset_from = one_of(early_onset, ONSETS, "early onset")
    made: list[AUSource] = []
    if real_mie:
        pools = _pools(real_mie, "--real-mie", "micro", workers, landmarker)
        made.append(RealMiESource(pools, counted_from))
    if early_mae:
        pools = _pools(early_mae, "--early-mae", "macro", workers, landmarker)
        made.append(EarlyMaESource(pools, counted_from, windows, onset_from))
    if coded_mie:
        clips: list[Clip] = []
        for name, path in _pairs(coded_mie, "--coded-mie", "NAME=FILE"):
            clips += read(name, path).clips
        made.append(CodedMiESource(tuple(clips), mu=mu, nu=nu))
    if expert != "none":
        made.append(ExpertSource(load_table(expert), mu, nu))
    if not made:
        raise UsageError(
            "a set without a source of AUs", expected="at least one", do="name one, such as --expert micro"
        )
    for source in made:
        for reason, n in source.settings.get("left_out", {}).items():
            console.say(f"{source.name}: {n:,} clips left out: {reason}")
    return [PerturbedSource(source, au_noise) for source in made] if au_noise else made


def _pools(
    given: Iterable[str], option: str, kind: str, workers: int | None, landmarker: Path | None
) -> tuple[Pool, ...]:
    from miex.corpora.people import corpus_key
    from miex.sources.pool import read_pool

    pools = []
    for name, text in _pairs(given, option, "NAME=PATH"):
        path = Path(text)
        if path.suffix != ".parquet":
            pools.append(_pool_of_corpus(name, path, kind, workers, landmarker))
            continue
        found = read_pool(path)
        corpora = {corpus_key(clip.corpus) for clip in found.clips}
        if corpus_key(name) not in corpora:
            raise UsageError(
                f"{option} {name}={path}", expected=f"a pool of {name}",
                found=f"clips of {', '.join(map(str, corpora))}",
                do="the name says whose AUs these are, and the leak guard goes by it",
            )  # fmt: skip
        pools.append(found)
    return tuple(pools)


def _pool_of_corpus(name: str, path: Path, kind: str, workers: int | None, landmarker: Path | None) -> Pool:
    """A pool of a corpus' own frames, seen by the embedded extractor; what it saw once is kept in the user's cache."""
    from miex.corpora.catalog import read
    from miex.extraction.extractor import extract_clips
    from miex.sources.pool import make_pool
    from miex.storage.cache import cache_folder

    clips = [clip for clip in read(name, path).clips if clip.label is not None and clip.kind == kind]
    if not clips:
        raise InputError(
            f"corpus {name} in {path}", expected=f"labelled {kind}-expressions", found="none",
            do="of a corpus of your own, its table says what they are: columns kind and label",
        )  # fmt: skip
    with console.bar(f"AUs of {name}", "clips") as move:
        tracks = extract_clips(
            clips, _embedded(landmarker), cache_folder() / "aus", executor=console.executor(workers),
            progress=move,
        )  # fmt: skip
    return make_pool(clips, {track.clip: track for track in tracks})


def _embedded(landmarker: Path | None) -> EmbeddedExtractor:
    from miex.extraction.flow import EmbeddedExtractor
    from miex.faces.landmarks import find_model

    return EmbeddedExtractor(find_model(landmarker, say=console.say))


def _pairs(given: Iterable[str] | None, option: str, form: str) -> list[tuple[str, str]]:
    pairs = []
    for text in given or ():
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            raise UsageError(f"{option} {text}", expected=form)
        pairs.append((name, value))
    return pairs
