"""The photos of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

from miex.errors import InputError, UsageError
from miex.faces.layouts import find_layout
from miex.images import SUFFIXES
from miex.storage.local import write_whole


def default_pool() -> Path:
    """The folder of the embedded default face, with its own faces.csv."""
    return Path(str(resources.files("miex.faces"))) / "default"


def write_list(paths: Iterable[str], folder: Path, out: Path) -> None:
    """Write a list of photos that `list_photos` reads; raises UsageError unless it lies in the photos' folder."""
    if out.resolve().parent != folder.resolve():
        raise UsageError(
            f"list {out}",
            expected=f"a file in {folder}",
            found=str(out.parent),
            do="paths in a list are relative to it",
        )
    paths = list(paths)
    odd = next((path for path in paths if _listed(path) != {path}), None)
    if odd is not None:
        raise UsageError(
            f"list {out}",
            expected="paths without line breaks",
            found=repr(odd),
            do="rename that photo, or leave it out",
        )
    write_whole(out, ("\n".join(paths) + "\n").encode())


def _listed(text: str) -> set[str]:
    lines = (line.strip() for line in text.split("\n"))
    return {line for line in lines if line and not line.startswith("#")}


def list_photos(folder: Path) -> list[str]:
    """Paths of the photos below a folder (or those that a .txt list names, one a line), sorted, relative to it.

    Links to folders are followed, each folder once. Hidden files are left out. Of a pool with a known layout (see
    `layouts`) only the tree of its photos is taken, not their copies in other sizes.

    Raises:
        InputError: no such folder, or no photo in it.
    """
    if folder.is_file() and folder.suffix == ".txt":
        try:
            photos = sorted(_listed(folder.read_bytes().decode("utf-8-sig")))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"list of photos {folder}", expected="paths in UTF-8, one per line", found=str(error)
            ) from error
        bad = next((p for p in photos if Path(p).is_absolute() or ".." in Path(p).parts), None)
        if bad:
            raise InputError(f"list of photos {folder}", expected="paths below the folder of the list", found=bad)
    elif folder.is_dir():
        known = find_layout(folder)
        tree = known.tree if known else ""
        photos = sorted(f"{tree}/{photo}" if tree else photo for photo in _walk(folder / tree))
    else:
        found = "another file" if folder.exists() else "no such folder"
        raise InputError(
            f"faces {folder}", expected="a folder of photos, or a .txt list of them", found=found, do="check `faces`"
        )
    if not photos:
        raise InputError(
            f"faces {folder}",
            expected="photos (" + ", ".join(sorted(SUFFIXES)) + ")",
            found="none",
            do="give a folder that holds photos of faces, or leave `faces` out for the embedded default",
        )
    return photos


def photos_root(faces: Path) -> Path:
    """The folder that the photos' paths are relative to."""
    return faces.parent if faces.is_file() else faces


def _refuse(error: OSError) -> None:
    raise InputError(
        f"folder {error.filename}", found=error.strerror or str(error), do="make it readable, or move it elsewhere"
    ) from error


def _walk(folder: Path) -> Iterator[str]:
    seen: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                yield (Path(parent) / name).relative_to(folder).as_posix()
