"""Checkpoints of GANimation that others trained: what they are, and their networks. No code in a file is run."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from miex.errors import InputError
from miex.generators.ganimation.networks import PATCH, DiscriminatorNetwork, Form, GeneratorNetwork
from miex.generators.ganimation.pickled import is_torch, objections
from miex.storage.fetched import read_file
from miex.storage.weights import FLOATS, not_finite

MOST_BYTES = 2**30  # of a file: a discriminator in double precision has 360 MB
MOST_PROBLEMS = 8  # that are listed
# Instance norm does not use them; torch before 0.4 stored them with it.
_STRAY = ("running_mean", "running_var", "num_batches_tracked")
Part = Literal["generator", "discriminator"]


class Family(NamedTuple):
    """A family of published checkpoints: what its tensors are called, and how its files.

    Attributes:
        name: ours.
        trunk: beginning of the names in the trunk of either network.
        heads: names of each network's heads, in the order of ours.
        files: name of a file, with the epoch as its group.
    """

    name: str
    trunk: str
    heads: Mapping[Part, tuple[str, str]]
    files: str


FAMILIES = (
    Family(
        "original", "main",
        {"generator": ("img_reg.0", "attetion_reg.0"), "discriminator": ("conv1", "conv2")},  # attetion: sic
        r"net_epoch_(\d+)_id_[GD]\.",
    ),
    Family(
        "replicate", "model",
        {"generator": ("color_top.0", "au_top.0"), "discriminator": ("dis_top", "aus_top")},
        r"(\d+)_net_(?:gen|dis)\.",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """What a file is.

    Attributes:
        path: the file.
        sha256, bytes: of its content.
        family: "original" or "replicate", by the names of its tensors; None if they are those of neither.
        part: "generator" or "discriminator"; None if that cannot be told.
        aus: number of AUs.
        size: side in pixels of the pictures that it was trained on. Only a discriminator tells; a generator takes any
            size.
        width, blocks: maps of the first layer; residual blocks of a generator.
        bias, affine: whether the trunk's convolutions have a bias, and its norms a scale and shift.
        parameters: how many numbers the network has.
        epoch: by the file's name, if it is that of its family.
        ignored: tensors that the network does not use, such as running means.
        problems: why it cannot be used; none if it can.
    """

    path: Path
    sha256: str
    bytes: int
    family: str | None = None
    part: Part | None = None
    aus: int | None = None
    size: int | None = None
    width: int | None = None
    blocks: int | None = None
    bias: bool | None = None
    affine: bool | None = None
    parameters: int | None = None
    epoch: int | None = None
    ignored: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def inspect(path: Path) -> Checkpoint:
    """What a file is, and every reason why it cannot be used.

    Raises:
        InputError: there is no such file, or it is larger than 1 GiB.
    """
    return _read(path)[0]


def load_generator(path: Path) -> tuple[Checkpoint, GeneratorNetwork]:
    """The generator in a file, float32 on the CPU, ready to be used, not to be trained.

    Raises:
        InputError: the file cannot be read, or holds no generator that can be used.
    """
    found, network = _load(path, "generator")
    assert isinstance(network, GeneratorNetwork)
    return found, network


def load_discriminator(path: Path) -> tuple[Checkpoint, DiscriminatorNetwork]:
    """The discriminator in a file, as `load_generator` loads generators, and with its errors."""
    found, network = _load(path, "discriminator")
    assert isinstance(network, DiscriminatorNetwork)
    return found, network


def _load(path: Path, part: Part) -> tuple[Checkpoint, nn.Module]:
    found, network = _read(path)
    problems = list(found.problems)
    if found.part not in (part, None):
        problems.append(f"it is a {found.part}")
    if problems or network is None:
        raise InputError(
            f"checkpoint {path}", expected=f"a {part} of GANimation, of the original or the replicate family",
            found="; ".join(problems), do="give another file; miex ganimation inspect says what a file is",
        )  # fmt: skip
    return found, network.eval().requires_grad_(False)


def _read(path: Path) -> tuple[Checkpoint, nn.Module | None]:
    """What a file is, and its network if it can be used."""
    content = read_file(path, "checkpoint", MOST_BYTES)
    found = Checkpoint(path, hashlib.sha256(content).hexdigest(), len(content))
    tensors, problems = _tensors(content)
    if problems:
        return replace(found, problems=tuple(problems)), None
    return _recognized(found, tensors)


def _tensors(content: bytes) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of a file by name, and why they cannot be used."""
    read: Any
    try:
        if is_torch(content):
            if found := objections(content):
                return {}, found
            read = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        elif content[8:9] == b"{":
            read = load_safetensors(content)  # proves that all sizes lie within the file
        else:
            return {}, ["it is neither a file of torch.save nor one of safetensors"]
    except Exception as error:  # a damaged file fails in the reader in any way it likes
        return {}, [f"it is damaged: {(str(error).strip() or type(error).__name__).splitlines()[0][:200]}"]
    if not isinstance(read, Mapping) or not all(isinstance(name, str) for name in read):
        return {}, [f"it holds a {type(read).__name__} instead of tensors by name"]
    problems = [text for name, value in read.items() if (text := _odd(name, value))]
    return dict(read), problems[:MOST_PROBLEMS]


