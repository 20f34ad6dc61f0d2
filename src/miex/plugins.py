"""Registries of things known by name: those of miex, and those that installed packages add through entry points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module, metadata
from typing import Any

from miex.errors import InputError, MiexError, one_of


class Registry(dict[str, Callable[[], Any]]):
    """Things by name: names are listed without loading anything.

    Entries of miex come first; those of installed packages are looked up when needed. A package adds an entry in its
    pyproject.toml, and cannot use a name that miex uses:

        [project.entry-points."miex.recognizers"]
        my_net = "my_package.my_net:MyNet"

    Args:
        kind: what the things are, for messages, such as "recognizer".
        group: group of the entry points, such as miex.recognizers.
        own: name → "module:object".
        base: "module:class" that those of packages must be subclasses of; none: whatever can be called.
    """

    def __init__(self, kind: str, group: str, own: Mapping[str, str], base: str = "") -> None:
        super().__init__({name: partial(_imported, where) for name, where in own.items()})
        self.kind, self.group, self.base = kind, group, base

    def names(self) -> list[str]:
        """Every name: miex's own in their order, then those of packages, sorted."""
        return [*self, *sorted(self._added().keys() - self.keys())]

    def load(self, name: str) -> Any:
        """The thing of that name.

        Raises:
            UsageError: there is none.
            InputError: a package's thing cannot be imported, or is of another kind.
        """
        if name in self:
            return self[name]()
        entry = self._added()[one_of(name, self.names(), self.kind)]
        try:
            thing = entry.load()
        except (Exception, SystemExit) as error:  # code of other packages may fail in any way
            raise self._broken(entry, "can be imported", f"{type(error).__name__}: {error}") from error
        if self.base and not (isinstance(thing, type) and issubclass(thing, _imported(self.base))):
            raise self._broken(entry, f"is a subclass of {self.base.replace(':', '.')}", repr(thing)[:80])
        if not callable(thing):
            raise self._broken(entry, "is a class or a function", repr(thing)[:80])
        return thing

    def make(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call the thing of that name with these arguments, and return the result.

        Raises:
            UsageError: there is none of that name.
            InputError: it belongs to a package, and cannot be imported, is of another kind, or fails.
        """
        thing = self.load(name)
        if name in self:
            return thing(*arguments, **options)
        try:
            return thing(*arguments, **options)
        except MiexError:
            raise
        except Exception as error:
            raise self._broken(self._added()[name], "can be created", f"{type(error).__name__}: {error}") from error

    def package(self, name: str) -> str | None:
        """The package and version that a name comes from; None for miex's own."""
        if name in self or name not in (added := self._added()):
            return None
        found = added[name].dist
        return f"{found.name} {found.version}" if found else added[name].value

    def _broken(self, entry: metadata.EntryPoint, expected: str, found: str) -> InputError:
        package = entry.dist.name if entry.dist else "an installed package"
        return InputError(
            f"{self.kind} {entry.name!r} of {package}", expected=f"{entry.value} that {expected}", found=found,
            do=f"repair that package (its entry point in {self.group}), or uninstall it",
        )  # fmt: skip

    def _added(self) -> dict[str, metadata.EntryPoint]:
        return {entry.name: entry for entry in metadata.entry_points(group=self.group)}


def _imported(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)
