"""Predicting with the recognizer that comes with miex, without torch; and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import miex
from miex.errors import InputError, UsageError
from miex.faces.landmarks import Landmarker
from miex.images import Image
from miex.recognition.inputs.flow import FlowMaps
from miex.recognition.inputs.frames import ApexFrame
from miex.recognition.predictor import Limits
from miex.recognition.spotting import Reference
from miex.recognition.suitable import LEAST_MOTION, SAME_FACE, Refusal, refusal
from tests.film_fixture import EVENT
from tests.support import command, facts

ONSET, APEX, _ = EVENT
UNIT = 79  # pixels between the eyes in the film


@pytest.fixture(scope="module")
def pair(film: Image) -> tuple[Image, Image]:
    """Onset and apex of an expression: brows up, corners of the mouth down."""
    return film[ONSET], film[APEX]


def noisy(frame: Image, spread: float) -> Image:
    noise = np.random.default_rng(0).normal(0, spread, frame.shape)
    return np.clip(np.rint(frame + noise), 0, 255).astype(np.uint8)


def moved(frame: Image, right: float, down: float = 0.0) -> Image:
    there = np.array([[1, 0, right], [0, 1, down]], np.float64)
    return np.asarray(cv2.warpAffine(frame, there, frame.shape[1::-1], borderMode=cv2.BORDER_REPLICATE), np.uint8)


def test_a_clip_is_read_without_torch(film_folder: Path, film_video: Path, pair: tuple[Image, Image]) -> None:
    """In an interpreter where torch, safetensors and scikit-learn cannot be imported: folder, video, images."""
    code = f"""
import sys
for name in ("torch", "safetensors", "sklearn", "tensorboardX", "onnx"):
    sys.modules[name] = None
import miex
recognizer = miex.load_recognizer()
found = [
    recognizer.predict({str(film_folder)!r}, onset={ONSET}, apex={APEX}),
    *miex.predict({str(film_video)!r}),
    *miex.predict(*({str(film_folder)!r} + f"/img{{i + 1}}.png" for i in ({ONSET}, {APEX}))),
]
for one in found:
    print(one.label, one.onset, one.apex, sum(one.probabilities.values()) > 0.99, *one.probabilities)
print(recognizer)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    folder, video, images, shown = done.stdout.splitlines()[-4:]
    labels = ["negative", "positive", "surprise"]
    assert folder.split()[1:] == [str(ONSET), str(APEX), "True", *labels]
    assert abs(int(video.split()[2]) - APEX) <= 1
    assert images.split()[1:] == ["None", "None", "True", *labels]
    assert shown.startswith("the recognizer that comes with miex, flow 28 × 28 × 3 · negative, positive, surprise · ")
    alone = miex.load_recognizer().predict(pair)
    assert alone.label == images.split()[0]


def test_a_flow_file_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "maps.npz", flow=rng.integers(0, 256, (5, 28, 28, 3), np.uint8), label=np.arange(5) % 3)
    found = miex.predict(tmp_path / "maps.npz")
    assert [one.sample for one in found] == ["0", "1", "2", "3", "4"]
    with np.load(tmp_path / "maps.npz") as file:
        oracle = miex.load_recognizer().recognizer.probabilities(file["flow"])
    np.testing.assert_array_equal([list(one.probabilities.values()) for one in found], oracle)


def test_the_command_reads_and_shows_the_card(film_folder: Path) -> None:
    images = [film_folder / f"img{i + 1}.png" for i in (ONSET, APEX)]
    (found,) = facts("predict", *images)["predictions"]
    assert found["class"] in found["probabilities"]
    shown = command("predict", "--card")
    assert "lies" in shown.stdout
    assert "diagnosis" in shown.stdout
    card = json.loads(command("predict", "--card", "--json").stdout)
    assert card == miex.load_recognizer().card.plain()
    assert command("predict", "--card", images[0]).returncode == 2
    assert command("predict").returncode == 2


