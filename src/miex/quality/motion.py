"""Motion that AUs asked for, and motion that none did: optical flow from onset to apex, seen by one ruler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import AUArray
from miex.generators.grid import GRID, Field, face_area, lattice, optical_flow
from miex.generators.muscle import MuscleGenerator, MuscleRig
from miex.images import Image, gray

STILL = 0.05  # largest displacement of skin that no AU moves, % of the inter-ocular distance: 0.02 px of a 128 px frame
MARGIN = 2  # cells around moved skin that are left out: flow is smooth, and reaches that far beyond what moves
LEAST = 0.05  # share of the face that must be still to be judged


@dataclass(frozen=True)
class Motion:
    """Motion of the face of one pair, root mean square of the optical flow, % of the inter-ocular distance.

    Attributes:
        asked: where AUs move the skin.
        unasked: where none does; NaN where the AUs leave less than 5 % of the face still.
        still: share of the face that no AU moves, margin left out.
    """

    asked: float
    unasked: float
    still: float


def motion_of(rig: MuscleRig, pair: tuple[Image, Image], aus: AUArray, drift: Field | None) -> Motion:
    """Look where a face moves.

    Where AUs move the skin is what the muscle generator says of this face, whichever generator made the frames. What
    the plan moves beside the AUs (the head, residual motion) is taken back in the apex frame before flow is computed:
    flow of what has stayed is exact, and flow of 2 px is off by a tenth of that.

    Args:
        rig: of the identity, from `MuscleGenerator.prepare`.
        pair: onset and apex, uint8 RGB [size, size, 3].
        aus: that the two show, nuisances included, float32 [2, 17] or [2, 17, 2].
        drift: where the plan moves all that is seen, from onset to apex, float32 [GRID, GRID, 2], pixels; or None.
    """
    percent = 100 / rig.face.inter_ocular
    onset, apex = (gray(frame) for frame in pair)
    flow = optical_flow(onset, apex if drift is None else _taken_back(apex, drift))
    seen = np.asarray(cv2.resize(flow, (GRID, GRID), interpolation=cv2.INTER_AREA), np.float32)
    fields = MuscleGenerator().displacement(rig, aus)
    area = face_area(rig.face)
    moved = np.linalg.norm(fields[1] - fields[0], axis=-1) * percent > STILL
    still = ~_wider(moved, MARGIN) & area
    share = float(still.sum() / area.sum())
    return Motion(
        asked=_rms(seen[moved & area]) * percent,
        unasked=_rms(seen[still]) * percent if share >= LEAST else float("nan"),
        still=share,
    )


def _taken_back(apex: Image, drift: Field) -> Image:
    """The gray apex as it were without drift: what went to x + d(x) is put at x again."""
    size = len(apex)
    fine: Any = cv2.resize(drift, (size, size), interpolation=cv2.INTER_LINEAR)
    none: Any = None
    where = lattice(size, 1) + fine
    return np.asarray(cv2.remap(apex, where, none, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _wider(cells: npt.NDArray[np.bool_], by: int) -> npt.NDArray[np.bool_]:
    return np.asarray(cv2.dilate(cells.astype(np.uint8), np.ones((2 * by + 1, 2 * by + 1), np.uint8)), bool)


def _rms(vectors: npt.NDArray[np.float32]) -> float:
    """Root mean square length of vectors [n, 2]; NaN of none."""
    return float(np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1).mean())) if len(vectors) else float("nan")
