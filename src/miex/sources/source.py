"""What every source of AUs gives: triplets (z_onset, z_apex, label) with their provenance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AUArray
from miex.errors import UsageError
from miex.labels import Label

SEQUENCE_FRAMES = 10  # of a sequence without a clip behind it: onset, 8 between, apex (PROTOCOL §1, video variant)
_DRAWS = 100  # of a perturbation that would leave nothing


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

    def path(self, triplet: AUTriplet) -> tuple[npt.NDArray[np.float64], AUArray]:
        """The AUs on the way from onset to apex, as far as they are known.

        Returns:
            Times, ascending, float64 [m], any unit, and the AUs then, float32 [m, 17]. The first is the onset, the last
            the apex. Here these two alone; sources of real clips know more.
        """
        return np.array([0.0, 1.0]), np.stack([triplet.onset, triplet.apex])

    def sequence(self, triplet: AUTriplet, n: int | None = None) -> AUArray:
        """AUs of every frame from onset to apex: what the video variant of the paper renders (PROTOCOL §1).

        Args:
            triplet: drawn from this source.
            n: frames, at least 2, evenly spaced in time, linearly interpolated between known ones. By default every
                known frame of the clip; without a clip SEQUENCE_FRAMES.

        Returns:
            float32 [n, 17] in [0, 1]; the first is `triplet.onset`, the last `triplet.apex`. What was changed at its
            ends (a perturbation) fades in between them.
        """
        if n is not None and n < 2:
            raise UsageError(f"a sequence of {n} frames", expected="at least 2")
        times, aus = self.path(triplet)
        known = n is None and len(times) > 2
        return resampled(times, aus, None if known else n or SEQUENCE_FRAMES, triplet.onset, triplet.apex)

    def descent(self, triplet: AUTriplet) -> tuple[npt.NDArray[np.float64], AUArray] | None:
        """The AUs from the apex to the offset of a micro-expression, in the form and unit of `path`; None where nobody
        has measured them."""
        return None


def resampled(times: npt.NDArray[np.float64], aus: AUArray, n: int | None, start: AUArray, end: AUArray) -> AUArray:
    """AUs between known ones, linearly interpolated.

    Args:
        times, aus: as `AUSource.path` gives them.
        n: how many, evenly spaced in time; None for the known ones.
        start, end: what the first and the last become, float32 [17]; the change fades in between them.

    Returns:
        float32 [n, 17] in [0, 1].
    """
    when = times if n is None else np.linspace(times[0], times[-1], n)
    along = np.stack([np.interp(when, times, au) for au in aus.T], axis=1)
    t = ((when - when[0]) / (when[-1] - when[0]))[:, None]
    along += (1 - t) * (start - aus[0]) + t * (end - aus[-1])
    made: AUArray = np.clip(along, 0, 1).astype(np.float32)
    made[0], made[-1] = start, end
    return made


@dataclass(frozen=True)
class PerturbedSource(AUSource):
    """A source whose apexes are randomly changed (the paper: "sometimes random AU perturbations", no figure given).

    Each AU that is on at the apex gets + U[−amount, amount], and stays within [0, 1]; an apex is never left empty, nor
    equal to its onset.

    Attributes:
        source: what is perturbed.
        amount: the largest change, in (0, 1].
    """

    source: AUSource
    amount: float

    def __post_init__(self) -> None:
        if not 0 < self.amount <= 1:
            raise UsageError(f"AU perturbation {self.amount:g}", expected="above 0, at most 1")

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.source.name

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.source.settings, "perturbation": self.amount}

    def sample(self, label: Label, *, rng: np.random.Generator) -> AUTriplet:
        drawn = self.source.sample(label, rng=rng)
        for _ in range(_DRAWS):
            change = rng.uniform(-self.amount, self.amount, len(drawn.apex))
            apex: AUArray = np.where(drawn.apex > 0, np.clip(drawn.apex + change, 0, 1), 0).astype(np.float32)
            if apex.any() and not np.array_equal(apex, drawn.onset):
                return replace(drawn, apex=apex)
        return drawn

    def path(self, triplet: AUTriplet) -> tuple[npt.NDArray[np.float64], AUArray]:
        return self.source.path(triplet)

    def descent(self, triplet: AUTriplet) -> tuple[npt.NDArray[np.float64], AUArray] | None:
        return self.source.descent(triplet)
