"""Align and move a single face by AUs set by hand; pictures of what generators do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miex.api.work import PathLike, Say, Stages, landmark_model, path, stage, unsaid
from miex.arguments import MAPPING, PATH, TEXT, Kind, checking, instance_of, many
from miex.errors import OutputError, UsageError

if TYPE_CHECKING:
    from miex.aus.vector import AUArray
    from miex.faces.crop import AlignedFace
    from miex.generators.base import Generator
    from miex.synthesis.preview import Preview

# AUs set by hand: {12: 0.2, "L4": 0.5} (L and R are the person's own sides), or ["12=0.2", "L4=0.5", "6"]
AUs = Mapping[int | str, float] | Iterable[str]
_AUS = MAPPING | many(TEXT, "a list of text")
_AUS_BY_HAND = Kind('intensities by AU, {12: 0.2, "L4": 0.5}, or a list of text, ["12=0.2", "L4=0.5"]', _AUS.take)
ALONE = 0.2  # of an AU that is given without an intensity: the mean of the expert source, U[0.1, 0.3]
MOST_SIDE, MOST_PIXELS, LEAST_TILE = 4000, 6 * 10**6, 48  # of a sheet, about 10 MB; of each face on it
_FACE = instance_of("a face that `miex.align` gave", "miex.faces.crop:AlignedFace")
_GENERATOR = instance_of("a generator", "miex.generators.base:Generator")


@checking()
def align(
    photo: PathLike,
    *,
    size: int = 256,
    landmarker: PathLike | None = None,
    say: Say = unsaid,
) -> AlignedFace:
    """Align the largest face of a photo, as generators take it.

    Args:
        photo: file of the photo.
        size: side of the square crop, in pixels; a multiple of 4 from 32 to 1024.
        landmarker, say: as in `miex.synthesize`.

    Raises:
        UsageError: the size is out of range.
        InputError: the photo cannot be read, or shows no face.
    """
    from miex.faces.align import align_photo
    from miex.faces.crop import CropOptions
    from miex.faces.index import Quality, unseen
    from miex.faces.seen import see

    face = align_photo(path(photo), landmark_model(landmarker, say), CropOptions(size))
    seen = see(face.crop, face.landmarks)
    reason, measure = unseen(asdict(seen), Quality()) if seen else ("", "")
    if reason:
        say(f"{photo}: {reason} ({measure}): AUs may be drawn where nobody sees them; sets leave such photos out")
    return face


@checking(photo=PATH | _FACE, aus=_AUS_BY_HAND, generator=TEXT | _GENERATOR, nuisances=TEXT)
def render(
    photo: PathLike | AlignedFace,
    aus: AUs,
    *,
    out: PathLike | None = None,
    size: int = 256,
    generator: str | Generator[Any] = "muscle",
    weights: PathLike | None = None,
    generator_options: Mapping[str, Any] | None = None,
    nuisances: str = "off",
    seed: int = 0,
    landmarker: PathLike | None = None,
    say: Say = unsaid,
) -> Preview:
    """Move a single face by AUs set by hand.

    Args:
        photo: a photo with a face, or a face that `align` gave.
        aus: intensities in [0, 1] by AU, such as {12: 0.2}, or {"L12": 0.2, "R4": 0.5} for one side alone;
            or as text, ["12=0.2"], where an AU alone, ["12"], means 0.2.
        out: folder for onset.png, apex.png and flicker.webp; None: nothing is written.
        size: side of the square frames, in pixels; a multiple of 4 from 32 to 1024.
        generator: generator that moves the face, or its name.
        weights: file of its weights, as in `miex.synthesize`, if it is given by its name and needs one.
        generator_options: as in `miex.synthesize`, if the generator is given by its name. A generator that mixes two
            ways to move a face (basis="mixed") takes half of each; in a set each sample has a share of its own.
        nuisances: what else happens, as in `miex.synthesize`: off, clean, face, all, or a level and some of its
            nuisances, such as all:blink,head.
        seed: random seed of the nuisances.
        landmarker, say: as in `miex.synthesize`.

    Returns:
        Onset and apex, uint8 RGB [size, size, 3], and the measures of the pair; its `show()` displays it.

    Raises:
        UsageError: there is no such AU, generator or nuisance, or the size is out of range.
        ScaleError: an intensity is outside [0, 1].
        InputError: the photo cannot be read, or shows no face.
        OutputError: the folder cannot be written to, or writing would replace the photo or an image of another origin.
    """
    from miex.generators.base import Generator
    from miex.generators.registry import make_generator
    from miex.nuisances.columns import nuisances_of
    from miex.synthesis.preview import FILES, preview, write_preview

    if out is not None and isinstance(photo, str | Path) and path(photo) in [path(out) / name for name in FILES]:
        raise OutputError(
            f"writing {path(photo)}", found="the photo itself, which would be overwritten", do="give another `out`"
        )
    vector, besides = au_vector(aus), nuisances_of(nuisances)
    if isinstance(generator, Generator):
        if weights is not None:
            raise UsageError(f"`weights` {weights}", expected="none: the generator that is given has its own")
        if generator_options is not None:
            raise UsageError("`generator_options`", expected="none: the generator that is given has its own")
        moves = generator
    else:
        moves = make_generator(generator, weights=weights, options=generator_options)
    face = align(photo, size=size, landmarker=landmarker, say=say) if isinstance(photo, str | Path) else photo
    made = preview(face, vector, moves, besides, seed)
    if out is not None:
        write_preview(made, path(out))
    return made


@checking(aus=_AUS_BY_HAND)
def au_vector(aus: AUs) -> AUArray:
    """AUs set by hand as a vector, float32 [17, 2] (the person's left and right side); an AU alone means 0.2.

    Raises:
        UsageError: an AU is not one of the 17.
        ScaleError: an intensity is outside [0, 1].
    """
    from miex.aus.vector import parse

    return parse(_texts(aus), alone=ALONE)


@checking(aus=_AUS_BY_HAND)
def generator_picture(
    out: PathLike,
    *,
    aus: AUs | None = None,
    photo: PathLike | None = None,
    faces: PathLike | None = None,
    n: int = 2,
    size: int | None = None,
    generator_options: Mapping[str, Any] | None = None,
    landmarker: PathLike | None = None,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Path:
    """Draw how AUs move the skin of a face; or, without AUs, a sheet of all AUs at three intensities.

    Args:
        out: picture to write, ending in .png.
        aus: the AUs, as in `render`; None: a sheet of all.
        photo: a photo with a face. Default: the embedded face.
        faces: folder of photos for the sheet, or a .txt file that lists them; not together with `photo`.
        n: number of those photos to use, evenly spread.
        size: side of each face, in pixels. Default: 512. On a sheet, which has at most 6 million pixels, the most that
            it may be; default: 192.
        generator_options: of the muscle generator, as in `render`.
        landmarker, progress, say: as in `miex.synthesize`.

    Returns:
        The path of the picture.

    Raises:
        UsageError: the name does not end in .png, there is no such option, both `photo` and `faces` are given, or more
            faces than fit on a sheet.
        InputError: a photo cannot be read, or shows no face.
    """
    if path(out).suffix.lower() != ".png":
        raise UsageError(f"`out` {out}", expected="a name that ends in .png")
    if photo is not None and faces is not None:
        raise UsageError(f"photo {photo} and `faces` {faces}", expected="only one of them")
    import cv2
    import numpy as np

    from miex.aus.vector import N_AUS, parse
    from miex.faces.photos import default_pool, list_photos, photos_root
    from miex.generators.muscle.pictures import field_picture, sheet_rows
    from miex.generators.registry import make_generator
    from miex.storage.local import write_whole

    moves = make_generator("muscle", options=generator_options)
    typed = None if aus is None else list(_texts(aus))
    if photo is not None:
        photos = [path(photo)]
    else:
        folder = default_pool() if faces is None else path(faces)
        names = list_photos(folder)
        wanted = n if typed is None else 1
        photos = [photos_root(folder) / name for name in names[:: max(1, len(names) // wanted)][:wanted]]
    side, columns = _sheet_layout(len(photos), size or 192) if typed is None else (size or 512, 1)
    aligned = [align(one, size=side, landmarker=landmarker, say=say) for one in photos]
    if typed is None:
        rows, drawn = [], stage(progress, "drawing")
        for done, (number, row) in enumerate(sheet_rows(moves, aligned, side), 1):
            rows.append(row)
            drawn(done, N_AUS, f"AU {number}")
        rows += [np.full_like(rows[0], 255)] * (-len(rows) % columns)
        each = len(rows) // columns
        picture = np.hstack([np.vstack(rows[i : i + each]) for i in range(0, len(rows), each)])
    else:
        texts = [text if "=" in text else f"{text}=1" for text in typed]
        picture = field_picture(moves, aligned[0], parse(typed, alone=1), "AU " + " ".join(texts))
    write_whole(path(out), cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
    return path(out)


def _sheet_layout(faces: int, largest: int) -> tuple[int, int]:
    """How large each face of a sheet is, pixels, at most `largest`; and into how many columns its AUs go.

    Raises:
        UsageError: more faces than fit.
    """
    from miex.aus.vector import N_AUS
    from miex.generators.muscle.pictures import HANDS, INTENSITIES, TEXT_HEIGHT

    def fits(faces: int, side: int, columns: int) -> bool:
        width = columns * (1 + len(HANDS) * len(INTENSITIES)) * side
        height = -(-N_AUS // columns) * (faces * side + TEXT_HEIGHT)
        return max(width, height) <= MOST_SIDE and width * height <= MOST_PIXELS

    def layouts(faces: int) -> Iterator[tuple[int, int]]:
        for side in range(largest, min(largest, LEAST_TILE) - 1, -4):  # crops are multiples of 4
            yield from ((side, columns) for columns in range(1, N_AUS + 1) if fits(faces, side, columns))

    found = next(layouts(faces), None)
    if found is None:
        most = next(n for n in range(faces, 0, -1) if next(layouts(n), None))
        raise UsageError(f"`n` {faces}", expected=f"at most {most} faces, as many as one sheet holds")
    return found


def _texts(aus: AUs) -> Iterable[str]:
    return (f"{au}={value}" for au, value in aus.items()) if isinstance(aus, Mapping) else aus
