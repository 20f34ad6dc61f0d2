"""The muscle generator: what moves, where to, by how much, and what must not move at all."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from miex.aus.vector import AU_INDEX, AU_NUMBERS, N_AUS, SIDES, from_mapping, parse
from miex.easing import ease
from miex.errors import InputError, ScaleError
from miex.faces.crop import OVERSAMPLING, AlignedFace, CropOptions, align, inter_ocular, place_crop
from miex.faces.mesh import OVAL, mirror_landmarks
from miex.generators.grid import GRID, cell_centers, face_area, invert, lattice, sample
from miex.generators.muscle import MuscleGenerator, MuscleRig
from miex.generators.muscle.anatomy import TABLE, Muscle, Rim, load
from miex.generators.muscle.basis import FaceFrame, crosses, pulls_of
from miex.generators.muscle.generator import LEVEL, combine, unrounded
from tests.generators.shifts import recovered_shift

SIZE = 128
IRISES = (468, 473)
MEASURED_MOTION = Path(__file__).resolve().parents[3] / "shared" / "au-displacements.csv"
generator = MuscleGenerator()


@pytest.fixture(scope="module")
def rig(face: AlignedFace) -> MuscleRig:
    return generator.prepare(face)


@pytest.fixture(scope="module")
def still_face(face: AlignedFace) -> AlignedFace:
    """The face over a texture that shows every motion."""
    side = OVERSAMPLING * (SIZE - 1) + 1
    noise = np.random.default_rng(1).random((side, side, 3), np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0 * OVERSAMPLING)
    return AlignedFace(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8), SIZE, face.landmarks)


def one(text: str) -> np.ndarray:
    return parse(text.split())[None]


def at_landmarks(rig: MuscleRig, field: np.ndarray, indices: object = slice(None)) -> np.ndarray:
    """A field at landmarks, inter-ocular units [n, 2]."""
    where = (rig.face.landmarks[indices] + 0.5) * len(field) / rig.face.size - 0.5
    planes = [sample(np.ascontiguousarray(field[..., i]), where[None])[0] for i in (0, 1)]
    return np.stack(planes, -1) / rig.face.inter_ocular


# --- sub-pixel truth ---------------------------------------------------------------------------------------------


def translation_rig(face: AlignedFace) -> MuscleRig:
    """A rig whose first muscle moves everything 4 px, 3:-4."""
    basis = np.zeros((N_AUS * len(SIDES), GRID, GRID, 2), np.float32)
    basis[0] = 2.4, -3.2
    return MuscleRig(face, basis)


@pytest.mark.parametrize("textured", [True, False])
@pytest.mark.parametrize("distance", [0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2])
def test_a_shift_is_recovered_with_gain_one(
    still_face: AlignedFace, face: AlignedFace, textured: bool, distance: float
) -> None:
    aus = np.zeros((2, N_AUS, len(SIDES)), np.float32)
    aus[1, 0, 0] = distance / 4
    frames = generator.render(translation_rig(still_face if textured else face), aus).frames
    rest, moved = (frame[16:112, 16:112].mean(-1) for frame in frames)
    shift = recovered_shift(rest, moved)
    assert shift @ (0.6, -0.8) / distance == pytest.approx(1, abs=0.05)
    assert abs(shift @ (0.8, 0.6)) < 0.05 * distance


@pytest.mark.parametrize("setting", ["12=.05", "12=.2", "L4=.2", "17=.1", "2=.2"])
def test_rendered_motion_is_the_field(rig: MuscleRig, still_face: AlignedFace, setting: str) -> None:
    moving = MuscleRig(still_face, rig.basis)
    frame = generator.render(moving, one(setting)).frames[0].astype(float).mean(-1)
    rest = still_face.crop.astype(float).mean(-1)
    # brightness constancy, to first order about the middle: what is left to explain is each pixel's displacement
    field = cv2.resize(generator.displacement(moving, one(setting))[0], (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    slope = np.array([[1, -8, 0, 8, -1]]) / 12
    gx, gy = (cv2.filter2D((rest + frame) / 2, -1, kernel) for kernel in (slope, slope.T))
    explained = -(gx * field[..., 0] + gy * field[..., 1])
    small = np.hypot(*np.moveaxis(field, -1, 0)) < 1
    gain = (explained * (frame - rest))[small].sum() / (explained**2)[small].sum()
    assert gain == pytest.approx(1, abs=0.05)


def test_no_frame_of_a_pair_is_blurred_more_than_the_other(still_face: AlignedFace) -> None:
    aus = np.zeros((2, N_AUS, len(SIDES)), np.float32)
    aus[1, 0, 0] = 0.5 / 4
    rest, moved = (
        frame[8:120, 8:120].astype(float) for frame in generator.render(translation_rig(still_face), aus).frames
    )
    assert np.diff(moved, axis=0).std() / np.diff(rest, axis=0).std() == pytest.approx(1, abs=0.02)


def pulled(frame: FaceFrame, muscle: Muscle, side: int) -> np.ndarray:
    """The displacement by a muscle at intensity 1, float64 [g, g, 2], in numpy."""
    x, y, unit, outward = frame.x[0].astype(float), frame.y[:, 0].astype(float)[:, None], frame.unit, (1, -1)[side]
    cell, wide = float(frame.y[1, 0] - frame.y[0, 0]), frame.widths[side] * unit
    twins, midline = mirror_landmarks(), crosses(muscle.insertion)

    def line(indices: tuple[int, ...], values: Sequence[float]) -> np.ndarray:
        found, values = [twins[i] if SIDES[side] == "left" else i for i in indices], list(values)
        if crosses(indices):
            found, values = found + [twins[i] for i in found[:-1]], values + values[:-1]
        points = np.column_stack([frame.points[found].astype(float), values])
        return points[np.argsort(points[:, 0])].T

    line_x, line_y, weights = line(muscle.insertion, muscle.weights)
    medial, lateral = (getattr(muscle.reach, way) * wide for way in ("lateral" if midline else "medial", "lateral"))
    before, after = (medial, lateral) if outward > 0 else (lateral, medial)
    first, last = np.searchsorted(x, (line_x[0] - before, line_x[-1] + after))
    x = x[first:last]
    level, profile = np.interp(x, line_x, line_y), np.interp(x, line_x, weights)
    blurred = gaussian_filter1d(profile, 0.1 * unit / cell, mode="mirror")
    beyond = np.minimum(x - line_x[0], 0) + np.maximum(x - line_x[-1], 0)
    off = y - level
    far = off / np.where(off > 0, muscle.reach.below, muscle.reach.above) / unit
    share = np.maximum(0, 1 - far**2 - (beyond / np.where(beyond < 0, before, after)) ** 2) ** 2
    share *= profile + (blurred - profile) * np.minimum(1, np.abs(off) / (0.15 * unit))
    share *= frame.rim(muscle.rim)[:, first:last]
    if midline:
        share *= frame.share(side, frame.x, frame.y)[:, first:last]
    if muscle.gate:
        (upper_x, upper_y, _), (lower_x, lower_y, _) = (
            line(indices, np.ones(len(indices))) for indices in (muscle.gate.upper, muscle.gate.lower)
        )
        upper, lower = np.interp(x, upper_x, upper_y), np.interp(x, lower_x, lower_y)
        fan = np.maximum(0, np.maximum(upper_x[0] - x, x - upper_x[-1]))
        through = (y - (upper + lower) / 2) / np.maximum(lower - upper, 0.04 * unit + fan) + 0.5
        share *= ease(through if muscle.gate.keep == "below" else 1 - through)
    way = np.array([outward * muscle.pull[0] * wide, muscle.pull[1] * unit]) * muscle.gain / np.hypot(*muscle.pull)
    found = np.zeros((GRID, GRID, 2))
    found[:, first:last] = share[..., None] * way
    return found


def test_a_muscle_pulls_as_it_is_described(face: AlignedFace) -> None:
    frame, muscles = FaceFrame(face, load(), GRID), load().muscles
    fields = np.zeros((2 * len(muscles), GRID, GRID, 2), np.float32)
    every = [(muscle, side) for muscle in muscles for side in (0, 1)]
    frame.pull(pulls_of(load(), [(*one, i, 1.0) for i, one in enumerate(every)]), fields)
    for (muscle, side), field in zip(every, fields, strict=True):
        expected = pulled(frame, muscle, side)
        assert np.abs(field - expected).max() < 1e-4, (muscle.au, muscle.name, side)
        assert np.abs(expected).max() > 0.01 * frame.unit
    window = np.full((1, 30, 25, 2), 1, np.float32)
    frame.pull(pulls_of(load(), [(muscles[3], 1, 0, -2.0)]), window, (slice(20, 50), slice(30, 55)))
    assert np.abs(window[0] - 1 + 2 * fields[7, 20:50, 30:55]).max() < 1e-5


# --- what holds still --------------------------------------------------------------------------------------------


def test_rounding_is_undone_without_a_trace(face: AlignedFace) -> None:
    fine = unrounded(face.samples)
    assert np.array_equal(np.rint(fine / LEVEL), face.samples)
    assert (fine % LEVEL != 0).mean() > 0.5


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 9, 3), (101, 83, 3)])
def test_rounding_is_undone_by_a_gaussian(shape: tuple[int, int, int]) -> None:
    samples = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    samples = cv2.GaussianBlur(samples, (0, 0), 2).reshape(shape)
    smooth = cv2.GaussianBlur(samples.astype(float), (7, 7), 1.0, borderType=cv2.BORDER_REPLICATE).reshape(shape)
    expected = np.clip(smooth, np.maximum(0, samples - 127 / 256), samples + 127 / 256)
    assert np.abs(unrounded(samples) / LEVEL - expected).max() < 0.51 / LEVEL


@pytest.mark.parametrize("size", [64, 128, 201])
def test_no_motion_is_the_crop_bit_for_bit(astronaut: np.ndarray, astronaut_mesh: np.ndarray, size: int) -> None:
    face = align(astronaut, astronaut_mesh, place_crop(astronaut_mesh, CropOptions(size)), size)
    frames = generator.render(generator.prepare(face), np.zeros((2, N_AUS), np.float32)).frames
    assert frames.dtype == np.uint8
    assert frames.shape == (2, size, size, 3)
    assert np.array_equal(frames[0], face.crop)
    assert np.array_equal(frames[1], face.crop)


@pytest.mark.parametrize("z", [0.3, 1.0])
def test_what_lies_beyond_the_face_holds_still_bit_for_bit(rig: MuscleRig, still_face: AlignedFace, z: float) -> None:
    moving = MuscleRig(still_face, rig.basis)
    outside = FaceFrame(still_face, load(), GRID).radius(Rim(neck=0.35)) >= 1
    beyond = cv2.resize(outside.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_LINEAR) == 1
    assert beyond.mean() > 0.2
    frames = generator.render(moving, np.eye(N_AUS, dtype=np.float32) * np.float32(z)).frames
    for frame in frames:
        assert np.array_equal(frame[beyond], still_face.crop[beyond])
        assert not np.array_equal(frame, still_face.crop)


def test_the_irises_hold_still_unless_a_lid_crosses_them(rig: MuscleRig) -> None:
    for au in set(AU_NUMBERS) - {5, 7, 45}:
        field = generator.displacement(rig, from_mapping({au: 1})[None])[0]
        assert np.abs(at_landmarks(rig, field, list(IRISES))).max() < 0.002, au


def test_skin_and_lids_of_a_gray_photo_are_gray(face: AlignedFace) -> None:
    gray = AlignedFace(np.repeat(face.samples[..., 1:2], 3, axis=2), SIZE, face.landmarks)
    closed = [au for au in AU_NUMBERS if au not in (9, 10, 25, 26)]  # the mouth opens onto what is not in the photo
    aus = np.stack([from_mapping({au: 0.5}) for au in closed])
    frames = generator.render(generator.prepare(gray), aus).frames
    assert (frames == frames[..., :1]).all()


# --- sides -------------------------------------------------------------------------------------------------------


def test_a_field_is_the_weighted_sum_of_its_basis(rig: MuscleRig) -> None:
    z = np.random.default_rng(2).random(len(rig.basis)).astype(np.float32) * (np.arange(len(rig.basis)) % 3 > 0)
    np.testing.assert_allclose(combine(rig, z), np.tensordot(z, rig.basis, 1), atol=1e-4)


def test_left_and_right_add_up_to_both(rig: MuscleRig) -> None:
    for au in AU_NUMBERS:
        left, right, both = (generator.displacement(rig, one(f"{side}{au}=.4"))[0] for side in ("L", "R", ""))
        assert np.allclose(left + right, both, atol=1e-5)
        assert np.array_equal(both, generator.displacement(rig, from_mapping({au: 0.4})[None])[0])


def test_a_side_moves_its_own_half(rig: MuscleRig) -> None:
    middle = rig.face.landmarks[[168, 2, 17, 152], 0].mean()
    columns = cell_centers(SIZE, GRID)
    for au in AU_NUMBERS:
        left, right = (
            np.hypot(*np.moveaxis(generator.displacement(rig, one(f"{s}{au}=1"))[0], -1, 0)).sum(0) for s in "LR"
        )
        assert (left[columns > middle].sum() / left.sum()) > 0.85, au  # the person's left is right in the picture
        assert (right[columns < middle].sum() / right.sum()) > 0.85, au


def test_a_mirrored_face_moves_mirrored(face: AlignedFace, rig: MuscleRig) -> None:
    landmarks = face.landmarks[list(mirror_landmarks())].copy()
    landmarks[:, 0] = SIZE - 1 - landmarks[:, 0]
    flipped = generator.prepare(AlignedFace(face.samples[:, ::-1].copy(), SIZE, landmarks))
    there = flipped.basis.reshape(N_AUS, 2, GRID, GRID, 2)
    here = rig.basis.reshape(N_AUS, 2, GRID, GRID, 2)[:, ::-1, :, ::-1] * np.array([-1, 1], np.float32)
    assert np.abs(there - here).max() < 1e-3 * rig.face.inter_ocular


# --- the right skin, the right way -------------------------------------------------------------------------------

UP, DOWN, OUT, IN = (0, -1), (0, 1), (1, 0), (-1, 0)


@pytest.mark.parametrize(
    ("au", "right", "left", "way"),
    [
        (1, 55, 285, UP),
        (2, 53, 283, UP),
        (4, 65, 295, DOWN),
        (4, 65, 295, IN),
        (5, 159, 386, UP),
        (6, 50, 280, UP),
        (7, 145, 374, UP),
        (9, 98, 327, UP),
        (10, 39, 269, UP),
        (12, 61, 291, UP),
        (12, 61, 291, OUT),
        (14, 61, 291, OUT),
        (15, 61, 291, DOWN),
        (17, 201, 421, UP),
        (20, 61, 291, OUT),
        (23, 37, 267, DOWN),
        (23, 84, 314, UP),
        (25, 37, 267, UP),
        (25, 84, 314, DOWN),
        (26, 84, 314, DOWN),
        (26, 152, 152, DOWN),
        (45, 159, 386, DOWN),
    ],
)
def test_skin_moves_as_the_au_says(rig: MuscleRig, au: int, right: int, left: int, way: tuple[int, int]) -> None:
    moved = at_landmarks(rig, generator.displacement(rig, from_mapping({au: 1})[None])[0], [right, left])
    assert moved[0] @ (-way[0], way[1]) > 0.01  # lateral is leftward in the picture on the person's right
    assert moved[1] @ way > 0.01


@pytest.mark.parametrize(("au", "way"), [(1, -1), (2, -1), (4, 1)])
def test_brows_move_up_and_down_rather_than_sideways(rig: MuscleRig, au: int, way: int) -> None:
    brows = [46, 53, 52, 65, 55, 276, 283, 282, 295, 285]
    moved = at_landmarks(rig, generator.displacement(rig, from_mapping({au: 1})[None])[0], brows)
    sideways, along = np.abs(moved[:, 0]).mean(), way * moved[:, 1].mean()
    assert along > 1.3 * sideways > 0


def test_a_wrinkled_nose_is_no_raised_lip(rig: MuscleRig) -> None:
    nose, lip = (generator.displacement(rig, one(f"{au}=1"))[0] for au in (9, 10))
    assert (nose * lip).sum() < 0.8 * np.sqrt((nose**2).sum() * (lip**2).sum())
    # AU 9 moves the nose more than the lip and brings the brows down to it; AU 10 moves the lip more than the nose
    wing, middle, brow = [98, 327], [0], [55, 285]
    up = {
        au: [-at_landmarks(rig, field, at)[:, 1].mean() for at in (wing, middle, brow)]
        for au, field in ((9, nose), (10, lip))
    }
    assert up[9][0] > 1.4 * up[9][1] > 0 > up[9][2]
    assert up[10][1] > 1.4 * up[10][0] > 0
    assert abs(up[10][2]) < 0.002


def test_a_smile_has_no_hooks(rig: MuscleRig) -> None:
    """The line of the lips, from the middle past a corner, bends nowhere sharply when its corner rises."""
    unit, points = rig.face.inter_ocular, rig.face.landmarks[[61, 95, 88, 178, 87, 14]]
    field = generator.displacement(rig, one("12=1"))[0]
    x = np.linspace(points[0, 0] - 0.1 * unit, points[-1, 0], 16)
    line = np.stack([x, np.interp(x, *points.T)], -1).astype(np.float32)
    where = (line + 0.5) * GRID / SIZE - 0.5
    moved = line + np.stack([sample(np.ascontiguousarray(field[..., i]), where[None])[0] for i in (0, 1)], -1)
    rest, smiling = (np.degrees(np.arctan2(*np.diff(path, axis=0).T[::-1])) for path in (line, moved))
    assert np.abs(np.diff(smiling - rest)).max() < 12
    assert moved[3, 1] < line[3, 1] - 0.08 * unit  # the corner itself


# directions and largest displacement against a scanned-face model. Reaches are shorter than its shapes on purpose;
# besides, it reaches wider still (1, 6), lifts the chin's outline (17), balloons the upper lip (9), takes the nose
# along with the lip (10; its own 9 and 10 have a cosine of 0.91), raises the corner where the dimpler should draw it
# out (14). As in real maps, the lips' middle holds still and the cheek swells outward (12), and brows go straight up
# and down (2, 4)
COSINES = {
    1: 0.81, 2: 0.83, 4: 0.81, 5: 0.9, 6: 0.8, 7: 0.78, 9: 0.76, 10: 0.8, 12: 0.8, 14: 0.78, 15: 0.89, 17: 0.74,
    20: 0.92, 23: 0.81, 25: 0.78, 26: 0.86, 45: 0.94,
}  # fmt: skip
LARGEST = dict.fromkeys(AU_NUMBERS, 1.0) | {12: 0.55, 6: 0.8}


@pytest.fixture(scope="module")
def measured() -> tuple[np.ndarray, dict[int, np.ndarray]]:
    if not MEASURED_MOTION.is_file():
        pytest.skip(f"no {MEASURED_MOTION}: lent for calibration, never shipped")
    points = np.zeros((478, 2))
    motion = {au: np.zeros((478, 2)) for au in AU_NUMBERS}
    with MEASURED_MOTION.open() as file:
        for row in csv.DictReader(file):
            points[int(row["landmark"])] = float(row["x"]), float(row["y"])
            motion[int(row["au"])][int(row["landmark"])] += float(row["dx"]), float(row["dy"])
    return points, motion


@pytest.mark.parametrize("au", AU_NUMBERS)
def test_motion_agrees_with_a_scanned_model(measured: tuple[np.ndarray, dict[int, np.ndarray]], au: int) -> None:
    points, motion = measured
    landmarks = (points * 39 + (63.5, 0.38 * SIZE)).astype(np.float32)
    assert inter_ocular(landmarks) == pytest.approx(39, rel=0.02)
    blank = np.zeros((OVERSAMPLING * (SIZE - 1) + 1,) * 2 + (3,), np.uint8)
    rig = generator.prepare(AlignedFace(blank, SIZE, landmarks))
    skin = slice(0, 468)
    ours = at_landmarks(rig, generator.displacement(rig, from_mapping({au: 1})[None])[0])[skin]
    theirs = motion[au][skin]
    assert (ours * theirs).sum() / np.sqrt((ours**2).sum() * (theirs**2).sum()) >= COSINES[au]
    assert np.hypot(*ours.T).max() / np.hypot(*theirs.T).max() == pytest.approx(LARGEST[au], abs=0.2)


# --- the way back ------------------------------------------------------------------------------------------------


def combinations(z: float, n: int) -> np.ndarray:
    draw = np.random.default_rng(2)
    aus = np.zeros((n, N_AUS), np.float32)
    for row in aus:
        row[draw.choice(N_AUS, 3, replace=False)] = z
    return aus


def test_the_inverse_leads_back_within_the_working_range(rig: MuscleRig) -> None:
    for field in generator.displacement(rig, combinations(0.3, 40)):
        back = invert(field, SIZE)
        where = lattice(GRID, 1) + back * (GRID / SIZE)
        there = np.stack([sample(np.ascontiguousarray(field[..., i]), where) for i in (0, 1)], -1)
        assert np.abs(there + back).max() < 0.02


def test_the_working_range_has_no_folds(rig: MuscleRig) -> None:
    for field in generator.displacement(rig, combinations(0.3, 40)):
        jacobian = np.stack(np.gradient(field, SIZE / GRID, axis=(1, 0)), -1) + np.eye(2)
        assert np.linalg.det(jacobian).min() > 0.1


def test_everything_at_once_is_still_a_picture(rig: MuscleRig) -> None:
    everything = np.ones((1, N_AUS), np.float32)
    assert np.isfinite(invert(generator.displacement(rig, everything)[0], SIZE)).all()
    assert generator.render(rig, everything).frames.std() > 10


def test_the_grid_says_where_its_cells_are() -> None:
    # upsampled as frames are: the coordinate of a cell becomes the coordinate of a pixel
    line = np.broadcast_to(cell_centers(SIZE, GRID), (GRID, GRID)).copy()
    pixels = cv2.resize(line, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    assert np.allclose(pixels[5, 1:-1], np.arange(1, SIZE - 1), atol=1e-4)


# --- purity ------------------------------------------------------------------------------------------------------


def test_a_frame_does_not_depend_on_its_neighbors(rig: MuscleRig, face: AlignedFace) -> None:
    aus = combinations(0.2, 5)
    together = generator.render(rig, aus).frames
    for row, frame in zip(aus, together, strict=True):
        assert np.array_equal(generator.render(rig, row[None]).frames[0], frame)
    assert np.array_equal(generator.render(generator.prepare(face), aus).frames, together)


def test_motion_is_linear_in_intensity_and_scales_with_the_crop(
    astronaut: np.ndarray, astronaut_mesh: np.ndarray, rig: MuscleRig
) -> None:
    aus = one("12=.2 4=.1")
    field = generator.displacement(rig, aus)
    assert np.allclose(generator.displacement(rig, 2 * aus), 2 * field, atol=1e-5)
    large = align(astronaut, astronaut_mesh, place_crop(astronaut_mesh, CropOptions(2 * SIZE)), 2 * SIZE)
    assert np.allclose(generator.displacement(generator.prepare(large), aus), 2 * field, atol=0.02)


def test_face_area_is_the_oval(rig: MuscleRig) -> None:
    area = face_area(rig.face)
    assert area.dtype == bool
    polygon = ((rig.face.landmarks[list(OVAL)] + 0.5) * GRID / SIZE - 0.5).round().astype(np.int32)
    filled = cv2.fillPoly(np.zeros((GRID, GRID), np.uint8), [polygon], 1) > 0
    assert (area & filled).sum() / (area | filled).sum() > 0.95
    assert np.array_equal(area, FaceFrame(rig.face, load(), GRID).radius(Rim(neck=0)) < 1)


@pytest.mark.parametrize("shape", [(17,), (1, 16), (1, 1, 1, 17)])
def test_other_shapes_are_refused(rig: MuscleRig, shape: tuple[int, ...]) -> None:
    with pytest.raises(ScaleError):
        generator.render(rig, np.zeros(shape, np.float32))
    with pytest.raises(ScaleError):
        generator.displacement(rig, np.zeros(shape, np.float32))


# --- the table ---------------------------------------------------------------------------------------------------


def test_every_au_has_muscles_with_a_source() -> None:
    muscles = load().muscles
    assert {muscle.au for muscle in muscles} == set(AU_INDEX)
    assert all(muscle.source for muscle in muscles)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("gain = 0.072", "gain = -1.0", "positive"),
        ("gain = 0.072\n", "", "gain"),
        ("gain = 0.072", "gain = 0.072\nstrength = 1", "strength"),
        ("insertion = [52, 65, 55]", "insertion = [52, 65, 478]", "landmark 478"),
        ("weights = [0.5, 1, 0.6]", "weights = [0.5, 1]", "weights"),
        ("au = 1\n", "au = 3\n", "AU 3"),
        ('gate = "brow"', 'gate = "ear"', "ear"),
        ("[rim]", "[rim", "Expected"),
    ],
)
def test_a_broken_table_is_named(tmp_path: Path, old: str, new: str, reason: str) -> None:
    text = TABLE.read_text("utf-8")
    assert old in text
    path = tmp_path / "anatomy.toml"
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(InputError, match=reason):
        load(path)
