"""What is seen beside the expression: nuisances in the plan, and what they do to frames."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from miex.aus.vector import AU_INDEX, N_AUS, from_mapping
from miex.errors import UsageError
from miex.faces.crop import AlignedFace, CropOptions, align, place_crop
from miex.faces.photos import default_pool
from miex.generators.grid import GRID, Field, face_area
from miex.generators.muscle import MuscleGenerator, MuscleRig
from miex.generators.muscle.folds import compression
from miex.labels import Label
from miex.nuisances.apply import drift, shown_aus, through_sensor
from miex.nuisances.columns import NAMES, NUISANCES, nuisances_of
from miex.nuisances.draw import OTHER, draw
from miex.planning.config import PlanConfig
from miex.sources.expert import ExpertSource, load_table
from miex.stable import sample_rng
from tests.support import plan_of

SIZE = 128
OFF: dict[str, Any] = dict.fromkeys(NAMES)
ALL = nuisances_of("all")
EVERYWHERE = np.ones((80, 80), np.bool_)


def row(**parts: Any) -> dict[str, Any]:
    apex = from_mapping({4: 0.3, 12: 0.2})
    return {"aus": [np.zeros(N_AUS, np.float32), apex], "apex": 1, **OFF, **parts}


@pytest.fixture(scope="module")
def rig(astronaut: np.ndarray, astronaut_mesh: np.ndarray) -> MuscleRig:
    face: AlignedFace = align(astronaut, astronaut_mesh, place_crop(astronaut_mesh, CropOptions(SIZE)), SIZE)
    return MuscleGenerator().prepare(face)


def test_levels_and_some_of_a_level_by_name() -> None:
    names = {level: nuisances_of(level).names for level in ("off", "clean", "face", "all")}
    assert names["off"] == ()
    assert names["clean"] == ("blink", "residual")
    assert names["face"] == ("blink", "others", "residual")
    assert names["all"] == NAMES
    assert nuisances_of("all: noise, blink").names == ("blink", "noise")
    for wrong in ("bright", "face:noise", "clean:others", "off:blink", ""):
        with pytest.raises(UsageError, match=r"off, clean \(blink, residual\), face \(others\), all \(asymmetry"):
            nuisances_of(wrong)
    with pytest.raises(UsageError):
        PlanConfig(nuisances="bright")


def test_what_changes_the_whole_frame_is_told_from_what_changes_the_face() -> None:
    whole = [nuisance.name for nuisance in NUISANCES if nuisance.scope == "frame"]
    assert whole == ["head", "outliers", "light", "noise", "compression"]


def test_the_onset_of_clean_is_neutral_and_its_blinks_are_as_many() -> None:
    drawn = {
        level: [draw(nuisances_of(level), 5, 3, partial(sample_rng, seed)) for seed in range(300)]
        for level in ("clean", "face")
    }
    assert not any(sample["blink"][0] for sample in drawn["clean"])
    assert any(sample["blink"][0] for sample in drawn["face"])
    assert all(sample["others"] is None for sample in drawn["clean"])
    blinks = {level: [bool(np.any(sample["blink"])) for sample in samples] for level, samples in drawn.items()}
    assert blinks["clean"] == blinks["face"]
    assert [sample["residual"] for sample in drawn["clean"]] == [sample["residual"] for sample in drawn["face"]]


def test_a_part_switched_off_leaves_the_others_as_they_were(model: Path) -> None:
    plans = {c: plan_of(default_pool(), model, ids=3, nuisances=c).rows for c in ("off", "face:blink", "all")}
    for name in NAMES:
        assert plans["off"][name].null_count == len(plans["off"])
        assert plans["all"][name].null_count == 0
    assert plans["face:blink"]["blink"] == plans["all"]["blink"]
    assert plans["face:blink"]["others"].null_count == 9
    assert plans["off"]["aus"] == plans["all"]["aus"]  # what the source drew stays what is recorded as the label's AUs


def test_shown_aus_by_hand() -> None:
    others = np.zeros((2, N_AUS), np.float32)
    others[0, AU_INDEX[12]], others[1, AU_INDEX[4]] = 0.1, 0.9
    uneven = np.zeros(N_AUS, np.float32)
    uneven[AU_INDEX[12]] = -0.75  # the left side moves by a quarter of the right
    aus = shown_aus(row(others=others, asymmetry=uneven, blink=[0.0, 0.25]))
    assert aus[0, AU_INDEX[12]] == pytest.approx([0.1, 0.1])
    assert aus[1, AU_INDEX[12]] == pytest.approx([0.05, 0.2])
    assert aus[1, AU_INDEX[4]] == pytest.approx([1, 1])  # never above 1
    assert aus[:, AU_INDEX[45]] == pytest.approx(np.array([[0, 0], [0.25, 0.25]]))
    assert np.array_equal(shown_aus(row())[..., 0], np.stack(row()["aus"]))


@pytest.mark.parametrize("n", [2, 7])
def test_what_is_drawn_fits_its_columns(n: int) -> None:
    drawn = [draw(ALL, n, n - 1, partial(sample_rng, seed)) for seed in range(300)]
    for sample in drawn:
        assert [len(sample[name]) for name in ("blink", "others", "head", "light")] == [n] * 4
        assert np.asarray(sample["others"]).max() <= OTHER
        assert np.abs(sample["asymmetry"]).max() <= 1
        assert not np.any(sample["head"][0])
        assert 60 <= sample["compression"] <= 95
        assert all(0.1 <= x <= 0.9 and 0.1 <= y <= 0.9 for x, y, *_ in sample["outliers"])
    assert 0.6 < np.mean([np.any(sample["blink"]) for sample in drawn]) < 0.8
    assert draw(nuisances_of("off"), n, n - 1, partial(sample_rng, 0)) == OFF


def test_the_head_moves_everything_as_a_similarity(rig: MuscleRig) -> None:
    """Against OpenCV's warp of the finely sampled face: an independent way to the same picture."""
    right, down, roll, zoom = 0.03, -0.02, 0.015, 0.01
    moved = row(head=[[0, 0, 0, 0], [right, down, roll, zoom]])
    unit = rig.face.inter_ocular
    field = drift(moved, SIZE, unit, face_area(rig.face))
    assert field is not None
    assert not field[0].any()
    still = np.zeros((2, N_AUS, 2), np.float32)
    frames = MuscleGenerator().render(rig, still, field).frames
    middle = (SIZE - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), -np.degrees(roll), 1 + zoom)
    matrix[:, 2] += np.array([right, down]) * unit
    expected = cv2.warpAffine(rig.face.crop, matrix, (SIZE, SIZE), flags=cv2.INTER_CUBIC)
    inner = np.s_[8:-8, 8:-8]
    miss = np.abs(frames[1][inner].astype(float) - expected[inner])
    unmoved = np.abs(rig.face.crop[inner].astype(float) - expected[inner])
    assert miss.mean() < 0.3 * unmoved.mean()
    assert np.array_equal(frames[0], rig.face.crop)


