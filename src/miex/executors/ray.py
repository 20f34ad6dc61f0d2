"""An executor for many machines: tasks of a Ray cluster (Ray Core, https://docs.ray.io/en/latest/ray-core/tasks.html)."""

from __future__ import annotations

import logging
import math
import os
import socket
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from miex.errors import InputError, UsageError
from miex.executors.base import Executor, Outcome, Result, Task, WorkerDiedError, out_of_memory

_AHEAD = 1.1  # tasks in flight per processor: those that wait keep fast nodes busy, and ask an autoscaler for more
_ANSWERS = 10.0  # seconds in which a cluster must answer
# the beginning of every connection of HTTP/2, and so of gRPC, which is answered by a frame of settings (RFC 9113, 3.4)
_SETTINGS = b"\4"
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + _SETTINGS + b"\0\0\0\0\0"
_LOOK = 2.0  # seconds between two looks at how many processors the cluster has
_PATIENCE = 15.0  # seconds in which a task begins where a processor is free: a worker must start, and import miex


def _unsaid(text: str) -> None:
    """Drop the note."""


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
        say: called with a note when a task is tried again, and when none begins, since no processor is free or workers
            start slowly; `print` will do.

    Raises:
        UsageError: the address is empty.
        InputError: the package ray is not installed, or no cluster answers at that address.
    """

    address: str | None = None
    workers: int | None = None
    retries: int = 2
    say: Callable[[str], None] = field(default=_unsaid, repr=False, compare=False)
    elsewhere: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.address is not None and not self.address.strip():
            raise UsageError("`ray_address`", expected="HOST:PORT, or auto", found="an empty text")

    @property
    def at_once(self) -> int:
        processors = _processors(_connected(self.address))
        return max(1, processors if self.workers is None else min(self.workers, processors))

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Outcome[Task, Result]]:
        waiting = deque((task, 0) for task in tasks)
        if not waiting:
            return
        ray = _connected(self.address)
        with _without_warnings():
            # its own retries are without limit where memory ran out
            call = ray.remote(num_cpus=1, max_retries=0, num_returns="streaming")(_tried)
        running: dict[Any, tuple[Task, int]] = {}
        begun: set[Any] = set()
        patient_until, free = time.monotonic() + _PATIENCE, 0
        try:
            while waiting or running:
                # few in flight, whatever the number of tasks: the rest costs the cluster nothing, and is not lost
                most = min(math.ceil(self.at_once * _AHEAD), self.workers or len(tasks))
                free = 0 if begun else max(free, _free(ray))  # before tasks take them: theirs are not free either
                while waiting and len(running) < most:
                    task, tried = waiting.popleft()
                    running[call.remote(function, task)] = task, tried
                for said in ray.wait(list(running), timeout=_LOOK)[0]:
                    task, tried = running[said]
                    try:
                        answer = ray.get(next(said))
                    except ray.exceptions.RayTaskError as broken:  # what the task itself raises does not come this way
                        del running[said]
                        begun.discard(said)
                        yield Outcome(task, error=_not_run(task, broken))
                        continue
                    except ray.exceptions.RayError as lost:  # worker or node
                        answer = None, _died(task, tried, lost)
                    if answer is None:
                        begun.add(said)
                        continue
                    del running[said]
                    begun.discard(said)
                    result, error = answer
                    if isinstance(error, WorkerDiedError | MemoryError) and tried < self.retries:
                        self.say(_again(task, error, self.retries - tried))
                        waiting.append((task, tried + 1))
                    elif isinstance(error, MemoryError):
                        yield Outcome(task, error=out_of_memory(task, error))
                    else:
                        yield Outcome(task, result, error)
                if begun or not running:
                    patient_until = time.monotonic() + _PATIENCE
                elif time.monotonic() > patient_until:
                    patient_until = math.inf  # told once, until a task has begun
                    self.say(_nothing_begins(_processors(ray), free))
        finally:
            if running and ray.is_initialized():  # somebody may have ended the connection
                ends = [said.completed() for said in running]
                ray.wait(ends, num_returns=len(ends))


def _tried(function: Callable[[Task], Result], task: Task) -> Iterator[tuple[Result | None, Exception | None] | None]:
    yield None  # it has begun
    try:
        yield function(task), None
    except Exception as error:  # as it is: Ray would wrap it into one of its own
        yield None, error


def _died(task: object, tried: int, lost: Exception) -> WorkerDiedError:
    error = WorkerDiedError(
        f"{task}",
        expected="a result",
        found=f"its worker on the Ray cluster was lost {tried + 1} times: {_first_line(lost)}",
        do="give workers more memory (fewer with ray start --num-cpus), and run the same command again to resume",
    )
    error.__cause__ = lost
    return error


def _again(task: object, error: WorkerDiedError | MemoryError, left: int) -> str:
    from ray.exceptions import NodeDiedError

    if isinstance(error, MemoryError):
        why = "its worker ran out of memory"
    else:
        why = "its node went away" if isinstance(error.__cause__, NodeDiedError) else "its worker died"
    return f"{task}: {why}; it is tried again, {left} {'try' if left == 1 else 'tries'} left"


def _nothing_begins(processors: int, free: int) -> str:
    if free:
        return f"waiting for workers to start: {free} of the Ray cluster's {processors} processors were free"
    return f"waiting for a free processor of the Ray cluster, which has {processors}"


def _not_run(task: object, broken: Exception) -> WorkerDiedError:
    return WorkerDiedError(
        f"{task}",
        expected="a worker on the Ray cluster that can run it",
        found=str(broken).strip().splitlines()[-1],
        do="install the same versions of Python, ray and miex on every node",
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _processors(ray: Any) -> int:
    return int(ray.cluster_resources().get("CPU", 0))


def _free(ray: Any) -> int:
    """Processors that nobody has, as the cluster knew it a moment ago."""
    return int(ray.available_resources().get("CPU", 0))


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
            except (ValueError, RuntimeError, OSError, OverflowError) as error:
                raise InputError(
                    f"Ray cluster {address or os.environ.get('RAY_ADDRESS', 'of this machine')}",
                    expected="one that answers",
                    found=_first_line(error),
                    do="start one with ray start --head, and give its address: `ray_address` HOST:PORT; clusters with "
                    "tokens want RAY_AUTH_TOKEN, others RAY_AUTH_MODE=disabled",
                ) from error
    return ray


def _prove_answers(address: str) -> None:
    """Raise OSError where nobody listens, or what listens does not speak as Ray does, which is gRPC: Ray itself would
    try for minutes, and say so among results."""
    host, sign, port = address.rpartition(":")
    if not (sign and port.isdigit() and "/" not in host):
        return
    with socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS) as there:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("0", "false", ""):
            there.sendall(_HELLO)
            if there.recv(9, socket.MSG_WAITALL)[3:4] != _SETTINGS:
                raise ConnectionError("what listens there is no Ray cluster")


def _without_warnings() -> warnings.catch_warnings[Any]:
    """A block in which nothing of what Ray warns its developers of is shown."""
    return warnings.catch_warnings(action="ignore")
