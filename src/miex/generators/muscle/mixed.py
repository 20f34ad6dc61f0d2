"""Layers of a face that moves by a mixture of two bases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from miex.generators.muscle.basis import Floats
from miex.generators.muscle.cuts import Cut
from miex.generators.muscle.layers import Layers
from miex.generators.muscle.lids import Eye
from miex.generators.muscle.mouth import Mouth


class MixedLayers(Layers):
    """The layers of one face in two bases, mixed: the second by a share, the first for the rest."""

    def __init__(self, first: Layers, second: Layers, share: float, basis: Floats) -> None:
        self.frame, self.light, self._basis = first.frame, first.light, basis
        self._worst = np.full_like(first._worst, np.nan)
        self._parts, self._zones = {}, {}
        self._both, self._share = (first, second), np.float32(share)

    def _seen_compression(self, rows: npt.NDArray[np.intp], size: int) -> Floats:
        first, second = (np.stack([layers.worst(row, size) for row in rows]) for layers in self._both)
        return np.asarray(first + (second - first) * self._share, np.float32)  # bounds add up as fields do

    def _make(self, name: str) -> Mouth | Eye:
        first, second = (layers.part(name) for layers in self._both)
        return replace(first, cut=_mixed(first.cut, second.cut, self._share))


def _mixed(first: Cut, second: Cut, share: np.float32) -> Cut:
    """Both have the same entries, edges at rest and window."""
    (left, top, right, bottom), other = first.zone, second.zone
    return replace(
        first,
        extra=first.extra + (second.extra - first.extra) * share,
        moves=first.moves + (second.moves - first.moves) * share,
        zone=(min(left, other[0]), min(top, other[1]), max(right, other[2]), max(bottom, other[3])),
    )
