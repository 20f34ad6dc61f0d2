"""What recognizers look at: promises that every input keeps, and frames and clips against what is known of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import miex.dataset  # noqa: E402
from miex.errors import UsageError  # noqa: E402
from miex.faces.crop import CropOptions  # noqa: E402
from miex.recognition.inputs.base import INPUTS, Frames, Input, make_input  # noqa: E402
from miex.recognition.inputs.clips import EnrichedClip, FlowClip, GrayClip, temporal_interpolation  # noqa: E402
from miex.recognition.inputs.crops import MIDDLE  # noqa: E402
from miex.recognition.inputs.frames import MEAN, STD, ApexFrame, OnsetApex  # noqa: E402
from miex.recognition.places import of_set  # noqa: E402

SMALL: dict[str, dict[str, Any]] = {
    "flow": {}, "apex": {"side": 32}, "pair": {"side": 32}, "clip": {"side": 32, "length": 6},
    "flow-clip": {"side": 24, "length": 4}, "enriched-clip": {"side": 24, "length": 4},
}  # fmt: skip


def made(name: str) -> Input:
    return make_input({"name": name, **SMALL[name]})


def blob(x: float, size: int = 128) -> npt.NDArray[np.uint8]:
    """A bright spot on a textured ground; only the spot moves."""
    rows, columns = np.mgrid[0:size, 0:size]
    ground = 90 + 30 * np.sin(columns / 5) * np.cos(rows / 7)
    spot = 120 * np.exp(-((columns - x) ** 2 + (rows - size / 2) ** 2) / 200)
    return np.repeat(np.clip(ground + spot, 0, 255).astype(np.uint8)[..., None], 3, -1)


def moving(count: int = 5, apex: int = 3, step: float = 1.5, turned: bool = False) -> Frames:
    """Frames in which the spot goes right; or their mirror images."""

    def read(i: int) -> npt.NDArray[np.uint8]:
        frame = blob(60 + step * i)
        return np.ascontiguousarray(frame[:, ::-1]) if turned else frame

    return Frames("x", CropOptions(128), count, apex, read)


def test_every_input_is_tried() -> None:
    assert set(SMALL) == set(INPUTS.names())


@pytest.mark.parametrize("name", SMALL)
def test_an_input_keeps_its_promises(name: str) -> None:
    """Shapes and types as declared, the same example each time, batches that do not look at each other, a mirror that
    is its own inverse, a description that makes it again."""
    takes = made(name)
    example = takes.of(moving())
    assert (example.shape, example.dtype) == (takes.shape, takes.dtype)
    assert np.array_equal(takes.of(moving()), example)
    batch = torch.from_numpy(np.stack([example, takes.of(moving(step=-1.0))]))
    seen = takes.prepare(batch)
    assert (tuple(seen.shape[1:]), seen.dtype) == (takes.seen_shape, torch.float32)
    assert torch.equal(takes.prepare(batch[1:])[0], seen[1])
    assert torch.isfinite(seen).all()
    assert torch.allclose(takes.mirror(takes.mirror(seen)), seen)
    assert make_input(takes.described()) == takes


@pytest.mark.parametrize("name", ["apex", "pair", "clip", "flow-clip", "enriched-clip"])
def test_the_mirror_is_that_of_mirrored_frames(name: str) -> None:
    takes = made(name)
    plain, turned = (takes.prepare(torch.from_numpy(takes.of(moving(turned=t))[None])) for t in (False, True))
    found = takes.mirror(plain)
    spread = float(turned.std())
    assert (
        float((found - turned).abs().mean()) < (0.1 if "flow" in name or "enriched" in name else 0.02) * spread + 1e-3
    )


def test_apex_and_pair_are_the_frames_that_they_name() -> None:
    apex, pair = ApexFrame(side=128).of(moving()), OnsetApex(side=128).of(moving())
    assert np.array_equal(apex, blob(60 + 1.5 * 3))
    assert np.array_equal(pair, np.stack([blob(60), apex]))
    seen = OnsetApex(side=128).prepare(torch.from_numpy(pair[None]))
    pixel = (pair[1, 64, 70].astype(float) / 255 - MEAN) / STD
    assert seen[0, :, 1, 64, 70].numpy() == pytest.approx(pixel, abs=1e-5)


def by_the_paper(frames: npt.NDArray[np.float64], length: int) -> npt.NDArray[np.float64]:
    """TIM as Zhou et al. compute it: eigenvectors of the path graph, a map to the frames found by the SVD."""
    n = len(frames)
    mean = frames.mean(0)
    u, s, vt = np.linalg.svd((frames - mean).T, full_matrices=False)
    u, s, vt = u[:, : n - 1], s[: n - 1], vt[: n - 1]
    laplacian = np.diag([1.0, *[2.0] * (n - 2), 1.0]) - np.eye(n, k=1) - np.eye(n, k=-1)
    _, vectors = np.linalg.eigh(laplacian)
    y = vectors[:, 1:]  # of their eigenvalues but 0
    times = np.arange(1, n + 1) / n
    formula = np.stack([np.sin(np.pi * k * times + np.pi * (n - k) / (2 * n)) for k in range(1, n)], 1)
    scale = (y * formula).sum(0) / (formula**2).sum(0)
    assert np.allclose(formula * scale, y, atol=1e-8)  # the curve is what they say the eigenvectors are
    q = np.diag(s) @ vt  # [n - 1, n]
    w = np.linalg.solve(q @ q.T, q @ formula)
    t = np.linspace(1, n, length) / n
    curve = np.stack([np.sin(np.pi * k * t + np.pi * (n - k) / (2 * n)) for k in range(1, n)], 0)
    return (u @ np.linalg.solve(w.T, curve)).T + mean


@pytest.mark.parametrize(("n", "length"), [(2, 10), (5, 10), (30, 10), (10, 10), (11, 4)])
def test_tim_is_the_published_model(n: int, length: int) -> None:
    frames = np.random.default_rng(n).normal(size=(n, 60))
    assert temporal_interpolation(n, length) @ frames == pytest.approx(by_the_paper(frames, length), abs=1e-8)


@given(st.integers(1, 40), st.integers(1, 40))
def test_tim_goes_through_the_frames(n: int, length: int) -> None:
    weights = temporal_interpolation(n, length)
    assert weights.shape == (length, n)
    assert weights.sum(1) == pytest.approx(1)
    assert temporal_interpolation(n, n if n > 1 else 1) == pytest.approx(np.eye(n), abs=1e-9)
    assert weights[0] == pytest.approx(np.eye(n)[0], abs=1e-9)
    if length > 1:
        assert weights[-1] == pytest.approx(np.eye(n)[-1], abs=1e-9)


@pytest.mark.parametrize(("until", "last"), [("apex", 3), ("offset", 4)])
def test_a_gray_clip_begins_at_the_onset_and_ends_where_it_says(until: str, last: int) -> None:
    clip = GrayClip(side=128, length=7, until=until).of(moving(count=5, apex=3))
    assert np.abs(clip[0].astype(int) - blob(60)[..., 0]).max() <= 1
    assert np.abs(clip[-1].astype(int) - blob(60 + 1.5 * last)[..., 0]).max() <= 1
    spots = [int(frame[64].astype(float).argmax()) for frame in clip]
    assert spots == sorted(spots)


def test_a_flow_clip_holds_the_motion_of_each_step() -> None:
    """A texture that goes right in each of 4 steps, by as many px of the crop's side, and not down."""
    noise = np.random.default_rng(0).normal(size=(8, 8))
    import cv2

    texture = cv2.resize(noise, (256, 256), interpolation=cv2.INTER_CUBIC)
    texture = np.clip(128 + 50 * texture, 0, 255).astype(np.uint8)

    def read(i: int) -> npt.NDArray[np.uint8]:
        frame = np.roll(texture, 4 * i, axis=1)
        return np.repeat(frame[..., None], 3, -1)

    flow = FlowClip(side=64, length=4).of(Frames("x", CropOptions(256), 5, 4, read)).astype(float)
    middle = flow[:, 20:-20, 24:-16]
    side = 256 * 0.34 / (MIDDLE.mouth - MIDDLE.eyes)  # of the crop, in pixels of the frame
    assert np.median(middle[..., 0], (1, 2)) == pytest.approx(4 * 64 / side, abs=0.1)
    assert np.median(middle[..., 1], (1, 2)) == pytest.approx(0, abs=0.1)


