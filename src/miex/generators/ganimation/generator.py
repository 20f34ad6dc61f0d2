"""The generator ganimation: a trained network repaints the photo."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from miex.arguments import NONE, Kind, choice, whole
from miex.aus.vector import N_AUS, AUArray
from miex.errors import InputError, UsageError
from miex.executors.machine import torch_threads
from miex.faces.crop import AlignedFace
from miex.generators.base import Generator, Rendered
from miex.generators.ganimation.checkpoints import load_generator
from miex.generators.ganimation.inference import PRECISIONS, Inference
from miex.generators.ganimation.manifest import known_weights
from miex.generators.ganimation.networks import STRIDE, as_levels, as_pictures, blend
from miex.generators.grid import Field, warp

# Frames painted at once. On a core of a CPU larger batches gain a tenth at most, and filling them up costs more; a GPU
# works as long on one frame as on several.
BATCH = {"cpu": 1, "cuda": 16}
SIDE = 128  # pixels; at larger sides fewer frames are painted at once, so that they fit a GPU's memory


class GANimationRig(NamedTuple):
    """One identity, ready to be repainted, on the device.

    Attributes:
        crop: float32 [1, 3, s, s], in [−1, 1].
        seen: what the network's first layer makes of the crop, at the size at which it is painted (`Inference.seen`).
    """

    crop: Tensor
    seen: Tensor


class GANimation(Generator[GANimationRig]):
    """Repaints a photo by AUs (networks.GeneratorNetwork). AUs go to the network as they are, times its scale.

    With `painted`, the network sees the crop at that size. Its color C and its attention A are enlarged to the size of
    the crop (bilinear), and the frame is A·crop + (1 − A)·C: where A = 1 the crop stays, bit for bit, at its full
    resolution.

    The same bytes: frames are painted in batches of one size, on one thread of a CPU, and the last batch is filled up.
    So neither frames nor identities beside it, workers, shards or calls change a bit of a frame. Precision, `painted`
    and device are settings, and so part of a plan: whoever renders it renders it with these. The promise holds for each
    precision and device on the same kind of processor or GPU with the same version of torch (on CUDA also of cuDNN).
    Across these, nothing but likeness is promised: each adds up in its own order. float32 never means TF32. bfloat16
    pays where the processor computes in it (AVX-512 BF16, AMX; GPUs since Ampere); elsewhere it is slow. The device
    cuda shares this code, but has never been run.

    Args:
        weights: checkpoint of a generator of 17 AUs, of either published family.
        scale: what the network takes for intensity 1. Default: as weights.toml says (`manifest`), or 1, which both
            families were trained on.
        precision: float32 or bfloat16, of the network's convolutions.
        painted: side of the crop that the network sees, in pixels, a multiple of 4. Default: the crop's own, whatever
            the size that the network was trained at.
        device: cpu or cuda.

    Raises:
        InputError: the file cannot be read, or is another one.
        UsageError: there is no such device.
    """

    name = "ganimation"
    version = 2
    exact_rest = sides = fields = False
    batch_tolerance = 0
    weighted = True
    options: ClassVar[Mapping[str, Kind]] = {
        "precision": choice(*PRECISIONS), "painted": whole(32, 1024, step=STRIDE) | NONE, "device": choice(*BATCH)
    }  # fmt: skip

    def __init__(
        self,
        weights: Path,
        scale: float | None = None,
        *,
        precision: str = "float32",
        painted: int | None = None,
        device: str = "cpu",
    ) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise UsageError(
                f"option device=cuda of generator {self.name}", expected="a CUDA device, and a torch built for it",
                found=f"torch {torch.__version__} sees none",
                do="use device=cpu; a plan keeps the device it was made for, since each gives its own bytes",
            )  # fmt: skip
        found, network = load_generator(weights)
        if found.aus != N_AUS:
            raise InputError(f"weights {weights}", expected=f"a generator of {N_AUS} AUs", found=f"{found.aus} AUs")
        known = known_weights(found.sha256, weights)
        self._settings: dict[str, Any] = {
            "weights": found.sha256, "scale": float(scale if scale is not None else known.scale if known else 1),
            "precision": precision, "painted": painted, "device": device,
        }  # fmt: skip
        self._network = Inference(network, precision, device)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], *, find: Callable[[str], Path]) -> Self:
        sha256, scale = settings.get("weights"), settings.get("scale")
        fits = isinstance(scale, float) and math.isfinite(scale) and scale > 0 and isinstance(sha256, str)
        if not fits or set(settings) != {"weights", "scale", *cls.options}:
            raise _refused(settings, "the settings weights (a sha256), scale, " + ", ".join(cls.options))
        for name, kind in cls.options.items():
            try:
                kind.take(settings[name])
            except (TypeError, ValueError):
                raise _refused(settings, f"the settings weights, scale, …; {name}: {kind.expected}") from None
        return cls(find(str(sha256)), scale, **{name: settings[name] for name in cls.options})

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self._settings)

    def prepare(self, face: AlignedFace) -> GANimationRig:
        if face.size % STRIDE:
            raise UsageError(
                f"a face of {face.size} px, with generator {self.name}", expected=f"a multiple of {STRIDE}"
            )
        crop = as_pictures(torch.from_numpy(face.crop)[None])
        with torch_threads(1):
            seen = self._network.seen(_resized(crop, self._settings["painted"] or face.size))
        return GANimationRig(crop.to(seen.device), seen)

    def _render(self, rig: GANimationRig, aus: AUArray, drift: Field | None) -> Rendered:
        size, painted = rig.crop.shape[-1], rig.seen.shape[-1]
        batch = math.ceil(BATCH[self._settings["device"]] * min(1, SIDE / max(size, painted)) ** 2)
        planes = torch.from_numpy(aus * np.float32(self._settings["scale"]))
        frames = np.empty((len(aus), size, size, 3), np.uint8)
        with torch.inference_mode(), torch_threads(1):
            for start in range(0, len(aus), batch):
                there = planes[start : start + batch]
                levels = self._levels(rig, F.pad(there, (0, 0, 0, batch - len(there))))
                frames[start : start + batch] = levels[: len(there)].cpu().numpy()
        return Rendered(warp(frames, drift))

    def _levels(self, rig: GANimationRig, planes: Tensor) -> Tensor:
        """Gray levels of frames, uint8 [n, s, s, 3]."""
        color, attention = (_resized(layer, rig.crop.shape[-1]) for layer in self._network.paint(rig.seen, planes))
        pictures = blend(rig.crop, color, attention)
        if not torch.isfinite(pictures).all():
            raise ArithmeticError("the network painted NaN: its weights are too large")
        return as_levels(pictures)


def _resized(pictures: Tensor, side: int) -> Tensor:
    """Pictures [n, c, s, s] at that side, bilinear, and smoothed before they shrink."""
    if pictures.shape[-1] == side:
        return pictures
    return F.interpolate(pictures, (side, side), mode="bilinear", antialias=True)


def _refused(settings: Mapping[str, Any], expected: str) -> InputError:
    return InputError(f"generator {GANimation.name} with {dict(settings)}", expected=expected)
