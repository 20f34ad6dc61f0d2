"""The aligned crop, resampled once from the photo: level eyes at a fixed height, and a fixed eye-to-mouth distance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from miex.compiled import compiled
from miex.faces.mesh import OVAL
from miex.images import Image

Points = npt.NDArray[np.float32]

# Face-mesh indices. "right" and "left" are the person's own: the right eye is at the left of the picture.
RIGHT_EYE_CORNERS = (33, 133)
LEFT_EYE_CORNERS = (362, 263)
MOUTH_CORNERS = (61, 291)

# Samples of the aligned photo per pixel of the crop. Frames are made from it by bilinear sampling. At 4 the
# sampling passes at least 0.97 of a pattern of four pixels' period whatever the sub-pixel shift (at 1: 0.71), so
# no frame of a pair is blurred more than the other (docs/results/resampling.md); and pixels of the crop are samples
# themselves, so that no motion returns the crop bit for bit.
OVERSAMPLING = 4


@dataclass(frozen=True)
class CropOptions:
    """Where the face lies in the crop.

    Attributes:
        size: side of the square crop, pixels.
        eye_line: height of the eye centers, fraction of the side from the top.
        eye_mouth: vertical distance from eye centers to mouth corners, fraction of the side.
    """

    size: int = 128
    eye_line: float = 0.38
    eye_mouth: float = 0.34


@dataclass(frozen=True)
class CropPlace:
    """Where a crop lies in a photo, in photo pixels (pixel centers at integers).

    Attributes:
        x, y: center of the crop.
        side: its side.
        roll: angle of the eye line, radians, positive clockwise in the picture.
    """

    x: float
    y: float
    side: float
    roll: float

    def photo_from_crop(self, size: int) -> npt.NDArray[np.float64]:
        """Affine 2×3 that takes pixel coordinates of a crop of `size` to pixel coordinates of the photo."""
        scale = self.side / size
        cos, sin = np.cos(self.roll) * scale, np.sin(self.roll) * scale
        linear = np.array([[cos, -sin], [sin, cos]])
        center = (size - 1) / 2
        return np.column_stack([linear, np.array([self.x, self.y]) - linear @ [center, center]])


def eye_centers(landmarks: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Centers of the person's right and left eye, float64 [2, 2], in the landmarks' own units."""
    corners = np.asarray(landmarks[[RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS], :2], np.float64)
    return np.asarray(corners.mean(axis=1), np.float64)


def inter_ocular(landmarks: npt.NDArray[np.floating]) -> float:
    """Distance between the eye centers, in the landmarks' own units."""
    right, left = eye_centers(landmarks)
    return float(np.hypot(*(left - right)))


