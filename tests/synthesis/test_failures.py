"""Disks that fail and processes that are killed, at every act of a run: what is there is whole, and a run goes on."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from miex.dataset.plan_file import (
    CONFIG_FILE,
    FACES_FILE,
    PLAN_FILE,
    Plan,
    PlanRows,
    read_faces,
    read_plan,
    read_record,
)
from miex.dataset.samples import SAMPLES_FILE, read_samples
from miex.dataset.shard import Failure, Sample, StoredSample, read_shard_record, read_stored, tar_name
from miex.dataset.verify import verify
from miex.errors import InputError, MiexError, OutputError
from miex.executors.base import InProcess, Outcome
from miex.faces.photos import default_pool
from miex.storage.base import Storage
from miex.storage.local import LOCK_FILE, Folder, is_leftover
from miex.synthesis import estimate, worker
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.repair import repair_set
from miex.synthesis.run import run_plan
from miex.synthesis.worker import ShardTask, render_shard
from tests.storage.failing import READS, Failing, Killed
from tests.support import plan_of

Act = tuple[str, str]

DISKS = (errno.ENOSPC, errno.EROFS, errno.EIO)


def contents(out: Path) -> dict[str, bytes]:
    """Every file but the lock."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name != LOCK_FILE)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def plan(model: Path) -> Plan:
    """Six samples in three shards."""
    return plan_of(default_pool(), model, ids=2, size=64, shard_size=2)


