"""Training GANimation: what decides it, what it writes, how it resumes and stops."""

from __future__ import annotations

import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from miex.aus.vector import AU_INDEX, N_AUS  # noqa: E402
from miex.errors import InputError, OutputError, UsageError  # noqa: E402
from miex.executors.machine import Machine  # noqa: E402
from miex.faces.align import align_photo  # noqa: E402
from miex.faces.crop import CropOptions  # noqa: E402
from miex.generator_training import train as room  # noqa: E402
from miex.generator_training.pictures import Pictures  # noqa: E402
from miex.generator_training.recipe import GeneratorRecipe, make_recipe  # noqa: E402
from miex.generator_training.train import GENERATOR, train  # noqa: E402
from miex.generators.ganimation.checkpoints import load_discriminator, load_generator  # noqa: E402
from miex.generators.ganimation.manifest import known_weights  # noqa: E402
from miex.generators.ganimation.networks import as_pictures  # noqa: E402
from miex.generators.registry import make_generator  # noqa: E402
from miex.storage.training import CHECKPOINT, LOG  # noqa: E402

SMALL = {"size": 64, "width": 4, "blocks": 1, "batch": 4, "epochs": 1, "decay_epochs": 1, "look": 3, "critic": 2}


def faces(n: int, seed: int) -> Pictures:
    """Gray pictures in which AU 12 is a bright bar: the brighter, the more."""
    rng = np.random.default_rng(seed)
    aus = np.zeros((n, N_AUS), np.float32)
    aus[:, AU_INDEX[12]] = rng.random(n)
    pixels = rng.integers(90, 110, (n, 64, 64, 3)).astype(np.uint8)
    pixels[:, 40:50, 16:48] = (60 + 180 * aus[:, AU_INDEX[12], None, None, None]).astype(np.uint8)
    return Pictures(pixels, aus, tuple(f"{seed}/{i // 2}" for i in range(n)))


TRAINING, HELD = faces(16, 0), faces(4, 1)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "events" not in path.parts
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(TRAINING, HELD, make_recipe(**SMALL), folder, origin="bars", licence="CC0")
    return folder


def test_rates_are_flat_and_then_fall_to_nothing() -> None:
    recipe = make_recipe(epochs=2, decay_epochs=3, learning_rate=0.4, batch=5)
    each, steps = recipe.steps(52)
    assert (each, steps) == (10, 50)
    rates = [recipe.rate(step, each) for step in range(0, steps, each)]
    assert rates == pytest.approx([0.4, 0.4, 0.3, 0.2, 0.1])
    assert recipe.rate(9, each) == recipe.rate(0, each)


@pytest.mark.parametrize("values", [{"size": 100}, {"preset": "nano"}, {"batch": 1}, {"colour": 1}])
def test_recipes_that_cannot_be_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(values))):
        make_recipe(**values)


def test_what_is_written_can_be_used(trained: Path, face_photo: Path, model: Path) -> None:
    found, _ = load_generator(trained / GENERATOR)
    assert (found.family, found.aus, found.width, found.blocks, found.problems) == ("original", N_AUS, 4, 1, ())
    assert load_discriminator(trained / "discriminator.safetensors")[0].size == 64
    known = known_weights(found.sha256, trained / GENERATOR)
    assert known is not None
    assert (known.origin, known.licence, known.scale, known.family) == ("bars", "CC0", 1.0, "original")
    lines = (trained / LOG).read_text().splitlines()
    assert len(lines) == 1 + 3  # 8 steps: a look at every third, and at the end
    assert [path.name for path in sorted((trained / "sheets").iterdir())][-1] == "0000008.png"
    assert (trained / "curves.png").read_bytes()[1:4] == b"PNG"
    assert not (trained / CHECKPOINT).exists()
    generator = make_generator("ganimation", weights=trained / GENERATOR)
    face = align_photo(face_photo, model, CropOptions(64))
    assert generator.render(generator.prepare(face), np.eye(N_AUS, dtype=np.float32)[:2]).frames.shape == (2, 64, 64, 3)


def test_again_is_the_same_and_nothing_is_done_twice(trained: Path, tmp_path: Path) -> None:
    before = files(trained)
    train(TRAINING, HELD, make_recipe(**SMALL), trained)
    assert files(trained) == before
    train(TRAINING, HELD, make_recipe(**SMALL), tmp_path, origin="bars", licence="CC0")
    assert files(tmp_path) == before
    other = tmp_path / "other"
    train(TRAINING, HELD, make_recipe(**SMALL), other, seed=1)
    assert (other / GENERATOR).read_bytes() != before[GENERATOR]


class _StoppedError(Exception):
    pass


def _stop(done: int, total: int, note: str) -> None:
    raise _StoppedError


