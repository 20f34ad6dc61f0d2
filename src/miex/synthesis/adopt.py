"""A plan and its folder: one writer, one plan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import pyarrow.parquet as pq

from miex.dataset.plan_file import CONFIG_FILE, FACES_FILE, PLAN_FILE, Plan, read_record, write_plan
from miex.errors import OutputError
from miex.stable import first_difference

LOCK_FILE = ".miex.lock"
OWN_FILES = frozenset({PLAN_FILE, FACES_FILE, LOCK_FILE})  # what a run killed before its plan.json leaves


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """One writer per folder. The system frees the lock when the process ends, however it ends.

    Raises:
        OutputError: another process writes there, or the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(out / LOCK_FILE)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise OutputError(
            f"output folder {out}", found="another miex writes there", do="wait for it, or stop it"
        ) from None
    except OSError as error:
        found = error.strerror or str(error)
        raise OutputError(f"output folder {out}", found=found, do="give a folder that can be written") from error
    try:
        yield
    finally:
        lock.release()


def adopt_plan(plan: Plan, out: Path) -> bool:
    """Put a plan into a folder; if the same plan is there already, keep it, so that a run resumes.

    Returns:
        True if the plan was there.

    Raises:
        OutputError: the folder belongs to another plan (the first difference is named), or to something else.
    """
    if out.is_dir() and not (out / CONFIG_FILE).exists():
        foreign = sorted(p.name for p in out.iterdir() if p.name not in OWN_FILES and ".tmp-" not in p.name)
        if foreign:
            raise OutputError(
                f"output folder {out}",
                expected="a new or empty folder",
                found=", ".join(foreign[:3]),
                do="give a new --out",
            )
    with locked(out):
        if (out / CONFIG_FILE).exists():
            record = read_record(out)
            if record["digests"] != plan.digests:
                raise OutputError(
                    f"output folder {out}",
                    expected=f"no plan, or plan {plan.digests['plan'][:12]}…",
                    found=f"plan {record['digests']['plan'][:12]}…; they differ in: {_difference(out, record, plan)}",
                    do="give a new --out, or repeat the options of the first run to resume it",
                )
            # the same samples; the photos may have moved since
            write_plan(plan, out, record["versions"])
            return True
        write_plan(plan, out)
        return False


def _difference(out: Path, record: dict[str, Any], plan: Plan) -> str:
    """The first difference between the plan in a folder and another one, for people."""
    for old, new in ((record["config"], plan.config), (record["settings"], plan.settings)):
        found = first_difference(old, new)
        if found:
            return found
    faces = [{f["identity"]: f for f in t.to_pylist()} for t in (pq.read_table(out / FACES_FILE), plan.faces)]
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
