"""Which AUs are drawn together: against exact enumeration of all 2^17 outcomes, and against counts in a table."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare

from miex.aus.vector import AU_INDEX, N_AUS, from_mapping
from miex.errors import UsageError
from miex.labels import Label
from miex.sources.expert import PRESETS, ExpertSource, load_table
from miex.sources.together import Independent, Seen, _side, set_name

EVERY = (np.arange(2**N_AUS)[:, None] >> np.arange(N_AUS)) & 1 == 1  # all sets of AUs, bool [2^17, 17]
NONE_ALONE = np.zeros(N_AUS)
NEVER_EMPTY = [
    (preset, row.name, row.shown)
    for preset in PRESETS
    for row in load_table(preset).emotions
    if isinstance(row.shown, Independent)
]
BROWS = """
name = "brows"
[emotions.fear]
label = "negative"
sets = { "1 2 5" = 40, "L1 L2" = 20, "R1 L4" = 12, "4 24" = 8, "11" = 99 }
[outside]
11 = "drop"
24 = 23
"""


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def brows(tmp_path: Path) -> ExpertSource:
    (tmp_path / "brows.toml").write_text(BROWS)
    return ExpertSource(load_table(str(tmp_path / "brows.toml")))


def exact(shown: Independent) -> np.ndarray:
    """How often each AU is on, from how the draw is made: the first AU that is on, and then each by itself."""
    after, up_to = shown._chances
    frequency = np.zeros(N_AUS)
    for first, p in enumerate(np.diff(up_to, prepend=0)):
        frequency += p * np.where(np.arange(N_AUS) > first, after, np.arange(N_AUS) == first)
    return frequency


@pytest.mark.parametrize(("preset", "row", "shown"), NEVER_EMPTY, ids=[f"{p}-{row}" for p, row, _ in NEVER_EMPTY])
def test_what_is_drawn_independently_is_as_frequent_as_its_table_says(
    preset: str, row: str, shown: Independent
) -> None:
    """Exactly, over all 2^17 sets that independent AUs could be, the empty one left out."""
    if shown.frequency.sum() > 1:  # not AU 14 alone
        after, _ = shown._chances
        chance = np.where(EVERY, after, 1 - after).prod(1) * EVERY.any(1)
        assert chance @ EVERY / chance.sum() == pytest.approx(shown.frequency, abs=1e-12)
    assert exact(shown) == pytest.approx(shown.frequency, abs=1e-12)


def test_draws_have_the_distribution_of_independent_aus_that_are_not_empty() -> None:
    """Whole sets, by a chi-square test: p' of two AUs with 0.6 and 0.7 by hand."""
    shown = Independent(from_mapping({4: 0.6, 12: 0.7}).astype(float), NONE_ALONE)
    # S = 1 − (1 − 0.6 S)(1 − 0.7 S) = 1.3 S − 0.42 S², so S = 0.3 / 0.42
    s = 0.3 / 0.42
    assert shown._chances[0][[AU_INDEX[4], AU_INDEX[12]]] == pytest.approx([0.6 * s, 0.7 * s], rel=1e-6)
    random, n = rng(), 5000
    found = Counter(set_name(*shown.draw(random)) for _ in range(n))
    both = 0.6 * 0.7 * s
    expected = {"4": 0.6 - both, "12": 0.7 - both, "4 12": both}  # nothing else is left
    assert found.keys() == expected.keys()
    assert chisquare([found[k] for k in expected], [n * p for p in expected.values()]).pvalue > 0.001


@pytest.mark.parametrize("p", [{12: 0.5}, {4: 0.2, 12: 0.3}, {4: 0.25, 12: 0.75}, {4: 1e-300, 12: 3e-300}])
def test_frequencies_that_leave_some_draws_empty_keep_their_proportion(p: dict[int, float]) -> None:
    """One AU at least is on, so frequencies cannot add up to less than 1: then exactly one is."""
    frequency = np.zeros(N_AUS)
    for au, value in p.items():
        frequency[AU_INDEX[au]] = value
    shown = Independent(frequency, NONE_ALONE)
    assert exact(shown) == pytest.approx(frequency / frequency.sum(), abs=1e-12)
    random = rng()
    assert all(shown.draw(random)[0].sum() == 1 for _ in range(200))


