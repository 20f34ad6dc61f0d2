"""What every AU extractor promises, and its run over a corpus: in parallel, and resumable."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from miex.aus.tracks import Credit, Track, read_table, table_of, tracks_of, write_parquet
from miex.corpora.clip import Clip
from miex.errors import InputError
from miex.executors.base import Executor, Progress, silent
from miex.storage.base import as_output_errors


class AUExtractor(ABC):
    """Extracts the AUs of a clip. It is sent to other processes, so it must be picklable.

    Attributes:
        name: recorded with every AU.
        version: recorded too; changes whenever the same frames give other AUs.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def version(self) -> str: ...

    @abstractmethod
    def extract(self, clip: Clip) -> Track:
        """The AUs of its frames, at least from onset to offset, numbered as `clip.frames`; where nothing is found, one
        has failed."""

    def reason(self, frame: Path) -> str:
        """Why a frame failed, as text."""
        return "no face was found"


def track_name(clip: Clip) -> str:
    """subject/clip, and the onset where it is known: a video may hold several events."""
    return f"{clip.subject}/{clip.clip}" + (f"@{clip.onset}" if clip.onset is not None else "")


def extract_clips(
    clips: Sequence[Clip],
    extractor: AUExtractor,
    parts: Path,
    *,
    executor: Executor,
    progress: Progress = silent,
) -> list[Track]:
    """The AUs of every clip, in their order.

    Each finished clip is a file in `parts`, named by a digest of clip, frames (path, size, time) and extractor; what is
    there is not made again. Whatever the number of processes, the result is the same.

    Raises:
        OutputError: what is kept cannot be written, or looked for.
        InputError: a clip without frames; one name for clips of two corpora; nothing was seen in any frame of any clip;
            or what the extractor raises.
    """
    tasks = []
    targets: dict[str, Path] = {}
    corpus_of: dict[str, str] = {}
    for clip in clips:
        name = track_name(clip)
        if corpus_of.setdefault(name, clip.corpus) != clip.corpus:  # tracks do not say which corpus they are of
            raise InputError(
                f"AUs of {clip.corpus} {name}", expected="each clip name once",
                found=f"a clip of {corpus_of[name]} of the same name",
                do="extract the AUs of each corpus separately",
            )  # fmt: skip
        if not clip.frames:
            raise InputError(
                f"AUs of {clip.corpus} {name}", expected="its frames", found="only its row in the table",
                do="give the folder of the corpus with its images, or import AU tables: miex aus import",
            )  # fmt: skip
        target = parts / f"{_digest(clip, extractor)}.parquet"
        targets[name] = target
        with as_output_errors(f"AUs of single clips in {parts}"):
            there = target.is_file()
        if not there:
            tasks.append((extractor, clip, target))
    done = len(clips) - len(tasks)
    progress(done, len(clips), "")
    for _ in executor.map(_extract, tasks):
        done += 1
        progress(done, len(clips), "")
    tracks = [tracks_of(read_table(target))[name] for name, target in targets.items()]
    if clips and not any(track.success.any() for track in tracks):
        first = clips[0].frames[clips[0].onset or 0]
        raise InputError(
            f"AUs of {len(clips):,} clips by {extractor.name}",
            expected="a face in at least one frame",
            found=f"all {sum(len(track.frames) for track in tracks):,} frames failed; the first, {first}: "
            f"{extractor.reason(first)}",
            do="check that this frame is a whole image with a face in it",
        )
    return tracks


def _extract(task: tuple[AUExtractor, Clip, Path]) -> str:
    extractor, clip, target = task
    track = extractor.extract(clip)
    write_parquet(table_of([track], Credit()), target)
    return track.clip


def _digest(clip: Clip, extractor: AUExtractor) -> str:
    digest = hashlib.sha256("\x1f".join((extractor.name, extractor.version, track_name(clip))).encode())
    for path in clip.frames:
        status = path.stat()
        digest.update(f"\x1f{path.resolve()}\x1f{status.st_size}\x1f{status.st_mtime_ns}".encode())
    return digest.hexdigest()[:32]
