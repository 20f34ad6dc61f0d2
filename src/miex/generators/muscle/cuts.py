"""Cuts: lines along which skin parts, and what is seen between their edges; a single warp could only stretch there.

Above and below a cut the skin moves as two sheets. Each follows the field of the anatomy without the gates that keep it
from crossing the cut: a smooth field, whose way back exists up to the edge. Frames show the upper sheet above its edge,
the lower below, and what lies behind them in between. Where the two fields agree there is nothing to see of a cut.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import cache, cached_property
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from miex.compiled import compiled, interpolated
from miex.errors import InputError
from miex.generators.grid import Field, bilinear, cell_centers
from miex.generators.muscle.anatomy import Anatomy, Gate, landmarks
from miex.generators.muscle.basis import FaceFrame, Floats, line_landmarks, parting_rows

TABLE = Path(__file__).with_name("layers.toml")
POINTS = 49  # of an edge
SEEN = 0.35  # pixels that the edges must part for a cut to show at all; at twice that it shows whole
_BLUR = cv2.getGaussianKernel(13, 1.5)  # of the corners of lines
_AS_IT_IS = np.ones(1)
_STILL = np.empty((0, 0, 2), np.float32)  # to kernels: nothing drifts
WHOLE = np.empty((0, 0), np.float32)  # to kernels: nothing is shortened


@dataclass(frozen=True, eq=False)
class CutSpec:
    """A cut as layers.toml describes it; `above`, `below`: the gates themselves. Two are the same only if they are one
    object."""

    upper: tuple[int, ...]
    lower: tuple[int, ...]
    above: tuple[Gate, ...]
    below: tuple[Gate, ...]
    margin: tuple[float, float]
    roundness: float
    room: tuple[float, float]
    midline: bool


@cache
def load_table(path: Path = TABLE) -> dict[str, Any]:
    """layers.toml. Raises InputError: it is not TOML."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"layers {path}", expected="the form described at its top", found=str(error)) from error


@cache
def cut_spec(name: str, anatomy: Anatomy, path: Path = TABLE) -> CutSpec:
    """The cut of that name.

    Raises:
        InputError: a key is missing or unknown, a landmark or gate does not exist.
    """
    try:
        row = load_table(path)["cut"][name]
        lines = {key: landmarks(row[key]) for key in ("upper", "lower")}
        gates = {key: tuple(anatomy.gates[gate] for gate in row[key]) for key in ("above", "below")}
        return CutSpec(**row | lines | gates | {key: tuple(row[key]) for key in ("margin", "room")})
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"layers {path}: cut {name}", expected="the form at its top", found=str(error)) from error


@dataclass(frozen=True)
class Cut:
    """A cut in one face.

    Attributes:
        edges: float32 [2, n, 2]: upper and lower edge at rest, from left to right in the picture, pixels of the crop.
        rows: int [k]: the entries of the basis whose muscles move the edges apart.
        powers: float32 [k]: the power of its intensity with which each grows.
        window: rows and columns of the grid around the cut.
        extra: float32 [2, k, h, w, 2]: what the upper and the lower sheet move there beyond the basis, pixels.
        moves: float32 [34 + k, 2, n, 2]: displacement of the edges at rest by the whole basis and by `extra`.
        zone: left, top, right, bottom of where a sheet, or what an eye shows on it, differs from the skin, pixels.
        unit: inter-ocular distance, pixels.
    """

    edges: Floats
    rows: npt.NDArray[np.intp]
    powers: Floats
    window: tuple[slice, slice]
    extra: Floats
    moves: Floats
    zone: tuple[float, float, float, float]
    unit: float

    @cached_property
    def own(self) -> npt.NDArray[np.bool_]:
        """Which entries of the basis are in `rows`, [34]."""
        return np.isin(np.arange(len(self.moves) - len(self.rows)), self.rows)

    @cached_property
    def partings(self) -> Floats:
        """No less than how far each of `rows` parts the edges at intensity 1, float32 [k], pixels."""
        n = len(self.moves) - len(self.rows)
        moves, rows = self.moves[n:].copy(), self.rows.tolist()
        for row in set(rows):
            moves[rows.index(row)] += self.moves[row]
        parted = moves[:, 0] - moves[:, 1]
        return np.asarray(np.hypot(parted[..., 0], parted[..., 1]).max(1), np.float32)

    def amounts(self, weights: Floats) -> Floats:
        """How much of each entry of `extra` shows at intensities float32 [34]: float32 [k]."""
        return np.asarray(weights[self.rows] ** self.powers, np.float32)


