"""Make a plan: identities × rounds × sources × classes, each row with its own id and seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, product
from typing import Any

import numpy as np
import pyarrow as pa

from miex.aus.vector import AUArray
from miex.corpora.mappings import emotion_named
from miex.dataset.plan_file import Plan
from miex.dataset.schema import PLAN_SCHEMA
from miex.errors import UsageError
from miex.executors.base import Progress, silent
from miex.faces import VERSION as FACES_VERSION
from miex.nuisances.apply import shown_aus
from miex.nuisances.columns import nuisances_of
from miex.nuisances.draw import draw
from miex.planning.config import MOST_FRAMES, PlanConfig, PlannedClass
from miex.planning.identities import choose_faces
from miex.planning.triplets import Bank, banks_of
from miex.sources.source import AUSource, AUTriplet
from miex.sources.timing import FALL, RISE, draw_timing, expression
from miex.stable import sample_rng, stable_hash

FRAMES_PER_SHARD = 1000  # of default shards: 500 pairs
MOST_ROWS, MOST_IDENTITIES = 10**8, 10**6  # identities are held in memory, rows are not
BYTES_PER = {"samples": 60_000, "identities": 6_000}  # about: a pair of 128 pixels as PNG; the landmarks of a face


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

    Rows of an identity stand together, so that it is prepared once; identities by hash, then rounds, sources and
    classes. The id names identity, source, class and round, and the seed is a hash of the set's seed and the id. So
    more rounds, other classes or one more photo leave the other rows as they were.

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
    faces = choose_faces(index, config)
    n_rows = config.samples or config.per * faces.num_rows * len(sources) * len(config.planned)
    shard_size = _shard_size(config)
    banks = banks_of(config, sources, triplets_progress)

    def shards() -> Iterator[pa.Table]:
        rows, done = _rows(config, faces, sources, banks, n_rows), 0
        while part := list(islice(rows, shard_size)):
            done += len(part)
            progress(done, n_rows, "")
            columns = dict(zip(PLAN_SCHEMA.names, zip(*part, strict=True), strict=True))
            yield pa.Table.from_pydict(columns, schema=PLAN_SCHEMA)

    settings = {
        "size": config.size,
        "eye_line": config.eye_line,
        "eye_mouth": config.eye_mouth,
        "frame_format": config.frame_format,
        "shard_size": shard_size,
        "faces_version": FACES_VERSION,
        "generator": generator,
    }
    asked = {
        **config.model_dump(mode="json"),
        **(chosen_by or {}),
        "generator": generator,
        "sources": {source.name: source.settings for source in sources},
    }
    return Plan(shards, n_rows, faces, settings, asked, faces_root)


def _bounded(n: int, most: int, of: str) -> None:
    if n > most:
        raise UsageError(
            f"a plan of {n:,} {of}", expected=f"at most {most:,}",
            found=f"about {n * BYTES_PER[of] / 1e9:,.0f} GB of {'frames' if of == 'samples' else 'memory'}",
            do="ask for fewer `ids`, `per` or `samples`, or make several sets of different seeds",
        )  # fmt: skip


def _shard_size(config: PlanConfig) -> int:
    """As asked for, or as many samples as have about FRAMES_PER_SHARD frames."""
    if config.shard_size is not None:
        return config.shard_size
    seconds = RISE[0] + (FALL[0] if config.until == "offset" else 0)
    frames = 1 + round(seconds * config.fps) if config.frames == "all" else config.frames
    return max(1, FRAMES_PER_SHARD // frames)


def _rows(
    config: PlanConfig,
    faces: pa.Table,
    sources: Sequence[AUSource],
    banks: Mapping[tuple[str, PlannedClass], Bank],
    total: int,
) -> Iterator[tuple[Any, ...]]:
    """The rows, each with the values of PLAN_SCHEMA in their order."""
    chosen = nuisances_of(config.nuisances)
    cells = list(product(sources, config.planned))
    per_round = faces.num_rows * len(cells)
    people = zip(faces["identity"].to_pylist(), faces["sha256"].to_pylist(), strict=True)
    for i, (identity, sha256) in enumerate(people):
        for round_number in range(-(-total // per_round)):
            before = round_number * per_round + i * len(cells)
            for source, kind in cells[: max(0, total - before)]:
                sample_id = f"{identity}-{source.name}-{kind.name}-{round_number:04d}"
                seed = stable_hash(config.seed, sample_id)
                bank = banks.get((source.name, kind))
                if bank:
                    triplet = bank.triplet(round_number * faces.num_rows + i)
                else:
                    triplet = source.sample(kind.label, emotion=kind.emotion, rng=sample_rng(seed, "aus"))
                aus, apex = _frames(config, triplet, seed)
                emotion = emotion_named(triplet.emotion)
                start = (sample_id, round_number, identity, sha256[:16], source.name, int(kind.label), emotion)
                descent = (triplet.corpus, triplet.subject, triplet.clip, *(triplet.frames or (None, None)))
                drawn = draw(chosen, aus, apex, partial(sample_rng, seed))
                rendered = np.moveaxis(shown_aus({"aus": aus, **drawn}), -1, 0)
                yield (*start, *descent, apex, list(aus), seed, *drawn.values(), *map(list, rendered))


def _frames(config: PlanConfig, triplet: AUTriplet, seed: int) -> tuple[AUArray, int]:
    """AUs of every frame, float32 [n, 17], and the index of the apex."""
    if config.frames == 2:
        return np.stack([triplet.onset, triplet.apex]), 1
    timing = draw_timing(sample_rng(seed, "timing"))
    aus, apex = expression(triplet, timing, frames=config.frames, until=config.until, fps=config.fps)
    if len(aus) > MOST_FRAMES:
        raise UsageError(
            f"all frames of clip {triplet.clip} of {triplet.corpus}", expected=f"at most {MOST_FRAMES}",
            found=str(len(aus)), do="ask for a fixed number, such as `frames` 10",
        )  # fmt: skip
    return aus, apex
