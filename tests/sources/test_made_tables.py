"""Expert tables made from AU codes: whatever they say rests on three clips of three people, what is left of it too."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from tools.expert_tables import TABLES, Group, Shown, _labeled, _sets, shown_in

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
    table = tomllib.loads("\n".join(_sets(_labeled(clips))))["emotions"]
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
        assert row["weight"] == len(rare)
        assert table[emotion]["weight"] + row["weight"] == len(of)
        for au, share in row["aus"].items():
            on = [one for one in rare if int(au) in shown_in(one).aus]
            off = [one for one in rare if one not in on]
            numbers += proven(share, on, off)
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


@pytest.mark.skipif(not (LENT / "dfme").is_dir(), reason="the AU codes of DFME are not there")
def test_dfme_is_what_its_clips_show() -> None:
    """Frequencies against clips that are counted here, one by one: no AU is off by more than what is left out."""
    clips, table = read("dfme", LENT / "dfme" / "dfme_au.csv"), load_table("dfme")
    counted: dict[str, list[set[int]]] = {}
    for one in clips:
        aus = {{24: 23}.get(au.au, au.au) for au in one.aus if au.status == "seen"} & set(AU_NUMBERS)
        if aus:
            counted.setdefault(one.emotion or "", []).append(aus)
    for emotion, sets in counted.items():
        rows = table.of_emotion(emotion)
        assert sum(row.weight for row in rows) == len(sets)
        assert {row.name for row in rows if not isinstance(row.shown, Seen)} == {f"{emotion}, rare"}
        weights = np.array([row.weight for row in rows]) / len(sets)
        frequency = weights @ np.array([row.shown.frequency for row in rows])
        most = OF_TWO_PEOPLE / len(sets) + 0.005 * weights.min()
        for au in AU_NUMBERS:
            share = sum(au in one for one in sets) / len(sets)
            assert frequency[AU_INDEX[au]] == pytest.approx(share, abs=most), (emotion, au)


@pytest.mark.skipif(not LENT.is_dir(), reason="the annotation tables are not there")
def test_micro_is_what_its_clips_show() -> None:
    """Every share of every row, of AUs and of sides, against clips that are counted here; no AU is missing."""
    casme3 = LENT / "casme3/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
    coded = [one for one in read("casme3-a", casme3, on_error="skip") if one.label is not None]
    by_row = {f"{label.name}-casme3": [one for one in coded if one.label is label] for label in Label}
    for one in read("mmew", LENT / "mmew/MMEW_Micro_Exp.csv"):
        by_row.setdefault(one.emotion or "", []).append(one)
    rows = tomllib.loads((SHIPPED / "micro.toml").read_text("utf-8"))["emotions"]
    assert sum("one_sided" in row for row in rows.values()) == 6  # AU by AU, three clips of three people are not many
    for name, row in rows.items():
        for au in AU_NUMBERS if name != "contempt" else ():
            on = [one for one in by_row[name] if au in shown_in(one).aus]
            if share := row["aus"].get(str(au)):
                proven(share, on, [one for one in by_row[name] if one not in on])
            else:
                assert min(people_and_clips(on)) < 3 or len(on) / len(by_row[name]) < 0.02
                on = []
            left = [one for one in on if au in shown_in(one).alone]
            if alone := row.get("one_sided", {}).get(str(au)):
                proven(alone, left, [one for one in on if one not in left])
            else:
                assert min(people_and_clips(left)) < 3
    lent = [shown_in(one) for one in read("dfme", LENT / "dfme/dfme_au.csv") if one.emotion == "contempt"]
    smiles = [one for one in lent if 12 in one.aus]
    alone = sum(12 in one.alone for one in smiles) / len(smiles)
    assert rows["contempt"]["one_sided"]["12"] == pytest.approx(alone, abs=OF_TWO_PEOPLE / len(smiles))


OF_TWO_PEOPLE = 5  # clips of an AU that is left out, at most: there may be more than two
