"""Off-ApexNet: Gan, Liong, Yau, Huang, Tan, "OFF-ApexNet on micro-expression recognition system", 2019."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, cat, nn

from miex.recognition.networks.base import Network


def stream() -> nn.Sequential:
    """[1, s, s] → two times (conv 5×5 that keeps the size, ReLU, max-pool 2) with 6 and 16 maps → [16, s/4, s/4]."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
    )  # fmt: skip


class OffApexNet(Network):
    """Two streams, one for u and one for v (strain is not looked at), joined by two fully connected layers.

    u, v [1, 28, 28] → streams [16, 7, 7] each → joined 1,568 → 1,024 → 1,024 → classes, ReLU between.
    """

    inputs = ("flow",)
    citation = "Gan et al., OFF-ApexNet on micro-expression recognition system, Signal Process. Image Commun. 74, 2019"
    published = (
        "no count of its own is known to us. Ours at 28: streams 2 · 2,572, 1,568 → 1,024 1,606,656, 1,024 → 1,024 "
        "1,049,600, 1,024 → 3 3,075: 2,664,475"
    )

    def __init__(self, shape: Sequence[int] = (3, 28, 28), classes: int = 3) -> None:
        super().__init__(shape, classes)
        self.u, self.v = stream(), stream()
        self.hidden = nn.Sequential(
            nn.Linear(2 * 16 * (shape[-1] // 4) ** 2, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU()
        )
        self.classifier = nn.Linear(1024, classes)

    def join(self, x: Tensor) -> Tensor:
        """Both streams, joined: [n, 2·16·(s/4)²]."""
        return cat([self.u(x[:, :1]).flatten(1), self.v(x[:, 1:2]).flatten(1)], 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.hidden(self.join(x)))
        return logits
