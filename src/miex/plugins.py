"""What is known by name: miex's own, and what installed packages add through entry points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module, metadata
from typing import Any

from miex.errors import InputError, one_of


class Registry(dict[str, Callable[[], Any]]):
    """Name → what loads the thing of that name: names are listed without loading anything.

    Its entries are miex's own; those of installed packages are found when asked for. A package adds one in its
    pyproject.toml, and cannot take a name of miex:

        [project.entry-points."miex.recognizers"]
        my_net = "my_package.my_net:MyNet"

    Args:
        kind: what its things are, for messages: "recognizer".
        group: of the entry points: miex.recognizers.
        own: name → "module:object".
    """

    def __init__(self, kind: str, group: str, own: Mapping[str, str]) -> None:
        super().__init__({name: partial(_imported, where) for name, where in own.items()})
        self.kind, self.group = kind, group

    def names(self) -> list[str]:
        """Every name: miex's own in their order, then those of packages, sorted."""
        return [*self, *sorted(self._added().keys() - self.keys())]

    def load(self, name: str) -> Any:
        """The thing of that name.

        Raises:
            UsageError: there is none.
            InputError: a package's thing cannot be imported.
        """
        if name in self:
            return self[name]()
        entry = self._added()[one_of(name, self.names(), self.kind)]
        try:
            return entry.load()
        except (Exception, SystemExit) as error:  # other people's code fails in any way it likes
            package = entry.dist.name if entry.dist else "an installed package"
            raise InputError(
                f"{self.kind} {name!r} of {package}", expected=f"{entry.value} to be imported",
                found=f"{type(error).__name__}: {error}", do="repair that package, or uninstall it",
            ) from error  # fmt: skip

    def _added(self) -> dict[str, metadata.EntryPoint]:
        return {entry.name: entry for entry in metadata.entry_points(group=self.group)}


def _imported(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)