def test_outliers_are_narrow_and_only_in_the_apex(rig: MuscleRig) -> None:
    field = drift(row(outliers=[[0.5, 0.25, 0.05, 0.04, 0.0]]), SIZE, 40.0, EVERYWHERE)
    assert field is not None
    assert not field[0].any()
    at = np.unravel_index(np.abs(field[1, ..., 0]).argmax(), (80, 80))
    assert np.abs(np.array(at) - (20, 40)).max() <= 1
    assert field[1].max() == pytest.approx(0.04 * 40, rel=0.1)
    assert np.abs(field[1, 40:]).max() < 1e-3
    assert drift(row(outliers=[]), SIZE, 40.0, EVERYWHERE) is None


def test_light_noise_and_compression() -> None:
    gray = np.full((2, 64, 64, 3), 100, np.uint8)
    assert through_sensor(gray, row()) is gray
    lit = through_sensor(gray, row(light=[[0, 0, 0], [0.1, 0, 0.05]], seed=1))
    assert np.array_equal(lit[0], gray[0])
    assert lit[1, 0, 0, 0] == 105
    assert lit[1, -1, 0, 0] == 115
    noisy = through_sensor(gray, row(noise=3.0, seed=1))
    assert noisy.std() == pytest.approx(3, rel=0.1)
    assert not np.array_equal(noisy[0], noisy[1])
    assert np.array_equal(noisy, through_sensor(gray, row(noise=3.0, seed=1)))
    assert not np.array_equal(noisy, through_sensor(gray, row(noise=3.0, seed=2)))
    blocks = through_sensor(noisy, row(compression=60, seed=1))
    assert 0 < np.abs(blocks.astype(int) - noisy).mean() < 6


def test_expression_outweighs_the_rest() -> None:
    """On average over samples, the AUs of the expression stay the largest change from onset to apex."""
    source = ExpertSource(load_table("micro"))
    own, others = [], []
    for seed in range(500):
        triplet = source.sample(Label(seed % 3), rng=sample_rng(seed, "aus"))
        sample = {"aus": [triplet.onset, triplet.apex], **draw(nuisances_of("face"), 2, 1, partial(sample_rng, seed))}
        change = np.diff(shown_aus(sample).mean(-1), axis=0)[0]
        own.append(change[triplet.apex > 0].mean())
        others.append(change[triplet.apex == 0].mean())
    assert np.mean(own) > 5 * abs(np.mean(others))


def test_residual_motion_is_smooth_stays_on_the_face_and_follows_the_seed(rig: MuscleRig) -> None:
    unit, area = rig.face.inter_ocular, face_area(rig.face)

    def motion(seed: int, rms: float) -> Field:
        found = drift({**row(residual=[0.3, rms]), "seed": seed}, SIZE, unit, area)
        assert found is not None
        return found

    field = motion(1, 0.02)
    assert not field[0].any()
    assert not field[:, ~area].any()
    assert np.array_equal(field, motion(1, 0.02))
    assert not np.allclose(field, motion(2, 0.02))
    np.testing.assert_allclose(motion(1, 0.01), field / 2, atol=1e-5)
    sizes = [np.sqrt(np.square(motion(seed, 0.02)[1][area]).mean()) / unit for seed in range(40)]
    assert 0.012 < np.mean(sizes) < 0.022  # less than 0.02, as it fades toward the rim
    cells_of_length = 0.3 * unit * len(area) / SIZE
    steps = np.abs(np.diff(field[1], axis=0)).max()
    assert steps < 6 * 0.02 * unit / cells_of_length


def test_what_is_drawn_hardly_ever_folds(rig: MuscleRig) -> None:
    """AUs of the default source, other AUs, blinks and residual motion together: 7 of 3,000 samples fold, by little."""
    source, unit, area = ExpertSource(load_table("micro")), rig.face.inter_ocular, face_area(rig.face)
    worst = []
    for seed in range(300):
        triplet = source.sample(Label(seed % 3), rng=sample_rng(seed, "aus"))
        drawn = draw(nuisances_of("face"), 2, 1, partial(sample_rng, seed))
        sample = {"aus": [triplet.onset, triplet.apex], "apex": 1, "seed": seed, **drawn}
        moved = drift(sample, SIZE, unit, area)
        assert moved is not None
        moved += MuscleGenerator().displacement(rig, shown_aus(sample))
        worst.append(max(compression(field, GRID / SIZE).max() for field in moved))
    assert sum(value >= 1 for value in worst) <= 3
    assert max(worst) < 1.2
