"""What every generator promises: it prepares a face once, and then renders AU vectors on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, final

import numpy as np

from miex.arguments import Kind
from miex.aus.vector import N_AUS, SIDES, AUArray, checked
from miex.errors import ScaleError, UsageError
from miex.faces.crop import AlignedFace
from miex.generators.grid import Field
from miex.images import Image

Rig = TypeVar("Rig")


def aus_of_frames(aus: AUArray) -> AUArray:
    """AU vectors of n frames, proven: float32 [n, 17] or [n, 17, 2], in [0, 1]. Raises ScaleError."""
    z = checked(aus)
    if z.shape[1:] not in ((N_AUS,), (N_AUS, len(SIDES))):
        raise ScaleError("AU vectors", expected=f"shape [n, {N_AUS}] or [n, {N_AUS}, 2]", found=f"shape {z.shape}")
    return z


@dataclass(frozen=True)
class Rendered:
    """The frames that a generator renders from n AU vectors.

    Attributes:
        frames: uint8 RGB [n, size, size, 3].
        fields: where the AUs take each point of the rest face, without what drifts: float32 [n, GRID, GRID, 2] as
            `generators.grid` describes them; None from a generator that knows no motion, only pictures.
    """

    frames: Image
    fields: Field | None = None


class Generator(ABC, Generic[Rig]):
    """x = G(face, z): pure functions of their arguments, without files, clock, chance or global state.

    A subclass promises what its attributes say, and tests/contract checks it. It is registered by name in
    `generators.registry`.

    Attributes:
        name: as users type it.
        version: grows whenever the same input gives other pixels; part of every plan's digest.
        exact_rest: whether all AUs at 0, where nothing drifts, give the crop bit for bit.
        sides: whether the person's left and right side move apart.
        fields: whether `render` gives displacement fields.
        batch_tolerance: by how many gray levels a frame, before it drifts, may differ when it is rendered together with
            others. At 0 a set is rendered in large batches; above, one row of the plan at a time, since a row's pixels
            depend on nothing but the row. (A network mostly gets to 0 by running in batches of one size, the last one
            filled up.)
        weighted: whether it needs a file of weights, which is then the first argument of its class.
        mixed: whether each sample is a mixture of two ways to move a face: its plan then draws their shares (`mix`). A
            rig as `prepare` gives it is half of each.
        options: what users can choose, by name, with the values that each may have. Each is an argument of its class
            that need not be given, and is part of `settings` if it changes pixels.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    exact_rest: ClassVar[bool]
    sides: ClassVar[bool]
    fields: ClassVar[bool]
    batch_tolerance: ClassVar[int]
    weighted: ClassVar[bool] = False
    mixed: bool = False
    options: ClassVar[Mapping[str, Kind]] = {}

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Mapping[str, Any], *, find: Callable[[str], Path]) -> Self:
        """The generator that has these settings.

        Args:
            settings: as `settings` gives them, perhaps in another process or on another machine.
            find: the file of weights, by its sha256 in hexadecimal digits; raises InputError if it is not at hand.

        Raises:
            InputError: this version cannot have them.
        """

    def __repr__(self) -> str:
        return f"generator {self.name} {self.version}"

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Every option that changes pixels, as plain JSON values; part of every plan's digest. Weights are named by
        their sha256, never by a path."""

    @abstractmethod
    def prepare(self, face: AlignedFace) -> Rig:
        """The work that one identity needs once, whatever its AUs."""

    @final
    def mix(self, rig: Rig, share: float) -> Rig:
        """The rig of one sample, from that of its identity, if the generator is `mixed`.

        Args:
            rig: from `prepare`.
            share: of the second way to move a face, in [0, 1].

        Raises:
            UsageError: the generator mixes nothing, or the share is outside [0, 1].
        """
        if not self.mixed:
            raise UsageError(f"a mixture by generator {self.name}", expected="a generator that is `mixed`")
        if not 0 <= share <= 1:
            raise UsageError(f"a mixture by generator {self.name}", expected="a share from 0 to 1", found=f"{share:g}")
        return self._mix(rig, share)

    def _mix(self, rig: Rig, share: float) -> Rig:
        """What a generator that is `mixed` writes for itself of `mix`."""
        raise NotImplementedError

    @final
    def render(self, rig: Rig, aus: AUArray, drift: Field | None = None) -> Rendered:
        """Frames of one identity.

        Args:
            rig: from `prepare`.
            aus: intensities in [0, 1], float32 [n, 17], or [n, 17, 2] (the person's left and right side apart).
            drift: where all that is seen goes beside the skin's own motion (the head, say), float32
                [n, GRID, GRID, 2]; None: nothing drifts, as if it were 0.

        Raises:
            ScaleError: AUs of another shape, or outside [0, 1].
            UsageError: left and right differ, and the generator moves both alike.
        """
        z = aus_of_frames(aus)
        if z.ndim == 3 and not self.sides:
            if not np.array_equal(z[..., 0], z[..., 1]):
                self.require_sides("AUs that differ left and right")
            z = z[..., 0]
        return self._render(rig, z, drift)

    @abstractmethod
    def _render(self, rig: Rig, aus: AUArray, drift: Field | None) -> Rendered:
        """What a generator writes for itself of `render`.

        Args:
            rig, drift: as in `render`; who does not resample the photo passes its frames through `grid.warp`.
            aus: proven, float32 [n, 17], or, if the generator has `sides`, perhaps [n, 17, 2].
        """

    def require_sides(self, asked: str) -> None:
        """Raises UsageError unless the sides of a face move apart; its text begins with what was asked."""
        if not self.sides:
            raise UsageError(
                f"{asked}, with generator {self.name}",
                expected="a generator that moves each side of a face by itself, such as muscle",
                found=f"{self.name} moves both sides alike",
                do="give both sides the same intensity and leave asymmetry out, or choose another generator",
            )