def test_an_au_that_is_always_on_leaves_the_others_as_they_are() -> None:
    frequency = from_mapping({1: 0.25, 4: 1.0, 12: 0.5}).astype(float)
    after, _ = Independent(frequency, NONE_ALONE)._chances
    assert after == pytest.approx(frequency, abs=1e-12)


def test_sets_are_drawn_as_often_as_they_were_seen(tmp_path: Path) -> None:
    """By a chi-square test over sets and sides: what was seen on one side is left or right equally often."""
    source, random, n = brows(tmp_path), rng(), 4000
    found = Counter[str]()
    for _ in range(n):
        triplet = source.sample(Label.negative, rng=random)
        sides = np.zeros(N_AUS, np.int8) if triplet.sides is None else triplet.sides
        found[set_name(triplet.apex > 0, sides)] += 1
    counts = {"1 2 5": 40, "L1 L2": 10, "R1 R2": 10, "L1 R4": 6, "R1 L4": 6, "4 23": 8}
    assert found.keys() == counts.keys()
    assert chisquare([found[k] for k in counts], [n * v / 80 for v in counts.values()]).pvalue > 0.001


def test_the_shares_on_one_side_of_sets(tmp_path: Path) -> None:
    (row,) = brows(tmp_path).table.emotions
    assert row.shown.alone == pytest.approx(from_mapping({1: 32 / 72, 2: 20 / 60, 4: 12 / 20}), rel=1e-6)


def test_a_generator_with_two_sides_alike_gets_the_other_sets(tmp_path: Path) -> None:
    """Sets with an AU on one side alone are left out, and the others are as frequent among each other."""
    source, random, n = ExpertSource(brows(tmp_path).table, sides=False), rng(), 2000
    assert brows(tmp_path).one_sided
    assert not source.one_sided
    drawn = [source.sample(Label.negative, rng=random) for _ in range(n)]
    assert all(one.sides is None for one in drawn)
    found = Counter(set_name(one.apex > 0, np.zeros(N_AUS, np.int8)) for one in drawn)
    assert chisquare([found["1 2 5"], found["4 23"]], [n * 40 / 48, n * 8 / 48]).pvalue > 0.001
    assert sum(found.values()) == n
    assert source.left_out_notes[0].startswith("sets with an AU on one side alone are left out, 40% of table brows")
    assert ExpertSource(load_table("du2014"), sides=False).left_out_notes == []


@pytest.mark.parametrize(("preset", "row", "shown"), NEVER_EMPTY, ids=[f"{p}-{row}" for p, row, _ in NEVER_EMPTY])
def test_so_it_does_of_aus_by_themselves(preset: str, row: str, shown: Independent) -> None:
    """Exactly, over all 2^17 sets: the chance of each set, times that of no AU in it on one side alone."""
    share, kept = shown.alike
    after = shown._chances[0]
    if shown.frequency.sum() <= 1 or not shown.one_sided:
        assert (share, kept) == (1, shown)
        return
    chance = np.where(EVERY, after, 1 - after).prod(1) * EVERY.any(1)
    both = chance * np.where(EVERY, 1 - shown.alone, 1).prod(1)
    assert kept is not None
    assert share == pytest.approx(both.sum() / chance.sum(), abs=1e-12)
    assert kept.frequency == pytest.approx(both @ EVERY / both.sum(), abs=1e-12)
    assert exact(kept) == pytest.approx(kept.frequency, abs=1e-9)
    assert not kept.one_sided


def test_what_is_always_on_one_side_leaves_nothing() -> None:
    frequency, half = from_mapping({12: 1.0, 6: 0.5}).astype(float), from_mapping({12: 0.5, 6: 0.25}).astype(float)
    alone = from_mapping({12: 1.0}).astype(float)
    assert Independent(frequency, alone).alike == (0, None)
    assert Independent(frequency * alone, alone).alike == (0, None)
    share, kept = Independent(half, alone).alike  # exactly one AU is on: in a third of draws AU 6
    assert share == pytest.approx(1 / 3)
    assert kept is not None
    assert kept.frequency == pytest.approx(from_mapping({6: 1.0}))


