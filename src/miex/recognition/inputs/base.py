"""What a recognizer looks at: how an input is made of frames, and made ready for a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from miex.errors import UsageError, first_wrong
from miex.faces.crop import CropOptions
from miex.images import Image
from miex.plugins import Registry

if TYPE_CHECKING:
    from torch import Tensor

INPUTS = Registry(
    "input",
    "miex.inputs",
    {
        "flow": "miex.recognition.inputs.flow:FlowMaps",
        "apex": "miex.recognition.inputs.frames:ApexFrame",
        "pair": "miex.recognition.inputs.frames:OnsetApex",
        "clip": "miex.recognition.inputs.clips:GrayClip",
        "flow-clip": "miex.recognition.inputs.clips:FlowClip",
    },
    base="miex.recognition.inputs.base:Input",
)


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of one example, from onset to offset, aligned on the face of the onset; each is decoded when asked.

    Attributes:
        name: of the example, for messages and for what is drawn for it.
        layout: where the face lies in each frame, and the frames' size.
        count: how many there are.
        apex: index of the apex; the onset is 0.
        read: frame at an index, uint8 RGB [size, size, 3].
    """

    name: str
    layout: CropOptions
    count: int
    apex: int
    read: Callable[[int], Image]


class Input(BaseModel, ABC):
    """What a recognizer looks at. Its fields are its settings: plain JSON values, part of a recipe's digest.

    Nothing here needs torch but the batches that come in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str]
    not_stored: ClassVar[frozenset[str]] = frozenset()  # settings of `prepare` alone: they change no stored example

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of one example as it is stored."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """Of the stored examples."""

    @property
    @abstractmethod
    def seen_shape(self) -> tuple[int, ...]:
        """Of one example as a method sees it: [channels, height, width] or [channels, frames, height, width]."""

    @abstractmethod
    def of(self, frames: Frames) -> npt.NDArray[Any]:
        """One example of `shape` and `dtype`. Depends on the frames, their name and the settings alone."""

    def of_array(self, array: npt.NDArray[Any], kind: str) -> npt.NDArray[Any]:
        """One example of an array that somebody has made in the same convention, such as a map of a flow file.

        Raises:
            UsageError: this input cannot be made of such arrays.
        """
        raise UsageError(f"{kind} as input {self.name!r}", expected="frames: a set, or clips of a corpus")

    @abstractmethod
    def prepare(self, batch: Tensor) -> Tensor:
        """A stored batch [n, *shape] as a method sees it: float32 [n, *seen_shape]. No example looks at another."""

    @abstractmethod
    def mirror(self, batch: Tensor) -> Tensor:
        """The mirror image of a prepared batch, as if it had been made of mirrored frames."""

    def described(self) -> dict[str, Any]:
        """Its name and all its settings."""
        return {"name": self.name, **self.model_dump(mode="json")}

    def stored(self) -> dict[str, Any]:
        """Its name and the settings that stored examples depend on."""
        return {key: value for key, value in self.described().items() if key not in self.not_stored}


def make_input(described: dict[str, Any]) -> Input:
    """The input of that name and those settings; settings that are left out have their defaults.

    Raises:
        UsageError: no such input, or settings that it cannot have.
    """
    settings = dict(described)
    kind: type[Input] = INPUTS.load(str(settings.pop("name", "")))
    try:
        return kind(**settings)
    except ValidationError as error:
        where, expected, found = first_wrong(error)
        raise UsageError(f"input {kind.name}: {where or kind.name}", expected=expected, found=found) from error
