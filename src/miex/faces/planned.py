"""From a row of faces.parquet to an aligned face."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from miex.faces.crop import AlignedFace, CropPlace, align
from miex.faces.virtual import make_virtual
from miex.images import MAX_BYTES, ImageError, decode_image, open_file


@lru_cache(maxsize=1)  # a plan has the relatives of one photo one after the other
def _aligned(path: Path, sha256: str, landmarks: bytes, place: CropPlace, size: int) -> AlignedFace:
    try:
        with open_file(path, MAX_BYTES) as file:
            content = file.read()
    except OSError as error:
        raise ImageError(f"photo {path}", found=error.strerror or str(error), reason="unreadable") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ImageError(f"photo {path}", found="other bytes than when the set was planned", reason="changed")
    return align(decode_image(content, path.name), np.frombuffer(landmarks, np.float32).reshape(-1, 3), place, size)


def load_face(faces_root: Path, face: dict[str, Any], size: int) -> AlignedFace:
    """The aligned face of a row of faces.parquet. Its arrays are not to be written: relatives share them.

    Raises:
        ImageError: the photo is missing, or is not the one that was planned.
    """
    landmarks = np.asarray(face["landmarks"], np.float32).tobytes()
    place = CropPlace(face["crop_x"], face["crop_y"], face["crop_side"], face["crop_roll"])
    aligned = _aligned(faces_root / face["path"], face["sha256"], landmarks, place, size)
    return make_virtual(aligned, face["virtual_seed"]) if face["virtual"] else aligned
