"""Spot the micro-expressions of a video: onset, apex and offset of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from miex.api.work import PathLike, Say, Stages, landmark_model, path, stage, unsaid
from miex.arguments import NONE, PATH, checking, number
from miex.errors import InputError, UsageError

if TYPE_CHECKING:
    from miex.experiments.present import Table
    from miex.images import Image
    from miex.recognition.spotting import Event

MICRO = 0.5  # seconds: MEGC's border between micro- and macro-expressions
FPS = number(1, 10_000) | NONE


@dataclass(frozen=True, repr=False)
class Spotted:
    """The events that were spotted in a video.

    Attributes:
        video: the video, or the folder of its frames.
        fps: frames per second.
        events: onset, apex and offset of each (0-based, inclusive indices of frames), and its strength: the largest
            motion of the face's regions, summed, in inter-ocular distances; in the order of time.
        strength: the same of every frame, float32 [n]; NaN where no face was followed.
        threshold: what the strength of an apex has to exceed, of every frame, float32 [n].
    """

    video: Path
    fps: float
    events: tuple[Event, ...]
    strength: npt.NDArray[np.float32]
    threshold: npt.NDArray[np.float32]

    @property
    def strongest(self) -> Event | None:
        """The event with the largest strength; None if none was spotted."""
        return max(self.events, key=lambda event: event.strength, default=None)

    def __repr__(self) -> str:
        n = len(self.events)
        lost = int(np.isnan(self.strength).sum())
        parts = [
            f"{self.video.name}: {n} event{'' if n == 1 else 's'}",
            f"{len(self.strength):,} frames, {self.fps:g} frames/s",
            *([f"no face followed in {lost:,} frames"] if lost else []),
        ]
        return " · ".join(parts)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(repr(self))}</p>{self.table()._repr_html_()}"

    def table(self) -> Table:
        """The events, one a row."""
        from miex.experiments.present import Entry, Table, Value

        rows: list[list[Entry]] = [
            [
                i, event.onset, event.apex, event.offset, Value(event.onset / self.fps), Value(event.apex / self.fps),
                Value(event.offset / self.fps), Value(event.strength),
            ]
            for i, event in enumerate(self.events, 1)
        ]  # fmt: skip
        columns = ["event", "onset", "apex", "offset", "onset, s", "apex, s", "offset, s", "strength"]
        note = "Frames are counted from 0. Strength: motion of the face's regions, summed, in inter-ocular distances."
        return Table(repr(self), columns, rows, note)

    def plain(self) -> dict[str, Any]:
        """Everything but the curve, as JSON values; times in seconds."""
        times = ("onset", "apex", "offset")
        return {
            "video": str(self.video), "fps": self.fps, "frames": len(self.strength),
            "frames_without_face": int(np.isnan(self.strength).sum()),
            "events": [
                asdict(event) | {f"{name}_s": round(getattr(event, name) / self.fps, 4) for name in times}
                for event in self.events
            ],
        }  # fmt: skip

    @checking()
    def save(self, file: PathLike) -> None:
        """Write the events as a submission to the spotting task of MEGC 2022: a CSV with the columns vid, pred_onset,
        pred_offset and type.

        vid is the name of the video without its suffix; type is `me` for an event of at most 0.5 s from onset to
        offset, else `mae`. Frames are counted from 1 there, also those of a folder, whatever
        numbers their names have. Columns, types and base are those of the published code of a participant (Liong,
        Liong, See, Chan, MTSN, FME 2022); no page of the organizers that says them was at hand.

        Raises:
            OutputError: the file cannot be written.
        """
        from miex.storage.local import write_whole
        from miex.tables.written import csv_text

        name = self.video.name if self.video.is_dir() else self.video.stem
        rows = (
            (name, e.onset + 1, e.offset + 1, "me" if (e.offset - e.onset) / self.fps <= MICRO else "mae")
            for e in self.events
        )
        write_whole(path(file), csv_text(("vid", "pred_onset", "pred_offset", "type"), rows).encode())

    @checking()
    def picture(self, file: PathLike) -> None:
        """Draw the strength over time, with the events, as a PNG. Raises OutputError if it cannot be written."""
        from miex.figures import write_picture
        from miex.report.spotted import spotting_picture

        events = [(event.onset, event.apex, event.offset) for event in self.events]
        made = spotting_picture(self.strength, self.threshold, events, self.fps, self.video.name)
        write_picture(made, path(file))


def clip_at(place: PathLike) -> Path:
    """The path of a clip; InputError if it is that of a set, which is many, or of a picture, which is one frame."""
    from miex.dataset.plan_file import has_plan
    from miex.images import SUFFIXES
    from miex.storage import storage_at

    given = path(place)
    if has_plan(storage_at(given)):
        raise InputError(
            f"clip {given}", expected="a video, or a folder of its frames", found="a set",
            do=f"`miex export {quote(str(given))} --to flow --out flow.npz`, then `miex predict flow.npz`, which reads "
            "every sample",
        )  # fmt: skip
    if given.suffix.lower() in SUFFIXES and given.is_file():
        raise InputError(
            f"clip {given}", expected="a video, or a folder of its frames", found="a picture",
            do="`miex predict ONSET APEX` takes two of them; of an animation, save the frames into a folder",
        )  # fmt: skip
    return given


@checking(video=PATH, fps=FPS, min_duration=number(0, 60), max_duration=number(0, 60))
def spot(
    video: PathLike,
    *,
    fps: float | None = None,
    min_duration: float = 0.04,
    max_duration: float = MICRO,
    landmarker: PathLike | None = None,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Spotted:
    """Spot the micro-expressions in a video: onset, apex and offset of each; how, `recognition.spotting` says.

    Frames are read one after the other, so that memory does not depend on the length of the video.

    Args:
        video: a video, or a folder of its frames; the largest face is followed.
        fps: frames per second; required for a folder. Default: as the video says.
        min_duration, max_duration: the shortest and longest event that is spotted, from onset to offset, in seconds.
            With a `max_duration` of, say, 4, macro-expressions are spotted too.
        landmarker, say: as in `miex.synthesize`.
        progress: called with the number of frames read, and of all.

    Raises:
        UsageError: `fps` is missing; `max_duration` is below `min_duration`.
        InputError: the video cannot be read, or shows no face at all.
    """
    from miex.faces.landmarks import Landmarker
    from miex.images import clip_length, read_clip
    from miex.recognition.spotting import region_motion, spot_events

    if max_duration < min_duration:
        raise UsageError(f"`max_duration` {max_duration:g}", expected=f"`min_duration`, {min_duration:g} s, or longer")
    given = clip_at(video)
    if not given.exists():
        raise InputError(
            f"video {given}", expected="a video, or a folder of its frames", found="no such file", do="check the path"
        )
    count, rate = clip_length(given)
    rate = fps if fps is not None else rate
    if rate is None:
        raise UsageError(
            f"spotting in {given}", expected="`fps`, the frames per second", found="images, which do not say it"
            if given.is_dir() else "a video that does not say it", do="give `fps`: such as 200 for CASME II",
        )  # fmt: skip
    moving = stage(progress, "reading frames")

    def counted() -> Iterator[Image]:
        for i, frame in enumerate(read_clip(given), 1):
            yield frame
            moving(i, max(i, count), "")

    with Landmarker(landmark_model(landmarker, say)) as found:
        motion = region_motion(counted(), found)
    if len(motion) < count:
        seen = f"{len(motion):,} of {count:,} frames"
        say(f"{given.name}: {seen} can be read; behind a damaged one, indices are too small")
    if np.isnan(motion).all():
        raise InputError(
            f"video {given}", expected="a face", found=f"none in any of {len(motion):,} frames",
            do="check that the face is upright, sharp, and at least about 100 pixels wide",
        )  # fmt: skip
    if max_duration * rate < 2 or len(motion) < 3:
        raise InputError(
            f"spotting in {given}", expected="at least three frames in an event: onset, apex and offset",
            found=f"{len(motion):,} frames, {rate:g} a second, for events of at most {max_duration:g} s",
            do="give a video with more frames per second, or a larger `max_duration`",
        )  # fmt: skip
    strength, threshold, events = spot_events(motion, rate, shortest=min_duration, longest=max_duration)
    return Spotted(given, rate, tuple(events), strength, threshold)
