"""How an expression goes on and off: as measured where a clip has measured it, else in a micro-expression's time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miex.aus.vector import AU_INDEX, from_mapping
from miex.errors import UsageError
from miex.labels import Label
from miex.sources.early_mae import EarlyMaESource
from miex.sources.pool import make_pool
from miex.sources.real_mie import RealMiESource
from miex.sources.source import AUSource, AUTriplet, Course, PerturbedSource
from miex.sources.timing import LAG, LONGEST, LONGEST_RISE, SHORTEST, Timing, draw_timing, expression
from tests.corpus_fixture import clip, track

SMILE = AUTriplet(
    from_mapping({4: 0.05, 12: 0.02}), from_mapping({6: 0.1, 12: 0.3, 25: 0.15}), Label.positive, "happiness"
)
AU12 = AU_INDEX[12]


def timing_of(seed: int) -> Timing:
    return draw_timing(np.random.default_rng(seed))


def sequence(seed: int = 0, of: AUTriplet = SMILE, **how: Any) -> tuple[np.ndarray, int]:
    asked = {"frames": "all", "until": "offset", "fps": 200, **how}
    return expression(of, timing_of(seed), **asked)


def drawn(source: AUSource, label: Label = Label.positive, seed: int = 0) -> AUTriplet:
    return source.sample(label, rng=np.random.default_rng(seed))


# drawn


def test_timings_are_those_of_micro_expressions() -> None:
    timings = [timing_of(seed) for seed in range(2000)]
    rise, whole = np.array([t.rise for t in timings]), np.array([t.rise + t.fall for t in timings])
    assert rise.max() <= LONGEST_RISE
    assert whole.min() >= SHORTEST
    assert whole.max() <= LONGEST
    # within the medians of the published annotations, see sources/timing.py
    assert 0.12 < np.median(rise) < 0.17
    assert 0.3 < np.median(whole) < 0.41
    assert 0.55 < np.mean(rise < whole / 2) < 0.85
    lag = np.array([t.lag for t in timings])
    assert 0 <= lag.min() < 0.01 < 0.99 * LAG < lag.max() <= LAG


@given(
    seed=st.integers(0, 10**6),
    frames=st.one_of(st.just("all"), st.integers(3, 200)),
    until=st.sampled_from(["apex", "offset"]),
    fps=st.sampled_from([25, 30, 60, 100, 200, 500]),
)
def test_sequences_go_from_onset_over_apex_to_offset(seed: int, frames: int | str, until: Any, fps: float) -> None:
    aus, apex = sequence(seed, frames=frames, until=until, fps=fps)
    assert aus.dtype == np.float32
    np.testing.assert_array_equal(aus[0], SMILE.onset)
    np.testing.assert_array_equal(aus[apex], SMILE.apex)
    np.testing.assert_array_equal(aus[-1], SMILE.apex if until == "apex" else SMILE.onset)
    toward = np.sign(SMILE.apex - SMILE.onset)
    assert (np.diff(aus[: apex + 1], axis=0) * toward >= 0).all()
    assert (np.diff(aus[apex:], axis=0) * toward <= 0).all()
    timing = timing_of(seed)
    if frames == "all":
        assert apex == max(1, round(timing.rise * fps))
        assert len(aus) - 1 - apex == (max(1, round(timing.fall * fps)) if until == "offset" else 0)
    else:
        assert len(aus) == frames
        share = timing.rise / (timing.rise + timing.fall)
        assert abs(apex - (share if until == "offset" else 1) * (frames - 1)) <= 1


def test_aus_start_one_after_the_other_and_are_all_there_at_the_apex() -> None:
    aus, apex = sequence(3, frames=1000, until="apex")
    moving = np.flatnonzero(SMILE.apex != SMILE.onset)
    start = np.argmax(aus[:, moving] != SMILE.onset[moving], axis=0) / apex
    np.testing.assert_allclose(start, timing_of(3).lag[0, moving], atol=0.01)
    assert np.ptp(start) > 0.02


def test_speed_has_no_jump() -> None:
    """The largest change of speed between frames shrinks with the square of their distance, as in a smooth curve."""
    jumps = []
    for n in (50, 100, 200):
        aus, apex = sequence(1, frames=n, until="apex")
        share = (aus[:, AU12] - aus[0, AU12]) / (aus[apex, AU12] - aus[0, AU12])
        assert np.diff(share).max() <= 1.5 / (1 - LAG) / (n - 1) * 1.01
        jumps.append(np.abs(np.diff(share, 2)).max() * (n - 1) ** 2)
    assert max(jumps) <= 6 / (1 - LAG) ** 2 * 1.01
    whole, apex = sequence(1)
    assert np.abs(whole[[apex - 1, apex + 1]] - whole[apex]).max() < 0.01  # it turns slowly


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 3"):
        sequence(frames=2)
    with pytest.raises(UsageError, match="at least 2"):
        sequence(frames=1, until="apex")


# measured


BENT = [0, 0.01, 0.02, 0.03, 0.2, 0.1, 0.05, 0.04]  # AU 12 of frames 2 to 9; the apex is frame 6


def bent(**changes: Any) -> RealMiESource:
    of = clip("sub01", "EP00", "happiness", **changes)
    seen = track(replace(of, onset=2, apex=6, offset=9))
    seen.aus[2:10, AU12] = BENT
    return RealMiESource((make_pool([of], {"sub01/EP00": seen}),), "absolute")


def test_measured_frames_stay_as_measured() -> None:
    triplet = drawn(bent())
    assert triplet.frames == (2, 6)
    aus, apex = sequence(of=triplet, fps=25)
    assert apex == 4
    np.testing.assert_allclose(aus[:, AU12], BENT, atol=1e-6)
    up, apex = sequence(of=triplet, until="apex")
    assert apex == 4
    np.testing.assert_array_equal(up, aus[:5])


def test_measured_frames_are_resampled_linearly() -> None:
    triplet = drawn(bent())
    nine, apex = sequence(of=triplet, frames=9, until="apex")
    assert apex == 8
    np.testing.assert_allclose(
        nine[:, AU12], [0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.115, 0.2], atol=1e-6
    )  # fmt: skip
    both, apex = sequence(of=triplet, frames=11)
    assert len(both) == 11
    assert apex == round(10 * 4 / 7)
    np.testing.assert_array_equal(both[[0, apex]], [triplet.onset, triplet.apex])
    assert both[-1, AU12] == np.float32(BENT[-1])


def test_frames_that_failed_are_skipped_and_their_time_is_kept() -> None:
    of = clip("sub01", "EP00", "happiness")
    seen = track(of, failed=(4, 5, 8))  # a straight rise and a straight fall
    triplet = drawn(RealMiESource((make_pool([of], {"sub01/EP00": seen}),), "absolute"))
    assert triplet.known is not None
    assert triplet.known.times.tolist() == [2, 3, 6, 7, 9]
    whole, _ = sequence(of=triplet, frames=8)
    np.testing.assert_allclose(whole, track(of).aus[2:10], atol=1e-6)


def test_a_perturbation_fades_in_to_the_apex_and_out_to_the_offset() -> None:
    source = bent()
    plain, triplet = drawn(source), drawn(PerturbedSource(source, 0.1), seed=4)
    change = triplet.apex - plain.apex
    assert np.abs(change[AU12]) > 0.05
    before, _ = sequence(of=plain)
    after, apex = sequence(of=triplet)
    np.testing.assert_array_equal(after[apex], triplet.apex)
    share = np.array([0, 1 / 4, 1 / 2, 3 / 4, 1, 2 / 3, 1 / 3, 0])
    expected = np.clip(before + share[:, None] * change, 0, 1)
    np.testing.assert_allclose(after, expected, atol=1e-6)


def test_a_fall_that_nobody_measured_is_drawn() -> None:
    of = clip("s15", "0102", "happiness", kind="macro", onset=4, apex=None, offset=39)
    seen = track(of, 40)
    source = EarlyMaESource((make_pool([of], {"s15/0102": seen}),), "absolute")
    triplet = drawn(source)
    assert triplet.frames is not None
    timing = timing_of(0)
    aus, apex = sequence(of=triplet)
    assert apex == triplet.frames[1] - triplet.frames[0]
    np.testing.assert_array_equal(aus[: apex + 1], seen.aus[4 : triplet.frames[1] + 1])
    assert len(aus) - 1 - apex == max(1, round(apex * timing.fall / timing.rise))
    np.testing.assert_array_equal(aus[-1], triplet.onset)


def test_a_rise_that_nobody_measured_is_drawn_and_the_measured_fall_kept() -> None:
    of = clip("sub01", "EP00", "happiness")
    seen = track(of, failed=(3, 4, 5))
    triplet = drawn(RealMiESource((make_pool([of], {"sub01/EP00": seen}),), "absolute"))
    aus, apex = sequence(of=triplet)
    assert apex == 4
    np.testing.assert_array_equal(aus[4:], seen.aus[6:10])
    straight = np.linspace(triplet.onset[AU12], triplet.apex[AU12], 5)
    assert aus[1, AU12] < straight[1] - 0.01  # it sets out slowly


@pytest.mark.parametrize(
    "changes", [{"onset": 5, "offset": 6}, {"onset": 7, "offset": None}], ids=["next frame", "apex before onset"]
)
def test_where_no_more_than_the_pair_is_measured_all_is_drawn(changes: dict[str, Any]) -> None:
    triplet = drawn(bent(**changes))
    assert triplet.known is None
    timing = timing_of(0)
    aus, apex = sequence(of=triplet)
    assert apex == round(timing.rise * 200)
    assert len(aus) - 1 - apex == round(timing.fall * 200)


def test_of_two_events_of_one_clip_each_keeps_its_own_course() -> None:
    short, long = clip("sub01", "EP00", "happiness"), clip("sub01", "EP00", "surprise", offset=11)
    source = RealMiESource((make_pool([short, long], {"sub01/EP00": track(long)}),), "absolute")
    assert [len(sequence(of=drawn(source, label))[0]) for label in (Label.positive, Label.surprise)] == [8, 10]


def test_of_two_events_that_start_with_the_same_known_frame_each_keeps_its_own_course() -> None:
    first, second = (clip("s15", "0102", "happiness", kind="macro", onset=n, apex=32, offset=33) for n in (2, 3))
    quick, slow = (track(of, 40, failed=(2, 3, 4)) for of in (first, second))
    slow.aus[:] **= 2
    pool = make_pool([first, second], {"s15/0102@2": quick, "s15/0102@3": slow})
    source = EarlyMaESource((pool,), "absolute")
    met = set()
    for seed in range(20):
        triplet = drawn(source, seed=seed)
        assert triplet.frames is not None
        onset, apex = triplet.frames
        assert onset == 5
        seen = quick if np.array_equal(triplet.apex, quick.aus[apex]) else slow
        met.add(seen is slow)
        np.testing.assert_array_equal(sequence(of=triplet, until="apex")[0], seen.aus[5 : apex + 1])
    assert met == {True, False}


def test_a_course_knows_what_lies_between() -> None:
    times, aus = np.arange(4.0), np.zeros((4, 17), np.float32)
    two = [Course(times, aus, apex) for apex in (1, 2, 3)]
    assert [course.rise is not None for course in two] == [False, True, True]
    assert [course.fall is not None for course in two] == [True, True, False]
