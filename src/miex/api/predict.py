"""Predict the class of a clip, with the recognizer that comes with miex or a trained one."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from miex.api.examples import need_training
from miex.api.spot import FPS, Spotted, clip_at, spot
from miex.api.work import PathLike, Say, Stages, landmark_model, path, unsaid
from miex.arguments import NONE, PATH, Kind, checking, instance_of, many
from miex.errors import InputError, UsageError
from miex.images import Image

if TYPE_CHECKING:
    from miex.api.recognizer_card import RecognizerCard
    from miex.recognition.predictor import Predictor
    from miex.recognition.recognizer import Recognizer

# A folder of frames or a video; or an onset and an apex, as files or uint8 RGB [h, w, 3].
ClipLike = PathLike | Sequence[PathLike] | Sequence[Image]


def _take_frame(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        raise TypeError
    if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3:
        raise ValueError
    return value


_FRAME = Kind("a frame, uint8 RGB [h, w, 3]", _take_frame)
_CLIP = PATH | many(PATH | _FRAME, "a pair of onset and apex, each a file or a frame, uint8 RGB [h, w, 3]")
RECOGNIZER = PATH | instance_of(
    "a recognizer that `miex.train` or `miex.load_recognizer` gave", "miex.api.predict:LoadedRecognizer"
)


@dataclass(frozen=True)
class Prediction:
    """What a face did in a clip; not what anybody felt.

    Attributes:
        sample: name of the clip or sample.
        label: the most probable class.
        probabilities: probability of every class.
        onset, apex, offset: indices of the frames that were used, 0-based; None for a pair of images or a flow map.
    """

    sample: str
    label: str
    probabilities: dict[str, float]
    onset: int | None = None
    apex: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        listed = ", ".join(f"{name} {p:.2f}" for name, p in self.probabilities.items())
        frames = "" if self.apex is None else f", onset {self.onset}, apex {self.apex}, offset {self.offset}"
        return f"{self.sample}{frames}: {self.label} ({listed})"

    __repr__ = __str__


@dataclass(frozen=True, repr=False)
class LoadedRecognizer:
    """A recognizer, ready to predict.

    Attributes:
        recognizer: network, recipe and history of one that was trained; or the one that comes with miex.
    """

    recognizer: Predictor

    def __repr__(self) -> str:
        return " · ".join(self.recognizer.facts())

    @property
    def trained(self) -> Recognizer:
        """Network, recipe and history.

        Raises:
            UsageError: it is the one that comes with miex, which only predicts.
        """
        from miex.recognition.default_recognizer import DefaultRecognizer

        found: Any = self.recognizer
        if isinstance(found, DefaultRecognizer):
            raise UsageError(
                "the recognizer that comes with miex", expected="a recognizer that was trained here",
                found="networks that only predict: what they were trained on is not with them",
                do="train one with `miex.train`",
            )  # fmt: skip
        trained: Recognizer = found
        return trained

    @property
    def card(self) -> RecognizerCard:
        """What the recognizer that comes with miex was trained on, what it reads of real clips, and what it must not be
        used for.

        Raises:
            UsageError: it is another one, whose facts are in `trained.history`.
        """
        from miex.api.recognizer_card import RecognizerCard
        from miex.recognition.default_recognizer import DefaultRecognizer

        if not isinstance(self.recognizer, DefaultRecognizer):
            raise UsageError(
                "the card of a recognizer", expected="the recognizer that comes with miex, which has one",
                found="a trained one, whose facts are in its history",
            )  # fmt: skip
        return RecognizerCard(self.recognizer.card)

    @checking(clip=_CLIP, fps=FPS)
    def predict(
        self,
        clip: ClipLike,
        *,
        onset: int | None = None,
        apex: int | None = None,
        offset: int | None = None,
        fps: float | None = None,
        landmarker: PathLike | None = None,
        progress: Stages | None = None,
        say: Say = unsaid,
    ) -> Prediction:
        """Predict the class of a clip. Of its frames only what the recognizer sees is kept, in the form it takes.

        All frames are aligned by the landmarks of the largest face in the onset, whatever is around it, and whichever
        way up they stand. Recognizers of flow see the same crop of every clip, half-way between the tight and the loose
        one of real flow maps (`recognition.inputs.crops.MIDDLE`); nothing is drawn.

        Args:
            clip: a folder of frames or a video; or a pair, onset and apex, as files or frames.
            onset, apex, offset: indices of the frames, 0-based; without `onset`, the first frame is the onset; without
                `offset`, the last one is the offset. Without any, they are those of the strongest event that is spotted
                (`miex.spot`). Recognizers of flow maps and pairs see onset and apex, those of sequences all frames from
                onset to apex, or to the offset, as their recipe says.
            fps: frames per second, to spot; required for a folder. Default: as the video says.
            landmarker, say: as in `miex.synthesize`.
            progress: called with the number of frames read to spot, and of all.

        Raises:
            UsageError: `onset` or `offset` without `apex`, an index with a pair, or no `fps` to spot in a folder.
            InputError: a frame is missing or cannot be read; the folder is one of a set; no event is spotted; or onset
                and apex do not show what recognizers are made for (see `recognition.suitable`): no face, two faces, a
                cut, nothing that moves, a change of sharpness, compression or light in place of motion, and, for the
                recognizer that comes with miex, a face that is too small, or a head that is turned or moves too far.
        """
        from miex.faces.landmarks import Landmarker
        from miex.images import read_image
        from miex.recognition.places import aligned
        from miex.recognition.suitable import prove_alone, prove_suitable

        if not isinstance(clip, PathLike):
            if len(clip) != 2:
                raise UsageError(
                    f"predicting {reprlib.repr(clip)}", expected="onset and apex, or one folder or video",
                    found=f"{len(clip)} frames", do="give a pair: (frames[onset], frames[apex])",
                )  # fmt: skip
            if (onset, apex, offset) != (None, None, None):
                raise UsageError(
                    f"predicting a pair with onset {onset}, apex {apex} and offset {offset}",
                    expected="a pair alone: it is onset and apex",
                    do="leave the indices out, or give the folder or video that they count in",
                )  # fmt: skip
            sample = str(clip[0]) if isinstance(clip[0], PathLike) else "the pair"
            name = " → ".join(str(one) for one in clip) if isinstance(clip[0], PathLike) else sample
            frames = [read_image(path(one)) if isinstance(one, PathLike) else one for one in clip]
            shown = _Part(frames.__getitem__, 2, 1)
            at: tuple[int | None, int | None, int | None] = (None, None, None)
        else:
            name, given = (sample := str(clip)), clip_at(clip)
            if apex is None and (onset is not None or offset is not None):
                raise UsageError(
                    f"predicting {clip}", expected="`apex` too, or no index", found=f"onset {onset}, offset {offset}",
                    do="give the index of the frame in which the expression is strongest, or no index, to spot them",
                )  # fmt: skip
            if apex is None:
                onset, apex, offset = _spotted(spot(given, fps=fps, landmarker=landmarker, progress=progress, say=say))
            onset = onset or 0
            if offset is None and self.recognizer.takes.spans != "clip":
                offset = apex  # no later frame is looked at
            shown = _cut_out(given, onset, apex, offset)
            at = (onset, apex, onset + shown.count - 1)
            name += f" with onset {onset}, apex {apex}"
        with Landmarker(landmark_model(landmarker, say)) as found:
            frames_of = aligned(shown.read, shown.count, shown.apex, found, name=f"clip {name}")
            onset_frame, apex_frame = frames_of.read(0), frames_of.read(frames_of.apex)
            prove_alone(shown.read(0), self.recognizer.limits, found, name=f"clip {name}")
            prove_suitable(onset_frame, apex_frame, self.recognizer, found, name=f"clip {name}")
            seen = self.recognizer.takes.of(frames_of)
        return replace(self._named(seen[None], [sample])[0], onset=at[0], apex=at[1], offset=at[2])

    @checking()
    def predict_flow(self, file: PathLike) -> list[Prediction]:
        """Predict the classes of all maps of a flow file (.npz). Raises InputError if it cannot be read."""
        from miex.recognition.flow_file import read_flow

        given = read_flow(path(file))
        return self._named(given.array(self.recognizer.takes), given.rows["sample_id"].to_pylist())

    def _named(self, examples: npt.NDArray[Any], samples: Sequence[str]) -> list[Prediction]:
        names = self.recognizer.label_names
        return [
            Prediction(sample, names[int(np.argmax(p))], dict(zip(names, map(float, p), strict=True)))
            for sample, p in zip(samples, self.recognizer.probabilities(examples), strict=True)
        ]


@dataclass(frozen=True, eq=False)
class _Part:
    """The frames from onset to offset: how the one at an index from the onset is read, their number, and the apex."""

    read: Callable[[int], Image]
    count: int
    apex: int


def _cut_out(clip: Path, onset: int, apex: int, offset: int | None) -> _Part:
    """The frames from onset to offset, or to the last, which are read when they are needed, and not held.

    Raises InputError if the indices are out of order or range.
    """
    from miex.images import FrameReader

    asked = f"clip {clip} with onset {onset}, apex {apex}" + ("" if offset is None else f", offset {offset}")
    if not onset < apex <= (apex if offset is None else offset):
        raise InputError(asked, expected="0 ≤ onset < apex ≤ offset")
    reader = FrameReader(clip)
    last = apex if offset is None else offset
    if not reader.reaches(last):
        raise InputError(asked, expected="indices of its frames, from 0", found=f"{len(reader)} frames or fewer")
    end = len(reader) if offset is None else offset + 1
    return _Part(lambda i: reader.read(onset + i), end - onset, apex - onset)


def _spotted(found: Spotted) -> tuple[int, int, int]:
    """Onset, apex and offset of the strongest event. Raises InputError if there is none."""
    if (event := found.strongest) is None:
        raise InputError(
            f"clip {found.video}", expected="at least one event that is spotted",
            found=f"none in {len(found.strength):,} frames at {found.fps:g} frames/s",
            do="give `onset` and `apex` yourself; `miex spot` with `picture` shows how the face moves over time",
        )  # fmt: skip
    return event.onset, event.apex, event.offset


@checking()
def load_recognizer(file: PathLike | None = None) -> LoadedRecognizer:
    """Load the recognizer that comes with miex, or a trained one. No code in a file is run.

    Args:
        file: file of a trained recognizer, or folder of its training. None: the one that comes with miex, which needs
            no torch.

    Raises:
        UsageError: torch is not installed.
        InputError: the file is missing, damaged, or of another kind.
    """
    if file is None:
        from miex.recognition.default_recognizer import load_default

        return LoadedRecognizer(load_default())
    need_training()
    from miex.recognition.recognizer import load_recognizer as load

    return LoadedRecognizer(load(path(file)))


@checking(clip=PATH, recognizer=RECOGNIZER | NONE, fps=FPS)
def predict(
    *clip: PathLike,
    recognizer: LoadedRecognizer | PathLike | None = None,
    onset: int | None = None,
    apex: int | None = None,
    offset: int | None = None,
    fps: float | None = None,
    landmarker: PathLike | None = None,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> list[Prediction]:
    """Predict the class of a clip, with probabilities; for a flow file (.npz), of each of its maps.

    Args:
        clip: an onset and an apex image; a folder of frames; a video; or a flow file.
        recognizer: a recognizer, or its file. Default: the one that comes with miex.

    The other arguments and the errors are those of `LoadedRecognizer.predict`.
    """
    if len(clip) not in (1, 2):
        raise UsageError(
            "predicting", expected="an onset and an apex image, or one folder, video or flow file",
            found=f"{len(clip)} files",
        )  # fmt: skip
    maps = len(clip) == 1 and path(clip[0]).suffix == ".npz"
    if maps and (onset, apex, offset) != (None, None, None):
        raise UsageError(f"predicting {clip[0]}", expected="no `onset`, `apex` or `offset`: its maps are made already")
    loaded = recognizer if isinstance(recognizer, LoadedRecognizer) else load_recognizer(recognizer)
    if maps:
        return loaded.predict_flow(clip[0])
    given = clip[0] if len(clip) == 1 else clip
    return [
        loaded.predict(
            given, onset=onset, apex=apex, offset=offset, fps=fps, landmarker=landmarker, progress=progress, say=say
        )
    ]
