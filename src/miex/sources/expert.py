"""z^exp of the paper: AUs drawn from expert tables. The onset is zero; each AU is on with p, at intensity U[μ, ν]."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from miex.aus.vector import AU_INDEX, AU_NUMBERS, N_AUS, AUArray
from miex.corpora.mappings import emotion_named
from miex.errors import NOTHING, InputError, UsageError, first_wrong
from miex.labels import Label
from miex.sources.source import AUSource, AUTriplet, asked_for
from miex.storage.documents import MOST_TEXT, read_bytes, toml_of

PRESETS = ("micro", "du2014", "du2014-compound", "mie-x-code")
DROPPED = "drop"  # value in `outside` for an AU that is left out
_COMPARE = "compare with the example in the README"
_DRAWS = 1000  # an emotion that draws no AU this many times in a row has none


class _EmotionModel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    emotion: str | None = Field(default=None, min_length=1)
    label: Literal["negative", "positive", "surprise"]
    weight: float = Field(default=1.0, ge=0, strict=True, allow_inf_nan=False)
    aus: dict[int, Annotated[float, Field(gt=0, le=1, strict=True, allow_inf_nan=False)]] = Field(min_length=1)


class _TableModel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=80)
    source: str = ""
    corpora: list[str] = []
    outside: dict[int, StrictInt | str] = {}
    emotions: dict[str, _EmotionModel] = Field(min_length=1)


@dataclass(frozen=True)
class Emotion:
    """One row of an expert table.

    Attributes:
        name: of the row.
        emotion: what its samples are called; several rows may share one.
        label: its label.
        weight: how often it is drawn among the emotions of its label, relative to them; 0: only by its own name.
        probability: float64 [17]: with which probability each AU is on.
    """

    name: str
    emotion: str
    label: Label
    weight: float
    probability: np.ndarray


@dataclass(frozen=True)
class ExpertTable:
    """AU probabilities per emotion, and each emotion's label."""

    name: str
    source: str
    emotions: tuple[Emotion, ...]

    def of_label(self, label: Label) -> tuple[Emotion, ...]:
        """The emotions that are drawn for a label, in the table's order."""
        return tuple(emotion for emotion in self.emotions if emotion.label == label and emotion.weight)

    def of_emotion(self, name: str) -> tuple[Emotion, ...]:
        """The rows of an emotion, named as in `corpora.mappings`; rows may spell it otherwise (happy, happiness)."""
        return tuple(emotion for emotion in self.emotions if emotion_named(emotion.emotion) == name)

    def __repr__(self) -> str:
        return f"expert table {self.name}: {len(self.emotions)} emotions"

    def plain(self) -> dict[str, Any]:
        """The numbers of the table as JSON values, without its prose."""
        return {
            emotion.name: {
                "label": emotion.label.name,
                "weight": emotion.weight,
                "aus": {
                    str(AU_NUMBERS[i]): round(float(emotion.probability[i]), 6)
                    for i in emotion.probability.nonzero()[0]
                },
            }
            for emotion in self.emotions
        }


def load_table(name_or_file: str) -> ExpertTable:
    """A preset by name, or a user's own TOML file (the form is that of `miex/sources/tables/du2014.toml`).

    Raises:
        UsageError: neither a preset nor a file.
        InputError: a file of another form; the message names the entry.
    """
    if name_or_file in PRESETS:
        content = resources.files("miex.sources").joinpath("tables", f"{name_or_file}.toml").read_bytes()
        return _parse(content, name_or_file)
    path = Path(name_or_file)
    if not path.is_file():
        raise UsageError(
            f"expert table {name_or_file!r}",
            expected="one of " + ", ".join(PRESETS) + ", or the path of a TOML file",
            found="neither a preset nor a file",
            do="check the spelling or the path",
        )
    try:
        content = read_bytes(path, MOST_TEXT)
    except (OSError, ValueError) as error:
        raise InputError(f"expert table {path}", expected="a TOML file in UTF-8", found=str(error)) from error
    return _parse(content, str(path))


def corpora_of(name: str) -> frozenset[str]:
    """The corpora whose AU frequencies are in a preset; none for other tables, of which that is not known."""
    if name not in PRESETS:
        return frozenset()
    text = resources.files("miex.sources").joinpath("tables", f"{name}.toml").read_text("utf-8")
    return frozenset(tomllib.loads(text).get("corpora", []))


def _parse(content: bytes, where: str) -> ExpertTable:
    try:
        return table_of(toml_of(content), where)
    except ValueError as error:
        raise InputError(
            f"expert table {where}", expected="a TOML file in UTF-8", found=str(error), do=_COMPARE
        ) from error


