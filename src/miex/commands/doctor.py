"""Which of the things that miex needs are on this machine."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from miex import __version__
from miex.errors import InputError
from miex.executors.local import available_workers
from miex.faces.landmarks import MODEL
from miex.storage.cache import cache_folder

_EXTRAS = {"torch": "needed for recognizers, torch datasets and GANimation: pip install 'miex[train]'"}


@dataclass(frozen=True)
class Finding:
    """One thing that was examined. `needed`: no set can be made without it."""

    name: str
    good: bool
    needed: bool
    text: str


def examine(
    landmarker: Path | None = None, *, fetch: bool = False, say: Callable[[str], None] = lambda text: None
) -> Iterator[Finding]:
    """Examine the interpreter, packages, landmark model, extras and disk space.

    Args:
        landmarker: file of the landmark model, if it is neither in the cache nor named by MIEX_LANDMARKER.
        fetch: whether to fetch the model if it is missing.
        say: called before something is fetched.
    """
    yield Finding("miex", True, True, f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield Finding("processors", True, False, str(available_workers()))
    yield _opencv()
    yield _model(landmarker, fetch, say)
    for package, use in _EXTRAS.items():
        there = importlib.util.find_spec(package) is not None
        yield Finding(package, there, False, metadata.version(package) if there else f"not installed ({use})")
    for name, folder in (("here", Path.cwd()), ("cache", cache_folder())):
        parent = next(place for place in (folder, *folder.parents) if place.exists())
        free = shutil.disk_usage(parent).free
        yield Finding(f"disk {name}", free > 1e9, False, f"{free / 1e9:.1f} GB free in {folder}")


def _opencv() -> Finding:
    builds = sorted(
        {name for d in metadata.distributions() if (name := d.metadata["Name"] or "").startswith("opencv-")}
    )
    text = ", ".join(f"{name} {metadata.version(name)}" for name in builds)
    if len(builds) != 1:
        text += "; exactly one build may be installed: uninstall all of these, then install miex again"
    return Finding("OpenCV", len(builds) == 1, True, text)


def _model(landmarker: Path | None, fetch: bool, say: Callable[[str], None]) -> Finding:
    there = landmarker or os.environ.get(MODEL.variable or "") or MODEL.is_cached
    try:
        if not (there or fetch):
            return Finding(
                "landmark model", False, True, "not fetched yet: miex doctor --fetch or the first run will fetch it"
            )
        path = MODEL.find(landmarker, say=say)
    except InputError as error:
        return Finding("landmark model", False, True, " ".join(str(error).split()))
    return Finding("landmark model", True, True, str(path))
