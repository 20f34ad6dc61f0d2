"""Files appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from miex.errors import InputError, OutputError
from miex.storage.cache import cache_folder
from miex.storage.local import Folder, one_maker, prove_folder, whole_file, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_content_appears_with_its_folders(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "file.bin"
    with whole_file(target) as file:
        file.write(b"one ")
        file.write(b"two")
        assert not target.exists()
    assert target.read_bytes() == b"one two"
    assert names(target.parent) == ["file.bin"]


@pytest.mark.parametrize("before", [None, b"before"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, InputError])
def test_an_error_leaves_everything_as_it_was(tmp_path: Path, before: bytes | None, error: type[BaseException]) -> None:
    target = tmp_path / "file"
    if before is not None:
        target.write_bytes(before)

    def fail() -> None:
        with whole_file(target) as file:
            file.write(b"half of")
            raise error("in the middle")

    with pytest.raises(error, match="in the middle"):
        fail()
    assert names(tmp_path) == ([] if before is None else ["file"])
    assert before is None or target.read_bytes() == before


def test_what_was_there_is_replaced_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_whole(target, b"before")
    with target.open("rb") as reader, whole_file(target) as file:
        file.write(b"after")
        file.flush()
        assert target.read_bytes() == b"before"
        assert reader.read() == b"before"
    assert target.read_bytes() == b"after"


def make_file(path: Path) -> Path:
    path.parent.write_text("a file in the way")
    return path


def make_folder(path: Path) -> Path:
    (path / "full").mkdir(parents=True)
    return path


@pytest.mark.parametrize("obstacle", [make_file, make_folder, lambda p: p.with_name("x" * 300)])
def test_paths_that_cannot_be_written(tmp_path: Path, obstacle: object) -> None:
    target = obstacle(tmp_path / "folder" / "file")  # type: ignore[operator]
    before = names(tmp_path)
    with pytest.raises(OutputError) as caught:
        write_whole(target, b"content")
    assert caught.value.asked == f"writing {target}"
    assert caught.value.found
    assert set(names(tmp_path)) <= {*before, "folder"}
    assert not list(tmp_path.rglob("*.tmp-*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk to write to")
def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, *a, **k: real(Path("/dev/full") if ".tmp-" in self.name else self, *a, **k)
    )
    with pytest.raises(OutputError, match=r"No space left on device\n  what to do: free space"):
        write_whole(tmp_path / "file", b"content")


def test_a_folder_under_a_files_name_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "file" / "mine").mkdir(parents=True)
    with pytest.raises(OutputError, match="take the folder away"):
        Folder(tmp_path).write("file", b"content")
    with pytest.raises(InputError, match="take the folder away"):
        Folder(tmp_path).read("file")
    assert names(tmp_path) == ["file"]
    assert names(tmp_path / "file") == ["mine"]


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("call", ["pathlib.Path.mkdir", "os.fsync", "pathlib.Path.replace"])
@pytest.mark.parametrize("write", [Folder.write, Folder.create])
def test_whatever_the_system_refuses_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Folder, str, bytes], object], call: str
) -> None:
    folder = Folder(tmp_path)
    monkeypatch.setattr(os, "link", refuse)  # `create` then renames
    monkeypatch.setattr(call, refuse)
    with pytest.raises(
        OutputError, match=rf"writing {tmp_path / 'file'}\n  found: {os.strerror(errno.EIO)}\n  what to"
    ):
        write(folder, "file", b"content")
    assert names(tmp_path) == []


def test_leftovers_that_cannot_be_deleted_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"file.tmp-{'0' * 32}").touch()
    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    with pytest.raises(OutputError, match=f"leftovers in {tmp_path}\n  found: {os.strerror(errno.EIO)}\n  what to do"):
        Folder(tmp_path).remove_leftovers()


def test_bytes_are_synced_before_the_name_and_the_name_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, seen = tmp_path / "file", []

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        what = "folder" if stat.S_ISDIR(status.st_mode) else f"{status.st_size} bytes"
        seen.append((what, target.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(target, b"content")
    assert seen == [("7 bytes", False), *([("folder", True)] if os.name == "posix" else [])]


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from miex.storage.local import whole_file\n"
        "with whole_file(pathlib.Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "out.tar")], check=False).returncode == 9
    (left,) = names(tmp_path)
    assert left.startswith("out.tar.tmp-")
    mine = ["notes.tmp-old.txt", "out.tar", "photo.tmp-2"]
    for name in mine:
        (tmp_path / name).touch()
    assert Folder(tmp_path).remove_leftovers() == 1
    assert names(tmp_path) == mine
    assert Folder(tmp_path / "absent").remove_leftovers() == 0


def test_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEX_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    for unset in ("", None):
        monkeypatch.setenv("MIEX_CACHE", "") if unset == "" else monkeypatch.delenv("MIEX_CACHE")
        assert cache_folder().is_absolute()
        assert cache_folder().name in ("miex", "Cache")


@pytest.mark.skipif(os.name != "posix", reason="locks on files")
def test_a_draft_that_is_being_written_is_no_leftover(tmp_path: Path) -> None:
    dead = tmp_path / f"dead.tmp-{'0' * 32}"
    dead.touch()
    with whole_file(tmp_path / "file") as file:
        file.write(b"whole")
        assert Folder(tmp_path).remove_leftovers() == 1
        assert not dead.exists()
    assert (tmp_path / "file").read_bytes() == b"whole"


@pytest.mark.skipif(os.name != "posix", reason="pipes and links of POSIX")
def test_what_is_no_file_is_no_leftover(tmp_path: Path) -> None:
    folder, pipe, link = (tmp_path / f"{name}.tmp-{'0' * 32}" for name in "abc")
    folder.mkdir()
    os.mkfifo(pipe)
    link.symlink_to("nowhere")
    assert Folder(tmp_path).remove_leftovers() == 0
    assert folder.is_dir()
    assert pipe.is_fifo()
    assert link.is_symlink()


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_a_lock_that_is_a_link_is_refused_and_what_it_leads_to_kept(tmp_path: Path) -> None:
    precious, place = tmp_path / "precious.txt", tmp_path / "set"
    precious.write_text("mine")
    place.mkdir()
    (place / ".miex.lock").symlink_to(precious)
    with pytest.raises(OutputError, match="locks on files"), Folder(place).locked():
        pass
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, OutputError("x")])
def test_leftovers_are_gone_at_the_end_however_it_comes(tmp_path: Path, error: BaseException | None) -> None:
    left = tmp_path / f"file.tmp-{'0' * 32}"
    left.touch()
    with contextlib.suppress(KeyboardInterrupt, OutputError), Folder(tmp_path).alone():
        assert not left.exists()
        left.touch()
        if error is not None:
            raise error
    assert not left.exists()


def test_a_folder_is_proven_before_anything_is_there(tmp_path: Path) -> None:
    prove_folder(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()  # nothing is left
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "found.md").touch()
    prove_folder(tmp_path / "a" / "b")
    for no_folder in (tmp_path / "a" / "b" / "found.md", tmp_path / "a" / "b" / "found.md" / "in"):
        with pytest.raises(OutputError, match="a folder that can be written"):
            prove_folder(no_folder)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o555)
    with pytest.raises(OutputError, match="Permission denied"):
        prove_folder(tmp_path / "a" / "b")


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_folder_without_locks_is_named(tmp_path: Path, error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_lock(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("filelock.FileLock.acquire", no_lock)
    for lock in (one_maker(tmp_path / "a" / "model", "trained models"), Folder(tmp_path / "a").locked()):
        with pytest.raises(OutputError, match="disk that knows locks") as refused, lock:
            pytest.fail("it is held")
        assert str(tmp_path / "a") in refused.value.asked
        assert refused.value.found == os.strerror(error)
        assert refused.value.do


def test_below_a_file_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="trained models in"), one_maker(tmp_path / "file" / "x", "trained models"):
        pytest.fail("it is held")


def test_of_those_who_make_one_thing_one_is_at_work(tmp_path: Path) -> None:
    done: list[str] = []

    def make() -> None:
        with one_maker(tmp_path / "x", "x"):
            done.append("second")

    second = threading.Thread(target=make)
    with one_maker(tmp_path / "x", "x"):
        second.start()
        second.join(0.2)  # it waits
        done.append("first")
    second.join()
    assert done == ["first", "second"]
