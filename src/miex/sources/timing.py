"""How a micro-expression goes on and off in time: onset → apex → offset.

Yan, Wu, Liang, Chen & Fu (How fast are the leaked facial expressions, J. Nonverbal Behavior 37, 2013) put the limits at
260 ms from onset to apex and 500 ms in all. The published annotations of CASME II (n = 249), SAMM (159) and MMEW (300)
say what is common: medians from onset to apex are .15, .16 and .14 s, of the whole .32, .39 and .41 s; the way up is
the shorter one in 43, 61 and 81 % of the clips, and its length says little of that of the way down (correlations .02,
−.28, −.11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from miex.aus.vector import N_AUS, AUArray
from miex.easing import ease
from miex.errors import UsageError
from miex.sources.source import AUSource, AUTriplet, resampled

Until = Literal["apex", "offset"]
UNTIL: tuple[Until, ...] = get_args(Until)
Floats = npt.NDArray[np.float64]

SHORTEST, LONGEST, LONGEST_RISE = 0.04, 0.5, 0.26  # seconds: onset to offset, and onset to apex (Yan et al. 2013)
RISE, FALL = (0.14, 0.4), (0.2, 0.4)  # medians in seconds, and spreads (log): set after the annotations above
LAG = 0.2  # largest delay of an AU, share of the way up or down: a choice of ours


@dataclass(frozen=True)
class Timing:
    """When a face does what.

    Attributes:
        rise, fall: onset → apex and apex → offset, seconds.
        lag: how much later than the first each AU starts on its way up [0] and down [1], shares of these ways in
            [0, LAG], float64 [2, 17]. All AUs are at their full value at the apex, and back at the offset.
    """

    rise: float
    fall: float
    lag: Floats


def draw_timing(rng: np.random.Generator) -> Timing:
    """A timing within the limits: rise and fall log-normal, drawn again where they are outside."""
    while True:
        rise, fall = (float(median * np.exp(spread * rng.standard_normal())) for median, spread in (RISE, FALL))
        if rise <= LONGEST_RISE and SHORTEST <= rise + fall <= LONGEST:
            return Timing(rise, fall, rng.uniform(0, LAG, (2, N_AUS)))


def expression(
    source: AUSource,
    triplet: AUTriplet,
    timing: Timing,
    *,
    frames: int | Literal["all"],
    until: Until,
    fps: float,
) -> tuple[AUArray, int]:
    """The AUs of every frame of a sample.

    What a clip has measured between onset and apex, and from there to its offset, stays as measured. All else follows
    the timing: AUs start one after the other and ease in and out (the paper interpolates z^exp; how, it does not say).
    Where the way up is measured and the way down is not, the latter is as much longer as in the timing.

    Args:
        source: of the triplet.
        triplet: onset and apex.
        timing: of what nobody has measured.
        frames: how many, evenly spaced from onset to apex or offset; the nearest of them becomes the apex, by half a
            frame's change of the timing at most. Or "all": as many as a camera of that frame rate sees, of measured
            ways every known frame of the clip.
        until: "apex", or "offset" for at least three frames.
        fps: frames per second, for "all".

    Returns:
        float32 [n, 17] in [0, 1] and the index of the apex. The first vector is `triplet.onset`, that of the apex
        `triplet.apex`; the last, if it is another one, `triplet.onset` again, or the measured offset.

    Raises:
        UsageError: too few frames.
    """
    least = 2 if until == "apex" else 3
    if frames != "all" and frames < least:
        raise UsageError(f"{frames} frames until the {until}", expected=f"at least {least}")
    times, aus = source.path(triplet)
    measured = len(times) > 2
    descent = source.descent(triplet) if until == "offset" else None
    if measured or descent:  # in frames of the clip
        fps = float(times[-1] - times[0]) / timing.rise
    rise, fall = timing.rise * fps, timing.fall * fps
    if descent:
        fall = float(descent[0][-1] - descent[0][0])
    if frames == "all":
        n_up = len(times) - 1 if measured else max(1, round(rise))
        n_down = len(descent[0]) - 1 if descent else max(1, round(fall))
    else:
        n_up = frames - 1 if until == "apex" else min(max(1, round((frames - 1) * rise / (rise + fall))), frames - 2)
        n_down = frames - 1 - n_up
    every = frames == "all"
    if measured:
        up = resampled(times, aus, None if every else n_up + 1, triplet.onset, triplet.apex)
    else:
        up = _way(triplet.onset, triplet.apex, n_up + 1, timing.lag[0])
    if until == "apex":
        return up, n_up
    if descent:
        down = resampled(*descent, None if every else n_down + 1, triplet.apex, descent[1][-1])
    else:
        down = _way(triplet.apex, triplet.onset, n_down + 1, timing.lag[1])
    return np.concatenate([up, down[1:]]), n_up


def _way(start: AUArray, end: AUArray, n: int, lag: Floats) -> AUArray:
    t = (np.linspace(0, 1, n)[:, None] - lag) / (1 - lag)
    way: AUArray = (start + ease(t) * (end.astype(np.float64) - start)).astype(np.float32)
    way[0], way[-1] = start, end
    return way
