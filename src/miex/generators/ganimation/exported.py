"""A generator's network in ONNX, for programs without torch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from miex.generators.ganimation.networks import STRIDE, GeneratorNetwork

INPUTS = ("pictures", "aus")
OUTPUTS = ("painted", "color", "attention")
_SIDE = 16 * STRIDE  # of the picture that the network is traced with; others may be of any multiple of 4


class _Plain(nn.Module):  # type: ignore[misc]
    """The network with a plain tuple of outputs."""

    def __init__(self, network: GeneratorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor, aus: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        made = self.network(pictures, aus)
        return made.pictures, made.color, made.attention


def onnx_bytes(network: GeneratorNetwork, facts: Mapping[str, str]) -> bytes:
    """The network as an ONNX file. Needs onnx and onnxscript.

    Inputs: pictures, float32 [n, 3, s, s], in [−1, 1], s a multiple of 4; aus, float32 [n, aus]. Outputs: painted,
    color and attention, as `networks.Painted` describes them. n and s are free.

    Args:
        network: the network, float32 on the CPU.
        facts: what the file says of itself (its metadata).
    """
    plain = _Plain(network).eval()
    free = torch.export.Dim.AUTO
    example = torch.zeros(2, 3, _SIDE, _SIDE), torch.zeros(2, network.form.aus)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns that torchvision, which nothing here needs, is not there
    try:
        with warnings.catch_warnings(action="ignore"):  # torch warns of its own parts
            made = torch.onnx.export(
                plain, example, dynamo=True, verbose=False, input_names=INPUTS, output_names=OUTPUTS,
                dynamic_shapes=({0: free, 2: free, 3: free}, {0: free}),
            )  # fmt: skip
    finally:
        logger.setLevel(level)
    model = made.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # where each layer's code lies on this machine
    for name, value in facts.items():
        model.metadata_props.add(key=name, value=value)
    content: bytes = model.SerializeToString()
    return content
