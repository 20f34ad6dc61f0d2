"""Backbones: networks that were published with weights trained on ImageNet, without their last layer.

Their weights have the names under which they were published: those of torchvision for ResNet-18 and VGG-16, and those
of the package that carries EfficientNet-Lite0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from miex.errors import UsageError


class Backbone(nn.Module, ABC):  # type: ignore[misc]
    """A network from color frames to features.

    Attributes:
        width: number of features.
        last: beginning of the names of its last layer in published weights, which the backbone does not have.
        published: its number of parameters with the last layer, for the 1,000 classes of ImageNet.
        normalize: scaling of frames that its weights were trained on (see `inputs.frames`).
        smallest: side of the smallest frame of which a position is left at the end, in pixels.
    """

    normalize: ClassVar[str] = "imagenet"
    smallest: ClassVar[int] = 1
    width: ClassVar[int]
    last: ClassVar[str]
    published: ClassVar[int]

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Features, float32 [n, width], of frames, float32 [n, 3, s, s]."""

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Load published weights, except those of the last layer.

        Raises:
            RuntimeError: names or shapes are those of another network.
        """
        kept = {name: value for name, value in weights.items() if not name.startswith(self.last)}
        # how many batches were seen is missing from older files, and makes no difference
        unsaid = {name: value for name, value in self.state_dict().items() if name.endswith("num_batches_tracked")}
        self.load_state_dict({**unsaid, **kept})


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


class ResNet18(Backbone):
    """ResNet-18 of He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.

    Layers: [3, s, s] → conv 7×7 (stride 2), batch norm, ReLU, max-pool 3 (stride 2) → four stages of two blocks, with
    64, 128, 256 and 512 maps, each but the first halving the size → mean over positions → 512.
    """

    width = 512
    last = "fc."
    published = 11_689_512  # torchvision's resnet18

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        width_in = 64
        for i, width in enumerate((64, 128, 256, 512), 1):
            blocks = nn.Sequential(BasicBlock(width_in, width, 1 if i == 1 else 2), BasicBlock(width, width, 1))
            setattr(self, f"layer{i}", blocks)
            width_in = width
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
        return self.stages(x)[-1].mean((2, 3))


class VGG16(Backbone):
    """VGG-16 of Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015.

    Layers: [3, s, s] → five stages of 2, 2, 3, 3 and 3 convolutions 3×3 with ReLU, with 64, 128, 256, 512 and 512 maps,
    each stage ending in max-pool 2 → 512 maps averaged to 7 × 7 → 25,088 → 4,096 → 4,096, with ReLU and dropout 0.5
    after both. With s = 224 the maps are 7 × 7 without averaging.
    """

    width = 4096
    last = "classifier.6."
    smallest = 32  # five pools
    published = 138_357_544  # torchvision's vgg16

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width_in = 3
        for width, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(convolutions):
                layers += [nn.Conv2d(width_in, width, 3, padding=1), nn.ReLU()]
                width_in = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        hidden = [nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()]
        self.classifier = nn.Sequential(*hidden)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return features


class _Convolution(nn.Conv2d):  # type: ignore[misc]
    """A convolution that pads as TensorFlow does, where the network was trained: more on the right and below."""

    def forward(self, x: Tensor) -> Tensor:
        padding: list[int] = []
        for side, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            missing = max(0, (-(-side // stride) - 1) * stride + kernel - side)
            padding += [missing // 2, missing - missing // 2]
        return F.conv2d(F.pad(x, padding), self.weight, None, self.stride, 0, 1, self.groups)


def _norm(width: int) -> nn.Module:
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)  # TensorFlow's momentum of 0.99


class InvertedBlock(nn.Module):  # type: ignore[misc]
    """Widen by a 1×1 convolution, convolve each map by itself, and narrow by a 1×1 convolution.

    ReLU6 follows the first two, batch norm all three. Where size and width stay, the input is added to the output.
    Source: Sandler et al., MobileNetV2, CVPR 2018; here without squeeze and excitation.
    """

    def __init__(self, width_in: int, width: int, *, kernel: int, stride: int, widen: int) -> None:
        super().__init__()
        wide = width_in * widen
        self.adds = stride == 1 and width_in == width
        self.widens = widen > 1
        if self.widens:
            self._expand_conv = _Convolution(width_in, wide, 1, bias=False)
            self._bn0 = _norm(wide)
        self._depthwise_conv = _Convolution(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._project_conv = _Convolution(wide, width, 1, bias=False)
        self._bn2 = _norm(width)

    def forward(self, x: Tensor) -> Tensor:
        kept = x
        if self.widens:
            x = F.relu6(self._bn0(self._expand_conv(x)))
        x = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(x)))))
        return x + kept if self.adds else x


class EfficientNetLite0(Backbone):
    """EfficientNet-Lite0, which is EfficientNet-B0 without squeeze and excitation, and with ReLU6 in place of swish.

    Layers: [3, s, s] → conv 3×3 (stride 2), batch norm, ReLU6, 32 → 16 inverted blocks in seven stages (STAGES) → conv
    1×1, batch norm, ReLU6, 1,280 → mean over positions → dropout 0.2 → 1,280.

    Source: Tan & Le, EfficientNet, ICML 2019; Google's lite variants of 2020.
    """

    normalize = "symmetric"
    width = 1280
    last = "_fc."
    published = 4_652_008  # counted in the published weights
    # maps, blocks, kernel, stride of the first block, and how much wider the inside of a block is
    STAGES = (
        (16, 1, 3, 1, 1), (24, 2, 3, 2, 6), (40, 2, 5, 2, 6), (80, 3, 3, 2, 6),
        (112, 3, 5, 1, 6), (192, 4, 5, 2, 6), (320, 1, 3, 1, 6),
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _Convolution(3, 32, 3, 2, bias=False)
        self._bn0 = _norm(32)
        self._blocks = nn.ModuleList()
        width_in = 32
        for width, blocks, kernel, stride, widen in self.STAGES:
            for i in range(blocks):
                block = InvertedBlock(width_in, width, kernel=kernel, stride=1 if i else stride, widen=widen)
                self._blocks.append(block)
                width_in = width
        self._conv_head = _Convolution(320, self.width, 1, bias=False)
        self._bn1 = _norm(self.width)
        self._dropout = nn.Dropout(0.2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.out_channels * module.kernel_size[0] ** 2 // module.groups
                nn.init.normal_(module.weight, 0, (2 / fan_out) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        features: Tensor = self._dropout(F.relu6(self._bn1(self._conv_head(x))).mean((2, 3)))
        return features


BACKBONES: dict[str, type[Backbone]] = {
    "resnet18": ResNet18,
    "vgg16": VGG16,
    "efficientnet-lite0": EfficientNetLite0,
}


def make_backbone(name: str, side: int) -> Backbone:
    """Make an untrained backbone. Raises UsageError if frames of this side are too small for it."""
    kind = BACKBONES[name]
    prove_side(kind, name, side)
    return kind()


def prove_side(kind: type[Backbone], name: str, side: int) -> None:
    """Raises UsageError if frames of this side are too small for a backbone."""
    if side < kind.smallest:
        raise UsageError(
            f"frames with a side of {side} pixels for backbone {name}", expected=f"{kind.smallest} or more",
            do="choose a larger `side`",
        )  # fmt: skip


def head(width: int, *hidden: int) -> nn.Sequential:
    """Fully connected layers width → hidden …, each with ReLU and dropout 0.5."""
    widths = (width, *hidden)
    layers: list[nn.Module] = []
    for i in range(len(hidden)):
        layers += [nn.Linear(widths[i], widths[i + 1]), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers)
