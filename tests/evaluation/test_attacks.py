"""Attacks on the leak guard: ways to bring the test samples into training under another name.

The classifier remembers: it answers with the class of the nearest training map. Labels of people are drawn at random,
so that without the answers it is at chance; with them, each attack would have reached the UF1 that stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from miex.corpora.readers.casme_sq import SUBJECTS as CASME_SQ
from miex.dataset.schema import ROWS_SCHEMA
from miex.errors import InputError, UsageError
from miex.evaluation import evaluate as evaluation
from miex.evaluation.evaluate import Answer, Cell, Job, evaluate, missing
from miex.evaluation.folds import k_fold, persons
from miex.evaluation.leakage import Verdict, in_test
from miex.evaluation.results import Results
from miex.recognition.view import View, in_memory

PEOPLE, EACH, FOLDS = 12, 5, 3
RNG = np.random.default_rng(4)
MAPS = RNG.integers(0, 256, (PEOPLE * EACH, 8, 8, 3), np.uint8)
NOISY = (MAPS ^ 1).astype(np.uint8)  # other bytes, the same pictures
LABELS = RNG.integers(0, 3, PEOPLE * EACH)
WHO = np.repeat(np.arange(1, PEOPLE + 1), EACH)
HONEST = 0.35  # at most, where chance is a third


def rows(prefix: str, source: str | None, corpus: str | None, subject: Any, photo: Any = None) -> pa.Table:
    """Rows of all samples; subject and photo may depend on the person's number."""
    n = len(WHO)

    def each(value: Any) -> list[str | None]:
        return [value(k) if callable(value) else value for k in WHO.tolist()]

    columns = {
        "sample_id": [f"{prefix}{i}" for i in range(n)], "label": LABELS.tolist(), "source": [source] * n,
        "corpus": [corpus] * n, "subject": each(subject), "photo": each(photo),
    }  # fmt: skip
    return pa.table({name: columns[name] for name in ROWS_SCHEMA.names}, schema=ROWS_SCHEMA)


@dataclass
class Nearest:
    """Remembers its training maps, and answers with the class of the nearest."""

    real: View
    other: View
    jobs: list[Job] = field(default_factory=list)

    def __call__(self, job: Job) -> Answer:
        self.jobs.append(job)
        seen = self.real.take(job.train).joined(self.other.take(job.extra))
        known, asked = (v.batch().reshape(len(v), -1).astype(float) for v in (seen, self.real.take(job.test)))
        nearest = np.linalg.norm(known[None] - asked[:, None], axis=2).argmin(1)
        return Answer(np.eye(3, dtype=np.float32)[seen.labels[nearest]])


def cell(real: View, other: View, **options: Any) -> Cell:
    of = persons(real.rows["corpus"].to_pylist(), real.rows["subject"].to_pylist())
    return Cell(
        "attack", real.rows, [k_fold(of, FOLDS)], Nearest(real, other), {}, 3, test_marks=real.marks,
        extra=other.rows, extra_marks=other.marks, **options,
    )  # fmt: skip


def uf1(one: Cell, store: Path) -> float:
    return evaluate(one, Results(store)).scores()[0].uf1


def casme2(k: int) -> str:
    return f"sub{k:02d}"


REAL = in_memory(MAPS, rows("real-", "real", "casme2", casme2))
PHOTOS = {f"{k:016x}": ("casme2", casme2(k)) for k in range(1, PEOPLE + 1)}


@dataclass(frozen=True)
class Attack:
    """Training rows with the maps of those who are tested.

    Attributes:
        name: what it is.
        rows: their provenance.
        maps: their maps.
        options: of the cell.
        faked: UF1 that it would have reached.
    """

    name: str
    rows: pa.Table
    maps: np.ndarray = field(default_factory=lambda: NOISY)
    options: dict[str, Any] = field(default_factory=dict)
    faked: float = 1.0


def spelled(name: str, subject: Callable[[int], str], corpus: str = "casme2", **options: Any) -> Attack:
    return Attack(name, rows("x-", "real_mie", corpus, subject), options=options)


