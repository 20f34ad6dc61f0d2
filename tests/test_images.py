"""Photos as people have them: right pixels, or a ImageError with its reason; nothing else, and little memory."""

from __future__ import annotations

import io
import os
import pickle
import resource
import struct
import sys
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL import features
from PIL.PngImagePlugin import PngInfo
from skimage import data
from tools.fuzz_images import judge

from miex import images
from miex.errors import InputError
from miex.images import (
    FrameReader,
    Image,
    ImageError,
    decode_image,
    other_format,
    read_clip,
    read_image,
    read_noted,
)
from tests.support import png

ORIENTATION = 0x0112
SMALL: Image = data.astronaut()[20:84, 200:240]  # 64 × 40, every turn shows
LOSSLESS = [("PNG", {}), ("WEBP", {"lossless": True})]
OF_CORPORA = [("BMP", {}), ("TIFF", {})]  # SMIC is distributed as BMP


def encode(picture: Image | PillowImage.Image, kind: str, **options: Any) -> bytes:
    image = PillowImage.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def decode(content: bytes) -> Image:
    return decode_image(content, "some.jpg")


def refused(content: bytes) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(content)
    assert caught.value.asked == "image some.jpg"
    assert "0x" not in caught.value.found  # no addresses of Python objects
    return caught.value


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """EXIF of (tag, type, count, four bytes of value), big-endian."""
    fields = b"".join(struct.pack(">HHI", *entry[:3]) + entry[3].ljust(4, b"\0") for entry in entries)
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", len(entries)) + fields + b"\0\0\0\0"


def stored(upright: Image, first_row: str, first_column: str) -> Image:
    """The pixels of a file whose row 0 and column 0 are these sides of the upright picture (EXIF 2.3, tag 274)."""
    # with a side in row 0, rows of the file are columns of the picture
    picture = upright if first_row in ("top", "bottom") else upright.swapaxes(0, 1)
    picture = picture[::-1] if first_row in ("bottom", "right") else picture
    return np.ascontiguousarray(picture[:, ::-1] if first_column in ("bottom", "right") else picture)


@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
@pytest.mark.parametrize(
    ("orientation", "first_row", "first_column"),
    [
        (1, "top", "left"), (2, "top", "right"), (3, "bottom", "right"), (4, "bottom", "left"),
        (5, "left", "top"), (6, "right", "top"), (7, "right", "bottom"), (8, "left", "bottom"),
    ],
)  # fmt: skip
def test_every_exif_orientation_is_turned_upright(
    orientation: int, first_row: str, first_column: str, kind: str, options: dict[str, Any]
) -> None:
    tags = PillowImage.Exif()
    tags[ORIENTATION] = orientation
    content = encode(stored(SMALL, first_row, first_column), kind, exif=tags, **options)
    np.testing.assert_array_equal(decode(content), SMALL)


@pytest.mark.parametrize(
    "broken",
    [
        exif((ORIENTATION, 3, 1, b"\0\x06"), (0x011A, 2, 4, b"abc\0")),  # a resolution that is text
        exif((ORIENTATION, 3, 1, b"\0\x06"), (0x8769, 2, 4, b"abc\0")),  # a table's place that is text
        exif((ORIENTATION, 3, 1, b"\0\x06"), (0x010F, 2, 999, b"\0\xff\xff\xff")),  # text beyond the end
    ],
)
def test_broken_metadata_beside_the_orientation_do_not_hurt(broken: bytes) -> None:
    photo = encode(stored(SMALL, "right", "top"), "JPEG", quality=100, subsampling=0, exif=broken)
    assert abs(decode(photo).astype(int) - SMALL).mean() < 2


