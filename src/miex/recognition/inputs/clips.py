"""Clips of a fixed number of frames: gray levels, the optical flow from frame to frame, or both with its strain."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from miex.images import Image, gray
from miex.recognition.inputs.base import Frames, Input
from miex.recognition.inputs.crops import crop_of
from miex.recognition.inputs.flow import Flow, FlowMethod, optical_flow, strain
from miex.recognition.inputs.frames import resized

if TYPE_CHECKING:
    from torch import Tensor

SIDE, LENGTH = 128, 10
FLOW_SIDE = 56
ENRICHED_SIDE = 112


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


def by_strength(x: Tensor) -> Tensor:
    """Flow or strain of clips, [n, …], each clip divided by the root mean square of its values."""
    strength = x.flatten(1).square().mean(1).sqrt()
    return x / (strength.reshape(-1, *[1] * (x.ndim - 1)) + 1e-6)


def halved(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Average areas of 2 × 2 pixels: [t, 2h, 2w, c] → [t, h, w, c]."""
    t, h, w, c = x.shape
    return np.asarray(x.reshape(t, h // 2, 2, w // 2, 2, c).mean((2, 4)), np.float32)


class _Clip(Input):
    """The base of inputs that are gray clips, aligned by the face in the onset and interpolated to a fixed length.

    Attributes:
        length: number of frames or steps.
        until: the last frame that is seen. apex: as in the video variant of MiE-X, whose samples have no more; offset:
            the whole clip. Recognizers must be trained and tested on the same: an expression that rises and falls looks
            unlike one that only rises.
    """

    version: ClassVar[int] = 2
    length: int = Field(default=LENGTH, ge=2, le=256)
    until: Literal["apex", "offset"] = "apex"

    @property
    def spans(self) -> Literal["frames", "rise", "clip"]:
        return "rise" if self.until == "apex" else "clip"

    def _gray(
        self, frames: Frames, side: int, length: int, part: Callable[[Image], Image] = lambda frame: frame
    ) -> npt.NDArray[np.float32]:
        """Interpolated gray levels of a square part of the frames, float32 [length, side, side]; they may lie slightly
        outside 0 … 255."""
        count = frames.apex + 1 if self.until == "apex" else frames.count
        found = np.stack([resized(part(gray(frames.read(i))), side) for i in range(count)]).astype(np.float32)
        weights = temporal_interpolation(count, length).astype(np.float32)
        return np.asarray(np.einsum("tn,nhw->thw", weights, found), np.float32)


class _Steps(_Clip):
    """The base of inputs that hold fields of each step from frame to frame, of which u is the first.

    The clip is first interpolated to length + 1 frames, so that the number of steps does not depend on its duration.
    Flow is computed in a crop of the face (see `crops`; square, as high as that of a flow map) of twice the side, and
    averaged over areas.

    Attributes:
        channels: number of fields of a step.
    """

    version: ClassVar[int] = 3
    channels: ClassVar[int]
    side: int = Field(ge=16, le=256)
    method: FlowMethod = "dis"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.length, self.side, self.side, self.channels

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float16)

    def _steps(self, frames: Frames) -> tuple[npt.NDArray[np.uint8], Flow]:
        """Gray levels of twice the side, uint8 [length + 1, 2 side, 2 side], and the flow between them, float32
        [length, 2 side, 2 side, 2]."""
        crop = crop_of(frames).square
        found = self._gray(frames, 2 * self.side, self.length + 1, lambda frame: crop.cut(frame, frames.layout))
        levels = np.rint(found.clip(0, 255)).astype(np.uint8)
        return levels, np.stack([optical_flow(a, b, self.method) for a, b in pairwise(levels)])

    def mirror(self, batch: Tensor) -> Tensor:
        """Flip the fields and the sign of u, as motion to the right becomes motion to the left."""
        x = batch.flip(-1)  # a copy
        x[:, 0] = -x[:, 0]
        return x


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


class FlowClip(_Steps):
    """Optical flow from frame to frame: motion to the right and down, in pixels, float16 [length, side, side, 2].

    Prepared, it is [2, length, side, side].

    Attributes:
        length: number of steps from frame to frame.
        side: side of the flow fields, in pixels; flow is in pixels of this size.
        method: optical flow method (see `flow.optical_flow`).
        normalize: scaling of values for the recognizer. none: pixels; rms: each clip is divided by the root mean square
            of its flow, so that weak and strong motion look alike.
    """

    name: ClassVar[str] = "flow-clip"
    channels: ClassVar[int] = 2
    not_stored: ClassVar[frozenset[str]] = frozenset({"normalize"})
    side: int = Field(default=FLOW_SIDE, ge=16, le=256)
    normalize: Literal["none", "rms"] = "none"

    @property
    def seen_shape(self) -> tuple[int, ...]:
        return 2, self.length, self.side, self.side

    def of(self, frames: Frames) -> npt.NDArray[np.float16]:
        _, flow = self._steps(frames)
        return np.asarray(halved(flow) / 2, np.float16)

    @property
    def relative(self) -> bool:
        return self.normalize == "rms"

    def prepare(self, batch: Tensor) -> Tensor:
        x = batch.movedim(-1, 1).float()
        return (by_strength(x) if self.normalize == "rms" else x).contiguous()


class EnrichedClip(_Steps):
    """Flow from frame to frame, its strain, and gray levels: u, v, strain, gray, float16 [length, side, side, 4].

    Prepared, it is [5, length, side, side]: u, v, their magnitude, strain and gray, all of the order of 1. Flow and
    strain of each clip are divided by their root mean square; gray levels are shifted and scaled to -2 … 2. It is the
    input of spatial enrichment of Khor et al., FG 2018, whose code has fixed scales instead (16 levels for a pixel of
    motion), with which motion between the frames of a micro-expression changes a few gray levels.

    Interpolation, size and units are those of `FlowClip`; strain has none. Gray levels are those of the frame to which
    a step leads, in 0 … 255.

    Attributes:
        length: number of steps from frame to frame.
        side: side of the fields and frames, in pixels.
        method: optical flow method (see `flow.optical_flow`).
    """

    name: ClassVar[str] = "enriched-clip"
    channels: ClassVar[int] = 4
    length: int = Field(default=LENGTH - 1, ge=2, le=256)
    side: int = Field(default=ENRICHED_SIDE, ge=16, le=256)

    @property
    def seen_shape(self) -> tuple[int, ...]:
        return 5, self.length, self.side, self.side

    def of(self, frames: Frames) -> npt.NDArray[np.float16]:
        levels, flow = self._steps(frames)
        strains = np.stack([strain(step) for step in flow])
        return np.asarray(halved(np.concatenate([flow / 2, strains[..., None], levels[1:, ..., None]], -1)), np.float16)

    @property
    def relative(self) -> bool:
        return True

    def prepare(self, batch: Tensor) -> Tensor:
        x = batch.movedim(-1, 1).float()
        seen = x.new_empty(len(x), *self.seen_shape)
        seen[:, :2] = by_strength(x[:, :2])
        seen[:, 2] = seen[:, :2].norm(dim=1)
        seen[:, 3] = by_strength(x[:, 2])
        seen[:, 4] = (x[:, 3] / 255 - 0.5) * 4
        return seen
