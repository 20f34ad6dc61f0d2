"""Tables that are written: CSV that a spreadsheet shows as it is, and never computes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

# What a spreadsheet takes for a formula (OWASP, CSV Injection); a number that begins so is none.
_FORMULA = re.compile(r"\s*[=+\-@\t\r＝＋－＠]")
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*|[+-](inf|nan)")


# What a terminal obeys instead of showing: C0 but line feed and tab, DEL, C1, and marks that turn the order of text
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")


def visible(text: str) -> str:
    """A text in which no character commands the terminal: names of files and cells of tables may hold any.

    Such a character is written as JSON escapes it, so JSON stays what it was.
    """
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV with one header row, whose text cells are none of a spreadsheet's formulas, and command no terminal (see
    `guarded`)."""
    content = io.StringIO(newline="")
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow([guarded(name) for name in columns])
    writer.writerows([guarded(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return content.getvalue()


def guarded(text: str) -> str:
    """A text as a cell: visible, and with an apostrophe before what a spreadsheet would compute, or before such an
    apostrophe."""
    text = visible(text)
    return f"'{text}" if _computed(text.lstrip("'")) else text


def unguarded(cell: str) -> str:
    """The text of a cell that `guarded` made; of any other cell, the cell."""
    text = cell[1:] if cell.startswith("'") and _computed(cell.lstrip("'")) else cell
    return _ESCAPED.sub(_unescaped, text) if "\\u" in text else text  # whose names are compared with those that are not


def _unescaped(escaped: re.Match[str]) -> str:
    character = chr(int(escaped[1], 16))
    return character if _OBEYED.match(character) else escaped[0]


def _computed(text: str) -> bool:
    return bool(_FORMULA.match(text)) and not _NUMBER.fullmatch(text)