@pytest.mark.parametrize(
    "broken",
    [
        b"Exif\0\0what is this",
        b"Exif\0\0MM\0*",
        exif((ORIENTATION, 2, 4, b"abc\0")),
        exif((ORIENTATION, 3, 1, b"\0\x63")),
    ],
)
def test_no_orientation_in_broken_metadata_is_upright(broken: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("JPEG", "PNG", "WEBP"):
            assert decode(encode(SMALL, kind, exif=broken)).shape == SMALL.shape


@pytest.mark.parametrize(("kind", "options"), [*LOSSLESS, *OF_CORPORA])
def test_color_is_kept(kind: str, options: dict[str, Any]) -> None:
    np.testing.assert_array_equal(decode(encode(SMALL, kind, **options)), SMALL)


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_gray_and_palette(mode: str) -> None:
    image = PillowImage.fromarray(SMALL).convert(mode)
    np.testing.assert_array_equal(decode(encode(image, "PNG")), np.asarray(image.convert("RGB")))


def test_cmyk_jpeg() -> None:
    image = PillowImage.fromarray(SMALL).convert("CMYK")
    assert abs(decode(encode(image, "JPEG", quality=100)).astype(int) - SMALL).mean() < 2


def test_phone_jpeg_with_a_second_picture_inside() -> None:
    content = encode(SMALL, "MPO", save_all=True, append_images=[PillowImage.new("RGB", (9, 9))], quality=100)
    assert abs(decode(content).astype(int) - SMALL).mean() < 2


VALUES = np.array([0, 1, 255, 256, 32767, 32768, 65279, 65280, 65535], ">u2")


@pytest.mark.parametrize(("color", "channels"), [(0, 1), (2, 3)])
def test_16_bit_gray_and_color_agree(color: int, channels: int) -> None:
    content = png(len(VALUES), 1, 16, color, b"\0" + VALUES.repeat(channels).tobytes())
    expected = [0, 0, 0, 1, 127, 128, 254, 255, 255]  # the high byte
    np.testing.assert_array_equal(decode(content), np.repeat(expected, 3).reshape(1, -1, 3))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
def test_transparency_is_laid_over_mid_gray(mode: str, kind: str, options: dict[str, Any]) -> None:
    image = PillowImage.fromarray(SMALL).convert(mode)
    alpha = np.linspace(0, 255, SMALL.size // 3).reshape(SMALL.shape[:2]).astype(np.uint8)
    image.putalpha(PillowImage.fromarray(alpha))
    color = np.asarray(image.convert("RGBA"), float)[..., :3]
    share = alpha[..., None] / 255
    expected = color * share + 128 * (1 - share)
    found = decode(encode(image, kind, exact=True, **options))
    assert abs(found - expected).max() <= 1


def test_transparent_color_of_a_palette() -> None:
    image = PillowImage.new("P", (2, 1))
    image.putpalette([200, 10, 30, 7, 8, 9])
    image.putdata([0, 1])
    np.testing.assert_array_equal(decode(encode(image, "PNG", transparency=0)), [[[128] * 3, [7, 8, 9]]])


@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
def test_first_frame_of_an_animation(kind: str, options: dict[str, Any]) -> None:
    more = [PillowImage.fromarray(SMALL[::-1].copy())]
    content = encode(SMALL, kind, save_all=True, append_images=more, duration=100, **options)
    np.testing.assert_array_equal(decode(content), SMALL)


def peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@pytest.mark.parametrize("side", [8001, 12000, 20000])  # below, between and above Pillow's own two limits
def test_too_large_is_refused_by_its_header(side: int) -> None:
    before = peak_bytes()
    error = refused(png(side, side, 8, 2, b"not pixels"))
    assert error.reason == "too large"
    assert error.expected == "at most 64 megapixels"
    assert str(side) in error.found or str(side**2) in error.found
    assert peak_bytes() - before < 30e6  # its pixels would be 192 MB and more


def test_limit_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 64 * 40)
    assert decode(encode(SMALL, "PNG")).shape == (64, 40, 3)
    monkeypatch.setattr(images, "MAX_PIXELS", 64 * 40 - 1)
    assert refused(encode(SMALL, "PNG")).reason == "too large"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a letter to my mother",
        b"\xff\xd8\xff",
        png(64, 40, 8, 2, b"\0" * 100),  # too few rows
        png(64, 40, 8, 2, b"")[:-30] + b"\0" * 30,
        encode(SMALL, "PNG").replace(b"IDAT", b"IDOT"),
        png(0, 40, 8, 2, b""),
        png(64, 40, 3, 2, b""),
    ],
)
def test_broken_files(content: bytes) -> None:
    assert refused(content).reason == "unreadable"


