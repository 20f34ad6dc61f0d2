"""Write an expert table from the AU codes of corpora: counts and shares of clips, none of which points to a person.

python -m tools.expert_tables FOLDER dfme > src/miex/sources/tables/dfme.toml
python -m tools.expert_tables FOLDER micro > src/miex/sources/tables/micro.toml

FOLDER is that of `tools.annotation_tables`. `micro` has the contempt of the table `dfme` as it is in the package.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from miex.api.corpora import read
from miex.aus.vector import AU_INDEX, AU_NUMBERS, N_AUS
from miex.corpora.clip import Clip
from miex.labels import Label
from miex.sources.coded_mie import OUTSIDE
from miex.sources.expert import ExpertTable, load_table, table_of
from miex.sources.together import mirrored, set_name

LEAST = 3  # clips, and people, behind whatever a table says: of fewer, somebody could be recognized
DRAWS = 20_000  # that the heads count
RARE = ", rare"  # what follows the name of a category in that of the row of its rare sets
RULE = f"""\
# - Behind every number, and behind what is left when it is taken off another one, are at least {LEAST} clips and at
#   least {LEAST} people. A share that would say of fewer that they show something is left out; one that would say of
#   fewer that they do not show it is 1.
"""
DFME = f"""\
# What human coders saw in DFME, AU by AU and side by side: sets of AUs that were seen together, and how often.
# Source: Zhao et al. 2024, DFME (IEEE TAFFC): 2,629 clips of 259 people, seven emotions; its AU codes say what is
# there and on which side, not how strong. Made by `python -m tools.expert_tables FOLDER dfme`, which takes nothing but
# counts from them: DFME itself is lent by its owners, and no clip of it is in this table.
# - AU 24 is counted as 23; AUs outside the 17, and codes that are in doubt, are left out, and so are the clips that
#   nothing is left of.
# - L: on one side alone. A set and its mirror image are counted together, and drawn as either.
{RULE}\
# - Sets with less behind them are counted together, AU by AU (rows named "…, rare"), and are drawn so, each AU by
#   itself. Of {DRAWS:,} draws {{unseen:.1f}} % are sets that no clip of their emotion shows, and {{alone:.1f}} % have
#   an AU on one side alone, where {{alone_in_clips:.1f}} % of the clips have.
# - An emotion is drawn as often, relative to the others of its label, as DFME has clips of it.
name = "dfme"
corpora = ["dfme"]
source = "counts of AU sets per emotion in DFME (Zhao et al. 2024)"
"""
MICRO = f"""\
# What human coders saw in real micro-expressions, per category: sets of AUs that were seen together, and how often.
# Source: AU codes of MMEW (Ben et al. 2021, TPAMI: 234 clips of six emotions) and CAS(ME)³ part A, version 2 (Li et
# al. 2022, TPAMI: 644 clips). Made by `python -m tools.expert_tables FOLDER micro`, which takes nothing but counts
# from them: no clip of either corpus is in this table, and neither corpus is part of CompMiE.
# - AU 24 is counted as 23; AUs outside the 17 are left out, and so are the clips that nothing is left of.
# - L: on one side alone. A set and its mirror image are counted together, and drawn as either.
{RULE}\
# - Sets with less behind them are counted together, AU by AU (rows named "…, rare"), and are drawn so, each AU by
#   itself, but for clips no AU of which may be told. {{in_sets:.1f}} % of the draws are from sets. Of {DRAWS:,} draws
#   {{unseen:.1f}} % are sets that no clip of their category shows, and {{alone:.1f}} % have an AU on one side alone,
#   where {{alone_in_clips:.1f}} % of the clips have, weighted alike.
# - Half of negative and of surprise come from each corpus. Within MMEW the negative emotions have the weight of their
#   clips; CAS(ME)³, whose four negative emotions look alike, counts as one.
# - Positive is MMEW's alone: happiness in CAS(ME)³ is mostly AU 14 and 24, hardly AU 12 (9 %), unlike in other corpora.
# - Contempt, which neither corpus has, is drawn only for classes that are emotions (weight 0): AU by AU, as often as
#   the table dfme draws each, and on one side alone. AU 12 on one side is what tells it from happiness.
name = "micro"
corpora = ["mmew", "casme3", "dfme"]
source = "AU sets per class of MMEW (Ben et al. 2021), CAS(ME)³ (Li et al. 2022); contempt DFME (Zhao et al. 2024)"
"""

ByAU = tuple[Mapping[int, float], Mapping[int, float]]  # how often each AU is on; of these times, on one side alone


@dataclass(frozen=True)
class Shown:
    """What one clip shows: who, which of the 17 AUs, and which of these on one side alone; the set's name in tables."""

    person: str
    aus: frozenset[int]
    alone: frozenset[int]
    name: str


