"""The contract of executors, on each of them: one outcome per task, failures told, dead workers survived."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import Queue
from threading import Event, Thread

import pytest

from miex.errors import InputError, UsageError
from miex.executors.base import IN_PROCESS, Executor, InProcess, WorkerDiedError
from miex.executors.local import LocalProcesses, local_executor
from miex.executors.ray import RayCluster, _prove_answers
from miex.storage.local import Folder
from miex.synthesis.run import run_plan
from miex.synthesis.worker import ShardTask, make_shard
from tests.ray_fixture import Nodes, ray_cluster

SECONDS = 240  # for what takes few, on however busy a machine
EXECUTORS = [InProcess(), LocalProcesses(1), LocalProcesses(2)]


def square(x: int) -> int:
    return x * x


def only_in(process: int) -> int:
    if os.getpid() != process:
        os._exit(9)
    return process


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


def pid(_: int) -> int:
    return os.getpid()


def meet(folder: Path) -> int:
    """Ends when another process has come, too."""
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + SECONDS
    while len(list(folder.iterdir())) < 2:
        assert time.monotonic() < deadline, "nobody came"
        time.sleep(0.005)
    return os.getpid()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """A Ray cluster of two nodes, each with one processor."""
    pytest.importorskip("ray")
    with ray_cluster(2) as started:
        yield started


@pytest.fixture(params=[*EXECUTORS, RayCluster()], ids=str)
def executor(request: pytest.FixtureRequest) -> Executor:
    if isinstance(request.param, RayCluster):
        request.getfixturevalue("nodes")
    chosen: Executor = request.param
    return chosen


def test_one_outcome_per_task(executor: Executor) -> None:
    outcomes = list(executor.run(square, list(range(7))))
    assert sorted((o.task, o.result) for o in outcomes) == [(i, i * i) for i in range(7)]
    assert list(executor.run(square, [])) == []


def test_failures_are_reported_with_their_text_and_the_rest_goes_on(executor: Executor) -> None:
    outcomes = {o.task: o for o in executor.run(odd_fails, [0, 1, 2, 3])}
    assert outcomes[0].result == 0
    assert outcomes[2].result == 2
    assert isinstance(outcomes[1].error, InputError)
    assert str(outcomes[3].error) == "task 3\n  found: odd\n  what to do: give an even one"
    with pytest.raises(InputError, match="task 1"):
        list(executor.map(odd_fails, [1]))


def test_what_ran_out_of_memory_is_tried_again_or_told(executor: Executor, tmp_path: Path) -> None:
    (outcome,) = executor.run(lacks_memory, [tmp_path])
    if not isinstance(executor, InProcess):
        assert outcome.result == "done"
        executor = replace(executor, retries=0)  # type: ignore[type-var]
        (tmp_path / "lacked").unlink()
        (outcome,) = executor.run(lacks_memory, [tmp_path])
    assert isinstance(outcome.error, WorkerDiedError)
    assert "enough memory" in str(outcome.error)


@pytest.mark.parametrize("several", [LocalProcesses(2), RayCluster()], ids=str)
def test_dead_worker_is_replaced(several: Executor, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if isinstance(several, RayCluster):
        request.getfixturevalue("nodes")
    outcomes = list(several.run(die_once, [tmp_path]))
    assert [o.result for o in outcomes] == ["alive"]


@pytest.mark.parametrize("several", [LocalProcesses(1, retries=1), RayCluster(retries=1)], ids=str)
def test_task_that_kills_its_worker_gives_up(several: Executor, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if isinstance(several, RayCluster):
        request.getfixturevalue("nodes")
    outcomes = list(several.run(die_always, [tmp_path]))
    assert isinstance(outcomes[0].error, WorkerDiedError)
    assert (tmp_path / "tries").read_text() == "xx"


def test_several_processes_are_used(tmp_path: Path) -> None:
    pids = {o.result for o in LocalProcesses(2).run(meet, [tmp_path, tmp_path])}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert isinstance(local_executor(1), InProcess)


def test_processes_that_began_before_run_the_tasks(tmp_path: Path) -> None:
    with LocalProcesses(2).begun(partial(meet, tmp_path), 5) as (ready, said):
        pids = set(ready.map(pid, range(6)))
        assert {*pids, said()} <= {int(path.name) for path in tmp_path.iterdir()}
        assert pids.isdisjoint(ready.map(pid, [0]))  # later runs start their own
    with IN_PROCESS.begun(partial(die_always, tmp_path), 5) as (ready, _):
        assert list(ready.map(pid, [0])) == [os.getpid()]


def test_what_begins_badly_is_left_to_the_tasks(tmp_path: Path) -> None:
    for first in (partial(os._exit, 9), partial(odd_fails, 1)):
        with LocalProcesses(2).begun(first, 2) as (ready, _):
            assert sorted(ready.map(square, range(5))) == [0, 1, 4, 9, 16]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_while_processes_start_is_told_by_the_parent_alone(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import signal, time\n"
        "from pathlib import Path\n"
        "from miex.executors.local import LocalProcesses\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whoever runs the tests may ignore it
        "if __name__ == '__mp_main__':\n"
        "    Path('starting').touch()\n"
        "    time.sleep(1)\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        with LocalProcesses(2).begun(int, 2) as (_, said):\n"
        "            said()\n"
        "    except KeyboardInterrupt:\n"
        "        print('stopped')\n"
    )
    process = subprocess.Popen(
        [sys.executable, script], cwd=tmp_path, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    wait_until((tmp_path / "starting").exists)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.communicate(timeout=60)[0] == "stopped\n"


def test_what_no_process_says_is_found_here() -> None:
    for several in (IN_PROCESS, LocalProcesses(2)):
        with several.begun(partial(odd_fails, 1), 2) as (_, said), pytest.raises(InputError, match="give an even one"):
            said()
    here = os.getpid()
    with LocalProcesses(2).begun(partial(only_in, here), 2) as (ready, said), ready.begun(os.getpid, 2) as (_, again):
        assert said() == again() == here


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_freed_memory_is_kept() -> None:
    script = (
        "import resource, numpy as np\n"
        "from miex.executors.local import keep_memory\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(20):\n"
        "        held = [np.ones(2**21, np.uint8) for _ in range(10)]\n"
        "        del held\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "faults(), print(faults()), keep_memory(), faults(), print(faults())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    given_back, kept = map(int, done.stdout.split())
    assert kept < 100 < given_back


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


def stay(task: tuple[Path, int]) -> int:
    """Notes that it has begun; the last two end when told so."""
    folder, number = task
    with (folder / f"{number}").open("a") as file:
        file.write("x")
    deadline = time.monotonic() + SECONDS
    while number >= 2 and not (folder / "go").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return number


def test_an_address_where_nobody_listens_is_told_at_once() -> None:
    """In a process that has no cluster: Ray itself would try for minutes."""
    pytest.importorskip("ray")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        code = f"from miex.executors.ray import RayCluster; RayCluster({address!r}).at_once"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert f"InputError: Ray cluster {address}" in done.stderr
    assert "Connection refused" in done.stderr
    assert "ray start --head" in done.stderr


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_what_listens_and_is_no_cluster_is_told_soon(monkeypatch: pytest.MonkeyPatch, answer: bytes | None) -> None:
    """It says nothing, hangs up, or speaks otherwise: Ray itself would try for minutes."""
    monkeypatch.setattr("miex.executors.ray._ANSWERS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as other:

        def speak() -> None:
            caller, _ = other.accept()
            with caller:
                if answer is None:
                    ended.wait(SECONDS)
                else:
                    caller.sendall(answer)

        ended = Event()
        speaking = Thread(target=speak)
        speaking.start()
        with pytest.raises(OSError, match=r"timed out|no Ray cluster|reset"):
            _prove_answers(f"127.0.0.1:{other.getsockname()[1]}")
        ended.set()
        speaking.join()


def test_an_empty_address_is_none() -> None:
    with pytest.raises(UsageError, match="`ray_address`"):
        RayCluster("")


def test_a_node_that_is_lost_costs_what_it_was_working_on(nodes: Nodes, tmp_path: Path) -> None:
    notes: list[str] = []
    outcomes = RayCluster(say=notes.append).run(stay, [(tmp_path, number) for number in range(4)])
    found = [next(outcomes).result, next(outcomes).result]
    assert sorted(found) == [0, 1]  # type: ignore[type-var]
    started = Thread(target=lambda: found.extend(outcome.result for outcome in outcomes))
    started.start()
    wait_until(lambda: all((tmp_path / name).exists() for name in "23"))
    nodes.lose_one()
    wait_until(lambda: RayCluster().at_once == 1)
    (tmp_path / "go").touch()
    started.join(SECONDS)
    assert sorted(found) == [0, 1, 2, 3]  # type: ignore[type-var]
    tries = [len((tmp_path / str(number)).read_text()) for number in range(4)]
    assert tries[:2] == [1, 1]
    assert sorted(tries[2:]) == [1, 2]
    lost = (tmp_path, tries.index(2))
    assert notes == [f"{lost}: its node went away; it is tried again, 2 tries left"]


def test_a_node_that_joins_takes_part(nodes: Nodes, tmp_path: Path) -> None:
    """Two tasks that wait for each other, of which the first has the only processor."""
    pids: list[int | None] = []
    run = RayCluster().run(meet, [tmp_path, tmp_path])
    waits = Thread(target=lambda: pids.extend(outcome.result for outcome in run))
    waits.start()
    wait_until(lambda: any(tmp_path.iterdir()))
    nodes.add_one()
    waits.join(SECONDS)
    assert len(set(pids)) == 2


def test_a_run_that_waits_for_a_processor_says_so_once(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others have all processors until the note has come, and for a while longer."""
    import ray

    monkeypatch.setattr("miex.executors.ray._PATIENCE", 0.5)
    monkeypatch.setattr("miex.executors.ray._LOOK", 0.1)
    notes = Queue[str]()
    run = RayCluster(say=notes.put)
    n = run.at_once
    others = [ray.remote(num_cpus=1)(stay).remote((tmp_path, 2 + i)) for i in range(n)]
    wait_until(lambda: len(list(tmp_path.iterdir())) == n and "CPU" not in ray.available_resources())
    found: list[int | None] = []
    waits = Thread(target=lambda: found.extend(outcome.result for outcome in run.run(square, [3])))
    waits.start()
    assert notes.get(timeout=SECONDS) == f"waiting for a free processor of the Ray cluster, which has {n}"
    time.sleep(0.8)  # longer than it is patient
    (tmp_path / "go").touch()
    waits.join(SECONDS)
    assert found == [9]
    assert notes.empty()
    ray.get(others)


