"""Files of weights: plans name them by their sha256, and they are found by it on any machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from miex.errors import InputError, UsageError
from miex.storage.cache import cache_folder
from miex.storage.fetched import opened

VARIABLE = "MIEX_WEIGHTS"
SUFFIXES = (".pth", ".pt", ".safetensors")


def weights_folder() -> Path:
    """The folder of weights in the user's cache."""
    return cache_folder() / "weights"


def find_weights(sha256: str, given: Path | None = None) -> Path:
    """The file of weights with that sha256.

    It is looked for in this order: `given`; the file or folder that MIEX_WEIGHTS names; the folder weights of the
    user's cache.

    Raises:
        InputError: the given file is another one, or there is none.
    """
    if given is not None:
        if (found := sha256_of(given)) != sha256:
            raise InputError(
                f"`weights` {given}", expected=f"the weights of the plan, sha256 {sha256}", found=f"sha256 {found}",
                do="give the file that the plan was made with",
            )  # fmt: skip
        return given
    there = list(_known_files())
    for path in there:
        if sha256_of(path) == sha256:
            return path
    raise InputError(
        f"weights with sha256 {sha256}", expected=f"their file in {_places()}",
        found=f"{len(there)} other files of weights" if there else "no weights", do="give their file with `weights`",
    )  # fmt: skip


def only_weights(generator: str) -> Path:
    """The one file of weights that `find_weights` can find.

    Raises:
        UsageError: there is none, or several.
    """
    there = list(_known_files())
    if len(there) == 1:
        return there[0]
    raise UsageError(
        f"generator {generator}", expected=f"its file of weights: `weights`, or one file in {_places()}",
        found=", ".join(map(str, there[:4])) or "none", do="give the file with `weights`",
    )  # fmt: skip


def sha256_of(path: Path) -> str:
    """sha256 of a file. Raises InputError if it cannot be read."""
    with opened(path, "weights") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _places() -> str:
    named = os.environ.get(VARIABLE)
    return f"{VARIABLE}{f' ({named})' if named else ''} or {weights_folder()}"


def _known_files() -> Iterator[Path]:
    named = os.environ.get(VARIABLE)
    for place in ([Path(named)] if named else []) + [weights_folder()]:
        if place.is_file():
            yield place
        elif place.is_dir():
            yield from sorted(path for path in place.iterdir() if path.suffix in SUFFIXES and path.is_file())
