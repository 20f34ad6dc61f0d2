"""Branches: one network for the onset and one for the apex, joined.

Source: Liu, Du, Zheng, Gedeon, "A Neural Micro-Expression Recognizer", FG 2019, as Liu, Wang, Gedeon, Zheng use it in
"How to Synthesize a Large-Scale and Trainable Micro-Expression Dataset?", ECCV 2022.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, cat, nn

from miex.recognition.networks.backbones import BACKBONES, head, make_backbone
from miex.recognition.networks.base import Network


class Branches(Network):
    """Two backbones of the same kind, one for the onset and one for the apex, joined by fully connected layers.

    Layers: onset and apex [3, s, s] → backbone each → joined, 2 × 512 → 128 → 32 → classes, with ReLU and dropout 0.5
    after 128 and 32.

    The ECCV paper does not give the layers; these are those of its authors' code: ResNet-18 trained on ImageNet, with
    weights that the two backbones do not share. Other backbones are an addition of miex.
    """

    inputs = ("pair",)
    recipe = "branches"
    backbones = ("resnet18", "vgg16", "efficientnet-lite0")
    citation = "Liu et al., A Neural Micro-Expression Recognizer, FG 2019, as in Liu et al., ECCV 2022 (MiE-X)"
    published = (
        "None is published. Ours: 22,488,451 with ResNet-18 and three classes, of which 22,353,024 are in the two "
        "backbones"
    )

    def __init__(self, shape: Sequence[int] = (3, 2, 224, 224), classes: int = 3, backbone: str = backbones[0]) -> None:
        super().__init__(shape, classes)
        self.branches = nn.ModuleDict({frame: make_backbone(backbone, shape[-1]) for frame in ("onset", "apex")})
        self.head = head(2 * BACKBONES[backbone].width, 128, 32)
        self.classifier = nn.Linear(32, classes)

    def join(self, x: Tensor) -> Tensor:
        """Features of onset and apex, joined: [n, 2 · width]."""
        return cat([branch(x[:, :, i]) for i, branch in enumerate(self.branches.values())], 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.join(x)))
        return logits
