"""Parquet files that are verified as they are read: the footer holds a digest of each block of rows."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from miex.errors import InputError
from miex.stable import Hashable, json_of, prove_footer, prove_pages, table_digest
from miex.storage.base import Draft

if TYPE_CHECKING:
    from miex.unpacked import Chunk

ROWS_PER_GROUP = (
    8192  # about; small enough to read one for a block, large enough for the footer of 10⁷ rows to stay small
)
_KEY = b"miex.blocks"


def root_of(digests: Iterable[str]) -> str:
    """The digest of a whole file: that of the digests of its blocks."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def write_blocks(
    sink: BinaryIO | Draft,
    blocks: Iterable[pa.Table],
    schema: pa.Schema,
    *,
    block_rows: int,
    group_rows: int = ROWS_PER_GROUP,
    left_out: Collection[str] = (),
    told: Callable[[], Mapping[str, Any]] = dict,
) -> str:
    """Write blocks one after the other, in constant memory.

    Args:
        sink: the file.
        blocks: tables of the schema, each of `block_rows` rows but for the last.
        group_rows: about as many are read at once.
        left_out: columns that the digests do not cover.
        told: gives what else the footer says, JSON values; called when all blocks are written.

    Returns:
        The digest of the whole.
    """
    digests: list[str] = []
    waiting: list[pa.Table] = []
    group = block_rows * max(1, group_rows // block_rows)
    with pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True) as writer:

        def flush() -> None:
            if waiting:
                writer.write_table(pa.concat_tables(waiting), row_group_size=group)
                waiting.clear()

        for block in blocks:
            digests.append(table_digest(block, left_out))
            waiting.append(block)
            if len(waiting) * block_rows >= group:
                flush()
        flush()
        writer.add_key_value_metadata(
            {_KEY.decode(): json.dumps({"rows": block_rows, "group": group, "digests": digests, "told": told()})}
        )
    return root_of(digests)


