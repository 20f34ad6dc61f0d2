"""Motion that AUs asked for and motion that none did, against fields that are known."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from miex.aus.vector import AU_NUMBERS, from_mapping
from miex.faces.crop import CropOptions, align, place_crop
from miex.generators.grid import GRID, Field, cell_centers, face_area, warp
from miex.generators.muscle import MuscleGenerator, MuscleRig
from miex.images import Image
from miex.quality.motion import motion_of

SIZE = 192
MUSCLE = MuscleGenerator()
SMILE = np.stack([from_mapping({}), from_mapping({12: 0.3})])


@pytest.fixture(scope="module")
def rig(astronaut: Image, astronaut_mesh: np.ndarray) -> MuscleRig:
    return MUSCLE.prepare(align(astronaut, astronaut_mesh, place_crop(astronaut_mesh, CropOptions(SIZE)), SIZE))


def pair(rig: MuscleRig, aus: np.ndarray, drift: Field | None = None) -> tuple[Image, Image]:
    still = None if drift is None else np.stack([np.zeros_like(drift), drift])
    onset, apex = MUSCLE.render(rig, aus, still).frames
    return onset, apex


def rms(field: Field, cells: np.ndarray, rig: MuscleRig) -> float:
    return float(np.sqrt(np.square(field[cells]).sum(-1).mean())) * 100 / rig.face.inter_ocular


def bump(rig: MuscleRig, landmark: int, push: float) -> Field:
    """A push to the right around a landmark, inter-ocular distances, as wide as a quarter of one."""
    line, iod = cell_centers(SIZE, GRID), rig.face.inter_ocular
    x, y = rig.face.landmarks[landmark]
    weight = np.exp(-((line[None] - x) ** 2 + (line[:, None] - y) ** 2) / (2 * (0.25 * iod) ** 2))
    return (weight[..., None] * (push * iod, 0)).astype(np.float32)


def test_what_muscles_move_is_asked_for_and_nothing_else_moves(rig: MuscleRig) -> None:
    found = motion_of(rig, pair(rig, SMILE), SMILE, None)
    (field,) = MUSCLE.displacement(rig, SMILE[1:])
    moved = np.linalg.norm(field, axis=-1) * 100 / rig.face.inter_ocular > 0.05
    assert found.asked == pytest.approx(rms(field, moved & face_area(rig.face), rig), rel=0.2)
    assert found.unasked < 0.01
    assert 0.3 < found.still < 0.9


def test_nothing_moves_in_the_same_picture_twice(rig: MuscleRig) -> None:
    found = motion_of(rig, (rig.face.crop, rig.face.crop), SMILE, None)
    assert (found.asked, found.unasked) == (0, 0)


@pytest.mark.parametrize("push", [0.01, 0.03])
def test_a_bump_that_no_au_asked_for_is_found_as_large_as_it_is(rig: MuscleRig, push: float) -> None:
    onset, apex = pair(rig, SMILE)
    forehead = bump(rig, 151, push)
    (apex,) = warp(apex[None], forehead[None])
    found = motion_of(rig, (onset, apex), SMILE, None)
    (field,) = MUSCLE.displacement(rig, SMILE[1:])
    still = np.linalg.norm(field, axis=-1) * 100 / rig.face.inter_ocular <= 0.05
    still = cv2.erode(still.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool) & face_area(rig.face)
    assert found.unasked == pytest.approx(rms(forehead, still, rig), rel=0.15)
    assert found.asked == pytest.approx(motion_of(rig, pair(rig, SMILE), SMILE, None).asked, rel=0.05)


def test_what_the_plan_lets_drift_is_taken_back(rig: MuscleRig) -> None:
    line = cell_centers(SIZE, GRID)
    points = np.stack([*np.meshgrid(line, line), np.ones((GRID, GRID))], -1)
    matrix = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), 1.0, 1.01) + np.array([[0, 0, 1.5], [0, 0, -1.0]])
    head = (points @ matrix.T - points[..., :2]).astype(np.float32) + bump(rig, 151, 0.02)
    frames = pair(rig, SMILE, head)
    still = motion_of(rig, pair(rig, SMILE), SMILE, None)
    found = motion_of(rig, frames, SMILE, head)
    assert found.unasked < 0.06
    assert found.asked == pytest.approx(still.asked, rel=0.1)
    assert motion_of(rig, frames, SMILE, None).unasked > 2


def test_a_face_that_moves_all_over_is_not_judged(rig: MuscleRig) -> None:
    everything: Any = np.stack([from_mapping({}), from_mapping(dict.fromkeys(AU_NUMBERS, 0.3))])
    found = motion_of(rig, pair(rig, everything), everything, None)
    assert found.still < 0.05
    assert np.isnan(found.unasked)
    assert found.asked > 0.5
