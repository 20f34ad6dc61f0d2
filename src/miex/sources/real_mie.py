"""z^MiE of the paper: AUs of the annotated onset and apex frames of real micro-expressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from miex.aus.vector import AUArray
from miex.sources.pool import PoolClip
from miex.sources.pooled import PoolSource, UsableClip, apexes_among


@final
@dataclass(frozen=True, repr=False)
class RealMiESource(PoolSource):
    """z^MiE of Liu et al. 2022; only the choice of a clip of the class is random.

    Where a corpus annotates no apex (SMIC), the apex is the frame between onset and offset whose AUs have risen most
    above those of the onset, summed over the AUs: a choice of ours; the paper does not say. A clip whose onset or apex
    frame failed is left out, not mended with its neighbor.
    """

    kind: ClassVar[str] = "micro"
    name: ClassVar[str] = "real_mie"

    def usable(self, clip: PoolClip, aus: AUArray) -> UsableClip | str:
        first, last = clip.span
        onset = int(np.searchsorted(clip.frames, first))
        if clip.at(first) is None:
            return "onset frame failed"
        if clip.apex is not None:
            if clip.at(clip.apex) is None:
                return "apex frame failed"
            candidates = np.searchsorted(clip.frames, [clip.apex])
        else:
            candidates = np.flatnonzero((clip.frames > first) & (clip.frames <= last))
            if not len(candidates):
                return "no frame after the onset"
            risen = np.maximum(aus[candidates] - aus[onset], 0).sum(axis=1)
            candidates = candidates[[int(np.argmax(risen))]]
        apexes = apexes_among(aus, onset, candidates)
        return UsableClip(clip, aus, onset, apexes, "offset") if len(apexes) else "nothing moves"
