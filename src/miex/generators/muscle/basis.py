"""Where the skin of one face goes: a displacement field for each AU and side.

A muscle (Waters 1987) pulls the skin at its insertion along its fibers; the skin around follows less, and beyond its
reach not at all. Insertions run across the face, so each is a line y(x) through its landmarks, and all that varies
along it is one number per column of the grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, N_AUS, SIDES
from miex.compiled import compiled, eased
from miex.easing import ease
from miex.faces.crop import AlignedFace, eye_centers
from miex.faces.mesh import mirror_landmarks
from miex.generators.grid import cell_centers, radius
from miex.generators.muscle.anatomy import Anatomy, Muscle, Rim

if TYPE_CHECKING:
    from miex.generators.muscle.cuts import CutSpec

Floats = npt.NDArray[np.float32]
_Indices = npt.NDArray[np.int64]
_Doubles = npt.NDArray[np.float64]

LATERAL = (1.0, -1.0)  # direction in the picture, for SIDES: the person's left is at the right of the picture
BLUR, BLUR_FROM = 0.1, 0.15  # of the weights away from an insertion, and from where on; inter-ocular distances
HAND_OVER = 0.12  # half the width over which the halves of a midline muscle meet, inter-ocular distances
NARROWEST_GATE = 0.04  # inter-ocular distances: about a cell of the grid
_NONE = np.empty(0, np.int64)
FAR = 1.5  # inter-ocular distances: a reach that does not fade within a mouth or an eye
FADE = 0.2  # of the way from the middle of the face to its rim: there all motion goes to zero


class FaceFrame:
    """One face, seen from the anatomy: lines, borders and distances on the grid of its crop.

    Attributes:
        x, y: pixel coordinates of the grid's columns [1, g] and rows [g, 1].
        unit: inter-ocular distance, pixels.
        widths: how wide each half is for SIDES, relative to `unit`; on a turned head they differ.
    """

    def __init__(self, face: AlignedFace, anatomy: Anatomy, grid: int) -> None:
        self.anatomy = anatomy
        self._face = face
        self.points = face.landmarks
        self.unit = face.inter_ocular
        centers = cell_centers(face.size, grid)
        self.x, self.y = centers[None, :], centers[:, None]
        middle = self.points[list(anatomy.midline)]
        middle = middle[np.argsort(middle[:, 1])]
        self._middle = np.interp(centers, middle[:, 1], middle[:, 0]).astype(np.float32)[:, None]
        right, left = eye_centers(self.points)
        middle_of_eyes = np.interp((right[1] + left[1]) / 2, middle[:, 1], middle[:, 0])
        halves = np.array([left[0] - middle_of_eyes, middle_of_eyes - right[0]]) / (self.unit / 2)
        self.widths = np.clip(halves, 0.5, 1.5)

    def line(self, indices: Sequence[int], side: int) -> tuple[Floats, Floats]:
        """Landmarks (given as those of the right side) of a side, from left to right in the picture: x, y, pixels."""
        points = self.points[line_landmarks(tuple(indices), (), side)[0]]
        x, y = points[np.argsort(points[:, 0], kind="stable")].T
        return x, y

    def share(self, side: int, x: Floats, y: Floats) -> Floats:
        """The share of a side in what lies on the midline, at columns x [1, w] and rows y [h, 1], pixels; both shares
        add up to 1."""
        middle = np.interp(y[:, 0], self.y[:, 0], self._middle[:, 0]).astype(np.float32)
        share = np.empty((len(middle), x.shape[1]), np.float32)
        _share(np.float32(LATERAL[side]), x[0], middle, np.float32(2 * HAND_OVER * self.unit), share)
        return share

    def radius(self, rim: Rim) -> Floats:
        """Distance from the middle of the face, [g, g]: 0 there, 1 at the rim, above 1 outside."""
        return radius(self._face, len(self.y), rim.neck * self.unit)

    def rim(self, rim: Rim) -> Floats:
        """1 inside the face, smoothly 0 toward its rim, [g, g]."""
        inside: Floats = ease((1 - self.radius(rim)) / np.float32(FADE))
        return inside

    def pull(self, pulls: Pulls, into: Floats, window: tuple[slice, slice] | None = None) -> None:
        """Add the displacements by muscles at intensity 1, pixels, to fields float32 [n, h, w, 2].

        Args:
            pulls: the muscles, and into which field each goes.
            into: the fields.
            window: the rows and columns of the grid that they cover. None: all.
        """
        corner = (window[0].start, window[1].start) if window else (0, 0)
        _pull(
            into, corner, self.x[0], self.y[:, 0], self.points, self.unit, self.widths, self._inside, self._halves,
            *pulls,
        )  # fmt: skip

    @cached_property
    def _inside(self) -> Floats:
        """Of each rim of the anatomy, what it lets through, [rims, g, g]."""
        return np.stack([self.rim(rim) for rim in self.anatomy.rims])

    @cached_property
    def _halves(self) -> Floats:
        """The shares of both sides in what lies on the midline, [2, g, g]; they add up to 1."""
        return np.stack([self.share(side, self.x, self.y) for side in range(len(SIDES))])

    def fields(self) -> Floats:
        """Displacements at intensity 1, pixels: float32 [34, g, g, 2] (AU and side, row, column, right and down)."""
        grid = len(self.y)
        fields = np.zeros((N_AUS * len(SIDES), grid, grid, 2), np.float32)
        self.pull(_every_pull(self.anatomy), fields)
        return fields

    def sheets(self, spec: CutSpec, side: int, window: tuple[slice, slice]) -> Floats:
        """What parts a cut: how its upper and its lower sheet move beyond the field at each of `parting_rows`.

        Args:
            spec: the cut.
            side: of a cut that is not on the midline.
            window: rows and columns of the grid around it.

        Returns:
            pixels, float32 [2, k, h, w, 2].
        """
        held, free = _parting_pulls(self.anatomy, spec, side)
        shape = (len(self.y[window[0]]), len(self.x[0, window[1]]))
        found = np.zeros((2, len(parting_rows(self.anatomy, spec, side)), *shape, 2), np.float32)
        self.pull(held, found[0], window)
        found[1] = found[0]
        self.pull(free, found.reshape(-1, *shape, 2), window)
        return found


def _parting(anatomy: Anatomy, spec: CutSpec, side: int) -> Iterator[tuple[Muscle, int]]:
    """The muscles behind the gates of a cut, and their sides."""
    for muscle in anatomy.muscles:
        if muscle.gate in spec.above + spec.below:
            yield from ((muscle, s) for s in (range(len(SIDES)) if spec.midline else (side,)))


@cache
def parting_rows(anatomy: Anatomy, spec: CutSpec, side: int) -> tuple[int, ...]:
    """The entries of the basis whose muscles part a cut."""
    return tuple(dict.fromkeys(AU_INDEX[muscle.au] * len(SIDES) + s for muscle, s in _parting(anatomy, spec, side)))


@compiled
def _share(lateral: np.float32, x: Floats, middle: Floats, width: np.float32, share: Floats) -> None:
    """Fill in `FaceFrame.share`, of which the middle is that of each row."""
    zero, half, one, two, three = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2), np.float32(3)
    for i in range(len(middle)):
        row, at = share[i], middle[i]
        for j in range(len(x)):
            t = min(max(lateral * (x[j] - at) / width + half, zero), one)
            row[j] = t * t * (three - two * t)


class Pulls(NamedTuple):
    """Muscles at work, as arrays for a kernel; lengths are inter-ocular distances.

    Attributes:
        numbers: int64 [n, 9]: into which field; side; rim; whether it runs over the midline; whether its gate keeps
            what is below; and where in `lines` its insertion begins and ends, and the upper and the lower line of its
            gate end, which follow.
        lengths: float64 [n, 6]: how far the skin follows toward the midline and away from it, above and below; the
            displacement at the insertion, away from the midline and down.
        lines: int64: landmarks.
        weights: float64: of an insertion, the share of the pull at each of `lines`; 1 elsewhere.
    """

    numbers: _Indices
    lengths: _Doubles
    lines: _Indices
    weights: _Doubles


def pulls_of(anatomy: Anatomy, muscles: Iterable[tuple[Muscle, int, int, float]]) -> Pulls:
    """Muscles of the anatomy, each with its side, the field that it goes into, and its intensity."""
    numbers, lengths = [], []
    lines, weights, n = [_NONE], [np.empty(0)], 0
    for muscle, side, place, intensity in muscles:
        midline, reach, gate = crosses(muscle.insertion), muscle.reach, muscle.gate
        insertion, shares = line_landmarks(muscle.insertion, muscle.weights, side)
        borders = [line_landmarks(edge, (), side)[0] for edge in (gate.upper, gate.lower)] if gate else [_NONE, _NONE]
        ends = [n, *(n + np.cumsum([len(insertion), *map(len, borders)])).tolist()]
        below = gate is not None and gate.keep == "below"
        numbers.append((place, side, anatomy.rims.index(muscle.rim), midline, below, *ends))
        medial, gain = reach.lateral if midline else reach.medial, intensity * muscle.gain / np.hypot(*muscle.pull)
        lengths.append((medial, reach.lateral, reach.above, reach.below, *(gain * way for way in muscle.pull)))
        lines += [insertion, *borders]
        weights += [shares, np.ones(ends[-1] - ends[1])]
        n = ends[-1]
    return Pulls(np.array(numbers, np.int64), np.array(lengths), np.concatenate(lines), np.concatenate(weights))


@cache
def _every_pull(anatomy: Anatomy) -> Pulls:
    """All muscles, each into its entry of the basis."""
    sides = range(len(SIDES))
    rows = [(muscle, side, AU_INDEX[muscle.au] * len(SIDES) + side) for muscle in anatomy.muscles for side in sides]
    return pulls_of(anatomy, [(*row, 1.0) for row in rows])


@cache
def _parting_pulls(anatomy: Anatomy, spec: CutSpec, side: int) -> tuple[Pulls, Pulls]:
    """What takes away from either sheet of a cut what gates let through; and what moves the upper sheet, followed by
    what moves the lower one."""
    rows = parting_rows(anatomy, spec, side)
    held, free = [], []
    for muscle, s in _parting(anatomy, spec, side):
        place, sheet = rows.index(AU_INDEX[muscle.au] * len(SIDES) + s), int(muscle.gate in spec.below)
        held.append((muscle, s, place, -1.0))
        # beyond its insertion the edge follows as a whole: lips and lids keep their thickness
        reach = replace(muscle.reach, **{("below", "above")[sheet]: FAR})
        free.append((replace(muscle, gate=None, reach=reach), s, sheet * len(rows) + place, 1.0))
    return pulls_of(anatomy, held), pulls_of(anatomy, free)


@cache
def of_side(indices: tuple[int, ...], side: int) -> _Indices:
    """Landmarks given as those of the right side, as those of a side."""
    twins = mirror_landmarks()
    return np.array([twins[i] for i in indices] if SIDES[side] == "left" else indices, np.int64)


def crosses(indices: Sequence[int]) -> bool:
    """Whether a line of landmarks reaches the midline, and so runs on over the other side."""
    return mirror_landmarks()[indices[-1]] == indices[-1]


@cache
def line_landmarks(
    indices: tuple[int, ...], weights: tuple[float, ...], side: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Of a line given on the right side: the landmarks of a side of it, or of both if it runs over the midline, and
    their weights."""
    twins = [mirror_landmarks()[index] for index in indices]
    found, shares = list(indices), list(weights)
    if twins[-1] == indices[-1]:
        found, shares = [*found, *twins[:-1]], [*shares, *shares[:-1]]
    elif SIDES[side] == "left":
        found = twins
    return np.array(found, np.int64), np.array(shares, np.float64)


