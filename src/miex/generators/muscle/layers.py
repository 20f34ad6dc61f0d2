"""The layers above the warped skin: mouth and eyes, each drawn on a small part of the frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, SIDES
from miex.compiled import compiled
from miex.faces.crop import OVERSAMPLING, AlignedFace
from miex.generators.grid import Field, invert_sheets, sample
from miex.generators.muscle.anatomy import load
from miex.generators.muscle.basis import FaceFrame, Floats
from miex.generators.muscle.cuts import (
    SEEN,
    Cut,
    Opening,
    at_points,
    covering_cells,
    cut_spec,
    inner_cells,
    open_cut,
    sheet,
)
from miex.generators.muscle.folds import MOST, Part, bound, restraint
from miex.generators.muscle.furrows import Light
from miex.generators.muscle.lids import Eye, behind, fringed, make_eye, shut, unrolled
from miex.generators.muscle.mouth import Mouth, inside, make_mouth, stretched

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
        # bound of the compression by each entry of the basis at intensity 1, in each tile of the grid
        self._worst, self._known = np.zeros((len(basis), TILES**2), np.float32), np.zeros(len(basis), bool)
        self._parts: dict[str, Mouth | Eye] = {}
        self._zones: dict[str, tuple[npt.NDArray[np.bool_], ...]] = {}

    def parts(self, weights: Floats) -> Iterator[Mouth | Eye]:
        """Those that have a muscle at work, from intensities float32 [34]."""
        return (self._parts[name] for name in self._at_work(weights))

    def _at_work(self, weights: Floats) -> Iterator[str]:
        for name in ("mouth", *SIDES):
            if weights[moving_rows(name)].any():
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
        for row in np.flatnonzero((weights > 0) & ~self._known).tolist():
            self.worst(row, size)
        if (weights @ self._worst).max() <= MOST:
            return None
        return restraint(self._seen(field, weights), grid, grid / size, self.frame.unit)

    def worst(self, row: int, size: int) -> Floats:
        """A bound of the compression by an entry of the basis at intensity 1, in each tile of the grid."""
        if not self._known[row]:
            rows = np.flatnonzero([parted(other) == parted(row) for other in range(len(self._known))])
            self._worst[rows], self._known[rows] = self._seen_compression(rows, size), True
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
        per = grid // TILES, grid / size
        for name in parted(int(rows[0])):
            cut = self.part(name).cut
            zone, *seen = self._zone(name)
            skin[cut.window] &= ~zone
            for extra, cells in zip(cut.extra, seen, strict=True):
                sheets = self._basis[rows, *cut.window]
                for row, more in zip(cut.rows.tolist(), extra, strict=True):
                    if row in places:
                        sheets[places[row]] += more
                bound(sheets, cells, (cut.window[0].start, cut.window[1].start), *per, found)
        bound(self._basis[rows], skin, (0, 0), *per, found)
        return found.reshape(len(rows), -1)

    def _seen(self, field: Field, weights: Floats) -> list[Part]:
        skin = np.ones(field.shape[:2], bool)
        found: list[Part] = [((slice(None), slice(None)), field, skin)]
        for name in self._at_work(weights):
            cut = self._parts[name].cut
            window = cut.window
            zone, *sheets = self._zone(name)
            skin[window] &= ~zone
            for e, cells in enumerate(sheets):
                found.append((window, sheet(field, cut, e, cut.amounts(weights), None), cells))
        return found

    def _zone(self, name: str) -> tuple[npt.NDArray[np.bool_], ...]:
        """Cells of a part's window in which the skin itself is not seen; its upper sheet is; its lower sheet is."""
        if name not in self._zones:
            cut = self._parts[name].cut
            x, y = self.frame.x[:, cut.window[1]], self.frame.y[cut.window[0]]
            cell = float(x[0, 1] - x[0, 0])
            left, top, right, bottom = cut.zone
            zone = (x > left) & (x < right) & (y > top) & (y < bottom)
            upper, lower = (np.interp(x[0], edge[:, 0], edge[:, 1]) for edge in cut.edges)
            self._zones[name] = zone, zone & (y < upper + cell), zone & (y > lower - 2 * cell)
        return self._zones[name]

    def _make(self, name: str) -> Mouth | Eye:
        if name == "mouth":
            return make_mouth(self.frame, self._face, self._basis)
        return make_eye(self.frame, self._face, self._basis, SIDES.index(name))


