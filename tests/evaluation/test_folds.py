"""Folds against scikit-learn, brute force and the published lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import LeaveOneGroupOut

from miex.errors import InputError, UsageError
from miex.evaluation.folds import (
    Protocol,
    clip_key,
    drawn_people,
    k_fold,
    leave_one_corpus_out,
    leave_one_subject_out,
    persons,
    published,
    read_list,
    read_table,
    training_on,
)

ANNOTATIONS = Path(__file__).parents[3] / "shared" / "annotations"


def parts(protocol: Protocol, of: np.ndarray) -> None:
    """Disjoint subjects, every sample tested once."""
    for fold in protocol.folds:
        assert not set(of[fold.train]) & set(of[fold.test])
        assert sorted([*fold.train, *fold.test]) == list(range(len(of)))
    assert sorted(np.concatenate([fold.test for fold in protocol.folds])) == list(range(len(of)))


@given(st.lists(st.integers(1, 9), min_size=6, max_size=40), st.integers(2, 6), st.integers(0, 5))
def test_k_fold_is_disjoint_and_even(sizes: list[int], k: int, seed: int) -> None:
    of = persons(["casme2"] * sum(sizes), np.repeat([f"sub{i:02d}" for i in range(len(sizes))], sizes).tolist())
    protocol = k_fold(of, k, seed)
    parts(protocol, of)
    counts = [len(fold.test) for fold in protocol.folds]
    # the largest person goes first, into the smallest fold: folds differ by at most the largest person
    assert max(counts) - min(counts) <= max(sizes)
    assert protocol.digest == k_fold(of, k, seed).digest


def test_seeds_give_other_folds() -> None:
    of = persons(["smic"] * 40, [f"s{i}" for i in range(40)])
    assert len({k_fold(of, 3, seed).digest for seed in range(5)}) == 5


@pytest.mark.parametrize("leave", [leave_one_subject_out, leave_one_corpus_out])
def test_leave_one_out_is_that_of_scikit_learn(leave: Callable[[np.ndarray], Protocol]) -> None:
    rng = np.random.default_rng(0)
    corpora = rng.choice(["casme2", "smic", "samm"], 60).tolist()
    of = persons(corpora, [f"sub{i:02d}" for i in rng.integers(1, 5, 60)])
    protocol = leave(of)
    parts(protocol, of)
    of = of if leave is leave_one_subject_out else np.array(corpora)
    expected = list(LeaveOneGroupOut().split(np.zeros(60), groups=of))
    assert len(protocol.folds) == len(expected)
    for fold, (train, test) in zip(protocol.folds, expected, strict=True):
        assert np.array_equal(fold.train, train)
        assert np.array_equal(fold.test, test)
        assert fold.name == of[test[0]]


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=3), min_size=3, max_size=12), st.integers(0, 5))
def test_people_are_drawn_in_random_orders_that_show_two_classes(shown: list[list[int]], seed: int) -> None:
    of = persons(["smic"] * sum(map(len, shown)), [f"s{i}" for i, classes in enumerate(shown) for _ in classes])
    labels, everybody = [label for classes in shown for label in classes], sorted(set(of.tolist()))
    if len(set(labels)) == 1:
        with pytest.raises(InputError, match="two classes"):
            drawn_people(of, labels, 1, seed=seed)
        return
    orders = drawn_people(of, labels, 4, seed=seed)
    assert drawn_people(of, labels, 2, seed=seed) == orders[:2]
    for order in orders:
        assert sorted(order) == everybody
        assert len({label for who, label in zip(of.tolist(), labels, strict=True) if who in order[:2]}) > 1
        (fold,) = training_on(of, order[:2]).folds
        assert set(of[fold.train].tolist()) == set(order[:2])
        assert sorted([*fold.train, *fold.test]) == list(range(len(of)))
    for people in (everybody, []):
        with pytest.raises(UsageError, match="samples of others"):
            training_on(of, people)


def test_everybody_is_drawn_as_often() -> None:
    of = persons(["smic"] * 8, [f"s{i}" for i in range(8)])
    first = [order[0] for order in drawn_people(of, [0, 1] * 4, 800)]
    counts = [first.count(who) for who in set(of.tolist())]
    assert min(counts) > 60  # of 100 expected, five standard deviations
    assert drawn_people(of, [0, 1] * 4, 1, seed=1) != drawn_people(of, [0, 1] * 4, 1)


def test_spellings_of_a_subject_are_one_person() -> None:
    of = persons(["CASME II", "casme2", "casme2", "samm"], ["sub01", "1", "s1", "006"])
    assert of.tolist() == ["casme2/1"] * 3 + ["samm/6"]
    with pytest.raises(InputError, match="sample 1"):
        persons(["casme2", None], ["1", None])
    with pytest.raises(UsageError, match="3-fold"):
        k_fold(of, 3)
    with pytest.raises(UsageError, match="1: casme2"):
        leave_one_corpus_out(of[:3])


def test_published_lists(tmp_path: Path) -> None:
    """A made-up corpus in the two layouts of the MiE-X authors' lists."""

    def write(name: str, *clips: str) -> None:
        (tmp_path / name).write_text("".join(f"{clip}/1.jpg\n{clip}/9.jpg\n" for clip in clips))

    a, b, c = (
        "Data/SMIC_cropped/s1/negative/s1_ne_01",
        "Data/CASMEII_cropped/sub02/EP01",
        "Data/SAMM_cropped/006/006_1_2",
    )
    write("Micro_fold0_data01.txt", b, c, "Data/CK_cropped/S005/001")
    write("Micro_fold0_data2.txt", a)
    keys = [clip_key("smic", "s01", "s01_ne_01"), clip_key("casme2", "sub02", "EP01"), clip_key("samm", 6, "006_1_2")]
    protocol = published(keys, tmp_path)
    (fold,) = protocol.folds
    assert (fold.name, fold.train.tolist(), fold.test.tolist()) == ("0", [1, 2], [0])
    write("Micro_fold0_data01.txt", b, "Data/SMIC_cropped/s01/positive/s1_po_01")
    with pytest.raises(InputError, match="not trained on"):
        published(keys, tmp_path)
    with pytest.raises(InputError, match="among the samples"):
        published(keys[1:], tmp_path)
    with pytest.raises(InputError, match="folder with"):
        published(keys, tmp_path / "none")
    (tmp_path / "odd.txt").write_text("nonsense\n")
    with pytest.raises(InputError, match="line 1"):
        read_list(tmp_path / "odd.txt")


