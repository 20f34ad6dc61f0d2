"""The presenter: the one place that prints ±, stars and intervals, and writes tables as text, Markdown, LaTeX, CSV."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from itertools import chain, combinations, groupby, pairwise
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Protocol

from miex.arguments import checking
from miex.figures import figure, write_picture
from miex.storage.local import write_whole
from miex.tables.written import csv_text

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    c: f"\\{c}" for c in "&%$#_{}"
}
_LATEX |= {">": "$>$", "<": "$<$", "|": r"\textbar{}", "×": r"$\times$"}
_LATEX |= {"α": r"$\alpha$", "β": r"$\beta$", "μ": r"$\mu$", "ν": r"$\nu$"}
_RAISED = re.compile(r"\b([A-Za-z])\^([A-Za-z]+)\b")  # as papers write sources: z^MiE
_LATEX |= {"±": r"$\pm$", "…": r"\dots{}", "–": "--", "→": r"$\rightarrow$", "←": r"$\leftarrow$", "−": "$-$"}

# letters of 10 points beside each other on a page 345 points wide, and as many as can still be read when made smaller
_PAGE, _WIDEST = 69, 120
_AXES, _LEVEL = 2.9, 0.22  # inches: height of bars without brackets, and of a bracket with its stars
_COLORS = ("#444444", "#D55E00", "#009E73", "#0072B2", "#CC79A7", "#E69F00")  # told apart by the color-blind, too
_SHRUNK = r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}"


def stars(p: float) -> str:
    """The paper's notation: n.s. above 0.05, * above 0.01, ** above 0.001, *** below."""
    return "n.s." if p > 0.05 else "*" if p > 0.01 else "**" if p > 0.001 else "***"


@dataclass(frozen=True)
class Value:
    """A number as a table shows it.

    Attributes:
        value: the number; None where only an interval is shown.
        std: standard deviation over runs; None for a single run.
        low, high: ends of an interval.
        p: p values, each shown by its stars.
        signed: shown with its sign, as differences are.
        digits: after the point.
    """

    value: float | None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    p: tuple[float, ...] = ()
    signed: bool = False
    digits: int = 3

    def __str__(self) -> str:
        between = "" if self.low is None or self.high is None else f"{self._of(self.low)} … {self._of(self.high)}"
        if self.value is None:
            return between
        text = self._of(self.value) + ("" if self.std is None else f" ± {self.std:.{self.digits}f}")
        return text + (f" ({between})" if between else "") + (" " + " / ".join(map(stars, self.p)) if self.p else "")

    def _of(self, number: float) -> str:
        shown = round(number, self.digits) + 0.0  # no negative zero
        return f"{shown:{'+' if self.signed and shown else ''}.{self.digits}f}"

    def numbers(self) -> dict[str, float]:
        """What it holds, by the name that a column of it has after the table's own: "", std, low, high, p, p 2 ….

        Numbers are rounded to six digits after the point.
        """
        found = {"": self.value, "std": self.std, "low": self.low, "high": self.high}
        found |= {f"p {i + 1}" if i else "p": p for i, p in enumerate(self.p)}
        return {name: round(float(number), 6) for name, number in found.items() if number is not None}


Entry = str | int | Value


def spread(mean: float, std: float, runs: int) -> Value:
    """Mean ± standard deviation over runs; of one run its value alone."""
    return Value(mean, std if runs > 1 else None)


