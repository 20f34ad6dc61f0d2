"""From a photo to an aligned face."""

from __future__ import annotations

from pathlib import Path

from miex.errors import InputError
from miex.faces.crop import AlignedFace, CropOptions, align, place_crop
from miex.faces.landmarks import Landmarker
from miex.images import read_image


def align_photo(photo: Path, model: Path, options: CropOptions) -> AlignedFace:
    """The largest face of a photo, aligned.

    Raises:
        InputError: no face in it, or (ImageError) it cannot be read.
    """
    image = read_image(photo)
    with Landmarker(model) as landmarker:
        landmarks = landmarker.mesh(image)
    if landmarks is None:
        raise InputError(
            f"photo {photo}", expected="a face", found="none", do="choose a photo that shows a face from the front"
        )
    return align(image, landmarks, place_crop(landmarks, options), options.size)
