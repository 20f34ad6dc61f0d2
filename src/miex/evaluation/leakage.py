"""The leak guard: it refuses training rows whose AUs come from a person in the test set."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.corpora.people import CORPORA, corpus_key, same_lab, subject_key
from miex.errors import InputError, UsageError

COLUMNS = ("source", "corpus", "subject")
WITHOUT_PEOPLE = "expert"  # the only source whose AUs come from no real person


class Verdict(StrEnum):
    """What the leak guard decides about a training row, and why."""

    allowed = "allowed"
    test_subject = "its AUs come from a subject of the test set"
    same_lab = "its AUs come from a laboratory whose subjects may be in the test set"
    unknown = "it is not known where its AUs come from"


def allowed(
    training: pa.Table,
    test_subjects: Iterable[tuple[str, str]],
    *,
    same_lab_overlap: bool = True,
    independent: Collection[str] = (),
) -> npt.NDArray[np.bool_]:
    """Decide which rows may be trained on if these subjects are tested.

    A row is refused if its AUs come from a subject of the test set (by any source, from any clip, and in any spelling),
    from another corpus of a laboratory that has a corpus in the test set, or from an unknown origin. Rows of the
    expert source, which have neither corpus nor subject, are allowed. The guard does not know which data an expert
    table was made from: a table made from AU codes of the test corpus leaks the frequencies of its AUs.

    Args:
        training: a table with columns source, corpus and subject, such as plan.parquet or samples.parquet. Rows of a
            composite such as CompMiE name the corpus that each clip was taken from.
        test_subjects: (corpus, subject) of every test clip, in any spelling that `corpora.people` knows.
        same_lab_overlap: whether to assume that a person may be in several corpora of the same laboratory (CASME,
            CASME II, CAS(ME)², CAS(ME)³). Subject numbers do not tell, so rows of its other corpora are then refused.
        independent: names of corpora that, as the caller vouches, share no people with other corpora. Otherwise rows of
            corpora that `corpora.people` does not know are refused, as are those of the same laboratory.

    Returns:
        For each row whether it may be trained on, bool [rows].

    Raises:
        InputError: a column is missing.
        UsageError: a test subject has no name, or its corpus is not known.
    """
    found = verdicts(training, test_subjects, same_lab_overlap=same_lab_overlap, independent=independent)
    return np.array([verdict is Verdict.allowed for verdict in found], bool)


def verdicts(
    training: pa.Table,
    test_subjects: Iterable[tuple[str, str]],
    *,
    same_lab_overlap: bool = True,
    independent: Collection[str] = (),
) -> list[Verdict]:
    """For each row whether it is allowed, or why it is refused. Arguments and errors are those of `allowed`."""
    missing = [name for name in COLUMNS if name not in training.schema.names]
    if missing:
        raise InputError(
            "training rows for the leak guard",
            expected="columns " + ", ".join(COLUMNS),
            found="no " + ", ".join(missing),
            do="give plan.parquet or samples.parquet, whose columns tell where the AUs of each row come from",
        )
    apart = {corpus_key(name) for name in independent}
    known = CORPORA.keys() | apart
    test = {_person(*pair, known) for pair in test_subjects}
    decided: dict[tuple[object, object, object], Verdict] = {}
    found = []
    for row in zip(*(training[name].to_pylist() for name in COLUMNS), strict=True):
        if row not in decided:
            source, corpus, subject = row
            overlap = same_lab_overlap and corpus_key(corpus) not in apart
            decided[row] = _verdict(source, corpus, subject, test, known, overlap)
        found.append(decided[row])
    return found


def _person(corpus: object, subject: object, known: Collection[str | None]) -> tuple[str, str]:
    person = corpus_key(corpus), subject_key(subject)
    if person[0] is None or person[1] is None or person[0] not in known:
        raise UsageError(
            f"test subject {subject!r} of corpus {corpus!r}",
            expected="a subject of one of " + ", ".join(CORPORA),
            found="no subject" if person[1] is None else f"corpus {person[0]}" if person[0] else "no corpus",
            do="name the corpus that the clip was taken from, not a composite such as CompMiE; if it is a corpus of "
            "your own that shares no people with others, add its name to `independent`",
        )
    return person[0], person[1]


def _verdict(
    source: object,
    corpus: object,
    subject: object,
    test: set[tuple[str, str]],
    known: Collection[str | None],
    same_lab_overlap: bool,
) -> Verdict:
    if source == WITHOUT_PEOPLE and corpus is None and subject is None:
        return Verdict.allowed
    person = corpus_key(corpus), subject_key(subject)
    if source is None or person[0] not in known or person[1] is None:
        return Verdict.unknown
    if person in test:
        return Verdict.test_subject
    if same_lab_overlap and any(same_lab(person[0] or "", tested) for tested, _ in test):
        return Verdict.same_lab
    return Verdict.allowed
