"""The options of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from miex.corpora.mappings import emotion_labels, emotion_named, mappings
from miex.dataset.frames import FrameFormat
from miex.dataset.records import MOST_PER_SHARD
from miex.errors import InputError, UsageError, first_wrong
from miex.faces.crop import CropOptions
from miex.labels import Label
from miex.nuisances.columns import nuisances_of
from miex.sources.timing import Until

MOST_FRAMES = 999  # of a sample: they have three digits in a shard


LABELS = tuple(Label.__members__)
# mappings whose classes all have a label
_PLANNABLE = [name for name, one in mappings().items() if {*one.classes} <= {*LABELS, *emotion_labels()}]


class PlannedClass(NamedTuple):
    """A class of a plan.

    Attributes:
        name: of the label or emotion, as in sample ids.
        label: the label of its samples.
        emotion: what is drawn; None: any emotion of the label.
    """

    name: str
    label: Label
    emotion: str | None


class PlanConfig(BaseModel):
    """How many samples of what, and how they are drawn.

    Attributes:
        ids: number of identities; None takes every photo. Above the photos' number the rest are virtual.
        per: samples per identity, class and source.
        samples: samples in all, in place of `per`: as many rounds as it takes, the last one only for the first
            identities (which come in the order of a hash).
        triplets: distinct AU triplets in all, shared evenly by sources and classes, each used equally often; None draws
            one for every sample. With it, the number of identities changes which sample gets which triplet.
        classes: labels (negative, positive, surprise), or emotions (happiness, surprise, anger …), or the name of a
            mapping of `corpora.mappings`, which stands for its classes. `surprise` is the label, unless it stands
            among emotions.
        seed: of the whole set.
        size: side of the frames, pixels; a multiple of 4, as GANimation needs.
        eye_line, eye_mouth: see CropOptions.
        frames: of each sample: 2 for the pair of onset and apex; N ≥ 3 evenly spaced ones, the same number for all; or
            "all" of one drawn timing (sources.timing) at `fps`, or of the clip where real AUs were measured.
            10 until the apex are the paper's video variant.
        until: the last frame: the apex, or the offset, where the face is back at its onset.
        fps: frames per second, for "all". CASME II and SAMM were filmed at 200, the most of the corpora that
            recognizers of sequences are tested on.
        nuisances: what is seen beside the expression (nuisances.columns): off, clean, face, all, or some of a level.
        frame_format: png and webp are lossless; jpeg (quality 95, 4:4:4) changes the onset → apex difference by a
            quarter or more (docs/results/formats.md).
        shard_size: samples per shard; None: 500 pairs, or as many sequences as have about as many frames.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    ids: int | None = Field(default=None, ge=1)
    per: int = Field(default=1, ge=1)
    samples: int | None = Field(default=None, ge=1)
    triplets: int | None = Field(default=None, ge=1)
    classes: Annotated[tuple[str, ...], Field(min_length=1)] = LABELS
    seed: int = Field(default=0, ge=0, lt=2**63)
    size: int = Field(default=128, ge=32, le=1024, multiple_of=4)
    eye_line: float = Field(default=CropOptions.eye_line, ge=0.1, le=0.6)
    eye_mouth: float = Field(default=CropOptions.eye_mouth, ge=0.1, le=0.6)
    frames: Annotated[int, Field(ge=2, le=MOST_FRAMES)] | Literal["all"] = 2
    until: Until = "apex"
    fps: float = Field(default=200, ge=5, le=1000)
    nuisances: str = "face"
    frame_format: FrameFormat = "png"
    shard_size: int | None = Field(default=None, ge=1, le=MOST_PER_SHARD)

    @field_validator("classes")
    @classmethod
    def _each_class(cls, names: Iterable[str]) -> tuple[str, ...]:
        """Every class once, in miex' spelling, in place of the names of mappings."""
        found: dict[str, None] = {}
        for name in (name.strip().lower() for name in names):
            found.update(dict.fromkeys(mappings()[name].classes if name in mappings() else [emotion_named(name)]))
        for name in found:
            if name not in LABELS and name not in emotion_labels():
                raise UsageError(
                    f"class {name!r}",
                    expected=f"one of {', '.join(LABELS)}; or emotions, of {', '.join(emotion_labels())}; "
                    f"or a mapping: {', '.join(_PLANNABLE)}",
                    do="check the spelling; categories that have no label, such as others, cannot be planned",
                )
        if not found.keys() <= set(LABELS) and (coarse := [name for name in found if name not in emotion_labels()]):
            raise UsageError(
                f"`classes` {', '.join(found)}", expected="either labels or emotions",
                found=f"{', '.join(coarse)} beside emotions", do="name the emotions of that label instead",
            )  # fmt: skip
        return tuple(found)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        nuisances_of(self.nuisances)
        if self.frames == 2 and self.until == "offset":
            raise UsageError(
                "`frames` 2 with `until` offset",
                expected="at least 3 frames: onset, apex and offset",
                do="ask for more, such as `frames` 10, or all",
            )
        return self

    @property
    def planned(self) -> tuple[PlannedClass, ...]:
        """The classes: labels in their order, emotions in the given one."""
        if set(self.classes) <= set(LABELS):
            return tuple(PlannedClass(label.name, label, None) for label in Label if label.name in self.classes)
        return tuple(PlannedClass(name, emotion_labels()[name], name) for name in self.classes)

    @property
    def crop(self) -> CropOptions:
        """Where the face lies in the frames."""
        return CropOptions(self.size, self.eye_line, self.eye_mouth)


def recorded_config(recorded: Mapping[str, Any], where: str) -> PlanConfig:
    """The options that a plan which was read was made with.

    Args:
        recorded: config of plan.json, which holds more beside them.
        where: the plan, for messages.

    Raises:
        InputError: they are none.
    """
    try:
        return PlanConfig(**{name: recorded[name] for name in PlanConfig.model_fields if name in recorded})
    except ValidationError as error:
        wrong = first_wrong(error)
        field, expected, found = f"config.{wrong.where}", wrong.expected, wrong.found
    except UsageError as error:
        field, expected, found = f"config: {error.asked}", error.expected, error.found
    raise InputError(f"{where}, {field}", expected=expected, found=found, do="do not use it: it was not made by miex")
