"""Draw the nuisances of one sample when a set is planned: every value is a column of the plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, N_AUS, AUArray
from miex.easing import ease, progress
from miex.nuisances.columns import NAMES, Chosen

Random = np.random.Generator
_RAISES, _CLOSES = AU_INDEX[5], AU_INDEX[45]  # the upper lid
Shares = npt.NDArray[np.float64]  # how far each frame is from onset (0) to apex (1), and back: easing.progress

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
OUTLIERS, OUTLIER_RADIUS, OUTLIER = 6, (0.03, 0.15), 0.02  # at most; radius and size, inter-ocular distances
LIGHT, TILT = 0.02, 0.02  # standard deviations of brightness and of its slope over the frame, share
NOISE = 4.0  # largest standard deviation, gray levels
QUALITY = (60, 95)  # of JPEG


def draw(chosen: Chosen, aus: AUArray, apex: int, rng_of: Callable[[str], Random]) -> dict[str, Any]:
    """The columns of one sample. Onset and apex look the same however many frames lie between and behind them; on the
    way everything goes as smoothly as it would (noise is drawn for each frame when it is rendered).

    What a sample is labelled with moves as it is coded: other AUs are none that the expression has. Upper lids move by
    the expression and by blinks alone, and those that it raises (AU 5) never fall (AU 45): they may be about to open at
    the onset, and no more.

    Args:
        chosen: from `nuisances_of`.
        aus: of the expression, float32 [n, 17], one vector per frame.
        apex: which frame is the apex.
        rng_of: randomness by the name of a nuisance, so that switching one off leaves the others as they were.

    Returns:
        a value for each of NUISANCES; None for those that are off.
    """
    shares = progress(len(aus), apex)
    own = np.asarray(aus)[[0, apex]] > 0
    blink = _blink(rng_of("blink"), shares, own, at_apex=chosen.neutral_onset)
    draws = _DRAW | {
        "blink": lambda rng, t: blink,
        "others": lambda rng, t: _others(rng, t, own[0] | own[1]),
    }
    return {name: draws[name](rng_of(name), shares) if name in chosen.names else None for name in NAMES}


def _path(ends: npt.ArrayLike, t: Shares) -> list[Any]:
    start, end = np.asarray(ends, np.float64)
    t = t.reshape(-1, *[1] * np.ndim(start))
    return list(((1 - t) * start + t * end).astype(np.float32))


def _swaying(t: Shares) -> Shares:
    return t * (2 - t)  # under way at the onset already, turning at the apex


def _blink(rng: Random, t: Shares, own: npt.NDArray[np.bool_], at_apex: bool) -> list[Any]:
    """Somewhere in a blink at the onset or the apex; it fades at its own speed, from and to both sides of that. One at
    the apex has faded at the onset.

    Args:
        own: which AUs the expression has at onset and apex, [2, 17].
        at_apex: never at the onset.
    """
    none = [np.float32(0)] * len(t)
    if rng.random() >= BLINK_CHANCE:
        return none
    closed = rng.uniform(0.05, BLINK)
    at_apex = (rng.random() < 0.6) or at_apex
    if own[:, _CLOSES].any() or own[0, _RAISES] or (own[1, _RAISES] and at_apex):
        return none
    far = 1 - t if at_apex else np.where(np.arange(len(t)) <= np.argmax(t), t, 1)
    return list((closed * ease(1 - far / rng.uniform(*BLINK_WAY))).astype(np.float32))


def _others(rng: Random, t: Shares, own: npt.NDArray[np.bool_]) -> list[Any]:
    """AUs at the onset or the apex; `own`: which the expression has, [17]."""
    free = [au for au in range(N_AUS) if not own[au] and au not in (_RAISES, _CLOSES)]
    ends = np.zeros((2, N_AUS))
    for au in rng.choice(np.array(free, int), min(OTHERS, len(free)), replace=False):
        ends[int(rng.random() < 0.5), au] = rng.uniform(0, OTHER)
    return _path(ends, ease(t))


def _residual(rng: Random, t: Shares) -> list[float]:
    length = rng.uniform(*RESIDUAL_LENGTH)
    return [length, rng.uniform(0, min(RESIDUAL, RESIDUAL_STRAIN * length))]


def _asymmetry(rng: Random, t: Shares) -> list[float]:
    if rng.random() < ONE_SIDED:
        return [float(rng.choice((-1, 1)) * rng.uniform(0.7, 1))] * N_AUS
    return list(np.tanh(rng.normal(0, UNEVEN, N_AUS)).astype(np.float32))


def _head(rng: Random, t: Shares) -> list[Any]:
    return _path([np.zeros(4), rng.normal(0, (SHIFT, SHIFT, ROLL, ZOOM))], _swaying(t))


def _outliers(rng: Random, t: Shares) -> list[Any]:
    k = int(rng.integers(OUTLIERS + 1))
    columns = (rng.uniform(0.1, 0.9, (k, 2)), rng.uniform(*OUTLIER_RADIUS, (k, 1)), rng.normal(0, OUTLIER, (k, 2)))
    return list(np.concatenate(columns, 1).astype(np.float32))


def _light(rng: Random, t: Shares) -> list[Any]:
    return _path([np.zeros(3), rng.normal(0, (LIGHT, TILT, TILT))], _swaying(t))


def _noise(rng: Random, t: Shares) -> float:
    return float(np.float32(rng.uniform(0, NOISE)))


def _compression(rng: Random, t: Shares) -> int:
    return int(rng.integers(*QUALITY, endpoint=True))


_DRAW: dict[str, Callable[[Random, Shares], Any]] = {
    "residual": _residual, "asymmetry": _asymmetry, "head": _head,
    "outliers": _outliers, "light": _light, "noise": _noise, "compression": _compression,
}  # fmt: skip
