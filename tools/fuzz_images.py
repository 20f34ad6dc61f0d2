"""Throw damaged and odd pictures at the reader of images: `python -m tools.fuzz_images [INPUTS] [FIRST_SEED]`.

Each input is a small picture of some mode in some format that Pillow writes (read by miex or not), in which bytes are
changed; of PNGs whole chunks are changed too, with right checksums. The reader must give uint8 [h, w, 3] or an
ImageError that names the file. Inputs are read in a process that may take 2 GiB and 20 seconds for one, so that one
which ends or halts it is found, too.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from miex.images import MAX_PIXELS, ImageError, decode_image
from tools.fuzz_tables import damaged
from tools.fuzzing import fuzz

BATCH = 1_000
MOST_MEMORY = 2 * 2**30
MOST_SECONDS = 20
NAME = "fuzzed.jpg"
FORMATS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("JPEG", {}), ("JPEG", {"progressive": True}), ("JPEG", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}),
    ("PNG", {}), ("PNG", {"save_all": True}), ("WEBP", {}), ("WEBP", {"lossless": True}), ("WEBP", {"save_all": True}),
    ("BMP", {}), ("DIB", {}), ("GIF", {}), ("GIF", {"save_all": True}), ("PPM", {}), ("JPEG2000", {}), ("AVIF", {}),
    ("AVIF", {"save_all": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
    ("TIFF", {"compression": "tiff_adobe_deflate"}), ("TIFF", {"compression": "packbits"}),
    ("TIFF", {"compression": "group4"}), ("TIFF", {"save_all": True}), ("MPO", {"save_all": True}), ("ICO", {}),
    ("ICNS", {}), ("EPS", {}), ("PDF", {}), ("TGA", {}), ("PCX", {}), ("SGI", {}), ("DDS", {}), ("QOI", {}), ("IM", {}),
    ("MSP", {}), ("SPIDER", {}), ("XBM", {}), ("BLP", {}), ("PALM", {}),
)  # fmt: skip
OFTEN = (3, 4, 3)  # times that PNG is taken as often: it has the most modes and chunks
MODES = ("RGB", "RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "I;16", "I", "F", "YCbCr", "LAB", "HSV", "PA")
CHUNKS = (
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"iCCP", b"cHRM", b"gAMA", b"sRGB", b"sBIT", b"tEXt", b"zTXt", b"iTXt",
    b"pHYs", b"eXIf", b"tIME", b"acTL", b"fcTL", b"fdAT", b"bKGD", b"hIST", b"cICP", b"CgBI", b"IDOT", b"\0\0\0\0",
)  # fmt: skip
WORDS = (b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"IDAT", b"RIFF", b"II*\0", b"MM\0*", b"ftypavif", b"\0" * 40, b"P6\n")

# modes that libtiff does not write so; Pillow before 13 then overwrites memory that is not its own
_REFUSED = {"jpeg": {"1", "P", "I;16", "I", "F", "HSV", "PA"}, "group4": {*MODES} - {"1"}}


@cache
def _whole(form: int, mode: str) -> bytes | None:
    """A small picture of that mode in that format; None if Pillow does not write it so."""
    kind, options = FORMATS[form]
    if mode in _REFUSED.get(options.get("compression", ""), ()):
        return None
    luck = np.random.default_rng(form)
    picture = Image.fromarray(luck.integers(0, 256, (20, 24, 3), np.uint8)).resize((48, 40))
    try:
        if mode == "I;16":
            picture = Image.fromarray(np.asarray(picture.convert("L"), np.uint16) * 16)
        elif mode == "LAB":
            srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
            changed = ImageCms.applyTransform(picture, ImageCms.buildTransform(srgb, lab, "RGB", "LAB"))
            assert changed
            picture = changed
        else:
            picture = picture.convert(mode)
        more = {"append_images": [picture.transpose(Image.Transpose.ROTATE_180)]} if "save_all" in options else {}
        content = io.BytesIO()
        picture.save(content, kind, **options, **more)
    except Exception:  # Pillow says in many ways that a mode does not go with a format
        return None
    return content.getvalue()


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at + 12 <= len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def _with_changed_chunks(content: bytes, luck: random.Random) -> bytes:
    chunks = _chunks(content)
    for _ in range(luck.randrange(1, 4)):
        if not chunks:
            break
        at = luck.randrange(len(chunks))
        kind, data = chunks[at]
        match luck.randrange(8):
            case 0:
                del chunks[at]
            case 1:
                chunks.insert(luck.randrange(len(chunks) + 1), chunks[at])
            case 2:
                luck.shuffle(chunks)
            case 3:
                chunks[at] = luck.choice(CHUNKS), data
            case 4:
                chunks.insert(at, (luck.choice(CHUNKS), luck.randbytes(luck.choice([0, 1, 4, 13, 26, 80]))))
            case 5 if kind == b"IHDR" and len(data) == 13:
                width, height = (luck.choice([0, 1, 7, 48, 9_000, 70_000, 2**31 - 1, 2**32 - 1]) for _ in range(2))
                depth, color = luck.choice([0, 1, 2, 4, 8, 16, 32, 255]), luck.choice([0, 1, 2, 3, 4, 6, 7])
                rest = luck.choices([0, 0, 1, 9], k=3)
                chunks[at] = kind, struct.pack(">IIBBBBB", width, height, depth, color, *rest)
            case 6 if kind in (b"IDAT", b"zTXt", b"iCCP"):
                chunks[at] = kind, zlib.compress(luck.randbytes(luck.choice([0, 1, 100, 5_000])))
            case _:
                chunks[at] = kind, damaged(data, luck, WORDS)
    return content[:8] + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def make(seed: int) -> tuple[bytes, str]:
    """The input of a seed, and what it is."""
    luck = random.Random(seed)
    while True:
        form = luck.choice((*range(len(FORMATS)), *OFTEN))
        mode = luck.choice(MODES)
        content = _whole(form, mode)
        if content is not None:
            break
    kind = FORMATS[form][0]
    if luck.random() < 0.02:
        return content, f"{kind} whole"
    if kind == "PNG" and luck.random() < 0.7:
        return _with_changed_chunks(content, luck), "PNG chunks"
    head = luck.choice([40, 200, len(content)])  # mostly where the headers are
    return damaged(content[:head], luck, WORDS) + content[head:], f"{kind} bytes"


def taken(content: bytes) -> str:
    """How a picture was taken: read, refused, or what went wrong."""
    try:
        picture = decode_image(content, NAME)
    except ImageError as error:
        return "refused" if NAME in error.asked and error.found and error.do else f"no file named: {error}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size > 3 * MAX_PIXELS:
        return f"{picture.dtype} {picture.shape}"
    return "read"


def judge(seed: int) -> tuple[str, str]:
    """What the input of a seed is, and how it was taken."""
    content, what = make(seed)
    return what, taken(content)


if __name__ == "__main__":
    fuzz("tools.fuzz_images", judge, inputs=20_000, batch=BATCH, memory=MOST_MEMORY, seconds=MOST_SECONDS)
