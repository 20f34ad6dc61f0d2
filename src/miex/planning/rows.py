"""Make a plan: identities × rounds × sources × classes, each row with its own id and seed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice, product
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from miex.aus.vector import N_AUS, AUArray
from miex.corpora.mappings import emotion_named
from miex.dataset.plan_file import Plan, face_blocks
from miex.dataset.schema import PLAN_SCHEMA
from miex.errors import UsageError
from miex.executors.base import Progress, silent
from miex.faces import VERSION as FACES_VERSION
from miex.nuisances.apply import shown_aus
from miex.nuisances.columns import Chosen, nuisances_of
from miex.nuisances.draw import draw
from miex.planning.config import MOST_FRAMES, PlanConfig, PlannedClass, recorded_config
from miex.planning.identities import choose_faces
from miex.planning.triplets import Bank, banks_of
from miex.sources.expert import PRESETS, ExpertSource, load_table
from miex.sources.source import AUSource, AUTriplet
from miex.sources.timing import FALL, RISE, draw_timing, expression
from miex.stable import canonical_json, first_difference, sample_rng, sample_rngs, stable_hash

FRAMES_PER_SHARD = 1000  # of default shards: 500 pairs
MOST_ROWS, MOST_IDENTITIES, MOST_TRIPLETS = 10**8, 10**6, 10**6  # rows are not held in memory, the others are
MOST_SHARDS = 10**6  # two files each, all in one folder
# about: a pair of 128 pixels as PNG; the landmarks of a face; a triplet
BYTES_PER = {"samples": 60_000, "identities": 6_000, "AU triplets": 1_000}


def build_plan(
    config: PlanConfig,
    index: pa.Table,
    sources: Sequence[AUSource],
    generator: dict[str, Any],
    *,
    faces_root: str,
    chosen_by: Mapping[str, Any] | None = None,
    progress: Progress = silent,
    triplets_progress: Progress = silent,
) -> Plan:
    """Every sample of a set.

    Rows of an identity stand together, so that it is prepared once, and so do identities of a photo, which is read
    once; both by hash, then rounds, sources and classes. The id names identity, source, class and round, and the seed
    is a hash of the set's seed and the id. So more rounds, other classes or one more photo leave the other rows as they
    were.

    Rows are drawn when they are asked for, shard by shard: a plan may be larger than memory.

    Args:
        config: how many of what.
        index: table of faces.index.INDEX_SCHEMA.
        sources: where the AUs come from.
        generator: name, version and settings of the generator.
        faces_root: folder of the photos, recorded for later runs.
        chosen_by: how the photos were chosen, recorded for messages.
        progress: called with rows drawn and rows in all, whenever they are drawn.
        triplets_progress: called with AU triplets drawn and triplets in all, if their number is fixed.

    Raises:
        InputError: no photo can be used; the message counts the reasons.
        UsageError: a source has nothing for one of the classes.
    """
    for source, kind in product(sources, config.planned):
        source.sample(kind.label, emotion=kind.emotion, rng=sample_rng(config.seed, "try"))
    usable = config.ids or index.num_rows
    asked_for = config.samples or config.per * usable * len(sources) * len(config.planned)
    _bounded(asked_for, MOST_ROWS, "samples")
    _bounded(config.ids or 0, MOST_IDENTITIES, "identities")
    _bounded(config.triplets or 0, MOST_TRIPLETS, "AU triplets")
    shard_size = _shard_size(config)
    if (shards_asked := -(-asked_for // shard_size)) > MOST_SHARDS:
        raise UsageError(
            f"a plan of {shards_asked:,} shards", expected=f"at most {MOST_SHARDS:,}",
            found=f"{asked_for:,} samples, {shard_size:,} in each",
            do=f"give a `shard_size` of {-(-asked_for // MOST_SHARDS):,} or more",
        )  # fmt: skip
    faces = choose_faces(index, config)
    n_rows = rows_of(config, len(sources), faces.num_rows)
    draws = Draws(config, sources, banks_of(config, sources, triplets_progress), faces.num_rows, generator)

    def shards() -> Iterator[pa.Table]:
        places, done = places_of(faces, len(sources), config.planned, n_rows), 0
        while part := list(islice(places, shard_size)):
            done += len(part)
            progress(done, n_rows, "")
            yield draws.table(part)

    settings = {**settings_of(config), "faces_version": FACES_VERSION, "generator": generator}
    asked = {
        **config.model_dump(mode="json"),
        **(chosen_by or {}),
        "generator": generator,
        "sources": {source.name: source.settings for source in sources},
    }
    return Plan(shards, n_rows, partial(face_blocks, faces), faces.num_rows, settings, asked, faces_root)


def _bounded(n: int, most: int, of: str) -> None:
    if n > most:
        raise UsageError(
            f"a plan of {n:,} {of}", expected=f"at most {most:,}",
            found=f"about {n * BYTES_PER[of] / 1e9:,.0f} GB of {'frames' if of == 'samples' else 'memory'}",
            do="ask for fewer `ids`, `per`, `samples` or `triplets`, or make several sets of different seeds",
        )  # fmt: skip


def settings_of(config: PlanConfig) -> dict[str, Any]:
    """What the options say of a plan's settings."""
    same = ("size", "eye_line", "eye_mouth", "frame_format")
    return {**{name: getattr(config, name) for name in same}, "shard_size": _shard_size(config)}


