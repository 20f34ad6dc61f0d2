"""What every AU source gives: triplets (z_onset, z_apex, label) with their provenance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AUArray
from miex.errors import UsageError
from miex.labels import Label

_DRAWS = 100  # of a perturbation that would leave nothing


@dataclass(frozen=True)
class Course:
    """The AUs of an expression over time, as measured in the frames of a clip in which a face was found.

    Attributes:
        times: when, in frames of the clip, ascending, float64 [n].
        aus: intensities in [0, 1] then, float32 [n, 17]. The first are those of the onset.
        apex: index of the apex among them, at least 1. What comes after it is the way back to the offset; nothing
            where that was not measured.
    """

    times: npt.NDArray[np.float64]
    aus: AUArray
    apex: int

    @property
    def rise(self) -> tuple[npt.NDArray[np.float64], AUArray] | None:
        """Times and AUs from onset to apex; None where nothing between them was measured."""
        end = self.apex + 1
        return (self.times[:end], self.aus[:end]) if self.apex > 1 else None

    @property
    def fall(self) -> tuple[npt.NDArray[np.float64], AUArray] | None:
        """Times and AUs from apex to offset; None where nothing after the apex was measured."""
        last = len(self.times) - 1
        return (self.times[self.apex :], self.aus[self.apex :]) if self.apex < last else None


def asked_for(label: Label, emotion: str | None) -> str:
    """What was to be drawn, for messages."""
    return f"label {label.name}" if emotion is None else f"emotion {emotion}"


@dataclass(frozen=True)
class AUTriplet:
    """A drawn AU triplet of Liu et al. 2022, and its provenance.

    Attributes:
        onset, apex: intensities in [0, 1], float32 [17]; never equal.
        label: one of the three classes.
        emotion: the finer category that was drawn, as its source spells it.
        corpus, subject, clip, frames: where real AUs came from; None for sources without real clips. `frames` are
            0-based (onset, apex) indices.
        known: AUs measured in the clip from this onset over this apex, relative to the same origin as the pair and
            without its perturbation; None if nothing but the pair was measured.
        sides: of each AU, int8 [17]: 1 on the person's left side alone, −1 on the right, 0 on both; None: all on both.
    """

    onset: AUArray
    apex: AUArray
    label: Label
    emotion: str
    corpus: str | None = None
    subject: str | None = None
    clip: str | None = None
    frames: tuple[int, int] | None = None
    known: Course | None = None
    sides: npt.NDArray[np.int8] | None = None


class AUSource(ABC):
    """A source of AU triplets."""

    @property
    @abstractmethod
    def name(self) -> str:
        """One of real_mie, early_mae, coded_mie, expert."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Everything that changes what is drawn, as plain JSON values; part of every plan's digest."""

    @property
    def one_sided(self) -> bool:
        """Whether some of its AUs may be on one side alone, which not every generator can show."""
        return False

    @property
    def left_out_notes(self) -> list[str]:
        """What of its material is not drawn, and why, as sentences."""
        return [f"{n:,} clips left out: {reason}" for reason, n in self.settings.get("left_out", {}).items()]

    @abstractmethod
    def sample(self, label: Label, *, emotion: str | None = None, rng: np.random.Generator) -> AUTriplet:
        """Draw one triplet; the same state of `rng` gives the same triplet.

        Args:
            label: label of the triplet.
            emotion: draw from this emotion alone, named as in `corpora.mappings`, whatever label the source has for
                it. None: from all emotions of the label.
            rng: decides every draw. It is used for the next triplet, too, so no source keeps it.

        Raises:
            UsageError: this source has nothing for that label or emotion; the message names what it has.
        """


@final
@dataclass(frozen=True)
class PerturbedSource(AUSource):
    """A source whose apexes are randomly changed (the paper: "sometimes random AU perturbations", no figure given).

    Each AU that is on at the apex gets + U[−amount, amount], and stays within [0, 1]; an apex is never left empty, nor
    equal to its onset.

    Attributes:
        source: what is perturbed.
        amount: the largest change, in (0, 1].

    Raises:
        UsageError: another amount.
    """

    source: AUSource
    amount: float

    def __post_init__(self) -> None:
        if not 0 < self.amount <= 1:
            raise UsageError(f"AU perturbation {self.amount:g}", expected="a number above 0 and at most 1")

    def __repr__(self) -> str:
        return f"{self.source!r}, perturbed by up to {self.amount:g}"

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def one_sided(self) -> bool:
        return self.source.one_sided

    @property
    def left_out_notes(self) -> list[str]:
        return self.source.left_out_notes

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.source.settings, "perturbation": self.amount}

    def sample(self, label: Label, *, emotion: str | None = None, rng: np.random.Generator) -> AUTriplet:
        drawn = self.source.sample(label, emotion=emotion, rng=rng)
        for _ in range(_DRAWS):
            change = rng.uniform(-self.amount, self.amount, len(drawn.apex))
            apex: AUArray = np.where(drawn.apex > 0, np.clip(drawn.apex + change, 0, 1), 0).astype(np.float32)
            if apex.any() and not np.array_equal(apex, drawn.onset):
                return replace(drawn, apex=apex)
        return drawn
