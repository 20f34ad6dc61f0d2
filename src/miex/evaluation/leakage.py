"""The leak guard: it refuses training rows that show a person of the test set, or a map or frame of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from miex.corpora.people import CORPORA, Person, corpus_key, person_key, same_lab
from miex.errors import InputError, UsageError
from miex.plugins import Registry

VERSION: Final = 3  # grows whenever the guard decides otherwise; stored results of another version are computed again
COLUMNS = ("source", "corpus", "subject")
WITHOUT_PEOPLE = "expert"  # the only source whose AUs come from no real person
SOURCES: Final = frozenset({"real", "real_mie", "early_mae", "coded_mie", WITHOUT_PEOPLE})

_ADDED: Final = Registry("AU source", "miex.sources", {})  # those of other packages


class Verdict(StrEnum):
    """What the leak guard decides about a training row, and why."""

    allowed = "allowed"
    test_subject = "its AUs come from a subject of the test set"
    same_lab = "its AUs come from a laboratory whose subjects may be in the test set"
    test_face = "its face may be that of a subject of the test set"
    test_content = "its map, one of its frames, or its photo is in the test set"
    unknown = "it is not known where its AUs come from"


def allowed(
    training: pa.Table,
    test_subjects: Iterable[tuple[str, str]],
    *,
    same_lab_overlap: bool = True,
    independent: Collection[str] = (),
    faces: Mapping[str, tuple[str, str | None]] | None = None,
) -> npt.NDArray[np.bool_]:
    """Decide which rows may be trained on if these subjects are tested.

    A row is refused if its AUs come from a subject of the test set (by any source, from any clip, and in any spelling),
    from another corpus of a laboratory that has a corpus in the test set, or from an unknown origin (a source that does
    not exist is one); or if its face is, as far as that is known, one of these people.
    Rows of the expert source, which have neither corpus nor subject, are
    allowed. The guard does not know which data an expert table was made from: a table made from AU codes of the test
    corpus leaks the frequencies of its AUs. What is in the pixels is compared by `in_test`.

    Args:
        training: a table with columns source, corpus and subject, such as plan.parquet or samples.parquet. Rows of a
            composite such as CompMiE name the corpus that each clip was taken from.
        test_subjects: (corpus, subject) of every test clip, in any spelling that `corpora.people` knows.
        same_lab_overlap: whether to assume that a person may be in several corpora of the same laboratory (CASME,
            CASME II, CAS(ME)², CAS(ME)³; SMIC, 4DME, Oulu-CASIA). Subject numbers do not tell, so rows of its other
            corpora are then refused.
        independent: names of corpora that, as the caller vouches, share no people with other corpora. Otherwise rows of
            corpora that `corpora.people` does not know are refused, as are those of the same laboratory. It also clears
            photos of which only such a corpus is known, not the person, even if that corpus is tested.
        faces: photo of a row (its column photo) → corpus and subject of whom it shows, the subject None if only the
            corpus is known. Photos that are not named show nobody of a corpus.

    Returns:
        For each row whether it may be trained on, bool [rows].

    Raises:
        InputError: a column is missing.
        UsageError: a test subject has no name, or its corpus is not known.
    """
    found = verdicts(training, test_subjects, same_lab_overlap=same_lab_overlap, independent=independent, faces=faces)
    return np.array([verdict is Verdict.allowed for verdict in found], bool)


def verdicts(
    training: pa.Table,
    test_subjects: Iterable[tuple[str, str]],
    *,
    same_lab_overlap: bool = True,
    independent: Collection[str] = (),
    faces: Mapping[str, tuple[str, str | None]] | None = None,
) -> list[Verdict]:
    """For each row whether it is allowed, or why it is refused. Arguments and errors are those of `allowed`."""
    asked = (*COLUMNS, "photo") if faces else COLUMNS
    missing = [name for name in asked if name not in training.schema.names]
    if missing:
        raise InputError(
            "training rows for the leak guard",
            expected="columns " + ", ".join(asked),
            found="no " + ", ".join(missing),
            do="give plan.parquet or samples.parquet, whose columns tell where the AUs of each row come from",
        )
    apart = {corpus_key(name) for name in independent}
    known, sources = CORPORA.keys() | apart, existing_sources(training["source"].to_pylist())
    test = {_tested(*pair, known) for pair in test_subjects}
    labs = {corpus for corpus, _ in test} if same_lab_overlap else set()

    def shared(corpus: str) -> bool:
        return corpus not in apart and any(same_lab(corpus, tested) for tested in labs)

    def of_aus(source: object, corpus: object, subject: object) -> Verdict:
        if source == WITHOUT_PEOPLE and corpus is None and subject is None:
            return Verdict.allowed
        who = person_key(corpus, subject)
        if source not in sources or who is None or who[0] not in known:
            return Verdict.unknown
        if who in test:
            return Verdict.test_subject
        return Verdict.same_lab if shared(who[0]) else Verdict.allowed

    def of_face(photo: object) -> Verdict:
        corpus, subject = (faces or {}).get(str(photo), (None, None))
        key = corpus_key(corpus)
        if key is None:
            return Verdict.allowed
        who = person_key(key, subject)
        there = who in test if who else key not in apart and any(tested == key for tested, _ in test)
        return Verdict.test_face if there or shared(key) else Verdict.allowed

    rows = list(zip(*(training[name].to_pylist() for name in asked), strict=True))
    decided = {
        row: max(of_aus(*row[:3]), of_face(row[3]) if faces else Verdict.allowed, key=_BY_WEIGHT.index)
        for row in set(rows)
    }
    return [decided[row] for row in rows]


def existing_sources(named: Iterable[object]) -> Collection[object]:
    """Which of these sources exist: those of miex, and those that installed packages add."""
    asked = set(named) - {None}
    return asked if asked <= SOURCES else asked & {*SOURCES, *_ADDED.names()}


# Of two reasons the heavier one is given: no word of the caller's clears it.
_BY_WEIGHT: Final = (Verdict.allowed, Verdict.unknown, Verdict.same_lab, Verdict.test_face, Verdict.test_subject)


def in_test(training: pa.ListArray, test: pa.ListArray) -> npt.NDArray[np.bool_]:
    """Which training rows have content that is in the test set, whatever their provenance says, bool [rows].

    Args:
        training, test: of each row the marks of what it holds: 64 bits of the sha256 of its map or stored example, of
            the files of its frames, and of the photo whose face it shows.

    Equal bytes are found, and only these: not a mirrored, cropped, re-encoded or otherwise changed copy, nor a map that
    another program computed from the same frames.
    """
    found = np.zeros(len(training), bool)
    flat = training.flatten().to_numpy()
    rows = pc.list_parent_indices(training).to_numpy()
    found[rows[np.isin(flat, test.flatten().to_numpy())]] = True
    return found


def _tested(corpus: object, subject: object, known: Collection[str | None]) -> Person:
    who, key = person_key(corpus, subject), corpus_key(corpus)
    if who is None or key not in known:
        raise UsageError(
            f"test subject {subject!r} of corpus {corpus!r}",
            expected="the number of a subject, in one of " + ", ".join(CORPORA),
            found="no corpus" if key is None else f"corpus {key}" if key not in known else "no subject's number",
            do="name the corpus that the clip was taken from, not a composite such as CompMiE; if it is a corpus of "
            "your own that shares no people with others, add its name to `independent`; name its subject, not its clip",
        )
    return who
