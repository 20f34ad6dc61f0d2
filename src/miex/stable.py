"""Hashes, JSON, digests and bytes of tables that are the same in every process and on every machine."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def stable_hash(*parts: object) -> int:
    """64 bits that depend on the parts' text alone: the same in every process, on every machine."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def sample_rng(seed: int, use: str) -> np.random.Generator:
    """The randomness of one sample for one use, by its name ("aus", "timing", "noise" …): no use disturbs another, and
    a new one leaves all others as they were."""
    return np.random.Generator(np.random.PCG64(stable_hash(seed, use)))


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def json_digest(value: Any) -> str:
    """sha256 of a value's canonical JSON. Raises ValueError for what JSON does not know (NaN)."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def table_digest(table: pa.Table, left_out: Collection[str] = ()) -> str:
    """sha256 that depends on names, types and values alone: not on chunks, Arrow's layout, or the library's version."""
    digest = hashlib.sha256()
    for name in table.schema.names:
        if name in left_out:
            continue
        digest.update(f"\0{name}:{table.schema.field(name).type}:{table.num_rows}\0".encode())
        column = table[name]
        _update(digest, pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type))
    return digest.hexdigest()


def _update(digest: Any, array: pa.Array) -> None:
    digest.update(np.packbits(np.asarray(array.is_null().to_numpy(zero_copy_only=False))).tobytes())
    if pa.types.is_list(array.type) or pa.types.is_fixed_size_list(array.type):
        lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        digest.update(np.ascontiguousarray(lengths, "<i8").tobytes())
        _update(digest, array.flatten())
    elif pa.types.is_string(array.type):
        lengths = pc.binary_length(array).fill_null(0).to_numpy(zero_copy_only=False)
        digest.update(np.ascontiguousarray(lengths, "<i8").tobytes())
        digest.update("".join(array.drop_null().to_pylist()).encode())
    else:
        values = array.fill_null(False if pa.types.is_boolean(array.type) else 0).to_numpy(zero_copy_only=False)
        kind = values.dtype.newbyteorder("<")
        digest.update(np.ascontiguousarray(values, kind).tobytes())


def parquet_bytes(table: pa.Table, rows_per_group: int) -> bytes:
    """The table as a Parquet file, in groups that can be read one by one."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=rows_per_group)
    return sink.getvalue()


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