def test_it_is_not_trained_on_or_tested(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    shipped = miex.load_recognizer()
    maps = np.random.default_rng(0).integers(0, 256, (9, 28, 28, 3), np.uint8)
    np.savez(tmp_path / "maps.npz", flow=maps, label=np.arange(9) % 3)
    for call in (lambda: miex.train(tmp_path / "maps.npz", start=shipped), lambda: shipped.trained):
        with pytest.raises(UsageError, match="a recognizer that was trained here"):
            call()
    with pytest.raises(UsageError, match="which has one"):
        miex.train(tmp_path / "maps.npz", epochs=1).card  # noqa: B018


# what is refused


def test_what_is_no_expression_is_refused(pair: tuple[Image, Image], film: Image) -> None:
    recognizer, (onset, apex) = miex.load_recognizer(), pair
    gray = np.full_like(onset, 128)
    hidden = apex.copy()
    hidden[40:] = 60  # something before all but the forehead
    for clip, expected in (
        ((gray, apex), "a face in its onset"),
        ((onset, gray), "its apex frame(.|\n)*a face, where the onset has it"),
        ((onset, hidden), "its apex frame(.|\n)*a face, where the onset has it"),
        ((onset, onset), r"0\.000, no more than noise makes"),
        ((onset, noisy(onset, 2)), "no more than noise makes"),
        ((film[0], film[12]), "no more than noise makes"),  # the eyes close, and the head moves
        ((onset, moved(apex, 0.15 * UNIT)), r"moves by at most 0\.07 (.|\n)*found: 0\.[12]"),
        ((onset, moved(apex, 40, 30)), "one face, in one shot|moves by at most|where the onset has it"),
    ):
        with pytest.raises(InputError, match=expected) as told:
            recognizer.predict(clip)
        assert "what to do" in str(told.value)
    assert recognizer.predict((noisy(onset, 2), noisy(apex, 2))).label == recognizer.predict(pair).label


def test_a_change_of_sharpness_compression_or_light_is_no_expression(pair: tuple[Image, Image]) -> None:
    """Flow reads motion in it, above LEAST_MOTION, even where the head moves too."""
    recognizer, (onset, apex) = miex.load_recognizer(), pair

    def packed(frame: Image) -> Image:
        _, content = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 10])
        return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)

    def blurred(frame: Image) -> Image:
        return np.asarray(cv2.GaussianBlur(frame, (0, 0), 2.5), np.uint8)

    def darker(frame: Image) -> Image:
        return np.asarray(255 * (frame / 255) ** 1.6, np.uint8)

    for changed in (packed, blurred, darker):
        for still in (onset, moved(onset, 2, 1)):
            with pytest.raises(InputError, match=r"no more than noise makes|frames that differ by motion"):
                recognizer.predict((onset, changed(still)))
    with pytest.raises(InputError, match=r"at least 30%(.|\n)*found: \d+%: one is sharper"):
        recognizer.predict((onset, blurred(onset)))
    both = recognizer.predict((blurred(onset), blurred(apex)))  # of two that are alike, motion is left
    assert both.label == recognizer.predict(pair).label


def test_whose_face_is_read(pair: tuple[Image, Image]) -> None:
    """The largest, whichever way up it stands; two that are as large, or one that is too small, are refused."""
    recognizer = miex.load_recognizer()
    alone = recognizer.predict(pair)

    def beside(frame: Image, share: float) -> Image:
        """The frame, and another face beside it, that never moves."""
        side = round(256 * share)
        other = np.full_like(frame, 128)
        other[:side, :side] = cv2.resize(pair[0], (side, side), interpolation=cv2.INTER_AREA)
        return np.hstack([frame, other])

    def small(frame: Image) -> Image:
        return np.asarray(cv2.resize(frame, (36, 36), interpolation=cv2.INTER_AREA), np.uint8)

    turned = recognizer.predict([np.ascontiguousarray(frame[::-1, ::-1]) for frame in pair])
    for found in (turned, recognizer.predict([beside(frame, 0.45) for frame in pair])):
        np.testing.assert_allclose(list(found.probabilities.values()), list(alone.probabilities.values()), atol=0.1)
    with pytest.raises(InputError, match=r"far larger than the others\n(.|\n)*found: two, with"):
        recognizer.predict([beside(frame, 1) for frame in pair])
    with pytest.raises(InputError, match=r"at least 15 pixels between the eyes\n(.|\n)*found: 1\d\n"):
        recognizer.predict([small(frame) for frame in pair])


