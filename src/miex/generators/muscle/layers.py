"""The layers above the warped skin: mouth and eyes, each drawn on a small part of the frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, SIDES
from miex.compiled import compiled, interpolated
from miex.faces.crop import OVERSAMPLING, AlignedFace
from miex.generators.grid import Field, bilinear, invert_block
from miex.generators.muscle.anatomy import load
from miex.generators.muscle.basis import FaceFrame, Floats
from miex.generators.muscle.cuts import (
    WHOLE,
    Opening,
    cut_spec,
    let_through,
    open_cut,
    sheets,
)
from miex.generators.muscle.folds import MOST, Part, bound, restraint
from miex.generators.muscle.furrows import Light
from miex.generators.muscle.lids import Eye, behind, fringed, make_eye, unrolled
from miex.generators.muscle.mouth import Mouth, between, make_mouth

TILES = 8  # by which the grid is divided each way to see at a glance that nothing folds


class Layers:
    """Mouth, eyes and furrows of a face, each made when it is first needed.

    Attributes:
        frame: the face's lines and distances.
        light: its furrows.
    """

    def __init__(self, frame: FaceFrame, face: AlignedFace, basis: Floats) -> None:
        self.frame, self.light = frame, Light(frame, face, basis.shape[1])
        self._face, self._basis = face, basis
        # bound of the compression by each entry of the basis at intensity 1, in each tile of the grid; NaN: unknown yet
        self._worst = np.full((len(basis), TILES**2), np.nan, np.float32)
        self._parts: dict[str, Mouth | Eye] = {}
        self._zones: dict[str, tuple[npt.NDArray[np.bool_], ...]] = {}

    def parts(self, weights: Floats) -> Iterator[Mouth | Eye]:
        """Those that have a muscle at work, from intensities float32 [34]."""
        return (self._parts[name] for name in self._at_work(weights))

    def _at_work(self, weights: Floats) -> Iterator[str]:
        rows = np.flatnonzero(weights).tolist()
        for name in ("mouth", *SIDES):
            if not moving_rows(name).isdisjoint(rows):
                self.part(name)
                yield name

    def restraint(self, field: Field, weights: Floats, size: int) -> Floats | None:
        """By how much to shorten all motion so that neither the skin nor a sheet of it folds where it is seen.

        Args:
            field: of the skin, float32 [g, g, 2], pixels.
            weights: intensities, float32 [34].
            size: side of the crop, pixels.

        Returns:
            float32 [g, g] in (0, 1]; None: nothing would fold.
        """
        grid = len(field)
        if _highest(weights, self._worst) <= MOST:
            return None
        for row in np.flatnonzero((weights > 0) & np.isnan(self._worst[:, 0])).tolist():
            self.worst(row, size)
        if _highest(weights, self._worst) <= MOST:
            return None
        return restraint(self._seen(field, weights), grid, grid / size, self.frame.unit)

    def worst(self, row: int, size: int) -> Floats:
        """A bound of the compression by an entry of the basis at intensity 1, in each tile of the grid."""
        if np.isnan(self._worst[row, 0]):
            rows = _alike(parted(row), len(self._worst))
            self._worst[rows] = self._seen_compression(rows, size)
        return np.asarray(self._worst[row])

    def part(self, name: str) -> Mouth | Eye:
        """The "mouth", or the eye of a side."""
        if name not in self._parts:
            self._parts[name] = self._make(name)
        return self._parts[name]

    def _seen_compression(self, rows: npt.NDArray[np.intp], size: int) -> Floats:
        """As `worst` for entries that part the same lips and lids, float32 [n, TILES²]."""
        grid, places = self._basis.shape[1], {row: i for i, row in enumerate(rows.tolist())}
        skin, found = np.ones((grid, grid), bool), np.zeros((len(rows), TILES, TILES), np.float32)
        per, every = (grid // TILES, grid / size), np.arange(len(rows))
        for name in parted(int(rows[0])):
            cut = self.part(name).cut
            zone, *seen = self._zone(name)
            skin[cut.window] &= ~zone
            for extra, cells in zip(cut.extra, seen, strict=True):
                sheets = self._basis[rows, *cut.window]
                for row, more in zip(cut.rows.tolist(), extra, strict=True):
                    if row in places:
                        sheets[places[row]] += more
                bound(sheets, every, cells, (cut.window[0].start, cut.window[1].start), *per, found)
        bound(self._basis, rows, skin, (0, 0), *per, found)
        return found.reshape(len(rows), -1)

    def _seen(self, field: Field, weights: Floats) -> list[Part]:
        skin = np.ones(field.shape[:2], bool)
        found: list[Part] = [((slice(None), slice(None)), field, skin)]
        for name in self._at_work(weights):
            cut = self._parts[name].cut
            window = cut.window
            zone, *seen = self._zone(name)
            skin[window] &= ~zone
            both = sheets(field, cut, cut.amounts(weights), None)
            found += [(window, moved, cells) for moved, cells in zip(both, seen, strict=True)]
        return found

    def _zone(self, name: str) -> tuple[npt.NDArray[np.bool_], ...]:
        """Cells of a part's window in which the skin itself is not seen; its upper sheet is; its lower sheet is."""
        if name not in self._zones:
            cut = self._parts[name].cut
            x, y = self.frame.x[0, cut.window[1]], self.frame.y[cut.window[0], 0]
            found = np.zeros((3, len(y), len(x)), bool)
            _within(np.array(cut.zone, np.float32), cut.edges, x, y, float(x[1] - x[0]), found)
            self._zones[name] = tuple(found)
        return self._zones[name]

    def _make(self, name: str) -> Mouth | Eye:
        if name == "mouth":
            return make_mouth(self.frame, self._face, self._basis)
        return make_eye(self.frame, self._face, self._basis, SIDES.index(name))


