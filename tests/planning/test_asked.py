"""What plan.json says was asked for is compared with what is planned: no digest of the plan holds it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from miex.aus.tracks import Credit
from miex.dataset.plan_file import Plan, read_plan, write_plan
from miex.planning.asked import asked_problems
from miex.planning.config import PlanConfig
from miex.planning.rows import build_plan
from miex.sources import perturbed
from miex.sources.expert import ExpertSource, load_table
from miex.sources.pool import Pool
from miex.sources.real_mie import RealMiESource
from miex.sources.source import AUSource
from tests.plan_fixture import GENERATOR, fake_index
from tests.support import pool_of, with_tables

QUALITY = {"max_yaw": 30.0, "max_pitch": None, "min_inter_ocular": 30.0, "licences": ["cc0"]}
TABLES = files("miex.sources") / "tables"
OWN = """
name = "{name}"
[emotions.smile]
emotion = "happiness"
label = "positive"
aus = {{ 6 = 0.333333333, 12 = 0.9 }}
one_sided = {{ 12 = 0.333333333 }}
[emotions.frown]
label = "negative"
sets = {{ "7 L4" = 2, "4 7" = 3, "4 24" = 1 }}
[outside]
24 = 23
"""


def planned(folder: Path, *sources: AUSource, n_photos: int = 3, **config: Any) -> Plan:
    """A plan, as it is read again."""
    used = sources or (ExpertSource(load_table("micro")),)
    plan = build_plan(
        PlanConfig(**config), fake_index(n_photos), used, GENERATOR, faces_root="/faces", chosen_by={"quality": QUALITY}
    )
    write_plan(plan, folder)
    return read_plan(folder)


def own_table(folder: Path, name: str) -> ExpertSource:
    file = folder / "own.toml"
    file.write_text(OWN.format(name=name))
    return ExpertSource(load_table(str(file)), 0.2, 0.4)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"ids": 7, "per": 2, "seed": 2**62, "nuisances": "all"},
        {"samples": 25, "shard_size": 4, "classes": ("surprise",), "ids": 2},
        {"frames": "all", "until": "offset", "fps": 60.0, "nuisances": "off"},
        {"frames": 7, "until": "offset", "triplets": 5, "per": 3},
        {"classes": ("happiness", "disgust")},
    ],
)
def test_what_was_asked_for_agrees_with_what_is_planned(tmp_path: Path, config: dict[str, Any]) -> None:
    assert asked_problems(planned(tmp_path, **config)) == []


def test_so_it_does_where_a_generator_mixes(tmp_path: Path) -> None:
    mixed = {**GENERATOR, "mixed": True}
    plan = build_plan(PlanConfig(per=2), fake_index(3), [ExpertSource(load_table("micro"))], mixed, faces_root="/faces")
    write_plan(plan, tmp_path)
    read = read_plan(tmp_path)
    assert asked_problems(read) == []
    rows = read.rows
    half = pa.array([0.5] * rows.num_rows, pa.float32())
    other = rows.set_column(rows.column_names.index("mixture"), "mixture", half)
    (found,) = asked_problems(with_tables(read, rows=other))
    assert "mixture 0.5 is planned, and the options give" in found


def test_so_it_does_with_every_source(tmp_path: Path) -> None:
    real = RealMiESource((Pool(pool_of(9), Credit("CC0", "nobody")),))
    compound = ExpertSource(load_table("du2014-compound"))
    default = ExpertSource(load_table("micro-dfme"))
    alike = [[ExpertSource(load_table(name), sides=False)] for name in ("dfme", "micro-dfme", "micro")]
    given: list[list[AUSource]] = [[compound], [real], [real, compound], [compound, real], [default], *alike]
    for i, sources in enumerate(given):
        assert asked_problems(planned(tmp_path / f"{i}", *sources, frames=4)) == []
    for name in ("mine", "micro"):  # a copy of a table may have kept its name
        own = own_table(tmp_path, name)
        for classes in (("negative", "positive"), ("happiness",)):
            assert asked_problems(planned(tmp_path / name / classes[0], own, classes=classes)) == []


def test_so_it_does_with_perturbed_aus_and_many_shards(tmp_path: Path) -> None:
    noisy = perturbed(ExpertSource(load_table("micro")), 0.1)
    assert asked_problems(planned(tmp_path / "noisy", noisy)) == []
    assert asked_problems(planned(tmp_path / "pool", *noisy_pools())) == []
    # of 66 rows every second is drawn again: of some shards of one row, none
    assert asked_problems(planned(tmp_path / "many", samples=66, ids=2, shard_size=1, nuisances="off")) == []


def noisy_pools() -> list[AUSource]:
    """A pool that spells its subjects in several ways, and has the clips of one corpus from two extractors."""
    clips = pool_of(9)
    again = tuple(replace(clip, clip="EP02", version="2") for clip in clips)
    spelled = tuple(replace(clip, clip="EP03", subject=f"S0{i}") for i, clip in enumerate(clips))
    return [RealMiESource((Pool((*clips, *again, *spelled), Credit("CC0", "nobody")),))]


def test_a_tables_rows_may_be_called_otherwise_and_be_rare(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    text = (TABLES / "du2014.toml").read_text().replace("[emotions.happy]", '[emotions.happy]\nemotion = "delight"')
    assert "delight" in text
    file.write_text(text)
    assert asked_problems(planned(tmp_path / "a", ExpertSource(load_table(str(file))), per=9)) == []
    file.write_text(OWN.format(name="rare").replace("6 = 0.333333333", "6 = 0.333333333, 9 = 0.0000001"))
    assert asked_problems(planned(tmp_path / "b", ExpertSource(load_table(str(file))), classes=("positive",))) == []


def test_sides_that_are_planned_are_told(tmp_path: Path) -> None:
    plan = planned(tmp_path, ExpertSource(load_table("dfme")), per=9, classes=("contempt",))
    config = copy.deepcopy(dict(plan.config))
    config["sources"]["expert"]["sides"] = False
    (found,) = asked_problems(replace(plan, config=config))
    assert "sources.expert: emotions" in found


def setting(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        inner = config
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = to

    return change


def fewer_aus(config: dict[str, Any]) -> None:
    for row in config["sources"]["expert"]["emotions"].values():
        if len(row.get("aus", ())) > 1:
            row["aus"].popitem()
            row.pop("one_sided", None)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (setting("size", to=256), "size"),
        (setting("eye_line", to=0.3), "eye_line"),
        (setting("eye_mouth", to=0.3), "eye_mouth"),
        (setting("frame_format", to="webp"), "frame_format"),
        (setting("shard_size", to=7), "shard_size"),
        (setting("generator", "version", to=2), "generator.version"),
        (setting("seed", to=1), "seed"),
        (setting("per", to=3), "27 samples, and 18 are planned"),
        (setting("samples", to=18), "per 2 beside samples"),
        (setting("ids", to=4), "ids 4"),
        (setting("classes", to=["negative", "positive"]), "samples"),
        (setting("classes", to=["happiness", "disgust", "fear"]), "sample_id"),
        (setting("frames", to=3), "frames 3"),
        (setting("until", to="offset"), "until|`frames` 2"),
        (setting("nuisances", to="all"), "nuisances all"),
        (setting("nuisances", to="clean"), "nuisances clean"),
        (setting("nuisances", to="bored"), "bored"),
        (setting("triplets", to=5), "draws another aus"),
        (setting("other", to=1), "other, which is no option"),
        (setting("quality", "max_yaw", to=-1), "max_yaw"),
        (setting("quality", "min_inter_ocular", to=200), "min_inter_ocular"),
        (setting("quality", "licences", to=["MIT"]), "licences"),
        (setting("sources", "expert", "mu", to=0.11), "draws another aus"),
        (setting("sources", "expert", "table", to="du2014"), "table du2014 with the numbers of micro"),
        (setting("sources", "expert", "other", to=1), "other"),
        (fewer_aus, "draws another aus"),
        (setting("sources", "expert", "emotions", to=5), "emotions"),
        (setting("sources", "expert", "emotions", to={"x": 5}), "emotions"),
        (setting("sources", to={}), "0 samples"),
        (setting("quality", to=0), "quality 0"),
        (setting("quality", "min_eyes", to="x"), "quality.min_eyes 'x'"),
        (setting("quality", "most_teeth", to=1), "quality.most_teeth"),
        (lambda config: config.pop("eye_line"), "no eye_line"),
        (setting("sources", to={"real_mie": {"corpora": []}}), "sample_id"),
    ],
)
def test_another_value_of_what_was_asked_for_is_seen(
    plan: Plan, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    config = copy.deepcopy(dict(plan.config))
    change(config)
    (found,) = asked_problems(replace(plan, config=config))
    assert found.startswith("plan.json")
    assert any(part in found for part in told.split("|")), found


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return planned(tmp_path_factory.mktemp("plan"), per=2, shard_size=500)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (setting("corpora", to=[]), "without casme2"),
        (setting("corpora", 0, "clips", to=1), "1 clips of casme2"),
        (setting("corpora", 0, "subjects", to=1), "1 subjects of casme2"),
    ],
)
def test_so_are_counts_of_clips_that_are_too_few(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    plan = planned(tmp_path, RealMiESource((Pool(pool_of(9), Credit("CC0", "nobody")),)), per=3)
    config = copy.deepcopy(dict(plan.config))
    change(config["sources"]["real_mie"])
    (found,) = asked_problems(replace(plan, config=config))
    assert told in found


def test_frames_of_a_camera_are_drawn_again(tmp_path: Path) -> None:
    plan = planned(tmp_path, frames="all", fps=60.0, shard_size=500)
    (found,) = asked_problems(replace(plan, config={**plan.config, "fps": 61.0}))
    assert "draws another" in found
