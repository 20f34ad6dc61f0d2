"""Hashes, JSON, digests and bytes of tables that are the same in every process and on every machine."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import struct
import sys
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.lib import Type_FIXED_SIZE_LIST, Type_LIST, Type_STRING

if TYPE_CHECKING:
    from miex.unpacked import Chunk

# under two keys, so that a flipped bit in one does not make the file one that never had a digest
_DIGESTS = (b"miex.digest", b"miex.digest.again")
_ZIP_END = struct.Struct("<4s6xH10x")  # its mark, and how many files there are
_LENGTHS = frozenset({Type_STRING, Type_LIST, Type_FIXED_SIZE_LIST})
_FORMS: dict[int, np.dtype[Any]] = {  # of numbers whose bytes Arrow and numpy have in common
    pa.from_numpy_dtype(form).id: np.dtype(form)
    for form in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8")
}
_LONE = re.compile("[\ud800-\udfff]")  # what JSON and numpy may hold, and UTF-8 does not
MOST_BYTES = 64 * 2**20  # of a JSON file: a record of 200,000 samples
MOST_DEPTH = 64  # of lists and objects in each other; Python ends at a depth that depends on who calls
DEEP = f"lists or objects that are nested deeper than {MOST_DEPTH}"
MOST_UNPACKED, MOST_RATIO = 256 * 2**20, 100  # bytes, or so many times the size of its file: whichever is more


def stable_hash(*parts: object) -> int:
    """64 bits that depend on the parts' text alone: the same in every process, on every machine."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def sample_rng(seed: int, use: str) -> np.random.Generator:
    """The randomness of one sample for one use, by its name ("aus", "timing", "noise" …): no use disturbs another, and
    a new one leaves all others as they were."""
    return np.random.Generator(np.random.PCG64(stable_hash(seed, use)))


def sample_rngs(seeds: Iterable[int], use: str) -> Iterator[np.random.Generator]:
    """`sample_rng` of each seed, three times as fast: numpy takes longer to seed a generator than samples to be drawn.

    It is one generator, which is set to what the next seed gives when the next is asked for.
    """
    bits = np.random.PCG64(0)
    rng = np.random.Generator(bits)
    for a, b, c, d in _spread([stable_hash(seed, use) for seed in seeds]).tolist():
        step = (c << 65 | d << 1 | 1) & _PCG_MOST
        state = ((step + (a << 64 | b)) * _PCG_FACTOR + step) & _PCG_MOST
        bits.state = {
            "bit_generator": "PCG64", "state": {"state": state, "inc": step}, "has_uint32": 0, "uinteger": 0
        }  # fmt: skip
        yield rng


# How numpy seeds PCG64: by the published constants of the generator (M. E. O'Neill, PCG: A Family of Simple Fast
# Space-Efficient Statistically Good Algorithms for Random Number Generation, 2014) and of numpy.random.SeedSequence
_PCG_FACTOR, _PCG_MOST = 0x2360ED051FC65DA44385DF649FCCF645, 2**128 - 1
_POOL = 4  # words of 32 bits that a seed is spread over
_LEFT, _RIGHT, _HALF = np.uint32(0xCA01F9DD), np.uint32(0x4973F715), np.uint32(16)
Words = npt.NDArray[np.uint32]


def _multipliers(first: int, factor: int, n: int) -> Words:
    """Those of so many words in a row, and the one behind: uint32 [n + 1, 1]."""
    return np.array([[first * factor**i % 2**32] for i in range(n + 1)], np.uint32)


_INTO_POOL = _multipliers(0x43B0D7E5, 0x931E8875, _POOL**2)
_OUT_OF_POOL = _multipliers(0x8B51F9DD, 0x58F38DED, 2 * _POOL)


def _spread(seeds: Sequence[int]) -> npt.NDArray[np.uint64]:
    """What `SeedSequence(seed).generate_state(4, np.uint64)` gives for each seed of 64 bits, uint64 [n, 4]."""
    words = np.array(seeds, "<u8").view("<u4").astype(np.uint32).reshape(-1, 2).T
    pool = _stirred(np.concatenate([words, np.zeros_like(words)]), _INTO_POOL[: _POOL + 1])
    for source in range(_POOL):
        others, used = [i for i in range(_POOL) if i != source], _POOL + source * (_POOL - 1)
        mixed = _LEFT * pool[others] - _RIGHT * _stirred(pool[source], _INTO_POOL[used : used + _POOL])
        pool[others] = mixed ^ mixed >> _HALF
    spread = _stirred(np.concatenate([pool, pool]), _OUT_OF_POOL)
    return np.ascontiguousarray(spread.T, "<u4").view("<u8").astype(np.uint64)


