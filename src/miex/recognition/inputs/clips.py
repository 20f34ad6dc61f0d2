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
    """Weights of the temporal interpolation model (TIM) of Zhou, Zhao, Pietikäinen, CVPR 2011.

    The model places the frames of a clip on a curve whose k-th coordinate is sin(πkt + π(n − k) / 2n), for t from 1/n
    to 1 (their eq. 5 and 6), and maps points of the curve back to images. The curve is spanned by the eigenvectors of
    the Laplacian of a path, which are the basis of the discrete cosine transform. The images are therefore weighted
    sums of the frames, with weights that depend only on n and t, so that nothing needs to be solved for a clip.

    Args:
        n: number of frames of the clip.
        length: number of interpolated frames, at least 1; they are evenly spaced from the first frame to the last. If
            it is 1, the only one is the first frame.

    Returns:
        Weights of the n frames in each interpolated frame, float64 [length, n]. Each row sums to 1. At the time of a
        frame, its weight is 1 and all others are 0.
    """
    k = np.arange(1, n)
    at = np.pi * k / n

    def curve(t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        # sin(πkt + π(n − k) / 2n) = cos(πkt − πk / 2n), here with t in frames, from 1 to n
        return np.asarray(np.cos(at * (t[:, None] - 0.5)), np.float64)

    wanted = np.linspace(1, n, length) if length > 1 else np.ones(1)
    return np.asarray(1 / n + curve(wanted) @ curve(np.arange(1.0, n + 1)).T * (2 / n), np.float64)


class _Clip(Input):
    """The base of inputs that are gray clips, aligned by the face in the onset and interpolated to a fixed length."""

    length: int = Field(default=LENGTH, ge=2, le=256)

    def _gray(self, frames: Frames, side: int, length: int) -> npt.NDArray[np.float32]:
        """Interpolated gray levels, float32 [length, side, side]; they may lie slightly outside 0 … 255."""
        found = np.stack([resized(gray(frames.read(i)), side) for i in range(frames.count)]).astype(np.float32)
        weights = temporal_interpolation(frames.count, length).astype(np.float32)
        return np.asarray(np.einsum("tn,nhw->thw", weights, found), np.float32)


class GrayClip(_Clip):
    """A gray clip, uint8 [length, side, side]; prepared, it is [1, length, side, side], in [0, 1].

    Attributes:
        length: number of frames, which `temporal_interpolation` makes from those of the clip.
        side: side of the frames, in pixels.
    """

    name: ClassVar[str] = "clip"
    pictures: ClassVar[bool] = True
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
    """Optical flow from frame to frame: motion to the right and down, in pixels, float16 [length, side, side, 2].

    Prepared, it is [2, length, side, side]. The clip is first interpolated to length + 1 frames, so that the number of
    steps does not depend on its duration. Flow is computed in frames of twice the side, and averaged over areas.

    Attributes:
        length: number of steps from frame to frame.
        side: side of the flow fields, in pixels; flow is in pixels of this size.
        method: optical flow method (see `flow.optical_flow`).
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
        """Flip the flow fields and the sign of u, as motion to the right becomes motion to the left."""
        x = batch.flip(-1)  # a copy
        x[:, 0] = -x[:, 0]
        return x
