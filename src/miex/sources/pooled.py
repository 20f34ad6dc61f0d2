"""What the sources of real AUs have in common: clips of pools, and the pairs drawn from them."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AUArray
from miex.corpora.mappings import emotion_named
from miex.errors import UsageError
from miex.labels import Label
from miex.sources.origin import Origin, counted_from
from miex.sources.pool import Pool, PoolClip
from miex.sources.source import AUSource, AUTriplet, Course, asked_for


@dataclass(frozen=True)
class UsableClip:
    """A clip that pairs can be drawn from.

    Attributes:
        clip: the clip.
        aus: AUs of its known frames, counted from the source's origin, float32 [n, 17].
        onset: position of the onset among them.
        apexes: positions of the frames that may be the apex; each differs from the onset and has some AU on.
        measured: up to where its frames show the expression that starts with this onset; None: they do not.
    """

    clip: PoolClip
    aus: AUArray
    onset: int
    apexes: npt.NDArray[np.int64]
    measured: Literal["apex", "offset"] | None

    def course(self, apex: int) -> Course | None:
        """What it has measured of the expression with the apex at that position; None where no more than the pair."""
        if self.measured is None or apex <= self.onset:
            return None
        end = apex + 1
        if self.measured == "offset":
            end = max(end, int(np.searchsorted(self.clip.frames, self.clip.span[1], side="right")))
        if end - self.onset == 2:
            return None
        part = slice(self.onset, end)
        return Course(self.clip.frames[part].astype(np.float64), self.aus[part].copy(), apex - self.onset)


@dataclass(frozen=True)
class PoolSource(AUSource):
    """A source that draws a clip of the label, or of one emotion, then an apex of the clip.

    Attributes:
        kind: of the clips it draws from, micro or macro; others are left out.
        pools: the clips, of any number of corpora; no corpus in two of them.
        origin: what AUs are counted from (`sources.origin`).

    Raises:
        UsageError: a corpus in two pools.
    """

    kind: ClassVar[str]
    pools: tuple[Pool, ...]
    origin: Origin = "relative"

    def __post_init__(self) -> None:
        counts = Counter(corpus for pool in self.pools for corpus in {clip.corpus for clip in pool.clips})
        twice = [corpus for corpus, n in counts.items() if n > 1]
        if twice:
            raise UsageError(
                f"AU pools for {self.name}", expected="each corpus once", found=f"{twice[0]} twice",
                do="give the corpus only once, or make one pool from its tables",
            )  # fmt: skip

    def __repr__(self) -> str:
        clips = [clip for pool in self.pools for clip in pool.clips]
        corpora = ", ".join(sorted({clip.corpus for clip in clips})) or "no corpus"
        return f"{self.name}: {len(clips):,} clips of {corpora}, {self.origin} AUs"

    @abstractmethod
    def usable(self, clip: PoolClip, aus: AUArray) -> UsableClip | str:
        """The clip with its pairs, or in a few words why it has none; `aus` are counted from the origin."""

    @cached_property
    def _sorted(self) -> tuple[dict[Label, list[UsableClip]], Counter[str]]:
        usable: dict[Label, list[UsableClip]] = {label: [] for label in Label}
        left_out: Counter[str] = Counter()
        for pool in self.pools:
            for clip in pool.clips:
                found: UsableClip | str = f"{clip.kind}-expression"
                if clip.kind == self.kind:
                    found = self.usable(clip, counted_from(self.origin, clip.aus, clip.rest))
                if isinstance(found, str):
                    left_out[found] += 1
                else:
                    usable[clip.label].append(found)
        return usable, left_out

    @property
    def left_out(self) -> dict[str, int]:
        """Why clips give no pair, and how many."""
        return dict(self._sorted[1])

    @cached_property
    def _by_emotion(self) -> dict[str, list[UsableClip]]:
        found: dict[str, list[UsableClip]] = {}
        for clip in chain(*self._sorted[0].values()):
            found.setdefault(emotion_named(clip.clip.emotion), []).append(clip)
        return found

    def clips(self, label: Label, emotion: str | None = None) -> Sequence[UsableClip]:
        """The clips that pairs of that label, or of one emotion, are drawn from, each equally often."""
        return self._sorted[0][label] if emotion is None else self._by_emotion.get(emotion, [])

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "origin": self.origin,
            "clips": {label.name: len(self.clips(label)) for label in Label},
            "left_out": self.left_out,
            "corpora": [facts for pool in self.pools for facts in pool.facts],
        }

    def sample(self, label: Label, *, emotion: str | None = None, rng: np.random.Generator) -> AUTriplet:
        clips = self.clips(label, emotion)
        if not clips:
            there = ", ".join(f"{len(clips)} {name}" for name, clips in sorted(self._by_emotion.items()))
            raise UsageError(
                f"{asked_for(label, emotion)} from {self.name}",
                expected=f"at least one clip of that {'label' if emotion is None else 'emotion'}",
                found=", ".join(f"{facts['clips']} clips of {facts['corpus']}" for p in self.pools for facts in p.facts)
                + (f", usable: {there}" if there else "")
                + "".join(f"; {n} left out: {reason}" for reason, n in self.left_out.items()),
                do="leave it out of `classes`, or add a corpus",
            )
        drawn = clips[int(rng.integers(len(clips)))]
        apex = int(drawn.apexes[rng.integers(len(drawn.apexes))])
        clip = drawn.clip
        frames = int(clip.frames[drawn.onset]), int(clip.frames[apex])
        # copies: what a caller does to a triplet must not reach the pool
        pair = drawn.aus[drawn.onset].copy(), drawn.aus[apex].copy()
        known = drawn.course(apex)
        return AUTriplet(*pair, label, clip.emotion, clip.corpus, clip.subject, clip.clip, frames, known)


def apexes_among(aus: AUArray, onset: int, candidates: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Those candidates that differ from the onset and have some AU on."""
    good = [i for i in candidates if aus[i].any() and not np.array_equal(aus[i], aus[onset])]
    return np.array(good, np.int64)
