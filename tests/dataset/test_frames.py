"""PNG frames: what any decoder reads of them, and the same bytes wherever in memory they are made."""

from __future__ import annotations

import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from miex.dataset.frames import _SHORTEST_MATCH, _UP, _deflated, encode_frame

THREADS, FRAMES = 100, 200


@pytest.mark.parametrize("shape", [(128, 128, 3), (512, 512, 3), (32, 32)])
def test_flat_pictures_are_read_back(shape: tuple[int, ...]) -> None:
    for level in (0, _UP, 255):
        frame = np.full(shape, level, np.uint8)
        seen = cv2.imdecode(np.frombuffer(encode_frame(frame, "png"), np.uint8), cv2.IMREAD_UNCHANGED)
        assert (seen == level).all()
        assert seen.shape == shape


@pytest.mark.parametrize("befores", [0, 255, 256])
def test_what_is_deflated_refers_to_nothing_before_it(befores: int) -> None:
    """Though all bytes there are stand somewhere in the data, and so many of them before what the data begin with."""
    start = bytes([_UP, 7, 200])
    data = start + b"".join(bytes([byte]) + start for byte in range(befores)) + bytes(range(256)) * 3
    assert len(start) == _SHORTEST_MATCH - 1
    assert zlib.decompress(_deflated(bytearray(data))) == data


def test_bytes_do_not_depend_on_where_in_memory_they_are_made() -> None:
    """ISA-L alone takes one in some 2,000 of these for another: each thread has a stack of its own."""
    frames = np.random.default_rng(0).integers(0, 32, (FRAMES, 32, 32), np.uint8)
    for frame in frames:
        frame[20, 9:20] = frame[19, 9:20] + frame[0, 1:12]  # the differences of a row repeat the first row
    expected, together = [encode_frame(frame, "png") for frame in frames], threading.Barrier(THREADS)

    def encoded(_: int) -> list[bytes]:
        together.wait()  # so that all stacks are there at once
        return [encode_frame(frame, "png") for frame in frames]

    with ThreadPoolExecutor(THREADS) as threads:
        assert all(found == expected for found in threads.map(encoded, range(THREADS)))
