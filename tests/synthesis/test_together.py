"""One set, made by many processes that know nothing of each other: ranges of shards, and the same shards at once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

import miex
from miex.api.synthesize import Part
from miex.dataset.plan_file import read_plan
from miex.dataset.samples import SAMPLES_FILE
from miex.dataset.shard import SHARDS, read_shard_record, record_name, tar_name, write_shard
from miex.dataset.verify import verify
from miex.errors import InputError, UsageError
from miex.faces.photos import default_pool
from miex.report.build import write_report
from miex.storage.local import LOCK_FILE, Folder
from miex.synthesis import worker
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.run import run_plan
from miex.synthesis.shards import shards_of
from miex.synthesis.worker import ShardTask, make_shard
from tests.support import command, facts, plan_of, stored_samples

ROOT = Path(__file__).parents[2]
N = 4  # shards


def contents(out: Path) -> dict[str, bytes]:
    """Every file but the lock."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name != LOCK_FILE)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """A plan of twelve samples in four shards. Read only."""
    out = tmp_path_factory.mktemp("planned") / "set"
    adopt_plan(plan_of(default_pool(), model, ids=4, size=64, shard_size=3, nuisances="off"), out)
    return out


@pytest.fixture(scope="module")
def alone(planned: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process makes of it."""
    out = shutil.copytree(planned, tmp_path_factory.mktemp("alone") / "set")
    assert run_plan(out).left == 0
    write_report(out)
    return contents(out)


@pytest.fixture
def out(planned: Path, tmp_path: Path) -> Path:
    return shutil.copytree(planned, tmp_path / "set")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("3", [3]),
        ("0-9", list(range(10))),
        ("2-3, 0,7-8,3", [0, 2, 3, 7, 8]),
        ("1/3", [0, 1, 2]),
        ("3/3", [6, 7, 8, 9]),
        ("1/1", list(range(10))),
        ("5/20", []),
    ],
)
def test_shards_are_named_by_ranges_and_parts(asked: str, expected: list[int]) -> None:
    assert shards_of(asked, 10) == expected


@pytest.mark.parametrize("n", [0, 1, 7, 240])
@pytest.mark.parametrize("parts", [1, 2, 8, 1000])
def test_parts_are_together_all_shards_and_of_one_size(n: int, parts: int) -> None:
    found = [shards_of(f"{i}/{parts}", n) for i in range(1, parts + 1)]
    assert [shard for part in found for shard in part] == list(range(n))
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("8-12", "expected: shards from 0 to 9: the plan has 10\n  found: 8-12"),
        ("0-3,10", "found: 10"),
        ("5-3", "5-3, which ends before it begins"),
        ("0/4", "expected: a part from 1/4 to 4/4"),
        ("5/4", "expected: a part from 1/4 to 4/4"),
        ("1/0", "expected: a part of at least one, such as 1/1"),
        *(
            (odd, "expected: ranges of shards such as 0-9,20-29")
            for odd in ("", "a", "1-", "-3", "1,,2", "1/2,3", "1.5", "٣", "１/２", "9" * 5000)
        ),
    ],
)
def test_other_shards_are_refused(asked: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"^`shards` ") as caught:
        shards_of(asked, 10)
    assert said in str(caught.value)


def test_ranges_make_the_set_piece_by_piece_and_the_last_finishes_it(out: Path, alone: dict[str, bytes]) -> None:
    first = facts("run", out, "--shards", "1-2")
    assert (first["samples"], first["frames"], first["made"], first["rendered"], first["left"]) == (6, 12, 6, 6, 2)
    assert first["gallery"] is None
    again = command("run", out, "--shards", "2")
    assert "3 pairs (0 failed)" in again.stdout
    assert "nothing was left to do\n2 shards of the plan left for others; the last to end" in again.stdout
    part = miex.run(out, shards="0,1")
    assert isinstance(part, Part)
    assert repr(part) == f"6 samples made in {out} · 1 shards of its plan left"
    assert not {SAMPLES_FILE, "README.md"} & contents(out).keys()
    made = miex.run(out, shards="4/4")
    assert not isinstance(made, Part)
    assert (made.summary.samples, made.summary.rendered, made.summary.left) == (3, 3, 0)
    assert contents(out) == alone
    assert verify(out).problems == ()


def test_a_part_without_samples_is_one_of_pairs(out: Path) -> None:
    assert command("run", out, "--shards", "1/100").stdout.startswith("0 pairs (0 failed)")


def test_rendering_needs_no_lock_and_finishing_waits_for_it(out: Path, alone: dict[str, bytes]) -> None:
    with ThreadPoolExecutor(1) as pool:
        with Folder(out).locked():
            made = pool.submit(miex.run, out, shards="1/1")
            deadline = time.monotonic() + 60
            while sum(name.endswith(".json") for name in Folder(out).names(SHARDS)) < N:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert not made.done()
            assert SAMPLES_FILE not in contents(out)
        assert made.result().summary.rendered == 12
    assert contents(out) == alone


