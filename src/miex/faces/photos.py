"""The photos of a folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Final

from miex.errors import InputError, UsageError
from miex.faces.credits import CSV_NAME
from miex.faces.layouts import FoundLayout, find_layouts
from miex.images import SUFFIXES, is_picture_name, other_format
from miex.storage.documents import read_bytes
from miex.storage.local import write_whole

_OF_SYSTEMS: Final = frozenset({  # lower case; what begins with a dot or ~$ beside
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin", "lost+found",
    "system volume information",
})  # fmt: skip
_MOST_LIST = 2**30  # bytes of a list of photos: ten million paths
_MOST_KINDS = 6  # listed one by one
_FOLDER = "# folder: "  # begins the first line of a list that does not lie in the folder of its photos


@dataclass
class FoundFiles:
    """What lies in a folder of photos. Each file is counted once.

    Attributes:
        photos: to be read; sorted paths, relative to the folder.
        refused: {path: why and what to do}: pictures and videos that are not read, folders that cannot be opened.
        passed_over: {kind, such as ".csv": how many}: what is no picture by its name, hidden files and folders (a
            folder counts once), pipes, devices and sockets, and photos of a known pool in other sizes.
        pools: those of known layouts (see `layouts`) that the photos belong to.
        tables: the files called faces.csv below the folder, but not in it; sorted paths, relative to it.
    """

    photos: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)
    pools: list[FoundLayout] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)


def kinds_text(passed_over: Mapping[str, int]) -> str:
    """Such as "3 .csv, 1 hidden", the most frequent first."""
    kinds = sorted(passed_over.items(), key=lambda kind: (-kind[1], kind[0]))
    named = [f"{count:,} {kind}" for kind, count in kinds[:_MOST_KINDS]]
    rest = sum(count for _, count in kinds[_MOST_KINDS:])
    return ", ".join([*named, *([f"{rest:,} others"] if rest else [])])


def default_pool() -> Path:
    """The folder of the embedded default face, with its own faces.csv."""
    return Path(str(resources.files("miex.faces"))) / "default"


def write_list(paths: Iterable[str], folder: Path, out: Path) -> None:
    """Write a list of photos that `list_photos` reads; paths are relative to their folder.

    A list that lies elsewhere names that folder in its first line: folders of photos may be read-only.

    Raises:
        UsageError: a name that would not be read back; a list that is not called .txt.
        OutputError: it cannot be written.
    """
    root, paths = folder.resolve(), list(paths)
    if out.suffix != ".txt":
        raise UsageError(f"list {out}", expected="a name that ends in .txt", do="others are not read as lists")
    odd = next((path for path in paths if _listed(path) != {path}), None)
    head = [] if out.resolve().parent == root else [f"{_FOLDER}{root}"]
    if odd is None and any(_folder_of(line) != str(root) for line in head):
        odd = str(root)
    if odd is not None:
        raise UsageError(
            f"list {out}",
            expected="paths without line breaks, or spaces at their ends",
            found=repr(odd),
            do="rename that one, or leave it out",
        )
    write_whole(out, ("\n".join([*head, *paths]) + "\n").encode())


def _listed(text: str) -> set[str]:
    lines = (line.strip() for line in text.split("\n"))
    return {line for line in lines if line and not line.startswith("#")}


def _folder_of(text: str) -> str:
    """The folder that the first line of a list names; empty if it names none."""
    first = text.partition("\n")[0].strip()
    return first.removeprefix(_FOLDER) if first.startswith(_FOLDER) else ""


def _text_of(listing: Path) -> str:
    try:
        return read_bytes(listing, _MOST_LIST).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(
            f"list of photos {listing}", expected="paths in UTF-8, one per line", found=str(error)
        ) from error


def list_photos(folder: Path) -> list[str]:
    """Paths of the photos below a folder (or those that a .txt list names, one a line), sorted, relative to it.

    Raises:
        InputError: no such folder, or no photo in it.
    """
    return look_through(folder).photos


def look_through(folder: Path) -> FoundFiles:
    """Every file below a folder, or of a .txt list that names photos, one a line.

    Links to folders are followed, each folder once. Of a pool with a known layout (see `layouts`) that lies there in
    several forms (sizes, cuts) the photos of the preferred one are taken.

    Raises:
        InputError: no such folder, it cannot be opened, or no photo in it.
    """
    if _is_list(folder):
        photos = sorted(_listed(_text_of(folder)))
        bad = next((p for p in photos if Path(p).is_absolute() or ".." in Path(p).parts or "\0" in p), None)
        if bad:
            raise InputError(f"list of photos {folder}", expected="paths below the folder of the list", found=bad)
        if not (root := photos_root(folder)).is_dir():
            raise InputError(
                f"list of photos {folder}",
                expected="the folder of the photos in its first line",
                found=f"{root}, no folder",
                do=f'correct the line "{_FOLDER}{root}", or make the list again',
            )
        found = FoundFiles(photos, pools=find_layouts(root, photos), tables=_tables(root, photos))
    elif folder.is_dir():
        found = _walk(folder)
        found.pools = _leave_copies(found, find_layouts(folder, found.photos))
        found.tables = _tables(folder, found.photos)
    else:
        what = "another file" if folder.exists() else "no such folder"
        raise InputError(
            f"faces {folder}", expected="a folder of photos, or a .txt list of them", found=what, do="check the path"
        )
    if not found.photos:
        example = next((f"; {path} is {why}" for path, why in sorted(found.refused.items())), "")
        raise InputError(
            f"faces {folder}",
            expected="photos (" + ", ".join(sorted(SUFFIXES)) + ")",
            found="none" + example + (f"; beside {kinds_text(found.passed_over)}" if found.passed_over else ""),
            do="give a folder that holds photos of faces, or leave `faces` out for the embedded default",
        )
    return found


def photos_root(faces: Path) -> Path:
    """The folder that the photos' paths are relative to; of a list its own, unless its first line names another.

    Raises:
        InputError: a list that cannot be read.
    """
    if not faces.is_file():
        return faces
    return faces.parent / (_folder_of(_text_of(faces)) if _is_list(faces) else "")


def _is_list(faces: Path) -> bool:
    return faces.is_file() and faces.suffix == ".txt"


def _leave_copies(found: FoundFiles, pools: Sequence[FoundLayout]) -> list[FoundLayout]:
    """The pools in their preferred forms; what lies in the others is counted as passed over."""
    best: dict[str, int] = {}
    for pool in pools:
        best[pool.layout.name] = min(pool.form, best.get(pool.layout.name, pool.form))
    for pool in pools:
        if pool.form > best[pool.layout.name]:
            kind, before = f"in another form of {pool.layout.title}", f"{pool.tree}/"
            copies = [path for path in found.photos if path.startswith(before)]
            refused = [path for path in found.refused if path.startswith(before)]
            found.passed_over[kind] += len(copies) + len(refused)
            found.photos = sorted(set(found.photos) - set(copies))
            found.refused = {path: why for path, why in found.refused.items() if path not in set(refused)}
    return [pool for pool in pools if pool.form == best[pool.layout.name]]


def _tables(root: Path, photos: Iterable[str]) -> list[str]:
    folders = {parent for photo in photos for parent in PurePosixPath(photo).parents} - {PurePosixPath(".")}
    return sorted(str(folder / CSV_NAME) for folder in folders if (root / folder / CSV_NAME).is_file())


def _walk(root: Path) -> FoundFiles:
    """The files below a folder; paths are relative to it."""
    found, seen, waiting = FoundFiles(), set[tuple[int, int]](), [""]
    while waiting:
        inside = waiting.pop()
        try:
            status = (root / inside).stat()
            if (status.st_dev, status.st_ino) in seen:
                found.passed_over["links to a folder that is there"] += 1
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(root / inside) as entries:
                sorted_entries = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            why = error.strerror or str(error)
            if not inside:
                raise InputError(f"folder {root / inside}", found=why, do="make it readable") from error
            found.refused[f"{inside}/"] = f"a folder that cannot be opened ({why}): make it readable"
            continue
        folders = []
        for entry in sorted_entries:
            path = f"{inside}/{entry.name}" if inside else entry.name
            if entry.name.startswith((".", "~$")) or entry.name.lower() in _OF_SYSTEMS:
                found.passed_over["hidden"] += 1
            elif (kind := _kind(entry)) == "folder":
                folders.append(path)
            elif kind == "special":
                found.passed_over["pipes, devices or sockets"] += 1
            elif not is_picture_name(entry.name):
                found.passed_over[Path(entry.name).suffix.lower() or "without a suffix"] += 1
            elif other := other_format(root / path):
                found.refused[path] = ": ".join(other)
            else:
                found.photos.append(path)  # a link that leads nowhere, too: its row says so
        waiting += reversed(folders)
    found.photos.sort()
    return found


def _kind(entry: os.DirEntry[str]) -> str:
    """Of an entry or of what it links to: folder, file or special. Only links cost a look at the disk."""
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
        entry.stat()
    except OSError:  # a link that leads nowhere
        return "file"
    return "special"
