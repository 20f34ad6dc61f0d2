"""From a corpus to scores, command by command, with nothing but the files that the commands before have written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from miex.corpora.catalog import read
from tests.support import command, facts


@pytest.fixture(scope="module")
def fake(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CASME II of two people; one clip has no apex."""
    path = tmp_path_factory.mktemp("way") / "CASME2"
    facts("corpora", "fake", "casme2", path, "--subjects", 2, "--size", 96, "--landmarker", model)
    return path


@pytest.fixture
def corpus(fake: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(fake, tmp_path / "CASME2"))


def trained(*arguments: object) -> tuple[object, ...]:
    return "--epochs", 1, "--workers", 1, *arguments


def test_every_command_takes_the_files_of_those_before(
    fake: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for index in ("clips.csv", "clips.parquet"):
        assert facts("corpora", "index", "casme2", fake, "--out", index)["clips"] == 12
        checked = facts("corpora", "check", "casme2", index)
        assert (checked["clips"], checked["with_frames"], checked["problems"]) == (12, 12, [])
    seen = facts("aus", "extract", "casme2", "clips.parquet", "--out", "aus.parquet", "--landmarker", model)
    assert (seen["clips"], seen["failed"]) == (12, 0)
    for index in ("clips.parquet", "clips.csv", fake):
        pooled = facts("aus", "pool", "aus.parquet", "--corpus", "casme2", "--clips", index, "--out", "pool.parquet")
        assert pooled["left_out"] == {"no label for others": 2}
    facts(
        "plan", "--real-mie", "casme2=pool.parquet", "--expert", "none", "--ids", 1, "--size", 64, "--out", "set",
        "--nuisances", "off", "--landmarker", model,
    )  # fmt: skip
    facts("run", "set")
    run = ("evaluate", "casme2=clips.csv", "--extra", "set", "--mode", "joint", "--protocol", "loso", "--repeats", 1)
    found = facts(*run, "--no-apex", "drop", *trained("--store", "results"))
    assert found["last"]["pooled"][0]["n"] == sum(
        clip.label is not None and clip.apex is not None for clip in read("casme2", fake).clips
    )


def test_clips_without_an_apex_are_all_named(fake: Path, tmp_path: Path) -> None:
    without = [c for c in read("casme2", fake).clips if c.apex is None and c.label is not None]
    assert len(without) > 1
    done = command("evaluate", f"casme2={fake}", *trained("--store", tmp_path / "results"))
    assert done.returncode == 3
    assert "--no-apex" in done.stderr
    assert f"{len(without)} without an apex: " in done.stderr
    for clip in without:
        assert f"casme2/{clip.subject}/{clip.clip}" in done.stderr


@pytest.mark.parametrize("left", [40, 900], ids=["no image", "cut off"])
def test_a_damaged_frame_leaves_one_clip_out(corpus: Path, tmp_path: Path, left: int) -> None:
    clips = [clip for clip in read("casme2", corpus).clips if clip.label is not None and clip.apex is not None]
    clip = clips[3]
    frame = clip.frames[clip.apex or 0]
    out = tmp_path / "maps.npz"
    whole = facts("export", f"casme2={corpus}", "--to", "flow", "--no-apex", "drop", "--out", out)["samples"]
    assert whole == len(clips)
    good = np.load(out)
    frame.write_bytes(frame.read_bytes()[:left])
    export = ("export", f"casme2={corpus}", "--to", "flow", "--no-apex", "drop", "--out", out)
    done = command(*export)
    assert done.returncode == 3
    for said in (str(frame), "--on-error skip", f"casme2/{clip.subject}/{clip.clip}"):
        assert said in done.stderr
    for _ in range(2):  # made, and found in the cache
        done = command(*export, "--on-error", "skip", "--json")
        assert json.loads(done.stdout)["samples"] == whole - 1
        assert f"1 of {whole} clips left out" in done.stderr
        assert str(frame) in done.stderr
    kept, lost = np.load(out), good["sample_id"].tolist().index(f"casme2/{clip.subject}/{clip.clip}")
    assert np.array_equal(kept["flow"], np.delete(good["flow"], lost, 0))
    assert np.array_equal(kept["label"], np.delete(good["label"], lost))
    assert command(*export).returncode == 3  # what was skipped once is still an error
    run = ("train", f"casme2={corpus}", "--no-apex", "drop", "--out", tmp_path / "net", *trained())
    assert command(*run).returncode == 3
    done = command(*run, "--on-error", "skip")
    assert done.returncode == 0, done.stderr
    assert f"1 of {whole} clips left out" in done.stderr


@pytest.mark.parametrize("empty", [True, False], ids=["frames of 0 bytes", "no folder"])
def test_a_clip_without_frames_is_left_out(corpus: Path, tmp_path: Path, model: Path, empty: bool) -> None:
    clips = [clip for clip in read("casme2", corpus).clips if clip.label is not None and clip.apex is not None]
    folder = clips[3].frames[0].parent
    frames = list(folder.iterdir())
    if empty:
        for frame in frames:
            frame.write_bytes(b"")
    else:
        shutil.rmtree(folder)
    out = tmp_path / "maps.npz"
    export = ("export", f"casme2={corpus}", "--to", "flow", "--no-apex", "drop", "--out", out)
    extract = ("aus", "extract", "casme2", corpus, "--out", tmp_path / "aus.parquet", "--landmarker", model)
    for run in (export, extract):
        done = command(*run)
        assert done.returncode == 3
        assert "--on-error skip" in done.stderr
    done = command(*export, "--on-error", "skip", "--json")
    assert json.loads(done.stdout)["samples"] == len(clips) - 1
    assert "1 of 12 clips left out" in done.stderr
    assert clips[3].clip in done.stderr
    done = command(*extract, "--on-error", "skip", "--json")
    assert json.loads(done.stdout)["clips"] == 11
    assert "1 of 12 clips left out" in done.stderr
    assert clips[3].clip in done.stderr


def test_the_flow_file_of_a_corpus(fake: Path, tmp_path: Path) -> None:
    """It holds what its clips give, so scores are those of the clips themselves."""
    out = tmp_path / "corpus.npz"
    facts("export", f"casme2={fake}", "--to", "flow", "--no-apex", "middle", "--out", out)
    run = ("--protocol", "loso", "--repeats", 1, *trained())
    a = facts("evaluate", out, *run, "--store", tmp_path / "a")
    b = facts("evaluate", f"casme2={fake}", "--no-apex", "middle", *run, "--store", tmp_path / "b")
    assert (a["last"], a["folds"]) == (b["last"], b["folds"])
    done = command("export", f"casme2={fake}", "--to", "folder", "--out", tmp_path / "folder")
    assert done.returncode == 2
    assert "a set" in done.stderr
