"""One clip of a real corpus, as every reader returns it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from miex.aus.vector import Label


@dataclass(frozen=True)
class CodedAU:
    """An action unit as a human coder noted it (DATASETS §15).

    Attributes:
        au: FACS number, any number that FACS knows (not only the 17 of miex).
        side: which side of the person's own face was seen to move.
        intensity: FACS letter A (trace) to E (maximum), or None where none was noted.
    """

    au: int
    side: Literal["both", "left", "right"] = "both"
    intensity: Literal["A", "B", "C", "D", "E"] | None = None


@dataclass(frozen=True)
class Clip:
    """One annotated event of a real corpus.

    Attributes:
        corpus: name of the corpus in lower case, such as casme2.
        subject, clip: the corpus' own codes, as text (`sub01`, `006`, `EP02_01f`). A subject is a person of a real
            corpus, never an identity of ours. (corpus, subject, clip, onset) is unique.
        emotion: the corpus' own category, spelled as `corpora.labels` spells it.
        label: one of the three classes, or None where the mapping leaves the category out.
        onset, apex, offset: 0-based, inclusive indices into `frames`, or None where the table gives none.
            onset < apex <= offset holds wherever all are given.
        aus: what human coders noted; empty where the corpus has no AU codes or they were not read.
        frames: the image files of the clip in their order; empty where only the table is there.
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
