"""Where the skin of one face goes: a displacement field for each AU and side.

A muscle (Waters 1987) pulls the skin at its insertion along its fibers; the skin around follows less, and beyond its
reach not at all. Insertions run across the face, so each is a line y(x) through its landmarks, and all that varies
along it is one number per column of the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, N_AUS, SIDES
from miex.compiled import compiled, eased
from miex.easing import ease
from miex.faces.crop import AlignedFace, eye_centers
from miex.faces.mesh import mirror_landmarks
from miex.generators.grid import Field, cell_centers
from miex.generators.muscle.anatomy import Anatomy, Muscle, Rim

if TYPE_CHECKING:
    from miex.generators.muscle.cuts import CutSpec

Floats = npt.NDArray[np.float32]

LATERAL = (1.0, -1.0)  # direction in the picture, for SIDES: the person's left is at the right of the picture
BLUR, BLUR_FROM = 0.1, 0.15  # of the weights away from an insertion, and from where on; inter-ocular distances
HAND_OVER = 0.12  # half the width over which the halves of a midline muscle meet, inter-ocular distances
NARROWEST_GATE = 0.04  # inter-ocular distances: about a cell of the grid
WHOLE, _NONE = np.empty((0, 0), np.float32), np.empty(0, np.int64)  # to kernels: all is let through; no gate
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
        self._rims: dict[Rim, Floats] = {}
        self._shares: dict[int, Floats] = {}

    def crosses(self, indices: Sequence[int]) -> bool:
        """Whether a line of landmarks reaches the midline, and so runs on over the other side."""
        return mirror_landmarks()[indices[-1]] == indices[-1]

    def line(self, indices: Sequence[int], side: int) -> tuple[Floats, Floats]:
        """Landmarks (given as those of the right side) of a side, from left to right in the picture: x, y, pixels."""
        points = self.points[line_landmarks(tuple(indices), (), side)[0]]
        x, y = points[np.argsort(points[:, 0], kind="stable")].T
        return x, y

    def side_points(self, indices: Sequence[int], side: int) -> Floats:
        """Landmarks (given as those of the right side) of a side, in the order given, pixels [n, 2]."""
        twins = mirror_landmarks()
        return self.points[[twins[i] for i in indices] if SIDES[side] == "left" else list(indices)]

    def share(self, side: int) -> Floats:
        """The share of a side in what lies on the midline, [g, g]; both shares add up to 1."""
        if side not in self._shares:
            self._shares[side] = self.side_share(side, self.x, self.y)
        return self._shares[side]

    def side_share(self, side: int, x: Floats, y: Floats) -> Floats:
        """As `share`, at columns x [1, w] and rows y [h, 1], pixels."""
        middle = np.interp(y, self.y[:, 0], self._middle[:, 0]).astype(np.float32)
        share: Floats = ease(LATERAL[side] * (x - middle) / (2 * HAND_OVER * self.unit) + np.float32(0.5))
        return share

    def radius(self, rim: Rim) -> Floats:
        """Distance from the middle of the face, [g, g]: 0 there, 1 at the rim, above 1 outside."""
        return self._face.radius(self.x, self.y, neck=rim.neck * self.unit)

    def rim(self, rim: Rim) -> Floats:
        """1 inside the face, smoothly 0 toward its rim, [g, g]."""
        if rim not in self._rims:
            self._rims[rim] = ease((1 - self.radius(rim)) / np.float32(FADE))
        return self._rims[rim]

    def pull(self, muscle: Muscle, side: int, into: Field) -> None:
        """Add the displacement by a muscle at intensity 1, pixels, to the field float32 [g, g, 2]."""
        midline = self.crosses(muscle.insertion)
        reach, outward, width = muscle.reach, LATERAL[side], self.widths[side] * self.unit
        lateral, medial = reach.lateral * width, (reach.lateral if midline else reach.medial) * width
        gain = muscle.gain * self.unit / np.hypot(*muscle.pull)
        insertion, weights = line_landmarks(muscle.insertion, muscle.weights, side)
        upper = lower = _NONE
        if muscle.gate:
            upper, lower = (line_landmarks(edge, (), side)[0] for edge in (muscle.gate.upper, muscle.gate.lower))
        _pull(
            into, self.x[0], self.y[:, 0], self.points, insertion, weights,
            (medial, lateral) if outward > 0 else (lateral, medial),
            (reach.above * self.unit, reach.below * self.unit),
            (muscle.pull[0] * outward * self.widths[side] * gain, muscle.pull[1] * gain),
            self.unit, self.rim(muscle.rim), self.share(side) if midline else WHOLE, upper, lower,
            muscle.gate is not None and muscle.gate.keep == "below",
        )  # fmt: skip

    def fields(self) -> Floats:
        """Displacements at intensity 1, pixels: float32 [34, g, g, 2] (AU and side, row, column, right and down)."""
        grid = len(self.y)
        fields = np.zeros((N_AUS, len(SIDES), grid, grid, 2), np.float32)
        for muscle in self.anatomy.muscles:
            for side in range(len(SIDES)):
                self.pull(muscle, side, into=fields[AU_INDEX[muscle.au], side])
        return fields.reshape(-1, grid, grid, 2)

    def sheets(self, spec: CutSpec, side: int, window: tuple[slice, slice]) -> dict[int, Floats]:
        """What parts a cut, by its entry in `fields`.

        Args:
            spec: the cut.
            side: of a cut that is not on the midline.
            window: rows and columns of the grid around it.

        Returns:
            what its upper and its lower sheet do there beyond the field, pixels, float32 [2, h, w, 2].
        """
        grid = len(self.y)
        entries: dict[int, Floats] = {}  # what gates let through, and what would move the upper and the lower sheet
        for muscle in self.anatomy.muscles:
            if muscle.gate not in spec.above + spec.below:
                continue
            sheet = 0 if muscle.gate in spec.above else 1
            # beyond its insertion the edge follows as a whole: lips and lids keep their thickness
            reach = replace(muscle.reach, **({"below": FAR} if sheet == 0 else {"above": FAR}))
            for s in range(len(SIDES)) if spec.midline else (side,):
                entry = entries.setdefault(
                    AU_INDEX[muscle.au] * len(SIDES) + s, np.zeros((3, grid, grid, 2), np.float32)
                )
                self.pull(muscle, s, into=entry[0])
                self.pull(replace(muscle, gate=None, reach=reach), s, into=entry[1 + sheet])
        return {row: entry[1:, *window] - entry[0, *window] for row, entry in entries.items()}


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


Pair = tuple[float, float]
_Indices = npt.NDArray[np.int64]
_Doubles = npt.NDArray[np.float64]


@compiled
def _pull(
    into: Field,
    x: Floats,
    y: Floats,
    points: Floats,
    insertion: _Indices,
    weights: _Doubles,
    across: Pair,
    away: Pair,
    pull: Pair,
    unit: float,
    rim: Floats,
    half: Floats,
    upper: _Indices,
    lower: _Indices,
    below: bool,
) -> None:
    """Add a muscle's displacement to a field.

    Args:
        into: the field [g, g, 2], changed in place.
        x, y: of its columns and rows, pixels.
        points: landmarks, pixels [478, 2].
        insertion, weights: landmarks of the insertion, and the share of the pull at each.
        across, away: how far the skin follows to the left and right of the insertion, above and below it, pixels.
        pull: the displacement at the insertion, (right, down), pixels.
        unit: inter-ocular distance, pixels.
        rim, half: what is let through in each cell, [g, g]; of size 0: all.
        upper, lower: landmarks of the lines of a gate; of size 0: there is none.
        below: whether the gate keeps what is below it.
    """
    line_x, line_y, line_weights = _in_order(points, insertion, weights)
    first = np.searchsorted(x, line_x[0] - across[0])
    x = x[first : np.searchsorted(x, line_x[-1] + across[1])]
    if not len(x):
        return
    cell = float(y[1] - y[0])
    level, profile = np.interp(x, line_x, line_y), np.interp(x, line_x, line_weights)
    # along the line the weights count as they are; away from it they blur: no seam runs from the ends of the line
    blurred = profile if weights.min() == weights.max() else _blurred(profile, BLUR * unit / cell)
    if len(upper):
        upper_x, upper_y, _ = _in_order(points, upper, np.ones(len(upper)))
        lower_x, lower_y, _ = _in_order(points, lower, np.ones(len(lower)))
        border_up, border_down = np.interp(x, upper_x, upper_y), np.interp(x, lower_x, lower_y)
    for j in range(len(x)):
        beyond = min(x[j] - line_x[0], 0.0) + max(x[j] - line_x[-1], 0.0)
        side = beyond / (across[0] if beyond < 0 else across[1])
        top = max(0, int((level[j] - away[0] - y[0]) / cell))
        bottom = min(len(y), int((level[j] + away[1] - y[0]) / cell) + 2)
        middle, span = 0.0, 1.0
        if len(upper):
            # beyond its ends a border spreads out like a fan, so that no seam shows in the cheek
            fan = max(0.0, max(upper_x[0] - x[j], x[j] - upper_x[-1]))
            middle = (border_up[j] + border_down[j]) / 2
            span = max(border_down[j] - border_up[j], NARROWEST_GATE * unit + fan)
        for i in range(top, bottom):
            off = y[i] - level[j]
            far = off / (away[1] if off > 0 else away[0])
            left = 1 - far * far - side * side
            if left <= 0:
                continue
            share = left * left * rim[i, first + j]
            share *= profile[j] + (blurred[j] - profile[j]) * min(1.0, abs(off) / (BLUR_FROM * unit))
            if half.size:
                share *= half[i, first + j]
            if len(upper):
                through = (y[i] - middle) / span + 0.5
                share *= eased(through if below else 1 - through)
            into[i, first + j, 0] += share * pull[0]
            into[i, first + j, 1] += share * pull[1]


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
    found = np.zeros(n)
    for i in range(n):
        total = 0.0
        for k in range(-radius, radius + 1):
            at = i + k
            while n > 1 and not 0 <= at < n:
                at = -at if at < 0 else 2 * n - 2 - at
            weight = np.exp(-k * k / (2 * sigma * sigma))
            total += weight
            found[i] += weight * values[at if n > 1 else 0]
        found[i] /= total
    return found
