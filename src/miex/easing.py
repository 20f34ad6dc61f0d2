"""How far a movement has gone in each frame: it starts and stops smoothly."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def ease(t: Any) -> Any:
    """From 0 at t ≤ 0 to 1 at t ≥ 1 with no speed at either end: 3t² − 2t³; an array of t's shape and dtype."""
    t = np.minimum(np.maximum(t, 0), 1)
    return np.asarray(t * t * (3 - 2 * t))


def progress(n: int, apex: int) -> npt.NDArray[np.float64]:
    """Progress at each of n frames: 0 at the first, 1 at the apex, and 0 again at the last unless that is the apex."""
    up = np.arange(apex + 1) / apex
    down = np.arange(n - apex - 1)[::-1] / max(n - apex - 1, 1)
    return np.concatenate([up, down])
