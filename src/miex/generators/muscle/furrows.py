"""Furrows as data (furrows.toml), and the relighting of a face by them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import cache, cached_property
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, AU_NUMBERS, SIDES, au_index
from miex.compiled import compiled, eased
from miex.easing import ease
from miex.errors import InputError, UsageError
from miex.faces.crop import AlignedFace
from miex.generators.grid import Field, bilinear, cell_centers
from miex.generators.muscle.anatomy import Rim, landmarks
from miex.generators.muscle.basis import LATERAL, FaceFrame, Floats, crosses, of_side
from miex.generators.muscle.cuts import median

_Indices = npt.NDArray[np.int64]
_Doubles = npt.NDArray[np.float64]

TABLE = Path(__file__).with_name("furrows.toml")
FINER = 2  # cells of the light per cell of the field, at least: 0.02 inter-ocular distances
POWER = 1.5  # of the intensity: skin gives way before it folds, so 0.2 shows 0.09 of a furrow
EARLY = {6: 1.0, 7: 1.2}  # the same about the eyes, where skin lies loose and bulges at once
LINES = 0.02, 0.05  # between which sizes (standard deviations) skin shows its lines, inter-ocular distances
FAINTEST, DEEPEST = 0.75, 1.5  # furrows of smooth and of lined skin, of their depth
DARKEST, BRIGHTEST = 0.8, 1.1  # of the light that is left, however many furrows meet
RIM = 0.06  # of the way from the middle of the face to its rim: there furrows fade out
REACH = 4.0  # of a furrow to either side, of its width
RIDGE = 0.45  # brightness of the ridges beside a valley, of its depth: they take up about the light that it loses
BULGE = 2.5  # how much wider the shade is on the side on which skin bulges over a furrow
ASTRAY = 0.02  # how far a furrow leaves its line for one that the photo shows, inter-ocular distances
HAIR = 6.0  # darkness, of that of the skin's common lines, from which on it is no line of skin
FLATTEST = 0.3  # contrast of skin that shows next to no lines, gray levels
PLAINEST, OWN, STRONGEST = 0.6, 0.25, 1.2  # of a furrow where the photo shows no line, per darkness of one, and at most


@dataclass(frozen=True)
class Furrow:
    """A furrow; furrows.toml says what its fields are."""

    au: int
    line: tuple[int, ...]
    offset: tuple[float, float]
    width: float
    depth: float
    skin: str
    source: str
    bulge: int = 0


@dataclass(frozen=True)
class Skin:
    """A region of the face; furrows.toml says what its fields are."""

    around: tuple[int, ...]
    lines: float


@cache
def load_skin(path: Path = TABLE) -> dict[str, Skin]:
    """The regions of that file. Raises InputError as `load_furrows` does."""
    try:
        rows = tomllib.loads(path.read_text("utf-8"))["skin"]
        return {name: replace(Skin(**row), around=landmarks(row["around"])) for name, row in rows.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"furrows {path}", expected="the form described at its top", found=str(error)) from error


@cache
def load_furrows(path: Path = TABLE) -> tuple[Furrow, ...]:
    """The furrows of that file.

    Raises:
        InputError: it is not TOML, a key is missing or unknown, a number is out of range.
    """
    try:
        return tuple(_furrow(row, load_skin(path)) for row in tomllib.loads(path.read_text("utf-8"))["furrow"])
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise InputError(f"furrows {path}", expected="the form described at its top", found=str(error)) from error


def _furrow(row: dict[str, object], skin: dict[str, Skin]) -> Furrow:
    furrow = Furrow(**row)  # type: ignore[arg-type]  # proven below
    au_index(furrow.au, where="furrow")
    proper = furrow.width > 0 and 0 < furrow.depth < 1 and len(furrow.line) > 1 and len(furrow.offset) == 2
    if not (proper and furrow.bulge in (-1, 0, 1)):
        raise ValueError(
            f"furrow of AU {furrow.au} along {furrow.line}: width, depth, line, offset or bulge out of range"
        )
    if furrow.skin not in skin:
        raise ValueError(f"furrow of AU {furrow.au} along {furrow.line}: skin {furrow.skin!r}, of {', '.join(skin)}")
    line, (lateral, down) = landmarks(list(furrow.line)), furrow.offset
    return replace(furrow, line=line, offset=(lateral, down))


class Light:
    """How the furrows of a face shade it; all are made when the first is needed.

    Attributes:
        fine: side of the grid of shades: that of the crop, or FINER than the field.
    """

    def __init__(self, frame: FaceFrame, face: AlignedFace, grid: int) -> None:
        self.fine = max(grid * FINER, face.size)
        self._frame, self._face, self._centers = frame, face, cell_centers(face.size, self.fine)
        self._lined: dict[str, float] = {}

    @cached_property
    def _on_face(self) -> Floats:
        """1 on the face, 0 beyond its rim, where pixels are not to change by a bit, [f, f]."""
        inside = ease((1 - self._frame.radius(Rim(neck=0))) / np.float32(RIM))
        return np.asarray(cv2.resize(inside, (self.fine, self.fine), interpolation=cv2.INTER_NEAREST), np.float32)

    def shade(self, row: int) -> tuple[Floats, tuple[slice, slice]]:
        """Of an entry of the basis: change of the light at intensity 1, float32 [h, w], and its rows and columns of the
        grid of shades."""
        shades, windows = self.shades
        top, bottom, left, right, start, width = windows[_table().rows.tolist().index(row)].tolist()
        places = start + np.arange(bottom - top)[:, None] * width + np.arange(right - left)
        return shades[places], (slice(top, bottom), slice(left, right))

    @cached_property
    def shades(self) -> tuple[Floats, _Indices]:
        """Change of the light by each entry of the basis that has furrows, at intensity 1, one after the other, float32
        [p]; and of each, int64 [n, 6]: its first row and column of the grid of shades and those behind its last (top,
        bottom, left, right), where it begins, and how far it is from one row to the next."""
        table, unit = _table(), self._frame.unit
        points = (self._frame.points[table.landmarks] + table.offsets * np.float32(unit)).astype(np.float32)
        points = points[table.near] + (points[table.far] - points[table.near]) * np.float32(0.25)
        widths = np.maximum(table.widths * unit, float(self._centers[1] - self._centers[0]))
        lined = np.array([self.lined(skin) for skin in load_skin()])
        commons = np.maximum(lined * [skin.lines for skin in load_skin().values()], FLATTEST)[table.skins]
        depths = table.depths * np.clip(lined, FAINTEST, DEEPEST)[table.skins]
        strengths = _settle(points, table.lines, self._contrast[..., None], ASTRAY * unit, commons)
        around = (REACH * widths * np.where(table.bulges, BULGE, 1))[:, None]
        lows = np.minimum.reduceat(np.minimum.reduceat(points, table.lines[:-1]) - around, table.furrows[:-1])
        highs = np.maximum.reduceat(np.maximum.reduceat(points, table.lines[:-1]) + around, table.furrows[:-1])
        (lefts, tops), (rights, bottoms) = (np.searchsorted(self._centers, ends).T for ends in (lows, highs))
        sizes = (bottoms - tops) * (rights - lefts)
        shades = np.zeros(int(sizes.sum()), np.float32)
        windows = np.stack([tops, bottoms, lefts, rights, np.cumsum(sizes) - sizes, rights - lefts], 1)
        _shade(
            shades, windows, self._centers, points, strengths, table.lines, table.furrows, widths, depths,
            table.midline, table.bulges, table.rows % len(SIDES), self._halves, self._on_face,
        )  # fmt: skip
        return shades, windows

    @cached_property
    def _halves(self) -> Floats:
        """The share of each side in what lies on the midline, [2, f, f]."""
        x, y = self._centers[None, :], self._centers[:, None]
        return np.stack([self._frame.share(side, x, y) for side in range(len(SIDES))])

    @cached_property
    def _contrast(self) -> Floats:
        return contrast(self._face)

    def lined(self, skin: str) -> float:
        """How lined a region is, of what most people's is: lined skin folds along its lines, smooth skin gives way
        without."""
        if skin not in self._lined:
            region = load_skin()[skin]
            self._lined[skin] = lines(self._face, self._contrast, region.around) / region.lines
        return self._lined[skin]

    @cached_property
    def tint(self) -> Floats:
        """How much of a change of the light red, green and blue take, float32 [3], 1 in the mean.

        Light in a fold has met the skin more than once, and each time it loses what the skin's color lacks.
        """
        color = self._face.crop[_inside(self._face, load_skin()["cheek"].around)]
        lost = -np.log(np.clip((color.mean(0) if len(color) else np.full(3, 128.0)) / 256, 1e-2, 0.99))
        return np.asarray((1 + lost / lost.mean()) / 2, np.float32)


def contrast(face: AlignedFace) -> Floats:
    """What of the crop has the size of wrinkles, gray levels, float32 [size, size]; below 0 where it is dark."""
    gray = cv2.cvtColor(face.crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    small, large = (cv2.GaussianBlur(gray, (0, 0), s * face.inter_ocular) for s in LINES)
    return np.asarray(small - large, np.float32)


def lines(face: AlignedFace, contrasts: Floats, around: tuple[int, ...]) -> float:
    """How lined the skin of a photo is on both sides of the face: the median of its contrasts, without their signs.

    Half of the skin may be covered by hair or lie in a sharp shadow, and the median hardly changes.

    Args:
        face: the face at rest.
        contrasts: its `contrast`.
        around: landmarks around the region, right side.
    """
    found = np.abs(contrasts[_inside(face, around)])
    return float(median(found)) if len(found) else 0.0


def _inside(face: AlignedFace, around: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Pixels within a ring of landmarks, right side, or its twin."""
    skin = np.zeros((face.size, face.size), np.uint8)
    for side in range(len(SIDES)):
        cv2.fillPoly(skin, [np.rint(face.landmarks[of_side(around, side)]).astype(np.int32)], 1)
    return skin > 0


