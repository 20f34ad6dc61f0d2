"""A table of results, for terminals, notebooks and programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, repr=False)
class Table:
    """A table.

    Attributes:
        title: what it shows.
        columns: their names.
        rows: the cells, as text.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        text = ("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)
        return "\n".join([self.title, *text])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def row(cells: Sequence[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        body = "".join(row(cells, "td") for cells in self.rows)
        return f"<table><caption>{escape(self.title)}</caption>{row(self.columns, 'th')}{body}</table>"


def spread(mean: float, std: float, runs: int) -> str:
    """Mean ± standard deviation; of one run its value alone."""
    return f"{mean:.3f} ± {std:.3f}" if runs > 1 else f"{mean:.3f}"
