"""Verify: whatever is wrong with a set is found, and told by the shard or the file."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from miex.dataset.plan_file import read_plan
from miex.dataset.proven import write_blocks
from miex.dataset.samples import read_samples
from miex.dataset.schema import SAMPLES_SCHEMA
from miex.dataset.shard import SHARDS, write_shard
from miex.dataset.verify import verify
from miex.stable import canonical_json
from miex.storage.local import Folder
from tests.support import flip_bit, stored_samples


def test_verify_compares_samples_with_the_plan(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    samples = read_samples(out)
    at = samples.schema.get_field_index("label")
    turned = samples.set_column(at, "label", pa.array([(x + 1) % 3 for x in samples["label"].to_pylist()], pa.int8()))
    with Folder(out).writing("samples.parquet") as draft:
        write_blocks(draft, [turned.slice(i, 4) for i in range(0, 36, 4)], SAMPLES_SCHEMA, block_rows=4)
    (out / SHARDS / "00099.tar").write_bytes(b"")
    problems = verify(out).problems
    assert problems == (
        "shards/00099.tar: not of this plan",
        "samples.parquet: label are not what plan and records say",
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"label": "surprise"}, "label"),
        ({"aus": [[0.0] * 17, [1.0] * 17]}, "aus"),
        ({"aus": [[0.0]]}, "aus"),
        ({"emotion": "bored"}, "emotion"),
        ({"photo": "0" * 16}, "photo"),
    ],
)
def test_verify_compares_descriptions_with_the_plan(
    finished: Path, tmp_path: Path, change: dict[str, object], named: str
) -> None:
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    first, *others = stored_samples(out, 0)
    changed = replace(first, description=first.description | change)
    write_shard(Folder(out), 0, read_plan(out).digests["plan"], [changed, *others])
    problems = [p for p in verify(out).problems if "samples.parquet" not in p]
    assert problems == [f"shard 00000, {first.sample_id}: its {named} is not the plan's"]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda out: (out / SHARDS / "00001.tar").write_bytes(b"short"), "shard 00001: sha256"),
        (lambda out: (out / SHARDS / "00001.tar").unlink(), "shard 00001: No such file"),
        (lambda out: (out / SHARDS / "00002.json").unlink(), "shard 00002: not there"),
        (lambda out: (out / SHARDS / "00002.json").write_text("{"), "shard 00002: "),
        (lambda out: (out / "samples.parquet").unlink(), "samples.parquet"),
        (lambda out: (out / "samples.parquet").write_bytes(b"PAR1"), "samples.parquet"),
        (lambda out: flip_bit(out / SHARDS / "00003.tar", 5000), "shard 00003: sha256"),
    ],
)
def test_verify_finds_damage(finished: Path, tmp_path: Path, damage, found: str) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    assert verify(out).problems == ()
    damage(out)
    problems = verify(out).problems
    assert len(problems) == 1
    assert found in problems[0]


def test_verify_finds_an_identical_pair_and_a_foreign_sample(finished: Path, tmp_path: Path) -> None:
    """Records can be right and samples wrong: verify looks into them."""
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    first, *others = stored_samples(out, 0)
    still = replace(first, frames=(first.frames[0],) * 2)
    write_shard(Folder(out), 0, read_plan(out).digests["plan"], [still, *others])
    record = json.loads((out / SHARDS / "00000.json").read_text())
    for key in ("offset", "bytes", "crc32"):
        record["samples"][1][key] = record["samples"][2][key]
    del record["digest"]
    record["digest"] = hashlib.sha256(canonical_json(record).encode()).hexdigest()
    (out / SHARDS / "00000.json").write_text(json.dumps(record))
    report = verify(out)
    assert len(report.problems) == 3, report.problems
    assert report.problems[2].startswith("samples.parquet: ")
    assert "onset and apex are the same picture" in report.problems[0]
    assert record["samples"][0]["sample_id"] in report.problems[0]
    assert "instead of sample" in report.problems[1]
    assert report.identical == 1
