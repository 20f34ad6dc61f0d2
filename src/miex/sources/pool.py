"""AU pools, from which real AUs are drawn: the clips of a corpus with their labels and the AUs of their frames."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.arguments import checking
from miex.aus.tracks import Credit, Track, credit_of, floats, read_parquet, with_credit, write_parquet
from miex.aus.vector import AU_NUMBERS, N_AUS, AUArray, checked
from miex.corpora.clip import Clip
from miex.corpora.people import subject_key
from miex.errors import InputError
from miex.labels import Label

_NULL = {"null": "allowed"}
_ELSEWHERE = "AUs only of an event with another onset"
_COUNT = (
    "give the folder of the corpus with its frames; or, in a list without frames, numbers that count from the first "
    "frame of each clip, which has number 1"
)
POOL_SCHEMA: Final = pa.schema(
    [
        ("corpus", pa.string()),
        ("subject", pa.string()),
        ("clip", pa.string()),
        ("kind", pa.string()),  # micro or macro
        ("emotion", pa.string()),
        ("label", pa.int8()),
        pa.field("onset", pa.int32(), metadata=_NULL),  # 0-based, as annotated; null where it is not
        pa.field("apex", pa.int32(), metadata=_NULL),
        pa.field("offset", pa.int32(), metadata=_NULL),
        ("frames", pa.list_(pa.int32())),  # 0-based, ascending; failed frames are left out
        ("aus", pa.list_(pa.list_(pa.float32(), N_AUS))),  # one vector per frame, in [0, 1]
        ("seen", pa.list_(pa.bool_(), N_AUS)),  # AUs that the extractor gives; the others are 0
        ("rest", pa.list_(pa.float32(), N_AUS)),  # of the person, in [0, 1]
        ("n_frames", pa.int32()),  # of the clip, failed ones too
        ("extractor", pa.string()),
        ("version", pa.string()),
    ]
)


@dataclass(frozen=True)
class PoolClip:
    """One clip with its AUs.

    Attributes:
        corpus, subject, clip, kind, emotion, label, onset, apex, offset: as in `corpora.clip.Clip`; the label is
            known. Of a synthetic clip, corpus and subject are those of the person whose AUs it shows, if there is one.
        frames: 0-based indices of the frames whose AUs are known, ascending, int32 [n], n ≥ 1.
        aus: their intensities in [0, 1], float32 [n, 17]; 0 in AUs that the extractor does not give.
        seen: AUs that it gives, bool [17].
        rest: the person's AUs at rest, float32 [17]: the median over all clips of that person, with a label or not, of
            the first known frame. A clip starts before much has happened, so what is there in most of them is the face
            itself: heavy lids, low brows, and what the extractor takes for them.
        n_frames: how many frames the clip has, failed ones too.
        extractor, version: program that extracted the AUs.
    """

    corpus: str
    subject: str
    clip: str
    kind: str
    emotion: str
    label: Label
    onset: int | None
    apex: int | None
    offset: int | None
    frames: npt.NDArray[np.int32]
    aus: AUArray
    seen: npt.NDArray[np.bool_]
    rest: AUArray
    n_frames: int
    extractor: str
    version: str

    @property
    def person(self) -> tuple[str, str]:
        """Corpus and subject, the latter in one spelling."""
        return self.corpus, subject_key(self.subject) or self.subject

    def at(self, frame: int) -> AUArray | None:
        """The AUs of a frame, float32 [17], or None where they are not known."""
        i = int(np.searchsorted(self.frames, frame))
        return self.aus[i] if i < len(self.frames) and self.frames[i] == frame else None

    @property
    def span(self) -> tuple[int, int]:
        """First and last frame: from onset to offset as annotated, else the whole clip."""
        first = 0 if self.onset is None else self.onset
        return first, self.n_frames - 1 if self.offset is None else min(self.offset, self.n_frames - 1)


@dataclass(frozen=True)
class Pool:
    """Clips with their AUs.

    Attributes:
        clips: in the order of corpus, subject, clip, onset.
        credit: of the AUs.
        left_out: why clips are not in it, and how many; known where the pool was made, not where it was read.
    """

    clips: tuple[PoolClip, ...]
    credit: Credit = field(default_factory=Credit)
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        seen = sorted({f"{clip.corpus} by {clip.extractor} {clip.version}".rstrip() for clip in self.clips})
        people = len({clip.person for clip in self.clips})
        return f"AU pool: {len(self.clips):,} clips · {people:,} subjects · " + ", ".join(seen)

    @property
    def facts(self) -> list[dict[str, Any]]:
        """For each corpus and extractor what is in the pool, and a digest of it, as JSON values."""
        groups: dict[tuple[str, str, str], list[PoolClip]] = {}
        for clip in self.clips:
            groups.setdefault((clip.corpus, clip.extractor, clip.version), []).append(clip)
        return [
            {
                "corpus": corpus,
                "clips": len(clips),
                "subjects": len({clip.person for clip in clips}),
                "extractor": extractor,
                "version": version,
                "unseen_aus": [au for au, seen in zip(AU_NUMBERS, _seen(clips), strict=True) if not seen],
                "licence": self.credit.licence,
                "attribution": self.credit.attribution,
                "digest": _digest(clips),
            }
            for (corpus, extractor, version), clips in sorted(groups.items())
        ]


def _seen(clips: Iterable[PoolClip]) -> npt.NDArray[np.bool_]:
    return np.asarray(np.any([clip.seen for clip in clips], axis=0), bool)


def _digest(clips: Iterable[PoolClip]) -> str:
    digest = hashlib.sha256()
    for clip in clips:
        names = (clip.corpus, clip.subject, clip.clip, clip.kind, clip.emotion, int(clip.label))
        frames = (clip.onset, clip.apex, clip.offset, clip.n_frames)
        digest.update("\x1f".join(map(str, (*names, *frames))).encode() + b"\0")
        digest.update(b"".join(a.tobytes() for a in (clip.frames.astype("<i4"), clip.aus.astype("<f4"), clip.rest)))
    return digest.hexdigest()


def make_pool(clips: Sequence[Clip], tracks: Mapping[str, Track], credit: Credit | None = None) -> Pool:
    """Join clips with their AU tracks.

    A track belongs to a clip by one of these names, the first that is there: `subject/clip@onset`, `subject/clip`,
    or, where only one subject has a clip of that name, `clip`. Subjects match in any spelling (`corpora.people`).

    Returns:
        The pool. Left out, and counted, are clips without a label, without a track, with frames that all failed.

    Raises:
        InputError: no clip is left: none has a track, or a frame that did not fail, or a label; or the onset, apex or
            offset of a clip is not in its track, all of which are named.
    """
    found = {_normal(name): track for name, track in tracks.items()}
    anywhere = {name.rpartition("@")[0] for name in found if "@" in name}
    unique = Counter(clip.clip for clip in {(c.corpus, c.subject, c.clip): c for c in clips}.values())
    left_out: Counter[str] = Counter()
    joined = []
    for clip in clips:
        full = f"{clip.subject}/{clip.clip}"
        names = [f"{full}@{clip.onset}", full, *([clip.clip] if unique[clip.clip] == 1 else [])]
        track = next((found[name] for name in map(_normal, names) if name in found), None)
        if track is None:
            left_out[_ELSEWHERE if _normal(full) in anywhere else "no AUs"] += 1
        elif not track.success.any():
            left_out["every frame failed"] += 1
        else:
            joined.append((clip, track))
            if clip.label is None:
                left_out[f"no label for {clip.emotion}"] += 1
    _prove_inside(joined)
    rest = _rest(joined)
    made = [_joined(clip, track, rest[_person(clip)]) for clip, track in joined if clip.label is not None]
    if not made:
        raise _nothing(clips, tracks, left_out)
    return Pool(_ordered(made), credit or Credit(), dict(left_out))


def _prove_inside(joined: Iterable[tuple[Clip, Track]]) -> None:
    """Raises InputError, which names all that are not, unless every event lies in its track.

    Numbers of files, taken as a count from the clip's first frame, lie behind it, or (in a longer track) at other
    frames, which nobody would notice.
    """
    outside = [
        f"{clip.corpus}/{clip.subject}/{clip.clip} ({what} {at:,}, of {_length(clip, track):,} frames)"
        for clip, track in joined
        for what, at in (("onset", clip.onset), ("apex", clip.apex), ("offset", clip.offset))
        if at is not None and at >= _length(clip, track)
    ]
    if outside:
        raise InputError(
            f"AU pool of {outside[0].partition('/')[0]}", expected="onset, apex and offset (from 0) in each track",
            found=f"{len(outside):,} outside: " + ", ".join(outside), do=_COUNT,
        )  # fmt: skip


def _length(clip: Clip, track: Track) -> int:
    return max(len(clip.frames), int(track.frames[-1]) + 1)


def _nothing(clips: Sequence[Clip], tracks: Mapping[str, Track], left_out: Mapping[str, int]) -> InputError:
    """The error that says why no clip is left."""
    reasons = ", ".join(f"{n} {reason}" for reason, n in left_out.items()) or "no clips"
    asked = f"AU pool of {len(clips)} clips and {len(tracks)} AU tracks"
    if clips and left_out.get("no AUs") == len(clips):
        return InputError(
            asked,
            expected="tracks named subject/clip or clip",
            found=f"clips such as {clips[0].subject}/{clips[0].clip}, tracks such as {next(iter(tracks), 'none')}; "
            + reasons,
            do="give the AU tables of these clips, with tracks of the same names",
        )
    if _ELSEWHERE in left_out:
        names = {f"{clip.subject}/{clip.clip}": clip for clip in clips}
        clip, name = next(
            (names[base], name)
            for name in tracks
            for base in names
            if _normal(name.rpartition("@")[0]) == _normal(base)
        )
        return InputError(
            asked, expected=f"an event at index {clip.onset}, the onset of {clip.subject}/{clip.clip}",
            found=f"a track of this clip, {name}, whose event begins at index {name.rpartition('@')[2]}; {reasons}",
            do=_COUNT,
        )  # fmt: skip
    failed = "every frame failed" in left_out
    return InputError(
        asked, expected="a clip with a label, and AUs in some frame", found=reasons,
        do="look at the frames, and extract their AUs again" if failed else "give a label for each emotion: `label`",
    )  # fmt: skip


def _normal(name: str) -> str:
    """The name of a track with its subject in one spelling."""
    subject, slash, clip = name.rpartition("/")
    return f"{subject_key(subject.rpartition('/')[2])}/{clip}" if slash else clip


def _person(clip: Clip) -> tuple[str, str]:
    return clip.corpus, subject_key(clip.subject) or clip.subject


def _rest(joined: Iterable[tuple[Clip, Track]]) -> dict[tuple[str, str], AUArray]:
    first: dict[tuple[str, str], list[AUArray]] = {}
    for clip, track in joined:
        good = np.flatnonzero(track.success)
        later = good[track.frames[good] >= (clip.onset or 0)]
        aus = track.aus[later[0] if len(later) else good[-1]]
        first.setdefault(_person(clip), []).append(np.nan_to_num(aus, nan=0.0))
    return {person: np.median(vectors, axis=0).astype(np.float32) for person, vectors in first.items()}


def _joined(clip: Clip, track: Track, rest: AUArray) -> PoolClip:
    assert clip.label is not None
    corpus, subject = clip.corpus, clip.subject
    if clip.descent and clip.descent.corpus and clip.descent.subject:
        corpus, subject = clip.descent.corpus, clip.descent.subject
    good = track.success
    aus = np.nan_to_num(track.aus[good], nan=0.0)
    return PoolClip(
        corpus, subject, clip.clip, clip.kind, clip.emotion, clip.label, clip.onset, clip.apex, clip.offset,
        track.frames[good], aus, track.seen, rest, _length(clip, track), track.extractor, track.version,
    )  # fmt: skip


def _ordered(clips: Iterable[PoolClip]) -> tuple[PoolClip, ...]:
    return tuple(sorted(clips, key=lambda clip: (clip.corpus, clip.subject, clip.clip, clip.onset or 0)))


def write_pool(pool: Pool, path: Path) -> None:
    """Write the pool as Parquet of POOL_SCHEMA, its credit in the metadata."""
    rows = [
        {**{name: getattr(clip, name) for name in POOL_SCHEMA.names}, "label": int(clip.label), "aus": list(clip.aus)}
        for clip in pool.clips
    ]
    write_parquet(pa.Table.from_pylist(rows, schema=with_credit(POOL_SCHEMA, pool.credit)), path)


@checking()
def read_pool(path: str | Path) -> Pool:
    """A pool that `write_pool` wrote.

    Raises:
        InputError: no such file, or something else in it.
        ScaleError: an intensity outside [0, 1].
    """
    path = Path(path).expanduser()
    table = read_parquet(path, POOL_SCHEMA, "AU pool")
    seen = floats(table["seen"].cast(pa.list_(pa.float32(), N_AUS)), N_AUS) > 0
    rest = checked(floats(table["rest"], N_AUS), where=f"AU pool {path}, rest")
    clips = []
    for i, row in enumerate(table.drop_columns(["seen", "rest"]).to_pylist()):
        where = f"AU pool {path}, row {i} ({row['corpus']} {row['subject']} {row['clip']})"
        frames, aus = np.array(row["frames"], np.int32), checked(row["aus"] or np.empty((0, N_AUS)), where=where)
        steps_up = (np.diff(frames) > 0).all() and len(frames) and frames[0] >= 0 and frames[-1] < row["n_frames"]
        if not steps_up or aus.shape != (len(frames), N_AUS) or row["label"] not in set(Label):
            raise InputError(
                where,
                expected="ascending frames of the clip, an AU vector for each, a label of 0, 1, 2",
                found=f"{len(frames)} frames of {row['n_frames']}, {len(aus)} vectors, label {row['label']}",
                do="make the pool again with miex aus pool",
            )
        arrays = {"frames": frames, "aus": aus, "seen": seen[i], "rest": rest[i]}
        clips.append(PoolClip(**{**row, "label": Label(row["label"]), **arrays}))
    if not clips:
        raise InputError(f"AU pool {path}", expected="clips", found="none", do="make it again with miex aus pool")
    return Pool(_ordered(clips), credit_of(table))
