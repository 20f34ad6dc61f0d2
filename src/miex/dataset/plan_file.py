"""The tables of a plan, their digest, and how a plan lies on disk."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from miex.dataset.schema import FACES_SCHEMA, PLAN_SCHEMA
from miex.errors import InputError
from miex.stable import canonical_json, parquet_bytes, table_digest
from miex.storage.local import write_whole

_NOT_CONTENT = frozenset({"path"})  # every other column is seen in the samples
ID = re.compile(r"[A-Za-z0-9_-]+")
_FACES_PER_GROUP = 256  # sorted by identity: the faces of a shard lie in a few groups
FORMAT = 1  # of the folder: grows when older readers would misread it
PLAN_FILE, FACES_FILE, CONFIG_FILE = "plan.parquet", "faces.parquet", "plan.json"


@dataclass(frozen=True)
class Plan:
    """A whole plan.

    Attributes:
        rows: table of PLAN_SCHEMA.
        faces: table of FACES_SCHEMA, one row per identity of `rows`.
        settings: what changes pixels or labels beside the two tables (size, format, generator, shard size), as JSON.
        config: how the plan was asked for, as JSON; not in the digest, for people and for messages.
        faces_root: folder that the photos' paths are relative to, where the plan was made.
    """

    rows: pa.Table
    faces: pa.Table
    settings: Mapping[str, Any]
    config: Mapping[str, Any]
    faces_root: str

    @cached_property
    def digests(self) -> dict[str, str]:
        """sha256 of rows, faces and settings, and the digest of all three under "plan"."""
        parts = {
            "rows": table_digest(self.rows, frozenset()),
            "faces": table_digest(self.faces, _NOT_CONTENT),
            "settings": hashlib.sha256(canonical_json(self.settings).encode()).hexdigest(),
        }
        return {"plan": hashlib.sha256(canonical_json(parts).encode()).hexdigest(), **parts}


def versions() -> dict[str, str]:
    """What made a set, recorded beside its digest: pixels are promised only for the same versions."""
    packages = ("miex", "numpy", "scipy", "pyarrow", "opencv-contrib-python-headless", "mediapipe", "pillow")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{name: metadata.version(name) for name in packages},
    }


def write_plan(plan: Plan, out: Path, made_with: Mapping[str, str] | None = None) -> None:
    """Write faces.parquet, plan.parquet and, last, plan.json; a folder without plan.json holds no plan.

    `made_with` are the versions to record, by default those installed.
    """
    write_whole(out / FACES_FILE, parquet_bytes(plan.faces, _FACES_PER_GROUP))
    # a row group is a shard: whoever makes one shard reads no more than its rows
    write_whole(out / PLAN_FILE, parquet_bytes(plan.rows, plan.settings["shard_size"]))
    record = {
        "format": FORMAT,
        "digests": plan.digests,
        "settings": plan.settings,
        "config": plan.config,
        "faces_root": plan.faces_root,
        "versions": made_with or versions(),
    }
    write_whole(out / CONFIG_FILE, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())


def read_record(out: Path) -> dict[str, Any]:
    """plan.json of a folder.

    Raises:
        InputError: there is none, or it is not a plan of this format.
    """
    path = out / CONFIG_FILE
    asked, do = f"plan {out}", "make one with miex plan, or give the folder of one"
    try:
        record = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(asked, expected=f"a folder with {CONFIG_FILE}", found="none", do=do) from None
    except (OSError, ValueError) as error:
        raise InputError(asked, expected=f"a readable {CONFIG_FILE}", found=str(error), do=do) from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        found = record.get("format") if isinstance(record, dict) else record
        raise InputError(asked, expected=f"format {FORMAT}", found=f"format {found!r}", do="use the miex that made it")
    return record


def read_plan(out: Path) -> Plan:
    """The plan of a folder, proven by its digest.

    Raises:
        InputError: no plan, or its tables are not those of its digest.
    """
    record = read_record(out)
    tables = []
    for name, schema in ((PLAN_FILE, PLAN_SCHEMA), (FACES_FILE, FACES_SCHEMA)):
        try:
            tables.append(pq.read_table(out / name, schema=schema))
        except (OSError, pa.ArrowException, ValueError) as error:
            first = str(error).splitlines()[0]
            raise InputError(
                f"plan {out}", expected=f"a whole {name}", found=first, do="make the plan again"
            ) from error
    plan = Plan(tables[0], tables[1], record["settings"], record["config"], record["faces_root"])
    _check_names(plan, out)
    for part, digest in plan.digests.items():
        if record["digests"].get(part) != digest and part != "plan":
            raise InputError(
                f"plan {out}", expected=f"{part} with digest {record['digests'].get(part)}", found=digest,
                do="its files were changed after it was made: make the plan again, in a new folder",
            )  # fmt: skip
    return plan


def _check_names(plan: Plan, out: Path) -> None:
    """Ids become names in tars, paths are opened: both come from a file, and files come from anywhere."""
    columns = [(plan.rows, "sample_id"), (plan.rows, "identity"), (plan.faces, "identity")]
    odd = [name for table, column in columns for name in table[column].to_pylist() if not ID.fullmatch(str(name))]
    for path in plan.faces["path"].to_pylist():
        if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive or ".." in PurePosixPath(path).parts:
            odd.append(path)
    if odd:
        raise InputError(
            f"plan {out}",
            expected="ids of letters, digits, - and _; photos below their folder",
            found=repr(odd[0]),
            do="this plan was not made by miex: do not run it",
        )


def read_shard(out: Path, shard: int) -> tuple[pa.Table, pa.Table]:
    """The rows of one shard, and the faces that they name, without reading the rest of the plan."""
    rows = pq.ParquetFile(out / PLAN_FILE).read_row_group(shard)
    identities = rows["identity"].unique().to_pylist()
    return rows, pq.read_table(out / FACES_FILE, schema=FACES_SCHEMA, filters=[("identity", "in", identities)])


def count_shards(plan: Plan) -> int:
    """How many shards a plan has."""
    return -(-int(plan.rows.num_rows) // int(plan.settings["shard_size"]))
