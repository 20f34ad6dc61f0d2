"""Every network block by block: shapes, parameter counts beside the published ones, and what a block does."""

from __future__ import annotations

from functools import partialmethod

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402

from miex.errors import UsageError  # noqa: E402
from miex.recognition.method import METHODS, Method, make_method, method_class  # noqa: E402
from miex.recognition.networks.apexme import ApexME  # noqa: E402
from miex.recognition.networks.branches import Branches  # noqa: E402
from miex.recognition.networks.flow_resnet18 import FlowResNet18  # noqa: E402
from miex.recognition.networks.htnet import HTNet, four_areas  # noqa: E402
from miex.recognition.networks.off_apexnet import OffApexNet  # noqa: E402
from miex.recognition.networks.ststnet import STREAMS, STSTNet  # noqa: E402
from miex.recognition.networks.ststnet_authors import STSTNetAuthors  # noqa: E402
from miex.recognition.recipe import Recipe, load_recipe  # noqa: E402
from miex.recognition.train import train  # noqa: E402
from miex.recognition.view import in_memory  # noqa: E402
from tests.recognition.planted import planted  # noqa: E402


def maps(n: int = 2, side: int = 28) -> torch.Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def small(name: str, larger: bool = False) -> Recipe:
    """The recognizer's own recipe, on small or larger inputs and with the smallest of its usual backbones."""
    kind = method_class(name)
    recipe = load_recipe(kind.recipe).but(recognizer=name)
    takes = recipe.takes
    return recipe.but(
        side=(28 if takes.name == "flow" else 64) * (2 if larger else 1),
        length=16 if hasattr(takes, "length") else None,
        backbone="resnet18" if "resnet18" in kind.backbones else None,
    )  # fmt: skip


def prepared(recipe: Recipe, n: int = 2) -> torch.Tensor:
    return torch.randn(n, *recipe.takes.seen_shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("htnet", "elrcn")])  # they are large
def test_every_recognizer_takes_its_inputs_at_any_size_and_gets_new_heads(name: str) -> None:
    for larger in (False, True):
        recipe = small(name, larger)
        network: Method = make_method(recipe, 3).eval()
        x = prepared(recipe)
        both = network(x)
        assert both.shape == (2, 3)
        assert torch.allclose(network(x[:1]), both[:1], atol=1e-5)  # examples do not look at each other
        network.new_head(5)
        assert network(x).shape == (2, 5)
    assert network.classes == 5
    assert len(network.citation) > 20
    assert len(network.published) > 20