@pytest.mark.parametrize("kind", ["EPS", "SGI", "QOI", "PDF"])
def test_other_formats_are_refused_whatever_their_name(kind: str) -> None:
    assert refused(encode(SMALL, kind)).expected.startswith("a whole image of JPEG, PNG, WEBP")


READ = [*LOSSLESS, *OF_CORPORA, ("DIB", {}), ("PPM", {}), ("JPEG2000", {}), ("TGA", {}), ("PCX", {}), ("DDS", {})]
READ += [("TGA", {"compression": "tga_rle"}), ("ICO", {}), ("ICO", {"bitmap_format": "bmp"})]
NAMES = ["a.jpg", "a.JPEG", "a.png", "a.heic", "A.HEIF", "a.avif", "a.jxl", "a.dng", "a.mov", "a.tga", "a.pcx", "a.psd"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("kind", "options"), READ)
def test_content_decides_what_a_file_holds(kind: str, options: dict[str, Any], name: str, tmp_path: Path) -> None:
    """Phones and messengers call JPEG files .heic."""
    if (kind, name) == ("TIFF", "a.dng"):
        return  # a raw photo
    picture: Image = data.astronaut()[20:84, 200:264] if kind == "ICO" else SMALL
    options = {"sizes": [(64, 64)], **options} if kind == "ICO" else options
    (tmp_path / name).write_bytes(encode(picture, kind, **options))
    assert other_format(tmp_path / name) is None
    np.testing.assert_array_equal(read_image(tmp_path / name), picture)


