"""UF1, UAR and accuracy of predictions, out of one confusion matrix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from miex.errors import InputError

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scores:
    """What one confusion matrix says.

    Attributes:
        confusion: int64 [classes, classes]; rows are the truth, columns the prediction.
        uf1: unweighted mean over classes of F1, in [0, 1].
        uar: unweighted mean over classes of recall, in [0, 1].
        accuracy: share of samples that are right, in [0, 1].

    A class that neither occurs nor is predicted has no F1, one that does not occur no recall: it is left out of the
    mean (scikit-learn's `zero_division=nan`). Pooled over folds, as MEGC 2019 does, that hardly happens; within one
    left-out subject it is the rule, so that means over folds depend on it.
    """

    confusion: Counts
    uf1: float
    uar: float
    accuracy: float

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.confusion.sum())


def confusion(truth: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> Counts:
    """Counts int64 [classes, classes] of (truth, prediction), both int [n] in [0, classes).

    Raises:
        InputError: different lengths, or a value that is no class.
    """
    y, p = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    if y.shape != p.shape or y.ndim != 1:
        raise InputError("confusion matrix", expected="as many predictions as truths", found=f"{p.shape}, {y.shape}")
    both = np.concatenate([y, p])
    if ((both < 0) | (both >= classes)).any():
        raise InputError(
            "confusion matrix", expected=f"classes 0 to {classes - 1}", found=f"{both.min()}, {both.max()}"
        )
    return np.bincount(y * classes + p, minlength=classes * classes).reshape(classes, classes)


def uf1_uar(confusions: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """UF1 and UAR, float64 [...], of confusion matrices [..., classes, classes]; nan where there is no sample."""
    c = np.asarray(confusions, np.float64)
    hits, truths, guesses = np.diagonal(c, axis1=-2, axis2=-1), c.sum(-1), c.sum(-2)
    return _mean_defined(2 * hits, truths + guesses), _mean_defined(hits, truths)


def score(counts: Counts) -> Scores:
    """The scores of a confusion matrix int64 [classes, classes]."""
    uf1, uar = uf1_uar(counts)
    n = counts.sum()
    return Scores(counts, float(uf1), float(uar), float(np.trace(counts) / n) if n else float("nan"))


def pooled(folds: Iterable[Counts]) -> Scores:
    """The scores of the summed counts of several folds: how MEGC 2019 takes UF1 and UAR."""
    return score(np.sum(list(folds), axis=0))


def fold_mean(folds: Iterable[Counts]) -> tuple[float, float, float]:
    """The mean over folds of each fold's UF1, UAR and accuracy: another number than the pooled ones."""
    each = [score(counts) for counts in folds]
    uf1, uar, accuracy = (float(np.mean([getattr(s, name) for s in each])) for name in ("uf1", "uar", "accuracy"))
    return uf1, uar, accuracy


def _mean_defined(part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    defined = whole > 0
    ratio = np.divide(part, whole, out=np.zeros_like(part), where=defined)
    count = defined.sum(-1)
    none = np.full(count.shape, np.nan)
    return np.asarray(np.divide(ratio.sum(-1), count, out=none, where=count > 0), np.float64)
