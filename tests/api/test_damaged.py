"""Damaged samples of a set: an error that names them, or skipped, counted and named; the rest is as without them."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import miex
from miex.dataset import open as open_set
from miex.dataset.shard import tar_name
from miex.errors import DamagedError, InputError, UsageError
from miex.faces.photos import default_pool
from miex.storage.cache import CACHE_VARIABLE
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.repair import repair_set
from miex.synthesis.run import run_plan
from tests.support import command, facts, flip_bit, plan_of


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine samples in three shards. Read only."""
    out = tmp_path_factory.mktemp("whole") / "set"
    adopt_plan(plan_of(default_pool(), model, ids=3, size=64, shard_size=3), out)
    run_plan(out)
    return out


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Path:
    """Pixels of the first sample of shard 0 and the description of its second are damaged, and shard 2 is gone."""
    out = shutil.copytree(whole, tmp_path / "set")
    rows = open_set(whole).table.to_pylist()
    assert [row["shard"] for row in rows] == [0] * 3 + [1] * 3 + [2] * 3
    flip_bit(out / tar_name(0), rows[0]["offset"] + 2000, 3)
    text = (out / tar_name(0)).read_bytes()
    flip_bit(out / tar_name(0), text.index(b'"synthetic":true', rows[1]["offset"]) + 1, 0)
    (out / tar_name(2)).unlink()
    return out


def ids(place: Path) -> list[str]:
    found: list[str] = open_set(place).table["sample_id"].to_pylist()
    return found


LOST, KEPT = [0, 1, 6, 7, 8], [2, 3, 4, 5]


def test_each_damaged_sample_is_known_with_its_shard(whole: Path, damaged: Path) -> None:
    names, there = ids(whole), open_set(damaged)
    found, unread = there.readable()
    assert list(unread) == [names[i] for i in LOST]
    assert found.table.equals(there.table.take(KEPT))
    assert ["checksum" in why and tar_name(0) in why for why in unread.values()] == [True] * 2 + [False] * 3
    assert all(why == f"{tar_name(2)}: No such file or directory" for why in list(unread.values())[2:])
    for i in LOST:
        with pytest.raises(InputError) as caught:
            there[i]
        assert names[i] in caught.value.asked
        assert tar_name(0 if i < 3 else 2) in caught.value.found
    same, nothing = open_set(whole).readable()
    assert (len(same), nothing) == (9, {})


def test_a_set_of_which_everything_is_damaged_is_an_error(damaged: Path, tmp_path: Path) -> None:
    for shard in (0, 1):
        (damaged / tar_name(shard)).write_bytes(b"")
    for to, name in (("folder", "folder"), ("flow", "maps.npz")):
        with pytest.raises(InputError, match=r"(?s)at least one that can be read.*none of 9.*miex repair"):
            miex.export(damaged, tmp_path / name, to=to, on_error="skip")
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("why", [errno.EACCES, errno.EIO])
def test_what_cannot_be_read_is_no_damage_and_is_never_skipped(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: int
) -> None:
    """Other samples would be left out each time, and `repair` would be advised for what is whole."""
    there = open_set(whole)

    def refused(path: str, flags: int) -> int:
        if str(path).endswith(tar_name(1)):
            raise OSError(why, os.strerror(why), path)
        return os.open(path, flags)

    monkeypatch.setattr("miex.storage.local.only_regular", refused)
    for read in (
        lambda: there[3],
        there.readable,
        lambda: there.export(tmp_path / "out", on_error="skip"),
    ):
        with pytest.raises(InputError, match=os.strerror(why)) as caught:
            read()
        assert not isinstance(caught.value, DamagedError)
        assert tar_name(1) in caught.value.asked
        assert caught.value.do == "make it readable, or restore it"


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_exported_folder_is_that_of_the_good_samples(whole: Path, damaged: Path, tmp_path: Path) -> None:
    names = ids(whole)
    with pytest.raises(InputError, match=names[0]):
        miex.export(damaged, tmp_path / "raised", to="folder")
    assert not (tmp_path / "raised" / "clips.csv").exists()
    with pytest.raises(UsageError, match="`on_error`"):
        open_set(damaged).export(tmp_path / "x", on_error="ignore")
    done = command("export", damaged, "--to", "folder", "--on-error", "skip", "--out", tmp_path / "skipped")
    assert done.returncode == 0, done.stderr
    assert f"warning: 5 samples were left out, since they cannot be read: {', '.join(names[i] for i in LOST)}" in (
        done.stderr
    )
    assert f"{names[6]}, {names[7]}, {names[8]} ({tar_name(2)}: No such file or directory)" in done.stderr
    open_set(whole)[KEPT].export(tmp_path / "expected")
    assert files(tmp_path / "skipped") == files(tmp_path / "expected")
    assert list(open_set(damaged).export(tmp_path / "again", on_error="skip")) == [names[i] for i in LOST]


