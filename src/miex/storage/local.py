"""Storage in a folder of this machine or a mounted disk: no file has its final name before it is complete."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from miex.errors import InputError, InUseError, OutputError
from miex.storage.base import Draft, Storage, as_input_errors, as_output_errors, only_regular

if TYPE_CHECKING:  # who only reads needs none
    from filelock import FileLock

try:
    import fcntl
except ImportError:  # on Windows, where nobody can delete a file that is open
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = ".miex.lock"
_TEMPORARY = ".tmp-"
_LEFTOVER = re.compile(rf"{re.escape(_TEMPORARY)}[0-9a-f]{{32}}$")


@dataclass(frozen=True)
class Folder(Storage):
    """A folder, which need not be there yet."""

    path: Path

    @property
    def address(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        return self.path.resolve().name

    def place(self, name: str) -> Path:
        return self.path / name

    def open(self, name: str) -> BinaryIO:
        with as_input_errors(f"reading {name} of {self.path}"):
            return open(self.path / name, "rb", opener=only_regular)  # Path.open takes no opener

    @contextmanager
    def writing(self, name: str) -> Iterator[Draft]:
        with _temporary(self.path / name) as temporary:
            with temporary.open("wb") as file:
                draft = Draft(file)
                yield draft
                file.flush()
                os.fsync(file.fileno())
            if draft.wanted:
                temporary.replace(self.path / name)
                _fsync_folder((self.path / name).parent)

    def create(self, name: str, content: bytes) -> bool:
        target = self.path / name
        with _temporary(target) as temporary:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
            except OSError:  # disks without links: two who rename at once could both believe that theirs is there
                if target.exists():
                    return False
                temporary.replace(target)
            _fsync_folder(target.parent)
        return True

    def names(self, under: str = "") -> Iterator[str]:
        folder = self.path / under
        with as_input_errors(f"reading {folder}"):
            try:
                names = sorted(path.name for path in folder.iterdir())
            except (FileNotFoundError, NotADirectoryError) as error:
                if isinstance(error, NotADirectoryError) and not under and folder.exists():
                    raise InputError(
                        f"reading {folder}", found="Not a directory", do="give another folder: this is a file"
                    ) from error
                names = []
        yield from names

    def size(self, name: str) -> int | None:
        try:
            with as_input_errors(f"reading {name} of {self.path}"):
                there = (self.path / name).stat()
                if stat.S_ISDIR(there.st_mode):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                return there.st_size
        except FileNotFoundError:
            return None

    def delete(self, name: str) -> None:
        with as_output_errors(f"deleting {self.path / name}"):
            (self.path / name).unlink(missing_ok=True)

    def take_back(self, names: Iterable[str]) -> None:
        names = list(names)
        super().take_back(names)
        for folder in sorted({above for name in names for above in PurePosixPath(name).parents}, reverse=True):
            if folder.name:
                with suppress(OSError):  # someone has put something there
                    (self.path / folder).rmdir()

    def free_bytes(self) -> int:
        with as_input_errors(f"reading {self.path}"):
            there = next(place for place in (self.path, *self.path.resolve().parents) if place.exists())
            return shutil.disk_usage(there).free

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The system frees the lock when the process ends, however it ends."""
        import filelock

        try:
            lock = _lock(self.path / LOCK_FILE, f"output folder {self.path}", wait=False)
        except filelock.Timeout:
            raise InUseError(
                f"output folder {self.path}", found="another process of miex is writing there",
                do="wait for it to end, or stop it",
            ) from None  # fmt: skip
        try:
            yield
        finally:
            lock.release()

    def remove_leftovers(self) -> int:
        with as_output_errors(f"deleting leftovers in {self.path}"):
            folders = [self.path, *(path for path in self.path.glob("*") if path.is_dir())]
            # exactly ours: users, too, write ".tmp-"; folders, pipes and links of such names are none
            named = [path for folder in folders for path in folder.glob("*") if is_leftover(path.name)]
            return sum(_deleted(path) for path in named if path.is_file() and not path.is_symlink())


@contextmanager
def whole_file(target: Path) -> Iterator[Draft]:
    """A file to write that appears under its name only when the block ends well (see `Storage.writing`)."""
    with Folder(target.parent).writing(target.name) as draft:
        yield draft


def write_whole(target: Path, content: bytes) -> None:
    """Write all of `content` under `target`, or nothing."""
    Folder(target.parent).write(target.name, content)


@contextmanager
def one_maker(target: Path, what: str) -> Iterator[None]:
    """Of several processes that want to make a file or folder, one at a time; the others wait. Its folder is made.

    Args:
        target: path of the file or folder.
        what: what is kept there, for messages, such as "trained models".

    Raises:
        OutputError: the folder cannot be written to, or its disk has no locks.
    """
    lock = _lock(target.with_name(f"{target.name}.lock"), f"{what} in {target.parent}", wait=True)
    try:
        yield
    finally:
        lock.release()


def _lock(path: Path, asked: str, *, wait: bool) -> FileLock:
    """A lock that is held. Raises filelock.Timeout if another process holds it, and none is to be waited for."""
    import filelock

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path)
        lock.acquire(timeout=-1 if wait else 0)
    except filelock.Timeout:  # which is an OSError, too
        raise
    except OSError as error:
        raise OutputError(
            asked, expected="a folder that can be written to, on a disk that knows locks on files",
            found=error.strerror or str(error), do="make it writable, or give another folder",
        ) from error  # fmt: skip
    return lock


def is_leftover(name: str) -> bool:
    """Whether a file's name is that of a draft."""
    return _LEFTOVER.search(name) is not None


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A name beside the target; the file is gone when the block ends, unless it was renamed.

    Raises:
        OutputError: the disk is full, the folder cannot be written.
    """
    temporary = target.with_name(f"{target.name}{_TEMPORARY}{uuid.uuid4().hex}")
    try:
        with as_output_errors(f"writing {target}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            with _held(temporary):
                yield temporary
    finally:
        with suppress(OSError):  # a disk that went read-only keeps its leftover; the next run removes it
            temporary.unlink(missing_ok=True)


@contextmanager
def _held(draft: Path) -> Iterator[None]:
    """A new draft, locked until the block ends: the system frees the lock of a process that ends, however it ends."""
    with draft.open("wb") as file:
        if fcntl is not None:
            with suppress(OSError):  # some network disks know no locks
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _deleted(draft: Path) -> bool:
    """Delete a draft, unless a process that lives is writing it; returns whether this did."""
    if fcntl is None:
        draft.unlink(missing_ok=True)  # type: ignore[unreachable]
        return True
    try:
        with open(draft, "rb", opener=only_regular) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:  # as above: nothing tells that its writer lives
                pass
            draft.unlink()
    except FileNotFoundError:  # it has got its name, or is gone
        return False
    return True


def _fsync_folder(folder: Path) -> None:
    """Make renames in a folder last through a power failure, where the system can (some network disks refuse)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def prove_folder(place: Path) -> None:
    """Prove that files can be saved in a folder, before anything is computed for them. Nothing is left there.

    Raises:
        OutputError: it is a file, or cannot be written.
    """
    place = place.expanduser()
    new = [one for one in (place, *place.parents) if not one.exists()]
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise OutputError(
            f"`out` {place}", expected="a folder that can be written", found=error.strerror or str(error),
            do="give another folder, or make it writable",
        ) from error  # fmt: skip
    finally:
        for one in new:
            with suppress(OSError):  # it could not be made, or another process has put something there
                one.rmdir()
