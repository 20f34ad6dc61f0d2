"""Sequences: from onset to apex and back, in the time of a micro-expression, and the pair as it always was."""

from __future__ import annotations

import csv
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miex.dataset
from miex.aus.vector import AU_INDEX, AU_NUMBERS, N_AUS, from_mapping
from miex.corpora.catalog import read as read_corpus
from miex.corpora.clip import Descent
from miex.dataset.export.folder import export_folder
from miex.dataset.plan_file import Plan, read_plan
from miex.dataset.schema import AU_COLUMNS
from miex.dataset.shard import tar_name
from miex.dataset.verify import verify
from miex.easing import ease
from miex.errors import OutputError, UsageError
from miex.executors.local import LocalProcesses
from miex.faces.photos import default_pool
from miex.faces.planned import load_face
from miex.generators.muscle import MuscleGenerator
from miex.labels import Label
from miex.nuisances.apply import drift, shown_aus, through_sensor
from miex.nuisances.columns import NAMES
from miex.nuisances.draw import BLINK
from miex.planning.config import PlanConfig
from miex.planning.rows import build_plan
from miex.planning.triplets import distinct_triplets
from miex.recognition.flow_file import flow_set
from miex.recognition.places import of_set
from miex.report.build import MOST_SHOWN, gallery_sample
from miex.sources.expert import ExpertSource, load_table
from miex.sources.source import AUSource, AUTriplet
from miex.stable import sample_rng
from miex.storage.local import Folder
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.run import run_plan
from tests.plan_fixture import GENERATOR, fake_index
from tests.support import command, facts, nuisances_drawn, plan_of, stored_samples, write_over

SMILE = AUTriplet(
    from_mapping({4: 0.05, 12: 0.02}), from_mapping({6: 0.1, 12: 0.3, 25: 0.15}), Label.positive, "happiness"
)
AU12 = AU_INDEX[12]


class Smile(AUSource):
    name = "expert"

    @property
    def settings(self) -> dict[str, Any]:
        return {}

    def sample(self, label: Label, *, emotion: str | None = None, rng: np.random.Generator) -> AUTriplet:
        return replace(SMILE, label=label)


def smiles(**config: Any) -> Plan:
    return build_plan(PlanConfig(**config), fake_index(2), [Smile()], GENERATOR, faces_root="/faces")


# the pair


@pytest.mark.parametrize("nuisances", ["off", "clean", "face", "all"])
def test_pairs_are_the_default_and_know_no_frame_rate(nuisances: str) -> None:
    pairs = smiles(nuisances=nuisances)
    assert smiles(nuisances=nuisances, frames=2, until="apex", fps=30).digests == pairs.digests


def test_the_stream_of_each_use_is_told_by_its_name_alone() -> None:
    """A use that comes or goes leaves every other as it was; computed here by hand."""
    for use in ("aus", "timing", "noise", *NAMES):
        seed = int.from_bytes(hashlib.blake2b(f"7\x1f{use}".encode(), digest_size=8).digest(), "little")
        expected = np.random.Generator(np.random.PCG64(seed))
        assert sample_rng(7, use).random() == expected.random()


def test_longer_sequences_leave_all_else_of_a_row_alone() -> None:
    pairs, ten, whole = (smiles(**how) for how in ({}, {"frames": 10}, {"frames": "all", "until": "offset"}))
    of_frames = (*AU_COLUMNS, "blink", "others")
    same = [name for name in pairs.rows.schema.names if name not in ("apex", *of_frames)]
    assert pairs.rows.select(same) == ten.rows.select(same) == whole.rows.select(same)
    for two, n, m in zip(*(plan.rows.to_pylist() for plan in (pairs, ten, whole)), strict=True):
        for longer in (n, m):
            for name in of_frames:
                assert [longer[name][0], longer[name][longer["apex"]]] == two[name]
    assert distinct_triplets(whole.shards()) == distinct_triplets(pairs.shards()) == 3


