"""Shards and their records: what was damaged on disk is never taken for what was written."""

from __future__ import annotations

import json
import shutil
import tarfile
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import miex.dataset
from miex.dataset.schema import MEASURE_COLUMNS, Column
from miex.dataset.shard import member, read_shard_record, record_name, tar_name
from miex.errors import InputError
from miex.stable import json_digest
from miex.storage.local import Folder
from tests.support import flip_bit


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """The finished set, to damage."""
    shutil.copytree(finished, tmp_path / "set")
    return tmp_path / "set"


def test_checksums_are_those_of_the_bytes_in_the_tar(finished: Path) -> None:
    for row in miex.dataset.open(finished).table.to_pylist():
        tar = (finished / tar_name(row["shard"])).read_bytes()
        assert zlib.crc32(tar[row["offset"] : row["offset"] + row["bytes"]]) == row["crc32"]


@pytest.mark.parametrize("name", ["a.json", f"{'n' * 95}.json", f"{'n' * 90}.000.png", f"{'f' * 90}/{'n' * 90}.png"])
def test_members_are_those_that_tarfile_writes(name: str) -> None:
    for size in (0, 1, 512, 30_000):
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        whole = info.tobuf(tarfile.USTAR_FORMAT) + b"x" * size
        assert member(name, b"x" * size) == whole + bytes(-size % tarfile.BLOCKSIZE)


def test_no_flipped_bit_of_a_sample_is_read(out: Path) -> None:
    """Every 97th byte, and so headers, pictures, padding and description."""
    dataset = miex.dataset.open(out)
    row, whole = dataset.table.slice(1, 1).to_pylist()[0], dataset[1]
    tar = out / tar_name(0)
    for at in range(row["offset"], row["offset"] + row["bytes"], 97):
        flip_bit(tar, at)
        for read in (dataset.__getitem__, dataset.pair, dataset.stored):
            with pytest.raises(InputError, match="miex repair"):
                read(1)
        flip_bit(tar, at)
    assert dataset[1].provenance == whole.provenance
    assert (dataset[1].frames == whole.frames).all()


def test_no_flipped_bit_of_a_record_is_read(out: Path) -> None:
    path, whole = out / record_name(3), read_shard_record(Folder(out), 3)
    refused: list[InputError] = []
    places = range(0, path.stat().st_size, 3)
    for at in places:
        flip_bit(path, at, bit=at % 8)
        try:
            assert read_shard_record(Folder(out), 3) == whole  # 1e-05 is 1E-05
        except InputError as error:
            refused.append(error)
        flip_bit(path, at, bit=at % 8)
    assert all(str(out) in error.asked and "miex repair" in error.do for error in refused)
    assert len(refused) > 0.99 * len(places)


def test_no_part_of_a_record_is_read(out: Path) -> None:
    path = out / record_name(3)
    content = path.read_bytes()
    for end in range(0, len(content), 7):
        path.write_bytes(content[:end])
        with pytest.raises(InputError, match="miex repair"):
            read_shard_record(Folder(out), 3)


def without_digest(record: dict[str, Any]) -> None:
    del record["digest"]


def of_another_format(record: dict[str, Any]) -> None:
    record["format"] = 1


def with_a_sample_less(record: dict[str, Any]) -> None:
    del record["samples"][0]


@pytest.mark.parametrize(
    ("change", "found"),
    [(without_digest, "digest"), (of_another_format, "format 1, expected 3"), (with_a_sample_less, "its own digest")],
)
def test_records_of_something_else_are_refused(out: Path, change: Callable[[dict[str, Any]], None], found: str) -> None:
    path = out / record_name(0)
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=found):
        read_shard_record(Folder(out), 0)


@pytest.mark.parametrize("column", MEASURE_COLUMNS, ids=lambda column: column.name)
def test_a_record_has_the_measures_of_its_samples_and_no_others(out: Path, column: Column) -> None:
    text = pa.types.is_string(column.type)
    for value, found in (
        (None, ""),
        ("field" if text else -1.5, ""),
        (0.5 if text else "0.5", column.name),
        ([], column.name),
        *(() if text else ((1e7, column.name), (-1e7, column.name))),
    ):
        record = json.loads((out / record_name(0)).read_text())
        del record["digest"]
        record["samples"][1][column.name] = value
        (out / record_name(0)).write_text(json.dumps({**record, "digest": json_digest(record)}))
        with pytest.raises(InputError, match=found) if found else nullcontext():
            read_shard_record(Folder(out), 0)
    record["samples"][1] = {**record["samples"][0], "beauty": 1.0}
    (out / record_name(0)).write_text(json.dumps({**record, "digest": json_digest(record)}))
    with pytest.raises(InputError, match="beauty"):
        read_shard_record(Folder(out), 0)


def test_the_record_of_another_shard_is_refused(out: Path) -> None:
    shutil.copy(out / record_name(1), out / record_name(0))
    with pytest.raises(InputError, match="the record of shard 1"):
        read_shard_record(Folder(out), 0)
    (out / record_name(0)).unlink()
    assert read_shard_record(Folder(out), 0) is None