@pytest.mark.parametrize("name", ["a.tif", "a.jpg", "a.dng"])
@pytest.mark.parametrize("tags", [{50706: b"\1\4\0\0"}, {254: 1, 330: 8}])  # DNG's version; a preview of others
def test_a_raw_photo_is_not_its_preview(tags: dict[int, Any], name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(encode(SMALL, "TIFF", tiffinfo=tags))
    with pytest.raises(ImageError, match="found: a raw photo") as caught:
        read_image(tmp_path / name)
    assert (caught.value.reason, caught.value.do) == ("other format", "convert it to PNG or JPEG")


def test_an_old_tga_file_is_known_by_its_name(tmp_path: Path) -> None:
    content = encode(SMALL, "TGA")[:-26]
    (tmp_path / "a.tga").write_bytes(content)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tga"), SMALL)
    assert refused(content).reason == "unreadable"


def icon(inner: bytes) -> bytes:
    return b"\0\0\1\0\1\0" + bytes([64, 64, 0, 0, 1, 0, 32, 0]) + struct.pack("<II", len(inner), 22) + inner


@pytest.mark.parametrize(
    "inner", [png(9000, 9000, 8, 2, b""), struct.pack("<IiiHHI", 40, 9000, 18000, 1, 32, 0) + b"\0" * 60]
)
def test_an_icon_is_measured_before_it_is_decoded(inner: bytes) -> None:
    error = refused(icon(inner))
    assert error.reason == "too large"
    assert error.found.startswith("9000 by ")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"not to be told", ("a HEIC photo", "convert it to PNG or JPEG")),
        (b"\0\0\0\x18ftypheic" + b"\0" * 90, ("a HEIC photo", "convert it to PNG or JPEG")),
        (b"\0\0\0\x18ftypisom" + b"\0" * 90, ("a video", "save frames of it as PNG or JPEG")),
        (b"", None),  # broken: reading says how
        (b"\0" * 99, None),
    ],
)
def test_what_a_file_is_that_is_called_heic(content: bytes, found: tuple[str, str] | None, tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(content)
    assert other_format(path) == found
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert (caught.value.reason == "other format") == (found is not None)


@pytest.mark.parametrize("kind", ["PPM", "DIB", *(["AVIF"] if features.check("avif") else [])])
def test_formats_that_cameras_and_databases_have(kind: str) -> None:
    options = {"quality": 100, "subsampling": "4:4:4"} if kind == "AVIF" else {}
    assert abs(decode(encode(SMALL, kind, **options)).astype(int) - SMALL).max() <= (12 if kind == "AVIF" else 0)


@pytest.mark.parametrize(
    ("content", "found", "reason"),
    [
        (b"\0\0\0\x18ftypheic" + b"\0" * 90, "a HEIC photo", "other format"),
        (b"\0\0\0\x18ftypisom" + b"\0" * 90, "a video", "other format"),
        (b"<!DOCTYPE html><html>", "a web page or XML", "unreadable"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS", "unreadable"),
        (b"\0" * 500, "nothing but zeros", "unreadable"),
        (b"", "0 bytes", "unreadable"),
    ],
)
def test_what_a_file_is_that_is_called_jpg(content: bytes, found: str, reason: str) -> None:
    error = refused(content)
    assert (error.found, error.reason) == (found, reason)
    assert error.do


@pytest.mark.parametrize("raised", [AssertionError, IndexError, MemoryError, RecursionError, struct.error, KeyError])
def test_whatever_a_decoder_raises_is_an_image_error(raised: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: object) -> None:
        raise raised("within")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    assert refused(encode(SMALL, "PNG")).found == f"{raised.__name__}: " + (
        "'within'" if raised is KeyError else "within"
    )


def test_a_palette_image_without_its_palette() -> None:
    assert refused(png(2, 1, 8, 3, b"\0\0\1")).reason == "unreadable"


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_fewer_bits_in_sixteen(tmp_path: Path, bits: int) -> None:
    values = (np.array([[0, 1, 128, 255]]) << (bits - 8)).astype(np.uint16)
    PillowImage.fromarray(values).save(tmp_path / "a.png")
    pixels, note = read_noted(tmp_path / "a.png")
    assert pixels[0, :, 0].tolist() == [0, 1, 128, 255]
    assert note == ("" if bits == 16 else f"{bits} bits are used")


def test_what_is_not_shown_is_said(tmp_path: Path) -> None:
    for name, note, options in (
        ("a.gif", "the first frame of an animation is taken", {"save_all": True}),
        ("a.tif", "the first page is taken", {"save_all": True}),
        ("a.png", "", {}),
    ):
        more = {"append_images": [PillowImage.fromarray(SMALL[::-1].copy())]} if options else {}
        PillowImage.fromarray(SMALL).save(tmp_path / name, **options, **more)
        assert read_noted(tmp_path / name)[1] == note
    seen = PillowImage.fromarray(SMALL).convert("RGBA")
    seen.save(tmp_path / "opaque.png")
    assert read_noted(tmp_path / "opaque.png")[1] == ""
    seen.putalpha(100)
    seen.save(tmp_path / "clear.png")
    assert read_noted(tmp_path / "clear.png")[1] == "transparency is laid over gray"


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_pipes_and_devices_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "zero.png"):
        with pytest.raises(ImageError, match="a pipe, device or socket"):
            read_image(tmp_path / name)


def test_fuzzed_pictures_are_read_or_refused() -> None:
    """`python -m tools.fuzz_images` reads more of them, within bounds of memory."""
    taken = Counter(judge(seed)[1] for seed in range(300))
    assert taken.keys() == {"read", "refused"}


WHOLE = [
    encode(SMALL, "JPEG"),
    encode(SMALL, "JPEG", progressive=True),
    *(encode(SMALL, k, **o) for k, o in (*LOSSLESS, *OF_CORPORA)),
]
TAGGED = PillowImage.Exif()
TAGGED[ORIENTATION], TAGGED[0x010F], TAGGED[0x011A] = 6, "a maker", 72.0
MANY = [
    *WHOLE,
    *(encode(SMALL, kind, exif=TAGGED) for kind in ("JPEG", "PNG", "WEBP")),
    encode(PillowImage.fromarray(SMALL).convert("P"), "PNG", transparency=3),
    encode(SMALL, "PNG", save_all=True, append_images=[PillowImage.fromarray(SMALL[::-1].copy())]),
    encode(SMALL, "MPO", save_all=True, append_images=[PillowImage.fromarray(SMALL)], exif=TAGGED),
]


@given(st.sampled_from(WHOLE), st.floats(0, 0.95))
def test_truncated_files(content: bytes, part: float) -> None:
    assert refused(content[: int(part * len(content))]).reason == "unreadable"


@settings(max_examples=400)
@given(st.sampled_from(MANY), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6))
@example(MANY[4], [(0.05, 0)])
def test_whatever_the_bytes_nothing_but_photo_errors(content: bytes, changes: list[tuple[float, int]]) -> None:
    changed = bytearray(content)
    for place, byte in changes:
        changed[int(place**3 * len(content))] = byte  # mostly in the headers
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            photo = decode(bytes(changed))
        except ImageError:
            return
    assert photo.dtype == np.uint8
    assert photo.shape[2:] == (3,)


