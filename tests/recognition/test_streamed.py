"""Training on examples that are rendered meanwhile: every draw once, the same whatever the workers."""

from __future__ import annotations

import multiprocessing
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("sklearn")

import miex
from miex.api import plan_frames
from miex.errors import InputError, PartialFailureError, UsageError
from miex.recognition import loader
from miex.recognition.examples import of_maps
from miex.recognition.inputs.base import Input
from miex.recognition.inputs.flow import FlowMaps
from miex.recognition.loader import Loader
from miex.recognition.recipe import load_recipe
from miex.recognition.streamed import Line, Renders, Streamed
from miex.recognition.train import train
from miex.recognition.view import View, in_memory
from miex.synthesis.adopt import adopt_plan
from tests.support import command, facts, photo_folder, plan_of

QUICK = load_recipe("fixed").but(epochs=2, batch=8)
ONCE = QUICK.but(replacement=False)


@dataclass(frozen=True, eq=False)
class Numbered(Renders):
    """Example i of epoch e is an image of i, or of i and e; three of a group, ten of a part; some fail."""

    n: int
    new_draws: bool = True
    fails: tuple[int, ...] = ()

    @property
    def groups(self) -> np.ndarray:  # type: ignore[override]
        return np.arange(self.n) // 3

    @property
    def parts(self) -> np.ndarray:  # type: ignore[override]
        return np.arange(self.n) // 10

    @property
    def digest(self) -> str:
        return f"{self.n} {self.fails}"

    def part(self, first: int, count: int) -> Numbered:
        raise NotImplementedError

    def made(self, positions: np.ndarray, takes: Input, epoch: int) -> list[Any]:
        assert len(set((positions // 3).tolist())) == 1 or not epoch  # one group, but where a view is read anyhow
        return [self._one(int(i), takes, epoch if self.new_draws else 0) for i in positions]

    def _one(self, i: int, takes: Input, epoch: int) -> Any:
        if i in self.fails:
            return InputError(f"example {i}", found="odd")
        made = np.zeros(takes.shape, takes.dtype)
        made[0, 0], made[1:] = (i, epoch, 1), np.random.default_rng(i).integers(256, size=made[1:].shape)
        return made


def numbered(n: int, **how: Any) -> View:
    rows = of_maps(np.zeros((n, 28, 28, 3), np.uint8), [i % 3 for i in range(n)], source="expert", prefix="n").rows
    return View((Streamed(Numbered(n, **how), FlowMaps(), rows),))


def stored(n: int) -> View:
    maps = np.zeros((n, 28, 28, 3), np.uint8)
    maps[:, 0, 0, 0], maps[:, 0, 0, 2] = np.arange(n), 2
    return in_memory(maps, of_maps(maps, [0] * n, source=None, prefix="stored").rows)


@settings(max_examples=60)
@given(n=st.integers(1, 60), m=st.integers(0, 20), room=st.integers(1, 90), seed=st.integers(0, 3), data=st.data())
def test_a_line_has_every_draw_once_and_renders_what_it_needs(
    n: int, m: int, room: int, seed: int, data: st.DataObject
) -> None:
    view = numbered(n).joined(stored(m)) if m else numbered(n)
    drawn = np.array(data.draw(st.lists(st.integers(0, n + m - 1), min_size=1, max_size=80)), np.int64)
    line = Line(view, drawn, room, seed, 1)
    assert sorted(line.drawn.tolist()) == sorted(drawn.tolist())
    assert line.rendered.tolist() == [i < n for i in line.drawn.tolist()]
    if len(drawn) <= room:
        assert np.array_equal(line.drawn, drawn)
    tasks = list(line.tasks())
    found = {}
    for task in tasks:
        assert len(set(task.positions.tolist())) == len(task.positions)
        assert len(set((task.positions // 3).tolist())) == 1
        assert len(set((task.draws // room).tolist())) == 1
        found.update(zip(task.draws.tolist(), task.positions[task.index].tolist(), strict=True))
    assert found == {k: i for k, i in enumerate(line.drawn.tolist()) if i < n}
    firsts = [int(task.draws[0]) for task in tasks]
    assert firsts == sorted(firsts)
    # a group is rendered once in an epoch, but where a block ends between its draws, or a part between its examples
    cuts = (len(drawn) - 1) // room
    assert len(tasks) <= len({(i // 3, i // 10) for i in drawn.tolist() if i < n}) + cuts
    again = Line(view, drawn, room, seed, 1)
    assert np.array_equal(again.drawn, line.drawn)


def read(view: View, recipe: Any, monkeypatch: pytest.MonkeyPatch, room: int, workers: int = 1) -> list[list[Any]]:
    monkeypatch.setattr(loader, "ROOM_BYTES", room * 28 * 28 * 3)
    made = Loader(view, recipe, 5, workers=workers)
    found = []
    for epoch in range(3):
        found.append([(i.tolist(), x[:, 0, 0].tolist()) for i, x in made.epoch(epoch)])
    assert len(multiprocessing.active_children()) == (workers if workers > 1 else 0)
    made.close()
    for child in multiprocessing.active_children():
        child.join(60)
    assert not multiprocessing.active_children()  # though epochs without end are asked for ahead
    return found


@pytest.mark.parametrize("room", [9, 1000])
@pytest.mark.parametrize("recipe", [QUICK, ONCE])
def test_batches_hold_the_examples_that_were_drawn(recipe: Any, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    view = numbered(41).joined(stored(10))
    epochs = read(view, recipe, monkeypatch, room)
    for epoch, steps in enumerate(epochs):
        for indices, values in steps:
            assert values == [[i, epoch, 1] if i < 41 else [i - 41, 0, 2] for i in indices]
        drawn = [i for indices, _ in steps for i in indices]
        if not recipe.replacement:
            assert sorted(drawn) == list(range(51))
    assert epochs[0] != epochs[1]
    chosen = view.take(np.arange(0, 51, 2))
    for indices, values in read(chosen, recipe, monkeypatch, room)[0]:
        assert [value[0] for value in values] == [2 * i if 2 * i < 41 else 2 * i - 41 for i in indices]


def test_workers_change_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    view = numbered(40)
    assert read(view, QUICK, monkeypatch, 16, workers=2) == read(view, QUICK, monkeypatch, 16)


def test_examples_that_fail_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = read(numbered(200, fails=(3,)), ONCE, monkeypatch, 64)[1]
    assert sorted(i for indices, _ in steps for i in indices) == [i for i in range(200) if i != 3]
    with pytest.raises(PartialFailureError, match="3 failed, the last: example"):
        read(numbered(200, fails=(3, 5, 190)), ONCE, monkeypatch, 64)


def test_a_training_that_was_stopped_ends_with_the_same_weights(tmp_path: Path) -> None:
    view, recipe = numbered(30), QUICK.but(epochs=3)
    whole = train(view, recipe, seed=1)
    steps = Counter[str]()

    def stop(*_: Any) -> None:
        steps["all"] += 1
        if steps["all"] == 6:  # in the second epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(view, recipe, seed=1, folder=tmp_path / "r", progress=stop, checkpoint_seconds=0)
    done = train(view, recipe, seed=1, folder=tmp_path / "r", progress=lambda *_: steps.update(["again"]))
    assert steps["again"] < 9
    assert done.weights_digest == whole.weights_digest
    assert train(numbered(30, new_draws=False), recipe, seed=1).weights_digest != whole.weights_digest


def test_people_are_held_out_of_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = ONCE.but(validation=0.2, patience=5)
    found = train(numbered(30), recipe)
    assert np.isfinite(found.history["loss"])


@pytest.fixture(scope="module")
def planned(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plan of the finished set, without its frames."""
    out = tmp_path_factory.mktemp("planned")
    for name in ("plan.json", "plan.parquet", "faces.parquet"):
        shutil.copy(finished / name, out)
    return out


def test_training_on_a_stream_is_training_on_the_set(finished: Path, planned: Path) -> None:
    one = miex.train(planned, recipe=QUICK, stream=True).recognizer
    other = miex.train(finished, recipe=QUICK).recognizer
    assert one.weights_digest == other.weights_digest
    assert {**one.history, "examples": 0} == {**other.history, "examples": 0}
    assert not (planned / "shards").exists()


def test_examples_that_are_rendered_when_they_are_read_are_those_of_the_set(
    finished: Path, planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from miex.api.examples import view_of

    whole = view_of(finished, QUICK)
    monkeypatch.setattr(plan_frames, "HELD_BYTES", 0)
    streamed = view_of(planned, QUICK, streams="same")
    assert isinstance(streamed.parts[0], Streamed)
    chosen = np.random.default_rng(0).permutation(36)[:20]
    assert np.array_equal(streamed.batch(chosen), whole.batch(chosen))
    assert streamed.rows.equals(whole.rows)
    drawn = view_of(planned, QUICK, streams="new")
    part = drawn.parts[0]
    assert isinstance(part, Streamed)
    first, second = (np.stack(part.frames.made(np.arange(36), part.takes, epoch)) for epoch in (0, 1))
    assert np.array_equal(first, whole.batch())
    assert (first != second).any((1, 2, 3)).all()


def test_photos_that_were_renamed_are_found_by_the_next_view(model: Path, tmp_path: Path) -> None:
    from miex.api.examples import view_of

    photos, out = photo_folder(tmp_path / "photos", 2), tmp_path / "out"

    def read() -> np.ndarray:
        adopt_plan(plan_of(photos, model, size=64), out)
        return view_of(out, QUICK, streams="new").batch()

    before = read()
    for photo in list(photos.iterdir()):
        photo.rename(photos / f"now {photo.name}")
    assert np.array_equal(read(), before)


def test_new_draws_need_a_stream_and_steps_and_a_stream_a_plan(planned: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a folder that holds a plan"):
        miex.train(tmp_path, stream=True)
    for how in ({}, {"stream": True, "recognizer": "hoof"}):
        with pytest.raises(UsageError, match="new_draws"):
            miex.train(planned, new_draws=True, **how)  # type: ignore[arg-type]


def test_the_command_trains_on_a_plan(planned: Path, tmp_path: Path) -> None:
    told = facts("train", planned, "--out", tmp_path / "r", "--stream", "--new-draws", "--epochs", 1, "--workers", 1)
    assert told["samples"] == 36
    refused = command("train", planned, "--out", tmp_path / "s", "--new-draws", "--workers", 1)
    assert refused.returncode == 2
    assert "--new-draws" in refused.stderr
