"""Recognizers of sequences: blocks, recipes, and that each can learn; predicting with all frames of a clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402

import miex  # noqa: E402
import miex.dataset  # noqa: E402
from miex.api.predict import LoadedRecognizer  # noqa: E402
from miex.corpora.clip import Clip  # noqa: E402
from miex.dataset.schema import ROWS_SCHEMA  # noqa: E402
from miex.errors import InputError, UsageError  # noqa: E402
from miex.faces.crop import CropOptions  # noqa: E402
from miex.faces.photos import default_pool  # noqa: E402
from miex.labels import Label  # noqa: E402
from miex.recognition.inputs.base import Frames  # noqa: E402
from miex.recognition.method import make_method, method_class  # noqa: E402
from miex.recognition.networks.dtscnn import DTSCNN, Stream  # noqa: E402
from miex.recognition.networks.elrcn import ELRCN, EnrichedVGG16  # noqa: E402
from miex.recognition.networks.tlcnn import TLCNN  # noqa: E402
from miex.recognition.places import of_clips, of_set  # noqa: E402
from miex.recognition.recipe import Recipe, load_recipe  # noqa: E402
from miex.recognition.recognizer import Recognizer, pieces  # noqa: E402
from miex.recognition.train import train  # noqa: E402
from miex.recognition.view import View, in_memory  # noqa: E402
from miex.synthesis.adopt import adopt_plan  # noqa: E402
from miex.synthesis.run import run_plan  # noqa: E402
from tests.support import plan_of  # noqa: E402

SMALL: dict[str, dict[str, Any]] = {
    "dtscnn": {"length": 8, "side": 32}, "tlcnn": {"length": 2, "side": 64}, "elrcn": {"length": 2, "side": 32},
}  # fmt: skip


class FewWeights(EnrichedVGG16):
    """The convolutions of VGG-16 with an eighth of the maps, and one small layer instead of its large ones."""

    width = 64

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        layers: list[torch.nn.Module] = []
        for maps, wide in ((5, 8), (8, 16), (16, 32), (32, 64), (64, 64)):
            layers += [torch.nn.Conv2d(maps, wide, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
        self.features, self.avgpool = torch.nn.Sequential(*layers), torch.nn.AdaptiveAvgPool2d(1)
        self.classifier = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU())


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """ELRCN and TLCNN without most of their 220 and 18 million weights."""
    monkeypatch.setattr("miex.recognition.networks.tlcnn.FEATURES", 512)
    monkeypatch.setattr("miex.recognition.networks.elrcn.EnrichedVGG16", FewWeights)
    monkeypatch.setattr("miex.recognition.networks.elrcn.UNITS", 64)


def small(name: str) -> Recipe:
    """The recipe of a recognizer on small, short clips."""
    return load_recipe(name).but(**SMALL[name])


def noise(recipe: Recipe, n: int = 8) -> View:
    """Clips of coarse noise, with labels that have nothing to do with them."""
    (length, side, _, *rest), dtype = recipe.takes.shape, recipe.takes.dtype
    coarse = np.random.default_rng(0).uniform(0, 255, (n, length, 4, 4, *rest))
    clips = coarse.repeat(side // 4, 2).repeat(side // 4, 3) - (0 if dtype == np.uint8 else 128)
    columns = {name: [None] * n for name in ROWS_SCHEMA.names}
    columns |= {"sample_id": [str(i) for i in range(n)], "source": ["real"] * n, "label": [i % 3 for i in range(n)]}
    return in_memory(clips.astype(dtype), pa.table(columns, schema=ROWS_SCHEMA))


@pytest.mark.parametrize("name", SMALL)
def test_its_recipe_is_its_own(name: str) -> None:
    recipe, kind = load_recipe(name), method_class(name)
    assert (kind.recipe, recipe.recognizer) == (name, name)
    assert (recipe.epochs, recipe.mirror_test) == (80, False)
    assert recipe.takes.name in kind.inputs
    with torch.device("meta"):
        network = make_method(recipe, 3)
    assert str(f"{network.parameter_count:,}") in kind.published


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("name", SMALL)
def test_it_can_learn_one_batch_by_heart(name: str) -> None:
    rate = {"dtscnn": 1e-3, "tlcnn": 3e-4, "elrcn": 3e-3}[name]
    recipe = small(name).but(epochs=30, batch=8, learning_rate=rate, mirror=0.0, shift=0)
    view = noise(recipe)
    made = train(view, recipe)
    p = made.predict(view)
    assert p.argmax(1).tolist() == view.labels.tolist()
    assert -np.log(p[np.arange(8), view.labels]).mean() < 0.05


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("name", SMALL)
def test_every_weight_learns_and_no_example_sees_another(name: str) -> None:
    recipe = small(name)
    torch.manual_seed(0)
    network = make_method(recipe, 3)
    x = recipe.takes.prepare(torch.from_numpy(noise(recipe, 3).batch()))
    F.cross_entropy(network(x), torch.tensor([0, 1, 2])).backward()
    for key, value in network.named_parameters():
        assert value.grad is not None, key
        assert value.grad.abs().max() > 0, key
    network.eval()
    together = network(x)
    assert together.shape == (3, 3)
    for i in range(3):
        assert torch.allclose(network(x[i : i + 1])[0], together[i], atol=1e-5)
    torch.manual_seed(0)
    again = make_method(recipe, 3).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in network.state_dict().items())
    network.new_head(5)
    assert network(x).shape == (3, 5)


def test_the_streams_of_dtscnn() -> None:
    """The shapes that Table 2 of the paper leads to, and kernels of the printed sizes with 128 and 64 steps."""
    stages = [(16, 16, 24, 24), (32, 8, 12, 12), (64, 4, 6, 6), (128, 1, 3, 3)]
    for steps, kernel, stride in ((64, 8, 4), (128, 16, 8)):
        stream = Stream(steps)
        assert (stream.conv1.kernel_size, stream.conv1.stride) == ((kernel, 3, 3), (stride, 2, 2))
        assert stream.conv4.kernel_size == (4, 3, 3)
        assert [tuple(s.shape[1:]) for s in stream.stages(torch.zeros(1, 2, steps, 96, 96))] == stages
    network = DTSCNN((2, 16, 96, 96))
    x = torch.randn(1, 2, 16, 96, 96, generator=torch.Generator().manual_seed(0))
    assert [tuple(s.shape[1:]) for s in network.fine.stages(x)] == stages
    half = x[:, :, ::2] + x[:, :, 1::2]
    assert [s.shape[2] for s in network.coarse.stages(half)] == [8, 4, 2, 1]
    both = torch.cat([network.fine(x).flatten(1), network.coarse(half).flatten(1)], 1)
    assert both.shape == (1, 2304)
    assert torch.equal(network.join(x), both)
    assert DTSCNN((2, 128, 96, 96)).parameter_count == 742_371
    for shape in ((2, 12, 96, 96), (2, 16, 31, 31)):
        with pytest.raises(UsageError, match="multiple of 8, and a side of at least 32"):
            DTSCNN(shape)


def test_the_frames_of_tlcnn() -> None:
    network = TLCNN().eval()
    x = torch.rand(2, 1, 10, 128, 128, generator=torch.Generator().manual_seed(0))
    y, sides = x[0, :, :1], []
    for layer in network.cnn.convolutions:
        y = layer(y)
        if isinstance(layer, torch.nn.MaxPool2d):
            sides.append(tuple(y.shape[1:]))
    assert sides == [(96, 15, 15), (256, 7, 7), (256, 3, 3)]
    features = network.features(x)
    assert features.shape == (2, 10, 4096)
    assert torch.allclose(features[1, 3], network.cnn((x[1:, :, 3] - 0.5) * 4)[0], atol=1e-5)
    assert not torch.allclose(network(x), network(x.flip(2)))  # the order of frames matters
    with pytest.raises(UsageError, match="at least 63"):
        TLCNN((1, 10, 62, 62))


def test_the_frames_of_elrcn() -> None:
    with torch.device("meta"):  # shapes do not need the values of 220 million weights
        network = ELRCN()
        x = torch.empty(2, 5, 9, 112, 112)
        y, maps = x[:, :, 0], []
        for layer in network.cnn.features:
            y = layer(y)
            if isinstance(layer, torch.nn.MaxPool2d):
                maps.append(tuple(y.shape[1:]))
        assert maps == [(64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7), (512, 3, 3)]
        features = network.features(x)
        states, (last, _) = network.lstm(features)
        assert [tuple(z.shape) for z in (features, states, last)] == [(2, 9, 4096), (2, 9, 3000), (1, 2, 3000)]
        assert network.hidden(last[-1]).shape == (2, 128)


def test_weights_of_imagenet_see_in_five_channels_what_they_saw_in_gray() -> None:
    enriched = FewWeights()
    published = {name: torch.randn(value.shape) for name, value in enriched.state_dict().items()}
    published["features.0.weight"] = kernels = torch.randn(8, 3, 3, 3)
    enriched.load({**published, "classifier.6.bias": torch.zeros(1000)})
    picture = torch.rand(1, 1, 8, 8)
    expected = F.conv2d(picture.repeat(1, 3, 1, 1), kernels, published["features.0.bias"], padding=1)
    assert torch.allclose(enriched.features[0](picture.repeat(1, 5, 1, 1)), expected, atol=1e-5)
    assert torch.equal(enriched.features[3].weight, published["features.3.weight"])
    with pytest.raises(RuntimeError):
        enriched.load({"features.0.weight": kernels})


@pytest.fixture
def brows(astronaut: np.ndarray, tmp_path: Path) -> list[Path]:
    """Six frames of a face whose upper half goes up and comes back."""
    paths = []
    for i, up in enumerate((0, 1, 2, 4, 2, 0)):
        frame = astronaut.copy()
        frame[80 - up : 160 - up] = astronaut[80:160]
        paths.append(tmp_path / f"{i}.png")
        cv2.imwrite(str(paths[-1]), frame[..., ::-1])
    return paths


def test_large_examples_are_predicted_in_small_pieces() -> None:
    columns = {name: [None] * 40 for name in ROWS_SCHEMA.names} | {"label": [0] * 40}
    clips = np.arange(40, dtype=np.uint8)[:, None, None, None].repeat(10 * 2**16, 1).reshape(40, 10, 256, 256)
    found = list(pieces(in_memory(clips, pa.table(columns, schema=ROWS_SCHEMA))))
    assert [len(piece) for piece in found] == [25, 15]  # 16 MiB at most
    assert [int(clip[0, 0, 0]) for piece in found for clip in piece] == list(range(40))


def test_a_set_of_videos_and_one_of_pairs_are_learned_alike(finished: Path, model: Path, tmp_path: Path) -> None:
    """Both become the same input, and in both it holds the motion from the first frame to the last."""
    adopt_plan(plan_of(default_pool(), model, ids=1, size=96, frames=10, nuisances="off"), tmp_path / "video")
    run_plan(tmp_path / "video")
    video, pairs = miex.open(tmp_path / "video"), miex.open(finished)[:3]
    recipe = small("dtscnn").but(epochs=1, batch=3)
    trained = miex.train([video, pairs], recipe=recipe)
    assert trained.recognizer.history["n"] == 6
    takes = recipe.takes
    first = of_set(miex.dataset.open(tmp_path / "video")).array(takes)[0]
    name, frames = video.table["sample_id"][0].as_py(), miex.dataset.open(tmp_path / "video")[0].frames
    assert len(frames) == 10
    assert np.array_equal(first, takes.of(Frames(name, CropOptions(96), 10, 9, frames.__getitem__, varied=True)))
    ends = takes.of(Frames(name, CropOptions(96), 2, 1, lambda i: frames[-i], varied=True))
    assert (ends.shape, ends.dtype) == (first.shape, first.dtype)
    # the motion from first to last frame is the same, whether or not those between are known
    whole = [one.astype(float).sum(0) for one in (first, ends)]
    assert np.corrcoef(whole[0].ravel(), whole[1].ravel())[0, 1] > 0.8


def test_predicting_sees_all_frames_of_a_clip(brows: list[Path], model: Path) -> None:
    """What is said of a folder is what is said of the same clip of a corpus; a pair is interpolated."""
    recipe = small("dtscnn").but(until="offset")
    torch.manual_seed(0)
    made = Recognizer(make_method(recipe, 3).eval(), recipe)
    loaded, folder = LoadedRecognizer(made), brows[0].parent

    def said(**indices: int) -> list[float]:
        return list(loaded.predict(folder, landmarker=model, **indices).probabilities.values())

    def of(onset: int, apex: int, offset: int | None) -> list[float]:
        clip = Clip(
            corpus="x", subject="s", clip="c", emotion="", label=Label.surprise, onset=onset, apex=apex, offset=offset,
            frames=tuple(brows),
        )  # fmt: skip
        return [float(p) for p in made.probabilities(of_clips([clip], model=model).array(recipe.takes))[0]]

    assert said(apex=3) == of(0, 3, None)
    assert said(onset=1, apex=3, offset=4) == of(1, 3, 4)
    assert said(apex=3) != said(apex=3, offset=3)
    assert said(apex=2) == said(apex=3)  # a clip's flow does not depend on which of its frames is the apex
    ends = loaded.predict((brows[0], brows[3]), landmarker=model)
    assert sum(ends.probabilities.values()) == pytest.approx(1)
    with pytest.raises(InputError, match=r"apex 3, offset 2\n  expected: 0 ≤ onset < apex ≤ offset"):
        loaded.predict(folder, apex=3, offset=2, landmarker=model)
    for wrong in ({"apex": 3, "offset": 6}, {"apex": 6}):
        with pytest.raises(InputError, match="found: 6 frames or fewer"):
            loaded.predict(folder, landmarker=model, **wrong)
