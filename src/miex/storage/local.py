"""Where files belong and how they are written: never under their final name until they are whole."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from miex.errors import OutputError

_TEMPORARY = ".tmp-"


@contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """A file to write that appears under its name only when the block ends well.

    Temporary name beside the target → flush → fsync → rename → fsync of the folder. If the block raises, nothing
    is left behind and what was there before stays.

    Raises:
        OutputError: the disk is full, the folder cannot be written.
    """
    temporary = target.with_name(f"{target.name}{_TEMPORARY}{uuid.uuid4().hex}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        fsync_folder(target.parent)
    except OSError as error:
        raise OutputError(
            f"writing {target}",
            found=error.strerror or str(error),
            do="free space or give another folder; what was finished before is whole and is kept",
        ) from error
    finally:
        with suppress(OSError):  # a disk that went read-only keeps its leftover; the next run removes it
            temporary.unlink(missing_ok=True)


def write_whole(target: Path, content: bytes) -> None:
    """Write all of `content` under `target`, or nothing (see `whole_file`)."""
    with whole_file(target) as file:
        file.write(content)


def fsync_folder(folder: Path) -> None:
    """Make renames in a folder last through a power failure, where the system can (some network disks refuse)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> int:
    """Delete the temporary files that killed runs left in a folder; returns how many."""
    leftovers = list(folder.glob(f"*{_TEMPORARY}{'[0-9a-f]' * 32}"))  # exactly ours: users, too, write ".tmp-"
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)
