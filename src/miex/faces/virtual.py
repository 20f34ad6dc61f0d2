"""Virtual identities: the face of a photo with other proportions, side and tone.

To a face recognizer they are still the person of the photo (docs/results/virtual.md): sets are split by photo.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from miex.compiled import compiled
from miex.faces.crop import LEFT_EYE_CORNERS, MOUTH_CORNERS, OVERSAMPLING, RIGHT_EYE_CORNERS, AlignedFace, Points
from miex.faces.mesh import mirror_landmarks
from miex.images import Image, gray

# Relatives of one photo share texture, hair and background, and the moves of proportions.toml hold most of the
# variance among people. Wider ones are no other person to a face recognizer until they look drawn
# (docs/results/virtual.md).
SPREAD = 1.35
FURTHEST = 2.2  # standard deviations
_GRID = 33  # nodes of the map over the crop: the changes are smooth
_STIFFNESS = 0.03  # of the splines: anchors that pull against each other give way instead of creasing the skin
_NEWTON_STEPS = 6  # to find where landmarks went: the remainder is below 1/1000 of the crop
_LEAST_STRETCH = 0.25  # of the map back: below it skin would smear, below 0 it would fold
_BORDER = 9  # points that hold still along each side of the crop: nothing beyond it is known
_STEPS = 32  # between nodes: places are rounded to them, as OpenCV's remap does
_Levels = npt.NDArray[np.uint8]
_Map = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Proportions:
    """The table of proportions.toml.

    Attributes:
        names: of the proportions.
        sd: standard deviation among people, inter-ocular distances, float64 [p].
        root: float64 [p, p]; its product with independent normal draws has the correlations found among people.
        anchors: face-mesh landmarks that move, in a fixed order.
        moves: where each goes (right in the picture, down) when a proportion grows by 1, float64 [p, anchors, 2].
    """

    names: tuple[str, ...]
    sd: npt.NDArray[np.float64]
    root: npt.NDArray[np.float64]
    anchors: tuple[int, ...]
    moves: npt.NDArray[np.float64]


@lru_cache(maxsize=1)
def proportions() -> Proportions:
    """The proportions, for both sides of the face."""
    table, mirror = _table(), mirror_landmarks()
    named = {int(landmark) for row in table.values() for landmark in row["moves"]}
    anchors = tuple(sorted(named | {mirror[landmark] for landmark in named}))
    moves = np.zeros((len(table), len(anchors), 2))
    for move, row in zip(moves, table.values(), strict=True):
        for name, (outward, down) in row["moves"].items():
            landmark = int(name)
            twin = mirror[landmark]
            one_sided = row.get("one_sided", False)  # both sides go the same way
            # the person's right is at the left of the picture: outward is leftward there
            if twin != landmark and not one_sided:
                move[anchors.index(landmark)] = -outward, down
                move[anchors.index(twin)] = outward, down
            else:
                move[[anchors.index(landmark), anchors.index(twin)]] = outward, down
    sd = np.array([row["sd"] for row in table.values()])
    return Proportions(tuple(table), sd, _correlation_root(table), anchors, moves)


def _correlation_root(table: dict[str, Any]) -> npt.NDArray[np.float64]:
    names = list(table)
    correlation = np.eye(len(names))
    for i, row in enumerate(table.values()):
        for other, value in row.get("with", {}).items():
            j = names.index(other)
            correlation[i, j] = correlation[j, i] = value
    return np.asarray(np.linalg.cholesky(correlation), np.float64)


def make_virtual(face: AlignedFace, seed: int, spread: float = SPREAD, table: Proportions | None = None) -> AlignedFace:
    """A relative of an aligned face: other proportions, side and tone; the same for the same face and seed.

    Eye line, middle of the eyes and eye-to-mouth distance stay, so the crop's place in the picture does. The picture
    is resampled once, from the oversampled photo.

    Args:
        face: an aligned photo.
        seed: which relative; below 2⁶⁴.
        spread: of the proportions, in standard deviations among people; 0: another side and tone alone. Draws of which
            one proportion is beyond FURTHEST are made smaller as a whole, so that in sets it is some 7 % less.
        table: the proportions; those of proportions.toml where none is given.

    Returns:
        The new face; its landmarks lie where its features are now.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    table = table or proportions()
    draws = table.root @ rng.normal(size=len(table.sd))
    draws *= min(1.0, FURTHEST / np.abs(draws).max())  # all together, so that they still fit each other
    mirrored = bool(rng.random() < 0.5)
    tone = _draw_tone(rng)
    if mirrored:
        face = _mirror(face)
    field = _field_back(face, table.anchors, np.tensordot(draws * table.sd * spread, table.moves, 1))
    return AlignedFace(_tone(_resample(face, field), *tone), face.size, _follow(face, field))


