"""Executors for this machine: this process, or several processes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from multiprocessing import connection, get_context, parent_process
from multiprocessing.synchronize import Event
from typing import Any, cast

from miex.executors.base import IN_PROCESS, Executor, Outcome, Result, Task, WorkerDiedError, out_of_memory

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt, as malloc.h has them


@dataclass(frozen=True)
class LocalProcesses(Executor):
    """Several spawned processes of this machine: the same on every system, and no state inherited by chance."""

    workers: int
    retries: int = 2
    _begun: list[_Pool] = field(default_factory=list, repr=False, compare=False)  # for the next run

    @property
    def at_once(self) -> int:
        return min(self.workers, available_workers())

    @contextmanager
    def begun(self, first: Callable[[], Result], most: int) -> Iterator[tuple[Executor, Callable[[], Result]]]:
        if self._begun:
            yield self, partial(self._begun[0].said, first)
            return
        pool = _Pool(min(self.workers, most))
        try:
            pool.begin(first)
            yield replace(self, _begun=[pool]), partial(pool.said, first)
        finally:
            pool.processes.shutdown(wait=True, cancel_futures=True)

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Outcome[Task, Result]]:
        waiting = deque((task, 0) for task in tasks)
        began = False  # whether a worker was ever ready for its first task
        while waiting:
            pool = self._begun.pop() if self._begun else _Pool(min(self.workers, len(waiting)))
            running: dict[Future[Result], tuple[Task, int]] = {}
            try:
                while waiting or running:
                    # no more in flight than workers: a worker that dies takes only those along
                    while waiting and len(running) < self.workers:
                        task, tried = waiting.popleft()
                        try:
                            running[pool.submit(function, task)] = task, tried
                        except BrokenProcessPool:
                            waiting.appendleft((task, tried))
                            break
                    if not running:
                        break
                    broken = False
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        task, tried = running.pop(future)
                        error = future.exception()
                        if isinstance(error, MemoryError):  # there may be more when others have ended
                            if tried < self.retries:
                                waiting.append((task, tried + 1))
                            else:
                                yield Outcome(task, error=out_of_memory(task, error))
                        elif not isinstance(error, BrokenProcessPool):
                            yield Outcome(task, None if error else future.result(), error)
                        elif not (began := began or pool.began.is_set()):
                            raise self._never_began()
                        elif tried < self.retries:
                            broken = True
                            waiting.append((task, tried + 1))
                        else:
                            broken = True
                            yield Outcome(task, error=self._died(task, tried))
                    if broken and not running:
                        break  # a pool that broke stays broken: go on with a new one
            finally:
                pool.processes.shutdown(wait=True, cancel_futures=True)

    @staticmethod
    def _never_began() -> WorkerDiedError:
        return WorkerDiedError(
            "worker processes",
            expected="to start",
            found="every one ended before its first task",
            do='in a script, move its work into a function and call it below `if __name__ == "__main__":`, since each '
            "worker imports the script; otherwise see the workers' own messages above",
        )

    def _died(self, task: object, tried: int) -> WorkerDiedError:
        return WorkerDiedError(
            f"{task}",
            expected="a result",
            found=f"its worker process died {tried + 1} times",
            do="use fewer `workers` if memory ran out, and run the same command again to resume",
        )


class _Pool:
    """Processes, and whether one of them was ready for its first task.

    Attributes:
        firsts: what they began with.
    """

    def __init__(self, size: int) -> None:
        spawn = get_context("spawn")
        self.size, self.began = size, spawn.Event()
        self.processes = ProcessPoolExecutor(size, mp_context=spawn, initializer=_start_worker, initargs=(self.began,))
        self.firsts: list[Future[Any]] = []

    def submit(self, function: Callable[..., Result], *given: Any) -> Future[Result]:
        with _beyond_reach_of_ctrl_c():  # processes that it starts inherit that, until they can ignore it themselves
            return self.processes.submit(function, *given)

    def begin(self, first: Callable[[], object]) -> None:
        self.firsts = [self.submit(first) for _ in range(self.size)]

    def said(self, first: Callable[[], Result]) -> Result:
        for future in as_completed(self.firsts):
            if not future.cancelled() and future.exception() is None:
                return cast(Result, future.result())
        return first()


def local_executor(workers: int) -> Executor:
    """The executor for that many workers: this process for one, several processes for more."""
    return LocalProcesses(workers) if workers > 1 else IN_PROCESS


def available_workers() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _beyond_reach_of_ctrl_c() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(begun: Event) -> None:
    begun.set()
    # Ctrl-C reaches the whole group: the parent alone decides what happens
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent: Any = parent_process()
    threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _follow(sentinel: int) -> None:
    # a worker whose parent was killed would wait for tasks for ever
    connection.wait([sentinel])
    os._exit(1)


@contextmanager
def one_thread() -> Iterator[None]:
    """OpenCV without threads of its own: pictures are small, and the processes share the cores."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


@cache
def keep_memory() -> None:
    """Let glibc keep 64 MB of what this process frees. By default it gives memory back and takes it again, page by
    page, with every face."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_TRIM_THRESHOLD, 2**26)
        libc.mallopt(_MMAP_THRESHOLD, 2**25)
