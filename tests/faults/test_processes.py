"""Real processes that die, are told to stop, or run out of memory at a known call of a run with two workers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from miex.dataset.verify import verify
from miex.faces.photos import default_pool
from miex.report.build import write_report
from miex.storage.local import LOCK_FILE, is_leftover
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.run import run_plan
from tests.faults.disk import Call, some
from tests.faults.tally import HARMLESS, SEEN, Tally
from tests.faults.victim import ASKED
from tests.support import plan_of

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signals, and names of open files")
ROOT = Path(__file__).parents[2]
FEW = 6  # calls: each takes processes of its own, and seconds


def contents(out: Path) -> dict[str, bytes]:
    files = (path for path in out.rglob("*") if path.is_file() and path.name != LOCK_FILE)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def run(out: Path, **asked: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.faults.victim", str(out), "--workers", "2"]
    told = {**os.environ, ASKED: json.dumps({"folder": str(out), **asked})}
    # a group of its own: a signal is for it alone
    return subprocess.run(
        command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=120, check=False, start_new_session=True
    )


@pytest.fixture(scope="module", autouse=True)
def only_by_hand(every: bool) -> None:
    """Of what dies in `make test`, tests/synthesis/test_signals.py has a few."""
    if not every:
        pytest.skip("make faults")


@pytest.fixture(scope="module")
def planned(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan of six samples in three shards. Read only."""
    out = tmp_path_factory.mktemp("planned") / "set"
    adopt_plan(plan_of(default_pool(), model, ids=2, size=64, shard_size=2), out)
    return out


@pytest.fixture(scope="module")
def finished(planned: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed run makes of it."""
    out = shutil.copytree(planned, tmp_path_factory.mktemp("finished") / "set")
    run_plan(out)
    write_report(out)
    return contents(out)


Calls = Callable[[str], list[Call]]


@pytest.fixture(scope="module")
def calls(planned: Path, tmp_path_factory: pytest.TempPathFactory) -> Calls:
    """Some calls of the driver, or of the workers."""
    notes = tmp_path_factory.mktemp("notes")
    done = run(shutil.copytree(planned, tmp_path_factory.mktemp("watched") / "set"), notes=str(notes))
    assert done.returncode == 0, done.stderr

    def chosen(who: str) -> list[Call]:
        noted = sorted({Call(*json.loads(line)) for line in (notes / who).read_text().splitlines()})
        # of many calls in one process those that every worker makes once, whatever shards it gets
        own = [call for call in noted if who == "driver" or call.name.startswith("shards/0")]
        return some(own, FEW)

    return chosen


@pytest.mark.parametrize("what", ["SIGKILL", "SIGTERM", "memory"])
def test_a_worker_is_lost_and_the_run_is_not(
    planned: Path, finished: dict[str, bytes], tmp_path: Path, calls: Calls, tally: Tally, what: str
) -> None:
    for i, at in enumerate(calls("worker")):
        out = shutil.copytree(planned, tmp_path / f"{i}" / "set")
        done = run(out, who="worker", at=at, what=what, once=str(tmp_path / f"{i}" / "once"))
        assert (tmp_path / f"{i}" / "once").exists(), at
        assert done.returncode == 0, (at, done.stderr)
        assert contents(out) == finished, at  # and so no leftovers
        assert verify(out).problems == ()
        tally.add("a worker runs out of memory" if what == "memory" else f"a worker gets {what}", "run", HARMLESS)


@pytest.mark.parametrize("what", ["SIGKILL", "memory"])
def test_a_task_that_always_takes_its_worker_along_is_told(
    planned: Path, finished: dict[str, bytes], tmp_path: Path, tally: Tally, what: str
) -> None:
    out = shutil.copytree(planned, tmp_path / "set")
    at = Call("fsync", "shards/00001.tar.draft", 0)
    done = run(out, who="worker", at=at, what=what, once="")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "what to do: use fewer --workers" in done.stderr
    assert not [name for name in contents(out) if is_leftover(name)]
    run_plan(out)
    write_report(out)
    assert contents(out) == finished
    tally.add(f"every worker of a shard: {what}", "run", SEEN)


@pytest.mark.parametrize(("what", "code"), [("SIGKILL", -9), ("SIGTERM", 130), ("SIGINT", 130), ("memory", 1)])
def test_a_driver_that_is_stopped_goes_on(
    planned: Path, finished: dict[str, bytes], tmp_path: Path, calls: Calls, tally: Tally, what: str, code: int
) -> None:
    before = contents(planned)
    for i, at in enumerate(calls("driver")):
        out = shutil.copytree(planned, tmp_path / f"{i}" / "set")
        done = run(out, who="driver", at=at, what=what, once=str(tmp_path / f"{i}" / "once"))
        assert (tmp_path / f"{i}" / "once").exists(), at
        assert done.returncode == code, (at, done.stderr)
        assert "Traceback" not in done.stderr, (at, done.stderr)
        there = contents(out)
        drafts = {name for name in there if is_leftover(name)}
        assert not drafts or what == "SIGKILL" or at.act == "delete", at
        assert all(there[name] in (finished[name], before.get(name)) for name in there.keys() - drafts), at
        run_plan(out)
        write_report(out)
        assert contents(out) == finished, at
        tally.add(f"the driver: {what}", "run", SEEN)
