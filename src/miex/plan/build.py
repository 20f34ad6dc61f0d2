"""Make a plan: identities × rounds × sources × labels, each row with its own id and seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from miex.aus.source import AUSource, AUTriplet
from miex.aus.timing import Until, draw_timing, expression
from miex.aus.vector import AUArray
from miex.errors import InputError, UsageError
from miex.faces import VERSION as FACES_VERSION
from miex.faces.crop import CropOptions, place_crop
from miex.labels import Label, label_named
from miex.plan.camera import PARTS, draw, parts_of
from miex.plan.schema import FACES_SCHEMA, PLAN_SCHEMA, Plan
from miex.stable import stable_hash

FrameFormat = Literal["png", "webp", "jpeg"]
JPEG_QUALITY = 95
MOST_FRAMES = 999  # of a sample: they have three digits in a shard


class PlanConfig(BaseModel):
    """How many of what, and how they are drawn.

    Attributes:
        ids: number of identities; None takes every photo. Above the photos' number the rest are virtual.
        per: samples per identity, label and source.
        samples: samples in all, in place of `per`: as many rounds as it takes, the last one only for the first
            identities (which come in the order of a hash).
        triplets: distinct AU triplets in all, shared evenly by sources and labels, each used equally often; None draws
            one for every sample. With it, the number of identities changes which sample gets which triplet.
        classes: labels.
        seed: of the whole set.
        size: side of the frames, pixels; a multiple of 4 (GANimation's condition, PROTOCOL §6).
        eye_line, eye_mouth: see CropOptions.
        frames: of each sample: 2 for the pair of onset and apex; N ≥ 3 evenly spaced ones, the same number for all; or
            "all" of one drawn timing (aus.timing) at `fps`, or of the clip where real AUs are measured frame by frame.
            10 until the apex are the paper's video variant (PROTOCOL §1).
        until: the last frame: the apex, or the offset, where the face is back at its onset.
        fps: frames per second, for "all". CASME II and SAMM were filmed at 200, the most of the corpora that
            recognizers of sequences are tested on.
        camera: what is seen beside the expression (plan.camera): off, light, full, or some parts of one.
        frame_format: png and webp are lossless; jpeg (quality 95, 4:4:4) changes the onset → apex difference by a
            quarter (relative L2; 12 to 52 % over 42 pairs at 128 px).
        shard_size: samples per shard; with longer sequences fewer, of as many frames in all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    ids: int | None = Field(default=None, ge=1)
    per: int = Field(default=1, ge=1)
    samples: int | None = Field(default=None, ge=1)
    triplets: int | None = Field(default=None, ge=1)
    classes: tuple[str, ...] = tuple(label.name for label in Label)
    seed: int = Field(default=0, ge=0, lt=2**63)
    size: int = Field(default=128, ge=32, le=1024, multiple_of=4)
    eye_line: float = Field(default=CropOptions.eye_line, ge=0.1, le=0.6)
    eye_mouth: float = Field(default=CropOptions.eye_mouth, ge=0.1, le=0.6)
    frames: Annotated[int, Field(ge=2, le=MOST_FRAMES)] | Literal["all"] = 2
    until: Until = "apex"
    fps: float = Field(default=200, ge=5, le=1000)
    camera: str = "light"
    frame_format: FrameFormat = "png"
    shard_size: int = Field(default=500, ge=1)

    @model_validator(mode="after")
    def _classes_are_labels(self) -> Self:
        for name in self.classes:
            label_named(name)
        parts_of(self.camera)
        if self.frames == 2 and self.until == "offset":
            raise UsageError(
                "2 frames until the offset",
                expected="at least 3: onset, apex and offset",
                do="ask for more: --frames 10, or all",
            )
        return self

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes, each once, in the order of labels."""
        return tuple(sorted({label_named(name) for name in self.classes}))

    @property
    def crop(self) -> CropOptions:
        """Where the face lies in the frames."""
        return CropOptions(self.size, self.eye_line, self.eye_mouth)


_USES = ("aus", "render", *PARTS, "timing", "pattern")  # a use's place is its stream: new ones come last


def sample_rng(seed: int, use: str) -> np.random.Generator:
    """The randomness of one sample for "aus", "render", a part of the camera, "timing", or the "pattern" of its
    residual motion; no use disturbs another."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, _USES.index(use)])))


def build_plan(
    config: PlanConfig,
    index: pa.Table,
    sources: Sequence[AUSource],
    generator: dict[str, Any],
    *,
    faces_root: str,
    chosen_by: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Plan:
    """Every sample of a set.

    Rows of an identity stand together, so that it is prepared once; identities by hash, then rounds, sources and
    labels. The id names identity, source, label and round, and the seed is a hash of the set's seed and the id. So
    more rounds, other classes or one more photo leave the other rows as they were.

    Args:
        config: how many of what.
        index: table of faces.pool.INDEX_SCHEMA.
        sources: where the AUs come from.
        generator: name, version and settings of the generator.
        faces_root: folder of the photos, recorded for later runs.
        chosen_by: how the photos were chosen, recorded for messages.
        progress: called with rows done and rows in all.

    Raises:
        InputError: no photo can be used; the message counts the reasons.
        UsageError: a source has nothing for one of the labels.
    """
    faces = choose_faces(index, config)
    identities = faces["identity"].to_pylist()
    photos = [digest[:16] for digest in faces["sha256"].to_pylist()]
    cells = len(identities) * len(sources) * len(config.labels)
    total = config.samples or config.per * cells
    banks = _banks(config, sources)
    parts = parts_of(config.camera)
    columns: dict[str, list[Any]] = {name: [] for name in PLAN_SCHEMA.names}
    for i, (identity, photo) in enumerate(zip(identities, photos, strict=True)):
        for round_number in range(-(-total // cells)):
            before = round_number * cells + i * len(sources) * len(config.labels)
            for source, label in list(product(sources, config.labels))[: max(0, total - before)]:
                sample_id = f"{identity}-{source.name}-{label.name}-{round_number:04d}"
                seed = stable_hash(config.seed, sample_id)
                bank = banks.get((source.name, label))
                if bank:
                    triplet = bank.triplet(round_number * len(identities) + i)
                else:
                    triplet = source.sample(label, rng=sample_rng(seed, "aus"))
                onset_frame, apex_frame = triplet.frames or (None, None)
                drawn = (triplet.emotion, triplet.corpus, triplet.subject, triplet.clip, onset_frame, apex_frame)
                aus, apex = _frames(config, source, triplet, seed)
                seen = draw(parts, len(aus), apex, partial(sample_rng, seed))
                start = (sample_id, round_number, identity, photo, source.name, int(label))
                row = (*start, *drawn, apex, list(aus), seed, *seen.values())
                for name, value in zip(PLAN_SCHEMA.names, row, strict=True):
                    columns[name].append(value)
        progress(len(columns["seed"]), total)
    settings = {
        "size": config.size,
        "eye_line": config.eye_line,
        "eye_mouth": config.eye_mouth,
        "frame_format": config.frame_format,
        "shard_size": max(1, 2 * config.shard_size * total // sum(map(len, columns["aus"]))),
        "faces_version": FACES_VERSION,
        "generator": generator,
    }
    asked = {
        **config.model_dump(mode="json"),
        **(chosen_by or {}),
        "generator": generator,
        "sources": {source.name: source.settings for source in sources},
    }
    return Plan(pa.Table.from_pydict(columns, schema=PLAN_SCHEMA), faces, settings, asked, faces_root)


def _frames(config: PlanConfig, source: AUSource, triplet: AUTriplet, seed: int) -> tuple[AUArray, int]:
    """AUs of every frame, float32 [n, 17], and the index of the apex."""
    if config.frames == 2:
        return np.stack([triplet.onset, triplet.apex]), 1
    timing = draw_timing(sample_rng(seed, "timing"))
    aus, apex = expression(source, triplet, timing, frames=config.frames, until=config.until, fps=config.fps)
    if len(aus) > MOST_FRAMES:
        raise UsageError(
            f"all frames of clip {triplet.clip} of {triplet.corpus}", expected=f"at most {MOST_FRAMES}",
            found=str(len(aus)), do="ask for a number with --frames",
        )  # fmt: skip
    return aus, apex


class _Bank:
    """A fixed number of distinct triplets of one source and label, handed out evenly."""

    _REPEATS = 1000  # of triplets that are there already, one after the other, before a source counts as exhausted

    def __init__(self, seed: int, source: AUSource, label: Label, n: int) -> None:
        self._key = (seed, "triplets", source.name, label.name)
        found: dict[bytes, AUTriplet] = {}
        draws = last = 0
        while len(found) < n and draws - last < self._REPEATS:
            triplet = source.sample(label, rng=sample_rng(stable_hash(*self._key, draws), "aus"))
            draws += 1
            if found.setdefault(triplet.onset.tobytes() + triplet.apex.tobytes(), triplet) is triplet:
                last = draws
        self._triplets: list[AUTriplet] = list(found.values())
        self._orders: dict[int, npt.NDArray[np.int64]] = {}

    def triplet(self, i: int) -> AUTriplet:
        """That of the i-th sample: all come once, in random order, before any comes again."""
        turn, place = divmod(i, len(self._triplets))
        if turn not in self._orders:
            rng = sample_rng(stable_hash(*self._key, "turn", turn), "aus")
            self._orders[turn] = rng.permutation(len(self._triplets))
        return self._triplets[int(self._orders[turn][place])]


def _banks(config: PlanConfig, sources: Sequence[AUSource]) -> dict[tuple[str, Label], _Bank]:
    if config.triplets is None:
        return {}
    cells = [(source, label) for source in sources for label in config.labels]
    if config.triplets < len(cells):
        raise UsageError(
            f"{config.triplets} AU triplets",
            expected=f"at least one for each of {len(sources)} sources × {len(config.labels)} labels",
            do=f"ask for {len(cells)} or more",
        )
    share, rest = divmod(config.triplets, len(cells))
    return {
        (source.name, label): _Bank(config.seed, source, label, share + (k < rest))
        for k, (source, label) in enumerate(cells)
    }


def distinct_triplets(rows: pa.Table) -> int:
    """How many different (AUs of onset and apex, label) a plan has."""
    columns = (rows[name].to_pylist() for name in ("aus", "apex", "label"))
    return len({(str((aus[0], aus[apex])), label) for aus, apex, label in zip(*columns, strict=True)})


def choose_faces(index: pa.Table, config: PlanConfig) -> pa.Table:
    """The identities of a plan, table of FACES_SCHEMA, ordered by identity (a hash, so by no order of names).

    The first `ids` photos by hash; if there are fewer, virtual identities: first one of each photo, by hash, then a
    second of each, and so on.

    Raises:
        InputError: no photo can be used.
    """
    reasons = index["reason"].to_pylist()
    hashes = index["identity"].to_pylist()
    usable = sorted((row for row, reason in enumerate(reasons) if not reason), key=lambda row: hashes[row])
    if not usable:
        found = ", ".join(f"{n} {reason}" for reason, n in Counter(reasons).most_common())
        raise InputError(
            "faces for a plan",
            expected="at least one photo with a usable face",
            found=found,
            do="see the reasons with miex faces index",
        )
    n = config.ids or len(usable)
    chosen = [(hashes[row], row, False) for row in usable[:n]]
    variant = 0
    while len(chosen) < n:
        variant += 1
        relatives = [(f"{stable_hash('virtual', hashes[row], variant):016x}", row, True) for row in usable]
        chosen += sorted(relatives)[: n - len(chosen)]
    identities, rows, virtual = zip(*sorted(chosen), strict=True)
    photos = index.take(list(rows))
    meshes = photos["landmarks"].combine_chunks().flatten().to_numpy().reshape(n, -1, 3)
    places = [place_crop(mesh, config.crop) for mesh in meshes]
    columns = {
        **{name: photos[name] for name in FACES_SCHEMA.names if name in photos.schema.names},
        "identity": identities,
        "crop_x": [place.x for place in places],
        "crop_y": [place.y for place in places],
        "crop_side": [place.side for place in places],
        "crop_roll": [place.roll for place in places],
        "virtual": virtual,
        "virtual_seed": [int(name, 16) if made else None for name, made in zip(identities, virtual, strict=True)],
    }
    return pa.Table.from_pydict({name: columns[name] for name in FACES_SCHEMA.names}, schema=FACES_SCHEMA)