def _table() -> dict[str, Any]:
    return tomllib.loads(resources.files("miex.faces").joinpath("proportions.toml").read_text("utf-8"))


def _mirror(face: AlignedFace) -> AlignedFace:
    landmarks = face.landmarks[list(mirror_landmarks())].copy()
    landmarks[:, 0] = (face.size - 1) - landmarks[:, 0]
    return AlignedFace(np.asarray(cv2.flip(face.samples, 1), np.uint8), face.size, landmarks)


def _field_back(face: AlignedFace, indices: tuple[int, ...], moves: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Where the old picture has what the new one shows: float32 [_GRID, _GRID, 2], pixels away, on nodes over the crop.

    Thin-plate splines through the anchors, landmarks `indices`, which go by `moves` (inter-ocular distances), less far
    where the map would fold: some faces have no room for a longer nose.
    """
    unit = face.inter_ocular
    anchors = face.landmarks[list(indices)].astype(np.float64)
    still = _border() * (face.size - 1)
    # what places the crop goes exactly where it should, and so does the border
    placing = {*RIGHT_EYE_CORNERS, *LEFT_EYE_CORNERS, *MOUTH_CORNERS}
    stiffness = np.array([0.0 if index in placing else _STIFFNESS for index in indices] + [0.0] * len(still))
    nodes = np.linspace(0, face.size - 1, _GRID)
    for share in (1.0, 0.8, 0.6, 0.4, 0.2, 0.0):
        moved = anchors + share * moves * unit
        ends, back = np.vstack([moved, still]), np.vstack([anchors - moved, np.zeros_like(still)])
        field = _spline(ends / unit, back, stiffness, nodes / unit)
        if _least_stretch(field, nodes[1]) >= _LEAST_STRETCH:
            break
    return np.asarray(field, np.float32)


@lru_cache(maxsize=1)
def _border() -> npt.NDArray[np.float64]:
    edge, far = np.meshgrid(np.linspace(0, 1, _BORDER), (0, 1))
    sides = np.stack([edge.ravel(), far.ravel()], 1)
    return np.unique(np.vstack([sides, sides[:, ::-1]]), axis=0)


def _spline(
    points: npt.NDArray[np.float64],
    values: npt.NDArray[np.float64],
    stiffness: npt.NDArray[np.float64],
    nodes: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """A thin-plate spline (Duchon 1977) through values [n, 2] at points [n, 2], less close where it is stiff [n], at
    nodes [g] × [g]: [g, g, 2]. Its affine part is free.

    That of scipy, whose import takes longer than the first virtual identities.
    """
    n = len(points)
    system = np.zeros((n + 3, n + 3))
    across, down = (np.square(points[:, c, None] - points[:, c]) for c in (0, 1))
    system[:n, :n] = _bend(across + down) + np.diag(stiffness)
    system[:n, n], system[:n, n + 1 :] = 1, points
    system[n:, :n] = system[:n, n:].T
    shares = np.vstack([values, np.zeros((3, 2))])
    _eliminate(system, shares)
    if not np.isfinite(shares).all():
        raise ValueError("landmarks of which several lie in one place")
    across, down = (np.square(nodes[:, None] - points[:, c]) for c in (0, 1))
    bent = _bend(down[:, None] + across) @ shares[:n]
    return np.asarray(bent + shares[n] + nodes[:, None] * shares[n + 1] + nodes[:, None, None] * shares[n + 2])


@compiled
def _eliminate(system: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> None:
    """Solve a system [n, n] for values [n, k], in place: Gauss' elimination with the largest pivot of each column.

    BLAS has threads of its own, which workers would share processors with, and rounds differently by their number.
    """
    n = len(system)
    for i in range(n):
        pivot = i + np.abs(system[i:, i]).argmax()
        if pivot != i:
            system[i], system[pivot] = system[pivot].copy(), system[i].copy()
            values[i], values[pivot] = values[pivot].copy(), values[i].copy()
        rest = system[i, i + 1 :]
        for k in range(i + 1, n):
            share, row = system[k, i] / system[i, i], system[k, i + 1 :]
            for j in range(len(rest)):
                row[j] -= share * rest[j]
            for c in range(values.shape[1]):
                values[k, c] -= share * values[i, c]
    for i in range(n - 1, -1, -1):
        for c in range(values.shape[1]):
            for j in range(i + 1, n):
                values[i, c] -= system[i, j] * values[j, c]
            values[i, c] /= system[i, i]


def _bend(squared: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """r² log r from r², in place."""
    # that of OpenCV, which takes a third of numpy's time
    logarithm = cv2.log(np.maximum(squared, 1e-300).reshape(len(squared), -1)).reshape(squared.shape)
    squared *= np.multiply(logarithm, 0.5, out=logarithm)
    return squared


def _least_stretch(field: npt.NDArray[np.float64], spacing: float) -> float:
    """The smallest determinant of the map point → point + field: the least that a piece of the picture is stretched."""
    xx, yx, xy, yy = np.moveaxis(_slopes(field, spacing), 2, 0)
    return float(((1 + xx) * (1 + yy) - yx * xy).min())


@compiled
def _slopes(field: _Map, spacing: float) -> _Map:
    """How much a field changes per pixel to the right, then down: [_GRID, _GRID, 4]; as `np.gradient`, which takes ten
    times as long."""
    found, last = np.empty((len(field), len(field), 4), field.dtype), len(field) - 1
    for i in range(len(field)):
        for j in range(len(field)):
            left, right, up, down = max(j - 1, 0), min(j + 1, last), max(i - 1, 0), min(i + 1, last)
            for c in range(2):
                found[i, j, c] = (field[i, right, c] - field[i, left, c]) / ((right - left) * spacing)
                found[i, j, 2 + c] = (field[down, j, c] - field[up, j, c]) / ((down - up) * spacing)
    return found


def _resample(face: AlignedFace, field: npt.NDArray[np.float32]) -> Image:
    """The new picture in its old tone; a fourth channel says nothing."""
    side = len(face.samples)
    where = np.empty((side, side, 2), np.float32)
    _look(field, _steps(side), where)
    # of four channels, which OpenCV samples in half the time of three
    samples = cv2.cvtColor(face.samples, cv2.COLOR_RGB2RGBA)
    moved = cv2.remap(samples, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(moved, np.uint8)


@lru_cache(maxsize=1)
def _steps(side: int) -> npt.NDArray[np.intp]:
    """Where a line of samples lies among the nodes, in steps; not to be written."""
    per_sample = np.float32((_GRID - 1) / (side - 1))
    return np.asarray(np.rint(np.arange(side, dtype=np.float32) * per_sample * np.float32(_STEPS)), np.intp)


@compiled
def _look(field: npt.NDArray[np.float32], steps: npt.NDArray[np.intp], where: npt.NDArray[np.float32]) -> None:
    """Fill in where the old picture has each sample of the new one, float32 [side, side, 2] (x, y), samples: the field
    between its nodes, bilinear."""
    side, last, one = len(steps), len(field) - 1, np.float32(1)
    # the nodes left and right of each sample of a line, and its share of the right one
    left, right = np.empty((len(field), 2 * side), np.float32), np.empty((len(field), 2 * side), np.float32)
    share, line = np.empty(2 * side, np.float32), np.zeros(2 * side, np.float32)
    for j in range(side):
        column = steps[j] // _STEPS
        line[2 * j] = j
        for c in range(2):
            share[2 * j + c] = (steps[j] % _STEPS) / _STEPS
            left[:, 2 * j + c], right[:, 2 * j + c] = field[:, column, c], field[:, min(column + 1, last), c]
    for i in range(side):
        row, into = steps[i] // _STEPS, where[i].reshape(-1)
        down, below = np.float32((steps[i] % _STEPS) / _STEPS), min(row + 1, last)
        for j in range(2 * side):
            moved = left[row, j] * ((one - share[j]) * (one - down)) + right[row, j] * (share[j] * (one - down))
            moved += left[below, j] * ((one - share[j]) * down)
            moved += right[below, j] * (share[j] * down)
            into[j] = moved * np.float32(OVERSAMPLING) + line[j]
        for j in range(side):
            into[2 * j + 1] += np.float32(i)


def _follow(face: AlignedFace, field: npt.NDArray[np.float32]) -> Points:
    """Where the landmarks are now: p with p + field(p) = landmark, by Newton steps on the picture's own map.

    Plain fixed-point steps run away where the map shrinks a part to less than half.
    """
    spacing = (face.size - 1) / (_GRID - 1)
    maps = np.concatenate([field, _slopes(field, spacing)], axis=2)
    new = face.landmarks.astype(np.float64)
    _solve(maps, face.landmarks, 1 / spacing, face.size - 1.0, new)
    return new.astype(np.float32)


@compiled
def _solve(
    maps: npt.NDArray[np.float32], old: Points, per_pixel: float, far: float, new: npt.NDArray[np.float64]
) -> None:
    """The steps of `_follow`, in place from the old landmarks: `maps` are the field and its slopes to the right and
    down, float32 [_GRID, _GRID, 6], `far` is the crop's last pixel."""
    last, one, here = len(maps) - 1, np.float32(1), np.empty(6)
    for k in range(len(new)):
        for _ in range(_NEWTON_STEPS):
            x, y = float(new[k, 0]), float(new[k, 1])
            across = int(np.rint(np.float32(x * per_pixel) * np.float32(_STEPS)))
            down = int(np.rint(np.float32(y * per_pixel) * np.float32(_STEPS)))
            u, v = np.float32((across % _STEPS) / _STEPS), np.float32((down % _STEPS) / _STEPS)
            column, row = across // _STEPS, down // _STEPS
            left, right = min(max(column, 0), last), min(max(column + 1, 0), last)
            above, below = min(max(row, 0), last), min(max(row + 1, 0), last)
            for c in range(6):
                here[c] = (
                    maps[above, left, c] * ((one - u) * (one - v))
                    + maps[above, right, c] * (u * (one - v))
                    + maps[below, left, c] * ((one - u) * v)
                    + maps[below, right, c] * (u * v)
                )
            xx, xy, yx, yy = 1 + here[2], here[4], here[3], 1 + here[5]
            if min(x, y) < 0 or max(x, y) > far:
                xx, xy, yx, yy = 1.0, 0.0, 0.0, 1.0  # the map is flat there; a chin may lie below the crop
            x, y = x + here[0] - old[k, 0], y + here[1] - old[k, 1]
            new[k, 0] -= (yy * x - xy * y) / (xx * yy - xy * yx)
            new[k, 1] -= (xx * y - yx * x) / (xx * yy - xy * yx)


def _draw_tone(rng: np.random.Generator) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], float]:
    """Curves per channel uint8 [256, 3], a color matrix float32 [3, 3], and how much lighter the left edge is.

    A gamma of each channel's own gives skin and hair another color and leaves white what is white; the gains are light.
    """
    exposure, gamma = np.exp(rng.normal((-0.03, 0), (0.05, 0.2)))  # rather darker: what is white stays white
    pigment, warmth, tint = rng.normal(0, (0.05, 0.03, 0.008))
    saturation, contrast, light = rng.normal((1, 0, 0), (0.12, 0.12, 0.06))
    value = (np.arange(256)[:, None] / 255) ** (gamma * np.exp([-pigment, 0, pigment]))
    value += contrast * value * (1 - value) * (2 * value - 1)
    gains = np.clip(exposure * np.exp([warmth, tint, -warmth]), 0.8, 1.12)
    curves = np.round(np.clip(255 * value * gains, 0, 255)).astype(np.uint8)
    luma = np.array([0.299, 0.587, 0.114])
    matrix = np.eye(3) * saturation + (1 - saturation) * luma
    return curves, matrix.astype(np.float32), float(np.clip(light, -0.14, 0.14))


