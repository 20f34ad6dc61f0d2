"""Checkpoints of GANimation as others write them, of small networks with random weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from miex.generators.ganimation.networks import ORIGINAL, REPLICATE, DiscriminatorNetwork, GeneratorNetwork

FORMS = {"original": ORIGINAL, "replicate": REPLICATE}
NAMES = {
    "original": {
        "trunk": "main", "color": "img_reg", "attention": "attetion_reg", "patches": "conv1", "aus": "conv2",
    },
    "replicate": {
        "trunk": "model", "color": "color_top", "attention": "au_top", "patches": "dis_top", "aus": "aus_top",
    },
}  # fmt: skip
Tensors = dict[str, torch.Tensor]


def generator(family: str, *, width: int = 4, blocks: int = 1, seed: int = 0) -> GeneratorNetwork:
    """A generator that keeps most of each pixel, and paints a little more of its own where AUs are on."""
    torch.manual_seed(seed)
    network = GeneratorNetwork(replace(FORMS[family], width=width, blocks=blocks)).eval()
    with torch.no_grad():
        network.trunk[0].weight[:, 3:] *= 20  # instance norm leaves of planes only what they do at the borders
        # the maps below it are never negative, so that their sum is large, and attention near 1
        network.attention[0].weight.copy_(torch.full_like(network.attention[0].weight, 0.25 / width))
    return network


def discriminator(size: int = 64, *, width: int = 4) -> DiscriminatorNetwork:
    torch.manual_seed(1)
    return DiscriminatorNetwork(size=size, width=width).eval()


def named(network: nn.Module, family: str) -> Tensors:
    """Its tensors under the names of a family."""
    names = NAMES[family]
    found = {}
    for name, value in network.state_dict().items():
        part, _, rest = name.partition(".")
        found[f"{names[part]}.{rest.replace('trunk', names['trunk'])}"] = value.clone()
    return found


def write(path: Path, tensors: object) -> Path:
    """A file of torch.save, or of safetensors."""
    if path.suffix == ".safetensors":
        assert isinstance(tensors, dict)
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path
