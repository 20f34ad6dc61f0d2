"""The aligned crop: where the face lies in it, and that its pixels are the photo's, in the right place."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miex.faces.crop import CropOptions, CropPlace, align, eye_centers, inter_ocular, place_crop
from miex.images import Image

MOUTH = [61, 291]


def face(center: complex, iod: float, mouth: float, roll: float) -> np.ndarray:
    """A mesh with its eye centers iod apart, the mouth below their middle, turned clockwise by roll (radians)."""
    points = np.full((478, 2), np.nan)  # what else there is must not matter
    corners = {33: -0.7, 133: -0.3, 362: 0.3, 263: 0.7, 61: -0.4 + 1j * mouth, 291: 0.4 + 1j * mouth}
    for index, place in corners.items():
        turned = center + iod * place * np.exp(1j * roll)
        points[index] = turned.real, turned.imag
    return points


faces = st.builds(
    face,
    st.complex_numbers(max_magnitude=3000),
    st.floats(10, 1000),
    st.floats(0.4, 2),
    st.floats(-np.pi + 0.01, np.pi - 0.01),
)
options = st.builds(CropOptions, st.integers(16, 512), st.floats(0.1, 0.6), st.floats(0.1, 0.6))


@given(faces, options)
def test_eyes_and_mouth_lie_where_the_options_say(mesh: np.ndarray, asked: CropOptions) -> None:
    place = place_crop(mesh, asked)
    matrix = place.photo_from_crop(asked.size)
    points = np.linalg.solve(matrix[:, :2], (mesh[[33, 133, 362, 263, *MOUTH]] - matrix[:, 2]).T).T
    right, left, mouth = (((p + 0.5) / asked.size).mean(0) for p in (points[:2], points[2:4], points[4:]))
    assert right[1] == pytest.approx(asked.eye_line, abs=1e-6)
    assert left[1] == pytest.approx(asked.eye_line, abs=1e-6)
    assert (right + left)[0] / 2 == pytest.approx(0.5, abs=1e-6)
    assert left[0] > right[0]
    assert mouth[1] - asked.eye_line == pytest.approx(asked.eye_mouth, abs=1e-6)


@pytest.mark.parametrize("size", [16, 17, 128, 512])
def test_samples_lie_four_to_a_pixel_from_the_first_to_the_last(size: int) -> None:
    aligned = align(np.zeros((9, 9, 3), np.uint8), face(5 + 5j, 4, 1, 0), CropPlace(4, 4, 8, 0), size)
    assert aligned.samples.shape == (4 * size - 3, 4 * size - 3, 3)


def test_defaults_are_the_stated_ones() -> None:
    assert CropOptions() == CropOptions(size=128, eye_line=0.38, eye_mouth=0.34)


@pytest.mark.parametrize("size", [64, 128, 250])
def test_a_real_face(astronaut: Image, astronaut_mesh: np.ndarray, size: int) -> None:
    place = place_crop(astronaut_mesh, CropOptions(size))
    aligned = align(astronaut, astronaut_mesh, place, size)
    right, left = eye_centers(aligned.landmarks)
    assert (right[1] + 0.5) / size == pytest.approx(0.38, abs=1e-5)
    assert (left[1] + 0.5) / size == pytest.approx(0.38, abs=1e-5)
    assert (aligned.landmarks[MOUTH, 1].mean() + 0.5) / size == pytest.approx(0.72, abs=1e-5)
    assert aligned.inter_ocular == pytest.approx(left[0] - right[0], rel=1e-5)
    assert aligned.inter_ocular == pytest.approx(inter_ocular(astronaut_mesh) * size / place.side, rel=1e-5)
    matrix = place.photo_from_crop(size)
    back = aligned.landmarks @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(back, astronaut_mesh[:, :2], atol=1e-3)
    assert aligned.crop.shape == (size, size, 3)
    np.testing.assert_array_equal(aligned.crop, aligned.samples[::4, ::4])


def ramp(height: int, width: int) -> np.ndarray:
    """A photo whose red says its column and whose green says its row."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([x, y, 0 * x], axis=2)


places = st.builds(CropPlace, st.floats(60, 140), st.floats(60, 140), st.floats(20, 80), st.floats(-3.1, 3.1))


@given(places, st.integers(16, 90))
def test_pixels_come_from_where_the_landmarks_say(place: CropPlace, size: int) -> None:
    """Oracle: a landmark on a pixel of a ramp; its color is its place, whatever the roll, scale and blur."""
    photo = ramp(200, 200).astype(np.uint8)
    aligned = align(photo, np.zeros((1, 2)), place, size)
    matrix = place.photo_from_crop(size)
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=2) @ matrix[:, :2].T + matrix[:, 2]
    error = aligned.crop[..., :2] - grid
    assert abs(error).max() < 1.1  # rounded to gray levels twice
    if abs(np.sin(2 * place.roll)) > 0.1:  # else the same rounding everywhere
        assert abs(error.mean((0, 1))).max() < 0.15


