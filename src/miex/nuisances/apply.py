"""Apply the nuisances of one row of a plan: to its AUs, to positions, and to pixels."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, N_AUS, on_sides
from miex.compiled import compiled
from miex.easing import ease, progress
from miex.generators.grid import Field, cell_centers
from miex.images import Image
from miex.stable import sample_rng

COARSER = 2  # cells of the grid per point at which residual motion is drawn; its shortest length is 1.3 cells
RIM = 0.2  # over which residual motion fades to zero inside the face, inter-ocular distances
FURTHEST = 0.06  # that a single place moves, inter-ocular distances
PATTERN = "pattern"  # the use of a sample's randomness for residual motion (`sample_rng`)
NEARER = 0.4  # and no further than this share of the way to what holds still: so nothing folds before it


def drift(
    row: dict[str, Any],
    size: int,
    inter_ocular: float,
    area: npt.NDArray[np.bool_],
    still: npt.NDArray[np.bool_],
    relief: npt.NDArray[np.float32] | None = None,
    rng: np.random.Generator | None = None,
) -> Field | None:
    """Where what is seen goes, beside the AUs: the head with all around, what stands out of a face that turns, local
    outliers, and residual motion of the face. Only the head moves what holds still.

    Args:
        row: of a plan.
        size: side of the frames, pixels.
        inter_ocular: distance of the eyes in them, pixels.
        area: cells on the face, bool [grid, grid].
        still: cells of what never moves by itself, as `still_area` finds them, bool [grid, grid].
        relief: how far the face stands out in each cell, inter-ocular distances, float32 [grid, grid]; needed where the
            row has a turn. By small angles it moves in proportion; what it hides or shows is left out.
        rng: `sample_rng(row["seed"], PATTERN)`, for who has it already.

    Returns:
        float32 [n, grid, grid, 2], (right, down) in pixels; None if nothing drifts.
    """
    if row["head"] is None and row["turn"] is None and not row["outliers"] and row["residual"] is None:
        return None
    grid = len(area)
    line = cell_centers(size, grid)
    x, y = line[None, :], line[:, None]
    middle = np.float32((size - 1) / 2)
    field = np.zeros((len(row["aus"]), grid, grid, 2), np.float32)
    for to, (right, down, roll, zoom) in zip(field, row["head"] or (), strict=False):
        dx, dy, scale = x - middle, y - middle, 1 + zoom
        to[..., 0] = (scale * np.cos(roll) - 1) * dx - scale * np.sin(roll) * dy + right * inter_ocular
        to[..., 1] = scale * np.sin(roll) * dx + (scale * np.cos(roll) - 1) * dy + down * inter_ocular
    for to, turn in zip(field, row["turn"] or (), strict=False):
        assert relief is not None
        to += relief[..., None] * (np.asarray(turn, np.float32) * np.float32(inter_ocular))
    cells = inter_ocular * grid / size
    inside, most = _room(area.tobytes(), still.tobytes(), grid, cells)
    own = []  # motion of single places
    if row["residual"] is not None:
        length, rms = row["residual"]
        pattern = _pattern(rng or sample_rng(row["seed"], PATTERN), grid, length * cells)
        scale = rms * np.sqrt(pattern.size) / cv2.norm(pattern)  # over the whole grid its rms is that in each direction
        own.append((pattern, inside * np.float32(scale)))
    for at_x, at_y, radius, right, down in row["outliers"] or ():
        far = ((x - at_x * size) ** 2 + (y - at_y * size) ** 2) / (2 * (radius * inter_ocular) ** 2)
        own.append(
            (np.broadcast_to(np.array([right, down], np.float32), (grid, grid, 2)), np.exp(-far).astype(np.float32))
        )
    if own:
        shares = _shares(len(field), row["apex"])
        for motion, weight in own:
            _add_bounded(motion, weight, most, inter_ocular, shares, field)
    return field


@lru_cache(maxsize=8)
def _shares(n: int, apex: int) -> npt.NDArray[np.float32]:
    """How much of its motion of single places each of n frames shows, float32 [n], not to be written."""
    return np.asarray(ease(progress(n, apex)), np.float32)


@lru_cache(maxsize=2)  # of an identity, asked for by each of its rows
def _room(
    area: bytes, still: bytes, grid: int, cells: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What share of residual motion each cell shows, and how far it may move, inter-ocular distances; float32
    [grid, grid].

    Args:
        area, still: bool [grid, grid], as for `drift`.
        grid, cells: cells of the crop each way, and per inter-ocular distance.
    """
    on, off = (np.frombuffer(mask, np.uint8).reshape(grid, grid) for mask in (area, still))
    inside, away = (cv2.distanceTransform(mask, cv2.DIST_L2, 3) for mask in (on, 1 - off))
    share = ease((inside / np.float32(RIM * cells)).astype(np.float32))
    return share, np.minimum(FURTHEST, NEARER * away / np.float32(cells)).astype(np.float32)


