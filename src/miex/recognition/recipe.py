"""Recipes: a recipe is everything that decides a training apart from data and seed, with a name and a digest."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from miex.errors import InputError, UsageError, first_wrong
from miex.recognition.inputs.base import Input, make_input
from miex.stable import canonical_json
from miex.storage.documents import MOST_TEXT, read_bytes, toml_of

_PROSE = frozenset({"name", "source"})  # not in the digest, as they do not change results


class Recipe(BaseModel):
    """A recipe.

    Attributes:
        name, source: name and origin, as a note for people.
        recognizer: name of the recognizer, one of `method.METHODS`.
        backbone: name of its backbone, one of `networks.backbones.BACKBONES`; None: its own.
        input: name of the input, and those of its settings that differ from the defaults.
        samples_seen, epochs: length of the training, as a number of samples or of epochs; exactly one of them is given.
            In an epoch as many samples are seen as there are.
        batch: number of samples per step.
        replacement: whether samples are drawn with replacement; if not, each is seen once per epoch, in random order.
        optimizer, learning_rate, weight_decay: optimizer of torch and its settings.
        schedule: learning rate over time: constant, or one-cycle (Smith & Topin 2019).
        warmup: fraction of the steps after which one-cycle reaches its peak.
        clip_norm: largest norm of the gradient; None: no limit.
        label_smoothing: label smoothing of torch's cross entropy.
        balance_real: whether to weight the classes of real training data by the inverse of their frequency.
        mirror: probability that a training sample is mirrored (in flow maps u changes its sign).
        shift: largest shift of a training batch, in pixels of the input.
        turn: largest angle by which each training sample is turned, in degrees.
        move: largest distance by which each training sample is moved along x and y, as a fraction of its side.
        light: largest change of contrast and of brightness of each training sample, as a fraction. Turn, move and light
            are only for inputs that are frames; all augmentation is the same in all frames of a sample.
        mirror_test: whether to average the probabilities of each test sample and its mirror image.
        mixed_precision: whether to compute in bfloat16 on CPUs, and in float16 with a scaled loss on CUDA devices.
        validation: fraction of the people in the training data who are held out for early stopping; 0: none.
        patience: number of epochs without a fall of the loss on the people held out, after which training stops and
            returns to the best weights. 0 with `validation` 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(min_length=1, max_length=80)
    source: str = ""
    recognizer: str = "ststnet"
    backbone: str | None = None
    input: dict[str, Any] = Field(default={"name": "flow"}, validate_default=True)
    samples_seen: int | None = Field(default=None, ge=1, le=10**12)
    epochs: int | None = Field(default=None, ge=1, le=10**6)
    batch: int = Field(default=256, ge=2)
    replacement: bool = False
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    schedule: Literal["constant", "one-cycle"] = "constant"
    warmup: float = Field(default=0.1, gt=0, lt=1)
    clip_norm: float | None = Field(default=None, gt=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    balance_real: bool = True
    mirror: float = Field(default=0.5, ge=0, le=1)
    shift: int = Field(default=1, ge=0)
    turn: float = Field(default=0.0, ge=0, le=45)
    move: float = Field(default=0.0, ge=0, le=0.5)
    light: float = Field(default=0.0, ge=0, lt=1)
    mirror_test: bool = True
    mixed_precision: bool = False
    validation: float = Field(default=0.0, ge=0, lt=1)
    patience: int = Field(default=0, ge=0)

    @field_validator("input")
    @classmethod
    def _complete(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            return make_input(value).described()
        except UsageError as error:
            raise ValueError(f"{error.asked}: {error.expected}") from error

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.samples_seen is None) == (self.epochs is None):
            raise ValueError("either samples_seen or epochs, not both")
        if (self.validation > 0) != (self.patience > 0):
            raise ValueError("validation and patience both above 0, or both 0")
        if (self.turn or self.move or self.light) and not self.takes.pictures:
            raise ValueError(f"turn, move and light 0 with input {self.takes.name}, which is no picture")
        return self

    @property
    def takes(self) -> Input:
        """The input of the recognizer."""
        return make_input(self.input)

    @property
    def digest(self) -> str:
        """sha256 of everything that changes results."""
        plain = self.model_dump(mode="json", exclude=set(_PROSE))
        return hashlib.sha256(canonical_json(plain).encode()).hexdigest()

    def but(self, **changes: Any) -> Recipe:
        """The same recipe with other values.

        A name that is no field of a recipe is a setting of its input, as in `but(side=56)`. None leaves a value as it
        is. `epochs` replaces `samples_seen`, and vice versa.

        Raises:
            UsageError: a name is unknown, or a value is out of range.
        """
        there = {**self.input, **dict(self)}
        changes = {key: value for key, value in changes.items() if value is not None and value != there.get(key)}
        if not changes:
            return self
        if "epochs" in changes:
            changes.setdefault("samples_seen", None)
        if "samples_seen" in changes and changes["samples_seen"] is not None:
            changes.setdefault("epochs", None)
        settings = {key: changes.pop(key) for key in [*changes] if key not in Recipe.model_fields}
        name = self.name + "".join(
            f" {key}={value}" for key, value in {**changes, **settings}.items() if value is not None
        )
        if settings:
            changes["input"] = {**self.input, **settings}
        return _checked({**self.model_dump(), "name": name[:80], **changes}, f"recipe {self.name}")


def recipe_names() -> list[str]:
    """Names of the recipes that come with miex, sorted."""
    files = resources.files("miex.recognition").joinpath("recipes").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load_recipe(name: str) -> Recipe:
    """Load a recipe by its name, or from a TOML file.

    In a file, `like = "fixed"` takes all values that the file does not give from the recipe of that name.

    Raises:
        UsageError: there is no such recipe, or a value is out of range.
        InputError: the file cannot be read, or is not TOML.
    """
    if name in recipe_names():
        content = resources.files("miex.recognition").joinpath("recipes", f"{name}.toml").read_bytes()
    elif name.endswith(".toml"):
        try:
            content = read_bytes(Path(name).expanduser(), MOST_TEXT)
        except (OSError, ValueError) as error:
            raise InputError(f"recipe {name}", expected="a TOML file that can be read", found=str(error)) from error
    else:
        raise UsageError(
            f"recipe {name!r}", expected="one of " + ", ".join(recipe_names()) + ", or the path of a .toml file"
        )  # fmt: skip
    try:
        values = toml_of(content)
    except ValueError as error:
        raise InputError(f"recipe {name}", expected="valid TOML", found=str(error), do="correct the file") from error
    like = values.pop("like", None)
    values.setdefault("name", Path(name).stem)
    if like is None:
        return _checked(values, f"recipe {name}")
    if like not in recipe_names():
        raise InputError(f"recipe {name}: like", expected="one of " + ", ".join(recipe_names()), found=repr(like))
    base = load_recipe(str(like)).model_dump()
    if "epochs" in values:
        base["samples_seen"] = None
    given = values.get("input")
    if isinstance(given, dict) and given.get("name", base["input"]["name"]) == base["input"]["name"]:
        values["input"] = {**base["input"], **given}
    return _checked({**base, "source": "", **values}, f"recipe {name}")


def _checked(values: dict[str, Any], asked: str) -> Recipe:
    try:
        return Recipe(**values)
    except ValidationError as error:
        where, expected, found = first_wrong(error)
        raise UsageError(f"{asked}: {where or 'recipe'}", expected=expected, found=found) from error
