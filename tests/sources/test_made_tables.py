"""Expert tables made from AU codes: whatever they say rests on three clips of three people, what is left of it too."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from tools.expert_tables import TABLES, Group, Shown, _categories, _rows, shown_in

from miex.api.corpora import read
from miex.aus.vector import AU_INDEX, AU_NUMBERS
from miex.corpora.clip import Clip, CodedAU
from miex.labels import Label
from miex.sources.expert import load_table
from miex.sources.together import Seen

LENT = Path(__file__).resolve().parents[3] / "shared" / "annotations"
SHIPPED = Path(__file__).parents[2] / "src/miex/sources/tables"


def clip(person: str, emotion: str, *aus: str) -> Clip:
    sides = {"L": "left", "R": "right"}
    codes = tuple(CodedAU(int(au.lstrip("LR")), sides.get(au[0], "both")) for au in aus)  # type: ignore[arg-type]
    label = Label.surprise if emotion == "surprise" else Label.negative
    return Clip("made", person, "1", emotion, label, None, None, None, codes)


def group(*clips: tuple[str, str]) -> Group:
    return Group(tuple(shown_in(clip(person, "fear", *aus.split())) for person, aus in clips))


def has(au: int) -> Callable[[Shown], bool]:
    return lambda shown: au in shown.aus


@pytest.mark.parametrize(
    ("clips", "share"),
    [
        ([("a", "4"), ("b", "4"), ("c", "4"), ("a", "5"), ("b", "5"), ("c", "5")], 0.5),
        ([("a", "4"), ("b", "4"), ("c", "5"), ("d", "5"), ("e", "5")], 0.0),  # two clips show it
        ([("a", "4"), ("b", "4"), ("b", "4"), ("c", "5"), ("d", "5"), ("e", "5")], 0.0),  # three clips of two people
        ([("a", "4"), ("b", "4"), ("c", "4"), ("d", "5"), ("e", "5")], 1.0),  # two do not show it
        ([("a", "4"), ("b", "4"), ("c", "4"), ("d", "5"), ("e", "5"), ("e", "5")], 1.0),
        ([("a", "4"), ("b", "4"), ("c", "4")], 1.0),
    ],
)
def test_a_share_speaks_of_three_people_on_either_side(clips: list[tuple[str, str]], share: float) -> None:
    assert group(*clips).share(has(4)) == share


def people_and_clips(clips: Iterable[Clip]) -> tuple[int, int]:
    found = list(clips)
    return len({one.subject for one in found}), len(found)


def test_nothing_in_a_table_of_sets_speaks_of_fewer(tmp_path: Path) -> None:
    """Counts are recomputed from the clips, one by one; what is left of each count by subtraction, too."""
    rng = np.random.default_rng(0)
    common = ["4", "L4", "4 7", "R4 7", "12", "L12", "R12", "1 2 5", "L1 R2", "6 12", "9", "10 17", "R6 L12", "L9 10"]
    rare = [f"{side}{a} {b}" for side in ("", "L", "R") for a, b in ((4, 5), (4, 9), (7, 12), (1, 4), (20, 25), (4, 6))]
    clips = [
        clip(f"s{rng.integers(9)}", emotion, *str(rng.choice(common + rare, p=[0.06] * 14 + [0.16 / 18] * 18)).split())
        for emotion in ("fear", "anger", "surprise")
        for _ in range(130)
    ]
    table = tomllib.loads("\n".join(_rows(_categories(clips))))["emotions"]
    numbers = 0
    for emotion in ("fear", "anger", "surprise"):
        of = [one for one in clips if one.emotion == emotion]
        by_name = defaultdict(list)
        for one in of:
            by_name[shown_in(one).name].append(one)
        often = table[emotion]["sets"]
        for name, n in often.items():
            assert n == len(by_name[name])
            assert min(people_and_clips(by_name[name])) >= 3, name
        assert all(min(people_and_clips(those)) < 3 for name, those in by_name.items() if name not in often)
        row = table[f"{emotion}, rare"]
        rare = [one for one in of if shown_in(one).name not in often]
        assert table[emotion]["weight"] + len(rare) == len(of)
        told = row["weight"] / len(rare)  # where AUs may be told of fewer, only what shows them is drawn
        assert told == 1 or sum(row["aus"].values()) == pytest.approx(1, abs=0.01 * len(row["aus"]))
        for au, share in row["aus"].items():
            on = [one for one in rare if int(au) in shown_in(one).aus]
            off = [one for one in rare if one not in on]
            numbers += proven(share * told, on, off)
            if alone := row["one_sided"].get(au):
                left = [one for one in on if int(au) in shown_in(one).alone]
                numbers += proven(alone, left, [one for one in on if one not in left])
    assert numbers >= 8


def proven(share: float, on: list[Clip], off: list[Clip]) -> int:
    """A share is that of `on`, of which there are enough; and 1, or there are enough of the others."""
    assert min(people_and_clips(on)) >= 3
    if share < 1:
        assert min(people_and_clips(off)) >= 3
        assert share == pytest.approx(len(on) / (len(on) + len(off)), abs=0.00501)
        return 1
    assert min(people_and_clips(off)) < 3
    return 1


@pytest.mark.skipif(not LENT.is_dir(), reason="the annotation tables are not there")
@pytest.mark.parametrize("name", sorted(TABLES))
def test_the_shipped_tables_are_made_again(name: str) -> None:
    """The files, byte for byte."""
    assert TABLES[name](LENT) == (SHIPPED / f"{name}.toml").read_text("utf-8")


@pytest.mark.skipif(not LENT.is_dir(), reason="the annotation tables are not there")
def test_tables_are_what_their_clips_show() -> None:
    """Frequencies against clips that are counted here, one by one: no AU is off by more than what is left out."""
    casme3 = LENT / "casme3/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
    coded = [one for one in read("casme3-a", casme3, on_error="skip") if one.label is not None]
    clips: dict[tuple[str, str], list[Clip]] = {
        ("micro", f"{label.name}-casme3"): [one for one in coded if one.label is label]
        for label in (Label.surprise, Label.negative)
    }
    for table, corpus, file in (("dfme", "dfme", "dfme_au.csv"), ("micro", "mmew", "MMEW_Micro_Exp.csv")):
        for one in read(corpus, LENT / corpus / file):
            if one.label is not None:
                clips.setdefault((table, one.emotion or ""), []).append(one)
    weights = {}
    for (table, category), those in clips.items():
        rows = [row for row in load_table(table).emotions if row.name.removesuffix(", rare") == category]
        assert [isinstance(row.shown, Seen) for row in rows] in ([True], [True, False])
        aus = [{{24: 23}.get(au.au, au.au) for au in one.aus if au.status == "seen"} & set(AU_NUMBERS) for one in those]
        sets = [one for one in aus if one]
        of = np.array([row.weight for row in rows])
        weights[table, category] = of.sum()
        if not category.endswith("casme3"):
            assert of.sum() == len(sets) - (category in ("happiness", "anger") and table == "micro")  # one clip is rare
        frequency = of @ np.array([row.shown.frequency for row in rows]) / of.sum()
        rounded = 0.005 * of.min() / of.sum()
        most = OF_TWO_PEOPLE / len(sets) + (rounded if table == "dfme" else 0.01)  # fewer clips, of more rare sets
        for au in AU_NUMBERS:
            share = sum(au in one for one in sets) / len(sets)
            assert frequency[AU_INDEX[au]] == pytest.approx(share, abs=most), (table, category, au)
    assert weights["micro", "surprise-casme3"] == weights["micro", "surprise"]
    negative = ("anger", "disgust", "fear", "sadness")
    assert weights["micro", "negative-casme3"] == sum(weights["micro", emotion] for emotion in negative)
    contempt = [shown_in(one) for one in clips["dfme", "contempt"]]
    smiles = [one for one in contempt if 12 in one.aus]
    (row,) = load_table("micro").of_emotion("contempt")
    alone = sum(12 in one.alone for one in smiles) / len(smiles)
    assert row.weight == 0
    assert row.shown.alone[AU_INDEX[12]] == pytest.approx(alone, abs=OF_TWO_PEOPLE / len(smiles))


OF_TWO_PEOPLE = 5  # clips of an AU that is left out, at most: there may be more than two
