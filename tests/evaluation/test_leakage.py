"""The leak guard against its definition: no row that it allows shows AUs of a person who is tested, in any spelling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from miex.corpora.people import CASME_SQ_FOLDERS, corpus_key, person_key, photographed, subject_key
from miex.corpora.readers.casme_sq import SUBJECTS
from miex.errors import InputError, UsageError
from miex.evaluation import leakage
from miex.evaluation.leakage import Verdict, allowed, verdicts

SOURCES = ["real_mie", "early_mae", "coded_mie"]
CASME = {"casme", "casme2", "casme_sq", "casme3"}
CORPUS_SPELLINGS = {  # typed by hand: an oracle that does not use the table of corpora.people
    "casme": ["casme", "CASME", "Casme I"],
    "casme2": ["casme2", "CASME II", "CASME2", "casme_2", "casme-ii", "CASME2-RAW"],
    "casme_sq": ["casme_sq", "CAS(ME)^2", "CAS(ME)2", "CAS(ME)²", "cas(me) 2", "CASME^2", "casme-sq"],
    "casme3": ["casme3", "CAS(ME)^3", "CAS(ME)³", "CASME III", "CAS(ME)3_part_A", "casme3-a", "casme3-c-macro"],
    "samm": ["samm", "SAMM", "SAMM-LV", "SAMM Long Videos", "samm-long"],
    "smic": ["smic", "SMIC", "SMIC-HS", "smic_vis", "SMIC-NIR", "smic-e-vis"],
    "mmew": ["mmew", "MMEW", "mmew-macro"],
    "ckplus": ["ckplus", "CK+", "ck", "Cohn-Kanade"],
}
SUBJECT_SPELLINGS = ["{}", "{:02d}", "{:03d}", "sub{:02d}", "s{}", "S{:03d}", "spNO.{}", " {} ", "{}.0", "Subject {}"]
corpora = st.sampled_from(sorted(CORPUS_SPELLINGS))
people = st.tuples(corpora, st.integers(1, 12))
UNKNOWN = [None, "", " ", "?", "unknown", "nan", "None"]


@st.composite
def spelled(draw: st.DrawFn, person: tuple[str, int]) -> tuple[str, str]:
    return (
        draw(st.sampled_from(CORPUS_SPELLINGS[person[0]])),
        draw(st.sampled_from(SUBJECT_SPELLINGS)).format(person[1]),
    )


@st.composite
def rows_and_test(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[tuple[str, str]], set[tuple[str, int]]]:
    """Rows with the person behind them (None for nobody, "lost" where nobody can tell), the test set as spelled, and
    the people in it."""
    rows: list[dict[str, Any]] = []
    for kind in draw(st.lists(st.sampled_from(["real", "real", "real", "expert", "lost"]), max_size=30)):
        if kind == "expert":
            rows.append({"source": "expert", "corpus": None, "subject": None, "person": None})
            continue
        person = draw(people)
        corpus, subject = draw(spelled(person))
        row = {"source": draw(st.sampled_from(SOURCES)), "corpus": corpus, "subject": subject, "person": person}
        if kind == "lost":
            row[draw(st.sampled_from(["source", "corpus", "subject"]))] = None
            if row["source"] is not None:
                hidden = "corpus" if row["corpus"] is None else "subject"
                row[hidden] = draw(st.sampled_from(UNKNOWN))
            row["person"] = "lost"
        rows.append(row)
    tested = draw(st.lists(people, max_size=6))
    return rows, [draw(spelled(person)) for person in tested], set(tested)


def table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    schema = pa.schema([(name, pa.string()) for name in leakage.COLUMNS])
    return pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema=schema)


def check_by_brute_force(overlap: bool, phases: Sequence[Phase] = tuple(Phase)) -> None:
    """The guard against the definition, person by person."""

    @settings(max_examples=200, phases=phases)
    @given(rows_and_test())
    def run(case: tuple[list[dict[str, Any]], list[tuple[str, str]], set[tuple[str, int]]]) -> None:
        rows, spelled_test, tested = case
        found = leakage.allowed(table(rows), spelled_test, same_lab_overlap=overlap)
        expected = []
        for row in rows:
            person = row["person"]
            if person is None or person == "lost":
                expected.append(person is None)
                continue
            lab = CASME if person[0] in CASME else {person[0]}
            tested_elsewhere = any(corpus in lab and corpus != person[0] for corpus, _ in tested)
            expected.append(person not in tested and not (overlap and tested_elsewhere))
        assert found.dtype == bool
        assert found.tolist() == expected

    run()


@pytest.mark.parametrize("overlap", [True, False])
def test_allows_just_the_rows_of_others(overlap: bool) -> None:
    check_by_brute_force(overlap)


def _no_guard(training: pa.Table, test: Any, **_: Any) -> Any:
    return np.ones(training.num_rows, bool)


def _spellings_as_they_come(training: pa.Table, test: Any, **_: Any) -> Any:
    return np.array([(row["corpus"], row["subject"]) not in set(test) for row in training.to_pylist()], bool)


def _laboratories_forgotten(training: pa.Table, test: Any, **_: Any) -> Any:
    return allowed(training, test, same_lab_overlap=False)


def _coded_mie_forgotten(training: pa.Table, test: Any, **options: Any) -> Any:
    return allowed(training, test, **options) | (np.array(training["source"].to_pylist()) == "coded_mie")


def _unknown_passes(training: pa.Table, test: Any, **options: Any) -> Any:
    return np.array([v in (Verdict.allowed, Verdict.unknown) for v in verdicts(training, test, **options)], bool)


@pytest.mark.parametrize(
    "hole", [_no_guard, _spellings_as_they_come, _laboratories_forgotten, _coded_mie_forgotten, _unknown_passes]
)
def test_a_guard_with_a_hole_is_found_out(hole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leakage, "allowed", hole)
    with pytest.raises(AssertionError):
        # the first counterexample is enough
        check_by_brute_force(overlap=True, phases=[Phase.generate])


def test_compmie_carries_the_corpus_of_each_clip() -> None:
    training = table(
        [
            {"source": "real_mie", "corpus": "samm", "subject": "006"},
            {"source": "coded_mie", "corpus": "SAMM", "subject": "6"},
            {"source": "real_mie", "corpus": "smic", "subject": "s06"},
            {"source": "real_mie", "corpus": "casme2", "subject": "sub06"},
            {"source": "real_mie", "corpus": "compmie", "subject": "6"},
            {"source": "expert", "corpus": None, "subject": None},
        ]
    )
    # rows of combined_3class_gt.csv are spelled like this
    assert verdicts(training, {("samm", "6")}) == [
        Verdict.test_subject, Verdict.test_subject, Verdict.allowed, Verdict.allowed, Verdict.unknown, Verdict.allowed,
    ]  # fmt: skip
    with pytest.raises(UsageError, match="not a composite such as CompMiE"):
        allowed(training, {("compmie", "6")})


def test_no_number_clears_a_row_of_the_same_laboratory() -> None:
    training = table([{"source": "coded_mie", "corpus": "CAS(ME)^3", "subject": "spNO.216"}])
    assert not allowed(training, {("casme2", "sub01")})[0]
    assert allowed(training, {("casme2", "sub01")}, same_lab_overlap=False)[0]
    assert allowed(training, {("samm", "216")})[0]
    # whoever knows better can vouch for a corpus, but not for a person who is tested
    assert allowed(training, {("casme2", "sub01")}, independent={"casme3"})[0]
    assert not allowed(training, {("casme3", "216"), ("casme2", "sub01")}, independent={"casme3"})[0]
    assert not allowed(training, {("casme2", "sub01")}, independent={"casme2"})[0]


def test_corpora_nobody_knows_must_be_vouched_for() -> None:
    training = table([{"source": "early_mae", "corpus": "our-lab", "subject": "x"}])
    assert verdicts(training, {("samm", "6")}) == [Verdict.unknown]
    assert allowed(training, {("samm", "6")}, independent={"Our Lab"})[0]
    assert not allowed(training, {("our lab", "X")}, independent={"our lab"})[0]
    with pytest.raises(UsageError, match="corpus ourlab"):
        allowed(training, {("our-lab", "x")})


def test_an_expert_row_that_names_a_subject_is_judged_by_it() -> None:
    training = table([{"source": "expert", "corpus": "samm", "subject": "6"}])
    assert not allowed(training, {("samm", "006")})[0]


def test_a_table_without_provenance_is_an_error() -> None:
    with pytest.raises(InputError, match="no corpus, subject"):
        allowed(pa.table({"source": ["expert"]}), set())


@pytest.mark.parametrize("bad", [("samm", None), ("samm", "?"), (None, "6"), ("", "6")])
def test_an_unknown_test_subject_is_an_error(bad: tuple[Any, Any]) -> None:
    with pytest.raises(UsageError, match="test subject"):
        allowed(table([]), {bad})


def test_numbers_in_columns_are_subjects_too() -> None:
    training = pa.table({"source": ["real_mie"] * 3, "corpus": ["samm"] * 3, "subject": [6, 7, None]})
    assert verdicts(training, {("samm", "006")}) == [Verdict.test_subject, Verdict.allowed, Verdict.unknown]
    assert subject_key(6.0) == subject_key("sub06") == "6"


@pytest.mark.parametrize("corpus", CORPUS_SPELLINGS)
def test_spellings_of_a_corpus(corpus: str) -> None:
    assert {corpus_key(name) for name in CORPUS_SPELLINGS[corpus]} == {corpus}


def test_different_corpora_and_people_stay_apart() -> None:
    assert corpus_key("CASME 2") != corpus_key("CAS(ME) 2")
    assert len({subject_key(s) for s in ("lara", "teddy", "1", "11", "s1_2", "12")}) == 6


@pytest.mark.parametrize(
    ("corpus", "subject", "expected"),
    [
        ("casme2", "casme2_sub01", "1"), ("CASME II", "CASME II, Subject 1", "1"), ("smic", "SMIC-HS/s01", "1"),
        ("samm", 6.0, "6"), ("casme3", "spNO.216", "216"), ("ravdess", "Actor_01", "1"), ("ck+", "S005", "5"),
        ("samm", "006_1_2", None), ("smic", "s1_ne_01", None), ("casme2", "EP01", None), ("mmew", "S01-02-003", None),
        ("casme2", "casme201", None), ("casme", "casme2_sub01", None), ("casme2", "lara", None), ("samm", "6.5", None),
        ("our lab", "our-lab_x1", "x-1"), ("our lab", "lara", "lara"), ("our lab", "X 01", "x-1"),
        ("our lab", "y1", "y-1"), ("bp4d", "F001", "f1"), ("BP4D+", "M001", "m1"), ("bp4d", "001", None),
        ("casme_sq", "s15", "s15"), ("casme_sq", 1, "s15"), ("CAS(ME)^2", "sub14", "s31"), ("casme_sq", "15", None),
        ("casme_sq", "sub22", None), ("casme_sq", "s22", "s22"), ("casme_sq", "40", "s40"), ("casme_sq", "s17", None),
        ("casme_sq", "41", None), ("casme_sq", "0", None),
    ],
)  # fmt: skip
def test_a_subject_of_a_known_corpus_is_one_number(corpus: str, subject: object, expected: str | None) -> None:
    found = person_key(corpus, subject)
    assert (found and found[1]) == expected
    assert found is None or person_key(*found) == found


@pytest.mark.parametrize(
    ("path", "stated", "expected"),
    [
        ("data/CASME2-RAW/sub01/EP02_01f/img1.jpg", None, ("casme2", "1")),
        ("x/casme2_sub07.png", None, ("casme2", "7")),
        ("CASME2/neutral/img1.jpg", None, ("casme2", None)), ("x/1.jpg", "SAMM/006", ("samm", "6")),
        ("casme2/1.jpg", "sub02", ("casme2", "2")),
        ("CASME2-RAW/sub01/1.jpg", "101", ("casme2", None)), ("CASME2-RAW/sub01/1.jpg", "sub01", ("casme2", "1")),
        ("CASME2-RAW/sub01/1.jpg", "samm/006", ("casme2", None)), ("x/casme2_sub07.png", "lara", ("casme2", None)),
        ("x/1.jpg", "sub02", None), ("photos/ann.jpg", None, None),
    ],
)  # fmt: skip
def test_a_photo_says_whom_it_shows(path: str, stated: str | None, expected: tuple[str, str | None] | None) -> None:
    *folders, file = path.split("/")
    assert photographed(folders, file, stated) == expected


def test_participants_of_casme_sq_are_those_of_its_reader() -> None:
    assert tuple(f"s{number}" for number in CASME_SQ_FOLDERS) == SUBJECTS


@given(st.text())
def test_keys_of_any_text_are_stable(text: str) -> None:
    for key in (corpus_key, subject_key):
        once = key(text)
        assert once is None or (once and key(once) in (once, None))
