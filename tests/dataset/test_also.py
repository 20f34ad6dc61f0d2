"""What a sample says of itself: coded AUs, rendered ones, and in words what is seen beside the coded ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miex.dataset
from miex.aus.vector import AU_INDEX, N_AUS, from_mapping
from miex.corpora.mappings import emotion_named
from miex.dataset.also import also_seen
from miex.dataset.schema import PLAN_SCHEMA, rendered_aus
from miex.dataset.shard import Sample
from miex.dataset.verify import verify
from miex.nuisances.apply import shown_aus
from miex.nuisances.columns import NAMES
from miex.planning.config import PlanConfig
from miex.planning.rows import build_plan
from miex.sources.expert import PRESETS, ExpertSource, load_table
from miex.storage.local import Folder
from tests.plan_fixture import GENERATOR, fake_index
from tests.support import write_over

LEFT = [int(au == 12) for au in AU_INDEX]


def row(left: dict[int, dict[int, float]], right: dict[int, dict[int, float]] | None = None, **parts: Any) -> Any:
    """Coded AU 12 of 0.3 at the apex, the last of three frames; rendered AUs by frame and AU."""
    coded = np.stack([from_mapping({}), from_mapping({12: 0.1}), from_mapping({12: 0.3})])
    sides = []
    for changes in (left, left if right is None else right):
        side = coded.copy()
        for frame, aus in changes.items():
            for au, z in aus.items():
                side[frame, AU_INDEX[au]] = z
        sides.append(side)
    return {
        "aus": coded, "apex": 2, "sides": None, "rendered_left": sides[0], "rendered_right": sides[1],
        **dict.fromkeys(NAMES), **parts,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (row({}), []),
        (row({2: {7: 0.05}}), ["AU 7: 0 → 0.05"]),
        (row({2: {7: 0.004}}), []),
        (row({0: {45: 0.4, 1: 0.1}, 2: {1: 0.1}}), ["blink: 0.40 → 0", "AU 1: 0.10"]),
        (row({1: {45: 0.4}}), ["blink: 0, 0.40 at frame 1"]),
        (row({2: {7: 0.05}}, {}), ["AU 7: L 0 → 0.05, R 0"]),
        (row({2: {12: 0.2}}, {0: {12: 0.1}}), ["AU 12: L 0 → 0.20, R 0.10 → 0.30 (coded 0 → 0.30)"]),
        (row({}, {1: {12: 0}, 2: {12: 0}}, sides=LEFT), ["AU 12 on the left side alone"]),
        (
            row({2: {12: 0.3}}, {1: {12: 0}, 2: {12: 0.05}}, sides=LEFT),
            ["AU 12 on the left side alone", "AU 12: L 0 → 0.30, R 0 → 0.05 (coded 0 → 0.30)"],
        ),
        (row({}, residual=[0.1, 0.02]), ["residual motion 2.00 % of the distance between the eyes"]),
        (row({}, residual=[0.1, 0.00001]), []),
        (
            row({}, head=[[0] * 4] * 2 + [[0.03, 0.04, 0.01, -0.02]]),
            ["head 5.0 % of the distance between the eyes, turned by 0.6°, farther by 2.0 %"],
        ),
        (
            row({}, outliers=[[0.5, 0.5, 0.1, 0.01, 0], [0.5, 0.5, 0.1, 0, 0.02]]),
            ["2 local shifts of up to 2.0 % of the distance between the eyes"],
        ),
        (row({}, outliers=[]), []),
        (row({}, light=[[0] * 3] * 2 + [[-0.02, 0.03, 0.04]]), ["light darker by 2.0 %, uneven by 5.0 %"]),
        (row({}, noise=2.04, compression=80), ["noise of 2.0 gray levels", "JPEG quality 80"]),
    ],
)
def test_what_is_seen_by_hand(given: Any, said: list[str]) -> None:
    assert also_seen(given) == said


def test_samples_give_the_aus_that_were_rendered(finished: Path) -> None:
    dataset = miex.dataset.open(finished)
    for sample, planned in zip(dataset, dataset.table.to_pylist(), strict=True):
        assert sample.rendered.shape == (2, N_AUS, 2)
        assert np.array_equal(sample.rendered, shown_aus(planned))
        assert sample.provenance["also_seen"] == list(sample.also_seen)
        assert ("blink" in str(sample.also_seen)) == bool(np.any(np.abs(sample.rendered[:, -1]) >= 0.005))
        assert all(one in repr(sample) for one in sample.also_seen)
        assert "<th>left, onset</th>" in sample._repr_html_()
    assert len({sample.also_seen for sample in dataset}) > 30


def test_without_nuisances_what_is_rendered_is_what_is_coded() -> None:
    sources = [ExpertSource(load_table("du2014"))]
    plan = build_plan(PlanConfig(nuisances="off", frames=5), fake_index(2), sources, GENERATOR, faces_root="")
    for planned in plan.rows.to_pylist():
        assert np.array_equal(rendered_aus(planned), np.repeat(np.array(planned["aus"], np.float32)[..., None], 2, -1))
        assert also_seen(planned) == []


def test_a_plan_says_on_which_side_an_au_is_coded() -> None:
    sources = [ExpertSource(load_table("dfme"))]
    config = PlanConfig(nuisances="off", frames=5, classes=("contempt",))
    rows = build_plan(config, fake_index(40), sources, GENERATOR, faces_root="").rows.to_pylist()
    alone = [row for row in rows if row["sides"] is not None]
    assert len(alone) in range(20, 40)  # of 40, where three in four have AU 12, 10, 7, 14 or 15 on one side
    assert {side for row in alone for side in row["sides"]} == {-1, 0, 1}
    for row in alone:
        coded, sides = np.array(row["aus"], np.float32), np.array(row["sides"])
        left, right = np.moveaxis(rendered_aus(row), -1, 0)
        assert np.array_equal(left, coded * (sides >= 0))
        assert np.array_equal(right, coded * (sides <= 0))
        assert coded[-1, sides != 0].all()
        assert len(also_seen(row)) == np.count_nonzero(sides)
    both = [ExpertSource(load_table("dfme"), sides=False)]
    assert build_plan(config, fake_index(40), both, GENERATOR, faces_root="").rows["sides"].null_count == 40


def test_verify_finds_rendered_aus_that_are_not_the_plans(finished: Path, tmp_path: Path) -> None:
    shard = 0
    dataset = miex.dataset.open(finished)
    samples = []
    for i in range(4):
        stored = dataset.stored(i)
        samples.append(Sample(stored.description["sample_id"], stored.frames, ".png", stored.description, {}))
    wrong = {**samples[1].description, "rendered_right": samples[1].description["aus"]}
    out = Folder(tmp_path / "set")
    for path in finished.rglob("*"):
        if path.is_file():
            out.write(str(path.relative_to(finished)), path.read_bytes())
    write_over(tmp_path / "set", shard, [samples[0], replace(samples[1], description=wrong), *samples[2:]])
    assert any("not as planned: rendered_right" in problem for problem in verify(out).problems)


def test_emotions_have_one_spelling_in_every_plan() -> None:
    for preset in PRESETS:
        source = [ExpertSource(load_table(preset))]
        rows = build_plan(PlanConfig(per=5), fake_index(4), source, GENERATOR, faces_root="").rows
        assert rows.schema.equals(PLAN_SCHEMA)
        emotions = set(rows["emotion"].to_pylist())
        assert emotions == {emotion_named(emotion) for emotion in emotions}
        assert {"happiness", "surprise"} <= emotions
        assert not any("casme" in emotion for emotion in emotions)
