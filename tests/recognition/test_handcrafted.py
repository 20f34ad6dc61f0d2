"""Hand-crafted descriptors against their definitions, written out as loops, and what a machine learns from them."""

from __future__ import annotations

import math
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch")
from skimage.feature import local_binary_pattern  # noqa: E402

from miex.dataset.schema import ROWS_SCHEMA  # noqa: E402
from miex.errors import UsageError  # noqa: E402
from miex.faces.crop import CropOptions  # noqa: E402
from miex.recognition.handcrafted.blocks import block_of, histograms  # noqa: E402
from miex.recognition.handcrafted.dcp_top import DCPTOP  # noqa: E402
from miex.recognition.handcrafted.fdm import FDM, principal_motion  # noqa: E402
from miex.recognition.handcrafted.hog_3d import HOG3D  # noqa: E402
from miex.recognition.handcrafted.hoof import HOOF  # noqa: E402
from miex.recognition.handcrafted.lbp_top import LBPTOP, uniform_bins  # noqa: E402
from miex.recognition.handcrafted.planes import PLANES  # noqa: E402
from miex.recognition.inputs.base import Frames  # noqa: E402
from miex.recognition.method import Method  # noqa: E402
from miex.recognition.recipe import Recipe, load_recipe  # noqa: E402
from miex.recognition.train import train  # noqa: E402
from miex.recognition.view import View, in_memory  # noqa: E402

Array = npt.NDArray[np.float64]
XY, XT, YT = (("x", "y"), ("x", "t"), ("y", "t"))


