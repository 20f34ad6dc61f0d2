"""SFace: its file comes proven by its hash; what it sees is OpenCV's alignment; a face is itself, and nobody else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from skimage import data

from miex.faces.landmarks import Landmarker
from miex.faces.mesh import N_LANDMARKS, mirror_landmarks
from miex.faces.sface import SFACE, SIDE, TEMPLATE, SFace, five_points, sface_input
from miex.images import Image

# Below this cosine two faces are of two people, by OpenCV's tutorial "DNN-based Face Detection And Recognition", on LFW
STRANGERS = 0.363


@pytest.fixture(scope="module")
def small(astronaut: Image, astronaut_mesh: np.ndarray) -> tuple[Image, np.ndarray]:
    """The photo at half its size, smaller than what the network sees, so that it is enlarged and not smoothed."""
    photo = np.asarray(cv2.resize(astronaut, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    return photo, (astronaut_mesh[:, :2] + 0.5) / 2 - 0.5


def test_the_hash_is_the_stated_one(sface_model: Path) -> None:
    content = sface_model.read_bytes()
    assert hashlib.sha256(content).hexdigest() == SFACE.sha256
    assert SFACE.sha256 == "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"
    assert len(content) == SFACE.size == 10_667_852


# what the network sees


def test_the_five_points_are_in_the_order_of_the_template(astronaut_mesh: np.ndarray) -> None:
    right_eye, left_eye, nose, right_mouth, left_mouth = five_points(astronaut_mesh)
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_mouth[0] < nose[0] < left_mouth[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])


def test_the_face_is_where_least_squares_put_it(small: tuple[Image, np.ndarray]) -> None:
    photo, mesh = small
    # a, b, tx, ty of x' = a·x − b·y + tx, y' = b·x + a·y + ty, by the normal equations of all ten coordinates
    x, y = five_points(mesh).T
    one, zero = np.ones(5), np.zeros(5)
    system = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, tx, ty = np.linalg.lstsq(system, TEMPLATE.T.ravel(), rcond=None)[0]
    v, u = np.mgrid[:SIDE, :SIDE].reshape(2, -1)
    x, y = np.linalg.solve([[a, -b], [b, a]], [u - tx, v - ty])
    expected = np.stack([map_coordinates(photo[..., i].astype(float), [y, x], order=1, cval=0) for i in range(3)], -1)
    found = sface_input(photo, mesh)
    assert np.abs(found - expected.reshape(SIDE, SIDE, 3)).mean() < 0.5


def test_the_face_is_that_of_opencv(small: tuple[Image, np.ndarray], sface_model: Path) -> None:
    photo, mesh = small
    opencv = cv2.FaceRecognizerSF.create(str(sface_model), "")
    row = np.array([[0, 0, 1, 1, *five_points(mesh).ravel()]], np.float32)
    off = np.abs(sface_input(photo, mesh).astype(int) - opencv.alignCrop(photo, row))
    assert off.max() <= 1


def test_beyond_the_frame_it_is_black(small: tuple[Image, np.ndarray]) -> None:
    photo, mesh = small
    left = int(five_points(mesh)[0, 0])  # cut at the right eye
    seen = sface_input(np.ascontiguousarray(photo[:, left:]), mesh - (left, 0))
    assert not seen[:, : int(TEMPLATE[0, 0]) - 6].any()
    whole = sface_input(photo, mesh)
    assert np.abs(seen[:, 60:].astype(int) - whole[:, 60:]).max() <= 1


def test_a_large_frame_is_smoothed_before_it_is_made_small() -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255  # finer than the network can see: an even gray
    mesh = np.zeros((N_LANDMARKS, 2))
    for at, point in zip(((33, 133), (362, 263), (1,), (61,), (291,)), TEMPLATE * 4.1, strict=True):
        mesh[list(at)] = point
    seen = sface_input(stripes, mesh)[8:-8, 8:-8].astype(float)
    assert seen.mean() == pytest.approx(127.5, abs=2)
    assert seen.std() < 12  # sampled as they are: 90


# embeddings


def cosines(sface: SFace, photo: Image, mesh: np.ndarray, others: list[tuple[Image, np.ndarray]]) -> np.ndarray:
    frames, landmarks = zip((photo, mesh), *others, strict=True)
    first, *rest = sface.embeddings(frames, landmarks)
    return np.array([first @ one for one in rest])


def test_embeddings_are_the_same_again_and_in_any_batch(
    sface: SFace, sface_model: Path, astronaut: Image, astronaut_mesh: np.ndarray
) -> None:
    rng = np.random.default_rng(0)
    meshes = [astronaut_mesh + rng.normal(0, 3, 3).astype(np.float32) for _ in range(34)]  # more than one batch
    together = sface.embeddings([astronaut] * 34, meshes)
    assert together.shape == (34, 128)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1)
    assert np.array_equal(together, SFace(sface_model).embeddings([astronaut] * 34, meshes))
    some = [0, 5, 33]
    alone = np.concatenate([sface.embeddings([astronaut], [meshes[i]]) for i in some])
    assert np.abs(alone - together[some]).max() < 1e-5
    assert np.abs(together[0] - together[1]).max() > 1e-3
    assert sface.embeddings([], []).shape == (0, 128)


def test_a_face_is_itself_in_other_light_place_size_and_in_the_mirror(
    sface: SFace, astronaut: Image, astronaut_mesh: np.ndarray
) -> None:
    mesh = astronaut_mesh[:, :2]
    lit = [(np.clip(astronaut * k, 0, 255).astype(np.uint8), mesh) for k in (0.9, 1.1)]
    assert cosines(sface, astronaut, mesh, lit).min() > 0.99
    misplaced = [(astronaut, mesh + shift) for shift in ((1, 0), (0, 1), (-1, 0), (0, -1))]
    assert cosines(sface, astronaut, mesh, misplaced).min() > 0.98
    moved = [(np.roll(astronaut, (1, 2), (0, 1)), mesh + np.array([2, 1]))]
    assert cosines(sface, astronaut, mesh, moved) == pytest.approx(1, abs=1e-6)
    twice = np.asarray(cv2.resize(astronaut, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)
    assert cosines(sface, astronaut, mesh, [(twice, mesh * 2 + 0.5)]).min() > 0.99
    mirrored = mesh[list(mirror_landmarks())] * (-1, 1) + (astronaut.shape[1] - 1, 0)
    flipped = [(np.ascontiguousarray(astronaut[:, ::-1]), mirrored)]
    assert cosines(sface, astronaut, mesh, flipped).min() > 0.95


def test_strangers_are_far(sface: SFace, landmarker: Landmarker, astronaut: Image, astronaut_mesh: np.ndarray) -> None:
    others = []
    for gray in data.lfw_subset()[:20]:  # 25 × 25 px, in [0, 1], of people of whom none is the astronaut
        frame = cv2.resize((gray * 255).astype(np.uint8), (256, 256), interpolation=cv2.INTER_CUBIC)
        frame = np.repeat(frame[..., None], 3, axis=2)
        others += [(frame, mesh) for mesh in landmarker.detect(frame).landmarks]
    assert len(others) > 10
    assert cosines(sface, astronaut, astronaut_mesh, others).max() < STRANGERS
