"""Make a plan: identities × rounds × sources × labels, each row with its own id and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa

from miex.aus.vector import AUArray
from miex.dataset.plan_file import Plan
from miex.dataset.schema import PLAN_SCHEMA
from miex.errors import UsageError
from miex.executors.base import Progress, silent
from miex.faces import VERSION as FACES_VERSION
from miex.nuisances.columns import parts_of
from miex.nuisances.draw import draw
from miex.plan.config import MOST_FRAMES, PlanConfig
from miex.plan.identities import choose_faces
from miex.plan.triplets import banks_of
from miex.sources.source import AUSource, AUTriplet
from miex.sources.timing import draw_timing, expression
from miex.stable import sample_rng, stable_hash


def build_plan(
    config: PlanConfig,
    index: pa.Table,
    sources: Sequence[AUSource],
    generator: dict[str, Any],
    *,
    faces_root: str,
    chosen_by: Mapping[str, Any] | None = None,
    progress: Progress = silent,
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
    banks = banks_of(config, sources)
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
        progress(len(columns["seed"]), total, "")
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
