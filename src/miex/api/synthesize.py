"""Plan, make, resume, repair, verify and report a set."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack, overload

from miex.api.faces import csv_of, find_faces
from miex.api.work import (
    SOURCES,
    PathLike,
    Say,
    Stages,
    Workers,
    duration,
    executor,
    here,
    measuring_models,
    path,
    stage,
    unsaid,
)
from miex.arguments import COUNT, NAMED, NAMES, NONE, PATH, TEXT, TEXT_BY_TEXT, checking, instance_of, number
from miex.dataset import open as open_dataset
from miex.dataset.plan_file import Plan, read_plan, read_record
from miex.dataset.reader import Dataset
from miex.dataset.samples import made_samples
from miex.errors import UsageError, first_wrong, one_of
from miex.stable import canonical_json
from miex.storage import storage_at

if TYPE_CHECKING:
    import pyarrow as pa

    from miex.dataset.verify import Report
    from miex.planning.config import PlanConfig
    from miex.quality.audit import Audit
    from miex.quality.gate import Verdict
    from miex.sources.source import AUSource
    from miex.storage.base import Storage
    from miex.synthesis.estimate import Estimate
    from miex.synthesis.run import Summary

DEFAULT_OUT = "mie-x"
DEFAULT_IDS = 12  # identities made from the embedded face by default


class PlanOptions(TypedDict, total=False):
    """The options of a plan; see `synthesize`."""

    faces: PathLike | None
    sources: Sequence[AUSource] | None
    faces_csv: PathLike | None
    faces_columns: Mapping[str, str] | None
    min_inter_ocular: float
    quality: Mapping[str, float | None] | None
    licence_allow: Sequence[str] | None
    ids: int | None
    per: int | None
    samples: int | None
    triplets: int | None
    classes: Sequence[str]
    size: int
    eye_line: float
    eye_mouth: float
    seed: int
    frames: int | str
    until: str
    fps: float
    nuisances: str
    shard_size: int | None
    frame_format: str
    generator: str
    weights: PathLike | None
    generator_options: Mapping[str, Any] | None
    landmarker: PathLike | None


SetLike = PathLike | Dataset | Plan  # a set or plan, or its folder
_PLANNED = {
    "sources": SOURCES | NONE,
    "classes": TEXT | NAMES,
    "faces_columns": TEXT_BY_TEXT | NONE,
    "quality": NAMED | NONE,
    "licence_allow": NAMES | NONE,
    "generator_options": NAMED | NONE,
    **dict.fromkeys(("faces", "faces_csv", "landmarker", "weights"), PATH | NONE),
    **dict.fromkeys(("ids", "per", "samples", "triplets", "shard_size"), COUNT | NONE),
}
_SET = PATH | instance_of("a set, or its plan", "miex.dataset.reader:Dataset", "miex.dataset.plan_file:Plan")


class Made(Dataset):
    """A set that has just been made, or finished. Its table is read when it is asked for.

    Attributes:
        summary: how many samples were made, and how long that took.
        gallery: path of gallery.html, or its address in a bucket.
    """

    def __init__(self, storage: Storage, summary: Summary, gallery: Path | str) -> None:
        self.storage, self.summary, self.gallery = storage, summary, gallery

    @cached_property
    def table(self) -> pa.Table:
        return made_samples(self.storage)


@dataclass(frozen=True)
class Part:
    """A set of which some shards were asked for, and that is not finished.

    Attributes:
        place: path of its folder, or its address in a bucket.
        summary: how many samples of these shards were made, how long that took, and how many shards of the plan are
            left for others.
    """

    place: str
    summary: Summary

    def __repr__(self) -> str:
        return f"{self.summary.made:,} samples made in {self.place} · {self.summary.left:,} shards of its plan left"


@checking(**_PLANNED)
def synthesize(
    out: PathLike = DEFAULT_OUT,
    *,
    max_failed: float = 0.01,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
    **asked: Unpack[PlanOptions],
) -> Made:
    """Make a set from photos: plan, frames, gallery and dataset card. Repeating the same call resumes it.

    Args:
        out: folder of the set, or the address of one in a bucket, such as s3://bucket/mie-x (docs/buckets.md).
        faces: folder of photos, or a .txt file that lists them. Default: the embedded face, with 12 identities made
            from it.
        sources: AU sources (see `miex.sources`). Default: the expert table `micro-dfme`.
        faces_csv: CSV with the licence and attribution of each photo. Default: faces.csv beside the photos.
        faces_columns: names of that CSV's columns, by file, licence, attribution, kind, person.
        min_inter_ocular: smallest distance between the eyes in a usable photo, in pixels.
        quality: other limits of a usable photo, by name, such as {"min_mouth": 0.03}, None for no limit: max_yaw,
            max_pitch (degrees), max_outside (fraction of the face), min_score (of the detector), min_light (gray
            level), min_sharpness, min_mouth, min_eyes (contrast there, relative to the cheeks).
        licence_allow: licences of the photos that may be used. Default: all, unknown ones too.
        ids: number of identities; those beyond the number of photos are virtual: changed faces from the photos, which a
            face recognizer still takes for the same people, so sets are split by photo. Default: one per photo.
        per: samples per identity, class and source. Default: 1.
        samples: number of samples in all, instead of `per`.
        triplets: number of distinct AU triplets in all. Default: one per sample.
        classes: labels (some of negative, positive, surprise); or emotions, such as ["happiness", "fear"]; or the name
            of a mapping, which stands for its classes, such as emotion (7), mmew-6 or samm-5. With emotions, each is
            drawn equally often, and `miex.train` and `miex.evaluate` take the same name. Default: the three labels.
        size: side of the square frames, in pixels; a multiple of 4 from 32 to 1024. Default: 128.
        eye_line, eye_mouth: distance of the eyes from the top of the frame, and from eyes to mouth, as fractions of its
            side.
        seed: random seed of the set.
        frames: frames of each sample: 2 (onset and apex), 3 or more evenly spaced ones, or "all" (as many as a camera
            of `fps` records).
        until: the last frame: "apex", or "offset" (the face is back at its onset).
        fps: frames per second, with "all".
        nuisances: what changes besides the expression: off, clean, face or all; or only some of a level, such as
            "all:blink,head".
        shard_size: samples per shard. Default: as many as have about 1,000 frames.
        frame_format: png or webp (lossless), or jpeg (compression alters small motion).
        generator: name of the generator that moves the faces.
        weights: file of its weights, if it needs one (ganimation). The plan names it by its sha256. Default: the only
            one in the file or folder that MIEX_WEIGHTS names, and in the folder weights of the cache.
        generator_options: what to choose of the generator, by name, such as {"precision": "bfloat16"} of ganimation;
            part of the plan.
        landmarker: file of the face landmark model. Default: the copy in the cache, fetched if it is missing.
        max_failed: fraction of samples that may fail before the run stops.
        workers: number of worker processes, None for one per processor; or an executor, such as
            `miex.executors.ray.RayCluster()`, whose machines must see the folder of the set and the photos under the
            same paths. (Photos are looked at, and the plan is drawn, on this machine.)
        progress: called during the work with the name of the stage, how much of it is done, how much there is, and a
            note.
        say: called with each note that is not part of the result.

    Returns:
        The set.

    Raises:
        UsageError: a value is out of range, or options contradict each other.
        InputError: photos, AUs or the landmark model cannot be used.
        OutputError: the folder belongs to another plan, is in use, or cannot be written.
        PartialFailureError: more samples failed than `max_failed` allows.
    """
    from miex.dataset.samples import SAMPLES_FILE
    from miex.synthesis.worker import begun

    at, weights = executor(workers), asked.get("weights")
    with ExitStack() as stack:

        def begin(drawn: Plan) -> None:
            nonlocal at
            if drawn.n_shards > 1 and storage_at(out).size(SAMPLES_FILE) is None:
                given = None if weights is None else path(weights).absolute()
                at, _ = stack.enter_context(begun(at, drawn, Path(drawn.faces_root), given, drawn.n_shards))

        planned = _plan(out, workers, progress, say, begin, **asked)
        made = _make(out, None, weights, at, max_failed, progress, say, digest=planned.digests["plan"])
    assert isinstance(made, Made)
    return made


@checking(**_PLANNED)
def plan(
    out: PathLike = DEFAULT_OUT,
    *,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
    **asked: Unpack[PlanOptions],
) -> Plan:
    """Write the plan of a set without rendering anything; `run` renders it.

    Arguments and errors are those of `synthesize`.
    """
    return _plan(out, workers, progress, say, lambda drawn: None, **asked)


def _plan(
    out: PathLike,
    workers: Workers,
    progress: Stages | None,
    say: Say,
    begin: Callable[[Plan], None],
    **asked: Unpack[PlanOptions],
) -> Plan:
    """Write a plan; `begin` is called with it before its rows are drawn and written."""
    from miex.dataset.pages import REFUSED, write_sums
    from miex.faces.index import quality_of, write_refused
    from miex.faces.photos import default_pool, photos_root
    from miex.generators.registry import describe, make_generator
    from miex.nuisances.columns import nuisances_of
    from miex.planning.rows import build_plan
    from miex.planning.triplets import distinct_triplets
    from miex.sources import expert
    from miex.synthesis.adopt import adopt_plan

    config, work, place = _config(asked), here(workers), storage_at(out)
    faces, landmarker = asked.get("faces"), asked.get("landmarker")
    moves = make_generator(
        asked.get("generator", "muscle"), weights=asked.get("weights"), options=asked.get("generator_options")
    )
    if "asymmetry" in nuisances_of(config.nuisances).names:
        moves.require_sides(f"nuisances {config.nuisances}")
    sources = asked.get("sources")
    if sources is None:
        sources = [expert(sides=moves.sides)]
    for source in sources:
        if source.one_sided:
            moves.require_sides(f"AUs on one side alone, of source {source.name} (see its `sides`)")
    _say_left_out(sources, say)
    pool = default_pool() if faces is None else path(faces)
    quality = quality_of(
        asked.get("min_inter_ocular", 30.0), asked.get("quality") or {}, asked.get("licence_allow") or ()
    )
    table = csv_of(pool, asked.get("faces_csv"), asked.get("faces_columns") or {})
    index = find_faces(pool, table, quality, work, landmarker, progress, say)
    try:
        made = build_plan(
            config, index, sources, describe(moves), faces_root=str(photos_root(pool).resolve()),
            chosen_by={"quality": json.loads(canonical_json(asdict(quality)))},
            progress=stage(progress, "planning samples"),
            triplets_progress=stage(progress, "drawing AU triplets"),
        )  # fmt: skip
        begin(made)
        adopted = adopt_plan(made, place)
    except Exception:
        raise
    except BaseException:  # Ctrl-C, or a signal
        say(f"stopped while planning: nothing of this plan is kept in {place.address}, and the next run plans anew")
        raise
    # its rows and faces are read back when they are needed
    digests = read_record(place)["digests"]
    planned = replace(
        made, shards=lambda: read_plan(place).shards(), face_blocks=lambda: read_plan(place).face_blocks(),
        known=digests, place=place,
    )  # fmt: skip
    refused = index.num_rows - index["reason"].to_pylist().count("")
    several = sum(n > 1 for n in index["n_faces"].to_pylist())
    n_virtual = sum(made.faces["virtual"].to_pylist())
    say(
        f"{index.num_rows:,} photos, {index.num_rows - refused:,} usable"
        + (f"; {several:,} with several faces, of which the largest is used" if several else "")
        + f"; {made.n_faces:,} identities"
        + (f", {n_virtual:,} of them virtual" if n_virtual else "")
        + f"; {made.n_rows:,} samples"
    )
    if config.frame_format == "jpeg":
        say("JPEG compression changes the onset → apex difference by a quarter or more at micro intensity")
    wanted = config.triplets
    if wanted is not None and (found := distinct_triplets(planned.shards())) < min(wanted, made.n_rows):
        say(f"only {found:,} of {wanted:,} AU triplets: the real clips hold no more; `au_noise` would vary them")
    if adopted.was_there:
        say(f"{place.address} holds this plan already: resuming")
    listed = write_refused(index, place)
    write_sums(place, [REFUSED])
    if listed:
        say(f"{refused:,} photos cannot be used: {listed}")
    return planned


@overload
def run(
    out: SetLike,
    *,
    shards: None = None,
    faces: PathLike | None = None,
    weights: PathLike | None = None,
    max_failed: float = 0.01,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Made: ...


@overload
def run(
    out: SetLike,
    *,
    shards: str | None,
    faces: PathLike | None = None,
    weights: PathLike | None = None,
    max_failed: float = 0.01,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Made | Part: ...


@checking(out=_SET, shards=TEXT | NONE)
def run(
    out: SetLike,
    *,
    shards: str | None = None,
    faces: PathLike | None = None,
    weights: PathLike | None = None,
    max_failed: float = 0.01,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Made | Part:
    """Render the samples of a plan that are still missing.

    Args:
        out: a plan, or its folder.
        shards: only these, so that several machines share the work: ranges, such as "0-9,20-29" (both ends included),
            or a part, such as "3/8" (the third of eight). Any number of such runs may go on in one folder at once, and
            the last to end finishes the set. Default: all, and no other run meanwhile.
        faces: folder of the photos, if they have been moved.
        weights: file of the generator's weights. Default: it is found by its sha256, where `synthesize` looks.
        max_failed: fraction of samples, with `shards` of theirs, that may fail before the run stops.

    The other arguments and the errors are those of `synthesize`.

    Returns:
        The set; with `shards`, while others of the plan are missing, the Part that was made.
    """
    return _make(out, faces, weights, workers, max_failed, progress, say, shards=shards)


@checking(out=_SET)
def repair(
    out: SetLike,
    *,
    faces: PathLike | None = None,
    weights: PathLike | None = None,
    max_failed: float = 0.01,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Made:
    """Check every shard of a set, and remake what is damaged, missing or failed.

    Arguments and errors are those of `run`.
    """
    made = _make(out, faces, weights, workers, max_failed, progress, say, repairing=True)
    assert isinstance(made, Made)
    return made


@checking(out=_SET, sample=number(0, 1))
def verify(out: SetLike, *, sample: float = 1, workers: Workers = 1, progress: Stages | None = None) -> Report:
    """Check a set against itself: all bytes of shards and pages against their digests, every sample against its plan,
    and what plan.json says was asked for against what is planned.

    Of Parquet files it sees all values and what else readers rely on, not bits that nobody reads. What fits together
    because all of it was written anew is not seen: compare the plan's digest with one that was noted elsewhere. All
    this is told in docs/reliability.md.

    Args:
        out: a set, or its folder.
        sample: share of the shards that are checked, above 0 and at most 1: of a big set, 0.05 may do. Of the others
            only the record and the size are looked at.

    Raises:
        InputError: the folder holds no set.
        UsageError: another share.
    """
    from miex.dataset.verify import verify as verify_set
    from miex.planning.asked import asked_problems

    if sample == 0:
        raise UsageError(f"`sample` {sample}", expected="a share above 0 and at most 1, such as 0.05")
    where, at_work = stage(progress, "checking shards"), executor(workers)
    place = place_of(out, "verify the set: its parts are not checked by themselves")
    found = verify_set(place, sample=sample, executor=at_work, progress=where)
    return replace(found, problems=(*found.problems, *asked_problems(read_plan(place))))


class Reported(NamedTuple):
    """What a report found.

    Attributes:
        gallery: path of gallery.html, or its address in a bucket.
        audit: what was measured on frames; None: nothing.
        verdicts: on each requirement, in their order.
    """

    gallery: Path | str
    audit: Audit | None
    verdicts: Sequence[Verdict] = ()

    @property
    def met(self) -> bool:
        """Whether all requirements are met."""
        return all(one.met for one in self.verdicts)


@checking(out=_SET, require=TEXT)
def report(
    out: SetLike,
    *,
    samples: int = 60,
    seed: int = 0,
    audit: int = 60,
    require: str | None = None,
    where: str | None = None,
    faces: PathLike | None = None,
    workers: Workers = 1,
    landmarker: PathLike | None = None,
    sface: PathLike | None = None,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Reported:
    """Write README.md, gallery.html and croissant.json of a set, and measure a random subsample of its frames.

    Args:
        out: a set, or its folder.
        samples: number of samples in the gallery.
        seed: random seed of the choice of samples.
        audit: number of samples whose frames are measured (AUs realized, identity, sharpness, stray motion); 0: none.
        require: requirements that are judged, such as "identical == 0, identity >= 0.95, au_slope(12) > 0.8": measures
            of `quality.gate.MEASURES`, compared (== != < <= > >=) with numbers. What could not be measured is not met.
            README.md tells of each. Default: none.
        where: query that chooses samples, such as "source == 'expert'" (see `Dataset.where`): only these are measured,
            judged and shown in the gallery, which both pages say. The rest of the pages tells of the whole set.
        faces: folder of the photos, if they have been moved.
        sface: file of SFace, the face recognition network that identity is measured by. Default: the copy in the cache,
            fetched if it is missing.

    The other arguments are those of `synthesize`.

    Returns:
        The gallery's path, or its address in a bucket; what was measured; and the verdicts: `met` says whether all
        requirements are met.

    Raises:
        UsageError: a requirement or query that is none, or a query that no sample meets; before anything is measured.
        InputError: the set is not finished, or damaged.
        OutputError: the folder cannot be written.
    """
    from miex.api.examples import selected
    from miex.faces.photos import photos_root
    from miex.quality.audit import audit_set
    from miex.quality.gate import judge_set, read_requirements
    from miex.report.build import write_report

    requirements = read_requirements(require) if require is not None else ()
    work, measured = executor(workers), None
    place = place_of(out, "give the set, and what chooses its samples as `where`")
    if where is not None:
        selected(open_dataset(place), where)  # what is wrong with the query is said before a minute of measuring
    if audit:
        model, network = measuring_models(
            landmarker, sface, say, "AUs and identity are left out of the report", "identity is measured by shape alone"
        )
        measured = audit_set(
            place, n=audit, seed=seed, where=where, model=model, sface=network,
            faces_root=None if faces is None else photos_root(path(faces)).resolve(),
            executor=work, progress=stage(progress, "measuring samples"),
        )  # fmt: skip
    verdicts = judge_set(requirements, place, measured, where=where)
    for note in measured.notes if measured else ():
        if not any(note in verdict.basis for verdict in verdicts):  # which tell why they are not met
            say(note)
    gallery = write_report(place, n=samples, seed=seed, where=where, audit=measured, verdicts=verdicts)
    return Reported(gallery, measured, verdicts)


def place_of(given: SetLike, do: str = "give the set") -> Storage:
    """Where a set or plan lies.

    Raises:
        UsageError: the plan is not written, or these are only some samples of a set, of which `do` says what to do.
    """
    if isinstance(given, str | Path):
        return storage_at(given)
    if isinstance(given, Dataset) and given.part:
        raise UsageError(
            f"a selection of {len(given):,} samples of {given.storage.address}",
            expected="the whole set, or its folder", do=do,
        )  # fmt: skip
    place = given.place if isinstance(given, Plan) else given.storage
    if place is None:
        raise UsageError(f"`out` {given!r}", expected="a plan that has been written")
    return place


def _make(
    out: SetLike,
    faces: PathLike | None,
    weights: PathLike | None,
    workers: Workers,
    max_failed: float,
    progress: Stages | None,
    say: Say,
    *,
    repairing: bool = False,
    digest: str | None = None,
    shards: str | None = None,
) -> Made | Part:
    from miex.dataset.pages import GALLERY, REPORT, page_problems
    from miex.dataset.plan_file import read_plan
    from miex.dataset.verify import foreign_files
    from miex.faces.photos import photos_root
    from miex.report.build import write_report
    from miex.synthesis.repair import repair_set
    from miex.synthesis.run import run_plan

    def announce(estimate: Estimate) -> None:
        at_once = min(executor(workers).at_once, estimate.shards)
        say(
            f"{estimate.samples:,} samples to make: about {duration(estimate.seconds / at_once)} with "
            f"{at_once} worker{'s' * (at_once > 1)}, {estimate.bytes / 1e6:,.0f} MB"
            + (f" ({estimate.free / 1e9:,.0f} GB free)" if estimate.free is not None else "")
        )

    def finish(summary: Summary) -> None:
        there = all(place.size(page) is not None for page in REPORT)
        if not there or (repairing and page_problems(place)):  # measures of the same frames are kept
            write_report(place)

    place = place_of(out, "give the set: what is missing or bad is made for all of its plan")
    how: dict[str, Any] = {
        "faces_root": None if faces is None else photos_root(path(faces)).resolve(),
        "weights": None if weights is None else path(weights).absolute(), "executor": executor(workers),
        "max_failed": max_failed, "announce": announce, "finish": finish,
    }  # fmt: skip
    if repairing:
        summary = repair_set(place, **how, progress=stage(progress, "repairing"))
        for name in foreign_files(place, read_plan(place).n_shards):
            say(
                f"{name} is not part of this plan and was left alone: remove it, or readers of shards/*.tar read it too"
            )
    else:
        making = stage(progress, "making samples")
        summary = run_plan(place, **how, shards=shards, digest=digest, progress=making)
        if seen := summary.samples - summary.rendered:
            say(f"warning: {seen:,} samples were there and have not been looked at; miex verify proves them")
    for problem in page_problems(place) if repairing else ():
        say(problem)
    if not summary.made and not summary.left:
        say(
            f"warning: the set holds no sample: all {summary.failed:,} that are planned failed, for the reasons in its "
            "README.md; miex repair makes them again"
        )
    if summary.left:
        return Part(place.address, summary)
    return Made(place, summary, place.place(GALLERY))


def _config(asked: PlanOptions) -> PlanConfig:
    from pydantic import ValidationError

    from miex.planning.config import PlanConfig

    per, samples = asked.get("per"), asked.get("samples")
    if per is not None and samples is not None:
        raise UsageError(
            f"`per` {per} and `samples` {samples}", expected="only one of them: each sets the number of samples"
        )
    known = PlanConfig.model_fields
    for name in asked:
        one_of(name, PlanOptions.__annotations__, "argument")
    values: dict[str, Any] = {
        name: value for name, value in asked.items() if name in known and not (value is None and name in _PLANNED)
    }
    if "classes" in values:
        classes = asked["classes"]
        values["classes"] = (classes,) if isinstance(classes, str) else tuple(classes)
    if asked.get("faces") is None:
        values.setdefault("ids", DEFAULT_IDS)
    try:
        return PlanConfig(**values)
    except ValidationError as error:
        wrong = first_wrong(error)
        raise UsageError(f"`{wrong.where.split('.')[0]}` {wrong.found}", expected=wrong.expected) from error


def _say_left_out(sources: Sequence[AUSource], say: Say) -> None:
    for source in sources:
        for note in source.left_out_notes:
            say(f"{source.name}: {note}")
