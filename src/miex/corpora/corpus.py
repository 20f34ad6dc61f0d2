"""What all corpora have in common, and how they are read: one clip per event, from table rows and folders of frames.

Each corpus has a file of its own, which declares only what differs: names of columns and folders, and its categories.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from miex.corpora.au_codes import parse_aus
from miex.corpora.clip import Clip, Descent, Kind
from miex.corpora.corrections import Correction, corrected, corrections_of
from miex.corpora.events import frame_numbers, frame_places, objective_class
from miex.corpora.folders import Folder, files_below, image_folders
from miex.corpora.mappings import DEFAULT_MAPPING, ClassMapping, emotion_labels, emotion_named, mapping_named
from miex.errors import InputError, UsageError
from miex.labels import Label
from miex.tables.table import SUFFIXES, Columns, Row, Sheet, read_sheets, read_table, rows_in

OnError = Literal["raise", "skip", "collect"]
Key = tuple[str, ...]
_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)(\d{4})?(?!\d)")  # in names of tables, such as 20140508 or 2019
# folders that divide a corpus: by the three labels or for training
_PART = re.compile(
    r"[0-2]|neg|pos|sur|negative|positive|surprise|train(ing)?|test(ing)?|val(id(ation)?)?|dev", re.IGNORECASE
)
_OTHER_SPREADSHEETS = (".ods", ".xlsb", ".numbers")
_VERSION = re.compile(r"(?<![a-z])v(\d{1,3})(?!\d)", re.IGNORECASE)


class Tree(NamedTuple):
    """A tree of frames in the layout: its name, and format strings for a clip's folder and a frame's file."""

    name: str
    folder: str
    file: str


@dataclass(frozen=True)
class Reading:
    """The result of reading a corpus.

    Attributes:
        corpus: its name.
        clips: in the order of the table, or of the folders.
        problems: the rows that could not be read, with on_error="collect".
        corrections: the corrections applied, one entry per row.
        tables: the table that was read, or its parts; none if the corpus is described by its folders.
        other_tables: further tables of the same corpus in the folder.
        tree: the tree of frames that was read, "" for the corpus' folder itself, None if only the table is there.
        trees: {tree: number of clip folders}.
        unnamed: clip folders of that tree that no row refers to.
    """

    corpus: str
    clips: tuple[Clip, ...]
    problems: tuple[InputError, ...] = ()
    corrections: tuple[Correction, ...] = ()
    tables: tuple[Path, ...] = ()
    other_tables: tuple[Path, ...] = ()
    tree: str | None = None
    trees: Mapping[str, int] = field(default_factory=dict)
    unnamed: tuple[str, ...] = ()

    def __repr__(self) -> str:
        tables = ", ".join(table.name for table in self.tables) or "no table"
        return f"reading of {self.corpus}: {len(self.clips):,} clips, {len(self.problems):,} broken rows · {tables}"


class Corpus:
    """A corpus as its owners distribute it.

    Attributes:
        name: as users type it; title: as papers write it.
        fps: frames per second of the videos.
        licence: how to ask for it; source: the paper.
        emotions: its categories, in miex' spelling.
        first_number: number of the first frame of a video.
        folders: regular expression of a clip's folder, below the tree's own folder; what its named groups match is
            the key by which rows find it.
        belongs: regular expression that the tree's path must match (a corpus may come as several sets).
        prefer: trees of frames in the order of preference, as regular expressions.
        tables: names of the table in the order of preference, as regular expressions; none: the folders say all. Of
            several that match one of them the newest is read, by the date or version in its name.
        columns: how its columns are found.
        paths: its trees of frames, the preferred first.
        fake_table: name of the table that a fake gets.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    fps: ClassVar[float | None] = None
    licence: ClassVar[str]
    source: ClassVar[str] = ""
    emotions: ClassVar[tuple[str, ...]]
    first_number: ClassVar[int] = 1
    folders: ClassVar[str]
    belongs: ClassVar[str] = ""
    prefer: ClassVar[tuple[str, ...]] = ()
    tables: ClassVar[tuple[str, ...]] = ()
    columns: Columns | None = None
    paths: ClassVar[tuple[Tree, ...]]
    fake_table: ClassVar[str] = ""

    @property
    def corpus_name(self) -> str:
        """What its clips are said to be of."""
        return self.name

    # what a corpus may override

    def identify(self, row: Row) -> tuple[str, str]:
        """Subject and clip of a row, in the corpus' own codes. Raises InputError if the row has none."""
        return row.text("subject"), row.text("clip")

    def key(self, subject: str, clip: str, row: Row) -> Key:
        """Key of the folder in which the row's frames lie."""
        return key_of(subject, clip)

    def folder_key(self, found: Mapping[str, str]) -> Key:
        """The same key, from what the groups of `folders` match."""
        return key_of(*found.values())

    def events(self, row: Row) -> list[Row]:
        """The rows of single events that a row of the table stands for."""
        return [row]

    def wanted(self, row: Row) -> bool:
        """Whether a row of the table belongs to this corpus (and not to its other half)."""
        return True

    def parts_of_table(self, tables: Sequence[Path]) -> list[Path]:
        """Which of the tables found are read: the first, unless the corpus comes in part workbooks."""
        return list(tables[:1])

    def rows_of_table(self, path: Path) -> list[Row]:
        """The rows of one table. Corpora that have none may read a list of their clips instead."""
        if self.columns is None:
            raise UsageError(f"table {path} for {self.title}", expected="the folder alone: this corpus has no table")
        return read_table(path, self.columns, published=True, flawed=True)

    def needs_frames(self, row: Row, folders: Mapping[Key, Folder]) -> bool:
        """Whether a row without a folder is broken: unless only the table is there."""
        return bool(folders)

    def parts_of_folder(self, folder: Folder, found: Mapping[str, str]) -> Iterator[tuple[Key, Folder]]:
        """The clips of a folder: one, unless single images are the samples."""
        yield self.folder_key(found), folder

    def rows_of_folders(self, path: Path, folders: Mapping[Key, Folder]) -> list[Row]:
        """Rows of a corpus without a table: what each folder says by its name."""
        raise NotImplementedError

    def counts_from(self, folder: Folder | None) -> int:
        """The smallest number that a frame may have; where there is no folder, the number of the first frame."""
        return self.first_number

    def corpus_of(self, row: Row) -> str:
        """The corpus that a clip is of."""
        return self.corpus_name

    def emotion(self, row: Row, notes: list[str]) -> str:
        """The category of a row in miex' spelling. Raises InputError for one that the corpus does not have."""
        emotion = emotion_named(row.cells.get("emotion", ""))
        if "emotion" in row.cells and not self.has(emotion):
            raise row.wrong("emotion", "one of " + ", ".join(filter(None, self.emotions)))
        return emotion

    def has(self, emotion: str) -> bool:
        """Whether that is one of its categories, or several of them joined by +."""
        return set(emotion.split("+")) <= set(self.emotions)

    def label(self, row: Row, emotion: str, mapping: ClassMapping) -> Label | None:
        """The label of a row; None where the mapping leaves its category out."""
        code = mapping.code(self.name, emotion)
        return None if code is None else Label(code)

    def descent(self, row: Row) -> Descent | None:
        """Where the AUs of a row come from, if its clip is synthetic."""
        return None

    def kind(self, row: Row) -> Kind:
        """Whether the event is a micro- or a macro-expression."""
        return "macro" if row.cells.get("kind", "").lower().startswith("macro") else "micro"

    def path_fields(self, subject: str, clip: str, emotion: str) -> dict[str, Any]:
        """What the format strings of `paths` name, but for the frame's number."""
        return {"subject": subject, "clip": clip, "emotion": emotion}

    def label_files(self, subject: str, clip: str, emotion: str, last: int, aus: str) -> dict[str, str]:
        """{path: text} of the files that stand in for a table, for a clip whose last frame is `last`; for fakes.

        A path that ends in / is a folder that stays empty.
        """
        return {}

    # how all corpora are read

    def read(
        self,
        path: Path | str,
        *,
        table: Path | str | None = None,
        tree: str | None = None,
        mapping: str = DEFAULT_MAPPING,
        without: Collection[str] = (),
        on_error: OnError = "raise",
    ) -> Reading:
        """The clips of this corpus. No image is opened.

        Args:
            path: the corpus' folder, or its table alone.
            table: the table, if it does not lie there or if another one is wanted.
            tree: part of the path of the wanted tree of frames, such as cropped. Default: as the corpus prefers.
            mapping: the mapping to the three labels, one of `corpora.mappings`.
            without: ids of corrections that are not wanted, or "all".
            on_error: what a row that cannot be read does: it is raised, left out, or left out and listed.

        Raises:
            InputError: there is no such corpus, no table that can be read; with on_error="raise" also a broken row,
                with its file, row, column and value.
            UsageError: an unknown mapping, correction or tree.
        """
        if on_error not in ("raise", "skip", "collect"):
            raise UsageError(f"`on_error` {on_error!r}", expected="raise, skip or collect")
        labels = mapping_named(mapping)
        if not labels.gives_labels:
            raise UsageError(
                f"`mapping` {mapping}",
                expected="a mapping to negative, positive and surprise",
                do=f"read with another mapping; its classes are for training and testing: `classes` {mapping}",
            )
        corrections = corrections_of([self.name], without)
        path = Path(path)
        if not path.exists():
            raise self._absent(path, "no such folder")
        found = [Path(table)] if table else self.find_tables(path)
        tables = self.parts_of_table(found)
        if table is None:
            self._prove_one(found, tables)
        trees = self.trees(path, tables)
        if tree is None:
            self._prove_parts(trees, path)
        chosen = self._choose(trees, tree, path)
        folders = trees[chosen] if chosen is not None else {}
        if tables:
            rows = [row for part in tables for row in self.rows_of_table(part)]
        elif folders and not self.tables:
            rows = self.rows_of_folders(path, folders)
        else:
            raise self._absent(path, "no table of it" if self.tables else "no clip folder")
        clips: list[Clip] = []
        problems: list[InputError] = []
        applied: list[Correction] = []
        first: dict[tuple[str, str, str, int | None], str] = {}
        used: set[Key] = set()
        for row in rows:
            try:
                for event in self.events(row) if self.wanted(row.whole()) else ():
                    subject, clip_name = self.identify(event)
                    event, mended = corrected(event, subject, clip_name, corrections)
                    key = self.key(subject, clip_name, event)
                    used.add(key)
                    clip = self._clip(
                        event, subject, clip_name, folders.get(key), self.needs_frames(event, folders), labels
                    )
                    again = first.setdefault((clip.corpus, subject, clip_name, clip.onset), clip.source)
                    if again != clip.source:
                        raise event.wrong("clip", "each event once", do=f"it stands already in {again}")
                    clips.append(replace(clip, notes=(*(f"correction {c.id}" for c in mended), *clip.notes)))
                    applied += mended
            except InputError as error:
                if on_error == "raise":
                    raise
                if on_error == "collect":
                    problems.append(error)
        return Reading(
            self.corpus_name, tuple(clips), tuple(problems), tuple(applied), tuple(tables),
            tuple(other for other in found if other not in tables), chosen,
            {name: len(trees[name]) for name in sorted(trees)},
            tuple(folder.below for key, folder in folders.items() if key not in used),
        )  # fmt: skip

    def find_tables(self, path: Path) -> list[Path]:
        """Tables of this corpus in its folder (or beside it), the preferred and nearest first; a file is its own table.

        By name; if none has the right name, by content.
        """
        if path.is_file():
            return [path]
        if not self.tables or not path.is_dir():
            return []
        inside = [p for p in files_below(path) if p.suffix.lower() in SUFFIXES]
        # users point to a tree of frames, and the table lies beside it
        beside = [p for p in files_below(path.resolve().parent, depth=0) if p.suffix.lower() in SUFFIXES]
        return self.named_as_table(inside) or [p for p in inside if self.is_table(p)] or self.named_as_table(beside)

    def named_as_table(self, files: Iterable[Path]) -> list[Path]:
        """Those of the files that are called like its table, the preferred name first."""
        return sorted((file for file in files if self._rank(file) is not None), key=lambda file: self._rank(file) or ())

    def _rank(self, file: Path) -> tuple[int, ...] | None:
        """Place of a name among those of its tables: the first that it matches, then the newest date and version."""
        for i, pattern in enumerate(self.tables):
            if re.fullmatch(pattern + r"\.(xlsx?|csv)", file.name, re.IGNORECASE):
                date = max((int(year + day.ljust(4, "0")) for year, day in _DATE.findall(file.stem)), default=0)
                return i, -date, -max(map(int, _VERSION.findall(file.stem)), default=0)
        return None

    def _newer(self, table: Path, other: Path) -> bool:
        """Whether names tell that a table comes before another of a lower place; not where only one has a date."""
        a, b = self._rank(table), self._rank(other)
        dated = a and b and a[0] == b[0] and a[1] and not b[1]
        return a != b and not dated

    def _prove_one(self, found: Sequence[Path], read: Sequence[Path]) -> None:
        """Raises UsageError if another table is as good as one that is read, and says something else."""
        for table in read:
            for other in found:
                if other not in read and not self._newer(table, other) and not self._alike(table, other):
                    raise UsageError(
                        f"table of {self.title}", expected="one, or names with dates or versions that tell the newest",
                        found=f"{table} and {other}, which differ",
                        do="move away the one that is not to be read; of one corpus, `table` can name the other",
                    )  # fmt: skip

    def _alike(self, a: Path, b: Path) -> bool:
        try:
            same = a.read_bytes() == b.read_bytes()
            return same or [dict(row.cells) for row in self.rows_of_table(a)] == [
                dict(row.cells) for row in self.rows_of_table(b)
            ]
        except InputError:  # reading says what is wrong with the first; another one that is broken is none
            return True

    def is_table(self, path: Path, sheets: Sequence[Sheet] | None = None) -> bool:
        """Whether a table has the columns, and its first row a subject and clip of this corpus.

        Args:
            path: the table.
            sheets: those of the table, if they are open already. No more of them is read than the first rows.
        """
        try:
            return any(self.identify(row) for row in islice(self._first(path, sheets), 1))
        except InputError:
            return False

    def _first(self, path: Path, sheets: Sequence[Sheet] | None) -> Iterator[Row]:
        if self.columns is None:
            return
        columns = replace(self.columns, headerless=())
        opened = read_sheets(path) if sheets is None else sheets
        rows = rows_in(opened, columns, f"table {path}", published=True)
        yield from (row for row in rows if row.flaw is None)

    def trees(self, path: Path, tables: Sequence[Path]) -> dict[str, dict[Key, Folder]]:
        """{tree: {key: clip folder}} of the corpus' folder."""
        if path.is_file():
            return {}
        trees: dict[str, dict[Key, Folder]] = {}
        for folder, match in self._layout(path):
            if match:
                found = {k: v or "" for k, v in match.groupdict().items() if k != "tree"}
                tree = trees.setdefault(match["tree"] or "", {})
                for key, part in self.parts_of_folder(folder, found):
                    tree.setdefault(key, part)
        return self._joined(trees, path)

    def unlike(self, path: Path) -> list[str]:
        """Folders of images below a corpus' folder that are not of its layout."""
        return [folder.below or "." for folder, match in self._layout(path) if match is None]

    def _layout(self, path: Path) -> Iterator[tuple[Folder, re.Match[str] | None]]:
        """Every folder of images, and how it matches `folders`."""
        pattern = re.compile(rf"(?:(?P<tree>.*?)/)??{self.folders}", re.IGNORECASE)
        above = path.resolve().parts[-2:]
        for folder in image_folders(path):
            # a user may point into the tree: what lies above is part of the layout then
            match = pattern.fullmatch(folder.below) or pattern.fullmatch("/".join((*above, folder.below)).rstrip("/"))
            belongs = match and re.search(self.belongs, f"{path.name}/{match['tree'] or ''}/", re.IGNORECASE)
            yield folder, match if belongs else None

    def _joined(self, trees: dict[str, dict[Key, Folder]], path: Path) -> dict[str, dict[Key, Folder]]:
        """Trees that share no clip are parts of one copy if they lie side by side, in folders of a class, or in those
        of train and test."""
        for whole, names in self._parts(trees, path):
            if not _shared(trees, names):
                joined = {key: folder for name in names for key, folder in trees[name].items()}
                trees = {**{name: tree for name, tree in trees.items() if name not in names}, whole: joined}
        beside: dict[tuple[str, int], list[str]] = {}
        for name in trees:
            beside.setdefault((name.rpartition("/")[0], self._preferred(name, path)), []).append(name)
        for (above, _), names in beside.items():
            joined = {key: folder for name in names for key, folder in trees[name].items()}
            if len(names) > 1 and above not in trees and len(joined) == sum(len(trees[name]) for name in names):
                trees = {**{name: tree for name, tree in trees.items() if name not in names}, above: joined}
        return trees

    def _parts(self, trees: Iterable[str], path: Path) -> list[tuple[str, list[str]]]:
        """Names of trees that differ only in folders called like classes, or train and test; each with what they are
        called without these."""
        found: dict[tuple[str, int], list[str]] = {}
        for name in trees:
            whole = "/".join(part for part in name.split("/") if not self._is_part(part))
            found.setdefault((whole, self._preferred(name, path)), []).append(name)
        return [(whole, names) for (whole, _), names in found.items() if len(names) > 1]

    def _is_part(self, folder: str) -> bool:
        emotion = emotion_named(folder)
        return bool(_PART.fullmatch(folder)) or emotion in emotion_labels() or emotion in self.emotions

    def _prove_parts(self, trees: Mapping[str, Mapping[Key, Folder]], path: Path) -> None:
        """Raises InputError if a clip lies in two folders that are called like classes, or train and test."""
        for whole, names in self._parts(trees, path):
            shared = [] if whole in trees else _shared(trees, names)
            if shared:
                raise InputError(
                    f"folders of {self.title} in {path}", expected="each clip in one of " + listed(sorted(names)),
                    found=f"{len(shared):,} in two, such as {shared[0][0].below} and {shared[0][1].below}",
                    do="move one of the two away, or name the folder to read as `tree`",
                )  # fmt: skip

    def _preferred(self, tree: str, path: Path) -> int:
        """Place of a tree in `prefer`."""
        fits = (i for i, p in enumerate(self.prefer) if re.search(p, f"{path.name}/{tree}", re.IGNORECASE))
        return next(fits, len(self.prefer))

    def _choose(self, trees: Mapping[str, Mapping[Key, Folder]], tree: str | None, path: Path) -> str | None:
        names = [name for name in trees if tree is None or tree.lower() in name.lower()]
        if tree is not None and not names:
            raise UsageError(
                f"`tree` {tree!r} of {self.title} in {path}", expected=", ".join(sorted(trees)) or "folders of frames",
            )  # fmt: skip

        def rank(name: str) -> tuple[int, int, str]:
            return self._preferred(name, path), -len(trees[name]), name

        return min(names, key=rank, default=None)

    def _absent(self, path: Path, found: str) -> InputError:
        expected = [f"a table such as {self.fake_table}"] if self.tables else []
        if unlike := self.unlike(path) if path.is_dir() else []:
            found += f"; folders of images are called {listed(unlike)}"
        expected.append(f"{self.paths[0].folder}/{self.paths[0].file}".format_map(_Example()))
        try:
            there = ", ".join(sorted(child.name for child in path.iterdir())[:8]) or "nothing"
        except OSError as error:
            there = error.strerror or str(error)
        other = (
            [p.name for p in files_below(path) if p.suffix.lower() in (".ods", ".xlsb", ".numbers")]
            if path.is_dir()
            else []
        )
        return InputError(
            f"{self.title} in {path}",
            expected="; ".join(expected),
            found=f"{found}; the folder holds {there}",
            do=f"save {other[0]} as xlsx or CSV, if it is the table"
            if other and self.tables
            else f"to request the corpus: {self.licence}. To try miex without it: miex corpora fake {self.name} DIR",
        )

    def _clip(
        self, row: Row, subject: str, name: str, folder: Folder | None, need_folder: bool, labels: ClassMapping
    ) -> Clip:
        if need_folder and folder is None:
            raise InputError(
                f"frames of {self.title} {subject} {name}",
                expected=f"a folder such as {self.paths[0].folder.format_map(_Example())}",
                found=f"none ({row.where()})",
                do="unpack the archive again, or leave such rows out with `on_error` skip",
            )
        notes: list[str] = []
        emotion = self.emotion(row, notes)
        first_number = self.counts_from(folder)
        numbers = frame_numbers(row, first_number, notes)
        codes = parse_aus(row.cells.get("aus", ""))
        if codes.unread:
            notes.append(f"AUs not understood: {codes.unread!r}")
        places = frame_places(row, numbers, first_number, folder, notes)
        if folder and folder.empty:
            notes.append(f"files of 0 bytes: {', '.join(sorted(folder.empty))}")
        return Clip(
            self.corpus_of(row), subject, name, emotion, self.label(row, emotion, labels), *places, aus=codes.aus,
            frames=folder.frames if folder else (), kind=self.kind(row), objective=objective_class(row),
            published=numbers, source=row.where(), notes=tuple(notes), descent=self.descent(row),
        )  # fmt: skip


