"""How sharp a face is against its own photo."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from miex.faces.crop import AlignedFace
from miex.generators.grid import GRID, cell_centers, face_area
from miex.images import Image, gray

WINDOW = 0.1  # standard deviation of the surroundings whose energy counts at a place, inter-ocular distances
ROUNDING = 20 / 12  # energy of rounding to gray levels, 1/12, after the Laplacian, whose squared weights sum to 20

Floats = npt.NDArray[np.float64]


def sharpness(frames: Sequence[Image], face: AlignedFace) -> list[float]:
    """How much fine detail each frame has, as a fraction of what the rest crop has at the same place.

    Detail is the local energy of the Laplacian of the gray picture, a measure of focus (Pertuz, Puig & Garcia,
    "Analysis of focus measure operators for shape-from-focus", Pattern Recognition 2013, compare it with others). It
    responds to the finest detail that the frame's own pixels can hold, which is what resampling and repainting lose
    first. A place is compared with itself: the geometric mean of the ratios over the face counts a blurred mouth or
    smoothed cheeks by their area, where a ratio of total energies would see little but brows and eyelashes.

    What an expression hides or shows counts too: closed lids are smoother than open eyes. Noise is detail as well, and
    so is what sharpening adds: a value above 1 means that something was put on the photo.

    Args:
        frames: uint8 RGB, each [size, size, 3].
        face: their identity.

    Returns:
        Ratios of amplitudes, one for each frame: 1 as sharp as the photo, 0.5 half the contrast of fine detail.
    """
    rest = _energy(face.crop, face)
    return [float(np.exp(0.5 * np.log(_energy(frame, face) / rest).mean())) for frame in frames]


def _energy(frame: Image, face: AlignedFace) -> Floats:
    """Energy of fine detail around each cell of the grid that lies on the face, float64 [cells], never 0."""
    laplacian = cv2.Laplacian(gray(frame).astype(np.float32), cv2.CV_32F, ksize=1)
    energy = cv2.GaussianBlur(np.square(laplacian), (0, 0), WINDOW * face.inter_ocular)
    centers = np.rint(cell_centers(face.size, GRID)).astype(int)
    return np.asarray(energy[centers[:, None], centers][face_area(face)] + ROUNDING, np.float64)
