"""The layers of one face over the warp of its skin: mouth and eyes, each drawn on the small part of the frame it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from miex.faces.crop import OVERSAMPLING, AlignedFace
from miex.generators.base import Field
from miex.generators.muscle.basis import FaceFrame, Floats
from miex.generators.muscle.cuts import (
    Cut,
    Opening,
    at_points,
    covering_cells,
    inner_cells,
    open_cut,
    sheet,
    upsampled,
)
from miex.generators.muscle.furrows import Light, make_light
from miex.generators.muscle.lids import Eye, behind, make_eyes, unrolled
from miex.generators.muscle.mouth import Mouth, inside, make_mouth, stretched

Sample = Callable[[Any, Any], Any]
Invert = Callable[[Field, tuple[slice, slice]], Field]


@dataclass(frozen=True)
class Layers:
    """Mouth, eyes and furrows of a face, ready to be drawn."""

    parts: tuple[Mouth | Eye, ...]
    light: Light
    frame: FaceFrame


def make_layers(frame: FaceFrame, face: AlignedFace, basis: Floats) -> Layers:
    """The layers of a face with that basis [34, g, g, 2]."""
    return Layers((make_mouth(frame, face, basis), *make_eyes(frame, face, basis)), make_light(frame, basis.shape[1]), frame)


@dataclass(frozen=True)
class Drawn:
    """A layer in one frame."""

    part: Mouth | Eye
    opening: Opening
    amounts: Floats
    drift: Floats


def opened(layers: Layers, weights: Floats, drift: Field | None, size: int) -> list[Drawn]:
    """The layers that show at intensities float32 [34]; none where no muscle parts lips or lids."""
    found = []
    for part in layers.parts:
        cut: Cut = part.cut
        if not weights[cut.rows].any():
            continue
        amounts = cut.amounts(weights)
        edges, moved = cut.displaced(weights, amounts), np.zeros(2, np.float32)
        if drift is not None:
            drifts = np.stack([at_points(drift[None], edge, layers.frame)[0] for edge in cut.edges])
            edges, moved = edges + drifts, drifts.mean((0, 1))
        opening = open_cut(cut, edges, size)
        if opening:
            found.append(Drawn(part, opening, amounts, moved))
    return found


def unsettled(drawn: list[Drawn], size: int, grid: int) -> npt.NDArray[np.uint8]:
    """Cells whose way back in the skin's own field is needed: 1; 0 where only layers are seen."""
    needed = np.ones((grid, grid), np.uint8)
    for layer in drawn:
        needed[inner_cells(layer.opening.box, size, grid)] = 0
    return needed


def draw(
    layer: Drawn,
    levels: npt.NDArray[np.uint16],
    samples: npt.NDArray[np.uint16],
    field: Field,
    weights: Floats,
    invert: Invert,
    sample: Sample,
    level: int,
) -> None:
    """Draw a layer.

    Args:
        layer: from `opened`.
        levels: the frame, changed in place, uint16 [size, size, 3] in parts of a gray level.
        samples: the rest picture, OVERSAMPLING samples per pixel.
        field: of the skin, pixels [g, g, 2].
        weights: intensities, float32 [34].
        invert: the way back of a field, for a block of its cells.
        sample: the picture at positions.
        level: parts of a gray level.
    """
    opening, part = layer.opening, layer.part
    size, grid, box = len(levels), len(field), opening.box
    cells = covering_cells(box, size, grid)

    def at(where: Any) -> Floats:
        return np.asarray(sample(samples, where), np.float32)

    here = np.stack(np.broadcast_arrays(opening.x, opening.y), -1)
    above, gap = (share[..., None] for share in opening.shown(over=isinstance(part, Eye)))
    sheets = []
    for e in (0, 1):
        back = invert(sheet(field, part.cut, e, layer.amounts), cells)
        rest = here + upsampled(back, cells, box, size, grid)
        sheets.append(at(rest * np.float32(OVERSAMPLING)))
        if isinstance(part, Eye) and e == 0 and weights[part.closing]:
            sheets[0] = unrolled(part, sheets[0], rest, opening, float(weights[part.closing]), level)
    picture = sheets[1] + (sheets[0] - sheets[1]) * above
    if gap.any():
        if isinstance(part, Eye):
            content = at(behind(opening, layer.drift) * np.float32(OVERSAMPLING))
        else:
            content = inside(part, opening, weights, layer.drift) * np.float32(level)
            if part.own:
                where, kept = stretched(opening, layer.drift[1])
                content += (part.own * kept[..., None]) * (at(where * np.float32(OVERSAMPLING)) - content)
        below = 1 - above - gap
        picture = sheets[0] * above + sheets[1] * below + content * gap
    levels[box] = np.rint(picture)