def make_cut(frame: FaceFrame, spec: CutSpec, basis: Floats, side: int, edges: Floats | None = None) -> Cut:
    """A cut of a face, without its zone (see `with_zone`).

    Args:
        frame: the face.
        spec: where the cut is.
        basis: float32 [34, g, g, 2], of that face.
        side: of a cut that is not on the midline.
        edges: where they are, if better known than from the landmarks.
    """
    edges = edge_lines(frame, spec, side) if edges is None else edges
    x = edges[0, :, 0]
    middle, half = (x[0] + x[-1]) / 2, (x[-1] - x[0]) / 2
    window = _window(edges, frame, spec.room)
    part = 1 - np.minimum(np.abs(frame.x - middle) / half, 1) ** np.float32(spec.roundness)
    rows = np.array(parting_rows(frame.anatomy, spec, side), np.intp)
    extra = frame.sheets(spec, side, window)
    extra *= part[0, window[1], None].repeat(2, 1)
    moves = _moves_of(basis, extra, edges, frame, window)
    return Cut(edges, rows, np.ones(len(rows), np.float32), window, extra, moves, (0, 0, 0, 0), frame.unit)


def with_entry(cut: Cut, frame: FaceFrame, row: int, power: float, extra: Floats) -> Cut:
    """The cut with one more entry, and still without its zone: fields of its sheets [2, h, w, 2] that grow with a power
    of the intensity."""
    moves = _moves_of(np.empty((0, 2, 2, 2), np.float32), extra[:, None], cut.edges, frame, cut.window)
    return replace(
        cut,
        rows=np.append(cut.rows, row),
        powers=np.append(cut.powers, np.float32(power)),
        extra=np.concatenate([cut.extra, extra[:, None]], 1),
        moves=np.concatenate([cut.moves, moves]),
    )


def _moves_of(basis: Floats, extra: Floats, edges: Floats, frame: FaceFrame, window: tuple[slice, slice]) -> Floats:
    """What `Cut.moves` has of entries [m, g, g, 2] of the basis and [2, k, h, w, 2] of the cut."""
    found = np.empty((len(basis) + extra.shape[1], *edges.shape), np.float32)
    corner = np.array((window[1].start, window[0].start), np.float32)
    _fill_moves(basis, extra, edges, corner, frame.x[0, 0], np.float32(float(frame.x[0, 1] - frame.x[0, 0])), found)
    return found


@compiled
def _fill_moves(
    basis: Floats, extra: Floats, edges: Floats, corner: Floats, first: np.float32, cell: np.float32, found: Floats
) -> None:
    """As `_moves_of`; corner: column and row of the window's first cell; first, cell: center of the grid's first cell,
    and from one to the next, pixels."""
    for e in range(2):
        where = (edges[e] - first) / cell
        _at(basis, where, found[: len(basis), e])
        _at(extra[e], where - corner, found[len(basis) :, e])


def _window(edges: Floats, frame: FaceFrame, room: tuple[float, float]) -> tuple[slice, slice]:
    around, below = (np.float32(length * frame.unit) for length in room)
    top, bottom, left, right = _covered(edges, frame.x[0], frame.y[:, 0], around, below)
    return slice(top, bottom), slice(left, right)


@compiled
def _covered(edges: Floats, x: Floats, y: Floats, around: np.float32, below: np.float32) -> tuple[int, int, int, int]:
    """The rows and columns of a grid, at least two each, that edges [2, n, 2] lie in, with so much room, pixels."""
    left, right, top, bottom = edges[0, 0, 0], edges[0, 0, 0], edges[0, 0, 1], edges[0, 0, 1]
    for e in range(2):
        for k in range(edges.shape[1]):
            left, right = min(left, edges[e, k, 0]), max(right, edges[e, k, 0])
            top, bottom = min(top, edges[e, k, 1]), max(bottom, edges[e, k, 1])
    ends = np.array([top - around, bottom + below, left - around, right + around])
    first_row, behind_row = np.searchsorted(y, ends[:2])
    first_column, behind_column = np.searchsorted(x, ends[2:])
    return min(first_row, len(y) - 2), max(behind_row, 2), min(first_column, len(x) - 2), max(behind_column, 2)


