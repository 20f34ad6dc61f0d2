"""The presenter: what a number looks like in text, Markdown, LaTeX and CSV, and that files are what they say."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import cv2
import pytest

from miex.experiments.present import Bars, Chart, Curves, Result, Table, Value, spread, stars

ROWS: list[list[str | int | Value]] = [
    ["a|b & 5 %", 9, Value(0.7284, 0.0138), Value(-0.0471, p=(0.03, 0.2), signed=True)],
    ["real_only", 3, Value(0.773), ""],
    ["between", 3, Value(0.7, low=0.56, high=0.78, digits=2), Value(None, low=0.5, high=0.75, digits=2)],
]
TABLE = Table("UF1 of 5 %", ["trained on", "runs", "UF1", "against"], ROWS, "n.s. p > 0.05")


def test_stars_of_the_paper() -> None:
    assert [stars(p) for p in (0.2, 0.03, 0.005, 0.0005)] == ["n.s.", "*", "**", "***"]


def test_values_as_text() -> None:
    assert TABLE.texts[0] == ["a|b & 5 %", "9", "0.728 ± 0.014", "-0.047 * / n.s."]
    assert TABLE.texts[1] == ["real_only", "3", "0.773", ""]
    assert TABLE.texts[2] == ["between", "3", "0.70 (0.56 … 0.78)", "0.50 … 0.75"]
    assert str(spread(0.5, 0.1, 1)) == "0.500"
    assert str(spread(0.5, 0.1, 2)) == "0.500 ± 0.100"


def test_text_and_html_hold_every_entry() -> None:
    for text in (str(TABLE), TABLE._repr_html_().replace("&amp;", "&").replace("&gt;", ">")):
        for cell in [cell for row in TABLE.texts for cell in row] + [*TABLE.columns, TABLE.title, TABLE.note]:
            assert cell in text
    assert len({len(line.split("0.728")[0]) for line in str(TABLE).splitlines() if "0.728" in line}) == 1


def test_markdown_has_one_line_for_each_row() -> None:
    lines = TABLE.markdown().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(ROWS)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {5}
    assert "a\\|b & 5 %" in table[2]


def test_latex_escapes_and_raises_stars() -> None:
    text = TABLE.latex()
    assert r"a\textbar{}b \& 5 \% & 9 & $0.728 \pm 0.014$ & $-0.047^{*/\mathrm{n.s.}}$ \\" in text
    assert r"real\_only & 3 & $0.773$ &  \\" in text
    assert r"$0.50 \ldots 0.75$" in text
    assert r"\begin{tabular}{lrrr}" in text
    assert text.isascii()
    assert text.count("{") == text.count("}")
    assert r"of z$^{\mathrm{MaE}}$, a\textasciicircum{}2 & b" in Table("", ["of z^MaE, a^2", "b"], []).latex()


def test_csv_gives_every_number_back() -> None:
    rows = list(csv.DictReader(io.StringIO(TABLE.csv())))
    assert float(rows[0]["UF1"]) == 0.7284
    assert float(rows[0]["UF1 std"]) == 0.0138
    assert (rows[0]["against p"], rows[0]["against p 2"]) == ("0.03", "0.2")
    assert rows[1]["UF1 std"] == ""
    assert (rows[2]["UF1 low"], rows[2]["UF1 high"], rows[2]["against low"]) == ("0.56", "0.78", "0.5")
    assert [row["trained on"] for row in rows] == [row[0] for row in ROWS]


class Found(Result):
    name = "found"

    def tables(self) -> dict[str, Table]:
        return {"": TABLE, "more": TABLE}

    def plain(self) -> dict[str, Any]:
        return {"uf1": 0.7}

    def chart(self) -> Chart:
        values = {"real only": Value(0.77, 0.01, 0.7, 0.85), "set, direct": Value(0.7, 0.02, 0.6, 0.8, (0.01,))}
        return Chart("UF1", "UF1", {"first view": values, "second view": values}, "real only")


def test_saved_files_are_whole_and_the_same_each_time(tmp_path: Path) -> None:
    written = Found().save(tmp_path / "new")
    names = [f"found{part}.{kind}" for part in ("", "-more") for kind in ("md", "tex", "csv")]
    assert [path.name for path in written] == [*names, "found.json", "found.png"]
    assert json.loads((tmp_path / "new" / "found.json").read_text()) == {"uf1": 0.7}
    assert (tmp_path / "new" / "found.csv").read_text() == TABLE.csv()
    picture = cv2.imread(str(written[-1]))
    assert picture is not None
    assert picture.std() > 5
    before = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in Found().save(tmp_path / "new")] == before


def test_odd_names_break_no_form(tmp_path: Path) -> None:
    """A line break, a formula, what LaTeX would read as an option of the command before it."""
    table = Table(
        "a\nb | c", ["x\\y", "UF1"], [["[x] cost $\\x$\nmore", Value(-0.0001, signed=True)], ["*a", Value(0.5)]]
    )
    assert len([line for line in table.markdown().splitlines() if line.startswith("|")]) == 4
    assert table.markdown().startswith("**a b \\| c**")
    assert "{}[x]" in table.latex()
    assert "{}*a" in table.latex()
    assert table.texts[0][1] == "0.000"
    assert ">" not in Table("p > 0.05", ["a"], []).latex().replace("$>$", "")
    odd = {"cost $\\x$": Value(0.5), "a$1$_b": Value(0.4), "$ of z^MiE": Value(0.3)}
    Chart("a $1$", "UF1", {"p $x$": odd}).draw().savefig(tmp_path / "odd.png")
    assert (tmp_path / "odd.png").stat().st_size > 1000


def test_curves_stand_over_their_numbers(tmp_path: Path) -> None:
    """Values, a band of ± std or lines from low to high, zero where signs are shown, the mark."""
    uf1 = {"real $x$": {2: Value(0.6, 0.1), 8: Value(0.8, 0.05)}, "both": {2: Value(0.7, 0.1), 8: Value(0.8, 0.1)}}
    more = {"both": {2: Value(0.1, low=-0.1, high=0.3, signed=True), 8: Value(0.0, low=-0.1, high=0.1, signed=True)}}
    drawn = Curves("a $1$", "people", {"UF1": uf1, "more": more}, rows=2, marked={"UF1": (4.0, "4 people")}).draw()
    drawn.savefig(tmp_path / "curves.png")
    top, below = drawn.axes
    assert [line.get_ydata().tolist() for line in top.lines[:2]] == [[0.6, 0.8], [0.7, 0.8]]
    assert [patch.get_paths()[0].get_extents().ymin for patch in top.collections] == pytest.approx([0.5, 0.6])
    assert list(top.lines[2].get_xdata()) == [4.0, 4.0]
    assert [text.get_text() for text in top.texts] == ["4 people"]
    assert top.get_xticks().tolist() == [2, 8]
    assert [list(line.get_ydata()) for line in below.lines] == [[0.1, 0.0], [-0.1, 0.3], [-0.1, 0.1], [0, 0]]
    assert not below.collections
    assert below.lines[0].get_color() == top.lines[1].get_color()  # of one curve


def test_every_form_says_that_it_tells_of_a_part() -> None:
    query = "label == 'surprise' and source != \"it's\""
    table = replace(TABLE, where=query)
    for text in (str(table), html.unescape(table._repr_html_()), table.markdown(), table.latex()):
        assert "; only samples where label == 'surprise' and source != \"it's\"" in text
    assert [row["where"] for row in csv.DictReader(io.StringIO(table.csv()))] == [query] * len(ROWS)
    assert "where" not in TABLE.csv() + str(TABLE)


def test_an_empty_table_can_be_shown() -> None:
    empty = Table("nothing", ["a"], [])
    assert str(empty) == "nothing\na"
    assert empty.csv() == "a\n"
    assert "toprule" in empty.latex()


@pytest.mark.parametrize("text", ["50 %_{}#$~^\\", "± … – → ←"])
def test_latex_of_odd_text_is_plain(text: str) -> None:
    assert Table(text, [text], [[text]]).latex().isascii()


def test_columns_without_anything_are_for_programs_alone() -> None:
    table = Table(
        "a", ["name", "UF1", "UF1 printed", "panel"], [["x", Value(0.5), "–", ""], ["y", Value(0.6), "–", ""]]
    )
    for text in (str(table), table._repr_html_(), table.markdown(), table.latex()):
        assert "UF1" in text
        assert not [word for word in ("printed", "panel", "–", "--  ") if word in text.replace("| --- |", "")]
    assert next(csv.reader(io.StringIO(table.csv()))) == ["name", "UF1", "UF1 printed", "panel"]
    assert "printed" in Table("a", ["name", "printed"], [["x", "–"], ["y", Value(0.6)]]).markdown()


def test_bars_can_be_read() -> None:
    """No text of a bar or bracket leaves its axes or lies on another; many panels stand in two rows."""
    values = {f"set {i}": Value(40.0 + 5 * i, 2.0) for i in range(6)}
    pairs = [(f"set {i}", "set 5", 0.5) for i in range(5)] + [("set 0", "set 1", 0.01), ("set 1", "set 2", 0.2)]
    sizes = {name: Value(10.0**i, digits=0) for i, name in enumerate(values)}
    bars = Bars("title", {"UF1": values, "UAR": values, "n": sizes}, {}, {"UF1": pairs}, frozenset({"n"}))
    levels = bars._levels("UF1", list(values))
    assert len(levels) == 5
    assert sum(map(len, levels)) == len(pairs)
    assert all(right <= left for level in map(sorted, levels) for (_, right, _), (left, _, _) in pairwise(level))
    drawn = bars.draw()
    drawn.canvas.draw()
    assert {ax.get_subplotspec().rowspan.start for ax in drawn.axes} == {0}
    for ax in drawn.axes:
        boxes = [text.get_window_extent() for text in ax.texts]
        frame = ax.get_window_extent()
        assert all(frame.ymin < box.ymin and box.ymax < frame.ymax for box in boxes)
        assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert [len(ax.texts) for ax in drawn.axes] == [7, 0, 6]
    lowest = [Bars("", {"a": {"b": Value(low), "c": Value(50.0)}}).draw().axes[0].get_ylim()[0] for low in (20.0, 45.0)]
    assert lowest == [0.0, 40.0]
    four = Bars("title", dict.fromkeys("abcd", values)).draw().axes
    assert [(ax.get_title(), ax.get_subplotspec().rowspan.start) for ax in four] == [
        ("a", 0), ("c", 0), ("b", 1), ("d", 1)
    ]  # fmt: skip


def _wide(n: int, scores: Sequence[str], groups: int) -> Table:
    columns = ["tested on", "trained on", "folds", "repeats", *(f"{s} {w}" for s in scores for w in ("a", "b", "c"))]
    rows: list[list[Any]] = [
        [f"corpus {i * groups // n}", f"a set of some name {i}", "3-fold", 3, *[Value(i / n, 0.1)] * 3 * len(scores)]
        for i in range(n)
    ]
    return Table("Wide", columns, rows, "Read it.")


def test_a_wide_table_fits_a_page() -> None:
    """What all rows share is in the caption, names of groups stand above them, and the scores below each other."""
    scores = ["UF1", "UAR", "accuracy"]
    text = _wide(6, scores, 2).latex()
    assert "Read it. In all rows: folds 3-fold, repeats 3." in text
    tabulars = re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}\}", text, re.DOTALL)
    assert [kinds for kinds, _ in tabulars] == ["lrrr", "lrrrrrr"]
    assert text.count(r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%") == 2
    for score in scores:
        assert sum(rf"\shortstack[r]{{{score}\\a}}" in body for _, body in tabulars) == 1
    for kinds, body in tabulars:
        assert [line for line in body.splitlines() if "multicolumn" in line] == [
            rf"\multicolumn{{{len(kinds)}}}{{l}}{{\emph{{corpus {i}}}}} \\" for i in range(2)
        ]
        assert [f"a set of some name {i} &" in body for i in range(6)] == [True] * 6
    assert "corpus 0 &" in _wide(6, scores, 6).latex()  # each of one row: no group
    assert "multicolumn" not in _wide(6, scores, 1).latex()  # the same in all rows
    assert "resizebox" not in TABLE.latex()
    alike = Table("a", ["label", "frames"], [["x", "y" * 80], ["z", "y" * 80]])  # the caption does not take all
    assert alike.latex().count("y" * 80) == 2
