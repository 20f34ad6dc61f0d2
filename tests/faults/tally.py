"""Counts of faults and of what came of them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SEEN, HARMLESS = "seen", "harmless"
HEAD = """# Faults that were injected, and what came of them

`make faults`. Seen: a clear error, or a problem that `miex verify` names; of a kill, that the process ended. Harmless:
the same bytes were made, or the same values read. After every fault of a disk and every kill nothing broken had a final
name, nothing that was there was lost, and the same command ended with the bytes of an undisturbed run. Lost or wrong:
all else; one such case fails the suite, and then its table is not written.

"""


@dataclass(frozen=True)
class Tally:
    """How often which fault was met where, and what came of it: SEEN, a clear error or a problem that verify names; or
    HARMLESS, what was to be made or read is the same to the byte. Anything else fails its test."""

    counts: Counter[tuple[str, str, str]]

    def add(self, fault: str, where: str, outcome: str, n: int = 1) -> None:
        self.counts[fault, where, outcome] += n

    def table(self) -> str:
        """In Markdown."""
        lines = [
            "| fault | where | injected | seen | harmless | lost or wrong |",
            "|---|---|---|---|---|---|",
        ]
        total = Counter[str]()
        for fault, where in sorted({(fault, where) for fault, where, _ in self.counts}):
            seen, harmless = (self.counts[fault, where, outcome] for outcome in (SEEN, HARMLESS))
            total.update({SEEN: seen, HARMLESS: harmless})
            lines.append(f"| {fault} | {where} | {seen + harmless:,} | {seen:,} | {harmless:,} | 0 |")
        lines.append(f"| **all** | | {total[SEEN] + total[HARMLESS]:,} | {total[SEEN]:,} | {total[HARMLESS]:,} | 0 |")
        return "\n".join(lines)


def store(page: Path, part: str, counts: Tally) -> None:
    """Write the counts of a part of the suite into a page of Markdown; other parts stay as they are."""
    there = re.split(r"^## (.*)\n", page.read_text("utf-8") if page.is_file() else "", flags=re.MULTILINE)[1:]
    parts = dict(zip(there[::2], there[1::2], strict=True)) | {part: counts.table()}
    text = HEAD + "".join(f"## {name}\n\n{parts[name].strip()}\n\n" for name in sorted(parts))
    page.write_text(text.rstrip() + "\n", "utf-8")