def test_weights_that_are_not_those_of_the_training_are_refused(trained: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(trained, tmp_path / "copy")
    (folder / CHECKPOINT).write_bytes(b"left by a kill after the last file")
    train(TRAINING, HELD, make_recipe(**SMALL), folder)
    assert not (folder / CHECKPOINT).exists()
    (folder / GENERATOR).write_bytes(b"x")
    with pytest.raises(InputError, match=r"weights\.toml"):
        train(TRAINING, HELD, make_recipe(**SMALL), folder)


def test_the_log_gives_the_history_back(trained: Path, tmp_path: Path) -> None:
    made = train(TRAINING, HELD, make_recipe(**SMALL), tmp_path)
    assert train(TRAINING, HELD, make_recipe(**SMALL), tmp_path).history == made.history
    assert made.history == train(TRAINING, HELD, make_recipe(**SMALL), trained).history


@pytest.mark.parametrize("origin", ['a "set" of \\ back', "del\x7f, bell\x07", "caf\udce9", "😀 é"])
def test_what_describes_weights_can_be_read_whatever_its_words(origin: str) -> None:
    (entry,) = tomllib.loads(room._entry("f", "0" * 64, "original", origin, "CC0"))["weights"]
    assert entry["origin"] == origin.replace("\udce9", "?")


def test_so_few_steps_that_the_generator_would_take_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="by 8 steps"):
        train(TRAINING, HELD, make_recipe(**SMALL | {"critic": 9}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_there_are_twenty_looks_or_more() -> None:
    assert [make_recipe().look_every(steps) for steps in (5, 40, 1000, 10**6)] == [1, 2, 50, 1000]
    assert make_recipe(look=7).look_every(10**6) == 7


@pytest.mark.parametrize("at", [2, 4])
def test_a_stopped_training_ends_with_the_same_bytes(
    trained: Path, tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PAUSES", 0)

    def stop(done: int, total: int, note: str) -> None:
        if done == at:
            raise _StoppedError

    with pytest.raises(_StoppedError):
        train(TRAINING, HELD, make_recipe(**SMALL), tmp_path, checkpoint_seconds=0, progress=stop)
    assert (tmp_path / CHECKPOINT).is_file()
    seen: list[int] = []
    train(
        TRAINING, HELD, make_recipe(**SMALL), tmp_path, origin="bars", licence="CC0",
        progress=lambda done, total, note: seen.append(done),
    )  # fmt: skip
    assert seen[0] == at + 1
    assert files(tmp_path) == files(trained)


@pytest.mark.parametrize("preset", ["macro", "micro"])
def test_targets_are_in_the_range_of_the_preset(preset: str) -> None:
    """Half of the pictures are neutral, so that another one is often just like it."""
    aus = TRAINING.aus.copy()
    aus[::2] = 0
    loop = room._Loop(replace(TRAINING, aus=aus), HELD, make_recipe(**SMALL, preset=preset), 0, torch.device("cpu"))
    own = np.repeat(aus, 40, axis=0)
    targets = loop._targets(own, np.random.default_rng(0))
    assert targets.dtype == np.float32
    assert targets.min() >= 0
    assert targets.max() <= 1
    changed = np.abs(targets - own).max(1)
    if preset == "macro":
        from_pool = np.abs(targets[:, None] - aus).max(2).min(1)
        assert from_pool.max() <= 0.1 + 1e-6
        assert from_pool.mean() > 0.05
        assert changed.max() > 0.8
    else:
        assert changed.max() <= 0.3 + 1e-6
        assert (changed >= 0.05 - 1e-6).mean() > 0.99
        assert 0.1 < np.median(changed) < 0.2


def test_another_training_or_other_files_are_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="differs in recipe"):
        train(TRAINING, HELD, make_recipe(**SMALL | {"epochs": 3}), trained)
    with pytest.raises(OutputError, match="differs in pictures"):
        train(faces(16, 5), HELD, make_recipe(**SMALL), trained)
    for damaged in ("{", "[]", '{"product": "generator.safetensors"}'):
        (tmp_path / "training.json").write_text(damaged)
        with pytest.raises(OutputError, match="a damaged one"):
            train(TRAINING, HELD, make_recipe(**SMALL), tmp_path)
    (tmp_path / "training.json").unlink()
    for name in ("notes.txt", LOG, "training.json"):  # names that a training has say nothing
        (tmp_path / name).write_text("mine")
        with pytest.raises(OutputError, match=name):
            train(TRAINING, HELD, make_recipe(**SMALL), tmp_path)
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    with pytest.raises(UsageError, match="64 px"):
        train(TRAINING, HELD, make_recipe(**SMALL | {"size": 128}), tmp_path / "new")
    with pytest.raises(InputError, match="16"):
        train(TRAINING, HELD, make_recipe(**SMALL | {"batch": 17}), tmp_path / "new")
    with pytest.raises(_StoppedError):
        train(TRAINING, HELD, make_recipe(**SMALL), tmp_path / "new", progress=_stop)
    with pytest.raises(OutputError, match="differs in recipe"):  # though there is no checkpoint yet
        train(TRAINING, HELD, make_recipe(**SMALL | {"look": 2}), tmp_path / "new")
    (tmp_path / "new" / CHECKPOINT).write_bytes(b"damaged")
    with pytest.raises(InputError, match="checkpoint"):
        train(TRAINING, HELD, make_recipe(**SMALL), tmp_path / "new")


def test_a_collapse_stops_the_training_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator whose attention is so large that nothing is painted."""
    monkeypatch.setattr(room, "GeneratorNetwork", _Keeps)
    recipe = make_recipe(**SMALL | {"look": 1, "epochs": 2})
    with pytest.raises(InputError, match=r"paints nothing") as caught:
        train(TRAINING, HELD, recipe, tmp_path, checkpoint_seconds=0)
    assert "curves.png" in str(caught.value)
    rows = (tmp_path / LOG).read_text().splitlines()
    assert len(rows) < 1 + recipe.steps(16)[1]
    assert not (tmp_path / GENERATOR).exists()
    with pytest.raises(InputError, match="paints nothing"):  # it does not go on as if nothing had been
        train(TRAINING, HELD, recipe, tmp_path)


class _Keeps(room.GeneratorNetwork):
    def forward(self, pictures: Any, aus: Any) -> Any:
        painted = super().forward(pictures, aus)
        attention = painted.attention * 0 + 1
        return painted._replace(pictures=pictures + 0 * painted.pictures, attention=attention)


def test_losses_that_are_not_finite_stop_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="finite losses"):
        train(TRAINING, HELD, make_recipe(**SMALL | {"learning_rate": 1e12}), tmp_path)


class _ReadsBar(torch.nn.Module):  # type: ignore[misc]
    """A judge that likes everything, and reads AU 12 off the brightness of the bar."""

    def forward(self, pictures: Any) -> Any:
        bright = (pictures[:, :, 42:48, 20:44].mean(dim=(1, 2, 3)) * 127.5 + 127.5 - 60) / 180
        aus = torch.zeros(len(pictures), N_AUS)
        aus[:, AU_INDEX[12]] = 1
        return pictures.sum() * torch.zeros(1, 1, 1, 1), aus * bright[:, None]


def _loop(**changes: Any) -> room._Loop:
    torch.manual_seed(0)
    recipe = make_recipe(**SMALL | {"batch": 8, "learning_rate": 2e-3, "noise": 0} | changes)
    return room._Loop(TRAINING, HELD, recipe, 0, torch.device("cpu"))


def test_the_discriminator_learns_to_read_aus() -> None:
    loop = _loop(critic=10**6, learning_rate=5e-4)
    errors = [loop._step(step)["critic_aus"] for step in range(60)]
    assert np.mean(errors[-5:]) < np.mean(errors[:5]) / 3


def test_the_generator_learns_to_paint_what_a_judge_reads() -> None:
    """People held out get the bar that is asked for, and the rest of the picture is kept."""
    loop = _loop(critic=1)
    loop.discriminator = _ReadsBar()
    pictures, aus = as_pictures(torch.from_numpy(TRAINING.pixels)), torch.from_numpy(TRAINING.aus)
    for step in range(60):
        rows = np.arange(8) + 8 * (step % 2)
        loop._repaint(pictures[rows], aus[rows], aus[rows[::-1].copy()])
    seen = room.look_at(loop.generator, loop.discriminator, loop.held, loop.held_aus, loop.held_targets, 4)
    assert seen.realized > 0.5
    assert seen.au_error < 0.7 * seen.au_error_kept
    assert 0.02 < seen.attention < 0.998
    assert seen.held_cycle < 0.15


def test_mixed_precision_trains(tmp_path: Path) -> None:
    made = train(TRAINING, HELD, make_recipe(**SMALL, mixed_precision=True), tmp_path)
    assert np.isfinite([made.history[-1][name] for name in ("critic", "cycle", "realized")]).all()


def test_several_devices_are_refused(tmp_path: Path) -> None:
    machine = Machine(("cpu",))
    object.__setattr__(machine, "devices", ("cpu", "cpu"))
    with pytest.raises(UsageError, match="one device"):
        train(TRAINING, HELD, make_recipe(**SMALL), tmp_path, machine=machine)


def test_every_field_of_a_recipe_changes_its_digest() -> None:
    plain = GeneratorRecipe()
    others = {"preset": "micro", "family": "replicate", "mixed_precision": True, "look": 7}
    for name, value in json.loads(plain.model_dump_json()).items():
        changed = others.get(name) or (
            value * 2 if value and value < 1 else value + 64 if name == "size" else value + 1
        )
        if name in ("beta1", "beta2", "mirror", "noise", "held_out"):
            changed = value / 2
        assert make_recipe(**{name: changed}).digest != plain.digest, name
