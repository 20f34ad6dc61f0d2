"""Where the edges of a cut go: an oracle."""

from __future__ import annotations

import numpy as np

from miex.generators.muscle.cuts import Cut


def displaced(cut: Cut, weights: np.ndarray) -> np.ndarray:
    """How far they move at intensities [34], before they are closed at their ends: [2, n, 2], pixels."""
    return np.tensordot(np.concatenate([weights, cut.amounts(weights)]), cut.moves, 1)
