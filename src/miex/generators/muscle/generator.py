"""The muscle generator: no weights, one resampling per frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import N_AUS, SIDES, AUArray, checked
from miex.errors import ScaleError
from miex.faces.crop import OVERSAMPLING, AlignedFace, Image
from miex.generators.base import Field, Generator
from miex.generators.muscle.anatomy import Rim, load
from miex.generators.muscle.basis import FaceFrame, basis_fields, cell_centers

GRID = 80  # cells: 1.6 px of a 128 px crop, a quarter of the narrowest gradient but the lips'
TOLERANCE = 0.01  # of the inversion, pixels: a tenth of the smallest motion that counts
MOST_STEPS = 24  # of the inversion, where a field is too steep to be inverted to the tolerance


@dataclass(frozen=True)
class MuscleRig:
    """One identity, ready to be moved.

    Attributes:
        face: the aligned face.
        basis: float32 [34, g, g, 2]: displacement of the skin at intensity 1 for each AU and side, pixels of the crop.
        steepness: float64 [34]: the largest gradient in each of them, pixels per pixel.
        extent: float64 [34]: the largest displacement in each of them, pixels.
        area: bool [g, g]: cells on the face.
        samples_of_pixels: float32 [size, size, 2]: position (x, y) of every pixel of the crop in `face.samples`.
    """

    face: AlignedFace
    basis: npt.NDArray[np.float32]
    steepness: npt.NDArray[np.float64]
    extent: npt.NDArray[np.float64]
    area: npt.NDArray[np.bool_]
    samples_of_pixels: npt.NDArray[np.float32]


class MuscleGenerator(Generator[MuscleRig]):
    """Moves the skin of a photo as facial muscles would (anatomy.toml); everything else holds still, bit for bit."""

    name = "muscle"
    version = 1

    @property
    def settings(self) -> dict[str, Any]:
        return {"grid": GRID}

    def prepare(self, face: AlignedFace) -> MuscleRig:
        frame = FaceFrame(face, load(), GRID)
        basis = basis_fields(frame, GRID).reshape(-1, GRID, GRID, 2)
        return make_rig(face, basis, frame.radius(Rim(neck=0)) < 1)

    def render(self, rig: MuscleRig, aus: AUArray, rng: np.random.Generator) -> Image:
        size = rig.face.size
        weights = _weights(aus)
        frames = np.empty((len(weights), size, size, 3), np.uint8)
        for frame, z in zip(frames, weights, strict=True):
            back = invert(combine(rig, z), size, float(z @ rig.steepness), float(z @ rig.extent))
            back = cv2.resize(back, (size, size), interpolation=cv2.INTER_LINEAR)
            where = cv2.scaleAdd(back, OVERSAMPLING, rig.samples_of_pixels)
            cv2.remap(rig.face.samples, where, None, cv2.INTER_LINEAR, dst=frame, borderMode=cv2.BORDER_REPLICATE)
        return frames

    def displacement(self, rig: MuscleRig, aus: AUArray) -> Field:
        return np.stack([combine(rig, z) for z in _weights(aus)])

    def face_area(self, rig: MuscleRig) -> npt.NDArray[np.bool_]:
        return rig.area


def make_rig(face: AlignedFace, basis: npt.NDArray[np.float32], area: npt.NDArray[np.bool_]) -> MuscleRig:
    """A rig of any displacement fields, float32 [34, g, g, 2], pixels of the crop."""
    cell = face.size / basis.shape[1]
    steepness = [max(float(np.abs(np.diff(field, axis=axis)).max()) for axis in (0, 1)) / cell for field in basis]
    extent = np.sqrt(np.square(basis).sum(-1).max((1, 2)))
    pixels = np.arange(face.size, dtype=np.float32) * OVERSAMPLING
    return MuscleRig(
        face=face,
        basis=basis,
        steepness=np.array(steepness),
        extent=extent.astype(np.float64),
        area=area,
        samples_of_pixels=np.stack(np.meshgrid(pixels, pixels), -1),
    )


def combine(rig: MuscleRig, weights: npt.NDArray[np.float32]) -> Field:
    """Σ weight·basis, float32 [g, g, 2]; muscles at rest cost nothing. One by one, so that bits do not depend on n."""
    field = np.zeros(rig.basis.shape[1:], np.float32)
    for i in np.flatnonzero(weights):
        cv2.scaleAdd(rig.basis[i], float(weights[i]), field, dst=field)
    return field


def invert(field: Field, size: int, steepness: float, extent: float) -> Field:
    """The way back: where the skin that is seen at a point came from.

    Solves m(y) = −F(y + m(y)) by fixed-point steps, as many as the field needs to come within TOLERANCE. A field with
    gradients of 1 and more has no inverse where it folds; damped steps then end at one of the preimages.

    Args:
        field: F, float32 [g, g, 2], (right, down), pixels of the crop.
        size: side of the crop, pixels.
        steepness: a bound of F's gradients, pixels per pixel.
        extent: a bound of its lengths, pixels.

    Returns:
        m, as `field`. Exactly 0 where F is 0 all around.
    """
    grid = len(field)
    per_pixel = grid / size
    cells = np.arange(grid, dtype=np.float32)
    here = np.stack(np.meshgrid(cells, cells), -1)
    damping = min(1.0, 1.5 / (1 + steepness))
    ratio = max(1 - damping, steepness * damping if damping == 1 else 0.5)
    steps = math.ceil(math.log(TOLERANCE / extent) / math.log(ratio)) if extent > TOLERANCE else 1
    back = -field
    for _ in range(min(max(steps, 1), MOST_STEPS)):
        where = cv2.scaleAdd(back, per_pixel, here)
        found = cv2.remap(field, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        back = cv2.addWeighted(back, 1 - damping, found, -damping, 0)
    return np.asarray(back, np.float32)


def _weights(aus: AUArray) -> npt.NDArray[np.float32]:
    """Intensities as float32 [n, 34], in the order of `MuscleRig.basis`."""
    z = checked(aus)
    if z.shape[1:] == (N_AUS,):
        z = np.repeat(z[:, :, None], len(SIDES), axis=2)
    if z.ndim != 3:
        raise ScaleError("AU vectors", expected=f"shape [n, {N_AUS}] or [n, {N_AUS}, 2]", found=f"shape {z.shape}")
    return z.reshape(len(z), -1)
