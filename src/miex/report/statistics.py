"""Distributions over the samples of a set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, N_AUS
from miex.dataset.also import LEAST
from miex.dataset.choose import LABELS, Ints, codes_of, ok_rows, texts_of
from miex.dataset.schema import AU_COLUMNS
from miex.nuisances.columns import NAMES

if TYPE_CHECKING:
    import pyarrow as pa

_SOURCES = ("real_mie", "early_mae", "coded_mie", "expert")  # in the order of the paper
_INTENSITY_BINS = 20
_MOST_BINS = 30

Floats = npt.NDArray[np.float64]


def statistics_of(table: pa.Table) -> dict[str, Any]:
    """What the distributions show, over all rows with status ok; active means an intensity above 0 at the apex."""
    rows = ok_rows(table)
    names = {name: texts_of(table, name, rows) for name in ("label", "source", "emotion")}
    labels = ordered(names["label"], LABELS)
    label, _ = codes_of(names["label"], labels)
    apexes = _ends(table, "aus", rows)[:, 1]
    upper = upper_end(apexes)
    edges = np.linspace(0, upper, _INTENSITY_BINS + 1).round(6)
    on = apexes > 0
    return {
        "n": len(rows),
        "failed": table.num_rows - len(rows),
        "identities": len(set(texts_of(table, "identity", rows))),
        "labels": labels,
        "counts": {
            "label": _counts(names["label"], label, labels, LABELS),
            "source": _counts(names["source"], label, labels, _SOURCES),
            "emotion": _counts(names["emotion"], label, labels, ()),
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
        "also": also_of(table, rows),
        "motion": _histogram(table, "motion_p95_iod", rows, label, len(labels), from_zero=True),
        "psnr": _histogram(table, "psnr", rows, label, len(labels), from_zero=False),
    }


def ordered(values: Sequence[str] | set[str], first: Sequence[str]) -> list[str]:
    """The distinct values: those of `first` in its order, then the others by name."""
    there = set(values)
    return [name for name in first if name in there] + sorted(there.difference(first))


def also_of(table: pa.Table, rows: Ints) -> dict[str, Any]:
    """What is seen beside the coded AUs, as planned, over the given rows; of AUs, at onset and apex.

    Returns:
        n: how many rows;
        blink, aus, residual, head, pictures: how many rows have a blink, other AUs with another intensity than the
            coded one, residual motion, motion of the head or local shifts, and other light, noise or compression;
        larger: in how many rows AUs change more beside the coded change than by it;
        coded, beside: medians of these changes from onset to apex, sums of |change| over the 17 AUs, the second as a
            mean of both sides;
        residual_px, residual_iod: median of the residual motion at the apex (root mean square) where there is some,
            pixels and inter-ocular distances; None where there is none;
        motion_px: median of the motion of all rendered AUs (motion_mean_px).
    """
    coded, left, right = (_ends(table, name, rows) for name in AU_COLUMNS)
    beside = np.stack([left - coded, right - coded], -1)
    differs = np.abs(beside).max((1, 3), initial=0) >= LEAST
    change, more = (np.abs(ends[:, 1] - ends[:, 0]) for ends in (coded, beside))
    sums = change.sum(-1), more.mean(-1).sum(-1)
    on = {name: table[name].take(rows).is_valid().to_numpy() for name in NAMES}
    residual = table["residual"].take(rows).drop_null().to_pylist()
    iod = np.array([rms for _, rms in residual])
    px, per_iod = (table[f"motion_mean_{unit}"].take(rows).to_numpy() for unit in ("px", "iod"))
    with np.errstate(divide="ignore", invalid="ignore"):
        sides = (px / per_iod)[on["residual"]] * iod
    return {
        "n": len(rows),
        "blink": int(differs[:, AU_INDEX[45]].sum()),
        "aus": int(np.delete(differs, AU_INDEX[45], 1).any(-1).sum()),
        "residual": len(residual),
        "head": int((on["head"] | on["outliers"]).sum()),
        "pictures": int((on["light"] | on["noise"] | on["compression"]).sum()),
        "larger": int((sums[1] > sums[0]).sum()),
        "coded": _median(sums[0]),
        "beside": _median(sums[1]),
        "residual_px": _median(sides),
        "residual_iod": _median(iod),
        "motion_px": _median(px),
    }


def _median(values: npt.NDArray[Any]) -> float | str | None:
    finite = values[np.isfinite(values)]
    return number(np.median(finite)) if len(finite) else None


def _ends(table: pa.Table, name: str, rows: Ints) -> npt.NDArray[np.float32]:
    """AU intensities of onset and apex, float32 [rows, 2, 17]."""
    if not len(rows):
        return np.zeros((0, 2, N_AUS), np.float32)
    # chunk by chunk: the flattened values of one Arrow array are limited to 2³¹
    found = []
    for chunk in table.select([name, "apex"]).take(rows).to_batches():
        frames, apex = chunk.column(name), chunk.column("apex").to_numpy()
        lengths = frames.value_lengths().to_numpy()
        intensities = frames.flatten().flatten().to_numpy().reshape(-1, N_AUS)
        first = np.cumsum(lengths) - lengths
        found.append(np.stack([intensities[first], intensities[first + apex]], 1))
    return np.concatenate(found)


def upper_end(intensities: npt.NDArray[np.float32]) -> float:
    """End of a scale for these intensities: 0.1, 0.2 … 1."""
    highest = float(intensities.max(initial=0))
    return min(max(math.ceil(highest * 10 - 1e-5), 1), 10) / 10  # float32 puts 0.3 a little above 0.3


def _counts(values: list[str], label: Ints, labels: list[str], first: Sequence[str]) -> list[dict[str, Any]]:
    codes, names = codes_of(values)
    table = np.zeros((len(names), len(labels)), np.int64)
    np.add.at(table, (codes, label), 1)
    found = {name: table[i].tolist() for i, name in enumerate(names)}
    # without an order of their own (emotions): those of one label together
    order = ordered(values, first) if first else sorted(names, key=lambda name: (int(np.argmax(found[name])), name))
    return [{"name": name, "n": found[name]} for name in order]


def _stacked(values: Floats, label: Ints, n_labels: int, edges: Floats) -> list[list[int]]:
    """Counts [n_labels][bins]; what lies a rounding error beyond the ends belongs to the bin there."""
    inside = np.clip(values, edges[0], edges[-1])
    return [np.histogram(inside[label == k], edges)[0].tolist() for k in range(n_labels)]


def _histogram(
    table: pa.Table, name: str, rows: Ints, label: Ints, n_labels: int, *, from_zero: bool
) -> dict[str, Any]:
    values = np.array(table[name].take(rows).to_numpy(), np.float64)
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
