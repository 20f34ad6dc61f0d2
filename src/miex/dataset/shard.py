"""Shards on disk: a reproducible tar and, last, its commit record. A shard without its record does not exist."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from miex.dataset.frames import MIME
from miex.errors import InputError
from miex.storage.local import whole_file, write_whole

SHARDS = "shards"
FORMAT = 1


@dataclass(frozen=True)
class Sample:
    """One sample on its way into a shard.

    Attributes:
        sample_id: its id, a file name without dots.
        frames: encoded images, onset first.
        suffix: of their names, ".png".
        description: what the .json member holds.
        measures: what samples.parquet holds of it.
    """

    sample_id: str
    frames: tuple[bytes, ...]
    suffix: str
    description: dict[str, Any]
    measures: dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """A sample that could not be made, and why."""

    sample_id: str
    reason: str


@dataclass(frozen=True)
class ShardRecord:
    """The commit record of a shard, `shards/00000.json`.

    Attributes:
        shard: its number.
        plan: digest of the plan it was made from.
        rows: how many rows of the plan it covers.
        sha256, bytes: of the tar.
        samples: per sample made: sample_id, offset and bytes of its members in the tar, and its measures.
        failed: per sample not made: sample_id and reason.
    """

    shard: int
    plan: str
    rows: int
    sha256: str
    bytes: int
    samples: list[dict[str, Any]]
    failed: list[dict[str, str]]


def tar_path(out: Path, shard: int) -> Path:
    """Where a shard's tar lies."""
    return out / SHARDS / f"{shard:05d}.tar"


def record_path(out: Path, shard: int) -> Path:
    """Where a shard's record lies."""
    return out / SHARDS / f"{shard:05d}.json"


class _NoBetterError(Exception):
    """Ends the writing of a shard that would replace a better one."""


class _Hashed(io.RawIOBase):
    """Writes through, and hashes what it writes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest, self.position = file, hashlib.sha256(), 0

    def write(self, data: Any) -> int:
        self.file.write(data)
        self.digest.update(data)
        self.position += len(data)
        return len(data)

    def tell(self) -> int:
        return self.position


def write_shard(
    out: Path, shard: int, plan: str, samples: Iterable[Sample | Failure], *, kept: ShardRecord | None = None
) -> ShardRecord:
    """Write a shard and its record, each whole or not at all, the record last.

    The tar depends on the samples alone: fixed times, owner, mode and order. Members of a sample (WebDataset names):
    `<id>.000.png` (onset) … `<id>.00k.png`, `<id>.json`.

    Args:
        out: folder of the set.
        shard: number of the shard.
        plan: digest of the plan.
        samples: what to write.
        kept: the record of what is there now; it stays, tar and all, unless the new shard has more samples.

    Returns:
        The record of what is there afterwards.

    Raises:
        OutputError: the folder cannot be written.
    """
    made: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    with suppress(_NoBetterError), whole_file(tar_path(out, shard)) as file:
        sink = _Hashed(file)
        with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for sample in samples:
                if isinstance(sample, Failure):
                    failed.append(asdict(sample))
                    continue
                offset = sink.tell()
                for name, content in members(sample):
                    _add(tar, name, content)
                place = {"sample_id": sample.sample_id, "offset": offset, "bytes": sink.tell() - offset}
                made.append({**place, **sample.measures})
        if kept and len(made) <= len(kept.samples):
            raise _NoBetterError
        # from here until the new record is there, the shard does not exist
        record_path(out, shard).unlink(missing_ok=True)
        kept = None
    if kept:
        return kept
    record = ShardRecord(shard, plan, len(made) + len(failed), sink.digest.hexdigest(), sink.position, made, failed)
    text = json.dumps({"format": FORMAT, **asdict(record)}, separators=(",", ":"), allow_nan=False)
    write_whole(record_path(out, shard), text.encode())
    return record


def members(sample: Sample) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a sample's members, in their order."""
    for i, frame in enumerate(sample.frames):
        yield f"{sample.sample_id}.{i:03d}{sample.suffix}", frame
    description = json.dumps(sample.description, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    yield f"{sample.sample_id}.json", description.encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)  # mtime, uid and gid 0, no names
    info.size, info.mode = len(content), 0o644
    tar.addfile(info, io.BytesIO(content))


def read_shard_record(out: Path, shard: int) -> ShardRecord | None:
    """The record of a shard; None if it is not there, so the shard is not either.

    Raises:
        InputError: a record that is not one (records are written whole: something else changed it).
    """
    path = record_path(out, shard)
    try:
        content = json.loads(path.read_text("utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError("another format")
        return ShardRecord(**content)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"record {path}",
            expected="a shard's record",
            found=f"{type(error).__name__}: {error}",
            do="delete it: the shard is made again by the next run",
        ) from error


@dataclass(frozen=True)
class StoredSample:
    """A sample as stored: encoded frames in order, their MIME type, and the description of its .json member."""

    frames: tuple[bytes, ...]
    mime: str
    description: dict[str, Any]


def read_stored(out: Path, shard: int, offset: int, size: int, sample_id: str) -> StoredSample:
    """One sample's members.

    Args:
        out: the set's folder.
        shard, offset, size: the columns shard, offset, bytes of samples.parquet.
        sample_id: whose members must lie there.

    Raises:
        InputError: the shard is missing or damaged there.
    """
    path = tar_path(out, shard)
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read(size)
        # a slice between two members is a tar without its end mark, which tarfile reads to the end
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            members = {member.name: _content(tar, member) for member in tar}
    except (OSError, tarfile.TarError) as error:
        raise _damaged(path, offset, str(error)) from error
    text = members.pop(f"{sample_id}.json", None)
    if text is None or not members or not all(name.startswith(f"{sample_id}.") for name in members):
        raise _damaged(path, offset, f"{sorted(members)[:3]} instead of sample {sample_id}")
    suffix = Path(next(iter(members))).suffix
    return StoredSample(tuple(members[name] for name in sorted(members)), MIME.get(suffix, ""), json.loads(text))


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    content = file.read() if file else b""
    if len(content) != member.size:
        raise tarfile.ReadError(f"{member.name} is cut short")
    return content


def _damaged(path: Path, offset: int, found: str) -> InputError:
    return InputError(
        f"shard {path} at byte {offset}", expected="the members of one sample", found=found,
        do="miex verify says which shards are damaged; delete their .json records and run again",
    )  # fmt: skip
