"""Make the embedded default face: `python -m tools.default_face`.

scikit-image's astronaut photo (NASA, Eileen Collins, public domain) is a face that is free for any use and that
everybody can get. She smiles with open lips; a micro-expression starts from rest. So the lips are closed here: two
smooth warps, one that follows the upper lip and one that follows the lower, meet at a new lip line, and what lay
between them (the teeth) is seen by neither. The result is committed, so that every clone starts from the same bytes.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from scipy.interpolate import RBFInterpolator
from skimage import data

from miex.faces.crop import eye_centers
from miex.faces.landmarks import MODEL, Landmarker

OUT = Path(__file__).parent.parent / "src" / "miex" / "faces" / "default" / "astronaut-relaxed.png"
PART = (slice(0, 296), slice(76, 372))  # head and shoulders
UP = 2  # finer than the photo, so that closing the lips blurs nothing

# Face-mesh landmarks along the lips, from the person's right to left corner.
UPPER_INNER = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308]
LOWER_INNER = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308]
UPPER_OUTER = [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291]
LOWER_OUTER = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291]
# What holds still: outline, eyes, brows, nose, upper cheeks.
STILL = [
    *(10, 109, 338, 67, 297, 103, 332, 21, 251, 127, 356, 93, 323, 132, 361, 58, 288, 172, 397, 136, 365, 149, 378),
    *(152, 176),
    *(400, 33, 133, 362, 263, 159, 145, 386, 374, 70, 105, 107, 336, 334, 300, 168, 6, 4, 1, 2, 98, 327, 129, 358),
    *(64, 294, 116, 345, 36, 266, 117, 346, 118, 347, 18, 200, 199),
]  # fmt: skip
# What the smile had raised and drawn outward, and by how much it sinks back (toward the midline, down), in
# inter-ocular distances; the person's right side, then the left.
SINKING = {
    (205, 425): (0, 0.05), (187, 411): (0, 0.06), (207, 427): (0, 0.06), (216, 436): (0.03, 0.08),
    (50, 280): (0, 0.03), (212, 432): (0.05, 0.06), (214, 434): (0.03, 0.04), (43, 273): (0.05, 0.03),
    (202, 422): (0.03, 0.01), (165, 391): (0.02, 0.06), (92, 322): (0.03, 0.08), (164, 164): (0, 0.07),
}  # fmt: skip
FRAME = np.array([(-2.2, -1.2), (0, -1.4), (2.2, -1.2), (-2.2, 0.5), (2.2, 0.5), (-1.6, 2.2), (1.6, 2.2), (0, 2.4)])

LINE = 0.98  # height of the middle of the lip line below the eyes, inter-ocular distances
SAG = 0.02  # of the corners below it
NARROWING = 0.8  # width of the mouth at rest, of its width in the smile
UPPER_FULLNESS, LOWER_FULLNESS = 1.23, 0.85  # lips at rest are thicker than stretched ones
INSIDE_UPPER, INSIDE_LOWER = 0.022, 0.015  # the mesh's inner lip lies on the teeth by that much
SHADE, SHADE_WIDTH = 0.32, 1.2  # of the line where the lips touch; width in pixels


def main() -> None:
    """Write the face, and print what the landmark model sees in it."""
    photo = np.asarray(data.astronaut())
    with Landmarker(MODEL.find()) as landmarker:
        seen = landmarker.detect(photo).landmarks[0][:, :2].astype(np.float64)
        corner = np.array([PART[1].start, PART[0].start])
        fine = np.asarray(cv2.resize(photo[PART], None, fx=UP, fy=UP, interpolation=cv2.INTER_LANCZOS4), np.uint8)
        relaxed = relax(fine, (seen - corner + 0.5) * UP - 0.5)
        found = landmarker.detect(relaxed).landmarks[0][:, :2]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(relaxed).save(OUT, optimize=True)
    right, left = eye_centers(found)
    unit = np.hypot(*(left - right))
    apart, width = (np.hypot(*(found[a] - found[b])) / unit for a, b in ((13, 14), (61, 291)))
    print(f"lips apart {apart:.3f}, width {width:.3f}, inter-ocular distances")


def relax(photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The photo, uint8 RGB [h, w, 3], with closed lips; landmarks are [478, 2] in its pixels."""
    right, left = eye_centers(landmarks)
    origin, unit = (right + left) / 2, float(np.hypot(*(left - right)))
    across = (left - right) / unit
    axes = np.stack([across, (-across[1], across[0])], 1)  # face coordinates: eye line, inter-ocular unit
    source = (landmarks - origin) @ axes / unit
    target = closed(source)
    source[UPPER_INNER[1:-1], 1] -= INSIDE_UPPER
    source[LOWER_INNER[1:-1], 1] += INSIDE_LOWER
    height, width = photo.shape[:2]
    here = (np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1) - origin) @ axes / unit
    both = []
    for lip in (UPPER_OUTER + UPPER_INNER, LOWER_OUTER + LOWER_INNER):
        there = here + _warp(source, target, lip, here)
        where = (there * unit @ axes.T + origin).astype(np.float32)
        both.append(cv2.remap(photo, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float64))
    upper, lower = both
    line = np.interp(here[..., 0], target[UPPER_INNER, 0], target[UPPER_INNER, 1])
    below = (here[..., 1] - line) * unit  # pixels
    ends = target[[UPPER_INNER[0], UPPER_INNER[-1]], 0]
    within = np.clip(np.minimum(here[..., 0] - ends[0], ends[1] - here[..., 0]) / 0.06, 0, 1)
    share = 1 / (1 + np.exp(-2 * below))
    closed_lips = upper * (1 - share[..., None]) + lower * share[..., None]
    shade = 1 - SHADE * np.exp(-((below / SHADE_WIDTH) ** 2)) * np.sqrt(within)
    return np.clip(closed_lips * shade[..., None], 0, 255).astype(np.uint8)


