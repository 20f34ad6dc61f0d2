"""What is seen beside the expression: nuisances in the plan, and what they do to frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from miex.aus.vector import AU_INDEX, N_AUS, from_mapping
from miex.errors import UsageError
from miex.faces.crop import OVERSAMPLING, AlignedFace, CropOptions, align, place_crop
from miex.faces.photos import default_pool
from miex.faces.virtual import make_virtual
from miex.generators.grid import GRID, Field, cell_centers, face_area
from miex.generators.grid import sample as sampled
from miex.generators.muscle import MuscleGenerator, MuscleRig
from miex.generators.muscle.anatomy import load
from miex.generators.muscle.basis import FaceFrame
from miex.generators.muscle.blendshapes import SKIN, relief, shapes
from miex.generators.muscle.cuts import at_points
from miex.generators.muscle.folds import compression
from miex.generators.muscle.lids import Eye
from miex.labels import Label
from miex.nuisances.apply import FURTHEST, PATTERN, drift, shown_aus, through_sensor
from miex.nuisances.columns import NAMES, NUISANCES, nuisances_of
from miex.nuisances.draw import FURTHEST_TURN, OTHER
from miex.nuisances.still import EYES, has_glasses, still_area
from miex.planning.config import PlanConfig
from miex.sources.expert import ExpertSource, load_table
from miex.stable import sample_rng, sample_rngs
from tests.generators.edges import displaced
from tests.support import nuisances_drawn, plan_of

SIZE = 128
OFF: dict[str, Any] = dict.fromkeys(NAMES)
EVERYWHERE = np.ones((80, 80), np.bool_)
NOWHERE = ~EVERYWHERE
NO_AUS = np.zeros((7, N_AUS), np.float32)


def row(**parts: Any) -> dict[str, Any]:
    apex = from_mapping({4: 0.3, 12: 0.2})
    return {"aus": [np.zeros(N_AUS, np.float32), apex], "apex": 1, "sides": None, **OFF, **parts}


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
    drawn = {level: [nuisances_drawn(level, NO_AUS[:5], 3, seed) for seed in range(300)] for level in ("clean", "face")}
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
    right = np.zeros(N_AUS, np.int8)
    right[AU_INDEX[12]] = -1
    aus = shown_aus(row(sides=right, others=others, asymmetry=uneven))
    assert aus[1, AU_INDEX[12]] == pytest.approx([0, 0.2])  # alone on the right, whose side moves in full
    assert aus[0, AU_INDEX[12]] == pytest.approx([0.1, 0.1])  # other muscles are on both sides
    assert aus[1, AU_INDEX[4]] == pytest.approx([1, 1])


@pytest.mark.parametrize("n", [2, 7])
def test_what_is_drawn_fits_its_columns(n: int) -> None:
    drawn = [nuisances_drawn("all", NO_AUS[:n], n - 1, seed) for seed in range(300)]
    for sample in drawn:
        assert [len(sample[name]) for name in ("blink", "others", "head", "turn", "light")] == [n] * 5
        assert np.asarray(sample["others"]).max() <= OTHER
        assert np.abs(sample["asymmetry"]).max() <= 1
        assert not np.any(sample["head"][0])
        assert not np.any(sample["turn"][0])
        assert np.abs(sample["turn"]).max() <= np.float32(FURTHEST_TURN)
        assert 60 <= sample["compression"] <= 95
        assert all(0.1 <= x <= 0.9 and 0.1 <= y <= 0.9 for x, y, *_ in sample["outliers"])
    assert 0.6 < np.mean([np.any(sample["blink"]) for sample in drawn]) < 0.8
    assert nuisances_drawn("off", NO_AUS[:n], n - 1, 0) == OFF


def test_a_turn_moves_skin_as_a_rotation_in_depth_does() -> None:
    """Against the modeled head itself, turned in three dimensions."""
    yaw, pitch, unit = 0.03, -0.02, 39.0
    mesh = np.column_stack([shapes().points[:SKIN], shapes().depth])
    points = (mesh[:, :2] * unit + (63.5, 48.6)).astype(np.float32)
    face = AlignedFace(np.zeros((509, 509, 3), np.uint8), SIZE, np.concatenate([points, np.zeros((10, 2), np.float32)]))
    field = drift(row(turn=[[0, 0], [yaw, pitch]]), SIZE, unit, EVERYWHERE, NOWHERE, relief(face))
    assert field is not None
    assert not field[0].any()
    assert not field[1][[0, -1]].any()
    x, y, z = mesh.T
    turned = np.stack([x * np.cos(yaw) - z * np.sin(yaw), y * np.cos(pitch) - z * np.sin(pitch)], 1) - mesh[:, :2]
    angles, distances = face.polar(*points.T)
    inner = distances < 0.75 * np.interp(angles, *face.outline())
    moved = at_points(field[1][None], points, FaceFrame(face, load(), GRID))[0] / unit
    miss, way = (
        (one - one.mean(0)).std() for one in ((moved - turned)[inner], turned[inner])
    )  # wherever the axis lies
    assert miss < 0.1 * way


def test_the_head_moves_everything_as_a_similarity(rig: MuscleRig) -> None:
    """Against OpenCV's warp of the finely sampled face: an independent way to the same picture."""
    right, down, roll, zoom = 0.03, -0.02, 0.015, 0.01
    moved = row(head=[[0, 0, 0, 0], [right, down, roll, zoom]])
    unit = rig.face.inter_ocular
    field = drift(moved, SIZE, unit, face_area(rig.face), NOWHERE)
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
    field = drift(row(outliers=[[0.5, 0.25, 0.05, 0.04, 0.0]]), SIZE, 40.0, EVERYWHERE, NOWHERE)
    assert field is not None
    assert not field[0].any()
    at = np.unravel_index(np.abs(field[1, ..., 0]).argmax(), (80, 80))
    assert np.abs(np.array(at) - (20, 40)).max() <= 1
    assert field[1].max() == pytest.approx(FURTHEST * np.tanh(0.04 / FURTHEST) * 40, rel=0.02)
    assert np.abs(field[1, 40:]).max() < 1e-3
    assert drift(row(outliers=[]), SIZE, 40.0, EVERYWHERE, NOWHERE) is None


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


