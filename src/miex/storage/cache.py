"""The folder of the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "MIEX_CACHE"


def cache_folder() -> Path:
    """The user's cache of miex: MIEX_CACHE if set, else where the system keeps caches."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else Path(platformdirs.user_cache_dir("miex", appauthor=False))
