"""Pools refuse events that their tracks do not have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from miex.errors import InputError
from miex.sources.pool import make_pool
from tests.corpus_fixture import corpus, track, tracks


def test_events_outside_their_tracks_are_named() -> None:
    """Numbers of files are no count from the first frame: a longer track would give a wrong frame."""
    clips = corpus()
    seen = tracks(clips)
    assert all(clip.offset is not None and clip.offset < clip.n_frames for clip in make_pool(clips, seen).clips)
    for changes in ({"onset": 46, "apex": 50, "offset": 55}, {"apex": 500}, {"offset": 12}):
        wrong = [replace(clips[0], **changes), *clips[1:]]
        with pytest.raises(
            InputError, match=r"casme2/sub01/EP00 \((.|\n)*12 frames(.|\n)*folder(.|\n)*number 1"
        ) as error:
            make_pool(wrong, seen)
        assert "EP01" not in str(error.value)


def test_numbers_that_do_not_fit_the_tracks_are_said() -> None:
    """Tracks that miex extracted have the index of the onset in their names."""
    clips = corpus()
    seen = {f"{clip.subject}/{clip.clip}@{clip.onset}": track(clip) for clip in clips}
    assert make_pool(clips, seen).clips
    wrong = [replace(clip, onset=46, apex=53, offset=57) for clip in clips]
    with pytest.raises(InputError, match=r"onset of sub01/EP00(.|\n)*sub01/EP00@2(.|\n)*number 1"):
        make_pool(wrong, seen)
    assert make_pool([*wrong[:1], *clips[1:]], seen).left_out["AUs only of an event with another onset"] == 1
