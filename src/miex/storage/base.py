"""A storage holds files by name, each complete or absent. Every set is kept in one."""

from __future__ import annotations

import errno
import io
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from miex.errors import InputError, OutputError


class Draft(io.RawIOBase):
    """A file that is being written, and does not exist until it is complete."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.wanted = file, True

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        """Append; returns how many bytes."""
        return self._file.write(content)

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Continue from that offset. Raises io.UnsupportedOperation if the storage cannot."""
        return self._file.seek(offset, whence)

    def abandon(self) -> None:
        """Drop it when its block ends, and keep the file of that name that is there."""
        self.wanted = False


class Storage(ABC):
    """Names are relative paths with / between parts. It is sent to other processes, so it must be picklable.

    Every method raises OutputError where it cannot write, and InputError where it cannot read what is there.
    """

    @property
    @abstractmethod
    def address(self) -> str:
        """Its path or address, for messages."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The last part of its address: the name of a set that is kept there."""

    @abstractmethod
    def place(self, name: str) -> Path | str:
        """Where people find a file: its path, or its address."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """A file to read and to seek in. Raises FileNotFoundError where there is none of that name."""

    @abstractmethod
    def writing(self, name: str) -> AbstractContextManager[Draft]:
        """A draft that takes the name, and replaces what had it, when the block ends well."""

    @abstractmethod
    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless the name is taken: of two writers, only one succeeds. Returns whether this one did."""

    @abstractmethod
    def names(self, under: str = "") -> Iterator[str]:
        """Names of the files directly in a folder, sorted."""

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Size of a file in bytes; None if there is none."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a file, if it exists."""

    def take_back(self, names: Iterable[str]) -> None:
        """Remove files that were written to a new folder, and what folders below it are empty then."""
        for name in names:
            self.delete(name)

    @abstractmethod
    def free_bytes(self) -> int | None:
        """Free space in bytes; None if unknown."""

    @abstractmethod
    def locked(self) -> AbstractContextManager[None]:
        """Allow one writer at a time, if the storage can. Raises OutputError if another one is writing."""

    @abstractmethod
    def remove_leftovers(self) -> int:
        """Delete drafts whose writers were killed, and none that is being written; returns how many."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """`locked`, and leftovers are removed at the beginning and at the end, however the block ends."""
        with self.locked():
            self.remove_leftovers()
            try:
                yield
            except BaseException:
                with suppress(OutputError):  # what ended the block is to be told
                    self.remove_leftovers()
                raise
            self.remove_leftovers()

    def read(self, name: str, most: int | None = None) -> bytes:
        """All of a file.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is larger than `most` bytes.
        """
        with as_input_errors(f"reading {name} of {self.address}"), self.open(name) as file:
            if most is not None:
                from miex.stable import within  # loads pyarrow, which most who keep files need not

                within(file.seek(0, io.SEEK_END), most)
                file.seek(0)
            return file.read()

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on, fewer at the end of the file. Raises FileNotFoundError where there is none."""
        with as_input_errors(f"reading {name} of {self.address}"), self.open(name) as file:
            rest = file.seek(0, io.SEEK_END) - offset  # memory is taken for what is asked for, not for what is there
            if rest <= 0:  # no disk seeks to any number
                return b""
            file.seek(offset)
            return file.read(max(0, min(size, rest)))

    def write(self, name: str, content: bytes) -> None:
        """Write the whole file under that name, or nothing."""
        with self.writing(name) as draft:
            draft.write(content)


KEPT = "; what was finished before is whole and is kept"  # ends what to do where something cannot be written
_FOLDER = "take the folder away that stands under this name"


@contextmanager
def as_input_errors(asked: str) -> Iterator[None]:
    """What the system says against reading, as an InputError; that a file is not there stays a FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:  # below a file there is nothing
        raise FileNotFoundError(*error.args) from error
    except OSError as error:
        do = _FOLDER if isinstance(error, IsADirectoryError) else "make it readable, or restore it"
        raise InputError(asked, found=error.strerror or str(error), do=do) from error


@contextmanager
def as_output_errors(asked: str) -> Iterator[None]:
    """What the system says against writing (the disk is full, or read-only), as an OutputError."""
    try:
        yield
    except OSError as error:
        do = _FOLDER if isinstance(error, IsADirectoryError) else "free space or give another folder"
        if isinstance(error, NotADirectoryError | FileExistsError):
            do = "give another folder: what would be one is a file"
        raise OutputError(asked, found=error.strerror or str(error), do=do + KEPT) from error


def only_regular(path: str, flags: int) -> int:
    """Open what is a regular file, or a link to one: an `opener` of `open`.

    Raises:
        OSError: it is a pipe, a socket or a device; IsADirectoryError: a folder.
    """
    # without waiting, and looked at when it is open: what the name means cannot change in between
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "a pipe or a device, no file", path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
