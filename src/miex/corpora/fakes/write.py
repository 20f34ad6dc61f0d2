"""Fakes: small corpora in the layout of the real ones, quirks included, for everyone without a licence.

The caller passes the function that moves the faces. A fake holds a `fake.json` with the AUs of every frame, which no
reader uses.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, N_AUS, SIDES, AUArray
from miex.corpora.au_codes import parse_aus
from miex.corpora.clip import Clip
from miex.corpora.corpus import Corpus
from miex.corpora.fakes.layouts import fake_parts
from miex.corpora.fakes.parts import STATEMENT, FakeEvent, FakePart, write_strays, write_tables
from miex.errors import OutputError, UsageError
from miex.executors.base import Progress, silent
from miex.storage.local import write_whole

TRUTH_FILE = "fake.json"
Frames = npt.NDArray[np.uint8]
Render = Callable[[str, AUArray], Frames]  # (subject, AUs float32 [n, 17, 2]) -> uint8 RGB [n, h, w, 3]
Encode = Callable[[Frames, str], bytes]  # (frame uint8 RGB [h, w, 3] or gray [h, w], suffix) -> an image file
_GRAY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_WEAKEST, _STRONGEST = 0.25, 0.5  # intensities without a letter: micro, but visible at the size of a fake
_LENGTH = 10  # frames of a sequence of which a list says only the emotion
_OUTSIDE = {24: 23, 16: 15, 28: 23}  # AUs that are not among the 17 move as their nearest relative; others not at all


def movement(numbers: Sequence[int], onset: int, apex: int, offset: int) -> npt.NDArray[np.float64]:
    """How far an expression has gone at each frame: 0 up to the onset, 1 at the apex, 0 from the offset on.

    Raised cosines, so that it begins and ends at rest; where offset = apex it stays (CK+).
    """
    at = np.asarray(numbers, np.float64)
    rise = np.clip((at - onset) / max(apex - onset, 1), 0, 1)
    fall = np.clip((offset - at) / (offset - apex), 0, 1) if offset > apex else np.ones_like(at)
    return (0.5 - 0.5 * np.cos(np.pi * rise)) * (0.5 - 0.5 * np.cos(np.pi * fall))


def apex_vector(text: str, rng: np.random.Generator, strength: float = 1.0) -> AUArray:
    """Intensities at the apex of coded AUs, float32 [17, 2]; a letter A to E is 1/5 to 1, without one it is drawn.

    All are multiplied by `strength`, up to 1. Where no AU was certainly seen (`L12 or L14`), the first that is named
    moves.
    """
    vector = np.zeros((N_AUS, len(SIDES)), np.float32)
    aus = parse_aus(text).aus
    for au in [au for au in aus if au.status == "seen"] or aus[:1]:
        drawn = rng.uniform(_WEAKEST, _STRONGEST)
        intensity = ("ABCDE".index(au.intensity) + 1) / 5 if au.intensity else drawn
        place = AU_INDEX.get(_OUTSIDE.get(au.au, au.au))
        if place is None:
            continue
        sides = {"left": [0], "right": [1], "both": [0, 1]}[au.side]
        vector[place, sides] = np.maximum(vector[place, sides], intensity)
        if au.asymmetric:
            vector[place, 1] /= 2
    scaled: AUArray = np.minimum(strength * vector, 1).astype(np.float32)
    return scaled


@dataclass(frozen=True)
class Made:
    """What was written: the corpus, its folder, how many events and images, and the AUs (the content of fake.json)."""

    corpus: str
    path: Path
    events: int
    images: int
    truth: dict[str, Any]

    def __repr__(self) -> str:
        return f"fake {self.corpus} in {self.path}: {self.events:,} events, {self.images:,} images"


def write_fake(
    corpus: Corpus,
    path: Path,
    render: Render,
    encode: Encode,
    *,
    subjects: int = 4,
    seed: int = 0,
    strength: float = 1.0,
    progress: Progress = silent,
) -> Made:
    """Write a small fake of a corpus in its true layout.

    Args:
        corpus: which.
        path: a new or empty folder.
        render: moves a subject's face.
        encode: writes an image.
        subjects: how many people, 2 to 8.
        seed: of lengths and intensities; the same seed gives the same fake.
        strength: factor of all intensities; 1: micro-expressions.
        progress: called with folders done and folders in all.

    Raises:
        UsageError: fewer than 2 subjects, or more than the layout has names for.
        OutputError: the folder is not empty.
    """
    if subjects < 2:
        raise UsageError(f"`subjects` {subjects}", expected="at least 2")
    parts = fake_parts(corpus, subjects, seed)
    _claim(path)
    total = sum(len(_folders(part.corpus, part.events)) for part in parts)
    images, done = 0, 0
    clips: list[dict[str, Any]] = []
    for part in parts:
        write_tables(part, path)
        for events in _folders(part.corpus, part.events).values():
            written, truth = _write_folder(part, path, events, render, encode, seed, strength)
            images, done, clips = images + written, done + 1, clips + truth
            progress(done, total, "")
        write_strays(part, path)
    truth_file = {"statement": STATEMENT, "corpus": corpus.name, "seed": seed, "clips": clips}
    write_whole(path / TRUTH_FILE, json.dumps(truth_file, ensure_ascii=False, indent=1).encode())
    return Made(corpus.name, path, len(clips), images, truth_file)


def _claim(path: Path) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(
            f"fake in {path}", expected="a new or empty folder", found="other files", do="give another folder"
        )
    path.mkdir(parents=True, exist_ok=True)


def _folders(corpus: Corpus, events: Iterable[FakeEvent]) -> dict[tuple[str, str], list[FakeEvent]]:
    """The events that share frames: those of one folder, or of one image where images are named by clips."""
    folders: dict[tuple[str, str], list[FakeEvent]] = defaultdict(list)
    tree = corpus.paths[0]
    for event in events:
        fields = _fields(corpus, event)
        folders[tree.folder.format(**fields), event.clip if "{clip}" in tree.file else ""].append(event)
    return dict(folders)


def _fields(corpus: Corpus, event: FakeEvent) -> dict[str, Any]:
    return corpus.path_fields(event.subject, event.clip, event.folder_emotion or event.emotion)


def _write_folder(
    part: FakePart, root: Path, events: list[FakeEvent], render: Render, encode: Encode, seed: int, strength: float
) -> tuple[int, list[dict[str, Any]]]:
    """Render the frames of a folder, once for every tree of the corpus; the number of images, and the truth."""
    corpus = part.corpus
    lost = {number for event in events for number in event.lost}
    first, last = min(event.first for event in events), max(event.last for event in events)
    numbers = [number for number in range(first, last + 1) if number not in lost]
    aus = np.zeros((len(numbers), N_AUS, len(SIDES)), np.float32)
    truth = []
    for event in events:
        name = f"{seed}/{corpus.name}/{event.subject}/{event.clip}/{event.onset}"
        apex = apex_vector(event.aus, np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))), strength)
        moved = movement(numbers, event.onset, event.apex, event.offset)
        aus = np.maximum(aus, (apex * moved[:, None, None]).astype(np.float32))
        truth.append(
            {
                "corpus": corpus.name, "subject": event.subject, "clip": event.clip, "emotion": event.emotion,
                "folder": corpus.paths[0].folder.format(**_fields(corpus, event)), "onset": event.onset,
                "apex": event.apex, "offset": event.offset, "numbers": numbers,
                "movement": [round(float(m), 4) for m in moved],
                "apex_aus": [[round(float(z), 4) for z in sides] for sides in apex],
            }
        )  # fmt: skip
    frames = render(events[0].subject, aus)
    if part.gray:
        frames = np.rint(frames @ _GRAY).astype(np.uint8)
    images = 0
    fields = _fields(corpus, events[0])
    for tree in corpus.paths:
        target = root / tree.folder.format(**fields)
        target.mkdir(parents=True, exist_ok=True)
        # not flushed one by one, as the shards of a set are: a fake is quickly made again
        for frame, number in zip(frames, numbers, strict=True):
            (target / tree.file.format(**fields, number=number)).write_bytes(encode(frame, Path(tree.file).suffix))
            images += 1
    for event in events:
        write_labels(corpus, root, event.subject, event.clip, event.emotion, numbers[-1], event.aus)
    return images, truth


def fake_frames_of(
    corpus: Corpus, path: Path, table: Path, encode: Encode, *, neighbors: int = 1, **options: Any
) -> Made:
    """Write the frames that a real table names, and their neighbors: one tiny gray image, linked.

    With them a reader can be run over the whole table as if the corpus were there. The table is copied into the folder.

    Args:
        corpus: which; table: its table.
        path: a new or empty folder, or one with fakes of other corpora.
        encode: writes an image.
        neighbors: how many frames before and after each named one.
        options: as in `Corpus.read`.

    Raises:
        InputError: the table cannot be read.
    """
    reading = corpus.read(table, on_error="skip", **options)
    path.mkdir(parents=True, exist_ok=True)
    wanted: dict[str, set[int]] = defaultdict(set)
    fields_of: dict[str, dict[str, Any]] = {}
    tree = corpus.paths[0]
    for clip in reading.clips:
        fields = corpus.path_fields(clip.subject, clip.clip, clip.emotion)
        folder = tree.folder.format(**fields)
        fields_of.setdefault(folder, fields)
        wanted[folder] |= set(_named_frames(corpus, clip, neighbors))
    suffix = Path(tree.file).suffix
    tiny = encode(np.full((1, 1), 128, np.uint8), suffix)
    original: Path | None = None
    for folder, numbers in wanted.items():
        (path / folder).mkdir(parents=True, exist_ok=True)
        for number in sorted(numbers):
            original = _link(original, path / folder / tree.file.format(**fields_of[folder], number=number), tiny)
    corpus_table(corpus, path, table)
    for clip in reading.clips:
        write_labels(corpus, path, clip.subject, clip.clip, clip.emotion, max(_named_frames(corpus, clip, neighbors)))
    return Made(corpus.name, path, len(reading.clips), sum(map(len, wanted.values())), {})


def _named_frames(corpus: Corpus, clip: Clip, neighbors: int) -> Iterator[int]:
    named = [number for number in clip.published if number is not None]
    if corpus.tables:
        for number in named:
            yield from range(max(0, number - neighbors), number + neighbors + 1)
    else:  # onset and offset are the ends of the folder: nothing may lie beyond them
        first, last = named[0], named[-1] if len(named) > 1 else named[0] + _LENGTH
        yield from (first, (first + last) // 2, last)


def _link(original: Path | None, target: Path, content: bytes) -> Path:
    """Hard-link a file; the first, and where that cannot be (its links are used up, no links here), write it anew.

    Returns:
        The file to link the next one to.
    """
    try:
        if original is None:
            raise FileNotFoundError
        os.link(original, target)
        return original
    except FileExistsError:
        return target
    except OSError:
        target.write_bytes(content)
        return target


def corpus_table(corpus: Corpus, path: Path, table: Path) -> None:
    """Copy a real table to its place in the layout, under a name that the reader knows."""
    if not corpus.tables:
        return
    usual = path / corpus.fake_table
    target = usual.with_name(table.name) if corpus.named_as_table([table]) else usual.with_suffix(table.suffix)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(table, target)


def write_labels(corpus: Corpus, path: Path, subject: str, clip: str, emotion: str, last: int, aus: str = "") -> None:
    """Write the label files of a clip, of corpora that have them in place of a table."""
    for name, text in corpus.label_files(subject, clip, emotion, last, aus).items():
        target = path / name
        (target if name.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            target.write_text(text, "utf-8")
