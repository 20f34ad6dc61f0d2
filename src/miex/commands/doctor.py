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
from miex.faces.sface import SFACE
from miex.storage.cache import cache_folder
from miex.storage.fetched import PublishedFile

_EXTRAS = {
    "torch": "needed to train recognizers, for torch datasets and for GANimation: pip install 'miex[train]'",
    "ray": "needed for --executor ray: pip install 'miex[ray]'",
    "uvicorn": "needed for miex studio: pip install 'miex[studio]'",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was examined. `needed`: no set can be made without it."""

    name: str
    good: bool
    needed: bool
    text: str


def examine(
    landmarker: Path | None = None,
    sface: Path | None = None,
    *,
    fetch: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[Finding]:
    """Examine the interpreter, packages, published models, extras and disk space.

    Args:
        landmarker: file of the landmark model, if it is neither in the cache nor named by MIEX_LANDMARKER.
        sface: file of the SFace model, if it is neither in the cache nor named by MIEX_SFACE.
        fetch: whether to fetch a model that is missing.
        say: called before something is fetched.
    """
    yield Finding("miex", True, True, f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield Finding("processors", True, False, str(available_workers()))
    yield _opencv()
    yield _published(MODEL, landmarker, True, "the first run", fetch, say)
    yield _published(SFACE, sface, False, "the first report, to measure identity,", fetch, say)
    yield _recognizer()
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


def _recognizer() -> Finding:
    from miex.recognition.default_recognizer import load_default

    try:
        text, good = "; ".join(load_default().facts()[1:]), True
    except InputError as error:
        text, good = " ".join(str(error).split()), False
    return Finding("recognizer", good, False, text)


def _published(
    file: PublishedFile, given: Path | None, needed: bool, use: str, fetch: bool, say: Callable[[str], None]
) -> Finding:
    there = given or os.environ.get(file.variable or "") or file.is_cached
    try:
        if not (there or fetch):
            text = f"not fetched yet: miex doctor --fetch or {use} will fetch it"
            return Finding(file.title, False, needed, text)
        path = file.find(given, say=say)
    except InputError as error:
        return Finding(file.title, False, needed, " ".join(str(error).split()))
    return Finding(file.title, True, needed, str(path))
