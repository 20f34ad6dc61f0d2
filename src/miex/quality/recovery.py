"""How well AUs come back: those that an extractor reads off frames against those that the frames were made with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from miex.aus.vector import N_AUS, AUArray
from miex.errors import UsageError

Floats = npt.NDArray[np.float64]
_FEWEST = 10  # pairs with an AU, and without it: below, its numbers would be luck


@dataclass(frozen=True)
class Recovery:
    """Recovered AUs against known ones, over n pairs.

    Attributes:
        n: pairs.
        pairs: pairs in which each AU was on, int64 [17].
        crosstalk: float64 [17, 17]; [i, j] is how much AU j is read, per intensity of AU i, all others held: the
            least-squares coefficients of recovered on known AUs. Rows of AUs that were on in fewer than 10 pairs, or
            off in fewer, are NaN.
        correlation: of each AU's recovered with its known intensity, float64 [17]; NaN as above.
        false_alarm: standard deviation of what is read of an AU where it was off, float64 [17].
    """

    n: int
    pairs: npt.NDArray[np.int64]
    crosstalk: Floats
    correlation: Floats
    false_alarm: Floats

    @property
    def slope(self) -> Floats:
        """How much is read of each AU per its own intensity, float64 [17]: 1 is perfect."""
        return np.diagonal(self.crosstalk)


def recovery(known: AUArray, recovered: AUArray) -> Recovery:
    """Compare.

    Args:
        known: intensities that the pairs were made with, apex − onset, float32 [n, 17].
        recovered: what was read of them, float32 [n, 17]; rows with NaN (no face found) are left out.

    Raises:
        UsageError: fewer pairs than AUs that were on.
    """
    good = ~np.isnan(recovered).any(axis=1)
    z, found = known[good].astype(np.float64), recovered[good].astype(np.float64)
    on = z != 0
    pairs = on.sum(axis=0)
    enough = (pairs >= _FEWEST) & (len(z) - pairs >= _FEWEST)
    used = np.flatnonzero(pairs)
    if len(z) <= len(used) or not enough.any():
        raise UsageError(
            f"recovered AUs of {len(z)} pairs",
            expected=f"more than {len(used)} pairs, and an AU that is on in {_FEWEST} of them and off in {_FEWEST}",
            do="look at more samples, or make a larger set",
        )
    crosstalk = np.full((N_AUS, N_AUS), np.nan)
    with_constant = np.column_stack([z[:, used], np.ones(len(z))])
    crosstalk[used] = np.linalg.lstsq(with_constant, found, rcond=None)[0][:-1]
    crosstalk[~enough] = np.nan
    correlation = np.full(N_AUS, np.nan)
    for i in np.flatnonzero(enough):
        if found[:, i].any():
            correlation[i] = np.corrcoef(z[:, i], found[:, i])[0, 1]
        else:
            correlation[i] = 0.0
    false_alarm = np.array([found[~on[:, i], i].std() if (~on[:, i]).any() else np.nan for i in range(N_AUS)])
    return Recovery(len(z), pairs, crosstalk, correlation, false_alarm)
