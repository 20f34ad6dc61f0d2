"""What the program and each group of its commands have in common.

Files with commands do without `from __future__ import annotations`: typer would compile every annotation again, which
is a third of the time of `miex --help`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

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

    def command(self, name: str | None = None, **how: Any) -> Callable[[Any], Any]:
        """As `typer.Typer.command`, with the class Command."""
        return super().command(name, cls=Command, **how)