@compiled
def _highest(weights: Floats, worst: Floats) -> float:
    """The highest of sums of bounds [34, tiles], each times its weight; NaN where one of them is."""
    total = np.zeros(worst.shape[1])
    for row in range(len(weights)):
        if weights[row] > 0:
            for tile in range(len(total)):
                total[tile] += weights[row] * worst[row, tile]
    return float(total.max())


@compiled
def _within(zone: Floats, edges: Floats, x: Floats, y: Floats, cell: float, found: npt.NDArray[np.bool_]) -> None:
    """Fill in `Layers._zone`, [3, h, w], of zeros."""
    (left, top, right, bottom), above, below = zone, 0, 0
    for j in range(len(x)):
        upper, above = interpolated(edges[0, :, 0], edges[0, :, 1], x[j], above)
        lower, below = interpolated(edges[1, :, 0], edges[1, :, 1], x[j], below)
        for i in range(len(y)):
            if left < x[j] < right and top < y[i] < bottom:
                found[0, i, j], found[1, i, j], found[2, i, j] = True, y[i] < upper + cell, y[i] > lower - 2 * cell


@cache
def moving_rows(name: str) -> frozenset[int]:
    """Entries of the basis whose muscles part the lips ("mouth") or the lids of a side ("left", "right")."""
    sides = range(len(SIDES)) if name == "mouth" else (SIDES.index(name),)
    spec = cut_spec("mouth" if name == "mouth" else "eye", load())
    aus = {muscle.au for muscle in load().muscles if muscle.gate in spec.above + spec.below}
    return frozenset(AU_INDEX[au] * len(SIDES) + side for au in aus for side in sides)


@cache
def parted(row: int) -> tuple[str, ...]:
    """Which of the mouth and the eyes an entry of the basis parts."""
    return tuple(name for name in ("mouth", *SIDES) if row in moving_rows(name))


@cache
def _alike(names: tuple[str, ...], n: int) -> npt.NDArray[np.intp]:
    """Of that many entries of the basis those that part these and nothing else."""
    return np.flatnonzero([parted(row) == names for row in range(n)])


@dataclass(frozen=True)
class Drawn:
    """A layer in one frame; scale: by how much motion is shortened, float32 [g, g], or None."""

    part: Mouth | Eye
    opening: Opening
    scale: Floats | None


