"""Distributions over the samples of a set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from miex.aus.vector import N_AUS
from miex.dataset.choose import LABELS, Ints, codes_of
from miex.report.gathered import Gathered

_SOURCES = ("real_mie", "early_mae", "coded_mie", "expert")  # in the order of the paper
_INTENSITY_BINS = 20
_MOST_BINS = 30

Floats = npt.NDArray[np.float64]


def statistics_of(samples: Gathered) -> dict[str, Any]:
    """What the distributions show, over all samples that were made; active means an intensity above 0 at the apex."""
    made = samples.made
    labels = ordered(set(_codes(made, "label")[1]), LABELS)
    label, _ = _codes(made, "label", labels)
    apexes = apexes_of(made)
    upper = upper_end(apexes)
    edges = np.linspace(0, upper, _INTENSITY_BINS + 1).round(6)
    on = apexes > 0
    return {
        "n": made.num_rows,
        "failed": samples.reasons.total(),
        "identities": pc.count_distinct(made["identity"]).as_py(),
        "labels": labels,
        "counts": {
            "label": _counts(made, "label", label, labels, LABELS),
            "source": _counts(made, "source", label, labels, _SOURCES),
            "emotion": _counts(made, "emotion", label, labels, ()),
        },
        "au": {
            "upper": upper,
            "edges": edges.tolist(),
            "n": [int((label == k).sum()) for k in range(len(labels))],
            "use": [[int(on[label == k, i].sum()) for k in range(len(labels))] for i in range(N_AUS)],
            "counts": [
                _stacked(apexes[on[:, i], i].astype(np.float64), label[on[:, i]], len(labels), edges)
                for i in range(N_AUS)
            ],
        },
        "also": _also_of(made),
        "motion": _histogram(made, "motion_p95_iod", label, len(labels), from_zero=True),
        "psnr": _histogram(made, "psnr", label, len(labels), from_zero=False),
    }


def apexes_of(made: pa.Table) -> npt.NDArray[np.float32]:
    """Coded AUs at the apex of gathered samples, float32 [n, 17] in [0, 1]."""
    vectors: npt.NDArray[np.float32] = made["apex_aus"].combine_chunks().flatten().to_numpy()
    return vectors.reshape(-1, N_AUS)


def _codes(made: pa.Table, name: str, order: Sequence[str] = ()) -> tuple[Ints, list[str]]:
    return codes_of(made, name, np.arange(made.num_rows), order)


def ordered(values: Sequence[str] | set[str], first: Sequence[str]) -> list[str]:
    """The distinct values: those of `first` in its order, then the others by name."""
    there = set(values)
    return [name for name in first if name in there] + sorted(there.difference(first))


def _also_of(made: pa.Table) -> dict[str, Any]:
    """What is seen beside the coded AUs, as planned; of AUs, at onset and apex.

    Returns:
        n: how many samples;
        blink, aus, residual, head, pictures: how many have a blink, other AUs with another intensity than the coded
            one, residual motion, motion of the head or local shifts, and other light, noise or compression;
        larger: in how many AUs change more beside the coded change than by it;
        coded, beside: medians of these changes from onset to apex, sums of |change| over the 17 AUs, the second as a
            mean of both sides;
        residual_px, residual_iod: median of the residual motion at the apex (root mean square) where there is some,
            pixels and inter-ocular distances; None where there is none;
        motion_px: median of the motion of all rendered AUs (motion_mean_px).
    """
    coded, beside = made["coded"].to_numpy(), made["beside"].to_numpy()
    iod = made["residual"].drop_null().to_numpy()
    px, per_iod = (made[f"motion_mean_{unit}"].to_numpy() for unit in ("px", "iod"))
    with np.errstate(divide="ignore", invalid="ignore"):
        sides = (px / per_iod)[made["residual"].is_valid().to_numpy()] * iod
    return {
        "n": made.num_rows,
        **{text: pc.sum(made[name]).as_py() or 0 for text, name in (("blink", "blink"), ("aus", "others"))},
        "residual": len(iod),
        **{name: pc.sum(made[name]).as_py() or 0 for name in ("head", "pictures")},
        "larger": int((beside > coded).sum()),
        "coded": _median(coded),
        "beside": _median(beside),
        "residual_px": _median(sides),
        "residual_iod": _median(iod),
        "motion_px": _median(px),
    }


def _median(values: npt.NDArray[Any]) -> float | str | None:
    finite = values[np.isfinite(values)]
    return number(np.median(finite)) if len(finite) else None


def upper_end(intensities: npt.NDArray[np.float32]) -> float:
    """End of a scale for these intensities: 0.1, 0.2 … 1."""
    highest = float(intensities.max(initial=0))
    return min(max(math.ceil(highest * 10 - 1e-5), 1), 10) / 10  # float32 puts 0.3 a little above 0.3


def _counts(made: pa.Table, column: str, label: Ints, labels: list[str], first: Sequence[str]) -> list[dict[str, Any]]:
    codes, names = _codes(made, column)
    table = np.zeros((len(names), len(labels)), np.int64)
    np.add.at(table, (codes, label), 1)
    found = {name: table[i].tolist() for i, name in enumerate(names)}
    # without an order of their own (emotions): those of one label together
    order = ordered(names, first) if first else sorted(names, key=lambda name: (int(np.argmax(found[name])), name))
    return [{"name": name, "n": found[name]} for name in order]


def _stacked(values: Floats, label: Ints, n_labels: int, edges: Floats) -> list[list[int]]:
    """Counts [n_labels][bins]; what lies a rounding error beyond the ends belongs to the bin there."""
    inside = np.clip(values, edges[0], edges[-1])
    return [np.histogram(inside[label == k], edges)[0].tolist() for k in range(n_labels)]


def _histogram(made: pa.Table, name: str, label: Ints, n_labels: int, *, from_zero: bool) -> dict[str, Any]:
    values = np.array(made[name].to_numpy(), np.float64)
    finite = np.isfinite(values)
    edges = _edges(values[finite], from_zero=from_zero)
    return {
        "edges": edges.tolist(),
        "counts": _stacked(values[finite], label[finite], n_labels, edges),
        "infinite": int(np.isposinf(values).sum()),
        "unknown": int((~finite & ~np.isposinf(values)).sum()),
        "median": number(np.median(values[finite])) if finite.any() else None,
    }


def _edges(values: Floats, *, from_zero: bool) -> Floats:
    """At most 30 bins over the values, their edges at multiples of 1, 2 or 5 × 10ⁿ."""
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = (min(0.0, values.min()) if from_zero else values.min()), values.max()
    span = max(high - low, abs(high) * 1e-3, 1e-6)
    power = 10.0 ** math.floor(math.log10(span / _MOST_BINS))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if span / (power * factor) <= _MOST_BINS - 1)
    first, last = math.floor(low / step), math.ceil(high / step)
    return np.round(np.arange(first, max(last, first + 1) + 1) * step, 12)


def number(value: Any) -> float | str | None:
    """Six digits are more than anyone reads; JSON has no infinity and no NaN."""
    value = float("nan") if value is None else float(value)
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return None if math.isnan(value) else float(f"{value:.6g}")
