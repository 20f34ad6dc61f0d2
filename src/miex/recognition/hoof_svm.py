"""HOOF + SVM: Chaudhry, Ravichandran, Hager, Vidal, "Histograms of oriented optical flow …", CVPR 2009."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from miex.recognition.network import Network

BLOCKS, BINS = 4, 8
C = 1.0  # scikit-learn's default


class HoofSVM(Network):
    """Histograms of flow directions, weighted by length, in 4 × 4 blocks; a linear support vector machine.

    (u, v) [2, s, s] → 16 blocks × 8 directions, each block's histogram summing to 1 → 128 → classes.
    Departures from the paper: it bins by the angle to the horizontal, left and right alike, over the whole frame; here
    left and right differ and blocks keep the place, without which brows and mouth corners cannot be told apart. Only
    the last layer is fitted (`solve`), once and exactly: no epochs, no seed. Probabilities are the softmax of the
    machine's decision values: ranked, not calibrated.
    """

    citation = "Chaudhry et al., Histograms of Oriented Optical Flow and Binet-Cauchy Kernels, CVPR 2009"
    published = (
        "none: the descriptor has no parameters; the machine has 128 weights and a bias per class, 387 for three"
    )

    def __init__(self, side: int = 28, classes: int = 3) -> None:
        super().__init__(side, classes)
        self.classifier = nn.Linear(BLOCKS**2 * BINS, classes)

    def histograms(self, x: Tensor) -> Tensor:
        """[n, 128], rows of blocks first; a block without flow is all zero."""
        n, _, s, _ = x.shape
        u, v = x[:, 0], x[:, 1]
        length = torch.sqrt(u * u + v * v)
        direction = (
            torch.floor((torch.atan2(v, u) / (2 * math.pi) + 1 / (2 * BINS)) % 1 * BINS).long().clamp(0, BINS - 1)
        )
        block = torch.arange(s, device=x.device) * BLOCKS // s
        cell = (block[:, None] * BLOCKS + block[None]) * BINS + direction
        counts = torch.zeros(n, BLOCKS**2 * BINS, device=x.device, dtype=x.dtype)
        counts.scatter_add_(1, cell.flatten(1), length.flatten(1))
        each = counts.reshape(n, -1, BINS)
        return (each / each.sum(-1, keepdim=True).clamp_min(1e-12)).flatten(1)

    def solve(self, x: Tensor, labels: Tensor, *, balanced: bool) -> float:
        """Fit the machine to maps [n, 3, s, s] and classes [n]; returns the mean hinge loss on them."""
        from sklearn.svm import LinearSVC  # of the extra `train`

        kind = "balanced" if balanced else None
        features = self.histograms(x).double().cpu().numpy()
        machine = LinearSVC(C=C, class_weight=kind, dual=False, tol=1e-6, max_iter=10_000)
        machine.fit(features, labels.cpu().numpy())
        weight, bias = torch.from_numpy(machine.coef_), torch.from_numpy(machine.intercept_)
        if len(weight) == 1:  # two classes: one plane, whose other side is the first class
            weight, bias = torch.cat([-weight, weight]), torch.cat([-bias, bias])
        with torch.no_grad():
            # a class that the labels never show must not be chosen
            self.classifier.weight.zero_()
            self.classifier.bias.fill_(-1e4)
            seen = torch.from_numpy(machine.classes_)
            self.classifier.weight[seen] = weight.float().to(x.device)
            self.classifier.bias[seen] = bias.float().to(x.device)
            values = self(x)
            sign = nn.functional.one_hot(labels, self.classes).to(x.device) * 2.0 - 1
            return float((1 - sign * values).clamp_min(0)[:, seen].mean())

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.histograms(x))
        return logits
