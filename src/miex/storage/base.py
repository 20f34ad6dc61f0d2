"""A place for files by name: each is whole or not there. A set lies in one."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, BinaryIO

from miex.errors import InputError, OutputError


class Draft(io.RawIOBase):
    """A file that is being written, and is not there until it is whole."""

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
        """Go on from there, where the place can: io.UnsupportedOperation where it cannot."""
        return self._file.seek(offset, whence)

    def abandon(self) -> None:
        """Forget it when its block ends: what was there stays."""
        self.wanted = False


class Storage(ABC):
    """Names are relative paths with / between parts. It is sent to other processes, so it must be picklable.

    Every method raises OutputError where it cannot write, and InputError where it cannot read what is there.
    """

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it is, for messages."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The last part of where it is: what people call a set that lies there."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """A file to read and to seek in. Raises FileNotFoundError where there is none of that name."""

    @abstractmethod
    def writing(self, name: str) -> AbstractContextManager[Draft]:
        """A draft that takes the name, and replaces what had it, when the block ends well."""

    @abstractmethod
    def create(self, name: str, content: bytes) -> bool:
        """Write it whole unless a file has that name: of two who create it one is kept. Whether it was ours."""

    @abstractmethod
    def names(self, under: str = "") -> Iterator[str]:
        """Names of the files directly in a folder, in their order."""

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a file; none is as well."""

    @abstractmethod
    def free_bytes(self) -> int | None:
        """Room that is left; None where nobody can know."""

    @abstractmethod
    def locked(self) -> AbstractContextManager[None]:
        """One writer at a time, where the place can promise it. Raises OutputError where another one writes."""

    @abstractmethod
    def remove_leftovers(self) -> int:
        """Delete what writers who were killed left behind; how many files."""

    def read(self, name: str) -> bytes:
        """All of a file. Raises FileNotFoundError where there is none."""
        with as_input_errors(f"reading {name} of {self.address}"), self.open(name) as file:
            return file.read()

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on, fewer at the end of the file. Raises FileNotFoundError where there is none."""
        with as_input_errors(f"reading {name} of {self.address}"), self.open(name) as file:
            file.seek(offset)
            return file.read(size)

    def write(self, name: str, content: bytes) -> None:
        """Write all of it under that name, or nothing."""
        with self.writing(name) as draft:
            draft.write(content)


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
        kept = "what was finished before is whole and is kept"
        raise OutputError(asked, found=error.strerror or str(error), do=f"{do}; {kept}") from error
