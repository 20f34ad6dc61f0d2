"""Whether AUs are realized: compare AUs that an extractor reads from frames with those the frames were made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_NUMBERS, N_AUS, AUArray
from miex.dataset import Dataset
from miex.dataset import open as open_set
from miex.dataset.choose import choose
from miex.dataset.schema import rendered_aus
from miex.errors import UsageError
from miex.executors.base import Executor, Progress, silent
from miex.executors.local import one_thread
from miex.extraction.flow import SIZE, EmbeddedExtractor
from miex.faces.landmarks import Landmarker
from miex.images import Image
from miex.storage import Place

Floats = npt.NDArray[np.float64]
_PAIRS_PER_TASK = 8
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
            expected=f"over {len(used)} pairs, and an AU that is on in {_FEWEST} or more and off in {_FEWEST} or more",
            do="measure more samples, or make a larger set",
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


def recovered_aus(
    place: Place, extractor: EmbeddedExtractor, *, n: int = 300, seed: int = 0, executor: Executor,
    progress: Progress = silent,
) -> tuple[Recovery, AUArray, AUArray]:  # fmt: skip
    """Read the AUs of a set's apex frames against their onset frames, and compare.

    Args:
        place: of a finished set of frames of at least 256 px.
        extractor: what reads them.
        n: how many samples, chosen as those of the gallery.
        seed: of the choice.
        executor: where the work is done.
        progress: called with pairs done and pairs in all.

    Returns:
        The comparison, and what it compares: known changes (apex − onset) and what was read, float32 [n, 17] each, in
        the order of the plan.

    Raises:
        UsageError: smaller frames, or too few samples.
    """
    dataset = open_set(place)
    size = dataset.record["settings"]["size"]
    if size < SIZE:
        raise UsageError(
            f"recovered AUs of {dataset.storage.address}", expected=f"frames of at least {SIZE} px", found=f"{size} px",
            do=f"make a set with `size` {SIZE}: in smaller frames the motion is lost in noise",
        )  # fmt: skip
    rows = choose(dataset.table, n, seed)
    parts = [rows[i : i + _PAIRS_PER_TASK] for i in range(0, len(rows), _PAIRS_PER_TASK)]
    tasks = [(part, dataset[part], extractor) for part in parts]
    found: dict[int, tuple[AUArray, AUArray]] = {}
    for part in executor.map(_read, tasks):
        found |= part
        progress(len(found), len(rows), "")
    known, read = (np.stack([found[row][k] for row in rows]) for k in (0, 1))
    return recovery(known, read), known, read


def _read(task: tuple[list[int], Dataset, EmbeddedExtractor]) -> dict[int, Any]:
    rows, dataset, extractor = task
    found = {}
    with one_thread(), Landmarker(extractor.model) as landmarker:
        for i, (place, row) in enumerate(zip(rows, dataset.table.to_pylist(), strict=True)):
            shown = rendered_aus(row)[[0, row["apex"]]]  # with the nuisances
            read = read_change(extractor, landmarker, dataset.pair(i))
            found[place] = ((shown[1] - shown[0]).mean(-1), read)
    return found


def read_change(
    extractor: EmbeddedExtractor, landmarker: Landmarker, pair: tuple[Image, Image], rest: Image | None = None
) -> AUArray:
    """AUs read off a pair, apex − onset, float32 [17]; NaN where no face is found.

    Both frames are read against the rest crop: intensities that are read are never negative, so against the onset an
    AU that fades could not be seen. Without a rest crop the onset stands for it.
    """
    neutral, onset, apex = extractor.aus_of([pair[0] if rest is None else rest, *pair], landmarker)
    return np.asarray(apex - onset if np.isfinite(neutral).all() else np.full_like(apex, np.nan), np.float32)


def describe_recovery(found: Recovery) -> dict[str, object]:
    """The numbers of a comparison as JSON values: for each AU slope, correlation, and what it is most taken for."""
    aus = {}
    for i, au in enumerate(AU_NUMBERS):
        if not np.isfinite(found.slope[i]):
            continue
        others = np.abs(np.delete(found.crosstalk[i], i))
        most = int(np.argmax(others))
        aus[str(au)] = {
            "pairs": int(found.pairs[i]),
            "slope": round(float(found.slope[i]), 3),
            "correlation": round(float(found.correlation[i]), 3),
            "false_alarm": round(float(found.false_alarm[i]), 4),
            "most_taken_for": AU_NUMBERS[most + (most >= i)],
            "crosstalk": round(float(others[most]), 3),
        }
    return {"pairs": found.n, "aus": aus}
