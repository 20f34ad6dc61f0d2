"""What every recognizer's network has in common, and the list of them."""

from __future__ import annotations

from importlib import import_module
from typing import ClassVar

from torch import Tensor, nn

from miex.errors import UsageError

# One file per recognizer; imported only when asked for.
NETWORKS = {
    "ststnet": "STSTNet",
    "off_apexnet": "OffApexNet",
    "htnet": "HTNet",
    "flow_resnet18": "FlowResNet18",
    "hoof_svm": "HoofSVM",
}


class Network(nn.Module):  # type: ignore[misc]
    """Maps float [n, 3, side, side] (u, v, strain; normalized) to logits float [n, classes].

    Attributes:
        citation: the paper.
        published: its parameter count in print and why ours differs, or that none is printed.
        classifier: the last layer: all that depends on the classes.
    """

    citation: ClassVar[str]
    published: ClassVar[str]
    classifier: nn.Linear

    def __init__(self, side: int, classes: int) -> None:
        super().__init__()
        self.side, self.classes = side, classes

    def new_head(self, classes: int) -> None:
        """A fresh last layer for another label space; everything before it stays."""
        self.classifier = nn.Linear(self.classifier.in_features, classes)
        self.classes = classes

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch."""
        raise NotImplementedError

    @property
    def parameter_count(self) -> int:
        """Learnable numbers."""
        return sum(p.numel() for p in self.parameters())


def network_class(name: str) -> type[Network]:
    """The class of that name.

    Raises:
        UsageError: no such recognizer.
    """
    if name not in NETWORKS:
        raise UsageError(f"recognizer {name!r}", expected="one of " + ", ".join(NETWORKS))
    found: type[Network] = getattr(import_module(f"miex.recognition.{name}"), NETWORKS[name])
    return found
