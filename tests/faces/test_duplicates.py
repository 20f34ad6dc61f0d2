"""Photos that are one picture, or show one person."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from miex.api.faces import duplicates
from miex.errors import UsageError
from miex.faces.crop import similarity
from miex.faces.duplicates import SAME_PERSON, SAME_PICTURE, near_pairs, picture_of
from miex.faces.landmarks import Landmarker
from miex.images import Image
from miex.tables.written import unguarded
from tests.support import command, facts

FACES = Path(__file__).parents[3] / "shared" / "faces" / "pool"


def encoded(photo: Image, quality: int) -> Image:
    content = io.BytesIO()
    PillowImage.fromarray(photo).save(content, "JPEG", quality=quality)
    return np.asarray(PillowImage.open(content).convert("RGB"))


def changed(photo: Image, mesh: np.ndarray) -> dict[str, Image]:
    """The same picture, as copies of it go round."""
    height, width = photo.shape[:2]
    (x0, y0), (x1, y1) = mesh[:, :2].min(0).astype(int) - 60, mesh[:, :2].max(0).astype(int) + 60
    return {
        "encoded": encoded(photo, 30),
        "half": np.asarray(cv2.resize(photo, (width // 2, height // 2), interpolation=cv2.INTER_AREA)),
        "cropped": np.ascontiguousarray(photo[max(0, y0) : y1, max(0, x0) : x1]),
        "lighter": np.clip(photo * 1.3, 0, 255).astype(np.uint8),
        "gray": np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, 2),
    }


def test_near_pairs_are_those_below_the_limit_whatever_the_block() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(23, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    far = 1 - vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    expected = sorted((i, j) for i in range(23) for j in range(i + 1, 23) if far[i, j] < 0.3)
    assert len(expected) > 5
    for block in (1, 4, 23, 100):
        assert sorted(near_pairs(vectors, 0.3, block)) == expected
    assert list(near_pairs(vectors[:0], 0.3)) == []


def test_a_picture_is_known_again(astronaut: Image, astronaut_mesh: np.ndarray, landmarker: Landmarker) -> None:
    own = picture_of(astronaut, astronaut_mesh)
    assert np.linalg.norm(own) == pytest.approx(1)
    for name, copy in changed(astronaut, astronaut_mesh).items():
        mesh = landmarker.mesh(copy)
        assert mesh is not None
        assert 1 - own @ picture_of(copy, mesh) < SAME_PICTURE / 2, name
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    mesh = landmarker.mesh(mirrored)
    assert mesh is not None
    assert 1 - own @ picture_of(mirrored, mesh) > 3 * SAME_PICTURE  # another picture; its person is known by SFace
    assert not picture_of(np.full_like(astronaut, 90), astronaut_mesh).any()


def test_a_picture_does_not_know_where_its_face_lay(astronaut: Image, astronaut_mesh: np.ndarray) -> None:
    place = similarity(np.array([[0.0, 0], [100, 0]]), np.array([[30.0, 20], [125, 35]]))
    moved = np.asarray(cv2.warpAffine(astronaut, place, (600, 600), flags=cv2.INTER_CUBIC), np.uint8)
    points = astronaut_mesh[:, :2] @ place[:, :2].T + place[:, 2]
    assert 1 - picture_of(astronaut, astronaut_mesh) @ picture_of(moved, points) < 0.005


@pytest.fixture(scope="module")
def pools(
    tmp_path_factory: pytest.TempPathFactory, astronaut: Image, astronaut_mesh: np.ndarray, face_photo: Path
) -> tuple[Path, Path]:
    """train: a photo, its bytes again, and another picture of that person, its mirror image. test: two copies."""
    folder = tmp_path_factory.mktemp("pools")
    train, test = folder / "train", folder / "test"
    train.mkdir()
    test.mkdir()
    copies = changed(astronaut, astronaut_mesh)
    for name in ("a.png", "same.png"):
        (train / name).write_bytes(face_photo.read_bytes())
    PillowImage.fromarray(np.ascontiguousarray(astronaut[:, ::-1])).save(train / "mirror.png")
    PillowImage.fromarray(copies["encoded"]).save(test / "=encoded.jpg", quality=95)
    (test / "a.png").write_bytes(face_photo.read_bytes())
    (test / "faces.csv").write_text("file,person\na.png,eileen\n=encoded.jpg,somebody else\n")
    return train, test


def test_duplicates_are_found_within_folders_and_across_them(
    pools: tuple[Path, Path], tmp_path: Path, model: Path, sface_model: Path
) -> None:
    out = tmp_path / "pairs.csv"
    told = facts("faces", "duplicates", *pools, "--workers", 1, "--out", out)
    assert (told["photos"], told["compared"]) == (5, 4)
    pairs = {(row["photo"], row["other_photo"], row["pool"] == row["other_pool"]): row for row in told["pairs"]}
    kinds = {key: row["kind"] for key, row in pairs.items()}
    assert kinds == {
        ("a.png", "same.png", True): "same bytes",
        ("a.png", "mirror.png", True): "same person",
        ("=encoded.jpg", "a.png", True): "same picture",
        ("a.png", "a.png", False): "same bytes",
        ("a.png", "=encoded.jpg", False): "same picture",
        ("mirror.png", "=encoded.jpg", False): "same person",
        ("mirror.png", "a.png", False): "same person",
    }
    assert pairs["a.png", "mirror.png", True]["person"] < SAME_PERSON
    assert pairs["=encoded.jpg", "a.png", True]["named"] == "different"
    assert told["within"] == {"same bytes": 1, "same picture": 1, "same person": 1, "same name": 0}
    assert told["across"] == {"same bytes": 1, "same picture": 1, "same person": 2, "same name": 0}
    assert told["contradictions"] == {"same bytes": 0, "same picture": 1, "same person": 0, "same name": 0}
    with out.open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [unguarded(row["other_photo"]) for row in written] == [row["other_photo"] for row in told["pairs"]]
    assert [row["kind"] for row in written] == [row["kind"] for row in told["pairs"]]


def test_without_sface_pictures_are_compared_alone(
    pools: tuple[Path, Path], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("miex.api.faces.measuring_models", lambda *_: (model, None))
    done = command("faces", "duplicates", *pools, "--workers", 1)
    assert done.returncode == 0
    assert "across folders: 1 same bytes, 1 same picture" in done.stdout.splitlines()
    assert "against their names: 1 same picture" in done.stdout.splitlines()


def test_photos_of_one_name_that_show_two_people_are_told(
    tmp_path: Path, face_photo: Path, model: Path, sface_model: Path
) -> None:
    other = FACES / "frll_001.jpg"
    if not other.is_file():
        pytest.skip("no photos of other people")
    (tmp_path / "a.png").write_bytes(face_photo.read_bytes())
    (tmp_path / "b.jpg").write_bytes(other.read_bytes())
    (tmp_path / "faces.csv").write_text("file,person\na.png,eileen\nb.jpg,eileen\n")
    found = duplicates(tmp_path)
    assert [(row["kind"], row["named"]) for row in found.table.to_pylist()] == [("same name", "same")]
    assert found.counts()["contradictions"]["same name"] == 1


def test_a_folder_is_compared_once(tmp_path: Path) -> None:
    for folders in ((), (tmp_path, tmp_path / "x" / "..")):
        with pytest.raises(UsageError, match="`folders`") as caught:
            duplicates(*folders)
        assert "each once" in caught.value.expected
