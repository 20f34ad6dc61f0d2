"""What a photo shows of a face: its light, its sharpness, and whether mouth and eyes can be seen.

The mesh is sure of a mouth behind a mask and of eyes behind sunglasses. What they have, and cloth and glass mostly have
not, is contrast: the dark line between lips, and iris, white and lashes within the lids. Both are measured in a small
aligned crop, relative to the light of the cheeks, so that dark skin is not refused more often than light skin. What
black glasses reflect is contrast, too; but they cover the skin below the eyes, which is then far darker than the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from miex.faces.crop import CropOptions, covered, cut, place_crop
from miex.faces.mesh import OVAL
from miex.images import Image, gray

SIZE = 64  # of the crop, pixels
_CHEEKS = ((117, 118, 101, 50, 123), (346, 347, 330, 280, 352))
_LIDS = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (362, 398, 384, 385, 386, 387, 388, 466, 263, 249, 390, 373, 374, 380, 381, 382),
)
_BELOW = (  # the eyes: the lower lid and the skin under it
    (22, 23, 24, 25, 26, 110, 228, 229, 230, 231, 31, 112),
    (252, 253, 254, 255, 256, 339, 448, 449, 450, 451, 261, 341),
)
_DARK = 0.3  # of the cheeks' light: of 914 faces without glasses none has darker skin there (the least is 0.309)
_LIPS = ((80, 82, 13, 312, 310), (88, 87, 14, 317, 318))  # the inner edges, upper and lower
_FAR, _NEAR = (0.1, 0.2, 0.32), (-0.05, 0.0, 0.05)  # from the line between the lips, mouth widths

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """What is seen of a face.

    Attributes:
        light: median gray level of the face, 0 to 255.
        sharpness: standard deviation of what a blur by a pixel of the small crop takes away, relative to the light.
        mouth: how much darker the line between the lips is than the skin above and below, relative to the cheeks.
        eyes: standard deviation of gray levels within the lids, relative to the cheeks; 0 where the skin below the lids
            is darker than 0.3 of the cheeks, as behind black glasses.
    """

    light: float
    sharpness: float
    mouth: float
    eyes: float


def see(photo: Image, landmarks: npt.NDArray[np.floating]) -> Seen | None:
    """What is seen of the face with these landmarks, [478, 3] in pixels of the photo, uint8 RGB [h, w, 3].

    None where the mouth of the mesh is not below its eyes, so that nothing can be aligned.
    """
    place = place_crop(landmarks, CropOptions(SIZE))
    if place.side <= 2:
        return None
    affine = place.photo_from_crop(SIZE)
    crop = _small(photo, affine)
    aligned = np.linalg.solve(affine[:, :2], (np.asarray(landmarks, np.float64)[:, :2] - affine[:, 2]).T).T
    points = np.asarray(aligned, np.float64)
    levels = cv2.GaussianBlur(crop, (0, 0), 0.7).astype(np.float64)
    face = _within(points[list(OVAL)])
    cheeks = _within(points[list(_CHEEKS[0])]) | _within(points[list(_CHEEKS[1])])
    light = float(levels[cheeks].mean()) + 5  # the 5 against noise of black pictures
    fine = crop.astype(np.float64) - cv2.GaussianBlur(crop.astype(np.float64), (0, 0), 1)
    lids = [levels[_within(points[list(ring)], 1.25)].std() for ring in _LIDS]
    below = [
        _median_beside(levels, points[list(ring)], points[list(eye)]) for ring, eye in zip(_BELOW, _LIDS, strict=True)
    ]
    behind_glass = np.mean(below) < _DARK * light
    return Seen(
        light=float(np.median(crop[face])),
        sharpness=float(fine[face].std() / (crop[face].mean() + 5)),
        mouth=_lip_line(levels, points) / light,
        eyes=0.0 if behind_glass else float(np.mean(lids)) / light,
    )


def _small(photo: Image, place: npt.NDArray[np.float64]) -> Image:
    """The crop in gray levels, uint8 [SIZE, SIZE].

    Squares of pixels are averaged first, as many as leave two pixels of the photo to one of the crop: the blur against
    aliasing would take longer on the photo's own pixels than all else.
    """
    part, corner = covered(photo, place, SIZE)
    levels = gray(part)
    affine = np.column_stack([place[:, :2], place[:, 2] - corner])
    scale = float(np.sqrt(np.linalg.det(place[:, :2])))  # photo pixels per pixel of the crop
    k = max(1, min(int(scale / 2), *levels.shape))
    height, width = levels.shape[0] // k, levels.shape[1] // k
    whole = levels[: height * k, : width * k]
    levels = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    affine = affine / k
    affine[:, 2] -= (k - 1) / 2 / k
    return cut(levels, affine, SIZE)


def _lip_line(levels: npt.NDArray[np.float64], points: Points) -> float:
    """Gray levels by which the line between the lips is darker than what is above and below it."""
    line = points[list(_LIPS[0])] / 2 + points[list(_LIPS[1])] / 2
    width = float(np.hypot(*(points[61] - points[291])))
    down = points[152] - points[10]
    down = down / np.hypot(*down) * width

    offsets = np.array([-one for one in _FAR] + [*_FAR, *_NEAR])
    places = (line + down * offsets[:, None, None]).astype(np.float32)
    levels = cv2.remap(levels.astype(np.float32), places[..., 0], places[..., 1], cv2.INTER_LINEAR).mean(axis=1)
    above, below, near = np.split(levels, (len(_FAR), 2 * len(_FAR)))
    return float((above.max() + below.max()) / 2 - near.min())


def _median_beside(levels: npt.NDArray[np.float64], ring: Points, but: Points) -> float:
    """Median gray level within a ring of points, but not within another one, unless nothing is left."""
    whole = _within(ring)
    beside = whole & ~_within(but)
    return float(np.median(levels[beside if beside.any() else whole]))


def _within(ring: Points, grow: float = 1.0) -> npt.NDArray[np.bool_]:
    middle = ring.mean(axis=0)
    hull = cv2.convexHull(((ring - middle) * grow + middle).astype(np.float32))
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillConvexPoly(mask, np.asarray(hull, np.int32), 1)
    # a face seen from the side may leave no pixel: then the nearest one stands for it
    if not mask.any():
        x, y = np.clip(middle.round().astype(int), 0, SIZE - 1)
        mask[y, x] = 1
    return mask > 0
