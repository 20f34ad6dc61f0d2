"""The lids: sheets of skin before an eye that holds still."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_INDEX, SIDES
from miex.generators.muscle.anatomy import load
from miex.generators.muscle.basis import FaceFrame, Floats
from miex.generators.muscle.cuts import Cut, Opening, cut_spec, load_table, make_cut, with_entry

OVERLAP = 0.012  # of closed lids, inter-ocular


@dataclass(frozen=True)
class Eye:
    """One eye; cut: between its lids."""

    cut: Cut


def make_eyes(frame: FaceFrame, basis: Floats) -> tuple[Eye, ...]:
    """The eyes of a face, for SIDES."""
    spec = cut_spec("eye", load())
    return tuple(Eye(_closing(make_cut(frame, spec, basis, side), frame, side)) for side in range(len(SIDES)))


def _closing(cut: Cut, frame: FaceFrame, side: int) -> Cut:
    """The cut with what the upper lid still lacks to meet the lower one when it closes.

    Openings differ between people more than the way of the lid in the anatomy, which is right for small intensities.
    The rest grows with the square of the intensity.
    """
    lids = load_table()["lids"]
    row = AU_INDEX[lids["closing"]] * len(SIDES) + side
    entry = int(np.flatnonzero(cut.rows == row)[0])
    n_basis = cut.moves.shape[1] - len(cut.rows)
    edges = cut.edges + cut.moves[:, row] + cut.moves[:, n_basis + entry]
    x = edges[0, :, 0]
    lower = np.interp(x, edges[1, :, 0], edges[1, :, 1])
    taper = np.minimum(1, 6 * np.minimum(np.arange(len(x)), np.arange(len(x))[::-1]) / len(x))
    lacking = np.maximum(0, lower - edges[0, :, 1] + OVERLAP * frame.unit * taper)
    # the field is one of the rest face, whose columns end up at x
    lacking_at = np.interp(frame.x[0], cut.edges[0, :, 0], lacking, left=0, right=0).astype(np.float32)
    edge = np.interp(frame.x[0], cut.edges[0, :, 0], cut.edges[0, :, 1]).astype(np.float32)
    above = np.clip((edge - frame.y) / np.float32(lids["crease"] * frame.unit), 0, 1)
    extra = np.zeros((2, *cut.extra.shape[2:]), np.float32)
    extra[0, ..., 1] = (1 - above**2) ** 2 * lacking_at
    return with_entry(cut, frame, row, 2.0, extra)


def behind(opening: Opening, drift: Floats) -> npt.NDArray[np.float32]:
    """Where in the rest picture the eye between the lids came from: float32 [h, w, 2], pixels of the crop.

    It holds still. What a raised lid uncovers was never seen: there the nearest part of the eye is stretched.

    Args:
        drift: (right, down) of the head at the eye, pixels.
    """
    x, y = opening.x - np.float32(drift[0]), opening.y - np.float32(drift[1])
    rest = [np.interp(x, edge[:, 0], edge[:, 1]).astype(np.float32) for edge in opening.cut.edges]
    now = [opening.upper - np.float32(drift[1]), opening.lower - np.float32(drift[1])]
    middle = (rest[0] + rest[1]) / 2
    upper_scale = np.minimum(1, (middle - rest[0]) / np.maximum(middle - now[0], 1e-3))
    lower_scale = np.minimum(1, (rest[1] - middle) / np.maximum(now[1] - middle, 1e-3))
    upper_scale, lower_scale = (np.where(s > 0, s, 1) for s in (upper_scale, lower_scale))
    source = middle + (y - middle) * np.where(y < middle, upper_scale, lower_scale)
    return np.stack([np.broadcast_to(x, source.shape), source], -1).astype(np.float32)

