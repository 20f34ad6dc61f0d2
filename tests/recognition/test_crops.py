"""The crop that flow is computed in: from the tight to the loose one for sets, one for all real clips."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from miex.aus.vector import from_mapping
from miex.faces.align import align_photo
from miex.faces.crop import CropOptions
from miex.faces.landmarks import Landmarker
from miex.faces.photos import default_pool, list_photos
from miex.generators.registry import make_generator
from miex.images import Image
from miex.recognition.inputs.base import Frames, Input
from miex.recognition.inputs.clips import EnrichedClip, FlowClip
from miex.recognition.inputs.crops import EYES, MIDDLE, MOUTH, SHIFT, FlowCrop, drawn_crop, flow_crop
from miex.recognition.inputs.flow import FlowMaps
from miex.recognition.places import aligned
from miex.synthesis.preview import preview

MOTION = [FlowMaps(), FlowClip(length=2), EnrichedClip(length=2)]


def drawn(n: int) -> list[FlowCrop]:
    rng = np.random.default_rng(0)
    return [drawn_crop(rng) for _ in range(n)]


def test_the_face_lies_where_the_crop_says() -> None:
    """Bright lines at the height of eyes and mouth, and in the middle, are found there."""
    layout = CropOptions(256)
    across, down = np.zeros((2, 256, 256), np.uint8)
    across[[round(f * 256 - 0.5) for f in (layout.eye_line, layout.eye_line + layout.eye_mouth)]] = 255
    down[:, 127:129] = 255
    for crop in (MIDDLE, MIDDLE.square, *drawn(20)):
        rows, columns = crop.cut(across, layout).sum(1), crop.cut(down, layout).sum(0)
        assert (len(rows), len(columns)) == (crop.rows, crop.columns)
        half = crop.rows // 2
        assert (rows[:half].argmax() + 0.5) / crop.rows == pytest.approx(crop.eyes, abs=0.01)
        assert (half + rows[half:].argmax() + 0.5) / crop.rows == pytest.approx(crop.mouth, abs=0.01)
        middle = (columns * np.arange(crop.columns)).sum() / columns.sum() - (crop.columns - 1) / 2
        assert middle / crop.columns == pytest.approx(crop.shift, abs=0.005)


@pytest.mark.parametrize(("end", "s", "t"), [(0, (0.85, 0.85), (0.5, 2)), (1, (0.85, 0.93), (0.5, 3))])
def test_the_loose_crop_differs_from_the_tight_one_as_measured(
    end: float, s: tuple[float, float], t: tuple[float, float]
) -> None:
    """A loose map, warped by the affine of its corpus, is the tight map."""
    layout = CropOptions(256)
    noise = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    frame = np.clip(128 + 1500 * cv2.GaussianBlur(noise, (0, 0), 12), 0, 255).astype(np.uint8)
    crops = [flow_crop(0), flow_crop(1, end, shift=t[0] / 28)]
    tight, loose = (
        cv2.resize(crop.cut(frame, layout), (28, 28), interpolation=cv2.INTER_AREA).astype(np.float32) for crop in crops
    )
    affine = np.column_stack([np.diag(s), 13.5 * (1 - np.asarray(s)) + t])
    warped = cv2.warpAffine(loose, affine, (28, 28), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    both = slice(1, 24), slice(1, -1)  # the loose crop of CASME II ends above the last rows of the tight one
    assert float(np.abs(warped - tight)[both].mean()) < 0.02 * float(np.ptp(tight))
    assert float(np.abs(loose - tight)[both].mean()) > 0.1 * float(np.ptp(tight))


def test_crops_of_sets_reach_from_tight_to_loose_and_hardly_beyond_the_frame() -> None:
    crops = drawn(2000)
    ends = [flow_crop(*args) for args in product((0, 1), (0, 1), EYES, MOUTH)]
    for name in ("rows", "columns", "eyes", "mouth"):
        found, least = ([getattr(crop, name) for crop in some] for some in (crops, ends))
        assert min(least) <= min(found) < max(found) <= max(least)
        assert np.ptp(found) > 0.85 * np.ptp(least)
    assert max(abs(crop.shift) for crop in crops) <= SHIFT
    layout, beyond = CropOptions(), []
    for crop in (*crops, *(crop.square for crop in crops)):
        height = layout.eye_mouth / (crop.mouth - crop.eyes)  # fractions of the frame's side
        width = height * crop.columns / crop.rows
        top, left = layout.eye_line - crop.eyes * height, 0.5 - (0.5 + crop.shift) * width
        beyond.append(max(-top, -left, top + height - 1, left + width - 1))
    assert np.mean(np.asarray(beyond) > 0) < 0.03
    assert max(beyond) < 0.03


@cache
def pair(model: Path) -> tuple[Image, Image]:
    """Onset and apex of brows and mouth corners that rise."""
    photo = default_pool() / list_photos(default_pool())[0]
    made = preview(
        align_photo(photo, model, CropOptions(256)), from_mapping({1: 0.3, 2: 0.3, 12: 0.3}), make_generator("muscle")
    )
    return made.onset, made.apex


def cosine(takes: Input, one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> float:
    torch = pytest.importorskip("torch")
    a, b = takes.prepare(torch.from_numpy(np.stack([one, other]))).flatten(1).double()
    return float(a @ b / (a.norm() * b.norm()))


def test_a_clip_gives_the_same_maps_whatever_crop_a_laboratory_made_of_it(model: Path) -> None:
    """A wide frame, and one that was cut tightly and enlarged, as corpora that come with crops are."""
    wide = pair(model)
    tight = [cv2.resize(frame[46:244, 44:212], None, fx=1.3, fy=1.3, interpolation=cv2.INTER_CUBIC) for frame in wide]
    with Landmarker(model) as landmarker:
        a, b = (
            aligned(frames.__getitem__, 2, 1, landmarker, name=name) for frames, name in ((wide, "a"), (tight, "b"))
        )
        again = aligned(wide.__getitem__, 2, 1, landmarker, name="another name")
    takes = FlowMaps()
    assert cosine(takes, takes.of(a), takes.of(b)) > 0.95
    for one in MOTION:
        assert np.array_equal(one.of(again), one.of(a))  # nothing is drawn


@pytest.mark.parametrize("takes", MOTION, ids=lambda takes: takes.name)
def test_samples_of_a_set_are_seen_in_many_crops(takes: Input, model: Path) -> None:
    plain = Frames("a", CropOptions(256), 2, 1, pair(model).__getitem__)
    samples = [replace(plain, name=name, varied=True) for name in "ab"]
    maps = [takes.of(one) for one in (plain, *samples, *samples)]
    assert np.array_equal(maps[1], maps[3])
    assert np.array_equal(maps[2], maps[4])
    assert not any(np.array_equal(maps[i], maps[k]) for i, k in ((0, 1), (0, 2), (1, 2)))
