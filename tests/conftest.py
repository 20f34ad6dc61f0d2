"""Fixtures of many tests: published models, a real face, and a cache that is not the user's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image as PillowImage
from skimage import data

from miex.errors import InputError
from miex.faces.landmarks import MODEL, Landmarker
from miex.faces.sface import SFACE, SFace
from miex.images import Image
from miex.storage.cache import CACHE_VARIABLE

pytest_plugins = ["tests.bucket_fixture", "tests.set_fixture", "tests.film_fixture", "tests.pages_fixture"]

# slow machines are no failures
settings.register_profile("miex", settings.default, deadline=None)
settings.load_profile("miex")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache for the whole session; of the user's own only the files of the models are taken over."""
    folder = tmp_path_factory.mktemp("cache")
    for file in (MODEL, SFACE):
        if file.cached.is_file():
            shutil.copy(file.cached, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def unsynced() -> Iterator[None]:
    """No test but those that say so, and those in processes of their own, waits for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def model() -> Path:
    """The landmark model's file."""
    try:
        return MODEL.find()
    except InputError as error:
        pytest.skip(f"no landmark model: {error.found}")


@pytest.fixture(scope="session")
def sface_model() -> Path:
    """The SFace model's file."""
    try:
        return SFACE.find()
    except InputError as error:
        pytest.skip(f"no SFace model: {error.found}")


@pytest.fixture(scope="session")
def sface(sface_model: Path) -> SFace:
    return SFace(sface_model)


@pytest.fixture(scope="session")
def landmarker(model: Path) -> Iterator[Landmarker]:
    with Landmarker(model) as ready:
        yield ready


@pytest.fixture(scope="session")
def astronaut() -> Image:
    """A photo with one face, uint8 RGB [512, 512, 3]."""
    photo: Image = data.astronaut()
    photo.flags.writeable = False
    return photo


@pytest.fixture(scope="session")
def astronaut_mesh(astronaut: Image, landmarker: Landmarker) -> np.ndarray:
    """Its landmarks, float32 [478, 3]."""
    (mesh,) = landmarker.detect(astronaut).landmarks
    return mesh


@pytest.fixture(scope="session")
def face_photo(astronaut: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The astronaut's file; to copy, not to change."""
    path = tmp_path_factory.mktemp("photo") / "astronaut.png"
    PillowImage.fromarray(astronaut).save(path)
    return path
