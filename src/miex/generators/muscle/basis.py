"""Where the skin of one face goes: a displacement field for each AU and side.

A muscle (Waters 1987) pulls the skin at its insertion along its fibers; the skin around follows less, and beyond its
reach not at all. Insertions run across the face, so each is a line y(x) through its landmarks, and all that varies
along it is one number per column of the grid.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, N_AUS, SIDES
from miex.easing import ease
from miex.faces.crop import AlignedFace, eye_centers
from miex.faces.mesh import mirror_landmarks
from miex.generators.grid import Field, cell_centers
from miex.generators.muscle.anatomy import Anatomy, Gate, Muscle, Rim

Floats = npt.NDArray[np.float32]

LATERAL = (1.0, -1.0)  # direction in the picture, for SIDES: the person's left is at the right of the picture
BLUR, BLUR_FROM = 0.1, 0.15  # of the weights away from an insertion, and from where on; inter-ocular distances
HAND_OVER = 0.12  # half the width over which the halves of a midline muscle meet, inter-ocular distances
NARROWEST_GATE = 0.04  # inter-ocular distances: about a cell of the grid
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
        self._gates: dict[tuple[Gate, int], Floats] = {}
        self._rims: dict[Rim, Floats] = {}
        self._shares: dict[int, Floats] = {}

    def crosses(self, indices: Sequence[int]) -> bool:
        """Whether a line of landmarks reaches the midline, and so runs on over the other side."""
        return mirror_landmarks()[indices[-1]] == indices[-1]

    def line(self, indices: Sequence[int], side: int, weights: Sequence[float] = ()) -> tuple[Floats, Floats, Floats]:
        """Landmarks (given as those of the right side) of a side, from left to right in the picture.

        Returns:
            x, y, pixels, and the weight of each.
        """
        twins = [mirror_landmarks()[index] for index in indices]
        weights = weights or [1.0] * len(indices)
        if self.crosses(indices):
            indices, weights = [*indices, *twins[:-1]], [*weights, *weights[:-1]]
        elif SIDES[side] == "left":
            indices = twins
        points = self.points[list(indices)]
        order = np.argsort(points[:, 0], kind="stable")
        return points[order, 0], points[order, 1], np.array(weights, np.float32)[order]

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

    def gate(self, gate: Gate, side: int) -> Floats:
        """What a gate lets through, [g, g] in [0, 1]."""
        key = (gate, side)
        if key not in self._gates:
            x = self.x[0]
            x_upper, y_upper, _ = self.line(gate.upper, side)
            x_lower, y_lower, _ = self.line(gate.lower, side)
            upper, lower = np.interp(x, x_upper, y_upper), np.interp(x, x_lower, y_lower)
            # beyond its ends a border spreads out like a fan, so that no seam shows in the cheek
            beyond = np.maximum(0, np.maximum(x_upper[0] - x, x - x_upper[-1]))
            span = np.maximum(lower - upper, NARROWEST_GATE * self.unit + beyond)
            below = (self.y - (upper + lower) / 2) / span + 0.5
            self._gates[key] = ease((below if gate.keep == "below" else 1 - below).astype(np.float32))
        return self._gates[key]

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
        line_x, line_y, weights = self.line(muscle.insertion, side, muscle.weights)
        midline = self.crosses(muscle.insertion)
        x = self.x[0]
        outward = LATERAL[side]
        beyond = x - np.clip(x, line_x[0], line_x[-1])
        lateral = (beyond * outward > 0) | midline
        width = self.unit * self.widths[side]
        across = beyond / (width * np.where(lateral, muscle.reach.lateral, muscle.reach.medial))
        level = np.interp(x, line_x, line_y)
        columns = np.flatnonzero(np.abs(across) < 1)
        if not len(columns):
            return
        near = slice(columns[0], columns[-1] + 1)
        top = level[near].min() - muscle.reach.above * self.unit
        bottom = level[near].max() + muscle.reach.below * self.unit
        rows = slice(*np.searchsorted(self.y[:, 0], (top, bottom)))
        down = (self.y[rows] - level[near].astype(np.float32)) / np.float32(self.unit)
        down = down / np.where(down > 0, np.float32(muscle.reach.below), np.float32(muscle.reach.above))
        share = np.maximum(0, 1 - down * down - np.square(across[near], dtype=np.float32)) ** 2
        # along the line the weights count as they are; away from it they blur: no seam runs from the ends of the line
        profile = np.interp(x[near], line_x, weights).astype(np.float32)
        blurred = cv2.GaussianBlur(profile[None], (0, 0), BLUR * self.unit / float(x[1] - x[0]))
        away = np.minimum(1, np.abs(self.y[rows] - level[near].astype(np.float32)) / np.float32(BLUR_FROM * self.unit))
        share *= profile + (blurred - profile) * away
        share *= self.rim(muscle.rim)[rows, near]
        if muscle.gate:
            share *= self.gate(muscle.gate, side)[rows, near]
        if midline:
            share *= self.share(side)[rows, near]
        pull = np.array(muscle.pull) / np.hypot(*muscle.pull) * muscle.gain * self.unit
        pull[0] *= outward * self.widths[side]
        into[rows, near] += share[..., None] * pull.astype(np.float32)


def basis_fields(frame: FaceFrame, grid: int) -> npt.NDArray[np.float32]:
    """Displacements at intensity 1, pixels: float32 [17, 2, g, g, 2] (AU, side, row, column, right and down)."""
    fields = np.zeros((N_AUS, len(SIDES), grid, grid, 2), np.float32)
    for muscle in frame.anatomy.muscles:
        for side in range(len(SIDES)):
            frame.pull(muscle, side, into=fields[AU_INDEX[muscle.au], side])
    return fields
