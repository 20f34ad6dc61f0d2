"""A small finished set, shared by the tests that read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from miex.faces.photos import default_pool
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.run import run_plan
from tests.support import plan_of


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """12 identities × 3 classes in 9 shards, made in this process. Read only."""
    out = tmp_path_factory.mktemp("finished")
    adopt_plan(plan_of(default_pool(), model, ids=12, shard_size=4, size=96), out)
    run_plan(out)
    return out
