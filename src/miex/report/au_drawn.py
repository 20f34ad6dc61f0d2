"""AU triplets drawn from a source, or taken from a plan, and plots of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from miex.dataset.plan_file import read_plan
from miex.errors import UsageError
from miex.figures import write_picture
from miex.labels import Label
from miex.report.au_pictures import AUsByLabel, au_changes, cooccurrence, histograms, side_by_side
from miex.sources.source import AUSource
from miex.stable import sample_rng, stable_hash


def drawn_triplets(source: AUSource, n: int, seed: int) -> AUsByLabel:
    """n changes of AUs, apex − onset, of each label that the source has."""
    onsets, apexes, labels = [], [], []
    for label in Label:
        try:
            for i in range(n):
                drawn = source.sample(label, rng=sample_rng(stable_hash(seed, "show", label.name, i), "aus"))
                onsets.append(drawn.onset)
                apexes.append(drawn.apex)
                labels.append(label)
        except UsageError:  # it has none of that label
            continue
    return au_changes(onsets, apexes, labels)


def planned_triplets(folder: Path) -> dict[str, AUsByLabel]:
    """The changes of AUs of a plan's rows, apex − onset, by source and label.

    Raises:
        InputError: no plan there, or a damaged one.
    """
    rows = read_plan(folder).rows
    found: dict[str, AUsByLabel] = {}
    for source in rows["source"].unique().to_pylist():
        picked = [row for row in rows.select(["source", "label", "apex", "aus"]).to_pylist() if row["source"] == source]
        onsets = [np.array(row["aus"][0], np.float32) for row in picked]
        apexes = [np.array(row["aus"][row["apex"]], np.float32) for row in picked]
        found[source] = au_changes(onsets, apexes, [Label(row["label"]) for row in picked])
    return found


def write_pictures(sources: Mapping[str, AUsByLabel], out: Path) -> list[Path]:
    """histogram-SOURCE.png and cooccurrence-SOURCE.png of each source, and sources.png; returns their paths."""
    written = []
    for name, aus in sources.items():
        for kind, draw in (("histogram", histograms), ("cooccurrence", cooccurrence)):
            written.append(out / f"{kind}-{name}.png")
            write_picture(draw(name, aus), written[-1])
    written.append(out / "sources.png")
    write_picture(side_by_side(sources), written[-1])
    return written
