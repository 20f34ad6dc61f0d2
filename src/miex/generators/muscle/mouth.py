"""The mouth: where the lips meet, and what is seen between them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, SIDES
from miex.compiled import compiled
from miex.easing import ease
from miex.faces.crop import OVERSAMPLING, AlignedFace
from miex.generators.grid import sample
from miex.generators.muscle.anatomy import load
from miex.generators.muscle.basis import FaceFrame, Floats
from miex.generators.muscle.cuts import (
    POINTS,
    Cut,
    Opening,
    cut_spec,
    edge_lines,
    load_table,
    make_cut,
    percentile,
    with_zone,
)
from miex.generators.muscle.teeth import place, row_of_teeth

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


def inside(mouth: Mouth, opening: Opening, weights: Floats, drift: Floats) -> Floats:
    """Throat, tongue and teeth in the box of an opening, float32 [h, w, 3], gray levels.

    Upper teeth hold still with the skull; tongue and lower teeth follow the jaw. The narrower the opening, the less
    light falls in: so it gets dark toward the corners, and between lips that have hardly parted.

    Args:
        weights: float32 [34].
        drift: (right, down) of the head at the mouth, pixels.
    """
    unit, x, y = np.float32(mouth.cut.unit), opening.x, opening.y
    drop = mouth.jaw_drop * float(weights[list(mouth.jaw)].mean())
    upper, lower = mouth.edges + drift + np.array([(0, 0), (0, drop)], np.float32)
    width, half = opening.lower - opening.upper, np.ptp(opening.edges[0, :, 0]) / 2
    lit = ease(np.float32(DIM) + width / (DIM_FROM * unit))
    # the tongue's back: an arch over the floor of the mouth, darker the deeper it lies
    across = np.minimum(1, np.square((x - lower[0]) / (np.float32(WIDE) * half)))
    back = opening.lower - np.float32(HIGH) * width * np.sqrt(1 - across)
    tongue = ease((y - back) / np.maximum(np.float32(0.6 * HIGH) * width, 1)) * lit
    dark, red = mouth.shade * THROAT, mouth.light * RED
    picture = dark + tongue[..., None] * (red - dark)
    under_lip = 1 - np.float32(UNDER_LIP) * (1 - ease((y - opening.upper) / (np.float32(LIP_SHADOW) * unit)))
    for row, (middle, edge), way, shade in (
        (mouth.teeth[1], lower, -1, lit * np.float32(BEHIND)), (mouth.teeth[0], upper, 1, lit * under_lip),
    ):  # fmt: skip
        teeth = sample(row, place(row, x - middle, way * (y - edge), mouth.cut.unit), cv2.BORDER_CONSTANT)
        # what shades them is red, not gray
        shown = dark * teeth[..., 3:] + shade[..., None] * (teeth[..., :3] - dark * teeth[..., 3:])
        picture = picture * (1 - teeth[..., 3:]) + shown
    return np.repeat((picture @ LUMA)[..., None], 3, axis=-1) if mouth.gray else picture


def stretched(opening: Opening, drift: np.float32) -> tuple[Floats, Floats]:
    """The own inside of an open mouth.

    Returns:
        where in the rest picture it came from, float32 [h, w, 2], pixels of the crop; and how much of it can be shown,
        [h, w] in [0, 1]: what is stretched more than threefold is no picture of anything.

    Args:
        drift: of the head at the mouth, down, pixels.
    """
    rest = opening.rest(0), opening.rest(1)
    gap = np.maximum(rest[1] - rest[0], 1e-3)
    teeth, tongue = rest[0] + TEETH * gap, rest[0] + TONGUE * gap
    # upper teeth hold still with the skull, tongue and lower teeth go with the lower lip; between them it stretches
    now = [opening.upper, teeth + drift, tongue + opening.lower - rest[1]]
    now[1] = np.clip(now[1], opening.upper, opening.lower)
    now[2] = np.clip(now[2], now[1], opening.lower)
    y = np.broadcast_to(rest[0], np.broadcast_shapes(opening.x.shape, opening.y.shape)).copy()
    for (start, end), (source, target) in zip(
        zip(now, [*now[1:], opening.lower], strict=True),
        ((rest[0], teeth), (teeth, tongue), (tongue, rest[1])),
        strict=True,
    ):
        y += np.clip((opening.y - start) / np.maximum(end - start, 1e-3), 0, 1) * (target - source)
    where = np.stack([np.broadcast_to(opening.x - opening.across, y.shape), y], -1).astype(np.float32)
    times = (now[2] - now[1]) / np.maximum(tongue - teeth, 1)
    soft = np.float32(0.02 * opening.cut.unit)
    between = ease((opening.y - now[1]) / soft) * ease((now[2] - opening.y) / soft)
    return where, 1 - ease((times - 2) / 2) * between
