"""The base of all recognizers, and the registry of their names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from miex.errors import UsageError
from miex.executors.base import Progress, silent
from miex.executors.machine import Machine
from miex.plugins import Registry
from miex.recognition.recipe import Recipe
from miex.recognition.view import REAL, View

if TYPE_CHECKING:
    from miex.storage.training import TrainingFolder

# One file per recognizer, which is imported only when its name is used.
METHODS = Registry(
    "recognizer",
    "miex.recognizers",
    {
        "ststnet": "miex.recognition.networks.ststnet:STSTNet",
        "ststnet-authors": "miex.recognition.networks.ststnet_authors:STSTNetAuthors",
        "off-apexnet": "miex.recognition.networks.off_apexnet:OffApexNet",
        "htnet": "miex.recognition.networks.htnet:HTNet",
        "flow-resnet18": "miex.recognition.networks.flow_resnet18:FlowResNet18",
        "branches": "miex.recognition.networks.branches:Branches",
        "apexme": "miex.recognition.networks.apexme:ApexME",
        "dtscnn": "miex.recognition.networks.dtscnn:DTSCNN",
        "tlcnn": "miex.recognition.networks.tlcnn:TLCNN",
        "elrcn": "miex.recognition.networks.elrcn:ELRCN",
        "hoof": "miex.recognition.handcrafted.hoof:HOOF",
        "lbp-top": "miex.recognition.handcrafted.lbp_top:LBPTOP",
        "dcp-top": "miex.recognition.handcrafted.dcp_top:DCPTOP",
        "fdm": "miex.recognition.handcrafted.fdm:FDM",
        "3dhog": "miex.recognition.handcrafted.hog_3d:HOG3D",
    },
    base="miex.recognition.method:Method",
)
COLUMNS = ("epoch", "step", "loss", "learning_rate", "validation_loss")

# Called after each epoch with its number and a function that predicts.
EachEpoch = Callable[[int, Callable[[View], npt.NDArray[np.float32]]], None]


@dataclass(frozen=True)
class Run:
    """The circumstances of a training. Apart from the seed, they are no part of what decides its weights.

    Attributes:
        seed: random seed of all draws.
        machine: devices and threads.
        progress: called after each step; its note is the loss.
        each_epoch: called after each epoch with its number and a function that predicts.
        kept: folder of log and checkpoints; None: they are not kept.
        checkpoint_seconds: least time between two checkpoints, in seconds.
        workers: processes that render examples of views that are not stored.
    """

    seed: int = 0
    machine: Machine = field(default_factory=Machine)
    progress: Progress = silent
    each_epoch: EachEpoch | None = None
    kept: TrainingFolder | None = None
    checkpoint_seconds: float = 20.0
    workers: int = 1


class Method(nn.Module, ABC):  # type: ignore[misc]
    """A recognizer's way to classify prepared examples, and to learn it: a network, or a classifier of descriptors.

    Called with prepared examples, float32 [n, *shape], it returns logits, float32 [n, classes].

    Attributes:
        citation: the paper that it comes from.
        published: its published number of parameters and why ours differs, or that none is published.
        inputs: names of the inputs that it accepts.
        recipe: name of the recipe that it is trained by if no other is chosen.
        backbones: names of the backbones that it can have (see `networks.backbones`); the first is its own.
        fine_tunes: whether training can start from a trained one.
        classifier: the last layer, the only one that depends on the classes.
    """

    citation: ClassVar[str]
    published: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    recipe: ClassVar[str] = "fixed"
    backbones: ClassVar[tuple[str, ...]] = ()
    fine_tunes: ClassVar[bool]
    classifier: nn.Linear

    def __init__(self, shape: Sequence[int], classes: int) -> None:
        super().__init__()
        self.shape, self.classes = tuple(shape), classes

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Logits, float32 [n, classes], of prepared examples, float32 [n, *shape]."""

    @abstractmethod
    def fit(self, view: View, recipe: Recipe, run: Run) -> list[dict[str, Any]]:
        """Learn from the examples of a view, batch by batch. Torch's global generator makes every draw.

        Returns:
            The log: a dict with the keys COLUMNS for each epoch. The last loss is recorded as that of the training.

        Raises:
            InputError: a loss is not finite, or a checkpoint cannot be used.
        """

    def new_head(self, classes: int) -> None:
        """Replace the last layer by a new one for another number of classes; all other layers stay."""
        self.classifier = nn.Linear(self.classifier.in_features, classes)
        self.classes = classes

    @property
    def parameter_count(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.parameters())


def method_class(name: str) -> type[Method]:
    """The class of the recognizer of that name.

    Raises:
        UsageError: there is no such recognizer.
        InputError: the recognizer of an installed package cannot be imported.
    """
    kind: type[Method] = METHODS.load(name)
    return kind


def make_method(recipe: Recipe, classes: int) -> Method:
    """Make the untrained recognizer of a recipe.

    Raises:
        UsageError: there is no such recognizer, or it accepts neither the recipe's input nor its backbone.
        InputError: the recognizer of an installed package cannot be imported or created.
    """
    kind, takes = method_class(recipe.recognizer), recipe.takes
    if takes.name not in kind.inputs:
        raise UsageError(
            f"recognizer {recipe.recognizer}", expected=f"input {' or '.join(kind.inputs)}",
            found=f"input {takes.name} in the recipe", do="choose another recognizer, or a recipe with another input",
        )  # fmt: skip
    if recipe.backbone is None:
        options = {}
    elif recipe.backbone in kind.backbones:
        options = {"backbone": recipe.backbone}
    else:
        raise UsageError(
            f"recognizer {recipe.recognizer} with backbone {recipe.backbone}",
            expected=f"backbone {' or '.join(kind.backbones)}" if kind.backbones else "no backbone: it has none",
            do="leave `backbone` out, or choose a recognizer that has it",
        )  # fmt: skip
    made: Method = METHODS.make(recipe.recognizer, takes.seen_shape, classes, **options)
    return made


def parameters_of(recipe: Recipe, classes: int) -> int:
    """The number of parameters of a recipe's recognizer, counted without memory for them. Errors as `make_method`."""
    with torch.device("meta"):
        return make_method(recipe, classes).parameter_count


def prove_fine_tunes(recognizer: str) -> None:
    """Raises UsageError if training of this recognizer cannot start from a trained one."""
    if not method_class(recognizer).fine_tunes:
        raise UsageError(
            f"fine-tuning {recognizer}", expected="a recognizer that is trained step by step",
            do="train it jointly instead: it is fitted in one step, without initial weights",
        )  # fmt: skip


def balanced(view: View, recipe: Recipe) -> bool:
    """Whether to weight classes by the inverse of their frequency: for real examples, if the recipe says so."""
    return recipe.balance_real and set(view.rows["source"].to_pylist()) == {REAL}
