"""What every benchmark says of the machine, and how it times: by the processor's time, since machines are shared."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path
from statistics import median

import cv2
import numpy as np

WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def machine() -> str:
    """Processor, cores and load."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        if info.exists()
        else []
    )
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, load {load()}, "
        f"OpenCV {cv2.__version__}"
    )


def load() -> str:
    """Mean number of processes that ran or waited to run, in the last minute."""
    return f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"


def milliseconds(function: Callable[[], object], *, rounds: int = 7, seconds: float = 0.15) -> float:
    """Median over rounds of the mean time of a call on this thread; a noisy neighbor spoils a round, not the median."""
    function()
    start = time.thread_time()
    function()
    calls = max(1, int(seconds / rounds / max(1e-7, time.thread_time() - start)))
    means = []
    for _ in range(rounds):
        start = time.thread_time()
        for _ in range(calls):
            function()
        means.append((time.thread_time() - start) / calls * 1e3)
    return median(means)


def processor_seconds(of: tuple[int, ...] = WHO) -> float:
    """Of this process so far, and of its workers that have ended."""
    return sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in of)


def bound(frame: np.ndarray) -> float:
    """The bound per frame, ms: one bilinear remap and one PNG with default settings, of a uint8 RGB frame."""
    size = frame.shape[0]
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) + np.float32(0.3)
    return milliseconds(lambda: cv2.imencode(".png", cv2.remap(frame, x, y, cv2.INTER_LINEAR)))


def bound_beside(frame: np.ndarray, others: int) -> float:
    """The bound while so many other processes do the same, each on one thread: they share caches, memory and clock."""
    spawn = get_context("spawn")
    ready, done = spawn.Semaphore(0), spawn.Event()
    processes = [spawn.Process(target=_until, args=(frame, ready, done)) for _ in range(others)]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    found = bound(frame)
    done.set()
    for process in processes:
        process.join()
    return found


def _until(frame: np.ndarray, ready: Semaphore, done: Event) -> None:
    cv2.setNumThreads(1)
    bound(frame)
    ready.release()
    while not done.is_set():
        bound(frame)
