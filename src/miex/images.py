"""Photos as people have them, read into upright 8-bit RGB."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags
from PIL import Image as PillowImage

from miex.errors import InputError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_FORMATS = ("JPEG", "PNG", "WEBP")  # whatever the name says; Pillow's others include some that start programs (EPS)
_TURNS = {  # EXIF orientation: what turns the picture upright
    2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
    3: PillowImage.Transpose.ROTATE_180,
    4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
    5: PillowImage.Transpose.TRANSPOSE,
    6: PillowImage.Transpose.ROTATE_270,
    7: PillowImage.Transpose.TRANSVERSE,
    8: PillowImage.Transpose.ROTATE_90,
}
MAX_PIXELS = 64_000_000  # refused by the header: 64 megapixels are 192 MB once decoded; no camera face needs more


class PhotoError(InputError):
    """A photo that cannot be read. `reason` is one short word for tables."""

    def __init__(
        self, asked: str, *, expected: str = "", found: str = "", do: str = "", reason: str = "unreadable"
    ) -> None:
        super().__init__(asked, expected=expected, found=found, do=do)
        self.reason = reason


def read_photo(path: Path) -> Image:
    """The photo in a file; see `decode_photo`."""
    return decode_photo(path, path.name)


def decode_photo(file: Path | BinaryIO, name: str) -> Image:
    """The photo as uint8 RGB [h, w, 3], turned upright by its EXIF orientation.

    Gray, palette, CMYK and 16-bit images are converted; transparency is laid over mid gray; of animations the
    first frame is taken.

    Raises:
        PhotoError: missing, empty, truncated, not an image, or larger than MAX_PIXELS (reason "unreadable" or
            "too large").
    """
    asked = f"photo {name}"
    try:
        # warnings are about odd metadata, which does not hurt
        with warnings.catch_warnings(action="ignore"), PillowImage.open(file, formats=_FORMATS) as opened:
            width, height = opened.size
            if width * height > MAX_PIXELS:
                raise PillowImage.DecompressionBombError(f"{width} by {height} pixels in its header")
            opened.load()
            return _rgb(_upright(opened))
    except PillowImage.DecompressionBombError as error:  # ours, or from Pillow's own limit above it
        raise PhotoError(
            asked,
            expected=f"at most {MAX_PIXELS // 1_000_000} megapixels",
            found=str(error),
            do="scale it down; a face needs a few hundred pixels",
            reason="too large",
        ) from error
    except (OSError, ValueError, SyntaxError) as error:
        # Pillow raises SyntaxError for broken PNG chunks, ValueError for broken headers
        found = f"{type(error).__name__}: {error}".replace(str(file), name)
        raise PhotoError(
            asked, expected="a whole JPEG, PNG or WebP image", found=found, do="replace or remove it"
        ) from error


def _upright(image: PillowImage.Image) -> PillowImage.Image:
    # ImageOps.exif_transpose writes the other tags anew, and raises what not when they are broken
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # broken metadata, which Pillow reports in many ways; the pixels are whole
        return image
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _rgb(image: PillowImage.Image) -> Image:
    if image.mode.startswith("I"):  # 16-bit gray: its high byte, as Pillow does for 16-bit color
        high = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(high[..., None], 3, axis=2)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        ground = PillowImage.new("RGBA", rgba.size, (128, 128, 128, 255))
        image = PillowImage.alpha_composite(ground, rgba)
    return np.array(image.convert("RGB"), dtype=np.uint8)


Image = npt.NDArray[np.uint8]


def gray(frame: Image) -> Image:
    """Luma of ITU-R BT.601, rounded: uint8 [h, w] from RGB [h, w, 3]."""
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def decode_frame(content: bytes) -> Image:
    """The frame, uint8 RGB [h, w, 3]. Raises ValueError if the bytes are not an image."""
    frame = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if frame is None:
        raise ValueError(f"{len(content)} bytes that are not an image")
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)


def read_frame(path: Path) -> Image:
    """A frame as uint8 RGB [h, w, 3]; gray ones are repeated in three channels.

    Raises:
        InputError: missing, or no image.
    """
    try:
        frame = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
    except (OSError, cv2.error) as error:
        raise InputError(f"frame {path}", expected="an image", found=str(error).strip()) from error
    if frame is None:
        raise InputError(f"frame {path}", expected="an image", found="something else")
    return np.asarray(frame, np.uint8)


def read_clip(path: Path) -> list[Image]:
    """The frames of a clip of your own in their order: a folder of images, sorted by the number in their names, or a
    video file.

    Raises:
        InputError: no frame in it.
    """
    if path.is_dir():
        suffixes = {".bmp", ".jpeg", ".jpg", ".png", ".webp"}
        files = [file for file in path.iterdir() if file.suffix.lower() in suffixes]
        numbered = sorted(files, key=lambda file: ([int(n) for n in re.findall(r"\d+", file.stem)[-1:]], file.name))
        frames = [read_frame(file) for file in numbered]
    else:
        video, frames = cv2.VideoCapture(str(path)), []
        while True:
            there, frame = video.read()
            if not there:
                break
            frames.append(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8))
        video.release()
    if not frames:
        raise InputError(f"clip {path}", expected="a folder of images, or a video", found="no frame in it")
    return frames
