"""Read all pictures as upright 8-bit RGB: photos, frames of corpora and sets, and videos."""

from __future__ import annotations

import errno
import io
import re
import stat
import struct
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

import cv2
import numpy as np
import numpy.typing as npt
from isal import isal_zlib
from PIL import ExifTags, features
from PIL import Image as PillowImage

from miex.errors import InputError

Image = npt.NDArray[np.uint8]

FRAME_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})  # of frames
_AVIF = features.check("avif")  # not every build of Pillow has it
SUFFIXES = (  # of photos
    FRAME_SUFFIXES
    | {".jpe", ".jfif", ".jif", ".mpo", ".apng", ".dib", ".gif", ".pbm", ".pgm", ".ppm", ".pnm", ".jp2", ".j2k"}
    | {".j2c", ".jp2k", ".jpc", ".jpf", ".jpx", ".tga", ".icb", ".vda", ".vst", ".pcx", ".dds", ".ico"}
    | ({".avif", ".avifs"} if _AVIF else set())
)
# Pillow's decoders that are allowed, whatever the name says. All others stay out: some start programs (EPS), some take
# long for short files (QOI), and photos of faces do not come in them.
_FORMATS = (
    "JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM", "JPEG2000", *(("AVIF",) if _AVIF else ()), "DDS", "ICO",
    "PCX", "TGA",
)  # fmt: skip
_PNG = b"\x89PNG\r\n\x1a\n"
_PLAIN_PNG = (bytes([8, 0, 0, 0, 0]), bytes([8, 2, 0, 0, 0]))  # how the header of one of 8-bit gray, or colors, ends
_TGA_SUFFIXES, _TGA_END = (".tga", ".icb", ".vda", ".vst"), b"TRUEVISION-XFILE.\0"
CONVERT: Final = "convert it to PNG or JPEG"
_TAKE_FRAMES: Final = "save frames of it as PNG or JPEG"
_UNPACK: Final = "unpack it"
_RAW: Final = "a raw photo"
_RESTORE: Final = "make it readable, or restore it"
_OTHERS: Final = (  # what else holds pictures: what it is, what to do, suffixes
    ("a HEIC photo", CONVERT, ".heic .heif .hif .heics .avci"),
    ("an AVIF picture", CONVERT, ".avif .avifs"),
    ("a JPEG XL picture", CONVERT, ".jxl"),
    (
        _RAW, CONVERT,
        ".3fr .ari .arw .cap .cr2 .cr3 .crw .dcr .dng .erf .fff .gpr .iiq .k25 .kdc .mef .mos .mrw .nef .nrw .orf .pef "
        ".ptx .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f",
    ),
    (
        "a picture of another format", CONVERT,
        ".bpg .cur .dcm .dcx .emf .eps .exr .fit .fits .flif .hdr .icns .im .jng .jpm .jxr .mng .msp .odg .pam .pcd "
        ".pfm .pic .pict .pix .ps .psb .psd .qoi .ras .rgb .rgba .sgi .svg .svgz .wbmp .wdp .wmf .xbm .xcf .xpm",
    ),
    (
        "a video", _TAKE_FRAMES,
        ".3gp .asf .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .vob .webm .wmv",
    ),
)  # fmt: skip
_OTHER_SUFFIXES = {suffix: (what, do) for what, do, suffixes in _OTHERS for suffix in suffixes.split()}
_OF_OTHER_FORMATS: Final = (CONVERT, _TAKE_FRAMES, _UNPACK)
_PACKED = frozenset({".gz", ".bz2", ".xz", ".zst", ".lz4", ".z"})
_MAGIC: Final = (  # how a file begins that is no picture, or one that is not read
    (rb"\0*\Z", "nothing but zeros", "copy or download it again"),
    (rb"....ftyp(?:hei|hev|mif1|msf1)", "a HEIC photo", CONVERT),
    (rb"....ftypavi", "an AVIF picture", CONVERT),
    (rb"....ftypcrx|FUJIFILMCCD|II(?:RO|RS|U\0)|II\*\0....CR|\0MRM", _RAW, CONVERT),
    (rb"....(?:ftyp|moov|mdat)|\x1aE\xdf\xa3|RIFF....AVI |\0\0\x01\xba", "a video", _TAKE_FRAMES),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "a JPEG XL picture", CONVERT),
    (rb"8BPS|%!PS|%PDF|qoif", "a picture of another format", CONVERT),
    (rb"PK\x03\x04|\x1f\x8b|BZh|\xfd7zXZ|7z\xbc|Rar!", "an archive", _UNPACK),
    (rb"(?i:\s*<(?:!doctype|html|\?xml|svg))", "a web page or XML", "download the photo again"),
    (rb"version https://git-lfs", "a pointer of Git LFS", "fetch the photo itself: git lfs pull"),
)
_ICO: Final = b"\0\0\1\0"
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
MAX_BYTES = 8 * MAX_PIXELS  # of a photo's file: so many pixels of four channels of 16 bits, not packed


