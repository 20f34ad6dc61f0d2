"""Put a plan into a folder: one writer and one plan per folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from miex.dataset.plan_file import (
    CONFIG_FILE,
    FACES_FILE,
    PLAN_FILE,
    Plan,
    has_plan,
    read_plan,
    read_record,
    write_plan,
)
from miex.dataset.shard import SHARDS, read_shard_record
from miex.errors import InputError, OutputError
from miex.stable import first_difference
from miex.storage import Place, storage_at
from miex.storage.base import Storage
from miex.storage.local import LOCK_FILE, is_leftover

_OWN = frozenset({PLAN_FILE, FACES_FILE, LOCK_FILE})  # what a run killed before its plan.json leaves


@dataclass(frozen=True)
class Adopted:
    """A plan that lies where its set will: its digest, and whether it was there already."""

    digest: str
    was_there: bool


def adopt_plan(plan: Plan, out: Place) -> Adopted:
    """Put a plan where its set will be; if the same plan is there already, keep it, so that a run resumes.

    A plan.json that is damaged or gone is written again, if the shards that lie there are of the same plan.

    Raises:
        OutputError: the place belongs to another plan (the first difference is named), or to something else.
    """
    out = storage_at(out)
    foreign = [] if has_plan(out) or _shards_of(out) else list(_foreign(out))
    if foreign:
        raise OutputError(
            f"output folder {out.address}",
            expected="a new or empty folder",
            found=", ".join(foreign[:3]),
            do="give a new `out`",
        )
    with out.alone():
        there = _whole_record(out)

        def check(digests: dict[str, str]) -> None:
            # looked up again: rows have been drawn for minutes, and where nothing is locked another may have come first
            there = _whole_record(out)
            found = there["digests"] if there else {"plan": _shards_of(out)}
            if found["plan"] not in (None, digests["plan"]):
                differ = (
                    f"; they differ in: {_difference(out, there, plan)}" if there else ", of which shards lie there"
                )
                raise OutputError(
                    f"output folder {out.address}",
                    expected=f"no plan, or plan {digests['plan'][:12]}…",
                    found=f"plan {found['plan'][:12]}…{differ}",
                    do="give a new `out`, or repeat the options of the first run to resume it",
                )

        # the same samples are written again: the photos may have moved since
        digests = write_plan(plan, out, check=check, made_with=there and there["versions"])
        return Adopted(digests["plan"], there is not None)


def _foreign(out: Storage) -> Iterator[str]:
    return (name for name in out.names() if name not in _OWN and not is_leftover(name))


def _whole_record(out: Storage) -> dict[str, Any] | None:
    try:
        return read_record(out) if has_plan(out) else None
    except InputError:
        if not _shards_of(out) and list(_foreign(out)) != [CONFIG_FILE]:  # somebody else's plan.json
            raise
        return None


def _shards_of(out: Storage) -> str | None:
    """The digest of the plan that shards which lie there were made from; None if there are none."""
    for name in out.names(SHARDS):
        if name.endswith(".json"):
            try:
                record = read_shard_record(out, int(name.removesuffix(".json")))
            except (InputError, ValueError):
                continue
            if record is not None:
                return record.plan
    return None


def _difference(out: Storage, record: dict[str, Any], plan: Plan) -> str:
    """The first difference between the plan that lies there and another one, for people."""
    told = [dict(one["generator"]) for one in (record["settings"], plan.settings)]
    if told[0]["name"] == told[1]["name"]:
        options = [one.get("options", {}) for one in told]
        for name in sorted({*options[0], *options[1]}):
            was, now = (one.get(name, "the default") for one in options)
            if was != now:
                return f"generator_option {name}: {was} → {now}"
    for old, new in ((record["config"], plan.config), (record["settings"], plan.settings)):
        found = first_difference(old, new)
        if found:
            return found
    faces = [{f["identity"]: f for f in table.to_pylist()} for table in (read_plan(out).faces, plan.faces)]
    gone, came = faces[0].keys() - faces[1].keys(), faces[1].keys() - faces[0].keys()
    if gone or came:
        return f"the photos: {len(came)} added, {len(gone)} removed or changed"
    for identity in sorted(faces[0]):
        old, new = (table[identity] for table in faces)
        for name in new:
            if name != "path" and old.get(name) != new[name]:
                shown = "" if name == "landmarks" else f" {old.get(name)!r} → {new[name]!r}"
                return f"{name} of {new['path']}{shown}"
    return "the rows"