def _stirred(words: Words, multipliers: Words) -> Words:
    """Words [n, seeds], each hashed by its multiplier and the next one of [n + 1, 1]."""
    words = (words ^ multipliers[:-1]) * multipliers[1:]
    return np.asarray(words ^ words >> _HALF)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def json_digest(value: Any) -> str:
    """sha256 of a value's canonical JSON. Raises ValueError for what JSON does not know (NaN)."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def table_digest(table: pa.Table, left_out: Collection[str] = ()) -> str:
    """sha256 that depends on names, types and values alone: not on chunks, Arrow's layout, or the library's version."""
    return Hashable(table, left_out).digests(0, table.num_rows)[1]


class Hashable:
    """A table whose rows can be hashed from any row to any other; what this takes for each column is done once.

    Arrow takes several times as long as sha256 to give out what lies in a few hundred rows, and every reader of a set
    waits for this.
    """

    def __init__(self, table: pa.Table, left_out: Collection[str] = ()) -> None:
        self._columns: list[tuple[str, _Values] | None] = []
        for field, column in zip(table.schema, table.columns, strict=True):
            one = column.num_chunks == 1  # and is hashed where it lies
            array = column.chunk(0) if one else pa.concat_arrays([pa.array([], field.type), *column.chunks])
            self._columns.append(None if field.name in left_out else (f"\0{field.name}:{field.type}:", _Values(array)))

    def digests(self, first: int, last: int, beginning: int = 0) -> tuple[str, str]:
        """`table_digest` of the first columns, that many, of these rows (first ≤ row < last), and of all columns, which
        are hashed once."""
        digest, begun = hashlib.sha256(), ""
        for i, column in enumerate(self._columns):
            if i == beginning:
                begun = digest.hexdigest()
            if column:
                head, values = column
                digest.update(f"{head}{last - first}\0".encode())
                values.hash(digest, first, last)
        return begun, digest.hexdigest()


class _Values:
    """An array, ready to be hashed from any of its rows to any other."""

    def __init__(self, array: pa.Array) -> None:
        n, kind, nulls = len(array), array.type, array.null_count
        self._missing = bool(nulls) if nulls in (0, n) else array.is_null().to_numpy(zero_copy_only=False)
        self._inside: _Values | memoryview | None = None
        if kind.id in _LENGTHS:
            self._values, inside = _inside(array)
            self._ends = np.concatenate([[0], np.cumsum(self._values)])
            self._inside = _Values(inside) if isinstance(inside, pa.Array) else inside
            return
        self._values = _numbers(array)

    def hash(self, digest: Any, first: int, last: int) -> None:
        """Hash which rows are missing; the values, or the lengths of texts and lists; and what is in these."""
        missing = self._missing
        digest.update(_bits(missing, last - first) if isinstance(missing, bool) else np.packbits(missing[first:last]))
        digest.update(self._values[first:last])
        if self._inside is None:
            return
        start, end = int(self._ends[first]), int(self._ends[last])
        if isinstance(self._inside, _Values):
            self._inside.hash(digest, start, end)
        else:
            digest.update(self._inside[start:end])


def _numbers(array: pa.Array) -> np.ndarray:
    """The values, in the order of bytes of most machines; 0 where there is none."""
    n, kind, nulls = len(array), array.type, array.null_count
    form = _FORMS.get(kind.id)
    if form is None or sys.byteorder == "big":
        # which raises an error for types without a zero
        array = array.fill_null(False if pa.types.is_boolean(kind) else 0)
        values = array.to_numpy(zero_copy_only=False)
        return np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    if nulls == n:
        return np.zeros(n, form)
    values = np.frombuffer(array.buffers()[1], form, n, array.offset * form.itemsize)
    return np.where(array.is_valid().to_numpy(zero_copy_only=False), values, form.type(0)) if nulls else values


@lru_cache(64)
def _bits(bit: bool, n: int) -> bytes:
    """The same bit n times."""
    return np.packbits(np.full(n, bit)).tobytes()


def _inside(array: pa.Array) -> tuple[np.ndarray, pa.Array | memoryview]:
    """Lengths of texts (in UTF-8) or lists, "<i8" [n], 0 where there is none; and what is in them, end to end."""
    n, kind = len(array), array.type
    lengths = np.zeros(n, "<i8")
    if array.null_count == n:
        return lengths, memoryview(b"") if kind.id == Type_STRING else pa.array([], kind.value_type)
    if array.null_count:
        there, inside = _inside(array.drop_null())
        lengths[array.is_valid().to_numpy(zero_copy_only=False)] = there
        return lengths, inside
    if kind.id == Type_FIXED_SIZE_LIST:
        return np.full(n, kind.list_size, "<i8"), array.flatten()
    buffers = array.buffers()
    offsets = np.frombuffer(buffers[1], np.int32)[array.offset : array.offset + n + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    inside = (
        memoryview(buffers[2] or b"")[first:last] if kind.id == Type_STRING else array.values.slice(first, last - first)
    )
    return np.diff(offsets).astype("<i8"), inside


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as a Parquet file that holds the digest of its rows and of its metadata."""
    # what was read by other means brings the digest of its file along
    meta = {key: value for key, value in (table.schema.metadata or {}).items() if key not in _DIGESTS}
    sink = io.BytesIO()
    proven = table.replace_schema_metadata({**meta, **dict.fromkeys(_DIGESTS, _proof(table, meta).encode())})
    pq.write_table(proven, sink, compression="zstd", row_group_size=max(1, table.num_rows), write_page_checksum=True)
    return sink.getvalue()


