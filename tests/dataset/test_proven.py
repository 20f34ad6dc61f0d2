"""Files that prove what is read of them: whatever happens to their bytes, never another table."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miex.dataset.proven import ROWS_PER_GROUP, ProvenFile, root_of, write_blocks
from miex.errors import InputError
from miex.stable import table_digest

SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("number", pa.int64()),
        ("aus", pa.list_(pa.list_(pa.float32()))),
        ("place", pa.string()),
    ]
)


def rows(n: int, first: int = 0) -> pa.Table:
    """Of every row something else, and nulls."""
    return pa.table(
        {
            "name": [None if i % 5 == 3 else f"row {i}" for i in range(first, first + n)],
            "number": [None if i % 7 == 2 else 10**9 * i for i in range(first, first + n)],
            "aus": [[[0.25 * i, 0.5]] * (i % 3) for i in range(first, first + n)],
            "place": [f"/home/{i}" for i in range(first, first + n)],
        },
        schema=SCHEMA,
    )


def written(table: pa.Table, block_rows: int, left_out: Sequence[str] = (), group_rows: int = ROWS_PER_GROUP) -> bytes:
    sink = io.BytesIO()
    blocks = (table.slice(i, block_rows) for i in range(0, table.num_rows, block_rows))
    write_blocks(sink, blocks, table.schema, block_rows=block_rows, group_rows=group_rows, left_out=left_out)
    return sink.getvalue()


def opened(content: bytes, schema: pa.Schema = SCHEMA, left_out: Sequence[str] = ()) -> ProvenFile:
    return ProvenFile(lambda: io.BytesIO(content), schema, "the file", left_out=left_out)


@settings(max_examples=40)
@given(st.integers(0, 40), st.integers(1, 12))
def test_what_is_written_is_read_whole_and_by_blocks(n: int, block_rows: int) -> None:
    table = rows(n)
    file = opened(written(table, block_rows))
    blocks = [table.slice(i, block_rows) for i in range(0, n, block_rows)]
    assert (file.n_rows, file.block_rows, len(file)) == (n, block_rows, len(blocks))
    assert file.read().equals(table)
    assert [block.equals(expected) for block, expected in zip(file.blocks(), blocks, strict=True)] == [True] * len(file)
    assert all(file.block(i).equals(blocks[i]) for i in reversed(range(len(file))))
    assert file.root == root_of(table_digest(block) for block in blocks)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.string(), ["a", None, "", "ä😀", "b"]),
        (pa.int16(), [1, None, 3, 0, 5]),
        (pa.float64(), [0.5, None, -0.0, 0.0, 5]),
        (pa.list_(pa.string()), [["a"], None, [], [None, "ä"], ["b"]]),
        (pa.list_(pa.list_(pa.int16(), 2)), [[[1, 2]], None, [], [None, [3, None]], [[0, 0]]]),
    ],
)
def test_a_digest_is_that_of_the_values_wherever_they_lie(kind: pa.DataType, values: list[object]) -> None:
    """Parts of larger arrays, and arrays in several chunks, with and without nulls at every level."""
    seen = set()
    for first in range(5):
        for last in range(first, 6):
            alone = table_digest(pa.table({"a": pa.array(values[first:last], kind)}))
            for cut in range(6):
                chunks = [pa.array(values[:cut], kind), pa.array(values[cut:], kind)]
                assert table_digest(pa.table({"a": pa.chunked_array(chunks)}).slice(first, last - first)) == alone
            seen.add(alone)
    assert len(seen) == 16  # 15 parts, and none


@pytest.mark.parametrize("block_rows", [3000, ROWS_PER_GROUP, ROWS_PER_GROUP + 1])
def test_blocks_of_many_groups(block_rows: int) -> None:
    """Groups hold whole blocks; a block is read without those of others."""
    table = pa.table({"number": range(20_000)})
    content = written(table, block_rows)
    file = opened(content, table.schema)
    found = pq.read_metadata(io.BytesIO(content))
    sizes = [found.row_group(i).num_rows for i in range(found.num_row_groups)]
    assert len(sizes) > 1
    assert all(size % block_rows == 0 for size in sizes[:-1])
    for i in range(len(file)):
        assert file.block(i).equals(table.slice(i * block_rows, block_rows))
    assert pa.concat_tables(file.blocks()).equals(table)


def test_rows_are_taken_by_their_numbers_from_groups_of_any_size() -> None:
    table, places = rows(40), np.array([0, 6, 7, 8, 39])
    for group_rows, n_groups in ((7, 6), (14, 3), (ROWS_PER_GROUP, 1)):
        content = written(table, 7, group_rows=group_rows)
        assert pq.read_metadata(io.BytesIO(content)).num_row_groups == n_groups
        assert opened(content).take(places).equals(table.take(places))
        assert opened(content).take(places[:0]).equals(table.slice(0, 0))
        assert opened(content).root == opened(written(table, 7)).root


def test_the_root_tells_order_and_values_apart() -> None:
    one, other = rows(3), rows(3, first=3)
    roots = {
        opened(written(pa.concat_tables(parts), 3)).root for parts in ([one, other], [other, one], [one, one], [one])
    }
    assert len(roots) == 4


def test_columns_that_are_left_out_may_change() -> None:
    table = rows(6)
    moved = table.set_column(3, "place", pa.array(["elsewhere"] * 6))
    files = [opened(written(one, 3, ["place"]), left_out=["place"]) for one in (table, moved)]
    assert files[0].root == files[1].root
    assert files[1].read().equals(moved)


@pytest.mark.parametrize("block_rows", [4, 3000, ROWS_PER_GROUP])
def test_rows_are_selected_by_a_column(block_rows: int) -> None:
    table = pa.table({"name": [f"{i // 3:05d}" for i in range(20_000)], "number": range(20_000)})
    file = opened(written(table, block_rows), table.schema)
    for names in (["00000"], ["04321", "00007", "06666"], ["00001"] * 2):
        expected = [row for row in table.to_pylist() if row["name"] in names]
        assert file.select("name", names).to_pylist() == expected
    assert file.select("name", []).equals(table.slice(0, 0))
    with pytest.raises(InputError, match="no name nobody"):
        file.select("name", ["00000", "nobody"])


def by_blocks(file: ProvenFile) -> pa.Table:
    return pa.concat_tables([file.block(i) for i in range(len(file))])


def by_name(file: ProvenFile) -> pa.Table:
    names = [name for name in rows(10)["name"].to_pylist() if name]
    return file.select("name", names)


@pytest.mark.parametrize("read", [ProvenFile.read, by_blocks, by_name])
def test_no_flipped_bit_gives_another_table(read: Callable[[ProvenFile], pa.Table]) -> None:
    """Every third byte, and so pages, statistics, digests and schema."""
    table = read(opened(written(rows(10), 4)))
    content = written(rows(10), 4)
    root, refused = opened(content).root, 0
    for at in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        try:
            file = opened(bytes(damaged))
            found = read(file)
        except InputError:
            refused += 1
        else:
            assert found.equals(table), at
            assert file.root == root, at
    assert refused > len(content) / 3 / 2


def test_no_part_of_a_file_is_read() -> None:
    content = written(rows(10), 4)
    for end in range(0, len(content), 5):
        with pytest.raises(InputError, match=r"the file(.|\n)*restore the file from a copy, or make it again"):
            opened(content[:end])


def forged(blocks: Sequence[pa.Table], **changes: Any) -> bytes:
    """A whole Parquet file with the footer of the ten rows in blocks of four, but for what is changed."""
    true = pq.read_metadata(io.BytesIO(written(rows(10), 4))).metadata
    claims = json.loads(true[b"miex.blocks"]) | changes
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, blocks[0].schema) as writer:
        writer.write_table(pa.concat_tables(blocks))
        writer.add_key_value_metadata({"miex.blocks": json.dumps(claims)})
    return sink.getvalue()


A, B, C = (rows(10).slice(i, 4) for i in (0, 4, 8))


def test_the_forger_can_write_the_true_file() -> None:
    assert opened(forged([A, B, C])).read().equals(rows(10))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (forged([B, A, C]), "of rows 0 to 3"),
        (forged([A, B, rows(2, first=20)]), "of rows 8 to 9"),
        (forged([A, B]), "3 digests for 8 rows"),
        (forged([A, B, C], rows=3), "3 digests for 10 rows"),
        (forged([A, B, C], rows=5, digests=["0" * 64] * 2), "of rows 0 to 4"),
        (forged([A, B, C], rows=0), "3 digests for 10 rows"),
        (forged([A, B, C], group=0), "3 digests for 10 rows"),
        (forged([A, B, C], digests=None), "NoneType"),
        (forged([table.drop_columns("name") for table in (A, B, C)]), "other columns"),
        (forged([table.select(["number", "name", "aus", "place"]) for table in (A, B, C)]), "other columns"),
    ],
)
def test_files_that_claim_another_ones_digests_are_refused(content: bytes, found: str) -> None:
    with pytest.raises(InputError, match=found):
        opened(content).read()


def test_a_parquet_file_of_somebody_else_is_refused() -> None:
    sink = io.BytesIO()
    pq.write_table(rows(4), sink)
    with pytest.raises(InputError, match="a whole file, as miex wrote it"):
        opened(sink.getvalue())


def test_a_file_that_is_replaced_is_not_taken_for_the_first() -> None:
    """Its footer was read before."""
    content = [written(rows(10), 4)]
    file = ProvenFile(lambda: io.BytesIO(content[0]), SCHEMA, "the file")
    content[0] = written(rows(10, first=10), 4)
    with pytest.raises(InputError):
        file.block(0)
    with pytest.raises(InputError):
        file.read()


def test_nothing_stays_open() -> None:
    content, files = written(rows(10), 4, group_rows=8), list[BinaryIO]()

    def open_file() -> BinaryIO:
        files.append(io.BytesIO(content))
        return files[-1]

    file = ProvenFile(open_file, SCHEMA, "the file")
    blocks = file.blocks()
    next(blocks)
    file.block(2)
    assert len(files) == 3
    file.block(2)
    assert len(files) == 3  # the group that was read last is kept
    file.block(1)
    assert len(files) == 4
    assert all(one.closed for one in files)
