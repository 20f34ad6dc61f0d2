"""Frames of a clip: the image files in its folder, and their numbers. No image is opened."""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from miex.errors import InputError

_NUMBER = re.compile(r"(\d+)\.\w+$", re.ASCII)  # the last digits: what stands before them belongs to the clip
IMAGE = re.compile(r".+\.(?:jpe?g|png|webp|bmp|tiff?)", re.IGNORECASE)  # what miex.images reads as frames
_PACKED = (".zip", ".rar", ".7z", ".tar", ".gz")


def number_of(name: str) -> int | None:
    """The number of a frame's file: the last digits of its name; None if it does not end with any."""
    match = _NUMBER.search(name)
    return int(match[1]) if match else None


@dataclass(frozen=True)
class Folder:
    """A folder with images.

    Attributes:
        path: the folder.
        below: its path below the corpus' folder, / between parts; empty for that folder itself.
        images: names of its image files, in no order.

    A file of 0 bytes, which an interrupted copy leaves behind, is as good as none: it is no frame.
    """

    path: Path
    below: str
    images: tuple[str, ...] = field(repr=False)

    @cached_property
    def numbered(self) -> list[tuple[int, str]]:
        """(number, name) of every frame in the order of numbers; files without a number are not frames.

        A number that stands twice (`img46.jpg` beside `reg_img46.jpg`) keeps the first name of the alphabet.
        """
        frames: dict[int, str] = {}
        for name in sorted(self.images):
            number = number_of(name)
            if number is not None and name not in self.empty:
                frames.setdefault(number, name)
        return sorted(frames.items())

    @cached_property
    def empty(self) -> frozenset[str]:
        """Names of the image files of 0 bytes, and of links that lead nowhere."""
        return frozenset(name for name in self.images if not _size(self.path / name))

    @cached_property
    def numbers(self) -> list[int]:
        """The frames' numbers, growing."""
        return [number for number, _ in self.numbered]

    @cached_property
    def frames(self) -> tuple[Path, ...]:
        """The frames' files in the order of their numbers, which is not that of the alphabet."""
        return tuple(self.path / name for _, name in self.numbered)

    def at(self, number: int, *, first: int | None = None, last: int | None = None) -> int | None:
        """Index of the frame with that number, or of the nearest that exists between first and last (the earlier of
        two); None if there is none between them."""
        low = 0 if first is None else bisect_left(self.numbers, first)
        high = len(self.numbers) if last is None else bisect_left(self.numbers, last + 1)
        return min(range(low, high), key=lambda i: abs(self.numbers[i] - number), default=None) if low < high else None


def image_folders(root: Path) -> Iterator[Folder]:
    """Every folder with images below a corpus' folder, in the order of their paths; hidden ones are left out.

    Raises:
        InputError: no such folder, or one that cannot be read.
    """
    if not root.is_dir():
        raise InputError(
            f"corpus folder {root}",
            expected="the folder that the corpus' owners sent, unpacked",
            found="a file" if root.exists() else "no such folder",
            do="check the path",
        )
    seen: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(root, onerror=_refuse, followlinks=True):
        status = Path(parent).stat()
        again = (status.st_dev, status.st_ino) in seen  # a link that leads back
        seen.add((status.st_dev, status.st_ino))
        folders[:] = [] if again else sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        images = tuple(name for name in files if not name.startswith(".") and IMAGE.fullmatch(name))
        if images and not again:
            below = Path(parent).relative_to(root).as_posix()
            yield Folder(Path(parent), "" if below == "." else below, images)


def _refuse(error: OSError) -> None:
    raise InputError(
        f"folder {error.filename}", found=error.strerror or str(error), do="make it readable, or move it elsewhere"
    ) from error


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def packed_files(root: Path) -> list[Path]:
    """Archives that still wait to be unpacked, at most three folders deep."""
    return [path for path in files_below(root) if path.suffix.lower() in _PACKED]


def files_below(root: Path, depth: int = 4) -> list[Path]:
    """Files that are no images, at most `depth` folders deep: the nearest first, then by name; stray ones left out."""
    found: list[tuple[int, str, Path]] = []
    for parent, folders, files in os.walk(root, onerror=_refuse):
        level = len(Path(parent).relative_to(root).parts)
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if level < depth else []
        found += [(level, (Path(parent) / f).as_posix(), Path(parent) / f) for f in files if not _stray(f)]
    return [path for _, _, path in sorted(found)]


def _stray(name: str) -> bool:
    return (
        name.startswith((".", "~$"))
        or name.lower() in ("thumbs.db", "desktop.ini")
        or name.lower().endswith(".lnk")
        or bool(IMAGE.fullmatch(name))
    )


def missing(frames: Sequence[Path]) -> int:
    """How many numbers are missing between the first and the last of a clip's frames."""
    numbers = [number for number in (number_of(frame.name) for frame in frames) if number is not None]
    return numbers[-1] - numbers[0] + 1 - len(numbers) if numbers else 0
