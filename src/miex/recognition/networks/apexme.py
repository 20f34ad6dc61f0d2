"""ApexME: recognition from the apex frame alone.

Source: Li, Huang, Zhao, "Can Micro-Expression Be Recognized Based on Single Apex Frame?", ICIP 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from miex.recognition.networks.backbones import head, make_backbone
from miex.recognition.networks.base import Network


class ApexME(Network):
    """A backbone on the apex, followed by fully connected layers.

    Layers: apex [3, s, s] → backbone → for VGG-16: 4,096 → classes, as in the paper; for other backbones: 128 → 32 →
    classes, with ReLU and dropout 0.5 after 128 and 32, as in the code of Liu et al., ECCV 2022, which has ResNet-18.

    The paper starts from VGG-Face, whose weights are not free for every use; here VGG-16 starts from ImageNet or from
    random weights.
    """

    inputs = ("apex",)
    recipe = "apexme"
    backbones = ("vgg16", "resnet18", "efficientnet-lite0")
    citation = "Li et al., Can Micro-Expression Be Recognized Based on Single Apex Frame?, ICIP 2018"
    published = (
        "138,357,544 with the 1,000 classes of ImageNet (torchvision's vgg16). Ours: 134,272,835 with VGG-16 and three "
        "classes, where the last layer has 12,291 instead of 4,097,000; 11,246,403 with ResNet-18"
    )

    def __init__(self, shape: Sequence[int] = (3, 224, 224), classes: int = 3, backbone: str = backbones[0]) -> None:
        super().__init__(shape, classes)
        self.backbone = make_backbone(backbone, shape[-1])
        width = self.backbone.width
        self.head = head(width, *(() if backbone == "vgg16" else (128, 32)))
        self.classifier = nn.Linear(width if backbone == "vgg16" else 32, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.backbone(x)))
        return logits
