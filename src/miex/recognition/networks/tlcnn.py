"""TLCNN, a convolutional network on each frame and an LSTM on the frames.

Source: Wang, Li, Liu, Yan, Ou, Huang, Xu, Fu, "Micro-expression recognition with small sample size by transferring
long-term convolutional neural network", Neurocomputing 312:251-262, 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from miex.errors import UsageError
from miex.recognition.networks.base import Network
from miex.recognition.networks.lstm import gentle_lstm

FEATURES, UNITS = 4096, 256  # of each frame, and of the LSTM
SMALLEST = 63  # frame of which one position is left at the end


class FrameCNN(nn.Module):  # type: ignore[misc]
    """The convolutions of AlexNet (Krizhevsky et al. 2012) and its first full layer: [n, 1, s, s] → [n, 4096].

    As in most later versions, there is no local response normalization, and kernels see all maps.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 96, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(96, 256, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        for layer in self.convolutions:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        rest = (side - 7) // 4 + 1
        for _ in range(3):
            rest = (rest - 3) // 2 + 1
        self.full = nn.Linear(256 * rest**2, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.full(self.convolutions(x).flatten(1)).relu()
        return features


class TLCNN(Network):
    """Features of every frame of a gray clip, read in order by an LSTM.

    Layers: each frame [1, s, s] → conv 11×11 (stride 4, 96), pool; conv 5×5 (256), pool; conv 3×3 (384), conv 3×3
    (384), conv 3×3 (256), pool; full layer, dropout 0.5 → 4,096. Pools are max-pools 3 (stride 2); ReLU follows each
    layer. With s = 128 the pools leave [96, 15, 15], [256, 7, 7] and [256, 3, 3]. The frames' features → LSTM of 256 →
    its state after the last frame → dropout 0.5 → classes.

    The abstract says that a deep CNN gives features of each frame to an LSTM, and that the network is transferred in
    two steps: from images of macro-expressions, and from single frames of micro-expressions. The full text was not at
    hand, so all sizes are a choice: those of LRCN (Donahue et al., CVPR 2015), the long-term recurrent network that
    the name refers to, with the layers of AlexNet up to the first full one. Frames have the size of those of a set.

    Transfer is left to the user: train it on clips of macro-expressions, such as CK+, or on a set, and give the result
    as `start`. All layers are then transferred, and frames are seen in clips, not one by one. Macro-expression data are
    gray in CK+, therefore clips are gray.
    """

    inputs = ("clip",)
    recipe = "tlcnn"
    citation = "Wang et al., Micro-expression recognition … by transferring long-term CNN, Neurocomputing 312, 2018"
    published = (
        "No count is known to us. Ours: 17,624,515 with frames of 128 × 128, more than half of them in the full layer"
    )

    def __init__(self, shape: Sequence[int] = (1, 10, 128, 128), classes: int = 3) -> None:
        """As for every method.

        Raises:
            UsageError: the frames are too small.
        """
        super().__init__(shape, classes)
        if shape[-1] < SMALLEST:
            raise UsageError(
                "recognizer tlcnn", expected=f"frames with a side of at least {SMALLEST}", found=f"side {shape[-1]}",
                do="choose a larger `side`",
            )  # fmt: skip
        self.cnn = FrameCNN(shape[-1])
        self.dropout = nn.Dropout(0.5)
        self.lstm = gentle_lstm(FEATURES, UNITS)
        self.classifier = nn.Linear(UNITS, classes)

    def features(self, x: Tensor) -> Tensor:
        """Features of every frame, [n, frames, 4096]; gray levels are shifted and scaled to -2 … 2 before."""
        frames = (x.transpose(1, 2).flatten(0, 1) - 0.5) * 4
        return self.cnn(frames).unflatten(0, (len(x), -1))

    def forward(self, x: Tensor) -> Tensor:
        _, (state, _) = self.lstm(self.dropout(self.features(x)))
        logits: Tensor = self.classifier(self.dropout(state[-1]))
        return logits
