"""What docs/limits.md says of real flow maps is what `miex experiment realflow` wrote."""

from __future__ import annotations

import csv
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
# the name of each line there
LINES = {
    "nothing: the sign rule": "sign rule, no training",
    "3,000 hand-made bumps": "3,000 bumps, direct",
    "miex, labels shuffled (9 shuffles)": "shuffled labels, direct",
    "**miex**": "miex, direct",
    "real maps of the other view, 3 folds": "real maps of the other view",
    "real maps of the other corpus": "real maps of the other corpus",
    "real maps alone, 3 folds": "real only",
    "**miex, then real maps**, 3 folds": "miex, fine-tune",
    "**miex and real maps together**, 3 folds": "miex, joint",
}


def test_the_table_of_the_limits_is_the_stored_one() -> None:
    with (ROOT / "docs" / "results" / "realflow.csv").open(encoding="utf-8", newline="") as file:
        stored = {(row["trained on"], row["view"]): row for row in csv.DictReader(file)}
    assert {name for name, _ in stored} == set(LINES.values())
    shown = {}
    for line in (ROOT / "docs" / "limits.md").read_text("utf-8").splitlines():
        name, *cells = (cell.strip() for cell in line.strip().strip("|").split("|"))
        if name in LINES and len(cells) == 5:
            shown[name] = cells
    assert set(shown) == set(LINES)
    for name, (runs, *values) in shown.items():
        for view, uf1, between in (("first", *values[:2]), ("second", *values[2:])):
            row = stored[LINES[name], view]
            expected = f"{float(row['all (309)']):.3f}"
            if row["all (309) std"]:
                expected += f" ± {float(row['all (309) std']):.3f}"
            low, high = (float(row[f"95 % over subjects {end}"]) for end in ("low", "high"))
            assert (runs, uf1, between) == (row["runs"], expected, f"{low:.2f} … {high:.2f}"), (name, view)


def test_what_mixing_tables_gained_is_what_its_page_lists() -> None:
    """The least and the most difference between H and A, over both views and both halves."""
    page = (ROOT / "docs" / "results" / "au-tables.md").read_text("utf-8")
    rows = re.findall(r"^\| ([AH]) \| (?:first|second) \| (\S+) ± \S+ / \S+ \| (\S+) ±", page, re.MULTILINE)
    values = {name: [float(x) for row, *cells in rows if row == name for x in cells] for name in "AH"}
    assert len(values["A"]) == len(values["H"]) == 4
    gains = [h - a for a, h in zip(values["A"], values["H"], strict=True)]
    assert f"in both views and in both halves, by {min(gains):.3f} to {max(gains):.3f}" in page