def test_the_shares_of_emotions_are_those_that_the_table_tells() -> None:
    """The head of micro-dfme says how much of each emotion is drawn from dfme."""
    head = (Path(__file__).parents[2] / "src/miex/sources/tables/micro-dfme.toml").read_text("utf-8")
    told = {name: float(share) for name, share in re.findall(r"([a-z]+)[ #\n]+(\d\.\d\d)", head)}
    table, found = load_table("micro-dfme"), {}
    for name in ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"):
        weights = {row.name: row.weight for row in table.of_emotion(name)}
        found[name] = sum(weight for row, weight in weights.items() if "(dfme)" in row) / sum(weights.values())
    assert told == {name: pytest.approx(share, abs=0.005) for name, share in found.items()}


def test_how_much_is_on_one_side_is_what_the_page_tells() -> None:
    """Exactly, of draws of each label equally often."""
    page = " ".join((Path(__file__).parents[2] / "docs/aus.md").read_text("utf-8").split())
    percent = {}
    for name in ("micro-dfme", "micro", "dfme"):
        table = load_table(name)
        often = {label: sum(row.weight for row in table.of_label(label)) for label in Label}
        kept = (row.weight / often[row.label] * row.shown.alike[0] for row in table.emotions)
        percent[name] = f"{100 - 100 * sum(kept) / len(Label):.1f} %"
    told = "Of the draws of `micro-dfme` they are {micro-dfme} (`micro` {micro}, `dfme` {dfme}; labels equally often)"
    assert told.format(**percent) in page


def test_an_emotion_with_nothing_left_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "alone.toml"
    file.write_text('name = "alone"\n[emotions.contempt]\nlabel = "negative"\nsets = { "L12" = 3 }\n')
    source = ExpertSource(load_table(str(file)), sides=False)
    with pytest.raises(UsageError, match="without AUs on one side alone"):
        source.sample(Label.negative, rng=rng())


def test_the_shares_on_one_side() -> None:
    """Of 17 AUs that are always on, each is on one side with its share, all of a draw on the same."""
    shares = np.linspace(0, 1, N_AUS)
    shown, random, n = Independent(np.ones(N_AUS), shares), rng(), 2000
    drawn = np.array([shown.draw(random)[1] for _ in range(n)])
    assert np.abs((drawn != 0).mean(0) - shares).max() <= 5 * 0.5 / np.sqrt(n)
    assert all(len({*sides} - {0}) == 1 for sides in drawn)
    assert abs(drawn[:, -1].mean()) <= 5 / np.sqrt(n)


def test_dfme_is_what_its_table_of_frequencies_says() -> None:
    """Against shares that were counted by others, over sets and what is rare among them."""
    said = {
        "surprise": {2: 0.77, 1: 0.75, 5: 0.67}, "happiness": {12: 0.79, 6: 0.49}, "disgust": {4: 0.74, 7: 0.40},
        "contempt": {12: 0.65}, "fear": {4: 0.51, 7: 0.31}, "anger": {4: 0.70}, "sadness": {4: 0.39},
    }  # fmt: skip
    table = load_table("dfme")
    for emotion, shares in said.items():
        rows = table.of_emotion(emotion)
        weights = np.array([row.weight for row in rows])
        frequency = weights @ np.array([row.shown.frequency for row in rows]) / weights.sum()
        for au, share in shares.items():  # of all clips; ours are of those that show one of the 17
            assert frequency[AU_INDEX[au]] == pytest.approx(share, abs=0.025), (emotion, au)
    least = [n for row in table.emotions if isinstance(row.shown, Seen) for _, _, n in row.shown.counts]
    assert min(least) >= 3


def test_sides_are_those_of_numpy() -> None:
    ours, theirs = np.random.default_rng(5), np.random.default_rng(5)
    assert [_side(ours) for _ in range(200)] == [theirs.choice((-1, 1)) for _ in range(200)]
