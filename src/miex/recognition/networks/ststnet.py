"""STSTNet, a shallow network of three streams on optical flow.

Source: Liong, Gan, See, Khor, Huang, "Shallow Triple Stream Three-dimensional CNN (STSTNet) for Micro-expression
Recognition", FG 2019.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, cat, nn
from torch.nn import functional as F

from miex.recognition.networks.base import Network

STREAMS = (3, 5, 8)  # maps of the three streams


class STSTNet(Network):
    """Three shallow streams of 3, 5 and 8 kernels on the same u, v and strain, joined.

    Layers: [3, s, s] → per stream: conv 3×3 (pad 2), ReLU, max-pool 3 (stride 3, pad 1), batch norm, dropout 0.5 →
    joined, [16, (s + 4) // 3, (s + 4) // 3] → average-pool 2 → classes. With s = 28: [16, 10, 10] → [16, 5, 5] →
    400 → 3.

    Batch norm is missing from the figure in the paper, but is in the authors' code. The order of ReLU and max-pool
    makes no difference.
    """

    inputs = ("flow",)
    citation = "Liong et al., Shallow Triple Stream Three-dimensional CNN (STSTNet), FG 2019"
    published = (
        "The paper states 1,670. Its layers have 1,651: 448 in the 16 kernels of 3·3·3 and their biases, and 1,203 in "
        "the layer 400 → 3; it does not say what the other 19 are. Ours: 1,683, which adds 32 of batch norm"
    )

    def __init__(self, shape: Sequence[int] = (3, 28, 28), classes: int = 3) -> None:
        super().__init__(shape, classes)
        self.streams = nn.ModuleList(nn.Conv2d(3, maps, 3, padding=2) for maps in STREAMS)
        self.norm = nn.BatchNorm2d(sum(STREAMS))  # it works on each map by itself, so one does for all streams
        self.dropout = nn.Dropout(0.5)
        pooled = ((shape[-1] + 4) // 3) // 2
        self.classifier = nn.Linear(sum(STREAMS) * pooled**2, classes)

    def convolved(self, x: Tensor) -> Tensor:
        """The convolutions of the three streams, joined: [n, 16, s + 2, s + 2]."""
        # one convolution with the kernels of all streams takes a third of the time of three
        weight, bias = (cat([getattr(stream, name) for stream in self.streams]) for name in ("weight", "bias"))
        return F.conv2d(x, weight, bias, padding=2)

    def join(self, x: Tensor) -> Tensor:
        """The output of the three streams, joined: [n, 16, (s + 4) // 3, (s + 4) // 3]."""
        x = F.max_pool2d(self.convolved(x), 3, 3, 1).relu()
        joined: Tensor = self.dropout(self.norm(x))
        return joined

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(F.avg_pool2d(self.join(x), 2).flatten(1))
        return logits
