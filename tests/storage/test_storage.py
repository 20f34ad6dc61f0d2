"""What every storage promises, held for each of them."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path

import pytest

from miex.errors import InputError, OutputError
from miex.storage import storage_at
from miex.storage.base import Storage
from miex.storage.local import Folder


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """In a bucket, every fifth request fails, in turn as each fault of `bucket_fixture` has it."""
    if request.param == "folder":
        return Folder(tmp_path / "a set")
    address = request.getfixturevalue("address")
    request.getfixturevalue("door").fail(5)
    return storage_at(f"{address}/a set")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "a set")


def test_what_is_written_is_read(storage: Storage) -> None:
    storage.write("shards/00000.tar", b"0123456789")
    assert storage.read("shards/00000.tar") == b"0123456789"
    assert storage.read_range("shards/00000.tar", 3, 4) == b"3456"
    assert storage.read_range("shards/00000.tar", 8, 4) == b"89"
    assert storage.read_range("shards/00000.tar", 10, 4) == b""
    assert storage.size("shards/00000.tar") == 10
    with storage.open("shards/00000.tar") as file:
        file.seek(-2, 2)
        assert file.read() == b"89"


def test_what_is_not_there(storage: Storage) -> None:
    assert storage.size("absent") is None
    assert list(storage.names()) == list(storage.names("absent")) == []
    storage.delete("absent")
    with pytest.raises(FileNotFoundError):
        storage.read("absent")


def test_below_a_file_there_is_nothing(folder: Folder) -> None:
    folder.write("file", b"")
    assert folder.size("file/absent") is None
    with pytest.raises(FileNotFoundError):
        folder.read("file/absent")
    with pytest.raises(OutputError, match=r"file/absent(.|\n)*what to do"):
        folder.write("file/absent", b"")


def test_a_folder_is_no_file(folder: Folder) -> None:
    folder.write("folder/file", b"")
    with pytest.raises(InputError, match=r"reading folder of .*a set(.|\n)*what to do"):
        folder.read("folder")
    with pytest.raises(OutputError, match=r"deleting .*folder(.|\n)*what to do"):
        folder.delete("folder")


def test_what_is_taken_back_is_gone_with_its_folders_and_nothing_else(storage: Storage) -> None:
    names = ["frames/a/1", "frames/a/2", "frames/b/1", "card"]
    for name in (*names, "frames/b/mine"):
        storage.write(name, b"x")
    storage.take_back([*names, "frames/b/never"])
    assert list(storage.names("frames/b")) == ["mine"]
    assert list(storage.names("frames/a")) == list(storage.names("frames/b/never")) == []
    assert storage.size("card") is None
    if isinstance(storage, Folder):
        assert sorted(path.name for path in storage.path.rglob("*")) == ["b", "frames", "mine"]


def test_names_are_those_of_one_folder(storage: Storage) -> None:
    for name in ("b", "a", "shards/2", "shards/1"):
        storage.write(name, b"")
    assert list(storage.names("shards")) == ["1", "2"]
    assert {"a", "b"} <= set(storage.names())
    storage.delete("a")
    assert "a" not in storage.names()


def test_a_draft_is_there_when_its_block_has_ended_and_not_before(storage: Storage) -> None:
    storage.write("name", b"old")
    with storage.writing("name") as draft:
        draft.write(b"new")
        assert draft.tell() == 3
        assert storage.read("name") == b"old"
    assert storage.read("name") == b"new"
    with storage.writing("name") as draft:
        draft.write(b"worse")
        draft.abandon()


def test_a_block_that_fails_leaves_what_was_there(storage: Storage) -> None:
    storage.write("name", b"new")

    def fail() -> None:
        with storage.writing("name") as draft:
            draft.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert storage.read("name") == b"new"
    assert list(storage.names()) == ["name"]


def test_of_many_who_create_one_file_one_is_kept(storage: Storage) -> None:
    ours: list[int] = []
    start = threading.Barrier(8)

    def create(number: int) -> None:
        start.wait()
        if storage.create("record", f"{number}".encode()):
            ours.append(number)

    threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = ours
    assert storage.read("record") == f"{winner}".encode()
    assert list(storage.names()) == ["record"]
    assert not storage.create("record", b"late")


def test_one_writer_at_a_time(folder: Folder) -> None:
    with folder.locked(), pytest.raises(OutputError, match="another process of miex"), folder.locked():
        pass
    with folder.locked():  # free again
        pass


def test_it_goes_to_other_processes_and_names_one_place(storage: Storage) -> None:
    storage.write("name", b"content")
    again = pickle.loads(pickle.dumps(storage))
    assert again == storage
    assert hash(again) == hash(storage)
    assert again.read("name") == b"content"
    assert storage_at(storage) is storage
    assert storage.name == "a set"
    assert storage.name in storage.address


def test_a_path_is_a_folder(tmp_path: Path) -> None:
    assert storage_at(str(tmp_path)) == storage_at(tmp_path) == Folder(tmp_path)
    free = Folder(tmp_path / "not" / "there").free_bytes()
    assert free > 0


def test_disks_without_links_still_keep_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: object, target: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", no_links)
    storage = Folder(tmp_path)
    assert storage.create("record", b"first")
    assert not storage.create("record", b"second")
    assert storage.read("record") == b"first"
    assert list(storage.names()) == ["record"]
