"""The base of hand-crafted recognizers: a linear support vector machine on a descriptor without parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from miex.errors import InputError
from miex.recognition.method import COLUMNS, Method, Run, balanced
from miex.recognition.recipe import Recipe
from miex.recognition.recognizer import pieces, prepared
from miex.recognition.view import View

C = 1.0  # scikit-learn's default
_PIECE = 4  # examples described at once: what is computed on the way stays in the cache of a processor


class LinearSVM(Method):
    """A linear support vector machine on a descriptor. It is solved exactly, without epochs, seed or validation.

    Probabilities are the softmax of its decision values; they rank the classes, but are not calibrated.

    Attributes:
        width: length of a descriptor.
    """

    fine_tunes = False
    width: ClassVar[int]

    def __init__(self, shape: Sequence[int] = (3, 28, 28), classes: int = 3) -> None:
        super().__init__(shape, classes)
        self.classifier = nn.Linear(self.width, classes)

    @abstractmethod
    def descriptor(self, x: Tensor) -> Tensor:
        """The descriptors of a few prepared examples, float32 [n, width]. Each depends on its own example only."""

    def descriptors(self, x: Tensor) -> Tensor:
        """The descriptors of any number of prepared examples, float32 [n, width]."""
        return torch.cat([self.descriptor(piece) for piece in x.split(_PIECE)])

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.descriptors(x))
        return logits

    def fit(self, view: View, recipe: Recipe, run: Run) -> list[dict[str, Any]]:
        """Fit the machine. The log has a single row, with the mean hinge loss on the training examples.

        Raises:
            InputError: all examples are of the same class.
        """
        if len(set(view.labels.tolist())) < 2:
            raise InputError(
                f"training {recipe.recognizer}", expected="examples of at least two classes", found="one class",
                do="add examples of other classes: a support vector machine learns to separate classes",
            )  # fmt: skip
        found = torch.cat([self.descriptors(prepared(piece, recipe.takes)) for piece in pieces(view)])
        loss = self.solve(found, torch.from_numpy(view.labels), balanced=balanced(view, recipe))
        run.progress(1, 1, f"loss {loss:.3f}")
        return [dict(zip(COLUMNS, (0, 1, loss, 0.0, None), strict=True))]

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def solve(self, descriptors: Tensor, labels: Tensor, *, balanced: bool) -> float:
        """Fit the machine to descriptors [n, width] of classes [n]; returns the mean hinge loss on them.

        With `balanced`, classes are weighted by the inverse of their frequency.
        """
        from sklearn.svm import LinearSVC  # comes with the extra `train`

        kind = "balanced" if balanced else None
        machine = LinearSVC(C=C, class_weight=kind, dual=False, tol=1e-6, max_iter=10_000)
        machine.fit(descriptors.double().numpy(), labels.numpy())
        weight, bias = torch.from_numpy(machine.coef_), torch.from_numpy(machine.intercept_)
        if len(weight) == 1:  # two classes: one plane, whose other side is the first class
            weight, bias = torch.cat([-weight, weight]), torch.cat([-bias, bias])
        # a class without a training example is never predicted
        self.classifier.weight.zero_()
        self.classifier.bias.fill_(-1e4)
        seen = torch.from_numpy(machine.classes_)
        self.classifier.weight[seen] = weight.float()
        self.classifier.bias[seen] = bias.float()
        sign = nn.functional.one_hot(labels, self.classes) * 2.0 - 1
        return float((1 - sign * self.classifier(descriptors)).clamp_min(0)[:, seen].mean())
