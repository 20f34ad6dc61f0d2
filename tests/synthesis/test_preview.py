"""A face that is moved by hand does what the same AUs, nuisances and seed do in a set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from miex.aus.vector import parse
from miex.faces.photos import default_pool
from miex.faces.planned import load_face
from miex.generators.registry import make_generator
from miex.nuisances.columns import nuisances_of
from miex.synthesis.preview import Ready
from miex.synthesis.render import Seen, show_identity
from tests.support import plan_of


@pytest.mark.parametrize("level", ["off", "clean", "all"])
def test_a_pair_by_hand_is_the_one_of_a_set(level: str, model: Path) -> None:
    plan = plan_of(default_pool(), model, ids=1, per=2, size=64, nuisances=level)
    (face,) = plan.faces.to_pylist()
    rows = plan.rows.to_pylist()
    generator = make_generator("muscle")
    settings = {**plan.settings, "size": 64}
    seen = list(show_identity(default_pool(), face, rows, settings, generator))
    ready = Ready(load_face(default_pool(), face, 64), generator)
    for row, one in zip(rows, seen, strict=True):
        assert isinstance(one, Seen)
        made = ready.move(np.asarray(row["aus"][1], np.float32), nuisances_of(level), row["seed"])
        assert np.array_equal(made.frames, one.frames)


def test_another_seed_and_another_level_give_other_frames(model: Path) -> None:
    plan = plan_of(default_pool(), model, ids=1, per=1, size=64)
    (face,) = plan.faces.to_pylist()
    ready = Ready(load_face(default_pool(), face, 64), make_generator("muscle"))
    aus = parse(["L12=0.3"])
    made = {
        (level, seed): ready.move(aus, nuisances_of(level), seed).frames.tobytes()
        for level in ("off", "face", "all")
        for seed in (1, 2)
    }
    assert made["off", 1] == made["off", 2] == ready.move(aus).frames.tobytes()
    assert len(set(made.values())) == 5