STEPS = {
    "ststnet": 150, "ststnet-authors": 150, "off-apexnet": 30, "htnet": 50, "flow-resnet18": 20, "branches": 30,
    "apexme": 20,
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_a_network_can_learn_one_batch_by_heart(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A smoke test: eight examples of noise, and labels that have nothing to do with them."""
    monkeypatch.setattr(HTNet, "__init__", partialmethod(HTNet.__init__, dim=24))
    still = {"mirror": 0.0, "shift": 0, "turn": 0.0, "move": 0.0, "light": 0.0, "mirror_test": False}
    recipe = small(name).but(**still, batch=8, label_smoothing=0.0, schedule="constant", learning_rate=1e-3)
    recipe = recipe.but(epochs=STEPS[name], side=32 if recipe.takes.pictures else None)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (8, *recipe.takes.shape)).astype(np.uint8)
    view = in_memory(noise, planted(8).rows).labelled([0, 1, 2, 0, 1, 2, 0, 1])
    p = train(view, recipe).predict(view)
    assert p.argmax(1).tolist() == view.labels.tolist()
    assert -np.log(p[np.arange(8), view.labels]).mean() < 0.1


def test_unknown_recognizer_is_refused() -> None:
    with pytest.raises(UsageError, match=r"ststnet, .*, branches, apexme, dtscnn, tlcnn, elrcn, hoof, lbp-top"):
        method_class("vgg")


def test_a_method_refuses_inputs_that_it_was_not_made_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STSTNet, "inputs", ("pair", "apex"))
    with pytest.raises(UsageError, match=r"recognizer ststnet(.|\n)*input pair or apex(.|\n)*flow"):
        make_method(load_recipe("fixed"), 3)


def test_ststnet() -> None:
    network = STSTNet().eval()
    x = maps()
    assert network.join(x).shape == (2, 16, 10, 10)
    assert network.classifier.in_features == 400
    assert network.parameter_count == 1683
    assert network.parameter_count - 32 == 1651  # without batch norm: the count of the paper's layers
    # three streams one by one, as the paper draws them
    streams = [F.max_pool2d(F.relu(stream(x)), 3, 3, 1) for stream in network.streams]
    assert [s.shape[1] for s in streams] == list(STREAMS)
    assert torch.allclose(network.norm(torch.cat(streams, 1)), network.join(x), atol=1e-6)


def test_ststnet_of_the_authors() -> None:
    """Trained batch norm with positive weights and the max-pool commute; statistics of a batch differ."""
    ours, theirs, x = STSTNet(), STSTNetAuthors(), maps(n=8)
    theirs.load_state_dict(ours.state_dict())
    assert theirs.parameter_count == 1683
    assert torch.allclose(ours.eval()(x), theirs.eval()(x), atol=1e-6)
    ours.train().join(x)
    theirs.train().join(x)
    assert not torch.allclose(ours.norm.running_mean, theirs.norm.running_mean)
    joined = theirs.norm(torch.cat([stream(x) for stream in theirs.streams], 1).relu())
    assert joined.shape == (8, 16, 30, 30)  # as the authors have it: before the pool


def test_off_apexnet() -> None:
    network = OffApexNet().eval()
    x = maps()
    assert network.u(x[:, :1]).shape == (2, 16, 7, 7)
    assert network.join(x).shape == (2, 1568)
    assert network.hidden(network.join(x)).shape == (2, 1024)
    assert network.parameter_count == 2 * (5 * 5 * 6 + 6 + 5 * 5 * 6 * 16 + 16) + 1569 * 1024 + 1025 * 1024 + 1025 * 3
    assert network.parameter_count == 2_664_475
    other = x.clone()
    other[:, 2] = 0
    assert torch.equal(network(x), network(other))  # strain is not used


def test_flow_resnet18() -> None:
    network = FlowResNet18().eval()
    assert network.backbone(maps()).shape == (2, 512)
    assert network.parameter_count == 11_178_051
    assert FlowResNet18(classes=1000).parameter_count == 11_689_512  # torchvision's resnet18


def test_branches() -> None:
    network = Branches((3, 2, 64, 64)).eval()
    assert network.parameter_count == 22_488_451
    assert sum(p.numel() for p in network.branches.parameters()) == 22_353_024
    x = torch.randn(2, 3, 2, 64, 64)
    joined = network.join(x)
    assert joined.shape == (2, 1024)
    assert network.head(joined).shape == (2, 32)
    assert torch.allclose(network.branches["onset"](x[:, :, 0]), joined[:, :512])
    other = x.clone()
    other[:, :, 1] = 0  # another apex changes what the second backbone sees, and only that
    assert torch.equal(network.join(other)[:, :512], joined[:, :512])
    assert not torch.equal(network.join(other)[:, 512:], joined[:, 512:])


def test_apexme() -> None:
    with torch.device("meta"):  # counting 134 million parameters does not need their values
        assert ApexME().parameter_count == 134_272_835
    network = ApexME((3, 64, 64), backbone="resnet18").eval()
    assert network.parameter_count == 11_246_403
    x = torch.randn(2, 3, 64, 64)
    assert network.backbone(x).shape == (2, 512)
    assert network.head(network.backbone(x)).shape == (2, 32)
    assert network(x).shape == (2, 3)


def test_htnet() -> None:
    with torch.device("meta"):  # counting 140 million parameters does not need their values
        meta = HTNet()
    assert meta.parameter_count == 139_582_982
    x = torch.arange(28 * 28).reshape(1, 1, 28, 28).expand(2, 3, 28, 28).float()
    areas = four_areas(x)
    assert areas.shape == x.shape
    for (row, column), middle in {(0, 0): (6, 6), (0, 14): (6, 20), (14, 0): (18, 8), (14, 14): (18, 21)}.items():
        area = areas[0, 0, row : row + 14, column : column + 14]
        assert float(x[0, 0, middle[0], middle[1]]) in area


def test_htnet_blocks_do_not_see_each_other_at_the_first_level() -> None:
    torch.manual_seed(0)
    network = HTNet(dim=24).eval()
    x = network.patch(maps())
    assert x.shape == (2, 24, 4, 4)
    first = network.level(x, 0)
    assert first.shape == x.shape
    moved = x.clone()
    moved[:, :, 0, 0] += 1
    changed = (network.level(moved, 0) - first).abs().amax((0, 1)) > 1e-6
    assert changed.nonzero().tolist() == [[0, 0]]
    joined = network.joins[0](first)
    assert joined.shape == (2, 48, 2, 2)
    assert network.level(joined, 1).shape == (2, 48, 2, 2)
    assert network.joins[1](joined).shape == (2, 96, 1, 1)
    assert network(maps()).shape == (2, 3)
    assert HTNet((3, 56, 56), dim=24, depths=(1, 1, 1))(maps(side=56)).shape == (2, 3)
