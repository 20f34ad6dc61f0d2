"""What was measured on a set's frames, told: as JSON values, and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_NAMES
from miex.report.au_recovery import describe_recovery

if TYPE_CHECKING:  # measuring loads what telling does not need
    from miex.report.dear import DearMeasures

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def describe_dear(dear: DearMeasures) -> dict[str, Any]:
    """The numbers as JSON values, rounded; NaN is null."""
    outside = dear.outside
    return {
        "measured": dear.n,
        "of": dear.of,
        "seed": dear.seed,
        "size": dear.size,
        "aus": describe_recovery(dear.recovery) | {"crosstalk": _matrix(dear.recovery.crosstalk)}
        if dear.recovery
        else None,
        "identity": {
            name: {
                "onset": _spread(kept.onset),
                "apex": _spread(kept.apex),
                "relatives": _spread(kept.relatives),
                "people": _spread(kept.people),
                "ratio": _rounded(kept.ratio),
                "own_onset": _rounded(kept.own_onset),
                "own_apex": _rounded(kept.own_apex),
                "faces": kept.n_faces,
            }
            for name, kept in dear.identity.items()
        },
        "outside": None
        if outside is None
        else {
            "measured": outside.n,
            "unchanged": outside.unchanged,
            "still": _rounded(outside.still),
            "pixels": {"median": float(np.median(outside.changed)), "most": int(outside.changed[-1])}
            if len(outside.changed)
            else None,
        },
        "notes": list(dear.notes),
    }


def _spread(distances: npt.NDArray[np.float64]) -> dict[str, Any] | None:
    if not len(distances):
        return None
    return {"n": len(distances), "quantiles": [_rounded(q) for q in np.quantile(distances, QUANTILES)]}


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def _matrix(values: npt.NDArray[np.float64]) -> list[list[float | None]]:
    return [[None if np.isnan(v) else round(float(v), 3) for v in row] for row in values]


def measured_lines(measured: Mapping[str, Any] | None) -> list[str]:
    """What was measured on the frames, as lines of Markdown."""
    lines = ["## Measured on the frames", ""]
    if measured is None:
        return [*lines, "Not yet: `miex report` of this folder measures a random subsample.", ""]
    n, size = f"{measured['measured']:,}", measured["size"]
    if measured["measured"]:
        lines += [
            f"{n} of {measured['of']:,} samples (stratified random choice, seed {measured['seed']}),"
            f" stored frames of {size} px.",
            "",
        ]
    for note in measured["notes"]:
        lines += [f"- {note}"]
    lines += [""] if measured["notes"] else []
    if measured["aus"]:
        lines += [
            f"AUs read off {measured['aus']['pairs']:,} pairs, change from onset to apex, against what they were made"
            " with. Slope 1, correlation 1 and cross-talk 0 are perfect. AUs on in fewer than 10 pairs are left out.",
            "",
            "| AU | | on in pairs | slope | correlation | s.d. where off | largest cross-talk |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| {au} | {AU_NAMES[int(au)]} | {row['pairs']:,} | {row['slope']:.2f} | {row['correlation']:.2f} "
                f"| {row['false_alarm']:.3f} | AU {row['most_taken_for']} ({row['crosstalk']:.2f}) |"
                for au, row in measured["aus"]["aus"].items()
            ),
            "",
        ]
    if measured["identity"]:
        lines += [
            "Identity: distance of onset and apex to the rest face, against distances between people (medians). Nearest"
            " to its own: share of the apexes to which no other person's rest face is nearer.",
            "",
            "| descriptor | rest faces | onset | apex | relatives | people | apex / people | nearest to its own |",
            "|---|---|---|---|---|---|---|---|",
            *(
                f"| {name} | {d['faces']:,} | {_median(d['onset'])} | {_median(d['apex'])} | {_median(d['relatives'])} "
                f"| {_median(d['people'])} | {_number(d['ratio'])} | {d['own_apex']:.1%} |"
                for name, d in measured["identity"].items()
            ),
            "",
        ]
    if measured["outside"]:
        lines += [outside_line(measured["outside"]), ""]
    return lines


def outside_line(outside: Mapping[str, Any]) -> str:
    """One sentence or two on the pixels off the face."""
    text = (
        f"Pixels to which no skin moves ({outside['still']:.0%} of a frame on average) are those of the rest face,"
        f" to the bit, in {outside['unchanged']:,} of {outside['measured']:,} samples."
    )
    if outside["pixels"]:
        text += f" In the others {outside['pixels']['median']:g} pixels differ (median), at most"
        text += f" {outside['pixels']['most']:,}, onset and apex together."
    return text


def _median(spread: Mapping[str, Any] | None) -> str:
    return _number(spread["quantiles"][2] if spread else None)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
