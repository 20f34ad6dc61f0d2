"""Generators by their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from miex.arguments import checking
from miex.errors import InputError
from miex.generators.base import Generator
from miex.plugins import Registry

GENERATORS = Registry(
    "generator",
    "miex.generators",
    {"muscle": "miex.generators.muscle:MuscleGenerator"},
    base="miex.generators.base:Generator",
)


def no_weights(sha256: str) -> NoReturn:
    """Finds no weights: for generators that need none. Raises InputError."""
    raise InputError(
        f"weights with sha256 {sha256[:12]}…", expected="their file", found="no place to look for it",
        do="give the path of the weights",
    )  # fmt: skip


@checking()
def make_generator(name: str) -> Generator[Any]:
    """The generator of that name, with its default settings.

    Raises:
        UsageError: an unknown name.
        InputError: a package's generator that cannot be made.
    """
    _load(name)
    made: Generator[Any] = GENERATORS.make(name)
    return made


def describe(generator: Generator[Any]) -> dict[str, Any]:
    """What a plan holds of its generator."""
    return {"name": generator.name, "version": generator.version, "settings": generator.settings}


def generator_of(description: dict[str, Any], *, find: Callable[[str], Path] = no_weights) -> Generator[Any]:
    """The generator that a plan describes.

    Args:
        description: from `describe`.
        find: the file of weights by their sha256.

    Raises:
        UsageError: no generator of that name is installed.
        InputError: the installed one is another version, or cannot have these settings: it would make other pixels; or
            its weights are not at hand.
    """
    kind = _load(description["name"])
    asked = f"generator {description['name']}, version {description['version']}, of this plan"
    do = "install the miex that made the plan (plan.json names it), or make a new plan"
    if kind.version != description["version"]:
        raise InputError(
            asked, expected="the same version in the installed miex", found=f"version {kind.version}", do=do
        )
    generator = kind.from_settings(description["settings"], find=find)
    if generator.settings != description["settings"]:
        raise InputError(
            asked, expected=f"its settings {description['settings']}", found=f"settings {generator.settings}", do=do
        )
    return generator


def _load(name: str) -> type[Generator[Any]]:
    kind: type[Generator[Any]] = GENERATORS.load(name)
    if getattr(kind, "name", None) != name:  # plans hold its own name, and would find another by it
        raise InputError(
            f"generator {name!r}", expected=f"a class of generators whose name is {name!r}",
            found=f"{kind!r}, named {getattr(kind, 'name', None)!r}", do="repair or uninstall the package that adds it",
        )  # fmt: skip
    return kind
