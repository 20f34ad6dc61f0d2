"""What is packed is whole and accounted for; the built wheel is proven by `make package`."""

from __future__ import annotations

import fnmatch
import subprocess
import tomllib
from pathlib import Path

import pytest
from tools.lower_bounds import lowest

import miex

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def known(folder: str) -> list[str]:
    """Files below a folder that git knows."""
    done = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a checkout")
    return done.stdout.splitlines()


def test_each_data_file_has_a_licence_and_each_licence_a_file() -> None:
    data = [name.removeprefix("src/") for name in known("src/miex") if not name.endswith((".py", "py.typed"))]
    lines = (ROOT / "NOTICE").read_text("utf-8").splitlines()
    named = [line for line in lines if line.startswith("miex/")]
    assert not [name for name in data if not any(fnmatch.fnmatch(name, pattern) for pattern in named)]
    assert not [pattern for pattern in named if not fnmatch.filter(data, pattern)]


def test_the_version_is_the_latest_of_the_changelog() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    latest = next(line for line in changes.splitlines() if line.startswith("## ") and "Unreleased" not in line)
    assert latest.split()[1] == miex.__version__


def test_every_requirement_has_one_lower_bound() -> None:
    extras = list(PROJECT["optional-dependencies"])
    assert len(set(lowest(extras))) > len(PROJECT["dependencies"]) == len(list(lowest([])))
