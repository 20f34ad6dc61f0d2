"""Figures: drawn without a window system, written as the same bytes each time."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from miex.storage.local import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(width: float, height: float) -> Figure:
    """A figure that no window system sees."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def write_picture(made: Figure, path: Path) -> None:
    """Write it as PNG, whole or not at all; the same figure gives the same bytes."""
    content = io.BytesIO()
    made.savefig(content, format="png", dpi=110, metadata={"Software": None})
    write_whole(path, content.getvalue())
