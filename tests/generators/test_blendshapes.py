"""The second basis of the muscle generator, expression shapes of a modeled head, and its mixture with the first."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from miex.aus.vector import AU_INDEX, AU_NUMBERS, N_AUS, SIDES, from_mapping, parse
from miex.errors import UsageError
from miex.faces.crop import OVERSAMPLING, AlignedFace
from miex.faces.mesh import mirror_landmarks
from miex.generators.grid import GRID
from miex.generators.muscle import MuscleGenerator, MuscleRig
from miex.generators.muscle.anatomy import load
from miex.generators.muscle.basis import FaceFrame
from miex.generators.muscle.blendshapes import SKIN, TABLE, BlendshapeFrame, shapes
from miex.generators.muscle.cuts import at_points
from miex.generators.muscle.folds import MOST, compression
from miex.generators.muscle.generator import restrained
from tests.generators.edges import displaced

SIZE = 128
MEASURED_MOTION = Path(__file__).resolve().parents[3] / "shared" / "au-displacements.csv"
# against a scanned-face model, drawn by other hands
COSINES = {
    1: 0.62, 2: 0.7, 4: 0.62, 5: 0.82, 6: 0.73, 7: 0.75, 9: 0.7, 10: 0.86, 12: 0.84, 14: 0.73, 15: 0.88, 17: 0.67,
    20: 0.77, 23: 0.5, 25: 0.8, 26: 0.91, 45: 0.74,
}  # fmt: skip
anatomy, drawn, mixed = (MuscleGenerator(basis=basis) for basis in ("anatomy", "blendshapes", "mixed"))


@pytest.fixture(scope="module")
def rig(face: AlignedFace) -> MuscleRig:
    return drawn.prepare(face)


@pytest.fixture(scope="module")
def mixture(face: AlignedFace) -> MuscleRig:
    return mixed.prepare(face)


def at_skin(frame: FaceFrame) -> np.ndarray:
    """What each AU does at the skin's landmarks, both sides together, inter-ocular distances [17, 468, 2]."""
    moved = at_points(frame.fields(), frame.points[:SKIN], frame) / frame.unit
    return moved.reshape(N_AUS, len(SIDES), SKIN, 2).sum(1)


def some_aus(n: int) -> np.ndarray:
    luck = np.random.default_rng(5)
    aus = np.where(luck.random((n, N_AUS, 2)) < 0.25, luck.random((n, N_AUS, 2)), 0)
    return np.concatenate([aus, np.ones((1, N_AUS, 2))]).astype(np.float32)


def test_the_table_says_where_it_comes_from_and_is_small() -> None:
    head = TABLE.read_text()[:600]
    assert "CC0" in head
    assert "sha256" in head
    assert TABLE.stat().st_size < 1_000_000


def test_no_triangle_reaches_from_lip_to_lip_or_lid_to_lid() -> None:
    """Outside the openings themselves: a nose above, or a chin below, hangs on one lip."""
    upper, lower = [0, 37, 39, 40, 4, 1, 2], [17, 84, 181, 91, 152, 199]
    triangles = shapes().triangles
    assert not (np.isin(triangles, upper).any(1) & np.isin(triangles, [*lower, 14, 87, 178, 88]).any(1)).any()
    assert not (np.isin(triangles, lower).any(1) & np.isin(triangles, [*upper, 13, 82, 81, 80]).any(1)).any()


def test_intensities_are_as_long_as_in_the_anatomy(face: AlignedFace) -> None:
    ours, theirs = (at_skin(kind(face, load(), GRID)) for kind in (BlendshapeFrame, FaceFrame))
    lengths = np.stack([np.linalg.norm(moved, axis=-1) for moved in (ours, theirs)])
    longest, chin = lengths.max(-1), AU_INDEX[17]
    longest[:, chin] = lengths[:, chin, 17]  # at the lower lip, which the artist raises most, and the anatomy the chin
    assert np.abs(longest[0] / longest[1] - 1).max() < 0.25


def test_motion_agrees_with_a_scanned_model() -> None:
    if not MEASURED_MOTION.is_file():
        pytest.skip(f"no {MEASURED_MOTION}: lent for calibration, never shipped")
    points, motion = np.zeros((478, 2)), np.zeros((N_AUS, 478, 2))
    with MEASURED_MOTION.open() as file:
        for row in csv.DictReader(file):
            points[int(row["landmark"])] = float(row["x"]), float(row["y"])
            motion[AU_INDEX[int(row["au"])], int(row["landmark"])] += float(row["dx"]), float(row["dy"])
    blank = np.zeros((OVERSAMPLING * (SIZE - 1) + 1,) * 2 + (3,), np.uint8)
    landmarks = (points * 39 + (63.5, 0.38 * SIZE)).astype(np.float32)
    ours = at_skin(BlendshapeFrame(AlignedFace(blank, SIZE, landmarks), load(), GRID))
    for au, one, other in zip(AU_NUMBERS, ours, motion[:, :SKIN], strict=True):
        assert (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()) >= COSINES[au], au


