"""The generator ganimation: what its network paints, in the photo's own bits."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from miex.errors import InputError, UsageError  # noqa: E402
from miex.faces.crop import AlignedFace  # noqa: E402
from miex.generators.ganimation.generator import BATCH, GANimation  # noqa: E402
from miex.generators.ganimation.inference import Inference  # noqa: E402
from miex.generators.ganimation.networks import blend  # noqa: E402
from miex.generators.registry import describe, generator_of, make_generator  # noqa: E402
from tests.generators.ganimation_files import generator, named, write  # noqa: E402

AUS = np.random.default_rng(2).uniform(0, 1, (5, 17)).astype(np.float32)


def face(size: int = 64) -> AlignedFace:
    """Noise: this generator does not look where the face is. Every level occurs."""
    side = 4 * (size - 1) + 1
    samples = np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)
    return AlignedFace(samples, size, np.zeros((478, 2), np.float32))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("weights") / "30_net_gen.pth", named(generator("replicate"), "replicate"))


def test_frames_are_what_the_network_paints_in_gray_levels(weights: Path) -> None:
    made = GANimation(weights)
    frames = made.render(made.prepare(face()), AUS).frames
    pictures = torch.from_numpy(face().crop.astype(np.float32).transpose(2, 0, 1)[None] / 127.5 - 1)
    for frame, z in zip(frames, AUS, strict=True):
        with torch.inference_mode():
            painted = generator("replicate")(pictures, torch.from_numpy(z[None])).pictures[0].numpy()
        exact = (painted.transpose(1, 2, 0).astype(np.float64) + 1) * 127.5
        assert np.abs(frame - exact).max() <= 0.5001


@pytest.mark.parametrize(
    "options", [{}, {"precision": "bfloat16"}, *({"painted": side} for side in (32, 96, 64))], ids=str
)
def test_where_attention_is_full_every_level_stays_bit_for_bit(tmp_path: Path, options: dict[str, Any]) -> None:
    sure = named(generator("original"), "original")
    sure["attetion_reg.0.weight"] *= 1e4  # of maps that are never negative
    made = GANimation(write(tmp_path / "net.pth", sure), **options)
    assert len(np.unique(face().crop)) == 256
    assert all(np.array_equal(frame, face().crop) for frame in made.render(made.prepare(face()), AUS).frames)


def test_a_small_painting_is_enlarged_and_blended_with_the_crop(weights: Path) -> None:
    """Against OpenCV, whose bilinear enlargement is another program."""
    made = GANimation(weights, painted=32)
    crop = face().crop.astype(np.float32)
    frames = made.render(made.prepare(face()), AUS).frames
    small = crop.reshape(32, 2, 32, 2, 3).mean((1, 3))  # nearly what is seen
    pictures = made.prepare(face()).crop
    seen = torch.nn.functional.interpolate(pictures, (32, 32), mode="bilinear", antialias=True)
    assert np.corrcoef(seen[0].permute(1, 2, 0).numpy().ravel(), small.ravel())[0, 1] > 0.8
    for frame, z in zip(frames, AUS, strict=True):
        with torch.inference_mode():
            painted = generator("replicate")(seen, torch.from_numpy(z[None]))
        color, attention = (
            cv2.resize(layer[0].permute(1, 2, 0).numpy(), (64, 64), interpolation=cv2.INTER_LINEAR)
            for layer in (painted.color, painted.attention)
        )
        exact = attention[..., None] * crop + (1 - attention[..., None]) * (color + 1) * 127.5
        assert np.abs(frame - exact).max() <= 0.51
    whole = GANimation(weights, painted=64)
    plain = GANimation(weights)
    assert np.array_equal(
        whole.render(whole.prepare(face()), AUS).frames, plain.render(plain.prepare(face()), AUS).frames
    )


@pytest.mark.parametrize(
    ("precision", "batch", "threads"),
    [("float32", 1, 2), ("bfloat16", 1, 1), ("float32", 4, 1), ("bfloat16", 4, 2)],
)
@pytest.mark.parametrize("size", [36, 64])
def test_no_frame_beside_it_and_no_thread_changes_a_bit(
    weights: Path, size: int, threads: int, precision: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches of several, too, as on a GPU: the last one is filled up."""
    monkeypatch.setitem(BATCH, "cpu", batch)
    made = GANimation(weights, precision=precision)
    rig = made.prepare(face(size))
    together = made.render(rig, AUS).frames
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for start, end in ((0, 1), (1, 2), (1, 4), (3, 5)):
            assert np.array_equal(made.render(rig, AUS[start:end]).frames, together[start:end])
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_the_scale_is_what_the_network_takes_for_intensity_1(weights: Path) -> None:
    one, two = GANimation(weights), GANimation(weights, scale=2)
    rig = one.prepare(face())
    half = AUS / 2
    assert np.array_equal(two.render(rig, half).frames, one.render(rig, half * 2).frames)
    assert not np.array_equal(two.render(rig, half).frames, one.render(rig, half).frames)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    default = {"weights": digest, "precision": "float32", "painted": None, "device": "cpu"}
    assert (one.settings, two.settings) == ({**default, "scale": 1.0}, {**default, "scale": 2.0})
    (again,) = (generator_of(describe(two), find={digest: weights}.__getitem__),)
    assert np.array_equal(again.render(rig, half).frames, two.render(rig, half).frames)


