"""z^coded: AUs that human coders noted for real micro-expressions, with intensities drawn. Needs no images."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, ClassVar, final

import numpy as np

from miex.aus.tracks import Credit
from miex.aus.vector import AU_INDEX, N_AUS, AUArray
from miex.corpora.clip import Clip, CodedAU
from miex.corpora.mappings import emotion_named
from miex.errors import UsageError
from miex.labels import Label
from miex.sources.source import AUSource, AUTriplet, asked_for

LETTERS = "ABCDE"
# AUs outside the 17 that have a neighbor among them: 24 as in the expert table du2014; 43 is a blink that lasts. All
# others are dropped.
OUTSIDE: dict[int, int] = {24: 23, 43: 45}


@final
@dataclass(frozen=True)
class CodedMiESource(AUSource):
    """AUs as coded, on both sides, from zero at the onset.

    An AU with a FACS letter gets an intensity that rounds to it: letter k of A … E is k of 5, so
    U[(k − 0.5)/5, (k + 0.5)/5] (A: 0.1 to 0.3; E ends at 1). An AU without a letter gets U[μ, ν]; the default, the
    paper's 0.1 and 0.3 of z^exp, is that of an A, a trace. A code of one side counts for both: the plan holds one
    intensity per AU. Codes that the coder did not simply see move (one of several alternatives, a reference to what
    was there before, unclear, held through the clip) do not count.

    Attributes:
        clips: micro-expressions with `aus`; those without a label, or without an AU of the 17, are left out (by
            emotion too: a category without a label, such as `others`, is no class of a plan).
        credits: by corpus.
        mu, nu: bounds of the intensity where no letter was noted.
        letters: whether letters count; if not, every AU gets U[μ, ν].

    Raises:
        UsageError: not 0 < mu <= nu <= 1.
    """

    clips: tuple[Clip, ...]
    credits: Mapping[str, Credit] = field(default_factory=dict)
    mu: float = 0.1
    nu: float = 0.3
    letters: bool = True
    name: ClassVar[str] = "coded_mie"

    def __post_init__(self) -> None:
        if not 0 < self.mu <= self.nu <= 1:
            raise UsageError(f"intensities μ = {self.mu:g}, ν = {self.nu:g}", expected="0 < μ ≤ ν ≤ 1")

    def __repr__(self) -> str:
        corpora = ", ".join(sorted({clip.corpus for clip in self.clips})) or "no corpus"
        return f"{self.name}: {len(self.clips):,} clips of {corpora}, intensities {self.mu:g} to {self.nu:g}"

    @cached_property
    def _sorted(self) -> tuple[dict[Label, list[tuple[Clip, AUArray, AUArray]]], Counter[str]]:
        usable: dict[Label, list[tuple[Clip, AUArray, AUArray]]] = {label: [] for label in Label}
        left_out: Counter[str] = Counter()
        for clip in sorted(self.clips, key=lambda c: (c.corpus, c.subject, c.clip, -1 if c.onset is None else c.onset)):
            low, high = self._bounds(clip.aus)
            if clip.kind != "micro":
                left_out[f"{clip.kind}-expression"] += 1
            elif clip.label is None:
                left_out[f"no label for {clip.emotion or 'no emotion'}"] += 1
            elif not clip.aus:
                left_out["no AU coded"] += 1
            elif not high.any():
                left_out["no AU of the 17 seen for sure"] += 1
            else:
                usable[clip.label].append((clip, low, high))
        return usable, left_out

    def _bounds(self, coded: Sequence[CodedAU]) -> tuple[AUArray, AUArray]:
        """Smallest and largest intensity of each AU, float32 [17]; 0 where it is off. Of two codes of one AU (left and
        right, 23 and 24) the stronger counts."""
        low, high = np.zeros(N_AUS, np.float32), np.zeros(N_AUS, np.float32)
        for code in coded:
            i = AU_INDEX.get(OUTSIDE.get(code.au, code.au))
            if i is None or code.status != "seen":
                continue
            bounds = self.mu, self.nu
            if code.intensity and self.letters:
                k = LETTERS.index(code.intensity) + 1
                bounds = (k - 0.5) / 5, min((k + 0.5) / 5, 1)
            if bounds[1] > high[i]:
                low[i], high[i] = bounds
        return low, high

    @property
    def left_out(self) -> dict[str, int]:
        """Why clips give no triplet, and how many."""
        return dict(self._sorted[1])

    @cached_property
    def _by_emotion(self) -> dict[str, list[tuple[Clip, AUArray, AUArray]]]:
        found: dict[str, list[tuple[Clip, AUArray, AUArray]]] = {}
        for drawn in chain(*self._sorted[0].values()):
            found.setdefault(emotion_named(drawn[0].emotion), []).append(drawn)
        return found

    def usable(self, label: Label) -> list[Clip]:
        """The clips that triplets of that label are drawn from, each equally often."""
        return [clip for clip, _, _ in self._sorted[0][label]]

    @cached_property
    def settings(self) -> dict[str, Any]:
        corpora = sorted({clip.corpus for clip in self.clips})
        return {
            "mu": self.mu,
            "nu": self.nu,
            "letters": self.letters,
            "sides": "both",
            "outside": {str(au): target for au, target in OUTSIDE.items()},
            "clips": {label.name: len(self._sorted[0][label]) for label in Label},
            "left_out": self.left_out,
            "corpora": [self._facts(corpus) for corpus in corpora],
        }

    def _facts(self, corpus: str) -> dict[str, Any]:
        used = [drawn for label in Label for drawn in self._sorted[0][label] if drawn[0].corpus == corpus]
        digest = hashlib.sha256()
        for clip, low, high in used:
            names = (clip.subject, clip.clip, clip.emotion, clip.onset, clip.apex, clip.label)
            digest.update("\x1f".join(map(str, names)).encode() + b"\0")
            digest.update(low.astype("<f4").tobytes() + high.astype("<f4").tobytes())
        credit = self.credits.get(corpus, Credit())
        return {
            "corpus": corpus,
            "clips": len(used),
            "subjects": len({clip.subject for clip, _, _ in used}),
            "licence": credit.licence,
            "attribution": credit.attribution,
            "digest": digest.hexdigest(),
        }

    def sample(self, label: Label, *, emotion: str | None = None, rng: np.random.Generator) -> AUTriplet:
        clips = self._sorted[0][label] if emotion is None else self._by_emotion.get(emotion, [])
        if not clips:
            there = [f"{len(clips)} {name}" for name, clips in sorted(self._by_emotion.items())]
            there += [f"{n} left out: {reason}" for reason, n in self.left_out.items()]
            raise UsageError(
                f"{asked_for(label, emotion)} from {self.name}",
                expected=f"at least one clip of that {'label' if emotion is None else 'emotion'} with AU codes",
                found=", ".join(there) or "no clips",
                do="leave it out of `classes`, or add a corpus",
            )
        clip, low, high = clips[int(rng.integers(len(clips)))]
        # where an AU is off both bounds are 0
        apex = rng.uniform(low, high, N_AUS).astype(np.float32)
        frames = None if clip.onset is None or clip.apex is None else (clip.onset, clip.apex)
        onset = np.zeros(N_AUS, np.float32)
        return AUTriplet(onset, apex, label, clip.emotion, clip.corpus, clip.subject, clip.clip, frames)
