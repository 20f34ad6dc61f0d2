"""samples.parquet: the rows of a plan, and for each where its sample is stored or why it failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from miex.dataset.plan_file import CONFIG_FILE, Plan, check_rows, read_record
from miex.dataset.proven import ProvenFile, root_of, write_blocks
from miex.dataset.schema import PLAN_COLUMNS, RESULT_COLUMNS, SAMPLES_SCHEMA
from miex.dataset.shard import ShardRecord, read_shard_record
from miex.errors import InputError
from miex.storage import Place, storage_at
from miex.storage.base import Storage

SAMPLES_FILE = "samples.parquet"


def write_samples(
    out: Storage, plan: Plan, *, rendered: bool = False, wait: Callable[[int], object] = lambda shard: None
) -> None:
    """Write samples.parquet of a set whose shards are all there. Pages that tell of other samples are removed before.

    Args:
        out: the set.
        plan: its plan.
        rendered: whether pages tell of other samples, where no samples.parquet can be read that says so.
        wait: called with the number of each shard before it is read, to return when it is there, and behind the last
            with their number, before the file is put in its place; what it raises leaves all as it was.

    Raises:
        InputError: a shard has no record, or one that does not cover its rows.
        OutputError: it cannot be written.
    """
    from miex.dataset.pages import REPORT  # who reads samples needs none

    before = _root(out)
    with out.writing(SAMPLES_FILE) as draft:
        told = {"plan": plan.digests["plan"]}
        samples = collect_samples(out, plan, wait)
        root = write_blocks(draft, samples, SAMPLES_SCHEMA, block_rows=plan.shard_size, told=lambda: told)
        if rendered if before is None else before != root:
            for name in REPORT:
                out.delete(name)


def _root(out: Storage) -> str | None:
    try:
        return ProvenFile(partial(out.open, SAMPLES_FILE), SAMPLES_SCHEMA, SAMPLES_FILE).root
    except (InputError, FileNotFoundError):
        return None


def collect_samples(out: Storage, plan: Plan, wait: Callable[[int], object] = lambda shard: None) -> Iterator[pa.Table]:
    """What samples.parquet must hold, shard by shard; `wait` as in `write_samples`.

    Raises:
        InputError: a shard has no record, or one that does not cover its rows.
    """
    for shard, rows in enumerate(plan.shards()):
        wait(shard)
        yield with_results(out, shard, read_shard_record(out, shard), rows)
    wait(plan.n_shards)


def with_results(out: Storage, shard: int, record: ShardRecord | None, rows: pa.Table) -> pa.Table:
    """The plan's rows of a shard, with what the shard's record says of them.

    Raises:
        InputError: the shard has no record, or one that does not cover its rows.
    """
    where = f"shard {shard} of {out.address}"
    if record is None:
        raise InputError(
            where, expected="a commit record", found="none", do="run the same command again to make the shard"
        )
    found: dict[str, dict[str, object]] = {}
    for sample in record.samples:
        found[sample["sample_id"]] = {**sample, "shard": shard, "status": "ok", "reason": ""}
    for failure in record.failed:
        found[failure["sample_id"]] = {**failure, "shard": shard, "status": "failed"}
    ids = rows["sample_id"].to_pylist()
    if found.keys() != set(ids):
        raise InputError(
            where, expected="a record of the plan's rows", found="a record of other rows", do="run miex repair"
        )
    columns = [rows[column.name] for column in PLAN_COLUMNS]
    try:
        for column in RESULT_COLUMNS:
            columns.append(pa.array([found[sample_id].get(column.name) for sample_id in ids], column.type))
    except (pa.ArrowException, ValueError) as error:
        raise InputError(
            where, expected=f"a record with {column.name} of each sample", found=str(error), do="run miex repair"
        ) from error
    return pa.Table.from_arrays(columns, schema=SAMPLES_SCHEMA)


def read_samples(out: Place, *, of_plan: bool = True) -> pa.Table:
    """All rows of samples.parquet of a finished set; arguments and errors are those of `SampleRows`."""
    return pa.concat_tables([SAMPLES_SCHEMA.empty_table(), *SampleRows(out, of_plan=of_plan).blocks()])


def made_samples(out: Place) -> pa.Table:
    """The same of the samples that were made."""
    blocks = (rows.filter(pc.equal(rows["status"], "ok")) for rows in SampleRows(out).blocks())
    return pa.concat_tables([SAMPLES_SCHEMA.empty_table(), *blocks])


class SampleRows:
    """The rows of samples.parquet of a finished set, block by block, verified by its digests; they are those of the
    set's plan.

    Args:
        out: the set.
        of_plan: whether they are compared with the plan, by its digest: `verify` does that column by column.

    Attributes:
        n_rows: of all blocks.

    Raises:
        InputError: the set is not finished, the file is damaged, or that of another plan.
    """

    def __init__(self, out: Place, *, of_plan: bool = True) -> None:
        self._out, self._of_plan = storage_at(out), of_plan
        if self._out.size(SAMPLES_FILE) is None:
            next(self._out.names(), None)  # tells of a bucket that is not there
            raise InputError(
                f"set {self._out.address}", expected=f"a finished set with {SAMPLES_FILE}", found="none",
                do="finish the set with miex run, or check the path",
            )  # fmt: skip
        self._where = f"{SAMPLES_FILE} of {self._out.address}"
        self._record = read_record(self._out)
        digests = self._record["digests"]
        self._file = ProvenFile(partial(self._out.open, SAMPLES_FILE), SAMPLES_SCHEMA, self._where)
        self.n_rows = self._file.n_rows
        if self._file.told.get("plan") != digests["plan"]:
            raise InputError(
                self._where, expected=f"samples of plan {digests['plan'][:12]}…, which its {CONFIG_FILE} holds",
                found=f"samples of plan {str(self._file.told.get('plan'))[:12]}…",
                do="put back the files of one set, all of them; miex repair makes again what is not of the plan",
            )  # fmt: skip

    def blocks(self) -> Iterator[pa.Table]:
        """All blocks in order. That all of them together are the plan's rows is proven behind the last."""
        digests, n_frames = [], 0
        for rows, beginning in self._file.beginnings(len(PLAN_COLUMNS)):  # the plan's are first among its columns
            digests.append(beginning)
            n_frames += pc.sum(pc.list_value_length(rows["aus"])).as_py() or 0
            yield self._checked(rows)
        if self._of_plan:
            self._prove_planned(root_of(digests), n_frames)

    def take(self, places: npt.NDArray[np.int64]) -> pa.Table:
        """Rows by their numbers, which ascend."""
        return self._checked(self._file.take(places))

    def _prove_planned(self, rows: str, n_frames: int) -> None:
        planned = self._record["digests"]["rows"]
        if rows != planned:
            raise InputError(
                self._where, expected=f"the rows of the plan, whose digest is {planned[:12]}…",
                found=f"others: {rows[:12]}…", do="run miex repair, or do not use the set: it was not made by miex",
            )  # fmt: skip
        there = {"rows": self.n_rows, "frames": n_frames}
        if odd := [name for name, n in there.items() if self._record[name] != n]:
            raise InputError(
                self._where, expected=f"{self._record[odd[0]]:,} {odd[0]}, as {CONFIG_FILE} says",
                found=f"{there[odd[0]]:,}",
                do="run miex plan with the options of the first run to write the plan again",
            )  # fmt: skip

    def _checked(self, rows: pa.Table) -> pa.Table:
        check_rows(rows, self._where)
        made = rows.filter(pc.equal(rows["status"], "ok"))
        places = [made[name] for name in ("shard", "offset", "bytes", "crc32")]
        if rows["status"].null_count or any(
            place.null_count or (pc.min(place).as_py() or 0) < 0 for place in places if len(made)
        ):
            do = "run miex repair, or do not use the set: it was not made by miex"
            raise InputError(self._where, expected="the place of each sample", found="none, or one below 0", do=do)
        return rows