def table_of(values: Any, where: str) -> ExpertTable:
    """The table of these values, in the form of a TOML file.

    Args:
        values: name, source, corpora, outside and emotions, as in the presets' files.
        where: whose they are, for messages.

    Raises:
        InputError: values of another form; the message names the entry.
    """
    try:
        model = _TableModel.model_validate(values)
    except ValidationError as error:
        entry, expected, value = first_wrong(error)
        found = f"no {entry}" if value == NOTHING else f"{entry} = {value}"
        raise InputError(f"expert table {where}", expected=expected, found=found, do=_COMPARE) from error
    for au in model.outside:
        _index(au, model.outside, f"expert table {where}")
    emotions = []
    for name, row in model.emotions.items():
        at = f"expert table {where}, emotion {name}"
        probability = np.zeros(N_AUS)
        for au, p in row.aus.items():
            index = _index(au, model.outside, at)
            if index is not None:  # two AUs mapped onto one: on when either is
                probability[index] = 1 - (1 - probability[index]) * (1 - p)
        if not probability.any():
            raise InputError(at, expected="at least one AU of the 17", found=f"only {sorted(row.aus)}", do=_COMPARE)
        emotions.append(Emotion(name, row.emotion or name, Label[row.label], row.weight, probability))
    return ExpertTable(model.name, model.source, tuple(emotions))


def _index(au: int, outside: Mapping[int, int | str], where: str) -> int | None:
    target = outside.get(au, au)
    if target == DROPPED:
        return None
    if target not in AU_INDEX:
        raise InputError(
            f"{where}, AU {au}",
            expected="one of " + ", ".join(map(str, AU_NUMBERS)),
            found=f"outside.{au} = {target!r}" if au in outside else "",
            do=f'leave it out, or name in [outside] one of these to take its place, or "{DROPPED}"',
        )
    return AU_INDEX[int(target)]


@final
@dataclass(frozen=True)
class ExpertSource(AUSource):
    """z^exp of Liu et al. 2022.

    Attributes:
        table: AU probabilities per emotion.
        mu, nu: bounds of the uniform intensity; the paper's 0.1 and 0.3 (figure 7b) are the default.

    Raises:
        UsageError: not 0 < mu <= nu <= 1. (The paper allows μ = 0; an apex equal to its onset is never emitted here,
            so intensity zero is refused.)
    """

    table: ExpertTable
    mu: float = 0.1
    nu: float = 0.3
    name: ClassVar[str] = "expert"

    def __post_init__(self) -> None:
        if not 0 < self.mu <= self.nu <= 1:
            raise UsageError(
                f"intensities μ = {self.mu:g}, ν = {self.nu:g}",
                expected="0 < μ ≤ ν ≤ 1",
                do="choose others; those of the paper are 0.1 and 0.3",
            )

    def __repr__(self) -> str:
        return f"{self.name}: table {self.table.name}, intensities {self.mu:g} to {self.nu:g}"

    @cached_property
    def settings(self) -> dict[str, Any]:
        return {"table": self.table.name, "emotions": self.table.plain(), "mu": self.mu, "nu": self.nu}

    def sample(self, label: Label, *, emotion: str | None = None, rng: np.random.Generator) -> AUTriplet:
        rows = self.table.of_label(label) if emotion is None else self.table.of_emotion(emotion)
        if not rows:
            known = ", ".join(f"{row.name} ({row.label.name})" for row in self.table.emotions)
            raise UsageError(
                f"{asked_for(label, emotion)} from expert table {self.table.name}",
                expected="at least one emotion of that label" if emotion is None else "a row of that emotion",
                found=f"only {known}",
                do="leave it out of `classes`, add it to a copy of the table, or choose another table",
            )
        weights = np.array([row.weight for row in rows])
        if not weights.any():
            weights[:] = 1
        row = rows[rng.choice(len(rows), p=weights / weights.sum())]
        return AUTriplet(np.zeros(N_AUS, np.float32), self._apex(row, rng), label, row.emotion)

    def _apex(self, emotion: Emotion, rng: np.random.Generator) -> AUArray:
        for _ in range(_DRAWS):
            on = rng.random(N_AUS) < emotion.probability
            apex: AUArray = np.where(on, rng.uniform(self.mu, self.nu, N_AUS), 0).astype(np.float32)
            if apex.any():  # the released code emits empty apexes (fear: 6 %); they are drawn again here
                return apex
        raise UsageError(
            f"emotion {emotion.name} of expert table {self.table.name}",
            expected="at least one AU that is on in some draws",
            found=f"none in {_DRAWS} draws",
            do="raise its probabilities",
        )