def test_flow_of_any_strength_looks_alike_if_it_is_divided_by_it() -> None:
    plain, takes = FlowClip(side=24, length=4), FlowClip(side=24, length=4, normalize="rms")
    flow = torch.from_numpy(np.stack([plain.of(moving()), np.zeros(plain.shape, np.float16)]))
    seen = takes.prepare(torch.cat([flow, 2 * flow]))
    assert seen[0].square().mean().item() == pytest.approx(1, abs=1e-3)
    assert torch.allclose(seen[2], seen[0], atol=1e-3)
    assert not seen[1].any()  # a clip in which nothing moves
    assert takes.stored() == plain.stored()


def test_an_enriched_clip_is_flow_its_strain_and_the_frames() -> None:
    takes = EnrichedClip(side=24, length=4)
    example = takes.of(moving())
    assert np.array_equal(example[..., :2], FlowClip(side=24, length=4).of(moving()))
    frames = moving()
    crop = replace(frames, read=lambda i: MIDDLE.square.cut(frames.read(i), frames.layout))
    gray = GrayClip(side=24, length=5).of(crop)[1:]  # the frames to which the steps lead
    assert np.abs(example[..., 3] - gray.astype(float)).max() <= 2
    assert example[..., 2].min() >= 0
    still, spot = example[:, :, :4, 2], example[:, 8:16, 8:16, 2]
    assert spot.mean() > 2 * still.mean()  # strain is where neighbors move differently
    u, v, magnitude, strain, level = takes.prepare(torch.from_numpy(example[None]))[0]
    assert torch.allclose(magnitude, (u**2 + v**2).sqrt(), atol=1e-5)
    assert (u**2 + v**2).mean().item() == pytest.approx(2, abs=0.01)
    assert (strain**2).mean().item() == pytest.approx(1, abs=0.01)
    assert torch.allclose(level, torch.from_numpy(example[..., 3]).float() / 63.75 - 2, atol=1e-4)


def test_pairs_of_a_set_are_made_once_and_mapped(finished: Path, tmp_path: Path) -> None:
    examples, takes = of_set(miex.dataset.open(finished)), OnsetApex(side=96)
    view = examples.through(takes, tmp_path)
    assert view.shape == (2, 96, 96, 3)
    onset, apex = miex.dataset.open(finished).pair(5)
    assert np.array_equal(view.batch([5])[0], np.stack([onset, apex]))
    assert not view.parts[0].array.flags.owndata  # it is the file
    assert not view.parts[0].array.flags.writeable
    unit = OnsetApex(side=96, normalize="unit")  # how it is prepared changes nothing that is stored
    assert examples.through(unit, tmp_path).digest == view.digest
    assert len(list(tmp_path.glob("*/array.npy"))) == 1


def test_flow_files_hold_no_frames() -> None:
    for name in ("apex", "pair", "clip", "flow-clip", "enriched-clip"):
        with pytest.raises(UsageError, match="frames"):
            made(name).of_array(np.zeros((28, 28, 3), np.uint8), "flow maps")