def opened(layers: Layers, weights: Floats, scale: Floats | None, drift: Field | None, size: int) -> list[Drawn]:
    """The layers that show at intensities float32 [34]; none where no muscle parts lips or lids."""
    openings = ((part, open_cut(part.cut, weights, scale, drift, layers.frame, size)) for part in layers.parts(weights))
    return [Drawn(part, opening, scale) for part, opening in openings if opening]


def draw(
    layer: Drawn,
    levels: npt.NDArray[np.uint16],
    samples: npt.NDArray[np.uint16],
    field: Field,
    weights: Floats,
    level: int,
    back: Field,
) -> None:
    """Draw a layer.

    Args:
        layer: from `opened`.
        levels: the frame, changed in place, uint16 [size, size, 3] in parts of a gray level.
        samples: the rest picture, OVERSAMPLING samples per pixel.
        field: of the skin, pixels [g, g, 2].
        weights: intensities, float32 [34].
        level: parts of a gray level.
        back: where what is seen came from, as for `relight`; changed in place where lids close.
    """
    opening, part = layer.opening, layer.part
    corner = opening.box[0].start, opening.box[1].start
    shares, rests, (upper, picture) = sheets_shown(layer, samples, field, len(levels))
    closing = float(weights[part.closing]) if isinstance(part, Eye) else 0.0
    if isinstance(part, Eye):
        gap = behind(part, opening, closing, samples, level)
    else:
        gap = between(part, opening, weights, samples, level)
    if isinstance(part, Eye) and closing:
        unrolled(part, upper, rests[0], closing, level)
        _follow(back, corner, shares, rests)
    _compose(picture, upper, gap, shares)
    if isinstance(part, Eye) and closing:
        fringed(part, picture, opening, closing, level)
    _put(levels, corner, picture, np.float32(opening.share))


@compiled
def _follow(back: Field, corner: tuple[int, int], shares: Floats, rests: Floats) -> None:
    """Write into `back` where both sheets came from, each where most of what is seen is its; others as for `_show`."""
    for i in range(shares.shape[1]):
        for j in range(shares.shape[2]):
            above, below = shares[0, i, j], np.float32(1) - (shares[0, i, j] + shares[1, i, j])
            if max(above, below) > 0.5:
                e = 1 if below > 0.5 else 0
                back[corner[0] + i, corner[1] + j, 0] = rests[e, i, j, 0] - np.float32(corner[1] + j)
                back[corner[0] + i, corner[1] + j, 1] = rests[e, i, j, 1] - np.float32(corner[0] + i)


@compiled
def _put(levels: npt.NDArray[np.uint16], corner: tuple[int, int], picture: Floats, share: np.float32) -> None:
    """Round a picture [h, w, 3] into a frame where its first pixel is the corner; share: how much of it shows."""
    for i in range(picture.shape[0]):
        for j in range(picture.shape[1]):
            for c in range(3):
                before = np.float32(levels[corner[0] + i, corner[1] + j, c])
                value = picture[i, j, c] if share == 1 else before + share * (picture[i, j, c] - before)
                levels[corner[0] + i, corner[1] + j, c] = np.uint16(np.rint(value))


@compiled
def _compose(picture: Floats, upper: Floats, between: Floats, shares: Floats) -> None:
    """Put the upper sheet and what is seen between both over the lower one [h, w, 3], by their shares [2, h, w]."""
    for i in range(picture.shape[0]):
        for j in range(picture.shape[1]):
            above, gap = shares[0, i, j], shares[1, i, j]
            for c in range(3):
                lower = picture[i, j, c]
                picture[i, j, c] += (upper[i, j, c] - lower) * above + (between[i, j, c] - lower) * gap


