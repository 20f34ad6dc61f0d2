"""Spotting: known motion is found where it is, and nothing else is."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miex.corpora.clip import Clip
from miex.easing import ease
from miex.errors import InputError
from miex.faces.landmarks import Landmarker
from miex.images import Image
from miex.labels import Label
from miex.recognition.inputs.frames import ApexFrame
from miex.recognition.places import ClipFrames, of_clips
from miex.recognition.spotting import apex_of, region_motion, regions, spot_apex, spot_events
from tests.film_fixture import BLINK, EVENT, FPS

N = len(regions())


def tracks(curve: np.ndarray) -> np.ndarray:
    """Regions that all move down by as much as a curve says."""
    motion = np.zeros((len(curve), N, 2))
    motion[..., 1] = np.asarray(curve)[:, None] / N
    return motion


def bump(n: int, onset: int, offset: int, size: float = 0.2) -> np.ndarray:
    """Still, and between two frames there and back."""
    t = (np.arange(n) - onset) / (offset - onset)
    return size * ease(1 - np.abs(2 * t - 1))


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_apex_of_one_movement_is_its_highest_frame(rise: int, fall: int) -> None:
    curve = np.concatenate([np.linspace(0, 1, rise + 1), np.linspace(1, 0, fall + 1)[1:]])
    assert apex_of(tracks(curve)) == rise


def test_the_search_keeps_the_half_whose_peaks_sum_to_more() -> None:
    curve = np.array([0, 0.9, 0, 0, 0, 0.6, 0, 0.7])  # 0.9 in the first half, 1.3 in the second; 0.7 in its second
    assert apex_of(tracks(curve)) == 7
    assert apex_of(tracks(curve[:6])) == 1
    assert apex_of(tracks(np.zeros(7))) == 3  # nothing moves: the middle
    with pytest.raises(ValueError, match="1 frames"):
        apex_of(tracks(np.zeros(1)))


@pytest.mark.parametrize("fps", [30, 200])
def test_events_are_what_begins_and_ends_in_time(fps: int) -> None:
    n = 20 * fps
    at = lambda seconds: round(seconds * fps)  # noqa: E731
    curve = bump(n, at(3), at(3.4)) + bump(n, at(8), at(8.3), 0.1)
    curve += bump(n, at(11), at(13), 0.5)  # a macro-expression
    curve += ease((np.arange(n) - at(15)) / fps)  # moves to stay
    curve += 0.001 * np.sin(np.arange(n))
    _, threshold, found = spot_events(tracks(curve), fps)
    assert [abs(event.apex - at(s)) <= 1 for event, s in zip(found, (3.2, 8.15), strict=True)] == [True, True]
    for event, (onset, offset) in zip(found, ((3, 3.4), (8, 8.3)), strict=True):
        assert at(onset) <= event.onset <= at(onset + 0.1)
        assert at(offset - 0.1) <= event.offset <= at(offset)
        assert event.strength > threshold[event.apex]
    _, _, longer = spot_events(tracks(curve), fps, longest=4)
    assert any(abs(event.apex - at(12)) <= 1 for event in longer)
    assert not spot_events(tracks(curve), fps, longest=0.2)[2]


def test_a_clip_may_be_the_event_and_stillness_is_none() -> None:
    (event,) = spot_events(tracks(bump(36, 0, 35)), 100)[2]
    assert (event.onset, event.apex, event.offset) == pytest.approx((0, 17, 35), abs=6)
    for curve in (np.zeros(300), np.random.default_rng(0).normal(0, 0.002, 300), np.full(300, np.nan)):
        assert spot_events(tracks(curve), 100)[2] == []


def test_an_event_does_not_go_over_lost_frames() -> None:
    motion = tracks(bump(300, 100, 140))
    motion[125] = np.nan
    strength, _, found = spot_events(motion, 100)
    assert np.flatnonzero(np.isnan(strength)).tolist() == [125]
    assert all(event.offset < 125 or event.onset > 125 for event in found)


def test_a_film_of_a_face(film: Image, landmarker: Landmarker) -> None:
    """The head sways by much more than the face moves, and the eyes close once."""
    motion = region_motion(iter(film), landmarker)
    assert motion.shape == (len(film), N, 2)
    strength, _, (event,) = spot_events(motion, FPS)
    onset, apex, offset = EVENT
    assert abs(event.apex - apex) <= 1
    assert onset <= event.onset <= onset + 4
    assert offset - 4 <= event.offset <= offset
    assert strength[BLINK[0] : BLINK[1] + 1].max() < event.strength / 4
    names = list(regions())
    at_apex = motion[apex] - motion[onset]
    assert at_apex[names.index("inner brow, right"), 1] < -0.005  # up
    assert at_apex[names.index("mouth corner, left"), 1] > 0.002  # down
    assert apex - 1 <= onset + spot_apex(film[onset : offset + 1], landmarker, name="film") <= apex + 1
    assert np.array_equal(motion, region_motion(iter(film), landmarker))


@pytest.mark.parametrize("quarters", [1, 2])
def test_a_turned_film_moves_as_the_upright_one(film: Image, landmarker: Landmarker, quarters: int) -> None:
    onset, apex, offset = EVENT
    turned = np.rot90(film[onset : offset + 1], quarters, axes=(1, 2))
    assert apex - 1 <= onset + spot_apex(turned, landmarker, name="film") <= apex + 1
    upright = region_motion(film[[onset, apex]], landmarker)
    np.testing.assert_allclose(region_motion(turned[[0, apex - onset]], landmarker), upright, atol=0.003)


def test_without_a_face_there_is_no_motion(film: Image, landmarker: Landmarker) -> None:
    gray = np.full_like(film[0], 128)
    motion = region_motion([gray, *film[:2], gray, film[0]], landmarker)
    assert np.isnan(motion[:, 0, 0]).tolist() == [True, False, False, True, False]
    assert not motion[4].any()  # displacements start again
    with pytest.raises(InputError, match="face in its onset"):
        spot_apex([gray, film[0]], landmarker, name="clip a")
    with pytest.raises(InputError, match="at least two frames"):
        spot_apex([film[0]], landmarker, name="clip a")


def test_no_more_than_a_few_frames_are_in_memory(film: Image, landmarker: Landmarker) -> None:
    alive: list[weakref.ref[Image]] = []

    def frames() -> Iterator[Image]:
        for i in range(20):
            frame = film[i].copy()
            alive.append(weakref.ref(frame))
            yield frame
            del frame
            assert sum(one() is not None for one in alive) <= 3

    assert len(region_motion(frames(), landmarker)) == 20


def test_clips_without_an_apex_are_spotted(film: Image, film_folder: Path, model: Path) -> None:
    onset, apex, offset = EVENT
    frames = tuple(film_folder / f"img{i + 1}.png" for i in range(len(film)))
    clip = Clip("smic", "s1", "c1", "surprise", Label.surprise, onset, None, offset, frames=frames)
    spotted, true = of_clips([clip], model=model, no_apex="spot"), replace(clip, apex=apex)
    near = [of_clips([replace(clip, apex=apex + by)], model=model).array(ApexFrame(side=64)) for by in (-1, 0, 1)]
    assert any(np.array_equal(spotted.array(ApexFrame(side=64)), one) for one in near)
    digests = {of_clips([clip], model=model, no_apex=way).digest for way in ("spot", "middle")}
    assert len(digests | {of_clips([true], model=model).digest}) == 3
    assert of_clips([true], model=model, no_apex="spot").digest == of_clips([true], model=model).digest
    assert isinstance(spotted.frames, ClipFrames)
    assert spotted.frames.clips[0].apex is None  # no frame was decoded yet
    with pytest.raises(InputError, match="1 without an apex: smic/s1/c1"):
        of_clips([clip], model=model)
    with pytest.raises(InputError, match="1 without frames"):
        of_clips([replace(clip, frames=())], model=model, no_apex="spot")
