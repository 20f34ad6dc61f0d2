"""The members of one sample, read out of a shard's tar by its offset."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miex.errors import InputError
from miex.synthesis.commit import tar_path
from miex.synthesis.frames import MIME


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
