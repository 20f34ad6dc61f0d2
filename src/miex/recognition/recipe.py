"""Recipes: all that decides a training beside data and seed, named and hashed."""

from __future__ import annotations

import hashlib
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from miex.errors import InputError, UsageError, first_wrong
from miex.recognition.inputs.base import Input, make_input
from miex.stable import canonical_json

_PROSE = frozenset({"name", "source"})  # not in the digest: they change no number


class Recipe(BaseModel):
    """A recipe.

    Attributes:
        name, source: for people.
        recognizer: a name of `method.METHODS`.
        input: what it looks at: name of an input, and those of its settings that differ from the defaults.
        samples_seen, epochs: how long; exactly one of them. An epoch is as many samples as the set has.
        batch, replacement: samples per step, drawn with replacement, or each once an epoch in random order.
        optimizer, learning_rate, weight_decay: as in torch.
        schedule, warmup: constant, or one-cycle (Smith & Topin 2019), its top after that share of the steps.
        clip_norm: largest norm of the gradient, or None.
        label_smoothing: as in torch's cross entropy.
        balance_real: weigh classes of real training data by the inverse of their frequency.
        mirror, shift: probability of the mirror image (u changes sign); pixels to shift by at most. Every channel and
            frame of a sample moves alike; test samples are left as they are.
        mirror_test: average the probabilities of a test sample and of its mirror image.
        mixed_precision: bfloat16 on CPUs, float16 with a scaled loss on CUDA devices.
        validation, patience: this share of the training people is held out; training stops when their loss has not
            fallen for so many epochs, and goes back to the best. 0: neither.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(min_length=1, max_length=80)
    source: str = ""
    recognizer: str = "ststnet"
    input: dict[str, Any] = Field(default={"name": "flow"}, validate_default=True)
    samples_seen: int | None = Field(default=None, ge=1)
    epochs: int | None = Field(default=None, ge=1)
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
            raise ValueError("give either samples_seen or epochs, not both")
        if (self.validation > 0) != (self.patience > 0):
            raise ValueError("give both validation and patience, or neither")
        return self

    @property
    def takes(self) -> Input:
        """The input it looks at."""
        return make_input(self.input)

    @property
    def digest(self) -> str:
        """sha256 of all that changes a number."""
        plain = self.model_dump(mode="json", exclude=set(_PROSE))
        return hashlib.sha256(canonical_json(plain).encode()).hexdigest()

    def but(self, **changes: Any) -> Recipe:
        """The same with other values; a new length replaces the other kind of length. What is no field of a recipe is a
        setting of its input: `but(side=56)`.

        Raises:
            UsageError: a value that cannot be.
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
    """The recipes that come with miex."""
    files = resources.files("miex.recognition").joinpath("recipes").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load_recipe(name: str) -> Recipe:
    """A recipe by its name, or from a TOML file; `like = "fixed"` starts from another one.

    Raises:
        UsageError: no such recipe.
        InputError: a file that is none.
    """
    if name in recipe_names():
        text = resources.files("miex.recognition").joinpath("recipes", f"{name}.toml").read_text("utf-8")
    elif name.endswith(".toml"):
        try:
            text = Path(name).expanduser().read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"recipe {name}", expected="a TOML file that can be read", found=str(error)) from error
    else:
        raise UsageError(f"recipe {name!r}", expected="one of " + ", ".join(recipe_names()) + ", or a .toml file")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"recipe {name}", expected="valid TOML", found=str(error), do="correct the file") from error
    like = values.pop("like", None)
    values.setdefault("name", Path(name).stem)
    if like is None:
        return _checked(values, f"recipe {name}")
    if like not in recipe_names():
        raise InputError(f"recipe {name}", expected="like = one of " + ", ".join(recipe_names()), found=repr(like))
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
