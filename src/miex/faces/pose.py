"""The choice of frontal faces by landmarks near those of a few query faces (Liu et al. 2022, Table 3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.errors import UsageError
from miex.faces.crop import MOUTH_CORNERS, eye_centers

N_QUERIES = 10  # as in the paper
_NOSE_TIP = 1


def five_points(landmarks: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Eye centers, nose tip and mouth corners, float64 [5, 2], without the face's position and size.

    The paper compares the five points of MTCNN; these are the same points of the face mesh, centered and divided by
    their root mean square distance, so that where the face lies in its photo does not matter. Roll stays.
    """
    points = np.asarray(landmarks, np.float64)[:, :2]
    five = np.concatenate([eye_centers(points), points[[_NOSE_TIP, *MOUTH_CORNERS]]])
    five -= five.mean(0)
    five /= np.sqrt((five**2).sum(1).mean())
    return five


def most_frontal(index: pa.Table, n: int = N_QUERIES) -> list[int]:
    """Rows of the n faces with the smallest turn √(yaw² + pitch² + roll²), of those that can be used."""
    angles = [np.nan_to_num(index[a].to_numpy(), nan=np.inf) for a in ("yaw", "pitch")]
    angles.append(np.nan_to_num(_roll(index), nan=np.inf))
    turn = np.sqrt(sum(angle**2 for angle in angles))
    return [int(row) for row in np.argsort(turn, kind="stable") if not index["reason"][int(row)].as_py()][:n]


def _roll(index: pa.Table) -> npt.NDArray[np.float64]:
    """Roll of each photo turned upright, degrees."""
    roll, turn = (np.asarray(index[name].to_numpy(zero_copy_only=False), np.float64) for name in ("roll", "turn"))
    return np.asarray((roll + turn + 180) % 360 - 180, np.float64)


def _upright(row: dict[str, Any]) -> npt.NDArray[np.float64]:
    """Landmarks in the photo turned upright, but for its place."""
    points = np.asarray(row["landmarks"], np.float64).reshape(-1, 3)[:, :2]
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[row["turn"]]
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]), np.float64)


def rows_of(index: pa.Table, paths: list[str]) -> list[int]:
    """Rows of the photos with these paths. Raises UsageError for a path that is not in the index."""
    known = {path: row for row, path in enumerate(index["path"].to_pylist())}
    absent = [path for path in paths if path not in known]
    if absent:
        raise UsageError(
            f"query {absent[0]}", expected="the path of a photo, relative to the folder", do="check the spelling"
        )
    return [known[path] for path in paths]


def choose_frontal(index: pa.Table, n: int, queries: list[int] | None = None) -> list[int]:
    """Rows of n faces that lie nearest to the queries: the union of each query's k nearest, with the smallest k that
    fills n; what is too much of the last k is left out, farthest first.

    Args:
        index: table of faces.index.INDEX_SCHEMA.
        n: how many; at most the usable photos.
        queries: rows; by default the ten most frontal.

    Raises:
        UsageError: n is more than there are, or a query that cannot be used.
    """
    usable = [row for row, reason in enumerate(index["reason"].to_pylist()) if not reason]
    if not 1 <= n <= len(usable):
        raise UsageError(
            f"{n} frontal faces",
            expected=f"1 to {len(usable)}, the number of usable photos",
            do="ask for fewer, or add photos",
        )
    queries = most_frontal(index) if queries is None else queries
    refused = [index["path"][q].as_py() for q in queries if q not in usable]
    if refused:
        raise UsageError(f"query {refused[0]}", expected="a photo with a usable face", do="choose another query")
    points = np.stack(
        [five_points(_upright(row)) for row in index.select(["landmarks", "turn"]).take(usable).to_pylist()]
    )
    position = {row: i for i, row in enumerate(usable)}
    distance = np.stack([np.sqrt(((points - points[position[q]]) ** 2).sum((1, 2))) for q in queries])  # [q, faces]
    rank = distance.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable").min(0)
    order = np.lexsort((distance.min(0), rank))  # by the k that first takes a face, then by distance
    return sorted(usable[i] for i in order[:n])
