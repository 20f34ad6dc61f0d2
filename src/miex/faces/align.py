"""From a photo to an aligned face."""

from __future__ import annotations

from pathlib import Path

from miex.errors import InputError
from miex.faces.crop import AlignedFace, CropOptions, align, place_crop
from miex.faces.landmarks import Landmarker
from miex.images import Image, read_image


def align_photo(photo: Path, model: Path, options: CropOptions) -> AlignedFace:
    """The largest face of a photo, aligned.

    Raises:
        InputError: no face in it, or (ImageError) it cannot be read.
    """
    return align_image(read_image(photo), str(photo), model, options)


def align_image(image: Image, name: str, model: Path, options: CropOptions) -> AlignedFace:
    """The largest face of a picture, uint8 RGB [h, w, 3], aligned; `name` stands in messages.

    Raises:
        InputError: no face in it.
    """
    with Landmarker(model) as landmarker:
        landmarks = landmarker.mesh(image)
    if landmarks is None:
        raise InputError(
            f"photo {name}", expected="a face", found="none", do="choose a photo that shows a face from the front"
        )
    return align(image, landmarks, place_crop(landmarks, options), options.size)
