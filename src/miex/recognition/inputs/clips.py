"""Clips of a fixed number of frames: gray levels, or the optical flow from frame to frame."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from miex.images import gray
from miex.recognition.inputs.base import Frames, Input
from miex.recognition.inputs.flow import FlowMethod, optical_flow
from miex.recognition.inputs.frames import resized

if TYPE_CHECKING:
    from torch import Tensor

SIDE, LENGTH = 128, 10
FLOW_SIDE = 56


def temporal_interpolation(n: int, length: int) -> npt.NDArray[np.float64]:
    """The temporal interpolation model (TIM) of Zhou, Zhao, Pietikäinen, CVPR 2011, as weights [length, n].

    The model lays the frames of a clip on a curve whose k-th coordinate is sin(πkt + π(n − k) / 2n), t from 1/n to 1
    (their eq. 5 and 6), and maps points between them back to images. Since that curve is spanned by the eigenvectors of
    a path's Laplacian, which are those of the discrete cosine transform, the images that come out are weighted sums of
    the frames, whose weights depend on n and t alone: there is nothing to solve for each clip.

    Args:
        n: frames of the clip.
        length: frames wanted, at least one, evenly from the first to the last. A single one is the first.

    Returns:
        Each row sums to 1; rows at the time of a frame are that frame alone.
    """
    k = np.arange(1, n)
    at = np.pi * k / n

    def curve(t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        # sin(πkt + π(n − k) / 2n) = cos(πkt − πk / 2n), here with t in frames, from 1 to n
        return np.asarray(np.cos(at * (t[:, None] - 0.5)), np.float64)

    wanted = np.linspace(1, n, length) if length > 1 else np.ones(1)
    return np.asarray(1 / n + curve(wanted) @ curve(np.arange(1.0, n + 1)).T * (2 / n), np.float64)


class _Clip(Input):
    """Frames from onset to the last one, gray, aligned on the face of the onset, brought to a fixed number by TIM."""

    length: int = Field(default=LENGTH, ge=2, le=256)

    def _gray(self, frames: Frames, side: int, length: int) -> npt.NDArray[np.float32]:
        """Gray levels, float32 [length, side, side]: TIM makes values between levels, and a little below and above."""
        found = np.stack([resized(gray(frames.read(i)), side) for i in range(frames.count)]).astype(np.float32)
        weights = temporal_interpolation(frames.count, length).astype(np.float32)
        return np.asarray(np.einsum("tn,nhw->thw", weights, found), np.float32)


class GrayClip(_Clip):
    """A clip in gray, uint8 [length, side, side]; a method sees [1, length, side, side], gray levels over 255.

    Attributes:
        length: frames, by `temporal_interpolation`.
        side: of the frames, in pixels.
    """

    name: ClassVar[str] = "clip"
    side: int = Field(default=SIDE, ge=16, le=512)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.length, self.side, self.side

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    @property
    def seen_shape(self) -> tuple[int, ...]:
        return 1, self.length, self.side, self.side

    def of(self, frames: Frames) -> npt.NDArray[np.uint8]:
        return np.asarray(np.rint(self._gray(frames, self.side, self.length).clip(0, 255)), np.uint8)

    def prepare(self, batch: Tensor) -> Tensor:
        return batch[:, None].float() / 255

    def mirror(self, batch: Tensor) -> Tensor:
        return batch.flip(-1)


class FlowClip(_Clip):
    """Optical flow from frame to frame, float16 [length, side, side, 2], in pixels of the maps: right and down.

    A method sees [2, length, side, side]. The clip is first brought to length + 1 frames, so that clips of different
    speed give flow of the same number of steps. Flow is computed at twice the side and reduced by area.

    Attributes:
        length: steps.
        side: of the maps, in pixels.
        method: see `flow.optical_flow`.
    """

    name: ClassVar[str] = "flow-clip"
    side: int = Field(default=FLOW_SIDE, ge=16, le=256)
    method: FlowMethod = "dis"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.length, self.side, self.side, 2

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float16)

    @property
    def seen_shape(self) -> tuple[int, ...]:
        return 2, self.length, self.side, self.side

    def of(self, frames: Frames) -> npt.NDArray[np.float16]:
        levels = np.rint(self._gray(frames, 2 * self.side, self.length + 1).clip(0, 255)).astype(np.uint8)
        steps = [optical_flow(a, b, self.method) for a, b in pairwise(levels)]
        flow = np.stack(steps).reshape(self.length, self.side, 2, self.side, 2, 2).mean((2, 4)) / 2
        return np.asarray(flow, np.float16)

    def prepare(self, batch: Tensor) -> Tensor:
        return batch.movedim(-1, 1).float().contiguous()

    def mirror(self, batch: Tensor) -> Tensor:
        """What moved right moves left, so u is turned over."""
        x = batch.flip(-1)  # a copy
        x[:, 0] = -x[:, 0]
        return x
