"""Faces whose AUs are known: from sets, photos with tables, clips of corpora."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from miex.aus.tracks import Track
from miex.aus.vector import AU_INDEX, AU_NUMBERS, N_AUS
from miex.corpora.clip import Clip
from miex.dataset import open as open_set
from miex.errors import InputError, UsageError
from miex.extraction.csv_tables import import_csv
from miex.faces.align import align_photo
from miex.faces.crop import CropOptions
from miex.faces.index import index_photos
from miex.generator_training.pictures import Pictures, aus_of_photos, of_clips, of_photos, of_set
from miex.images import Image
from miex.nuisances.apply import shown_aus
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.run import run_plan
from tests.support import photo_folder, plan_of


def pictures(n: int, people: int) -> Pictures:
    rng = np.random.default_rng(0)
    return Pictures(
        rng.integers(0, 256, (n, 8, 8, 3), np.uint8), rng.random((n, N_AUS), np.float32),
        tuple(f"p{i % people}" for i in range(n)),
    )  # fmt: skip


def test_nobody_is_on_both_sides() -> None:
    every = pictures(60, 20)
    training, held = every.split(0.1, seed=0)
    assert len(training) + len(held) == 60
    assert len(set(held.people)) == 2
    assert not set(held.people) & set(training.people)
    assert set(every.split(0.1, seed=1)[1].people) != set(held.people)
    assert every.take(range(60)).digest == every.digest != every.take(range(59)).digest
    with pytest.raises(InputError, match="1 in all"):
        pictures(5, 1).split(0.1, seed=0)


def test_a_set_gives_all_its_frames_with_the_aus_that_they_show(finished: Path) -> None:
    dataset = open_set(finished)
    size = dataset.record["settings"]["size"]
    found = of_set(dataset, size)
    frames = [frame for sample in dataset for frame in sample.frames]
    np.testing.assert_array_equal(found.pixels, frames)
    planned = np.concatenate([sample.aus for sample in dataset])
    shown = np.concatenate([shown_aus(row).mean(2) for row in dataset.table.to_pylist()])
    assert np.abs(shown - planned).max() > 0.1  # nuisances move the face, too
    np.testing.assert_allclose(found.aus, shown, atol=1e-6)
    assert set(found.people) == {"eileen_collins"}  # the embedded photo names her; virtual relatives are of one photo
    assert of_set(dataset, size // 2).pixels.shape[1:] == (size // 2, size // 2, 3)
    with pytest.raises(UsageError, match=f"{2 * size} px or more"):
        of_set(dataset, 2 * size)


def test_whom_a_set_names_is_one_person(face_photo: Path, model: Path, tmp_path: Path) -> None:
    folder = photo_folder(tmp_path / "photos", 3)
    (folder / "faces.csv").write_text("file,person_id\n0.png,ann\n1.png,ann\n")
    adopt_plan(plan_of(folder, model, size=64), tmp_path / "set")
    run_plan(tmp_path / "set")
    dataset = open_set(tmp_path / "set")
    assert len(set(dataset.table["photo"].to_pylist())) == 3
    people = set(of_set(dataset, 64).people)
    assert len(people) == 2
    assert "ann" in people


def openface(path: Path, *intensities: float | None) -> None:
    """What FaceLandmarkImg writes of a photo: a row for each face, none if it finds no face."""
    columns = [f"AU{au:02d}_r" for au in AU_NUMBERS]
    lines = [", ".join(["face", "confidence", *columns])]
    lines += [", ".join(map(str, [i, 0.95, *[z] * N_AUS])) for i, z in enumerate(intensities)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def test_photos_get_their_aus_from_a_file_each(face_photo: Path, model: Path, tmp_path: Path) -> None:
    photos, tables = tmp_path / "photos", tmp_path / "aus"
    photos.mkdir()
    for i, name in enumerate(("b/10.png", "2.png", "faceless.png", "unnamed.png")):
        (photos / name).parent.mkdir(exist_ok=True)
        shutil.copy(face_photo, photos / name)
        with (photos / name).open("ab") as file:  # other bytes, the same picture: no duplicate
            file.write(bytes(i + 1))
    openface(tables / "b" / "10.csv", 1.0)
    openface(tables / "2.csv", 2.5)
    openface(tables / "faceless.csv")
    index = index_photos(photos, model=lambda: model)
    tracks = {track.clip: track for track in import_csv([tables], single=True).tracks}
    aus = aus_of_photos(index["path"].to_pylist(), tracks)
    assert {name: float(z[0]) for name, z in aus.items()} == {"b/10.png": pytest.approx(0.2), "2.png": 0.5}
    found = of_photos(index, photos, aus, 64)
    assert found.pixels.shape == (2, 64, 64, 3)
    assert sorted(found.aus[:, 0].tolist()) == [pytest.approx(0.2), 0.5]
    np.testing.assert_array_equal(found.pixels[0], found.pixels[1])
    assert len(set(found.people)) == 2  # nothing says that these photos are of one person
    with pytest.raises(InputError, match="AU table names them"):
        of_photos(index, photos, {}, 64)


def track(name: str, n: int = 1) -> Track:
    return Track(
        name, np.arange(n, dtype=np.int32), np.full((n, N_AUS), 0.5, np.float32), np.ones(n, np.float32), "x", "1"
    )


def test_a_name_that_could_be_of_two_photos_is_refused() -> None:
    photos = ["a/1.png", "b/1.png", "c.png"]
    assert list(aus_of_photos(photos, {"a/1": track("a/1"), "c.png": track("c.png"), "else": track("else")})) == [
        "a/1.png", "c.png",
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"a/1.png, b/1.png"):
        aus_of_photos(photos, {"1": track("1")})
    with pytest.raises(InputError, match="3 frames"):
        aus_of_photos(photos, {"c": track("c", 3)})


def test_clips_give_frames_whose_aus_are_known(face_photo: Path, model: Path, tmp_path: Path) -> None:
    frames = []
    for i in range(6):
        frames.append(tmp_path / f"{i}.png")
        shutil.copy(face_photo, frames[-1])
    frames[3].write_bytes(b"no picture")
    clip = Clip("casme2", "sub01", "EP01", "happiness", None, 0, 3, 5, frames=tuple(frames))
    seen = track("sub01/EP01@0", 6)
    seen.aus[:, AU_INDEX[12]] = np.linspace(0, 1, 6)
    seen.aus[1] = np.nan
    found = of_clips([clip], {seen.clip: seen}, model, 64)
    assert found.aus[:, AU_INDEX[12]].tolist() == pytest.approx([0, 0.4, 0.8, 1.0])  # neither failed nor damaged
    assert set(found.people) == {"casme2/sub01"}
    assert len(of_clips([clip], {seen.clip: seen}, model, 64, per_clip=2)) == 2
    with pytest.raises(InputError, match="none"):
        of_clips([clip], {}, model, 64)


def test_pixels_are_those_that_a_generator_is_given(face_photo: Path, astronaut: Image, model: Path) -> None:
    index = index_photos(face_photo.parent, model=lambda: model).slice(0, 1)
    (path,) = index["path"].to_pylist()
    found = of_photos(index, face_photo.parent, {path: np.zeros(N_AUS, np.float32)}, 64)
    crop = align_photo(face_photo.parent / path, model, CropOptions(64)).crop
    assert np.abs(found.pixels[0].astype(int) - crop).max() <= 1
