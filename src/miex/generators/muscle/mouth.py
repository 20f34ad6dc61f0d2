"""The mouth: where the lips meet, and what is seen between them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, SIDES
from miex.compiled import compiled, eased
from miex.faces.crop import OVERSAMPLING, AlignedFace
from miex.generators.grid import bilinear, sample
from miex.generators.muscle.anatomy import load
from miex.generators.muscle.basis import FaceFrame, Floats
from miex.generators.muscle.cuts import (
    POINTS,
    Cut,
    Opening,
    cut_spec,
    edge_lines,
    height_at,
    load_table,
    make_cut,
    percentile,
    with_zone,
)
from miex.generators.muscle.teeth import row_of_teeth, seen_at

CLOSED, OPEN = (
    0.03,
    0.07,
)  # gaps between the lips of a photo, inter-ocular: below there is no inside to see, above there is
SEARCH = 0.03  # how far from the landmarks the lips may meet, inter-ocular
STIFF = 2.0  # of the line where they meet: price of a step of one sample up or down, in its own darkness
DIM, DIM_FROM = 0.25, 0.14  # light in a mouth that has hardly parted, and the gap for all of it: share, inter-ocular
UNDER_LIP, LIP_SHADOW = 0.35, 0.05  # what the upper lip takes of it, and how far down; share, inter-ocular
BEHIND = 0.75  # light on the lower teeth, of that on the upper ones
WIDE, HIGH = 0.85, 0.45  # the tongue: half its width, of half the mouth's, and its height, of the gap
THROAT = np.array((0.2, 0.1, 0.1), np.float32)  # of the skin's color
RED = np.array((0.62, 0.34, 0.33), np.float32)  # the tongue, of something white
TEETH, TONGUE = 0.5, 0.75  # of the gap in an open-mouthed photo, from the upper lip: where they end and begin
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as `images.gray`
WHITES = 0.9, 1.1  # each color of the whites of the eyes, of their brightness
RIGHT_IRIS, LEFT_IRIS = slice(468, 473), slice(473, 478)
EYES = (  # rings of the person's right and left eye
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)


@dataclass(frozen=True)
class Mouth:
    """The mouth of a face.

    Attributes:
        cut: its cut.
        own: how much of what is between open lips of the photo itself is kept, in [0, 1].
        light: color of something white in this light, float32 [3], gray levels.
        shade: color of the skin, float32 [3], gray levels.
        gray: whether the photo has no colors, so that there are none in its mouth.
        jaw: entries of the basis that move the lower teeth; jaw_drop: how far, pixels.
        teeth: pictures of both rows (`row_of_teeth`); the lower one stands on its head.
        edges: x and y of the middle of each row's edge at rest, float32 [2, 2], pixels of the crop.
    """

    cut: Cut
    own: float
    light: Floats
    shade: Floats
    gray: bool
    jaw: tuple[int, ...]
    jaw_drop: float
    teeth: tuple[Floats, Floats]
    edges: Floats


def make_mouth(frame: FaceFrame, face: AlignedFace, basis: Floats) -> Mouth:
    """The mouth of a face, ready to be opened."""
    spec, anatomy = cut_spec("mouth", load()), load()
    edges = edge_lines(frame, spec, 0)
    gap = float((edges[1, :, 1] - edges[0, :, 1]).max() / frame.unit)
    own = float(np.clip((gap - CLOSED) / (OPEN - CLOSED), 0, 1))
    if gap < CLOSED:
        line = meeting_line(edges.mean(0), face, frame.unit)
        edges = np.stack([line, line])
    cut = with_zone(make_cut(frame, spec, basis, 0, edges), frame)
    table = load_table()["teeth"]
    jaw = AU_INDEX[table["jaw"]] * len(SIDES)
    muscles = [m for m in anatomy.muscles if m.au == table["jaw"]]
    drop = max(muscle.gain for muscle in muscles) * frame.unit
    light, shade = illumination(face)
    red, green, blue = np.moveaxis(face.crop, -1, 0)
    gray = np.array_equal(red, green) and np.array_equal(green, blue)
    rows = table["upper"], table["lower"]
    teeth = row_of_teeth(rows[0], light, frame.unit), row_of_teeth(rows[1], light, frame.unit)
    middle = cut.edges[:, POINTS // 3 : -(POINTS // 3)].mean(1)
    ends = middle + np.array([(0, row["edge"] * frame.unit) for row in rows], np.float32)
    return Mouth(cut, own, light, shade, gray, (jaw, jaw + 1), drop, teeth, ends)


def meeting_line(line: Floats, face: AlignedFace, unit: float) -> Floats:
    """Where closed lips meet: the darkest smooth line near the landmarks' own, with the same ends.

    Landmarks of closed lips are a few pixels off at 512; a cut there would leave the dark line on one of the lips.
    """
    x = line[:, 0]
    steps = np.linspace(-SEARCH, SEARCH, 21) * unit
    y = line[:, 1][:, None] + steps
    margin = int(0.1 * unit * OVERSAMPLING)
    left, top = (max(0, int(v * OVERSAMPLING) - margin) for v in (x.min(), y.min()))
    near = face.samples[top : int(y.max() * OVERSAMPLING) + margin, left : int(x.max() * OVERSAMPLING) + margin]
    if not near.size:
        return line
    gray = cv2.GaussianBlur(cv2.cvtColor(near, cv2.COLOR_RGB2GRAY), (0, 0), 0.006 * unit * OVERSAMPLING)
    grid_x = np.broadcast_to(x[:, None], y.shape).astype(np.float32) * OVERSAMPLING - left
    where = np.stack([grid_x, (y * OVERSAMPLING - top).astype(np.float32)], -1)
    dark = sample(gray, where).astype(np.float32)
    dark = (dark - dark.min(1, keepdims=True)) / max(1.0, float(np.ptp(dark, 1).mean()))
    # ends stay where they are, as the corners' landmarks are good
    inside = np.minimum(1, 4 * np.minimum(np.arange(len(x)), np.arange(len(x))[::-1]) / len(x))[:, None]
    dark = dark * inside + (1 - inside) * (steps / (SEARCH * unit)) ** 2 * 4
    path = _smoothest(dark, STIFF * (np.arange(21)[:, None] - np.arange(21)) ** 2 / 10)
    offset = cv2.GaussianBlur(steps[path].reshape(1, -1), (0, 0), 1.5).ravel()
    return np.stack([x, line[:, 1] + offset * np.minimum(1, 2 * inside[:, 0])], -1).astype(np.float32)


@compiled
def _smoothest(costs: npt.NDArray[np.float64], price: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The cheapest way through a table [n, k], by its costs and by the price [k, k] of a step between two of its
    columns: the column in each row, int64 [n]."""
    n, k = costs.shape
    total, best = costs.copy(), np.zeros((n, k), np.int64)
    for i in range(1, n):
        for j in range(k):
            for before in range(1, k):
                if total[i - 1, before] + price[before, j] < total[i - 1, best[i, j]] + price[best[i, j], j]:
                    best[i, j] = before
            total[i, j] += total[i - 1, best[i, j]] + price[best[i, j], j]
    path = np.empty(n, np.int64)
    path[-1] = total[-1].argmin()
    for i in range(n - 1, 0, -1):
        path[i - 1] = best[i, path[i]]
    return path


