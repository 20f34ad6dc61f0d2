"""What a cell of a table says: nothing, a number, a whole number, a path."""

from __future__ import annotations

import math
import os
import re
import unicodedata
from pathlib import Path

# Nothing, as C on Linux and Windows, Python, R, pandas, Excel and databases write it.
_MISSING = re.compile(
    r"|[-+]?nan(\(\w*\))?|[-+]?1\.#(ind|qnan|snan|nan)\d*|#?n\.?/?a\.?|#n/a n/a|#num!|<na>|nat|null|nil|none|\\n",
    re.IGNORECASE | re.ASCII,
)
_NUMBER = re.compile(r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[-+]?\d+)?", re.IGNORECASE | re.ASCII)
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)  # 1,000 and 1.000 may be one or a thousand
_MOST_EXACT = 2**53  # above it not every whole number is a float


def missing(text: str) -> bool:
    """Whether a cell says that there is no value. What else a table means by `/` or -1, its own reader knows."""
    return _MISSING.fullmatch(text.strip()) is not None


def number(text: str) -> float | None:
    """The number in a cell, with a decimal point or comma; None where it says that there is no value.

    Raises:
        ValueError: no number, or an infinite one.
    """
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        if missing(text):
            return None
        text = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-")  # wide digits
        if not _NUMBER.fullmatch(text):
            raise ValueError(text)
    value = float(text.replace(",", "."))
    if math.isinf(value):
        raise ValueError(text)
    return value


def whole(text: str) -> int | None:
    """The whole number in a cell, which may be written 2.0; None where it says that there is no value.

    Raises:
        ValueError: no whole number, or one such as 1,000 or 1.000, which may be one or a thousand.
    """
    value = number(text)
    if value is None:
        return None
    if in_thousands(text) or not value.is_integer() or abs(value) >= _MOST_EXACT:
        raise ValueError(text)
    return int(value)


def in_thousands(text: str) -> bool:
    """Whether a point or comma in a number may part thousands: nobody can tell whether 1,000 is one or a thousand."""
    text = unicodedata.normalize("NFKC", text.strip()).replace("\N{MINUS SIGN}", "-")
    return _THOUSANDS.fullmatch(text) is not None


def numbers(text: str) -> list[float]:
    """The numbers in a cell that holds a list of them, however nested (`[[0.1, 0.2]]`); none where it has no value.

    Raises:
        ValueError: something else than numbers, brackets and commas.
    """
    if missing(text):
        return []
    found = []
    for part in re.sub(r"[\[\]()\s]+", " ", text.replace(",", " ")).split():
        value = number(part)
        if value is None:
            raise ValueError(part)
        found.append(value)
    return found


def path_in(folder: Path, text: str) -> Path | None:
    """What a cell names below the table's folder, with either slash, accents composed or not; None if it is absent."""
    for name in dict.fromkeys((text, text.replace("\\", "/"))):
        for spelled in dict.fromkeys((name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))):
            if os.path.lexists(folder / spelled):  # names may be too long for Path.exists
                return folder / spelled
    return None