@compiled
def _pull(
    into: Floats,
    corner: tuple[int, int],
    x: Floats,
    y: Floats,
    points: Floats,
    unit: float,
    widths: _Doubles,
    inside: Floats,
    halves: Floats,
    numbers: _Indices,
    lengths: _Doubles,
    lines: _Indices,
    weights: _Doubles,
) -> None:
    """Add the displacements by muscles to fields.

    Args:
        into: the fields [n, h, w, 2], changed in place.
        corner: row and column of the grid where they begin.
        x, y: of the grid's columns and rows, pixels.
        points: landmarks, pixels [478, 2].
        unit: inter-ocular distance, pixels.
        widths: of both sides, relative to `unit`.
        inside, halves: what rims and sides let through, [rims, g, g] and [2, g, g].
        numbers, lengths, lines, weights: of `Pulls`.
    """
    cell = float(y[1] - y[0])
    for n in range(len(numbers)):
        place, side, rim, midline, below, start, end, upper_end, lower_end = numbers[n]
        outward, wide = LATERAL[side], widths[side] * unit
        before, after = lengths[n, 0] * wide, lengths[n, 1] * wide
        if outward < 0:
            before, after = after, before
        above, under = lengths[n, 2] * unit, lengths[n, 3] * unit
        right, down = lengths[n, 4] * outward * wide, lengths[n, 5] * unit
        line_x, line_y, shares = _in_order(points, lines[start:end], weights[start:end])
        first = np.searchsorted(x, line_x[0] - before)
        across = x[first : np.searchsorted(x, line_x[-1] + after)]
        if not len(across):
            continue
        level, profile = np.interp(across, line_x, line_y), np.interp(across, line_x, shares)
        # along the line the weights count as they are; away from it they blur: no seam runs from the ends of the line
        blurred = profile if shares.min() == shares.max() else _blurred(profile, BLUR * unit / cell)
        gated = lower_end > end
        if gated:
            upper_x, upper_y, _ = _in_order(points, lines[end:upper_end], weights[end:upper_end])
            lower_x, lower_y, _ = _in_order(points, lines[upper_end:lower_end], weights[upper_end:lower_end])
            border_up, border_down = np.interp(across, upper_x, upper_y), np.interp(across, lower_x, lower_y)
        for j in range(max(0, corner[1] - first), min(len(across), corner[1] + into.shape[2] - first)):
            beyond = min(across[j] - line_x[0], 0.0) + max(across[j] - line_x[-1], 0.0)
            aside = beyond / (before if beyond < 0 else after)
            top = max(corner[0], int((level[j] - above - y[0]) / cell))
            bottom = min(corner[0] + into.shape[1], int((level[j] + under - y[0]) / cell) + 2)
            middle, span = 0.0, 1.0
            if gated:
                # beyond its ends a border spreads out like a fan, so that no seam shows in the cheek
                fan = max(0.0, max(upper_x[0] - across[j], across[j] - upper_x[-1]))
                middle = (border_up[j] + border_down[j]) / 2
                span = max(border_down[j] - border_up[j], NARROWEST_GATE * unit + fan)
            for i in range(top, bottom):
                off = y[i] - level[j]
                far = off / (under if off > 0 else above)
                left = 1 - far * far - aside * aside
                if left <= 0:
                    continue
                share = left * left * inside[rim, i, first + j]
                share *= profile[j] + (blurred[j] - profile[j]) * min(1.0, abs(off) / (BLUR_FROM * unit))
                if midline:
                    share *= halves[side, i, first + j]
                if gated:
                    through = (y[i] - middle) / span + 0.5
                    share *= eased(through if below else 1 - through)
                into[place, i - corner[0], first + j - corner[1], 0] += share * right
                into[place, i - corner[0], first + j - corner[1], 1] += share * down


@compiled
def _in_order(points: Floats, indices: _Indices, values: _Doubles) -> tuple[_Doubles, _Doubles, _Doubles]:
    """Landmarks from left to right: x, y, and the value of each."""
    x = points[indices, 0].astype(np.float64)
    order = np.argsort(x, kind="mergesort")
    return x[order], points[indices, 1].astype(np.float64)[order], values[order]


@compiled
def _blurred(values: _Doubles, sigma: float) -> _Doubles:
    """A row after a Gaussian of that many cells, mirrored at its ends."""
    n, radius = len(values), round(4 * sigma)
    shares = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma * sigma))
    shares /= shares.sum()
    found = np.zeros(n)
    for i in range(n):
        for k in range(-radius, radius + 1):
            at = i + k
            while n > 1 and not 0 <= at < n:
                at = -at if at < 0 else 2 * n - 2 - at
            found[i] += shares[radius + k] * values[at if n > 1 else 0]
    return found
