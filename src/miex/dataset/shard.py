"""Shards on disk: a reproducible tar and, written last, its commit record, without which a shard does not count."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from isal import isal_zlib  # CRC-32 in a tenth of zlib's time

from miex.dataset.frames import MIME
from miex.errors import DamagedError
from miex.stable import MOST_BYTES, json_digest, json_of, object_of, prove_sealed
from miex.storage.base import Draft, Storage, as_input_errors

SHARDS = "shards"
FORMAT = 3


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
        samples: per sample made: sample_id, offset, bytes and crc32 of its members in the tar, and its measures.
        failed: per sample not made: sample_id and reason.
    """

    shard: int
    plan: str
    rows: int
    sha256: str
    bytes: int
    samples: list[dict[str, Any]]
    failed: list[dict[str, str]]


def tar_name(shard: int) -> str:
    """Where a shard's tar lies in its set."""
    return f"{SHARDS}/{shard:05d}.tar"


def record_name(shard: int) -> str:
    """Where a shard's record lies in its set."""
    return f"{SHARDS}/{shard:05d}.json"


class _Hashed:
    """Writes through, and hashes what it writes."""

    def __init__(self, file: Draft) -> None:
        self._file, self.digest, self.position = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.digest.update(data)
        self.position += len(data)


def write_shard(
    out: Storage, shard: int, plan: str, samples: Iterable[Sample | Failure], *, damaged: bool = False
) -> tuple[ShardRecord, bool]:
    """Write a shard and its record, each whole or not at all, the record last.

    The tar depends on the samples alone: fixed times, owner, mode and order. Members of a sample (WebDataset names):
    `<id>.000.png` (onset) … `<id>.00k.png`, `<id>.json`.

    Any number of processes may write one shard at the same time, on any machines: the record is created once, and
    decides. What others make later is dropped, unless it has more samples. On machines of one kind all make the same
    bytes; where they do not, record and tar are those of one of them.

    Of a shard that is replaced, the record is replaced before the tar, and no file is ever missing: until the new tar
    is there, samples.parquet has the places in the old one, and from then on the new record those in the new one.

    Args:
        out: the set.
        shard: number of the shard.
        plan: digest of the plan.
        samples: what to write.
        damaged: replace what is there, whatever its record says; `samples` hold all that is good of it.

    Returns:
        The record of what is there afterwards, and whether this call has put it there.

    Raises:
        OutputError: the set cannot be written.
        InputError: a record is there that cannot be read.
    """
    made: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    with out.writing(tar_name(shard)) as draft:
        sink = _Hashed(draft)
        for sample in samples:
            if isinstance(sample, Failure):
                failed.append(asdict(sample))
                continue
            content = b"".join(member(name, one) for name, one in members(sample))
            place = {"sample_id": sample.sample_id, "offset": sink.position, "bytes": len(content)}
            made.append({**place, "crc32": isal_zlib.crc32(content), **sample.measures})
            sink.write(content)
        sink.write(tar_end(sink.position))
        there = None if damaged else read_shard_record(out, shard)
        if there and len(made) <= len(there.samples):
            draft.abandon()
            return there, False
        record = ShardRecord(shard, plan, len(made) + len(failed), sink.digest.hexdigest(), sink.position, made, failed)
        fields = {"format": FORMAT, **vars(record)}
        text = json.dumps({**fields, "digest": json_digest(fields)}, separators=(",", ":"), allow_nan=False).encode()
        replaces = damaged or there is not None
        if replaces:
            out.write(record_name(shard), text)
    while not out.create(record_name(shard), text):
        there = read_shard_record(out, shard)
        # a record that came in between may be of other bytes than the tar, if another kind of machine made them
        if there and there.sha256 == record.sha256:
            return there, replaces
        if there and _sha256(out, tar_name(shard)) != record.sha256:
            return there, False
        out.delete(record_name(shard))
    return record, True