def _shard_size(config: PlanConfig) -> int:
    """As asked for, or as many samples as have about FRAMES_PER_SHARD frames."""
    if config.shard_size is not None:
        return config.shard_size
    seconds = RISE[0] + (FALL[0] if config.until == "offset" else 0)
    frames = 1 + round(seconds * config.fps) if config.frames == "all" else config.frames
    return max(1, FRAMES_PER_SHARD // frames)


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of a set in an epoch of a stream: its own in epoch 0, later others, below 2^63 as all seeds of sets."""
    return seed if epoch == 0 else stable_hash(seed, "epoch", epoch) >> 1


class Place(NamedTuple):
    """What a row of a plan is of: place and name of the identity, first digits of the photo's sha256, number of the
    round, place of the source among all, and the class."""

    face: int
    identity: str
    photo: str
    number: int
    source: int
    kind: PlannedClass


@dataclass(frozen=True)
class Draws:
    """How the rows of a plan are drawn: each by itself, so in any order, and anew in every epoch of a stream.

    In epoch n each row is the one of that id in a plan whose seed is `epoch_seed(config.seed, n)`. AU triplets whose
    number is fixed stay those of the plan, each with its sample; motion and nuisances are new.

    Attributes:
        config: options of the plan.
        sources: where the AUs come from.
        banks: AU triplets, if their number is fixed.
        n_faces: number of identities.
        generator: what the plan holds of its generator.
    """

    config: PlanConfig
    sources: Sequence[AUSource]
    banks: Mapping[tuple[str, PlannedClass], Bank]
    n_faces: int
    generator: Mapping[str, Any]

    @cached_property
    def _chosen(self) -> Chosen:
        return nuisances_of(self.config.nuisances)

    @cached_property
    def _cells(self) -> dict[tuple[str, str], tuple[int, PlannedClass]]:
        names = enumerate(source.name for source in self.sources)
        return {(name, kind.name): (i, kind) for (i, name), kind in product(names, self.config.planned)}

    def again(self, rows: Sequence[Mapping[str, Any]], face: int, epoch: int) -> list[dict[str, Any]]:
        """Rows of one identity in another epoch: the same ids, sources and classes.

        Args:
            rows: of the plan.
            face: place of their identity in faces.parquet.
            epoch: number of the epoch; 0 gives the rows of the plan.
        """
        places = []
        for row in rows:
            start = len(f"{row['identity']}-{row['source']}-")
            cell = self._cells[row["source"], row["sample_id"][start:].rsplit("-", 1)[0]]
            places.append(Place(face, row["identity"], row["photo"], row["round"], *cell))
        made: list[dict[str, Any]] = self.table(places, epoch).to_pylist()
        return made

    def table(self, places: Sequence[Place], epoch: int = 0) -> pa.Table:
        """The rows of some samples, table of PLAN_SCHEMA: of each the same, whichever others are drawn with it."""
        names = [self.sources[of.source].name for of in places]
        ids = [sample_id_of(of.identity, name, of.kind, of.number) for of, name in zip(places, names, strict=True)]
        seed = epoch_seed(self.config.seed, epoch)
        seeds = [stable_hash(seed, name) for name in ids]
        triplets = [self._triplet(of, rng) for of, rng in zip(places, sample_rngs(seeds, "aus"), strict=True)]
        moves, apexes = _frames(self.config, triplets, seeds)
        sides = [one.sides for one in triplets]
        beside = nuisance_columns(self._chosen, moves, apexes, sides, seeds)
        spellings = {emotion: emotion_named(emotion) for emotion in {one.emotion for one in triplets}}
        onsets, ends = zip(*(one.frames or (None, None) for one in triplets), strict=True)
        starts = pa.array(np.cumsum([0, *map(len, moves)]), pa.int32())
        columns = {
            "sample_id": ids,
            "round": [of.number for of in places],
            "identity": [of.identity for of in places],
            "photo": [of.photo for of in places],
            "source": names,
            "label": [int(of.kind.label) for of in places],
            "emotion": [spellings[one.emotion] for one in triplets],
            "corpus": [one.corpus for one in triplets],
            "subject": [one.subject for one in triplets],
            "clip": [one.clip for one in triplets],
            "onset_frame": onsets,
            "apex_frame": ends,
            "apex": apexes,
            "aus": np.concatenate(moves),
            "sides": sides,
            "seed": seeds,
            "mixture": mixtures(self.generator, seeds),
        }
        made = {name: _column(values, PLAN_SCHEMA.field(name).type, starts) for name, values in columns.items()}
        return pa.Table.from_pydict({**made, **beside}, schema=PLAN_SCHEMA)

    def _triplet(self, of: Place, rng: np.random.Generator) -> AUTriplet:
        source = self.sources[of.source]
        if bank := self.banks.get((source.name, of.kind)):
            return bank.triplet(of.number * self.n_faces + of.face)
        return source.sample(of.kind.label, emotion=of.kind.emotion, rng=rng)


def draws_of(
    recorded: Mapping[str, Any], sources: Sequence[AUSource] | None, n_faces: int, where: str = "the plan"
) -> Draws:
    """How the rows of a plan that was read were drawn.

    Args:
        recorded: config of plan.json.
        sources: those that the plan was made with; None: found by what the plan says of them, if that is all there is
            to know (the expert source with one of its own tables).
        n_faces: number of identities.
        where: the plan, for messages.

    Raises:
        UsageError: the sources are not those of the plan, or must be given.
    """
    told: Mapping[str, Any] = recorded["sources"]
    found = [_expert_of(told)] if sources is None and set(told) == {ExpertSource.name} else sources or []
    settings = {one.name: json.loads(canonical_json(one.settings)) for one in found if one is not None}
    if settings != told:
        differ = first_difference(dict(told), settings)
        raise UsageError(
            f"new draws of {where}", expected=f"the AU sources that it was made with: {', '.join(told)}",
            found="none" if sources is None else f"others: {differ}", do="give them as `sources`",
        )  # fmt: skip
    config = recorded_config(recorded, where)
    kept = [one for one in found if one is not None]
    return Draws(config, kept, banks_of(config, kept), n_faces, recorded["generator"])


def mixtures(generator: Mapping[str, Any], seeds: Sequence[int]) -> list[float | None]:
    """The share of the second way to move a face in the samples of these seeds; None: the generator knows but one."""
    if not generator.get("mixed"):
        return [None] * len(seeds)
    return [float(rng.random(dtype=np.float32)) for rng in sample_rngs(seeds, "mixture")]


def _expert_of(told: Mapping[str, Any]) -> ExpertSource | None:
    one = told[ExpertSource.name]
    try:
        if one["table"] not in PRESETS:
            return None
        return ExpertSource(load_table(one["table"]), one["mu"], one["nu"], one["sides"])
    except (KeyError, TypeError):
        return None


def places_of(faces: pa.Table, n_sources: int, planned: Sequence[PlannedClass], total: int) -> Iterator[Place]:
    """What the rows of a plan are of, in their order."""
    cells = list(product(range(n_sources), planned))
    per_round = faces.num_rows * len(cells)
    people = zip(faces["identity"].to_pylist(), faces["sha256"].to_pylist(), strict=True)
    for i, (identity, sha256) in enumerate(people):
        for number in range(-(-total // per_round)):
            before = number * per_round + i * len(cells)
            for source, kind in cells[: max(0, total - before)]:
                yield Place(i, identity, sha256[:16], number, source, kind)


def rows_of(config: PlanConfig, n_sources: int, n_faces: int) -> int:
    """How many rows a plan has."""
    return config.samples or config.per * n_faces * n_sources * len(config.planned)


def sample_id_of(identity: str, source: str, kind: PlannedClass, number: int) -> str:
    """The id of a sample."""
    return f"{identity}-{source}-{kind.name}-{number:04d}"


def nuisance_columns(
    chosen: Chosen,
    moves: Sequence[AUArray],
    apexes: Sequence[int],
    sides: Sequence[Any],
    seeds: Sequence[int],
) -> dict[str, pa.Array]:
    """The columns of a plan behind `mixture`: nuisances, and the AUs that they leave.

    Args:
        chosen: from `nuisances_of`.
        moves: AUs of every frame of each sample, float32 [frames, 17].
        apexes, sides, seeds: of the samples.
    """
    lengths, aus = np.array([len(one) for one in moves]), np.concatenate(moves)
    drawn = draw(chosen, aus, lengths, np.array(apexes), seeds)
    both = np.zeros(N_AUS)
    alone = [both if one is None else one for one in sides]
    uneven = {"sides": alone, "asymmetry": drawn["asymmetry"]}
    per_frame = {name: None if one is None else np.repeat(one, lengths, 0) for name, one in uneven.items()}
    shown = shown_aus({"aus": aus, **drawn, **per_frame})
    columns = {**drawn, "rendered_left": shown[..., 0], "rendered_right": shown[..., 1]}
    starts = pa.array(np.cumsum([0, *lengths]), pa.int32())
    return {name: _column(values, PLAN_SCHEMA.field(name).type, starts) for name, values in columns.items()}


def _column(values: Any, kind: pa.DataType, starts: pa.Array) -> pa.Array:
    """A column; of lists in arrays, those of sample i are from `starts[i]` to `starts[i + 1]`."""
    if values is None:
        return pa.nulls(len(starts) - 1, kind)
    if isinstance(values, np.ndarray) and pa.types.is_list(kind):
        return pa.ListArray.from_arrays(starts, _column(values, kind.value_type, starts), kind)
    if isinstance(values, np.ndarray) and pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(_column(values.reshape(-1), kind.value_type, starts), type=kind)
    return pa.array(values, kind)


def _frames(config: PlanConfig, triplets: Sequence[AUTriplet], seeds: Sequence[int]) -> tuple[list[AUArray], list[int]]:
    """AUs of every frame of each sample, float32 [frames, 17], and the index of its apex."""
    if config.frames == 2:
        return [np.concatenate([one.onset, one.apex]).reshape(2, N_AUS) for one in triplets], [1] * len(triplets)
    moves, apexes = [], []
    for triplet, rng in zip(triplets, sample_rngs(seeds, "timing"), strict=True):
        timing = draw_timing(rng)
        aus, apex = expression(triplet, timing, frames=config.frames, until=config.until, fps=config.fps)
        if len(aus) > MOST_FRAMES:
            raise UsageError(
                f"all frames of clip {triplet.clip} of {triplet.corpus}", expected=f"at most {MOST_FRAMES}",
                found=str(len(aus)), do="ask for a fixed number, such as `frames` 10",
            )  # fmt: skip
        moves.append(aus)
        apexes.append(apex)
    return moves, apexes
