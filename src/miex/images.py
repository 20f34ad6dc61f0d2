"""Read all pictures as upright 8-bit RGB: photos, frames of corpora and sets, and videos."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags
from PIL import Image as PillowImage

from miex.errors import InputError

Image = npt.NDArray[np.uint8]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})  # of photos
FRAME_SUFFIXES = SUFFIXES | {".bmp", ".tif", ".tiff"}  # of frames
# whatever the name says; Pillow's others include some that start programs (EPS)
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
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


class ImageError(InputError):
    """An image that cannot be read. `reason` is one short word for tables."""

    def __init__(
        self, asked: str, *, expected: str = "", found: str = "", do: str = "", reason: str = "unreadable"
    ) -> None:
        super().__init__(asked, expected=expected, found=found, do=do)
        self.reason = reason


def read_image(path: Path) -> Image:
    """The image in a file; see `decode_image`."""
    return _decode(path, path.name)


def decode_image(content: bytes, name: str) -> Image:
    """The image that these bytes hold, uint8 RGB [h, w, 3], turned upright by its EXIF orientation.

    Gray, palette, CMYK and 16-bit images are converted; transparency is laid over mid gray; of animations the first
    frame is taken.

    Args:
        content: of a JPEG, PNG, WebP, BMP or TIFF file.
        name: of the image, for the message.

    Raises:
        ImageError: missing, empty, truncated, not an image, or larger than MAX_PIXELS (reason "unreadable" or
            "too large").
    """
    return _decode(io.BytesIO(content), name)


def _decode(file: Path | BinaryIO, name: str) -> Image:
    asked = f"image {name}"
    try:
        # warnings are about odd metadata, which does not hurt
        with warnings.catch_warnings(action="ignore"), PillowImage.open(file, formats=_FORMATS) as opened:
            width, height = opened.size
            if width * height > MAX_PIXELS:
                raise PillowImage.DecompressionBombError(f"{width} by {height} pixels in its header")
            opened.load()
            return _rgb(_upright(opened))
    except PillowImage.DecompressionBombError as error:  # ours, or from Pillow's own limit above it
        raise ImageError(
            asked,
            expected=f"at most {MAX_PIXELS // 1_000_000} megapixels",
            found=str(error),
            do="scale it down; a face needs a few hundred pixels",
            reason="too large",
        ) from error
    except (OSError, ValueError, SyntaxError) as error:
        # Pillow raises SyntaxError for broken PNG chunks, ValueError for broken headers
        found = f"{type(error).__name__}: {error}".replace(str(file), name)
        raise ImageError(
            asked, expected="a whole JPEG, PNG, WebP, BMP or TIFF image", found=found, do="replace or remove it"
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


def gray(frame: Image) -> Image:
    """Luma of ITU-R BT.601, rounded: uint8 [h, w] from RGB [h, w, 3]."""
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def read_clip(path: Path) -> Iterator[Image]:
    """The frames of a clip of your own in their order, one after the other: a folder of images, sorted by the number in
    their names, or a video file. Each is uint8 RGB [h, w, 3].

    Raises:
        InputError: while it is read: no frame in it, or (ImageError) one that cannot be read or is too large.
    """
    count = 0
    for frame in map(read_image, _numbered(path)) if path.is_dir() else _read_video(path):
        yield frame
        count += 1
    if not count:
        raise InputError(f"clip {path}", expected="a folder of images, or a video", found="no frame")


def clip_length(path: Path) -> tuple[int, float | None]:
    """How long a clip of your own is, without decoding it.

    Returns:
        Number of frames (of a video the one that its header says, which may be wrong), and frames per second; None for
        a folder, or if the video does not say.

    Raises:
        InputError: the file is no video that can be read.
    """
    if path.is_dir():
        return len(_numbered(path)), None
    video = cv2.VideoCapture(str(path))
    opened = video.isOpened()
    count, rate = (float(video.get(what)) for what in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS))
    video.release()
    if not opened:
        raise InputError(
            f"clip {path}", expected="a video, or a folder of its frames", found="a file that is no readable video",
            do="check the file, or convert it",
        )  # fmt: skip
    return max(0, int(count)), rate if 0 < rate < float("inf") else None


def _numbered(folder: Path) -> list[Path]:
    files = [file for file in folder.iterdir() if file.suffix.lower() in FRAME_SUFFIXES]
    return sorted(files, key=lambda file: ([int(n) for n in re.findall(r"\d+", file.stem)[-1:]], file.name))


def _read_video(path: Path) -> Iterator[Image]:
    video = cv2.VideoCapture(str(path))
    try:
        width, height = (int(video.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MAX_PIXELS:
            raise ImageError(
                f"video {path.name}",
                expected=f"frames of at most {MAX_PIXELS // 1_000_000} megapixels",
                found=f"{width} by {height} pixels",
                do="scale it down; a face needs a few hundred pixels",
                reason="too large",
            )
        while True:
            there, frame = video.read()
            if not there:
                return
            yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
    finally:
        video.release()
