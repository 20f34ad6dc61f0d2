"""ELRCN, VGG-16 on enriched frames and an LSTM on the frames.

Source: Khor, See, Phan, Lin, "Enriched Long-term Recurrent Convolutional Network for Facial Micro-Expression
Recognition", FG 2018, arXiv 1805.08417; layers and sizes from its authors' code (github.com/IcedDoggie/
Micro-Expression-with-Deep-Learning, commit 2ae489b).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from miex.recognition.networks.backbones import VGG16, prove_side
from miex.recognition.networks.base import Network
from miex.recognition.networks.lstm import gentle_lstm

CHANNELS = 5  # u, v, magnitude, strain and gray
UNITS, HIDDEN = 3000, 128  # of the LSTM, and of the layer after it


class EnrichedVGG16(VGG16):
    """VGG-16 whose first convolution sees five channels: [n, 5, s, s] → [n, 4096]."""

    def __init__(self) -> None:
        super().__init__()
        first = nn.Conv2d(CHANNELS, 64, 3, padding=1)
        nn.init.kaiming_normal_(first.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(first.bias)
        self.features[0] = first

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Load published weights, except those of the last layer.

        Every channel gets the mean of the first convolution's kernels for red, green and blue, times 3/5: five equal
        channels then give what a gray image gave.

        Raises:
            RuntimeError: names or shapes are those of another network.
        """
        name = "features.0.weight"
        if name in weights:
            gray = weights[name].mean(1, keepdim=True) * (3 / CHANNELS)
            weights = {**weights, name: gray.repeat(1, CHANNELS, 1, 1)}
        super().load(weights)


class ELRCN(Network):
    """Features of every frame, from flow, strain and gray together, read in order by an LSTM.

    Layers: each frame [5, s, s] → VGG-16 with five channels → 4,096, after dropout 0.5. The frames' features → LSTM of
    3,000 → its state after the last frame → 128, ReLU → classes.

    This is spatial enrichment (SE) with all five channels, which the code calls st5se: horizontal and vertical flow and
    its magnitude, strain, and gray level. The code has one LSTM layer and says how to add another.

    Departures:

    - The authors train VGG-16 on single frames first, and then the LSTM on its features. Here both are trained
      together, so that one training is enough and all of it can be fine-tuned.
    - Their frames have 224 × 224 pixels. The recipe has 112, since the frames of a set have 128, and it takes a
      quarter of the time. VGG-16 averages its last maps to 7 × 7, so that any side will do.
    - With five channels their code starts from random weights. Here it may start from ImageNet as well (see
      `EnrichedVGG16.load`).
    - Their last layer ends in sigmoids, here in softmax.
    """

    inputs = ("enriched-clip",)
    recipe = "elrcn"
    backbones = ("vgg16",)
    citation = "Khor et al., Enriched Long-term Recurrent Convolutional Network, FG 2018, arXiv 1805.08417"
    published = "No count is known to us. Ours: 219,822,211, of which 134,261,696 in VGG-16 and 85,176,000 in the LSTM"

    def __init__(self, shape: Sequence[int] = (5, 9, 112, 112), classes: int = 3, backbone: str = "vgg16") -> None:
        super().__init__(shape, classes)
        prove_side(EnrichedVGG16, backbone, shape[-1])
        self.cnn = EnrichedVGG16()
        self.lstm = gentle_lstm(self.cnn.width, UNITS)
        self.hidden = nn.Sequential(nn.Linear(UNITS, HIDDEN), nn.ReLU())
        self.classifier = nn.Linear(HIDDEN, classes)

    def features(self, x: Tensor) -> Tensor:
        """Features of every frame, [n, frames, 4096]."""
        frames = x.transpose(1, 2).flatten(0, 1)
        return self.cnn(frames).unflatten(0, (len(x), -1))

    def forward(self, x: Tensor) -> Tensor:
        _, (state, _) = self.lstm(self.features(x))
        logits: Tensor = self.classifier(self.hidden(state[-1]))
        return logits
