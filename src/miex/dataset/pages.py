"""What people and hubs open of a set (README.md, gallery.html …), proven by SHA256SUMS: `sha256sum -c` reads it, too.

Everything else is proven by the plan's digests and the shards' records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from contextlib import suppress

from miex.errors import InputError
from miex.storage.base import Storage

README, GALLERY, REFUSED = "README.md", "gallery.html", "refused.csv"
CROISSANT, PICTURE = "croissant.json", "card.svg"
REPORT = (GALLERY, README, CROISSANT, PICTURE)  # what tells of the samples
PAGES = (*REPORT, REFUSED)
SUMS = "SHA256SUMS"
_REMAKE = dict.fromkeys(REPORT, "miex repair writes it again") | {
    REFUSED: "planning with the same options and photos writes it again"  # whose photos are not in the plan
}


def write_sums(out: Storage, names: Collection[str]) -> None:
    """State the digests of pages that were just written, or are gone, in SHA256SUMS; lines of others stay.

    Raises:
        OutputError: it cannot be written.
    """
    stated = {name: digest for name, digest in _stated(out).items() if name not in names}
    stated |= {name: digest for name, digest in _there(out).items() if name in names}
    out.write(SUMS, "".join(f"{stated[name]}  {name}\n" for name in sorted(stated)).encode())


def page_problems(out: Storage) -> list[str]:
    """What is wrong with the pages, each with its name."""
    try:
        stated, there = _stated(out), _there(out)
    except InputError as error:
        return [f"{error.asked}: {error.found}"]
    problems = []
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


def _stated(out: Storage) -> dict[str, str]:
    try:
        lines = out.read(SUMS).decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _there(out: Storage) -> dict[str, str]:
    found = {}
    for name in PAGES:
        with suppress(FileNotFoundError):
            found[name] = hashlib.sha256(out.read(name)).hexdigest()
    return found