class Slow:
    """A task that takes long to reach a worker, as its first task does where miex is loaded over a network."""

    def __reduce__(self) -> tuple[object, ...]:
        return slowly, (4,)


def slowly(number: int) -> int:
    time.sleep(1.5)
    return number


def test_workers_that_start_slowly_are_no_others(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processors are free, and so nobody is told that others have them."""
    import ray

    monkeypatch.setattr("miex.executors.ray._PATIENCE", 0.5)
    monkeypatch.setattr("miex.executors.ray._LOOK", 0.1)
    notes: list[str] = []
    run = RayCluster(say=notes.append)
    n = run.at_once
    wait_until(lambda: ray.available_resources().get("CPU") == n)
    assert [outcome.result for outcome in run.run(square, [Slow()])] == [16]  # type: ignore[list-item]
    assert notes == [f"waiting for workers to start: {n} of the Ray cluster's {n} processors were free"]


def test_an_early_end_lets_running_tasks_end_and_starts_no_more(nodes: Nodes, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    outcomes = RayCluster().run(stay, [(tmp_path, number) for number in range(40)])
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    begun = {path.name for path in tmp_path.iterdir()}
    assert len(begun) < 10
    time.sleep(0.3)
    assert {path.name for path in tmp_path.iterdir()} == begun


def test_a_set_made_on_a_cluster_is_the_same_to_the_byte(nodes: Nodes, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    out.mkdir()
    for name in ("plan.json", "plan.parquet", "faces.parquet"):
        shutil.copy(finished / name, out)
    seen: list[int] = []

    def watched(done: int, total: int, note: str) -> None:
        seen.append(done)
        if done == 8:
            nodes.lose_one()

    summary = run_plan(out, executor=RayCluster(), progress=watched)
    assert (summary.made, summary.failed, seen) == (36, 0, [0, *range(0, 37, 4)])
    for path in [*(finished / "shards").iterdir(), finished / "samples.parquet"]:
        assert (out / path.relative_to(finished)).read_bytes() == path.read_bytes()
    (out / "shards" / "00001.json").unlink()
    (out / "shards" / "00002.json").unlink()
    (out / "plan.json").rename(out / "plan")
    with pytest.raises(InputError, match=r"shard 1 of .*, on "):  # as a node that does not see the disk
        list(RayCluster().map(make_shard, [ShardTask(Folder(out), 1, "", Path())]))


def test_without_ray_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="not installed") as caught:
        list(RayCluster().run(square, [1]))
    assert caught.value.do == 'pip install "miex[ray]"'
