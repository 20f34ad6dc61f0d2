"""A short film of the default face whose single micro-expression is known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from miex.aus.vector import AU_INDEX, N_AUS
from miex.easing import ease
from miex.faces.align import align_photo
from miex.faces.crop import CropOptions
from miex.faces.photos import default_pool, list_photos
from miex.generators.registry import make_generator
from miex.images import Image

FPS, FRAMES = 50, 70
BLINK = 6, 18  # first and last frame
EVENT = 36, 45, 55  # onset, apex, offset
SWAY = 6  # pixels that the head goes to the right and back, twice


@pytest.fixture(scope="session")
def film(model: Path) -> Image:
    """uint8 RGB [70, 256, 256, 3]: a blink, then brows up and lip corners down, while the head sways. Read only."""
    aligned = align_photo(default_pool() / list_photos(default_pool())[0], model, CropOptions(256))
    generator = make_generator("muscle")
    aus = np.zeros((FRAMES, N_AUS), np.float32)
    onset, apex, offset = EVENT
    t = np.arange(FRAMES)
    rise = ease(np.minimum((t - onset) / (apex - onset), (offset - t) / (offset - apex)))
    for au in (1, 2, 15):
        aus[:, AU_INDEX[au]] = 0.2 * rise
    half = (BLINK[1] - BLINK[0]) / 2
    aus[:, AU_INDEX[45]] = ease(1 - np.abs(t - BLINK[0] - half) / half)
    frames = generator.render(generator.prepare(aligned), aus).frames
    for frame, i in zip(frames, t, strict=True):
        shift = SWAY * np.sin(4 * np.pi * i / FRAMES)
        moved = np.array([[1, 0, shift], [0, 1, 0]])
        frame[:] = cv2.warpAffine(frame, moved, (256, 256), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    frames.flags.writeable = False
    return frames


@pytest.fixture(scope="session")
def film_folder(film: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its frames as files."""
    folder = tmp_path_factory.mktemp("film")
    for i, frame in enumerate(film):
        cv2.imwrite(str(folder / f"img{i + 1}.png"), frame[..., ::-1])
    return folder


@pytest.fixture(scope="session")
def film_video(film: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film as a video."""
    path = tmp_path_factory.mktemp("video") / "film.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (256, 256))
    for frame in film:
        video.write(frame[..., ::-1])
    video.release()
    return path
