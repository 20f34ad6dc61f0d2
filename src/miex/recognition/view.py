"""Views: the input arrays of examples, stored in files, checked by digest, and read only as far as needed.

A view is sent to other processes as file names, digests and positions, never as pixels.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.corpora.people import person_key
from miex.dataset.schema import ROWS_SCHEMA
from miex.errors import InputError
from miex.images import MAX_BYTES, open_file
from miex.labels import Label
from miex.stable import canonical_json, json_digest, json_of, parquet_bytes, parquet_table, table_digest
from miex.storage.documents import read_bytes
from miex.storage.local import Folder, one_maker

LABELS: Final = tuple(label.name for label in Label)
REAL: Final = "real"  # the source of real frames
ARRAY, ROWS, RECORD = "array.npy", "rows.parquet", "record.json"
FORMAT = 3  # of stored examples: grows when older ones lack what is read
MARKS: Final = pa.field("marks", pa.list_(pa.uint64()))
_STORED: Final = ROWS_SCHEMA.append(MARKS)
_PIECE = 1 << 22  # bytes hashed at a time
_LARGE = 1 << 28  # bytes from which on the pages of a file are given back after each batch

Array = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]
Put = Callable[[int, Array], None]


class Part(Protocol):
    """An array of examples [n, …], their rows (a table of ROWS_SCHEMA), the sha256 of the array, and what marks them.

    The marks of an example are `mark` of its bytes and of the files of its frames.
    """

    @property
    def array(self) -> Array: ...

    @property
    def rows(self) -> pa.Table: ...

    @property
    def digest(self) -> str: ...

    @property
    def marks(self) -> pa.ListArray: ...

    def release(self) -> None:
        """Give back memory that reading took, as far as it can be read again."""
        ...


@dataclass(frozen=True, eq=False)
class InMemory:
    """An array in memory, with its rows; it is pickled with all its values."""

    array: Array
    rows: pa.Table

    @cached_property
    def digest(self) -> str:
        digest = _begun(self.array)
        digest.update(np.ascontiguousarray(self.array).reshape(-1).view(np.uint8).data)
        return str(digest.hexdigest())

    @cached_property
    def marks(self) -> pa.ListArray:
        return pa.array(_marks_of(self.array), MARKS.type)

    def release(self) -> None:
        """Nothing: the array is only here."""


@dataclass(frozen=True)
class Stored:
    """An array stored in a folder, and mapped into memory when it is used. Only these attributes are pickled.

    Attributes:
        folder: its folder.
        digest: sha256 of the array.
        rows_digest: digest of its rows and their marks.
        unread: (position, why) of the examples that could not be read, whose places in the array hold zeros.
    """

    folder: Path
    digest: str
    rows_digest: str
    unread: tuple[tuple[int, str], ...] = ()

    @property
    def array(self) -> Array:
        return self._mapped[0]

    @property
    def rows(self) -> pa.Table:
        return self._table.select(ROWS_SCHEMA.names)

    @property
    def marks(self) -> pa.ListArray:
        return pa.concat_arrays([pa.array([], MARKS.type), *self._table[MARKS.name].chunks])

    def release(self) -> None:
        """Give back the pages of a large file, so that memory stays the same however many examples are read."""
        mapped = self._mapped[1]
        if mapped is not None and len(mapped) > _LARGE and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)

    @property
    def _table(self) -> pa.Table:
        return _table(self.folder / ROWS, self.rows_digest, *_stamp(self.folder / ROWS))

    @property
    def _mapped(self) -> tuple[Array, mmap.mmap | None]:
        return _mapped(self.folder / ARRAY, self.digest, *_stamp(self.folder / ARRAY))


@dataclass(frozen=True, eq=False)
class View:
    """The inputs of examples, as a recognizer takes them.

    Attributes:
        parts: the arrays that hold them, one after the other.
        label_names: names of the classes 0, 1, ….
        picks: positions of the chosen examples in the parts, in order, int64 [n]; None: all.
        given_labels: classes that replace those of the rows, int16 [n]; None: those of the rows.
        skipped: ids of what was left out when the examples were made, because it cannot be read; of the whole data, in
            a view of a part, too.
    """

    parts: tuple[Part, ...]
    label_names: tuple[str, ...] = LABELS
    picks: Positions | None = None
    given_labels: npt.NDArray[np.int16] | None = None
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.picks is None else len(self.picks)

    def __getstate__(self) -> dict[str, Any]:
        # cached properties are not sent: they can be read again
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return tuple(self.parts[0].array.shape[1:])

    @cached_property
    def rows(self) -> pa.Table:
        """Rows of the examples, a table of ROWS_SCHEMA: sample_id, label, source, corpus, subject and photo."""
        table = pa.concat_tables([part.rows for part in self.parts])
        if self.picks is not None:
            table = table.take(self.picks)
        if self.given_labels is None:
            return table
        i = ROWS_SCHEMA.get_field_index("label")
        return table.set_column(i, ROWS_SCHEMA.field(i), pa.array(self.given_labels, ROWS_SCHEMA.field(i).type))

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        """Class of each example, int64 [n]."""
        return np.asarray(self.rows["label"].to_numpy(), np.int64)

    @cached_property
    def digest(self) -> str:
        """sha256 of the examples, their order and rows, and the class names, computed without reading an example.

        A training depends on all of these: leak guard, early stopping and class weights use the columns of the rows.
        """
        parts = [part.digest for part in self.parts]
        behind = table_digest(self.rows, ["label"])
        digest = hashlib.sha256(canonical_json([parts, self.label_names, behind]).encode())
        for numbers in (np.arange(len(self)) if self.picks is None else self.picks, self.labels):
            digest.update(np.ascontiguousarray(numbers, "<i8").tobytes())
        return digest.hexdigest()

    @cached_property
    def marks(self) -> pa.ListArray:
        """What each example holds, for the leak guard (`evaluation.leakage.in_test`): list<uint64> [n].

        The marks of an example are `mark` of its bytes, of the file of each of its frames from onset to offset if it is
        a clip, and of its photo if it is synthetic.
        """
        found = pa.concat_arrays([part.marks for part in self.parts])
        found = found if self.picks is None else found.take(pa.array(self.picks))
        lists = zip(found.to_pylist(), self.rows["photo"].to_pylist(), strict=True)
        return pa.array(
            [marks if photo is None else [*marks, *_mark_of_photo(photo)] for marks, photo in lists], MARKS.type
        )

    @property
    def people(self) -> list[str]:
        """The person in each example; see `people`."""
        return people(self.rows)

    def batch(self, positions: npt.ArrayLike | slice = slice(None)) -> Array:
        """A copy of the examples at these positions, in this order: [n, *shape]. Default: all."""
        i = np.arange(len(self))[positions] if isinstance(positions, slice) else np.asarray(positions, np.int64)
        if self.picks is not None:
            i = self.picks[i]
        if len(self.parts) == 1:
            copied = np.asarray(self.parts[0].array[i])
            self.parts[0].release()
            return copied
        first = self.parts[0].array
        found, of = np.empty((len(i), *first.shape[1:]), first.dtype), np.searchsorted(self._ends, i, "right")
        for k in np.unique(of):
            start = self._ends[k - 1] if k else 0
            found[of == k] = self.parts[k].array[i[of == k] - start]
            self.parts[k].release()
        return found

    def take(self, positions: npt.ArrayLike) -> View:
        """A view of the examples at these positions, in this order."""
        i = np.asarray(positions, np.int64)
        if self.picks is None and np.array_equal(i, np.arange(len(self))):
            return self
        given = None if self.given_labels is None else self.given_labels[i]
        return replace(self, picks=i if self.picks is None else self.picks[i], given_labels=given)

    def labelled(self, labels: npt.ArrayLike) -> View:
        """The same examples with other classes, given as int [n]."""
        return replace(self, given_labels=np.asarray(labels, np.int16))

    def joined(self, other: View) -> View:
        """A view of these examples, followed by the others.

        Raises:
            InputError: the classes, or the shapes or dtypes of the examples, differ.
        """
        mine, theirs = ((view.label_names, view.shape, view.parts[0].array.dtype) for view in (self, other))
        if mine != theirs:
            raise InputError(
                "joining samples", expected=f"classes {', '.join(mine[0])}; {mine[2]} {list(mine[1])}",
                found=f"classes {', '.join(theirs[0])}; {theirs[2]} {list(theirs[1])}",
                do="join only samples of the same classes and the same input",
            )  # fmt: skip
        n, m = int(self._ends[-1]), int(other._ends[-1])
        picks = given = None
        if self.picks is not None or other.picks is not None:
            own = np.arange(n) if self.picks is None else self.picks
            picks = np.concatenate([own, n + (np.arange(m) if other.picks is None else other.picks)])
        if self.given_labels is not None or other.given_labels is not None:
            given = np.concatenate([self.labels, other.labels]).astype(np.int16)
        skipped = tuple(dict.fromkeys((*self.skipped, *other.skipped)))
        return View((*self.parts, *other.parts), self.label_names, picks, given, skipped)

    @cached_property
    def _ends(self) -> Positions:
        return np.cumsum([part.rows.num_rows for part in self.parts])


def in_memory(array: Array, rows: pa.Table, label_names: Sequence[str] = LABELS) -> View:
    """A view of an array in memory, [n, …], with its rows, a table of ROWS_SCHEMA."""
    return View((InMemory(array, rows),), tuple(label_names))


def people(rows: pa.Table) -> list[str]:
    """The person in each row: corpus/subject in one spelling if there is a subject, else the photo, else the sample."""
    columns = (rows[name].to_pylist() for name in ("corpus", "subject", "photo", "sample_id"))
    return [
        _named(corpus, subject) if subject else photo or name
        for corpus, subject, photo, name in zip(*columns, strict=True)
    ]


def _named(corpus: str | None, subject: str) -> str:
    who = person_key(corpus, subject)
    return "/".join(who) if who else f"{corpus}/{subject}"


def mark(content: bytes | memoryview) -> int:
    """64 bits that stand for these bytes (an example, a file): the first of their sha256.

    Of 45,000 examples beside 1,000 that are tested, the chance that any two different ones have one mark is 2e-12.
    """
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big")


def _marks_of(examples: Array) -> list[list[int]]:
    """The mark of each stored example; none if all its pixels are alike, as in any map in which nothing moves."""
    pixels = examples.reshape(len(examples), -1, examples.shape[-1])
    alike = (pixels == pixels[:, :1]).all((1, 2))
    return [
        [] if nothing else [mark(one.data)] for nothing, one in zip(alike, np.ascontiguousarray(pixels), strict=True)
    ]


def _mark_of_photo(photo: str) -> list[int]:
    """The mark of the file of a photo, whose name in a set is the first 16 digits of its sha256."""
    return [int(photo, 16)] if re.fullmatch("[0-9a-f]{16}", photo) else []


def stored(
    folder: Path,
    rows: pa.Table,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    what: Any,
    make: Callable[[Put], Mapping[int, str]],
    files: Callable[[], Sequence[Sequence[Path]]] = lambda: (),
) -> Stored:
    """The array stored in a folder. It is computed if it is missing, only once even if several processes need it.

    Args:
        folder: folder of this array alone, named by everything that the array depends on.
        rows: rows of the examples, a table of ROWS_SCHEMA.
        shape, dtype: shape and dtype of one example.
        what: description of what the array is made from, as JSON values; for people who look into the folder.
        make: computes the examples; called with a function that stores examples [k, *shape], given the position of the
            first of them. Returns {position: why} of those that cannot be read.
        files: gives the files of each example's frames, where there are such files: they mark it, as its bytes do.

    Raises:
        InputError: the folder's record was not written by miex, or is damaged.
        OutputError: the array cannot be written.
    """
    with one_maker(folder, "examples"):
        if not (folder / RECORD).is_file():
            place = Folder(folder)
            place.remove_leftovers()
            header = {
                "descr": np.lib.format.dtype_to_descr(dtype),
                "fortran_order": False,
                "shape": (len(rows), *shape),
            }
            with place.writing(ARRAY) as draft:
                np.lib.format.write_array_header_1_0(draft, header)
                start, each = draft.tell(), dtype.itemsize * int(np.prod(shape))
                marks: list[list[int]] = [[] for _ in range(len(rows))]

                def put(first: int, examples: Array) -> None:
                    draft.seek(start + first * each)
                    draft.write((exact := np.ascontiguousarray(examples, dtype)).data)
                    marks[first : first + len(exact)] = _marks_of(exact)

                unread = make(put)
                draft.seek(start + len(rows) * each)
            seen: dict[Path, int] = {}
            for i, (own, paths) in enumerate(zip(marks, files(), strict=False)):
                for path in () if i in unread else paths:  # clips of a long video share frames
                    if path not in seen:
                        seen[path] = mark(_content(path))
                    own.append(seen[path])
            table = rows.append_column(MARKS, pa.array(marks, MARKS.type))
            place.write(ROWS, parquet_bytes(table))
            record = {
                "format": FORMAT, "digest": _file_digest(folder / ARRAY), "rows_digest": table_digest(table),
                "unread": [list(one) for one in sorted(unread.items())], "of": what,
            }  # fmt: skip
            place.create(RECORD, json.dumps({**record, "own_digest": json_digest(record)}, indent=1).encode())
    return _recorded(folder)


def _recorded(folder: Path) -> Stored:
    try:
        record = json_of(read_bytes(folder / RECORD))
        if json_digest({name: value for name, value in record.items() if name != "own_digest"}) != record["own_digest"]:
            raise ValueError("it does not match its own digest")
        if record["format"] != FORMAT:
            raise ValueError(f"format {record['format']}")
        unread = tuple((int(i), str(why)) for i, why in record["unread"])
        return Stored(folder, str(record["digest"]), str(record["rows_digest"]), unread)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder / RECORD, "a record of miex", str(error)) from error


@lru_cache(maxsize=64)  # checked once in each process, as long as the file does not change
def _mapped(path: Path, digest: str, *stamp: int) -> tuple[Array, mmap.mmap | None]:
    found = _file_digest(path)
    if found != digest:
        raise _damaged(path, f"examples of sha256 {digest}", f"sha256 {found}")
    return _map(path)


@lru_cache(maxsize=16)
def _table(path: Path, digest: str, *stamp: int) -> pa.Table:
    try:
        table = parquet_table(path.read_bytes()).cast(_STORED)
        found = table_digest(table)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(path, "rows of examples", (str(error).splitlines() or ["an error"])[0]) from error
    if found != digest:
        raise _damaged(path, f"rows of sha256 {digest}", f"sha256 {found}")
    return table


def _map(path: Path) -> tuple[Array, mmap.mmap | None]:
    """The array in a file, and the memory that it is mapped to; an array without examples is not mapped."""
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
            if dtype.hasobject or by_columns:
                raise ValueError(f"{dtype}, by columns: {by_columns}")
            if not shape[0]:
                return np.empty(shape, dtype), None
            mapped, start = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), file.tell()
        return np.frombuffer(mapped, dtype, int(np.prod(shape)), start).reshape(shape), mapped
    except Exception as error:  # numpy may raise any error for a damaged header
        raise _damaged(path, "an array of examples", " ".join(str(error).split())[:200]) from error


def _file_digest(path: Path) -> str:
    """The digest of the array in a file, read in pieces so that memory stays small."""
    digest = _begun(_map(path)[0])
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        while piece := file.read(_PIECE):
            digest.update(piece)
    return str(digest.hexdigest())


def _begun(array: Array) -> Any:
    return hashlib.sha256(canonical_json([array.dtype.newbyteorder("<").str, list(array.shape)]).encode())


def _content(frame: Path) -> bytes:
    try:
        with open_file(frame, MAX_BYTES) as file:
            return file.read()
    except OSError as error:
        found, do = error.strerror or str(error), "unpack the corpus again, or leave the clip out"
        raise InputError(f"frame {frame}", expected="an image", found=found, do=do) from error


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise _damaged(path, "a file of examples", error.strerror or str(error)) from error
    return found.st_size, found.st_mtime_ns


def _damaged(path: Path, expected: str, found: str) -> InputError:
    return InputError(str(path), expected=expected, found=found, do=f"delete {path.parent}; it is then computed again")
