"""What the program and each group of its commands have in common.

Files with commands go without `from __future__ import annotations`: typer would compile each text again, and that is a
third of what `miex --help` takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

from miex.commands.options import PANELS


class Command(TyperCommand):
    """A command whose help shows options panel by panel; as plain text, since drawing it takes longer than all else."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write them."""
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
            pretty_exceptions_enable=False,  # an error that is not ours is a bug: its plain trace belongs in the report
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
            help=help,
            **how,
        )

    def command(self, name: str | None = None, **how: Any) -> Callable[[Any], Any]:
        """As in typer."""
        return super().command(name, cls=Command, **how)