def test_a_table_of_folds(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("sample_id,fold\na,1\nb,1\nc,2\n")
    of = persons(["smic"] * 3, ["1", "1", "2"])
    protocol = read_table(["a", "b", "c"], of, path)
    assert [fold.test.tolist() for fold in protocol.folds] == [[0, 1], [2]]
    with pytest.raises(InputError, match="smic/1 in several"):
        read_table(["a", "b", "c"], persons(["smic"] * 3, ["1", "2", "1"]), path)
    with pytest.raises(InputError, match="no row for d"):
        read_table(["a", "d"], of[:2], path)


def test_tables_of_folds_as_programs_save_them(tmp_path: Path) -> None:
    path, of = tmp_path / "mine.csv", persons(["smic"] * 3, ["1", "1", "2"])
    for content in ("Fold;Sample ID\n1.0;a\n1;b\n2,0;c\n", "\ufeffsample_id\tfold\na\t1.0\nb\t1\nc\tB\n"):
        for encoding in ("utf-8", "utf-16"):
            path.write_bytes(content.encode(encoding))
            assert [fold.test.tolist() for fold in read_table(["a", "b", "c"], of, path).folds] == [[0, 1], [2]]
    for content, found in (("a,1\nb,NaN\n", "row 3, column fold"), ("a,1\nb,1\na,2\n", "row 4, column sample_id")):
        path.write_text(f"sample_id,fold\n{content}")
        with pytest.raises(InputError, match=found):
            read_table(["a", "b"], of[:2], path)


@pytest.mark.skipif(not ANNOTATIONS.is_dir(), reason="the lists are not there")
@pytest.mark.parametrize(
    ("folder", "sizes"),
    [
        ("micro_3fold", [172, 161, 109]),
        ("macro_micro_3fold", [172, 161, 109]),
        ("MMEW_5fold", [43, 58, 56, 30, 47]),
        ("samm_5fold", [20, 29, 25, 22, 19]),
    ],
)
def test_the_authors_lists(folder: str, sizes: list[int]) -> None:
    """As published with MiE-X: sizes; no subject on both sides; MMEW never trains on subject 30 in folds 0 to 3."""
    lists = ANNOTATIONS / "mie-x-lists" / folder
    found = sorted(lists.glob("*fold*_test_data.txt")) or sorted(lists.glob("*fold*_data2.txt"))
    clips = [clip for path in found for clip in read_list(path)]
    assert len(set(clips)) == sum(sizes)
    protocol = published(clips, lists)
    assert [len(fold.test) for fold in protocol.folds] == sizes
    assert sorted(np.concatenate([fold.test for fold in protocol.folds])) == list(range(len(clips)))
    of = np.array([f"{clip.corpus}/{clip.subject}" for clip in clips])
    for fold in protocol.folds:
        assert not set(of[fold.train]) & set(of[fold.test])
    if folder == "MMEW_5fold":
        assert not any("mmew/30" in of[fold.train] for fold in protocol.folds[:4])
    else:
        assert all(len(fold.train) + len(fold.test) == len(clips) for fold in protocol.folds)


@pytest.mark.skipif(not ANNOTATIONS.is_dir(), reason="the table is not there")
def test_lists_and_the_composite_name_the_same_clips() -> None:
    rows = (ANNOTATIONS / "megc2019" / "combined_3class_gt.csv").read_text().split()
    clips = [clip_key(*row.split(",")[:3]) for row in rows]
    protocol = published(clips, ANNOTATIONS / "mie-x-lists" / "micro_3fold")
    assert sum(len(fold.test) for fold in protocol.folds) == 442
    labels = np.array([int(row.split(",")[3]) for row in rows])
    counts = [np.bincount(labels[fold.test]).tolist() for fold in protocol.folds]
    assert counts == [[91, 48, 33], [93, 42, 26], [66, 19, 24]]


def test_parts_are_no_folds(tmp_path: Path) -> None:
    """Every fold is tested: of a split into train and test, the training part would be, too."""
    table = tmp_path / "folds.csv"
    table.write_text("sample_id,fold\na,train\nb,test\n")
    for name in ("Train", "test"):
        (tmp_path / name).mkdir()
    of = persons(["smic"] * 2, ["1", "2"])
    says = r"(?s)folds.*parts called {}, {}.*miex train, then miex evaluate --model"
    with pytest.raises(InputError, match=says.format("test", "train")):
        read_table(["a", "b"], of, table)
    with pytest.raises(InputError, match=says.format("Train", "test")):
        published([], tmp_path)