def test_frames_of_a_gray_photo_are_gray(rig: MuscleRig) -> None:
    """With every nuisance at once, and with a mouth that opens onto what is not in the photo."""
    levels = rig.face.samples[..., 1:2].repeat(3, axis=2)
    face = AlignedFace(levels, SIZE, rig.face.landmarks)
    generator, area, still = MuscleGenerator(), face_area(face), still_area(face)
    for gray in (generator.prepare(face), generator.prepare(make_virtual(face, 1))):
        rows = list(samples(40, "all"))
        every = {name: next(row[name] for row in rows if row[name]) for name in NAMES}
        open_mouth = np.stack([from_mapping({25: 0.1, 26: 0.3}), from_mapping({10: 0.4, 25: 0.6, 26: 0.6})])
        for row in (rows[0] | every | {"aus": open_mouth}, *rows[1:6]):
            field = drift(row, SIZE, face.inter_ocular, area, still, relief(face))
            frames = through_sensor(generator.render(gray, shown_aus(row), field).frames, row)
            assert len(frames) == 2
            assert (frames == frames[..., :1]).all()
            assert not np.array_equal(*frames)


def test_expression_outweighs_the_rest() -> None:
    """On average over samples, the AUs of the expression stay the largest change from onset to apex."""
    source = ExpertSource(load_table("micro"))
    own, others = [], []
    for seed in range(500):
        triplet = source.sample(Label(seed % 3), rng=sample_rng(seed, "aus"))
        aus = np.stack([triplet.onset, triplet.apex])
        sample = {"aus": aus, "sides": None, **nuisances_drawn("face", aus, 1, seed)}
        change = np.diff(shown_aus(sample).mean(-1), axis=0)[0]
        own.append(change[triplet.apex > 0].mean())
        others.append(change[triplet.apex == 0].mean())
    assert np.mean(own) > 5 * abs(np.mean(others))


def test_residual_motion_is_smooth_stays_on_the_face_and_follows_the_seed(rig: MuscleRig) -> None:
    unit, area = rig.face.inter_ocular, face_area(rig.face)

    def motion(seed: int, rms: float) -> Field:
        found = drift({**row(residual=[0.3, rms]), "seed": seed}, SIZE, unit, area, NOWHERE)
        assert found is not None
        return found

    field, rngs = motion(1, 0.02), sample_rngs([3, 1], PATTERN)
    next(rngs)
    given = drift({**row(residual=[0.3, 0.02]), "seed": 1}, SIZE, unit, area, NOWHERE, rng=next(rngs))
    assert np.array_equal(field, given)
    assert not field[0].any()
    assert not field[:, ~area].any()
    assert np.array_equal(field, motion(1, 0.02))
    assert not np.allclose(field, motion(2, 0.02))
    np.testing.assert_allclose(motion(1, 0.001), 2 * motion(1, 0.0005), rtol=0.01)  # bounded where it is large
    sizes = [np.sqrt(np.square(motion(seed, 0.02)[1][area]).mean()) / unit for seed in range(40)]
    assert 0.012 < np.mean(sizes) < 0.022  # less than 0.02, as it fades toward the rim
    cells_of_length = 0.3 * unit * len(area) / SIZE
    steps = np.abs(np.diff(field[1], axis=0)).max()
    assert steps < 6 * 0.02 * unit / cells_of_length


