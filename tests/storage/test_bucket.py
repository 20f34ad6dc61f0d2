"""A bucket: parts, ranges, conditional writes, and what is said when the network or the credentials fail."""

from __future__ import annotations

import errno
import io
import os
import pickle
import urllib.error
from datetime import timedelta
from pathlib import Path, PureWindowsPath

import pytest

import miex
from miex.api.work import path
from miex.errors import InputError, OutputError, UsageError
from miex.executors.local import LocalProcesses
from miex.storage import given, is_bucket, storage_at
from miex.storage.bucket import PART, READ, Bucket
from tests.bucket_fixture import FAULTS, KEY, SECRET, Door

MANY = b"0123456789abcdef" * (PART // 16)  # one part


@pytest.fixture
def bucket(address: str) -> Bucket:
    made = storage_at(address)
    assert isinstance(made, Bucket)
    return made


def test_a_large_file_goes_up_in_parts_and_comes_down_in_ranges(bucket: Bucket, door: Door) -> None:
    door.fail(5)
    with bucket.writing("shards/00000.tar") as draft:
        for k in range(5):
            draft.write(MANY[k:] + MANY[:k])
        draft.write(b"end")
    parts = [one for one in door.requests if one.method == "PUT" and "partNumber" in one.path]
    assert door.failed > 0
    assert len({one.path for one in parts}) == 6
    door.fail(5)
    assert bucket.read("shards/00000.tar") == b"".join(MANY[k:] + MANY[:k] for k in range(5)) + b"end"
    with bucket.open("shards/00000.tar") as file:
        file.seek(3 * PART + 2)
        door.requests.clear()
        assert file.read(20) == (MANY[3:] + MANY[:3])[2:22]
        assert sum(one.bytes for one in door.requests if one.method == "GET") <= 3 * READ  # one, and those that broke
        file.seek(-2, io.SEEK_END)
        assert file.read() == b"nd"
        assert file.read() == b""
        file.seek(10, io.SEEK_CUR)  # behind the end, as in any file
        assert file.read() == b""
        with pytest.raises(OSError, match="Invalid argument"):
            file.seek(-1)


@pytest.mark.parametrize("ends", ["fails", "abandoned"])
@pytest.mark.parametrize("size", [10, 3 * PART])
def test_a_draft_that_is_dropped_leaves_nothing(bucket: Bucket, door: Door, size: int, ends: str) -> None:
    bucket.write("name", b"old")

    def draw() -> None:
        with bucket.writing("name") as draft:
            draft.write(b"x" * size)
            if ends == "fails":
                raise ZeroDivisionError
            draft.abandon()

    if ends == "fails":
        with pytest.raises(ZeroDivisionError):
            draw()
    else:
        draw()
    assert bucket.read("name") == b"old"
    assert list(bucket.names()) == ["name"]
    assert b"<UploadId>" not in door.body("GET", "/sets?uploads")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", range(1, 5))  # a large file takes four requests
def test_whichever_request_fails_is_repeated(bucket: Bucket, door: Door, fault: str, at: int) -> None:
    bucket.write("there", b"old")
    content = MANY + b"end"  # is begun, sent in two parts, and completed
    for job in (
        lambda: bucket.write("large", content), lambda: bucket.create("new", b"1"), lambda: bucket.size("absent"),
        lambda: bucket.create("there", b"1"), lambda: list(bucket.names()), lambda: bucket.delete("there"),
    ):  # fmt: skip
        door.fail(at, fault, most=1)
        job()
    assert bucket.read("large") == content
    assert bucket.read("new") == b"1"
    door.fail(at, fault, most=1)
    for absent in ("there", "absent"):
        with pytest.raises(FileNotFoundError):
            bucket.read(absent)


def test_a_disk_without_room_for_drafts_is_told(bucket: Bucket) -> None:
    def full() -> None:
        with bucket.writing("name"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OutputError, match=r"draft of s3://sets/.*/name in .*\n  found: No space left on device"):
        full()


def test_who_created_a_file_is_told_so_even_if_the_answer_is_lost(bucket: Bucket, door: Door) -> None:
    door.fail(1, "lost", most=1)
    assert bucket.create("record", b"mine")
    assert [one.status for one in door.requests if one.method == "PUT"] == [200, 412]
    assert not bucket.create("record", b"mine")
    assert bucket.read("record") == b"mine"


def test_what_is_replaced_while_it_is_read_is_refused(bucket: Bucket) -> None:
    bucket.write("plan.parquet", b"a" * 2 * READ)
    with bucket.open("plan.parquet") as file:
        assert file.read(1) == b"a"
        bucket.write("plan.parquet", b"b" * 2 * READ)
        file.seek(READ)
        with pytest.raises(InputError, match=r"reading plan.parquet of s3://sets(.|\n)*412(.|\n)*changed meanwhile"):
            file.read(1)


def read_name(bucket: Bucket) -> bytes:
    return bucket.read("name")


def test_workers_read_it_and_forked_ones_are_told_how(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.write("name", b"content")
    sent = pickle.dumps(bucket)
    assert KEY.encode() not in sent
    assert SECRET.encode() not in sent
    assert list(LocalProcesses(2).map(read_name, [bucket, bucket])) == [b"content"] * 2
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as in a process that was forked
    with pytest.raises(InputError, match=r"forked(.|\n)*multiprocessing_context=\"spawn\""):
        bucket.read("name")


@pytest.mark.parametrize(
    ("given_as", "url", "name"),
    [
        ("s3://bucket/mie-x", "s3://bucket/mie-x", "mie-x"),
        ("S3://bucket/a//b/", "s3://bucket/a/b", "b"),
        ("gs://bucket", "gs://bucket", "bucket"),
        (Path("S3://bucket/mie-x"), "s3://bucket/mie-x", "mie-x"),
        (Path("az://container/mie-x"), "az://container/mie-x", "mie-x"),
        ("s3://bucket/day=1/a set", "s3://bucket/day=1/a set", "a set"),
    ],
)
def test_addresses(given_as: str | Path, url: str, name: str) -> None:
    pytest.importorskip("obstore")
    found = storage_at(given_as)
    assert found == Bucket(url)
    assert (found.address, found.name, found.place("plan.json")) == (url, name, f"{url}/plan.json")


@pytest.mark.parametrize(
    "address",
    [
        "ftp://bucket/x", "gcs://bucket/x", Path("s3a://bucket/x"), Path("https://example.org/x"), Path("GCS://bucket"),
        f"s3://{KEY}:{SECRET}@bucket/x", f"s3://bucket/x?sig={SECRET}", "s3:///x", "s3://bucket/../x",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_bucket(address: str | Path) -> None:
    with pytest.raises(UsageError, match="expected: an address such as s3://bucket/mie-x") as caught:
        storage_at(address)
    assert SECRET not in str(caught.value)
    with pytest.raises(UsageError, match="expected: a file or folder of this machine"):
        path(address)


def test_paths_are_no_buckets(tmp_path: Path) -> None:
    assert not any(map(is_bucket, ["s3", "a/s3:/b", "C:/data", "C:\\data", PureWindowsPath("C:/data"), tmp_path, 3]))
    assert given(Path("s3://bucket/a")) == "s3://bucket/a"
    assert given("a//b") == "a//b"


def test_without_the_extra_its_install_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miex.storage.bucket.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"bucket s3://bucket/x(.|\n)*obstore(.|\n)*pip install 'miex\[cloud\]'"):
        storage_at("s3://bucket/x")


def all_of(storage: Bucket) -> dict[str, str]:
    """What each method says when it fails."""
    said = {}
    for name, call in {
        "read": lambda: storage.read("x"),
        "range": lambda: storage.read_range("x", 1, 2),
        "names": lambda: list(storage.names()),
        "write": lambda: storage.write("x", b"1"),
        "large": lambda: storage.write("x", MANY + b"1"),
        "create": lambda: storage.create("x", b"1"),
        "delete": lambda: storage.delete("x"),
    }.items():
        kind = OutputError if name in ("write", "large", "create", "delete") else InputError
        with pytest.raises(kind) as caught:
            call()
        error = caught.value
        assert storage.address in error.asked
        assert error.__cause__ is None
        assert error.__suppress_context__
        assert "kept" in error.do or kind is InputError
        said[name] = str(error)
        assert KEY not in said[name]
        assert SECRET not in said[name]
    return said


def test_a_bucket_that_is_not_there(door: Door, address: str) -> None:
    for said in all_of(Bucket("s3://nobody/x")).values():
        assert "no bucket nobody" in said
        assert "make the bucket" in said
    for read in (miex.open, miex.examples):
        with pytest.raises(InputError, match="no bucket nobody"):
            read("s3://nobody/x")


def test_no_permission(bucket: Bucket, door: Door) -> None:
    door.fail(1, "403")
    for said in all_of(bucket).values():
        assert "answer 403" in said
        assert "credentials that may read, write, list and delete in sets" in said


@pytest.mark.parametrize("fault", ["503", "cut", "half"])
def test_a_network_that_always_fails(bucket: Bucket, door: Door, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    soon = {"max_retries": 1, "backoff": {"init_backoff": timedelta(milliseconds=1)}}
    monkeypatch.setattr("miex.storage.bucket.RETRIES", soon)
    other = Bucket(f"{bucket.url}/{fault}")  # its store is made with these
    door.fail(1, fault)
    for said in all_of(other).values():
        assert "again and again" in said
        assert "check the network and the endpoint (AWS_ENDPOINT_URL)" in said


def test_nobody_answers(door: Door, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr("miex.storage.bucket.RETRIES", {"max_retries": 1})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    for said in all_of(Bucket(f"{address}/nobody")).values():
        assert "check the network and the endpoint (AWS_ENDPOINT_URL)" in said


@pytest.mark.parametrize(
    "endpoint", ["localhost:9000", "", "http://", "http://[::", "http://h:99999", "ftp://h", "http://h x"]
)
def test_an_endpoint_that_is_none(door: Door, monkeypatch: pytest.MonkeyPatch, address: str, endpoint: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(InputError, match=r"expected: AWS_ENDPOINT_URL such as http://localhost:9000") as caught:
        storage_at(address).read("x")
    assert (endpoint or "an empty text") in caught.value.found
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{KEY}:{SECRET}@h:port")
    with pytest.raises(InputError, match="AWS_ENDPOINT_URL") as caught:
        storage_at(address).read("x")
    assert SECRET not in str(caught.value)


def test_no_credentials(door: Door, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr("miex.storage.bucket.RETRIES", {"max_retries": 0})
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        with monkeypatch.context() as without_one:
            without_one.delenv(name)
            for said in all_of(Bucket(f"{address}/without {name}")).values():
                assert f"no {name} in the environment" in said
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for said in all_of(Bucket(f"{address}/without")).values():
        assert "no credentials in the environment" in said
        assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in said
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    for said in all_of(Bucket("az://container/x")).values():
        assert "set AZURE_STORAGE_ACCOUNT_NAME" in said


def test_the_server_is_a_real_one(door: Door) -> None:
    """It knows what it was given, and what not."""
    assert door.body("GET", "/sets").startswith(b"<?xml")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        door.body("GET", "/sets/absent")
