"""Encode frames, each marked as synthetic."""

from __future__ import annotations

import struct
import zlib
from typing import Literal

import cv2
import numpy as np

from miex.errors import UsageError
from miex.images import Image

FrameFormat = Literal["png", "webp", "jpeg"]
JPEG_QUALITY = 95
SUFFIX: dict[FrameFormat, str] = {"png": ".png", "webp": ".webp", "jpeg": ".jpg"}
LOSSY = frozenset({"jpeg"})
MIME: dict[str, str] = {".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg"}
# IPTC's vocabulary for pictures altered by an algorithm that was not trained on pictures
DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced"
STATEMENT = "Synthetic micro-expression made by miex; nobody made this expression."
XMP = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" \
xmlns:dc="http://purl.org/dc/elements/1.1/" Iptc4xmpExt:DigitalSourceType="{DIGITAL_SOURCE_TYPE}">\
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{STATEMENT}</rdf:li></rdf:Alt></dc:description>\
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>""".encode()
# In PNG, XMP is an iTXt chunk (XMP specification part 3), which stands here ready to be put behind the header:
# OpenCV 5.0 writes tEXt instead, and reads past the end of the text it is given, so that equal frames give other bytes.
_PNG_HEADER_BYTES = 8 + 25  # signature and IHDR
_PNG_TEXT = b"XML:com.adobe.xmp\0\0\0\0\0" + XMP
_PNG_MARK = b"".join(
    [struct.pack(">I", len(_PNG_TEXT)), b"iTXt", _PNG_TEXT, struct.pack(">I", zlib.crc32(b"iTXt" + _PNG_TEXT))]
)
_JPEG_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"  # Adobe XMP specification part 3: how JPEG says that APP1 is XMP
_OPTIONS: dict[FrameFormat, list[int]] = {
    "png": [],  # OpenCV's defaults: a fifth of the time of the best compression for 10 % more bytes
    "webp": [cv2.IMWRITE_WEBP_QUALITY, 101],  # above 100 is lossless
    "jpeg": [
        cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ],
}  # fmt: skip


def encode_frame(frame: Image, frame_format: FrameFormat) -> bytes:
    """A frame, uint8 RGB [h, w, 3] or gray [h, w], as an image file whose XMP metadata says that it is synthetic."""
    picture = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    options = _OPTIONS[frame_format]
    if frame_format == "png":
        done, content = cv2.imencode(".png", picture, options)
    else:
        mark = np.frombuffer((_JPEG_XMP_HEADER if frame_format == "jpeg" else b"") + XMP, np.uint8)
        done, content = cv2.imencodeWithMetadata(
            SUFFIX[frame_format], picture, [cv2.IMAGE_METADATA_XMP], [mark], options
        )
    if not done:  # OpenCV reports no reason; it happens only for a build without the codec
        raise RuntimeError(f"the installed OpenCV cannot write {frame_format}")
    encoded = content.tobytes()
    if frame_format == "png":
        return encoded[:_PNG_HEADER_BYTES] + _PNG_MARK + encoded[_PNG_HEADER_BYTES:]
    return encoded


def encode_image(frame: Image, suffix: str) -> bytes:
    """A frame as `encode_frame`, in the format of a file's suffix; .bmp has no place for metadata.

    Raises:
        UsageError: a suffix of another format.
    """
    if suffix == ".bmp":
        picture = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        return cv2.imencode(".bmp", picture)[1].tobytes()
    formats: dict[str, FrameFormat] = {**{s: f for f, s in SUFFIX.items()}, ".jpeg": "jpeg"}
    if suffix not in formats:
        raise UsageError(f"image ending in {suffix}", expected="one of " + ", ".join([*formats, ".bmp"]))
    return encode_frame(frame, formats[suffix])
