"""`miex.spot`, its files, and predictions without frame numbers."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

import miex
from miex.errors import InputError, UsageError
from miex.faces.landmarks import Landmarker
from miex.images import clip_length, read_clip
from tests.film_fixture import EVENT, FPS, FRAMES
from tests.support import command, facts


@pytest.fixture(scope="module")
def found(film_video: Path) -> miex.api.spot.Spotted:  # type: ignore[name-defined]
    return miex.spot(film_video)


def test_a_video_and_its_frames_show_the_same_event(found, film_video: Path, film_folder: Path) -> None:  # type: ignore[no-untyped-def]
    (event,) = found.events
    assert found.strongest == event
    assert (found.fps, len(found.strength)) == (FPS, FRAMES)
    assert clip_length(film_video) == (FRAMES, FPS)
    assert abs(event.apex - EVENT[1]) <= 1
    (again,) = miex.spot(film_folder, fps=FPS).events  # the video's frames are JPEG, these are not
    assert abs(again.apex - event.apex) <= 1
    assert repr(found).startswith("film.avi: 1 event · 70 frames, 50 frames/s")
    assert found.table().rows[0][:4] == [1, event.onset, event.apex, event.offset]


def test_it_writes_what_megc_takes_and_a_picture(found, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    found.save(tmp_path / "events.csv")
    (event,) = found.events
    with (tmp_path / "events.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["vid", "pred_onset", "pred_offset", "type"],
            ["film", str(event.onset + 1), str(event.offset + 1), "me"],
        ]
    for name in ("a.png", "b.png"):
        found.picture(tmp_path / name)
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture is not None
    orange = (np.abs(picture.astype(int) - (166, 224, 247)).max(axis=2) < 16).mean()  # the event's shade, on white
    assert 0.02 < orange < 0.4
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_what_cannot_be_spotted_in_is_said(film_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`fps`"):
        miex.spot(film_folder)
    with pytest.raises(UsageError, match=r"`max_duration` 0\.1"):
        miex.spot(film_folder, fps=50, min_duration=0.2, max_duration=0.1)
    with pytest.raises(InputError, match="no such file"):
        miex.spot(tmp_path / "nothing.mp4")
    cv2.imwrite(str(tmp_path / "1.png"), np.full((64, 64, 3), 128, np.uint8))
    with pytest.raises(InputError, match="none in any of 1 frames"):
        miex.spot(tmp_path, fps=25)
    for look in (miex.spot, miex.predict):
        with pytest.raises(InputError, match=r"found: a picture\n(.|\n)*ONSET APEX"):
            look(tmp_path / "1.png")
    (tmp_path / "plan.json").touch()
    for look in (miex.spot, miex.predict):
        with pytest.raises(InputError, match="found: a set"):
            look(tmp_path)


def test_the_command(film_video: Path, tmp_path: Path) -> None:
    shown = facts("spot", film_video, "--out", tmp_path / "e.csv", "--picture", tmp_path / "p.png")
    assert [event["apex_s"] for event in shown["events"]] == pytest.approx([EVENT[1] / FPS], abs=0.021)
    assert (tmp_path / "e.csv").is_file()
    assert (tmp_path / "p.png").is_file()
    assert "apex, s" in command("spot", film_video).stdout
    assert shown["events"] != facts("spot", film_video, "--max-duration", "0.1")["events"] == []


def test_a_prediction_without_numbers_uses_the_strongest_event(
    found,
    film_video: Path,
    film_folder: Path,
    tmp_path: Path,  # type: ignore[no-untyped-def]
    model: Path,
) -> None:
    pytest.importorskip("torch")
    from miex.recognition.places import aligned

    np.savez(
        tmp_path / "maps.npz", flow=np.random.default_rng(0).integers(0, 255, (6, 28, 28, 3), np.uint8),
        label=np.arange(6) % 3,
    )  # fmt: skip
    recognizer = miex.train(tmp_path / "maps.npz", epochs=1)
    event = found.strongest
    spotted = recognizer.predict(film_video)
    assert (spotted.onset, spotted.apex) == (event.onset, event.apex)
    assert f"onset {event.onset}, apex {event.apex}" in str(spotted)
    given = recognizer.predict(film_video, onset=event.onset, apex=event.apex, offset=event.offset)
    assert given == spotted
    held = list(read_clip(film_video))[event.onset : event.offset + 1]  # as if all its frames were in memory
    place, takes = event.apex - event.onset, recognizer.recognizer.recipe.takes
    with Landmarker(model) as landmarker:
        seen = takes.of(aligned(held.__getitem__, len(held), place, landmarker, name=f"clip {film_video}"))
    oracle = recognizer.recognizer.probabilities(seen[None])[0]
    assert list(given.probabilities.values()) == oracle.tolist()
    (first,) = miex.predict(film_folder, recognizer=recognizer, apex=EVENT[1])
    assert (first.onset, first.apex) == (0, EVENT[1])
    with pytest.raises(UsageError, match="onset 3"):
        recognizer.predict(film_video, onset=3)
    with pytest.raises(UsageError, match="`fps`"):
        recognizer.predict(film_folder)
    for onset, apex in ((9, 9), (0, FRAMES), (FRAMES, FRAMES + 1)):
        with pytest.raises(InputError, match="onset < apex" if onset == apex else "indices of its frames"):
            recognizer.predict(film_video, onset=onset, apex=apex)
    still = tmp_path / "still"
    still.mkdir()
    for i in range(6):
        (still / f"{i}.png").write_bytes((film_folder / "img1.png").read_bytes())
    with pytest.raises(InputError, match="none in 6 frames"):
        recognizer.predict(still, fps=50)
