"""Where files are kept: the storage of a set, in a folder or a bucket, and the user's cache."""

from __future__ import annotations

import re
import reprlib
from os import PathLike
from pathlib import Path

from miex.errors import UsageError
from miex.storage.base import Storage
from miex.storage.local import Folder

Place = str | PathLike[str] | Storage


# one letter is a drive of Windows
_BUCKET = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|(s3|gs|az):/", re.IGNORECASE)
_BUCKET_PATH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # in a pathlib.Path one slash of two is left


def is_bucket(place: object) -> bool:
    """Whether this is the address of a bucket, or looks like one: schemes that are not known are refused, instead of
    taken for folders."""
    form = _BUCKET_PATH if isinstance(place, PathLike) else _BUCKET
    return isinstance(place, str | PathLike) and form.match(str(place)) is not None


def given(place: str | PathLike[str]) -> str:
    """A path or address as it was given, for messages."""
    if is_bucket(place) and isinstance(place, PathLike):
        return Path(place).as_posix().replace(":/", "://", 1)
    return str(place)


def storage_at(place: Place) -> Storage:
    """The storage at a path, which later changes of the working folder do not affect; or at the address of a bucket,
    such as s3://bucket/mie-x. A Storage is returned as it is.

    Raises:
        UsageError: anything else, a path that cannot be resolved, or a bucket without the extra `cloud`.
    """
    if isinstance(place, Storage):
        return place
    if not isinstance(place, str | PathLike):
        raise UsageError(f"location {reprlib.repr(place)}", expected="a path, as text or pathlib.Path, or a Storage")
    if is_bucket(place):
        from miex.storage.bucket import bucket_at

        return bucket_at(given(place))
    try:
        return Folder(Path(place).expanduser().absolute())
    except RuntimeError as error:  # the home of an unknown user
        raise UsageError(f"location {place}", expected="a path", found=str(error)) from error