class ImageError(InputError):
    """An image that cannot be read. `reason` is one short word for tables."""

    def __init__(
        self, asked: str, *, expected: str = "", found: str = "", do: str = "", reason: str = "unreadable"
    ) -> None:
        super().__init__(asked, expected=expected, found=found, do=do)
        self.reason = reason

    @property
    def out_of_reach(self) -> bool:
        """Whether its bytes could not be asked for (permission, a broken disk): it may be whole.

        Where it was raised: another process is not told what caused it.
        """
        return _beyond_reach(self.__cause__)


def _beyond_reach(error: BaseException | None) -> bool:
    # Pillow's errors of broken pictures have no number, or EINVAL where they point before the file
    return isinstance(error, OSError) and error.errno not in (None, errno.ENOENT, errno.ENOTDIR, errno.EINVAL)


def is_picture_name(name: str) -> bool:
    """Whether a name is that of a picture or video, read or not."""
    return Path(name).suffix.lower() in SUFFIXES or _told_by_name(name) is not None


def other_format(path: Path) -> tuple[str, str] | None:
    """What a file holds whose name is that of pictures or videos which are not read, and what to do.

    None for all other names, and for files of such names that hold a picture which is read after all (phones and
    messengers call JPEG files .heic), or of which reading says what is wrong.
    """
    named = _told_by_name(path.name)
    if named is None:
        return None
    try:
        with open_file(path) as file:
            if _is_read(file, path.name):
                return None
            told = _told_by_content(file) or named
    except OSError:
        return None
    return told if told[1] in _OF_OTHER_FORMATS else None


def _told_by_name(name: str) -> tuple[str, str] | None:
    *_, inner, suffix = ("", "", *Path(name.lower()).suffixes)
    if suffix in _PACKED and inner in SUFFIXES | _OTHER_SUFFIXES.keys():
        return "a compressed picture", _UNPACK
    return None if suffix in SUFFIXES else _OTHER_SUFFIXES.get(suffix)


