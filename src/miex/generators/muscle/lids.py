"""The lids: sheets of skin in front of an eye that does not move."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, SIDES
from miex.compiled import compiled, eased
from miex.easing import ease
from miex.faces.crop import OVERSAMPLING, AlignedFace
from miex.generators.grid import bilinear, sample
from miex.generators.muscle.anatomy import load
from miex.generators.muscle.basis import LATERAL, FaceFrame, Floats
from miex.generators.muscle.cuts import (
    POINTS,
    Cut,
    Opening,
    cut_spec,
    load_table,
    make_cut,
    percentile,
    value_at,
    with_entry,
    with_zone,
)

OVERLAP = 0.045  # of closed lids, inter-ocular
ARCH = 1 - np.linspace(-1, 1, POINTS) ** 2  # of it, along the eye
UNROLLED = 0.6  # intensity at which the lid has no folds left
LEAST, LIT = 0.85, 0.8  # brightness of a lid without its lashes: of its brighter part, and of the cheek below it
BEYOND = 0.1, 0.06  # how far a bare lid goes on past the outer and the inner end of the eye, inter-ocular
LID_LINE = 0.03  # of the dark line along a lid that closes: how far up it fades away, inter-ocular
FINE = 4  # samples of the picture of lashes per pixel
LOW = 0.1  # intensity from which on lashes hang: its own disappear with the folds that unroll
COVERS = 0.65  # of the photo's lid, by what unrolls from its fold, so that a crease stays; all where its lashes are
LASHES, LONGEST = 40, 0.085  # how many are seen, and the length of the longest, inter-ocular
LASH = (1, 110), (0.75, 170), (0.45, 230)  # darkness up to which share of its length
GOLDEN = (5**0.5 - 1) / 2
DOME = 0.09  # of the light: how a lid over an eyeball is shaded
CHEEK, PORES, COARSEST = 0.42, 0.025, 5.0  # where a lid takes its pores from and their size, inter-ocular; most, levels
IRISES = slice(473, 478), slice(468, 473)  # landmarks, of SIDES: the middle, then four of the rim
AROUND = 1.4  # radii of the iris within which it is kept round
NINE = np.linspace(0, 1, 9, dtype=np.float32)[:, None]  # rows of places in a lid
STRIP = 0.018  # of the eye along a lid that is stretched where the lid is raised, inter-ocular


_Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Eye:
    """One eye.

    Attributes:
        cut: between its lids.
        iris: x and y of its middle, and its radius, pixels of the crop.
        closing: the entry of the basis that closes it.
        corner: x, y of the patch's first pixel in the crop.
        patch: float32 [h, w, 4]: the upper lid as it unrolls, gray levels, and how much it replaces what is there.
        lash: color of the rim, float32 [3], gray levels.
        skin: color of the lid, float32 [3], gray levels.
        lashes: how much the lashes of the lowered lid cover, float32 [h, w, 1], FINE samples per pixel, in a rim of 0;
            the first row within is the lid's edge, the first column the cut's left end less LONGEST.
    """

    cut: Cut
    iris: tuple[float, float, float]
    closing: int
    corner: tuple[int, int]
    patch: Floats
    lash: Floats
    skin: Floats
    lashes: Floats


def make_eye(frame: FaceFrame, face: AlignedFace, basis: Floats, side: int) -> Eye:
    """The eye of a side (of SIDES), ready to be closed."""
    cut = _closing(make_cut(frame, cut_spec("eye", load()), basis, side), frame, side)
    return _eye(cut, frame, face, side)


def _eye(cut: Cut, frame: FaceFrame, face: AlignedFace, side: int) -> Eye:
    lids, edge = load_table()["lids"], cut.edges[0]
    fold_x, fold_y = frame.line(lids["fold"], side)
    # at the outer end of the eye lashes and paint reach beyond it, and so does the bare lid
    before, after = (BEYOND[LATERAL[side] != way] * frame.unit for way in (-1, 1))
    left, top, right, bottom = cut.zone
    cut = replace(cut, zone=(left - before, top, right + after, bottom))
    x0, x1 = int(edge[0, 0] - before), int(edge[-1, 0] + after + 2)
    y0, y1 = int(fold_y.min()), int(edge[:, 1].max() + 0.05 * frame.unit + 2)
    x0, x1, y0, y1 = (min(max(0, v), face.size) for v in (x0, x1, y0, y1))
    x, y = np.arange(x0, x1, dtype=np.float32)[None, :], np.arange(y0, y1, dtype=np.float32)[:, None]
    rim, fold = np.interp(x, edge[:, 0], edge[:, 1]), np.interp(x, fold_x, fold_y)
    fold = np.minimum(fold, rim - lids["lashes"] * frame.unit)
    # lids are smooth, and stretched hairs of the brow would be streaks
    left, above = max(0, x0 - int(0.2 * frame.unit) - 2), max(0, y0 - int(0.1 * frame.unit) - 2)
    near = face.crop[above : y1 + int(0.1 * frame.unit) + 2, left : x1 + int(0.2 * frame.unit) + 2]
    smooth = cv2.GaussianBlur(near, (0, 0), 0.04 * frame.unit, sigmaY=0.015 * frame.unit).astype(np.float32)
    source = np.where(y > fold, fold + lids["unrolls"] * (y - fold), y).astype(np.float32)
    where = np.empty((*source.shape, 2), np.float32)
    where[..., 0], where[..., 1] = x - left, source - above
    patch = sample(smooth, where)
    bare = _bare(smooth, x - left, fold - above, rim - above - lids["lashes"] * frame.unit, frame.unit)
    rows = np.minimum(y0 + round(CHEEK * frame.unit) + np.arange(round(0.1 * frame.unit) + 1), face.size - 1)
    cheek = percentile(face.crop[rows, x0:x1].reshape(-1, 3), 0.5)
    # without lashes and what is painted about them; a lid that closes comes out of the shadow of its brow
    patch = np.maximum(patch, np.maximum(bare * np.float32(LEAST), cheek * np.float32(LIT)))
    down = np.clip((y - fold) / np.maximum(rim - fold, 1), 0, 1)
    patch *= _shading(x, down, edge)[..., None]
    patch += _pores(face, (x0, y0, x1, y1), frame.unit)
    height = ((rim - y) / (lids["lashes"] * frame.unit)).astype(np.float32)
    ends = ease(1 + np.minimum((x - edge[0, 0]) / before, (edge[-1, 0] - x) / after).astype(np.float32))
    share = ease(height - np.float32(0.1)) * ends
    share = share * ease(((y - fold) / (0.05 * frame.unit)).astype(np.float32))
    share = share * (COVERS + (1 - COVERS) * ease(2 * down)).astype(np.float32)
    band = (height > 0) & (height < 1) & (ends > 0.5)
    colors = face.crop[y0:y1, x0:x1][band]
    lash = percentile(colors, 0.15) if len(colors) else np.zeros(3)
    closing = AU_INDEX[lids["closing"]] * len(SIDES) + side
    covered = (share > 0.5) & (height > 0)
    skin = np.asarray(patch[covered].mean(0) if covered.any() else face.crop.mean((0, 1)), np.float32)
    drawn = np.concatenate([patch, share[..., None]], 2).astype(np.float32)
    lashes = _lashes(float(np.ptp(edge[:, 0])), LATERAL[side], frame.unit)
    points = face.landmarks[IRISES[side]]
    iris = (float(points[0, 0]), float(points[0, 1]), float(np.hypot(*(points[1:] - points[0]).T).mean()))
    return Eye(cut, iris, closing, (x0, y0), drawn, lash.astype(np.float32), skin, lashes)


def _shading(x: Floats, down: Floats, edge: Floats) -> Floats:
    """Light on a lid over an eyeball, [h, w], by the share of the way down from its fold: brightest in its middle."""
    across = np.clip(2 * (x - edge[0, 0]) / np.ptp(edge[:, 0]) - 1, -1, 1)
    return np.asarray(1 + DOME * (np.sin(np.pi * down) - down**2 - across**2), np.float32)


def _pores(face: AlignedFace, box: tuple[int, int, int, int], unit: float) -> Floats:
    """The fine texture of the skin below an eye, for a lid in the box (left, top, right, bottom): [h, w, 3], levels."""
    x0, y0, x1, y1 = box
    # a lid that comes down is stretched about threefold
    down = np.minimum(y0 + round(CHEEK * unit) + 3 * np.arange(y1 - y0), face.size - 1)
    skin = face.crop[down, x0:x1].astype(np.float32)
    fine = skin - cv2.GaussianBlur(skin, (0, 0), max(1.0, PORES * unit))
    return np.asarray(fine / (1 + np.abs(fine) / COARSEST), np.float32)


def _lashes(width: float, outward: float, unit: float) -> Floats:
    """Lashes that hang from the edge of a lowered lid, fanning out toward the temple: `Eye.lashes`."""
    reach = LONGEST * FINE * unit
    height, columns = int(reach) + 2, int(width * FINE + 2 * reach) + 2
    along, by_place, uneven, lean = _strokes(outward)
    lengths = reach * by_place * uneven
    roots = np.zeros((LASHES, 2))
    roots[:, 0] = reach + along * width * FINE
    tips = roots + np.stack([lean, np.ones(LASHES)], -1) * (lengths / np.hypot(1, lean))[:, None]
    # each stroke far from all others of its page, between margins: where lashes cross, they are as dark as the darker
    apart = math.ceil(1.2 + LASHES * (np.ptp(tips[:, 0] - roots[:, 0]) + 4) / max(width * FINE, 1))
    pages = np.zeros((len(LASH), min(apart, LASHES), height + 4, columns), np.uint8)
    place = np.arange(LASHES) % pages.shape[1] * pages.shape[2] + 2
    shares = np.array([(0, share) for share, _ in LASH])[:, None, :, None]
    ends = roots[:, None] + shares * (tips - roots)[:, None]
    ends[..., 1] += place[:, None]
    strokes = np.rint(16 * ends).astype(np.int32)
    for page, lines, (_, darkness) in zip(pages, strokes, LASH, strict=True):  # they get thinner toward their tips
        cv2.polylines(page.reshape(-1, columns), lines, False, darkness, 1, cv2.LINE_AA, 4)
    canvas = pages[:, :, 2:-2].max((0, 1))
    lashes = np.zeros((height + 2, columns + 2, 1), np.float32)
    lashes[1:-1, 1:-1, 0] = cv2.GaussianBlur(canvas, (0, 0), 0.35 * FINE) / np.float32(255)
    return lashes


@cache
def _strokes(outward: float) -> _Doubles:
    """Of each lash, float64 [4, LASHES]: where its root is, of the way along the eye; its length, of the longest, by
    its place, and beyond that; and how far its tip leans to the right of its root, of how far it is below."""
    order = np.arange(LASHES)
    uneven, other = order * GOLDEN % 1 - 0.5, order * GOLDEN**2 % 1 - 0.5  # no chance in it, and yet no pattern
    along = (order + 0.5 + 1.2 * uneven) / LASHES
    out = along if outward > 0 else 1 - along  # 1 at the temple
    by_place = 0.2 + 0.7 * np.sin(np.pi * (0.05 + 0.7 * out))
    return np.array([along, by_place, 0.8 + 0.6 * other, outward * (1.3 * (out - 0.3) + 0.5 * uneven)])


def _bare(smooth: Floats, x: Floats, top: Floats, bottom: Floats, unit: float) -> Floats:
    """The skin of the lid in columns x [1, w], from the brighter of what lies between two lines: float32 [w, 3]."""
    where = np.empty((9, x.shape[1], 2), np.float32)
    where[..., 0], where[..., 1] = x, top + NINE * (bottom - top)
    colors = sample(smooth, where)
    third = np.argsort(colors.sum(-1), 0)[6:7]  # brightest of nine
    bright = colors[third, np.arange(x.shape[1])]
    return np.asarray(cv2.GaussianBlur(bright, (0, 0), 0.12 * unit, sigmaY=0.1)[0], np.float32)


def unrolled(eye: Eye, lid: Floats, where: Floats, amount: float, level: int) -> None:
    """Draw the skin that unrolls from under the fold of the upper lid.

    Args:
        eye: the eye.
        lid: the lid as the skin's motion alone shows it, changed in place, float32 [h, w, 3].
        where: the position of each pixel at rest, [h, w, 2], pixels of the crop.
        amount: of closing, in [0, 1].
        level: parts of a gray level in `lid`.
    """
    _unroll(eye.patch, where, eye.corner, eased(amount / UNROLLED), level, lid)


@compiled
def _unroll(patch: Floats, where: Floats, corner: tuple[int, int], grown: float, level: int, lid: Floats) -> None:
    """As `unrolled`; `grown`: how much of the patch shows."""
    for i in range(lid.shape[0]):
        for j in range(lid.shape[1]):
            x, y = where[i, j, 0] - corner[0], where[i, j, 1] - corner[1]
            share = bilinear(patch, x, y, 3) * grown
            if share > 0:
                for c in range(3):
                    lid[i, j, c] += (bilinear(patch, x, y, c) * level - lid[i, j, c]) * share


def fringed(eye: Eye, picture: Floats, opening: Opening, amount: float, level: int) -> None:
    """Draw the lashes of a lowered lid, and the dark line where closed lids meet.

    Args:
        eye, amount, level: as in `unrolled`.
        picture: what is seen in the opening's box, changed in place, float32 [h, w, 3].
        opening: the eye in this frame.
    """
    ends = float(opening.edges[0, 0, 0]), float(opening.edges[0, -1, 0])
    _fringe(
        eye.lashes, opening.x[0], opening.y[:, 0], opening.upper[0], ends, eye.cut.unit, amount,
        eye.lash * np.float32(level), picture,
    )  # fmt: skip


@compiled
def _fringe(
    lashes: Floats,
    x: Floats,
    y: Floats,
    upper: Floats,
    ends: tuple[float, float],
    unit: float,
    amount: float,
    color: Floats,
    picture: Floats,
) -> None:
    """As `fringed`.

    Args:
        lashes: as `Eye.lashes`.
        x, y: of the columns [w] and rows [h], pixels.
        upper: height of the upper lid's edge in each column, [w].
        ends: of that edge, left and right, pixels.
        unit: inter-ocular distance, pixels.
        color: of lashes and line, [3].
    """
    thick, hang = max(1.0, LID_LINE * unit), eased((amount - LOW) / (UNROLLED - LOW))
    for j in range(len(x)):
        line = 0.9 * eased(amount / UNROLLED) * eased(min(x[j] - ends[0], ends[1] - x[j]) / (0.1 * unit))
        column = (x[j] - ends[0] + LONGEST * unit) * FINE + 1
        for i in range(len(y)):
            below = y[i] - upper[j]
            # they point at who looks at them while the lid comes down, and hang when it is down
            lash = hang * bilinear(lashes, column, below * FINE / (0.4 + 0.6 * amount) + 1, 0)
            cover = max(lash, line * min(1.0, max(0.0, min(0.5 - below / 1.5, 2 * (1 + below / thick)))))
            if cover > 0:
                for c in range(3):
                    picture[i, j, c] += min(0, color[c] - picture[i, j, c]) * cover


@compiled
def shut(amount: float) -> float:
    """How shut an eye is at an intensity of its closing: 0 while it is open, 1 when closed."""
    return float(eased((amount - UNROLLED) / (1 - UNROLLED)))


def _closing(cut: Cut, frame: FaceFrame, side: int) -> Cut:
    """The cut with what the upper lid still lacks to meet the lower one when it closes.

    Openings differ between people more than the way of the lid in the anatomy, which is right for small intensities.
    The rest grows with the square of the intensity.
    """
    lids = load_table()["lids"]
    row = AU_INDEX[lids["closing"]] * len(SIDES) + side
    entry = cut.rows.tolist().index(row)
    n_basis = len(cut.moves) - len(cut.rows)
    edges = cut.edges + cut.moves[row] + cut.moves[n_basis + entry]
    x = edges[0, :, 0]
    lower = np.interp(x, edges[1, :, 0], edges[1, :, 1])
    lacking = np.maximum(0, lower - edges[0, :, 1] + OVERLAP * frame.unit * ARCH)
    columns, rows = frame.x[0, cut.window[1]], frame.y[cut.window[0]]
    # the field is one of the rest face, whose columns end up at x
    lacking_at = np.interp(columns, cut.edges[0, :, 0], lacking, left=0, right=0).astype(np.float32)
    edge = np.interp(columns, cut.edges[0, :, 0], cut.edges[0, :, 1]).astype(np.float32)
    above = np.clip((edge - rows) / np.float32(lids["crease"] * frame.unit), 0, 1)
    extra = np.zeros((2, *cut.extra.shape[2:]), np.float32)
    extra[0, ..., 1] = (1 - above**2) ** 2 * lacking_at
    return with_zone(with_entry(cut, frame, row, 2.0, extra), frame)


def behind(eye: Eye, opening: Opening, amount: float, samples: npt.NDArray[np.uint16], level: int) -> Floats:
    """What is seen between the lids, float32 [h, w, 3], parts of a gray level; 0 where lids are.

    Args:
        eye, amount, level: as in `unrolled`.
        opening: the eye in this frame.
        samples: the rest picture.
    """
    picture = np.zeros((opening.y.size, opening.x.size, 3), np.float32)
    lid = (eye.lash + eye.skin) * np.float32(level / 2)
    _look(
        samples, opening.x[0], opening.y[:, 0], opening.upper[0], opening.lower[0], opening.drift, opening.cut.edges,
        STRIP * opening.cut.unit, eye.iris, lid, shut(amount), picture,
    )  # fmt: skip
    return picture


@compiled
def _look(
    samples: npt.NDArray[np.uint16],
    x: Floats,
    y: Floats,
    upper: Floats,
    lower: Floats,
    drift: Floats,
    edges: Floats,
    widest: float,
    iris: tuple[float, float, float],
    lid: Floats,
    covered: float,
    picture: Floats,
) -> None:
    """Fill what `behind` returns.

    Args:
        x, y: of the columns [w] and rows [h], pixels.
        upper, lower: height of the lids' edges in each column, [w].
        drift: `Opening.drift`.
        edges: of the cut at rest.
        widest: of the strip that is stretched, pixels.
        iris: as `Eye.iris`.
        lid: color [3] of what covers the eye, and how much it does: at the corners, where skin bears no more
            compression, closed edges may not quite meet.
        picture: zeros [h, w, 3], to be filled.
    """
    for j in range(len(x)):
        rest = value_at(edges[0], x[j] - drift[0], 1), value_at(edges[1], x[j] - drift[0], 1)
        now = float(upper[j] - drift[1]), float(lower[j] - drift[1])
        for i in range(len(y)):
            if not upper[j] - 0.5 < y[i] < lower[j] + 0.5:
                continue
            here = float(x[j] - drift[0]), float(y[i] - drift[1])
            first, second, row, share = came_from(here, rest, now, widest, iris)
            for c in range(3):
                seen = bilinear(samples, first * OVERSAMPLING, row * OVERSAMPLING, c)
                if share > 0:
                    seen += share * (bilinear(samples, second * OVERSAMPLING, row * OVERSAMPLING, c) - seen)
                picture[i, j, c] = seen + covered * (lid[c] - seen)


@compiled
def came_from(
    here: tuple[float, float],
    rest: tuple[float, float],
    now: tuple[float, float],
    widest: float,
    iris: tuple[float, float, float],
) -> tuple[float, float, float, float]:
    """Where in the rest picture what is seen between the lids came from.

    It holds still. What a raised lid uncovers was never seen: there a narrow strip along the lid is stretched, and the
    lid's shadow in it goes along. Iris and pupil are round: about them, what is stretched is turned about their middle,
    from both sides.

    Args:
        here: x and y of where it is seen, pixels.
        rest, now: heights of both lids' edges at x.
        widest: of the strip, pixels.
        iris: its middle and radius.

    Returns:
        the columns of two places, their row, and the share of the second.
    """
    (x, y), (middle, level, radius) = here, iris
    strip, row = min(max((rest[1] - rest[0]) / 2, 1e-3), widest), y
    for e in range(2):
        inward = 1 - 2 * e
        uncovered = max(0.0, (rest[e] - now[e]) * inward)
        deep = (y - now[e]) * inward  # below the lid's edge
        if uncovered > 0 and deep < strip + uncovered:
            row = rest[e] + inward * deep * strip / (strip + uncovered)
    right, down, from_middle = x - middle, y - level, row - level
    squared = right * right + down * down
    turned = eased((AROUND - np.sqrt(squared) / radius) / 0.3) if row != y else 0.0
    if turned == 0:
        return x, x, row, 0.0
    aside, way = np.sqrt(max(0.0, squared - from_middle * from_middle)), -1 if right < 0 else 1
    # above the middle both sides meet; where little is uncovered, each keeps to itself
    share = turned * eased(0.5 - abs(right) / radius) * eased((abs(down) - abs(from_middle)) / radius * 3)
    return x + turned * (way * aside - right), x + turned * (-way * aside - right), row, share