def _shared(trees: Mapping[str, Mapping[Key, Folder]], names: Iterable[str]) -> list[tuple[Folder, Folder]]:
    """The folders of each clip that is in two of the trees."""
    first: dict[Key, Folder] = {}
    again = ((first.setdefault(key, folder), folder) for name in names for key, folder in trees[name].items())
    return [(a, b) for a, b in again if a is not b]


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


class _Example(dict[str, Any]):
    """Fills a path of the layout for messages."""

    def __missing__(self, key: str) -> Any:
        return _Placeholder(key)


class _Placeholder(str):
    def __format__(self, spec: str) -> str:
        return f"<{str.__str__(self)}>"


def key_of(*parts: str) -> Key:
    """A folder's key: case and leading zeros do not count (`s01/S01_ne_01` finds `s1/s1_ne_01`)."""
    return tuple(re.sub(r"(?<!\d)0+(?=\d)", "", part.strip().lower()) for part in parts)


def subject_code(prefix: str, digits: int, row: Row) -> str:
    """The code of a folder, `sub01`, from a subject that the table gives as `1`, `01` or `sub01`."""
    text = row.text("subject")
    number = text.lower().removeprefix(prefix.lower())
    if not (number.isascii() and number.isdigit() and len(number) < 9):
        raise row.wrong("subject", f"a subject's number, such as {1:0{digits}d} or {prefix}{1:0{digits}d}")
    return f"{prefix}{int(number):0{digits}d}"


def clip_code(pattern: str, example: str, row: Row) -> str:
    """The clip of a row. Raises InputError if it is not called as this corpus calls its clips."""
    clip = row.text("clip")
    if not re.fullmatch(pattern, clip, re.IGNORECASE | re.ASCII):
        raise row.wrong("clip", f"a clip such as {example}")
    return clip
