"""The studio: move a face by hand, or look through a set, in the browser."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miex.api.work import PathLike, Say, landmark_model, path, unsaid
from miex.arguments import PATH, checking, choice, instance_of, whole
from miex.errors import InputError, UsageError
from miex.images import Image

if TYPE_CHECKING:
    from miex.api.predict import LoadedRecognizer
    from miex.dataset.reader import Dataset
    from miex.faces.crop import AlignedFace
    from miex.web.face import Face, Read, Way
    from miex.web.server import Studio

HOSTS = ("127.0.0.1", "::1")
_RECOGNIZER = PATH | instance_of(
    "a recognizer that `miex.train` or `miex.load_recognizer` gave", "miex.api.predict:LoadedRecognizer"
)
_WHAT = PATH | instance_of("a set", "miex.dataset.reader:Dataset")


@checking(what=_WHAT, recognizer=_RECOGNIZER, host=choice(*HOSTS), port=whole(0, 65535))
def studio(
    what: PathLike | Dataset | None = None,
    *,
    size: int = 256,
    weights: PathLike | None = None,
    recognizer: LoadedRecognizer | PathLike | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    landmarker: PathLike | None = None,
    say: Say = unsaid,
) -> Studio:
    """Open the studio on this machine: its address is for a browser here, and holds a token that it does not work
    without. Photos dropped into the page are kept in memory alone, and never leave the machine.

    Args:
        what: a photo with a face, or a set: its folder, its address in a bucket, or what `miex.open` gave. None: the
            embedded face.
        size: side of the square crop, in pixels; a multiple of 4 from 32 to 1024.
        weights: file of a GANimation network's weights, which is then offered beside the muscles.
        recognizer: a recognizer, or its file, whose reading of each pair is shown. Default: the one that comes with
            miex.
        host: 127.0.0.1, or ::1.
        port: 0 for any that is free.
        landmarker, say: as in `miex.synthesize`.

    Returns:
        The running studio: its `address`, `wait()`, and `close()`, which also the end of a `with` block does.

    Raises:
        UsageError: starlette and uvicorn are not installed, or torch, which a trained recognizer needs; or a value is
            out of range.
        InputError: the photo cannot be read, or shows no face; or there is no set, or it is not finished; or its name
            is not UTF-8.
        OutputError: the port is taken.
    """
    try:
        from miex.web.server import Studio
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn", "anyio", "h11"):
            raise
        raise UsageError(
            "the studio", expected="starlette and uvicorn", found=f"no {error.name}", do="pip install 'miex[studio]'"
        ) from error
    from miex.dataset.reader import Dataset, open_dataset
    from miex.faces.align import align_image
    from miex.faces.crop import CropOptions
    from miex.faces.photos import default_pool, list_photos
    from miex.images import read_image
    from miex.sources.expert import ExpertSource, load_table
    from miex.storage import given as named
    from miex.storage import is_bucket
    from miex.web.app import Given
    from miex.web.face import Face
    from miex.web.sets import SetPages

    photo, samples = None, None
    if isinstance(what, Dataset):
        samples = SetPages(what, _printed(what.storage.name))
    elif what is not None and (is_bucket(what) or path(what).is_dir()):
        samples = SetPages(open_dataset(what), _printed(named(what)))
    elif what is not None:
        photo = path(what)
        _printed(str(photo))

    def align(image: Image, name: str) -> AlignedFace:
        return align_image(image, name, landmark_model(landmarker, say), CropOptions(size))

    @cache
    def first() -> Face:
        file = photo or default_pool() / list_photos(default_pool())[0]
        return Face(align(read_image(file), str(file)), str(file), is_path=True)

    if samples is None:  # a set is shown without a face, and without a landmark model
        first()
    presets, read = ExpertSource(load_table("micro-dfme")), _reader(recognizer, landmarker)
    return Studio(Given(first, align, list(ways(weights)), presets, samples, read), host=host, port=port)


def _printed(name: str) -> str:
    """The name, which a page can show and a command can hold."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"the name {name!a}", expected="UTF-8", found="bytes that are not", do="rename the photo or folder"
        ) from error
    return name


def _reader(recognizer: LoadedRecognizer | PathLike | None, landmarker: PathLike | None) -> Read:
    from miex.api.predict import LoadedRecognizer, load_recognizer

    found = recognizer if isinstance(recognizer, LoadedRecognizer) else load_recognizer(recognizer)

    def read(onset: Image, apex: Image) -> dict[str, float]:
        return found.predict((onset, apex), landmarker=landmarker).probabilities

    return read


def ways(weights: PathLike | None) -> Iterator[Way]:
    """The ways to move faces that the studio offers: each basis of muscle, and GANimation if there are weights."""
    from miex.generators.muscle.generator import BASES, MuscleGenerator
    from miex.generators.registry import generator_class, make_generator
    from miex.web.face import Way

    def way(name: str, generator: str, sides: bool, options: dict[str, Any], file: Path | None = None) -> Way:
        settings: dict[str, Any] = {} if generator == "muscle" else {"generator": generator, "weights": str(file)}
        if options:
            settings["generator_options"] = options
        return Way(name, partial(make_generator, generator, weights=file, options=options), settings, sides)

    for i, basis in enumerate(BASES):
        yield way(f"muscle, {basis}", "muscle", MuscleGenerator.sides, {"basis": basis} if i else {})
    if weights is not None:
        kind = generator_class("ganimation")
        yield way("ganimation", "ganimation", kind.sides, {}, path(weights))