def test_flow_maps_are_those_of_the_good_samples_and_all_after_a_repair(
    whole: Path, damaged: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    names, out = ids(whole), tmp_path / "maps.npz"
    miex.export(whole, tmp_path / "whole.npz")
    good = np.load(tmp_path / "whole.npz")
    for _ in range(2):  # made, and found in the cache
        made = facts("export", damaged, "--to", "flow", "--on-error", "skip", "--out", out)
        assert (made["samples"], made["skipped"]) == (4, [names[i] for i in LOST])
        kept = np.load(out)
        assert kept.files == good.files
        assert all(np.array_equal(kept[name], good[name][KEPT]) for name in kept.files)
    repair_set(damaged)
    assert miex.export(damaged, out, on_error="skip") == miex.export(whole, tmp_path / "again.npz")
    assert out.read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_a_recognizer_says_what_was_skipped(whole: Path, damaged: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    names = ids(whole)
    made = facts("train", damaged, "--on-error", "skip", "--epochs", 1, "--out", tmp_path / "net")
    assert (made["samples"], made["skipped"]) == (4, [names[i] for i in LOST])
    loaded = miex.load_recognizer(tmp_path / "net")
    assert loaded.recognizer.history["skipped"] == [names[i] for i in LOST]
    assert "5 left out, which cannot be read" in repr(loaded)
    alone = miex.train(open_set(whole)[KEPT], epochs=1)  # the same weights as of the good samples alone
    assert alone.recognizer.weights_digest == loaded.recognizer.weights_digest
    assert "skipped" not in alone.recognizer.history
    tuned = miex.train(open_set(whole)[[2, 3, 4]], epochs=1, start=loaded)
    assert tuned.recognizer.history["skipped"] == [names[i] for i in LOST]


def test_an_evaluation_says_what_its_training_skipped(
    whole: Path, damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))  # in which nothing of the whole set is
    names, n = ids(whole), 9
    np.savez(
        tmp_path / "real.npz", flow=np.random.default_rng(0).integers(0, 255, (n, 28, 28, 3), np.uint8),
        label=np.arange(n) % 3, corpus=np.array(["casme2"] * n), subject=np.array([f"s{i // 3}" for i in range(n)]),
        clip=np.array([f"c{i}" for i in range(n)]),
    )  # fmt: skip
    how = {"extra": damaged, "mode": "joint", "epochs": 1, "repeats": 1, "store": tmp_path / "store"}
    with pytest.raises(InputError, match=names[0]):
        miex.evaluate(tmp_path / "real.npz", **how)  # type: ignore[arg-type]
    found = miex.evaluate(tmp_path / "real.npz", on_error="skip", **how)  # type: ignore[arg-type]
    (note,) = found.notes
    assert note.startswith("5 samples to train on were left out, since they cannot be read: ")
    assert all(names[i] in note for i in LOST)
    assert found.plain()["notes"] == [note]
    assert all(set(run.facts["skipped"]) == {names[i] for i in LOST} for runs in found.runs.repeats for run in runs)
