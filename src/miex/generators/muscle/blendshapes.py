"""A second basis: the expression shapes of a head that an artist drew, in place of the anatomy's muscles.

blendshapes.csv says what each AU does to the landmarks of the face mesh; between them it is linear on triangles. Where
skin parts, the two sheets are read on their own side of the cut.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, AU_NUMBERS, N_AUS, SIDES
from miex.easing import ease
from miex.faces.crop import AlignedFace
from miex.faces.mesh import OVAL, mirror_landmarks
from miex.generators.grid import GRID
from miex.generators.muscle.anatomy import Rim, load
from miex.generators.muscle.basis import (
    LATERAL,
    NARROWEST_GATE,
    FaceFrame,
    Floats,
    line_landmarks,
    parting_rows,
    pulls_of,
)
from miex.generators.muscle.cuts import CutSpec, at_points, cut_spec

TABLE = Path(__file__).with_name("blendshapes.csv")
SKIN = 468  # landmarks of the face mesh that lie on skin; the others are irises
AROUND = 1.7  # how far out what the oval does goes on, of the way from the middle of the face to its oval
FINER = 7  # pixels per cell in which triangles are found; odd, so that one lies in the middle of the cell
HELD = 0.1  # height of an opening in whose middle the eye holds still, inter-ocular distances
CLOSING, JAW = 45, 26  # AUs
CHIN = 152


@dataclass(frozen=True)
class Shapes:
    """The table.

    Attributes:
        points: the mesh at rest and a ring around it, (right, down), float64 [468 + ring, 2]; all lengths are
            inter-ocular distances.
        motion: what AUs of each side do to them, (lateral, down), float32 [17, 2, 468 + ring, 2].
        triangles: int [t, 3].
        depth: of the mesh behind the root of the nose, float32 [468].
    """

    points: npt.NDArray[np.float64]
    motion: Floats
    triangles: npt.NDArray[np.intp]
    depth: Floats


@cache
def shapes(path: Path = TABLE) -> Shapes:
    """The table of that file."""
    with path.open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))

    def column(name: str) -> npt.NDArray[np.float64]:
        return np.array([float(row[name]) for row in rows]) / 1e4

    twins = list(mirror_landmarks()[:SKIN])
    points = with_ring(np.stack([column("x"), column("y")], -1))
    right = np.stack([np.stack([column(f"{way}_{au}") for way in ("lateral", "down")], -1) for au in AU_NUMBERS])
    motion = np.stack([right[:, twins] if side == "left" else right for side in SIDES], 1)
    motion = np.concatenate([motion, motion[:, :, list(OVAL)]], 2)
    opened = points + (motion[AU_INDEX[JAW]] * np.array(LATERAL)[:, None, None] ** (1, 0)).sum(0)
    return Shapes(points, motion.astype(np.float32), _triangles(opened), column("depth").astype(np.float32))


def _triangles(points: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Between landmarks with a ring around them, [t, 3], of both halves alike; the mouth is open, so that none of them
    reaches from one lip into the other."""
    twins = np.array(mirror_landmarks()[:SKIN])
    twins = np.concatenate([twins, SKIN + np.array([OVAL.index(twins[index]) for index in OVAL])])
    half = np.flatnonzero(points[:, 0] <= points[twins, 0])
    from scipy.spatial import Delaunay  # who moves faces by the anatomy alone need not wait for it

    right = half[Delaunay(points[half]).simplices]
    return np.concatenate([right, twins[right]])


