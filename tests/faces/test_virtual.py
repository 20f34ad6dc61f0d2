"""Virtual identities: other people, the same for the same seed, with landmarks where their features are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.interpolate import RBFInterpolator, RegularGridInterpolator

from miex.faces import virtual
from miex.faces.crop import OVERSAMPLING, AlignedFace, CropOptions, align, place_crop
from miex.faces.landmarks import Landmarker
from miex.faces.mesh import mirror_landmarks
from miex.faces.photos import default_pool, list_photos
from miex.faces.virtual import make_virtual, proportions
from miex.images import read_image

SEEDS = range(12)


@pytest.fixture(scope="module")
def landmarker(model: Path):  # type: ignore[no-untyped-def]
    with Landmarker(model) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def face(landmarker: Landmarker) -> AlignedFace:
    photo = read_image(default_pool() / list_photos(default_pool())[0])
    landmarks = landmarker.detect(photo).landmarks[0]
    return align(photo, landmarks, place_crop(landmarks, CropOptions()), 128)


@pytest.fixture(scope="module")
def people(face: AlignedFace) -> list[AlignedFace]:
    return [make_virtual(face, seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def fields(face: AlignedFace) -> list[np.ndarray]:
    """The maps that `people` were made with."""
    made: list[np.ndarray] = []
    with pytest.MonkeyPatch.context() as patch:
        shown = cv2.cvtColor(face.samples, cv2.COLOR_RGB2RGBA)
        patch.setattr(virtual, "_resample", lambda face, field: made.append(field) or shown)
        for seed in SEEDS:
            make_virtual(face, seed)
    return made


def test_same_seed_same_person_other_seed_another(face: AlignedFace, people: list[AlignedFace]) -> None:
    again = make_virtual(face, 3)
    assert np.array_equal(again.samples, people[3].samples)
    assert np.array_equal(again.landmarks, people[3].landmarks)
    for i, a in enumerate(people):
        assert a.size == face.size
        assert a.samples.shape == face.samples.shape
        for b in people[:i]:
            assert np.abs(a.landmarks - b.landmarks).max() > 0.02 * face.inter_ocular


def test_landmarks_are_where_the_model_finds_them_again(people: list[AlignedFace], landmarker: Landmarker) -> None:
    misses = []
    for person in people:
        found = landmarker.detect(person.samples).landmarks
        assert len(found) == 1
        misses.append(np.hypot(*(found[0][:, :2] / OVERSAMPLING - person.landmarks).T) / person.inter_ocular)
    # the model itself is not surer than about 0.02 between two pictures of one face
    assert np.median(misses) < 0.03
    assert np.mean(misses, axis=1).max() < 0.05


def test_crop_stays_where_it_is(people: list[AlignedFace]) -> None:
    for person in people:
        place = place_crop(person.landmarks, CropOptions())
        center = (person.size - 1) / 2
        assert abs(place.x - center) < 0.01 * person.size
        assert abs(place.y - center) < 0.01 * person.size
        assert abs(place.side / person.size - 1) < 0.01
        assert abs(place.roll) < 0.01


def test_map_has_no_fold(fields: list[np.ndarray], people: list[AlignedFace], face: AlignedFace) -> None:
    """The map keeps the orientation of every triangle of its grid, and the order of the features with it."""
    nodes = np.linspace(0, face.size - 1, len(fields[0]))
    for field in fields:
        there = np.stack(np.meshgrid(nodes, nodes), -1) + field
        right, down = np.diff(there, axis=1), np.diff(there, axis=0)
        for a, b in (
            (right[:-1], down[:, :-1]),
            (right[:-1], down[:, 1:]),
            (right[1:], down[:, :-1]),
            (right[1:], down[:, 1:]),
        ):
            assert (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0] > 0).all()
    for person in people:
        x, y = person.landmarks.T
        for row in ([234, 50, 129, 4, 358, 280, 454], [33, 133, 168, 362, 263], [61, 13, 291], [172, 152, 397]):
            assert (np.diff(x[row]) > 0).all()
        for column in ([10, 168, 4, 2, 0, 13, 17, 152], [105, 159, 145, 50], [334, 386, 374, 280]):
            assert (np.diff(y[column]) > 0).all()


def test_landmarks_follow_the_map_of_the_picture(
    fields: list[np.ndarray], people: list[AlignedFace], face: AlignedFace
) -> None:
    """Where the map looks back from a new landmark, the old one is; another interpolation than the code's as oracle."""
    nodes = np.linspace(0, face.size - 1, len(fields[0]))
    flipped = face.landmarks[list(mirror_landmarks())] * (-1, 1) + (face.size - 1, 0)
    for field, person in zip(fields, people, strict=True):
        inside = ((person.landmarks >= 0) & (person.landmarks <= face.size - 1)).all(1)
        assert inside.mean() > 0.95
        new = person.landmarks[inside]
        back = new + RegularGridInterpolator((nodes, nodes), field)(new[:, ::-1])
        misses = [np.hypot(*(back - old[inside]).T).max() for old in (face.landmarks, flipped)]
        assert min(misses) < 0.002 * face.size


