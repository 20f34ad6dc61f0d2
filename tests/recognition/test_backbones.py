"""Backbones: layers, published names and sizes; and ImageNet weights, which are read only if their sha256 is known."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from miex.errors import InputError, UsageError  # noqa: E402
from miex.recognition import imagenet  # noqa: E402
from miex.recognition.imagenet import KNOWN, LITE0, ImageNetWeights, find_weights  # noqa: E402
from miex.recognition.method import make_method  # noqa: E402
from miex.recognition.networks.backbones import BACKBONES, EfficientNetLite0, InvertedBlock, ResNet18  # noqa: E402
from miex.recognition.networks.branches import Branches  # noqa: E402
from miex.recognition.recipe import load_recipe  # noqa: E402
from miex.recognition.recognizer import load_recognizer  # noqa: E402
from miex.recognition.train import train  # noqa: E402
from miex.recognition.view import View, in_memory  # noqa: E402
from tests.recognition.planted import planted  # noqa: E402


@pytest.mark.parametrize("name", BACKBONES)
def test_as_many_parameters_as_published(name: str) -> None:
    with torch.device("meta"):
        made = BACKBONES[name]()
    last = 1001 * made.width - made.width + 1000  # weights and biases of the layer that is left out
    assert sum(p.numel() for p in made.parameters()) + last == made.published


def test_names_are_those_of_torchvision() -> None:
    with torch.device("meta"):
        resnet, vgg = (set(BACKBONES[name]().state_dict()) for name in ("resnet18", "vgg16"))
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.conv2.weight", "layer2.0.downsample.0.weight"} < resnet
    assert "layer4.1.bn2.bias" in resnet
    assert {"features.0.weight", "features.28.bias", "classifier.0.weight", "classifier.3.bias"} < vgg
    assert not {name for name in vgg if name.startswith("classifier.6")}


def test_blocks_of_resnet() -> None:
    made = ResNet18().eval()
    stages = made.stages(torch.randn(1, 3, 64, 64))
    assert [s.shape[1:] for s in stages] == [(64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2)]
    assert torch.allclose(made(torch.ones(1, 3, 64, 64)), made.stages(torch.ones(1, 3, 64, 64))[-1].mean((2, 3)))


def test_blocks_of_efficientnet() -> None:
    made, x, sizes = EfficientNetLite0().eval(), torch.randn(1, 3, 64, 64), []
    x = made._conv_stem(x)
    for block in made._blocks:
        x = block(x)
        sizes.append((x.shape[1], x.shape[2]))
    expected = [(16, 32), (24, 16), (40, 8), (80, 4), (112, 4), (192, 2), (320, 2)]
    assert [size for i, size in enumerate(sizes) if i in (0, 2, 4, 7, 10, 14, 15)] == expected
    assert made(torch.randn(2, 3, 224, 224)).shape == (2, 1280)
    adds = InvertedBlock(16, 16, kernel=3, stride=1, widen=6)
    assert adds.adds
    assert not InvertedBlock(16, 24, kernel=3, stride=1, widen=6).adds


def test_padding_of_tensorflow() -> None:
    """A stride of 2 keeps, of an even size, the positions 1, 3, …: the kernel is not padded on the left."""
    convolution = BACKBONES["efficientnet-lite0"]()._conv_stem
    convolution.weight.data.zero_()
    convolution.weight.data[0, 0, 1, 1] = 1  # passes on what lies under its middle
    x = torch.arange(8.0).expand(1, 3, 8, 8)
    assert convolution(x)[0, 0, 0].tolist() == [1, 3, 5, 7]
    assert convolution(x[..., :7, :7])[0, 0, 0].tolist() == [0, 2, 4, 6]


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file like torchvision's, with its last layer and, as in the older one, without numbers of batches."""
    torch.manual_seed(0)
    weights = {
        k: torch.randn_like(v) for k, v in ResNet18().state_dict().items() if not k.endswith("num_batches_tracked")
    }
    weights = {k: v.abs() if "running_var" in k else v for k, v in weights.items()}
    path = tmp_path / "resnet18.pth"
    torch.save({**weights, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(KNOWN, digest, ("resnet18-test.pth", "resnet18"))
    return path


def test_every_backbone_of_a_network_gets_published_weights(published: Path) -> None:
    network = Branches((3, 2, 64, 64))
    head = network.classifier.weight.clone()
    find_weights(published).load_into(network)
    theirs = torch.load(published, weights_only=True)
    for branch in network.branches.values():
        assert torch.equal(branch.layer3[0].conv1.weight, theirs["layer3.0.conv1.weight"])
        assert torch.equal(branch.bn1.running_var, theirs["bn1.running_var"])
    assert torch.equal(network.classifier.weight, head)
    with pytest.raises(RuntimeError):
        ResNet18().load({"conv1.weight": torch.zeros(1)})


class _Harm:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("harm"),)


def test_unknown_files_are_refused_and_not_unpickled(published: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    hostile = tmp_path / "hostile.pth"
    hostile.write_bytes(pickle.dumps(_Harm()))
    with pytest.raises(InputError, match=r"resnet18-f37072fd\.pth(.|\n)*sha256"):
        find_weights(hostile)
    for missing in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(InputError, match="check the path"):
            find_weights(missing)
    weights = find_weights(published)
    published.write_bytes(pickle.dumps(_Harm()))  # changed after it was proven
    with pytest.raises(InputError, match="sha256"):
        weights.load_into(Branches((3, 2, 64, 64)))
    assert not Path("harm").exists()


def test_imagenet_is_the_file_that_miex_fetches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(imagenet.PublishedFile, "find", lambda self, **_: asked.append(self) or tmp_path / self.name)
    found = find_weights("imagenet")
    assert (found.backbone, found.path, asked) == ("efficientnet-lite0", tmp_path / LITE0.name, [LITE0])
    assert LITE0.name.split("-")[-1].removesuffix(".pth") == LITE0.sha256[:8]
    assert all(name.rpartition("-")[2].removesuffix(".pth") == digest[:8] for digest, (name, _) in KNOWN.items())


def test_the_recipe_gets_the_backbone_of_the_weights(published: Path, tmp_path: Path) -> None:
    weights, recipe = find_weights(published), load_recipe("branches")
    assert weights.recipe(recipe) == recipe  # its own backbone anyway
    assert weights.recipe(load_recipe("apexme")).backbone == "resnet18"
    with pytest.raises(UsageError, match="weights of vgg16"):
        weights.recipe(recipe.but(backbone="vgg16"))
    with pytest.raises(UsageError, match="it has no backbone"):
        weights.recipe(load_recipe("fixed"))


def pairs(n: int, side: int, seed: int = 0) -> View:
    rng = np.random.default_rng(seed)
    arrays = rng.integers(0, 255, (n, 2, side, side, 3), dtype=np.uint8)
    return in_memory(arrays, planted(n, seed=seed).rows.slice(0, n))


def test_a_training_says_what_it_started_from_and_is_stored(published: Path, tmp_path: Path) -> None:
    recipe = load_recipe("branches").but(side=32, epochs=1, batch=4)
    begun = train(pairs(6, 32), recipe, start=find_weights(published))
    plain = train(pairs(6, 32), recipe)
    assert begun.history["started_from"] == "ImageNet (resnet18-test.pth)"
    assert plain.history["started_from"] == "random weights"
    assert begun.weights_digest != plain.weights_digest
    begun.save(tmp_path / "a.safetensors")
    again = load_recognizer(tmp_path / "a.safetensors")
    assert again.weights_digest == begun.weights_digest
    further = train(pairs(6, 32, 1), recipe, start=again)
    assert further.history["started_from"].endswith("itself started from ImageNet (resnet18-test.pth)")


def test_weights_of_another_backbone_change_the_recipe(published: Path) -> None:
    recipe = load_recipe("apexme").but(side=32, epochs=1, batch=4)
    rows = planted(6).rows.slice(0, 6)
    apexes = in_memory(np.zeros((6, 32, 32, 3), np.uint8), rows)
    made = train(apexes, recipe, start=ImageNetWeights(published, hashlib.sha256(published.read_bytes()).hexdigest()))
    assert made.recipe.backbone == "resnet18"


def test_lite0_sees_frames_as_it_was_trained_on_them() -> None:
    """(value - 127) / 128, and its recipe says so; a recipe of one's own may scale otherwise."""
    weights = ImageNetWeights(Path("x"), LITE0.sha256)
    recipe = weights.recipe(load_recipe("branches"))
    assert (recipe.backbone, recipe.input["normalize"]) == ("efficientnet-lite0", "symmetric")
    frames = torch.tensor([0, 127, 255], dtype=torch.uint8).reshape(3, 1, 1, 1, 1).expand(3, 2, 4, 4, 3)
    seen = recipe.takes.prepare(frames)
    assert seen.shape == (3, 3, 2, 4, 4)
    assert seen[:, 0, 0, 0, 0].tolist() == [-127 / 128, 0, 1]
    assert recipe.takes.stored() == load_recipe("branches").takes.stored()
    assert weights.recipe(load_recipe("branches").but(normalize="unit")).input["normalize"] == "unit"


@pytest.mark.parametrize("name", ["apexme", "branches", "elrcn"])
def test_frames_too_small_for_a_backbone_are_refused(name: str) -> None:
    recipe = load_recipe(name).but(side=31 if name != "elrcn" else 30, backbone="vgg16")
    with pytest.raises(UsageError, match="backbone vgg16\n  expected: 32 or more"):
        make_method(recipe, 3)
