"""Significance: a paired test over repeats × folds, bootstraps over subjects, and correction for many comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from miex.errors import InputError
from miex.evaluation.metrics import Counts, uf1_uar

ROUNDS = 10_000


@dataclass(frozen=True)
class Paired:
    """A paired comparison.

    Attributes:
        difference: mean difference b − a.
        t: statistic of the test.
        freedom: its degrees of freedom.
        p: two-sided p value.
    """

    difference: float
    t: float
    freedom: int
    p: float


def paired(a: npt.ArrayLike, b: npt.ArrayLike, *, test_share: float) -> Paired:
    """The corrected repeated k-fold cross-validation test (Nadeau & Bengio 2003; Bouckaert & Frank 2004).

    The folds of one corpus share most of their training data, so the differences of their scores are not independent,
    and a plain paired t-test finds significance too often. The variance of the mean difference is therefore taken as
    s² (1/m + n₂/n₁) instead of s²/m, where n₂/n₁ is the ratio of the sizes of test and training part.

    Args:
        a, b: scores [m] of two recognizers on the same repeats × folds, in the same order.
        test_share: n₂/n₁, which is 1/2 for 3 folds and 1/4 for 5. With 0 this is the plain paired t-test.

    Raises:
        InputError: there are fewer than two pairs, or the lengths differ.
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        raise InputError(
            "paired test", expected="at least two scores of each, in pairs", found=f"{x.shape} and {y.shape}"
        )
    d = y - x
    m = len(d)
    spread = np.sqrt(d.var(ddof=1) * (1 / m + test_share))
    mean = float(d.mean())
    if spread == 0:
        return Paired(mean, float(np.sign(mean) * np.inf) if mean else 0.0, m - 1, 0.0 if mean else 1.0)
    t = mean / spread
    return Paired(mean, float(t), m - 1, float(2 * stats.t.sf(abs(t), m - 1)))


@dataclass(frozen=True)
class Interval:
    """A value with its bootstrap interval.

    Attributes:
        value: score, mean or difference.
        low, high: ends of the interval.
        p: two-sided p value of the hypothesis that a difference is 0; None if the value is no difference.
    """

    value: float
    low: float
    high: float
    p: float | None = None


def by_subject(
    truth: npt.ArrayLike, predicted: npt.ArrayLike, subject: npt.ArrayLike, classes: int
) -> npt.NDArray[np.int64]:
    """Confusion matrices of each subject, int64 [subjects, classes, classes], subjects in sorted order."""
    names, row = np.unique(np.asarray(subject), return_inverse=True)
    counts = np.zeros((len(names), classes, classes), np.int64)
    np.add.at(counts, (row, np.asarray(truth), np.asarray(predicted)), 1)
    return counts


