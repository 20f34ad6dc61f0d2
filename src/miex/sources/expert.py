"""z^exp of the paper: AUs drawn from expert tables. The onset is zero; AUs are on as the table has it, at U[μ, ν]."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from miex.aus.vector import AU_INDEX, AU_NUMBERS, N_AUS
from miex.corpora.mappings import emotion_named
from miex.errors import NOTHING, InputError, UsageError, first_wrong
from miex.labels import Label
from miex.sources.source import AUSource, AUTriplet, asked_for
from miex.sources.together import Independent, Seen, Shown, mirrored
from miex.storage.documents import MOST_TEXT, read_bytes, toml_of

PRESETS = ("micro-dfme", "micro", "dfme", "du2014", "du2014-compound", "mie-x-code")
DROPPED = "drop"  # value in `outside` for an AU that is left out
_COMPARE = "compare with the example in docs/aus.md"
_SIDES = {"L": 1, "R": -1, "": 0}

_Share = Annotated[float, Field(gt=0, le=1, strict=True, allow_inf_nan=False)]


class _EmotionModel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    emotion: str | None = Field(default=None, min_length=1)
    label: Literal["negative", "positive", "surprise"]
    weight: float = Field(default=1.0, ge=0, strict=True, allow_inf_nan=False)
    aus: dict[int, _Share] | None = Field(default=None, min_length=1)
    one_sided: dict[int, _Share] = {}
    sets: dict[str, Annotated[StrictInt, Field(gt=0)]] | None = Field(default=None, min_length=1)


class _TableModel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=80)
    source: str = ""
    corpora: list[str] = []
    outside: dict[int, StrictInt | str] = {}
    parts: list[Literal["micro", "dfme", "du2014", "du2014-compound", "mie-x-code"]] = Field(default=[], min_length=1)
    emotions: dict[str, _EmotionModel] = Field(default={}, min_length=1)


@dataclass(frozen=True)
class Emotion:
    """One row of an expert table.

    Attributes:
        name: of the row.
        emotion: what its samples are called; several rows may share one.
        label: its label.
        weight: how often it is drawn among the emotions of its label, relative to them; 0: only by its own name.
        shown: which AUs are on together.
    """

    name: str
    emotion: str
    label: Label
    weight: float
    shown: Shown


@dataclass(frozen=True)
class ExpertTable:
    """Which AUs each emotion shows, and its label."""

    name: str
    source: str
    emotions: tuple[Emotion, ...]

    def of_label(self, label: Label) -> tuple[Emotion, ...]:
        """The emotions that are drawn for a label, in the table's order."""
        return tuple(emotion for emotion in self.emotions if emotion.label == label and emotion.weight)

    def of_emotion(self, name: str) -> tuple[Emotion, ...]:
        """The rows of an emotion, named as in `corpora.mappings`; rows may spell it otherwise (happy, happiness)."""
        return tuple(emotion for emotion in self.emotions if emotion_named(emotion.emotion) == name)

    @cached_property
    def alike(self) -> ExpertTable:
        """The table without what is on one side alone: draws that have no such AU are as frequent among each other."""
        rows = ((row, row.shown.alike) for row in self.emotions)
        kept = (replace(row, weight=row.weight * share, shown=shown) for row, (share, shown) in rows if shown)
        return replace(self, emotions=tuple(kept))

    def __repr__(self) -> str:
        return f"expert table {self.name}: {len(self.emotions)} emotions"

    def plain(self) -> dict[str, Any]:
        """The numbers of the table as JSON values, without its prose."""
        return {
            emotion.name: {
                "label": emotion.label.name,
                "weight": emotion.weight,
                **emotion.shown.plain(),
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
    table = tomllib.loads(resources.files("miex.sources").joinpath("tables", f"{name}.toml").read_text("utf-8"))
    return frozenset(table.get("corpora", [])).union(*map(corpora_of, table.get("parts", [])))


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
    if bool(model.parts) == bool(model.emotions):
        found = "both" if model.parts else "no emotions"
        raise InputError(f"expert table {where}", expected="either `emotions` or `parts`", found=found, do=_COMPARE)
    emotions = [row for part in model.parts for row in _as_part(load_table(part))]
    for name, row in model.emotions.items():
        at = f"expert table {where}, emotion {name}"
        if (row.aus is None) == (row.sets is None):
            found = "neither" if row.aus is None else "both"
            raise InputError(at, expected="either `aus` or `sets`", found=found, do=_COMPARE)
        shown = _independent(row, model.outside, at) if row.aus else _seen(row.sets or {}, model.outside, at)
        if shown is None:
            found = f"only {', '.join(map(str, row.aus or row.sets or ()))}"
            raise InputError(at, expected="at least one AU of the 17", found=found, do=_COMPARE)
        emotions.append(Emotion(name, row.emotion or name, Label[row.label], row.weight, shown))
    return ExpertTable(model.name, model.source, tuple(emotions))


def _as_part(table: ExpertTable) -> Iterator[Emotion]:
    """Its emotions, with weights that add up to 1 in each label: parts of a table are drawn equally often."""
    for row in table.emotions:
        weight = row.weight / (sum(other.weight for other in table.of_label(row.label)) or 1)
        yield replace(row, name=f"{row.name} ({table.name})", weight=weight)


def _independent(row: _EmotionModel, outside: Mapping[int, int | str], where: str) -> Independent | None:
    frequency, alone = np.zeros(N_AUS), np.zeros(N_AUS)
    for au, p in (row.aus or {}).items():
        index = _index(au, outside, where)
        if index is not None:  # two AUs mapped onto one: on when either is
            frequency[index] = 1 - (1 - frequency[index]) * (1 - p)
    for au, share in row.one_sided.items():
        index = _index(au, outside, where)
        if index is None or not frequency[index]:
            raise InputError(f"{where}, one_sided", expected="AUs that stand in `aus`", found=f"AU {au}")
        alone[index] = max(alone[index], share)
    return Independent(frequency, alone) if frequency.any() else None


def _seen(sets: Mapping[str, int], outside: Mapping[int, int | str], where: str) -> Seen | None:
    """Sets that are the same without AUs that are outside are one; what nothing is left of is left out."""
    counts: dict[tuple[bytes, bytes], int] = {}
    for text, n in sets.items():
        on, sides = np.zeros(N_AUS, np.bool_), np.zeros(N_AUS, np.int8)
        for name in text.split() or [text]:
            match = re.fullmatch(r"([LR]?)(\d{1,3})", name)
            if match is None:
                raise InputError(
                    f"{where}, set {text!r}", expected="numbers of AUs, such as 1 2 5, with L or R for one side alone",
                    found=repr(name), do="write sets as in miex/sources/tables/dfme.toml",
                )  # fmt: skip
            index = _index(int(match[2]), outside, where)
            if index is not None:
                side = _SIDES[match[1]]
                sides[index] = side if not on[index] or side == sides[index] else 0  # left and right: both
                on[index] = True
        if on.any():
            key = on.tobytes(), mirrored(sides).tobytes()
            counts[key] = counts.get(key, 0) + n
    rows = [(np.frombuffer(on, np.bool_), np.frombuffer(sides, np.int8), n) for (on, sides), n in counts.items()]
    return Seen(tuple(rows)) if rows else None


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

    Each intensity is drawn by itself, U[μ, ν], as in the paper.

    Attributes:
        table: which AUs each emotion shows.
        mu, nu: bounds of the uniform intensity; the paper's 0.1 and 0.3 (figure 7b) are the default.
        sides: whether the generator moves the sides of a face apart. If not, nothing is drawn that has an AU on one
            side alone, and the rest is as frequent among each other as in the table (on both sides such sets would
            mean something else: contempt's AU 12 would be a smile).

    Raises:
        UsageError: not 0 < mu <= nu <= 1. (The paper allows μ = 0; an apex equal to its onset is never emitted here,
            so intensity zero is refused.)
    """

    table: ExpertTable
    mu: float = 0.1
    nu: float = 0.3
    sides: bool = True
    name: ClassVar[str] = "expert"

    def __post_init__(self) -> None:
        if not 0 < np.float32(self.mu) <= np.float32(self.nu) <= 1 or self.mu > self.nu:  # AUs are float32
            raise UsageError(
                f"intensities μ = {self.mu:g}, ν = {self.nu:g}",
                expected="0 < μ ≤ ν ≤ 1",
                do="choose others; those of the paper are 0.1 and 0.3",
            )

    def __repr__(self) -> str:
        return f"{self.name}: table {self.table.name}, intensities {self.mu:g} to {self.nu:g}"

    @cached_property
    def one_sided(self) -> bool:
        return any(row.shown.one_sided for row in self.drawn.emotions)

    @cached_property
    def drawn(self) -> ExpertTable:
        """What of its table is drawn."""
        return self.table if self.sides else self.table.alike

    @property
    def left_out_notes(self) -> list[str]:
        kept, all_of = (sum(row.weight for row in table.emotions) for table in (self.drawn, self.table))
        if kept == all_of:
            return []
        return [
            f"sets with an AU on one side alone are left out, {1 - kept / all_of:.0%} of table {self.table.name}: the "
            "generator moves both sides of a face alike"
        ]

    @cached_property
    def settings(self) -> dict[str, Any]:
        return {
            "table": self.table.name,
            "emotions": self.drawn.plain(),
            "mu": self.mu,
            "nu": self.nu,
            "sides": self.sides,
        }

    def sample(self, label: Label, *, emotion: str | None = None, rng: np.random.Generator) -> AUTriplet:
        if (label, emotion) not in self._drawn_from:
            self._drawn_from[label, emotion] = self._rows(label, emotion)
        rows, up_to = self._drawn_from[label, emotion]
        row = rows[bisect_right(up_to, rng.random())]  # as rng.choice does, in a tenth of the time
        on, sides = row.shown.draw(rng)
        apex = np.where(on, self.mu + (self.nu - self.mu) * rng.random(N_AUS), 0).astype(np.float32)
        onset = np.zeros(N_AUS, np.float32)
        return AUTriplet(onset, apex, label, row.emotion, sides=sides if sides.any() else None)

    @cached_property
    def _drawn_from(self) -> dict[tuple[Label, str | None], tuple[tuple[Emotion, ...], list[float]]]:
        return {}

    def _rows(self, label: Label, emotion: str | None) -> tuple[tuple[Emotion, ...], list[float]]:
        """The rows that are drawn from, and up to which random number each is drawn."""
        rows = self.drawn.of_label(label) if emotion is None else self.drawn.of_emotion(emotion)
        if not rows:
            known = ", ".join(f"{row.name} ({row.label.name})" for row in self.drawn.emotions)
            raise UsageError(
                f"{asked_for(label, emotion)} from expert table {self.table.name}"
                + ("" if self.sides else ", without AUs on one side alone"),
                expected="at least one emotion of that label" if emotion is None else "a row of that emotion",
                found=f"only {known}" if known else "nothing",
                do="leave it out of `classes`, add it to a copy of the table, or choose another table",
            )
        weights = np.array([row.weight for row in rows])
        if not weights.any():
            weights[:] = 1
        up_to = np.cumsum(weights / weights.sum())
        return rows, (up_to / up_to[-1]).tolist()
