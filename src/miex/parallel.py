"""What code that may run in several processes shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

# Maps a function over tasks in any order, perhaps in other processes: what Executor.map does, for rooms before it.
Run = Callable[[Callable[[Any], Any], list[Any]], Iterable[Any]]


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
