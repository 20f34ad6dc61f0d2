"""What every source of AUs gives: triplets (z_onset, z_apex, label) with their provenance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from miex.aus.vector import AUArray, Label


@dataclass(frozen=True)
class AUTriplet:
    """One drawn pair and what is known of it (PROTOCOL §1).

    Attributes:
        onset, apex: intensities in [0, 1], float32 [17]; never equal.
        label: one of the three classes.
        emotion: the finer category that was drawn.
        corpus, subject, clip, frames: where real AUs came from; None for sources without real clips. `frames` are
            0-based (onset, apex) indices.
    """

    onset: AUArray
    apex: AUArray
    label: Label
    emotion: str
    corpus: str | None = None
    subject: str | None = None
    clip: str | None = None
    frames: tuple[int, int] | None = None


class AUSource(ABC):
    """A source of AU triplets.

    Attributes:
        name: one of real_mie, early_mae, coded_mie, expert.
    """

    name: str

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Everything that changes what is drawn, as plain JSON values; part of every plan's digest."""

    @abstractmethod
    def sample(self, label: Label, *, rng: np.random.Generator) -> AUTriplet:
        """Draw one triplet of that label; the same state of `rng` gives the same triplet.

        Raises:
            UsageError: this source has nothing for that label.
        """
