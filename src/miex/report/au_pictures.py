"""Plots of AUs: histograms, co-occurrence, sources side by side, and AUs recovered from frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_NAMES, AU_NUMBERS, N_AUS, AUArray
from miex.figures import figure
from miex.labels import Label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from miex.quality.recovery import Recovery

# One color per label, told apart by the color-blind too (Okabe & Ito 2008).
COLORS = {Label.negative: "#0072B2", Label.positive: "#E69F00", Label.surprise: "#009E73"}
_BINS = np.linspace(0, 1, 21)
_ON = 0.05  # an AU below this is noise of its extractor rather than on
_TICKS = [str(au) for au in AU_NUMBERS]

AUsByLabel = Mapping[Label, AUArray]  # apex − onset, float32 [n, 17], of each label


def histograms(name: str, aus: AUsByLabel) -> Figure:
    """For each AU how often which change of intensity, apex − onset, is drawn, by label; where it is on."""
    made = figure(12, 8)
    axes = np.ravel(made.subplots(3, 6, sharex=True))
    low = min((float(values.min(initial=0)) for values in aus.values()), default=0)
    high = max((float(values.max(initial=0.1)) for values in aus.values()), default=1)
    edges = np.linspace(min(0.0, low), high, 21)
    for i, ax in enumerate(axes[:N_AUS]):
        for label, values in aus.items():
            on = values[np.abs(values[:, i]) > 1e-6, i]
            weights = np.full(len(on), 1 / max(1, len(values)))
            ax.hist(on, edges, weights=weights, histtype="step", color=COLORS[label], label=label.name, linewidth=1.4)
        ax.set_title(f"AU {AU_NUMBERS[i]} {AU_NAMES[AU_NUMBERS[i]]}", fontsize=8)
        ax.tick_params(labelsize=7)
    axes[-1].axis("off")
    axes[-1].legend(*axes[0].get_legend_handles_labels(), loc="center", frameon=False, title="label")
    counts = ", ".join(f"{len(values):,} {label.name}" for label, values in aus.items())
    made.suptitle(f"{name}: AU at the apex − AU at the onset, where it changes ({counts})")
    made.supylabel("fraction of the label's triplets")
    return made


def cooccurrence(name: str, aus: AUsByLabel) -> Figure:
    """For each label how often two AUs are on together; on the diagonal how often each is."""
    made = figure(5.2 * len(aus) + 0.6, 5.4)
    axes = np.ravel(made.subplots(1, len(aus)))
    image: Any = None
    for ax, (label, values) in zip(axes, aus.items(), strict=True):
        on = (values > _ON).astype(np.float64)
        image = ax.imshow(on.T @ on / max(1, len(on)), vmin=0, vmax=1, cmap="Blues")
        ax.set_title(f"{label.name} (n = {len(values):,})")
        _au_axes(ax)
    if image is not None:
        made.colorbar(image, ax=list(axes), label=f"both rise by more than {_ON:g}", shrink=0.8)
    made.suptitle(f"{name}: AUs that go together")
    return made


def side_by_side(sources: Mapping[str, AUsByLabel]) -> Figure:
    """Sources beside each other, a panel per label: how often each AU is on, and how strongly on average."""
    labels = [label for label in Label if any(label in aus for aus in sources.values())]
    made = figure(13, 2.9 * len(labels) + 0.6)
    axes = made.subplots(len(labels), 2, squeeze=False)
    width = 0.8 / max(1, len(sources))
    for row, label in zip(axes, labels, strict=True):
        for k, (name, aus) in enumerate(sources.items()):
            values = aus.get(label)
            if values is None or not len(values):
                continue
            on = values > _ON
            at = np.arange(N_AUS) + (k - (len(sources) - 1) / 2) * width
            strength = np.divide((values * on).sum(axis=0), on.sum(axis=0), where=on.any(axis=0), out=np.zeros(N_AUS))
            color = f"C{k}"
            row[0].bar(at, on.mean(axis=0), width, color=color, label=f"{name} ({len(values):,})")
            row[1].bar(at, strength, width, color=color)
        for ax, text in zip(row, (f"rises by more than {_ON:g}", "mean rise where it does"), strict=True):
            ax.set_xticks(np.arange(N_AUS), _TICKS, fontsize=8)
            ax.set_title(f"{label.name}: {text}", fontsize=9)
            ax.margins(x=0.01)
        row[0].legend(fontsize=7, frameon=False)
    made.supxlabel("AU")
    made.suptitle("Sources side by side")
    return made


def recovery_picture(found: Recovery, known: AUArray, recovered: AUArray, title: str) -> Figure:
    """Recovered against known intensity of every AU, and the cross-talk matrix.

    Args:
        found: the numbers.
        known, recovered: the values behind them, float32 [n, 17].
        title: what was looked at.
    """
    made = figure(15, 7.4)
    left, right = made.subfigures(1, 2, width_ratios=(8, 6.4), squeeze=False)[0]
    axes = np.ravel(left.subplots(3, 6, sharex=True, sharey=True))
    top = max(0.3, float(np.nanmax(known, initial=0)))
    for i, ax in enumerate(axes[:N_AUS]):
        ax.plot([0, top], [0, top], color="0.7", linewidth=1)
        ax.scatter(known[:, i], recovered[:, i], s=4, alpha=0.35, linewidths=0)
        numbers = f"slope {found.slope[i]:.2f}, r {found.correlation[i]:.2f}"
        ax.set_title(f"AU {AU_NUMBERS[i]}\n{numbers if np.isfinite(found.slope[i]) else 'too few pairs'}", fontsize=8)
        ax.tick_params(labelsize=7)
    axes[-1].axis("off")
    left.supxlabel("known change of intensity")
    left.supylabel("recovered")
    ax = right.subplots()
    image = ax.imshow(found.crosstalk, vmin=-1, vmax=1, cmap="RdBu_r")
    _au_axes(ax)
    for i, j in np.ndindex(N_AUS, N_AUS):
        value = found.crosstalk[i, j]
        if abs(value) >= 0.05:
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=6,
                    color="white" if abs(value) > 0.6 else "black")  # fmt: skip
    ax.set_ylabel("AU that was on")
    ax.set_xlabel("AU that is read, per intensity of the one that was on")
    right.colorbar(image, ax=ax, shrink=0.7)
    made.suptitle(f"{title}: {found.n:,} pairs")
    return made


def _au_axes(ax: Any) -> None:
    ax.set_xticks(np.arange(N_AUS), _TICKS, fontsize=7)
    ax.set_yticks(np.arange(N_AUS), _TICKS, fontsize=7)


def au_changes(onsets: Sequence[AUArray], apexes: Sequence[AUArray], labels: Sequence[Label]) -> dict[Label, AUArray]:
    """Pairs as the pictures take them: apex − onset, float32 [n, 17], for each label that there is."""
    changes = np.asarray(apexes, np.float32).reshape(-1, N_AUS) - np.asarray(onsets, np.float32).reshape(-1, N_AUS)
    of: npt.NDArray[np.int64] = np.array([int(label) for label in labels], np.int64)
    return {label: changes[of == label] for label in Label if (of == label).any()}
