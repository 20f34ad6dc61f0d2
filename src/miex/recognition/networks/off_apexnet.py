"""Off-ApexNet, a two-stream network on optical flow.

Source: Gan, Liong, Yau, Huang, Tan, "OFF-ApexNet on micro-expression recognition system", Signal Processing: Image
Communication 74, 2019.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, cat, nn

from miex.recognition.networks.base import Network


def stream() -> nn.Sequential:
    """Layers of one stream: [1, s, s] → twice (conv 5×5 of the same size, ReLU, max-pool 2), with 6 and 16 maps →
    [16, s/4, s/4]."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
    )  # fmt: skip


class OffApexNet(Network):
    """Two streams, one for u and one for v, joined by two fully connected layers. Strain is not used.

    Layers: u and v, [1, 28, 28] each → streams, [16, 7, 7] each → joined, 1,568 → 1,024 → 1,024 → classes, with ReLU
    between the fully connected layers.
    """

    inputs = ("flow",)
    citation = "Gan et al., OFF-ApexNet on micro-expression recognition system, Signal Process. Image Commun. 74, 2019"
    published = (
        "2.66 million by the authors of Off-TANet (the README of their code). Ours with maps of side 28 and 3 classes: "
        "2,664,475: 2 × 2,572 in the streams, 1,606,656 in the layer 1,568 → 1,024, 1,049,600 in 1,024 → 1,024, and "
        "3,075 in 1,024 → 3"
    )

    def __init__(self, shape: Sequence[int] = (3, 28, 28), classes: int = 3) -> None:
        super().__init__(shape, classes)
        self.u, self.v = stream(), stream()
        self.hidden = nn.Sequential(
            nn.Linear(2 * 16 * (shape[-1] // 4) ** 2, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU()
        )
        self.classifier = nn.Linear(1024, classes)

    def join(self, x: Tensor) -> Tensor:
        """The output of both streams, joined: [n, 2·16·(s/4)²]."""
        return cat([self.u(x[:, :1]).flatten(1), self.v(x[:, 1:2]).flatten(1)], 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.hidden(self.join(x)))
        return logits
