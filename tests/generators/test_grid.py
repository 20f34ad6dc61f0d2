"""Pictures moved by a field, against OpenCV's affine warp and against a picture that is known everywhere."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from miex.faces.crop import AlignedFace
from miex.faces.mesh import OVAL
from miex.generators.grid import GRID, Field, cell_centers, moving, moving_cells, radius, warp
from tests.generators.shifts import recovered_shift

SIZE = 128
INNER = np.s_[10:-10, 10:-10]


@pytest.fixture(scope="module")
def photo(astronaut: np.ndarray) -> np.ndarray:
    return cv2.resize(astronaut[:256, 100:356], (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def affine_drift(matrix: np.ndarray, size: int = SIZE) -> Field:
    """What takes each point to where the matrix [2, 3] does, float32 [GRID, GRID, 2]."""
    line = cell_centers(size, GRID).astype(np.float64)
    points = np.stack([*np.meshgrid(line, line), np.ones((GRID, GRID))], -1)
    return (points @ matrix.T - points[..., :2]).astype(np.float32)


@pytest.mark.parametrize("size", [48, 128, 200])
def test_a_similarity_is_that_of_opencv(photo: np.ndarray, size: int) -> None:
    frame = cv2.resize(photo, (size, size), interpolation=cv2.INTER_CUBIC)
    middle = (size - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), 2.5, 1.02) + np.array([[0, 0, 0.02], [0, 0, -0.013]]) * size
    (seen,) = warp(frame[None], affine_drift(matrix, size)[None])
    expected = cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    miss = np.abs(seen.astype(int) - expected)[INNER]
    assert miss.mean() < 0.7
    assert np.percentile(miss, 99) <= 5
    assert miss.mean() < 0.1 * np.abs(frame.astype(int) - expected)[INNER].mean()


def test_a_bent_picture_is_the_one_that_is_known() -> None:
    def picture(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 128 + 40 * np.sin(0.31 * x + 0.2 * y) + 40 * np.cos(0.17 * x - 0.36 * y)

    def drift(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 2.5 * np.sin(y / 15) + 1, -3 * np.cos(x / 17)

    line = np.arange(SIZE, dtype=float)
    x, y = np.meshgrid(line, line)
    from_x, from_y = x.copy(), y.copy()
    for _ in range(200):  # where what is seen at (x, y) was
        dx, dy = drift(from_x, from_y)
        from_x, from_y = x - dx, y - dy
    centers = cell_centers(SIZE, GRID).astype(float)
    field = np.stack(drift(*np.meshgrid(centers, centers)), -1).astype(np.float32)
    frame = np.repeat(np.rint(picture(x, y)).astype(np.uint8)[..., None], 3, axis=2)
    (seen,) = warp(frame[None], field[None])
    miss = np.abs(seen - picture(from_x, from_y)[..., None])[INNER]
    assert miss.mean() < 0.5
    assert miss.max() < 3


@pytest.mark.parametrize("distance", [0.05, 0.1, 0.35, 0.5, 1, 2])
def test_a_shift_is_recovered_with_gain_one(distance: float) -> None:
    noise = np.random.default_rng(1).random((SIZE, SIZE, 3), np.float32)
    frame = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.0), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    field = np.full((1, GRID, GRID, 2), np.array([0.6, -0.8]) * distance, np.float32)
    rest, moved = (picture[16:112, 16:112].mean(-1) for picture in (frame, warp(frame[None], field)[0]))
    shift = recovered_shift(rest, moved)
    assert shift @ (0.6, -0.8) / distance == pytest.approx(1, abs=0.05)
    assert abs(shift @ (0.8, 0.6)) < 0.05 * distance


def test_what_does_not_move_keeps_its_bits(photo: np.ndarray) -> None:
    frames = np.stack([photo, photo[::-1], photo])
    kept = frames.copy()
    drift = np.zeros((3, GRID, GRID, 2), np.float32)
    drift[2, 20:40, 30:50] = 1.3, -0.7
    seen = warp(frames, drift)
    assert np.array_equal(seen[:2], frames[:2])
    changed = np.argwhere((seen[2] != frames[2]).any(-1)) * GRID / SIZE
    assert len(changed)
    assert (changed > (17, 27)).all()
    assert (changed < (43, 53)).all()
    assert np.array_equal(frames, kept)
    assert warp(frames, None) is frames


def test_the_cells_that_move_are_found() -> None:
    rng = np.random.default_rng(0)
    for most in (0, 1, 1, 2, 3, 8):
        field = np.zeros((20, 30, 2), np.float32)
        for _ in range(most):
            field[rng.integers(20), rng.integers(30), rng.integers(2)] = rng.normal()
        rows, columns = np.nonzero(field.any(-1))
        ends = [0] * 4 if not most else [rows.min(), rows.max() + 1, columns.min(), columns.max() + 1]
        assert list(moving_cells(field)) == ends


def test_all_pixels_that_a_field_moves_are_among_the_moving_ones() -> None:
    field = np.zeros((GRID, GRID, 2), np.float32)
    field[30:41, 12:20] = 1
    seen = cv2.resize(field, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR).any(-1)
    rows, columns = moving(field, SIZE)
    assert seen.any()
    assert not np.delete(seen, np.r_[rows], 0).any()
    assert not np.delete(seen, np.r_[columns], 1).any()
    assert (rows.stop - rows.start) * (columns.stop - columns.start) < 1.5 * seen.sum()


@pytest.mark.parametrize("neck", [0.0, 15.0])
def test_the_radius_is_one_on_the_oval(neck: float, face: AlignedFace) -> None:
    line = cell_centers(face.size, GRID)
    angles, distances = face.polar(line[None], line[:, None])
    expected = distances / np.interp(angles, *face.outline(neck=neck))
    assert np.array_equal(radius(face, GRID, neck), expected.astype(np.float32))
    angle, length = face.outline(neck=neck)
    assert np.all(np.diff(angle) >= 0)
    assert angle[0] <= -np.pi < np.pi <= angle[-1]
    if not neck:
        x, y = (face.landmarks[list(OVAL)] - face.landmarks[list(OVAL)].mean(0)).T
        assert np.interp(np.arctan2(y, x), angle, length) == pytest.approx(np.hypot(x, y), rel=1e-5)