def _odd(name: str, value: Any) -> str | None:
    if not isinstance(value, Tensor) or value.layout is not torch.strided:
        return f"{name} is no tensor, but a {type(value).__name__}"
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return f"{name} claims {value.numel():,} values, more than the file holds"
    if value.dtype not in FLOATS and not name.endswith(_STRAY):
        return f"{name} is {value.dtype}, and weights are floats"
    return None


def _recognized(found: Checkpoint, tensors: dict[str, Tensor]) -> tuple[Checkpoint, nn.Module | None]:
    """The checkpoint with all that its tensors tell, and its network."""
    if tensors and all(name.startswith("module.") for name in tensors):  # as trained on several devices
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    ignored = tuple(sorted(name for name in tensors if name.endswith(_STRAY)))
    named = {name: value for name, value in tensors.items() if name not in ignored}
    layers = _layers(named)
    kinds = [
        (family, part)
        for family in FAMILIES
        for part, heads in family.heads.items()
        if all(head in layers for head in heads) and any(name.startswith(f"{family.trunk}.") for name in layers)
    ]
    if len(kinds) != 1:
        known = "; or ".join(
            f"{family.trunk}.*, {', '.join(heads)} ({family.name} {part})"
            for family in FAMILIES
            for part, heads in family.heads.items()
        )
        names = ", ".join(list(named)[:4]) or "none"
        return replace(found, problems=(f"its tensors are named {names} …, and not {known}",)), None
    ((family, part),) = kinds
    epoch = re.match(family.files, found.path.name)
    trunk = [layer for name, layer in layers.items() if name.startswith(f"{family.trunk}.")]
    heads = [layers[head] for head in family.heads[part]]
    found = replace(found, family=family.name, part=part, ignored=ignored, epoch=int(epoch[1]) if epoch else None)
    convs = [layer for layer in trunk if layer.weight.ndim == 4]
    norms = [layer for layer in trunk if layer.weight.ndim == 1]
    used = {f"{layer.name}.{kind}" for layer in (*convs, *norms, *heads) for kind in layer.tensors}
    if odd := [name for name in named if name not in used]:
        more = f" and {len(odd) - 4} more" if len(odd) > 4 else ""
        return replace(found, problems=(f"{', '.join(odd[:4])}{more}: of no layer of GANimation",)), None
    if not convs or heads[1].weight.ndim != 4:
        return replace(found, problems=("its trunk or a head is no convolution",)), None
    first = convs[0]
    found = replace(found, width=first.weight.shape[0], bias="bias" in first.tensors, affine=bool(norms))
    if part == "generator":
        found = replace(found, aus=first.weight.shape[1] - 3, blocks=(len(convs) - 5) // 2)
    else:
        found = replace(found, aus=heads[1].weight.shape[0], size=PATCH * heads[1].weight.shape[2])
    return _filled(found, convs, norms, heads)


class _Layer(NamedTuple):
    """A layer of a file: its name, and its weight and perhaps bias."""

    name: str
    tensors: dict[str, Tensor]

    @property
    def weight(self) -> Tensor:
        return self.tensors["weight"]


def _layers(tensors: Mapping[str, Tensor]) -> dict[str, _Layer]:
    """The layers of a file by name, in the order of their names, with numbers in them as numbers.

    That is the order of the layers themselves, whatever the parts of a residual block are called.
    """

    def place(name: str) -> list[str | int]:
        return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", name))]

    found: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        layer, _, kind = name.rpartition(".")
        found.setdefault(layer, {})[kind] = value
    whole = [name for name, layer in found.items() if layer.keys() in ({"weight"}, {"weight", "bias"})]
    return {name: _Layer(name, found[name]) for name in sorted(whole, key=place)}


def _filled(
    found: Checkpoint, convs: list[_Layer], norms: list[_Layer], heads: list[_Layer]
) -> tuple[Checkpoint, nn.Module | None]:
    """The network with these tensors; only those whose shapes are proven are copied."""
    assert found.aus is not None
    assert found.width is not None
    if found.aus < 1:
        return replace(found, problems=("it has no planes of AUs",)), None
    network: nn.Module
    try:
        with torch.device("meta"):  # shapes without memory: what the file claims is not yet proven
            if found.part == "generator":
                assert found.blocks is not None
                form = Form(found.aus, found.width, found.blocks, bool(found.bias), bool(found.affine))
                network = GeneratorNetwork(form)
                last = [network.color[0], network.attention[0]]
            else:
                network = DiscriminatorNetwork(found.aus, found.size or PATCH, found.width)
                last = [network.patches, network.aus]
    except Exception as error:  # of more values than can be counted
        return replace(found, problems=(f"no network has its shapes: {str(error).splitlines()[0]}",)), None
    found = replace(found, parameters=sum(value.numel() for value in network.parameters()))
    names = {module: name for name, module in network.named_modules()}
    pairs = list(zip(last, heads, strict=True))
    for what, theirs, kinds in (
        ("convolutions", convs, (nn.Conv2d, nn.ConvTranspose2d)), ("norms", norms, (nn.InstanceNorm2d,)),
    ):  # fmt: skip
        ours = [one for one in network.trunk.modules() if isinstance(one, kinds) and list(one.parameters())]
        if len(ours) != len(theirs):
            problem = f"its trunk has {len(theirs)} {what}, and that of a {found.part} {len(ours)}"
            return replace(found, problems=(problem,)), None
        pairs += zip(ours, theirs, strict=True)
    problems = [
        f"{layer.name} has {_shapes(layer.tensors)} instead of {wanted}"
        for module, layer in pairs
        if _shapes(layer.tensors) != (wanted := _shapes(dict(module.named_parameters())))
    ]
    if problems:
        return replace(found, problems=tuple(problems[:MOST_PROBLEMS])), None
    state, odd = {}, None
    for module, layer in pairs:
        kept = {
            kind: value.to(torch.float32).clone(memory_format=torch.contiguous_format)
            for kind, value in layer.tensors.items()
        }
        odd = odd or not_finite({f"{layer.name}.{kind}": value for kind, value in kept.items()})
        state.update({f"{names[module]}.{kind}": value for kind, value in kept.items()})
    if odd:
        return replace(found, problems=(odd,)), None
    network.load_state_dict(state, assign=True)
    return found, network


def _shapes(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{kind} {list(tensors[kind].shape)}" for kind in sorted(tensors))


def tensors_of(network: GeneratorNetwork | DiscriminatorNetwork, family: str) -> dict[str, Tensor]:
    """The tensors of a network under the names that a family gives them: what `load_generator` reads."""
    (names,) = (one for one in FAMILIES if one.name == family)
    if isinstance(network, GeneratorNetwork):
        color, attention = (name.split(".")[0] for name in names.heads["generator"])
        heads = {"color": color, "attention": attention}
    else:
        heads = dict(zip(("patches", "aus"), names.heads["discriminator"], strict=True))
    named = {}
    for name, value in network.state_dict().items():
        part, _, rest = name.partition(".")
        rest = rest.replace("trunk", names.trunk)  # of residual blocks
        named[f"{heads.get(part, names.trunk)}.{rest}"] = value.detach().cpu().contiguous()
    return named
