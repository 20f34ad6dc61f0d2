"""samples.parquet: the rows of a plan with what became of each."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from miex.dataset.plan_file import (
    Plan,
    count_shards,
)
from miex.dataset.schema import PLAN_SCHEMA, SAMPLES_SCHEMA
from miex.dataset.shard import read_shard_record
from miex.errors import InputError


def collect_samples(out: Path, plan: Plan) -> pa.Table:
    """The plan's rows with what became of each, from the shards' records: what samples.parquet holds.

    Raises:
        InputError: a shard has no record, or one that does not cover its rows.
    """
    found: dict[str, dict[str, object]] = {}
    for shard in range(count_shards(plan)):
        record = read_shard_record(out, shard)
        if record is None:
            raise InputError(f"shard {shard} of {out}", found="no record", do="run again: the shard is made again")
        for sample in record.samples:
            found[sample["sample_id"]] = {**sample, "shard": shard, "status": "ok", "reason": ""}
        for failure in record.failed:
            found[failure["sample_id"]] = {**failure, "shard": shard, "status": "failed"}
    ids = plan.rows["sample_id"].to_pylist()
    if found.keys() != set(ids):
        raise InputError(f"records of {out}", expected="the plan's rows", found="others", do="make the set again")
    columns = [plan.rows[name] for name in PLAN_SCHEMA.names]
    for field in list(SAMPLES_SCHEMA)[len(PLAN_SCHEMA) :]:
        columns.append(pa.array([found[sample_id].get(field.name) for sample_id in ids], field.type))
    return pa.Table.from_arrays(columns, schema=SAMPLES_SCHEMA)


def read_samples(out: Path) -> pa.Table:
    """samples.parquet of a finished set.

    Raises:
        InputError: the set is not finished, or the file is not one.
    """
    try:
        return pq.read_table(out / SAMPLES_FILE, schema=SAMPLES_SCHEMA)
    except FileNotFoundError:
        raise InputError(
            f"set {out}", expected=f"a finished set with {SAMPLES_FILE}", found="none",
            do="finish it with miex run, or check the path",
        ) from None  # fmt: skip
    except (OSError, pa.ArrowException, ValueError) as error:
        first = str(error).splitlines()[0]
        raise InputError(
            f"set {out}", expected=f"a whole {SAMPLES_FILE}", found=first, do="miex run makes it again"
        ) from error


SAMPLES_FILE = "samples.parquet"