def test_paths_that_are_no_photo(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    for name in ("absent.jpg", "folder.jpg"):
        with pytest.raises(ImageError, match=f"image {name}\n") as caught:
            read_image(tmp_path / name)
        assert caught.value.reason == "unreadable"
        assert str(tmp_path) not in str(caught.value)


def test_error_crosses_processes_whole() -> None:
    error = ImageError("photo a", expected="b", found="c", do="d", reason="too large")
    error.add_note("while indexing")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, InputError)
    assert (str(again), again.reason, again.__notes__) == (str(error), "too large", ["while indexing"])


def test_frames_of_a_clip_are_read_by_their_index_and_none_is_held(tmp_path: Path) -> None:
    """The same frames as one after the other, in any order; 200 of them take the memory of a few."""
    rng, n, shape = np.random.default_rng(0), 200, (64, 80, 3)
    video = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (80, 64))
    (tmp_path / "clip").mkdir()
    for i in range(n):
        frame = np.full(shape, i, np.uint8) + rng.integers(0, 20, shape, np.uint8)
        video.write(frame)
        cv2.imwrite(str(tmp_path / "clip" / f"{i}.png"), frame)
    video.release()
    for path in (tmp_path / "clip.avi", tmp_path / "clip"):
        every, reader = list(read_clip(path)), FrameReader(path)
        assert len(every) == n
        for i in (0, 199, 3, 3, 4, 150, 7):
            assert np.array_equal(reader.read(i), every[i])
        assert len(reader) == n
        assert reader.reaches(n - 1)
        assert not reader.reaches(n)
        with pytest.raises(InputError, match="frame 200 of clip"):
            reader.read(n)
        assert np.array_equal(reader.read(199), every[199])
        del every
        tracemalloc.start()
        for i in range(n):
            reader.read(i)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20 * np.prod(shape)
    (tmp_path / "none").mkdir()
    (tmp_path / "none.avi").write_bytes(b"none")
    for name in ("none", "none.avi"):
        with pytest.raises(InputError, match="no frame"):
            FrameReader(tmp_path / name)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16"])
def test_what_a_png_claims_is_what_pillow_says(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, cut anywhere before its pixels, or with a flipped bit there."""
    whole, told = io.BytesIO(), PngInfo()
    told.add_text("what", "made")
    PillowImage.new(mode, (7, 5)).save(whole, "png", pnginfo=told)
    content = whole.getvalue()
    assert images.claimed(content) == ("png", 7, 5)
    until = content.index(b"IDAT") + 4
    odd = [content[:n] for n in range(until)]
    odd += [content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :] for at in range(until)]

    def said(content: bytes) -> object:
        try:
            return images.claimed(content)
        except ValueError:
            return None

    found = [said(one) for one in odd]
    monkeypatch.setattr(images, "_png_size", lambda content: None)
    assert found == [said(one) for one in odd]
