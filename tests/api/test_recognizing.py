"""Training, testing and predicting: what is wrong with a call is said before data is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miex
from miex.errors import InputError, OutputError, UsageError

pytest.importorskip("torch")


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """A flow file of three people who do everything once."""
    n, names = 9, np.array
    np.savez(
        tmp_path / "real.npz", flow=np.random.default_rng(0).integers(0, 255, (n, 28, 28, 3), np.uint8),
        label=np.arange(n) % 3, corpus=names(["casme2"] * n), subject=names([f"s{i // 3}" for i in range(n)]),
        clip=names([f"c{i}" for i in range(n)]),
    )  # fmt: skip
    return tmp_path / "real.npz"


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"mode": "real+"}, "mode"), ({"mode": "joint"}, "extra"), ({"extra": "nowhere.npz"}, "extra"),
        ({"folds": "3-folds"}, "folds"), ({"folds": "nowhere"}, "folds"), ({"recipe": "quick"}, "recipe"),
        ({"mode": "joint", "extra": "nowhere.npz", "pretrain": "quick"}, "recipe"), ({"flow": "magic"}, "magic"),
        ({"device": "tpu"}, "device"), ({"recognizer": "magic"}, "magic"), ({"no_apex": "last"}, "apex"),
    ],
)  # fmt: skip
def test_a_wrong_choice_is_found_before_data_is_read(wrong: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        miex.evaluate("nowhere.npz", **wrong)


def test_no_sample_is_tested_twice(maps: Path, tmp_path: Path) -> None:
    recognizer = miex.train(maps, epochs=1)
    for call in (
        lambda: miex.evaluate([maps, maps], store=tmp_path / "store"),
        lambda: miex.evaluate_recognizer(recognizer, [maps, maps]),
    ):
        with pytest.raises(UsageError, match="casme2/s0/c0 more than once; 9 such samples"):
            call()
    assert not (tmp_path / "store").exists()


def test_without_an_example_nothing_is_trained_or_tested(finished: Path) -> None:
    nothing = miex.open(finished)[:0]
    for given in (nothing, [nothing, nothing]):
        with pytest.raises(InputError, match="at least one with a label"):
            miex.train(given)
    with pytest.raises(UsageError, match=r"`data` \["):
        miex.train(list(miex.open(finished)[:2]))  # type: ignore[arg-type]


def test_a_training_writes_into_no_folder_of_something_else(finished: Path, maps: Path, tmp_path: Path) -> None:
    before = sorted(finished.iterdir())
    (tmp_path / "file").touch()
    for out in (finished, tmp_path, tmp_path / "file"):  # a set, a folder with other things, a file
        with pytest.raises(OutputError, match="training in"):
            miex.train("nowhere.npz", out=out)
    assert sorted(finished.iterdir()) == before
    for _ in range(2):
        miex.train(maps, epochs=1, out=tmp_path / "out")
        (tmp_path / "out" / "notes.txt").touch()  # beside a training others may lie


def test_a_pair_is_no_clip(maps: Path, tmp_path: Path) -> None:
    recognizer = miex.train(maps, epochs=1)
    for wrong in ({"apex": 3}, {"onset": 1}, {"offset": 3}):
        with pytest.raises(UsageError, match="a pair with onset"):
            miex.predict(recognizer, "a.png", "b.png", **wrong)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="onset"):
            miex.predict(recognizer, maps, **wrong)  # type: ignore[arg-type]
    frame = np.zeros((64, 64, 3), np.uint8)
    for clip in ((frame, frame.astype(np.float32)), (frame[..., 0], frame), np.zeros((2, 64, 64), np.uint8)):
        with pytest.raises(UsageError, match=r"`clip`(.|\n)*uint8 RGB \[h, w, 3\]"):
            recognizer.predict(clip)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="3 files"):
        miex.predict("nowhere", "a.png", "b.png", "c.png")
