"""ResNet-18 on flow maps.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from miex.recognition.networks.backbones import make_backbone
from miex.recognition.networks.base import Network


class FlowResNet18(Network):
    """ResNet-18 on u, v and strain.

    Layers: [3, s, s] → ResNet-18 → 512 → classes. With s = 28 the maps of its stages have sides of 7, 4, 2 and 1.
    """

    inputs = ("flow",)
    backbones = ("resnet18",)
    citation = "He et al., Deep Residual Learning for Image Recognition, CVPR 2016"
    published = (
        "11,689,512 with the 1,000 classes of ImageNet (torchvision's resnet18). Ours has as many with 1,000 classes, "
        "and 11,178,051 with 3, where the last layer has 1,539 instead of 513,000"
    )

    def __init__(self, shape: Sequence[int] = (3, 28, 28), classes: int = 3, backbone: str = backbones[0]) -> None:
        super().__init__(shape, classes)
        self.backbone = make_backbone(backbone, shape[-1])
        self.classifier = nn.Linear(self.backbone.width, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.backbone(x))
        return logits