def illumination(face: AlignedFace) -> tuple[Floats, Floats]:
    """Color of something white in this light, and of the skin, float32 [3], gray levels.

    White is what the whites of the eyes are, and no darker than the lit skin: teeth and sclera are about as bright.
    """
    eyes = np.zeros(face.crop.shape[:2], np.uint8)
    for ring, iris in zip(EYES, (RIGHT_IRIS, LEFT_IRIS), strict=True):
        cv2.fillPoly(eyes, [np.rint(face.landmarks[list(ring)]).astype(np.int32)], 1)
        points = face.landmarks[iris]
        radius = float(np.hypot(*(points[1:] - points[0]).T).max())
        cv2.circle(eyes, np.rint(points[0]).astype(int).tolist(), int(np.ceil(radius)), 0, -1)
    cheeks = np.rint(face.landmarks[[50, 280, 205, 425, 101, 330]]).astype(int).clip(0, face.size - 1)
    skin = face.crop[cheeks[:, 1], cheeks[:, 0]].astype(np.float32)
    shade = np.median(skin, 0)
    white = face.crop[eyes > 0].astype(np.float32)
    gray, tint = float(skin.mean(1).max()), (1 + shade / shade.mean().clip(1) * 0.25) / 1.25
    if len(white):
        brightness = white.mean(1)
        lighter, lightest = percentile(brightness, 0.6), percentile(brightness, 0.85)
        gray, lit = max(gray, float(lightest)), white[brightness >= lighter].mean(0)
        # the light's own color: whites show it best, but small ones have lids among them; skin shows it faintly
        tint = (tint + np.clip(lit / lit.mean().clip(1), *WHITES)) / 2
    return np.asarray(min(gray, 235.0) * tint, np.float32), np.asarray(shade, np.float32)


def inside(mouth: Mouth, opening: Opening, weights: Floats) -> Floats:
    """Throat, tongue and teeth in the box of an opening, float32 [h, w, 3], gray levels; 0 where lips are.

    Upper teeth hold still with the skull; tongue and lower teeth follow the jaw. The narrower the opening, the less
    light falls in: so it gets dark toward the corners, and between lips that have hardly parted.

    Args:
        mouth: the mouth.
        opening: the mouth in this frame.
        weights: intensities, float32 [34].
    """
    drop = mouth.jaw_drop * sum(float(weights[row]) for row in mouth.jaw) / len(mouth.jaw)
    picture = np.zeros((opening.y.size, opening.x.size, 3), np.float32)
    _inside(
        opening.x[0], opening.y[:, 0], opening.upper[0], opening.lower[0], float(np.ptp(opening.edges[0, :, 0])) / 2,
        mouth.edges + opening.drift, drop, mouth.teeth, mouth.shade * THROAT, mouth.light * RED, mouth.cut.unit,
        picture,
    )  # fmt: skip
    return np.repeat((picture @ LUMA)[..., None], 3, axis=-1) if mouth.gray else picture