@pytest.fixture(scope="module")
def planned(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That plan, and nothing made of it yet. Read only."""
    out = tmp_path_factory.mktemp("planned")
    adopt_plan(plan, out)
    return out


@pytest.fixture(scope="module")
def undisturbed(planned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set of that plan, as nobody disturbed it. Read only."""
    out = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(planned, out, dirs_exist_ok=True)
    run_plan(out)
    assert verify(out).problems == ()
    return out


Rendered = dict[int, list[Sample | Failure]]


@pytest.fixture(scope="module")
def rendered(undisturbed: Path) -> Rendered:
    plan, out = read_plan(undisturbed), Folder(undisturbed)
    tasks = [ShardTask(out, shard, plan.digests["plan"], Path(plan.faces_root)) for shard in range(plan.n_shards)]
    return {task.shard: list(render_shard(task)) for task in tasks}


@pytest.fixture
def rendered_once(monkeypatch: pytest.MonkeyPatch, rendered: Rendered) -> Rendered:
    """What rendering gives, shard by shard: rendered once for all runs, for these tests are about files."""
    made = dict(rendered)
    for module in (worker, estimate):
        monkeypatch.setattr(module, "render_shard", lambda task, most=None: made[task.shard][:most])
    return made


def moments(acts: list[Act]) -> Iterator[int]:
    """Every act; of many writes into one draft, which differ only in how much of it is there, four."""
    first = 0
    for _, same in groupby(acts):
        n = len(list(same))
        yield from sorted({first, first + min(1, n - 1), first + n // 2, first + n - 1})
        first += n


def lasts(finished: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """What is written last, and says of the rest, named beside it, that it is there."""
    tars = [name for name in finished if name.endswith(".tar")]
    yield from ((name.replace(".tar", ".json"), [name]) for name in tars)
    yield SAMPLES_FILE, tars
    yield CONFIG_FILE, [PLAN_FILE, FACES_FILE]


def fails_everywhere(
    work: Callable[[Storage], Any], start: Path, finished: dict[str, bytes], folder: Path, *, kill: bool
) -> None:
    """At every act of a work: a clear error or a kill, only whole files under their names, and again it gets done.

    Args:
        work: what is done with a place.
        start: what lies there before.
        finished: what lies there when it is done, byte for byte.
        folder: for copies of it.
        kill: the process is killed; else a disk fails, each time in another way.
    """
    before = contents(start)
    watched = Failing(Folder(shutil.copytree(start, folder / "watched")))
    work(watched)
    assert contents(folder / "watched") == finished
    for at in moments(watched.acts):
        act = watched.acts[at]
        out = shutil.copytree(start, folder / f"{at}")
        # from a full disk one can delete
        number = DISKS[at % 3 if act[0] != "delete" else 1 + at % 2]
        failing = Failing(Folder(out), at, Killed if kill else number)
        with pytest.raises(Killed if kill else OutputError) as caught:
            work(failing)
        if isinstance(caught.value, OutputError):
            assert str(out) in caught.value.asked, act
            assert caught.value.found == os.strerror(number), act
            assert caught.value.do, act
        there = contents(out)
        drafts = {name for name in there if is_leftover(name)}
        kinds = [kind for kind, _ in watched.acts[:at]]
        # who lives cleans up
        assert len(drafts) == (kinds.count("begin") - kinds.count("commit") if kill else 0), act
        for name in there.keys() - drafts:
            assert there[name] in (finished.get(name), before.get(name)), (act, name)
        for last, first in lasts(finished):
            parts = [[found.get(name) for name in (last, *first)] for found in (there, finished, before)]
            assert parts[0][0] is None or parts[0] in parts[1:], (act, last)
        work(Folder(out))
        assert contents(out) == finished, act
        shutil.rmtree(out)


either = pytest.mark.parametrize("kill", [False, True], ids=["disk", "kill"])


@either
def test_a_run(planned: Path, undisturbed: Path, rendered_once: Rendered, tmp_path: Path, kill: bool) -> None:
    fails_everywhere(run_plan, planned, contents(undisturbed), tmp_path, kill=kill)


@either
def test_a_plan_that_is_put_down(plan: Plan, planned: Path, tmp_path: Path, kill: bool) -> None:
    (tmp_path / "empty").mkdir()
    fails_everywhere(lambda out: adopt_plan(plan, out), tmp_path / "empty", contents(planned), tmp_path, kill=kill)


@either
def test_a_plan_that_is_put_down_again(plan: Plan, undisturbed: Path, tmp_path: Path, kill: bool) -> None:
    """Of a set that is there, nothing is lost at any moment."""
    fails_everywhere(lambda out: adopt_plan(plan, out), undisturbed, contents(undisturbed), tmp_path, kill=kill)


@either
def test_a_repair(undisturbed: Path, rendered_once: Rendered, tmp_path: Path, kill: bool) -> None:
    damaged = shutil.copytree(undisturbed, tmp_path / "damaged")
    tar = damaged / tar_name(1)
    tar.write_bytes(tar.read_bytes().replace(b'"synthetic":true', b'"synthetic":null', 1))
    fails_everywhere(repair_set, damaged, contents(undisturbed), tmp_path, kill=kill)


def test_a_repair_of_failed_rows(planned: Path, undisturbed: Path, rendered_once: Rendered, tmp_path: Path) -> None:
    lacking = shutil.copytree(planned, tmp_path / "lacking")
    first, second = rendered_once[1]
    rendered_once[1] = [Failure(first.sample_id, "no luck"), second]
    assert run_plan(lacking, max_failed=1).failed == 1
    rendered_once[1] = [first, second]
    fails_everywhere(repair_set, lacking, contents(undisturbed), tmp_path, kill=True)


def test_a_repair_that_was_killed_is_known_to_a_run(undisturbed: Path, rendered_once: Rendered, tmp_path: Path) -> None:
    out = shutil.copytree(undisturbed, tmp_path / "out")
    for shard in (0, 2):
        tar = out / tar_name(shard)
        tar.write_bytes(tar.read_bytes()[:-1] + b"x")  # as many bytes as before
    killed = Failing(Folder(out), 0, Killed, {"begin"})
    with pytest.raises(Killed):
        repair_set(killed)
    assert killed.acts == [("begin", tar_name(0))]
    run_plan(out)
    assert contents(out) == contents(undisturbed)


class Dying(InProcess):
    """Each task's worker dies once, and leaves what it wrote."""

    def run(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Outcome[Any, Any]]:
        for task in tasks:
            with pytest.raises(Killed):
                function(replace(task, out=Failing(task.out, 3)))
            yield from super().run(function, [task])


def test_what_dead_workers_left_is_removed(
    planned: Path, undisturbed: Path, rendered_once: Rendered, tmp_path: Path
) -> None:
    out = shutil.copytree(planned, tmp_path / "out")
    seen: list[int] = []
    run_plan(out, executor=Dying(), progress=lambda *_: seen.append(sum(map(is_leftover, contents(out)))))
    assert seen == [0, 1, 2, 3]
    assert contents(out) == contents(undisturbed)


def test_a_place_that_cannot_be_read(planned: Path, undisturbed: Path, rendered_once: Rendered, tmp_path: Path) -> None:
    """Not to read is never taken for not to be there."""
    watched = Failing(Folder(shutil.copytree(planned, tmp_path / "watched")), kinds=READS)
    run_plan(watched)
    for at, act in enumerate(watched.acts):
        out = shutil.copytree(planned, tmp_path / f"{at}")
        with pytest.raises(MiexError) as caught:
            run_plan(Failing(Folder(out), at, errno.EIO, READS))
        assert str(out) in caught.value.asked, act
        assert os.strerror(errno.EIO) in caught.value.found, act
        there = contents(out)
        assert there.items() <= contents(undisturbed).items(), act
        run_plan(out)
        assert contents(out) == contents(undisturbed), act
        shutil.rmtree(out)


def first_sample(out: Storage) -> StoredSample:
    record = read_shard_record(out, 0)
    assert record
    sample = record.samples[0]
    return read_stored(out, 0, sample["offset"], sample["bytes"], sample["crc32"], sample["sample_id"])


@pytest.mark.parametrize(
    "reader",
    [
        lambda out: read_plan(out).rows,
        lambda out: PlanRows(out, read_record(out)).shard(1),
        lambda out: read_faces(out, read_plan(out).faces["identity"].to_pylist()),
        first_sample,
        read_samples,
    ],
)
def test_what_cannot_be_read_is_an_input_error(undisturbed: Path, reader: Callable[[Storage], Any]) -> None:
    watched = Failing(Folder(undisturbed), kinds=READS)
    reader(watched)
    assert watched.acts
    for at in range(len(watched.acts)):
        with pytest.raises(InputError) as caught:
            reader(Failing(Folder(undisturbed), at, errno.EIO, READS))
        assert str(undisturbed) in caught.value.asked
        assert os.strerror(errno.EIO) in caught.value.found


def test_too_little_room_is_told_before_any_work(planned: Path, tmp_path: Path) -> None:
    out = shutil.copytree(planned, tmp_path / "out")
    full = Failing(Folder(out), free=20_000)
    with pytest.raises(OutputError, match=r"room for 6 samples(.|\n)*expected: about(.|\n)*0 MB free(.|\n)*free space"):
        run_plan(full)
    assert full.acts == [("delete", "leftovers")]
    assert contents(out) == contents(planned)