def _tone(samples: Image, curves: npt.NDArray[np.uint8], matrix: npt.NDArray[np.float32], light: float) -> Image:
    curved = np.empty((*samples.shape[:2], 3), np.uint8)
    red, green, blue = np.ascontiguousarray(curves.T)
    _curve(samples.view(np.uint32)[..., 0], red, green, blue, curved)
    toned = np.asarray(cv2.transform(curved, matrix), np.uint8)
    # a gray photo stays gray; that one is not is seen at its first rows
    if all((part == part[..., :1]).all() for part in (samples[:8, :, :3], samples[..., :3])):
        toned = gray(toned)[..., None].repeat(3, axis=2)
    _light(toned, np.linspace(1 + light, 1 - light, samples.shape[1], dtype=np.float32).repeat(3))
    return toned


@compiled
def _curve(samples: npt.NDArray[np.uint32], red: _Levels, green: _Levels, blue: _Levels, into: Image) -> None:
    """Look up the levels of samples R, G, B, any in tables of 256: OpenCV takes twice the time."""
    for i in range(len(samples)):
        row = into[i].reshape(-1)
        for j in range(samples.shape[1]):
            here = samples[i, j]
            row[3 * j] = red[here & 255]
            row[3 * j + 1] = green[here >> 8 & 255]
            row[3 * j + 2] = blue[here >> 16 & 255]


@compiled
def _light(samples: Image, gains: npt.NDArray[np.float32]) -> None:
    """Make samples lighter or darker, in place, by the gains of a row of R, G, B, R …"""
    for i in range(len(samples)):
        row = samples[i].reshape(-1)
        for j in range(len(row)):
            row[j] = np.uint8(min(np.rint(np.float32(row[j]) * gains[j]), np.float32(255)))
