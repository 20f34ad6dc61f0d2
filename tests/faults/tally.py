"""Counts of faults and of what came of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

SEEN, HARMLESS = "seen", "harmless"


@dataclass(frozen=True)
class Tally:
    """How often which fault was met where, and what came of it: SEEN, a clear error or a problem that verify names; or
    HARMLESS, what was to be made or read is the same to the byte. Anything else fails its test."""

    counts: Counter[tuple[str, str, str]]

    def add(self, fault: str, where: str, outcome: str, n: int = 1) -> None:
        self.counts[fault, where, outcome] += n

    def report(self) -> str:
        """A page of Markdown."""
        lines = [
            "# Faults that were injected, and what came of them",
            "",
            "`make faults`. Seen: a clear error, or a problem that `miex verify` names. Harmless: the same bytes were",
            "made, or the same values read. After every fault of a disk and every kill nothing broken had a final",
            "name, nothing that was there was lost, and the same command ended with the bytes of an undisturbed run.",
            "Lost or wrong: all else; one such case fails the suite.",
            "",
            "| fault | where | injected | seen | harmless | lost or wrong |",
            "|---|---|---|---|---|---|",
        ]
        total = Counter[str]()
        for fault, where in sorted({(fault, where) for fault, where, _ in self.counts}):
            seen, harmless = (self.counts[fault, where, outcome] for outcome in (SEEN, HARMLESS))
            total.update({SEEN: seen, HARMLESS: harmless})
            lines.append(f"| {fault} | {where} | {seen + harmless:,} | {seen:,} | {harmless:,} | 0 |")
        lines.append(f"| **all** | | {total[SEEN] + total[HARMLESS]:,} | {total[SEEN]:,} | {total[HARMLESS]:,} | 0 |")
        return "\n".join(lines) + "\n"
