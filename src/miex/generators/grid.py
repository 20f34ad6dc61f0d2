"""The grid that displacement fields are given on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def cell_centers(size: int, grid: int) -> npt.NDArray[np.float32]:
    """Pixel coordinates of the grid's columns, which are those of its rows: float32 [grid]."""
    return ((np.arange(grid) + 0.5) * size / grid - 0.5).astype(np.float32)


Field = npt.NDArray[np.float32]