def _is_read(file: BinaryIO, name: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"), _picture_in(file, name):
            return True
    except PillowImage.DecompressionBombError:
        return True
    except Exception:  # decoders raise whatever they stumble on
        return False


def open_file(path: Path, most: int | None = None) -> io.BufferedReader:
    """A file, opened to be read. What could wait or never end (pipes, devices, sockets, links to them) is not opened,
    nor what has more than so many bytes.

    Raises:
        OSError: that, or it cannot be opened.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError("a folder" if stat.S_ISDIR(found.st_mode) else "a pipe, device or socket")
    if most is not None and found.st_size > most:
        raise OSError(f"{found.st_size:,} bytes, where a picture has at most {most:,}")
    return path.open("rb")


def read_image(path: Path) -> Image:
    """The image in a file; see `decode_image`."""
    return read_noted(path)[0]


def read_noted(path: Path) -> tuple[Image, str]:
    """The image in a file, and what of the file it does not show: text for people, empty if there is nothing to say."""
    try:
        with open_file(path) as file:
            return _decode(file, path.name)
    except OSError as error:
        raise ImageError(
            f"image {path.name}", expected="a file that can be read", found=error.strerror or str(error),
            do=_RESTORE if _beyond_reach(error) else "replace or remove it",
        ) from error  # fmt: skip


def decode_image(content: bytes, name: str) -> Image:
    """The image that these bytes hold, uint8 RGB [h, w, 3], turned upright by its EXIF orientation.

    Gray, palette and CMYK images are converted, color profiles are not applied. Of 16 bits the upper 8 are taken; a
    gray image of 16 bits holds 8, 10, 12 or 14 if its largest value says so, as those of cameras for near infrared do.
    Transparency is laid over mid gray; of animations the first frame is taken, of several pages the first.

    Args:
        content: of a JPEG, PNG, WebP, BMP, TIFF, GIF, PBM, PGM, PPM, JPEG 2000, TGA, PCX, DDS or ICO file (of icons
            the largest), or AVIF where Pillow reads it.
        name: of the image. The content decides what it is, but a TIFF with the name of a raw photo is one, and a TGA
            file without its mark at the end is known by its name alone.

    Raises:
        ImageError: empty, truncated, not an image that is read, or larger than MAX_PIXELS (reason "unreadable", "other
            format" or "too large"), whatever the decoder found wrong.
    """
    return _decode(io.BytesIO(content), name)[0]


def claimed(content: bytes) -> tuple[str, int, int]:
    """What the header of an image says, without decoding it: (format as "png", width, height).

    Raises:
        ValueError: these bytes are no image.
    """
    if size := _png_size(content):  # of which sets are made; Pillow takes a twentieth of the time of decoding for this
        return "png", *size
    try:
        with warnings.catch_warnings(action="ignore"), PillowImage.open(io.BytesIO(content), formats=_FORMATS) as seen:
            return (seen.format or "").lower(), *seen.size
    except Exception as error:  # as in `_decode`
        raise ValueError(f"a frame that is no image: {type(error).__name__}") from error


def _png_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG of 8-bit gray or colors whose chunks up to the pixels are whole; None for all else."""
    at, size = len(_PNG), None
    while content.startswith(_PNG) and at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind == b"IDAT":
            return size
        end = at + 8 + length
        chunk = memoryview(content)[at + 4 : end]
        if content[end : end + 4] != isal_zlib.crc32(chunk).to_bytes(4, "big"):
            return None
        if size is None:
            if kind != b"IHDR" or length != 13 or content[end - 5 : end] not in _PLAIN_PNG:
                return None
            size = struct.unpack_from(">II", content, at + 8)
        at = end + 4
    return None


def _decode(file: BinaryIO, name: str) -> tuple[Image, str]:
    asked = f"image {name}"
    try:
        # warnings are about odd metadata, which does not hurt
        with warnings.catch_warnings(action="ignore"), _picture_in(file, name) as opened:
            opened.load()
            pixels, note = _rgb(_upright(opened))
            return pixels, "; ".join(filter(None, (_part(opened), note)))
    except PillowImage.DecompressionBombError as error:  # ours, or from Pillow's own limit above it
        raise ImageError(
            asked,
            expected=f"at most {MAX_PIXELS // 1_000_000} megapixels",
            found=str(error),
            do="scale it down; a face needs a few hundred pixels",
            reason="too large",
        ) from error
    except Exception as error:  # decoders raise whatever they stumble on, such as AssertionError, or MemoryError
        raw = (_RAW, CONVERT) if isinstance(error, _RawError) else None
        read = ("", _RESTORE) if _beyond_reach(error) else _told_by_content(file)
        what, do = raw or read or _told_by_name(name) or ("", "replace or remove it")
        said = str(error).replace(str(file), name)
        found = f"{type(error).__name__}: {said}" if said else f"a decoder that gave up ({type(error).__name__})"
        raise ImageError(
            asked, expected=f"a whole image of {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}", found=what or found,
            do=do, reason="other format" if do in _OF_OTHER_FORMATS else "unreadable",
        ) from error  # fmt: skip


class _RawError(Exception):
    """A raw photo, of which Pillow would show a small preview."""


def _picture_in(file: BinaryIO, name: str) -> PillowImage.Image:
    """The picture in a file, as its header tells it; raises what Pillow raises, or _RawError."""
    if file.read(len(_ICO)) == _ICO:
        _measure_icons(file)
    formats = _FORMATS if _is_tga(file, name) else _FORMATS[:-1]
    opened = PillowImage.open(file, formats=formats)
    _limit(*opened.size)
    tags = getattr(opened, "tag_v2", {}) if opened.format == "TIFF" else {}
    # a version of DNG, or a first picture that is a preview (NewSubfileType) of others (SubIFDs), as in NEF and ARW
    if opened.format == "TIFF" and (
        (_told_by_name(name) or ("",))[0] == _RAW or 50706 in tags or (tags.get(254) == 1 and 330 in tags)
    ):
        raise _RawError
    return opened


def _limit(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise PillowImage.DecompressionBombError(f"{width} by {height} pixels in its header")


def _is_tga(file: BinaryIO, name: str) -> bool:
    """TGA files begin with nothing that tells them, and only newer ones end with their mark."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - len(_TGA_END)))
    ending = file.read()
    file.seek(0)
    return name.lower().endswith(_TGA_SUFFIXES) or ending == _TGA_END


def _measure_icons(file: BinaryIO) -> None:
    """Pillow decodes the largest icon on opening, as large as this icon's own header says."""
    (count,) = struct.unpack("<H", file.read(2))
    entries = [entry for _ in range(count) if len(entry := file.read(16)) == 16]
    for entry in entries:
        file.seek(int.from_bytes(entry[12:], "little"))
        head = file.read(24)
        if head.startswith(b"\x89PNG") and len(head) == 24:
            _limit(*struct.unpack(">II", head[16:]))
        elif len(head) == 24:
            width, height = struct.unpack("<Ii", head[4:12]) if head[0] != 12 else struct.unpack("<HH", head[4:8])
            _limit(width, abs(height))


def _told_by_content(file: BinaryIO) -> tuple[str, str] | None:
    with suppress(OSError, ValueError):
        file.seek(0)
        head = file.read(64)
        if not head:
            return "0 bytes", "copy or download it again"
        for pattern, what, do in _MAGIC:
            if re.match(pattern, head, re.DOTALL):
                return what, do
    return None


def _upright(image: PillowImage.Image) -> PillowImage.Image:
    # ImageOps.exif_transpose writes the other tags anew, and raises what not when they are broken
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # broken metadata, which Pillow reports in many ways; the pixels are whole
        return image
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _part(image: PillowImage.Image) -> str:
    """Which part of a file with several pictures is shown; phones put a depth map beside the photo, which is none."""
    with suppress(Exception):  # frames behind the first may be broken
        if image.format != "MPO" and getattr(image, "is_animated", False):
            return "the first page is taken" if image.format == "TIFF" else "the first frame of an animation is taken"
    return ""


def _rgb(image: PillowImage.Image) -> tuple[Image, str]:
    note = ""
    if image.mode.startswith("I"):  # gray of 16 bits, or of 32
        values = np.asarray(image)
        least, most = int(values.min()), int(values.max())
        if least < 0 or most > 0xFFFF:
            raise ValueError(f"gray values from {least} to {most}, which is more than 16 bits")
        used = next(bits for bits in (8, 10, 12, 14, 16) if most < 1 << bits)
        note = f"{used} bits are used" if used < 16 else ""
        # the upper bits, as Pillow does for 16-bit color
        return np.repeat((values >> (used - 8)).astype(np.uint8)[..., None], 3, axis=2), note
    if image.mode == "F":
        raise ValueError("pixels that are no whole numbers: what is white is not said")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        if np.asarray(rgba)[..., 3].min() < 255:
            note = "transparency is laid over gray"
        ground = PillowImage.new("RGBA", rgba.size, (128, 128, 128, 255))
        image = PillowImage.alpha_composite(ground, rgba)
    # of what is RGB already, Pillow would make a copy, which takes as long as decoding it
    return np.array(image if image.mode == "RGB" else image.convert("RGB"), dtype=np.uint8), note


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
        raise _no_frame(path)


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
    video = _opened(path)
    opened = video.isOpened()
    count, rate = (float(video.get(what)) for what in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS))
    video.release()
    if not opened:
        raise InputError(
            f"clip {path}", expected="a video, or a folder of its frames", found="a file that is no readable video",
            do="check the file, or convert it",
        )  # fmt: skip
    return max(0, int(count)), rate if 0 < rate < float("inf") else None


class FrameReader:
    """The frames of a clip of your own, by index; none is held.

    Of a folder only the files that are asked for are read. A video is decoded in its order: for an earlier frame, from
    its beginning again.

    Args:
        path: a folder of images, or a video file; see `read_clip`.

    Raises:
        InputError: no such video, or no frame in it, or (ImageError) frames that are too large.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = _numbered(path) if path.is_dir() else None
        self._video = None if path.is_dir() else _Video(path)
        if not self.reaches(0):
            raise _no_frame(path)

    def reaches(self, i: int) -> bool:
        """Whether there is a frame at that index, from 0. Of a video the frames up to it are passed."""
        if self._files is not None:
            return i < len(self._files)
        assert self._video is not None
        if i < self._video.position - (not self._video.ended):
            self._video = _Video(self.path)
        return self._video.go_to(i)

    def read(self, i: int) -> Image:
        """The frame at an index that `reaches` says is there, uint8 RGB [h, w, 3].

        Raises:
            InputError: there is none; ImageError: it cannot be read.
        """
        frame = None
        if self.reaches(i):
            frame = read_image(self._files[i]) if self._files is not None else self._shown()
        if frame is None:
            raise InputError(f"frame {i} of clip {self.path}", expected="a frame", found="none that can be read")
        return frame

    def _shown(self) -> Image | None:
        assert self._video is not None
        return self._video.frame()

    def __len__(self) -> int:
        """The number of frames; of a video all that follow are passed."""
        if self._files is not None:
            return len(self._files)
        assert self._video is not None
        while self._video.go_to(self._video.position):
            pass
        return self._video.position


def _no_frame(path: Path) -> InputError:
    return InputError(
        f"clip {path}", expected="a folder of images, or a video", found="no frame that can be read",
        do="check that its images or the video are whole, and of a common format",
    )  # fmt: skip


def _opened(path: Path) -> cv2.VideoCapture:
    """A video. OpenCV opens addresses and pipelines too, so only what is a file, by its whole path, goes there."""
    if not path.is_file():
        found = "a pipe, device or socket" if path.exists() else "no such file"
        raise InputError(
            f"clip {path}", expected="a video, or a folder of its frames", found=found, do="check the path"
        )  # fmt: skip
    return cv2.VideoCapture(str(path.resolve()))


def _numbered(folder: Path) -> list[Path]:
    files = [file for file in folder.iterdir() if file.suffix.lower() in FRAME_SUFFIXES]
    return sorted(files, key=lambda file: ([int(n) for n in re.findall(r"\d+", file.stem)[-1:]], file.name))


def _read_video(path: Path) -> Iterator[Image]:
    video = _Video(path)
    while video.go_to(video.position) and (frame := video.frame()) is not None:
        yield frame


class _Video:
    """A video file, frame by frame. Frames that are passed are decoded, as others need them, but not converted.

    Attributes:
        position: number of frames that were passed; the last of them is the one that `frame` gives.
        ended: whether the end was met, behind which `frame` gives none.

    Raises:
        InputError: no such file; ImageError: its frames are too large.
    """

    def __init__(self, path: Path) -> None:
        self._capture, self.position, self.ended = _opened(path), 0, False  # the capture is released with this object
        sides = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        width, height = (int(self._capture.get(side)) for side in sides)
        if width * height > MAX_PIXELS:
            raise ImageError(
                f"video {path.name}",
                expected=f"frames of at most {MAX_PIXELS // 1_000_000} megapixels",
                found=f"{width} by {height} pixels",
                do="scale it down; a face needs a few hundred pixels",
                reason="too large",
            )

    def go_to(self, i: int) -> bool:
        """Pass frames until that at index i is the last one; False if the video ends before."""
        while self.position <= i:
            if self.ended or not self._capture.grab():
                self.ended = True
                return False
            self.position += 1
        return True

    def frame(self) -> Image | None:
        """The last frame that was passed, uint8 RGB [h, w, 3]; None if it cannot be decoded."""
        there, frame = self._capture.retrieve()
        return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8) if there else None