def test_what_is_drawn_hardly_ever_folds(rig: MuscleRig) -> None:
    """AUs of the default source, other AUs, blinks and residual motion together: 7 of 3,000 samples fold, by little."""
    source, unit = ExpertSource(load_table("micro")), rig.face.inter_ocular
    area, still = face_area(rig.face), still_area(rig.face)
    worst = []
    for seed in range(300):
        triplet = source.sample(Label(seed % 3), rng=sample_rng(seed, "aus"))
        aus = np.stack([triplet.onset, triplet.apex])
        sample = {"aus": aus, "sides": None, "apex": 1, "seed": seed, **nuisances_drawn("face", aus, 1, seed)}
        moved = drift(sample, SIZE, unit, area, still)
        assert moved is not None
        moved += MuscleGenerator().displacement(rig, shown_aus(sample))
        worst.append(max(compression(field, GRID / SIZE).max() for field in moved))
    assert sum(value >= 1 for value in worst) <= 3
    assert max(worst) < 1.2


@pytest.fixture(scope="module")
def people(rig: MuscleRig) -> list[AlignedFace]:
    """Faces of other proportions, too: eyes are where they are on each."""
    return [rig.face, *(make_virtual(rig.face, seed) for seed in range(4))]


def samples(n: int, level: str = "face") -> Iterator[dict[str, Any]]:
    """Default rows, as a plan would hold them."""
    source = ExpertSource(load_table("micro"))
    for seed in range(n):
        triplet = source.sample(Label(seed % 3), rng=sample_rng(seed, "aus"))
        aus = np.stack([triplet.onset, triplet.apex])
        drawn = nuisances_drawn(level, aus, 1, seed)
        yield {"aus": aus, "sides": None, "apex": 1, "seed": seed, **drawn}


def at(field: Field, points: np.ndarray, size: int) -> np.ndarray:
    where = ((points + 0.5) * GRID / size - 0.5).astype(np.float32)
    return np.asarray(sampled(field, where[None])[0])


def test_no_nuisance_but_the_head_moves_an_eye_and_none_goes_far(people: list[AlignedFace]) -> None:
    moved_skin = []
    for face in people:
        unit, area, still = face.inter_ocular, face_area(face), still_area(face)
        lids, irises = face.landmarks[[*EYES[0], *EYES[1]]], face.landmarks[468:478]
        for row in samples(60, "all"):
            row["head"] = row["turn"] = None
            field = drift(row, SIZE, unit, area, still)
            assert field is not None
            assert np.abs(at(field[1], irises, SIZE)).max() < 1e-3 * unit
            assert np.abs(at(field[1], lids, SIZE)).max() < 0.005 * unit
            assert not field[1, still].any()
            moved_skin.append(np.hypot(*np.moveaxis(field[1, area], -1, 0)).mean() / unit)
            alone = drift(row | {"outliers": None}, SIZE, unit, area, still)
            assert alone is not None
            assert np.hypot(*np.moveaxis(alone, -1, 0)).max() <= FURTHEST * unit
    assert np.median(moved_skin) > 0.005  # the skin does move


