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
    load_table,
    make_cut,
    median,
    percentile,
    value_at,
    with_zone,
)
from miex.generators.muscle.teeth import row_of_teeth, seen_at

AJAR = 0.03  # the gap between the lips of a photo from which on something is seen in it, inter-ocular
SEARCH = 0.03  # how far from the landmarks closed lips may meet, inter-ocular
SEAM, APART = 0.6, 0.4  # of the gap of an ajar mouth, from the upper lip: about where it parts, and how far from there
STIFF, LOWER = 2.0, 0.2  # prices of the line where they do: of a step of one sample, and at the upper lip; its darkness
RIM, SOFT, CROWN = 0.03, 0.02, 0.15  # in an ajar mouth: rim of the upper lip, edges of a part, a tooth; inter-ocular
WHOLE = 0.7  # of its widest gap: in a narrower one, toward the corners, landmarks may take lip for teeth
DULL = 0.38, 0.46  # green light from lips and tongue, at most, and from its teeth, at least, of something white
DEEP = 0.05  # the least gap down to the throat: the narrower, the more like the line where lips meet; inter-ocular
DARK, LIT = 0.02, 0.16  # the widest gap into which no light falls, and the least for all of it, inter-ocular
UNDER_LIP, LIP_SHADOW = 0.35, 0.05  # what the upper lip takes of it, and how far down; share, inter-ocular
OVER_LIP, LIP_CONTACT = 0.5, 0.025  # the same of the lower lip, and how far up
BEHIND = 0.75  # light on the lower teeth, of that on the upper ones
WIDE, HIGH = 0.85, 0.5  # the tongue: half its width, of half the mouth's, and its height, of the gap
GROOVE, GROOVE_WIDTH = 0.2, 0.025  # along its middle: darkness, and half the width, inter-ocular
THROAT = np.array((0.2, 0.1, 0.1), np.float32)  # of the skin's color
RED = np.array((0.56, 0.31, 0.3), np.float32)  # the tongue, of something white
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as `images.gray`
HIGHLIGHT = 1.4  # something white, of the skin; by the root of what it seems to be beyond that
WHITES = 0.9, 1.1  # each color of the whites of the eyes, of their brightness
RIGHT_IRIS, LEFT_IRIS = slice(468, 473), slice(473, 478)
EYES = (  # rings of the person's right and left eye
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)
_STEPS = np.linspace(-1, 1, 21)  # where lips may meet, of the way that is searched
_PRICES = STIFF * (np.arange(len(_STEPS))[:, None] - np.arange(len(_STEPS))) ** 2 / 10  # of a step from one to another


@dataclass(frozen=True)
class Mouth:
    """The mouth of a face.

    Attributes:
        cut: its cut.
        ajar: whether lips are apart in the photo, which then shows what is between them.
        toothed: how far those are teeth, in [0, 1].
        seam: where lips meet, or an ajar mouth parts: what is above it goes with the skull, what is below with the jaw;
            float32 [n, 2], at the x of the cut's edges.
        line: x and color of the photo along the seam, float32 [n, 4], pixels of the crop and gray levels.
        throat, red: color of the throat and of the tongue, float32 [3], gray levels.
        gray: whether the photo has no colors, so that there are none in its mouth.
        jaw: entries of the basis that move the lower teeth; jaw_drop: how far, pixels.
        teeth: pictures of both rows (`row_of_teeth`); the lower one stands on its head.
        edges: x and y of the middle of each row's edge at rest, float32 [2, 2], pixels of the crop.
    """

    cut: Cut
    ajar: bool
    toothed: float
    seam: Floats
    line: Floats
    throat: Floats
    red: Floats
    gray: bool
    jaw: tuple[int, ...]
    jaw_drop: float
    teeth: tuple[Floats, Floats]
    edges: Floats