def with_ring(points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Landmarks, and the oval's once more around them."""
    oval = points[list(OVAL)]
    return np.concatenate([points[:SKIN], oval.mean(0) + AROUND * (oval - oval.mean(0))])


def relief(face: AlignedFace) -> Floats:
    """`BlendshapeFrame.relief` of a face: the modeled head's depth at its landmarks."""
    return BlendshapeFrame(face, load(), GRID).relief()


class BlendshapeFrame(FaceFrame):
    """One face, moved by expression shapes."""

    def fields(self) -> Floats:
        rows, columns = slice(0, len(self.y)), slice(0, len(self.y))
        x, y = np.meshgrid(self.x[0], self.y[:, 0])
        fields = self._read(x, y, 0)
        mouth = cut_spec("mouth", load())
        for spec, side in ((mouth, 0), *((cut_spec("eye", load()), side) for side in range(len(SIDES)))):
            upper, lower, columns = self._edges(spec, side)
            here = (rows, columns)
            above, below = self._parted(spec, side, here)
            least = NARROWEST_GATE * self.unit if spec.midline else 1e-3
            height = np.maximum(lower - upper, np.float32(least))
            down = np.clip((y[here] - (upper + lower) / 2) / height + 0.5, 0, 1)
            keeps = (1 - down).astype(np.float32)
            if not spec.midline:
                held = 1 - (1 - ease(np.abs(2 * down - 1))) * np.minimum(1, height / (HELD * self.unit))
            joined = below + (above - below) * keeps[..., None]
            if not spec.midline:
                opens = np.arange(len(joined)) // len(SIDES) != AU_INDEX[CLOSING]
                joined[opens] *= held[..., None]
            fields[:, *here] = joined
        return fields * self._fade

    def sheets(self, spec: CutSpec, side: int, window: tuple[slice, slice]) -> Floats:
        rows = list(parting_rows(self.anatomy, spec, side))
        both = self._parted(spec, side, window)[:, rows] * self._fade[rows][:, *window]
        both -= self._fields[rows][:, *window]
        upper, lower = (
            shapes().motion.reshape(N_AUS * len(SIDES), -1, 2)[rows][:, line_landmarks(line, (), side)[0]]
            for line in (spec.upper, spec.lower)
        )
        both[:, (upper == lower).all((1, 2))] = 0  # edges that the shape keeps together
        return both

    @cached_property
    def _fields(self) -> Floats:
        return self.fields()

    def _edges(self, spec: CutSpec, side: int) -> tuple[Floats, Floats, slice]:
        """Heights of the edges of a cut at rest in the columns of the grid that it spans, and these columns."""
        lines = [self.line(indices, side) for indices in (spec.upper, spec.lower)]
        ends = max(line[0][0] for line in lines), min(line[0][-1] for line in lines)
        columns = slice(*np.searchsorted(self.x[0], ends).tolist())
        upper, lower = (np.interp(self.x[0, columns], *line).astype(np.float32) for line in lines)
        middle = (upper + lower) / 2
        return np.minimum(upper, middle), np.maximum(lower, middle), columns

    def _parted(self, spec: CutSpec, side: int, window: tuple[slice, slice]) -> Floats:
        """Displacements of the upper and the lower sheet of a cut on a window, which go on beyond their edges as at
        them: float32 [2, 34, h, w, 2]; nothing parts in other columns."""
        *heights, columns = self._edges(spec, side)
        x, y = np.meshgrid(self.x[0, window[1]], self.y[window[0], 0])
        sheets = []
        for e, (line, height) in enumerate(zip((spec.upper, spec.lower), heights, strict=True)):
            found = self._read(x, y, e)
            landmarks = line_landmarks(tuple(line), (), side)[0]
            landmarks = landmarks[np.argsort(self.points[landmarks, 0], kind="stable")]
            some = slice(max(columns.start, window[1].start), min(columns.stop, window[1].stop))
            if some.start < some.stop:
                here = slice(some.start - window[1].start, some.stop - window[1].start)
                across, at = self.points[landmarks, 0], self.x[0, some]
                i = np.clip(np.searchsorted(across, at) - 1, 0, len(across) - 2)
                share = ((at - across[i]) / np.maximum(across[i + 1] - across[i], 1e-3))[:, None, None]
                first, second = (self._moves[landmarks[i + k]] for k in (0, 1))
                edge = np.moveaxis(first + (second - first) * share, 0, 1)[:, None]  # [34, 1, w, 2]
                off = y[:, here] - height[some.start - columns.start : some.stop - columns.start]
                found[:, :, here] = np.where((off * (1, -1)[e] > 0)[..., None], edge, found[:, :, here])
            sheets.append(found)
        return np.stack(sheets)

    @cached_property
    def _fade(self) -> Floats:
        """Toward the rim of the face and, where an AU moves the chin over the neck, as far there as in the anatomy:
        float32 [34, g, g, 1]."""
        fades = []
        for au in AU_NUMBERS:
            fade = self.rim(Rim(neck=0))
            for muscle in self.anatomy.muscles:
                if muscle.au == au and muscle.rim.neck:
                    neck = np.zeros((*fade.shape, 2), np.float32)
                    pulls = pulls_of(self.anatomy, [(muscle, side, 0, 1.0) for side in range(len(SIDES))])
                    self.pull(pulls, neck[None])
                    length = np.hypot(neck[..., 0], neck[..., 1])
                    chin = at_points(length[None, ..., None], self.points[[CHIN]], self)
                    fade = np.maximum(fade, self.rim(muscle.rim) * np.minimum(1, length / np.maximum(chin[0], 1e-3)))
            fades.append(fade)
        return np.repeat(np.stack(fades), len(SIDES), 0)[..., None].astype(np.float32, copy=False)

    @cached_property
    def _corners(self) -> Floats:
        """Triangles' corners, pixels of the crop, float32 [t, 3, 2]."""
        return with_ring(self.points)[shapes().triangles].astype(np.float32)

    @cached_property
    def _moves(self) -> Floats:
        """Displacements of points, pixels, float32 [points, 34, 2]."""
        scale = np.array([[way * width, 1] for way, width in zip(LATERAL, self.widths, strict=True)]) * self.unit
        moves = shapes().motion * scale[None, :, None].astype(np.float32)
        return np.ascontiguousarray(moves.reshape(N_AUS * len(SIDES), -1, 2).swapaxes(0, 1))

    @cached_property
    def _owners(self) -> list[npt.NDArray[np.int32]]:
        """The triangle at each place, int32 [FINER · g, FINER · g], −1: none; at edges of cuts once that of the upper,
        once that of the lower sheet."""
        grid, triangles = len(self.y), shapes().triangles
        corners = (self._corners - self.x[0, 0]) / (self.x[0, 1] - self.x[0, 0]) * FINER + (FINER - 1) / 2
        touches = np.stack([np.isin(triangles, edge).any(axis=1) for edge in _edge_landmarks()])
        ahead, behind = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        whole = np.abs(ahead[:, 0] * behind[:, 1] - ahead[:, 1] * behind[:, 0]) > 1e-3
        owners = []
        for e in (0, 1):
            # between the edges, at the other one, elsewhere, at its own
            order = np.argsort(np.where(touches.all(0), -2, touches[e].astype(int) - touches[1 - e]), kind="stable")
            owner = np.full((FINER * grid, FINER * grid), -1, np.int32)
            for i in order[whole[order]].tolist():
                cv2.fillConvexPoly(owner, np.rint(corners[i] * 16).astype(np.int32), i, cv2.LINE_8, 4)
            owners.append(owner)
        return owners

    def _read(self, x: npt.NDArray[np.floating], y: npt.NDArray[np.floating], e: int) -> Floats:
        """Displacements at points [h, w], pixels of the crop, on a sheet: float32 [34, h, w, 2]."""
        corners, shares = self._between(x, y, e)
        return np.ascontiguousarray(np.einsum("hwk,hwkac->ahwc", shares, self._moves[corners]))

    def relief(self) -> Floats:
        """How far the skin stands out toward the viewer, of the mean of the face: float32 [g, g], inter-ocular
        distances. It fades to 0 toward the rim."""
        x, y = np.meshgrid(self.x[0], self.y[:, 0])
        corners, shares = self._between(x, y, 0)
        depth = shapes().depth
        depth = np.concatenate([depth, depth[list(OVAL)]])
        out = -(shares * depth[corners]).sum(-1)
        face = Rim(neck=0)
        return np.asarray((out - out[self.radius(face) < 1].mean()) * self.rim(face), np.float32)

    def _between(
        self, x: npt.NDArray[np.floating], y: npt.NDArray[np.floating], e: int
    ) -> tuple[npt.NDArray[np.intp], Floats]:
        """The corners of the triangles at points [h, w], and the share of each in what is there, [h, w, 3]."""
        cell = float(self.x[0, 1] - self.x[0, 0])
        most = FINER * len(self.y) - 1
        column, row = (
            np.clip(np.rint((v - self.x[0, 0]) / cell * FINER + (FINER - 1) / 2).astype(int), 0, most) for v in (x, y)
        )
        owner = self._owners[e][row, column]
        (ax, ay), (bx, by), (cx, cy) = np.moveaxis(self._corners[owner], (-2, -1), (0, 1))
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        second = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
        third = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
        shares = np.clip(np.stack([1 - second - third, second, third], -1), 0, 1)
        shares *= (owner >= 0)[..., None] / shares.sum(-1, keepdims=True)
        return shapes().triangles[owner], shares.astype(np.float32)


@cache
def _edge_landmarks() -> tuple[list[int], list[int]]:
    """Landmarks of all upper and of all lower edges, without the corners where they meet."""
    found: tuple[list[int], list[int]] = ([], [])
    twins = mirror_landmarks()
    for name in ("mouth", "eye"):
        spec = cut_spec(name, load())
        for edge, line, other in zip(found, (spec.upper, spec.lower), (spec.lower, spec.upper), strict=True):
            own = [index for index in line if index not in other]
            edge += own + [twins[index] for index in own]
    return found
