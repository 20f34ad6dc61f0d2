"""Where files lie: a set's place, and the user's cache."""

from __future__ import annotations

import reprlib
from os import PathLike
from pathlib import Path

from miex.errors import UsageError
from miex.storage.base import Storage
from miex.storage.local import Folder

Place = str | PathLike[str] | Storage


def storage_at(place: Place) -> Storage:
    """The storage that a path names; a storage is itself. Raises UsageError for what is neither."""
    if isinstance(place, Storage):
        return place
    if not isinstance(place, str | PathLike):
        raise UsageError(f"the place {reprlib.repr(place)}", expected="text, a pathlib.Path or a storage")
    return Folder(Path(place))