@compiled
def _add_bounded(
    motion: Field,
    weight: npt.NDArray[np.float32],
    most: npt.NDArray[np.float32],
    unit: float,
    shares: npt.NDArray[np.float32],
    into: Field,
) -> None:
    """Add to each frame its share of a motion [g, g, 2] times a weight [g, g], kept below `most` [g, g] and all but the
    same where it is much shorter; both in units of so many pixels."""
    for i in range(motion.shape[0]):
        for j in range(motion.shape[1]):
            right, down = motion[i, j, 0] * weight[i, j], motion[i, j, 1] * weight[i, j]
            length = np.sqrt(right * right + down * down)
            if length == 0 or most[i, j] == 0:
                continue
            kept = most[i, j] * np.tanh(length / most[i, j]) / length * unit
            for n in range(len(shares)):
                into[n, i, j, 0] += right * kept * shares[n]
                into[n, i, j, 1] += down * kept * shares[n]


def _pattern(rng: np.random.Generator, grid: int, length: float) -> Field:
    """Smooth random vectors, float32 [grid, grid, 2]: white noise blurred by a Gaussian of that many cells. Drawn on a
    coarser grid, which is as smooth and costs a quarter."""
    n = -(-grid // COARSER)
    noise = rng.standard_normal((n, n, 2), np.float32)
    coarse = cv2.GaussianBlur(noise, (0, 0), length / COARSER, borderType=cv2.BORDER_REFLECT)
    return np.asarray(cv2.resize(coarse, (grid, grid), interpolation=cv2.INTER_CUBIC), np.float32)


def through_sensor(frames: Image, row: dict[str, Any]) -> Image:
    """The frames uint8 [n, h, w, 3] after light, noise and compression; the same array where all are off.

    Frames without colors get none: their noise is that of one channel.
    """
    if row["light"] is None and not row["noise"] and row["compression"] is None:
        return frames
    size, rng = frames.shape[1], sample_rng(row["seed"], "sensor")
    channels = slice(1 if (frames == frames[..., :1]).all() else 3)
    slope = np.linspace(-1, 1, size, dtype=np.float32)
    seen = []
    for i, frame in enumerate(frames):
        levels = frame.astype(np.float32)
        if row["light"] is not None:
            brightness, right, down = row["light"][i]
            levels *= (1 + brightness + right * slope[None, :, None] + down * slope[:, None, None]).astype(np.float32)
        if row["noise"]:
            levels += rng.standard_normal(levels.shape, np.float32)[..., channels] * np.float32(row["noise"])
        picture = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        if row["compression"] is not None:
            _, packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, row["compression"]])
            picture = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
        seen.append(picture)
    return np.stack(seen)


def shown_aus(row: dict[str, Any]) -> npt.NDArray[np.float32]:
    """What the face does in a row of a plan: its AUs, and those of its nuisances.

    Returns:
        float32 [n, 17, 2] in [0, 1]; the last axis is the person's left and right side. `row["aus"]` and `row["sides"]`
        stay what the source drew.
    """
    return moved_besides(on_sides(row["aus"], row["sides"]), row)


def moved_besides(aus: npt.NDArray[np.float32], row: dict[str, Any]) -> npt.NDArray[np.float32]:
    """What the face does where it is asked for these AUs and a row has nuisances; both float32 [n, 17, 2] in [0, 1]."""
    if row["asymmetry"] is not None:
        aus = aus * on_sides(np.ones(N_AUS), row["asymmetry"])
    if row["others"] is not None:
        aus = aus + np.asarray(row["others"], np.float32)[:, :, None]
    if row["blink"] is not None:
        aus = aus.copy()
        aus[:, AU_INDEX[45]] += np.asarray(row["blink"], np.float32)[:, None]
    return np.clip(aus, 0, 1)
