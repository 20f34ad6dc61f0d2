"""Training: it learns a planted signal and nothing from noise, is reproducible, and resumes with the same numbers."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from miex.errors import InputError, OutputError, UsageError  # noqa: E402
from miex.executors.machine import Machine  # noqa: E402
from miex.recognition.inputs.flow import FlowMaps, flow_map  # noqa: E402
from miex.recognition.loader import batches, steps_per_epoch  # noqa: E402
from miex.recognition.networks.base import augment, moved_by, split  # noqa: E402
from miex.recognition.recipe import load_recipe, recipe_names  # noqa: E402
from miex.recognition.recognizer import MODEL, prepared  # noqa: E402
from miex.recognition.train import joint, train  # noqa: E402
from miex.recognition.view import View  # noqa: E402
from miex.storage.training import CHECKPOINT, LOG  # noqa: E402
from miex.storage.weights import read_weights, write_weights  # noqa: E402
from tests.recognition.planted import QUICK, planted  # noqa: E402


def shuffled(samples: View) -> View:
    return samples.labelled(np.random.default_rng(9).permutation(samples.labels))


def accuracy(made: Any, samples: View) -> float:
    return float((made.predict(samples).argmax(1) == samples.labels).mean())


@pytest.mark.parametrize("name", ["ststnet", "off-apexnet", "hoof"])
def test_a_planted_signal_is_learned_and_shuffled_labels_are_not(name: str) -> None:
    recipe = QUICK.but(recognizer=name)
    if name == "off-apexnet":  # it has a thousand times the weights of STSTNet
        recipe = recipe.but(learning_rate=1e-3, samples_seen=1600)
    data, fresh = planted(), planted(seed=1)
    assert accuracy(train(data, recipe), fresh) > 0.95
    chance = [accuracy(train(shuffled(data), recipe, seed=seed), fresh) for seed in range(2)]
    assert np.mean(chance) < 0.55


def test_a_deep_net_learns_it_too() -> None:
    recipe = QUICK.but(recognizer="flow-resnet18", samples_seen=960, learning_rate=1e-3)
    assert accuracy(train(planted(), recipe), planted(seed=1)) > 0.95


def test_same_arguments_same_weights() -> None:
    data, recipe = planted(), QUICK.but(samples_seen=640)
    one, two = (train(data, recipe, seed=3) for _ in range(2))
    assert one.weights_digest == two.weights_digest
    assert np.array_equal(one.predict(data), two.predict(data))
    assert train(data, recipe, seed=4).weights_digest != one.weights_digest
    before = torch.get_rng_state()
    train(data, recipe)
    assert torch.equal(torch.get_rng_state(), before)  # the caller's random state is left as it was


@pytest.mark.parametrize("changes", [{}, {"replacement": True}, {"validation": 0.2, "patience": 50}])
def test_killed_and_resumed_gives_the_same_numbers(tmp_path: Path, changes: dict[str, Any]) -> None:
    data, recipe = planted(), QUICK.but(samples_seen=2560, optimizer="adam", **changes)

    class Killed(BaseException):
        pass

    def kill(step: int, steps: int, loss: float) -> None:
        if step == steps // 2:
            raise Killed

    whole = train(data, recipe, folder=tmp_path / "whole", checkpoint_seconds=0)
    with pytest.raises(Killed):
        train(data, recipe, folder=tmp_path / "killed", progress=kill, checkpoint_seconds=0)
    assert (tmp_path / "killed" / CHECKPOINT).is_file()
    assert not (tmp_path / "killed" / MODEL).exists()
    steps: list[int] = []
    resumed = train(
        data,
        recipe,
        folder=tmp_path / "killed",
        progress=lambda step, n, loss: steps.append(step),
        checkpoint_seconds=0,
    )
    assert steps[0] > 1  # it did not start again
    assert resumed.weights_digest == whole.weights_digest
    logs = [(tmp_path / side / LOG).read_bytes() for side in ("whole", "killed")]
    assert logs[0] == logs[1]
    assert not (tmp_path / "killed" / CHECKPOINT).exists()


def test_killed_before_it_stops_early_it_stops_where_it_would_have(tmp_path: Path) -> None:
    noise = shuffled(planted(60))
    recipe = QUICK.but(epochs=60, validation=0.3, patience=3)
    whole = train(noise, recipe)
    epochs = whole.history["epochs"]
    assert epochs < 60

    class Killed(BaseException):
        pass

    def kill(step: int, steps: int, loss: str) -> None:
        if step == steps * epochs // 60:  # the last one that it takes
            raise Killed

    with pytest.raises(Killed):
        train(noise, recipe, folder=tmp_path, progress=kill, checkpoint_seconds=0)
    resumed = train(noise, recipe, folder=tmp_path)
    assert resumed.history == whole.history
    assert resumed.weights_digest == whole.weights_digest


def test_a_damaged_checkpoint_never_becomes_a_recognizer(tmp_path: Path) -> None:
    data, recipe = planted(60), QUICK.but(samples_seen=256, validation=0.2, patience=50)

    class Killed(BaseException):
        pass

    def kill(step: int, steps: int, loss: str) -> None:
        if step == steps:
            raise Killed

    whole = train(data, recipe)
    with pytest.raises(Killed):
        train(data, recipe, folder=tmp_path, progress=kill, checkpoint_seconds=0)
    path = tmp_path / CHECKPOINT
    content, rng = path.read_bytes(), np.random.default_rng(0)
    refused = []
    for position in np.linspace(0, len(content) - 1, 60).astype(int):
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            assert train(data, recipe, folder=tmp_path).weights_digest == whole.weights_digest
            (tmp_path / MODEL).unlink()
        except InputError as error:
            refused.append(error)
            assert not (tmp_path / MODEL).exists()
            assert path.read_bytes() == damaged
    assert len(refused) > 55
    assert all(str(path) in error.asked and "delete it" in error.do for error in refused)
    path.write_bytes(content[:-1])
    with pytest.raises(InputError, match=CHECKPOINT):
        train(data, recipe, folder=tmp_path)
    whole.save(path)
    with pytest.raises(InputError, match=r"a checkpoint(.|\n)*a recognizer"):
        train(data, recipe, folder=tmp_path)
    path.write_bytes(content)
    plain, tensors = read_weights(path, "checkpoint")
    write_weights(path, "checkpoint", {"what": plain["what"]}, tensors)
    with pytest.raises(InputError, match="delete it"):
        train(data, recipe, folder=tmp_path)
    path.unlink()  # as the message advises: the training starts again
    assert train(data, recipe, folder=tmp_path).weights_digest == whole.weights_digest


def test_a_folder_keeps_one_training(tmp_path: Path) -> None:
    data, recipe = planted(), QUICK.but(samples_seen=640)
    made = train(data, recipe, folder=tmp_path)
    with (tmp_path / LOG).open() as file:
        rows = list(csv.DictReader(file))
    assert int(rows[-1]["step"]) == 10
    assert float(rows[-1]["loss"]) == pytest.approx(made.history["loss"])
    assert list((tmp_path / "events").glob("events.out.tfevents*"))
    steps: list[int] = []
    again = train(data, recipe, folder=tmp_path, progress=lambda step, n, loss: steps.append(step))
    assert not steps
    assert again.weights_digest == made.weights_digest
    with pytest.raises(OutputError, match="seed"):
        train(data, recipe, seed=1, folder=tmp_path)
    with pytest.raises(OutputError, match="recipe"):
        train(data, QUICK, folder=tmp_path)


def test_early_stopping_looks_at_people_held_out_of_training() -> None:
    noise = shuffled(planted(60))
    recipe = QUICK.but(epochs=60, validation=0.3, patience=3)
    made = train(noise, recipe)
    assert made.history["epochs"] < 60
    training, held = split(noise, recipe, 0)
    assert held is not None
    assert not set(training.people) & set(held.people)
    assert len(training) + len(held) == 60
    assert len(set(held.people)) == 3
    synthetic = planted(60, source="expert")
    training, held = split(synthetic, recipe, 0)
    assert held is not None
    assert not set(training.rows["photo"].to_pylist()) & set(held.rows["photo"].to_pylist())
    with pytest.raises(InputError, match="hold out"):
        train(noise.take(np.flatnonzero(np.asarray(noise.people) == "casme2/1")), recipe)


def test_fine_tuning_goes_on_and_gets_a_new_head_for_other_classes() -> None:
    pre = train(planted(source="expert"), QUICK)
    nothing = QUICK.but(samples_seen=64, learning_rate=1e-12)
    same = train(planted(60), nothing, start=pre)
    assert accuracy(same, planted(seed=2)) > 0.95
    four = planted(80, classes=4)
    other = train(four, nothing, start=pre)
    assert other.method.classifier.out_features == 4
    assert torch.allclose(other.method.streams[0].weight, pre.method.streams[0].weight, atol=1e-6)
    assert other.label_names == four.label_names
    assert other.history["origins"][0] == ["expert", None, None]
    with pytest.raises(InputError, match="recognizer ststnet"):
        train(four, QUICK.but(recognizer="off-apexnet"), start=pre)
    with pytest.raises(UsageError, match="hoof"):
        train(four, QUICK.but(recognizer="hoof"), start=pre)


def test_joint_training_draws_real_classes_alike_and_as_often() -> None:
    real = planted(90).take(np.r_[np.arange(0, 90, 3), [1, 2]])  # 30 of class 0, one of each other
    together = joint(real, planted(300, source="expert"), seed=0)
    drawn = together.take(np.arange(300))
    assert set(drawn.rows["source"].to_pylist()) == {"real"}
    assert np.bincount(drawn.labels).min() > 70
    assert len(together) == 600
    assert joint(real, planted(300), 0).digest == joint(real, planted(300), 0).digest


def test_rare_classes_of_real_data_weigh_more() -> None:
    data = planted(300)
    keep = np.r_[
        np.flatnonzero(data.labels == 0), np.flatnonzero(data.labels == 1)[:4], np.flatnonzero(data.labels == 2)[:4]
    ]
    rare, recipe = data.take(keep), QUICK.but(samples_seen=640)
    weighed = train(rare, recipe).predict(planted(seed=1)).mean(0)
    plain = train(rare, recipe.but(balance_real=False)).predict(planted(seed=1)).mean(0)
    assert weighed[0] < plain[0]


def test_augmentation_is_shared_by_all_channels_and_off_at_test() -> None:
    recipe, takes = QUICK.but(mirror=1.0, shift=2), FlowMaps()
    x = torch.randn(1, 1, 28, 28).expand(8, 3, 28, 28).contiguous()
    torch.manual_seed(0)
    y = augment(x, recipe, takes)
    assert torch.equal(y[:, 1], y[:, 2])
    assert torch.equal(y[:, 0], -y[:, 1])  # the mirror image reverses u
    assert torch.equal(augment(x, QUICK.but(mirror=0.0, shift=0), takes), x)
    assert torch.equal(takes.mirror(takes.mirror(x)), x)
    made = train(planted(), QUICK.but(samples_seen=640))
    found = [made.predict(planted(seed=1)) for _ in range(2)]
    assert np.array_equal(*found)
    # the same one by one or together: nothing is random, and no sample affects another
    alone = np.concatenate([made.predict(planted(seed=1).take([i])) for i in range(5)])
    assert np.allclose(alone, found[0][:5], atol=1e-6)


def test_mirror_image_of_a_stretched_map_is_that_of_its_flow() -> None:
    flow = np.random.default_rng(0).normal(size=(28, 28, 2)).astype(np.float32)
    turned = flow[:, ::-1] * np.float32([-1, 1])
    for kind in ("unit", "median_rms"):
        takes = FlowMaps(normalize=kind)
        one, other = (prepared(flow_map(np.ascontiguousarray(f))[None], takes) for f in (flow, turned))
        assert torch.allclose(takes.mirror(one), other, atol=0.05)


def test_mixed_precision_learns() -> None:
    made = train(planted(), QUICK.but(mixed_precision=True))
    assert accuracy(made, planted(seed=1)) > 0.95
    assert made.method.classifier.weight.dtype == torch.float32


def test_maps_of_56() -> None:
    recipe = QUICK.but(side=56, samples_seen=3200)
    assert accuracy(train(planted(side=56), recipe), planted(seed=1, side=56)) > 0.95
    with pytest.raises(InputError, match=r"examples of \[56, 56, 3\]"):
        train(planted(), recipe)


def test_batches_cover_an_epoch() -> None:
    for n in (5, 64, 65, 66, 129):
        each = list(batches(n, QUICK))
        assert len(each) == steps_per_epoch(n, QUICK)
        seen = torch.cat(each)
        assert len(set(seen.tolist())) == len(seen) >= n - 1
    drawn = list(batches(100, QUICK.but(replacement=True)))
    assert [len(part) for part in drawn] == [64, 64]


def test_machines_that_are_not_there_are_refused() -> None:
    for devices in (("nonsense",), ("cpu", "cpu"), (), ("cuda",) if not torch.cuda.is_available() else ()):
        with pytest.raises(UsageError, match="`device`"):
            Machine(devices)


def test_a_loss_that_explodes_is_an_error() -> None:
    recipe = QUICK.but(optimizer="sgd", learning_rate=1e30, schedule="constant", samples_seen=640)
    with pytest.raises(InputError, match="finite loss"):
        train(planted(), recipe)


def test_recipes(tmp_path: Path) -> None:
    fixed = load_recipe("fixed")
    assert (fixed.recognizer, fixed.samples_seen, fixed.batch, fixed.learning_rate) == ("ststnet", 24_000, 256, 2e-3)
    assert len({load_recipe(name).digest for name in recipe_names()}) == len(recipe_names())
    assert load_recipe("epochs-80").epochs == 80
    assert fixed.but(name="another").digest == fixed.digest  # the name changes no number
    assert fixed.but(epochs=3).samples_seen is None
    assert fixed.takes == FlowMaps()
    assert fixed.but(side=56).takes == load_recipe("fixed-56").takes == FlowMaps(side=56)
    assert fixed.but(method="tvl1").digest != fixed.digest  # the input is part of the digest
    with pytest.raises(UsageError, match="input flow: frames"):
        fixed.but(frames=3)
    mine = tmp_path / "mine.toml"
    mine.write_text('like = "fixed"\nepochs = 5\n')
    assert load_recipe(str(mine)).digest == fixed.but(epochs=5).digest
    mine.write_text('like = "fixed"\nbatch = "many"\n')
    with pytest.raises(UsageError, match="batch"):
        load_recipe(str(mine))
    mine.write_text("epochs = 5\nsamples_seen = 9\n")
    with pytest.raises(UsageError, match="either samples_seen or epochs"):
        load_recipe(str(mine))
    mine.write_text("like = 3")
    with pytest.raises(InputError, match="like"):
        load_recipe(str(mine))
    for wrong, error in (("none", UsageError), (str(tmp_path / "no.toml"), InputError)):
        with pytest.raises(error):
            load_recipe(wrong)


def test_turn_and_light_are_the_same_in_all_frames_of_a_sample() -> None:
    recipe = load_recipe("branches").but(side=32)
    torch.manual_seed(0)
    onset = torch.rand(4, 3, 1, 32, 32)
    x = onset.repeat(1, 1, 2, 1, 1)
    seen = augment(x, recipe, recipe.takes)
    assert torch.equal(seen[:, :, 0], seen[:, :, 1])
    assert not torch.allclose(seen, x, atol=0.05)
    changed = [augment(x, recipe.but(turn=0.0, move=0.0), recipe.takes)[i] - x[i] for i in range(4)]
    slopes = [float(change.std() / x[i].std()) for i, change in enumerate(changed)]
    assert all(slope <= 0.2 for slope in slopes)  # contrast
    assert len(set(slopes)) == 4  # each sample its own


def test_a_turn_is_counterclockwise_about_the_middle_and_comes_before_the_move() -> None:
    x = torch.zeros(2, 2, 32, 32)
    x[:, :, 15:17, 27:29] = 1  # right of the middle
    none, quarter = torch.zeros(2), torch.tensor([0, torch.pi / 2])
    assert torch.allclose(moved_by(x, none, torch.zeros(2, 2)), x, atol=1e-5)
    moved = moved_by(x, quarter, torch.tensor([[2 / 32, 3 / 32], [-1 / 32, 5 / 32]]))
    assert torch.allclose(moved[0], x[0].roll((3, 2), (1, 2)), atol=1e-4)
    rows, columns = np.nonzero(moved[1, 0].numpy() > 0.5)
    assert (sorted(set(rows)), sorted(set(columns))) == ([8, 9], [14, 15])  # above it, then left and down


def test_flow_is_no_picture_that_can_be_turned() -> None:
    with pytest.raises(UsageError, match="no picture"):
        load_recipe("fixed").but(turn=5.0)