@dataclass(frozen=True, repr=False)
class Table:
    """A table, for terminals, notebooks, papers and programs.

    Attributes:
        title: what it shows.
        columns: their names.
        rows: the entries.
        note: how to read it; may be empty.
        where: query that chose the samples, if they are not all: it ends the title, and CSV, which has none, has a
            column of it.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Entry]]
    note: str = ""
    where: str = ""

    @property
    def heading(self) -> str:
        """The title, and of which samples it tells."""
        return self.title + only_where(self.where)

    @property
    def texts(self) -> list[list[str]]:
        """The rows as text."""
        return [
            [f"{entry:,}" if isinstance(entry, int) else _one_line(str(entry)) for entry in row] for row in self.rows
        ]

    @property
    def shown(self) -> Table:
        """Without columns in which every row has nothing, or a dash: people see no use in them. CSV keeps them."""
        kept = [i for i in range(len(self.columns)) if not self.rows or {text[i] for text in self.texts} - {"", "–"}]
        return self if len(kept) == len(self.columns) else self._with(kept)

    def __str__(self) -> str:
        shown = self.shown
        lines = [list(shown.columns), *shown.texts]
        widths = [max(len(line[i]) for line in lines) for i in range(len(shown.columns))]
        text = ("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)
        return "\n".join([self.heading, *text, *([self.note] if self.note else [])])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def row(cells: Sequence[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        shown = self.shown
        body = "".join(row(cells, "td") for cells in shown.texts)
        note = f"<p>{escape(self.note)}</p>" if self.note else ""
        return f"<table><caption>{escape(self.heading)}</caption>{row(shown.columns, 'th')}{body}</table>{note}"

    def markdown(self) -> str:
        """As a table of GitHub's Markdown, its title above and its note below."""
        shown = self.shown
        head, *rows = ([_markdown(cell) for cell in line] for line in [shown.columns, *shown.texts])
        lines = ["| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows]]
        return "\n".join([f"**{_markdown(self.heading)}**", "", *lines, *(["", self.note] if self.note else []), ""])

    def latex(self) -> str:
        """As a table of LaTeX that needs the package booktabs; stars are raised.

        One that is wider than a page of one column (about 69 letters) needs the package graphicx too. Its caption says
        what all rows have in common; names that come again in its first column stand above their rows; still wider
        than 120 letters, its numbers stand below each other, each part with the columns of text again; and each part
        is made as small as the page is wide.
        """
        shown = self.shown
        if (wide := shown._width > _PAGE) and len(self.rows) > 1:
            shown = shown._without_common()
        caption = _latex(shown.heading + (f". {shown.note}" if shown.note else ""))
        parts = ["\n".join(part._tabular(wide)) for part in (shown._parts() if wide else [shown])]
        body = "\n\n\\medskip\n".join(parts)
        return "\n".join([r"\begin{table}", f"\\caption{{{caption}}}", body, r"\end{table}", ""])

    @property
    def _numbers(self) -> list[bool]:
        """Of each column whether it holds numbers."""
        return [any(isinstance(row[i], int | Value) for row in self.rows) for i in range(len(self.columns))]

    @property
    def _widths(self) -> list[int]:
        """Of each column in letters, with the space beside it; a wide table has names of numbers in two lines."""
        cells = list(zip(self.columns, *self.texts, strict=True))
        return [2 + max(map(len, (*name.split(" ", 1), *column))) for name, *column in cells]

    @property
    def _width(self) -> int:
        return sum(map(max, self._widths, (2 + len(name) for name in self.columns)))

    def _with(self, at: Sequence[int]) -> Table:
        """Only these columns."""
        rows = [[row[i] for i in at] for row in self.rows]
        return replace(self, columns=[self.columns[i] for i in at], rows=rows)

    def _without_common(self) -> Table:
        """Columns in which all rows have the same text or number of something are named in the note instead."""
        first, every = self.rows[0], range(len(self.columns))
        same = [
            i for i in every if not isinstance(first[i], Value) and len({text[i] for text in self.texts}) == 1
        ]  # fmt: skip
        if not same or len(self.columns) - len(same) < 2:  # what is left would say nothing
            return self
        common = ", ".join(f"{self.columns[i]} {self.texts[0][i]}" for i in same)
        note = f"{self.note} In all rows: {common}.".lstrip()
        return replace(self._with([i for i in every if i not in same]), note=note)

    def _parts(self) -> list[Table]:
        """Parts that are not much wider than a page, each with the columns of text that this begins with."""
        numbers, widths = self._numbers, self._widths
        lead = numbers.index(True) if True in numbers else len(numbers)
        stacked = range(1 if self._titled else 0, lead)
        groups = [
            list(of) for _, of in groupby(range(lead, len(self.columns)), lambda i: self.columns[i].split(" ", 1)[0])
        ]  # what one score is shown by stays together
        own, beside = [sum(widths[i] for i in group) for group in groups], sum(widths[i] for i in stacked)
        for n in range(1, len(groups) + 1):
            cuts = [(0, *inner, len(groups)) for inner in combinations(range(1, len(groups)), n - 1)]
            widest, best = min((max(beside + sum(own[a:b]) for a, b in pairwise(cut)), cut) for cut in cuts)
            if widest <= _WIDEST or n == len(groups):
                return [self._with([*range(lead), *chain(*groups[a:b])]) for a, b in pairwise(best)]
        return [self]

    @property
    def _titled(self) -> bool:
        """Whether the first column names several rows each, one after the other."""
        runs = [name for name, _ in groupby(text[0] for text in self.texts)]
        return 1 < len(runs) == len(set(runs)) <= len(self.rows) / 2 and not self._numbers[0]

    def _tabular(self, wide: bool) -> list[str]:
        """Its lines of LaTeX; those of a wide one are made as small as the page."""
        titled, kinds = wide and self._titled, ["r" if number else "l" for number in self._numbers]
        heads = [_head(name) if wide and kind == "r" else _latex(name) for name, kind in
                 zip(self.columns, kinds, strict=True)]  # fmt: skip
        lines, above = [], ""
        for row in self.rows:
            if titled and row[0] != above:
                above = str(row[0])
                lines.append(f"\\multicolumn{{{len(kinds) - 1}}}{{l}}{{\\emph{{{_latex(above)}}}}}")
            cells = [_latex(entry) for entry in row[titled:]]
            # a row that begins with [ or * would be read as part of the command before it
            lines.append("{}" * cells[0].startswith(("[", "*")) + " & ".join(cells))
        body = [rf"{line} \\" for line in lines]
        tabular = [
            f"\\begin{{tabular}}{{{''.join(kinds[titled:])}}}", r"\toprule", rf"{' & '.join(heads[titled:])} \\",
            r"\midrule", *body, r"\bottomrule", r"\end{tabular}",
        ]  # fmt: skip
        return [rf"{_SHRUNK}{{%", *tabular[:-1], rf"{tabular[-1]}}}"] if wide else tabular

    def csv(self) -> str:
        """As CSV for programs: a value's parts have columns of their own, such as "UF1" and "UF1 std"."""
        parts: list[list[str]] = []
        for i in range(len(self.columns)):
            held = [name for row in self.rows if isinstance(entry := row[i], Value) for name in entry.numbers()]
            parts.append(list(dict.fromkeys(held)) or [""])
        columns = [f"{name} {part}".strip() for name, own in zip(self.columns, parts, strict=True) for part in own]
        columns += ["where"] if self.where else []
        rows = []
        for row in self.rows:
            cells: list[Any] = []
            for entry, own in zip(row, parts, strict=True):
                if isinstance(entry, Value):
                    numbers = entry.numbers()
                    cells += [numbers.get(part, "") for part in own]
                else:
                    cells += [entry, *[""] * (len(own) - 1)]
            rows.append([*cells, self.where] if self.where else cells)
        return csv_text(columns, rows)


@dataclass(frozen=True)
class Chart:
    """Values beside each other: a point each, a thick bar of ± std over runs, a thin line from low to high.

    Attributes:
        title: what it shows.
        axis: what the values are.
        panels: their names, left to right; of each the named values, top to bottom.
        marked: name of a value that the others are compared with: a dotted line runs through it.
    """

    title: str
    axis: str
    panels: Mapping[str, Mapping[str, Value]]
    marked: str = ""

    def draw(self) -> Figure:
        """The picture: panels share the names of the first, and the axis."""
        names = list(dict.fromkeys(name for panel in self.panels.values() for name in panel))
        made = figure(3.2 + 3.4 * len(self.panels), 1.3 + 0.3 * len(names))
        axes = made.subplots(1, len(self.panels), sharex=True, sharey=True, squeeze=False)[0]
        for ax, (panel, values) in zip(axes, self.panels.items(), strict=True):
            for name, one in values.items():
                y, x = names.index(name), one.value
                if x is None:
                    continue
                if one.low is not None and one.high is not None:
                    ax.plot([one.low, one.high], [y, y], color="#888888", linewidth=1)
                if one.std is not None:
                    ax.plot([x - one.std, x + one.std], [y, y], color="#0072B2", linewidth=4, alpha=0.6)
                ax.plot([x], [y], "o", color="#0072B2", markersize=4)
                label = f"{x:.{one.digits}f}" + "".join(f" {stars(p)}" for p in one.p[:1])
                ax.annotate(label, (x, y), (0, 4), textcoords="offset points", ha="center", fontsize=7)
            if (mark := values.get(self.marked)) is not None and mark.value is not None:
                ax.axvline(mark.value, color="#444444", linestyle=":", linewidth=1)
            ax.set_title(_drawn(panel), fontsize=9)
            ax.set_xlabel(self.axis, fontsize=8)
            ax.tick_params(labelsize=8)
            ax.grid(axis="x", alpha=0.3)
        axes[0].set_yticks(range(len(names)), [_drawn(name) for name in names])
        axes[0].set_ylim(len(names) - 0.5, -0.7)
        made.suptitle(_drawn(_in_lines(self.title, int(11 * made.get_figwidth()))), fontsize=10)
        return made


@dataclass(frozen=True)
class Bars:
    """Bars beside each other, ± std over runs, as papers draw them, with stars between those that are compared.

    Attributes:
        title: what it shows.
        panels: their names, from left to right; of each the named values.
        printed: published values by panel and name; a diamond beside the bar.
        pairs: by panel two names and the p value of their difference.
        logarithmic: panels whose axis is logarithmic.
    """

    title: str
    panels: Mapping[str, Mapping[str, Value]]
    printed: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    pairs: Mapping[str, Sequence[tuple[str, str, float]]] = field(default_factory=dict)
    logarithmic: frozenset[str] = frozenset()

    def draw(self) -> Figure:
        """The picture. Axes of scores begin below the lowest value, and say so where that is not 0.

        More than three panels stand in two rows, so that they can be read on a page: the first two above each other.
        """
        rows = 2 if len(self.panels) > 3 else 1
        widths = [max(2.2, 0.55 * len(values)) for values in self.panels.values()][::rows]
        levels = max(len(self._levels(panel, list(values))) for panel, values in self.panels.items())
        made = figure(sum(widths) + 0.9 * len(widths), rows * (_AXES + 1.3 + _LEVEL * levels))
        axes = made.subplots(rows, len(widths), squeeze=False, width_ratios=widths)
        for ax in axes.ravel(order="F")[len(self.panels) :]:
            ax.set_axis_off()
        for ax, (panel, values) in zip(axes.ravel(order="F"), self.panels.items(), strict=False):
            self._panel(ax, panel, values)
        made.suptitle(_drawn(_in_lines(self.title, int(11 * made.get_figwidth()))), fontsize=10)
        return made

    def _levels(self, panel: str, names: Sequence[str]) -> list[list[tuple[int, int, float]]]:
        """Of each height the brackets that do not meet: places of their two bars, and the p value."""
        levels: list[list[tuple[int, int, float]]] = []
        for one, other, p in self.pairs.get(panel, ()):
            left, right = sorted((names.index(one), names.index(other)))
            free = (level for level in levels if all(right <= a or b <= left for a, b, _ in level))
            level = next(free, None)
            if level is None:
                levels.append(level := [])
            level.append((left, right, p))
        return levels

    def _panel(self, ax: Any, panel: str, values: Mapping[str, Value]) -> None:
        names, drawn = list(values), {name: one for name, one in values.items() if one.value is not None}
        published = {
            name: one for name, one in self.printed.get(panel, {}).items() if name in values and one.value is not None
        }
        for name, value in drawn.items():
            ax.bar(names.index(name), value.value, 0.7, yerr=value.std, color="#56B4E9", edgecolor="#0072B2", capsize=3)
        for name, value in published.items():
            ax.errorbar(
                names.index(name) + 0.22, value.value, value.std, fmt="D", color="#D55E00", markersize=4, capsize=2,
                markerfacecolor="white", linewidth=1,
            )  # fmt: skip
        every = [*drawn.values(), *published.values()]
        tops = [(one.value or 0) + (one.std or 0) for one in every] or [1.0]
        ends = [(one.value or 0) - (one.std or 0) for one in every] or [0.0]
        if panel in self.logarithmic:
            ax.set_yscale("log")
            ax.set_ylim(min(ends) / 2, max(tops) * 2)  # room for the smallest bar, and for the number above the largest
            for name, value in drawn.items():
                ax.annotate(f"{value.value:,.{value.digits}f}", (names.index(name), value.value), ha="center",
                            va="bottom", fontsize=7)  # fmt: skip
        else:
            low = max(0.0, min(ends) - max(0.3 * (max(tops) - min(ends)), 0.1 * max(tops)))
            low = low if low > max(tops) / 4 else 0.0  # to leave out so little gains nothing
            step = _LEVEL / _AXES * (max(tops) - low)
            first, levels = max(tops) + step / 2, self._levels(panel, names)
            for i, level in enumerate(levels):
                height = first + step * i
                for left, right, p in level:
                    span = left + 0.05, right - 0.05  # so that neighbors at one height stay apart
                    ax.plot([span[0], *span, span[1]], [height, height + step / 4, height + step / 4, height],
                            color="#444444", linewidth=0.8)  # fmt: skip
                    ax.annotate(stars(p), ((left + right) / 2, height + step / 4), ha="center", va="bottom", fontsize=7)
            ax.set_ylim(low, first + step * (len(levels) + 0.3))
            if low > 0:
                ax.set_xlabel("the axis does not begin at 0", fontsize=6)
        ax.set_xticks(range(len(names)), [_drawn(name) for name in names], rotation=40, ha="right", fontsize=7)
        ax.set_title(_drawn(panel), fontsize=9)
        ax.tick_params(axis="y", which="both", labelsize=7)
        ax.grid(axis="y", alpha=0.3)
        ax.set_axisbelow(True)


@dataclass(frozen=True)
class Curves:
    """Values by a number, as curves: a band of ± std over runs, or else thin lines from low to high.

    Attributes:
        title: what they show.
        axis: what the number is; its axis is logarithmic.
        panels: their names, in columns of `rows` panels; of each the named curves, by the number.
        rows: how many panels stand above each other.
        marked: by panel, a number with a text: a dotted line.
    """

    title: str
    axis: str
    panels: Mapping[str, Mapping[str, Mapping[int, Value]]]
    rows: int = 1
    marked: Mapping[str, tuple[float, str]] = field(default_factory=dict)

    def draw(self) -> Figure:
        """The picture. Each curve has its color in all panels."""
        columns = -(-len(self.panels) // self.rows)
        made = figure(4.6 * columns, 0.9 + 2.9 * self.rows)
        axes = made.subplots(self.rows, columns, sharex=True, sharey="row", squeeze=False)
        names = list(dict.fromkeys(name for panel in self.panels.values() for name in panel))
        numbers = sorted({n for panel in self.panels.values() for curve in panel.values() for n in curve})
        handles = {}
        for ax, (panel, curves) in zip(axes.ravel(order="F"), self.panels.items(), strict=False):
            for name, curve in curves.items():
                color, place = _COLORS[names.index(name) % len(_COLORS)], names.index(name) - (len(names) - 1) / 2
                drawn = {n: one for n, one in curve.items() if one.value is not None}
                # points beside each other, so that their lines can be told apart
                x, y = [n * 2 ** (0.06 * place) for n in drawn], [one.value or 0.0 for one in drawn.values()]
                (handles[name],) = ax.plot(x, y, "o-", color=color, markersize=4, linewidth=1.5)
                for at, one in zip(x, drawn.values(), strict=True):
                    if one.std is None and one.low is not None and one.high is not None:
                        ax.plot([at, at], [one.low, one.high], color=color, linewidth=1)
                stds = [one.std for one in drawn.values() if one.std is not None]
                if len(stds) == len(y):
                    low, high = ([v + sign * std for v, std in zip(y, stds, strict=True)] for sign in (-1, 1))
                    ax.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
            if any(one.signed for curve in curves.values() for one in curve.values()):
                ax.axhline(0, color="#444444", linewidth=0.8)
            if panel in self.marked:
                number, text = self.marked[panel]
                ax.axvline(number, color="#444444", linestyle=":", linewidth=1)
                left = number**2 > numbers[0] * numbers[-1]  # of the line, where it is in the right half
                ax.annotate(text, (number, 0.02), (-3 if left else 3, 0), xycoords=("data", "axes fraction"),
                            textcoords="offset points", ha="right" if left else "left", fontsize=8)  # fmt: skip
            ax.set_title(_drawn(panel), fontsize=9)
            ax.set_xscale("log", base=2)
            ax.set_xticks(numbers, [str(n) for n in numbers])
            ax.tick_params(labelsize=8)
            ax.grid(alpha=0.3)
        for ax in axes[-1]:
            ax.set_xlabel(self.axis, fontsize=8)
        made.legend(handles.values(), [_drawn(name) for name in handles], loc="outside lower center", ncols=4,
                    fontsize=8, frameon=False)  # fmt: skip
        made.suptitle(_drawn(self.title), fontsize=10)
        return made


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images in rows and columns, each with a caption.

    Attributes:
        title: what they show.
        rows: name of each row, and its images uint8 RGB [s, s, 3] with their captions.
    """

    title: str
    rows: Mapping[str, Sequence[tuple[npt.NDArray[np.uint8], str]]]

    def draw(self) -> Figure:
        """The picture."""
        most = max(len(images) for images in self.rows.values())
        made = figure(1.5 * most + 0.6, 1.75 * len(self.rows) + 0.4)
        axes = made.subplots(len(self.rows), most, squeeze=False)
        for line, (name, images) in zip(axes, self.rows.items(), strict=True):
            for ax in line:
                ax.set_axis_off()
            for ax, (image, caption) in zip(line, images, strict=False):
                ax.imshow(image)
                ax.set_title(_drawn(caption), fontsize=7)
            line[0].text(-0.08, 0.5, _drawn(name), transform=line[0].transAxes, rotation=90, va="center", ha="right",
                         fontsize=9)  # fmt: skip
        made.suptitle(_drawn(self.title), fontsize=10)
        return made


class Drawing(Protocol):
    """Something that can be drawn."""

    def draw(self) -> Figure:
        """The picture."""
        ...


class Result(ABC):
    """What an evaluation or experiment found: shown in terminals and notebooks, and saved for papers and programs."""

    name: str = "result"  # of its files

    @abstractmethod
    def tables(self) -> dict[str, Table]:
        """Its tables; the first has the name "", each other one a name that is added to that of the files."""

    @abstractmethod
    def plain(self) -> dict[str, Any]:
        """Everything as JSON values."""

    def chart(self) -> Drawing | None:
        """Its picture, if it has one."""
        return None

    def page(self) -> str | None:
        """Its page of HTML, for what tables cannot show, if it has one."""
        return None

    @checking()
    def save(self, folder: str | Path) -> list[Path]:
        """Write each table as Markdown, LaTeX and CSV, everything as JSON, the picture as PNG and the page as HTML.

        Args:
            folder: is made where it is not there; files of the same names are replaced, each whole or not at all.

        Returns:
            The files.

        Raises:
            OutputError: they cannot be written.
        """
        place, written = Path(folder).expanduser(), []

        def put(suffix: str, text: str) -> None:
            written.append(place / f"{self.name}{suffix}")
            write_whole(written[-1], text.encode())

        for name, table in self.tables().items():
            own = f"-{name}" if name else ""
            put(f"{own}.md", table.markdown())
            put(f"{own}.tex", table.latex())
            put(f"{own}.csv", table.csv())
        put(".json", json.dumps(self.plain(), indent=1, allow_nan=False) + "\n")
        if (chart := self.chart()) is not None:
            written.append(place / f"{self.name}.png")
            write_picture(chart.draw(), written[-1])
        if (page := self.page()) is not None:
            put(".html", page)
        return written

    def __repr__(self) -> str:
        return "\n\n".join(map(str, self.tables().values()))

    def _repr_html_(self) -> str:
        return "".join(table._repr_html_() for table in self.tables().values())


def only_where(query: str) -> str:
    """The end of a title that tells only of samples that meet a query; nothing without one."""
    return f"; only samples where {_one_line(query)}" if query else ""


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))


def _markdown(text: str) -> str:
    return _one_line(text).replace("\\", "\\\\").replace("|", "\\|")


def _in_lines(text: str, width: int) -> str:
    return "\n".join(wrap(text, width))


def _drawn(text: str) -> str:
    """A text for a picture, in which nothing is a formula but what is raised, such as MiE in z^MiE."""
    return _RAISED.sub(r"\1$^{\\mathrm{\2}}$", text.replace("$", r"\$"))


def _head(name: str) -> str:
    """Name of a column of numbers in two lines: its first word above the others."""
    first, *others = (_latex(part) for part in name.split(" ", 1))
    return rf"\shortstack[r]{{{first}\\{others[0]}}}" if others else first


def _latex(entry: Entry) -> str:
    if not isinstance(entry, Value):
        parts = ["".join(_LATEX.get(c, c) for c in part) for part in _RAISED.split(_one_line(str(entry)))]
        powers = zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
        return parts[0] + "".join(rf"{base}$^{{\mathrm{{{above}}}}}${rest}" for base, above, rest in powers)
    text = str(replace(entry, p=())).replace("±", r"\pm").replace("…", r"\ldots")
    raised = "/".join(mark if mark.startswith("*") else f"\\mathrm{{{mark}}}" for mark in map(stars, entry.p))
    return f"${text}" + (f"^{{{raised}}}" if raised else "") + "$" if text or raised else ""
