"""UF1, UAR and accuracy of predictions, from a confusion matrix; true positives of spotted intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from miex.errors import InputError

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scores:
    """A confusion matrix and its scores.

    Attributes:
        confusion: number of samples, int64 [classes, classes]; rows are the true, columns the predicted class.
        uf1: unweighted mean of the F1 scores of all classes, in [0, 1].
        uar: unweighted mean of the recalls of all classes, in [0, 1].
        accuracy: fraction of samples that are classified correctly, in [0, 1].

    F1 is undefined for a class that neither occurs nor is predicted, and recall for one that does not occur; such
    classes are left out of the mean (as with scikit-learn's `zero_division=nan`). This is rare if counts are pooled
    over folds, as MEGC 2019 does, but common within a fold of a single subject, so that means over folds depend on it.
    """

    confusion: Counts
    uf1: float
    uar: float
    accuracy: float

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.confusion.sum())


def confusion(truth: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> Counts:
    """The confusion matrix, int64 [classes, classes]: rows are the true, columns the predicted class.

    Args:
        truth, predicted: true and predicted class of each sample, int [n], from 0 to classes - 1.
        classes: number of classes.

    Raises:
        InputError: the lengths differ, or a value is not a class.
    """
    y, p = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    if y.shape != p.shape or y.ndim != 1:
        raise InputError(
            "confusion matrix", expected="as many predicted classes as true ones", found=f"{len(p)} and {len(y)}"
            if p.ndim == y.ndim == 1 else f"arrays of shape {list(p.shape)} and {list(y.shape)}",
        )  # fmt: skip
    both = np.concatenate([y, p])
    if ((both < 0) | (both >= classes)).any():
        raise InputError(
            "confusion matrix", expected=f"classes 0 to {classes - 1}", found=f"classes {both.min()} to {both.max()}"
        )
    return np.bincount(y * classes + p, minlength=classes * classes).reshape(classes, classes)


def uf1_uar(confusions: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """UF1 and UAR, float64 [...], of confusion matrices [..., classes, classes]; NaN for those without samples."""
    c = np.asarray(confusions, np.float64)
    hits, truths, guesses = np.diagonal(c, axis1=-2, axis2=-1), c.sum(-1), c.sum(-2)
    return _mean_defined(2 * hits, truths + guesses), _mean_defined(hits, truths)


def score(counts: Counts) -> Scores:
    """The scores of a confusion matrix, int64 [classes, classes]; NaN if it has no samples."""
    uf1, uar = uf1_uar(counts)
    n = counts.sum()
    return Scores(counts, float(uf1), float(uar), float(np.trace(counts) / n) if n else float("nan"))


def pooled(folds: Iterable[Counts]) -> Scores:
    """The scores of the sum of the confusion matrices of several folds, as MEGC 2019 defines UF1 and UAR."""
    return score(np.sum(list(folds), axis=0))


def fold_mean(folds: Iterable[Counts]) -> tuple[float, float, float]:
    """UF1, UAR and accuracy as means over folds, which differ from those of the pooled folds."""
    each = [score(counts) for counts in folds]
    uf1, uar, accuracy = (float(np.mean([getattr(s, name) for s in each])) for name in ("uf1", "uar", "accuracy"))
    return uf1, uar, accuracy


def _mean_defined(part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    defined = whole > 0
    ratio = np.divide(part, whole, out=np.zeros_like(part), where=defined)
    count = defined.sum(-1)
    none = np.full(count.shape, np.nan)
    return np.asarray(np.divide(ratio.sum(-1), count, out=none, where=count > 0), np.float64)


def spotted_intervals(spotted: Sequence[tuple[int, int]], truth: Sequence[tuple[int, int]], least: float = 0.5) -> int:
    """Number of true positives of the spotted intervals of a video, as MEGC counts them: those whose intersection over
    union with a true one is at least `least`; each true one is found once, the best match first.

    Summed over videos, F1 = 2 · true positives / (spotted + true intervals).

    Args:
        spotted, truth: first and last frame of each interval, inclusive.
        least: smallest intersection over union.
    """
    pairs = []
    for i, (a, b) in enumerate(spotted):
        for j, (c, d) in enumerate(truth):
            both = min(b, d) - max(a, c) + 1
            union = (b - a + 1) + (d - c + 1) - max(both, 0)
            if both > 0 and both / union >= least:
                pairs.append((both / union, i, j))
    used: tuple[set[int], set[int]] = set(), set()
    for _, i, j in sorted(pairs, key=lambda pair: (-pair[0], *pair[1:])):
        if i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
    return len(used[0])
