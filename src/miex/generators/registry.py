"""Every generator by its name."""

from __future__ import annotations

from typing import Any

from miex.errors import InputError, UsageError
from miex.generators.base import Generator

NAMES = ("muscle",)


def make_generator(name: str) -> Generator[Any]:
    """The generator of that name, with its default settings. Raises UsageError for an unknown name."""
    if name == "muscle":
        from miex.generators.muscle import MuscleGenerator

        return MuscleGenerator()
    raise UsageError(f"generator {name!r}", expected="one of " + ", ".join(NAMES))


def describe(generator: Generator[Any]) -> dict[str, Any]:
    """What a plan holds of its generator."""
    return {"name": generator.name, "version": generator.version, "settings": generator.settings}


def generator_of(description: dict[str, Any]) -> Generator[Any]:
    """The generator that a plan describes.

    Raises:
        InputError: the installed one is another version, or has other settings: it would make other pixels.
    """
    generator = make_generator(description["name"])
    if describe(generator) != description:
        raise InputError(
            f"generator {description['name']}, version {description['version']}, of this plan",
            expected="the same version and settings in the installed miex",
            found=f"version {generator.version}, settings {generator.settings}",
            do="install the miex that made the plan (plan.json names it), or make a new plan",
        )
    return generator
