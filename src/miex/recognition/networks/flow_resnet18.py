"""ResNet-18 on flow maps.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from miex.recognition.networks.base import Network

WIDTHS = (64, 128, 256, 512)


class BasicBlock(nn.Module):  # type: ignore[misc]
    """Two 3×3 convolutions with batch norm, whose output is added to the input; the first may halve the size."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample: nn.Module | None = None
        if stride > 1 or width_in != width:
            self.downsample = nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        kept = x if self.downsample is None else self.downsample(x)
        added: Tensor = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + kept
        return added.relu()


class FlowResNet18(Network):
    """ResNet-18 on u, v and strain, with random initial weights.

    Layers: [3, s, s] → conv 7×7 (stride 2), batch norm, ReLU, max-pool 3 (stride 2) → four stages of two blocks, with
    64, 128, 256 and 512 maps → mean over positions → classes. With s = 28 the maps of the stages have sides of 7, 4, 2
    and 1.

    Weights have the names that torchvision gives them, but for the last layer (`classifier` instead of `fc`), so that
    `load_torchvision` can read its files.
    """

    inputs = ("flow",)
    citation = "He et al., Deep Residual Learning for Image Recognition, CVPR 2016"
    published = (
        "11,689,512 with the 1,000 classes of ImageNet (torchvision's resnet18). Ours has as many with 1,000 classes, "
        "and 11,178,051 with 3, where the last layer has 1,539 instead of 513,000"
    )

    def __init__(self, shape: Sequence[int] = (3, 28, 28), classes: int = 3) -> None:
        super().__init__(shape, classes)
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        width_in = 64
        for i, width in enumerate(WIDTHS, 1):
            blocks = nn.Sequential(BasicBlock(width_in, width, 1 if i == 1 else 2), BasicBlock(width, width, 1))
            setattr(self, f"layer{i}", blocks)
            width_in = width
        self.classifier = nn.Linear(512, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stages(self, x: Tensor) -> list[Tensor]:
        """The output of each of the four stages, [n, 64 … 512, h, h]."""
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        found = []
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
            found.append(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.stages(x)[-1].mean((2, 3)))
        return logits

    def load_torchvision(self, weights: dict[str, Tensor]) -> None:
        """Load the weights of a state dict of torchvision's resnet18, except those of its last layer.

        Raises:
            RuntimeError: names or shapes are those of another network.
        """
        kept = {key: value for key, value in weights.items() if not key.startswith("fc.")}
        own = {key: value for key, value in self.state_dict().items() if key.startswith("classifier.")}
        self.load_state_dict({**kept, **own})