def levels(frames: int, height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """A random gray clip; a corner of it is flat, so that there are equal levels too."""
    clip = np.random.default_rng(seed).integers(0, 256, (frames, height, width))
    clip[:, : height // 2, : width // 2] = 7
    return clip.astype(np.uint8)


def seen(clip: npt.NDArray[np.uint8]) -> torch.Tensor:
    """A prepared example of a gray clip."""
    return torch.from_numpy(clip)[None, None].float() / 255


def part(position: int, side: int, parts: int) -> int:
    """The part of an axis, out of `parts` equal ones, that a position lies in."""
    return next(k for k in range(parts) if k * side <= position * parts < (k + 1) * side)


def flow(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sides", [(7,), (10, 4), (3, 6, 11)])
def test_blocks_are_as_even_as_positions_allow(sides: tuple[int, ...]) -> None:
    parts = (3, 2, 4)[-len(sides) :]
    found = block_of(sides, parts)
    for position in product(*map(range, sides)):
        expected = 0
        for p, side, count in zip(position, sides, parts, strict=True):
            expected = expected * count + part(p, side, count)
        assert found[position] == expected


def test_histograms_sum_to_one_or_are_empty() -> None:
    values, block = torch.tensor([[0, 1, 1, 1]]), torch.tensor([0, 0, 0, 2])
    found = histograms(values, block, (3,), 2, torch.tensor([[1.0, 0.5, 0.5, 3.0]]))
    assert found.tolist() == [[[0.5, 0.5], [0, 0], [0, 1]]]


def test_lbp_top_is_its_definition() -> None:
    """Bits that say whether a neighbor is at least as bright, on circles of radii 1, 1, 4; 14 uniform patterns by
    number, then the others; a histogram for each block and plane."""
    clip = levels(10, 13, 12)
    frames, height, width = clip.shape
    uniform = [p for p in range(16) if f"{p:04b}{p:04b}"[:5].count("01") + f"{p:04b}{p:04b}"[:5].count("10") <= 2]
    assert len(uniform) == 14
    counts = np.zeros((5, 5, 3, 15))
    for t, y, x in product(range(4, frames - 4), range(1, height - 1), range(1, width - 1)):
        around = (
            [(t, y, x + 1), (t, y + 1, x), (t, y, x - 1), (t, y - 1, x)],
            [(t, y, x + 1), (t + 4, y, x), (t, y, x - 1), (t - 4, y, x)],
            [(t, y + 1, x), (t + 4, y, x), (t, y - 1, x), (t - 4, y, x)],
        )
        for plane, neighbors in enumerate(around):
            pattern = sum(2**p for p, neighbor in enumerate(neighbors) if clip[neighbor] >= clip[t, y, x])
            k = uniform.index(pattern) if pattern in uniform else 14
            counts[part(y, height, 5), part(x, width, 5), plane, k] += 1
    expected = counts / counts.sum(-1, keepdims=True)
    found = LBPTOP((1, *clip.shape)).descriptors(seen(clip)).numpy()
    assert np.array_equal(found, expected.astype(np.float32).reshape(1, -1))


@pytest.mark.parametrize("neighbors", [4, 8])
def test_uniform_patterns_are_those_of_scikit_image(neighbors: int) -> None:
    """One number for each uniform pattern, and one for all others: 15 with 4 neighbors, 59 with 8."""
    image = np.random.default_rng(0).integers(0, 256, (200, 200)).astype(np.uint8)
    plain = local_binary_pattern(image, neighbors, 1).astype(int)
    theirs = local_binary_pattern(image, neighbors, 1, method="nri_uniform").astype(int)
    ours = np.array(uniform_bins(neighbors))[plain]
    pairs = set(zip(ours.ravel().tolist(), theirs.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == neighbors * (neighbors - 1) + 3


def test_codes_on_planes_are_those_of_scikit_image() -> None:
    """Every fourth frame is one pixel away on the planes of time; scikit-image turns the other way, from x to -y."""
    clip = levels(10, 12, 12, seed=1)
    bins = np.array(uniform_bins(4))

    def theirs(plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        codes = local_binary_pattern(np.ascontiguousarray(plane[::-1]), 4, 1)[::-1]
        return np.asarray(bins[codes.astype(int)][1:-1, 1:-1], np.int64)

    xy, xt, yt = (LBPTOP((1, *clip.shape)).codes(seen(clip)[:, 0], plane)[0][0].numpy() for plane in PLANES)
    for t in (0, 1):
        assert np.array_equal(xy[t], theirs(clip[4 + t]))
        for k in range(10):
            assert np.array_equal(xt[t, k], theirs(clip[t::4, k + 1])[0])
            assert np.array_equal(yt[t, :, k], theirs(clip[t::4, :, k + 1])[0])


def test_dcp_top_is_its_definition() -> None:
    """Eight directions, in each two bits: whether the inner neighbor is at least as bright as the pixel, and the outer
    one as the inner one; the directions along the axes give one code to base 4, those between them the other."""
    clip = levels(10, 11, 12, seed=2)
    radii = {"t": (2, 4), "y": (1, 2), "x": (1, 2)}

    def level(t: float, y: float, x: float) -> float:
        total = 0.0
        for place in product(*({math.floor(c), math.ceil(c)} for c in (t, y, x))):
            weight = math.prod(1 - abs(c - whole) for c, whole in zip((t, y, x), place, strict=True))
            total += weight * int(clip[place])
        return total

    counts = np.zeros((5, 5, 3, 2, 256))
    _, height, width = clip.shape
    for t, y, x in product(range(4, 6), range(2, height - 2), range(2, width - 2)):
        for plane, (first, second) in enumerate((XY, XT, YT)):
            codes = [0, 0]
            for i in range(8):
                before = float(clip[t, y, x])
                bits = []
                for ring in (0, 1):
                    at = {"t": float(t), "y": float(y), "x": float(x)}
                    at[first] += round(radii[first][ring] * math.cos(i * math.pi / 4), 9)
                    at[second] += round(radii[second][ring] * math.sin(i * math.pi / 4), 9)
                    now = level(**at)
                    bits.append(now >= before - 1e-6)
                    before = now
                codes[i % 2] += (2 * bits[0] + bits[1]) * 4 ** (i // 2)
            for cross in (0, 1):
                counts[part(y, height, 5), part(x, width, 5), plane, cross, codes[cross]] += 1
    expected = counts / counts.sum(-1, keepdims=True).clip(1)
    found = DCPTOP((1, *clip.shape)).descriptors(seen(clip)).numpy()
    assert np.array_equal(found, expected.astype(np.float32).reshape(1, -1))


def test_a_flat_clip_has_one_pattern() -> None:
    """Equal levels count as "at least as bright", between pixels too, whatever the level."""
    for level in (1, 77, 254):
        clip = seen(np.full((10, 20, 20), level, np.uint8))
        lbp = LBPTOP(clip.shape[1:]).descriptors(clip).reshape(-1, 15)
        assert (lbp[:, 13] == 1).all()
        dcp = DCPTOP(clip.shape[1:]).descriptors(clip).reshape(-1, 256)
        assert (dcp[:, 255] == 1).all()


@pytest.mark.parametrize(("kind", "least"), [(LBPTOP, "9 × 3 × 3"), (DCPTOP, "9 × 5 × 5")])
def test_a_clip_without_room_for_neighbors_is_refused(kind: type[Method], least: str) -> None:
    with pytest.raises(UsageError, match=least):
        kind((1, 6, 64, 64), 3)


def test_3dhog_is_its_definition() -> None:
    """Differences of neighbors, the direction of their line on each plane, votes for the two nearest of eight."""
    clip = levels(5, 11, 12, seed=3)
    shape, level = clip.shape, clip.astype(float) / 255

    def slope(place: tuple[int, ...], axis: int) -> float:
        low, high = list(place), list(place)
        low[axis], high[axis] = max(place[axis] - 1, 0), min(place[axis] + 1, shape[axis] - 1)
        return float(level[tuple(high)] - level[tuple(low)]) / (high[axis] - low[axis])

    sums = np.zeros((2, 5, 5, 3, 8))
    for place in product(*map(range, shape)):
        t, y, x = (slope(place, axis) for axis in range(3))
        cuboid = tuple(part(p, side, count) for p, side, count in zip(place, shape, (2, 5, 5), strict=True))
        for plane, (a, b) in enumerate(((x, y), (x, t), (y, t))):
            degrees = math.degrees(math.atan2(b, a)) % 180
            for k in range(8):
                apart = abs(degrees - 22.5 * k)
                apart = min(apart, 180 - apart)
                sums[(*cuboid, plane, k)] += math.hypot(a, b) * max(0.0, 1 - apart / 22.5)
    expected = sums / sums.sum(-1, keepdims=True).clip(1e-12)
    found = HOG3D((1, *shape)).descriptors(seen(clip)).numpy()
    assert np.allclose(found, expected.reshape(1, -1), atol=1e-5)
    assert np.allclose(found.reshape(-1, 8).sum(1).round(5) % 1, 0)


def test_3dhog_of_known_motion() -> None:
    """A pattern of stripes that moves up, down or not at all: on YT, its line turns by the speed."""
    rows = torch.arange(40.0)
    for speed in (-0.3, 0.0, 0.3):
        clip = torch.stack([torch.sin((rows - speed * t) / 4) for t in range(10)])[None, None, :, :, None]
        found = HOG3D((1, 10, 40, 40)).descriptors(clip.expand(1, 1, 10, 40, 40) / 2 + 0.5).reshape(50, 3, 8)
        turn = (found[:, 2] * torch.tensor([0, 1, 2, 3, 4, -3, -2, -1])).sum(1) * math.pi / 8
        assert torch.allclose(torch.tan(turn), torch.tensor(-speed), atol=0.03)
        assert torch.allclose(found[:, 0, 4], torch.ones(50))  # on XY the gradient is vertical


def test_fdm_is_its_definition() -> None:
    """The median of each field is taken off; in each cuboid the direction is sought from eight starts; the map is
    divided by its root mean square length."""
    x = flow((1, 2, 6, 17, 19)) + 0.7
    vectors = x[0].double().numpy().copy()
    for channel, step in product(range(2), range(6)):
        ordered = sorted(vectors[channel, step].ravel())
        vectors[channel, step] -= ordered[(len(ordered) - 1) // 2]
    cuboids: dict[tuple[int, int, int], list[tuple[float, float]]] = {}
    for t, row, column in product(range(6), range(17), range(19)):
        key = part(t, 6, 5), part(row, 17, 8), part(column, 19, 8)
        cuboids.setdefault(key, []).append((vectors[0, t, row, column], vectors[1, t, row, column]))
    expected = np.zeros((2, 5, 8, 8))
    for key, inside in cuboids.items():
        sums = []
        for k in range(8):
            a, b = math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)
            sums.append((sum(max(0.0, u * a + v * b) for u, v in inside), a, b))
        _, a, b = max(sums)
        chosen: list[tuple[float, float]] = []
        while (ahead := [(u, v) for u, v in inside if u * a + v * b > 0]) != chosen:
            chosen = ahead
            a, b = sum(u for u, _ in chosen), sum(v for _, v in chosen)
        expected[(slice(None), *key)] = a / len(inside), b / len(inside)
    expected /= math.sqrt((expected**2).sum(0).mean())
    found = FDM((2, 6, 17, 19)).descriptors(x).numpy()
    assert np.allclose(found, expected.reshape(1, -1), atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_principal_motion_is_nearly_the_best_of_all_directions(seed: int) -> None:
    """Of 3,600 directions none has a sum of projections greater by 1%, and none of the eight starts has a greater one;
    vectors that point backward do not shorten the motion."""
    vectors = flow((20, 2, 40), seed) + flow((20, 2, 1), seed + 10) * 2
    found = principal_motion(vectors, torch.zeros(40, dtype=torch.int64), 1)[:, :, 0]
    turns = torch.arange(3600) * (2 * math.pi / 3600)
    every = torch.einsum("ncp,kc->nkp", vectors, torch.stack([turns.cos(), turns.sin()], 1)).clamp_min(0).mean(2)
    assert (found.norm(dim=1) > 0.99 * every.amax(1)).all()
    assert (found.norm(dim=1) > every[:, ::450].amax(1) - 1e-5).all()
    assert (found.norm(dim=1) < every.amax(1) + 1e-5).all()

    up = torch.tensor([[0.0, -1.0]] * 6 + [[0.4, 0.3], [-0.5, 0.2]]).T[None]
    assert principal_motion(up, torch.zeros(8, dtype=torch.int64), 1).flatten().tolist() == [0, -0.75]
    still = torch.zeros(1, 2, 5, 16, 16)
    assert not FDM((2, 5, 16, 16)).descriptors(still + 3).any()  # a head that moves as a whole


def test_hoof_is_its_definition() -> None:
    """Directions within half a bin of 0°, 45°, …, weighted by length, in 4 × 4 blocks."""
    x = flow((1, 3, 18, 18))
    sums = np.zeros((4, 4, 8))
    for row, column in product(range(18), repeat=2):
        u, v = float(x[0, 0, row, column]), float(x[0, 1, row, column])
        k = round(math.degrees(math.atan2(v, u)) / 45) % 8
        sums[part(row, 18, 4), part(column, 18, 4), k] += math.hypot(u, v)
    expected = sums / sums.sum(-1, keepdims=True)
    assert np.allclose(HOOF((3, 18, 18)).descriptors(x).numpy(), expected.reshape(1, -1), atol=1e-6)


def test_hoof_of_known_flow() -> None:
    network = HOOF()
    assert network.parameter_count == 387
    x = torch.zeros(1, 3, 28, 28)
    x[0, 0, :7, :7] = 2.0  # right, in the first block
    x[0, 1, 21:, 21:] = -1.0  # up, in the last
    found = network.descriptors(x).reshape(16, 8)
    assert found[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert found[15].tolist() == [0, 0, 0, 0, 0, 0, 1, 0]
    assert not found[1:15].any()


@pytest.mark.parametrize("classes", [2, 3])
def test_the_machine_decides_as_scikit_learn(classes: int) -> None:
    from sklearn.svm import LinearSVC

    rng = np.random.default_rng(0)
    y = torch.from_numpy(rng.integers(0, classes, 90))
    x = flow((90, 3, 28, 28), 1)
    x[torch.arange(90), y, :7, :7] += 1.5
    network = HOOF((3, 28, 28), classes)
    network.solve(network.descriptors(x), y, balanced=True)
    features = network.descriptors(x).double().numpy()
    oracle = LinearSVC(class_weight="balanced", dual=False, tol=1e-6, max_iter=10_000).fit(features, y.numpy())
    assert np.array_equal(network(x).argmax(1).numpy(), oracle.predict(features))


@cache
def moving(label: int, seed: int, count: int, size: int = 64) -> Frames:
    """A face of random texture with one movement, which rises until the apex and falls: the left brow moves up or down,
    or the right corner of the mouth moves out."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(0, 0.35, (12, 2)), rng.uniform(0, 2 * np.pi, 12)
    rows, columns = np.mgrid[0:size, 0:size].astype(float)
    middle, (u, v) = {0: ((0.3, 0.3), (0, -1)), 1: ((0.3, 0.3), (0, 1)), 2: ((0.7, 0.7), (1, 0))}[label]
    near = np.exp(-((rows / size - middle[0]) ** 2 + (columns / size - middle[1]) ** 2) / (2 * 0.13**2))
    strength, apex = rng.uniform(0.8, 1.6), count // 2
    frames = []
    for i in range(count):
        moved = strength * near * (1 - abs(i - apex) / apex)
        x, y = columns - u * moved, rows - v * moved
        level = sum(np.cos(fx * x + fy * y + phase) for (fx, fy), phase in zip(*waves, strict=True))
        gray = 128 + 18 * level + rng.normal(0, 1, (size, size))
        frames.append(np.repeat(gray.clip(0, 255).astype(np.uint8)[..., None], 3, -1))
    return Frames(f"{label}-{seed}", CropOptions(size), count, apex, frames.__getitem__)


def clips(recipe: Recipe, seeds: range, count: int) -> View:
    labels = [seed % 3 for seed in seeds]
    takes = recipe.takes
    examples = np.stack([takes.of(moving(label, seed, count)) for label, seed in zip(labels, seeds, strict=True)])
    columns = {
        "sample_id": [str(seed) for seed in seeds], "label": labels, "source": ["expert"] * len(labels),
        "corpus": [None] * len(labels), "subject": [None] * len(labels), "photo": [str(seed) for seed in seeds],
    }  # fmt: skip
    return in_memory(examples, pa.table(columns, schema=ROWS_SCHEMA))


SMALL = {"lbp-top": {"side": 64}, "dcp-top": {"side": 64}, "3dhog": {"side": 64}, "fdm": {"side": 32}, "hoof": {}}


@pytest.mark.parametrize("count", [2, 9])
@pytest.mark.parametrize("name", SMALL)
def test_movements_are_told_apart_on_faces_never_seen(name: str, count: int) -> None:
    """With clips of nine frames, and with pairs of onset and apex, which are interpolated."""
    recipe = load_recipe("fixed").but(recognizer="hoof") if name == "hoof" else load_recipe(name).but(**SMALL[name])
    made = train(clips(recipe, range(60), count), recipe)
    fresh = clips(recipe, range(100, 130), count)
    accuracy = (made.predict(fresh).argmax(1) == fresh.labels).mean()
    assert accuracy > 0.9