@cache
def moving_rows(name: str) -> npt.NDArray[np.intp]:
    """Entries of the basis whose muscles part the lips ("mouth") or the lids of a side ("left", "right")."""
    sides = range(len(SIDES)) if name == "mouth" else (SIDES.index(name),)
    spec = cut_spec("mouth" if name == "mouth" else "eye", load())
    aus = {muscle.au for muscle in load().muscles if muscle.gate in spec.above + spec.below}
    return np.array(sorted(AU_INDEX[au] * len(SIDES) + side for au in aus for side in sides), np.intp)


@cache
def parted(row: int) -> tuple[str, ...]:
    """Which of the mouth and the eyes an entry of the basis parts."""
    return tuple(name for name in ("mouth", *SIDES) if row in moving_rows(name))


@dataclass(frozen=True)
class Drawn:
    """A layer in one frame; share: how much of it shows, as what has hardly parted is what the skin alone shows."""

    part: Mouth | Eye
    opening: Opening
    amounts: Floats
    scale: Floats | None
    drift: Floats
    share: float


def opened(layers: Layers, weights: Floats, scale: Floats | None, drift: Field | None, size: int) -> list[Drawn]:
    """The layers that show at intensities float32 [34]; none where no muscle parts lips or lids."""
    found = []
    for part in layers.parts(weights):
        cut: Cut = part.cut
        if weights[cut.rows] @ cut.partings <= SEEN:
            continue
        amounts = cut.amounts(weights)
        own = cut.displaced(np.where(cut.own, weights, 0), amounts)
        parted = cv2.norm(own[0], own[1], cv2.NORM_INF)  # by muscles of this cut; cheeks may move a lid along
        if parted <= SEEN:
            continue
        shift, moved = cut.displaced(weights, amounts), np.zeros(2, np.float32)
        if scale is not None:
            shift *= at_points(scale[None, ..., None], cut.edges, layers.frame)[0]
        edges = cut.edges + shift
        if drift is not None:
            drifts = at_points(drift[None], cut.edges, layers.frame)[0]
            edges, moved = edges + drifts, drifts.mean((0, 1))
        opening = open_cut(cut, edges, size, layers.frame.x.shape[1])
        if opening:
            share = min(1.0, parted / SEEN - 1)
            found.append(Drawn(part, opening, amounts, scale, moved, share))
    return found


def covered(drawn: list[Drawn], size: int, grid: int) -> npt.NDArray[np.bool_]:
    """Cells of the grid over which layers lie; there gates make the skin's own field steep."""
    cells = np.zeros((grid, grid), bool)
    for layer in drawn:
        cells[inner_cells(layer.opening.box, size, grid)] = True
    return cells


def draw(
    layer: Drawn,
    levels: npt.NDArray[np.uint16],
    samples: npt.NDArray[np.uint16],
    field: Field,
    weights: Floats,
    level: int,
) -> None:
    """Draw a layer.

    Args:
        layer: from `opened`.
        levels: the frame, changed in place, uint16 [size, size, 3] in parts of a gray level.
        samples: the rest picture, OVERSAMPLING samples per pixel.
        field: of the skin, pixels [g, g, 2].
        weights: intensities, float32 [34].
        level: parts of a gray level.
    """
    opening, part, box = layer.opening, layer.part, layer.opening.box

    def at(where: Any) -> Floats:
        return np.asarray(sample(samples, where), np.float32)

    shares, rests, pictures = sheets_shown(layer, samples, field, len(levels))
    (above, gap), (upper, lower) = shares[..., None], pictures
    if isinstance(part, Eye) and weights[part.closing]:
        upper = unrolled(part, upper, rests[0], opening, float(weights[part.closing]), level)
    picture = lower + (upper - lower) * above
    rows = np.flatnonzero(gap.any((1, 2)))
    if len(rows):
        seen = slice(int(rows[0]), int(rows[-1]) + 1)
        content = _between(part, replace(opening, y=opening.y[seen]), weights, layer.drift, at, level)
        picture[seen] += gap[seen] * (content - lower[seen])
    if isinstance(part, Eye) and weights[part.closing]:
        picture = fringed(part, picture, opening, float(weights[part.closing]), level)
    if layer.share < 1:
        picture = levels[box] + layer.share * (picture - levels[box])
    levels[box] = np.rint(picture)


