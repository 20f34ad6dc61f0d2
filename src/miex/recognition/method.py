"""What every recognizer's method has in common, and the list of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from miex.errors import UsageError
from miex.executors.base import Progress, silent
from miex.plugins import Registry
from miex.recognition.machine import Machine
from miex.recognition.recipe import Recipe
from miex.recognition.view import REAL, View

if TYPE_CHECKING:
    from miex.recognition.checkpoints import TrainingFolder

# One file per recognizer, imported only when asked for.
METHODS = Registry(
    "recognizer",
    "miex.recognizers",
    {
        "ststnet": "miex.recognition.networks.ststnet:STSTNet",
        "ststnet-authors": "miex.recognition.networks.ststnet_authors:STSTNetAuthors",
        "off_apexnet": "miex.recognition.networks.off_apexnet:OffApexNet",
        "htnet": "miex.recognition.networks.htnet:HTNet",
        "flow_resnet18": "miex.recognition.networks.flow_resnet18:FlowResNet18",
        "hoof_svm": "miex.recognition.handcrafted.hoof_svm:HoofSVM",
    },
    base="miex.recognition.method:Method",
)
COLUMNS = ("epoch", "step", "loss", "learning_rate", "validation_loss")

# Called after each epoch with its number and a function that predicts.
EachEpoch = Callable[[int, Callable[[View], npt.NDArray[np.float32]]], None]


@dataclass(frozen=True)
class Run:
    """What surrounds a training and changes none of its numbers, but for the seed.

    Attributes:
        seed: of all draws.
        machine: devices and threads.
        progress: called after each step; its note is the loss.
        each_epoch: called after each epoch.
        kept: where checkpoints and the log lie, if they are kept.
        checkpoint_seconds: at least so long between two checkpoints.
    """

    seed: int = 0
    machine: Machine = field(default_factory=Machine)
    progress: Progress = silent
    each_epoch: EachEpoch | None = None
    kept: TrainingFolder | None = None
    checkpoint_seconds: float = 20.0


class Method(nn.Module, ABC):  # type: ignore[misc]
    """How classes are told from prepared examples, and how that is learned: networks and hand-crafted ones alike.

    As a function it maps float32 [n, *shape], as its input prepares them, to logits float32 [n, classes].

    Attributes:
        citation: the paper.
        published: its parameter count in print and why ours differs, or that none is printed.
        inputs: names of the inputs that it accepts.
        fine_tunes: whether it can go on from a trained one.
        classifier: the last layer: all that depends on the classes.
    """

    citation: ClassVar[str]
    published: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    fine_tunes: ClassVar[bool]
    classifier: nn.Linear

    def __init__(self, shape: Sequence[int], classes: int) -> None:
        super().__init__()
        self.shape, self.classes = tuple(shape), classes

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch."""

    @abstractmethod
    def fit(self, view: View, recipe: Recipe, run: Run) -> list[dict[str, Any]]:
        """Learn from the examples of a view, a batch at a time; every draw comes from torch's own generator.

        Returns:
            The log, COLUMNS of each epoch; the last loss is the training's.

        Raises:
            InputError: a loss that is not finite; a checkpoint that is not of this training.
        """

    def new_head(self, classes: int) -> None:
        """A fresh last layer for another label space; everything before it stays."""
        self.classifier = nn.Linear(self.classifier.in_features, classes)
        self.classes = classes

    @property
    def parameter_count(self) -> int:
        """Learnable numbers."""
        return sum(p.numel() for p in self.parameters())


def method_class(name: str) -> type[Method]:
    """The class of the recognizer of that name.

    Raises:
        UsageError: no such recognizer.
    """
    kind: type[Method] = METHODS.load(name)
    return kind


def make_method(recipe: Recipe, classes: int) -> Method:
    """The method of a recipe, not yet trained.

    Raises:
        UsageError: no such recognizer, or it cannot look at the recipe's input.
        InputError: a package's recognizer that cannot be made.
    """
    kind, takes = method_class(recipe.recognizer), recipe.takes
    if takes.name not in kind.inputs:
        raise UsageError(
            f"recognizer {recipe.recognizer}",
            expected=f"a recipe with input {' or '.join(kind.inputs)}",
            found=f"input {takes.name}",
        )
    made: Method = METHODS.make(recipe.recognizer, takes.seen_shape, classes)
    return made


def balanced(view: View, recipe: Recipe) -> bool:
    """Whether classes are weighed by the inverse of their frequency: in real data, if the recipe says so."""
    return recipe.balance_real and set(view.rows["source"].to_pylist()) == {REAL}