def test_a_description_beside_the_file_sets_the_scale(weights: Path, tmp_path: Path) -> None:
    file = tmp_path / weights.name
    file.write_bytes(weights.read_bytes())
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    entry = f'sha256 = "{digest}"\nname = "x"\nfamily = "replicate"\nlicence = ""\nscale = 5\norigin = ""\n'
    (tmp_path / "weights.toml").write_text(f"[[weights]]\n{entry}")
    assert make_generator("ganimation", weights=file).settings["scale"] == 5
    # what a plan says counts, and not what lies there now
    told = describe(GANimation(weights))
    assert generator_of(told, find=lambda sha256: file).settings["scale"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 0.0},
        {"scale": float("nan")},
        {"scale": "1"},
        {"weights": None},
        {"magic": True},
        {"precision": "float16"},
        {"painted": 62},
        {"device": "tpu"},
    ],
)
def test_other_settings_are_refused(weights: Path, change: dict[str, Any]) -> None:
    told = {**GANimation(weights).settings, **change}
    with pytest.raises(InputError, match="settings weights"):
        GANimation.from_settings(told, find=lambda sha256: weights)


def test_a_file_that_is_another_than_the_plan_names_is_refused(weights: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.pth", named(generator("original", seed=3), "original"))
    with pytest.raises(InputError, match="ganimation"):
        generator_of(describe(GANimation(weights)), find=lambda sha256: other)


def test_other_numbers_of_aus_and_odd_sizes_are_refused(weights: Path, tmp_path: Path) -> None:
    fewer = named(generator("original"), "original")
    fewer["main.0.weight"] = fewer["main.0.weight"][:, :15].clone()
    with pytest.raises(InputError, match="12 AUs"):
        GANimation(write(tmp_path / "net.pth", fewer))
    with pytest.raises(UsageError, match="multiple of 4"):
        GANimation(weights).prepare(face(62))


def test_weights_that_overflow_paint_nothing(tmp_path: Path) -> None:
    wild = {name: value * 1e37 for name, value in named(generator("original"), "original").items()}
    made = GANimation(write(tmp_path / "net.pth", wild))
    with pytest.raises(ArithmeticError, match="NaN"):
        made.render(made.prepare(face()), AUS)


def test_without_torch_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("generator", "checkpoints", "networks"):
        monkeypatch.delitem(sys.modules, f"miex.generators.ganimation.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r"miex\[train\]"):
        make_generator("ganimation")


@pytest.mark.parametrize("family", ["original", "replicate"])
@pytest.mark.parametrize(("precision", "most"), [("float32", 1e-3), ("bfloat16", 2)])
def test_inference_is_the_network_in_gray_levels(family: str, precision: str, most: float) -> None:
    network = generator(family, width=8, blocks=2)
    pictures = torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(4)) * 2 - 1
    aus = torch.from_numpy(AUS)
    fast = Inference(network, precision, "cpu")
    color, attention = fast.paint(fast.seen(pictures), aus)
    with torch.inference_mode():
        exact = network(pictures.expand(5, -1, -1, -1), aus)
    assert 127.5 * (blend(pictures, color, attention) - exact.pictures).abs().max() < most
    assert (attention - exact.attention).abs().max() < most / 127.5
    assert (color - exact.color).abs().max() < 4 * most / 127.5


def test_options_are_checked_and_listed(weights: Path) -> None:
    for options, expected in (
        ({"precision": "float16"}, "one of float32, bfloat16"),
        ({"painted": 62}, "multiple of 4"),
        ({"painted": "64"}, "multiple of 4"),
        ({"magic": 1}, r"precision: .*painted: .*device: one of cpu, cuda"),
    ):
        with pytest.raises(UsageError, match=expected) as caught:
            make_generator("ganimation", weights=weights, options=options)
        assert f"option {next(iter(options))}=" in str(caught.value)
    with pytest.raises(UsageError, match="basis: one of anatomy"):
        make_generator("muscle", options={"precision": "float32"})
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="CUDA device"):
            make_generator("ganimation", weights=weights, options={"device": "cuda"})


def test_what_is_chosen_is_part_of_the_settings(weights: Path) -> None:
    chosen = {"precision": "bfloat16", "painted": 32, "device": "cpu"}
    made = make_generator("ganimation", weights=weights, options=chosen)
    assert {name: made.settings[name] for name in chosen} == chosen
    again = generator_of(describe(made), find=lambda sha256: weights)
    assert again.settings == made.settings
    frames = [one.render(one.prepare(face()), AUS).frames for one in (made, again, GANimation(weights))]
    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], frames[2])
