"""Layouts of public face pools: where their photos are, who is shown, their licence, and conditions to choose by.

CelebA, FFHQ, LFW and EmotioNet are known; any other folder of photos has no layout.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from miex.errors import InputError, UsageError
from miex.stable import json_of
from miex.storage.documents import read_bytes

Facts = dict[str, str]  # licence, attribution, kind, person: the columns of the index
_ABOVE = 2  # folders above the given one that may hold a pool's photos
_YES, _NO = {"1", "yes", "true"}, {"-1", "0", "no", "false"}


@dataclass(frozen=True)
class Layout:
    """The layout of a pool.

    Attributes:
        name, title: as users type it, as papers write it.
        trees: names of the folders that hold the photos, of its forms (sizes, cuts) the preferred first.
        tell: whether a folder is such a tree, by the names in it (at most 20).
        licence: under which its owners give it out.
        facts: (the tree, photos relative to it) → what is known of each, beside the licence.
        filters: (the tree, name, value) → whether a photo passes; raises UsageError for an unknown name.
        telling: whether names of photos tell the pool without a folder's.
    """

    name: str
    title: str
    trees: tuple[str, ...]
    tell: Callable[[Path], bool]
    licence: str
    facts: Callable[[Path, Iterable[str]], Mapping[str, Facts]]
    filters: Callable[[Path, str, str], Callable[[str], bool]]
    telling: bool = False


@dataclass(frozen=True)
class FoundLayout:
    """A pool of a known layout.

    Attributes:
        layout: which.
        root: the folder that was given.
        tree: the folder of its photos, relative to it: "" for the folder itself, "../.." if that lies within the tree.
        inside: path of the given folder in the tree, if it lies within, such as "00000"; else "".
    """

    layout: Layout
    root: Path
    tree: str
    inside: str = ""

    def describe(self, photos: Iterable[str]) -> dict[str, Facts]:
        """{photo: licence, attribution, kind, person}, for photos of the tree; paths are relative to the root.

        Raises:
            InputError: a list of the pool that cannot be read, with its line.
        """
        inside = self._inside(photos)
        facts = self.layout.facts(self.root / self.tree, inside.values())
        base = {"licence": self.layout.licence, "attribution": self.layout.title, "kind": "real", "person": ""}
        return {photo: base | facts.get(name, {}) for photo, name in inside.items()}

    def select(self, photos: Iterable[str], where: Mapping[str, str]) -> list[str]:
        """The photos that pass all filters, such as {"partition": "train", "Smiling": "no"}.

        Raises:
            UsageError: a filter or value that the pool does not have.
            InputError: the list that the filter reads is missing or broken.
        """
        inside = self._inside(photos)
        passes = [self.layout.filters(self.root / self.tree, name, value) for name, value in where.items()]
        return [photo for photo, name in inside.items() if all(passed(name) for passed in passes)]

    def assumed(self, facts: Mapping[str, Facts]) -> str:
        """What is assumed of the folder, given what `describe` found: layout, tree, people, for people to read."""
        people = {fact["person"] for fact in facts.values()} - {""}
        who = (
            f"of {len(people):,} people" if people
            else "whose people are not known (no list of them is there): each counts as a person of its own"
        )  # fmt: skip
        where = self.tree if self.tree and not self.inside else "the folder itself"
        return f"{self.layout.title}: {len(facts):,} photos in {where}, {who}"

    @property
    def form(self) -> int:
        """Which of the layout's trees it is, the preferred first; 0 where any name of a folder will do."""
        names = _names_of(self.root / self.tree)
        return 0 if self.layout.telling else [tree in names for tree in self.layout.trees].index(True)

    def _inside(self, photos: Iterable[str]) -> dict[str, str]:
        if self.inside:
            return {photo: f"{self.inside}/{photo}" for photo in photos}
        prefix = f"{self.tree}/" if self.tree else ""
        return {photo: photo.removeprefix(prefix) for photo in photos if photo.startswith(prefix)}


