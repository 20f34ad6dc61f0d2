"""What a Parquet file unpacks to, told by the headers of its pages, before memory is taken for it.

Its footer alone does not tell: values that repeat take no bytes in a page, and Arrow reads what a page holds, not what
the footer says of it. Format: Apache Parquet, PageHeader in parquet.thrift, in Thrift's compact protocol.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

_WINDOWS = (256, 2**16, 2**24)  # bytes in which a header is looked for; Arrow reads none that is longer
_WIDTHS, _TEXTS = {0: 1, 1: 4, 4: 4}, 6  # bytes of a value by its type; of others 8, or as their dictionary says
_LEVELS = 4  # bytes of a value beside itself: whether a list begins there, and whether it is null
_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3  # types of pages
_OWN_HEADERS = {_DATA: 5, _DICTIONARY: 7, _DATA_2: 8}  # fields of their headers
_STRUCT, _DEPTH = 12, 8  # kind of a value in Thrift; how deeply values are nested
_PREFIXES = 7  # DELTA_BYTE_ARRAY: a text may begin with all of the one before
_LITTLE, _LARGE_DICTIONARY = 2**16, 2**26  # bytes for which no dictionary is unpacked; writers end it at about 2**20
_CODECS = ("zstd", "snappy", "gzip", "brotli", "lz4_raw")


class Chunk(NamedTuple):
    """Where the pages of a column lie that belong to one group of rows.

    Attributes:
        column: its name; that of the outermost one, if it is nested.
        kind: the type of its values, a number of Parquet.
        values: how many it says that it has.
        start, end: its first byte in the file, and the one after its last.
    """

    column: str
    kind: int
    values: int
    start: int
    end: int


def groups_of(file: BinaryIO) -> list[list[Chunk]]:
    """The columns of every group of rows of a Parquet file. (Arrow ends the process where what they say is odd.)

    Raises:
        ValueError: its footer is none.
    """
    file.seek(-8, io.SEEK_END)
    size = int.from_bytes(file.read(4), "little")
    file.seek(-8 - size, io.SEEK_END)
    try:
        footer, _ = _value(file.read(size), 0, _STRUCT, 0)
        return [[_chunk(column[3]) for column in group[1]] for group in footer[4]]
    except (IndexError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError("a footer that is none") from error


def _chunk(facts: dict[int, Any]) -> Chunk:
    start = min(facts[9], facts.get(11) or facts[9])  # its data, and before them its dictionary
    return Chunk(facts[3][0].decode(), int(facts[1]), int(facts[5]), start, start + facts[7])


def unpacked(file: BinaryIO, chunks: Iterable[Chunk]) -> tuple[int, int]:
    """Bytes that the pages of columns have in a file, and about as many as reading them takes of memory.

    Raises:
        ValueError: their pages are no pages, or not all there.
    """
    packed = taken = 0
    try:
        for chunk in chunks:
            held, takes = _of_chunk(file, chunk)
            packed, taken = packed + held, taken + takes
    except (AttributeError, KeyError, TypeError, OverflowError) as error:
        raise ValueError("a page whose header is none") from error
    return packed, taken


def _of_chunk(file: BinaryIO, chunk: Chunk) -> tuple[int, int]:
    texts, width = chunk.kind == _TEXTS, _WIDTHS.get(chunk.kind, 8)
    at, left = chunk.start, chunk.values
    taken, dictionary = 0, None
    while left > 0:
        if not 0 <= at < chunk.end:
            raise ValueError("pages that are not all there")
        header, at = _header(file, at)
        kind, size, packed = (_natural(header.get(field)) for field in (1, 2, 3))
        taken += size
        if kind not in _OWN_HEADERS:  # an index, which Arrow skips
            at += packed
            continue
        inner = header[_OWN_HEADERS[kind]]
        n = _natural(inner.get(1))
        if kind == _DICTIONARY:
            width = size if texts else max(width, size // max(1, n))
            dictionary = (at, packed, size) if texts else None
        else:
            if dictionary and taken + n * width > _LITTLE:
                width, dictionary = _longest(file, *dictionary), None
            prefixed = texts and inner.get(2 if kind == _DATA else 4) == _PREFIXES
            taken += n * (_LEVELS + (size if prefixed else width))
            left -= n
        at += packed
    return at - chunk.start, taken


def _longest(file: BinaryIO, at: int, packed: int, size: int) -> int:
    """Bytes of the longest text of a dictionary, whatever it is packed with; of one that is large, of all."""
    file.seek(at)
    content = file.read(packed)
    if size > _LARGE_DICTIONARY:
        return size
    found = [_longest_of(content)] if packed == size else []
    for codec in _CODECS:
        with suppress(OSError, ValueError):
            found.append(_longest_of(pa.decompress(content, size, codec, asbytes=True)))
    return max(found, default=size)


def _longest_of(texts: bytes) -> int:
    place = longest = 0
    while place + 4 <= len(texts):
        length = int.from_bytes(texts[place : place + 4], "little")
        longest, place = max(longest, length), place + 4 + length
    return longest


def _header(file: BinaryIO, at: int) -> tuple[dict[int, Any], int]:
    """The header of the page that begins there, fields by their ids, and where it ends."""
    for window in _WINDOWS:
        file.seek(at)
        with suppress(IndexError):
            fields, size = _value(file.read(window), 0, _STRUCT, 0)
            return fields, at + size
    raise ValueError("a page without a header")


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    """A value of Thrift, and where it ends. Raises IndexError if the bytes end before it."""
    if kind in (1, 2):  # true, false: their type is all of them
        return kind == 1, at
    if kind in (4, 5, 6):
        return _number(data, at)
    if kind == 8:
        size, at = _varint(data, at)
        return data[at : at + size], at + size
    if depth > _DEPTH:
        raise ValueError("nested too deeply")
    if kind == _STRUCT:
        fields: dict[int, Any] = {}
        field = 0
        while head := data[at]:
            field, inner, at = _field(data, head, field, at)
            fields[field], at = _value(data, at, inner, depth + 1)
        return fields, at + 1
    if kind in (9, 10):
        n, inner, at = _list(data, at)
        items = []
        for _ in range(n):
            item, at = (data[at], at + 1) if inner in (1, 2) else _value(data, at, inner, depth + 1)
            items.append(item)
        return items, at
    if kind in (3, 7):
        size = 1 if kind == 3 else 8
        return data[at : at + size], at + size
    raise ValueError("a kind of value that Parquet has not")


def _field(data: bytes, head: int, before: int, at: int) -> tuple[int, int, int]:
    """Id and kind of the field that begins there, and where its value begins."""
    if step := head >> 4:
        return before + step, head & 15, at + 1
    field, at = _number(data, at + 1)
    return field, head & 15, at


def _list(data: bytes, at: int) -> tuple[int, int, int]:
    """How many items a list has, of which kind, and where they begin."""
    n, kind, at = data[at] >> 4, data[at] & 15, at + 1
    if n == 15:
        n, at = _varint(data, at)
    if n > len(data):  # each has a byte or more
        raise ValueError("a list that is longer than its file")
    return n, kind, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _number(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _natural(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("a page whose header is none")
    return value