def within(size: int, most: int = MOST_BYTES) -> None:
    """Raises ValueError for more bytes than are read."""
    if size > most:
        raise ValueError(f"{size:,} bytes, and at most {most:,} are read")


def json_of(content: bytes | str) -> Any:
    """The value of a JSON text. Raises ValueError if it is none, holds NaN, a number of more than 64 bits or half of a
    surrogate pair, or is nested deeper than MOST_DEPTH."""
    try:
        return shallow(json.loads(content, parse_constant=_no_number))
    except RecursionError:
        raise ValueError(DEEP) from None


def object_of(content: bytes | str) -> dict[str, Any]:
    """The values of a JSON object. Raises ValueError if the text is none, as `json_of` does."""
    found = json_of(content)
    if not isinstance(found, dict):
        raise ValueError(f"{_short(found)}, which is no object")
    return found


def prove_sealed(record: dict[str, Any]) -> None:
    """Take `digest` from a record. Raises ValueError if it is not the digest of the rest."""
    if "digest" not in record:
        raise ValueError("no digest of its own")
    digest = record.pop("digest")
    if json_digest(record) != digest:
        raise ValueError("it does not match its own digest")


def shallow(value: Any) -> Any:
    """The value. Raises ValueError if it is nested deeper than MOST_DEPTH, or holds a number of more than 64 bits or a
    text with half of a surrogate pair, which no file can be written with."""
    level: list[Any] = [[value]]
    for _ in range(MOST_DEPTH + 1):
        inside = [one for held in level for one in (held.values() if isinstance(held, dict) else held)]
        numbers = [one for one in inside if isinstance(one, int)]
        if numbers and not (min(numbers) >= -(2**63) and max(numbers) < 2**64):
            raise ValueError("a number of more than 64 bits")
        texts = [one for one in inside if isinstance(one, str)]
        texts += dict.fromkeys(chain.from_iterable(held for held in level if isinstance(held, dict)))
        if odd := next((one for one in texts if not one.isascii() and _LONE.search(one)), ""):
            raise ValueError(f"{odd!r}, which is no text")
        level = [one for one in inside if isinstance(one, dict | list)]
        if not level:
            return value
    raise ValueError(DEEP)


def _no_number(text: str) -> None:
    raise ValueError(f"{text}, which is no number")


def within_file(claimed: int, size: int) -> None:
    """Raises ValueError where a file of `size` bytes claims that far more are in it than what is packed well has."""
    if claimed > max(MOST_UNPACKED, MOST_RATIO * size):
        raise ValueError(f"it claims {claimed:,} bytes, and has {size:,}")


def parquet_table(content: bytes) -> pa.Table:
    """The table of a Parquet file, with its metadata; proven, if `parquet_bytes` wrote it.

    Raises:
        ValueError: the rows are not those that were written, a column stands twice, or more values are claimed than
            such a file holds. Other errors of Arrow and OSError: it is no Parquet file.
    """
    from miex.unpacked import groups_of  # who only writes does without

    # not by the dataset reader, which goes by statistics: of a damaged footer they end the process
    stream = io.BytesIO(content)
    file = pq.ParquetFile(stream, page_checksum_verification=True)
    prove_footer(file.metadata, len(content))
    prove_pages(stream, chain.from_iterable(groups_of(stream)))
    table = file.read()
    meta: dict[bytes, bytes] = dict(table.schema.metadata or {})
    stated = {meta.pop(key, None) for key in _DIGESTS}
    table = table.replace_schema_metadata(meta)
    # a damaged footer can hide all metadata, so the bytes are asked whether there was a digest
    if any(key in content for key in _DIGESTS) and stated != {_proof(table, meta).encode()}:
        raise ValueError("its rows do not match its digest: it was damaged or changed after it was written")
    return table


