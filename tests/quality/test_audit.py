"""The audit of a set: descriptors, comparisons, still pixels; and what is measured of a finished set."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from miex.aus.vector import AU_INDEX, N_AUS
from miex.dataset import open as open_set
from miex.errors import InputError
from miex.executors.base import IN_PROCESS
from miex.faces.crop import CropOptions, align, place_crop
from miex.faces.landmarks import Landmarker
from miex.faces.photos import default_pool
from miex.faces.planned import load_face
from miex.faces.sface import SFACE, SFace
from miex.generators.base import Rendered
from miex.generators.grid import GRID, cell_centers, warp
from miex.generators.muscle import MuscleGenerator
from miex.generators.registry import GENERATORS
from miex.quality.audit import Audit, Moved, Outside, Sharpness, audit_set, describe_audit
from miex.quality.identity import (
    DISTANCES,
    FrameDescriptor,
    describe_frames,
    distances_of,
    identity_kept,
    sface_distances,
    shape_distances,
)
from miex.quality.recovery import recovery
from miex.quality.stillness import changed_pixels, still_pixels
from miex.report.build import write_report
from miex.report.card import measured_lines
from miex.storage.fetched import PublishedFile
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.run import run_plan
from tests.support import Shuffled, command, facts, plan_of


def descriptor(rng: np.random.Generator) -> FrameDescriptor:
    shape, embedding = rng.normal(size=(468, 2)), rng.normal(size=128)
    return FrameDescriptor(shape - shape.mean(0), embedding / np.linalg.norm(embedding))


def kept_of(onset: list[Any], apex: list[Any], own: list[int], rest: list[Any], name: str, **masks: Any) -> Any:
    nothing = np.zeros((len(rest), len(rest)), bool)
    masks = {"same": np.eye(len(rest), dtype=bool), "related": nothing} | masks
    return identity_kept(onset, apex, own, rest, **masks, distances=DISTANCES[name])


# distances


def test_a_face_is_at_no_distance_from_itself(astronaut: np.ndarray, astronaut_mesh: np.ndarray, sface: SFace) -> None:
    (one,) = describe_frames([astronaut], [astronaut_mesh], sface)
    assert sface_distances([one], [one])[0, 0] == pytest.approx(0, abs=1e-12)
    assert shape_distances([one], [one])[0, 0] == pytest.approx(0, abs=1e-7)


def test_shape_forgets_where_how_large_and_how_turned_a_face_is(
    astronaut: np.ndarray, astronaut_mesh: np.ndarray
) -> None:
    turned = astronaut_mesh[:, :2] @ (1.7 * np.array([[math.cos(0.4), math.sin(0.4)], [-math.sin(0.4), math.cos(0.4)]]))
    one, other = describe_frames([astronaut, astronaut], [astronaut_mesh, turned + np.array([30, -20])])
    assert shape_distances([one], [other])[0, 0] == pytest.approx(0, abs=1e-6)
    mirrored = replace(other, shape=other.shape * (-1, 1))
    assert shape_distances([one], [mirrored])[0, 0] > 0.01


def test_shape_is_the_root_mean_square_offset() -> None:
    # all landmarks on a line, and off it by turns: no similarity takes any of that back
    x = np.linspace(-1, 1, 468)
    flat, bent = np.stack([x, 0 * x], 1), np.stack([x, 0.01 * np.cos(np.arange(468) * np.pi)], 1)
    found = shape_distances([FrameDescriptor(flat)], [FrameDescriptor(bent - bent.mean(0))])[0, 0]
    assert found == pytest.approx(0.01, rel=1e-2)


def test_sface_distance_is_one_less_the_cosine() -> None:
    def at(degrees: float) -> FrameDescriptor:
        angle = math.radians(degrees)
        return FrameDescriptor(np.zeros((468, 2)), np.array([math.cos(angle), math.sin(angle)]))

    found = sface_distances([at(0), at(60)], [at(0), at(90), at(180)])
    assert found == pytest.approx(np.array([[0, 1, 2], [0.5, 1 - math.sqrt(3) / 2, 1.5]]))


def test_frames_that_were_not_embedded_are_compared_by_shape_alone() -> None:
    rng = np.random.default_rng(3)
    with_it = descriptor(rng)
    without = replace(descriptor(rng), embedding=None)
    assert list(distances_of([with_it, with_it])) == ["SFace", "shape"]
    assert list(distances_of([with_it, without])) == ["shape"]


# kept


@pytest.mark.parametrize("name", DISTANCES)
def test_frames_like_the_rest_are_all_kept_and_swapped_ones_are_not(name: str) -> None:
    rng = np.random.default_rng(0)
    rest = [descriptor(rng) for _ in range(5)]
    own = [0, 1, 2, 3, 4, 0]
    frames = [rest[i] for i in own]
    same = kept_of(frames, frames, own, rest, name)
    assert (same.own_onset, same.own_apex, same.n_faces, len(same.people)) == (1, 1, 5, 10)
    assert same.apex == pytest.approx(0, abs=1e-7)
    assert same.ratio == pytest.approx(0, abs=1e-6)
    swapped = kept_of(frames, [rest[(i + 1) % 5] for i in own], own, rest, name)
    assert (swapped.own_onset, swapped.own_apex) == (1, 0)
    assert swapped.ratio > 0.5


def test_relatives_are_told_apart_and_the_same_person_is_nobody_else() -> None:
    rng = np.random.default_rng(1)
    rest = [descriptor(rng) for _ in range(3)]
    rest.append(rest[0])  # another photo of the first person, which looks exactly alike
    same, related = np.eye(4, dtype=bool), np.zeros((4, 4), bool)
    same[0, 3] = same[3, 0] = related[1, 2] = related[2, 1] = True
    found = kept_of([rest[3]], [rest[0]], [0], rest, "SFace", same=same, related=related)
    assert (len(found.people), len(found.relatives)) == (4, 1)
    assert (found.own_onset, found.own_apex) == (1, 1)
    all_related = kept_of([rest[1]], [rest[1]], [1], rest, "SFace", related=~np.eye(4, dtype=bool))
    assert math.isnan(all_related.ratio)


def test_apexes_swapped_among_people_are_seen_on_real_frames(
    finished: Path, landmarker: Landmarker, sface: SFace
) -> None:
    dataset = open_set(finished)
    record = dataset.record

    def described(frames: Sequence[np.ndarray]) -> list[FrameDescriptor]:
        found = [landmarker.detect(frame) for frame in frames]
        return describe_frames(frames, [one.landmarks[one.largest] for one in found], sface)

    faces = dataset.faces.to_pylist()[:4]
    rest = described([load_face(Path(record["faces_root"]), face, 96).crop for face in faces])
    pairs = [dataset.select(identity=face["identity"])[0].pair for face in faces]
    onsets, apexes = (described(frames) for frames in zip(*pairs, strict=True))
    assert kept_of(onsets, apexes, [0, 1, 2, 3], rest, "SFace").own_apex == 1
    assert kept_of(onsets, [*apexes[1:], apexes[0]], [0, 1, 2, 3], rest, "SFace").own_apex == 0


# off the face


def test_pixels_off_the_face_hold_still_and_a_changed_one_is_counted(
    astronaut: np.ndarray, astronaut_mesh: np.ndarray
) -> None:
    generator = MuscleGenerator()
    face = align(astronaut, astronaut_mesh, place_crop(astronaut_mesh, CropOptions(128)), 128)
    rig = generator.prepare(face)
    aus = np.zeros((1, N_AUS), np.float32)
    aus[0, AU_INDEX[12]] = 0.3
    (frame,) = generator.render(rig, aus).frames
    still = still_pixels(rig, aus[0])
    assert 0.2 < still.mean() < 0.8
    assert not still[tuple(face.landmarks[[1, 61, 291]].round().astype(int).T[::-1])].any()
    assert changed_pixels(frame, face.crop, still) == 0
    assert not np.array_equal(frame, face.crop)
    off, on = np.argwhere(still)[0], np.argwhere(~still)[0]
    frame[tuple(off)][2] ^= 1  # one bit of one channel
    frame[tuple(on)] ^= 255
    assert changed_pixels(frame, face.crop, still) == 1


# of a set


@pytest.fixture(scope="module")
def measured(finished: Path, model: Path, sface_model: Path) -> Audit:
    return audit_set(finished, n=6, model=model, sface=sface_model, executor=IN_PROCESS)


def test_a_set_is_measured_whatever_the_order_of_the_work(
    finished: Path, model: Path, sface_model: Path, measured: Audit
) -> None:
    assert (measured.n, measured.of, measured.size) == (6, 36, 96)
    assert measured.recovery is None  # 6 pairs are too few, and that is said
    assert sum("96 px" in note for note in measured.notes) == 1
    assert sum("AUs were not compared" in note for note in measured.notes) == 1
    for kept in measured.identity.values():
        assert kept.n_faces == 6
        assert len(kept.onset) == 6
    assert list(measured.identity) == ["SFace", "shape"]
    assert measured.identity["SFace"].own_apex == 1
    outside = measured.outside
    assert outside is not None
    assert outside.unchanged + len(outside.changed) == outside.n == 6
    assert outside.still > 0.2
    assert measured.sharpness is not None
    assert measured.moved is not None
    assert len(measured.sharpness.onset) == len(measured.moved.asked) == 6
    assert measured.sharpness.apex.max() < 1.1  # parted lips and folds add a little
    assert np.median(measured.moved.asked) > 5 * np.median(measured.moved.unasked)

    seen: list[tuple[int, int, str]] = []
    again = audit_set(
        finished, n=6, model=model, sface=sface_model, executor=Shuffled(), progress=lambda *at: seen.append(at)
    )
    assert describe_audit(again) == describe_audit(measured)
    assert seen[-1] == (6, 6, "")


def test_the_report_tells_it_with_the_same_bytes(finished: Path, measured: Audit, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    texts = []
    for _ in range(2):
        write_report(out, n=2, audit=measured)
        texts.append([(out / name).read_bytes() for name in ("README.md", "gallery.html")])
    assert texts[0] == texts[1]
    readme = texts[0][0].decode()
    assert "6 of 36 samples (stratified random choice, seed 0), stored frames of 96 px." in readme
    assert "| SFace | 6 |" in readme
    assert all(note in readme for note in measured.notes)
    write_report(out, n=2)
    assert "Not yet: `miex report`" in (out / "README.md").read_text()


def test_without_a_model_and_without_network_the_report_says_what_is_left_out(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_: object, **__: object) -> Path:
        raise InputError("landmark model", found="no network")

    out = tmp_path / "set"
    shutil.copytree(finished, out)
    monkeypatch.setattr("miex.storage.fetched.PublishedFile.find", nowhere)
    made = facts("report", out, "--samples", 2, "--audit", 3, "--workers", 1)["measured"]
    assert made["aus"] is None
    assert made["identity"] == {}
    assert made["outside"]["measured"] == 3
    assert made["sharpness"]["apex"]["n"] == made["motion"]["asked"]["n"] == 3
    assert "no landmark model was at hand" in (out / "README.md").read_text()
    assert "no landmark model was at hand" in (out / "gallery.html").read_text()
    named = command("report", out, "--landmarker", tmp_path / "none.task")
    assert named.returncode == InputError.exit_code


def test_without_sface_identity_is_measured_by_shape_and_the_report_says_so(
    finished: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(file: PublishedFile, *_: object, **__: object) -> Path:
        if file is SFACE:
            raise InputError(file.title, found="no network")
        return model

    out = tmp_path / "set"
    shutil.copytree(finished, out)
    monkeypatch.setattr("miex.storage.fetched.PublishedFile.find", nowhere)
    done = command("report", out, "--samples", 2, "--audit", 3, "--workers", 1, "--json")
    assert "identity is measured by shape alone: SFace model" in " ".join(done.stderr.split())
    assert list(json.loads(done.stdout)["measured"]["identity"]) == ["shape"]
    for name in ("README.md", "gallery.html"):
        assert "no SFace model was at hand" in (out / name).read_text()
    named = command("report", out, "--sface", tmp_path / "none.onnx")
    assert named.returncode == InputError.exit_code


def test_audit_0_measures_nothing(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    monkeypatch.setattr("miex.quality.audit.audit_set", None)  # to call it would fail
    assert facts("report", out, "--samples", 2, "--audit", 0) == {"gallery": str(out / "gallery.html")}


def test_photos_that_are_gone_are_said_and_aus_are_read_against_the_onset(
    finished: Path, model: Path, tmp_path: Path
) -> None:
    found = audit_set(finished, n=2, model=model, sface=None, faces_root=tmp_path, executor=IN_PROCESS)
    assert found.outside is None
    assert found.identity == {}
    assert (found.sharpness, found.moved) == (None, None)
    assert any(note.startswith("2 of 2 photos are not where") for note in found.notes)
    assert not any("no face was found" in note for note in found.notes)


def test_nuisances_that_change_every_pixel_are_not_held_against_the_face(model: Path, tmp_path: Path) -> None:
    adopt_plan(plan_of(default_pool(), model, ids=2, size=64, nuisances="all", classes=("positive",)), tmp_path / "set")
    run_plan(tmp_path / "set")
    found = audit_set(tmp_path / "set", model=None, sface=None, executor=IN_PROCESS)
    assert found.outside is None
    assert any("nuisances (all)" in note and "head" in note for note in found.notes)
    assert (found.sharpness, found.moved) == (None, None)
    assert any("every pixel on purpose" in note for note in found.notes)


class Bumpy(MuscleGenerator):
    """Muscle, with a push at the forehead that no AU asked for, and soft."""

    name = "bumpy"

    def _render(self, rig: Any, aus: Any, drift: Any) -> Rendered:
        made = super()._render(rig, aus, drift)
        line, iod = cell_centers(rig.face.size, GRID), rig.face.inter_ocular
        x, y = rig.face.landmarks[151]
        weight = np.exp(-((line[None] - x) ** 2 + (line[:, None] - y) ** 2) / (2 * (0.25 * iod) ** 2))
        push = (weight[..., None] * (0.02 * iod, 0)).astype(np.float32)
        acts = aus.reshape(len(aus), -1).any(axis=1)[:, None, None, None]
        frames = warp(made.frames, push * acts)
        return replace(made, frames=np.stack([cv2.GaussianBlur(frame, (0, 0), 0.7) for frame in frames]))


def test_a_generator_that_softens_and_moves_what_no_au_asked_for_is_found_out(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GENERATORS, "bumpy", lambda: Bumpy)
    found = {}
    for name in ("muscle", "bumpy"):
        out, of = tmp_path / name, {"ids": 3, "size": 96, "nuisances": "off", "classes": ("positive",)}
        adopt_plan(plan_of(default_pool(), model, generator=name, **of), out)
        run_plan(out)
        told = describe_audit(audit_set(out, model=None, sface=None, executor=IN_PROCESS))
        found[name] = [told["sharpness"][end]["quantiles"][2] for end in ("onset", "apex")]
        found[name] += [told["motion"][part]["quantiles"][2] for part in ("asked", "unasked")]
    muscle, bumpy = found["muscle"], found["bumpy"]
    assert muscle[0] == 1
    assert muscle[1] > 0.95
    assert muscle[3] < 0.02 < 0.4 < bumpy[3]
    assert max(bumpy[:2]) < 0.8
    assert bumpy[2] == pytest.approx(muscle[2], rel=0.25)


def test_the_ruler_does_not_ask_which_generator_made_the_frames(
    finished: Path, model: Path, sface_model: Path, measured: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> None:
        raise AssertionError("the audit asks for the generator of the set")

    monkeypatch.setitem(GENERATORS, "muscle", asked)  # deleted and restored, it would come last in the list
    found = audit_set(finished, n=6, model=model, sface=sface_model, executor=IN_PROCESS)
    assert describe_audit(found) == describe_audit(measured)


def test_numbers_are_told_as_they_are() -> None:
    rng = np.random.default_rng(2)
    z = np.where(rng.random((200, N_AUS)) < 0.4, rng.uniform(0.1, 0.3, (200, N_AUS)), 0).astype(np.float32)
    z[:, AU_INDEX[45]] = 0
    read = (0.5 * z).astype(np.float32)
    read[:, AU_INDEX[2]] += 0.25 * z[:, AU_INDEX[1]]
    outside = Outside(200, 197, np.array([1, 4, 9]), 0.5)
    sharp = Sharpness(np.ones(200), np.linspace(0.8, 1, 201))
    moved = Moved(np.linspace(1, 2, 201), np.linspace(0, 0.02, 101), 0.6)
    told = describe_audit(Audit(200, 900, 3, 256, 0, 0, recovery(z, read), {}, outside, sharp, moved, ("a note",)))
    assert told["aus"]["aus"]["1"]["slope"] == 0.5
    assert told["aus"]["crosstalk"][AU_INDEX[1]][AU_INDEX[2]] == 0.25
    assert told["aus"]["crosstalk"][AU_INDEX[45]] == [None] * N_AUS
    assert told["outside"]["pixels"] == {"median": 4, "most": 9}
    assert told["sharpness"]["apex"] == {"n": 201, "quantiles": [0.81, 0.85, 0.9, 0.95, 0.99]}
    assert (told["motion"]["ratio"], told["motion"]["still"], told["motion"]["unasked"]["n"]) == (150, 0.6, 101)
    assert (
        describe_audit(Audit(1, 1, 0, 64, 0, None, None, {}, None, None, replace(moved, unasked=np.zeros(3)), ()))[
            "motion"
        ]["ratio"]
        is None
    )  # nothing stirs: JSON knows no infinity
    json.dumps(told, allow_nan=False)
    text = "\n".join(measured_lines(told))
    n = int((z[:, AU_INDEX[1]] > 0).sum())
    assert f"| 1 | inner brow raiser | {n} | 0.50 |" in text
    assert "| AU 2 (0.25) |" in text
    assert "in 197 of 200 samples. In the others 4 pixels differ (median), at most 9" in text
    assert "| apex | 201 | 0.810 | 0.900 | 0.990 |" in text
    assert "1.500 | " in text
    assert "150 times" in text
    assert "- a note" in text
