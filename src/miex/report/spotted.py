"""The picture of a spotting: how strongly a face moves over time, and the events that were spotted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from miex.figures import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def spotting_picture(
    strength: npt.NDArray[np.floating],
    threshold: npt.NDArray[np.floating],
    events: Sequence[tuple[int, int, int]],
    fps: float,
    title: str,
) -> Figure:
    """Draw the strength of the motion over time, its threshold, and each event from onset to offset, with its apex.

    Args:
        strength: of each frame, [n]; NaN where no face was followed.
        threshold: what an apex has to exceed, of each frame, [n].
        events: onset, apex and offset of each, 0-based indices of frames.
        fps: frames per second.
        title: of the picture.
    """
    made = figure(10, 3.2)
    ax = made.subplots()
    seconds = np.arange(len(strength)) / fps
    for onset, apex, offset in events:
        ax.axvspan(onset / fps, offset / fps, color="#E69F00", alpha=0.35, linewidth=0)
        ax.plot(apex / fps, strength[apex], "o", color="#D55E00", markersize=5)
        ax.annotate(
            str(apex), (apex / fps, strength[apex]), (0, 5), textcoords="offset points", ha="center", fontsize=8
        )
    ax.plot(seconds, strength, color="#0072B2", linewidth=1)
    ax.plot(seconds, threshold, color="#888888", linestyle=":", linewidth=1, label="threshold")
    ax.legend(loc="upper right", frameon=False, fontsize=8)
    ax.set(xlabel="time, s", ylabel="motion of the face's regions,\ninter-ocular distances", title=title)
    ax.set_xlim(0, max(seconds[-1], 1 / fps))
    ax.set_ylim(0, 1.15 * float(np.nanmax(strength, initial=float(threshold.max()))))
    return made
