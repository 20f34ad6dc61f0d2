"""A clip of a real corpus, in the form that every reader returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from miex.labels import Label

Letter = Literal["A", "B", "C", "D", "E"]
Kind = Literal["micro", "macro"]
KINDS: Final[tuple[Kind, ...]] = ("micro", "macro")


@dataclass(frozen=True)
class CodedAU:
    """An action unit as a human coder noted it.

    Attributes:
        au: FACS number, any number that FACS knows (not only the 17 of miex).
        side: which side of the person's own face was seen to move.
        intensity: FACS letter A (trace) to E (maximum), or None where none was noted. Of two letters (`10A/B`) the
            weaker.
        asymmetric: both sides moved, one of them more (`A12`).
        part: half of the lips that moved (`T18`, `B23`).
        status: "seen", or the reason why it does not simply count as seen: one of several "alternative" readings
            (`R12 or R14`), a "reference" to what was there before (`ref(7B)`), "unclear" (`13?`), or "held" through
            the clip (`4(k)`).
    """

    au: int
    side: Literal["both", "left", "right"] = "both"
    intensity: Letter | None = None
    asymmetric: bool = False
    part: Literal["all", "top", "bottom"] = "all"
    status: Literal["seen", "alternative", "reference", "unclear", "held"] = "seen"


@dataclass(frozen=True)
class Descent:
    """Where the AUs of a synthetic clip come from, as recorded in the table of its set.

    Attributes:
        source: real_mie, early_mae, coded_mie or expert; None if unknown.
        corpus, subject, clip: those of the real clip that the AUs come from; None if they come from none.
        face: the person of a corpus whose photo was moved, such as samm/006, or samm if only that is known; None if
            the table names none.
    """

    source: str | None
    corpus: str | None = None
    subject: str | None = None
    clip: str | None = None
    face: str | None = None


@dataclass(frozen=True)
class Clip:
    """One annotated event of a real corpus.

    Attributes:
        corpus: name of the corpus in lower case, such as casme2.
        subject, clip: the corpus' own codes, as text (`sub01`, `006`, `EP02_01f`). A subject is a person of a real
            corpus, never an identity of ours. The combination (corpus, subject, clip, onset) is unique.
        emotion: the corpus' own category, spelled as `corpora.mappings` spells it; empty where there is none.
        label: one of the three classes, or None where the mapping leaves the category out.
        onset, apex, offset: 0-based, inclusive indices into `frames`, or None where the corpus gives none.
            onset < apex <= offset holds wherever all are given. Where `frames` is empty: the published frame numbers
            less the number of the corpus' first frame.
        aus: what human coders noted; empty where the corpus has no AU codes or they were not read.
        frames: the image files of the clip's folder in their order, which may begin before the onset and end after
            the offset; empty where only the table is there.
        kind: micro- or macro-expression.
        objective: objective class 1 to 7 (Davison et al. 2018), where the corpus gives one.
        published: onset, apex, offset as frame numbers (the numbers in file names), after corrections.
        source: where the annotation was read: file, sheet and row, or the folder.
        notes: irregularities, and how they were read: an apex out of order, renumbered frames, AUs not understood.
        descent: where the AUs of a synthetic clip come from; None for a clip of a filmed subject.
    """

    corpus: str
    subject: str
    clip: str
    emotion: str
    label: Label | None
    onset: int | None
    apex: int | None
    offset: int | None
    aus: tuple[CodedAU, ...] = ()
    frames: tuple[Path, ...] = ()
    kind: Kind = "micro"
    objective: int | None = None
    published: tuple[int | None, int | None, int | None] = (None, None, None)
    source: str = ""
    notes: tuple[str, ...] = ()
    descent: Descent | None = None

    def __repr__(self) -> str:
        parts = [
            f"{self.corpus}/{self.subject}/{self.clip}: {self.emotion or 'no emotion'}",
            "no label" if self.label is None else self.label.name,
            f"onset {self.onset}, apex {self.apex}, offset {self.offset}",
            f"{len(self.frames):,} frames",
        ]
        return " · ".join(parts)