@given(st.floats(0, 200), st.floats(0, 300), st.floats(10, 200), st.integers(16, 90))
def test_sample_grid_is_four_times_as_fine(x: float, y: float, side: float, size: int) -> None:
    photo = np.clip(ramp(300, 200), 0, 255).astype(np.uint8)
    aligned = align(photo, np.zeros((1, 2)), CropPlace(x, y, side, 0.0), size)
    m = 4 * (size - 1) + 1
    column = x + side / size * (np.arange(m) - (m - 1) / 2) / 4  # sample (m − 1) / 2 is the center
    inside = (column > 0) & (column < 199)
    error = aligned.samples[m // 2, :, 0] - column
    near_edge = 2 + 2 * side / size  # beyond the photo its edge goes on, and the blur mixes both
    assert abs(error[inside]).max(initial=0) < 1.1 + near_edge
    deep = (column > near_edge) & (column < 199 - near_edge)
    assert abs(error[deep]).max(initial=0) < 1.1


def test_a_crop_of_whole_pixels_is_the_photo(astronaut: Image) -> None:
    aligned = align(astronaut, np.array([[100.0, 50.0]]), CropPlace(90 + 31.5, 40 + 31.5, 64, 0.0), 64)
    np.testing.assert_array_equal(aligned.crop, astronaut[40:104, 90:154])
    np.testing.assert_allclose(aligned.landmarks, [[10, 10]])


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_photo_gives_the_same_crop(astronaut: Image, astronaut_mesh: np.ndarray, turns: int) -> None:
    straight = align(astronaut, astronaut_mesh, place_crop(astronaut_mesh, CropOptions()), 128)
    mesh = astronaut_mesh[:, :2].copy()
    for _ in range(turns):  # np.rot90: (x, y) → (y, 511 − x)
        mesh = np.stack([mesh[:, 1], 511 - mesh[:, 0]], axis=1)
    turned = align(np.rot90(astronaut, turns), mesh, place_crop(mesh, CropOptions()), 128)
    np.testing.assert_allclose(turned.landmarks, straight.landmarks, atol=1e-3)
    assert abs(turned.crop.astype(int) - straight.crop).max() <= 2


@pytest.mark.parametrize("degrees", [-35, 8])
def test_a_tilted_photo_gives_nearly_the_same_crop(
    astronaut: Image, astronaut_mesh: np.ndarray, degrees: float
) -> None:
    turn = cv2.getRotationMatrix2D((224, 120), degrees, 1)
    tilted = np.asarray(cv2.warpAffine(astronaut, turn, (512, 512), flags=cv2.INTER_CUBIC), np.uint8)
    mesh = astronaut_mesh[:, :2] @ turn[:, :2].T + turn[:, 2]
    a = align(astronaut, astronaut_mesh, place_crop(astronaut_mesh, CropOptions(96)), 96).crop
    b = align(tilted, mesh, place_crop(mesh, CropOptions(96)), 96).crop
    assert abs(a.astype(int) - b)[10:86, 10:86].mean() < 2


@pytest.mark.parametrize("scale", [3, 4, 7.3])
def test_fine_patterns_do_not_alias(scale: float) -> None:
    x, y = np.meshgrid(np.arange(900), np.arange(900))
    board = np.where((x + y) % 2, 255, 0).astype(np.uint8)[..., None].repeat(3, 2)
    crop = align(board, np.zeros((1, 2)), CropPlace(450.3, 449.1, 100 * scale, 0.2), 100).crop
    assert crop.std() < 2  # picked without a filter it would be 127
    assert crop.mean() == pytest.approx(127.5, abs=1)


@pytest.mark.parametrize("scale", [0.5, 1, 2, 4])
def test_coarse_patterns_stay(scale: float) -> None:
    """A sine of 12 crop pixels keeps 85 % of its amplitude, and its phase."""
    column = np.arange(1000)
    photo = np.rint(127.5 + 100 * np.sin(2 * np.pi * (column - 500) / (12 * scale))).astype(np.uint8)
    photo = np.broadcast_to(photo[None, :, None], (1000, 1000, 3)).copy()
    crop = align(photo, np.zeros((1, 2)), CropPlace(500, 500, 96 * scale, 0.0), 96).crop[48, :, 0].astype(float)
    wave = np.exp(2j * np.pi * (np.arange(96) - 47.5) / 12)
    amplitude = 2 * ((crop - 127.5) * wave.conj()).mean() * 1j
    assert 85 < abs(amplitude) < 103  # OpenCV's cubic kernel lifts by 1.5 %
    assert abs(np.angle(amplitude)) < 0.01


def test_beyond_the_photo_it_goes_on_as_its_mirror_image(astronaut: Image, astronaut_mesh: np.ndarray) -> None:
    place = place_crop(astronaut_mesh, CropOptions(64))
    x0, y0 = round(place.x), round(place.y)
    quarter = np.ascontiguousarray(astronaut[y0:, x0:])  # the crop's middle is now the photo's corner
    crop = align(quarter, astronaut_mesh - (x0, y0, 0), CropPlace(0, 0, place.side, 0.0), 64).crop
    # the photo's corner lies between pixels 31 and 32, give or take a part of one
    mirrored = crop[::-1, ::-1].astype(int)
    assert abs(mirrored[:31, :31] - crop[:31, :31]).mean() < 6
    assert abs(np.diff(crop[:28, :28].astype(int), axis=0)).mean() > 0.5  # no streaks
    whole = align(astronaut, astronaut_mesh, CropPlace(x0, y0, place.side, 0.0), 64).crop
    assert abs(crop[36:, 36:].astype(int) - whole[36:, 36:]).max() <= 3
