"""What people and hubs open of a set (README.md, gallery.html …), proven by SHA256SUMS: `sha256sum -c` reads it, too.

Everything else is proven by the plan's digests and the shards' records.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Collection
from contextlib import suppress

from miex.errors import InputError
from miex.storage.base import Storage, as_input_errors

README, GALLERY, REFUSED = "README.md", "gallery.html", "refused.csv"
CROISSANT, PICTURE = "croissant.json", "card.svg"
REPORT = (GALLERY, README, CROISSANT, PICTURE)  # what tells of the samples
PAGES = (*REPORT, REFUSED)
SUMS = "SHA256SUMS"
MOST_SUMS, MOST_PAGE = 2**16, 2**30  # bytes that are read of SHA256SUMS, and of a page
_LINE = re.compile(rb"([0-9a-f]{64})  ([^\n]+)")
_REMAKE = dict.fromkeys(REPORT, "miex repair writes it again") | {
    REFUSED: "planning with the same options and photos writes it again"  # whose photos are not in the plan
}


def write_sums(out: Storage, names: Collection[str]) -> None:
    """State the digests of pages that were just written, or are gone, in SHA256SUMS; lines of others stay, and what
    is no line of a page goes.

    Raises:
        OutputError: it cannot be written.
    """
    stated = {name: digest for name, digest in _stated(out)[0].items() if name not in names}
    for name in names:
        with suppress(FileNotFoundError):
            stated[name] = _digest(out, name)
    out.write(SUMS, "".join(f"{stated[name]}  {name}\n" for name in sorted(stated)).encode())


def page_problems(out: Storage) -> list[str]:
    """What is wrong with the pages, each with its name."""
    try:
        stated, problems = _stated(out)
    except InputError as error:
        return [f"{error.asked}: {error.found}"]
    there: dict[str, str] = {}
    for name in PAGES:
        try:
            there[name] = _digest(out, name)
        except FileNotFoundError:
            continue
        except InputError as error:
            problems.append(f"{name}: {error.found}{_remake(name)}")
            stated.pop(name, None)
    for name in sorted({*stated, *there}):
        if name not in there:
            problems.append(f"{name}: not there, but in {SUMS}{_remake(name)}")
        elif name not in stated:
            problems.append(f"{name}: not in {SUMS}, so it cannot be checked")
        elif stated[name] != there[name]:
            problems.append(f"{name}: sha256 {there[name][:12]}…, {SUMS} says {stated[name][:12]}…{_remake(name)}")
    return problems


def _remake(name: str) -> str:
    return f" ({_REMAKE[name]})" if name in _REMAKE else ""


def _stated(out: Storage) -> tuple[dict[str, str], list[str]]:
    """The digest that SHA256SUMS states of each page; and what in it is no such line."""
    try:
        content = out.read(SUMS, MOST_SUMS)
    except FileNotFoundError:
        return {}, []
    except ValueError as error:
        return {}, [f"{SUMS}: {error}"]
    *lines, rest = content.split(b"\n")
    stated: dict[str, str] = {}
    problems = [f"{SUMS}: it does not end with a line break"] if rest else []
    for number, line in enumerate([*lines, rest] if rest else lines, 1):
        found = _LINE.fullmatch(line)
        name = found[2].decode("ascii", "replace") if found else ""
        if not found or name not in PAGES or name in stated:
            problems.append(f"{SUMS}, line {number}: no digest of a page, {line[:100]!r}")
        else:
            stated[name] = found[1].decode()
    return stated, problems


def _digest(out: Storage, name: str) -> str:
    """sha256 of a page. Raises FileNotFoundError where there is none, and InputError if it cannot be read."""
    with as_input_errors(f"reading {name} of {out.address}"), out.open(name) as file:
        if (size := file.seek(0, io.SEEK_END)) > MOST_PAGE:
            raise InputError(
                f"reading {name} of {out.address}", expected=f"at most {MOST_PAGE:,} bytes", found=f"{size:,} bytes",
                do="miex report writes it again",
            )  # fmt: skip
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # BinaryIO has readinto