def make_mouth(frame: FaceFrame, face: AlignedFace, basis: Floats) -> Mouth:
    """The mouth of a face, ready to be opened."""
    spec, anatomy = cut_spec("mouth", load()), load()
    edges = edge_lines(frame, spec, 0)
    ajar = bool((edges[1, :, 1] - edges[0, :, 1]).max() >= AJAR * frame.unit)
    seam = meeting_line(edges, face, frame.unit)
    cut = with_zone(make_cut(frame, spec, basis, 0, edges if ajar else np.stack([seam, seam])), frame)
    table = load_table()["teeth"]
    jaw = AU_INDEX[table["jaw"]] * len(SIDES)
    muscles = [m for m in anatomy.muscles if m.au == table["jaw"]]
    drop = max(muscle.gain for muscle in muscles) * frame.unit
    line = sample(face.samples, seam[:, None] * np.float32(OVERSAMPLING)).astype(np.float32).reshape(-1, 3)
    line = np.asarray(cv2.GaussianBlur(line, (1, 9), 1.5), np.float32)
    light, shade = illumination(face)
    middle, toothed = slice(POINTS // 3, -(POINTS // 3)), 0.0
    if ajar:  # the teeth behind are like those that are seen, if any are
        seen, white = teeth_seen(edges[0, middle], seam[middle], face, frame.unit), light
        bright, own = float(seen @ LUMA / (white @ LUMA)), seen / white
        toothed = float(np.clip((own[1] - DULL[0]) / (DULL[1] - DULL[0]), 0, 1))
        light = white * (1 + np.float32(toothed) * (min(bright, 1.0) * np.clip(own / bright, *WHITES) - 1))
    red, green, blue = np.moveaxis(face.crop, -1, 0)
    gray = np.array_equal(red, green) and np.array_equal(green, blue)
    rows = table["upper"], table["lower"]
    teeth = row_of_teeth(rows[0], light, frame.unit), row_of_teeth(rows[1], light, frame.unit)
    ends = cut.edges[:, middle].mean(1) + np.array([(0, row["edge"] * frame.unit) for row in rows], np.float32)
    if ajar:
        ends[0] = seam[middle].mean(0)
    throat, tongue = shade * THROAT, light * RED
    if ajar:  # a photo that shows no teeth shows its own dark, and its own tongue
        throat = np.minimum(throat, median(line))
        tongue = throat + np.float32(toothed) * (tongue - throat)
    line = np.concatenate([seam[:, :1], line], 1)
    return Mouth(cut, ajar, toothed, seam, line, throat, tongue, gray, (jaw, jaw + 1), drop, teeth, ends)


def meeting_line(edges: Floats, face: AlignedFace, unit: float) -> Floats:
    """Where lips meet: the darkest smooth line near the landmarks' own, with the same ends.

    Landmarks of closed lips are a few pixels off at 512; a cut there would leave the dark line on one of the lips. In
    an ajar mouth that is the shadow below the upper teeth.

    Args:
        edges: of the lips by the landmarks, float32 [2, n, 2].
        face: the face.
        unit: inter-ocular distance, pixels.
    """
    x, (over, under) = edges[0, :, 0], edges[..., 1]
    line, room = over + SEAM * (under - over), np.maximum(SEARCH * unit, APART * (under - over))
    y = line[:, None] + room[:, None] * _STEPS
    margin = int(0.1 * unit * OVERSAMPLING)
    left, top = (max(0, int(v * OVERSAMPLING) - margin) for v in (x.min(), y.min()))
    near = face.samples[top : int(y.max() * OVERSAMPLING) + margin, left : int(x.max() * OVERSAMPLING) + margin]
    if not near.size:
        return np.stack([x, line], -1)
    gray = cv2.GaussianBlur(cv2.cvtColor(near, cv2.COLOR_RGB2GRAY), (0, 0), 0.006 * unit * OVERSAMPLING)
    where = np.empty((*y.shape, 2), np.float32)
    where[..., 0], where[..., 1] = (x * OVERSAMPLING - left)[:, None], y * OVERSAMPLING - top
    dark = sample(gray, where).astype(np.float32)
    dark -= dark.min(1, keepdims=True)
    dark /= max(1.0, float(dark.max(1).mean()))
    # ends stay where they are, as the corners' landmarks are good; teeth beside them reach down to the lower lip
    inside = np.minimum(1, 4 * np.minimum(np.arange(len(x)), np.arange(len(x))[::-1]) / len(x))[:, None]
    lip = np.minimum(1, (under - over) * (1 - SEAM) / room)
    dark = dark * inside + (1 - inside) * (_STEPS - lip[:, None]) ** 2 * 4
    dark += LOWER * (1 - _STEPS) / 2 * np.minimum(1, (under - over) / (AJAR * unit))[:, None]
    path = _smoothest(dark, _PRICES)
    offset = cv2.GaussianBlur(_STEPS[path].reshape(1, -1), (0, 0), 1.5).ravel()
    offset = lip + (offset - lip) * np.minimum(1, 2 * inside[:, 0])
    return np.stack([x, line + room * offset], -1).astype(np.float32)


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


def teeth_seen(upper: Floats, seam: Floats, face: AlignedFace, unit: float) -> Floats:
    """Color of the brightest quarter of what an ajar mouth shows below its upper lip, float32 [3], gray levels.

    Args:
        upper, seam: the middle of the lip's edge and of the seam, float32 [n, 2].
        face: the face.
        unit: inter-ocular distance, pixels.
    """
    top = upper + np.array([0, RIM * unit], np.float32)
    places = top + np.linspace(0, 1, 9, dtype=np.float32)[:, None, None] * np.maximum(seam - top, 0)
    shown = sample(face.samples, places * np.float32(OVERSAMPLING)).reshape(-1, 3).astype(np.float32)
    gray = shown @ LUMA
    return np.asarray(shown[gray >= percentile(gray, 0.75)].mean(0), np.float32)


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
    shade = median(skin)
    white = face.crop[eyes > 0].astype(np.float32)
    gray, tint = float(skin.mean(1).max()), (1 + shade / max(1, shade.mean()) * 0.25) / 1.25
    if len(white):
        brightness = white.mean(1)
        lighter, lightest = percentile(brightness, 0.6), percentile(brightness, 0.85)
        gray, lit = max(gray, float(lightest)), white[brightness >= lighter].mean(0)
        # the light's own color: whites show it best, but small ones have lids among them; skin shows it faintly
        tint = (tint + np.clip(lit / max(1, lit.mean()), *WHITES)) / 2
    # one bright spot may be a highlight: the less skin there is of its brightness
    gray = min(gray, float(np.sqrt(HIGHLIGHT * gray * shade.mean())), 235.0)
    return np.asarray(gray * tint, np.float32), shade


def inside(mouth: Mouth, opening: Opening, weights: Floats, roof: Floats | None = None) -> Floats:
    """Throat, tongue and teeth in the box of an opening, float32 [h, w, 3], gray levels; 0 where lips are.

    Upper teeth hold still with the skull; tongue and lower teeth follow the jaw. The narrower the opening, the less
    light falls in: so it gets dark toward the corners, and between lips that have hardly parted.

    Args:
        mouth: the mouth.
        opening: the mouth in this frame.
        weights: intensities, float32 [34].
        roof: height, in each column, below which tongue and lower teeth are, float32 [w]; None: that of the upper lip.
    """
    drop = mouth.jaw_drop * sum(float(weights[row]) for row in mouth.jaw) / len(mouth.jaw)
    picture = np.zeros((opening.y.size, opening.x.size, 3), np.float32)
    _inside(
        opening.x[0], opening.y[:, 0], opening.upper[0], opening.lower[0], opening.upper[0] if roof is None else roof,
        opening.across[0], opening.drift, opening.edges[0], mouth.edges, drop, mouth.teeth, mouth.toothed, mouth.line,
        mouth.throat, mouth.red, mouth.cut.unit, picture,
    )  # fmt: skip
    return np.repeat((picture @ LUMA)[..., None], 3, axis=-1) if mouth.gray else picture


@compiled
def _inside(
    x: Floats,
    y: Floats,
    upper: Floats,
    lower: Floats,
    roof: Floats,
    across: Floats,
    drift: Floats,
    lip: Floats,
    edges: Floats,
    drop: float,
    teeth: tuple[Floats, Floats],
    toothed: float,
    line: Floats,
    throat: Floats,
    red: Floats,
    unit: float,
    picture: Floats,
) -> None:
    """Fill what `inside` returns.

    Args:
        x, y: of the columns [w] and rows [h], pixels.
        upper, lower: height of the lips in each column, [w].
        roof: as for `inside`, [w].
        across: displacement of the lips to the right in each column, [w].
        drift: of the head at the mouth, right and down, pixels.
        lip: edge of the upper lip, [n, 2].
        edges: as `Mouth.edges`.
        drop: of the jaw, pixels.
        teeth: as `Mouth.teeth`.
        toothed: as `Mouth.toothed`: other teeth beside its own would be fangs, so they are left out, and what is above
            its own is gum.
        line, throat, red: as of `Mouth`.
        unit: inter-ocular distance, pixels.
        picture: zeros [h, w, 3], to be filled.
    """
    dark, half, edges = np.empty(3, np.float32), float(lip[:, 0].max() - lip[:, 0].min()) / 2, edges + drift
    for j in range(len(x)):
        width = float(lower[j] - roof[j])
        for c in range(3):
            met = np.float32(value_at(line, x[j] - across[j], c + 1))
            dark[c] = met + eased(width / (DEEP * unit)) * (throat[c] - met)
        lit = eased(((lower[j] - upper[j]) / unit - DARK) / (LIT - DARK))
        lit_below = eased((width / unit - DARK) / (LIT - DARK))
        # the tongue's back: an arch over the floor of the mouth, darker the deeper it lies
        aside = min(1.0, ((x[j] - edges[1, 0]) / (WIDE * half)) ** 2)
        back = lower[j] - HIGH * width * np.sqrt(1 - aside)
        groove = 1 - GROOVE * np.exp(-(((x[j] - edges[1, 0]) / (GROOVE_WIDTH * unit)) ** 2))
        for i in range(len(y)):
            if not upper[j] - 0.5 < y[i] < lower[j] + 0.5:
                continue
            over_lip = 1 - OVER_LIP * (1 - eased((lower[j] - y[i]) / (LIP_CONTACT * unit)))
            under_lip = 1 - UNDER_LIP * (1 - eased((y[i] - upper[j]) / (LIP_SHADOW * unit)))
            tongue = eased((y[i] - back) / max(HIGH * width, 1.0)) * lit_below * over_lip * groove * (1 - aside / 2)
            for c in range(3):
                picture[i, j, c] = dark[c] + tongue * (red[c] - dark[c])
            for which in (1, 0):
                right, down = x[j] - edges[which, 0], y[i] - edges[which, 1]
                if which:
                    down = drop - down
                left = 1 - toothed * (1 if which else eased((y[i] - roof[j] + CROWN * unit) / max(SOFT * unit, 1.0)))
                cover = left * seen_at(teeth[which], right, down, unit, 3)
                if cover == 0:
                    continue
                shade = over_lip * (lit_below * BEHIND if which else lit * under_lip)
                for c in range(3):
                    shadow = dark[c] * cover  # what shades them is red, not gray
                    shown = shadow + shade * (left * seen_at(teeth[which], right, down, unit, c) - shadow)
                    picture[i, j, c] = picture[i, j, c] * (1 - cover) + shown


def between(mouth: Mouth, opening: Opening, weights: Floats, samples: npt.NDArray[np.uint16], level: int) -> Floats:
    """What is seen between the lips: the inside or, in a mouth that is ajar in the photo, what the photo shows there,
    with the inside where that parts.

    What is above the seam, mostly teeth, holds still with the skull; what is below it goes with the lower lip. Teeth
    whose lip rises get longer, as far as teeth are long, next to the lip more than at their edges; above them is gum.

    Args:
        mouth, opening, weights: as for `inside`.
        samples: the rest picture.
        level: parts of a gray level in it.

    Returns:
        float32 [h, w, 3], parts of a gray level.
    """
    if not mouth.ajar:
        return inside(mouth, opening, weights) * np.float32(level)
    x, upper, lower, across, drift = opening.x[0], opening.upper[0], opening.lower[0], opening.across[0], opening.drift
    lines = [*mouth.cut.edges, mouth.seam]
    fixed, moving = np.array(
        [[np.interp(at, line[:, 0], line[:, 1]) for line in lines] for at in (x - drift[0], x - across)], np.float32
    )
    roof = np.maximum(upper, fixed[2] + drift[1])
    floor = np.maximum(roof, lower + moving[2] - moving[1])
    widest = np.ptp(mouth.cut.edges[..., 1], 0).max()
    picture = inside(mouth, opening._replace(lower=floor[None]), weights, roof) * np.float32(level)
    _keep_own(
        x, opening.y[:, 0], upper, lower, across, drift, fixed, moving, widest, mouth.cut.unit, mouth.toothed, samples,
        picture,
    )  # fmt: skip
    return picture


@compiled
def _keep_own(
    x: Floats,
    y: Floats,
    upper: Floats,
    lower: Floats,
    across: Floats,
    drift: Floats,
    fixed: Floats,
    moving: Floats,
    widest: float,
    unit: float,
    toothed: float,
    samples: npt.NDArray[np.uint16],
    picture: Floats,
) -> None:
    """Draw over the inside what an ajar mouth shows in the photo.

    Args:
        x, y, upper, lower, across, drift, unit: as for `_inside`.
        fixed, moving: height of the upper lip, the lower lip and the seam in the photo, at what of the skull and of the
            lips is in each column, [3, w].
        widest: the widest gap of the photo, pixels.
        toothed: as `Mouth.toothed`.
        samples: the rest picture.
        picture: the inside [h, w, 3], changed in place.
    """
    soft = max(SOFT * unit, 1.0)
    crisp = soft + toothed * (1 - soft)  # nothing of the teeth goes along with the lip
    for j in range(len(x)):
        here, there = x[j] - drift[0], x[j] - across[j]
        over, under, seam = fixed[0, j], fixed[1, j], fixed[2, j]
        lip, jaw, raised = upper[j] - moving[0, j], lower[j] - moving[1, j], max(0.0, over + drift[1] - upper[j])
        moved = min(1.0, max(abs(lip - drift[1]), abs(jaw - drift[1]), abs(across[j] - drift[0])) / (RIM * unit))
        still = 1 - moved * (1 - eased((under - over) / (WHOLE * widest)))
        tall = max(seam - over, 1e-3)
        rim = min(RIM * unit, tall / 3)
        tallest = tall + toothed * min(raised, max(0.0, CROWN * unit - tall))
        shorter = 1 / (tall - min(rim, raised)) - 1 / tallest
        for i in range(len(y)):
            if not upper[j] - 0.5 < y[i] < lower[j] + 0.5:
                continue
            up, down = seam + drift[1] - y[i], y[i] - jaw - moving[2, j]
            above, below = min(1.0, max(0.0, 1 + up / soft)), min(1.0, max(0.0, 1 + down / crisp))
            above *= still * (1 - min(1.0, raised / soft) * eased((up - tallest) / soft + 1))
            rimmed = 1 - eased((y[i] - upper[j]) / rim)
            teeth_y = seam - (up / (1 + shorter * up) if up > 0 else up)
            for c in range(3):
                shown = picture[i, j, c]
                shown += below * (bilinear(samples, there * OVERSAMPLING, (y[i] - jaw) * OVERSAMPLING, c) - shown)
                shown += above * (bilinear(samples, here * OVERSAMPLING, teeth_y * OVERSAMPLING, c) - shown)
                shown += rimmed * (bilinear(samples, there * OVERSAMPLING, (y[i] - lip) * OVERSAMPLING, c) - shown)
                picture[i, j, c] = shown
