"""z^coded: AUs that human coders noted for real micro-expressions, with intensities drawn. Needs no images."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt

from miex.aus.tracks import Credit
from miex.aus.vector import AU_INDEX, N_AUS, AUArray
from miex.corpora.clip import Clip
from miex.corpora.mappings import emotion_named
from miex.errors import UsageError
from miex.labels import Label
from miex.sources.source import AUSource, AUTriplet, asked_for

LETTERS = "ABCDE"
# AUs outside the 17 that have a neighbor among them: 24 as in the expert table du2014; 43 is a blink that lasts. All
# others are dropped.
OUTSIDE: dict[int, int] = {24: 23, 43: 45}
_SIDE = {"left": 1, "right": -1, "both": 0}


@dataclass(frozen=True, eq=False)
class _Coded:
    """A clip, and of each AU its smallest and largest intensity, float32 [17], 0 where it is off, and its side, int8
    [17], as in `AUTriplet`."""

    clip: Clip
    low: AUArray
    high: AUArray
    sides: npt.NDArray[np.int8]


@final
@dataclass(frozen=True)
class CodedMiESource(AUSource):
    """AUs as coded, on the sides on which they were seen, from zero at the onset.

    An AU with a FACS letter gets an intensity that rounds to it: letter k of A … E is k of 5, so
    U[(k − 0.5)/5, (k + 0.5)/5] (A: 0.1 to 0.3; E ends at 1). An AU without a letter gets U[μ, ν]; the default, the
    paper's 0.1 and 0.3 of z^exp, is that of an A, a trace. An AU that was coded left and right is on both sides, at the
    stronger intensity: the plan holds one per AU. Codes that the coder did not simply see move (one of several
    alternatives, a reference to what was there before, unclear, held through the clip) do not count.

    Attributes:
        clips: micro-expressions with `aus`; those without a label, or without an AU of the 17, are left out (by
            emotion too: a category without a label, such as `others`, is no class of a plan).
        credits: by corpus.
        mu, nu: bounds of the intensity where no letter was noted.
        letters: whether letters count; if not, every AU gets U[μ, ν].
        sides: whether the generator moves the sides of a face apart. If not, clips with an AU on one side alone are
            left out, as by `ExpertSource`.

    Raises:
        UsageError: not 0 < mu <= nu <= 1.
    """

    clips: tuple[Clip, ...]
    credits: Mapping[str, Credit] = field(default_factory=dict)
    mu: float = 0.1
    nu: float = 0.3
    letters: bool = True
    sides: bool = True
    name: ClassVar[str] = "coded_mie"

    def __post_init__(self) -> None:
        if not 0 < self.mu <= self.nu <= 1:
            raise UsageError(f"intensities μ = {self.mu:g}, ν = {self.nu:g}", expected="0 < μ ≤ ν ≤ 1")

    def __repr__(self) -> str:
        corpora = ", ".join(sorted({clip.corpus for clip in self.clips})) or "no corpus"
        return f"{self.name}: {len(self.clips):,} clips of {corpora}, intensities {self.mu:g} to {self.nu:g}"

    @cached_property
    def _sorted(self) -> tuple[dict[Label, list[_Coded]], Counter[str]]:
        usable: dict[Label, list[_Coded]] = {label: [] for label in Label}
        left_out: Counter[str] = Counter()
        for clip in sorted(self.clips, key=lambda c: (c.corpus, c.subject, c.clip, -1 if c.onset is None else c.onset)):
            coded = self._coded(clip)
            if clip.kind != "micro":
                left_out[f"{clip.kind}-expression"] += 1
            elif clip.label is None:
                left_out[f"no label for {clip.emotion or 'no emotion'}"] += 1
            elif not clip.aus:
                left_out["no AU coded"] += 1
            elif not coded.high.any():
                left_out["no AU of the 17 seen for sure"] += 1
            elif coded.sides.any() and not self.sides:
                left_out["an AU on one side alone, and the generator moves both sides of a face alike"] += 1
            else:
                usable[clip.label].append(coded)
        return usable, left_out

    def _coded(self, clip: Clip) -> _Coded:
        """Of two codes of one AU (left and right, 23 and 24) the stronger counts, and the sides of both."""
        low, high, seen = np.zeros(N_AUS, np.float32), np.zeros(N_AUS, np.float32), dict[int, set[str]]()
        for code in clip.aus:
            i = AU_INDEX.get(OUTSIDE.get(code.au, code.au))
            if i is None or code.status != "seen":
                continue
            bounds = self.mu, self.nu
            if code.intensity and self.letters:
                k = LETTERS.index(code.intensity) + 1
                bounds = (k - 0.5) / 5, min((k + 0.5) / 5, 1)
            if bounds[1] > high[i]:
                low[i], high[i] = bounds
            seen.setdefault(i, set()).add(code.side)
        sides = np.zeros(N_AUS, np.int8)
        for i, where in seen.items():
            sides[i] = _SIDE[where.pop()] if len(where) == 1 else 0
        return _Coded(clip, low, high, sides)

    @cached_property
    def one_sided(self) -> bool:
        return any(drawn.sides.any() for drawn in chain(*self._sorted[0].values()))

    @property
    def left_out(self) -> dict[str, int]:
        """Why clips give no triplet, and how many."""
        return dict(self._sorted[1])

    @cached_property
    def _by_emotion(self) -> dict[str, list[_Coded]]:
        found: dict[str, list[_Coded]] = {}
        for drawn in chain(*self._sorted[0].values()):
            found.setdefault(emotion_named(drawn.clip.emotion), []).append(drawn)
        return found

    @cached_property
    def settings(self) -> dict[str, Any]:
        corpora = sorted({clip.corpus for clip in self.clips})
        return {
            "mu": self.mu,
            "nu": self.nu,
            "letters": self.letters,
            "sides": self.sides,
            "outside": {str(au): target for au, target in OUTSIDE.items()},
            "clips": {label.name: len(self._sorted[0][label]) for label in Label},
            "left_out": self.left_out,
            "corpora": [self._facts(corpus) for corpus in corpora],
        }

    def _facts(self, corpus: str) -> dict[str, Any]:
        used = [drawn for label in Label for drawn in self._sorted[0][label] if drawn.clip.corpus == corpus]
        digest = hashlib.sha256()
        for drawn in used:
            clip = drawn.clip
            names = (clip.subject, clip.clip, clip.emotion, clip.onset, clip.apex, clip.label)
            digest.update("\x1f".join(map(str, names)).encode() + b"\0")
            digest.update(drawn.low.astype("<f4").tobytes() + drawn.high.astype("<f4").tobytes())
            digest.update(drawn.sides.tobytes())
        credit = self.credits.get(corpus, Credit())
        return {
            "corpus": corpus,
            "clips": len(used),
            "subjects": len({drawn.clip.subject for drawn in used}),
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
        drawn = clips[int(rng.integers(len(clips)))]
        # where an AU is off both bounds are 0
        apex = rng.uniform(drawn.low, drawn.high, N_AUS).astype(np.float32)
        clip, sides = drawn.clip, drawn.sides.copy() if drawn.sides.any() else None
        frames = None if clip.onset is None or clip.apex is None else (clip.onset, clip.apex)
        onset = np.zeros(N_AUS, np.float32)
        return AUTriplet(onset, apex, label, clip.emotion, clip.corpus, clip.subject, clip.clip, frames, sides=sides)
