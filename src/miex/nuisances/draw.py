"""Draw the nuisances of samples when a set is planned: every value is in a column of the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, N_AUS, AUArray
from miex.easing import ease, progress
from miex.nuisances.columns import NAMES, Chosen
from miex.stable import sample_rngs

Random = np.random.Generator
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_RAISES, _CLOSES = AU_INDEX[5], AU_INDEX[45]  # the upper lid

# How much of each. A blink or a movement of the eyes is the commonest strain in real clips, and a face at rest is
# not at zero in any AU. Blinks, other AUs and residual motion were chosen on real flow (docs/trainability.md);
# the rest is set by eye: a registered head, a cheap camera.
BLINK_CHANCE, BLINK = 0.7, 0.4  # of a sample; largest closing, AU 45
BLINK_WAY = (0.5, 1)  # from its middle to its end, shares of the way from onset to apex, or from there to the offset
RESIDUAL_LENGTH, RESIDUAL = (0.05, 0.2), 0.03  # over which it changes; its largest rms; inter-ocular distances
RESIDUAL_STRAIN = 0.2  # largest rms per length: more would fold the skin here and there
OTHERS, OTHER = 5, 0.25  # AUs beside the expression's own, in onset or apex; their largest intensity
UNEVEN, ONE_SIDED = 0.3, 0.15  # spread of left − right (log), chance that a side hardly moves
SHIFT, ROLL, ZOOM = 0.02, 0.01, 0.01  # standard deviations: inter-ocular distances, radians, share
TURN, FURTHEST_TURN = 0.02, 0.05  # standard deviation of yaw and pitch, and the most of either, radians
OUTLIERS, OUTLIER_RADIUS, OUTLIER = 6, (0.03, 0.15), 0.02  # at most; radius and size, inter-ocular distances
LIGHT, TILT = 0.02, 0.02  # standard deviations of brightness and of its slope over the frame, share
NOISE = 4.0  # largest standard deviation, gray levels
QUALITY = (60, 95)  # of JPEG


@dataclass(frozen=True)
class _Samples:
    """What nuisances go by.

    Attributes:
        of: which sample each frame is of, int64 [frames].
        shares: how far each frame is from onset (0) to apex (1), and back: easing.progress, float64 [frames].
        rising: whether it is none after the apex, bool [frames].
        own: which AUs the expression has at onset and apex, bool [n, 2, 17].
        neutral_onset: whether the face is at rest at the onset, but for the expression.
    """

    of: Ints
    shares: Floats
    rising: npt.NDArray[np.bool_]
    own: npt.NDArray[np.bool_]
    neutral_onset: bool


def draw(chosen: Chosen, aus: AUArray, lengths: Ints, apexes: Ints, seeds: Sequence[int]) -> dict[str, Any]:
    """The columns of n samples, each drawn by itself. Onset and apex look the same however many frames lie between and
    behind them; on the way everything goes as smoothly as it would (noise is drawn for each frame when it is rendered).

    What a sample is labelled with moves as it is coded: other AUs are none that the expression has. Upper lids move by
    the expression and by blinks alone, and those that it raises (AU 5) never fall (AU 45): they may be about to open at
    the onset, and no more.

    Args:
        chosen: from `nuisances_of`.
        aus: of the expressions, float32 [frames, 17], one vector per frame, of one sample after the other.
        lengths: how many frames each has, int64 [n].
        apexes: which of its frames is the apex, int64 [n].
        seeds: of the samples, n. Each nuisance has randomness of its own, so switching one off leaves the others as
            they were.

    Returns:
        for each of NUISANCES None if it is off, or an array: [frames, …] where it has a value per frame, [n, …] where
        it has one per sample. Outliers, of which samples have different numbers, are lists.
    """
    ways = list(zip(lengths.tolist(), apexes.tolist(), strict=True))
    known = {way: progress(*way) for way in set(ways)}
    starts, of = np.cumsum(lengths) - lengths, np.repeat(np.arange(len(lengths)), lengths)
    samples = _Samples(
        of=of,
        shares=np.concatenate([known[way] for way in ways]),
        rising=np.arange(len(of)) <= (starts + apexes)[of],
        own=np.stack([aus[starts], aus[starts + apexes]], 1) > 0,
        neutral_onset=chosen.neutral_onset,
    )
    return {name: _DRAW[name](sample_rngs(seeds, name), samples) if name in chosen.names else None for name in NAMES}


def _numbers(rngs: Iterator[Random], samples: _Samples, k: int) -> Floats:
    """k numbers in [0, 1) of each sample, float64 [k, n]."""
    found = np.empty((len(samples.own), k))
    for numbers, rng in zip(found, rngs, strict=True):
        rng.random(out=numbers)
    return found.T


def _between(bounds: tuple[Any, Any], shares: Floats) -> Floats:
    low, high = bounds
    return np.asarray(low + (high - low) * shares)


def _path(samples: _Samples, start: Any, end: Floats, t: Floats) -> AUArray:
    """From start to end of each sample, float32 [frames, …]; `t` says how far each frame is."""
    t = t.reshape(-1, *[1] * (end.ndim - 1))
    return np.asarray((1 - t) * start + t * end[samples.of], np.float32)


def _swaying(t: Floats) -> Floats:
    return t * (2 - t)  # under way at the onset already, turning at the apex


def _blink(rngs: Iterator[Random], samples: _Samples) -> AUArray:
    """Somewhere in a blink at the onset or the apex; it fades at its own speed, from and to both sides of that. One at
    the apex has faded at the onset."""
    chance, closed, place, way = _numbers(rngs, samples, 4)
    onset, apex = samples.own.swapaxes(0, 1)
    at_apex = (place < 0.6) | samples.neutral_onset
    open_eyes = onset[:, _CLOSES] | apex[:, _CLOSES] | onset[:, _RAISES] | (apex[:, _RAISES] & at_apex)
    closed = np.where((chance < BLINK_CHANCE) & ~open_eyes, _between((0.05, BLINK), closed), 0)
    of, t = samples.of, samples.shares
    far = np.where(at_apex[of], 1 - t, np.where(samples.rising, t, 1))
    return np.asarray(closed[of] * ease(1 - far / _between(BLINK_WAY, way)[of]), np.float32)


def _others(rngs: Iterator[Random], samples: _Samples) -> AUArray:
    """AUs at the onset or the apex that the expression has at neither."""
    n = len(samples.own)
    taken = np.asarray(samples.own.any(1))
    taken[:, [_RAISES, _CLOSES]] = True
    free = np.argsort(taken, axis=1, kind="stable")  # those come first
    # where there are fewer, one that is taken gets 0
    chosen, numbers = np.full((n, OTHERS), N_AUS - 1), np.zeros((n, OTHERS, 2))
    for row, (rng, n_free) in enumerate(zip(rngs, (N_AUS - taken.sum(1)).tolist(), strict=True)):
        k = min(OTHERS, n_free)
        chosen[row, :k] = rng.choice(n_free, k, replace=False)
        numbers[row, :k] = rng.random((k, 2))
    ends = np.zeros((n, 2, N_AUS))
    rows = np.arange(n)[:, None]
    ends[rows, (numbers[..., 1] < 0.5).astype(int), free[rows, chosen]] = OTHER * numbers[..., 0]
    return _path(samples, ends[samples.of, 0], ends[:, 1], ease(samples.shares))


def _residual(rngs: Iterator[Random], samples: _Samples) -> AUArray:
    length, rms = _numbers(rngs, samples, 2)
    length = _between(RESIDUAL_LENGTH, length)
    return np.stack([length, np.minimum(RESIDUAL, RESIDUAL_STRAIN * length) * rms], 1).astype(np.float32)


def _asymmetry(rngs: Iterator[Random], samples: _Samples) -> AUArray:
    def of(rng: Random) -> Any:
        if rng.random() < ONE_SIDED:
            return np.full(N_AUS, rng.choice((-1, 1)) * rng.uniform(0.7, 1))
        return np.tanh(rng.normal(0, UNEVEN, N_AUS))

    return np.array([of(rng) for rng in rngs], np.float32)


def _head(rngs: Iterator[Random], samples: _Samples) -> AUArray:
    ends = np.array([rng.normal(0, (SHIFT, SHIFT, ROLL, ZOOM)) for rng in rngs])
    return _path(samples, 0, ends, _swaying(samples.shares))


def _turn(rngs: Iterator[Random], samples: _Samples) -> AUArray:
    ends = np.array([rng.normal(0, TURN, 2) for rng in rngs])
    return _path(samples, 0, np.clip(ends, -FURTHEST_TURN, FURTHEST_TURN), _swaying(samples.shares))


def _outliers(rngs: Iterator[Random], samples: _Samples) -> list[list[list[float]]]:
    def of(rng: Random) -> list[list[float]]:
        k = int(rng.integers(OUTLIERS + 1))
        parts = (rng.uniform(0.1, 0.9, (k, 2)), rng.uniform(*OUTLIER_RADIUS, (k, 1)), rng.normal(0, OUTLIER, (k, 2)))
        found: list[list[float]] = np.concatenate(parts, 1).astype(np.float32).tolist()
        return found

    return [of(rng) for rng in rngs]


def _light(rngs: Iterator[Random], samples: _Samples) -> AUArray:
    ends = np.array([rng.normal(0, (LIGHT, TILT, TILT)) for rng in rngs])
    return _path(samples, 0, ends, _swaying(samples.shares))


def _noise(rngs: Iterator[Random], samples: _Samples) -> AUArray:
    return np.array([rng.uniform(0, NOISE) for rng in rngs], np.float32)


def _compression(rngs: Iterator[Random], samples: _Samples) -> npt.NDArray[np.int16]:
    return np.array([rng.integers(*QUALITY, endpoint=True) for rng in rngs], np.int16)


_DRAW: dict[str, Callable[[Iterator[Random], _Samples], Any]] = {
    "blink": _blink, "others": _others, "residual": _residual, "asymmetry": _asymmetry, "head": _head,
    "turn": _turn, "outliers": _outliers, "light": _light, "noise": _noise, "compression": _compression,
}  # fmt: skip
