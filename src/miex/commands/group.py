"""What the program and each group of its commands have in common.

Files with commands do without `from __future__ import annotations`: typer would compile every annotation again, which
is a third of the time of `miex --help`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from miex.commands.options import PANELS


class Command(TyperCommand):
    """A command whose help shows options in panels; as plain text, since drawing boxes takes longer than all else."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, panel by panel."""
        panels: dict[str, list[tuple[str, str]]] = {name: [] for name in ("Arguments", "Options", *PANELS)}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                usual = "Arguments" if param.param_type_name == "argument" else "Options"
                panels[getattr(param, "rich_help_panel", None) or usual].append(record)
        for name, records in panels.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


class _Later(TyperGroup):
    """A group whose commands are made when it is asked for them: a fifth of `miex --help`, which does not ask."""

    of: Group

    @property
    def commands(self) -> Any:
        """The commands by name."""
        return self._made

    @commands.setter
    def commands(self, made: Any) -> None:
        """None are made yet."""

    @cached_property
    def _made(self) -> Any:
        return get_group(self.of).commands


class Group(typer.Typer):
    """A program, or a group of its commands."""

    def __init__(self, help: str, **how: Any) -> None:
        super().__init__(
            no_args_is_help=True,
            rich_markup_mode=None,
            pretty_exceptions_enable=False,  # any other error is a bug, and its plain traceback belongs in the report
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
            help=help,
            **how,
        )
        self.says = help
        self.groups: dict[str, Group] = {}

    def command(self, name: str | None = None, **how: Any) -> Callable[[Any], Any]:
        """As `typer.Typer.command`, with the class Command."""
        return super().command(name, cls=Command, **how)

    def add_group(self, name: str, group: Group) -> None:
        """Add a group of commands, which has no options of its own."""
        self.groups[name] = group
        later = type("Later", (_Later,), {"of": group})
        self.add_typer(Group(group.says, cls=later), name=name)