@dataclass(frozen=True)
class Group:
    """Clips that a number of a table speaks of."""

    clips: tuple[Shown, ...]

    def __len__(self) -> int:
        return len(self.clips)

    @cached_property
    def enough(self) -> bool:
        """Whether a number may rest on them."""
        return len(self) >= LEAST and len({clip.person for clip in self.clips}) >= LEAST

    def that(self, show: Callable[[Shown], bool]) -> Group:
        """Those that show something."""
        return Group(tuple(filter(show, self.clips)))

    def share(self, show: Callable[[Shown], bool]) -> float:
        """The share of those that show something, as a table may say it: 0 or 1 where too few do, or do not."""
        those = self.that(show)
        if not those.enough:
            return 0.0
        return len(those) / len(self) if self.that(lambda clip: not show(clip)).enough else 1.0

    @cached_property
    def names(self) -> set[str]:
        """The sets that they show."""
        return {clip.name for clip in self.clips}

    def aus(self) -> list[int]:
        """The AUs that some show."""
        return sorted(frozenset[int]().union(*(clip.aus for clip in self.clips)))

    def shares(self) -> dict[int, float]:
        """The share of each AU."""
        return {au: self.share(lambda clip, au=au: au in clip.aus) for au in self.aus()}

    def one_sided(self) -> dict[int, float]:
        """Of the clips with an AU, the share of those that have it on one side alone."""
        return {
            au: self.that(lambda clip, au=au: au in clip.aus).share(lambda clip, au=au: au in clip.alone)
            for au in self.aus()
        }


@dataclass(frozen=True)
class Category:
    """Clips that rows of a table speak of.

    Attributes:
        emotion: what samples of these rows are called.
        label: their label.
        group: the clips.
        part: of the weight of the clips, that of the rows.
    """

    emotion: str
    label: str
    group: Group
    part: float = 1.0

    @cached_property
    def often(self) -> dict[str, int]:
        """Sets with enough behind them, and in how many clips they were seen; the most frequent ones first."""
        sets = {name: self.group.that(lambda clip, name=name: clip.name == name) for name in self.group.names}
        counts = [(name, len(those)) for name, those in sets.items() if those.enough]
        return dict(sorted(counts, key=lambda one: (-one[1], one[0])))

    @cached_property
    def rare(self) -> Group:
        """The clips that show another set."""
        return self.group.that(lambda clip: clip.name not in self.often)

    @cached_property
    def weights(self) -> tuple[float, float]:
        """How often sets are drawn, and what is rare: as often as clips show something of it that may be told."""
        return self.part * sum(self.often.values()), self.part * self.told * len(self.rare)

    @cached_property
    def told(self) -> float:
        """Of clips with a rare set, the share that shows an AU of which it may be told; at least, if AUs overlap."""
        return min(1.0, sum(self.rare.shares().values())) if self.rare.enough else 0.0


def dfme_table(folder: Path) -> str:
    """The expert table `dfme`, from the AU codes in a folder of annotations."""
    return _table(DFME, _categories(read("dfme", folder / "dfme/dfme_au.csv")))


def micro_table(folder: Path) -> str:
    """The expert table `micro`, from the AU codes in a folder of annotations."""
    found = _categories(read("mmew", folder / "mmew/MMEW_Micro_Exp.csv"))
    casme3 = read("casme3-a", folder / "casme3/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", on_error="skip")
    for label in (Label.surprise, Label.negative):
        (one,) = _categories(replace(clip, emotion=label.name) for clip in casme3 if clip.label is label).values()
        weight = sum(sum(other.weights) for other in found.values() if other.label == label.name)
        found[f"{label.name}-casme3"] = replace(one, part=weight / sum(one.weights))
    contempt = f'\n[emotions.contempt]\nlabel = "negative"\nweight = 0.0\n{_aus(*_drawn_by("dfme", "contempt"))}\n'
    return _table(MICRO, found) + contempt


def _table(head: str, categories: Mapping[str, Category]) -> str:
    rows = "\n".join(_rows(categories)) + "\n"
    return head.format(**_drawn(table_of(tomllib.loads(head + rows), "made"), categories)) + rows