def sheets_shown(
    layer: Drawn, samples: npt.NDArray[np.uint16], field: Field, size: int
) -> tuple[Floats, Floats, Floats]:
    """What both sheets of a layer show in its box of the crop; see `draw`.

    Returns:
        the share of each pixel that the upper sheet and the opening take, float32 [2, h, w] in [0, 1]; where the
        sheets' skin came from, where they are seen, float32 [2, h, w, 2], pixels; what they show there, float32
        [2, h, w, 3], parts of a gray level.
    """
    opening, cut = layer.opening, layer.part.cut
    (rows, columns), (down, across) = opening.box, cut.window
    shape = rows.stop - rows.start, columns.stop - columns.start
    shares, rests, pictures = (np.zeros((2, *shape, *more), np.float32) for more in ((), (2,), (3,)))
    _show(
        samples, field, cut.extra, opening.amounts, WHOLE if layer.scale is None else layer.scale,
        (down.start, across.start), (rows.start, columns.start), size, opening.upper[0], opening.lower[0],
        isinstance(layer.part, Eye), shares, rests, pictures,
    )  # fmt: skip
    return shares, rests, pictures


@compiled
def _show(
    samples: npt.NDArray[np.uint16],
    field: Field,
    extra: Floats,
    amounts: Floats,
    scale: Floats,
    window: tuple[int, int],
    corner: tuple[int, int],
    size: int,
    upper: Floats,
    lower: Floats,
    over: bool,
    shares: Floats,
    rests: Floats,
    pictures: Floats,
) -> None:
    """Fill what `sheets_shown` returns.

    Args:
        samples, field, size: as there.
        extra: `Cut.extra`; amounts: of its entries.
        scale: as `Drawn.scale`, or of size 0.
        window, corner: row and column of the first cell of the cut's window, and of the first pixel of the box.
        upper, lower: height of the edges in each column of the box, [w].
        over: whether the upper sheet lies over the lower one where the edges overlap, as lids do; lips meet half way.
        shares, rests, pictures: zeros, to be filled.
    """
    grid, height, width = len(field), shares.shape[1], shares.shape[2]
    top, bottom, left, right = window[0], window[0] + extra.shape[2], window[1], window[1] + extra.shape[3]
    both = np.empty((2, extra.shape[2], extra.shape[3], 2), np.float32)
    both[:] = field[top:bottom, left:right]
    let_through(extra, amounts, scale[top:bottom, left:right], both)
    rows = corner[0], corner[0] + height
    first, behind = _covering(rows[0], rows[1], size, grid)
    first_column, behind_column = _covering(corner[1], corner[1] + width, size, grid)
    ways = np.zeros((2, behind - first, behind_column - first_column, 2), np.float32)
    for e in range(2):  # only where the sheet is seen
        seen, seen_behind = rows
        if e:
            seen = max(rows[0], min(rows[1] - 1, int(lower.min() - np.float32(0.5))))
        else:
            seen_behind = min(rows[1], max(rows[0], int(upper.max() + np.float32(0.5))) + 1)
        start, stop = _covering(seen, seen_behind, size, grid)
        part = ways[e, start - first : stop - first]
        invert_block(both[e], part, (start - top, first_column - left), grid / size)
    for i in range(height):
        y = float(corner[0] + i)
        cell_y = (y + 0.5) * grid / size - 0.5 - first
        for j in range(width):
            up, low = float(upper[j]), float(lower[j])
            if up > low:
                up = low = up if over else (up + low) / 2
            above, below = min(1.0, max(0.0, up - y + 0.5)), min(1.0, max(0.0, y - low + 0.5))
            shares[0, i, j], shares[1, i, j] = above, max(0.0, 1 - above - below)
            x = float(corner[1] + j)
            cell_x = (x + 0.5) * grid / size - 0.5 - first_column
            for e in range(2):
                if (below if e else above) == 0:
                    continue
                rests[e, i, j, 0] = x + bilinear(ways[e], cell_x, cell_y, 0)
                rests[e, i, j, 1] = y + bilinear(ways[e], cell_x, cell_y, 1)
                at_x, at_y = rests[e, i, j, 0] * OVERSAMPLING, rests[e, i, j, 1] * OVERSAMPLING
                for c in range(3):
                    pictures[e, i, j, c] = bilinear(samples, at_x, at_y, c)


@compiled
def _covering(first: int, behind: int, size: int, grid: int) -> tuple[int, int]:
    """The first of the cells that such pixels are made of, and the one behind the last, along one axis."""
    return max(0, int((first + 0.5) * grid / size - 0.5)), min(grid, int((behind - 0.5) * grid / size - 0.5) + 2)
