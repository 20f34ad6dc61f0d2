"""Which AUs are on together: drawn as sets that were seen, or each by itself; always at least one, none redrawn."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_NUMBERS, N_AUS

Sides = npt.NDArray[np.int8]  # of each AU, [17]: 1 on the person's left side alone, −1 right, 0 both
On = npt.NDArray[np.bool_]  # [17]
_LEFT, _RIGHT = np.int8(1), np.int8(-1)
_STEPS = 200  # of bisection: more than a float64 has bits


class Shown(Protocol):
    """What faces show of one emotion."""

    @property
    def frequency(self) -> npt.NDArray[np.float64]:
        """How often each AU is on, as the table has it, [17]."""

    @property
    def alone(self) -> npt.NDArray[np.float64]:
        """Of the times that an AU is on, the share on one side alone, [17]."""

    @property
    def one_sided(self) -> bool:
        """Whether some AU is sometimes on one side alone."""

    @property
    def alike(self) -> tuple[float, Shown | None]:
        """The share of draws without an AU on one side alone, and what gives these draws alone; None if none does."""

    def draw(self, rng: np.random.Generator) -> tuple[On, Sides]:
        """AUs that are on, at least one, and their sides: what is one-sided is left or right equally often."""

    def plain(self) -> dict[str, Any]:
        """The numbers, as JSON values."""


@dataclass(frozen=True)
class Independent:
    """Each AU is on by itself, as in the paper, given that any is: a pair whose apex is its onset is no sample.

    The given frequencies p are those of what is drawn. So each AU is on with S·p, where S, the probability that any is
    on, solves S = 1 − Π(1 − S·p): among draws that are not empty AU i is then on with S·p_i / S = p_i. There is such
    an S if the p add up to more than 1. If they do not, these frequencies hold for no draws that are never empty, which
    have one AU at least: then there is exactly one, and the frequencies are the p divided by their sum.

    Attributes:
        frequency: [17], some above 0.
        alone: of the times that an AU is on, the share on one side alone, [17]; those of one draw are on one and the
            same side.
    """

    frequency: npt.NDArray[np.float64]
    alone: npt.NDArray[np.float64]

    @property
    def one_sided(self) -> bool:
        return bool(self.alone.any())

    @cached_property
    def alike(self) -> tuple[float, Independent | None]:
        """Without one-sided draws: they have one and the same side, so each AU is off or on both sides by itself.

        AU i is off with 1 − q_i and on both sides with q_i·(1 − a_i), where q_i = S·p_i and a_i is its share alone; of
        draws without the rest, on with r_i = q_i·(1 − a_i) / (1 − q_i·a_i).
        """
        if not self.one_sided:
            return 1.0, self
        p, both = self.frequency, self.frequency * (1 - self.alone)
        if not both.any():
            return 0.0, None
        if p.sum() <= 1:  # exactly one AU is on
            return float(both.sum() / p.sum()), Independent(both / both.sum(), np.zeros(N_AUS))
        q = self._chances[0]
        left = 1 - q * self.alone
        if not left.all():  # one is always on, and always alone
            return 0.0, None
        r = q * (1 - self.alone) / left
        some = any_of(r)
        return float(left.prod() * some / any_of(q)), Independent(r / some, np.zeros(N_AUS))

    @cached_property
    def _chances(self) -> tuple[npt.NDArray[np.float64], list[float]]:
        """With which probability each AU is on after the first one; and cumulated, that it is the first."""
        p = self.frequency
        low, high = (0.0, 1.0) if p.sum() > 1 else (0.0, 0.0)
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if any_of(middle * p) > middle else (low, middle)
        after = high * p
        if not high:
            return after, np.cumsum(p / p.sum()).tolist()
        first = after * np.cumprod(np.concatenate([[1.0], 1 - after[:-1]]))
        return after, np.cumsum(first / first.sum()).tolist()

    @cached_property
    def _last(self) -> int:
        return int(self.frequency.nonzero()[0][-1])

    def draw(self, rng: np.random.Generator) -> tuple[On, Sides]:
        after, first = self._chances
        place = min(bisect_right(first, rng.random()), self._last)
        on = rng.random(N_AUS) < after
        on[:place], on[place] = False, True
        side = _side(rng)
        return on, (on & (rng.random(N_AUS) < self.alone)) * side

    def plain(self) -> dict[str, Any]:
        found = {"aus": _numbered(self.frequency)}
        return found | ({"one_sided": _numbered(self.alone)} if self.one_sided else {})


def _side(rng: np.random.Generator) -> np.int8:
    """Left or right, equally often: what rng.choice draws, in a third of the time."""
    return _LEFT if rng.integers(2) else _RIGHT


def any_of(p: npt.NDArray[np.float64]) -> float:
    """The probability that any of independent events happens; exact for small ones too."""
    with np.errstate(divide="ignore"):  # an event that always happens
        return float(-np.expm1(np.log1p(-p).sum()))


@dataclass(frozen=True)
class Seen:
    """Sets of AUs that were seen together, each drawn as often as it was counted.

    A set and its mirror image are one: of AUs on one side alone the first is `L`, the left, and each draw is mirrored
    or not.

    Attributes:
        counts: (AUs that are on, [17]; their sides, [17]; how often they were seen), none twice.
    """

    counts: tuple[tuple[On, Sides, int], ...]

    @cached_property
    def _shares(self) -> npt.NDArray[np.float64]:
        n = np.array([n for _, _, n in self.counts], np.float64)
        return np.asarray(n / n.sum())

    @cached_property
    def frequency(self) -> npt.NDArray[np.float64]:
        return np.asarray(self._shares @ np.array([on for on, _, _ in self.counts], np.float64))

    @cached_property
    def alone(self) -> npt.NDArray[np.float64]:
        often = self._shares @ np.array([sides != 0 for _, sides, _ in self.counts], np.float64)
        return np.divide(often, self.frequency, out=np.zeros(N_AUS), where=self.frequency > 0)

    @cached_property
    def one_sided(self) -> bool:
        return any(sides.any() for _, sides, _ in self.counts)

    @cached_property
    def alike(self) -> tuple[float, Seen | None]:
        kept = tuple(one for one in self.counts if not one[1].any())
        share = sum(n for _, _, n in kept) / sum(n for _, _, n in self.counts)
        return share, Seen(kept) if kept else None

    @cached_property
    def _up_to(self) -> list[float]:
        return [float(share) for share in np.cumsum(self._shares)]

    def draw(self, rng: np.random.Generator) -> tuple[On, Sides]:
        place = min(bisect_right(self._up_to, rng.random()), len(self.counts) - 1)
        on, sides, _ = self.counts[place]
        return on, sides * _side(rng)

    def plain(self) -> dict[str, Any]:
        return {"sets": {set_name(on, sides): n for on, sides, n in self.counts}}


def mirrored(sides: Sides) -> Sides:
    """Of a set and its mirror image, that whose first one-sided AU is on the left."""
    first = sides[sides != 0][:1]
    return sides if first.sum() >= 0 else np.asarray(-sides, np.int8)


def set_name(on: On, sides: Sides) -> str:
    """A set as tables spell it: `1 2 5`, `4 L12`."""
    return " ".join({1: "L", -1: "R", 0: ""}[int(sides[i])] + str(AU_NUMBERS[i]) for i in on.nonzero()[0])


def _numbered(values: npt.NDArray[np.float64]) -> Mapping[str, float]:
    return {str(AU_NUMBERS[i]): float(f"{values[i]:.6g}") for i in values.nonzero()[0]}