def _sha256(out: Storage, name: str) -> str:
    with as_input_errors(f"reading {name} of {out.address}"), out.open(name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # BinaryIO has readinto


def members(sample: Sample) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a sample's members, in their order."""
    for i, frame in enumerate(sample.frames):
        yield f"{sample.sample_id}.{i:03d}{sample.suffix}", frame
    description = json.dumps(sample.description, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    yield f"{sample.sample_id}.json", description.encode()


def member(name: str, content: bytes) -> bytes:
    """A file as a part of a tar; it has no date and no owner."""
    told, size = name.encode(), b"%011o" % len(content)
    if len(told) > tarfile.LENGTH_NAME or len(size) > _SIZE.stop - _SIZE.start:
        head = _head(name, len(content))
    else:  # a tenth of tarfile's time
        total = b"%06o" % (_SUM + sum(told) + sum(size))
        head = told + _HEAD[len(told) : _SIZE.start] + size + _HEAD[_SIZE.stop : _TOTAL] + total + _HEAD[_TOTAL + 6 :]
    return b"".join([head, content, bytes(-len(content) % tarfile.BLOCKSIZE)])


def _head(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)  # mtime, uid and gid 0, no names
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.USTAR_FORMAT)


# of a file without name and content; where its size stands (POSIX.1-1988, ustar), and the sum of all bytes
_HEAD, _SIZE, _TOTAL = _head("", 0), slice(124, 135), 148
_SUM = int(_HEAD[_TOTAL : _TOTAL + 6], 8) - sum(_HEAD[_SIZE])


def tar_end(size: int) -> bytes:
    """What ends a tar whose members take so many bytes."""
    return bytes(2 * tarfile.BLOCKSIZE + -(size + 2 * tarfile.BLOCKSIZE) % tarfile.RECORDSIZE)


def read_shard_record(out: Storage, shard: int) -> ShardRecord | None:
    """The record of a shard, proven by its own digest; None if it is not there, so the shard is not either.

    Raises:
        DamagedError: a record that is not one (records are written whole: something else changed it).
        InputError: it cannot be read.
    """
    from miex.dataset.records import prove_shard_record  # loads pydantic, which who reads samples does not need

    try:
        content = object_of(out.read(record_name(shard), MOST_BYTES))
        if "digest" in content and content.get("format") != FORMAT:
            raise ValueError(f"format {content.get('format')!r}, expected {FORMAT}")
        prove_sealed(content)
        del content["format"]
        prove_shard_record(content)
        record = ShardRecord(**content)
        if record.shard != shard:
            raise ValueError(f"the record of shard {record.shard}")
        return record
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DamagedError(
            f"record {record_name(shard)} of {out.address}",
            expected="a shard's record",
            found=str(error),
            do="run miex repair to make the shard again",
        ) from error


@dataclass(frozen=True)
class StoredSample:
    """A sample as stored: encoded frames in order, their MIME type, and the description of its .json member."""

    frames: tuple[bytes, ...]
    mime: str
    description: dict[str, Any]


def read_stored(out: Storage, shard: int, offset: int, size: int, crc32: int, sample_id: str) -> StoredSample:
    """One sample's members.

    Args:
        out: the set.
        shard, offset, size, crc32: the columns shard, offset, bytes, crc32 of samples.parquet.
        sample_id: whose members must lie there.

    Raises:
        DamagedError: the shard is missing, or is damaged there; the error names shard and sample.
        InputError: the shard cannot be read (permission, network, a broken disk): the sample may be whole.
    """
    asked, tar = f"sample {sample_id} of {out.address}", tar_name(shard)
    try:
        content = out.read_range(tar, offset, size)
    except FileNotFoundError as error:
        raise _damaged(asked, f"{tar}: {error.strerror or error}") from error
    return stored_in(content, asked, f"{tar}, byte {offset}", crc32, sample_id)


def stored_in(content: bytes, asked: str, where: str, crc32: int, sample_id: str) -> StoredSample:
    """One sample's members, in the part of a tar that holds them.

    Args:
        content: that part.
        asked, where: which sample it is, and where it was read, for messages.
        crc32, sample_id: as in `read_stored`.

    Raises:
        DamagedError: it is damaged, or another sample's.
    """
    try:
        if isal_zlib.crc32(content) != crc32:
            raise tarfile.ReadError("its checksum is not that of its record")
        # a slice between two members is a tar without its end mark, which tarfile reads to the end
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            members = {}
            for member in tar:
                if member.name in members:
                    raise tarfile.ReadError(f"{member.name} is there twice")
                members[member.name] = _content(tar, member, len(content))
        text = members.pop(f"{sample_id}.json", b"")
        description = json_of(text) if text else None
    except (OSError, tarfile.TarError, ValueError) as error:
        raise _damaged(asked, f"{where}: {error}") from error
    named = all(name.startswith(f"{sample_id}.") for name in members)
    if not isinstance(description, dict) or not members or not named:
        raise _damaged(asked, f"{where}: {sorted(members)[:3]}")
    suffix = PurePosixPath(next(iter(members))).suffix
    return StoredSample(tuple(members[name] for name in sorted(members)), MIME.get(suffix, ""), description)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, most: int) -> bytes:
    # miex writes plain files only; a sparse one claims any size, and memory would be taken for it
    if member.type != tarfile.REGTYPE or member.size > most:
        raise tarfile.ReadError(f"{member.name} is no plain file of at most {most} bytes")
    file = tar.extractfile(member)
    content = file.read() if file else b""
    if len(content) != member.size:
        raise tarfile.ReadError(f"{member.name} is cut short")
    return content


def _damaged(asked: str, found: str) -> DamagedError:
    return DamagedError(
        asked, expected="the members of that sample", found=found,
        do="run miex verify to list the damaged shards, and miex repair to make them again; or leave such samples out "
        "with `on_error` skip",
    )  # fmt: skip
