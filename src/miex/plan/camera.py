"""What a camera sees beside the expression. Every part is drawn when a set is planned, and is a column of the plan.

`light` is what a face does at the same moment: blinks, and other muscles. `full` adds uneven sides, a head that is
never quite still, and what light, sensor, compression and tracking do. Real onset → apex pairs hold all of it; `light`
is the default because it served recognition best (docs/trainability.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.aus.vector import AU_INDEX, N_AUS
from miex.errors import UsageError

Random = np.random.Generator

# How much of each part. A blink or a movement of the eyes is the commonest strain in real clips, and a face at rest is
# not at zero in any AU. Blinks and other AUs were chosen on real flow (docs/trainability.md);
# the rest is set by eye: a registered head, a cheap camera.
BLINK_CHANCE, BLINK = 0.7, 0.4  # of a sample; largest closing, AU 45
OTHERS, OTHER = 5, 0.25  # AUs beside the expression's own, in onset or apex; their largest intensity
UNEVEN, ONE_SIDED = 0.3, 0.15  # spread of left − right (log), chance that a side hardly moves
SHIFT, ROLL, ZOOM = 0.02, 0.01, 0.01  # standard deviations: inter-ocular distances, radians, share
OUTLIERS, OUTLIER_RADIUS, OUTLIER = 6, (0.03, 0.15), 0.02  # at most; radius and size, inter-ocular distances
LIGHT, TILT = 0.02, 0.02  # standard deviations of brightness and of its slope over the frame, share
NOISE = 4.0  # largest standard deviation, gray levels
QUALITY = (60, 95)  # of JPEG

COLUMNS: Final = {
    "blink": pa.list_(pa.float32()),  # per frame: added to AU 45
    "others": pa.list_(pa.list_(pa.float32(), N_AUS)),  # per frame: added to the AUs
    "asymmetry": pa.list_(pa.float32(), N_AUS),  # -1 only the right side … 1 only the left side of the person moves
    "head": pa.list_(pa.list_(pa.float32(), 4)),  # per frame: right, down (inter-ocular), roll (radians), zoom - 1
    "outliers": pa.list_(
        pa.list_(pa.float32(), 5)
    ),  # at the apex: x, y (of the side); radius, right, down (inter-ocular)
    "light": pa.list_(pa.list_(pa.float32(), 3)),  # per frame: brightness, its slope to the right and down, share
    "noise": pa.float32(),  # standard deviation, gray levels
    "compression": pa.int16(),  # JPEG quality; null: none
}  # what a switched-off part leaves is null
PARTS: tuple[str, ...] = tuple(COLUMNS)
LEVELS: dict[str, tuple[str, ...]] = {"off": (), "light": PARTS[:2], "full": PARTS}


def parts_of(camera: str) -> tuple[str, ...]:
    """The parts that `--camera` names: a level, or a level and some of its parts, as in `full:blink,noise`.

    Raises:
        UsageError: another level, or a part that the level does not have.
    """
    level, _, names = camera.partition(":")
    known = LEVELS.get(level)
    asked = tuple(name.strip() for name in names.split(",")) if names else known or ()
    if known is None or not set(asked) <= set(known):
        raise UsageError(
            f"--camera {camera}",
            expected=f"off, light ({', '.join(LEVELS['light'])}) or full (also {', '.join(PARTS[2:])})",
            do="name a level, or some of its parts: full:blink,head",
        )
    return tuple(part for part in PARTS if part in asked)


def draw(parts: tuple[str, ...], n_frames: int, rng_of: Callable[[str], Random]) -> dict[str, Any]:
    """The columns of one sample.

    Args:
        parts: from `parts_of`.
        n_frames: of the sample; what drifts goes straight from the first frame to the last.
        rng_of: randomness by the name of a part, so that switching one off leaves the others as they were.

    Returns:
        a value for each of COLUMNS; None for parts that are off.
    """
    return {part: _DRAW[part](rng_of(part), n_frames) if part in parts else None for part in PARTS}


def _path(ends: npt.ArrayLike, n: int) -> list[Any]:
    start, end = np.asarray(ends, np.float64)
    t = np.linspace(0, 1, n).reshape(-1, *[1] * np.ndim(start))
    return list(((1 - t) * start + t * end).astype(np.float32))


def _blink(rng: Random, n: int) -> list[Any]:
    ends = np.zeros(2)
    if rng.random() < BLINK_CHANCE:
        ends[int(rng.random() < 0.6)] = rng.uniform(0.05, BLINK)
    return _path(ends, n)


def _others(rng: Random, n: int) -> list[Any]:
    ends = np.zeros((2, N_AUS))
    for au in rng.choice(N_AUS, OTHERS, replace=False):
        ends[int(rng.random() < 0.5), au] = rng.uniform(0, OTHER)
    return _path(ends, n)


def _asymmetry(rng: Random, n: int) -> list[float]:
    if rng.random() < ONE_SIDED:
        return [float(rng.choice((-1, 1)) * rng.uniform(0.7, 1))] * N_AUS
    return list(np.tanh(rng.normal(0, UNEVEN, N_AUS)).astype(np.float32))


def _head(rng: Random, n: int) -> list[Any]:
    return _path([np.zeros(4), rng.normal(0, (SHIFT, SHIFT, ROLL, ZOOM))], n)


def _outliers(rng: Random, n: int) -> list[Any]:
    k = int(rng.integers(OUTLIERS + 1))
    columns = (rng.uniform(0.1, 0.9, (k, 2)), rng.uniform(*OUTLIER_RADIUS, (k, 1)), rng.normal(0, OUTLIER, (k, 2)))
    return list(np.concatenate(columns, 1).astype(np.float32))


def _light(rng: Random, n: int) -> list[Any]:
    return _path([np.zeros(3), rng.normal(0, (LIGHT, TILT, TILT))], n)


def _noise(rng: Random, n: int) -> float:
    return float(np.float32(rng.uniform(0, NOISE)))


def _compression(rng: Random, n: int) -> int:
    return int(rng.integers(*QUALITY, endpoint=True))


_DRAW: dict[str, Callable[[Random, int], Any]] = {
    "blink": _blink, "others": _others, "asymmetry": _asymmetry, "head": _head, "outliers": _outliers,
    "light": _light, "noise": _noise, "compression": _compression,
}  # fmt: skip


def shown_aus(row: dict[str, Any]) -> npt.NDArray[np.float32]:
    """What the face does in a row of a plan: its AUs, and those of the camera's parts.

    Returns:
        float32 [n, 17, 2] in [0, 1]; the last axis is the person's left and right side. `row["aus"]` stays what the
        source drew.
    """
    aus = np.repeat(np.asarray(row["aus"], np.float32)[:, :, None], 2, axis=2)
    if row["asymmetry"] is not None:
        more_left = np.asarray(row["asymmetry"], np.float32)
        aus *= np.minimum(1, np.stack([1 + more_left, 1 - more_left], -1))
    if row["others"] is not None:
        aus += np.asarray(row["others"], np.float32)[:, :, None]
    if row["blink"] is not None:
        aus[:, AU_INDEX[45]] += np.asarray(row["blink"], np.float32)[:, None]
    return np.clip(aus, 0, 1)
