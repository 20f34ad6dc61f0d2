"""Furrows as data (furrows.toml), and the relighting of a face by them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, AU_NUMBERS, SIDES, au_index
from miex.compiled import compiled
from miex.easing import ease
from miex.errors import InputError, UsageError
from miex.faces.crop import AlignedFace
from miex.faces.mesh import mirror_landmarks
from miex.generators.grid import Field, cell_centers, sample
from miex.generators.muscle.anatomy import Rim, landmarks
from miex.generators.muscle.basis import LATERAL, FaceFrame, Floats

TABLE = Path(__file__).with_name("furrows.toml")
FINER = 2  # cells of the light per cell of the field: 0.02 inter-ocular distances
POWER = 1.5  # of the intensity: skin gives way before it folds, so 0.2 shows 0.09 of a furrow
EARLY = {6: 1.2, 7: 1.2}  # the same below the eyes, where skin lies loose and bulges at once: 0.14
LINES = 0.02, 0.05  # between which sizes (standard deviations) skin shows its lines, inter-ocular distances
FAINTEST, DEEPEST = 0.6, 1.5  # furrows of smooth and of lined skin, of their depth
DARKEST, BRIGHTEST = 0.8, 1.1  # of the light that is left, however many furrows meet
RIM = 0.06  # of the way from the middle of the face to its rim: there furrows fade out
RIDGE = 0.45  # brightness of the ridges beside a valley, of its depth: they take up about the light that it loses


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
    if not (furrow.width > 0 and 0 < furrow.depth < 1 and len(furrow.line) > 1 and len(furrow.offset) == 2):
        raise ValueError(f"furrow of AU {furrow.au} along {furrow.line}: width, depth, line or offset out of range")
    if furrow.skin not in skin:
        raise ValueError(f"furrow of AU {furrow.au} along {furrow.line}: skin {furrow.skin!r}, of {', '.join(skin)}")
    line, (lateral, down) = landmarks(list(furrow.line)), furrow.offset
    return replace(furrow, line=line, offset=(lateral, down))


class Light:
    """How the furrows of a face shade it; each made when it is first needed.

    Attributes:
        fine: side of the grid of shades, FINER than that of the field.
    """

    def __init__(self, frame: FaceFrame, face: AlignedFace, grid: int) -> None:
        self.fine = grid * FINER
        self._frame, self._face, self._size = frame, face, face.size
        self._lined: dict[str, float] = {}
        self._shades: dict[int, tuple[Floats, tuple[float, float, float, float]]] = {}

    @cached_property
    def _on_face(self) -> Floats:
        """1 on the face, 0 beyond its rim, where pixels are not to change by a bit, [f, f]."""
        inside = ease((1 - self._frame.radius(Rim(neck=0))) / np.float32(RIM))
        return np.asarray(cv2.resize(inside, (self.fine, self.fine), interpolation=cv2.INTER_NEAREST), np.float32)

    def positions(self, size: int) -> npt.NDArray[np.float32]:
        """(x, y) of each pixel of a crop on the grid of shades, float32 [size, size, 2], not to be written."""
        return _positions(size, self.fine)

    def shade(self, row: int) -> tuple[Floats, tuple[float, float, float, float]]:
        """Of an entry of the basis: change of the light at intensity 1, float32 [f, f], and where it is: left, top,
        right, bottom, pixels of the crop."""
        if row not in self._shades:
            centers = cell_centers(self._size, self.fine)
            shade = np.zeros((self.fine, self.fine), np.float32)
            for furrow in load_furrows():
                if AU_INDEX[furrow.au] == row // len(SIDES):
                    deep = replace(furrow, depth=furrow.depth * self.lined(furrow.skin))
                    _crease(self._frame, deep, row % len(SIDES), centers, into=shade)
            shade *= self._on_face
            ys, xs = (centers[np.flatnonzero(shade.any(axis))] for axis in (1, 0))
            box = (float(xs[0]), float(ys[0]), float(xs[-1]), float(ys[-1])) if len(xs) else (0.0, 0.0, 0.0, 0.0)
            self._shades[row] = shade, box
        return self._shades[row]

    def lined(self, skin: str) -> float:
        """How deep furrows are in a region, of their depth in furrows.toml: lined skin folds along its lines, smooth
        skin gives way without."""
        if skin not in self._lined:
            region = load_skin()[skin]
            found = lines(self._face, region.around) / region.lines
            self._lined[skin] = float(np.clip(found, FAINTEST, DEEPEST))
        return self._lined[skin]


def lines(face: AlignedFace, around: tuple[int, ...]) -> float:
    """How lined the skin of a photo is on both sides of the face: the median contrast of what has the size of wrinkles,
    gray levels.

    Half of the skin may be covered by hair or lie in a sharp shadow, and the median hardly changes.

    Args:
        face: the face at rest.
        around: landmarks around the region, right side.
    """
    twins = mirror_landmarks()
    polygons = [np.rint(face.landmarks[list(ring)]).astype(np.int32) for ring in (around, [twins[i] for i in around])]
    every, margin = np.concatenate(polygons), int(3 * LINES[1] * face.inter_ocular) + 1
    (left, top), (right, bottom) = np.maximum(0, every.min(0) - margin), every.max(0) + margin
    gray = (
        cv2.cvtColor(face.crop[top:bottom, left:right], cv2.COLOR_RGB2GRAY) if right > left and bottom > top else None
    )
    if gray is None or not gray.size:
        return 0.0
    skin = np.zeros(gray.shape, np.uint8)
    for polygon in polygons:
        cv2.fillPoly(skin, [polygon - (left, top)], 1)
    small, large = (cv2.GaussianBlur(gray.astype(np.float32), (0, 0), s * face.inter_ocular) for s in LINES)
    contrast = np.abs(small - large)[skin > 0]
    return float(np.median(contrast)) if len(contrast) else 0.0


@lru_cache(maxsize=8)
def _positions(size: int, fine: int) -> npt.NDArray[np.float32]:
    line = cell_centers(fine, size)
    points = np.stack(np.meshgrid(line, line), -1)
    points.flags.writeable = False
    return points


@cache
def _furrowed() -> npt.NDArray[np.intp]:
    """Entries of the basis that have furrows."""
    aus = sorted({furrow.au for furrow in load_furrows()})
    return np.array([AU_INDEX[au] * len(SIDES) + side for au in aus for side in range(len(SIDES))], np.intp)


def _crease(frame: FaceFrame, furrow: Furrow, side: int, centers: Floats, into: Floats) -> None:
    points = frame.side_points(furrow.line, side) + np.array(
        [LATERAL[side] * furrow.offset[0], furrow.offset[1]], np.float32
    ) * np.float32(frame.unit)
    width = np.float32(max(furrow.width * frame.unit, centers[1] - centers[0]))
    reach = 4 * width
    columns, rows = (
        slice(*np.searchsorted(centers, (points[:, i].min() - reach, points[:, i].max() + reach))) for i in (0, 1)
    )
    x, y = centers[None, columns], centers[rows, None]
    if not (x.size and y.size):
        return
    midline = frame.crosses(furrow.line)
    half = frame.side_share(side, x, y) if midline else np.empty((0, 0), np.float32)
    _shade(into[rows, columns], x[0], y[:, 0], points, float(width), furrow.depth, half)


@compiled
def _shade(into: Floats, x: Floats, y: Floats, points: Floats, width: float, depth: float, half: Floats) -> None:
    """Add a crease along a line.

    Args:
        into: change of the light [h, w], changed in place.
        x, y: of its columns and rows, pixels.
        points: the line [n, 2], pixels.
        width: of the crease, pixels.
        depth: change of the light along its middle.
        half: share of each cell [h, w], for a crease whose other half goes on where the line ends; of size 0: it ends.
    """
    length = 0.0
    for k in range(len(points) - 1):
        length += np.hypot(points[k + 1, 0] - points[k, 0], points[k + 1, 1] - points[k, 1])
    for i in range(len(y)):
        for j in range(len(x)):
            nearest, position, before = np.inf, 0.0, 0.0
            for k in range(len(points) - 1):
                right, down = points[k + 1, 0] - points[k, 0], points[k + 1, 1] - points[k, 1]
                dx, dy, squared = x[j] - points[k, 0], y[i] - points[k, 1], right * right + down * down
                share = min(1.0, max(0.0, (dx * right + dy * down) / max(squared, 1e-6)))
                distance = (dx - share * right) ** 2 + (dy - share * down) ** 2
                if distance < nearest:
                    nearest, position = distance, before + share * np.sqrt(squared)
                before += np.sqrt(squared)
            r = np.sqrt(nearest) / width
            if r >= 4:
                continue
            profile = RIDGE * np.exp(-((r - 2) ** 2) / 2) - np.exp(-(r**2) / 2)
            to_end = position if half.size else min(position, length - position)
            shade = depth * profile * _ease((4 - r) / 1.5) * _ease(to_end / (0.3 * length))
            if half.size:
                shade *= half[i, j]
            if abs(shade) >= 1e-4:
                into[i, j] += shade


@compiled
def _ease(t: float) -> float:
    t = min(1.0, max(0.0, t))
    return t * t * (3 - 2 * t)


def relight(
    levels: npt.NDArray[np.uint16], light: Light, weights: Floats, back: Field, positions: npt.NDArray[np.float32]
) -> None:
    """Shade a frame by its furrows.

    Args:
        levels: the frame, changed in place, uint16 [size, size, 3].
        light: the furrows of the face.
        weights: intensities, float32 [34].
        back: where what is seen at each pixel came from, displacement float32 [size, size, 2], pixels.
        positions: of each pixel on the grid of shades, from `Light.positions`, float32 [size, size, 2].
    """
    rows = _furrowed()
    rows = rows[weights[rows] > 0]
    if not len(rows):
        return
    size, fine = len(levels), light.fine
    total = np.ones((fine, fine), np.float32)
    for row in rows:
        power = EARLY.get(AU_NUMBERS[row // len(SIDES)], POWER)
        cv2.scaleAdd(light.shade(int(row))[0], float(weights[row]) ** power, total, dst=total)
    boxes = np.array([light.shade(int(row))[1] for row in rows])
    margin = float(cv2.norm(back, cv2.NORM_INF)) + 1
    x0, y0 = (max(0, int(v - margin)) for v in boxes[:, :2].min(0))
    x1, y1 = (min(size, int(v + margin) + 2) for v in boxes[:, 2:].max(0))
    box = slice(y0, y1), slice(x0, x1)
    where = cv2.scaleAdd(back[box], fine / size, positions[box])
    factor = sample(total, where)
    factor = np.clip(factor, DARKEST, BRIGHTEST)
    levels[box] = cv2.multiply(levels[box], cv2.merge([factor] * 3), dtype=cv2.CV_16U)