def place_crop(landmarks: npt.NDArray[np.floating], options: CropOptions) -> CropPlace:
    """The crop of a face.

    Args:
        landmarks: [478, 2 or 3], photo pixels.
        options: position of the face in the crop.
    """
    right, left = eye_centers(landmarks)
    eyes = (right + left) / 2
    mouth = np.asarray(landmarks, np.float64)[list(MOUTH_CORNERS), :2].mean(0)
    roll = float(np.arctan2(*(left - right)[::-1]))
    down = np.array([-np.sin(roll), np.cos(roll)])
    side = float((mouth - eyes) @ down) / options.eye_mouth
    center = eyes + down * (0.5 - options.eye_line) * side
    return CropPlace(float(center[0]), float(center[1]), side, roll)


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """An identity, ready to be moved. Two are the same only if they are one object.

    Attributes:
        samples: uint8 RGB [m, m, 3], m = OVERSAMPLING·(size − 1) + 1: the aligned photo, limited to what the
            crop's own resolution can show. Sample OVERSAMPLING·i is pixel i of the crop.
        size: side of the crop, pixels.
        landmarks: float32 [478, 2], pixels of the crop, pixel centers at integers.
    """

    samples: Image
    size: int
    landmarks: Points

    def __repr__(self) -> str:
        return f"aligned face of {self.size} px, {self.inter_ocular:.0f} px between the eyes"

    @cached_property
    def crop(self) -> Image:
        """The crop itself, uint8 RGB [size, size, 3]."""
        # color by color, as numpy copies three values after three in four times the time
        return np.stack([self.samples[::OVERSAMPLING, ::OVERSAMPLING, c] for c in range(3)], axis=-1)

    @cached_property
    def inter_ocular(self) -> float:
        """Distance between the eye centers, pixels of the crop."""
        return inter_ocular(self.landmarks)

    def polar(self, x: Points, y: Points) -> tuple[Points, Points]:
        """Angle and distance of places from the middle of the face's oval.

        Args:
            x, y: pixels of the crop; arrays that go together by broadcasting.
        """
        center = self.landmarks[list(OVAL)].mean(0)
        dx, dy = x - center[0], y - center[1]
        return np.arctan2(dy, dx), np.hypot(dx, dy)

    def outline(self, *, neck: float = 0.0) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The oval as `polar` has it, from a point before −π to one beyond π: ascending angles, and distances from the
        middle, pixels of the crop.

        Args:
            neck: how far the oval is drawn out below the chin, pixels.
        """
        oval = self.landmarks[list(OVAL)]
        right, down = (oval - oval.mean(0)).T
        down = down * (1 + neck / down.max() * (down > 0) * down / down.max())
        angle, length = np.arctan2(down, right), np.hypot(right, down)
        order = np.argsort(angle)
        order = np.concatenate([order[-1:], order, order[:1]])
        angle, length = angle[order], length[order]
        angle[[0, -1]] += (-2 * np.pi, 2 * np.pi)
        return angle.astype(np.float64, copy=False), length.astype(np.float64, copy=False)


def align(photo: Image, landmarks: npt.NDArray[np.floating], place: CropPlace, size: int) -> AlignedFace:
    """Cut the crop out of the photo; where the crop reaches beyond it, the photo goes on as its mirror image.

    Args:
        photo: uint8 RGB [h, w, 3].
        landmarks: [478, 2 or 3], photo pixels.
        place: where the crop lies.
        size: its side in pixels.
    """
    affine = place.photo_from_crop(size)
    scale = place.side / size  # photo pixels per crop pixel
    part, corner = covered(photo, affine, size)
    if scale > 1:  # a Gaussian that joins the photo's own pixel to one crop pixel: no aliasing
        sigma = 0.5 * float(np.sqrt(scale**2 - 1))
        part = cv2.GaussianBlur(part, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101).astype(np.uint8, copy=False)
    fine = affine.copy()
    fine[:, :2] /= OVERSAMPLING
    fine[:, 2] -= corner
    side = OVERSAMPLING * (size - 1) + 1
    # of floats, which OpenCV samples in two thirds of the time
    samples: Any = cv2.warpAffine(
        part.astype(np.float32), fine, (side, side), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )  # fmt: skip
    points = np.asarray(landmarks, np.float64)[:, :2]
    aligned = np.linalg.solve(affine[:, :2], (points - affine[:, 2]).T).T
    levels = np.empty(samples.shape, np.uint8)
    _levels(samples.reshape(-1), levels.reshape(-1))
    return AlignedFace(levels, size, aligned.astype(np.float32))


@compiled
def _levels(values: npt.NDArray[np.float32], into: npt.NDArray[np.uint8]) -> None:
    """Round values to levels of 8 bits, into an array of their size."""
    for i in range(len(values)):
        into[i] = np.uint8(min(max(np.rint(values[i]), np.float32(0)), np.float32(255)))


def cut(photo: Image, place: npt.NDArray[np.float64], size: int) -> Image:
    """Cut a crop out of a photo at its own resolution: faster than `align`, for what is looked at and not moved.

    Args:
        photo: uint8 [h, w] or [h, w, 3].
        place: affine 2×3 that takes pixel coordinates of the crop to those of the photo.
        size: side of the crop in pixels.
    """
    scale = float(np.sqrt(np.linalg.det(place[:, :2])))  # photo pixels per crop pixel
    part, corner = covered(photo, place, size)
    if scale > 1:  # no aliasing: see `align`
        part = np.asarray(cv2.GaussianBlur(part, (0, 0), 0.5 * float(np.sqrt(scale**2 - 1))), np.uint8)
    there = np.column_stack([place[:, :2], place[:, 2] - corner])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(part, there, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )


def covered(photo: Image, place: npt.NDArray[np.float64], size: int) -> tuple[Image, tuple[int, int]]:
    """The part of a photo that a crop covers, with what filters need around it, and the place (x, y) of its corner:
    nothing else of the photo has to be filtered."""
    scale = float(np.sqrt(np.linalg.det(place[:, :2])))
    (x, y), (right, down) = place @ ((size - 1) / 2, (size - 1) / 2, 1), np.abs(place[:, :2]).sum(axis=1) * size / 2
    more = 4 * scale + 4
    height, width = photo.shape[:2]
    x0, y0 = min(max(0, int(x - right - more)), width - 1), min(max(0, int(y - down - more)), height - 1)
    x1, y1 = max(x0 + 1, int(x + right + more) + 2), max(y0 + 1, int(y + down + more) + 2)
    return photo[y0:y1, x0:x1], (x0, y0)


def similarity(source: npt.NDArray[np.floating], target: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Affine 2×3 of the rotation, scale and shift that takes source points [n, 2] nearest to the target's (Umeyama
    1991, without mirroring)."""
    # as complex numbers a turn and a scale are one factor
    za, zb = ((points - points.mean(axis=0)) @ (1, 1j) for points in (source, target))
    turn = np.vdot(za, zb) / np.vdot(za, za)
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, target.mean(axis=0) - linear @ source.mean(axis=0)])


def rigid_motions(landmarks: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """What small motions of the head do to landmarks [n, 3] in the picture: two shifts, roll, scale, yaw, pitch, as
    columns [n · 2, 6]."""
    x, y, z = (np.asarray(landmarks, np.float64) - landmarks.mean(axis=0)).T
    zero, one = np.zeros_like(x), np.ones_like(x)
    columns = ((one, zero), (zero, one), (-y, x), (x, y), (z, zero), (zero, z))
    return np.stack([np.stack(column, axis=1).ravel() for column in columns], axis=1)
