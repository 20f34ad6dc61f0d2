"""Small Parquet files that unpack to gigabytes are refused before memory is taken for them."""

from __future__ import annotations

import io
import struct
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from miex.aus.tracks import read_table
from miex.corpora.readers.plain import Plain
from miex.dataset.proven import ProvenFile
from miex.errors import InputError
from miex.sources.pool import read_pool
from miex.stable import parquet_table
from miex.unpacked import groups_of, unpacked


def written(table: pa.Table, **options: Any) -> bytes:
    content = io.BytesIO()
    pq.write_table(table, content, **{"compression": "zstd", **options})
    return content.getvalue()


def takes(content: bytes) -> int:
    return unpacked(io.BytesIO(content), chain(*groups_of(io.BytesIO(content))))[1]


def zeros(n: int) -> pa.Table:
    """One row: a list of n vectors of AUs that are all off."""
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(17 * n, np.float32)), 17)
    return pa.table({"aus": pa.ListArray.from_arrays(pa.array([0, n], pa.int32()), vectors)})


def copies(n: int) -> pa.Table:
    """One text of a megabyte, n times."""
    places = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array(["x" * 10**6]))
    return pa.table({"clip": places.cast(pa.string())})


@pytest.mark.parametrize(
    ("table", "options"),
    [
        *(
            (made, {"compression": codec})
            for made in (zeros(20_000), copies(20))
            for codec in ("none", "snappy", "gzip", "brotli", "lz4", "zstd")
        ),
        (zeros(20_000), {"use_dictionary": False}),
        (zeros(20_000), {"data_page_version": "2.0"}),
        (copies(20), {"use_dictionary": False}),
        (copies(20), {"use_dictionary": False, "column_encoding": {"clip": "DELTA_BYTE_ARRAY"}}),
    ],
)
def test_what_a_file_takes_is_told_by_its_pages(table: pa.Table, options: dict[str, Any]) -> None:
    content = written(table, dictionary_pagesize_limit=2**30, **options)
    assert table.nbytes <= takes(content) < 4 * table.nbytes


def test_arrow_reads_what_pages_hold_whatever_the_footer_says() -> None:
    """So the footer cannot tell what a file takes."""
    content = written(zeros(300_000), data_page_size=2**30, write_batch_size=2**30)
    size = struct.unpack("<I", content[-8:-4])[0]
    pages, footer = content[: -8 - size], content[-8 - size : -8]
    n = 2 * 17 * 300_000  # as Thrift writes it: seven bits a byte, the lowest first
    written_n = bytes([n & 127 | 128, n >> 7 & 127 | 128, n >> 14 & 127 | 128, n >> 21])
    assert written_n in footer
    footer = footer.replace(written_n, b"\2")
    content = pages + footer + struct.pack("<I", len(footer)) + b"PAR1"
    assert pq.ParquetFile(io.BytesIO(content)).read().nbytes > 300_000 * 17 * 4
    assert takes(content) > 300_000 * 17 * 4


@pytest.fixture
def few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of small files no more than a megabyte is unpacked, so that bombs are cheap; and what is read is seen."""
    monkeypatch.setattr("miex.stable.MOST_UNPACKED", 2**20)
    for read in ("read", "read_row_groups"):
        monkeypatch.setattr(f"pyarrow.parquet.ParquetFile.{read}", lambda *_, **__: pytest.fail("it is unpacked"))


@pytest.mark.usefixtures("few_bytes")
@pytest.mark.parametrize("table", [zeros(20_000), copies(20)])
def test_files_that_unpack_to_far_more_are_refused(table: pa.Table, tmp_path: Path) -> None:
    content = written(table)
    assert len(content) < 10_000
    path = tmp_path / "bomb.parquet"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="it claims"):
        parquet_table(content)
    for reader in (read_table, read_pool, partial(Plain("mine").read, on_error="collect")):
        with pytest.raises(InputError, match="it claims"):
            reader(path)


@pytest.mark.usefixtures("few_bytes")
def test_a_table_of_a_set_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.parquet"
    blocks = b'{"rows": 1, "group": 1, "digests": ["%s"], "told": {}}' % (b"0" * 64)
    path.write_bytes(written(zeros(20_000).replace_schema_metadata({"miex.blocks": blocks})))
    schema = pq.read_schema(path).remove_metadata()
    file = ProvenFile(lambda: path.open("rb"), schema, "plan.parquet")
    for read in (lambda: file.block(0), file.read):
        with pytest.raises(InputError, match="it claims"):
            read()
