"""Real corpora: their clips and AUs, reports, indexes, and fakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

from miex.api.work import (
    PathLike,
    Say,
    Stages,
    Workers,
    embedded_extractor,
    executor,
    landmark_model,
    path,
    stage,
    unsaid,
)
from miex.arguments import PATH, PATHS, YES_NO, checking, instance_of, many, number, whole
from miex.aus.tracks import Credit, Track, credit_of, read_table, table_of, tracks_of, write_parquet
from miex.corpora.catalog import corpora, corpus_at, corpus_named
from miex.corpora.catalog import read as read_corpus
from miex.corpora.clip import KINDS, Clip
from miex.corpora.corpus import Reading
from miex.errors import UsageError, one_of
from miex.labels import label_named
from miex.sources.pool import Pool, make_pool

if TYPE_CHECKING:
    from miex.corpora.check import Report
    from miex.corpora.fakes.write import Made
    from miex.extraction.csv_tables import Imported

_CLIPS = many(instance_of("a clip", "miex.corpora.clip:Clip"), "clips, as `miex.corpora.read` gives them")
_CREDIT = instance_of("a `miex.aus.tracks.Credit`", "miex.aus.tracks:Credit")


class Clips(Sequence[Clip]):
    """The clips of a corpus, in the order of its table.

    Attributes:
        reading: the clips, and everything noted while reading them.
    """

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    @property
    def corpus(self) -> str:
        """Name of the corpus."""
        return self.reading.corpus

    def __len__(self) -> int:
        return len(self.reading.clips)

    @overload
    def __getitem__(self, i: int) -> Clip: ...
    @overload
    def __getitem__(self, i: slice) -> Clips: ...
    def __getitem__(self, i: int | slice) -> Clip | Clips:
        """The clip at i; for a slice, these clips."""
        return self.of(self.reading.clips[i]) if isinstance(i, slice) else self.reading.clips[i]

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.reading.clips)

    @checking(clips=_CLIPS)
    def of(self, clips: Iterable[Clip]) -> Clips:
        """Some of them."""
        return Clips(replace(self.reading, clips=tuple(clips)))

    def __repr__(self) -> str:
        labels = Counter(clip.label.name for clip in self if clip.label is not None)
        parts = [
            f"{len(self):,} clips",
            f"{len({(clip.corpus, clip.subject) for clip in self}):,} subjects",
            ", ".join(f"{n:,} {name}" for name, n in sorted(labels.items())) or "no labels",
            f"{sum(bool(clip.frames) for clip in self):,} with frames",
        ]
        return f"{self.corpus}: " + " · ".join(parts)

    @checking()
    def extract(
        self,
        *,
        openface: PathLike | None = None,
        version: str = "",
        parts: PathLike | None = None,
        workers: Workers = 1,
        landmarker: PathLike | None = None,
        progress: Stages | None = None,
        say: Say = unsaid,
    ) -> SeenAUs:
        """Extract the AUs of every clip. Repeating the same call resumes an interrupted one.

        Args:
            openface: path of OpenFace's FeatureExtraction. Default: the extractor that comes with miex.
            version: version of that OpenFace, recorded with the AUs.
            parts: folder that keeps finished clips. Default: the user's cache.
            workers, landmarker, progress, say: as in `miex.synthesize`.

        Raises:
            InputError: a clip has no frames, or no face was found in any frame.
        """
        from miex.extraction.extractor import AUExtractor, extract_clips
        from miex.extraction.openface import OpenFaceBinary
        from miex.storage.cache import cache_folder

        work = executor(workers)
        extractor: AUExtractor = (
            embedded_extractor(landmarker, say) if openface is None else OpenFaceBinary(path(openface), version)
        )
        kept = cache_folder() / "aus" if parts is None else path(parts)
        doing = stage(progress, f"AUs of {self.corpus}")
        tracks = extract_clips(self.reading.clips, extractor, kept, executor=work, progress=doing)
        return SeenAUs(self, tuple(tracks), extractor.name, extractor.version)


@dataclass(frozen=True, repr=False)
class SeenAUs:
    """The AUs extracted from the clips of a corpus.

    Attributes:
        clips: the clips.
        tracks: the AUs of each clip, in the same order.
        extractor, version: program that extracted them.
    """

    clips: Clips
    tracks: tuple[Track, ...]
    extractor: str
    version: str

    @property
    def frames(self) -> int:
        """Number of frames in all clips."""
        return sum(len(track.frames) for track in self.tracks)

    @property
    def failed(self) -> int:
        """Number of frames in which no face was found."""
        return sum(int((~track.success).sum()) for track in self.tracks)

    def __repr__(self) -> str:
        return (
            f"AUs of {self.clips.corpus}: {len(self.tracks):,} clips · {self.frames:,} frames ({self.failed:,} failed) "
            f"· {self.extractor} {self.version}"
        )

    @checking(credit=_CREDIT)
    def pool(self, credit: Credit | None = None) -> Pool:
        """Make the pool that real AUs are drawn from: the clips with a label, and their AUs.

        Raises:
            InputError: no clip is left.
        """
        return make_pool(self.clips.reading.clips, {track.clip: track for track in self.tracks}, credit)

    @checking(credit=_CREDIT)
    def save(self, out: PathLike, credit: Credit | None = None) -> None:
        """Write them as an AU table, .parquet. Raises OutputError if it cannot be written."""
        write_parquet(table_of(self.tracks, credit or Credit()), path(out))


@checking(where=PATH)
def read(
    name: str,
    where: PathLike,
    *,
    table: PathLike | None = None,
    tree: str | None = None,
    mapping: str = "megc2019",
    without: Collection[str] = (),
    on_error: str = "raise",
) -> Clips:
    """Read the clips of a corpus. No image is opened.

    Args:
        name: one of the names that `miex corpora list` prints, or any other for a corpus of your own.
        where: folder of the corpus, or only its annotation table.
        table: annotation table to read instead of the one in the folder.
        tree: which of several copies of the frames to read, by a part of their path, such as cropped.
        mapping: name of the mapping of emotions to labels.
        without: ids of corrections that are not to be applied, or ["all"].
        on_error: treatment of a row that cannot be read: raise, skip, or collect (into `reading.problems`).

    Raises:
        UsageError: no corpus, mapping, correction or tree has that name.
        InputError: the folder does not hold that corpus, or a row cannot be read.
    """
    place = path(where)
    given = None if table is None else path(table)
    how: dict[str, Any] = {"table": given, "tree": tree, "mapping": mapping, "without": without, "on_error": on_error}
    return Clips(read_corpus(name, place, **how))


def readable(name: str, where: PathLike, say: Say) -> Clips:
    """The clips of a corpus that can be read and have frames; how many others are left out, which and why, is said.

    Errors are those of `read`, and InputError if no clip is left.
    """
    found = read(name, where, on_error="collect")
    problems = found.reading.problems
    n = len(found) + len(problems)
    # without any frame, it is the folder that lacks, and not some clips
    kept = found.of(clip for clip in found if clip.frames) if any(clip.frames for clip in found) else found
    if problems and not kept:
        raise problems[0]
    if problems:
        why = "; ".join(f"{one.asked} (expected {one.expected}, found {one.found})" for one in problems)
        say(f"{found.corpus}: {len(problems):,} of {n:,} clips left out, since they cannot be read: {why}")
    if len(kept) < len(found):
        names = ", ".join(f"{clip.subject}/{clip.clip}" for clip in found if not clip.frames)
        say(f"{found.corpus}: {len(found) - len(kept):,} of {n:,} clips left out, since they have no frames: {names}")
    return kept


@checking(where=PATH, images=YES_NO)
def inspect(
    name: str,
    where: PathLike,
    *,
    table: PathLike | None = None,
    tree: str | None = None,
    mapping: str = "megc2019",
    without: Collection[str] = (),
    images: bool = False,
    workers: Workers = 1,
    progress: Stages | None = None,
) -> Report:
    """Report what of a corpus is there or missing, which rows are broken, and which corrections apply.

    Arguments and errors are those of `read`, except that rows that cannot be read are reported, not raised.

    Args:
        images: whether to open every frame, and list those that are damaged.
        workers, progress: as in `miex.synthesize`.
    """
    from miex.corpora.catalog import recognizing
    from miex.corpora.check import check as check_corpus

    place, given = path(where), None if table is None else path(table)
    corpus, work, doing = corpus_at(name, place), executor(workers), stage(progress, "opening frames")
    with recognizing(corpus, place, given):
        return check_corpus(
            corpus, place, images=images, executor=work, progress=doing, table=given, tree=tree, mapping=mapping,
            without=without,
        )  # fmt: skip


@checking(clips=_CLIPS)
def write_index(clips: Iterable[Clip], out: PathLike) -> int:
    """Write one row per clip to a .csv (which can be read back as a corpus) or .parquet; returns the number of rows.

    Raises:
        UsageError: the name ends in neither .csv nor .parquet.
        OutputError: another file has that name, or it cannot be written.
    """
    from miex.corpora import index

    return index.write_index(list(clips), path(out))


@checking()
def listed(what: str = "corpora") -> list[dict[str, Any]]:
    """One row for each of the `what`: corpora, mappings or corrections."""
    from miex.corpora.corrections import all_corrections
    from miex.corpora.mappings import mappings

    one_of(what, ("corpora", "mappings", "corrections"), "a list of")
    if what == "mappings":
        return [
            {"name": m.name, "gives": m.title, "for": ", ".join(m.corpora), "source": m.source}
            for m in mappings().values()
        ]
    if what == "corrections":
        shown = ("id", "field", "published", "used", "reason", "source")
        return [{name: getattr(correction, name) for name in shown} for correction in all_corrections()]
    return [
        {"name": c.name, "corpus": c.title, "fps": f"{c.fps:g}" if c.fps else "", "to get it": c.licence}
        for c in corpora().values()
    ]


@checking(subjects=whole(2), strength=number(0.1, 10))
def fake(
    name: str,
    out: PathLike,
    *,
    table: PathLike | None = None,
    subjects: int = 4,
    size: int = 96,
    seed: int = 0,
    strength: float = 1.0,
    generator: str = "muscle",
    landmarker: PathLike | None = None,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Made:
    """Write a small fake corpus in the layout of the real one, quirks included, with synthetic faces that move.

    Args:
        name: name of the corpus.
        out: a new folder.
        table: real annotation table; with it, only tiny frames are written, for the clips that it names.
        subjects: number of subjects.
        size: side of the square frames, in pixels.
        seed: random seed of the fake.
        strength: factor of all intensities, which are micro with 1; with 2 or more they are those of
            macro-expressions.
        generator: name of the generator that moves the faces.
        landmarker, progress, say: as in `miex.synthesize`.

    Raises:
        UsageError: there is no such corpus or generator, or too few or too many subjects.
        OutputError: the folder is not empty, or cannot be written.
    """
    from miex.corpora.fakes.write import fake_frames_of, write_fake
    from miex.dataset.frames import encode_image
    from miex.faces.align import align_photo
    from miex.faces.crop import CropOptions
    from miex.faces.photos import default_pool, list_photos
    from miex.generators.people import actors
    from miex.generators.registry import make_generator

    corpus = corpus_named(name)
    if table is not None:
        return fake_frames_of(corpus, path(out), path(table), encode_image)
    photo = default_pool() / list_photos(default_pool())[0]
    moves = make_generator(generator)
    people = actors(align_photo(photo, landmark_model(landmarker, say), CropOptions(size)), moves, seed)
    doing = stage(progress, f"faking {corpus.name}")
    return write_fake(
        corpus, path(out), people, encode_image, subjects=subjects, seed=seed, strength=strength, progress=doing
    )


@checking(paths=PATHS, scale=number(), first_frame=whole(0, 1), min_confidence=number(0, 1))
def import_aus(
    paths: Iterable[PathLike],
    out: PathLike,
    *,
    format_name: str | None = None,
    version: str = "",
    scale: float | None = None,
    first_frame: int | None = None,
    min_confidence: float = 0,
    licence: str = "",
    attribution: str = "",
) -> Imported:
    """Make an AU table, .parquet, from CSV files of other programs.

    Args:
        paths: tables of OpenFace, py-feat or LibreFace (CSV, TSV, xlsx), or folders of them.
        out: the table to write.
        format_name: openface, openface3, libreface or py-feat. Default: told by the columns.
        version: version of that program, recorded in the table.
        scale: largest value of the AU scale. Default: that of the program.
        first_frame: number of a clip's first frame, 0 or 1. Default: told by each file.
        min_confidence: confidence in [0, 1] below which a frame counts as failed.
        licence, attribution: terms of these AUs, recorded in every set made with them.

    Raises:
        UsageError: there is no such format.
        InputError: a file cannot be read, or has another form.
        OutputError: the table cannot be written.
    """
    from miex.extraction.csv_tables import import_csv

    found = import_csv(
        [path(one) for one in paths], format_name=format_name, version=version, scale=scale, first_frame=first_frame,
        min_confidence=min_confidence,
    )  # fmt: skip
    write_parquet(table_of(found.tracks, Credit(licence, attribution)), path(out))
    return found


@checking(tables=PATHS, clips=PATH)
def pool(
    tables: Iterable[PathLike],
    corpus: str,
    clips: PathLike,
    *,
    columns: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    kind: str | None = None,
) -> Pool:
    """Join AU tables with subjects and labels of their clips, into a pool that real AUs are drawn from.

    Args:
        tables: AU tables of one corpus.
        corpus: name of the corpus; any other name for one of your own.
        clips: folder or table of the corpus; for one of your own, a CSV with columns subject, clip, emotion and others.
        columns: names of columns in that CSV, such as {"subject": "person"}.
        labels: label of each emotion to keep. Default: the column label, or else the mapping megc2019.
        kind: kind of the clips if no column says it, micro or macro. Default: micro.

    Raises:
        UsageError: a clip is in two tables, or tables have different licences.
        InputError: tables or clips cannot be read, or no clip is left.
    """
    from miex.corpora.readers.plain import Plain

    if columns or labels or kind:
        known = {emotion: label_named(label) for emotion, label in (labels or {}).items()} or None
        shows = one_of(kind or "micro", KINDS, "`kind`")
        found = Plain(corpus, columns=dict(columns or {}), labels=known, kind=shows).read(path(clips)).clips
    else:
        found = read(corpus, clips).reading.clips
    read_tables = [(path(table), read_table(path(table))) for table in tables]
    tracks: dict[str, Track] = {}
    for file, table in read_tables:
        for name, track in tracks_of(table).items():
            if name in tracks:
                raise UsageError(
                    f"AU tables for {corpus}", expected="each clip in one table", found=f"clip {name} again in {file}"
                )
            tracks[name] = track
    credits = sorted({credit_of(table) for _, table in read_tables}, key=str)
    if len(credits) > 1:
        raise UsageError(
            f"AU tables for {corpus}", expected="one licence and attribution", found=f"{credits[0]} and {credits[1]}",
            do="import all tables with the same `licence` and `attribution`, or make one pool of each",
        )  # fmt: skip
    return make_pool(found, tracks, credits[0])
