"""Flow maps: u, v and strain of the optical flow from onset to apex, 28 × 28.

The convention is that of the flow images of the MEGC 2019 composite that were published with STSTNet (Liong, Gan, See,
Khor, Huang, FG 2019): optical flow from onset to apex in a crop of the face, and each channel resized to 28 × 28 and
stretched from its own minimum and maximum to 0 … 255. So the maps tell neither how strong the motion is, nor which
value stands for no motion. The crop differs between laboratories: see `crops`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from miex.images import Image, gray
from miex.recognition.inputs.base import Frames, Input
from miex.recognition.inputs.crops import crop_of

if TYPE_CHECKING:
    from torch import Tensor

Flow = npt.NDArray[np.float32]
FlowMethod = Literal["dis", "tvl1", "farneback"]
METHODS: tuple[FlowMethod, ...] = get_args(FlowMethod)

SIDE = 28


def optical_flow(onset: Image, apex: Image, method: FlowMethod = "dis") -> Flow:
    """Compute dense optical flow from onset to apex.

    Args:
        onset, apex: gray frames, uint8 [h, w].
        method: dis (Kroeger et al. 2016, OpenCV's medium preset), tvl1 (Zach et al. 2007, OpenCV's defaults; 60 times
            slower), or farneback (Farnebäck 2003).

    Returns:
        float32 [h, w, 2]: motion to the right and down, in pixels.
    """
    start: Any = None  # no flow to start from, which OpenCV's type stubs do not know
    if method == "dis":
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(onset, apex, start)
    elif method == "tvl1":
        flow = cv2.optflow.createOptFlow_DualTVL1().calc(onset, apex, start)
    else:
        flow = cv2.calcOpticalFlowFarneback(onset, apex, start, 0.5, 3, 15, 3, 5, 1.2, 0)
    return np.asarray(flow, np.float32)


def strain(flow: Flow) -> npt.NDArray[np.float32]:
    """Optical strain of a flow field [h, w, 2], float32 [h, w]: √(u_x² + v_y² + (u_y + v_x)² / 2).

    Source: Shreve et al. 2011.
    """
    u_y, u_x = np.gradient(flow[..., 0])
    v_y, v_x = np.gradient(flow[..., 1])
    return np.asarray(np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2), np.float32)


def flow_map(flow: Flow, side: int = SIDE) -> Image:
    """The flow map of a flow field [h, w, 2]: u, v and strain, uint8 [side, side, 3].

    Strain is computed before resizing. Each channel is resized, then stretched from its own minimum and maximum to
    0 … 255; a constant channel becomes 0.
    """
    channels = []
    for channel in (flow[..., 0], flow[..., 1], strain(flow)):
        small = cv2.resize(np.ascontiguousarray(channel), (side, side), interpolation=cv2.INTER_AREA)
        low, high = float(small.min()), float(small.max())
        channels.append(np.rint((small - low) * (255 / (high - low) if high > low else 0)))
    return np.stack(channels, -1).astype(np.uint8)


class FlowMaps(Input):
    """Flow maps of u, v and strain, uint8 [side, side, 3], from the crops of onset and apex (see `flow_map`).

    Attributes:
        side: side of the maps, in pixels; 28 in the convention.
        method: optical flow method (see `optical_flow`).
        seed: random seed of the crops of sets; the crop of a sample depends only on it and on the name of the sample.
            All real clips have one and the same crop (see `crops`).
        normalize: scaling of values for the recognizer. median_rms: the median of each channel of each map is
            subtracted, and the result divided by its root mean square and clipped to ±4; unit: values are divided by
            255.
    """

    name: ClassVar[str] = "flow"
    version: ClassVar[int] = 2
    not_stored: ClassVar[frozenset[str]] = frozenset({"normalize"})
    side: int = Field(default=SIDE, ge=8, le=1024)
    method: FlowMethod = "dis"
    seed: int = 0
    normalize: Literal["median_rms", "unit"] = "median_rms"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.side, self.side, 3

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    @property
    def seen_shape(self) -> tuple[int, ...]:
        return 3, self.side, self.side

    @property
    def relative(self) -> bool:
        return True

    def of(self, frames: Frames) -> Image:
        crop = crop_of(frames, self.seed)
        onset, apex = (crop.cut(gray(frames.read(i)), frames.layout) for i in (0, frames.apex))
        return flow_map(optical_flow(onset, apex, self.method), self.side)

    def of_array(self, array: npt.NDArray[Any], kind: str) -> Image:
        """Resize a flow map: larger by bilinear interpolation, which adds no detail, or smaller by averaging areas."""
        if kind != "flow maps":
            return super().of_array(array, kind)
        if array.shape == self.shape:
            return array
        how = cv2.INTER_LINEAR if self.side > array.shape[0] else cv2.INTER_AREA
        return np.asarray(cv2.resize(array, (self.side, self.side), interpolation=how), np.uint8)

    def prepare(self, batch: Tensor) -> Tensor:
        x = batch.permute(0, 3, 1, 2).float() / 255
        if self.normalize == "unit":
            return x.contiguous()
        still = x.flatten(2).median(2)[0][
            ..., None, None
        ]  # most of the skin does not move, so the median stands for no motion
        x = x - still
        strength = x.flatten(2).square().mean(2).sqrt()[..., None, None]
        return (x / (strength + 1e-6)).clamp(-4, 4).contiguous()

    def mirror(self, batch: Tensor) -> Tensor:
        """Flip the maps and the sign of u, as motion to the right becomes motion to the left."""
        x = batch.flip(-1)  # a copy
        x[:, :1] = 1 - x[:, :1] if self.normalize == "unit" else -x[:, :1]
        return x


def standardized(maps: Image) -> npt.NDArray[np.float32]:
    """What `FlowMaps.prepare` makes of maps by median_rms, without torch.

    Training prepares with torch on its own device, where maps arrive as bytes; who only predicts need not have torch.

    Args:
        maps: uint8 [n, side, side, 3].

    Returns:
        float32 [n, 3, side, side].
    """
    n, height, width, _ = maps.shape
    values = maps.transpose(0, 3, 1, 2).reshape(n, 3, height * width)
    middle = (height * width - 1) // 2  # of an even number torch takes the lower one of the two in the middle
    still = np.partition(values, middle, axis=2)[..., middle, None]
    x = (values.astype(np.float32) - still) / np.float32(255)
    x /= np.sqrt(np.square(x).mean(2, keepdims=True)) + np.float32(1e-6)
    return np.asarray(np.clip(x, -4, 4).reshape(n, 3, height, width), np.float32)


def mirrored(maps: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mirror image of standardized maps, float32 [n, 3, side, side]: flipped, and with the sign of u changed."""
    return np.asarray(maps[..., ::-1] * np.array([-1, 1, 1], np.float32)[:, None, None], np.float32)