def test_a_plain_run_finishes_what_a_killed_one_did_not(out: Path, alone: dict[str, bytes]) -> None:
    def killed(summary: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_plan(out, shards="0-3", finish=killed)
    assert miex.run(out).summary.rendered == 0
    assert contents(out) == alone


def test_a_finished_set_that_lost_a_shard_is_none_until_it_has_it_again(out: Path, alone: dict[str, bytes]) -> None:
    miex.run(out)
    for shard in (1, 3):
        Folder(out).delete(record_name(shard))
    assert isinstance(miex.run(out, shards="0-1"), Part)
    assert not {SAMPLES_FILE, "README.md", "gallery.html"} & contents(out).keys()
    assert miex.run(out, shards="3").summary.rendered == 3
    assert contents(out) == alone


def test_shards_that_the_plan_has_not_are_refused_before_any_work(out: Path) -> None:
    before = contents(out)
    done = command("run", out, "--shards", "0-3,7-9")
    assert (done.returncode, contents(out)) == (2, before)
    assert "--shards 0-3,7-9\n  expected: shards from 0 to 3: the plan has 4\n  found: 7-9" in done.stderr


def test_eight_processes_on_the_same_shards_lose_nothing(out: Path, alone: dict[str, bytes]) -> None:
    """Each commits what it makes first, and drops what it makes later; they also finish together."""
    code = "import sys, miex; print(miex.run(sys.argv[1], shards='0-3').summary.rendered)"
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(out)], stdout=subprocess.PIPE, text=True) for _ in range(8)
    ]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 8
    assert sum(map(int, said)) == 12  # every shard was committed once
    assert contents(out) == alone  # no draft is left, either


def test_eight_who_rendered_a_shard_commit_it_once(
    out: Path, alone: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All have rendered before any commits: the closest race."""
    plan, barrier = read_plan(out), Barrier(8)
    samples = list(worker.render_shard(ShardTask(Folder(out), 2, plan.digests["plan"], Path(plan.faces_root))))

    def rendered(task: ShardTask) -> Iterator[Any]:
        yield from samples
        barrier.wait(timeout=60)

    monkeypatch.setattr(worker, "render_shard", rendered)
    task = ShardTask(Folder(out), 2, plan.digests["plan"], Path(plan.faces_root))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(make_shard, [task] * 8))
    assert sum(result.own for result in found) == 1
    assert len({replace(result, own=True) for result in found}) == 1
    assert {name: alone[name] for name in (tar_name(2), record_name(2))}.items() <= contents(out).items()
    assert {Path(name).name for name in contents(out) if name.startswith(SHARDS)} == {"00002.tar", "00002.json"}


def test_machines_that_make_other_bytes_leave_a_whole_shard(out: Path, tmp_path: Path, alone: dict[str, bytes]) -> None:
    """Tar and record are of one of them, whoever comes between the tar and the record of another."""
    source = shutil.copytree(out, tmp_path / "source")
    for name in (tar_name(0), record_name(0)):
        Folder(source).write(name, alone[name])
    samples, digest = stored_samples(source, 0), read_plan(out).digests["plan"]
    others = [replace(sample, frames=sample.frames[::-1]) for sample in samples]
    folder = Folder(out)

    mine, came = alone[tar_name(0)], []

    class Between(Folder):
        def create(self, name: str, content: bytes) -> bool:
            if not came:
                came.append(write_shard(folder, 0, digest, others))
                if late:  # the tar of the one who came first takes the name after both
                    folder.write(tar_name(0), mine)
            return super().create(name, content)

    for late in (False, True):
        assert write_shard(Between(out), 0, digest, samples)[1] is late
        record = read_shard_record(folder, 0)
        assert record
        assert record.sha256 == hashlib.sha256(folder.read(tar_name(0))).hexdigest()
        folder.delete(record_name(0))
        came.clear()


def test_drafts_of_others_are_left_to_them(out: Path) -> None:
    """On network disks whose locks are not seen by other machines, nothing tells that their writers live."""
    draft = out / SHARDS / f"00003.tar.tmp-{'0f' * 16}"
    draft.parent.mkdir()
    draft.write_bytes(b"")
    run_plan(out, shards="0")
    assert draft.exists()
    mine = draft.with_name("00003.tmp-1.tar")
    mine.write_bytes(b"")
    assert [problem for problem in verify(out).problems if "not of this plan" in problem] == [
        f"{SHARDS}/{mine.name}: not of this plan"
    ]
    mine.unlink()
    run_plan(out, shards="1-3")
    assert not draft.exists()  # when all is there, nobody needs one


def test_a_machine_that_does_not_see_plan_or_photos_says_so(out: Path, tmp_path: Path) -> None:
    plan = read_plan(out)
    for place, faces, lacking in (
        (tmp_path / "elsewhere", Path(plan.faces_root), "plan.json of "),
        (out, tmp_path / "gone", "folder "),
    ):
        with pytest.raises(InputError, match=f"shard 1 of {place}, on ") as caught:
            make_shard(ShardTask(Folder(place), 1, plan.digests["plan"], faces))
        assert f"no {lacking}" in caught.value.found
        assert "where all machines see them" in caught.value.do


def test_the_example_for_slurm_makes_the_set(out: Path, tmp_path: Path, alone: dict[str, bytes]) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    program = tmp_path / "bin" / "miex"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m miex "$@"\n')
    program.chmod(0o755)
    jobs = []
    for i in range(1, 4):
        told = {"SLURM_ARRAY_TASK_ID": str(i), "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_CPUS_PER_TASK": "1"}
        told["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        script = [bash, str(ROOT / "examples" / "slurm.sh"), str(out)]
        jobs.append(subprocess.Popen(script, env=os.environ | told, stderr=subprocess.PIPE, text=True))
    said = [job.communicate(timeout=120)[1] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0, 0], said
    assert contents(out) == alone


def test_progress_is_that_of_the_shards_that_were_asked_for(out: Path) -> None:
    moves: list[tuple[int, int]] = []
    run_plan(out, shards="0-1", progress=lambda done, total, note: moves.append((done, total)))
    assert moves == [(0, 6), (0, 6), (3, 6), (6, 6)]  # first, workers start
