"""Lossless encoders of a frame: time to write, time to read, bytes.

    python -m benchmarks.encoders [--faces DIR] [--out FILE]

Frames of default pairs at 128 px. PNG by OpenCV with each of its settings, and by filter and deflate: the libraries
`deflate` (libdeflate) and `zlib-ng` are compared where they are installed; miex needs neither.
"""

from __future__ import annotations

import importlib
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

import cv2
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

import miex
from benchmarks.machine import bound
from benchmarks.page import page, parser
from miex.dataset.frames import encode_frame
from miex.images import Image

FRAMES = 200
ROUNDS = 7
Filter = Callable[[Image], Image]


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser("encoders", __doc__)
    options.add_argument("--faces", type=Path, help="Folder of photos. Default: the embedded face.")
    given = options.parse_args(arguments)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        made = miex.synthesize(Path(folder, "set"), faces=given.faces, ids=FRAMES // 2, classes=["positive"])
        frames = [frame for i in range(len(made)) for frame in made.pair(i)]
    with page("Lossless encoders of a frame", options, given):
        encoders = dict(_encoders())
        encoded = {name: [np.frombuffer(e(frame), np.uint8) for frame in frames] for name, e in encoders.items()}
        for name, one in encoded.items():
            assert np.array_equal(cv2.imdecode(one[-1], cv2.IMREAD_COLOR_RGB), frames[-1]), name
        units: list[float] = []
        write: dict[str, list[float]] = {name: [] for name in encoders}
        read: dict[str, list[float]] = {name: [] for name in encoders}
        for _ in range(ROUNDS):  # all of them in turns: a machine that slows down slows none of them alone
            units.append(bound(frames[1]))
            for name, encode in encoders.items():
                write[name].append(_spent(encode, frames))
                read[name].append(_spent(_decode, encoded[name]))
        print(
            f"{len(frames)} frames of 128 px, one thread; medians of {ROUNDS} rounds in turns; the bound of a frame is "
            f"{median(units):.2f} ms.\n"
        )
        print("| encoder | write, ms | × bound | read, ms | bytes |\n|---|---|---|---|---|")
        for name, one in encoded.items():
            bounds = median(w / unit for w, unit in zip(write[name], units, strict=True))
            print(
                f"| {name} | {median(write[name]):.3f} | {bounds:.2f} | {median(read[name]):.3f} | "
                f"{mean(map(len, one)):,.0f} |"
            )


def _spent(function: Callable[[Any], object], on: Sequence[Any]) -> float:
    """Mean time of a call, ms of this thread."""
    start = time.thread_time()
    for one in on:
        function(one)
    return (time.thread_time() - start) / len(on) * 1e3


def _decode(encoded: NDArray[np.uint8]) -> object:
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)


def _encoders() -> Iterator[tuple[str, Callable[[Image], bytes]]]:
    yield "**miex** (ISA-L 1, up, with its mark of 1 kB)", lambda frame: encode_frame(frame, "png")
    settings = {
        "defaults": [], "level 0": [cv2.IMWRITE_PNG_COMPRESSION, 0], "level 1": [cv2.IMWRITE_PNG_COMPRESSION, 1],
        "level 3": [cv2.IMWRITE_PNG_COMPRESSION, 3], "level 9": [cv2.IMWRITE_PNG_COMPRESSION, 9],
        "Huffman only": [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY],
        "filtered": [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED],
    }  # fmt: skip
    for name, options in settings.items():
        yield f"OpenCV, {name}", lambda frame, o=options: _opencv(frame, ".png", o)  # type: ignore[misc]
    yield "OpenCV, lossless WebP", lambda frame: _opencv(frame, ".webp", [cv2.IMWRITE_WEBP_QUALITY, 101])
    for name, compress in _deflates():
        for number, filtered in enumerate((_sub, _up, _average, _paeth), 1):
            yield (
                f"{name}, {filtered.__name__[1:]}",
                lambda frame, c=compress, f=filtered, n=number: _png(frame, f, n, c),  # type: ignore[misc]
            )


def _deflates() -> Iterator[tuple[str, Callable[[bytes], bytes]]]:
    yield "zlib 1", lambda data: zlib.compress(data, 1)
    for level in (0, 1, 2):
        yield f"ISA-L {level}", lambda data, n=level: isal_zlib.compress(data, n)  # type: ignore[misc]
    for name, module, function in (
        ("libdeflate", "deflate", "zlib_compress"),
        ("zlib-ng", "zlib_ng.zlib_ng", "compress"),
    ):
        try:
            found = getattr(importlib.import_module(module), function)
        except ImportError:
            continue
        for level in (1, 3):
            yield f"{name} {level}", lambda data, f=found, n=level: f(data, n)  # type: ignore[misc]


def _opencv(frame: Image, suffix: str, options: list[int]) -> bytes:
    return cv2.imencode(suffix, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def _png(frame: Image, filtered: Filter, number: int, compress: Callable[[bytes], bytes]) -> bytes:
    height, width = frame.shape[:2]
    rows = np.empty((height, 1 + 3 * width), np.uint8)
    rows[:, 0], rows[:, 1:] = number, filtered(frame)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", compress(rows.tobytes())), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _around(frame: Image) -> tuple[Image, Image, Image]:
    """What is left of, above, and above left of each byte, uint8 [h, 3 w]."""
    height, width = frame.shape[:2]
    padded = np.zeros((height + 1, 3 * width + 3), np.uint8)
    padded[1:, 3:] = frame.reshape(height, -1)
    return padded[1:, :-3], padded[:-1, 3:], padded[:-1, :-3]


def _sub(frame: Image) -> Image:
    return frame.reshape(len(frame), -1) - _around(frame)[0]


def _up(frame: Image) -> Image:
    return frame.reshape(len(frame), -1) - _around(frame)[1]


def _average(frame: Image) -> Image:
    left, above, _ = _around(frame)
    return frame.reshape(len(frame), -1) - ((left & above) + ((left ^ above) >> 1))


def _paeth(frame: Image) -> Image:
    left, above, corner = (one.astype(np.int16) for one in _around(frame))
    a, b, c = np.abs(above - corner), np.abs(left - corner), np.abs(left + above - 2 * corner)
    nearest = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
    return frame.reshape(len(frame), -1) - nearest.astype(np.uint8)


if __name__ == "__main__":
    main()