def with_zone(cut: Cut, frame: FaceFrame) -> Cut:
    """The cut with its zone, by all its entries."""
    x, y = frame.x[0, cut.window[1]], frame.y[cut.window[0], 0]
    top, bottom = _moved_rows(cut.edges, cut.extra, x, y, np.float32(1e-4 * cut.unit))
    cell, line = float(frame.x[0, 1] - frame.x[0, 0]), cut.edges[0, :, 0]
    return replace(cut, zone=(float(line[0]) - cell, top - 2 * cell, float(line[-1]) + cell, bottom + 2 * cell))


@compiled
def _moved_rows(edges: Floats, extra: Floats, x: Floats, y: Floats, least: np.float32) -> tuple[float, float]:
    """Height of the highest and the lowest place of edges, or of a grid's cells beyond them that their own sheet moves
    up or down by more than that, pixels."""
    n, width = edges.shape[1], len(x)
    top, bottom = edges[0, 0, 1], edges[0, 0, 1]
    for e in range(2):
        for k in range(n):
            top, bottom = min(top, edges[e, k, 1]), max(bottom, edges[e, k, 1])
    at, near = np.empty((2, width)), 0
    for e in range(2):
        for j in range(width):
            at[e, j], near = interpolated(edges[0, :, 0], edges[e, :, 1], x[j], near)
    for i in range(len(y)):
        if top <= y[i] <= bottom:
            continue
        moved = False
        for j in range(width):
            if edges[0, 0, 0] <= x[j] <= edges[0, n - 1, 0] and (y[i] < at[0, j] or y[i] > at[1, j]):
                for k in range(extra.shape[1]):
                    moved |= y[i] < at[0, j] and abs(extra[0, k, i, j, 1]) > least
                    moved |= y[i] > at[1, j] and abs(extra[1, k, i, j, 1]) > least
        if moved:
            top, bottom = min(top, y[i]), max(bottom, y[i])
    return float(top), float(bottom)


def edge_lines(frame: FaceFrame, spec: CutSpec, side: int) -> Floats:
    """Upper and lower edge of a cut by the landmarks, float32 [2, n, 2]; they meet at their ends."""
    upper, lower = (line_landmarks(indices, (), side)[0] for indices in (spec.upper, spec.lower))
    found, chords = np.empty((2, POINTS, 2), np.float32), np.empty((2, POINTS))
    bent = np.empty((2, 3 * POINTS - 2))
    _bend(frame.points, upper, lower, found[0, :, 0], chords, bent)
    smooth = np.asarray(cv2.sepFilter2D(bent, -1, _BLUR, _AS_IT_IS), np.float64)  # without corners
    over, under = (margin * frame.unit for margin in spec.margin)
    _part(smooth[:, POINTS - 1 : 2 * POINTS - 1], chords, over, under, found)
    return found


@compiled
def _bend(
    points: Floats,
    upper: npt.NDArray[np.int64],
    lower: npt.NDArray[np.int64],
    x: Floats,
    chords: npt.NDArray[np.float64],
    bent: npt.NDArray[np.float64],
) -> None:
    """How far two lines of landmarks are from the straight lines between their ends.

    Args:
        points: landmarks, pixels [478, 2].
        upper, lower: which of them the lines are.
        x: of points along both, to be filled, [n].
        chords: the straight lines there, to be filled, [2, n].
        bent: what is beyond them, mirrored at both ends so that these stay when it is blurred, to be filled,
            [2, 3 n - 2].
    """
    n, lines = len(x), (points[upper], points[lower])
    start, stop = np.float32(-np.inf), np.float32(np.inf)
    for line in lines:
        for i in range(1, len(line)):  # from left to right
            k, (right, down) = i, (line[i, 0], line[i, 1])
            while k > 0 and line[k - 1, 0] > right:
                line[k] = line[k - 1]
                k -= 1
            line[k, 0], line[k, 1] = right, down
        start, stop = max(start, line[0, 0]), min(stop, line[-1, 0])
    step = (stop - start) / np.float32(n - 1)
    for k in range(n):
        x[k] = np.float32(k) * step + start
    x[n - 1] = stop
    for e, line in enumerate(lines):
        near = 0
        for k in range(n):
            bent[e, n - 1 + k], near = interpolated(line[:, 0], line[:, 1], x[k], near)
        first, last = bent[e, n - 1], bent[e, 2 * n - 2]
        for k in range(n):
            chords[e, k] = k * ((last - first) / (n - 1)) + first
        chords[e, n - 1] = last
        for k in range(n):
            bent[e, n - 1 + k] -= chords[e, k]
        for k in range(1, n):
            bent[e, n - 1 - k], bent[e, 2 * n - 2 + k] = -bent[e, n - 1 + k], -bent[e, 2 * n - 2 - k]


