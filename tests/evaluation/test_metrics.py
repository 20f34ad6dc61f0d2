"""Metrics and significance against scikit-learn, scipy and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as oracle

from miex.errors import InputError
from miex.evaluation.metrics import confusion, fold_mean, pooled, score, spotted_intervals, uf1_uar
from miex.evaluation.significance import bootstrap, bootstrap_mean, by_subject, holm, paired


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    y, p = np.array(pairs).T
    counts = confusion(y, p, 4)
    labels = list(range(4))
    assert np.array_equal(counts, oracle.confusion_matrix(y, p, labels=labels))
    found = score(counts)
    nan = float("nan")
    expected = oracle.f1_score(y, p, labels=labels, average="macro", zero_division=nan)
    assert found.uf1 == pytest.approx(expected)
    present = np.unique(y)
    assert found.uar == pytest.approx(oracle.recall_score(y, p, labels=present, average="macro"))
    assert found.accuracy == pytest.approx(oracle.accuracy_score(y, p))
    assert found.n == len(y)


def test_all_negative_guess_has_the_published_scores() -> None:
    """MEGC 2019, 442 samples, all guessed `negative`: accuracy 0.565 (250/442), UF1 0.241, UAR 0.333 are published."""
    truth = np.repeat([0, 1, 2], [250, 109, 83])
    found = score(confusion(truth, np.zeros(442, int), 3))
    assert (round(found.accuracy, 3), round(found.uf1, 3), round(found.uar, 3)) == (0.566, 0.241, 0.333)


def test_pooled_and_fold_mean_are_two_numbers() -> None:
    folds = [confusion([0, 0, 1], [0, 0, 0], 2), confusion([1, 1], [1, 1], 2)]
    together = pooled(folds)
    assert together.uf1 == pytest.approx((2 * 2 / (2 + 3) + 2 * 2 / (3 + 2)) / 2)
    uf1, uar, accuracy = fold_mean(folds)
    # fold 0: F1 is 4/5 for class 0 and 0 for class 1; fold 1 has only class 1, all predicted right
    assert (uf1, uar, accuracy) == pytest.approx(((0.4 + 1) / 2, (0.5 + 1) / 2, (2 / 3 + 1) / 2))


def test_what_is_no_class_is_refused() -> None:
    with pytest.raises(InputError, match="classes 0 to 2"):
        confusion([0, 3], [0, 0], 3)
    with pytest.raises(InputError, match="as many"):
        confusion([0], [0, 1], 3)
    assert np.isnan(uf1_uar(np.zeros((3, 3)))).all()


def test_paired_test_without_correction_is_the_t_test_of_scipy() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=9), rng.normal(0.4, size=9)
    plain, ours = stats.ttest_rel(b, a), paired(a, b, test_share=0)
    assert (ours.t, ours.p, ours.freedom) == pytest.approx((plain.statistic, plain.pvalue, 8))
    corrected = paired(a, b, test_share=0.5)
    assert corrected.p > ours.p
    assert corrected.t == pytest.approx(ours.t * np.sqrt((1 / 9) / (1 / 9 + 0.5)))
    assert paired(a, a, test_share=0.5).p == 1
    with pytest.raises(InputError):
        paired([1], [2], test_share=0.5)


def test_bootstrap_draws_subjects() -> None:
    """All 27 equally likely draws of 3 subjects are enumerated; the interval is that of their scores."""
    y = [0, 0, 1, 0, 1, 1, 1]
    p = [0, 1, 1, 0, 0, 1, 1]
    who = ["a", "a", "a", "b", "b", "c", "c"]
    counts = by_subject(y, p, who, 2)
    assert np.array_equal(counts.sum(0), confusion(y, p, 2))
    values = [float(uf1_uar(counts[list(draw)].sum(0))[0]) for draw in itertools.product(range(3), repeat=3)]
    found = bootstrap([counts], rounds=40_000)
    assert found.value == pytest.approx(score(confusion(y, p, 2)).uf1)
    assert found.low == pytest.approx(np.quantile(values, 0.025, method="inverted_cdf"), abs=0.02)
    assert found.high == pytest.approx(np.quantile(values, 0.975, method="inverted_cdf"), abs=0.02)
    assert bootstrap([counts], seed=1, rounds=50) == bootstrap([counts], seed=1, rounds=50)


def test_bootstrap_of_a_difference() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 400)
    who = rng.integers(0, 40, 400)
    good = np.where(rng.random(400) < 0.8, y, rng.integers(0, 3, 400))
    bad = np.where(rng.random(400) < 0.3, y, rng.integers(0, 3, 400))
    better, worse = by_subject(y, good, who, 3), by_subject(y, bad, who, 3)
    gain = bootstrap([better], [worse])
    assert gain.low > 0
    assert gain.p == pytest.approx(1 / 10_000)
    none = bootstrap([worse], [worse])
    assert (none.value, none.p) == (0, 1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_against_its_definition(p: list[float]) -> None:
    order = sorted(range(len(p)), key=p.__getitem__)
    corrected = holm(p)
    for rank, i in enumerate(order):
        expected = max(min(1, p[j] * (len(p) - r)) for r, j in enumerate(order[: rank + 1]))
        assert corrected[i] == pytest.approx(expected)


def test_bootstrap_of_a_mean_against_what_is_known() -> None:
    """One value per person: ± 1.96 standard errors; each value twice for the same person: no narrower."""
    values = np.random.default_rng(0).normal(0.1, 1, 400)
    alone = bootstrap_mean(values, [f"p{i}" for i in range(400)])
    error = values.std() / 20
    assert alone.value == pytest.approx(values.mean())
    assert [alone.low, alone.high] == pytest.approx(
        [values.mean() - 1.96 * error, values.mean() + 1.96 * error], abs=0.01
    )
    twice = bootstrap_mean(np.tile(values, 2), [f"p{i}" for i in range(400)] * 2)
    assert (twice.low, twice.high) == pytest.approx((alone.low, alone.high))
    more = bootstrap_mean(
        values + 1, [f"p{i}" for i in range(400)], against=(values[:300], [f"q{i}" for i in range(300)])
    )
    assert more.value == pytest.approx((values + 1).mean() - values[:300].mean())
    assert more.high - more.low > alone.high - alone.low
    assert more.p == 1 / 10_000
    few = bootstrap_mean([1.0, 2.0, 3.0], ["a", "b", "c"])
    assert few.p == 0.25  # three of three on one side: the p of a sign test, however many draws
    with pytest.raises(InputError, match="two people"):
        bootstrap_mean(values, ["p"] * 400)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 8)), max_size=5), st.integers(1, 10))
def test_spotted_intervals_are_matched_as_often_as_can_be(starts: list[tuple[int, int]], shift: int) -> None:
    """Against every assignment; and each interval finds itself."""
    truth = [(a, a + length) for a, length in starts]
    spotted = [(a + shift // 3, b + shift // 4) for a, b in truth]

    def iou(x: tuple[int, int], y: tuple[int, int]) -> float:
        frames = [set(range(a, b + 1)) for a, b in (x, y)]
        return len(frames[0] & frames[1]) / max(1, len(frames[0] | frames[1]))

    apart = sorted(truth)
    if all(b < c for (_, b), (c, _) in itertools.pairwise(apart)):  # truths do not overlap, as in MEGC
        best = max(
            sum(iou(spotted[i], truth[j]) > 0.5 for i, j in enumerate(order))
            for order in itertools.permutations(range(len(truth)))
        ) if truth else 0  # fmt: skip
        assert spotted_intervals(spotted, truth, least=0.5 + 1e-9) == best
    assert spotted_intervals(truth, truth) == len(truth)
    assert spotted_intervals(truth, []) == spotted_intervals([], truth) == 0


def test_half_an_interval_is_enough_and_a_truth_is_found_once() -> None:
    assert spotted_intervals([(0, 9)], [(0, 4)]) == 1
    assert spotted_intervals([(0, 10)], [(0, 4)]) == 0
    assert spotted_intervals([(0, 9), (1, 9)], [(0, 9)]) == 1
