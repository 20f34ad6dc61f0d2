"""`make faults` meets every point and stores the counts; `make test` a few of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.tally import Tally, store

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "faults.md"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-fault", action="store_true", help="meet every point, and store the counts")


@pytest.fixture(scope="session")
def every(request: pytest.FixtureRequest) -> bool:
    """Whether every point is met."""
    return bool(request.config.getoption("--every-fault", default=False))


@pytest.fixture(scope="module")
def tally(every: bool, request: pytest.FixtureRequest) -> Iterator[Tally]:
    """What was injected, and what came of it."""
    counts, failed = Tally(Counter()), request.session.testsfailed
    yield counts
    if every and request.session.testsfailed == failed:
        store(RESULTS, request.module.__name__.rpartition("test_")[2], counts)
