"""AU tables: AU intensities of each frame of each clip, on one scale whichever program extracted them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.aus.vector import AU_NUMBERS, N_AUS, AUArray
from miex.errors import InputError, ScaleError
from miex.stable import parquet_bytes, parquet_table
from miex.storage.local import write_whole

TABLE_SCHEMA: Final = pa.schema(
    [
        ("clip", pa.string()),  # where a corpus has subjects: subject/clip
        ("frame", pa.int32()),  # 0-based
        ("aus", pa.list_(pa.float32(), N_AUS)),  # in [0, 1]; NaN where this extractor or this frame gives none
        ("success", pa.bool_()),
        ("confidence", pa.float32()),  # in [0, 1]; NaN where the extractor gives none
        ("extractor", pa.string()),
        ("version", pa.string()),
    ]
)


@dataclass(frozen=True)
class Credit:
    """Terms under which AUs may be used; recorded wherever they are.

    Attributes:
        licence: licence of the AU values, such as CC BY-NC-SA 4.0; empty if unknown.
        attribution: whom to credit.
    """

    licence: str = ""
    attribution: str = ""


@dataclass(frozen=True)
class Track:
    """The AUs of one clip.

    Attributes:
        clip: its name in the table.
        frames: 0-based indices, ascending, int32 [n]; failed frames are included.
        aus: intensities in [0, 1], float32 [n, 17]. NaN in every AU of a failed frame, and in all frames for AUs that
            the extractor does not give; a zero always means a measured zero.
        confidence: in [0, 1], float32 [n], or NaN.
        extractor, version: program that extracted it.
    """

    clip: str
    frames: npt.NDArray[np.int32]
    aus: AUArray
    confidence: npt.NDArray[np.float32]
    extractor: str
    version: str

    @property
    def success(self) -> npt.NDArray[np.bool_]:
        """Frames that did not fail, bool [n]."""
        return np.asarray(~np.isnan(self.aus).all(axis=1), bool)

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """AUs that the extractor gives, bool [17]."""
        return np.asarray(~np.isnan(self.aus).all(axis=0), bool)


def table_of(tracks: Iterable[Track], credit: Credit) -> pa.Table:
    """Tracks as a table of TABLE_SCHEMA, ordered by clip, with the credit in its metadata.

    Raises:
        InputError: two tracks of one clip.
        ScaleError: an intensity outside [0, 1].
    """
    columns: dict[str, list[Any]] = {name: [] for name in TABLE_SCHEMA.names}
    previous = None
    for track in sorted(tracks, key=lambda track: track.clip):
        if track.clip == previous:
            raise InputError(
                f"clip {track.clip}", expected="one AU track", found="two", do="give the files of each clip only once"
            )
        previous = track.clip
        _prove(track, f"clip {track.clip}")
        n = len(track.frames)
        seen = (track.frames, list(track.aus), track.success, track.confidence)
        values: tuple[Iterable[Any], ...] = ([track.clip] * n, *seen, [track.extractor] * n, [track.version] * n)
        for name, value in zip(TABLE_SCHEMA.names, values, strict=True):
            columns[name].extend(value)
    return pa.Table.from_pydict(columns, schema=with_credit(TABLE_SCHEMA, credit))


def _prove(track: Track, where: str) -> None:
    bad = ~((track.aus >= 0) & (track.aus <= 1) | np.isnan(track.aus))
    if bad.any():
        row, i = map(int, np.argwhere(bad)[0])
        raise ScaleError(
            f"{where}, frame {track.frames[row]}: AU{AU_NUMBERS[i]:02d} = {float(track.aus[row, i]):g}",
            expected="an intensity in [0, 1]",
            do="import the values again, with their `scale`",
        )
    steps = np.diff(track.frames)
    if (steps <= 0).any() or (len(track.frames) and track.frames[0] < 0):
        row = int(np.argmax(steps <= 0)) + 1 if len(steps) and (steps <= 0).any() else 0
        raise InputError(
            where, expected="distinct, ascending frame numbers from 0 on", found=f"frame {track.frames[row]}"
        )


def with_credit(schema: pa.Schema, credit: Credit) -> pa.Schema:
    """The schema with a credit in its metadata."""
    return schema.with_metadata({"licence": credit.licence, "attribution": credit.attribution})


def credit_of(table: pa.Table) -> Credit:
    """The credit in a table's metadata; empty where there is none."""
    found: Mapping[bytes, bytes] = table.schema.metadata or {}
    return Credit(*(found.get(name, b"").decode("utf-8", "replace") for name in (b"licence", b"attribution")))