def closed(source: np.ndarray) -> np.ndarray:
    """Where the landmarks lie at rest: both inner lips on one line, corners lower and closer, cheeks sunk back."""
    target = source.copy()
    middle = source[[61, 291], 0].mean()

    def line(x: np.ndarray) -> np.ndarray:
        corner = NARROWING * (source[291, 0] - source[61, 0]) / 2
        return np.stack([x, LINE + SAG * ((x - middle) / corner) ** 2], -1)

    for inner, outer, fullness in (
        (UPPER_INNER, UPPER_OUTER, UPPER_FULLNESS),
        (LOWER_INNER, LOWER_OUTER, LOWER_FULLNESS),
    ):
        # x of the upper lip for both, so that they meet point by point
        target[inner] = line(middle + NARROWING * (source[UPPER_INNER, 0] - middle))
        target[outer] = target[inner] + (source[outer] - source[inner]) * (NARROWING, fullness)
        target[[outer[0], outer[-1]]] = line(middle + NARROWING * (source[[outer[0], outer[-1]], 0] - middle))
    for (right, left), (inward, down) in SINKING.items():
        target[right] = source[right] + (inward, down)
        target[left] = source[left] + (-inward if left != right else 0, down)
    return target


def _warp(source: np.ndarray, target: np.ndarray, lip: list[int], here: np.ndarray) -> np.ndarray:
    """Displacement back from the relaxed to the smiling face, at points `here` [h, w, 2], face coordinates."""
    points = [*STILL, *(i for i in dict.fromkeys(i for pair in SINKING for i in pair)), *dict.fromkeys(lip)]
    ends, starts = np.vstack([target[points], FRAME]), np.vstack([source[points], FRAME])
    spline = RBFInterpolator(ends, starts - ends, kernel="thin_plate_spline", smoothing=3e-4)
    step = 2  # pixels: the splines are smooth
    coarse = here[::step, ::step]
    field = spline(coarse.reshape(-1, 2)).reshape(coarse.shape)
    rows, columns = np.mgrid[0 : here.shape[0], 0 : here.shape[1]].astype(np.float32) / step
    return np.asarray(
        cv2.remap(field.astype(np.float32), columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )


if __name__ == "__main__":
    main()
