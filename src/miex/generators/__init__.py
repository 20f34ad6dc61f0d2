"""Generators turn an aligned face and AU vectors into frames. Each name is loaded when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miex.generators.base import Generator, Rendered
    from miex.generators.registry import make_generator

__all__ = ["Generator", "Rendered", "make_generator"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "make_generator":
        from miex.generators import registry

        return registry.make_generator
    from miex.generators import base

    return getattr(base, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
