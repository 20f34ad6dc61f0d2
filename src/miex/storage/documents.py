"""Files of JSON and TOML that others may have written: read up to a size."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from miex.stable import DEEP, MOST_BYTES, shallow, within

MOST_TEXT = 2**18  # bytes of a file that people write: the largest of miex has 5 kB
# Names joined by dots, ten in a row: tomllib's time grows with the square of their number, a minute for 30 kB.
_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){9}""")


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file.

    Raises:
        ValueError: it is larger than `most` bytes.
        OSError: it cannot be read, or is no plain file.
    """
    if not path.is_file():  # reading a pipe would wait forever
        raise FileNotFoundError(
            "no such file" if not path.exists() else "a folder" if path.is_dir() else "no plain file"
        )
    within(path.stat().st_size, most)
    return path.read_bytes()


def toml_of(content: bytes) -> dict[str, Any]:
    """The values of a TOML text in UTF-8. Raises ValueError if it is none, or holds what `json_of`
    refuses but for NaN, or more than eight dots in a row."""
    text = content.decode("utf-8-sig")
    if long := _LONG_KEY.search(text):
        raise ValueError(f"{long[0][:40]}…, a name of more than nine parts")
    try:
        found: dict[str, Any] = shallow(tomllib.loads(text))
        return found
    except RecursionError:
        raise ValueError(DEEP) from None
