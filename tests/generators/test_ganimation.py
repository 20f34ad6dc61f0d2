"""The generator ganimation: what its network paints, in the photo's own bits."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from miex.errors import InputError, UsageError  # noqa: E402
from miex.faces.crop import AlignedFace  # noqa: E402
from miex.generators.ganimation.generator import GANimation  # noqa: E402
from miex.generators.ganimation.networks import GeneratorNetwork, Painted  # noqa: E402
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


def test_where_attention_is_full_every_level_stays_bit_for_bit(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paints = GeneratorNetwork.forward

    def kept(self: Any, pictures: Any, aus: Any) -> Painted:
        color = paints(self, pictures, aus).color
        return Painted(1 * pictures + (1 - 1) * color, color, torch.ones(()))

    monkeypatch.setattr(GeneratorNetwork, "forward", kept)
    made = GANimation(weights)
    assert len(np.unique(face().crop)) == 256
    assert all(np.array_equal(frame, face().crop) for frame in made.render(made.prepare(face()), AUS).frames)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [36, 64, 128])
def test_no_frame_beside_it_and_no_thread_changes_a_bit(weights: Path, size: int, threads: int) -> None:
    made = GANimation(weights)
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
    assert (one.settings, two.settings) == (
        {"weights": digest, "scale": 1.0}, {"weights": digest, "scale": 2.0}
    )  # fmt: skip
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
    told = {"name": "ganimation", "version": GANimation.version, "settings": {"weights": digest, "scale": 1.0}}
    assert generator_of(told, find=lambda sha256: file).settings["scale"] == 1


@pytest.mark.parametrize(
    "change", [{"scale": 0.0}, {"scale": float("nan")}, {"scale": "1"}, {"weights": None}, {"magic": True}]
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