@compiled
def _part(
    smooth: npt.NDArray[np.float64], chords: npt.NDArray[np.float64], over: float, under: float, found: Floats
) -> None:
    """Fill in the edges of a cut [2, n, 2] by what is beyond the straight lines between their ends, both [2, n]: within
    the upper and the lower line by so much, or a third of the way where they are near, pixels."""
    n = found.shape[1]
    for k in range(n):
        upper, lower = smooth[0, k] + chords[0, k], smooth[1, k] + chords[1, k]
        most = max(0.0, lower - upper) / 3
        upper, lower = upper + min(over, most), lower - min(under, most)
        if upper > lower or k in (0, n - 1):
            upper = lower = (upper + lower) / 2
        found[1, k, 0], found[0, k, 1], found[1, k, 1] = found[0, k, 0], upper, lower


def median(values: Floats) -> Floats:
    """`np.median` along the first axis, which takes ten times as long for few values."""
    ordered, n = np.sort(values, axis=0), len(values)
    return np.asarray((ordered[(n - 1) // 2] + ordered[n // 2]) / 2, np.float32)


def percentile(values: npt.NDArray[Any], share: float) -> Floats:
    """`np.percentile` along the first axis, which takes ten times as long for few values."""
    ordered, at = np.sort(values, axis=0), share * (len(values) - 1)
    low, high = ordered[int(at)].astype(np.float32), ordered[min(int(at) + 1, len(values) - 1)]
    return np.asarray(low + np.float32(at - int(at)) * (high - low), np.float32)


def at_points(fields: Floats, points: Floats, frame: FaceFrame) -> Floats:
    """Fields [k, g, g, c] at points [..., 2], pixels of the crop, bilinear: [k, ..., c]."""
    first, cell = frame.x[0, 0], np.float32(float(frame.x[0, 1] - frame.x[0, 0]))
    found = np.empty((len(fields), points.size // 2, fields.shape[3]), np.float32)
    _at(fields, (points.reshape(-1, 2) - first) / cell, found)
    return found.reshape(len(fields), *points.shape[:-1], fields.shape[3])


@compiled
def _at(fields: Floats, where: Floats, found: Floats) -> None:
    """Fields [k, h, w, c] at places (x, y) [n, 2], cells, bilinear, into [k, n, c]."""
    for n in range(len(where)):
        x, y = where[n, 0], where[n, 1]
        for k in range(len(fields)):
            field = fields[k]
            for c in range(fields.shape[3]):
                found[k, n, c] = bilinear(field, x, y, c)


# --- one frame ---------------------------------------------------------------------------------------------------


class Opening(NamedTuple):
    """A cut in one frame, seen in a box of the crop.

    Attributes:
        cut: the cut.
        amounts: of its entries, float32 [k].
        edges: float32 [2, n, 2], displaced.
        box: rows and columns of the crop.
        x, y: pixel coordinates in the box, [1, w] and [h, 1].
        upper, lower: height of the edges in each column, float32 [1, w].
        across: displacement to the right of what is between the edges, float32 [1, w].
        drift: (right, down) of the head there, float32 [2], pixels.
        share: how much of it shows, as what has hardly parted is what the skin alone shows.
    """

    cut: Cut
    amounts: Floats
    edges: Floats
    box: tuple[slice, slice]
    x: Floats
    y: Floats
    upper: Floats
    lower: Floats
    across: Floats
    drift: Floats
    share: float


def open_cut(
    cut: Cut, weights: Floats, scale: Floats | None, drift: Field | None, frame: FaceFrame, size: int
) -> Opening | None:
    """A cut at intensities float32 [34]; None where its edges hardly part, or nothing of it lies in the crop.

    Args:
        cut: the cut.
        weights: the intensities.
        scale: by how much all motion is shortened, float32 [g, g]; None: not at all.
        drift: where what is seen goes beside, float32 [g, g, 2], pixels; None: nowhere.
        frame: the face.
        size: side of the crop, pixels.
    """
    grid, first = frame.x.shape[1], float(frame.x[0, 0])
    (down, across), cell = cut.window, float(frame.x[0, 1]) - first
    amounts, edges = np.empty(len(cut.rows), np.float32), np.empty_like(cut.edges)
    drifted, columns = np.zeros(2, np.float32), np.empty((3, size), np.float32)
    share, top, bottom, left, right = _open(
        (cut.edges, cut.moves, cut.own, cut.rows, cut.powers, cut.partings), cut.zone,
        (down.start, down.stop, across.start, across.stop), weights, WHOLE if scale is None else scale,
        _STILL if drift is None else drift, (first, cell), (grid, size), amounts, edges, drifted, columns,
    )  # fmt: skip
    if share == 0:
        return None
    line = cell_centers(size, size)  # pixels as cells of a grid
    x, y = line[None, left:right], line[top:bottom, None]
    upper, lower, along = columns[:, None, : right - left]
    return Opening(
        cut, amounts, edges, (slice(top, bottom), slice(left, right)), x, y, upper, lower, along, drifted, share
    )


@compiled
def _open(
    cut: tuple[Floats, Floats, npt.NDArray[np.bool_], npt.NDArray[np.intp], Floats, Floats],
    zone: tuple[float, float, float, float],
    window: tuple[int, int, int, int],
    weights: Floats,
    scale: Floats,
    drift: Floats,
    cells: tuple[float, float],
    sizes: tuple[int, int],
    amounts: Floats,
    edges: Floats,
    drifted: Floats,
    columns: Floats,
) -> tuple[float, int, int, int, int]:
    """As `open_cut`.

    Args:
        cut: `edges`, `moves`, `own`, `rows`, `powers` and `partings` of it.
        zone: of the cut.
        window: of the cut, first row and the one behind the last, and columns.
        weights: the intensities.
        scale, drift: as for `open_cut`; of size 0: none.
        cells: center of the grid's first cell, and from one to the next, pixels.
        sizes: cells and pixels of the crop, each way.
        amounts, edges: of `Opening`, to be filled.
        drifted: zeros, to be filled: `Opening.drift`.
        columns: to be filled as by `_columns`, [3, size], as far as the box is wide.

    Returns:
        `Opening.share`, or 0 where nothing is seen of it; and the rows and columns of its box.
    """
    rest, moves, own, rows, powers, partings = cut
    most = np.float32(0)
    for k in range(len(rows)):
        most += weights[rows[k]] * partings[k]
    if most <= SEEN:
        return 0.0, 0, 0, 0, 0
    parts = np.empty(len(moves), np.float32)
    parts[: len(weights)] = weights
    for k in range(len(rows)):
        amounts[k] = parts[len(weights) + k] = weights[rows[k]] ** powers[k]
    shorter = scale.reshape(scale.shape[0], scale.shape[1], 1)
    parted, dx0, dy0, dx1, dy1 = _displace(rest, moves, own, parts, shorter, drift, cells[0], cells[1], edges, drifted)
    if parted <= SEEN:
        return 0.0, 0, 0, 0, 0
    grid, size = sizes
    left, top, right, bottom = zone
    top = max(max(0, int(top + dy0)), int((window[0] + 0.5) * size / grid + 0.5))
    bottom = min(min(size, int(bottom + dy1) + 2), int((window[1] - 1.5) * size / grid))
    left = max(max(0, int(left + dx0)), int((window[2] + 0.5) * size / grid + 0.5))
    right = min(min(size, int(right + dx1) + 2), int((window[3] - 1.5) * size / grid))
    if right <= left or bottom <= top:
        return 0.0, 0, 0, 0, 0
    _columns(edges, rest, left, columns[:, : right - left])
    return min(1.0, parted / SEEN - 1), top, bottom, left, right


@compiled
def _displace(
    rest: Floats,
    moves: Floats,
    own: npt.NDArray[np.bool_],
    amounts: Floats,
    scale: Floats,
    drift: Floats,
    first: float,
    cell: float,
    edges: Floats,
    drifted: Floats,
) -> tuple[float, float, float, float, float]:
    """Displace the edges of a cut.

    Args:
        rest, moves, own: `Cut.edges`, `Cut.moves`, `Cut.own`.
        amounts: of each of the moves.
        scale, drift: as for `open_cut`, the first with a third axis; of size 0: none.
        first, cell: center of the grid's first cell, and from one to the next, pixels.
        edges: to be filled, [2, n, 2].
        drifted: zeros [2]; their mean drift is added.

    Returns:
        how far entries of the cut part them (cheeks may move a lid along); and how far they go at most left and up, no
        more than 0, and right and down, no less. Pixels.
    """
    n = rest.shape[1]
    moved, parting = np.zeros(rest.shape, np.float32), np.zeros(rest.shape, np.float32)
    for m in range(len(amounts)):
        if amounts[m] == 0:
            continue
        mine = m >= len(own) or own[m]
        for e in range(2):
            for k in range(n):
                for c in range(2):
                    share = amounts[m] * moves[m, e, k, c]
                    moved[e, k, c] += share
                    if mine:
                        parting[e, k, c] += share
    for e in range(2):
        for k in range(n):
            x, y = (rest[e, k, 0] - first) / cell, (rest[e, k, 1] - first) / cell
            for c in range(2):
                shift = moved[e, k, c] * bilinear(scale, x, y, 0) if scale.size else moved[e, k, c]
                away = bilinear(drift, x, y, c) if drift.size else 0.0
                edges[e, k, c] = rest[e, k, c] + shift + away
                drifted[c] += away / (2 * n)
    parted, ends = 0.0, np.zeros((2, 2))
    for c in range(2):
        for k in (0, n - 1):  # they meet at their ends, whatever the grid makes of the fields there
            edges[0, k, c] = edges[1, k, c] = (edges[0, k, c] + edges[1, k, c]) / 2
        for k in range(n):
            parted = max(parted, abs(parting[0, k, c] - parting[1, k, c]))
            for e in range(2):
                ends[0, c] = min(ends[0, c], edges[e, k, c] - rest[e, k, c])
                ends[1, c] = max(ends[1, c], edges[e, k, c] - rest[e, k, c])
    return parted, ends[0, 0], ends[0, 1], ends[1, 0], ends[1, 1]


@compiled
def _columns(edges: Floats, rest: Floats, left: int, found: Floats) -> None:
    """In each column from `left` on: height of the upper edge, of the lower one, and the displacement to the right of
    what is between them, into [3, w]."""
    aside = np.empty((edges.shape[1], 2), np.float32)
    for k in range(len(aside)):
        aside[k, 0] = (edges[0, k, 0] + edges[1, k, 0]) / 2
        aside[k, 1] = aside[k, 0] - (rest[0, k, 0] + rest[1, k, 0]) / 2
    for j in range(found.shape[1]):
        x = float(left + j)
        for c, line in enumerate((edges[0], edges[1], aside)):
            found[c, j] = value_at(line, x, 1)


@compiled
def value_at(line: Floats, x: float, c: int) -> float:
    """The value c of a line [n, 1 + values] from left to right where its first, x, is that; beyond its ends that of the
    end.

    As np.interp, which takes numba many seconds to compile.
    """
    last = len(line) - 1
    if x <= line[0, 0]:
        return np.float64(line[0, c])
    for k in range(last):
        if x <= line[k + 1, 0]:
            start, before = np.float64(line[k, 0]), np.float64(line[k, c])
            return float(before + (x - start) / (line[k + 1, 0] - start) * (line[k + 1, c] - before))
    return np.float64(line[last, c])


def inner_cells(box: tuple[slice, slice], size: int, grid: int) -> tuple[slice, slice]:
    """Cells of the grid that only pixels in the box are made of; there gates make the skin's own field steep."""
    rows, columns = (
        slice(ceil((s.start + 0.5) * grid / size - 0.5), int((s.stop - 0.5) * grid / size - 0.5) + 1) for s in box
    )
    return rows, columns


def sheets(field: Field, cut: Cut, amounts: Floats, scale: Floats | None) -> Field:
    """The fields of the upper and the lower sheet in the cut's window: that of the skin, and what the cut lets through.

    Args:
        field: of the skin, float32 [g, g, 2].
        cut: the cut.
        amounts: of the cut's entries.
        scale: by how much they are shortened, float32 [g, g]; None: not at all.

    Returns:
        float32 [2, h, w, 2].
    """
    both = np.empty((2, *cut.extra.shape[2:]), np.float32)
    both[:] = field[cut.window]
    let_through(cut.extra, amounts, WHOLE if scale is None else scale[cut.window], both)
    return both


@compiled
def let_through(extra: Floats, amounts: Floats, scale: Floats, both: Field) -> None:
    """Add `Cut.extra`, each entry by its amount and scaled by [h, w], or as it is by what has size 0, to the sheets."""
    for e in range(2):
        for k in range(len(amounts)):
            if amounts[k] == 0:
                continue
            for i in range(both.shape[1]):
                for j in range(both.shape[2]):
                    share = amounts[k] * scale[i, j] if scale.size else amounts[k]
                    both[e, i, j, 0] += share * extra[e, k, i, j, 0]
                    both[e, i, j, 1] += share * extra[e, k, i, j, 1]