class ProvenFile:
    """A file that `write_blocks` wrote, read block by block; nothing stays open between two reads.

    The row group that was read last is kept, as who reads a block often asks for its neighbor next; and so are columns
    that `select` looks through.

    Attributes:
        n_rows: of the file.
        block_rows: of each block but the last.
        root: the digest that its footer claims.
        told: what else its footer says; whoever relies on it compares it with another file.

    Raises:
        InputError: something else, or other columns.
    """

    def __init__(
        self, open_file: Callable[[], BinaryIO], schema: pa.Schema, where: str, *, left_out: Collection[str] = ()
    ) -> None:
        self._open, self._where, self._schema, self._left_out = open_file, where, schema, left_out
        self._groups: list[list[Chunk]] = []
        self._kept: tuple[int, pa.Table, Hashable] | None = None
        self._columns: dict[str, pa.ChunkedArray] = {}
        try:
            with open_file() as file:
                self._footer = pq.read_metadata(file)
                prove_footer(self._footer, file.seek(0, io.SEEK_END))
            found = json_of((self._footer.metadata or {})[_KEY])
            self.block_rows, self._group = int(found["rows"]), int(found["group"])
            self._digests = [str(digest) for digest in found["digests"]]
            self.told = dict(found["told"])
            self.n_rows = int(self._footer.num_rows)
            there = self._footer.schema.to_arrow_schema()
        except (OSError, pa.ArrowException, ValueError, KeyError, TypeError, OverflowError) as error:
            raise self._wrong(str(error) or type(error).__name__) from error
        if not there.equals(schema):
            raise self._wrong("other columns: it is of another version")
        if self.block_rows < 1 or self._group < 1 or len(self._digests) != -(-self.n_rows // self.block_rows):
            raise self._wrong(f"{len(self._digests)} digests for {self.n_rows} rows")
        self.root = root_of(self._digests)

    def __len__(self) -> int:
        """How many blocks."""
        return len(self._digests)

    def block(self, number: int) -> pa.Table:
        """The rows of a block, verified. Raises InputError if they are not what was written."""
        return next(self._proven(number // self._per_group, [number]))[0]

    @property
    def group_rows(self) -> int:
        """Rows of each row group but the last: what is read at once."""
        return self._group

    def group(self, number: int) -> pa.Table:
        """The rows of a row group, verified. Raises InputError if they are not what was written."""
        return pa.concat_tables([rows for rows, _ in self._proven(number, self._blocks_of(number))])

    def blocks(self) -> Iterator[pa.Table]:
        """All blocks in order, each verified."""
        return (rows for rows, _ in self.beginnings(0))

    def beginnings(self, first_columns: int) -> Iterator[tuple[pa.Table, str]]:
        """All blocks in order, each verified, and the digest that its first columns alone, that many, have."""
        for group in range(-(-len(self) // self._per_group)):
            yield from self._proven(group, self._blocks_of(group), first_columns)

    def read(self) -> pa.Table:
        """All rows, verified."""
        return pa.concat_tables([self._schema.empty_table(), *self.blocks()])

    def select(self, column: str, values: Collection[str]) -> pa.Table:
        """The rows in which a column has one of the values, verified. Of other rows little but this column is read.

        Raises:
            InputError: a block is not what was written, or a value is not there.
        """
        wanted = pa.array(sorted(set(values)), pa.string())
        # not by statistics: of a damaged footer they end the process
        if column not in self._columns:
            self._columns[column] = self._read(None, [column])[column]
        places = np.flatnonzero(pc.is_in(self._columns[column], wanted))
        chosen = self.take(places)
        chosen = chosen.filter(pc.is_in(chosen[column], wanted))
        missing = wanted.filter(pc.invert(pc.is_in(wanted, chosen[column].combine_chunks())))
        if len(missing):
            raise self._wrong(f"no {column} {missing[0].as_py()}")
        return chosen

    def take(self, places: npt.NDArray[np.int64]) -> pa.Table:
        """Rows by their numbers, which ascend; verified, and each row group is read once.

        Raises:
            InputError: a block is not what was written.
        """
        found = [self._schema.empty_table()]
        wanted = np.unique(places // self.block_rows).tolist()
        for group, blocks in groupby(wanted, lambda number: number // self._per_group):
            numbers = list(blocks)
            for number, (rows, _) in zip(numbers, self._proven(group, numbers), strict=True):
                found.append(rows.take(places[places // self.block_rows == number] - number * self.block_rows))
        return pa.concat_tables(found)

    @property
    def _per_group(self) -> int:
        return max(1, self._group // self.block_rows)

    def _blocks_of(self, group: int) -> Sequence[int]:
        first = group * self._per_group
        return range(first, min(first + self._per_group, len(self)))

    def _read(self, groups: list[int] | None, columns: list[str] | None = None) -> pa.Table:
        from miex.unpacked import groups_of  # `import miex.dataset` does without

        try:
            with self._open() as file:
                self._groups = self._groups or groups_of(file)
                read = self._groups if groups is None else [self._groups[group] for group in groups]
                prove_pages(file, (chunk for chunk in chain(*read) if columns is None or chunk.column in columns))
                opened = pq.ParquetFile(file, metadata=self._footer, page_checksum_verification=True)
                return opened.read(columns) if groups is None else opened.read_row_groups(groups, columns)
        except (OSError, pa.ArrowException, ValueError, IndexError) as error:
            raise self._wrong(str(error)) from error

    def _proven(self, group: int, numbers: Iterable[int], first_columns: int = 0) -> Iterator[tuple[pa.Table, str]]:
        """Blocks that lie in a row group, verified, and the digest that the first columns of each have."""
        kept, before = self._kept, group * self._per_group * self.block_rows  # others may read at the same time
        if kept is None or kept[0] != group:
            kept = self._kept = None  # frees it before more memory is taken
            table = self._read([group]).cast(self._schema)  # Parquet has other names for what lists hold
            kept = self._kept = group, table, Hashable(table, self._left_out)
        _, table, hashable = kept
        for number in numbers:
            first = min(number * self.block_rows - before, table.num_rows)
            last = min(first + self.block_rows, table.num_rows)
            yield table.slice(first, last - first), self._prove(number, hashable, first, last, first_columns)

    def _prove(self, number: int, hashable: Hashable, first: int, last: int, first_columns: int) -> str:
        beginning, found = hashable.digests(first, last, first_columns)
        if found != self._digests[number]:
            row = number * self.block_rows
            raise self._wrong(
                f"digest {found[:12]}… of rows {row} to {row + last - first - 1}",
                expected=f"digest {self._digests[number][:12]}…",
            )
        return beginning

    def _wrong(self, found: str, expected: str = "") -> InputError:
        return InputError(
            self._where,
            expected=expected or "a whole file, as miex wrote it",
            found=found.splitlines()[0],
            do="restore the file from a copy, or make it again: it was damaged or changed after it was written",
        )