@compiled
def _inside(
    x: Floats,
    y: Floats,
    upper: Floats,
    lower: Floats,
    half: float,
    edges: Floats,
    drop: float,
    teeth: tuple[Floats, Floats],
    dark: Floats,
    red: Floats,
    unit: float,
    picture: Floats,
) -> None:
    """Fill what `inside` returns.

    Args:
        x, y: of the columns [w] and rows [h], pixels.
        upper, lower: height of the lips in each column, [w].
        half: half the mouth's width, pixels.
        edges: x and y of the middle of each row of teeth, [2, 2], with the jaw at rest.
        drop: of the jaw, pixels.
        teeth: as `Mouth.teeth`.
        dark, red: color of the throat and of the tongue, [3].
        unit: inter-ocular distance, pixels.
        picture: zeros [h, w, 3], to be filled.
    """
    for j in range(len(x)):
        width = float(lower[j] - upper[j])
        lit = eased(DIM + width / (DIM_FROM * unit))
        # the tongue's back: an arch over the floor of the mouth, darker the deeper it lies
        across = min(1.0, ((x[j] - edges[1, 0]) / (WIDE * half)) ** 2)
        back = lower[j] - HIGH * width * np.sqrt(1 - across)
        for i in range(len(y)):
            if not upper[j] - 0.5 < y[i] < lower[j] + 0.5:
                continue
            tongue = eased((y[i] - back) / max(0.6 * HIGH * width, 1.0)) * lit
            under_lip = 1 - UNDER_LIP * (1 - eased((y[i] - upper[j]) / (LIP_SHADOW * unit)))
            for c in range(3):
                picture[i, j, c] = dark[c] + tongue * (red[c] - dark[c])
            for which in (1, 0):
                right, down = x[j] - edges[which, 0], y[i] - edges[which, 1]
                if which:
                    down = drop - down
                cover = seen_at(teeth[which], right, down, unit, 3)
                if cover == 0:
                    continue
                shade = lit * (BEHIND if which else under_lip)
                for c in range(3):
                    shadow = dark[c] * cover  # what shades them is red, not gray
                    shown = shadow + shade * (seen_at(teeth[which], right, down, unit, c) - shadow)
                    picture[i, j, c] = picture[i, j, c] * (1 - cover) + shown


def stretched(mouth: Mouth, opening: Opening, samples: npt.NDArray[np.uint16], picture: Floats) -> None:
    """The own inside of a mouth that is open in the photo, as far as it can be shown: what is stretched more than
    threefold is no picture of anything.

    Args:
        mouth: the mouth.
        opening: the mouth in this frame.
        samples: the rest picture.
        picture: what is drawn there instead, changed in place, float32 [h, w, 3], of the same levels as `samples`.
    """
    _stretch(
        samples, opening.x[0], opening.y[:, 0], opening.upper[0], opening.lower[0], opening.across[0],
        float(opening.drift[1]), opening.cut.edges, 0.02 * opening.cut.unit, mouth.own, picture,
    )  # fmt: skip


@compiled
def _stretch(
    samples: npt.NDArray[np.uint16],
    x: Floats,
    y: Floats,
    upper: Floats,
    lower: Floats,
    across: Floats,
    drift: float,
    edges: Floats,
    soft: float,
    own: float,
    picture: Floats,
) -> None:
    """As `stretched`.

    Args:
        x, y, upper, lower: as for `_inside`.
        across: displacement to the right in each column, [w].
        edges: of the cut at rest.
        drift: of the head at the mouth, down, pixels.
        soft: over which what is shown changes, pixels.
        own: how much of it is shown.
    """
    for j in range(len(x)):
        # upper teeth hold still with the skull, tongue and lower teeth go with the lower lip; between them it stretches
        over, under = height_at(edges[0], x[j] - across[j]), height_at(edges[1], x[j] - across[j])
        gap = max(under - over, 1e-3)
        rest = over, over + TEETH * gap, over + TONGUE * gap, under
        top, bottom = np.float64(upper[j]), np.float64(lower[j])
        teeth = min(max(rest[1] + drift, top), bottom)
        now = top, teeth, min(max(rest[2] + bottom - rest[3], teeth), bottom), bottom
        hidden = eased(((now[2] - now[1]) / max(rest[2] - rest[1], 1.0) - 2) / 2)
        for i in range(len(y)):
            if not upper[j] - 0.5 < y[i] < lower[j] + 0.5:
                continue
            source = rest[0]
            for k in range(3):
                along = (y[i] - now[k]) / max(now[k + 1] - now[k], 1e-3)
                source += min(1.0, max(0.0, along)) * (rest[k + 1] - rest[k])
            kept = own * (1 - hidden * eased((y[i] - now[1]) / soft) * eased((now[2] - y[i]) / soft))
            for c in range(3):
                level = bilinear(samples, (x[j] - across[j]) * OVERSAMPLING, source * OVERSAMPLING, c)
                picture[i, j, c] += kept * (level - picture[i, j, c])
