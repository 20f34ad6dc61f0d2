"""z^MaE of the paper: AUs of an early frame of a macro-expression, in which they are still small."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Literal, final, get_args

import numpy as np

from miex.aus.vector import AUArray
from miex.corpora.people import corpus_key
from miex.errors import UsageError
from miex.sources.origin import counted_from
from miex.sources.pool import PoolClip
from miex.sources.pooled import PoolSource, UsableClip, apexes_among

Window = tuple[float, float]
OnsetFrom = Literal["first", "rest"]
ONSETS: tuple[OnsetFrom, ...] = get_args(OnsetFrom)
ANY = "any"  # corpus that stands for all without a window of their own
# (α, β) as fractions of a clip. The released code's draws are one or two frames off these; ours are not.
PRESETS: dict[str, dict[str, Window]] = {
    "paper": {ANY: (0.3, 0.5)},
    "mie-x-code": {"ckplus": (0.25, 0.40), ANY: (0.25, 0.50)},
}


def parse_windows(settings: Iterable[str]) -> dict[str, Window]:
    """Windows as typed by hand: a preset (`paper`, `mie-x-code`), and `CORPUS=α:β` for corpora of their own.

    Returns:
        (α, β) by corpus; ANY holds for all others.

    Raises:
        UsageError: text of another form, or not 0 ≤ α ≤ β ≤ 1.
    """
    windows = dict(PRESETS["paper"])
    for text in sorted(settings, key=lambda text: text not in PRESETS):  # presets first
        if text in PRESETS:
            windows = dict(PRESETS[text])
            continue
        try:
            corpus, bounds = text.split("=", 1)
            alpha, beta = map(float, bounds.split(":"))
            assert 0 <= alpha <= beta <= 1
        except (ValueError, AssertionError):
            raise UsageError(
                f"early window {text!r}",
                expected=f"{', '.join(PRESETS)}, or CORPUS=α:β with 0 ≤ α ≤ β ≤ 1, such as ckplus=0.25:0.4",
            ) from None
        windows[corpus_key(corpus) or ANY] = alpha, beta
    return windows


def window_frames(n: int, window: Window) -> tuple[int, int]:
    """First and last index that the apex is drawn from in a clip of n frames: ⌊αn⌋ and ⌊βn⌋, at least 1 (the frame
    after the onset), at most n − 1. The last is below the first where the clip has one frame.

    α and β are the decimals that were written: 0.7 of 90 frames are 63, which is a little less in binary fractions.
    """
    first, last = (int(Decimal(str(fraction)) * n) for fraction in window)
    return max(1, first), min(n - 1, max(1, last))


@final
@dataclass(frozen=True, repr=False)
class EarlyMaESource(PoolSource):
    """z^MaE of Liu et al. 2022: z_o from the first frame, z_a from a frame drawn anew for every sample.

    n counts the frames from the annotated onset to the offset where they are annotated, of the whole clip otherwise,
    failed ones too. Failed frames are not drawn; nor are frames where nothing differs from the onset. If the first
    frame failed, the first known one before the window stands for it.

    Attributes:
        windows: (α, β) by corpus, and under ANY for all others.
        onset_from: "first", the paper's way, or "rest": z_o is the person at rest (`sources.pool`), for corpora whose
            clips begin in the midst of the expression. Of RAVDESS' happy clips the first frame smiles as much as any:
            from there a smile is as likely to fade as to grow.
    """

    windows: Mapping[str, Window] = field(default_factory=lambda: PRESETS["paper"])
    onset_from: OnsetFrom = "first"
    kind: ClassVar[str] = "macro"
    name: ClassVar[str] = "early_mae"

    def window(self, corpus: str) -> Window:
        """(α, β) of a corpus."""
        return self.windows.get(corpus_key(corpus) or "", self.windows[ANY])

    @property
    def settings(self) -> dict[str, Any]:
        corpora = sorted({clip.corpus for pool in self.pools for clip in pool.clips})
        windows = {corpus: list(self.window(corpus)) for corpus in corpora}
        return {**super().settings, "windows": windows, "onset_from": self.onset_from}

    def usable(self, clip: PoolClip, aus: AUArray) -> UsableClip | str:
        first, last = clip.span
        low, high = window_frames(last - first + 1, self.window(clip.corpus))
        onset = int(np.searchsorted(clip.frames, first))
        if onset == len(clip.frames) or clip.frames[onset] >= first + low:
            return "every frame before the window failed"
        candidates = np.flatnonzero((clip.frames >= first + low) & (clip.frames <= first + high))
        if not len(candidates):
            return "every frame of the window failed"
        measured: Literal["apex"] | None = "apex"
        if self.onset_from == "rest":
            aus = aus.copy()
            aus[onset] = counted_from(self.origin, clip.rest, clip.rest)
            measured = None  # what lies between rest and the first frame nobody has filmed
        apexes = apexes_among(aus, onset, candidates)
        return UsableClip(clip, aus, onset, apexes, measured) if len(apexes) else "nothing moves"
