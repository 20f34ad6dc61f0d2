"""The generator ganimation: a trained network repaints the photo."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from miex.aus.vector import N_AUS, AUArray
from miex.errors import InputError, UsageError
from miex.faces.crop import AlignedFace
from miex.generators.base import Generator, Rendered
from miex.generators.ganimation.checkpoints import load_generator
from miex.generators.ganimation.manifest import known_weights
from miex.generators.ganimation.networks import STRIDE
from miex.generators.grid import Field, warp


class GANimation(Generator[Tensor]):
    """Repaints a photo by AUs (networks.GeneratorNetwork). A rig is the crop, float32 [1, 3, s, s], in [−1, 1].

    The crop is painted at its own size, whatever the size that the network was trained at. AUs go to the network as
    they are, times the scale on which it was trained. Frames are painted one by one, on one thread: on a core of a CPU
    larger batches are no faster, and so the frames beside it change no bit of a frame.

    Args:
        weights: checkpoint of a generator of 17 AUs, of either published family.
        scale: what the network takes for intensity 1. Default: as weights.toml says (`manifest`), or 1, which both
            families were trained on.

    Raises:
        InputError: the file cannot be read, or is another one.
    """

    name = "ganimation"
    version = 1
    exact_rest = sides = fields = False
    batch_tolerance = 0
    weighted = True

    def __init__(self, weights: Path, scale: float | None = None) -> None:
        found, self._network = load_generator(weights)
        if found.aus != N_AUS:
            raise InputError(f"weights {weights}", expected=f"a generator of {N_AUS} AUs", found=f"{found.aus} AUs")
        self._sha256 = found.sha256
        known = known_weights(found.sha256, weights)
        self._scale = float(scale if scale is not None else known.scale if known else 1)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], *, find: Callable[[str], Path]) -> Self:
        sha256, scale = settings.get("weights"), settings.get("scale")
        fits = isinstance(scale, float) and math.isfinite(scale) and scale > 0 and isinstance(sha256, str)
        if not fits or set(settings) != {"weights", "scale"}:
            raise InputError(
                f"generator {cls.name} with {dict(settings)}", expected="the settings weights (a sha256) and scale"
            )
        return cls(find(str(sha256)), scale)

    @property
    def settings(self) -> dict[str, Any]:
        return {"weights": self._sha256, "scale": self._scale}

    def prepare(self, face: AlignedFace) -> Tensor:
        if face.size % STRIDE:
            raise UsageError(
                f"a face of {face.size} px, with generator {self.name}", expected=f"a multiple of {STRIDE}"
            )
        levels = torch.from_numpy(face.crop).permute(2, 0, 1)[None]
        return levels.contiguous().float() / 127.5 - 1

    def _render(self, rig: Tensor, aus: AUArray, drift: Field | None) -> Rendered:
        planes = torch.from_numpy(aus * np.float32(self._scale))
        frames = np.empty((len(aus), *rig.shape[2:], 3), np.uint8)
        with torch.inference_mode(), _one_thread():
            for frame, z in zip(frames, planes, strict=True):
                (painted,) = self._network(rig, z[None]).pictures
                if not torch.isfinite(painted).all():
                    raise ArithmeticError("the network painted NaN: its weights are too large")
                levels = ((painted + 1) * 127.5).round().clamp(0, 255)
                frame[:] = levels.permute(1, 2, 0).to(torch.uint8).numpy()
        return Rendered(warp(frames, drift))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch without threads of its own: workers share the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