def find_layouts(root: Path, photos: Iterable[str]) -> list[FoundLayout]:
    """The pools of known layouts that these photos belong to, by the names of their folders and photos.

    A pool may lie anywhere below the folder, and several may; and the folder may lie within a pool, as that of one
    person of LFW does.

    Args:
        root: the folder that was given.
        photos: paths relative to it.
    """
    whole = root.resolve()
    for up, above in enumerate(whole.parents[:_ABOVE], start=1):
        if layout := _layout_of(above, by_name=True):
            return [FoundLayout(layout, root, "/".join([".."] * up), whole.relative_to(above).as_posix())]
    folders = {""}
    for photo in photos:
        folder = posixpath.dirname(photo)
        while folder not in folders:
            folders.add(folder)
            folder = posixpath.dirname(folder)
    found = list[FoundLayout]()
    inside = set[str]()
    for folder in sorted(folders, key=lambda folder: (folder.count("/") + bool(folder), folder)):
        if folder and posixpath.dirname(folder) in inside:
            inside.add(folder)
        elif layout := _layout_of(root / folder):
            inside.add(folder)
            found.append(FoundLayout(layout, root, folder))
    return found


def _layout_of(folder: Path, *, by_name: bool = False) -> Layout | None:
    """The layout whose tree this folder is; names of photos such as 000001.jpg alone say nothing."""
    names = _names_of(folder)
    for layout in LAYOUTS.values():
        if ((layout.telling and not by_name) or names & set(layout.trees)) and layout.tell(folder):
            return layout
    return None


def _names_of(folder: Path) -> set[str]:
    """Of a folder, and of what it links to."""
    return {folder.name, folder.resolve().name}


def _names(folder: Path, most: int = 20) -> list[str]:
    try:
        return [path.name for path, _ in zip(folder.iterdir(), range(most), strict=False) if path.name[0] != "."]
    except OSError:  # who lists the photos says so
        return []


def _tell(pattern: str) -> Callable[[Path], bool]:
    return lambda folder: any(re.fullmatch(pattern, name) for name in _names(folder))


def _lines(tree: Path, *names: str) -> tuple[Path, list[str]]:
    """The first of the lists that lies in the tree, beside it or above, or in Anno or Eval there."""
    places = [folder / sub for folder in (tree, *tree.resolve().parents[:3]) for sub in ("", "Anno", "Eval")]
    for path in (place / name for place in places for name in names):
        if path.is_file():
            try:
                return path, path.read_text("utf-8-sig").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"list {path}", found=str(error)) from error
    raise InputError(
        f"list of the pool {tree}",
        expected=" or ".join(names),
        found="none",
        do="unpack this list too: it comes with the photos",
    )


def _cells(path: Path, line: str) -> list[str]:
    """Of the owners' lists, whose columns spaces part, or of those of Kaggle, with commas."""
    return [cell.strip(' "') for cell in line.split(",")] if path.suffix == ".csv" and line.strip() else line.split()


def _table(path: Path, lines: list[str], columns: int, skip: int = 0) -> Iterator[list[str]]:
    for number, line in enumerate(lines[skip:], start=skip + 1):
        cells = _cells(path, line)
        if cells and len(cells) != columns:
            raise InputError(f"{path}, line {number}", expected=f"{columns} columns", found=line[:80])
        if cells:
            yield cells


def _no_filter(tree: Path, name: str, value: str) -> Callable[[str], bool]:
    raise UsageError(f"filter {name}={value}", expected="a folder of CelebA or FFHQ", do="leave the filter out")


# CelebA

_PARTITIONS = {"train": "0", "val": "1", "test": "2"}


def _celeba_facts(tree: Path, photos: Iterable[str]) -> Mapping[str, Facts]:
    try:
        path, lines = _lines(tree, "identity_CelebA.txt", "identity_CelebA.csv")
    except InputError:
        return {}  # it is sent on request only
    people = {Path(name).stem: person for name, person in _table(path, lines, 2)}  # the photos may be PNG
    return {photo: {"person": f"celeba {people[Path(photo).stem]}"} for photo in photos if Path(photo).stem in people}


