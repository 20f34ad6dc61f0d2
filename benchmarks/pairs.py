"""Two photos of each person, NAME_neutral.* and NAME_smiling.* (the Face Research Lab London Set has them)."""

from __future__ import annotations

import argparse
from pathlib import Path

from miex.errors import InputError


def add_pairs(options: argparse.ArgumentParser) -> None:
    """The option that names their folder."""
    options.add_argument("--pairs", type=Path, help="Folder of the photos. Without it there is nothing to measure.")


def pairs_of(folder: Path, least: int) -> tuple[list[Path], list[Path]]:
    """The neutral and the smiling photo of each person, in one order.

    Raises:
        InputError: there are fewer than `least` people, or one has no smiling photo.
    """
    neutral = sorted(folder.glob("*_neutral.*"))
    smiling = [path.with_name(path.name.replace("_neutral.", "_smiling.")) for path in neutral]
    if len(neutral) < least or not all(path.is_file() for path in smiling):
        raise InputError(f"pairs of {folder}", expected=f"NAME_neutral.* and NAME_smiling.* of {least} people or more")
    return neutral, smiling
