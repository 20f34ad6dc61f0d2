"""Measures of pairs against scikit-image and numpy."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.color import rgb2gray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from miex.generators.grid import optical_flow
from miex.images import Image, gray
from miex.synthesis.measures import measure_pair, motion, psnr, ssim

sides = st.integers(7, 24)
noise = st.tuples(sides, sides).flatmap(lambda shape: hnp.arrays(np.uint8, shape))
seeds = st.integers(0, 2**32 - 1)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Image, Image]:
    """A picture, flat, smooth or rough, and itself with a little or much changed."""
    rng = np.random.default_rng(draw(seeds))
    h, w = draw(sides), draw(sides)
    base = draw(st.integers(0, 255)) + draw(st.sampled_from([0, 1, 30, 120])) * rng.normal(size=(h, w))
    change = draw(st.sampled_from([0, 0.3, 2, 50])) * rng.normal(size=(h, w)) + draw(st.sampled_from([0, 1, 90]))
    return tuple(np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in (base, base + change))  # type: ignore[return-value]


@given(pairs())
def test_psnr_is_that_of_scikit_image(pair: tuple[Image, Image]) -> None:
    a, b = pair
    if (a == b).all():
        assert psnr(a, b) == math.inf
    else:
        assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255))


@given(pairs())
def test_ssim_is_that_of_scikit_image(pair: tuple[Image, Image]) -> None:
    a, b = pair
    assert ssim(a, b) == pytest.approx(structural_similarity(a, b, data_range=255), abs=1e-12)


@given(noise)
def test_ssim_of_the_extremes(a: Image) -> None:
    for b in (a, 255 - a, np.zeros_like(a), np.full_like(a, 255)):
        assert ssim(a, b) == pytest.approx(structural_similarity(a, b, data_range=255), abs=1e-12)
    assert ssim(a, a) == pytest.approx(1, abs=1e-12)


def test_measures_of_a_real_face(astronaut: Image) -> None:
    a, b = astronaut[20:148, 150:278], astronaut[20:148, 151:279]
    x, y = gray(a), gray(b)
    assert ssim(x, y) == pytest.approx(structural_similarity(x, y, data_range=255), abs=1e-12)
    assert psnr(x, y) == pytest.approx(peak_signal_noise_ratio(x, y))


@given(st.tuples(sides, sides).flatmap(lambda shape: hnp.arrays(np.uint8, (*shape, 3))))
def test_gray_is_luma(frame: Image) -> None:
    luma = frame @ np.array([0.299, 0.587, 0.114])  # BT.601, as written there
    assert abs(gray(frame) - luma).max() <= 0.51


def test_gray_is_not_the_luma_of_another_standard() -> None:
    red = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    assert gray(red)[0, 0] == 76
    assert round(255 * rgb2gray(red)[0, 0]) == 54  # BT.709: scikit-image's own choice


@given(st.integers(1, 12), seeds, st.data())
def test_motion_is_the_mean_and_the_lower_95th_percentile(g: int, seed: int, data: st.DataObject) -> None:
    field = np.random.default_rng(seed).normal(size=(g, g, 2)).astype(np.float32)
    area = data.draw(hnp.arrays(bool, (g, g)).filter(np.any))
    lengths = [math.hypot(*field[i, j]) for i in range(g) for j in range(g) if area[i, j]]
    mean, p95 = motion(field, area)
    assert mean == pytest.approx(np.mean(lengths), rel=1e-5)
    assert p95 == pytest.approx(np.percentile(lengths, 95, method="lower"), rel=1e-5)


def test_rank_of_the_percentile_is_exact() -> None:
    for n in (1, 2, 20, 21, 41, 101, 1001, 20_001):
        field = np.zeros((1, n, 2), np.float32)
        field[0, :, 0] = np.arange(n)[::-1]
        assert motion(field, np.ones((1, n), bool))[1] == 95 * (n - 1) // 100


def test_all_measures_of_a_pair() -> None:
    onset = np.full((8, 8, 3), 100, np.uint8)
    apex = onset.copy()
    apex[0, 0] = 116
    field = np.full((2, 2, 2), (3, 4), np.float32)
    field[0, 0] = 1000  # outside the area
    area = np.array([[False, True], [True, True]])
    found = measure_pair(onset, apex, field, area, inter_ocular=50.0)
    assert (found.motion_mean_px, found.motion_p95_px) == (5, 5)
    assert (found.motion_mean_iod, found.motion_p95_iod) == (0.1, 0.1)
    assert found.psnr == pytest.approx(10 * math.log10(255**2 / (16**2 / 64)))
    assert 0 < found.ssim < 1
    assert not found.identical
    assert found.motion_from == "field"
    assert measure_pair(onset, onset, field, area, 50.0).identical


def test_without_a_field_motion_is_read_off_the_frames(astronaut: Image) -> None:
    onset = np.ascontiguousarray(astronaut[40:168, 160:288])
    shift = np.array([[1, 0, 1.5], [0, 1, -2]])
    apex = cv2.warpAffine(onset, shift, (128, 128), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)
    area = np.zeros((80, 80), bool)
    area[20:60, 20:60] = True
    found = measure_pair(onset, apex, None, area, inter_ocular=50.0)
    assert found.motion_from == "flow"
    assert found.motion_mean_px == pytest.approx(2.5, rel=0.05)
    assert found.motion_mean_iod == pytest.approx(found.motion_mean_px / 50)
    flow = optical_flow(gray(onset), gray(apex))[30:98, 30:98]
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), (1.5, -2), atol=0.05)


def test_identical_means_every_bit_of_the_color() -> None:
    onset = np.full((8, 8, 3), 100, np.uint8)
    apex = onset.copy()
    apex[3, 3, 2] = 101  # too little to see in gray
    found = measure_pair(onset, apex, np.zeros((1, 1, 2), np.float32), np.ones((1, 1), bool), 50.0)
    assert found.psnr == math.inf
    assert not found.identical