def sheets_shown(
    layer: Drawn, samples: npt.NDArray[np.uint16], field: Field, size: int
) -> tuple[Floats, Floats, Floats]:
    """What both sheets of a layer show in its box of the crop; see `draw`.

    Returns:
        the share of each pixel that the upper sheet and the opening take, float32 [2, h, w] in [0, 1]; where the
        sheets' skin came from, where they are seen, float32 [2, h, w, 2], pixels; what they show there, float32
        [2, h, w, 3], parts of a gray level.
    """
    opening, cut, grid = layer.opening, layer.part.cut, len(field)
    cells = covering_cells(opening.box, size, grid)
    down, across = (slice(c.start - w.start, c.stop - w.start) for c, w in zip(cells, cut.window, strict=True))
    both = np.stack([sheet(field, cut, e, layer.amounts, layer.scale) for e in (0, 1)])
    ways = invert_sheets(both, (down, across), grid / size)
    shape = opening.y.shape[0], opening.x.shape[1]
    shares, rests, pictures = (np.zeros((2, *shape, *more), np.float32) for more in ((), (2,), (3,)))
    _see(
        samples, ways, (opening.box[0].start, opening.box[1].start), (cells[0].start, cells[1].start), grid, size,
        opening.upper[0], opening.lower[0], isinstance(layer.part, Eye), shares, rests, pictures,
    )  # fmt: skip
    return shares, rests, pictures


@compiled
def _see(
    samples: npt.NDArray[np.uint16],
    ways: Field,
    corner: tuple[int, int],
    first: tuple[int, int],
    grid: int,
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
        samples: the rest picture.
        ways: the ways back of both sheets on a block of cells, pixels [2, r, c, 2].
        corner: row and column of the box's first pixel.
        first: row and column of the block's first cell.
        grid, size: cells and pixels of the crop, each way.
        upper, lower: height of the edges in each column of the box, [w].
        over: whether the upper sheet lies over the lower one where the edges overlap, as lids do; lips meet half way.
        shares, rests, pictures: zeros, to be filled.
    """
    most = len(samples) - 1
    for i in range(shares.shape[1]):
        y = float(corner[0] + i)
        cell_y = min(max((y + 0.5) * grid / size - 0.5, 0.0), grid - 1.0) - first[0]
        row = min(int(cell_y), ways.shape[1] - 2)
        for j in range(shares.shape[2]):
            up, low = float(upper[j]), float(lower[j])
            if up > low:
                up = low = up if over else (up + low) / 2
            above = min(1.0, max(0.0, up - y + 0.5))
            shares[0, i, j] = above
            shares[1, i, j] = max(0.0, 1 - above - min(1.0, max(0.0, y - low + 0.5)))
            x = float(corner[1] + j)
            cell_x = min(max((x + 0.5) * grid / size - 0.5, 0.0), grid - 1.0) - first[1]
            column = min(int(cell_x), ways.shape[2] - 2)
            fx, fy = cell_x - column, cell_y - row
            for e in range(2):
                if above == e:  # nothing of it is seen
                    continue
                for c in range(2):
                    top = ways[e, row, column, c] * (1 - fx) + ways[e, row, column + 1, c] * fx
                    bottom = ways[e, row + 1, column, c] * (1 - fx) + ways[e, row + 1, column + 1, c] * fx
                    rests[e, i, j, c] = (y if c else x) + top * (1 - fy) + bottom * fy
                at_x = min(max(rests[e, i, j, 0] * OVERSAMPLING, 0.0), float(most))
                at_y = min(max(rests[e, i, j, 1] * OVERSAMPLING, 0.0), float(most))
                left, over_it = min(int(at_x), most - 1), min(int(at_y), most - 1)
                gx, gy = at_x - left, at_y - over_it
                for c in range(3):
                    top = samples[over_it, left, c] * (1 - gx) + samples[over_it, left + 1, c] * gx
                    bottom = samples[over_it + 1, left, c] * (1 - gx) + samples[over_it + 1, left + 1, c] * gx
                    pictures[e, i, j, c] = top * (1 - gy) + bottom * gy


def _between(
    part: Mouth | Eye, opening: Opening, weights: Floats, drift: Floats, at: Callable[[Any], Floats], level: int
) -> Floats:
    if isinstance(part, Eye):
        first, second, share = behind(opening, drift, part.iris)
        content = at(first * np.float32(OVERSAMPLING))
        if share.any():
            content += share[..., None] * (at(second * np.float32(OVERSAMPLING)) - content)
        # at the corners, where skin bears no more compression, closed edges may not quite meet
        content += shut(float(weights[part.closing])) * ((part.lash + part.skin) * np.float32(level / 2) - content)
        return content
    content = inside(part, opening, weights, drift) * np.float32(level)
    if part.own:
        where, kept = stretched(opening, drift[1])
        content += (part.own * kept[..., None]) * (at(where * np.float32(OVERSAMPLING)) - content)
    return content