def _drawn(table: ExpertTable, categories: Mapping[str, Category]) -> dict[str, float]:
    """Percent of draws: from sets; of sets that no clip of the category shows; one-sided; and so of clips, weighted."""
    rng, weights = np.random.default_rng(0), np.array([row.weight for row in table.emotions])
    unseen = alone = 0
    for place in rng.choice(len(weights), DRAWS, p=weights / weights.sum()):
        row = table.emotions[place]
        on, sides = row.shown.draw(rng)
        unseen += set_name(on, mirrored(sides)) not in categories[row.name.removesuffix(RARE)].group.names
        alone += bool(sides.any())
    seen = [np.mean([bool(clip.alone) for clip in one.group.clips]) for one in categories.values()]
    found = {
        "in_sets": sum(one.weights[0] for one in categories.values()) / weights.sum(),
        "unseen": unseen / DRAWS,
        "alone": alone / DRAWS,
        "alone_in_clips": np.average(seen, weights=[sum(one.weights) for one in categories.values()]),
    }
    return {name: 100 * float(share) for name, share in found.items()}


def _rows(categories: Mapping[str, Category]) -> Iterator[str]:
    """The rows of categories as TOML, part by part: sets of AUs that clips show, and what is rare."""
    for name, one in sorted(categories.items()):
        label, (often, rare) = f'label = "{one.label}"', one.weights
        emotion = f'emotion = "{one.emotion}"\n'
        yield f"\n[emotions.{name}]\n{emotion if name != one.emotion else ''}{label}\nweight = {often:.1f}"
        yield f"[emotions.{name}.sets]\n" + "\n".join(f'"{of}" = {n}' for of, n in one.often.items())
        if rare:
            shares = {au: share / one.told for au, share in one.rare.shares().items()}
            yield f'\n[emotions."{name}{RARE}"]\n{emotion}{label}\nweight = {rare:.1f}'
            yield _aus(shares, one.rare.one_sided())


def _drawn_by(table: str, emotion: str) -> ByAU:
    """How often a table draws the AUs of an emotion, and on one side alone."""
    rows = load_table(table).of_emotion(emotion)
    weights = [row.weight for row in rows]
    often = np.average([row.shown.frequency for row in rows], axis=0, weights=weights)
    alone = np.average([row.shown.frequency * row.shown.alone for row in rows], axis=0, weights=weights)
    shares = np.divide(alone, often, out=np.zeros(N_AUS), where=often > 0)
    return dict(zip(AU_NUMBERS, often.tolist(), strict=True)), dict(zip(AU_NUMBERS, shares.tolist(), strict=True))


def _categories(clips: Iterable[Clip]) -> dict[str, Category]:
    """Clips by emotion: those that have a label, and show some of the 17 AUs."""
    found: dict[str, tuple[str, list[Shown]]] = {}
    for clip in clips:
        if clip.emotion and clip.label is not None and (shown := shown_in(clip)).aus:
            found.setdefault(clip.emotion, (clip.label.name, []))[1].append(shown)
    return {emotion: Category(emotion, label, Group(tuple(those))) for emotion, (label, those) in found.items()}


def shown_in(clip: Clip) -> Shown:
    """What a clip shows for sure, by its codes."""
    on, sides = np.zeros(N_AUS, np.bool_), np.zeros((2, N_AUS), np.bool_)
    for au in clip.aus:
        i = AU_INDEX.get(OUTSIDE.get(au.au, au.au))
        if i is not None and au.status == "seen":
            on[i] = True
            sides[:, i] |= au.side != "right", au.side != "left"
    alone = mirrored(sides[0].astype(np.int8) - sides[1].astype(np.int8))
    numbers = np.array(AU_NUMBERS)
    return Shown(
        f"{clip.corpus} {clip.subject}", frozenset(numbers[on].tolist()), frozenset(numbers[alone != 0].tolist()),
        set_name(on, alone),
    )  # fmt: skip


def _aus(often: Mapping[int, float], alone: Mapping[int, float]) -> str:
    sides = f"\none_sided = {_plain(alone)}" if any(alone.values()) else ""
    return f"aus = {_plain(often)}{sides}"


def _plain(shares: Mapping[int, float]) -> str:
    """Shares as TOML: those above 0, to two decimals."""
    return "{ " + ", ".join(f"{au} = {share:.2f}" for au, share in shares.items() if share) + " }"


TABLES = {"dfme": dfme_table, "micro": micro_table}

if __name__ == "__main__":
    print(TABLES[sys.argv[2]](Path(sys.argv[1])), end="")