def bootstrap(
    runs: Sequence[Counts],
    against: Sequence[Counts] | None = None,
    *,
    metric: Literal["uf1", "uar"] = "uf1",
    level: float = 0.95,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Interval:
    """Confidence interval of a score, or of the difference of two, by a bootstrap over subjects.

    Subjects, not samples, are drawn with replacement, because clips of one person are not independent. In each round
    all runs use the same draw, and the score is the mean over runs, as in the tables.

    Args:
        runs: for each run (repeat, seed) the confusion matrices of each subject; see `by_subject`.
        against: the runs of another recognizer on the same subjects; the value is then the difference runs − against.
        metric: uf1 or uar.
        level: coverage of the interval, in (0, 1).
        rounds: number of draws.
        seed: random seed of the draws.

    Returns:
        The score of all subjects and its percentile interval; with `against` also p = 2·min(fraction ≤ 0,
        fraction ≥ 0). p is at least 1/rounds, and at least 2^(1 − subjects), the smallest p that a sign test over that
        many subjects can give.
    """
    weights = resamples(len(runs[0]), rounds, seed)
    values = mean_scores(runs, weights, metric) - (0.0 if against is None else mean_scores(against, weights, metric))
    return interval(values, None if against is None else len(runs[0]), level)


def resamples(subjects: int, rounds: int = ROUNDS, seed: int = 0) -> Counts:
    """How often each subject counts, int64 [1 + rounds, subjects]: first once, then in each round as often as drawn."""
    draws = np.random.Generator(np.random.PCG64(seed)).multinomial(subjects, np.full(subjects, 1 / subjects), rounds)
    return np.concatenate([np.ones((1, subjects), np.int64), draws])


def mean_scores(
    runs: Sequence[Counts], weights: Counts, metric: Literal["uf1", "uar"] = "uf1"
) -> npt.NDArray[np.float64]:
    """The mean score over runs for each weighting of the subjects, float64 [weightings].

    Args:
        runs: for each run the confusion matrices of each subject, int64 [subjects, classes, classes]; zeros for those
            who are not tested in it.
        weights: of `resamples`, int64 [weightings, subjects].
        metric: uf1 or uar.

    A run none of whose subjects has a weight is left out of the mean, which is NaN if no run is left.
    """
    k = runs[0].shape[-1]
    counts = ((weights @ run.reshape(len(run), -1)).reshape(-1, k, k) for run in runs)
    scores = np.stack([uf1_uar(one)[metric == "uar"] for one in counts])
    there = ~np.isnan(scores)
    n = there.sum(0)
    return np.asarray(np.divide(np.where(there, scores, 0).sum(0), n, out=np.full(len(n), np.nan), where=n > 0))


def interval(values: npt.NDArray[np.float64], subjects: int | None = None, level: float = 0.95) -> Interval:
    """A value and its percentile interval; p if it is a difference.

    Args:
        values: the value of all subjects, then of each draw, float64 [1 + rounds]; rounds of NaN are left out.
        subjects: of a difference, how many there are.
        level: coverage of the interval, in (0, 1).
    """
    drawn = values[1:][~np.isnan(values[1:])]
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(float(values[0]), float(low), float(high), None if subjects is None else _p(drawn, subjects))


def holm(p: Sequence[float]) -> list[float]:
    """p values of several comparisons, corrected by Holm (1979): they bound the probability of any false finding."""
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(1, stepped)
    return [float(value) for value in corrected]


def bootstrap_mean(
    values: npt.ArrayLike,
    groups: Sequence[str],
    against: tuple[npt.ArrayLike, Sequence[str]] | None = None,
    *,
    level: float = 0.95,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Interval:
    """Confidence interval of a mean, or of the difference of two, by a bootstrap over people or faces.

    Groups, not values, are drawn with replacement, because values of one person or face are not independent.

    Args:
        values: finite values [n]; the differences in a paired comparison.
        groups: the person or face of each value.
        against: other values and their groups, drawn independently; the result is then the difference of the means.
        level, rounds, seed: as in `bootstrap`.

    Returns:
        The mean (or the difference), its percentile interval, and p as in `bootstrap`.

    Raises:
        InputError: there is only one group.
    """
    rng = np.random.Generator(np.random.PCG64(seed))

    def means(numbers: npt.ArrayLike, names: Sequence[str]) -> npt.NDArray[np.float64]:
        found, of = np.unique(np.asarray(names), return_inverse=True)
        k = len(found)
        if k < 2:
            raise InputError("interval of a mean", expected="values of at least two people or faces", found=f"{k}")
        sums = np.bincount(of, np.asarray(numbers, np.float64), minlength=k)
        sizes = np.bincount(of, minlength=k)
        weights = np.concatenate([np.ones((1, k), np.int64), rng.multinomial(k, np.full(k, 1 / k), rounds)])
        return np.asarray((weights @ sums) / (weights @ sizes))

    drawn = means(values, groups) - (0.0 if against is None else means(*against))
    low, high = np.quantile(drawn[1:], [(1 - level) / 2, (1 + level) / 2])
    fewest = min(len(set(names)) for names in (groups, *([] if against is None else [against[1]])))
    return Interval(float(drawn[0]), float(low), float(high), _p(drawn[1:], fewest))


def _p(drawn: npt.NDArray[np.float64], n: int) -> float:
    """Two-sided p value of the hypothesis that a difference is 0, from its draws and the number of groups."""
    tail = 2 * min((drawn <= 0).mean(), (drawn >= 0).mean())
    return float(min(1.0, max(1 / len(drawn), 2.0 ** (1 - n), tail)))
