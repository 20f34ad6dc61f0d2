"""The base of inputs: how frames become an example, and how examples are prepared for a recognizer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

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
        "enriched-clip": "miex.recognition.inputs.clips:EnrichedClip",
    },
    base="miex.recognition.inputs.base:Input",
)


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of one example, from onset to offset, aligned by the face in the onset. None is decoded before use.

    Attributes:
        name: name of the example, which messages and random draws depend on.
        layout: size of the frames, and position of the face in them.
        count: number of frames.
        apex: index of the apex; the index of the onset is 0.
        read: returns the frame at an index, uint8 RGB [size, size, 3].
        varied: whether inputs draw what differs between laboratories, such as the crop of the face: so it is for
            samples of sets. Real clips, on which recognizers are tested, are all treated alike.
    """

    name: str
    layout: CropOptions
    count: int
    apex: int
    read: Callable[[int], Image]
    varied: bool = False


class Input(BaseModel, ABC):
    """An input of recognizers. Its fields are its settings: JSON values that are part of a recipe's digest.

    Only `prepare` and `mirror` use torch.

    Attributes:
        name: name of the input.
        version: grows whenever the same frames and settings give another example.
        pictures: whether prepared examples are pictures, so that training may turn them and change their light.
        not_stored: settings that only `prepare` depends on, so that they do not change stored examples.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str]
    version: ClassVar[int] = 1
    pictures: ClassVar[bool] = False
    not_stored: ClassVar[frozenset[str]] = frozenset()

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one stored example."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """Data type of the stored examples."""

    @property
    @abstractmethod
    def seen_shape(self) -> tuple[int, ...]:
        """Shape of one prepared example: [channels, height, width] or [channels, frames, height, width]."""

    @abstractmethod
    def of(self, frames: Frames) -> npt.NDArray[Any]:
        """Make one example, of `shape` and `dtype`. It depends only on the frames, their name and the settings."""

    def of_array(self, array: npt.NDArray[Any], kind: str) -> npt.NDArray[Any]:
        """Make one example from an array of another program in the convention `kind`, such as "flow maps".

        Raises:
            UsageError: this input cannot be made from such arrays.
        """
        raise UsageError(
            f"{kind} as input {self.name!r}", expected="frames, as in a set or the clips of a corpus",
            do="give data with frames, or choose a recipe with another input",
        )  # fmt: skip

    @abstractmethod
    def prepare(self, batch: Tensor) -> Tensor:
        """Prepare a batch of stored examples [n, *shape] for a recognizer: float32 [n, *seen_shape].

        Each example is prepared independently of the others.
        """

    @abstractmethod
    def mirror(self, batch: Tensor) -> Tensor:
        """The mirror image of a prepared batch, as if made from mirrored frames."""

    @property
    def spans(self) -> Literal["frames", "rise", "clip"]:
        """What it looks at: single frames (onset, apex), all from onset to apex, or the whole clip to its offset."""
        return "frames"

    @property
    def relative(self) -> bool:
        """Whether it tells where a face moves and not how much, so that noise looks as strong as an expression."""
        return False

    def described(self) -> dict[str, Any]:
        """The name and all settings, as JSON values."""
        return {"name": self.name, **self.model_dump(mode="json")}

    def stored(self) -> dict[str, Any]:
        """The name, the version and those settings that stored examples depend on, as JSON values."""
        kept = {key: value for key, value in self.described().items() if key not in self.not_stored}
        return {**kept, "version": self.version}


def make_input(described: dict[str, Any]) -> Input:
    """Make an input from its name and settings; missing settings have their defaults.

    Raises:
        UsageError: there is no such input, or it has no such setting, or a value is out of range.
        InputError: the input of an installed package cannot be imported.
    """
    settings = dict(described)
    kind: type[Input] = INPUTS.load(str(settings.pop("name", "")))
    try:
        return kind(**settings)
    except ValidationError as error:
        where, expected, found = first_wrong(error)
        raise UsageError(f"input {kind.name}: {where or kind.name}", expected=expected, found=found) from error
