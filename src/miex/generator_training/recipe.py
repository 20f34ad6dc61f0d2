"""What decides a training of GANimation, apart from faces and seed."""

from __future__ import annotations

import hashlib
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from miex.errors import UsageError, first_wrong
from miex.generators.ganimation.networks import PATCH
from miex.stable import canonical_json

Preset = Literal["macro", "micro"]
LOOKS = 20  # at least, unless `look` says otherwise
PRESETS: tuple[str, ...] = get_args(Preset)


class GeneratorRecipe(BaseModel):
    """The recipe. Its defaults are the original's: Pumarola et al. 2018, section 5, and the code of its authors.

    The weights of the losses are those of sums over a batch of 25 there. Here every loss is a mean over the batch, so
    that another batch needs no other weights: AU regression 4000 / 25, and the attention's total variation 25 · 1e-5.

    Attributes:
        preset: the AUs that pictures are repainted to. "macro": those of another picture, each with noise of up to
            `noise`. "micro": the picture's own, moved towards those of another picture that differs by 0.05 or more in
            an AU, by so much that the AU which changes most changes by 0.05 to 0.3 (or as far as the other picture
            goes), which is the range of micro-expressions (`sources.expert`); no noise, since it would be as large as
            the change.
        size: side of the pictures in pixels, a multiple of 64.
        width: maps of the first layer of both networks; 64 is GANimation, less is for trials.
        blocks: residual blocks of the generator.
        family: "original" (instance norm with scale and shift) or "replicate" (biases instead).
        batch: pictures per step. A step trains the discriminator; every `critic` steps the generator is trained, too.
        epochs, decay_epochs: epochs at full learning rate, and epochs after them in which it falls linearly; it would
            be 0 in the epoch after the last.
        learning_rate, beta1, beta2: of Adam, for both networks.
        mirror: probability that a picture is mirrored.
        noise: largest change of each target AU.
        penalty, aus, cycle, attention, variation: weights of gradient penalty, AU regression, cycle, mean of the
            attention, and its total variation.
        mixed_precision: whether the networks compute in bfloat16; the gradient penalty is always float32.
        held_out: fraction of the people whose pictures are only looked at.
        look: steps between two looks at them; None: 1,000, or a twentieth of all steps if that is less.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    preset: Preset = "macro"
    size: int = Field(default=128, ge=PATCH, le=1024, multiple_of=PATCH)
    width: int = Field(default=64, ge=4, le=256)
    blocks: int = Field(default=6, ge=1, le=16)
    family: Literal["original", "replicate"] = "original"
    batch: int = Field(default=25, ge=2)
    critic: int = Field(default=5, ge=1)
    epochs: int = Field(default=20, ge=1)
    decay_epochs: int = Field(default=10, ge=0)
    learning_rate: float = Field(default=1e-4, gt=0, allow_inf_nan=False)
    beta1: float = Field(default=0.5, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    mirror: float = Field(default=0.5, ge=0, le=1)
    noise: float = Field(default=0.1, ge=0, le=1)
    penalty: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    aus: float = Field(default=160.0, ge=0, allow_inf_nan=False)
    cycle: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    attention: float = Field(default=0.1, ge=0, allow_inf_nan=False)
    variation: float = Field(default=2.5e-4, ge=0, allow_inf_nan=False)
    mixed_precision: bool = False
    held_out: float = Field(default=0.05, gt=0, lt=1)
    look: int | None = Field(default=None, ge=1)

    @field_validator("preset", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if value not in PRESETS:
            raise ValueError("one of " + ", ".join(PRESETS))
        return value

    @property
    def digest(self) -> str:
        """sha256 of all of it."""
        return hashlib.sha256(canonical_json(self.model_dump(mode="json")).encode()).hexdigest()

    def steps(self, pictures: int) -> tuple[int, int]:
        """Steps per epoch, and in all, of a training on so many pictures. The last, smaller batch is left out."""
        each = max(1, pictures // self.batch)
        return each, each * (self.epochs + self.decay_epochs)

    def look_every(self, steps: int) -> int:
        """Steps between two looks, in a training of so many."""
        return self.look or max(1, min(1000, steps // LOOKS))

    def rate(self, step: int, each: int) -> float:
        """Learning rate of a step, the first being 0, where an epoch has `each` steps."""
        beyond = step // each - self.epochs
        return self.learning_rate * (1 - max(0, beyond + 1) / (self.decay_epochs + 1))


def make_recipe(**values: Any) -> GeneratorRecipe:
    """The recipe with these values instead of the defaults; None leaves a default.

    Raises:
        UsageError: a name is unknown, or a value out of range.
    """
    try:
        return GeneratorRecipe(**{name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        wrong = first_wrong(error)
        raise UsageError(
            f"`{wrong.where}` of a training of GANimation", expected=wrong.expected, found=wrong.found
        ) from error
