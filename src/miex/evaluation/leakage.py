"""The leak guard: which training rows descend from nobody in the test set."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.corpora.people import CORPORA, corpus_key, same_lab, subject_key
from miex.errors import InputError, UsageError

COLUMNS = ("source", "corpus", "subject")
WITHOUT_PEOPLE = "expert"  # the one source that no real person stands behind


class Verdict(StrEnum):
    """What the guard says of a training row."""

    allowed = "allowed"
    test_subject = "its AUs come from a subject of the test set"
    same_lab = "its AUs come from a laboratory whose people may be in the test set"
    unknown = "where its AUs come from is not known"


def allowed(
    training: pa.Table,
    test_subjects: Iterable[tuple[str, str]],
    *,
    same_lab_overlap: bool = True,
    independent: Collection[str] = (),
) -> npt.NDArray[np.bool_]:
    """Which rows may be trained on when these subjects are tested.

    A row is refused when its AUs come, by whatever source, from a subject of the test set, whatever clip and whatever
    spelling; from another corpus of a laboratory that the test set has a corpus of; or from nobody knows where. Rows
    of the expert source, which have neither corpus nor subject, are allowed. What an expert table was measured on is
    beyond this guard: a table made from AU codes of the test corpus leaks its frequencies.

    Args:
        training: a table with columns source, corpus, subject, such as plan.parquet or samples.parquet. Rows of a
            composite such as CompMiE carry the corpus that each clip was taken from.
        test_subjects: (corpus, subject) of every test clip. Spellings are those of `corpora.people`.
        same_lab_overlap: whether people may be in several corpora of one laboratory (CASME, CASME II, CAS(ME)²,
            CAS(ME)³). Their numbers say nothing about it, so no row of another corpus of that laboratory is then
            allowed.
        independent: names of corpora that `corpora.people` does not know, and that share no people with any other:
            the caller vouches for it. Rows of other unknown corpora are refused.

    Returns:
        bool [rows].

    Raises:
        InputError: a column is missing.
        UsageError: a test subject that is not known, or of a corpus that is not.
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
    """For each row why it is refused, or that it is allowed; arguments and errors as in `allowed`."""
    missing = [name for name in COLUMNS if name not in training.schema.names]
    if missing:
        raise InputError(
            "training rows for the leak guard",
            expected="columns " + ", ".join(COLUMNS),
            found="no " + ", ".join(missing),
            do="give plan.parquet or samples.parquet, which say whose AUs each row shows",
        )
    known = CORPORA.keys() | {corpus_key(name) for name in independent}
    test = {_person(*pair, known) for pair in test_subjects}
    decided: dict[tuple[object, object, object], Verdict] = {}
    found = []
    for row in zip(*(training[name].to_pylist() for name in COLUMNS), strict=True):
        if row not in decided:
            source, corpus, subject = row
            decided[row] = _verdict(source, corpus, subject, test, known, same_lab_overlap)
        found.append(decided[row])
    return found


def _person(corpus: object, subject: object, known: Collection[str | None]) -> tuple[str, str]:
    person = corpus_key(corpus), subject_key(subject)
    if person[0] is None or person[1] is None or person[0] not in known:
        raise UsageError(
            f"test subject {subject!r} of corpus {corpus!r}",
            expected="a subject of one of " + ", ".join(CORPORA),
            found="no subject" if person[1] is None else f"corpus {person[0] or 'not named'}",
            do="name the corpus that the clip was taken from (not a composite such as CompMiE); one of your own, that "
            "shares no people with others, goes into `independent`",
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
