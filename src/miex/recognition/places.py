"""Examples of sets and of real clips, whose frames are aligned by the face in the onset."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy.typing as npt
import pyarrow as pa

from miex.corpora.clip import Clip
from miex.corpora.mappings import DEFAULT_MAPPING, ClassMapping
from miex.dataset import Dataset
from miex.dataset.schema import ROWS_SCHEMA
from miex.errors import InputError
from miex.faces.crop import CropOptions, align, place_crop
from miex.faces.landmarks import Landmarker
from miex.images import Image, ImageError, decode_image, read_image
from miex.recognition import spotting
from miex.recognition.examples import Examples, FrameSource, rows_of
from miex.recognition.inputs.base import Frames, Input
from miex.recognition.view import LABELS, REAL
from miex.stable import canonical_json, table_digest

CLIP_SIZE = 256  # side of the aligned frames of a clip, in pixels
NoApex = Literal["refuse", "drop", "middle", "spot"]
NO_APEX: tuple[NoApex, ...] = get_args(NoApex)


@dataclass(frozen=True, eq=False)
class SetFrames(FrameSource):
    """The stored frames of a set."""

    dataset: Dataset

    @property
    def digest(self) -> str:
        # the crc32 of each sample is one of the columns, so other frames give another digest
        settings = canonical_json(self.dataset.record["settings"])
        return hashlib.sha256(f"{settings} {table_digest(self.dataset.table)}".encode()).hexdigest()

    def part(self, first: int, count: int) -> SetFrames:
        return SetFrames(self.dataset[first : first + count])

    def examples(self, takes: Input) -> Iterator[npt.NDArray[Any]]:
        layout = stored_layout(self.dataset)
        for i, row in enumerate(self.dataset.table.select(["sample_id", "apex"]).to_pylist()):
            found, name = self.dataset.stored(i).frames, row["sample_id"]
            yield takes.of(Frames(name, layout, len(found), row["apex"], partial(_decoded, found, name), varied=True))


@dataclass(frozen=True, eq=False)
class ClipFrames(FrameSource):
    """The frames of real clips, from onset to offset, aligned by the face in the onset.

    Attributes:
        clips: the clips. In one without an apex it is spotted when the frames are read, in the processes that make the
            examples, so that no frame is decoded before; of what it depends on, the digest holds all.
        model: file of the face landmark model.
        skip: whether a clip that is damaged (a frame, or no face in the onset) gives its error in place of an example.
            One whose frames could not be asked for (permission, a broken disk) may be whole, and is an error.
    """

    clips: tuple[Clip, ...]
    model: Path
    skip: bool = False

    @property
    def digest(self) -> str:
        """sha256 of names, sizes and times of the frames' files, of apexes or how they are spotted, and of the landmark
        model."""
        digest = hashlib.sha256(f"{CLIP_SIZE} {hashlib.sha256(self.model.read_bytes()).hexdigest()}".encode())
        for clip in self.clips:
            first, apex, last = _range(clip)
            files = [_stamp(path) for path in clip.frames[first : last + 1]]
            at = f"spotted {spotting.VERSION}" if apex is None else apex - first
            digest.update(canonical_json([_name(clip), at, files]).encode())
        return digest.hexdigest()

    def files(self) -> list[tuple[Path, ...]]:
        spans = ((clip, _range(clip)) for clip in self.clips)
        return [clip.frames[first : last + 1] for clip, (first, _, last) in spans]

    def part(self, first: int, count: int) -> ClipFrames:
        return replace(self, clips=self.clips[first : first + count])

    def examples(self, takes: Input) -> Iterator[npt.NDArray[Any] | InputError]:
        with Landmarker(self.model) as landmarker:
            for clip in self.clips:
                try:
                    yield self._example(clip, takes, landmarker)
                except InputError as error:
                    if not self.skip or (isinstance(error.__cause__, ImageError) and error.__cause__.out_of_reach):
                        raise
                    yield error

    def _example(self, clip: Clip, takes: Input, landmarker: Landmarker) -> npt.NDArray[Any]:
        first, apex, last = _range(clip)
        paths, name = clip.frames[first : last + 1], f"clip {_name(clip)}"
        read = partial(_of_file, paths, name)
        if apex is None:
            apex = first + spotting.spot_apex(map(read, range(len(paths))), landmarker, name=name)
        return takes.of(aligned(read, len(paths), apex - first, landmarker, name=name))


def stored_layout(dataset: Dataset) -> CropOptions:
    """Size of the frames of a set, and position of the face in them."""
    settings = dataset.record["settings"]
    return CropOptions(settings["size"], settings["eye_line"], settings["eye_mouth"])


def aligned(read: Callable[[int], Image], count: int, apex: int, landmarker: Landmarker, *, name: str) -> Frames:
    """Align the frames of a clip like those of a set.

    The face is found in the first frame, the onset, and all frames are cut at the same place, so that alignment adds
    no motion. Inputs draw nothing for them (`varied` is false).

    Args:
        read: returns the frame at an index, uint8 RGB [h, w, 3]; all have the same size.
        count: number of frames.
        apex: index of the apex.
        landmarker: finds the face.
        name: name of the clip, for messages and the random draws of inputs.

    Raises:
        InputError: the onset shows no face; later, when it is read, a frame has another size.
    """
    onset = read(0)
    mesh = landmarker.mesh(onset)
    if mesh is None:
        raise InputError(
            name, expected="a face in its onset frame", found="none", do="check the frame, or leave the clip out"
        )  # fmt: skip
    layout = CropOptions(CLIP_SIZE)
    place = place_crop(mesh, layout)

    def cut(i: int) -> Image:
        frame = read(i) if i else onset
        if frame.shape != onset.shape:
            raise InputError(
                name, expected="frames of the same size", found=f"{onset.shape[:2]} and {frame.shape[:2]}",
                do="use the original frames of the clip, or leave it out",
            )  # fmt: skip
        return align(frame, mesh, place, CLIP_SIZE).crop

    return Frames(name, layout, count, apex, cut)


def of_set(dataset: Dataset, mapping: ClassMapping | None = None) -> Examples:
    """Examples of a set, or of a part of one.

    Args:
        dataset: the set.
        mapping: its classes are those of the examples: of each sample the one that is named like its emotion; samples
            of other emotions are left out. None, or a mapping to the three labels: the column `label`.
    """
    if mapping is None or mapping.gives_labels:
        return Examples(dataset.table.select(ROWS_SCHEMA.names).cast(ROWS_SCHEMA), SetFrames(dataset))
    codes = [code for _, code in coded_samples(dataset, mapping)]
    part = dataset[[i for i, code in enumerate(codes) if code is not None]]
    rows = part.table.select(ROWS_SCHEMA.names).cast(ROWS_SCHEMA)
    i = ROWS_SCHEMA.get_field_index("label")
    label = pa.array([code for code in codes if code is not None], ROWS_SCHEMA.field(i).type)
    return Examples(rows.set_column(i, ROWS_SCHEMA.field(i), label), SetFrames(part), mapping.classes)


def coded_samples(dataset: Dataset, mapping: ClassMapping) -> list[tuple[str, int | None]]:
    """The emotion of each sample of a set, and its class, or None, by a mapping to other classes than the labels."""
    return [(emotion, mapping.code_of_sample(emotion)) for emotion in dataset.table["emotion"].to_pylist()]


def class_of(clip: Clip, mapping: ClassMapping | None) -> int | None:
    """The class of a clip, or None: with the default mapping or none, the label that it was read with."""
    return clip.label if mapping is None or mapping.name == DEFAULT_MAPPING else mapping.code_of(clip)


def of_clips(
    clips: Sequence[Clip],
    *,
    model: Path,
    mapping: ClassMapping | None = None,
    no_apex: NoApex = "refuse",
    skip: bool = False,
) -> Examples:
    """Examples of real clips, with their frames from onset to offset.

    Args:
        clips: clips of one or several corpora, with their frames.
        model: file of the face landmark model.
        mapping: decides the class of each clip; clips of none are left out. None, or the default mapping: the labels
            that the clips were read with.
        no_apex: treatment of clips without an apex, such as all of SMIC: refuse (an error), drop, middle (of the N
            frames from onset to offset, frame N // 2 is the apex, as in the MiE-X paper, ECCV 2022), or spot (see
            `spotting.apex_of`). With middle and spot, the first frame takes the place of an onset that is not there.
        skip: see `ClipFrames`.

    Raises:
        UsageError: the mapping is not for a corpus of these clips.
        InputError: clips have no frames, no onset, or, with `no_apex` refuse, no apex; all of them are named.
    """
    coded = [(_with_apex(clip, no_apex), class_of(clip, mapping)) for clip in clips]
    found = [(clip, code) for clip, code in coded if code is not None and not (no_apex == "drop" and clip.apex is None)]
    kept, codes = [clip for clip, _ in found], [int(code) for _, code in found]
    prove_whole(kept, spotted=no_apex == "spot")
    texts: dict[str, list[str | None]] = {
        "sample_id": [_name(c) + (f"/{c.onset}" if c.onset else "") for c in kept],
        # a synthetic clip has the origin of its AUs and its photo, like a sample of a set
        "source": [c.descent.source if c.descent else REAL for c in kept],
        "corpus": [c.descent.corpus if c.descent else c.corpus for c in kept],
        "subject": [c.descent.subject if c.descent else c.subject for c in kept],
        "photo": [c.subject if c.descent else None for c in kept],
    }
    names = LABELS if mapping is None else mapping.classes
    faces = {c.subject: c.descent.face for c in kept if c.descent and c.descent.face}
    return Examples(rows_of(codes, texts), ClipFrames(tuple(kept), model, skip), names, faces)


def _name(clip: Clip) -> str:
    return f"{clip.corpus}/{clip.subject}/{clip.clip}"


def _with_apex(clip: Clip, no_apex: NoApex) -> Clip:
    if clip.apex is not None or no_apex not in ("middle", "spot") or not clip.frames:
        return clip
    onset = clip.onset or 0
    if no_apex == "spot":
        return replace(clip, onset=onset)
    offset = len(clip.frames) - 1 if clip.offset is None else clip.offset
    return replace(clip, onset=onset, apex=onset + (offset - onset + 1) // 2)


def _range(clip: Clip) -> tuple[int, int | None, int]:
    """Onset, apex (None if it is to be spotted) and offset of a clip; without an offset, its last frame."""
    assert clip.onset is not None, "see prove_whole"
    return clip.onset, clip.apex, len(clip.frames) - 1 if clip.offset is None else clip.offset


def prove_whole(clips: Sequence[Clip], *, spotted: bool = False) -> None:
    """Raises InputError, which names all that are not, unless every clip has frames, an onset and (or it is to be
    spotted) an apex."""
    frames = [clip for clip in clips if not clip.frames]
    onset = [clip for clip in clips if clip.frames and clip.onset is None]
    apex = [clip for clip in clips if clip.frames and clip.onset is not None and clip.apex is None and not spotted]
    for lacking, what, do in (
        (frames, "frames", "give the folder of the corpus with its images, or leave these clips out"),
        (onset, "an onset", "leave these clips out, or give `no_apex` spot or middle, which begin at the first frame"),
        (apex, "an apex", "give `no_apex` spot, middle or drop"),
    ):
        if lacking:
            raise InputError(
                f"{len(clips):,} clips of " + ", ".join(sorted({clip.corpus for clip in clips})),
                expected="frames, an onset and an apex in each",
                found=f"{len(lacking):,} without {what}: " + ", ".join(map(_name, lacking)), do=do,
            )  # fmt: skip


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(
            f"frame {path}", expected="an image", found=error.strerror or str(error),
            do="unpack the corpus again, or leave the clip out",
        ) from error  # fmt: skip
    return path.name, found.st_size, found.st_mtime_ns


def _decoded(frames: Sequence[bytes], name: str, i: int) -> Image:
    return decode_image(frames[i], name)


def _of_file(paths: Sequence[Path], name: str, i: int) -> Image:
    try:
        return read_image(paths[i])
    except ImageError as error:
        if error.out_of_reach:
            raise InputError(
                name, expected="frames that can be read", found=f"{paths[i]}: {error.found}", do=error.do
            ) from error  # fmt: skip
        empty = not (paths[i].is_file() and paths[i].stat().st_size)
        raise InputError(
            name, expected=error.expected, found=f"{paths[i]}: " + ("an empty file, or none" if empty else error.found),
            do="unpack this clip again, or leave clips that cannot be read out with `on_error` skip",
        ) from error  # fmt: skip