class Table(NamedTuple):
    """Both sides of all furrows, as arrays for a kernel, those of one entry of the basis one after the other; lengths
    are inter-ocular distances.

    Attributes:
        rows: int64 [n]: entries of the basis that have furrows.
        furrows: int64 [n + 1]: where those of each begin and end.
        landmarks, offsets: int64 [q] and float32 [q, 2]: what the lines are drawn along.
        near, far: int64 [p]: how their corners are cut (Chaikin 1974): each new point is a quarter of the way from one
            to another.
        lines: int64 [f + 1]: where the line of each furrow then begins and ends.
        widths, depths: float64 [f].
        skins: int64 [f]: which of `load_skin` each furrow lies in.
        midline: bool [f]: whether its line runs on over the other side.
        powers: float64 [n]: of the intensity, with which furrows of each entry deepen.
        bulges: int64 [f]: on which side of it skin bulges, 1: on the right of who walks along it in the picture.
    """

    rows: _Indices
    furrows: _Indices
    landmarks: _Indices
    offsets: Floats
    near: _Indices
    far: _Indices
    lines: _Indices
    widths: _Doubles
    depths: _Doubles
    skins: _Indices
    midline: npt.NDArray[np.bool_]
    bulges: _Indices
    powers: _Doubles


@cache
def _table() -> Table:
    every = sorted(
        ((AU_INDEX[furrow.au] * len(SIDES) + side, furrow) for furrow in load_furrows() for side in range(len(SIDES))),
        key=itemgetter(0),
    )
    rows, first = np.unique([row for row, _ in every], return_index=True)
    ends, names = np.cumsum([0, *(len(furrow.line) for _, furrow in every)]), list(load_skin())
    first_of, last_of = (np.repeat(some, 2 * np.diff(ends)) for some in (ends[:-1], ends[1:] - 1))
    near = np.arange(ends[-1]).repeat(2)
    far = np.clip(near + np.tile((-1, 1), ends[-1]), first_of, last_of)
    sides = [(LATERAL[row % len(SIDES)], row % len(SIDES), furrow) for row, furrow in every]
    return Table(
        rows, np.append(first, len(every)),
        np.concatenate([of_side(furrow.line, side) for _, side, furrow in sides]),
        np.concatenate([[(way * furrow.offset[0], furrow.offset[1])] * len(furrow.line) for way, _, furrow in sides])
        .astype(np.float32), near, far, 2 * ends,
        np.array([furrow.width for _, furrow in every]), np.array([furrow.depth for _, furrow in every]),
        np.array([names.index(furrow.skin) for _, furrow in every]),
        np.array([crosses(furrow.line) for _, furrow in every]),
        np.array([-int(way) * furrow.bulge for way, _, furrow in sides]),
        np.array([EARLY.get(AU_NUMBERS[row // len(SIDES)], POWER) for row in rows.tolist()]),
    )  # fmt: skip


@compiled
def _settle(points: Floats, lines: _Indices, contrasts: Floats, astray: float, commons: _Doubles) -> Floats:
    """Move furrows to the person's own lines, where the photo shows some nearby.

    Args:
        points: of the lines, pixels [p, 2], changed in place.
        lines: where that of each furrow begins and ends, [f + 1].
        contrasts: of the photo, [size, size, 1].
        astray: how far they go, pixels.
        commons: contrast of the skin's common lines, [f].

    Returns:
        how strong the furrow is at each point, float32 [p].
    """
    strengths = np.ones(len(points), np.float32)
    for f in range(len(lines) - 1):
        first, n = lines[f], lines[f + 1] - lines[f]
        found, normals = np.zeros((n, 2)), np.zeros((n, 2))  # how far aside, and how dark it is there
        for k in range(n):
            before, after = points[first + max(0, k - 1)], points[first + min(n - 1, k + 1)]
            right, down = float(after[0] - before[0]), float(after[1] - before[1])
            length = max(np.sqrt(right * right + down * down), 1e-6)
            normals[k] = -down / length, right / length
            total = 0.0
            for step in range(-4, 5):
                aside = step / 2
                x, y = points[first + k] + aside * astray * normals[k]
                dark = -bilinear(contrasts, x, y, 0) / commons[f]
                dark = min(dark, max(0.0, HAIR - dark))
                share = np.exp(dark - aside * aside / 2)
                total += share
                found[k, 0] += share * aside
                found[k, 1] += share * dark
            found[k] /= total
        for _ in range(2):
            rough = found.copy()
            for k in range(n):
                found[k] = (rough[max(0, k - 1)] + 2 * rough[k] + rough[min(n - 1, k + 1)]) / 4
        for k in range(n):
            points[first + k, 0] += found[k, 0] * astray * normals[k, 0]
            points[first + k, 1] += found[k, 0] * astray * normals[k, 1]
            strengths[first + k] = min(max(PLAINEST + OWN * found[k, 1], PLAINEST / 2), STRONGEST)
    return strengths


@compiled
def _shade(
    into: Floats,
    windows: _Indices,
    centers: Floats,
    points: Floats,
    strengths: Floats,
    lines: _Indices,
    furrows: _Indices,
    widths: _Doubles,
    depths: _Doubles,
    midline: npt.NDArray[np.bool_],
    bulges: _Indices,
    sides: _Indices,
    halves: Floats,
    on_face: Floats,
) -> None:
    """Draw furrows.

    Args:
        into: zeros, to be filled: `Light.shades`.
        windows: of each, [n, 6], changed in place: no larger than what is shaded.
        centers: of the grid's columns, and of its rows, pixels.
        points, strengths: of the lines, pixels [p, 2], and how strong furrows are there [p].
        lines, furrows, midline, bulges: of `Table`.
        widths: of the furrows, pixels.
        depths: change of the light along their middle.
        sides: of the entries.
        halves, on_face: share of each cell of the grid [2, f, f] where a line runs on over the other side, and [f, f].
    """
    for n in range(len(windows)):
        top, left, start, width = windows[n, 0], windows[n, 2], windows[n, 4], windows[n, 5]
        height = windows[n, 1] - top
        shade = into[start : start + height * width].reshape(height, width)
        # distance², how far along, how strong, and whether on the side where skin bulges
        nearest, position = np.empty((height, width)), np.empty((height, width))
        strong, over = np.empty((height, width)), np.empty((height, width))
        for f in range(furrows[n], furrows[n + 1]):
            bulge, length = bulges[f], 0.0
            reach = REACH * widths[f] * (BULGE if bulge else 1.0)
            nearest[:] = np.inf
            for k in range(lines[f], lines[f + 1] - 1):
                x, y = float(points[k, 0]), float(points[k, 1])
                right, down = points[k + 1, 0] - x, points[k + 1, 1] - y
                squared = max(right * right + down * down, 1e-6)
                rows = np.searchsorted(centers, np.array([min(y, y + down) - reach, max(y, y + down) + reach])) - top
                columns = np.searchsorted(centers, np.array([min(x, x + right) - reach, max(x, x + right) + reach]))
                columns -= left
                for i in range(max(0, rows[0]), min(height, rows[1])):
                    dy = centers[top + i] - y
                    for j in range(max(0, columns[0]), min(width, columns[1])):
                        dx = centers[left + j] - x
                        share = min(1.0, max(0.0, (dx * right + dy * down) / squared))
                        distance = (dx - share * right) ** 2 + (dy - share * down) ** 2
                        if distance < nearest[i, j]:
                            nearest[i, j], position[i, j] = distance, length + share * np.sqrt(squared)
                            strong[i, j] = strengths[k] + share * (strengths[k + 1] - strengths[k])
                            over[i, j] = bulge * (right * dy - down * dx)
                length += np.sqrt(squared)
            for i in range(height):
                for j in range(width):
                    to_end = position[i, j] if midline[f] else min(position[i, j], length - position[i, j])
                    if nearest[i, j] >= reach * reach or to_end <= 0:
                        continue
                    r = np.sqrt(nearest[i, j]) / widths[f]
                    if over[i, j] > 0:
                        r /= BULGE
                    profile = -np.exp(-(r**2) / 2)
                    if over[i, j] >= 0:
                        profile += RIDGE * np.exp(-((r - 2) ** 2) / 2)
                    light = depths[f] * strong[i, j] * profile
                    light *= eased((REACH - r) / 1.5) * eased(to_end / (0.3 * length))
                    if midline[f]:
                        light *= halves[sides[n], top + i, left + j]
                    if abs(light) >= 1e-4:
                        shade[i, j] += light * on_face[top + i, left + j]
        first_row, first_column, last_row, last_column = height, width, -1, -1
        for i in range(height):
            for j in range(width):
                if shade[i, j] != 0:
                    first_row, last_row = min(first_row, i), i
                    first_column, last_column = min(first_column, j), max(last_column, j)
        windows[n, 0], windows[n, 1] = top + first_row, top + max(first_row, last_row + 1)
        windows[n, 2], windows[n, 3] = left + first_column, left + max(first_column, last_column + 1)
        windows[n, 4] = start + first_row * width + first_column


def relight(levels: npt.NDArray[np.uint16], light: Light, weights: Floats, back: Field) -> None:
    """Shade a frame by its furrows.

    Args:
        levels: the frame, changed in place, uint16 [size, size, 3].
        light: the furrows of the face.
        weights: intensities, float32 [34].
        back: where what is seen at each pixel came from, displacement float32 [size, size, 2], pixels.
    """
    table, (shades, windows) = _table(), light.shades
    _relight(
        levels, back, cv2.norm(back, cv2.NORM_INF), shades, windows, weights, table.rows, table.powers,
        light.fine / len(levels), light.tint,
    )  # fmt: skip


@compiled
def _relight(
    levels: npt.NDArray[np.uint16],
    back: Field,
    furthest: float,
    shades: Floats,
    windows: _Indices,
    weights: Floats,
    rows: _Indices,
    powers: _Doubles,
    finer: float,
    tint: Floats,
) -> None:
    """Multiply each pixel [size, size, 3] by the light where what is seen there came from.

    Args:
        levels, weights, back: as for `relight`.
        furthest: the longest of `back` to the right or down.
        shades, windows: `Light.shades`; rows, powers: of `Table`.
        finer: cells of the grid of shades per pixel.
        tint: how much of a change of the light colors take.
    """
    work = (weights[rows] > 0) & (windows[:, 0] < windows[:, 1])
    if not work.any():
        return
    size, top, left = len(levels), windows[work, 0].min() - 1, windows[work, 2].min() - 1
    height, width = windows[work, 1].max() + 1 - top, windows[work, 3].max() + 1 - left
    total = np.ones((height, width, 1), np.float32)  # in a rim of nothing but 1
    firsts, lasts = np.full(height, width), np.zeros(height, np.int64)  # of what is not 1 in each of its rows
    for n in np.flatnonzero(work):
        amount = np.float64(np.float32(np.float64(weights[rows[n]]) ** powers[n]))
        first, last = windows[n, 2] - left, windows[n, 3] - left
        for i in range(windows[n, 0], windows[n, 1]):
            start = windows[n, 4] + (i - windows[n, 0]) * windows[n, 5]
            firsts[i - top], lasts[i - top] = min(firsts[i - top], first), max(lasts[i - top], last)
            row = total[i - top, first:last, 0]
            for j in range(len(row)):
                row[j] = np.float32(np.float64(shades[start + j]) * amount + np.float64(row[j]))
    for i in range(max(0, int(top / finer - furthest) - 1), min(size, int((top + height) / finer + furthest) + 2)):
        # the rows of shades that its pixels may have come from
        above, below = ((i - furthest + 0.5) * finer - 0.5 - top, (i + furthest + 0.5) * finer - 0.5 - top)
        around = slice(max(0, int(above)), max(0, int(below) + 2))
        if around.start >= min(height, around.stop):
            continue
        first, last = firsts[around].min(), lasts[around].max()
        start = max(0, int((first + left) / finer - furthest) - 2)
        for j in range(start, min(size, int((last + left) / finer + furthest) + 3)):
            x = (j + back[i, j, 0] + 0.5) * finer - 0.5 - left
            y = (i + back[i, j, 1] + 0.5) * finer - 0.5 - top
            if not (0 <= x < width - 1 and 0 <= y < height - 1):
                continue
            c, r = int(x), int(y)
            if total[r, c, 0] == total[r, c + 1, 0] == total[r + 1, c, 0] == total[r + 1, c + 1, 0] == 1:
                continue  # most of what lies between furrows
            factor = min(max(bilinear(total, x, y, 0), DARKEST), BRIGHTEST)
            if abs(factor - 1) > 1e-6:
                for k in range(3):
                    change = 1 + (factor - 1) * tint[k]
                    levels[i, j, k] = np.uint16(min(levels[i, j, k] * change + 0.5, 65535.0))
