"""The one way by which faults are put into a run: at a system call on a file of a folder, each of which is counted.

`Disk` stands below whatever writes and reads there, storages or not. A call has the same name in every run and in every
process, so a run is watched once, and then disturbed at each of its calls.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

WRITES = frozenset({"mkdir", "create", "write", "fsync", "rename", "link"})
READS = frozenset({"open", "read", "stat", "list"})
EVERY = WRITES | READS | {"delete"}


class Killed(BaseException):
    """SIGKILL: of the process nothing runs any more, not even what would clean up after it."""


class Call(NamedTuple):
    """A system call: what it does, on which file of the folder, and how many of its kind there were before.

    A draft has the name that it is to get, and ".draft".
    """

    act: str
    name: str
    nth: int


class Fault(NamedTuple):
    """What happens at a call: an error number, or Killed, or a function that is called.

    Attributes:
        with_: it.
        acts: of the later calls, those that meet it, too.
    """

    with_: int | type[Killed] | Callable[[], None]
    acts: frozenset[str] = frozenset()


FULL = Fault(errno.ENOSPC, frozenset({"mkdir", "create", "write", "link"}))  # from a full disk one can delete
READ_ONLY = Fault(errno.EROFS, WRITES | {"delete"})
BROKEN = Fault(errno.EIO, EVERY)
FLAKY = Fault(errno.EIO)  # this call alone fails
FORBIDDEN = Fault(errno.EACCES)
KILL = Fault(Killed, EVERY)
# which calls a fault can meet first
MEETS = {
    FULL: WRITES - {"rename"},
    READ_ONLY: WRITES | {"delete"},
    BROKEN: EVERY,
    FLAKY: EVERY,
    FORBIDDEN: EVERY - {"write", "read", "fsync"},
    KILL: EVERY,
}


class Disk:
    """While it is entered, calls of this process on files of a folder are counted, and fail from one on.

    Args:
        folder: absolute.
        at: the call at which the fault comes; None: none does.
        fault: what happens there.

    Attributes:
        calls: every call so far.
    """

    def __init__(self, folder: Path, at: Call | None = None, fault: Fault = KILL) -> None:
        self.folder, self.at, self.fault = f"{folder}{os.sep}", at, fault
        self.calls: list[Call] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._failing = False
        self._stack = ExitStack()

    def __enter__(self) -> Disk:
        for module, name, act in (
            (os, "mkdir", "mkdir"), (os, "replace", "rename"), (os, "rename", "rename"), (os, "link", "link"),
            (os, "unlink", "delete"), (os, "remove", "delete"), (os, "stat", "stat"), (os, "listdir", "list"),
            (os, "scandir", "list"),
        ):  # fmt: skip
            self._replace(module, name, self._counting(act, getattr(module, name)))
        self._replace(os, "fsync", self._fsync)
        self._replace(os, "open", self._os_open(os.open))
        opening = self._opening(io.open)
        self._replace(io, "open", opening)
        self._replace(builtins, "open", opening)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def act(self, act: str, name: str) -> None:
        """Count a call, and let it be or fail."""
        if self._failing and act in self.fault.acts:
            self._fail()
        call = Call(act, name, self._counts[act, name])
        self._counts[act, name] += 1
        self.calls.append(call)
        if call == self.at:
            self._failing = True
            self._fail()

    def _fail(self) -> None:
        with_ = self.fault.with_
        if isinstance(with_, int):
            raise OSError(with_, os.strerror(with_))
        if isinstance(with_, type):
            raise with_
        with_()

    def name(self, path: object) -> str | None:
        """The name of a file of the folder; None of all others."""
        text = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
        if not isinstance(text, str) or not f"{text}{os.sep}".startswith(self.folder):
            return None
        name, draft, _ = text[len(self.folder) :].partition(".tmp-")
        return name + (".draft" if draft else "")

    def _replace(self, module: Any, name: str, by: Any) -> None:
        self._stack.enter_context(patch.object(module, name, by))

    def _counting(self, act: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **named: Any) -> Any:
            # of a draft that gets its name, or a link to it, the name counts
            what = arguments[0] if act in ("rename", "link") else path
            if (name := self.name(what)) is not None:
                self.act(act, name)
            return real(path, *arguments, **named)

        return call

    def _fsync(self, descriptor: int) -> None:
        """Counted, and not done: the tests do not wait for the disk."""
        name = self.name(Path(f"/proc/self/fd/{descriptor}").readlink())
        if name is not None:
            self.act("fsync", name)

    def _os_open(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(path: Any, *arguments: Any, **named: Any) -> int:
            if (name := self.name(path)) is not None:
                self.act("open", name)
            return real(path, *arguments, **named)

        return call

    def _opening(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(
            file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None,
            newline: Any = None, **named: Any,
        ) -> Any:  # fmt: skip
            name = self.name(file)
            if name is None:
                return real(file, mode, buffering, encoding, errors, newline, **named)
            writes = bool({*mode} & {*"wxa+"})
            self.act("create" if writes else "open", name)
            raw = _File(file, mode.replace("b", "").replace("t", ""), **named)
            raw.disk, raw.called = self, name
            if buffering == 0:
                return raw
            kind = io.BufferedRandom if "+" in mode else io.BufferedWriter if writes else io.BufferedReader
            buffered: Any = kind(raw)
            return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)

        return call


class _File(io.FileIO):
    """A file whose reads and writes are calls; what Python has buffered and not yet written is lost by a kill."""

    disk: Disk
    called: str

    def write(self, content: Any) -> int:
        self.disk.act("write", self.called)
        return super().write(content)

    def readinto(self, into: Any) -> int:
        self.disk.act("read", self.called)
        return super().readinto(into)

    def read(self, size: int | None = -1) -> bytes:
        self.disk.act("read", self.called)
        return super().read(-1 if size is None else size)

    def readall(self) -> bytes:
        self.disk.act("read", self.called)
        return super().readall()


def calls_of(work: Callable[[], object], folder: Path) -> list[Call]:
    """Every call that a work makes in a folder."""
    with Disk(folder) as disk:
        work()
    return disk.calls


def some(calls: Sequence[Call], most: int | None) -> list[Call]:
    """At most so many of the calls, evenly; None: all."""
    step = 1 if most is None else max(1, -(-len(calls) // most))
    return list(calls[::step])