def prove_footer(footer: pq.FileMetaData, size: int) -> None:
    """Raises ValueError if the footer of a Parquet file of that size in bytes claims more than it holds."""
    names = footer.schema.to_arrow_schema().names
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"column {twice!r} twice")
    # not by what it says of column chunks: of a damaged footer that ends the process
    within_file(8 * footer.num_rows * footer.num_columns, size)


def prove_pages(file: BinaryIO, chunks: Iterable[Chunk]) -> None:
    """Raises ValueError if reading these parts of a Parquet file takes far more memory than what is packed well."""
    from miex.unpacked import unpacked

    packed, taken = unpacked(file, chunks)
    within_file(taken, min(packed, file.seek(0, io.SEEK_END)))


def _proof(table: pa.Table, meta: Mapping[bytes, bytes]) -> str:
    told = {key.decode("latin-1"): value.decode("latin-1") for key, value in meta.items()}
    return json_digest({"rows": table_digest(_as_read(table)), "metadata": told})


def _as_read(table: pa.Table) -> pa.Table:
    """The table with one name for what lists hold, whatever Parquet calls it."""

    def named(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_fixed_size_list(kind):
            return pa.list_(named(kind.value_type), kind.list_size)
        return pa.list_(named(kind.value_type)) if pa.types.is_list(kind) else kind

    return table.cast(pa.schema([(field.name, named(field.type)) for field in table.schema]))


def npz_arrays(content: BinaryIO | bytes, *names: str) -> dict[str, np.ndarray]:
    """The arrays of these names that an .npz holds; by default all. Whatever is read is proven by the checksums of zip.

    numpy alone reads as many bytes as the shape of an array asks for, and sees no checksum of the rest.

    Raises:
        ValueError: they claim more bytes than such a file holds. ValueError, OSError, zipfile.BadZipFile, and what else
            zip and numpy have for damaged files.
    """
    arrays, stream = {}, io.BytesIO(content) if isinstance(content, bytes) else content
    size = stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream) as file:
        stream.seek(-_ZIP_END.size, io.SEEK_END)
        mark, n = _ZIP_END.unpack(stream.read(_ZIP_END.size))
        if mark == b"PK\5\6" and n not in (len(file.infolist()), 0xFFFF):  # zipfile skips what a damaged length hides
            raise ValueError(f"{len(file.infolist())} arrays, where its end says {n}")
        there = [(info.filename.removesuffix(".npy"), info) for info in file.infolist()]
        within_file(sum(info.file_size for name, info in there if name in names or not names), size)
        for name, info in there:
            with file.open(info) as member:  # which compares the two names that it has
                if names and name not in names:
                    continue
                whole = io.BytesIO(member.read())
            _prove_header(name, whole, info.file_size)
            arrays[name] = np.lib.format.read_array(whole, allow_pickle=False)
            _prove_texts(name, arrays[name])
            if whole.read(1):
                raise ValueError(f"{name} holds more than its shape says")
    return arrays


def _prove_header(name: str, array: io.BytesIO, size: int) -> None:
    version = np.lib.format.read_magic(array)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"{name} is an array of version {version}")
    shape, _, dtype = read(array)
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"{name} claims {dtype} {list(shape)}, and has {size:,} bytes")
    array.seek(0)


def _prove_texts(name: str, array: np.ndarray) -> None:
    """Raises ValueError for an array of structures, and for texts that are none in Python or in UTF-8."""
    if array.dtype.kind == "V":
        raise ValueError(f"{name} is an array of {array.dtype}")
    if array.dtype.kind == "U":
        points = np.frombuffer(array.tobytes(), np.dtype("u4").newbyteorder(array.dtype.byteorder))
        odd = points[(points > 0x10FFFF) | ((points >= 0xD800) & (points <= 0xDFFF))]
        if len(odd):
            raise ValueError(f"{name} holds code point {odd[0]:#x}, which is no character")


def first_difference(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> str:
    """ "expert.mu 0.1 → 0.3": the first entry in which two JSON mappings differ; empty if there is none."""
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found = first_difference(a, b, f"{prefix}{key}.")
            if found:
                return found
        elif a != b:
            return f"{prefix}{key} {_short(a)} → {_short(b)}"
    return ""


def _short(value: Any) -> str:
    text = canonical_json(value)
    return text if len(text) <= 60 else text[:57] + "…"
