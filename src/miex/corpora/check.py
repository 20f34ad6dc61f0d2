"""Report what of a corpus is there, missing or broken, and what is corrected."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miex.corpora.corpus import Corpus, Reading
from miex.corpora.folders import missing, packed_files
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.images import ImageError, read_image


@dataclass(frozen=True)
class Report:
    """What was found in the folder of a corpus.

    Attributes:
        corpus: the corpus.
        path: its folder.
        reading: all clips and problems.
        packed: archives that have not been unpacked.
        unlike: folders of images that are not of its layout.
        damaged: frames that cannot be read and why, if images were opened.
        opened: number of frames that were opened.
    """

    corpus: Corpus
    path: Path
    reading: Reading
    packed: tuple[Path, ...]
    unlike: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    opened: int = 0

    def __repr__(self) -> str:
        clips = self.reading.clips
        parts = [
            f"{self.corpus.title} in {self.path}: {len(clips):,} clips",
            f"{sum(bool(clip.frames) for clip in clips):,} with frames",
            f"{len(self.reading.problems):,} broken rows",
        ]
        return " · ".join(parts)

    @property
    def good(self) -> bool:
        """Whether every row could be read, and every frame that was opened, and images that are there were found."""
        return not self.reading.problems and not self.damaged and not self.lost

    @property
    def lost(self) -> bool:
        """Whether there are folders of images, but none of this layout."""
        return bool(self.unlike) and not any(clip.frames for clip in self.reading.clips)

    def facts(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        reading, clips = self.reading, self.reading.clips
        labels = Counter(clip.label.name if clip.label is not None else "none" for clip in clips)
        with_frames = [clip for clip in clips if clip.frames]
        notes = Counter(_kind_of_note(note) for clip in clips for note in clip.notes)
        return {
            "corpus": reading.corpus,
            "path": str(self.path),
            "tables": [str(path) for path in reading.tables],
            "other_tables": [str(path) for path in reading.other_tables],
            "tree": reading.tree,
            "trees": dict(reading.trees),
            "clips": len(clips),
            "with_frames": len(with_frames),
            "subjects": len({(clip.corpus, clip.subject) for clip in clips}),
            "emotions": dict(Counter(clip.emotion or "none" for clip in clips).most_common()),
            "labels": dict(sorted(labels.items())),
            "without_apex": sum(clip.apex is None for clip in clips),
            "with_aus": sum(bool(clip.aus) for clip in clips),
            "missing_frames": sum(map(missing, {clip.frames[0]: clip.frames for clip in with_frames}.values())),
            "unnamed_folders": list(reading.unnamed),
            "notes": dict(notes.most_common()),
            "corrections": [correction.id for correction in reading.corrections],
            "problems": [str(problem) for problem in reading.problems],
            "packed": [str(path) for path in self.packed],
            "other_folders": list(self.unlike),
            "opened": self.opened,
            "damaged": list(self.damaged),
        }


def check(
    corpus: Corpus,
    path: Path,
    *,
    images: bool = False,
    executor: Executor = IN_PROCESS,
    progress: Progress = silent,
    **options: Any,
) -> Report:
    """Read a whole corpus and report what was found; options as in `Corpus.read`, except on_error.

    With `images`, every frame of its clips is opened; progress is called with the number of frames opened, and of all.

    Raises:
        InputError: the folder does not hold this corpus.
    """
    reading = corpus.read(path, **options, on_error="collect")
    damaged: list[str] = []
    frames = sorted({frame for clip in reading.clips for frame in clip.frames}) if images else []
    for done, why in enumerate(executor.map(_damage, frames), start=1):
        damaged += [why] if why else []
        progress(done, len(frames), "")
    packed, unlike = (packed_files(path), corpus.unlike(path)) if path.is_dir() else ([], [])
    return Report(corpus, path, reading, tuple(packed), tuple(unlike), tuple(damaged), len(frames))


def _damage(frame: Path) -> str:
    try:
        read_image(frame)
    except ImageError as error:
        return f"{frame}: {error.found}"
    return ""


def _kind_of_note(note: str) -> str:
    if note.startswith("correction"):
        return "corrected"
    if "has no file" in note:
        return "frames moved to the nearest"
    if note.startswith("apex"):
        return "apex missing or out of order"
    if note.startswith("offset"):
        return "offset not determined"
    return note.split(":")[0].split("'")[0].strip()