def test_another_face_is_no_expression(pair: tuple[Image, Image]) -> None:
    """The face of the mirror image, in the same place."""
    with pytest.raises(InputError, match="one face, in one shot"):
        miex.load_recognizer().predict((pair[0], np.ascontiguousarray(pair[1][:, ::-1])))


def test_another_person_is_no_expression() -> None:
    pool = Path(__file__).parents[3] / "shared" / "faces" / "pool"
    if not pool.is_dir():
        pytest.skip("no photos of two people")
    people = [miex.align(pool / f"frll_{n}.jpg").crop for n in ("001", "002")]
    with pytest.raises(InputError, match="one face, in one shot"):
        miex.load_recognizer().predict(people)


def test_a_mouth_that_opens_is_that_of_the_same_face(pair: tuple[Image, Image], landmarker: Landmarker) -> None:
    onset, apex = pair
    mesh = landmarker.mesh(apex)
    assert mesh is not None
    wide, high = np.ptp(mesh[[61, 291], 0]) / 3, np.ptp(mesh[[0, 17], 1]) / 3
    at, size = mesh[[13, 14], :2].mean(axis=0), np.array([wide, high])
    opened = cv2.ellipse(apex.copy(), np.rint(at).astype(int), np.rint(size).astype(int), 0, 0, 360, (10, 5, 5), -1)
    seen = Reference(onset, np.asarray(landmarker.mesh(onset), float))
    assert not seen.moved(opened, SAME_FACE)[2]
    assert seen.moved(opened, SAME_FACE, lips=False)[2]
    miex.load_recognizer().predict((onset, opened))


def test_each_recognizer_refuses_what_it_cannot_know(pair: tuple[Image, Image], landmarker: Landmarker) -> None:
    """No recognizer reads a frame without a face; stillness is for flow maps; pose and motion of the head for those
    that say so."""
    onset, apex = pair

    def reason(a: Image, b: Image, takes: FlowMaps | ApexFrame, limits: Limits) -> str | None:
        found: Refusal | None = refusal(a, b, takes, limits, landmarker)
        return None if found is None else found.reason

    free, flow, still = Limits(), FlowMaps(), ApexFrame()
    assert reason(onset, np.zeros_like(onset), still, free) == "no face"
    assert reason(onset, onset, flow, free) == "nothing moves"
    assert reason(onset, onset, still, free) is None
    far = moved(apex, 0.15 * UNIT)
    assert reason(onset, far, flow, free) is None
    assert reason(onset, far, flow, Limits(shift=0.15)) == "moved"
    assert reason(onset, far, flow, Limits(shift=0.25)) is None
    pose = np.abs(landmarker.detect(onset).pose[0, :2]).max(), np.abs(landmarker.detect(apex).pose[0, :2]).max()
    assert reason(onset, apex, flow, Limits(turn=max(pose) + 1)) is None
    assert reason(onset, apex, flow, Limits(turn=max(pose) - 1)) == "turned"


def test_the_weakest_motion_that_counts_is_above_noise(pair: tuple[Image, Image], landmarker: Landmarker) -> None:
    onset, apex = pair
    mesh = landmarker.mesh(onset)
    assert mesh is not None
    seen = Reference(onset, mesh.astype(float))

    def strength(frame: Image) -> float:
        return float(np.linalg.norm(seen.moved(frame)[0], axis=1).sum())

    assert strength(noisy(onset, 2)) < LEAST_MOTION / 2
    assert strength(apex) > 3 * LEAST_MOTION
    assert strength(moved(onset, 3)) < LEAST_MOTION  # of the whole head
