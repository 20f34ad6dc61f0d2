"""An executor for many machines: tasks of a Ray cluster (Ray Core, https://docs.ray.io/en/latest/ray-core/tasks.html)."""

from __future__ import annotations

import logging
import math
import os
import socket
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from miex.errors import InputError
from miex.executors.base import Executor, Outcome, Result, Task, WorkerDiedError, out_of_memory

_AHEAD = 1.1  # tasks in flight per processor: those that wait keep fast nodes busy, and ask an autoscaler for more
_ANSWERS = 10.0  # seconds in which a cluster must answer
_LOOK = 2.0  # seconds between two looks at how many processors the cluster has


@dataclass(frozen=True)
class RayCluster(Executor):
    """The processors of a Ray cluster, which may be many machines; each task takes one.

    Nodes may join, leave and die at any time. A lost node costs at most the tasks that it was working on: they are
    tried again elsewhere. Every node needs the same versions of Python, Ray and miex, and sees files under the same
    paths as the machine from which the work is sent.

    Attributes:
        address: of the cluster, such as "10.0.0.1:6379" or "auto". None: that of RAY_ADDRESS; or of a cluster that
            this machine belongs to; or one is started on this machine, and stopped when the process ends.
        workers: most tasks at once. None: one per processor of the cluster.
        retries: how often a task is tried again whose worker or node died.

    Raises:
        InputError: the package ray is not installed, or no cluster answers at that address.
    """

    address: str | None = None
    workers: int | None = None
    retries: int = 2
    elsewhere: ClassVar[bool] = True

    @property
    def at_once(self) -> int:
        processors = int(_connected(self.address).cluster_resources().get("CPU", 0))
        return max(1, processors if self.workers is None else min(self.workers, processors))

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Outcome[Task, Result]]:
        waiting = deque((task, 0) for task in tasks)
        if not waiting:
            return
        ray = _connected(self.address)
        with _without_warnings():
            # its own retries are without limit where memory ran out
            call = ray.remote(num_cpus=1, max_retries=0)(_tried)
        running: dict[Any, tuple[Task, int]] = {}
        try:
            while waiting or running:
                # few in flight, whatever the number of tasks: the rest costs the cluster nothing, and is not lost
                most = min(math.ceil(self.at_once * _AHEAD), self.workers or len(tasks))
                while waiting and len(running) < most:
                    task, tried = waiting.popleft()
                    running[call.remote(function, task)] = task, tried
                for done in ray.wait(list(running), timeout=_LOOK)[0]:
                    task, tried = running.pop(done)
                    try:
                        result, error = ray.get(done)
                    except ray.exceptions.RayTaskError as broken:  # what the task itself raises does not come this way
                        yield Outcome(task, error=_not_run(task, broken))
                        continue
                    except ray.exceptions.RayError as lost:  # worker or node
                        result, error = None, _died(task, tried, lost)
                    if isinstance(error, WorkerDiedError | MemoryError) and tried < self.retries:
                        waiting.append((task, tried + 1))
                    elif isinstance(error, MemoryError):
                        yield Outcome(task, error=out_of_memory(task, error))
                    else:
                        yield Outcome(task, result, error)
        finally:
            if running and ray.is_initialized():  # somebody may have ended the connection
                ray.wait(list(running), num_returns=len(running))


def _tried(function: Callable[[Task], Result], task: Task) -> tuple[Result | None, Exception | None]:
    try:
        return function(task), None
    except Exception as error:  # as it is: Ray would wrap it into one of its own
        return None, error


def _died(task: object, tried: int, lost: Exception) -> WorkerDiedError:
    return WorkerDiedError(
        f"{task}",
        expected="a result",
        found=f"its worker on the Ray cluster was lost {tried + 1} times: {_first_line(lost)}",
        do="give workers more memory (fewer with ray start --num-cpus), and run the same command again to resume",
    )


def _not_run(task: object, broken: Exception) -> WorkerDiedError:
    return WorkerDiedError(
        f"{task}",
        expected="a worker on the Ray cluster that can run it",
        found=str(broken).strip().splitlines()[-1],
        do="install the same versions of Python, ray and miex on every node",
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _connected(address: str | None) -> Any:
    """The package ray, connected to a cluster until the process ends."""
    # what goes wrong comes back with the tasks: Ray's own messages would be printed among results
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing of this machine is reported to anybody
    with _without_warnings():
        try:
            import ray
        except ModuleNotFoundError as error:
            raise InputError(
                "executor ray", expected="the package ray", found="not installed", do='pip install "miex[ray]"'
            ) from error
        if not ray.is_initialized():
            try:
                _prove_answers(address or os.environ.get("RAY_ADDRESS", ""))
                ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError, RuntimeError, OSError) as error:
                raise InputError(
                    f"Ray cluster {address or os.environ.get('RAY_ADDRESS', 'of this machine')}",
                    expected="one that answers",
                    found=_first_line(error),
                    do="start one with ray start --head, and give its address: `ray_address` HOST:PORT; clusters with "
                    "tokens want RAY_AUTH_TOKEN, others RAY_AUTH_MODE=disabled",
                ) from error
    return ray


def _prove_answers(address: str) -> None:
    """Raise OSError where nobody listens: Ray itself would try for minutes, and say so among results."""
    host, sign, port = address.rpartition(":")
    if sign and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS).close()


def _without_warnings() -> warnings.catch_warnings[Any]:
    """A block in which nothing of what Ray warns its developers of is shown."""
    return warnings.catch_warnings(action="ignore")
