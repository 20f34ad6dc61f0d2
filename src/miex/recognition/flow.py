"""Optical flow of a pair, and the 28 × 28 maps of u, v and strain that flow recognizers take.

The convention of the maps is that of the derived flow images of the MEGC 2019 composite made public with STSTNet
(Liong, Gan, See, Khor, Huang, FG 2019): a tight face crop of 170 × 140, flow from onset to apex, each channel resized
to 28 × 28 and stretched to 0 … 255 by its own minimum and maximum. So amplitude is lost, and so is zero.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from miex.dataset.reader import Dataset
from miex.dataset.schema import ROWS_SCHEMA
from miex.errors import UsageError
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.executors.local import one_thread
from miex.faces.crop import CropOptions
from miex.images import Image, gray
from miex.stable import stable_hash
from miex.storage.local import write_whole

Flow = npt.NDArray[np.float32]
Method = Literal["dis", "tvl1", "farneback"]
METHODS: tuple[Method, ...] = ("dis", "tvl1", "farneback")

ROWS, COLUMNS, SIDE = 170, 140, 28
# Where the face lies in the crop is not known exactly: drawn from this range, fractions of the height. With the eyes
# about half the width apart they fix the scale, so one scale serves both directions.
EYES, MOUTH = (0.18, 0.28), (0.66, 0.72)
SHIFT = 0.02  # of the middle of the eyes to either side, fraction of the width
_CHUNK = 64


def optical_flow(onset: Image, apex: Image, method: Method = "dis") -> Flow:
    """Dense flow from onset to apex.

    Args:
        onset, apex: uint8 gray [h, w].
        method: dis (Kroeger et al. 2016, OpenCV's medium preset), tvl1 (Zach et al. 2007, OpenCV's defaults; sixty
            times slower), or farneback (2003).

    Returns:
        float32 [h, w, 2]: (right, down) in pixels.
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
    """Optical strain √(u_x² + v_y² + (u_y + v_x)² / 2) of a flow [h, w, 2], float32 [h, w] (Shreve et al. 2011)."""
    u_y, u_x = np.gradient(flow[..., 0])
    v_y, v_x = np.gradient(flow[..., 1])
    return np.asarray(np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2), np.float32)


def flow_map(flow: Flow, side: int = SIDE) -> Image:
    """The map of a flow [h, w, 2]: uint8 [side, side, 3] of u, v and strain.

    Strain is taken before the resize; each channel is resized, then stretched to 0 … 255 on its own. A channel that
    is the same everywhere becomes 0.
    """
    channels = []
    for channel in (flow[..., 0], flow[..., 1], strain(flow)):
        small = cv2.resize(np.ascontiguousarray(channel), (side, side), interpolation=cv2.INTER_AREA)
        low, high = float(small.min()), float(small.max())
        channels.append(np.rint((small - low) * (255 / (high - low) if high > low else 0)))
    return np.stack(channels, -1).astype(np.uint8)


def tight_crop(frame: Image, eye_line: float, eye_mouth: float, middle: float, rng: np.random.Generator) -> Image:
    """The crop of 170 × 140 that the convention's flow is computed in, from a frame of a set.

    Args:
        frame: uint8 [size, size] or [size, size, 3].
        eye_line, eye_mouth: where eyes and mouth lie in the frame, fractions of its side (see CropOptions).
        middle: x of the point between the eyes, pixels of the frame.
        rng: draws where they lie in the crop; the same state for all frames of a sample.
    """
    eyes, mouth = rng.uniform(*EYES), rng.uniform(*MOUTH)
    shift = rng.uniform(-SHIFT, SHIFT) * COLUMNS
    size = frame.shape[0]
    scale = eye_mouth * size / ((mouth - eyes) * ROWS)  # frame pixels per crop pixel
    x0 = middle - scale * ((COLUMNS - 1) / 2 + shift)
    y0 = eye_line * size - 0.5 - scale * (eyes * ROWS - 0.5)
    affine = np.array([[scale, 0, x0], [0, scale, y0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(frame, affine, (COLUMNS, ROWS), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


def aligned_map(
    onset: Image,
    apex: Image,
    options: CropOptions,
    name: str,
    *,
    method: Method = "dis",
    seed: int = 0,
    side: int = SIDE,
) -> Image:
    """The map of two aligned frames, uint8 [side, side, 3]: tight crop, flow, `flow_map`.

    Args:
        onset, apex: uint8 RGB [size, size, 3], aligned as `options` say.
        options: where the face lies in them.
        name, seed: their hash draws the crop: the sample's id, the seed of the crops.
    """
    crops = []
    for frame in (onset, apex):
        rng = np.random.Generator(np.random.PCG64(stable_hash("flow", seed, name)))
        middle = (options.size - 1) / 2
        crops.append(tight_crop(gray(frame), options.eye_line, options.eye_mouth, middle, rng))
    return flow_map(optical_flow(crops[0], crops[1], method), side)


def stored_crop(dataset: Dataset) -> CropOptions:
    """Where the face lies in the frames of a set."""
    settings = dataset.record["settings"]
    return CropOptions(settings["size"], settings["eye_line"], settings["eye_mouth"])


def flow_set(
    dataset: Dataset,
    *,
    method: Method = "dis",
    seed: int = 0,
    side: int = SIDE,
    executor: Executor = IN_PROCESS,
    progress: Progress = silent,
) -> dict[str, npt.NDArray[Any]]:
    """Maps of every sample, from the stored frames (never from the generator's field).

    Args:
        dataset: the set.
        method: see `optical_flow`.
        seed: of the crops; a sample's crop depends on it and the sample's id alone.
        side: of the maps; the convention's is 28.
        executor: where the work is done.
        progress: called with samples done and samples in all.

    Returns:
        flow uint8 [n, side, side, 3], label int64 [n] and, str [n], what the leak guard and folds need to know:
        sample_id, source, corpus, subject, photo (empty where there is none), in the order of the set.
    """
    tasks = [(dataset[i : i + _CHUNK], i, method, seed, side) for i in range(0, len(dataset), _CHUNK)]
    maps = np.zeros((len(dataset), side, side, 3), np.uint8)
    done = 0
    for first, chunk in executor.map(_maps, tasks):
        maps[first : first + len(chunk)] = chunk
        done += len(chunk)
        progress(done, len(dataset), "")
    texts = {name: dataset.table[name].to_pylist() for name in ROWS_SCHEMA.names if name != "label"}
    return {
        "flow": maps,
        "label": np.asarray(dataset.table["label"].to_pylist(), np.int64),
        **{name: np.asarray([text or "" for text in column], np.str_) for name, column in texts.items()},
    }


def write_flow_set(maps: dict[str, npt.NDArray[Any]], out: Path) -> None:
    """Write the arrays of `flow_set` as a compressed .npz; the same arrays give the same bytes.

    Raises:
        UsageError: a name that does not end in .npz.
        OutputError: it cannot be written.
    """
    if out.suffix != ".npz":
        raise UsageError(f"flow file {out}", expected="a name that ends in .npz")
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **maps)
    write_whole(out, content.getvalue())


def _maps(task: tuple[Dataset, int, Method, int, int]) -> tuple[int, Sequence[Image]]:
    dataset, first, method, seed, side = task
    options = stored_crop(dataset)
    with one_thread():
        return first, [
            aligned_map(*dataset.pair(i), options, sample_id, method=method, seed=seed, side=side)
            for i, sample_id in enumerate(dataset.table["sample_id"].to_pylist())
        ]