@pytest.mark.parametrize("setting", ["12=.05", "12=.2", "L4=.2", "17=.1", "9=.1"])
@pytest.mark.parametrize("generator", [drawn, mixed], ids=["blendshapes", "mixed"])
def test_rendered_motion_is_the_field(face: AlignedFace, generator: MuscleGenerator, setting: str) -> None:
    side = OVERSAMPLING * (SIZE - 1) + 1
    noise = np.random.default_rng(1).random((side, side, 3), np.float32)
    smooth = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.0 * OVERSAMPLING), None, 0, 255, cv2.NORM_MINMAX)
    still = AlignedFace(smooth.astype(np.uint8), SIZE, face.landmarks)
    moving = MuscleRig(still, generator.prepare(still).basis)
    rendered = generator.render(moving, parse([setting])[None])
    assert rendered.fields is not None
    frame, rest = rendered.frames[0].astype(float).mean(-1), still.crop.astype(float).mean(-1)
    # brightness constancy, to first order about the middle: what is left to explain is each pixel's displacement
    field = cv2.resize(rendered.fields[0], (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    slope = np.array([[1, -8, 0, 8, -1]]) / 12
    gx, gy = (cv2.filter2D((rest + frame) / 2, -1, kernel) for kernel in (slope, slope.T))
    explained = -(gx * field[..., 0] + gy * field[..., 1])
    small = np.hypot(*np.moveaxis(field, -1, 0)) < 1
    gain = (explained * (frame - rest))[small].sum() / (explained**2)[small].sum()
    assert gain == pytest.approx(1, abs=0.05)


def test_a_mirrored_face_moves_mirrored(face: AlignedFace, rig: MuscleRig) -> None:
    landmarks = face.landmarks[list(mirror_landmarks())].copy()
    landmarks[:, 0] = SIZE - 1 - landmarks[:, 0]
    other = AlignedFace(np.ascontiguousarray(face.samples[:, ::-1]), SIZE, landmarks)
    there = drawn.prepare(other).basis.reshape(N_AUS, 2, GRID, GRID, 2)[:, ::-1, :, ::-1] * (-1, 1)
    # where landmarks of a turned head lie over each other, one of two triangles is taken
    assert np.abs(there - rig.basis.reshape(there.shape)).max() < 0.01 * face.inter_ocular


def test_a_wrinkled_nose_does_not_part_the_lips_and_a_raised_lip_does(rig: MuscleRig) -> None:
    assert rig.layers
    cut = rig.layers.part("mouth").cut
    apart = {au: np.abs(cut.extra[:, cut.rows // len(SIDES) == AU_INDEX[au]]).max() for au in (9, 10)}
    assert apart[9] == 0 < apart[10]


def test_a_wrinkled_nose_lowers_brow_and_forehead_less_than_a_frown() -> None:
    down = shapes().motion[:, :, [107, 336, 108, 337, 9, 151], 1].sum(1)
    assert (down[AU_INDEX[9]] < down[AU_INDEX[4]]).all()


def test_the_jaw_takes_the_lower_lip_alone(rig: MuscleRig) -> None:
    assert rig.layers
    cut = rig.layers.part("mouth").cut
    weights = from_mapping({26: 1}).repeat(2).astype(np.float32)
    upper, lower = displaced(cut, weights)[..., 1] / rig.face.inter_ocular
    middle = slice(20, 29)
    assert np.abs(upper[middle]).max() < 0.04
    assert lower[middle].min() > 0.25


@pytest.mark.parametrize("share", [None, 0.3])
def test_nothing_folds_whatever_the_aus(rig: MuscleRig, mixture: MuscleRig, share: float | None) -> None:
    chosen = rig if share is None else mixed.mix(mixture, share)
    assert chosen.layers
    for z in some_aus(12).reshape(-1, N_AUS * 2):
        field, scale = restrained(chosen, z)
        for window, part, seen in chosen.layers._seen(np.tensordot(z, chosen.basis, 1).astype(np.float32), z):
            moved = part if scale is None else part * scale[window][..., None]
            assert (compression(moved, GRID / SIZE) * seen[:-1, :-1]).max() <= MOST + 1e-3
        assert np.isfinite(field).all()


def test_at_rest_and_off_the_face_nothing_changes(rig: MuscleRig) -> None:
    rest, moved = drawn.render(rig, np.stack([np.zeros((N_AUS, 2)), np.ones((N_AUS, 2))]).astype(np.float32)).frames
    assert np.array_equal(rest, rig.face.crop)
    assert np.array_equal(moved[:8], rig.face.crop[:8])


def test_a_mixture_goes_from_one_basis_to_the_other(face: AlignedFace, rig: MuscleRig, mixture: MuscleRig) -> None:
    aus = some_aus(3)
    both = anatomy.render(anatomy.prepare(face), aus), drawn.render(rig, aus)
    for share, expected in zip((0.0, 1.0), both, strict=True):
        found = mixed.render(mixed.mix(mixture, share), aus)
        # rounding of the bases shows where lips and lids end
        apart = np.abs(found.frames.astype(int) - expected.frames)
        assert apart.max() <= 2
        assert (apart > 1).mean() < 1e-4
        assert np.allclose(found.fields, expected.fields, atol=1e-3)
    half = mixed.mix(mixture, 0.5)
    assert np.allclose(half.basis, (anatomy.prepare(face).basis + rig.basis) / 2, atol=1e-4)
    assert np.array_equal(mixed.render(half, aus).frames, mixed.render(mixture, aus).frames)


@pytest.mark.parametrize("share", [-0.1, 1.2, float("nan"), float("inf")])
def test_a_share_is_from_0_to_1(mixture: MuscleRig, share: float) -> None:
    with pytest.raises(UsageError, match="a share from 0 to 1"):
        mixed.mix(mixture, share)


def test_one_basis_mixes_nothing(rig: MuscleRig) -> None:
    with pytest.raises(UsageError, match="`mixed`"):
        drawn.mix(rig, 0.5)
