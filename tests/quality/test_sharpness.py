"""Sharpness against the photo: 1 for itself, as theory says for noise, lower the more a face is blurred."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from miex.aus.vector import from_mapping
from miex.faces.crop import OVERSAMPLING, AlignedFace, CropOptions, align, place_crop
from miex.generators.grid import cell_centers, face_area
from miex.generators.muscle import MuscleGenerator
from miex.images import Image
from miex.quality.sharpness import sharpness

SIZE = 128


@pytest.fixture(scope="module")
def face(astronaut: Image, astronaut_mesh: np.ndarray) -> AlignedFace:
    return align(astronaut, astronaut_mesh, place_crop(astronaut_mesh, CropOptions(SIZE)), SIZE)


@pytest.fixture(scope="module")
def speckled(face: AlignedFace) -> AlignedFace:
    """A face of white noise, whose spectrum is known."""
    side = OVERSAMPLING * (SIZE - 1) + 1
    gray = np.random.default_rng(0).normal(128, 20, (side, side, 1)).clip(0, 255)
    return AlignedFace(np.repeat(gray, 3, axis=2).astype(np.uint8), SIZE, face.landmarks)


def blurred(frame: Image, sigma: float) -> Image:
    return cv2.GaussianBlur(frame, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)


def test_a_frame_is_as_sharp_as_itself(face: AlignedFace) -> None:
    assert sharpness([face.crop, face.crop], face) == [1, 1]


def test_half_the_contrast_is_half_the_sharpness(speckled: AlignedFace) -> None:
    (found,) = sharpness([((speckled.crop.astype(float) - 128) / 2 + 128).round().astype(np.uint8)], speckled)
    assert found == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_blurred_noise_keeps_of_its_detail_what_the_kernels_say(speckled: AlignedFace, sigma: float) -> None:
    line = cv2.getGaussianKernel(31, sigma)
    kernel = cv2.Laplacian(line @ line.T, cv2.CV_64F, ksize=1)
    (found,) = sharpness([blurred(speckled.crop, sigma)], speckled)
    assert found == pytest.approx(np.sqrt(np.square(kernel).sum() / 20), rel=0.05)


def test_the_more_a_face_is_blurred_the_less_sharp_it_is(face: AlignedFace) -> None:
    found = sharpness([blurred(face.crop, sigma) for sigma in (0.3, 0.4, 0.6, 0.9, 1.5, 3)], face)
    assert found[0] < 1
    assert all(more > less + 0.005 for more, less in pairwise(found))


def test_a_part_that_is_blurred_counts_by_its_area(face: AlignedFace) -> None:
    centers = np.rint(cell_centers(SIZE, len(face_area(face)))).astype(int)
    rows = np.flatnonzero(face_area(face).any(axis=1))
    middle = centers[rows[len(rows) // 2]]
    soft = blurred(face.crop, 1.5)
    (all_of_it,) = sharpness([soft], face)
    upper, lower = face.crop.copy(), face.crop.copy()
    upper[:middle], lower[middle:] = soft[:middle], soft[middle:]
    halves = sharpness([upper, lower], face)
    assert max(halves) < 0.9
    assert halves[0] * halves[1] == pytest.approx(all_of_it, rel=0.1)  # as geometric means are


def test_noise_counts_as_detail(face: AlignedFace) -> None:
    noise = np.random.default_rng(1).normal(size=face.crop.shape)
    frames = [np.clip(face.crop + s * noise, 0, 255).round().astype(np.uint8) for s in (2, 4, 8)]
    found = sharpness([face.crop, *frames], face)
    assert all(less < more for less, more in pairwise(found))


def test_an_expression_hardly_counts(face: AlignedFace) -> None:
    generator = MuscleGenerator()
    aus = np.stack([from_mapping(z) for z in ({12: 0.3, 6: 0.2}, {4: 0.3}, {1: 0.2, 2: 0.2})])
    found = sharpness(list(generator.render(generator.prepare(face), aus).frames), face)
    assert min(found) > 0.95
    assert max(found) < 1.03
