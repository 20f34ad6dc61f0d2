"""What on a face never moves by itself: the eyeballs, and glasses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import numpy.typing as npt

from miex.generators.grid import GRID, cell_centers, sample

if TYPE_CHECKING:
    from miex.faces.crop import AlignedFace

# face-mesh landmarks: rings of the person's right and left eye, and lower lines of the brows
EYES: Final = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)
BROWS: Final = (46, 53, 52, 65, 55, 276, 283, 282, 295, 285)
GLABELLA, NOSE = 9, 197  # the bridge of glasses lies between
AROUND = 0.03  # an eye: its lids, inter-ocular distances
# how far glasses reach above the lower line of the brows, below the eyes, and beyond their outer corners,
# inter-ocular distances
LENSES = 0.1, 0.35, 0.3
# A bridge is a line across the nose: so much darker or brighter than the skin above and below, share of the brightness.
# Of about 80 wearers in 914 photos, 3 are missed; 13 % of the other faces, most of them deeply lined or in hard light,
# are taken for wearers, which only lets more of them hold still.
BRIDGE = 0.1
BRIDGE_WIDTH = 0.12  # in which it is looked for, inter-ocular distances
LINE = 0.05  # from the middle of the line to the skin above and below, inter-ocular distances
SMOOTH = 0.02  # by which the photo is blurred before, inter-ocular distances


def still_area(face: AlignedFace) -> npt.NDArray[np.bool_]:
    """Which cells of the grid hold still whatever the skin does: bool [GRID, GRID]; the eyes, and, on who seems to wear
    glasses, all that they may cover."""
    line = cell_centers(face.size, GRID)
    cell, unit = float(line[1] - line[0]), face.inter_ocular
    found = np.zeros((GRID, GRID), np.uint8)
    for ring in EYES:
        cv2.fillPoly(found, [np.rint((face.landmarks[list(ring)] - line[0]) / cell).astype(np.int32)], 1)
    radius = int(np.ceil(AROUND * unit / cell))
    found = cv2.dilate(found, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)).astype(np.uint8)
    if has_glasses(face):
        eyes = face.landmarks[list(EYES[0] + EYES[1])]
        (left, _), (right, bottom) = eyes.min(0), eyes.max(0)
        above, below, beyond = (length * unit for length in LENSES)
        top = face.landmarks[list(BROWS), 1].mean() - above
        rows, columns = (line > top) & (line < bottom + below), (line > left - beyond) & (line < right + beyond)
        found |= np.outer(rows, columns)
    return found.astype(bool)


def has_glasses(face: AlignedFace) -> bool:
    """Whether something like the bridge of glasses crosses the nose."""
    unit = face.inter_ocular
    gray = cv2.cvtColor(face.crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    gray = cv2.GaussianBlur(gray, (0, 0), max(SMOOTH * unit, 0.3)).astype(np.float32)
    top, bottom = face.landmarks[[GLABELLA, NOSE]]
    steps = 4  # samples per LINE
    n = int(np.hypot(*(bottom - top)) / (LINE * unit) * steps)
    if n <= 2 * steps:  # a head bent so far that the bridge cannot be seen
        return False
    middle = np.linspace(top, bottom, n, dtype=np.float32)
    across = np.linspace(-0.5, 0.5, 5, dtype=np.float32)[:, None] * np.array([BRIDGE_WIDTH * unit, 0], np.float32)
    profile = np.asarray(sample(gray, middle[:, None] + across), np.float32).mean(1)
    apart = np.abs(profile[steps:-steps] - (profile[2 * steps :] + profile[: -2 * steps]) / 2)
    return bool(apart.max() > BRIDGE * profile.mean())