def test_ease_starts_and_ends_at_rest() -> None:
    assert ease([-1, 0, 0.5, 1, 2]).tolist() == [0, 0, 0.5, 1, 1]
    speed = np.diff(ease(np.linspace(0, 1, 1001))) * 1000
    assert speed[[0, -1]].max() < 0.01
    assert speed.max() == pytest.approx(1.5, abs=0.01)


def test_more_frames_per_second_are_more_frames() -> None:
    counts = {fps: sum(map(len, smiles(frames="all", fps=fps).rows["aus"].to_pylist())) for fps in (30, 100, 200)}
    assert counts[30] < counts[100] < counts[200]
    assert counts[200] == pytest.approx(2 * counts[100], rel=0.1)
    assert smiles(frames=10, fps=30).digests == smiles(frames=10).digests


def test_what_cannot_be_is_refused() -> None:
    for wrong in ({"frames": 1}, {"frames": "some"}, {"frames": 1000}, {"fps": 0}, {"until": "end"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            PlanConfig(**wrong)
    with pytest.raises(UsageError, match="at least 3"):
        PlanConfig(until="offset")
    assert PlanConfig(frames="10").frames == 10


# nuisances


def test_nuisances_are_smooth_on_the_way_and_keeps_the_pair() -> None:
    n, apex = 61, 24
    aus = np.zeros((n, N_AUS), np.float32)
    for seed in range(100):
        two = nuisances_drawn("all", aus[:2], 1, seed)
        long = nuisances_drawn("all", aus, apex, seed)
        for name in ("blink", "others", "head", "light"):
            ends, values = np.asarray(two[name], float), np.asarray(long[name], float)
            assert len(values) == n
            np.testing.assert_array_equal(values[[0, apex]], ends)
            size = max(np.abs(ends).max(), 1e-9)
            assert np.abs(np.diff(values, axis=0)).max() <= 3.1 * size / apex  # blinks are twice as fast
            assert np.abs(np.diff(values, 2, axis=0)).max() <= 26 * size / apex**2
        for name in ("asymmetry", "outliers", "noise", "compression"):
            assert np.array_equal(np.asarray(long[name]), np.asarray(two[name]))
    assert np.max([nuisances_drawn("face:blink", aus, apex, s)["blink"] for s in range(100)]) <= BLINK


def test_outliers_come_and_go_and_noise_is_new_in_every_frame() -> None:
    row: dict[str, Any] = {**dict.fromkeys(NAMES), "aus": np.zeros((11, 17)), "apex": 4, "noise": 3.0, "seed": 5}
    field = drift(
        {**row, "outliers": [[0.5, 0.25, 0.05, 0.04, 0.0]]},
        128,
        40.0,
        np.ones((80, 80), np.bool_),
        np.zeros((80, 80), np.bool_),
    )
    assert field is not None
    height = field[..., 0].max((1, 2))
    np.testing.assert_allclose(
        height / height[4], ease([0, 1 / 4, 1 / 2, 3 / 4, 1, *np.arange(5, -1, -1) / 6]), atol=1e-6
    )
    seen = through_sensor(np.full((11, 32, 32, 3), 100, np.uint8), row).reshape(11, -1) - 100.0
    others = np.corrcoef(seen)[~np.eye(11, dtype=bool)]
    assert np.abs(others).max() < 0.1
    np.testing.assert_allclose(seen.std(1), 3, rtol=0.1)


# sets of sequences


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """4 identities × 3 classes × 10 frames, onset to apex, in shards of few samples. Read only."""
    out = tmp_path_factory.mktemp("ten")
    adopt_plan(plan_of(default_pool(), model, ids=4, size=96, frames=10, shard_size=3, nuisances="off"), out)
    run_plan(out)
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """2 identities × 3 classes, all frames at 100 per second until the offset. Read only."""
    out = tmp_path_factory.mktemp("whole")
    adopt_plan(plan_of(default_pool(), model, ids=2, size=96, frames="all", until="offset", fps=100), out)
    run_plan(out)
    return out


def test_shards_hold_fewer_of_the_longer() -> None:
    assert [smiles(frames=n).shard_size for n in (2, 10, 999)] == [500, 100, 1]
    assert smiles(frames="all", until="offset").shard_size < smiles(frames="all").shard_size < 500
    assert smiles(frames=10, shard_size=7).shard_size == 7


def test_onset_and_apex_are_the_bytes_of_the_pair(ten: Path, model: Path, tmp_path: Path) -> None:
    adopt_plan(plan_of(default_pool(), model, ids=4, size=96, nuisances="off"), tmp_path)
    run_plan(tmp_path)
    pairs, sequences = miex.dataset.open(tmp_path), miex.dataset.open(ten)
    for i in range(len(pairs)):
        two, n = pairs.stored(i).frames, sequences.stored(i).frames
        assert (n[0], n[9]) == two
        assert len(set(n)) >= 8  # at first, and last, hardly anything moves
        assert pairs.table["ssim"][i] == sequences.table["ssim"][i]
        assert all(map(np.array_equal, sequences.pair(i), sequences[i].pair))
    maps = [flow_set(of_set(dataset))["flow"] for dataset in (pairs, sequences)]
    assert np.array_equal(*maps)


def test_workers_and_order_do_not_change_a_byte_of_a_sequence(ten: Path, tmp_path: Path) -> None:
    adopt_plan(read_plan(ten), tmp_path)
    run_plan(tmp_path, executor=LocalProcesses(2))
    for shard in range(4):
        assert Folder(tmp_path).read(tar_name(shard)) == Folder(ten).read(tar_name(shard))


def test_pixels_are_smooth(whole: Path) -> None:
    """What the face does from frame to frame: short steps, and hardly another step than the one before."""
    plan = read_plan(whole)
    generator = MuscleGenerator()
    faces = {face["identity"]: face for face in plan.faces.to_pylist()}
    dataset = miex.dataset.open(whole)
    for sample, row in zip(dataset, plan.rows.to_pylist(), strict=True):
        face = load_face(Path(plan.faces_root), faces[row["identity"]], 96)
        fields = generator.displacement(generator.prepare(face), shown_aus(row))
        path = np.linalg.norm(fields[row["apex"]] - fields[0], axis=-1)
        linear = max(path.max(), 0.3) / row["apex"]
        assert np.linalg.norm(np.diff(fields, axis=0), axis=-1).max() < 3.1 * linear
        assert np.linalg.norm(np.diff(fields, 2, axis=0), axis=-1).max() < 26 * linear / row["apex"]
        # and of what is seen: no step holds more than its share of the change
        steps = np.sqrt(np.square(np.diff(sample.frames.astype(float), axis=0)).mean((1, 2, 3)))
        assert steps.max() < 5 * (steps.sum() / len(steps)) + 0.1


def test_sets_of_sequences_are_clean_and_return(whole: Path) -> None:
    found = verify(whole)
    assert found.problems == ()
    dataset = miex.dataset.open(whole)
    for sample in dataset:
        assert len(sample.frames) == len(sample.aus)
        assert 0 < sample.apex < len(sample.frames) - 1
        np.testing.assert_array_equal(sample.aus[0], sample.aus[-1])
        assert np.array_equal(sample.frames[0], sample.frames[-1]) or np.any(sample.provenance["nuisances"]["blink"][0])
    assert len({len(sample.frames) for sample in dataset}) > 1


def test_verify_counts_frames(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shutil.copytree(whole, out)
    plan = read_plan(out)
    first, *others = stored_samples(out, 0)
    write_over(out, 0, [replace(first, frames=first.frames[:-1]), *others])
    n = len(plan.rows["aus"][0])
    assert any(f"{n - 1} frames, {n} planned" in problem for problem in verify(out).problems)


def test_the_sheet_thins_out_long_sequences_around_the_apex(ten: Path, whole: Path) -> None:
    dataset = miex.dataset.open(whole)
    for i, sample in enumerate(dataset):
        shown = gallery_sample(dataset, i)
        stored = dataset.stored(i).frames
        assert len(shown.frames) == len(shown.aus) <= MOST_SHOWN + 1 < len(stored)
        assert (shown.frames[0], shown.frames[shown.apex], shown.frames[-1]) == (
            stored[0],
            stored[sample.apex],
            stored[-1],
        )
        np.testing.assert_array_equal(shown.aus[shown.apex], sample.aus[sample.apex])
    assert gallery_sample(miex.dataset.open(ten), 0).frames == miex.dataset.open(ten).stored(0).frames


def test_a_folder_of_frames_reads_back_as_a_corpus(whole: Path, tmp_path: Path) -> None:
    dataset = miex.dataset.open(whole)
    out = tmp_path / "folder"
    assert export_folder(dataset, out) == sum(len(sample.frames) for sample in dataset)
    clips = {clip.clip: clip for clip in read_corpus("made here", out).clips}
    assert len(clips) == len(dataset)
    for i, sample in enumerate(dataset):
        read = clips[sample.sample_id]
        assert (read.onset, read.apex, read.offset) == (0, sample.apex, len(sample.frames) - 1)
        assert (read.corpus, read.subject) == ("madehere", sample.provenance["photo"])
        assert (read.label, read.emotion) == (Label[sample.label], sample.emotion)
        assert read.descent == Descent("expert")
        assert tuple(path.read_bytes() for path in read.frames) == dataset.stored(i).frames
    rows = {row["clip"]: row for row in csv.DictReader((out / "clips.csv").read_text("utf-8").splitlines())}
    for sample in dataset:
        for when, at in (("onset", 0), ("apex", sample.apex)):
            for kind, aus in (
                ("coded", sample.aus), ("rendered_left", sample.rendered[..., 0]),
                ("rendered_right", sample.rendered[..., 1]),
            ):  # fmt: skip
                told = [float(rows[sample.sample_id][f"{kind}_{when}_AU{au:02d}"]) for au in AU_NUMBERS]
                np.testing.assert_allclose(told, aus[at], atol=1e-6)
        assert rows[sample.sample_id]["also_seen"] == "; ".join(sample.also_seen)
    before = hashlib.sha256((out / "clips.csv").read_bytes()).digest()
    with pytest.raises(OutputError, match="new or empty"):
        export_folder(dataset, out)
    assert hashlib.sha256((out / "clips.csv").read_bytes()).digest() == before


def test_expert_sequences_of_ten_are_the_video_variant() -> None:
    """Liu et al. 2022: for z^exp 8 vectors between onset and apex, 10 in all, the last is the apex."""
    source = ExpertSource(load_table("du2014"))
    rows = build_plan(
        PlanConfig(frames=10, nuisances="off"), fake_index(1), [source], GENERATOR, faces_root=""
    ).rows.to_pylist()
    for row in rows:
        aus = np.array(row["aus"], np.float32)
        assert aus.shape == (10, 17)
        assert row["apex"] == 9
        triplet = source.sample(Label(row["label"]), rng=sample_rng(row["seed"], "aus"))
        np.testing.assert_array_equal(aus[[0, 9]], [triplet.onset, triplet.apex])


def test_commands(tmp_path: Path, model: Path) -> None:
    out = tmp_path / "set"
    small = ("--ids", 1, "--size", 64, "--classes", "surprise", "--workers", 1)
    made = facts("synthesize", *small, "--frames", 7, "--until", "offset", "--out", out)
    assert (made["samples"], made["frames"]) == (1, 7)
    assert "7 frames, onset to offset" in (out / "README.md").read_text("utf-8")
    assert facts("verify", out)["problems"] == []
    assert facts("export", out, "--to", "folder", "--out", tmp_path / "folder")["frames"] == 7
    assert facts("export", out, "--to", "flow", "--out", tmp_path / "flow.npz")["samples"] == 1
    again = command("synthesize", *small, "--frames", "all", "--out", out)
    assert again.returncode != 0
    assert 'frames 7 → "all"' in again.stderr
    for wrong, expected in (("--until", "offset"), "at least 3"), (("--until", "end"), "'apex' or 'offset'"), (
        ("--frames", "ten"), "--frames 'ten'",
    ):  # fmt: skip
        refused = command("plan", *small, *wrong, "--out", tmp_path / "none")
        assert refused.returncode == UsageError.exit_code
        assert expected in refused.stderr
