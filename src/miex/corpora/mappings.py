"""Emotion categories of the corpora: one spelling for each, and mappings that group them into classes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

from miex.corpora.clip import Clip
from miex.errors import UsageError, one_of
from miex.labels import Label

DEFAULT_MAPPING = "megc2019"
OWN = "plain"  # stands in mappings for every corpus of a user's own


@dataclass(frozen=True)
class ClassMapping:
    """A grouping of categories into classes.

    Attributes:
        name, title, source: its name, the classes it gives, and where it comes from.
        classes: their names in the order of their codes.
        corpora: {corpus: {category: class}}; categories that are not named are left out.
        by: what decides, the emotion or the objective class.
    """

    name: str
    title: str
    source: str
    classes: tuple[str, ...]
    corpora: Mapping[str, Mapping[str, str]]
    by: Literal["emotion", "objective"] = "emotion"

    def code(self, corpus: str, category: str) -> int | None:
        """The class of a category, 0 to len(classes) - 1, or None where it is left out.

        Raises:
            UsageError: the mapping is not for that corpus.
        """
        if corpus not in self.corpora:
            raise UsageError(
                f"mapping {self.name} for {corpus}",
                expected="one of its corpora: " + ", ".join(self.corpora),
                do="choose a mapping for this corpus: "
                + ", ".join(n for n, m in mappings().items() if corpus in m.corpora),
            )
        name = self.corpora[corpus].get(category)
        return None if name is None else self.classes.index(name)

    def code_of(self, clip: Clip) -> int | None:
        """The class of a clip, as `code`. Of a corpus of your own, by the name of its emotion, as for `plain`."""
        category = clip.emotion if self.by == "emotion" else str(clip.objective or "")
        known = mapping_named(DEFAULT_MAPPING).corpora
        return self.code(clip.corpus if clip.corpus in known else OWN, category)

    def code_of_sample(self, emotion: str) -> int | None:
        """The class of a sample of a set, by the name of the emotion that was drawn, in any spelling.

        None if no class has that name. A set knows no objective classes: by a mapping that goes by these, its samples
        belong to the class that is named after their emotion.
        """
        name = emotion_named(emotion)
        return self.classes.index(name) if name in self.classes else None

    def select(self, clips: Iterable[Clip]) -> list[tuple[Clip, int]]:
        """The clips that have a class, each with its code."""
        coded = ((clip, self.code_of(clip)) for clip in clips)
        return [(clip, code) for clip, code in coded if code is not None]

    @property
    def gives_labels(self) -> bool:
        """Whether the classes are the three labels of miex, so that it may set `Clip.label`."""
        return self.classes == tuple(label.name for label in Label) and self.by == "emotion"


def emotion_named(text: str) -> str:
    """A category in miex' spelling: lower case, synonyms and typing errors merged; parts of `a+b` one by one."""
    parts = (part.strip() for part in text.lower().split("+"))
    return "+".join(_table()["spellings"].get(part, part) for part in parts if part)


@lru_cache(maxsize=1)
def mappings() -> Mapping[str, ClassMapping]:
    """Every mapping by its name."""
    found = {}
    for name, row in _table()["mappings"].items():
        classes, corpora = tuple(row["classes"]), row["corpora"]
        if isinstance(corpora, list):  # their categories have the names of the classes
            corpora = {corpus: {category: category for category in classes} for corpus in corpora}
        found[name] = ClassMapping(name, row["title"], row["source"], classes, corpora, row.get("by", "emotion"))
    return found


def mapping_named(name: str, asked: str = "`mapping`") -> ClassMapping:
    """The mapping of that name. Raises UsageError for an unknown one, given as the argument `asked`."""
    return mappings()[one_of(name, mappings(), asked)]


@lru_cache(maxsize=1)
def emotion_labels() -> Mapping[str, Label]:
    """The label of every emotion that has one: {happiness: positive, …}, by the default mapping of all corpora."""
    default, found = mapping_named(DEFAULT_MAPPING), dict[str, Label]()
    for corpus in (OWN, *default.corpora):
        for emotion, label in default.corpora[corpus].items():
            if emotion not in ("negative", "positive"):  # some corpora know no more than these
                found.setdefault(emotion, Label[label])
    return found


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return tomllib.loads((resources.files("miex.corpora") / "mappings.toml").read_text("utf-8"))
