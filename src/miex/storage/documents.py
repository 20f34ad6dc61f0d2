"""Files of JSON and TOML that others may have written: read up to a size."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from miex.stable import DEEP, MOST_BYTES, shallow, within

MOST_TEXT = 4 * 2**20  # bytes of a file that people write


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file.

    Raises:
        ValueError: it is larger than `most` bytes.
        OSError: it cannot be read, or is no plain file.
    """
    if not path.is_file():  # reading a pipe would wait forever
        raise FileNotFoundError("no such file")
    within(path.stat().st_size, most)
    return path.read_bytes()


def toml_of(content: bytes) -> dict[str, Any]:
    """The values of a TOML text in UTF-8. Raises ValueError if it is none, or holds what `json_of`
    refuses but for NaN."""
    try:
        found: dict[str, Any] = shallow(tomllib.loads(content.decode("utf-8-sig")))
        return found
    except RecursionError:
        raise ValueError(DEEP) from None
