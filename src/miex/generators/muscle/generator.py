"""The muscle generator: no weights, and one resampling per frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import cv2
import numpy as np
import numpy.typing as npt

from miex.arguments import Kind, choice
from miex.aus.vector import N_AUS, SIDES, AUArray
from miex.compiled import compiled
from miex.errors import InputError
from miex.faces.crop import OVERSAMPLING, AlignedFace
from miex.generators.base import Generator, Rendered, aus_of_frames
from miex.generators.grid import GRID, Field, invert, lattice, moving, moving_cells, sample
from miex.generators.muscle.anatomy import load
from miex.generators.muscle.basis import FaceFrame
from miex.generators.muscle.blendshapes import BlendshapeFrame
from miex.generators.muscle.cuts import inner_cells
from miex.generators.muscle.furrows import relight
from miex.generators.muscle.layers import Layers, draw, opened
from miex.generators.muscle.mixed import MixedLayers
from miex.images import Image

FRAMES = {"anatomy": FaceFrame, "blendshapes": BlendshapeFrame}
BASES = (*FRAMES, "mixed")
LEVEL = 256  # parts of a gray level in `MuscleRig.samples`
SMOOTHING = tuple(cv2.getGaussianKernel(7, 1.0, cv2.CV_32F)[3:, 0])  # of `unrounded`, from the middle outward


@dataclass(frozen=True)
class MuscleRig:
    """One identity, ready to be moved.

    Attributes:
        face: the aligned face.
        basis: float32 [34, g, g, 2]: displacement of the skin at intensity 1 for each AU and side, pixels of the crop.
        layers: what a warp cannot show; None: the warp alone.
        both: the rigs that it is a mixture of, if it is one.
    """

    face: AlignedFace
    basis: npt.NDArray[np.float32]
    layers: Layers | None = None
    both: tuple[MuscleRig, MuscleRig] | None = None

    @cached_property
    def reach(self) -> npt.NDArray[np.int64]:
        """Of each entry of the basis the first row in which it moves anything, the one behind the last, and columns,
        int64 [34, 4]."""
        found = np.empty((len(self.basis), 4), np.int64)
        _reach(self.basis, found)
        return found

    @cached_property
    def samples(self) -> npt.NDArray[np.uint16]:
        """`face.samples`, unrounded: red, green, blue, and a fourth channel, as OpenCV samples four in half the time of
        three."""
        return np.asarray(cv2.cvtColor(unrounded(self.face.samples), cv2.COLOR_RGB2RGBA), np.uint16)

    @cached_property
    def rest(self) -> npt.NDArray[np.uint16]:
        """Those at the pixels: what a frame shows where nothing moves, uint16 [size, size, 3]."""
        return np.stack([self.samples[::OVERSAMPLING, ::OVERSAMPLING, c] for c in range(3)], axis=-1)


class MuscleGenerator(Generator[MuscleRig]):
    """Moves the skin of a photo as facial muscles would; all other pixels stay the same, bit for bit.

    Args:
        basis: what an AU does to skin: `anatomy`, muscles as data (anatomy.toml); `blendshapes`, expression shapes of a
            modeled head (blendshapes.csv); or `mixed`, in each sample another mixture of both.
    """

    name = "muscle"
    version = 10
    exact_rest = sides = fields = True
    batch_tolerance = 0

    options: ClassVar[Mapping[str, Kind]] = {"basis": choice(*BASES)}

    def __init__(self, *, basis: str = "anatomy") -> None:
        self._basis = basis
        self.mixed = basis == "mixed"

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], *, find: Callable[[str], Path]) -> Self:
        generator = cls(basis=settings["basis"]) if settings.get("basis") in BASES else cls()
        if settings != generator.settings:
            raise InputError(
                f"generator {cls.name} with {dict(settings)}",
                expected=f"grid: {GRID}, and basis: {cls.options['basis'].expected}",
            )
        return generator

    @property
    def settings(self) -> dict[str, Any]:
        return {"grid": GRID, "basis": self._basis}

    def prepare(self, face: AlignedFace) -> MuscleRig:
        if not self.mixed:
            return _rig(face, FRAMES[self._basis])
        both = [_rig(face, frame) for frame in FRAMES.values()]
        return mixture((both[0], both[1]), 0.5)

    def _mix(self, rig: MuscleRig, share: float) -> MuscleRig:
        assert rig.both is not None
        return mixture(rig.both, share)

    def _render(self, rig: MuscleRig, aus: AUArray, drift: Field | None) -> Rendered:
        size = rig.face.size
        weights = _weights(aus)
        frames = np.empty((len(weights), size, size, 3), np.uint8)
        fields = np.empty((len(weights), GRID, GRID, 2), np.float32)
        scales = []
        for i, z in enumerate(weights):
            fields[i], scale = restrained(rig, z)
            scales.append(scale)
        for i, (frame, z, scale) in enumerate(zip(frames, weights, scales, strict=True)):
            drifts = drift[i] if drift is not None and drift[i].any() else None
            if drifts is None and not z.any():  # what sampling would give, for nothing
                frame[:] = rig.face.crop
                continue
            field = fields[i] if drifts is None else fields[i] + drifts
            layers = opened(rig.layers, z, scale, drifts, size) if rig.layers else []
            back = invert(field, size, steep=[inner_cells(layer.opening.box, size, GRID) for layer in layers])
            fine: Any = cv2.resize(back, (size, size), interpolation=cv2.INTER_LINEAR)
            levels, moved = rig.rest.copy(), moving(field, size)
            where = cv2.scaleAdd(fine[moved], OVERSAMPLING, lattice(size, OVERSAMPLING)[moved])
            cv2.cvtColor(sample(rig.samples, where), cv2.COLOR_RGBA2RGB, dst=levels[moved])
            for layer in layers:
                draw(layer, levels, rig.samples, field, z, LEVEL, fine)
            if rig.layers:
                relight(levels, rig.layers.light, z, fine)
            cv2.convertScaleAbs(levels, alpha=1 / LEVEL, dst=frame)
        return Rendered(frames, fields)

    def displacement(self, rig: MuscleRig, aus: AUArray) -> Field:
        """The fields of `render` without its frames: float32 [n, GRID, GRID, 2], from AUs as there."""
        return np.stack([restrained(rig, z)[0] for z in _weights(aus_of_frames(aus))])


def _rig(face: AlignedFace, kind: type[FaceFrame]) -> MuscleRig:
    frame = kind(face, load(), GRID)
    basis = frame.fields()
    return MuscleRig(face, basis, Layers(frame, face, basis))


def mixture(both: tuple[MuscleRig, MuscleRig], share: float) -> MuscleRig:
    """A rig that moves skin as the second of two does, by that share, and as the first for the rest."""
    first, second = both
    assert first.layers is not None
    assert second.layers is not None
    basis = cv2.addWeighted(first.basis, 1 - share, second.basis, share, 0).astype(np.float32, copy=False)
    return MuscleRig(first.face, basis, MixedLayers(first.layers, second.layers, share, basis), both)


def unrounded(samples: Image) -> npt.NDArray[np.uint16]:
    """Likely values of the picture before it was rounded to gray levels: smoother, and within half a level.

    Skin changes by a few levels per pixel. Between rounded samples a motion of 0.05 px is often rounded away again.
    Rounded, the values are the samples, bit for bit.

    Args:
        samples: uint8 [m, m, 3].

    Returns:
        uint16 [m, m, 3] in parts of a level (1 / LEVEL).
    """
    found = np.empty(samples.shape, np.uint16)
    _smooth(samples.reshape(len(samples), -1), found.reshape(len(samples), -1))
    return found


@compiled
def _smooth(samples: Image, into: npt.NDArray[np.uint16]) -> None:
    """Fill what `unrounded` returns, of rows of R, G, B, R …: a Gaussian of one sample, cut off after three.

    In float32, and with distances that the compiler knows: eight values at a time.
    """
    height, width = samples.shape
    a, b, c, d = SMOOTHING
    half = np.float32(LEVEL // 2 - 1)
    line = np.empty(width + 18, np.float32)
    for i in range(height):
        up, up2, up3 = max(i - 1, 0), max(i - 2, 0), max(i - 3, 0)
        down, down2, down3 = min(i + 1, height - 1), min(i + 2, height - 1), min(i + 3, height - 1)
        for j in range(width):
            line[9 + j] = (
                a * np.float32(samples[i, j])
                + b * (np.float32(samples[up, j]) + np.float32(samples[down, j]))
                + c * (np.float32(samples[up2, j]) + np.float32(samples[down2, j]))
                + d * (np.float32(samples[up3, j]) + np.float32(samples[down3, j]))
            )
        for j in range(9):  # rows go on beyond their ends as at them
            line[j], line[9 + width + j] = line[9 + j % 3], line[6 + width + j % 3]
        for j in range(width):
            smooth = a * line[9 + j] + b * (line[6 + j] + line[12 + j])
            smooth += c * (line[3 + j] + line[15 + j]) + d * (line[j] + line[18 + j])
            level = np.float32(samples[i, j]) * np.float32(LEVEL)
            smooth = min(max(smooth * np.float32(LEVEL), level - half), level + half)
            into[i, j] = np.uint16(max(smooth, np.float32(0)) + np.float32(0.5))


def combine(rig: MuscleRig, weights: npt.NDArray[np.float32]) -> Field:
    """Σ weight·basis, float32 [g, g, 2]; muscles at rest cost nothing."""
    field = np.zeros(rig.basis.shape[1:], np.float32)
    _combine(rig.basis, rig.reach, weights, field)
    return field


@compiled
def _combine(
    basis: npt.NDArray[np.float32], reach: npt.NDArray[np.int64], weights: npt.NDArray[np.float32], field: Field
) -> None:
    """Add to a field, as far as entries reach."""
    for k in np.flatnonzero(weights):
        top, bottom, left, right = reach[k]
        for i in range(top, bottom):
            row, part, weight = field[i, left:right].reshape(-1), basis[k, i, left:right].reshape(-1), weights[k]
            for j in range(len(row)):
                row[j] += weight * part[j]


@compiled
def _reach(basis: npt.NDArray[np.float32], found: npt.NDArray[np.int64]) -> None:
    """Fill in `MuscleRig.reach`."""
    for k in range(len(basis)):
        found[k] = moving_cells(basis[k])


def restrained(rig: MuscleRig, weights: npt.NDArray[np.float32]) -> tuple[Field, npt.NDArray[np.float32] | None]:
    """The field of `combine` where it folds nowhere, and by how much that shortened it (`Layers.restraint`)."""
    field = combine(rig, weights)
    scale = rig.layers.restraint(field, weights, rig.face.size) if rig.layers else None
    if scale is not None:
        field *= scale[..., None]
    return field, scale


def _weights(aus: AUArray) -> npt.NDArray[np.float32]:
    """Intensities as float32 [n, 34], in the order of `MuscleRig.basis`."""
    if aus.ndim == 2:
        aus = np.repeat(aus[:, :, None], len(SIDES), axis=2)
    return aus.reshape(-1, N_AUS * len(SIDES))
