"""`python -m tools.lower_bounds [EXTRA …] > lowest.txt`: the oldest release of each requirement that miex allows.

`pip install --constraint lowest.txt .` then installs miex as old as it may be; what the tests say of that decides the
bounds. Without names, the requirements of miex alone.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest(extras: list[str]) -> Iterator[str]:
    """Requirements `name==version`, those of miex and then of each extra; without one lower bound: `ValueError`."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    groups = [project["dependencies"], *(project["optional-dependencies"][name] for name in extras)]
    for requirement in dict.fromkeys(Requirement(line) for group in groups for line in group):
        bounds = [one.version for one in requirement.specifier if one.operator in (">=", "==")]
        if len(bounds) != 1:
            raise ValueError(f"one lower bound is needed: {requirement}")
        yield f"{requirement.name}=={bounds[0]}"


if __name__ == "__main__":
    print("\n".join(lowest(sys.argv[1:])))
