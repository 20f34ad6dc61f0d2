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


def meet(folder: Path) -> int:
    """Ends when another process has come, too."""
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2:
        assert time.monotonic() < deadline, "nobody came"
        time.sleep(0.005)
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


def test_several_processes_are_used(tmp_path: Path) -> None:
    pids = {o.result for o in LocalProcesses(2).run(meet, [tmp_path, tmp_path])}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert isinstance(local_executor(1), InProcess)


def test_workers_follow_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, time\n"
        "from miex.executors.local import LocalProcesses\n"
        "def work(i):\n"
        "    os.write(1, b'%d\\n' % os.getpid())\n"
        "    time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    list(LocalProcesses(2).run(work, [0, 1]))\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        try:
            workers = {int(parent.stdout.readline()) for _ in range(2)}
        finally:
            parent.kill()
        assert len(workers | {parent.pid}) == 3
        parent.communicate(timeout=60)  # the workers hold the pipe, too: it is at its end when they are gone


def lacks_memory(folder: Path) -> str:
    """Once."""
    if not (folder / "lacked").exists():
        (folder / "lacked").touch()
        raise MemoryError
    return "done"


def test_what_ran_out_of_memory_is_tried_again_or_told(tmp_path: Path) -> None:
    assert [o.result for o in LocalProcesses(2).run(lacks_memory, [tmp_path])] == ["done"]
    (tmp_path / "lacked").unlink()
    (outcome,) = InProcess().run(lacks_memory, [tmp_path])
    assert isinstance(outcome.error, WorkerDiedError)
    assert "enough memory" in str(outcome.error)
