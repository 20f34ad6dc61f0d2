"""Encode frames, each marked as synthetic."""

from __future__ import annotations

import struct
from typing import Literal

import cv2
import numpy as np
from isal import isal_zlib

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
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUECOLOR, _GRAY = 2, 0  # color types of IHDR
_ZLIB_HEADER = b"\x78\x5e"  # deflate, a window of 32 kB, a fast compressor
_SHORTEST_MATCH = 4  # of ISA-L
_RARE = sorted(range(256), key=lambda byte: abs(byte - 128))  # differences of rows are small, up or down
_UP = 2  # filter of every row: how it differs from the row above
_JPEG_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"  # Adobe XMP specification part 3: how JPEG says that APP1 is XMP
_OPTIONS: dict[FrameFormat, list[int]] = {
    "webp": [cv2.IMWRITE_WEBP_QUALITY, 101],  # above 100 is lossless
    "jpeg": [
        cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ],
}  # fmt: skip


def encode_frame(frame: Image, frame_format: FrameFormat) -> bytes:
    """A frame, uint8 RGB [h, w, 3] or gray [h, w], as an image file whose XMP metadata says that it is synthetic."""
    if frame_format == "png":
        return _png(frame)
    picture = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    mark = np.frombuffer((_JPEG_XMP_HEADER if frame_format == "jpeg" else b"") + XMP, np.uint8)
    done, content = cv2.imencodeWithMetadata(
        SUFFIX[frame_format], picture, [cv2.IMAGE_METADATA_XMP], [mark], _OPTIONS[frame_format]
    )
    if not done:  # OpenCV reports no reason; it happens only for a build without the codec
        raise RuntimeError(f"the installed OpenCV cannot write {frame_format}")
    return content.tobytes()


def _png(frame: Image) -> bytes:
    """PNG as its specification (W3C, third edition) has it, by ISA-L's deflate: a third of the time of OpenCV's
    and fewer bytes (docs/results/encoders.md)."""
    height, width = frame.shape[:2]
    rows = np.ascontiguousarray(frame).reshape(height, -1)
    data = bytearray(height * (1 + rows.shape[1]))
    filtered = np.frombuffer(data, np.uint8).reshape(height, -1)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, _GRAY if frame.ndim == 2 else _TRUECOLOR, 0, 0, 0)
    return b"".join([_PNG_SIGNATURE, _chunk(b"IHDR", header), _PNG_MARK, _chunk(b"IDAT", _deflated(data)), _PNG_END])


def _deflated(data: bytearray) -> bytes:
    """A zlib stream (RFC 1950), the same in every process.

    Where nothing precedes a stream, ISA-L looks up its third byte by the address of its own state in memory, not by
    what follows it (`.write_first_byte` in igzip_icf_body_h1_gr_bt.asm of 2.32): of a dozen sets of 45,000 pairs, two
    had an identity whose pictures were deflated otherwise, a byte or two shorter. So a byte precedes it here, as a
    dictionary: one that stands nowhere in the data, or not before what they begin with, so that nothing refers to it,
    and who reads the stream needs no dictionary.
    """
    before = next((byte for byte in _RARE if byte not in data), None)
    if before is None:
        start = data[: _SHORTEST_MATCH - 1]
        before = next((byte for byte in _RARE if bytes([byte]) + start not in data), None)
    if before is None:  # in no photo that we have seen all 256 stand before it
        return isal_zlib.compress(data, 1)
    deflate = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS, zdict=bytes([before]))
    return b"".join([_ZLIB_HEADER, deflate.compress(data), deflate.flush(), struct.pack(">I", isal_zlib.adler32(data))])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return b"".join(
        [
            struct.pack(">I", len(content)),
            kind,
            content,
            struct.pack(">I", isal_zlib.crc32(content, isal_zlib.crc32(kind))),
        ]
    )


# XMP specification part 3: in PNG, XMP is an iTXt chunk
_PNG_MARK = _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
_PNG_END = _chunk(b"IEND", b"")


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
