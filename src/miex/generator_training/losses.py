"""The losses of GANimation (Pumarola et al. 2018, section 4.2), each a mean over the batch."""

from __future__ import annotations

import torch
from torch import Tensor

from miex.generators.ganimation.networks import DiscriminatorNetwork


def gradient_penalty(network: DiscriminatorNetwork, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """How far the discriminator's slope is from 1 between photos and painted pictures (Gulrajani et al. 2017).

    The slope is that of the sum of its patches' scores, as in both families' code.

    Args:
        network: the discriminator.
        real, fake: pictures, float32 [n, 3, s, s].
        share: of the photo in the picture between the two, float32 [n], in [0, 1].
    """
    between = torch.lerp(fake, real, share[:, None, None, None]).requires_grad_()
    scores, _ = network(between)
    (slope,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
    return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()


def total_variation(attention: Tensor) -> Tensor:
    """Sum of absolute differences between neighboring pixels of a map [n, 1, s, s], mean over maps."""
    down = (attention[..., 1:, :] - attention[..., :-1, :]).abs().sum()
    right = (attention[..., 1:] - attention[..., :-1]).abs().sum()
    return (down + right) / len(attention)
