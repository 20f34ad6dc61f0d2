"""Generators by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from miex.arguments import checking
from miex.errors import InputError, UsageError
from miex.generators.base import Generator
from miex.generators.weights import find_weights, only_weights
from miex.plugins import Registry
from miex.stable import first_difference

GENERATORS = Registry(
    "generator",
    "miex.generators",
    {
        "muscle": "miex.generators.muscle:MuscleGenerator",
        "ganimation": "miex.generators.ganimation.generator:GANimation",
    },
    base="miex.generators.base:Generator",
)


@checking()
def make_generator(
    name: str, *, weights: str | Path | None = None, options: Mapping[str, Any] | None = None
) -> Generator[Any]:
    """The generator of that name.

    Args:
        name: its name.
        weights: the file of its weights, if it needs one. Default: the only one in the file or folder that MIEX_WEIGHTS
            names, and in the folder weights of the user's cache.
        options: what to choose otherwise than by default; the generator's class says what there is (its `options`).

    Raises:
        UsageError: an unknown name; an option that the generator does not have, or a value that it cannot have; weights
            for a generator that has none; none, or several to choose from, for one that needs them; or torch is not
            installed, and it needs that.
        InputError: weights that cannot be used; or a package's generator that cannot be made.
    """
    kind = generator_class(name)
    refuse_weights(kind, weights)
    chosen = chosen_options(kind, options or {})
    needed = [] if not kind.weighted else [only_weights(name) if weights is None else Path(weights).expanduser()]
    made: Generator[Any] = GENERATORS.make(name, *needed, **chosen)
    return made


def refuse_weights(generator: type[Generator[Any]] | Generator[Any], weights: str | Path | None) -> None:
    """Raises UsageError if a generator that has no weights is given some."""
    if weights is not None and not generator.weighted:
        raise UsageError(
            f"`weights` {weights}, with generator {generator.name}", expected="none: this generator has no weights",
            do="leave them out, or choose the generator that they are for",
        )  # fmt: skip


def chosen_options(generator: type[Generator[Any]], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the values to use. Raises UsageError for an option or a value that the generator cannot have."""
    chosen, kinds = {}, generator.options
    for name, value in options.items():
        asked = f"option {name}={value} of generator {generator.name}"
        if name not in kinds:
            there = "; ".join(f"{known}: {kind.expected}" for known, kind in kinds.items())
            raise UsageError(asked, expected=there or "none: this generator has no options")
        try:
            chosen[name] = kinds[name].take(value)
        except (TypeError, ValueError):
            raise UsageError(asked, expected=kinds[name].expected) from None
    return chosen


def describe(generator: Generator[Any]) -> dict[str, Any]:
    """What a plan holds of its generator: name, version, settings, and, where that is so, that it is mixed, and the
    options that are not as by default."""
    settings, defaults = generator.settings, signature(type(generator)).parameters
    options = {
        name: settings[name] for name in generator.options
        if name in settings and not (name in defaults and settings[name] == defaults[name].default)
    }  # fmt: skip
    return {
        "name": generator.name, "version": generator.version, "settings": settings,
        **({"mixed": True} if generator.mixed else {}), **({"options": options} if options else {}),
    }  # fmt: skip


def generator_of(description: dict[str, Any], *, find: Callable[[str], Path] = find_weights) -> Generator[Any]:
    """The generator that a plan describes.

    Args:
        description: from `describe`.
        find: the file of weights by their sha256. Default: in the places of `weights.find_weights`.

    Raises:
        UsageError: no generator of that name is installed.
        InputError: the installed one is another version, or cannot have these settings: it would make other pixels; or
            its weights are not at hand.
    """
    kind = generator_class(description["name"])
    asked = f"generator {description['name']}, version {description['version']}, of this plan"
    do = "install the miex that made the plan (plan.json names it), or make a new plan"
    if kind.version != description["version"]:
        raise InputError(
            asked, expected="the same version in the installed miex", found=f"version {kind.version}", do=do
        )
    generator = kind.from_settings(description["settings"], find=find)
    if differ := first_difference(description, describe(generator)):
        raise InputError(asked, expected="what the installed miex says of it", found=differ, do=do)
    return generator


def generator_class(name: str) -> type[Generator[Any]]:
    """The class of that name, which says what its generators can do.

    Raises:
        UsageError: there is none, or torch is not installed, and it needs that.
        InputError: a package's class cannot be imported, or is of another kind.
    """
    try:
        kind: type[Generator[Any]] = GENERATORS.load(name)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "safetensors"):
            raise
        raise UsageError(
            f"generator {name}", expected="torch and safetensors", found=f"no {error.name}",
            do="pip install 'miex[train]' (see docs/tutorials.md)",
        ) from error  # fmt: skip
    if getattr(kind, "name", None) != name:  # plans hold its own name, and would find another by it
        raise InputError(
            f"generator {name!r}", expected=f"a class of generators whose name is {name!r}",
            found=f"{kind!r}, named {getattr(kind, 'name', None)!r}", do="repair or uninstall the package that adds it",
        )  # fmt: skip
    return kind
