"""Single frames in color, normalized as for networks trained on ImageNet: the apex, or onset and apex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from miex.images import Image
from miex.recognition.inputs.base import Frames, Input

if TYPE_CHECKING:
    from torch import Tensor

SIDE = 224
# Mean and standard deviation of the channels R, G, B of ImageNet, with values in [0, 1].
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def resized(frame: Image, side: int) -> Image:
    """Resize a square frame: smaller by averaging areas, or larger by bilinear interpolation."""
    if frame.shape[0] == side:
        return frame
    how = cv2.INTER_AREA if side < frame.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(frame, (side, side), interpolation=how), np.uint8)


class _ColorFrames(Input):
    """The base of inputs that are color frames, uint8 RGB [side, side, 3] each, aligned by the face in the onset.

    Attributes:
        side: side of the frames, in pixels.
        normalize: scaling of values for the recognizer. unit: values are divided by 255; imagenet: from these, the mean
            of the channel over ImageNet is subtracted, and the result is divided by its standard deviation, as for
            networks of torchvision; symmetric: (value - 127) / 128, as for those of TensorFlow.
    """

    pictures: ClassVar[bool] = True
    not_stored: ClassVar[frozenset[str]] = frozenset({"normalize"})
    side: int = Field(default=SIDE, ge=16, le=1024)
    normalize: Literal["imagenet", "unit", "symmetric"] = "imagenet"

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def prepare(self, batch: Tensor) -> Tensor:
        x = batch.movedim(-1, 1).float()  # channels first: [n, 3, …, side, side]
        if self.normalize == "symmetric":
            return ((x - 127) / 128).contiguous()
        x = x / 255
        if self.normalize == "imagenet":
            mean, std = (x.new_tensor(values).reshape(1, 3, *[1] * (x.ndim - 2)) for values in (MEAN, STD))
            x = (x - mean) / std
        return x.contiguous()

    def mirror(self, batch: Tensor) -> Tensor:
        return batch.flip(-1)


class ApexFrame(_ColorFrames):
    """The apex frame, uint8 RGB [side, side, 3]; prepared, it is [3, side, side]."""

    name: ClassVar[str] = "apex"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.side, self.side, 3

    @property
    def seen_shape(self) -> tuple[int, ...]:
        return 3, self.side, self.side

    def of(self, frames: Frames) -> npt.NDArray[np.uint8]:
        return resized(frames.read(frames.apex), self.side)


class OnsetApex(_ColorFrames):
    """The frames of onset and apex, uint8 RGB [2, side, side, 3]; prepared, they are [3, 2, side, side]."""

    name: ClassVar[str] = "pair"

    @property
    def shape(self) -> tuple[int, ...]:
        return 2, self.side, self.side, 3

    @property
    def seen_shape(self) -> tuple[int, ...]:
        return 3, 2, self.side, self.side

    def of(self, frames: Frames) -> npt.NDArray[np.uint8]:
        return np.stack([resized(frames.read(i), self.side) for i in (0, frames.apex)])
