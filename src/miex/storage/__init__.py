"""Where files are kept: the storage of a set, and the user's cache."""

from __future__ import annotations

import reprlib
from os import PathLike
from pathlib import Path

from miex.errors import UsageError
from miex.storage.base import Storage
from miex.storage.local import Folder

Place = str | PathLike[str] | Storage


def storage_at(place: Place) -> Storage:
    """The storage at a path, which later changes of the working folder do not affect; a Storage is returned as it is.

    Raises:
        UsageError: anything else, or a path that cannot be resolved.
    """
    if isinstance(place, Storage):
        return place
    if not isinstance(place, str | PathLike):
        raise UsageError(f"location {reprlib.repr(place)}", expected="a path, as text or pathlib.Path, or a Storage")
    try:
        return Folder(Path(place).expanduser().absolute())
    except RuntimeError as error:  # the home of an unknown user
        raise UsageError(f"location {place}", expected="a path", found=str(error)) from error