def test_nothing_is_dragged_in_from_outside_the_photo(fields: list[np.ndarray], face: AlignedFace) -> None:
    """At the border the map looks outward by no more than a pixel or so; tone does not matter here."""
    for field in fields:
        outward = np.concatenate([-field[0, :, 1], field[-1, :, 1], -field[:, 0, 0], field[:, -1, 0]])
        assert outward.max() < 0.015 * face.size


def test_the_spline_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    nodes = np.linspace(0, 3, 5)
    points = np.vstack([rng.uniform(0, 3, (20, 2)), [(0, 0), (3, 3)]])  # two on nodes
    values, stiffness = rng.normal(size=(22, 2)), np.repeat((0.0, 0.03), 11)
    places = np.stack(np.meshgrid(nodes, nodes), -1)
    expected = RBFInterpolator(points, values, smoothing=stiffness)(places.reshape(-1, 2)).reshape(places.shape)
    assert np.abs(virtual._spline(points, values, stiffness, nodes) - expected).max() < 1e-9


@pytest.mark.parametrize("size", [32, 128])
def test_the_picture_is_sampled_as_opencv_samples(face: AlignedFace, fields: list[np.ndarray], size: int) -> None:
    samples = np.ascontiguousarray(face.samples[: OVERSAMPLING * (size - 1) + 1, : OVERSAMPLING * (size - 1) + 1])
    part, columns, rows = replace(face, samples=samples, size=size), *np.indices(samples.shape[:2], np.float32)[::-1]
    per_sample = np.float32((len(fields[0]) - 1) / (len(samples) - 1))
    for field in fields:
        how = {"interpolation": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
        moved = cv2.remap(field, columns * per_sample, rows * per_sample, **how)
        x, y = np.moveaxis(np.float32(OVERSAMPLING) * moved + np.stack([columns, rows], -1), -1, 0)
        assert np.array_equal(virtual._resample(part, field)[..., :3], cv2.remap(samples, x, y, **how))


def test_some_are_mirrored(face: AlignedFace, people: list[AlignedFace]) -> None:
    own = face.crop[0].astype(float).sum(-1)
    mirrored = [np.corrcoef(p.crop[0].astype(float).sum(-1), own)[0, 1] < 0.7 for p in people]
    assert 0 < sum(mirrored) < len(people)


def test_mirror_table_is_an_involution_that_swaps_sides(face: AlignedFace) -> None:
    mirror = np.array(mirror_landmarks())
    assert (mirror[mirror] == np.arange(478)).all()
    assert [int(mirror[i]) for i in (33, 133, 61, 234, 468, 1)] == [263, 362, 291, 454, 473, 1]
    middle = face.landmarks[[168, 6], 0].mean()
    sides = np.sign(face.landmarks[:, 0] - middle)
    far = np.abs(face.landmarks[:, 0] - middle) > 0.15 * face.inter_ocular
    assert (sides[far] == -sides[mirror][far]).all()


def test_draws_go_together_as_in_people() -> None:
    table = proportions()
    correlation = table.root @ table.root.T
    assert np.diag(correlation) == pytest.approx(1)
    face_width, jaw_width, nose = (table.names.index(n) for n in ("face_width", "jaw_width", "asymmetry_of_nose"))
    assert correlation[face_width, jaw_width] > 0.7
    assert abs(correlation[face_width, nose]) < 0.1


def test_proportions_move_what_they_name(face: AlignedFace) -> None:
    table = proportions()
    moves = dict(zip(table.names, table.moves, strict=True))
    at = {landmark: i for i, landmark in enumerate(table.anchors)}
    jaw = moves["jaw_width"]
    assert jaw[at[172]][0] < 0 < jaw[at[397]][0]  # the person's right is at the left of the picture
    assert jaw[at[397]][0] - jaw[at[172]][0] == pytest.approx(1)  # measured between these two
    assert moves["chin_height"][at[152]].tolist() == [0, 1]
    assert moves["asymmetry_of_jaw"][at[148]][0] == moves["asymmetry_of_jaw"][at[377]][0]
    for name in table.names:  # eye centers keep their middle and their height
        eyes = moves[name][[at[i] for i in (33, 133, 362, 263)]].sum(0)
        assert eyes.tolist() == [0, 0]


def test_default_face_is_at_rest(landmarker: Landmarker) -> None:
    photo = read_image(default_pool() / list_photos(default_pool())[0])
    landmarks = landmarker.detect(photo).landmarks[0][:, :2]
    unit = np.hypot(*(landmarks[[33, 133]].mean(0) - landmarks[[263, 362]].mean(0)))
    assert np.hypot(*(landmarks[13] - landmarks[14])) / unit < 0.02  # lips closed
    # width of the mouth: mean and 1.5 standard deviations of 802 faces at rest
    assert abs(np.hypot(*(landmarks[61] - landmarks[291])) / unit - 0.820) < 1.5 * 0.066
