"""From a row of faces.parquet to an aligned face."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from miex.faces.crop import AlignedFace, CropPlace, align
from miex.faces.virtual import make_virtual
from miex.images import Image, ImageError, decode_image


@lru_cache(maxsize=1)  # the relatives of one photo often follow one another; the array is read only by use
def _photo(path: Path, sha256: str) -> Image:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"photo {path}", found=error.strerror or str(error), reason="unreadable") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ImageError(f"photo {path}", found="other bytes than when the set was planned", reason="changed")
    return decode_image(content, path.name)


def load_face(faces_root: Path, face: dict[str, Any], size: int) -> AlignedFace:
    """The aligned face of a row of faces.parquet.

    Raises:
        ImageError: the photo is missing, or is not the one that was planned.
    """
    photo = _photo(faces_root / face["path"], face["sha256"])
    landmarks = np.asarray(face["landmarks"], np.float32).reshape(-1, 3)
    place = CropPlace(face["crop_x"], face["crop_y"], face["crop_side"], face["crop_roll"])
    aligned = align(photo, landmarks, place, size)
    return make_virtual(aligned, face["virtual_seed"]) if face["virtual"] else aligned