def tracks_of(table: pa.Table, where: str = "AU table") -> dict[str, Track]:
    """The tracks of a table, by clip.

    Raises:
        InputError: frames out of order or twice.
        ScaleError: an intensity outside [0, 1].
    """
    clips = np.array(table["clip"].to_pylist(), object)
    aus = floats(table["aus"], N_AUS)
    frames = np.asarray(table["frame"].to_numpy(), np.int32)
    confidence = np.asarray(table["confidence"].to_numpy(), np.float32)
    names = {name: table[name].to_pylist() for name in ("extractor", "version")}
    failed = ~np.asarray(table["success"].to_numpy(), bool)
    aus[failed] = np.nan
    rows_of: dict[str, list[int]] = {}
    for row, clip in enumerate(clips):
        rows_of.setdefault(clip, []).append(row)
    tracks = {}
    for clip, rows in rows_of.items():
        made_by = {(names["extractor"][row], names["version"][row]) for row in rows}
        if len(made_by) > 1:
            raise InputError(f"{where}, clip {clip}", expected="one extractor", found=str(sorted(made_by)))
        track = Track(clip, frames[rows], aus[rows], confidence[rows], *made_by.pop())
        _prove(track, f"{where}, clip {clip}")
        tracks[clip] = track
    return tracks


def floats(column: pa.ChunkedArray, *shape: int) -> npt.NDArray[np.float32]:
    """A column of fixed-size lists as a new array float32 [rows, *shape]; null numbers are NaN."""
    flat = pa.concat_arrays([chunk.flatten() for chunk in column.chunks]) if column.num_chunks else pa.array([])
    return np.array(flat.to_numpy(zero_copy_only=False), np.float32).reshape(-1, *shape)


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write the table under that name, whole or not at all."""
    write_whole(path, parquet_bytes(table))


def read_parquet(path: Path, schema: pa.Schema, what: str) -> pa.Table:
    """A table of that schema, with the file's own metadata.

    Raises:
        InputError: there is no such file, or it is not Parquet or has other columns.
    """
    asked = f"{what} {path}"
    try:
        if not path.is_file():
            raise InputError(asked, expected="a Parquet file", found="no such file", do="check the path")
        table = parquet_table(path.read_bytes())
    except (OSError, pa.ArrowException, ValueError) as error:
        found, do = _line(error), "restore the file from a copy, or make it again"
        raise InputError(asked, expected="a whole Parquet file", found=found, do=do) from error
    missing = [name for name in schema.names if name not in table.schema.names]
    if missing:
        found = "no column " + ", ".join(missing)
        raise InputError(
            asked, expected=f"columns {', '.join(schema.names)}", found=found, do=f"check that this file is a {what}"
        )
    table = table.select(schema.names)
    try:
        table = table.cast(schema.with_metadata(table.schema.metadata))
        _check_nulls(table, asked)
        return table
    except (pa.ArrowException, ValueError) as error:
        raise InputError(asked, expected=f"the columns of a {what}", found=_line(error)) from error


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _check_nulls(table: pa.Table, asked: str) -> None:
    for field in table.schema:
        nullable = field.nullable and (field.metadata or {}).get(b"null") == b"allowed"
        if table[field.name].null_count and not nullable:
            row = table[field.name].is_null().to_pylist().index(True)
            raise InputError(asked, expected=f"a value in column {field.name}", found=f"none in row {row}")


def read_table(path: Path) -> pa.Table:
    """An AU table that `write_parquet` wrote.

    Raises:
        InputError: no such file, or something else in it.
        ScaleError: an intensity outside [0, 1].
    """
    table = read_parquet(path, TABLE_SCHEMA, "AU table")
    tracks_of(table, f"AU table {path}")
    return table
