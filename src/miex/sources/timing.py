"""How a micro-expression unfolds in time: onset → apex → offset.

Yan, Wu, Liang, Chen & Fu (How fast are the leaked facial expressions, J. Nonverbal Behavior 37, 2013) put the limits at
260 ms from onset to apex and 500 ms in all. The published annotations of CASME II (253 clips that have all three
frames), SAMM (159) and MMEW (300) say what is common: medians from onset to apex (the rise) are 0.15, 0.16 and 0.14 s,
from onset to offset 0.31, 0.385 and 0.41 s. The rise is shorter than the fall in 42, 61 and 81 % of the clips, and
hardly tells how long the fall is (correlations 0.01, −0.28, −0.11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from miex.aus.vector import N_AUS, AUArray
from miex.easing import ease
from miex.errors import UsageError
from miex.sources.source import AUTriplet

Until = Literal["apex", "offset"]
UNTIL: tuple[Until, ...] = get_args(Until)
Floats = npt.NDArray[np.float64]

SHORTEST, LONGEST, LONGEST_RISE = 0.04, 0.5, 0.26  # seconds: onset to offset, and onset to apex (Yan et al. 2013)
RISE, FALL = (0.14, 0.4), (0.2, 0.4)  # medians in seconds, and spreads (log): set after the annotations above
LAG = 0.2  # largest delay of an AU, share of rise or fall: a choice of ours


@dataclass(frozen=True)
class Timing:
    """When a face does what.

    Attributes:
        rise, fall: onset → apex and apex → offset, seconds.
        lag: how much later than the first each AU starts to rise [0] and to fall [1], shares of rise and fall in
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
    triplet: AUTriplet, timing: Timing, *, frames: int | Literal["all"], until: Until, fps: float
) -> tuple[AUArray, int]:
    """The AUs of every frame of a sample.

    What a clip has measured between onset and apex, and from there to its offset, stays as measured; a perturbation of
    the apex fades in and out along it. All else follows the timing: AUs start one after the other and ease in and out
    (the paper interpolates z^exp; how, it does not say). Where the rise is measured and the fall is not, the fall is as
    much longer as in the timing.

    Args:
        triplet: onset and apex, and what is known between and after them.
        timing: of what nobody has measured.
        frames: how many, evenly spaced from onset to apex or offset; the nearest of them becomes the apex, by half a
            frame's change of the timing at most. Or "all": as many as a camera of that frame rate sees, of a measured
            rise or fall every known frame of the clip.
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
    known = triplet.known
    up = known.rise if known else None
    down = known.fall if known and until == "offset" else None
    if known and (up or down):  # all is counted in frames of the clip
        fps = float(known.times[known.apex] - known.times[0]) / timing.rise
    rise, fall = timing.rise * fps, timing.fall * fps
    if down:
        fall = float(down[0][-1] - down[0][0])
    if frames == "all":
        n_up = len(up[0]) - 1 if up else max(1, round(rise))
        n_down = len(down[0]) - 1 if down else max(1, round(fall))
    else:
        n_up = frames - 1 if until == "apex" else min(max(1, round((frames - 1) * rise / (rise + fall))), frames - 2)
        n_down = frames - 1 - n_up
    every = frames == "all"
    if up:
        rising = _resampled(*up, None if every else n_up + 1, triplet.onset, triplet.apex)
    else:
        rising = _eased(triplet.onset, triplet.apex, n_up + 1, timing.lag[0])
    if until == "apex":
        return rising, n_up
    if down:
        falling = _resampled(*down, None if every else n_down + 1, triplet.apex, down[1][-1])
    else:
        falling = _eased(triplet.apex, triplet.onset, n_down + 1, timing.lag[1])
    return np.concatenate([rising, falling[1:]]), n_up


def _resampled(times: Floats, aus: AUArray, n: int | None, start: AUArray, end: AUArray) -> AUArray:
    """AUs float32 [n, 17] at n evenly spaced times (None: at the measured ones), linear between those measured.

    The first becomes `start`, the last `end`; these changes fade in between them.
    """
    when = times if n is None else np.linspace(times[0], times[-1], n)
    along = np.stack([np.interp(when, times, au) for au in aus.T], axis=1)
    t = ((when - when[0]) / (when[-1] - when[0]))[:, None]
    along += (1 - t) * (start - aus[0]) + t * (end - aus[-1])
    made: AUArray = np.clip(along, 0, 1).astype(np.float32)
    made[0], made[-1] = start, end
    return made


def _eased(start: AUArray, end: AUArray, n: int, lag: Floats) -> AUArray:
    """n AU vectors from start to end, float32 [n, 17], each AU setting out by its share `lag` of the time later."""
    t = (np.linspace(0, 1, n)[:, None] - lag) / (1 - lag)
    made: AUArray = (start + ease(t) * (end.astype(np.float64) - start)).astype(np.float32)
    made[0], made[-1] = start, end
    return made