ATTACKS = [
    spelled("the corpus' own name before the subject", lambda k: f"casme2_sub{k:02d}"),
    spelled("the same in another spelling", lambda k: f"CASME II, subject {k}"),
    spelled("code of a clip, as of SAMM", lambda k: f"{k:03d}_1_2"),
    spelled("code of a clip, as of SMIC", lambda k: f"s{k}_ne_01"),
    spelled("code of a clip, as of CASME II", lambda k: f"EP{k + 40:02d}"),
    spelled("code of a clip with its subject", lambda k: f"sub{k:02d}/EP02_01f"),
    spelled("two numbers", lambda k: f"{k}.5"),
    spelled("letters alone", lambda k: "abcdefghijklm"[k]),
    spelled("name of another corpus", lambda k: f"samm_{k:03d}"),
    Attack("a source that does not exist", rows("x-", "banana", "samm", lambda k: f"{k:03d}")),
    Attack("an expert source in another spelling", rows("x-", "Expert", None, None, lambda k: f"img{k}")),
    Attack("the same map, of an expert table", rows("x-", "expert", None, None), MAPS),
    Attack("the same map, of another corpus", rows("x-", "real", "samm", lambda k: f"{k:03d}"), MAPS),
    Attack("the same map, of unknown origin", rows("x-", None, None, None), MAPS, {"accept_unknown": True}),
    Attack("the same map, of a corpus of one's own", rows("x-", "real", "mine", casme2), MAPS,
           {"independent": ["mine"]}),
    Attack("a tested person's face", rows("x-", "expert", None, None, lambda k: f"{k:016x}"),
           options={"faces": PHOTOS}),
    Attack("some face of the tested corpus", rows("x-", "expert", None, None, lambda k: f"{k:016x}"),
           options={"faces": dict.fromkeys(PHOTOS, ("CASME II", None))}),
    Attack("a face of another corpus of the laboratory", rows("x-", "expert", None, None, lambda k: f"{k:016x}"),
           options={"faces": dict.fromkeys(PHOTOS, ("casme3", "spNO.7"))}),
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_would_have_faked_a_result_is_refused(
    attack: Attack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = in_memory(attack.maps, attack.rows)
    one = cell(REAL, other, **attack.options)
    with monkeypatch.context() as unguarded:
        unguarded.setattr(evaluation, "verdicts", lambda table, *_, **__: [Verdict.allowed] * len(table))
        unguarded.setattr(evaluation, "in_test", lambda table, *_: np.zeros(len(table), bool))
        assert uf1(one, tmp_path / "faked") == attack.faked
    try:
        found = uf1(one, tmp_path / "store")
    except InputError as error:
        assert "allows none" in error.found  # noqa: PT017 (either is right)
    else:
        assert found <= HONEST
        for job in one.fit.jobs[-FOLDS:]:  # type: ignore[attr-defined]
            assert not set(WHO[job.test]) & set(WHO[job.extra])


def test_corpora_of_one_laboratory_are_one_unless_switched(tmp_path: Path) -> None:
    """A person of SMIC may also be in 4DME or Oulu-CASIA, under any number."""
    real = in_memory(MAPS, rows("real-", "real", "smic", lambda k: f"s{k}"))
    for corpus in ("4DME", "Oulu-CASIA"):
        other = in_memory(NOISY, rows("x-", "early_mae", corpus, lambda k: f"P{k + 40:03d}"))
        with pytest.raises(InputError, match="laboratory whose subjects"):
            uf1(cell(real, other), tmp_path)
        assert uf1(cell(real, other, independent=[corpus]), tmp_path) == 1.0  # the caller's word, and result


@pytest.mark.parametrize("subject", [lambda k: f"{k:03d}_1_2", lambda k: f"s{k}_ne_01", lambda k: f"EP{k:02d}"])
def test_folds_are_not_made_of_clips(subject: Callable[[int], str]) -> None:
    """Each clip as a person of its own would be tested beside other clips of the same face."""
    with pytest.raises(InputError, match="not with codes of clips"):
        persons(["casme2"] * len(WHO), [subject(k) for k in WHO.tolist()])


def test_one_person_in_two_spellings_is_on_one_side() -> None:
    of = persons(["CASME II", "casme2"], ["sub01", "casme2_sub01"])
    assert of.tolist() == ["casme2/1"] * 2


def test_a_map_of_the_test_part_is_not_trained_on_as_another_persons(tmp_path: Path) -> None:
    """A fold's own training part, too: each map occurs twice, as of two people."""
    twice = pa.concat_tables([REAL.rows, rows("y-", "real", "samm", lambda k: f"{k:03d}")])
    real = in_memory(np.concatenate([MAPS, MAPS]), twice)
    of = persons(twice["corpus"].to_pylist(), twice["subject"].to_pylist())
    job = Nearest(real, real)
    one = Cell("x", twice, [k_fold(of, FOLDS)], job, {}, 3, test_marks=real.marks)
    unseen = replace(one, test_marks=None)
    assert uf1(unseen, tmp_path / "faked") == pytest.approx(0.782, abs=0.001)  # some twins are in one fold
    assert uf1(one, tmp_path / "store") <= HONEST


def test_mended_provenance_is_computed_again(tmp_path: Path) -> None:
    """A run that was stored while rows hid who is in them is not the run of the corrected rows, on either side."""
    hidden, known = rows("x-", "real", "samm", casme2), rows("x-", "real", "casme2", casme2)
    store, other = Results(tmp_path), in_memory(NOISY, hidden)
    faked = cell(REAL, other)
    assert uf1(faked, tmp_path) == 1.0
    assert not missing([faked], store)
    mended = cell(REAL, in_memory(NOISY, known))
    assert len(missing([mended], store)) == FOLDS
    assert uf1(mended, tmp_path) <= HONEST
    moved = cell(in_memory(MAPS, rows("real-", "real", "casme3", casme2)), other)
    assert len(missing([moved], store)) == FOLDS
    assert len(missing([replace(faked, faces=PHOTOS)], store)) == FOLDS


def test_another_guard_computes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = cell(REAL, in_memory(NOISY, rows("x-", "real", "samm", casme2)))
    uf1(one, tmp_path)
    monkeypatch.setattr(evaluation, "VERSION", evaluation.VERSION + 1)
    assert len(missing([one], Results(tmp_path))) == FOLDS


def test_duplicate_sample_ids_are_refused(tmp_path: Path) -> None:
    twice = REAL.rows.set_column(0, "sample_id", pa.array([f"{i // 2}" for i in range(len(REAL))]))
    with pytest.raises(UsageError, match="0 more than once; 30 such samples"):
        missing([replace(cell(REAL, REAL), test=twice)], Results(tmp_path))


def test_duplicate_sample_ids_in_training_are_refused(tmp_path: Path) -> None:
    other = in_memory(NOISY, rows("x-", "real", "samm", lambda k: f"{k:03d}"))
    with pytest.raises(UsageError, match="samples to train on"):
        missing([cell(REAL, other.joined(other))], Results(tmp_path))
    # sets from the same photos and another seed have the same ids, and other samples
    reseeded = in_memory(NOISY[::-1].copy(), rows("x-", "real", "samm", lambda k: f"{k:03d}"))
    assert missing([cell(REAL, other.joined(reseeded))], Results(tmp_path))


def test_the_two_numberings_of_casme_sq_are_one(tmp_path: Path) -> None:
    """Its table counts participants 1, 2, …, where its folders are called s15, s16, s19, …"""
    real = in_memory(MAPS, rows("real-", "real", "casme_sq", lambda k: CASME_SQ[k - 1]))
    other = in_memory(NOISY, rows("x-", "real_mie", "CAS(ME)^2", str))
    one = cell(real, other)
    assert uf1(one, tmp_path) <= HONEST
    for job in one.fit.jobs:  # type: ignore[attr-defined]
        assert not set(WHO[job.test]) & set(WHO[job.extra])
    either = in_memory(NOISY, rows("x-", "real_mie", "CAS(ME)^2", lambda k: str(15 + k % 8)))
    with pytest.raises(InputError, match=r"60 \(it is not known"):
        uf1(cell(real, either), tmp_path)


def test_own_corpora_tell_people_apart_by_letters(tmp_path: Path) -> None:
    """Nobody is lost: 12 people are 12, however their codes are written."""
    codes = [f"{'abcd'[i % 4]}{i // 4 + 1}" for i in range(PEOPLE)]
    of = persons(["lab"] * len(WHO), [codes[k - 1] for k in WHO.tolist()])
    assert len(set(of)) == PEOPLE
    real = in_memory(MAPS, rows("real-", "real", "lab", lambda k: codes[k - 1]))
    other = in_memory(NOISY, rows("x-", "real", "Lab", lambda k: f" {codes[k - 1].upper()} "))
    assert uf1(cell(real, other, independent=["lab"]), tmp_path) <= HONEST


def test_the_callers_word_clears_photos_that_only_look_like_a_corpus(tmp_path: Path) -> None:
    other = in_memory(NOISY, rows("x-", "expert", None, None, lambda k: f"{k:016x}"))
    some = cell(REAL, other, faces=dict.fromkeys(PHOTOS, ("casme2", None)), independent=["CASME II"])
    assert uf1(some, tmp_path) == 1.0  # the caller's word, and result
    assert uf1(replace(some, faces=PHOTOS), tmp_path) <= HONEST


def test_marks_are_found_and_only_equal_bytes() -> None:
    mirrored = np.ascontiguousarray(MAPS[:, :, ::-1])
    for maps, there in ((MAPS, True), (NOISY, False), (mirrored, False)):
        found = in_test(in_memory(maps, REAL.rows).marks, REAL.take([0, 7]).marks)
        assert np.flatnonzero(found).tolist() == ([0, 7] if there else [])
    still = in_memory(np.full_like(MAPS, (128, 128, 0)), REAL.rows)
    assert not in_test(still.marks, still.marks).any()  # nothing moves: that is nobody's map
