"""JSON and TOML that others may have written: read up to a size, and refused in one way whatever is wrong with them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

MOST_BYTES = 64 * 2**20  # of a file: a record of 200,000 samples
MOST_TEXT = 4 * 2**20  # of a file that people write
MOST_DEPTH = 64  # of lists and objects in each other; Python ends at a depth that depends on who calls


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


def within(size: int, most: int = MOST_BYTES) -> None:
    """Raises ValueError for more bytes than are read."""
    if size > most:
        raise ValueError(f"{size:,} bytes, and at most {most:,} are read")


def json_of(content: bytes | str) -> Any:
    """The value of a JSON text. Raises ValueError if it is none, holds NaN or a number of more
    than 64 bits, or is nested deeper than MOST_DEPTH."""
    try:
        return _shallow(json.loads(content, parse_constant=_no_number))
    except RecursionError:
        raise ValueError(_DEEP) from None


def toml_of(content: bytes) -> dict[str, Any]:
    """The values of a TOML text in UTF-8. Raises ValueError if it is none, or holds what `json_of`
    refuses but for NaN."""
    try:
        found: dict[str, Any] = _shallow(tomllib.loads(content.decode("utf-8-sig")))
        return found
    except RecursionError:
        raise ValueError(_DEEP) from None


_DEEP = f"lists or objects that are nested deeper than {MOST_DEPTH}"


def _shallow(value: Any) -> Any:
    level: list[Any] = [[value]]
    for _ in range(MOST_DEPTH + 1):
        inside = [one for held in level for one in (held.values() if isinstance(held, dict) else held)]
        if any(isinstance(one, int) and not -(2**63) <= one < 2**64 for one in inside):
            raise ValueError("a number of more than 64 bits")
        level = [one for one in inside if isinstance(one, dict | list)]
        if not level:
            return value
    raise ValueError(_DEEP)


def _no_number(text: str) -> None:
    raise ValueError(f"{text}, which is no number")
