"""Sets in a bucket: the same bytes as in a folder, whatever fails on the way, and read by ranges."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miex
from miex.api.examples import faces_of, sets_in
from miex.dataset.plan_file import read_plan
from miex.dataset.shard import record_name, tar_name
from miex.errors import DamagedError, InputError, OutputError, UsageError
from miex.faces.photos import default_pool
from miex.storage import storage_at
from miex.storage.base import Storage
from miex.storage.local import LOCK_FILE, Folder
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.worker import ShardTask, make_shard
from tests.bucket_fixture import KEY, SECRET, Door
from tests.support import command, facts, plan_of

OPTIONS: dict[str, Any] = {"ids": 2, "size": 64, "shard_size": 2}  # 6 samples in 3 shards


def contents(storage: Storage) -> dict[str, bytes]:
    names = [*storage.names(), *(f"shards/{name}" for name in storage.names("shards"))]
    return {name: storage.read(name) for name in names if name not in (LOCK_FILE, "shards")}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Storage:
    return miex.synthesize(tmp_path_factory.mktemp("local") / "mie-x", landmarker=model, **OPTIONS).storage


@pytest.fixture(scope="module")
def made(door: Door, tmp_path_factory: pytest.TempPathFactory, model: Path) -> tuple[miex.Dataset, Counter[str], int]:
    """The same set made by two workers in a bucket where every tenth request fails; which records were written, and
    how many requests failed."""
    door.fail(10)
    found = miex.synthesize(
        f"s3://sets/{tmp_path_factory.mktemp('made').name}/mie-x", workers=2, landmarker=model, **OPTIONS
    )
    written = [one.path.rpartition("/")[2] for one in door.requests if one.method == "PUT" and one.status == 200]
    failed = door.failed
    door.fail(0)
    return found, Counter(name for name in written if name.endswith(".json")), failed


@pytest.fixture
def found(made: tuple[miex.Dataset, Counter[str], int], door: Door) -> Iterator[miex.Dataset]:
    door.fail(0)
    yield made[0]
    door.fail(0)


def test_where_requests_fail_the_set_is_the_same_and_each_shard_committed_once(
    made: tuple[miex.Dataset, Counter[str], int], local: Storage
) -> None:
    dataset, written, failed = made
    assert failed >= 5
    assert written == dict.fromkeys(("plan.json", "00000.json", "00001.json", "00002.json", "croissant.json"), 1)
    assert dataset.gallery == f"{dataset.storage.address}/gallery.html"
    mine, theirs = contents(dataset.storage), contents(local)
    assert mine.keys() == theirs.keys()
    assert {name for name in mine if mine[name] != theirs[name]} == set()
    for secret in (KEY, SECRET, "127.0.0.1", "s3://"):
        assert not [name for name, content in mine.items() if secret.encode() in content]


def test_a_sample_is_read_by_one_request_of_its_own_bytes(found: miex.Dataset, local: Storage, door: Door) -> None:
    dataset = miex.open(found.storage.address)
    assert dataset.record  # which each sample is compared with, is read once
    door.fail(0)
    sample = dataset[4]
    (request,) = door.requests
    assert (request.method, request.bytes) == ("GET", dataset.table["bytes"][4].as_py())
    assert request.bytes < local.size(tar_name(2))
    assert np.array_equal(sample.frames, miex.open(local)[4].frames)
    door.fail(0)
    dataset.where("label == 'surprise'")[1:][0]  # what a set knows of itself, its selections know
    assert len(door.requests) == 1


def test_what_is_damaged_or_gone_is_seen_and_made_again(found: miex.Dataset, local: Storage, door: Door) -> None:
    out, whole = found.storage, contents(local)
    assert miex.verify(out.address).problems == ()
    out.write(tar_name(0), whole[tar_name(0)][:-700])
    out.delete(tar_name(1))
    out.delete(record_name(2))
    problems = " ".join(miex.verify(out.address).problems)
    assert all(f"shard 0000{shard}" in problems for shard in range(3))
    door.fail(10)
    again = miex.repair(out.address)
    assert again.summary.rendered == 6
    assert contents(out) == whole
    out.delete(record_name(1))
    assert miex.run(out.address).summary.rendered == 2
    assert contents(out) == whole


def test_who_may_not_read_is_told_so_and_nothing_is_skipped(
    found: miex.Dataset, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = miex.open(found.storage.address)
    assert dataset.record
    door.fail(4, "403", most=1)
    with pytest.raises(InputError, match=r"403(.|\n)*give credentials") as caught:
        dataset.readable()
    assert not isinstance(caught.value, DamagedError)
    door.fail(0)
    assert dataset.readable()[1] == {}
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as in a process that was forked
    with pytest.raises(InputError, match=r'forked(.|\n)*multiprocessing_context="spawn"') as caught:
        dataset.readable()
    assert not isinstance(caught.value, DamagedError)


def test_it_is_exported_and_learned_from_like_a_folder(
    found: miex.Dataset, local: Storage, tmp_path: Path, address: str
) -> None:
    there = found.storage.address
    for out in (tmp_path / "a", f"{address}/frames"):
        assert miex.export(there, out, to="folder").samples == 6
        with pytest.raises(OutputError, match="a new or empty folder"):
            miex.export(there, out, to="folder")
    miex.export(Folder(Path(local.address)).path, tmp_path / "b", to="folder")
    name = f"frames/{found.table['sample_id'][0].as_py()}/001.png"
    assert storage_at(f"{address}/frames").read(name) == (tmp_path / "a" / name).read_bytes()
    for path in (tmp_path / "b").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "a" / path.relative_to(tmp_path / "b")).read_bytes()
    for place, name in ((there, "a.npz"), (local.address, "b.npz")):
        miex.export(place, tmp_path / name, to="flow")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sets_in([there]) == [found.storage]
    assert faces_of(there) == faces_of(local.address)
    with pytest.raises(UsageError, match="expected: a file or folder of this machine"):
        miex.export(there, f"{address}/a.npz")


def test_commands_take_its_address(found: miex.Dataset, address: str, model: Path) -> None:
    there = found.storage.address
    assert facts("verify", there)["problems"] == []
    assert facts("run", there)["out"] == there
    assert facts("report", there, "--audit", 0) == {"gallery": f"{there}/gallery.html"}
    planned = facts("plan", "--out", f"{address}/new", "--ids", 1, "--landmarker", model)
    assert planned["out"] == f"{address}/new"
    refused = command("plan", "--out", there, "--ids", 1, "--landmarker", model)
    assert refused.returncode == OutputError.exit_code
    assert f"output folder {there}" in refused.stderr


def test_of_two_who_put_their_plans_at_once_one_is_refused(address: str, model: Path) -> None:
    out = storage_at(address)
    first, second = (plan_of(default_pool(), model, seed=seed, **OPTIONS) for seed in (1, 2))

    def overtaken() -> Iterator[Any]:
        adopt_plan(first, out)
        return second.shards()

    with pytest.raises(OutputError, match="they differ in: seed"):
        adopt_plan(replace(second, shards=overtaken), out)
    assert read_plan(out).rows.equals(first.rows)
    with pytest.raises(OutputError, match="another process of miex has just put its plan there"):
        make_shard(ShardTask(out, 0, second.digests["plan"], default_pool()))
    assert out.size(tar_name(0)) is None