def test_what_the_expression_has_moves_as_it_is_coded() -> None:
    """Neither blinks nor other AUs touch it, and a lid that it raises never falls."""
    rng = np.random.default_rng(0)
    up, down = AU_INDEX[5], AU_INDEX[45]
    seen = dict.fromkeys(("raised", "closed", "opens", "blink", "full"), 0)
    for seed in range(1500):
        aus = np.zeros((3, N_AUS), np.float32)
        some = rng.choice(N_AUS, rng.choice((1, 3, N_AUS)), replace=False)
        for au in [*some, *[(up, down)[seed % 2]] * (seed % 3)]:
            aus[1:, au] = rng.uniform(0.01, 0.3)
            aus[0, au] = aus[1, au] * rng.integers(2)
        own = aus.any(0)
        drawn = nuisances_drawn("face", aus, 2, seed)
        shown = shown_aus({"aus": aus, "sides": None, **OFF, **drawn})[..., 0]
        np.testing.assert_array_equal(shown[:, own], aus[:, own])
        assert own[up] or not shown[:, up].any()
        blink = np.asarray(drawn["blink"])
        if shown[:, up].any():
            assert (np.diff(blink) <= 0).all()
            assert not (shown[:, up] * blink)[[0, 2]].any()
        assert np.array_equal(shown[:, down], aus[:, down] + blink)
        seen["raised"] += bool(own[up] and not blink.any())
        seen["closed"] += bool(own[down])
        seen["opens"] += bool(shown[2, up] and blink[0])
        seen["blink"] += bool(blink.any())
        seen["full"] += bool(own.all() and not np.any(drawn["others"]))
        others = nuisances_drawn("face:others", aus, 2, seed)["others"]
        assert np.array_equal(others, drawn["others"])
    assert all(seen.values()), seen


def test_both_lids_of_a_blink_close_alike(people: list[AlignedFace]) -> None:
    apart = []
    for face in people:
        rig = MuscleGenerator().prepare(face)
        assert rig.layers
        area, still = face_area(face), still_area(face)
        for row in samples(25):
            if not np.any(row["blink"]):
                continue
            field = drift(row, SIZE, face.inter_ocular, area, still)
            assert field is not None
            closed = []
            for frame in (0, 1):
                z = shown_aus(row)[frame].reshape(-1)
                eyes = {
                    part.closing: part for part in rig.layers.parts(np.ones(34, np.float32)) if isinstance(part, Eye)
                }
                for _, eye in sorted(eyes.items()):
                    cut = eye.cut
                    edges = cut.edges + displaced(cut, z)
                    edges = edges + at(field[frame], cut.edges.reshape(-1, 2), SIZE).reshape(edges.shape)
                    openings = [np.maximum(0, e[1, :, 1] - e[0, :, 1]).max() for e in (edges, cut.edges)]
                    closed.append(1 - openings[0] / openings[1])
            left, right = closed[2] - closed[0], closed[3] - closed[1]
            apart.append(abs(left - right))
    assert len(apart) > 60
    assert np.median(apart) < 0.02
    assert max(apart) < 0.12  # of the opening; the two eyes of a person are not equally high


def test_glasses_are_found_and_hold_still(rig: MuscleRig) -> None:
    face = rig.face
    assert not has_glasses(face)
    drawn, unit = face.samples.copy(), face.inter_ocular * OVERSAMPLING
    points = face.landmarks * OVERSAMPLING
    for ring in EYES:
        x, y = points[list(ring)].mean(0)
        lens, thick = (round(0.36 * unit), round(0.25 * unit)), round(0.04 * unit)
        cv2.ellipse(drawn, (round(x), round(y + 0.04 * unit)), lens, 0, 0, 360, (20, 20, 20), thick)
    x, y = points[[168]].mean(0)
    half = round(0.15 * unit)
    cv2.line(drawn, (round(x) - half, round(y)), (round(x) + half, round(y)), (20, 20, 20), round(0.04 * unit))
    wearing = AlignedFace(drawn, face.size, face.landmarks)
    assert has_glasses(wearing)
    still = still_area(wearing)
    assert (still | ~still_area(face)).all()
    line = cell_centers(SIZE, GRID)
    rims = np.stack(np.meshgrid(line, line), -1)[sample_mask(drawn != face.samples)]
    for row in samples(20):
        field = drift(row, SIZE, face.inter_ocular, face_area(face), still)
        assert field is not None
        assert np.abs(at(field[1], rims, SIZE)).max() < 0.001 * face.inter_ocular


def sample_mask(changed: np.ndarray) -> np.ndarray:
    """Cells in which a picture changed."""
    mask = cv2.resize(changed.any(-1).astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(mask > 0)


def test_the_onset_of_clean_is_the_photo(rig: MuscleRig) -> None:
    unit, area, still = rig.face.inter_ocular, face_area(rig.face), still_area(rig.face)
    for row in samples(12, "clean"):
        frames = MuscleGenerator().render(rig, shown_aus(row), drift(row, SIZE, unit, area, still)).frames
        assert np.array_equal(frames[0], rig.face.crop)
        assert not np.array_equal(frames[1], rig.face.crop)