def _celeba_filter(tree: Path, name: str, value: str) -> Callable[[str], bool]:
    if name == "partition":
        if value not in _PARTITIONS:
            raise UsageError(f"filter {name}={value}", expected="one of " + ", ".join(_PARTITIONS))
        path, lines = _lines(tree, "list_eval_partition.txt", "list_eval_partition.csv")
        wanted = {Path(photo).stem for photo, part in _table(path, lines, 2) if part == _PARTITIONS[value]}
    else:
        path, lines = _lines(tree, "list_attr_celeba.txt", "list_attr_celeba.csv")
        first = 1 if path.suffix == ".csv" else 2  # a .txt begins with the count
        header = _cells(path, lines[first - 1]) if len(lines) >= first else []
        names = header[1:] if path.suffix == ".csv" else header  # a .csv names the photos' column, too
        if name not in names:
            raise UsageError(f"filter {name}={value}", expected="partition or one of " + ", ".join(names))
        if value.lower() not in _YES | _NO:
            raise UsageError(f"filter {name}={value}", expected="yes or no")
        column, sign = 1 + names.index(name), "1" if value.lower() in _YES else "-1"
        rows = _table(path, lines, 1 + len(names), skip=first)
        wanted = {Path(cells[0]).stem for cells in rows if cells[column] == sign}
    return lambda photo: Path(photo).stem in wanted


# FFHQ

_FFHQ_JSON = "ffhq-dataset-v2.json"
_FFHQ_BYTES = 2**30  # its metadata has a quarter of that
_FFHQ_TRAINING = 60_000  # the first; the rest is validation


def _ffhq_facts(tree: Path, photos: Iterable[str]) -> Mapping[str, Facts]:
    """Author and licence of each photo, if ffhq-dataset-v2.json lies there; every photo is a person of its own."""
    found = {photo: {"person": f"ffhq {Path(photo).stem}"} for photo in photos}
    path = next((p for p in (tree / _FFHQ_JSON, tree.resolve().parent / _FFHQ_JSON) if p.is_file()), None)
    if path is None:
        return found
    try:
        entries = json_of(read_bytes(path, _FFHQ_BYTES))
        for photo, facts in found.items():
            data = entries[str(int(Path(photo).stem))]["metadata"]
            if not isinstance(data["license"], str):
                raise TypeError(f"licence {data['license']!r}"[:80])
            facts |= {"licence": data["license"], "attribution": f"{data['author']}, {data['photo_url']}"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        found_instead = f"{type(error).__name__} {error}"
        raise InputError(f"list {path}", expected="the metadata of FFHQ", found=found_instead) from error
    return found


def _ffhq_filter(tree: Path, name: str, value: str) -> Callable[[str], bool]:
    if name != "partition" or value not in ("training", "validation"):
        raise UsageError(f"filter {name}={value}", expected="partition=training or partition=validation")
    return lambda photo: (int(Path(photo).stem) < _FFHQ_TRAINING) == (value == "training")


# LFW


def _tell_lfw(folder: Path) -> bool:
    people = (folder / name for name in _names(folder) if (folder / name).is_dir())
    return any(re.fullmatch(rf"{re.escape(p.name)}_\d{{4}}\.jpg", name) for p in people for name in _names(p, 2))


def _lfw_facts(tree: Path, photos: Iterable[str]) -> Mapping[str, Facts]:
    return {photo: {"person": f"lfw {photo.split('/')[0]}"} for photo in photos if "/" in photo}


LAYOUTS: Final[Mapping[str, Layout]] = {
    layout.name: layout
    for layout in (
        Layout(
            "celeba", "CelebA (Liu et al. 2015)",
            ("img_align_celeba", "img_align_celeba_png", "img_celeba"),
            _tell(r"\d{6}\.(jpg|png)"), "non-commercial research only (CelebA's agreement)", _celeba_facts,
            _celeba_filter,
        ),
        Layout(
            "ffhq", "FFHQ (Karras et al. 2019)",
            ("images1024x1024", "thumbnails128x128", "in-the-wild-images"), _tell(r"\d{5}(\.png)?"),
            "CC BY-NC-SA 4.0; each photo has a Creative Commons licence of its own", _ffhq_facts, _ffhq_filter,
        ),
        Layout(
            "lfw", "LFW (Huang et al. 2007)", ("lfw", "lfw-deepfunneled", "lfw_funneled"), _tell_lfw,
            "no licence is stated; photos from news sites, for research", _lfw_facts, _no_filter,
        ),
        Layout(
            "emotionet", "EmotioNet (Benitez-Quiroz et al. 2016)", ("imgs", "images"),
            _tell(r"N_\d{10}_\d{5}\.(jpg|png)"), "research only (EmotioNet's agreement)",
            lambda tree, photos: {photo: {"person": f"emotionet {Path(photo).stem}"} for photo in photos}, _no_filter,
            telling=True,
        ),
    )
}  # fmt: skip
