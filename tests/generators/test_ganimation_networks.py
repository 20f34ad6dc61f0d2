"""The networks of GANimation: their numbers of parameters, what each block gives, and what attention means."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from miex.errors import UsageError  # noqa: E402
from miex.generators.ganimation.networks import (  # noqa: E402
    ORIGINAL,
    REPLICATE,
    DiscriminatorNetwork,
    GeneratorNetwork,
)


def parameters(network: torch.nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def shapes(network: torch.nn.Module, *given: torch.Tensor) -> list[tuple[str, list[int]]]:
    """What each layer and block of the trunk, and each head, gives."""
    found: list[tuple[str, list[int]]] = []
    for layer in [*network.trunk, *(part for name, part in network.named_children() if name != "trunk")]:
        layer.register_forward_hook(lambda layer, _, made: found.append((type(layer).__name__, list(made.shape))))
    network(*given)
    return found


def test_parameters_are_as_many_as_published() -> None:
    with torch.device("meta"):  # shapes alone
        assert parameters(GeneratorNetwork(ORIGINAL)) == 8_471_296
        assert parameters(GeneratorNetwork(REPLICATE)) == 8_467_584
        assert parameters(DiscriminatorNetwork()) == 44_860_352


@pytest.mark.parametrize("form", [ORIGINAL, REPLICATE])
def test_every_block_of_the_generator_has_its_shape(form: object) -> None:
    with torch.device("meta"):
        found = shapes(GeneratorNetwork(form), torch.empty(2, 3, 128, 128), torch.empty(2, 17))

    def normed(conv: str, *shape: int) -> list[tuple[str, list[int]]]:
        return [(layer, [2, *shape]) for layer in (conv, "InstanceNorm2d", "ReLU")]

    assert found == [
        *normed("Conv2d", 64, 128, 128), *normed("Conv2d", 128, 64, 64), *normed("Conv2d", 256, 32, 32),
        *[("ResidualBlock", [2, 256, 32, 32])] * 6,
        *normed("ConvTranspose2d", 128, 64, 64), *normed("ConvTranspose2d", 64, 128, 128),
        ("Sequential", [2, 3, 128, 128]), ("Sequential", [2, 1, 128, 128]),
    ]  # fmt: skip


@pytest.mark.parametrize(("size", "left"), [(64, 1), (128, 2), (192, 3)])
def test_every_block_of_the_discriminator_has_its_shape(size: int, left: int) -> None:
    with torch.device("meta"):
        found = shapes(DiscriminatorNetwork(size=size), torch.empty(2, 3, size, size))
        scores, aus = DiscriminatorNetwork(size=size)(torch.empty(2, 3, size, size))
    trunk = [
        (layer, [2, 64 * 2**i, size // 2 ** (i + 1), size // 2 ** (i + 1)])
        for i in range(6)
        for layer in ("Conv2d", "LeakyReLU")
    ]
    assert found == [*trunk, ("Conv2d", [2, 1, left, left]), ("Conv2d", [2, 17, 1, 1])]
    assert (list(scores.shape), list(aus.shape)) == ([2, 1, left, left], [2, 17])


@pytest.mark.parametrize("size", [0, 32, 100, 144])
def test_other_sizes_cannot_be_trained(size: int) -> None:
    with pytest.raises(UsageError, match="multiple of 64"):
        DiscriminatorNetwork(size=size)


@pytest.mark.parametrize("size", [32, 36, 100])
def test_pictures_of_any_multiple_of_four_are_repainted(size: int) -> None:
    torch.manual_seed(0)
    network = GeneratorNetwork(replace(ORIGINAL, width=4, blocks=1)).eval()
    pictures, aus = torch.rand(2, 3, size, size) * 2 - 1, torch.rand(2, 17)
    made = network(pictures, aus)
    assert made.pictures.shape == made.color.shape == pictures.shape
    assert made.attention.shape == (2, 1, size, size)
    assert made.color.abs().max() <= 1
    assert 0 <= made.attention.min() < made.attention.max() <= 1
    expected = made.attention * pictures + (1 - made.attention) * made.color
    assert torch.equal(made.pictures, expected)
    assert not torch.equal(network(pictures, 1 - aus).pictures, made.pictures)  # AUs matter


@pytest.mark.parametrize(("attention", "kept"), [(1, True), (0, False)])
def test_full_attention_keeps_the_input_bit_for_bit(attention: float, kept: bool) -> None:
    network = GeneratorNetwork(replace(REPLICATE, width=4, blocks=1)).eval()
    network.attention.register_forward_hook(lambda *_: torch.full((2, 1, 32, 32), float(attention)))
    pictures = torch.rand(2, 3, 32, 32) * 2 - 1
    made = network(pictures, torch.rand(2, 17))
    assert torch.equal(made.pictures, pictures if kept else made.color)
    assert not torch.equal(made.color, pictures)
