"""A storage that fails where a test says: a disk that is full, read-only or broken, or a process that is killed."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from miex.storage.base import Draft, Storage, as_input_errors, as_output_errors
from miex.storage.local import Folder

WRITES = frozenset({"begin", "write", "commit", "create", "delete"})
READS = frozenset({"open", "size", "names"})


class Killed(BaseException):
    """SIGKILL: of the process nothing runs any more, not even what would clean up after it."""


class Failing(Storage):
    """A folder that does what it is asked, until the act of number `at`: this one and all later ones fail.

    Args:
        folder: the place.
        at: which act fails first, from 0; None: none does.
        with_: the error number that the system gives, or Killed.
        kinds: the kinds of acts that count and fail. Of a draft, "begin" opens its file, each "write" adds to it, and
            "commit" gives it its name.
        free: the room that is left; None: as in the folder.

    Attributes:
        acts: every act of these kinds so far, as (kind, name).
    """

    def __init__(
        self,
        folder: Folder,
        at: int | None = None,
        with_: int | type[Killed] = Killed,
        kinds: Collection[str] = WRITES,
        free: int | None = None,
    ) -> None:
        self.folder, self.at, self.with_, self.kinds, self.free = folder, at, with_, kinds, free
        self.acts: list[tuple[str, str]] = []

    def act(self, kind: str, name: str) -> None:
        """Do nothing, or fail."""
        if kind not in self.kinds:
            return
        self.acts.append((kind, name))
        if self.at is not None and len(self.acts) > self.at:
            raise Killed if self.with_ is Killed else OSError(self.with_, os.strerror(self.with_))

    @property
    def address(self) -> str:
        return self.folder.address

    @property
    def name(self) -> str:
        return self.folder.name

    def open(self, name: str) -> BinaryIO:
        with as_input_errors(f"reading {name} of {self.address}"):
            self.act("open", name)
        return self.folder.open(name)

    @contextmanager
    def writing(self, name: str) -> Iterator[Draft]:
        with as_output_errors(f"writing {name} of {self.address}"):
            self.act("begin", name)
        left: dict[Path, bytes] = {}
        try:
            with self.folder.writing(name) as inner:
                draft = _Draft(inner, self, name)
                try:
                    yield draft
                    if draft.wanted:
                        self.act("commit", name)
                    else:
                        inner.abandon()
                except Killed:
                    left = {path: path.read_bytes() for path in self.folder.path.glob(f"{name}.tmp-*")}
                    raise
        finally:  # a killed process has not cleaned up
            for path, content in left.items():
                path.write_bytes(content)

    def create(self, name: str, content: bytes) -> bool:
        with as_output_errors(f"writing {name} of {self.address}"):
            self.act("create", name)
        return self.folder.create(name, content)

    def names(self, under: str = "") -> Iterator[str]:
        with as_input_errors(f"reading {under or 'the names'} of {self.address}"):
            self.act("names", under)
        return self.folder.names(under)

    def size(self, name: str) -> int | None:
        with as_input_errors(f"reading {name} of {self.address}"):
            self.act("size", name)
        return self.folder.size(name)

    def delete(self, name: str) -> None:
        with as_output_errors(f"deleting {name} of {self.address}"):
            self.act("delete", name)
        self.folder.delete(name)

    def free_bytes(self) -> int | None:
        return self.folder.free_bytes() if self.free is None else self.free

    def locked(self) -> AbstractContextManager[None]:
        return self.folder.locked()

    def remove_leftovers(self) -> int:
        with as_output_errors(f"deleting leftovers of {self.address}"):
            self.act("delete", "leftovers")
        return self.folder.remove_leftovers()


class _Draft(Draft):
    """A draft whose writes are acts."""

    def __init__(self, draft: Draft, storage: Failing, name: str) -> None:
        super().__init__(draft)  # type: ignore[arg-type]
        self._storage, self._name = storage, name

    def write(self, content: Any) -> int:
        self._storage.act("write", self._name)
        return super().write(content)
