"""Real AUs: from clips and tables through pools to triplets, with their provenance and what is measured of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from miex.aus.tracks import Credit, write_parquet
from miex.aus.vector import AU_INDEX, to_mapping
from miex.corpora.clip import CodedAU, Descent
from miex.corpora.mappings import emotion_named
from miex.errors import InputError, UsageError
from miex.labels import Label
from miex.planning.config import PlanConfig
from miex.planning.rows import build_plan
from miex.planning.triplets import distinct_triplets
from miex.sources.coded_mie import CodedMiESource
from miex.sources.early_mae import EarlyMaESource, parse_windows, window_frames
from miex.sources.expert import ExpertSource, load_table
from miex.sources.origin import counted_from
from miex.sources.pool import POOL_SCHEMA, Pool, make_pool, read_pool, write_pool
from miex.sources.real_mie import RealMiESource
from miex.sources.source import AUSource, PerturbedSource
from miex.sources.timing import draw_timing, expression
from tests.corpus_fixture import EMOTIONS, clip, corpus, macros, track, tracks
from tests.plan_fixture import GENERATOR, fake_index

CREDIT = Credit("CC BY-NC-SA 4.0", "Somebody (2018)")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pool(n_subjects: int = 3, credit: Credit = CREDIT) -> Pool:
    clips = corpus(n_subjects)
    return make_pool(clips, tracks(clips), credit)


def macro_pool() -> Pool:
    clips = macros(corpus())
    return make_pool(clips, tracks(clips))


def au(number: int) -> int:
    return AU_INDEX[number]


# pools


def test_a_pool_holds_what_has_label_and_aus() -> None:
    clips = [*corpus(2), clip("sub03", "EP09", "surprise"), clip("sub03", "EP10", "surprise")]
    seen = tracks(clips)
    del seen["sub03/EP09"]
    seen["sub03/EP10"] = track(clips[-1], failed=tuple(range(12)))
    made = make_pool(clips, seen)
    assert len(made.clips) == 6
    assert made.left_out == {"no label for others": 2, "no AUs": 1, "every frame failed": 1}


@pytest.mark.parametrize("name", ["sub01/EP00", "s1/EP00", "1/EP00", "x/y/Sub001/EP00", "EP00"])
def test_tracks_find_their_clips(name: str) -> None:
    of = clip("sub01", "EP00", "happiness")
    made = make_pool([of], {name: track(of)})
    assert made.clips[0].subject == "sub01"


def test_a_clip_name_that_two_subjects_have_is_not_enough() -> None:
    clips = [clip("sub01", "EP00", "happiness"), clip("sub02", "EP00", "happiness")]
    with pytest.raises(InputError, match=r"such as sub01/EP00.*such as EP00.*2 no AUs"):
        make_pool(clips, {"EP00": track(clips[0])})


def test_aus_of_synthetic_clips_are_the_real_persons() -> None:
    """Rest is of the face they were put on; the person, by whom the leak guard goes, is who made the expression."""
    clips = [clip("photo1", f"EP{i:02d}", "happiness", corpus="made") for i in range(3)]
    clips[1] = replace(clips[1], descent=Descent("real_mie", "samm", "006", "006_1_2"))
    clips[2] = replace(clips[2], descent=Descent("expert"))
    seen = {
        f"photo1/EP{i:02d}": replace(track(of, rest=i / 10), clip=f"photo1/EP{i:02d}") for i, of in enumerate(clips)
    }
    found = {one.clip: one for one in make_pool(clips, seen).clips}
    assert {name: (one.corpus, one.subject) for name, one in found.items()} == {
        "EP00": ("made", "photo1"), "EP01": ("samm", "006"), "EP02": ("made", "photo1"),
    }  # fmt: skip
    assert [one.rest[au(4)] for one in found.values()] == [np.float32(0.1)] * 3


def test_a_pool_of_nothing_says_what_to_do() -> None:
    """Clips and tracks that found each other are named alike: what is wrong is something else."""
    clips = corpus()
    failed = {one.clip: one for one in (track(of, failed=tuple(range(12))) for of in clips)}
    with pytest.raises(InputError, match="12 every frame failed") as error:
        make_pool(clips, failed)
    assert "extract" in error.value.do
    unlabeled = [replace(of, label=None) for of in clips]
    with pytest.raises(InputError, match="3 no label for surprise") as error:
        make_pool(unlabeled, tracks(clips))
    assert "label" in error.value.do
    with pytest.raises(InputError, match="found: no clips"):
        make_pool([], tracks(clips))
    with pytest.raises(InputError, match="12 no AUs") as error:
        make_pool(clips, {"elsewhere": track(clips[0])})
    assert "of the same names" in error.value.do


def test_several_events_of_one_video_may_have_tracks_of_their_own() -> None:
    first, second = (clip("sp1", "a", "happiness", onset=onset, apex=None) for onset in (2, 5))
    made = make_pool([first, second], {"sp1/a": track(first), "sp1/a@5": track(first, peak=0.6)})
    assert [one.aus.max() > 0.5 for one in made.clips] == [False, True]


def test_a_pool_comes_back_as_it_was(tmp_path: Path) -> None:
    made = pool()
    write_pool(made, tmp_path / "p.parquet")
    back = read_pool(tmp_path / "p.parquet")
    assert back.credit == CREDIT
    assert back.facts == made.facts
    (facts,) = back.facts
    assert (facts["corpus"], facts["clips"], facts["subjects"], facts["extractor"]) == ("casme2", 9, 3, "openface")
    for a, b in zip(made.clips, back.clips, strict=True):
        np.testing.assert_array_equal(a.aus, b.aus)


def test_the_digest_of_a_pool_sees_aus_and_labels() -> None:
    digest = pool().facts[0]["digest"]
    other = pool()
    other.clips[0].aus[0, 0] = 0.5
    assert other.facts[0]["digest"] != digest
    clips = [replace(one, label=Label.positive) if one.emotion == "disgust" else one for one in corpus()]
    assert make_pool(clips, tracks(clips)).facts[0]["digest"] != digest
    assert make_pool(corpus()[::-1], tracks(corpus())).facts[0]["digest"] == digest


def test_a_pool_from_elsewhere_is_proven(tmp_path: Path) -> None:
    write_pool(pool(), tmp_path / "good.parquet")
    good = pq.read_table(tmp_path / "good.parquet")
    rows = good.to_pylist()
    bad: dict[str, dict[str, Any]] = {
        "row 3 .*label 7": {"label": 7},
        "row 3 .*AU01 = 2": {"aus": [[2.0] * 17] * 12},
        "row 3 .*11 frames of 12, 12 vectors": {"frames": list(range(11))},
        "row 3 .*12 frames of 12": {"frames": [1, 0, *range(2, 12)]},
        "value in column subject.*row 3": {"subject": None},
    }
    for text, change in bad.items():
        changed = [{**row, **change} if i == 3 else row for i, row in enumerate(rows)]
        write_parquet(pa.Table.from_pylist(changed, schema=POOL_SCHEMA), tmp_path / "bad.parquet")
        with pytest.raises(InputError, match=f"(?s){text}"):
            read_pool(tmp_path / "bad.parquet")
    write_parquet(good.slice(0, 0), tmp_path / "empty.parquet")
    with pytest.raises(InputError, match="expected: clips"):
        read_pool(tmp_path / "empty.parquet")


# real MiEs


def test_real_mie_is_the_pair_of_the_annotated_frames() -> None:
    source = RealMiESource((pool(),), "absolute")
    drawn = source.sample(Label.positive, rng=rng())
    assert to_mapping(drawn.onset) == pytest.approx({4: 0.05, 14: 0.05})
    assert to_mapping(drawn.apex) == pytest.approx({4: 0.05, 14: 0.05, 6: 0.2, 12: 0.2})
    assert (drawn.corpus, drawn.emotion, drawn.clip, drawn.frames) == ("casme2", "happiness", "EP00", (2, 6))
    subjects = Counter(source.sample(Label.positive, rng=rng(i)).subject for i in range(300))
    assert set(subjects) == {"sub01", "sub02", "sub03"}
    assert min(subjects.values()) > 60


def test_relative_aus_leave_the_persons_rest_behind() -> None:
    drawn = RealMiESource((pool(),)).sample(Label.positive, rng=rng())
    assert not drawn.onset.any()
    assert to_mapping(drawn.apex) == pytest.approx({6: 0.2, 12: 0.2}, abs=1e-6)


def test_rest_is_the_persons_median_over_clips() -> None:
    clips = [clip("sub01", f"EP{i:02d}", "happiness") for i in range(5)]
    seen = {
        f"sub01/EP{i:02d}": replace(track(one, rest=i / 10), clip=f"sub01/EP{i:02d}") for i, one in enumerate(clips)
    }
    assert make_pool(clips, seen).clips[0].rest[au(4)] == np.float32(0.2)


@given(st.lists(st.floats(0, 1, width=32), min_size=34, max_size=34))
def test_origin_keeps_aus_in_their_range(values: list[float]) -> None:
    aus, rest = np.array(values, np.float32).reshape(2, 17)
    relative = counted_from("relative", aus, rest)
    assert ((relative >= 0) & (relative <= aus)).all()
    assert (relative[aus > rest] > 0).all()
    assert counted_from("absolute", aus, rest) is aus


def test_clips_whose_frames_failed_are_left_out_and_counted() -> None:
    clips = [clip("sub01", f"EP{i:02d}", "happiness") for i in range(4)]
    seen = tracks(clips)
    seen["sub01/EP00"] = track(clips[0], failed=(2,))
    seen["sub01/EP01"] = track(clips[1], failed=(6,))
    seen["sub01/EP02"] = track(clips[2], peak=0)
    source = RealMiESource((make_pool(clips, seen),))
    assert source.left_out == {"onset frame failed": 1, "apex frame failed": 1, "nothing moves": 1}
    assert {source.sample(Label.positive, rng=rng(i)).clip for i in range(20)} == {"EP03"}
    with pytest.raises(UsageError, match=r"(?s)label surprise.*4 clips of casme2.*1 left out: nothing moves"):
        source.sample(Label.surprise, rng=rng())


def test_without_an_annotated_apex_the_frame_that_rose_most_is_it() -> None:
    of = clip("s01", "s01_sur_01", "surprise", corpus="smic", apex=None)
    source = RealMiESource((make_pool([of], {"s01/s01_sur_01": track(of)}),))
    assert source.sample(Label.surprise, rng=rng()).frames == (2, 6)


def test_micro_and_macro_expressions_are_not_mixed_up() -> None:
    clips = corpus()
    some = [*clips[:4], *macros(clips[4:])]
    real, early = RealMiESource((make_pool(some, tracks(some)),)), EarlyMaESource((make_pool(some, tracks(some)),))
    assert real.left_out == {"macro-expression": 6}
    assert early.left_out == {"micro-expression": 3}
    assert CodedMiESource(tuple(some)).left_out == {"macro-expression": 8, "no label for others": 1}


def test_a_corpus_counts_once() -> None:
    with pytest.raises(UsageError, match="casme2 twice"):
        RealMiESource((pool(), pool()))


# early macro-expressions


@pytest.mark.parametrize(
    ("n", "window", "expected"),
    [(10, (0.3, 0.5), (3, 5)), (4, (0.3, 0.5), (1, 2)), (2, (0.3, 0.5), (1, 1)), (11, (0.25, 0.4), (2, 4)),
     (3, (0, 0), (1, 1)), (5, (1, 1), (5, 4)), (7, (0, 1), (1, 6)), (100, (0.29, 0.29), (29, 29))],
)  # fmt: skip
def test_the_window_is_from_floor_alpha_n_to_floor_beta_n(
    n: int, window: tuple[float, float], expected: tuple[int, int]
) -> None:
    assert window_frames(n, window) == expected


@given(st.integers(2, 3000), st.integers(0, 100), st.integers(0, 100))
@example(90, 30, 70)
@example(170, 30, 70)
def test_windows_are_those_of_decimals(n: int, a: int, b: int) -> None:
    """⌊βn⌋ in whole numbers: 0.7 × 90 in binary fractions is a little below 63."""
    low, high = sorted((a, b))
    expected = max(1, low * n // 100), min(n - 1, max(1, high * n // 100))
    assert window_frames(n, (low / 100, high / 100)) == expected


def macro(n: int = 20, *, failed: tuple[int, ...] = ()) -> Pool:
    of = clip("S005", "001", "happiness", corpus="ckplus", kind="macro", onset=None, apex=n - 1, offset=None)
    rising = replace(of, onset=0, offset=n)
    seen = replace(track(rising, n, peak=1.0, failed=failed), clip="S005/001")
    return make_pool([of], {"S005/001": seen})


def test_early_mae_draws_every_frame_of_the_window_and_no_other() -> None:
    source = EarlyMaESource((macro(),))
    drawn = Counter(source.sample(Label.positive, rng=rng(i)).frames for i in range(1000))
    assert set(drawn) == {(0, frame) for frame in range(6, 11)}  # ⌊0.3 · 20⌋ … ⌊0.5 · 20⌋
    assert min(drawn.values()) > 140
    one = source.sample(Label.positive, rng=rng())
    assert one.frames is not None
    np.testing.assert_allclose(one.apex[au(12)], one.frames[1] / 19, rtol=1e-5)


def test_failed_frames_are_not_drawn() -> None:
    source = EarlyMaESource((macro(failed=(0, 7, 8)),))
    frames = {source.sample(Label.positive, rng=rng(i)).frames for i in range(300)}
    assert frames == {(1, 6), (1, 9), (1, 10)}
    assert EarlyMaESource((macro(failed=tuple(range(6))),)).left_out == {"every frame before the window failed": 1}
    assert EarlyMaESource((macro(failed=tuple(range(6, 11))),)).left_out == {"every frame of the window failed": 1}


def test_annotated_events_count_from_onset_to_offset() -> None:
    of = clip("s15", "0102", "happiness", corpus="casme_sq", kind="macro", onset=4, apex=14, offset=23)
    source = EarlyMaESource((make_pool([of], {"s15/0102": track(of, 40)}),))
    frames = {source.sample(Label.positive, rng=rng(i)).frames for i in range(300)}
    assert frames == {(4, frame) for frame in range(10, 15)}


@pytest.mark.parametrize("origin", ["relative", "absolute"])
def test_onset_at_rest_for_clips_that_begin_in_the_midst(origin: Any) -> None:
    of = clip("S005", "001", "happiness", corpus="ckplus", kind="macro", onset=None, apex=None, offset=None)
    calm = replace(of, clip="002")
    smiling = replace(
        track(replace(of, onset=-20, offset=60), 20, peak=0.8), clip="S005/001"
    )  # it fades from frame 6 on
    still = [replace(track(replace(of, onset=0, offset=9), 20, peak=0), clip=f"S005/00{i}") for i in (2, 3)]
    clips = [of, calm, replace(of, clip="003")]
    pool = make_pool(clips, {one.clip: one for one in (smiling, *still)})
    fading = EarlyMaESource((pool,), origin).sample(Label.positive, rng=rng())
    assert fading.clip == "001"
    assert fading.onset[au(12)] > 0.5
    source = EarlyMaESource((pool,), origin, onset_from="rest")
    drawn = source.sample(Label.positive, rng=rng())
    assert to_mapping(drawn.onset) == pytest.approx({} if origin == "relative" else {4: 0.05, 14: 0.05})
    assert drawn.apex[au(12)] > 0.5
    assert fading.known is not None
    assert drawn.known is None  # nobody has filmed how the smile came
    assert source.settings["onset_from"] == "rest"


def test_windows_by_corpus() -> None:
    windows = parse_windows(["CK+=.1:.2", "mie-x-code"])
    assert windows == {"any": (0.25, 0.5), "ckplus": (0.1, 0.2)}
    assert parse_windows([]) == {"any": (0.3, 0.5)}
    source = EarlyMaESource((macro(),), windows=windows)
    assert source.settings["windows"] == {"ckplus": [0.1, 0.2]}
    assert {source.sample(Label.positive, rng=rng(i)).frames for i in range(99)} == {(0, 2), (0, 3), (0, 4)}
    for bad in ("ckplus", "ckplus=.5:.3", "ckplus=a:b", "ckplus=.1:.2:.3", "ckplus=-.1:.2", "ckplus=nan:.2"):
        with pytest.raises(UsageError, match="early window"):
            parse_windows([bad])


# coded MiEs


def coded(*codes: CodedAU, **options: object) -> CodedMiESource:
    of = clip("sub01", "EP00", "happiness", aus=codes, onset=None, apex=None, offset=None)
    return CodedMiESource((of,), **options)  # type: ignore[arg-type]


def test_coded_aus_are_on_and_no_others() -> None:
    source = CodedMiESource(tuple(corpus()), {"casme2": CREDIT})
    for label in Label:
        emotion = next(name for name, (of, _) in EMOTIONS.items() if of == label)
        for seed in range(50):
            drawn = source.sample(label, rng=rng(seed))
            assert set(to_mapping(drawn.apex)) == set(EMOTIONS[emotion][1])
            assert ((drawn.apex[drawn.apex > 0] >= 0.1) & (drawn.apex <= 0.3000001)[drawn.apex > 0]).all()
            assert not drawn.onset.any()
            assert (drawn.corpus, drawn.emotion, drawn.frames) == ("casme2", emotion, (2, 6))
    assert source.left_out == {"no label for others": 3}
    (facts,) = source.settings["corpora"]
    assert (facts["clips"], facts["subjects"], facts["licence"]) == (9, 3, CREDIT.licence)


@pytest.mark.parametrize(
    ("letter", "low", "high"), [("A", 0.1, 0.3), ("B", 0.3, 0.5), ("C", 0.5, 0.7), ("D", 0.7, 0.9), ("E", 0.9, 1.0)]
)
def test_letters_are_fifths_of_the_scale(letter: Any, low: float, high: float) -> None:
    source = coded(CodedAU(12, intensity=letter))
    drawn = np.array([source.sample(Label.positive, rng=rng(i)).apex[au(12)] for i in range(2000)])
    assert low <= drawn.min() < low + 0.002
    assert high - 0.002 < drawn.max() <= high + 1e-6
    plain = coded(CodedAU(12, intensity=letter), letters=False, mu=0.2, nu=0.25)
    assert 0.2 <= plain.sample(Label.positive, rng=rng()).apex[au(12)] <= 0.25


def test_aus_outside_the_17_and_the_stronger_of_two_codes() -> None:
    codes = (CodedAU(24), CodedAU(38), CodedAU(12, "left"), CodedAU(12, "right", "C"))
    drawn = coded(*codes).sample(Label.positive, rng=rng())
    assert set(to_mapping(drawn.apex)) == {12, 23}
    assert drawn.apex[au(12)] >= 0.5
    assert drawn.frames is None
    assert drawn.sides is None  # left and right is both
    for status in ("alternative", "reference", "unclear", "held"):
        assert coded(CodedAU(12, status=status)).left_out == {"no AU of the 17 seen for sure": 1}
    source = coded(CodedAU(38))
    assert source.left_out == {"no AU of the 17 seen for sure": 1}
    with pytest.raises(UsageError, match=r"(?s)label positive.*1 left out: no AU of the 17 seen for sure"):
        source.sample(Label.positive, rng=rng())
    with pytest.raises(UsageError, match="μ"):
        coded(CodedAU(12), mu=0)


def test_an_aus_side_is_that_on_which_it_was_seen() -> None:
    codes = (CodedAU(4), CodedAU(12, "left"), CodedAU(14, "right", "B"), CodedAU(23, "left"), CodedAU(24, "both"))
    source = coded(*codes)
    drawn = source.sample(Label.positive, rng=rng())
    assert set(to_mapping(drawn.apex)) == {4, 12, 14, 23}
    assert drawn.sides is not None
    assert {n: int(drawn.sides[au(n)]) for n in (4, 12, 14, 23)} == {4: 0, 12: 1, 14: -1, 23: 0}
    assert not np.delete(drawn.sides, [au(12), au(14)]).any()
    assert source.one_sided
    assert not coded(CodedAU(12), CodedAU(15, "left", status="unclear")).one_sided
    other = coded(*codes[:1], CodedAU(12, "right"), *codes[2:])
    assert other.settings["corpora"][0]["digest"] != source.settings["corpora"][0]["digest"]
    alike = coded(*codes, sides=False)
    assert not alike.one_sided
    assert alike.left_out_notes == [
        "1 clips left out: an AU on one side alone, and the generator moves both sides of a face alike"
    ]
    (row, *_) = plan(source, classes=("positive",)).rows.to_pylist()
    assert row["sides"] == drawn.sides.tolist()


# all of them

SOURCES: dict[str, AUSource] = {
    "real": RealMiESource((pool(),)),
    "early": EarlyMaESource((macro(),)),
    "coded": CodedMiESource(tuple(corpus())),
    "expert": ExpertSource(load_table("du2014")),
    "perturbed": PerturbedSource(RealMiESource((pool(),), "absolute"), 0.1),
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("seed", range(5))
def test_contract_of_a_source(name: str, seed: int) -> None:
    source = SOURCES[name]
    first, again = (source.sample(Label.positive, rng=rng(seed)) for _ in range(2))
    for triplet in (first, again):
        for vector in (triplet.onset, triplet.apex):
            assert vector.dtype == np.float32
            assert vector.shape == (17,)
            assert ((vector >= 0) & (vector <= 1)).all()
        assert triplet.apex.any()
        assert not np.array_equal(triplet.onset, triplet.apex)
        triplet.apex[:] = 0.77  # the pool behind it stays as it was
    assert (first.clip, first.frames) == (again.clip, again.frames)
    fresh = source.sample(Label.positive, rng=rng(seed))
    np.testing.assert_array_equal(fresh.apex, source.sample(Label.positive, rng=rng(seed)).apex)
    assert not (fresh.apex == np.float32(0.77)).any()


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_draws_one_emotion_or_says_which_it_has(name: str) -> None:
    source = {**SOURCES, "early": EarlyMaESource((macro_pool(),))}[name]
    for emotion in ("happiness", "disgust"):
        drawn = [source.sample(Label.negative, emotion=emotion, rng=rng(seed)) for seed in range(20)]
        assert {(emotion_named(one.emotion), one.label) for one in drawn} == {(emotion, Label.negative)}
    same = [source.sample(Label.positive, emotion="happiness", rng=rng(3)).apex for _ in range(2)]
    np.testing.assert_array_equal(*same)
    with pytest.raises(UsageError, match=r"(?s)emotion contempt from .*found: .*(3 disgust, 3 happi|disgusted \(neg)"):
        source.sample(Label.negative, emotion="contempt", rng=rng())


def test_a_corpus_without_finer_categories_says_what_it_has() -> None:
    """SMIC knows three labels and nothing finer; its surprise is the emotion as well."""
    clips = [clip("sub01", f"EP{i:02d}", "happiness", corpus="smic") for i in range(3)]
    clips = [replace(one, emotion=label.name, label=label) for one, label in zip(clips, Label, strict=True)]
    smic = make_pool(
        clips, {f"sub01/{one.clip}": replace(track(clip("sub01", one.clip, "happiness"))) for one in clips}
    )
    source = RealMiESource((smic,))
    assert source.sample(Label.surprise, emotion="surprise", rng=rng()).clip == "EP02"
    with pytest.raises(UsageError, match=r"emotion anger from real_mie(.|\n)*1 negative, 1 positive, 1 surprise"):
        source.sample(Label.negative, emotion="anger", rng=rng())


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(
    ("frames", "until"), [(2, "apex"), (10, "apex"), ("all", "apex"), (3, "offset"), (33, "offset"), ("all", "offset")]
)
def test_the_expression_of_a_triplet_runs_through_its_pair(name: str, frames: Any, until: Any) -> None:
    triplet = SOURCES[name].sample(Label.positive, rng=rng(3))
    aus, apex = expression(triplet, draw_timing(rng(3)), frames=frames, until=until, fps=100)
    assert aus.dtype == np.float32
    assert ((aus >= 0) & (aus <= 1)).all()
    np.testing.assert_array_equal(aus[0], triplet.onset)
    np.testing.assert_array_equal(aus[apex], triplet.apex)
    assert (apex == len(aus) - 1) == (until == "apex")
    if frames != "all":
        assert len(aus) == frames


@pytest.mark.parametrize(("name", "until"), [("real", 9), ("early", None), ("perturbed", 9)])
def test_a_triplet_of_a_clip_knows_what_was_measured(name: str, until: int | None) -> None:
    drawn = SOURCES[name].sample(Label.positive, rng=rng(3))
    known = drawn.known
    assert known is not None
    assert drawn.frames is not None
    assert known.times.tolist() == list(range(drawn.frames[0], (until or drawn.frames[1]) + 1))
    assert known.times[known.apex] == drawn.frames[1]
    assert (known.times.dtype, known.aus.dtype, known.aus.shape) == (np.float64, np.float32, (len(known.times), 17))
    np.testing.assert_array_equal(known.aus[0], drawn.onset)
    assert np.abs(known.aus[known.apex] - drawn.apex).max() <= (0.1 if name == "perturbed" else 0)
    known.aus[:] = 0.77  # the pool behind it stays as it was
    again = SOURCES[name].sample(Label.positive, rng=rng(3)).known
    assert again is not None
    assert not (again.aus == np.float32(0.77)).any()


@pytest.mark.parametrize("name", ["coded", "expert"])
def test_of_aus_that_nobody_measured_nothing_is_known(name: str) -> None:
    assert SOURCES[name].sample(Label.positive, rng=rng()).known is None


def test_perturbation_changes_what_is_on_by_no_more_than_asked() -> None:
    inner = RealMiESource((pool(),))
    source = PerturbedSource(inner, 0.1)
    assert source.settings == {**inner.settings, "perturbation": 0.1}
    assert source.name == "real_mie"
    plain = inner.sample(Label.positive, rng=rng())
    change = np.array([source.sample(Label.positive, rng=rng(i)).apex - plain.apex for i in range(500)])
    assert not change[:, plain.apex == 0].any()
    moved_aus = change[:, plain.apex > 0]
    assert -0.1000001 <= moved_aus.min() < -0.098
    assert 0.098 < moved_aus.max() <= 0.1000001
    with pytest.raises(UsageError, match="perturbation"):
        PerturbedSource(inner, 0)


def plan(*sources: AUSource, n: int = 4, **config: object) -> Any:
    return build_plan(PlanConfig(**config), fake_index(n), list(sources), GENERATOR, faces_root="/faces")


def test_all_sources_in_one_plan_with_provenance() -> None:
    sources = [RealMiESource((pool(),)), CodedMiESource(tuple(corpus())), ExpertSource(load_table("du2014"))]
    rows = plan(*sources).rows.to_pylist()
    assert len(rows) == 4 * 3 * 3
    assert Counter((row["source"], row["label"]) for row in rows) == {
        (name, label): 4 for name in ("real_mie", "coded_mie", "expert") for label in range(3)
    }
    for row in rows:
        known = [row[name] is not None for name in ("corpus", "subject", "clip", "onset_frame", "apex_frame")]
        assert all(known) if row["source"] != "expert" else not any(known)
    with_more = plan(*sources, EarlyMaESource((macro(),)), classes=("positive",)).rows.to_pylist()
    kept = {row["sample_id"]: row for row in rows}
    for row in with_more:
        assert row["source"] == "early_mae" or row == kept[row["sample_id"]]


def test_plans_by_label_from_real_aus_draw_as_ever() -> None:
    """Snapshot: sets that were begun go on, so these rows must stay."""
    sources = [RealMiESource((pool(),)), EarlyMaESource((macro_pool(),)), CodedMiESource(tuple(corpus()))]
    assert plan(*sources, n=3, per=2).digests["rows"][:12] == "a0f623d634d7"
    noisy = PerturbedSource(ExpertSource(load_table("mie-x-code")), 0.05)
    assert plan(noisy, n=3, classes=("surprise", "negative"), frames=5).digests["rows"][:12] == "3d0ce8f4adc4"


@pytest.mark.parametrize("triplets", [None, 8])
def test_all_sources_in_one_plan_by_emotion(triplets: int | None) -> None:
    sources = [PerturbedSource(CodedMiESource(tuple(corpus())), 0.05), ExpertSource(load_table("du2014"))]
    rows = plan(*sources, classes=("disgust", "happiness"), triplets=triplets).rows.to_pylist()
    found = Counter((row["source"], row["sample_id"].split("-")[2], row["emotion"], row["label"]) for row in rows)
    assert found == {
        ("coded_mie", "disgust", "disgust", 0): 4, ("coded_mie", "happiness", "happiness", 1): 4,
        ("expert", "disgust", "disgust", 0): 4, ("expert", "happiness", "happiness", 1): 4,
    }  # fmt: skip
    assert len({str(row["aus"]) for row in rows}) == (triplets or 16)


def test_samples_can_be_fewer_than_whole_rounds() -> None:
    whole, part = (plan(ExpertSource(load_table("du2014")), **config).rows for config in ({"per": 3}, {"samples": 29}))
    by_round = sorted(whole.to_pylist(), key=lambda row: row["round"])
    assert part.num_rows == 29
    assert sorted(part.to_pylist(), key=lambda row: row["round"]) == by_round[:29]


@pytest.mark.parametrize(("n", "per", "triplets"), [(10, 3, 12), (7, 2, 17), (5, 4, 60), (3, 1, 4)])
def test_triplets_are_as_many_as_asked_for_and_evenly_used(n: int, per: int, triplets: int) -> None:
    made = plan(ExpertSource(load_table("du2014")), n=n, per=per, triplets=triplets)
    assert distinct_triplets(made.shards()) == triplets
    for label in range(3):
        uses = Counter(str(row["aus"]) for row in made.rows.to_pylist() if row["label"] == label)
        assert max(uses.values()) - min(uses.values()) <= 1
    more = plan(ExpertSource(load_table("du2014")), n=n, per=per + 1, triplets=triplets)
    assert [row for row in more.rows.to_pylist() if row["round"] < per] == made.rows.to_pylist()


def test_a_source_may_have_fewer_triplets_than_asked_for() -> None:
    made = plan(RealMiESource((pool(),)), n=10, triplets=3000)
    assert distinct_triplets(made.shards()) == 3  # all subjects of this corpus do the same
    with pytest.raises(UsageError, match="ask for 3 or more"):
        plan(RealMiESource((pool(),)), triplets=2)
