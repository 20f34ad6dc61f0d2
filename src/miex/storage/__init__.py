"""Where files lie: a set's place, and the user's cache."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from miex.storage.base import Storage
from miex.storage.local import Folder

Place = str | PathLike[str] | Storage


def storage_at(place: Place) -> Storage:
    """The storage that a path names; a storage is itself."""
    return place if isinstance(place, Storage) else Folder(Path(place))
