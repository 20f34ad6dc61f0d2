"""What every benchmark prints of the machine, and how it times."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np


def machine() -> str:
    """Processor, cores and load, for the line under a table."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        if info.exists()
        else []
    )
    load = f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, load {load}, OpenCV {cv2.__version__}"
    )


def milliseconds(function: Callable[[], object], *, rounds: int = 7, seconds: float = 0.15) -> float:
    """Median over rounds of the mean time of a call; a noisy neighbor spoils a round, not the median."""
    function()
    start = time.perf_counter()
    function()
    calls = max(1, int(seconds / rounds / max(1e-7, time.perf_counter() - start)))
    means = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            function()
        means.append((time.perf_counter() - start) / calls * 1e3)
    return median(means)


def bound(frame: np.ndarray) -> float:
    """The bound per frame, ms: one bilinear remap and one PNG with default settings, of a uint8 RGB frame."""
    size = frame.shape[0]
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) + np.float32(0.3)
    return milliseconds(lambda: cv2.imencode(".png", cv2.remap(frame, x, y, cv2.INTER_LINEAR)))
