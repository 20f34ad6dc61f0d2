"""Compare what a plan.json says was asked for with what its plan holds: it is in no digest of the plan."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from itertools import chain, islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from miex.corpora.mappings import emotion_named
from miex.corpora.people import subject_key
from miex.dataset.plan_file import Plan
from miex.errors import InputError, UsageError
from miex.faces.crop import inter_ocular
from miex.faces.index import Quality
from miex.nuisances.columns import nuisances_of
from miex.planning.config import PlanConfig, recorded_config
from miex.planning.rows import (
    MOST_TRIPLETS,
    Draws,
    Place,
    mixtures,
    nuisance_columns,
    places_of,
    rows_of,
    sample_id_of,
    settings_of,
)
from miex.planning.triplets import banks_of
from miex.sources.expert import PRESETS, ExpertSource, load_table, table_of
from miex.sources.source import AUSource, PerturbedSource
from miex.stable import canonical_json, first_difference, stable_hash

DRAWN_AGAIN = 64  # rows of a plan, evenly spread
MOST_TRIPLETS_AGAIN = 10_000  # of a plan whose AUs are drawn again: all are drawn, whichever rows have them


def asked_problems(plan: Plan) -> list[str]:
    """Where `config` of a plan.json contradicts the plan, each with the option; empty where it does not.

    Settings, number of rows, ids, seeds, classes and numbers of frames follow from the options, and so do limits that
    photos have passed. Nuisances are drawn again for some rows; AUs, too, where they come from an expert table, whose
    numbers plan.json tells. Of other sources only how many corpora, subjects and clips they have is seen.

    Args:
        plan: read from its files, and so proven by the digests.
    """
    try:
        config = recorded_config(plan.config, "plan.json")
        found = _option_problems(plan, config)
        return found or [*_face_problems(plan), *_row_problems(plan, config)]
    except (InputError, UsageError) as error:
        told = " ".join(str(error).split())
        return [told if told.startswith("plan.json") else f"plan.json: {told}"]
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError, pa.ArrowException) as error:
        return [f"plan.json, config: {type(error).__name__}: {error}"]


def _option_problems(plan: Plan, config: PlanConfig) -> list[str]:
    told, n_faces = plan.config, plan.n_faces
    known = {*PlanConfig.model_fields, "quality", "generator", "sources"}
    options = {name: value for name, value in config.model_dump(mode="json").items() if name in told}
    found = [f"{name}, which is no option" for name in sorted(told.keys() - known)]
    found += [f"no {name}" for name in sorted(PlanConfig.model_fields.keys() - told.keys())]
    found += _quality_problems(told.get("quality"))
    found += [first_difference({name: told[name] for name in options}, options)]
    expected = {**settings_of(config), "generator": told.get("generator")}
    found += [first_difference({name: plan.settings[name] for name in expected}, expected)]
    if config.samples is not None and config.per != 1:
        found.append(f"per {config.per} beside samples")
    if (config.triplets or 0) > MOST_TRIPLETS:
        found.append(f"triplets {config.triplets:,}")
    n_virtual = sum(pc.sum(block["virtual"]).as_py() or 0 for block in plan.face_blocks())
    if (config.ids or n_faces) != n_faces or (config.ids is None and n_virtual):
        found.append(f"ids {config.ids}, and {n_faces:,} identities are planned, {n_virtual:,} of them virtual")
    if not told["sources"] or (rows := rows_of(config, len(told["sources"]), n_faces)) != plan.n_rows:
        found.append(f"options of {rows if told['sources'] else 0:,} samples, and {plan.n_rows:,} are planned")
    return [f"plan.json, config: {one}" for one in found if one]


def _quality_problems(told: Any) -> list[str]:
    """Limits of photos that are none."""
    if told is None:  # a plan that was made of an index
        return []
    if not isinstance(told, dict):
        return [f"quality {told!r}"]
    known = {field.name for field in fields(Quality)}
    found = [f"quality.{name}, which is no limit" for name in sorted(told.keys() - known)]
    for name, value in told.items():
        if name == "licences":
            right = isinstance(value, list) and all(isinstance(one, str) for one in value)
        else:
            right = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
        found += [] if right else [f"quality.{name} {value!r}"]
    return found


def _face_problems(plan: Plan) -> list[str]:
    """Photos that are planned, and by the limits that are told would have been refused."""
    quality: Mapping[str, Any] = plan.config.get("quality") or {}
    allowed = {str(one).casefold() for one in quality.get("licences") or ()}
    for face in chain.from_iterable(block.to_pylist() for block in plan.face_blocks()):
        for name, of in (("max_yaw", "yaw"), ("max_pitch", "pitch")):
            if (most := quality.get(name)) is not None and face[of] is not None and abs(face[of]) > most:
                return [f"plan.json, config: quality.{name} {most}, and a {of} of {face[of]:.4g} is planned"]
        least = quality.get("min_inter_ocular")
        if least is not None and (eyes := inter_ocular(np.reshape(face["landmarks"], (-1, 3)))) < least - 0.1:
            return [f"plan.json, config: quality.min_inter_ocular {least}, and one of {eyes:.1f} is planned"]
        if allowed and (face["licence"] or "").casefold() not in allowed:
            return [f"plan.json, config: quality.licences, and a photo of {face['licence']!r} is planned"]
    return []


def _row_problems(plan: Plan, config: PlanConfig) -> list[str]:
    """The first row that the options do not give."""
    sources: Mapping[str, Mapping[str, Any]] = plan.config["sources"]
    names = list(sources)
    faces = pa.concat_tables([block.select(["identity", "sha256"]) for block in plan.face_blocks()])
    places = places_of(faces, len(names), config.planned, plan.n_rows)
    every, number = -(-plan.n_rows // DRAWN_AGAIN), 0
    some: list[tuple[Place, dict[str, Any]]] = []
    seen: dict[str, dict[str, set[tuple[str, ...]]]] = {}
    for rows in plan.shards():
        here = list(islice(places, rows.num_rows))
        if found := _differs(rows, here, names, config, plan.settings["generator"]):
            return [f"plan.json, config: {found}"]
        _count(rows, seen)
        chosen = [i for i in range(rows.num_rows) if (number + i) % every == 0]
        some += zip((here[i] for i in chosen), rows.take(pa.array(chosen, pa.int64())).to_pylist(), strict=True)
        number += rows.num_rows
    found = _counts(seen, sources) or _nuisances(some, config) or _draws(plan, config, some)
    return [f"plan.json, config: {found}"] if found else []


def _differs(
    rows: pa.Table, places: Sequence[Place], names: Sequence[str], config: PlanConfig, generator: Mapping[str, Any]
) -> str:
    """Which column is not as planned; empty if none."""
    ids = [sample_id_of(one.identity, names[one.source], one.kind, one.number) for one in places]
    n, until_apex = pc.list_value_length(rows["aus"]).to_pylist(), config.until == "apex"
    apexes = rows["apex"].to_pylist()
    expected: dict[str, Sequence[Any]] = {
        "sample_id": ids,
        "round": [one.number for one in places],
        "identity": [one.identity for one in places],
        "photo": [one.photo for one in places],
        "source": [names[one.source] for one in places],
        "label": [int(one.kind.label) for one in places],
        "seed": (seeds := [stable_hash(config.seed, sample_id) for sample_id in ids]),
        "mixture": mixtures(generator, seeds),
    }
    for name, values in expected.items():
        stated = rows[name].to_pylist()
        if stated != values:
            was, now = next((a, b) for a, b in zip(stated, values, strict=True) if a != b)
            return f"{name} {was} is planned, and the options give {now}"
    for sample_id, one, emotion in zip(ids, places, rows["emotion"].to_pylist(), strict=True):
        if one.kind.emotion is not None and emotion_named(emotion) != one.kind.emotion:
            return f"emotion {emotion} of {sample_id}"
    for sample_id, frames, apex in zip(ids, n, apexes, strict=True):
        if config.frames not in ("all", frames):
            return f"frames {config.frames}, and {sample_id} has {frames}"
        if (apex == frames - 1) != until_apex:
            return f"until {config.until}, and frame {apex} of the {frames} of {sample_id} is the apex"
    return ""


def _count(rows: pa.Table, seen: dict[str, dict[str, set[tuple[str, ...]]]]) -> None:
    """Add the clips of rows to those seen of each corpus of each source."""
    columns = (rows[name].to_pylist() for name in ("source", "corpus", "subject", "clip"))
    for source, corpus, subject, clip in zip(*columns, strict=True):
        if corpus is not None:
            seen.setdefault(source, {}).setdefault(corpus, set()).add((subject_key(subject) or subject, clip))


def _counts(seen: Mapping[str, Mapping[str, set[tuple[str, ...]]]], sources: Mapping[str, Mapping[str, Any]]) -> str:
    """Which source has AUs of more corpora, subjects or clips than it tells of; empty if none."""
    for name, corpora in seen.items():
        told: dict[str, dict[str, int]] = {}
        for facts in sources[name].get("corpora") or ():  # a corpus stands there once for each extractor
            of = told.setdefault(facts["corpus"], {"clips": 0, "subjects": 0})
            for what in of:
                of[what] += facts[what]
        for corpus, clips in corpora.items():
            if corpus not in told:
                return f"sources.{name}.corpora, without {corpus}, of which AUs are planned"
            there = {"clips": len(clips), "subjects": len({subject for subject, _ in clips})}
            for what, n in there.items():
                if told[corpus][what] < n:
                    return f"sources.{name}.corpora: {told[corpus][what]} {what} of {corpus}, and {n} are planned"
    return ""


def _nuisances(some: Sequence[tuple[Place, dict[str, Any]]], config: PlanConfig) -> str:
    rows = [row for _, row in some]
    moves = [np.asarray(row["aus"], np.float32) for row in rows]
    chosen, apexes, seeds = nuisances_of(config.nuisances), [row["apex"] for row in rows], [row["seed"] for row in rows]
    sides = [row["sides"] for row in rows]
    drawn = pa.table(nuisance_columns(chosen, moves, apexes, sides, seeds)).to_pylist()
    for row, again in zip(rows, drawn, strict=True):
        if name := _other(row, again, tuple(again)):
            return f"nuisances {config.nuisances} draw another {name} of {row['sample_id']}"
    return ""


def _draws(plan: Plan, config: PlanConfig, some: Sequence[tuple[Place, dict[str, Any]]]) -> str:
    """What is wrong with the told expert table, if that is where all AUs come from."""
    told = plan.config["sources"]
    if set(told) != {ExpertSource.name}:
        return ""
    one = told[ExpertSource.name]
    if not isinstance(one.get("emotions"), dict):
        return f"sources.{ExpertSource.name}, without its emotions"
    if (config.triplets or 0) > MOST_TRIPLETS_AGAIN:
        return ""
    shipped = {name: ExpertSource(load_table(name), sides=one["sides"]).drawn for name in PRESETS}
    same = [name for name, table in shipped.items() if canonical_json(table.plain()) == canonical_json(one["emotions"])]
    known = one["table"] in same
    if same and one["table"] in shipped and not known:
        return f"sources.{ExpertSource.name}: table {one['table']} with the numbers of {same[0]}"
    own = {"name": one["table"], "emotions": one["emotions"]}
    table = shipped[one["table"]] if known else table_of(own, "in plan.json")
    source: AUSource = ExpertSource(table, one["mu"], one["nu"], one["sides"])
    if "perturbation" in one:
        source = PerturbedSource(source, one["perturbation"])
    again: Mapping[str, Any] = json.loads(canonical_json(source.settings))
    if differ := first_difference(one, again):
        return f"sources.{ExpertSource.name}: {differ}"
    if not known and any(kind.emotion for kind in config.planned):
        return ""  # which rows of a user's own table are of an emotion, plan.json does not tell
    return _first_other(plan, config, source, some)


def _first_other(plan: Plan, config: PlanConfig, source: AUSource, some: Sequence[tuple[Place, dict[str, Any]]]) -> str:
    """The first row that this source draws otherwise; empty if there is none."""
    with suppress(UsageError):
        draws = Draws(config, [source], banks_of(config, [source]), plan.n_faces, plan.settings["generator"])
        drawn = draws.table([place for place, _ in some]).to_pylist()
        for (_, row), again in zip(some, drawn, strict=True):
            if name := _other(row, again, ("aus", "sides", "apex")):
                return f"{source!r} draws another {name} of {row['sample_id']}"
        return ""
    return f"{source!r} has nothing for one of the classes"


def _other(row: Mapping[str, Any], again: Mapping[str, Any], names: Sequence[str]) -> str:
    """The first column whose values are others; empty if there is none. Other processors round otherwise."""
    return next((name for name in names if not _close(row[name], again[name])), "")


def _close(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_close, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_close(a[key], b[key]) for key in a)
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-6)
    return bool(a == b)
