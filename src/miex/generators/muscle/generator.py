"""The muscle generator: no weights, one resampling per frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import N_AUS, SIDES, AUArray, checked
from miex.errors import ScaleError
from miex.faces.crop import OVERSAMPLING, AlignedFace, Image
from miex.generators.base import Field, Generator
from miex.generators.muscle.anatomy import Rim, load
from miex.generators.muscle.basis import FaceFrame, basis_fields
from miex.generators.muscle.furrows import relight
from miex.generators.muscle.layers import Layers, draw, opened, unsettled

GRID = 80  # cells: 1.6 px of a 128 px crop, .04 inter-ocular distances
TOLERANCE = 0.01  # of the inversion, pixels: a tenth of the smallest motion that counts
LEVEL = 256  # parts of a gray level in `MuscleRig.samples`
MOST_STEPS = 24  # of the inversion, where a field is too steep to be inverted to the tolerance


@dataclass(frozen=True)
class MuscleRig:
    """One identity, ready to be moved.

    Attributes:
        face: the aligned face.
        basis: float32 [34, g, g, 2]: displacement of the skin at intensity 1 for each AU and side, pixels of the crop.
        area: bool [g, g]: cells on the face.
        layers: what a warp cannot show; None: the warp alone.
    """

    face: AlignedFace
    basis: npt.NDArray[np.float32]
    area: npt.NDArray[np.bool_]
    layers: Layers | None = None

    @cached_property
    def samples(self) -> npt.NDArray[np.uint16]:
        """`face.samples`, unrounded."""
        return unrounded(self.face.samples)


class MuscleGenerator(Generator[MuscleRig]):
    """Moves the skin of a photo as facial muscles would (anatomy.toml); everything else holds still, bit for bit."""

    name = "muscle"
    version = 3

    @property
    def settings(self) -> dict[str, Any]:
        return {"grid": GRID}

    def prepare(self, face: AlignedFace) -> MuscleRig:
        frame = FaceFrame(face, load(), GRID)
        basis = basis_fields(frame, GRID).reshape(-1, GRID, GRID, 2)
        return MuscleRig(face, basis, np.asarray(frame.radius(Rim(neck=0)) < 1), Layers(frame, face, basis))

    def render(self, rig: MuscleRig, aus: AUArray, rng: np.random.Generator, drift: Field | None = None) -> Image:
        size = rig.face.size
        weights = _weights(aus)
        frames = np.empty((len(weights), size, size, 3), np.uint8)
        ways = partial(invert_sheets, cells_per_pixel=GRID / size)
        for i, (frame, z) in enumerate(zip(frames, weights, strict=True)):
            field, scale = restrained(rig, z)
            if drift is not None:
                field += drift[i]
            elif not z.any():  # what sampling would give, for nothing
                frame[:] = rig.face.crop
                continue
            layers = opened(rig.layers, z, scale, None if drift is None else drift[i], size) if rig.layers else []
            back = invert(field, size, needed=unsettled(layers, size, GRID) if layers else None)
            fine: Any = cv2.resize(back, (size, size), interpolation=cv2.INTER_LINEAR)
            levels = sample(rig.samples, cv2.scaleAdd(fine, OVERSAMPLING, lattice(size, OVERSAMPLING)))
            for layer in layers:
                draw(layer, levels, rig.samples, field, z, ways, sample, LEVEL)
            if rig.layers:
                relight(levels, rig.layers.light, z, fine, rig.layers.light.positions(size))
            cv2.convertScaleAbs(levels, alpha=1 / LEVEL, dst=frame)
        return frames

    def displacement(self, rig: MuscleRig, aus: AUArray) -> Field:
        return np.stack([restrained(rig, z)[0] for z in _weights(aus)])

    def face_area(self, rig: MuscleRig) -> npt.NDArray[np.bool_]:
        return rig.area


def unrounded(samples: Image) -> npt.NDArray[np.uint16]:
    """Likely values of the picture before it was rounded to gray levels: smoother, and within half a level.

    Skin changes by a few levels per pixel. Between rounded samples a motion of .05 px is often rounded away again:
    the gain falls to .90; from here it is .97 and more. Rounded, the values are the samples, bit for bit.

    Args:
        samples: uint8 [m, m, 3].

    Returns:
        uint16 [m, m, 3] in parts of a level (1 / LEVEL).
    """
    levels = samples.astype(np.uint16) * np.uint16(LEVEL)
    smooth = cv2.GaussianBlur(levels, (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE)
    half = np.uint16(LEVEL // 2 - 1)
    return np.clip(smooth, levels - np.minimum(levels, half), levels + half).astype(np.uint16, copy=False)


def combine(rig: MuscleRig, weights: npt.NDArray[np.float32]) -> Field:
    """Σ weight·basis, float32 [g, g, 2]; muscles at rest cost nothing. One by one, so that bits do not depend on n."""
    field = np.zeros(rig.basis.shape[1:], np.float32)
    for i in np.flatnonzero(weights):
        cv2.scaleAdd(rig.basis[i], float(weights[i]), field, dst=field)
    return field


def restrained(rig: MuscleRig, weights: npt.NDArray[np.float32]) -> tuple[Field, npt.NDArray[np.float32] | None]:
    """The field of `combine` where it folds nowhere, and by how much that shortened it (`Layers.restraint`)."""
    field = combine(rig, weights)
    scale = rig.layers.restraint(field, weights, rig.face.size) if rig.layers else None
    if scale is not None:
        field *= scale[..., None]
    return field, scale


def invert(field: Field, size: int, *, needed: npt.NDArray[np.uint8] | None = None) -> Field:
    """The way back: where the skin that is seen at a point came from.

    Solves m(y) = −F(y + m(y)) by fixed-point steps until the equation holds within TOLERANCE everywhere. Where the
    field folds it has several solutions; the steps end near one of them.

    Args:
        field: F, float32 [g, g, 2], (right, down), pixels of the crop.
        size: side of the crop, pixels.
        needed: uint8 [g, g]: 0 where the equation need not hold. Default: it must everywhere.

    Returns:
        m, as `field`. Exactly 0 where F is 0 all around.
    """
    cells_per_pixel = len(field) / size
    steep = _steepest(field, needed) * cells_per_pixel
    return _steps(field, -field, lattice(len(field), 1), cells_per_pixel, steep, needed)


def invert_sheets(field: Field, cells: tuple[slice, slice], cells_per_pixel: float) -> Field:
    """The ways back of two fields on a window of the grid for a block of its cells, at once.

    Args:
        field: one below the other, float32 [2·h, w, 2].
        cells: the block.
        cells_per_pixel: of the grid.

    Returns:
        one below the other, as `field`.
    """
    height = len(field) // 2
    start = lattice(max(field.shape), 1)[cells]
    down = np.array([0, height], np.float32)
    halves = field[:height], field[height:]
    steep = max(_steepest(half, None) for half in halves) * cells_per_pixel
    starts = np.concatenate([start, start + down])
    return _steps(field, np.concatenate([-half[cells] for half in halves]), starts, cells_per_pixel, steep, None)


def _steepest(field: Field, needed: npt.NDArray[np.uint8] | None) -> float:
    down, across = (None, None) if needed is None else (needed[1:] & needed[:-1], needed[:, 1:] & needed[:, :-1])
    return max(
        cv2.norm(field[1:], field[:-1], cv2.NORM_INF, mask=down),
        cv2.norm(field[:, 1:], field[:, :-1], cv2.NORM_INF, mask=across),
    )


def _steps(
    field: Field,
    back: Field,
    start: Field,
    cells_per_pixel: float,
    steep: float,
    needed: npt.NDArray[np.uint8] | None,
) -> Field:
    damping = min(1.0, 1.5 / (1 + steep))  # plain steps run away where the gradient nears 1
    planes = cv2.split(field)  # of two channels at once, OpenCV rounds positions to 1/32 cell; of one it does not
    for _ in range(MOST_STEPS):
        where = cv2.scaleAdd(back, cells_per_pixel, start)
        miss = cv2.add(back, cv2.merge([sample(plane, where) for plane in planes]))
        back = np.asarray(cv2.scaleAdd(miss, -damping, back), np.float32)
        if cv2.norm(miss, cv2.NORM_INF, mask=needed) < TOLERANCE:
            break
    return back


def sample(image: Any, where: Any) -> Any:
    """The image at the positions (x, y) [h, w, 2], bilinear; beyond its edges it goes on as at the edge."""
    second: Any = None  # all positions come in one array, which OpenCV's type stubs do not know
    return cv2.remap(image, where, second, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@lru_cache(maxsize=8)
def lattice(n: int, spacing: int) -> npt.NDArray[np.float32]:
    """Positions (x, y) of n × n points, float32 [n, n, 2], not to be written."""
    line = np.arange(n, dtype=np.float32) * spacing
    points = np.stack(np.meshgrid(line, line), -1)
    points.flags.writeable = False
    return points


def _weights(aus: AUArray) -> npt.NDArray[np.float32]:
    """Intensities as float32 [n, 34], in the order of `MuscleRig.basis`."""
    z = checked(aus)
    if z.shape[1:] == (N_AUS,):
        z = np.repeat(z[:, :, None], len(SIDES), axis=2)
    if z.ndim != 3:
        raise ScaleError("AU vectors", expected=f"shape [n, {N_AUS}] or [n, {N_AUS}, 2]", found=f"shape {z.shape}")
    return z.reshape(len(z), -1)
