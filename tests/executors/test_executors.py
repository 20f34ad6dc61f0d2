"""The contract of executors, on each of them: one outcome per task, failures told, dead workers survived."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from miex.errors import InputError
from miex.executors.base import Executor, InProcess, WorkerDiedError
from miex.executors.local import LocalProcesses, local_executor

EXECUTORS = [InProcess(), LocalProcesses(1), LocalProcesses(2)]


def square(x: int) -> int:
    return x * x


def odd_fails(x: int) -> int:
    if x % 2:
        raise InputError(f"task {x}", found="odd", do="give an even one")
    return x


def die_once(folder: Path) -> str:
    mark = folder / "died"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def die_always(folder: Path) -> str:
    with (folder / "tries").open("a") as file:
        file.write("x")
    os._exit(9)


def pid_and_wait(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@pytest.mark.parametrize("executor", EXECUTORS, ids=str)
def test_one_outcome_per_task(executor: Executor) -> None:
    outcomes = list(executor.run(square, list(range(7))))
    assert sorted((o.task, o.result) for o in outcomes) == [(i, i * i) for i in range(7)]
    assert list(executor.run(square, [])) == []


@pytest.mark.parametrize("executor", EXECUTORS, ids=str)
def test_failures_are_reported_with_their_text_and_the_rest_goes_on(executor: Executor) -> None:
    outcomes = {o.task: o for o in executor.run(odd_fails, [0, 1, 2, 3])}
    assert outcomes[0].result == 0
    assert outcomes[2].result == 2
    assert isinstance(outcomes[1].error, InputError)
    assert str(outcomes[3].error) == "task 3\n  found: odd\n  what to do: give an even one"
    with pytest.raises(InputError, match="task 1"):
        list(executor.map(odd_fails, [1]))


def test_dead_worker_is_replaced(tmp_path: Path) -> None:
    outcomes = list(LocalProcesses(2).run(die_once, [tmp_path]))
    assert [o.result for o in outcomes] == ["alive"]


def test_task_that_kills_its_worker_gives_up_and_spares_the_others(tmp_path: Path) -> None:
    outcomes = list(LocalProcesses(1, retries=1).run(die_always, [tmp_path]))
    assert isinstance(outcomes[0].error, WorkerDiedError)
    assert (tmp_path / "tries").read_text() == "xx"


def test_several_processes_are_used() -> None:
    pids = {o.result for o in LocalProcesses(2).run(pid_and_wait, [0.5, 0.5])}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert isinstance(local_executor(1), InProcess)


@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
def test_workers_follow_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, time, pathlib\n"
        "from miex.executors.local import LocalProcesses\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "def work(i):\n"
        "    (folder / f'pid{i}').write_text(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    list(LocalProcesses(2).run(work, [0, 1]))\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    pids = [tmp_path / "pid0", tmp_path / "pid1"]
    deadline = time.monotonic() + 30
    while not all(p.exists() and p.read_text() for p in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    workers = [int(p.read_text()) for p in pids]
    while any(_alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in workers)


def _alive(pid: int) -> bool:
    try:
        # a zombie that nobody has reaped yet is dead
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
