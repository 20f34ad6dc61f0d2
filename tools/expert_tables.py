"""Write an expert table from the AU codes of corpora: counts and shares of clips, none of which points to a person.

python -m tools.expert_tables FOLDER dfme > src/miex/sources/tables/dfme.toml
python -m tools.expert_tables FOLDER micro > src/miex/sources/tables/micro.toml

FOLDER is that of `tools.annotation_tables`. `micro` has the contempt of the table `dfme` as it is in the package.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
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
DRAWS = 20_000  # that the head of `dfme` counts
RARE = 0.02  # shares below it are left out of `micro`
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
# What human coders saw in real micro-expressions, per category.
# Source: how often each AU was coded, in MMEW (Ben et al. 2021, TPAMI: 234 clips of six emotions) and CAS(ME)³ part A,
# version 2 (Li et al. 2022, TPAMI: 644 clips). Made by `python -m tools.expert_tables FOLDER micro`, which takes
# nothing but shares from them: no clip of either corpus is in this table, and neither corpus is part of CompMiE.
# - AUs in fewer than {100 * RARE:.0f} % of a category's clips are left out.
{RULE}\
# - Half of negative and of surprise come from each corpus. Within MMEW the negative emotions have the weight of their
#   clips; CAS(ME)³, whose four negative emotions look alike, counts as one.
# - Positive is MMEW's alone: happiness in CAS(ME)³ is mostly AU 14 and 24, hardly AU 12 (9 %), unlike in other corpora.
# - one_sided: of the times that an AU is on, how often it is on one side alone; left and right are drawn equally often.
# - Contempt, which neither corpus has, is drawn only for classes that are emotions (weight 0): how often the table dfme
#   draws each AU, and on one side alone. AU 12 on one side is what tells it from happiness.
name = "micro"
corpora = ["mmew", "casme3", "dfme"]
source = "AUs per class of MMEW (Ben et al. 2021) and CAS(ME)³ (Li et al. 2022), of contempt DFME (Zhao et al. 2024)"

# AUs outside the 17: 24 (lip pressor) is counted as 23 (lip tightener) in the frequencies.
[outside]
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

    def by_au(self) -> ByAU:
        """Both, AU by AU."""
        return self.shares(), self.one_sided()


def dfme_table(folder: Path) -> str:
    """The expert table `dfme`, from the AU codes in a folder of annotations."""
    by_emotion = _labeled(read("dfme", folder / "dfme/dfme_au.csv"))
    rows = "\n".join(_sets(by_emotion)) + "\n"
    table = table_of(tomllib.loads(DFME + rows), "dfme")
    return DFME.format(**_drawn(table, {emotion: group for emotion, (_, group) in by_emotion.items()})) + rows


def _drawn(table: ExpertTable, seen: Mapping[str, Group]) -> dict[str, float]:
    """Percent of draws: of sets that no clip of their emotion shows, and with an AU on one side alone; and of clips."""
    names = {emotion: {clip.name for clip in group.clips} for emotion, group in seen.items()}
    rng, weights = np.random.default_rng(0), np.array([row.weight for row in table.emotions])
    unseen = alone = 0
    for place in rng.choice(len(weights), DRAWS, p=weights / weights.sum()):
        row = table.emotions[place]
        on, sides = row.shown.draw(rng)
        unseen += set_name(on, mirrored(sides)) not in names[row.emotion]
        alone += bool(sides.any())
    clips = [bool(clip.alone) for group in seen.values() for clip in group.clips]
    return {"unseen": 100 * unseen / DRAWS, "alone": 100 * alone / DRAWS, "alone_in_clips": 100 * np.mean(clips)}


def micro_table(folder: Path) -> str:
    """The expert table `micro`, from the AU codes in a folder of annotations."""
    mmew = _by_emotion(read("mmew", folder / "mmew/MMEW_Micro_Exp.csv"))
    table = folder / "casme3/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
    casme3 = [clip for clip in read("casme3-a", table, on_error="skip") if clip.label is not None]
    negative = Group(tuple(shown_in(clip) for clip in casme3 if clip.label is Label.negative))
    surprise = Group(tuple(shown_in(clip) for clip in casme3 if clip.label is Label.surprise))
    four = ("disgust", "fear", "sadness", "anger")
    weights = {emotion: len(mmew[emotion]) for emotion in four}
    rows = [
        _row("happiness", "positive", mmew["happiness"].by_au()),
        _row("surprise", "surprise", mmew["surprise"].by_au()),
        _row("surprise-casme3", "surprise", surprise.by_au(), emotion="surprise"),
        *(_row(emotion, "negative", mmew[emotion].by_au(), weight=weights[emotion]) for emotion in four),
        _row("negative-casme3", "negative", negative.by_au(), weight=sum(weights.values()), emotion="negative"),
        _row("contempt", "negative", _drawn_by("dfme", "contempt"), weight=0),
    ]
    return MICRO + "".join(rows)


def _row(name: str, label: str, by_au: ByAU, *, weight: int | None = None, emotion: str | None = None) -> str:
    of = f'emotion = "{emotion}"\n' if emotion else ""
    often = "" if weight is None else f"weight = {weight:.1f}\n"
    kept = {au: share for au, share in by_au[0].items() if share >= RARE}
    alone = {au: by_au[1][au] for au in kept}
    return f'\n[emotions.{name}]\n{of}label = "{label}"\n{often}{_aus(kept, alone)}\n'


def _drawn_by(table: str, emotion: str) -> ByAU:
    """How often a table draws the AUs of an emotion, and on one side alone."""
    rows = load_table(table).of_emotion(emotion)
    weights = [row.weight for row in rows]
    often = np.average([row.shown.frequency for row in rows], axis=0, weights=weights)
    alone = np.average([row.shown.frequency * row.shown.alone for row in rows], axis=0, weights=weights)
    shares = np.divide(alone, often, out=np.zeros(N_AUS), where=often > 0)
    return dict(zip(AU_NUMBERS, often.tolist(), strict=True)), dict(zip(AU_NUMBERS, shares.tolist(), strict=True))


def _sets(by_emotion: Mapping[str, tuple[str, Group]]) -> Iterator[str]:
    """Emotions with their labels and clips as TOML, part by part: sets of AUs that clips show, and what is rare."""
    for emotion, (label, group) in sorted(by_emotion.items()):
        names = {clip.name for clip in group.clips}
        often = {
            name: those for name in names if (those := group.that(lambda clip, name=name: clip.name == name)).enough
        }
        rare = group.that(lambda clip, often=often: clip.name not in often)
        counts = sorted(((name, len(those)) for name, those in often.items()), key=lambda one: (-one[1], one[0]))
        yield f'\n[emotions.{emotion}]\nlabel = "{label}"\nweight = {sum(n for _, n in counts):.1f}'
        yield f"[emotions.{emotion}.sets]\n" + "\n".join(f'"{name}" = {n}' for name, n in counts)
        if rare.enough and any(rare.shares().values()):
            yield f'\n[emotions."{emotion}, rare"]\nemotion = "{emotion}"\nlabel = "{label}"'
            yield f"weight = {len(rare):.1f}\n{_aus(*rare.by_au())}"


def _labeled(clips: Iterable[Clip]) -> dict[str, tuple[str, Group]]:
    found: dict[str, tuple[str, list[Shown]]] = {}
    for clip in clips:
        if clip.emotion and clip.label is not None and (shown := shown_in(clip)).aus:
            found.setdefault(clip.emotion, (clip.label.name, []))[1].append(shown)
    return {emotion: (label, Group(tuple(those))) for emotion, (label, those) in found.items()}


def _by_emotion(clips: Iterable[Clip]) -> dict[str, Group]:
    found: dict[str, list[Shown]] = {}
    for clip in clips:
        found.setdefault(clip.emotion or "", []).append(shown_in(clip))
    return {emotion: Group(tuple(those)) for emotion, those in found.items()}


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
