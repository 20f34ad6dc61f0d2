"""Subject-disjoint folds: k-fold, leave one subject out, and lists that others published."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from miex.corpora.people import corpus_key, subject_key
from miex.errors import InputError, UsageError

Indices = npt.NDArray[np.int64]
Persons = npt.NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Fold:
    """One fold.

    Attributes:
        name: "0", "1" …, or the subject that is left out.
        train, test: positions among the samples, int64, ascending, disjoint.
    """

    name: str
    train: Indices
    test: Indices


@dataclass(frozen=True, eq=False)
class Protocol:
    """Folds and what they are called in a table.

    Attributes:
        name: "3-fold", "LOSO", "lists of micro_3fold".
        folds: in their order.
        digest: sha256 of which sample is trained on and tested in which fold: quote it with a number.
    """

    name: str
    folds: tuple[Fold, ...]
    digest: str


def persons(corpus: npt.ArrayLike, subject: npt.ArrayLike) -> Persons:
    """One name for the person behind each sample, str [n]: `casme2/1` for sub01 of CASME II.

    Raises:
        InputError: a sample without corpus or subject: subject-wise folds cannot be made.
    """
    pairs = list(zip(np.asarray(corpus).tolist(), np.asarray(subject).tolist(), strict=True))
    keys = [(corpus_key(c), subject_key(s)) for c, s in pairs]
    for row, (pair, key) in enumerate(zip(pairs, keys, strict=True)):
        if None in key:
            raise InputError(
                f"folds by subject: sample {row}", expected="a corpus and a subject", found=f"{pair[0]!r}, {pair[1]!r}",
                do="only samples of real corpora can be split by subject",
            )  # fmt: skip
    return np.array([f"{c}/{s}" for c, s in keys], np.str_)


def k_fold(of: Persons, k: int, seed: int = 0) -> Protocol:
    """Subject-wise k-fold: persons shuffled by the seed, then largest first into the fold with the fewest samples.

    Raises:
        UsageError: fewer persons than folds.
    """
    names, counts = np.unique(of, return_counts=True)
    if not 2 <= k <= len(names):
        raise UsageError(f"{k}-fold", expected="from 2 folds to one per subject", found=f"{len(names)} subjects")
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(names))
    order = order[np.argsort(-counts[order], kind="stable")]
    part, size = np.zeros(len(names), np.int64), np.zeros(k, np.int64)
    for person in order:
        part[person] = size.argmin()
        size[part[person]] += counts[person]
    return _of_parts(f"{k}-fold", part[np.searchsorted(names, of)], [str(i) for i in range(k)])


def leave_one_subject_out(of: Persons) -> Protocol:
    """One fold per person. On the composite of MEGC 2019 this is its composite database evaluation (CDE).

    Raises:
        UsageError: a single person.
    """
    names, part = np.unique(of, return_inverse=True)
    if len(names) < 2:
        raise UsageError("leave one subject out", expected="at least 2 subjects", found=f"{len(names)}")
    return _of_parts("LOSO", part, names.tolist())


def leave_one_corpus_out(of: Persons) -> Protocol:
    """One fold per corpus: what is learned from the other corpora, of which no map or frame looks like its own.

    Raises:
        UsageError: a single corpus.
    """
    names, part = np.unique([person.split("/")[0] for person in of.tolist()], return_inverse=True)
    if len(names) < 2:
        raise UsageError("leave one corpus out", expected="at least 2 corpora", found=f"{len(names)}: {names[0]}")
    return _of_parts("LOCO", part, names.tolist())


@dataclass(frozen=True)
class ListedClip:
    """A clip that a published list names: the keys of `corpora.people`, and the clip's own code in lower case."""

    corpus: str
    subject: str
    clip: str


def clip_key(corpus: object, subject: object, clip: object) -> ListedClip:
    """How a clip is named here and in lists: spellings of one clip give one key (`s01_ne_01`, `s1_ne_01`)."""
    code = re.sub(r"^s0*(\d+)_(?=ne|po|sur)", r"s\1_", str(clip).strip().lower())
    return ListedClip(corpus_key(corpus) or "", subject_key(subject) or "", code)


def read_list(path: Path) -> list[ListedClip]:
    """The clips of a list of the MiE-X authors: two lines per sample, paths of its onset and its apex frame.

    Raises:
        InputError: it cannot be read, or a line that is no path of a known layout.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"fold list {path}", expected="a text file", found=str(error)) from error
    clips = [_listed(line, path, number) for number, line in enumerate(lines, 1)]
    if len(clips) % 2 or clips[::2] != clips[1::2]:
        raise InputError(f"fold list {path}", expected="two lines per sample: onset, apex", found=f"{len(clips)} lines")
    return clips[::2]


def _listed(line: str, path: Path, number: int) -> ListedClip:
    parts = Path(line.replace("\\", "/")).parts
    corpus = corpus_key(re.sub(r"_(cropped|final).*", "", parts[1], flags=re.I)) if len(parts) > 3 else None
    clip = parts[-2] if len(parts) > 3 else ""
    if corpus == "mmew":
        return clip_key(corpus, clip.split("-")[0], clip)  # …/emotion/S01-02-003/1.jpg
    if corpus is None:
        raise InputError(f"fold list {path}, line {number}", expected="Data/CORPUS/SUBJECT/…/CLIP/FRAME", found=line)
    return clip_key(corpus, parts[2], clip)


def published(clips: Sequence[ListedClip], folder: Path) -> Protocol:
    """The folds of a folder of lists as the MiE-X authors publish them.

    Training lists are kept as they are, with what they leave out: MMEW's never train on subject 30.

    Args:
        clips: who each sample is, see `clip_key`.
        folder: holds `*fold<i>_train_data.txt` and `*fold<i>_test_data.txt`, or `*fold<i>_data01.txt` (training) and
            `*fold<i>_data2.txt` (test).

    Raises:
        InputError: no such lists, a listed test clip that is not among the samples, or a subject on both sides.
    """
    where = {clip: i for i, clip in enumerate(clips)}
    folds = []
    for test_list in sorted(folder.glob("*fold*_test_data.txt")) or sorted(folder.glob("*fold*_data2.txt")):
        name = test_list.name.replace("_test_data", "_train_data").replace("_data2", "_data01")
        test, train = read_list(test_list), read_list(test_list.with_name(name))
        missing = [clip for clip in test if clip not in where]
        if missing:
            raise InputError(
                f"fold list {test_list}", expected="clips that are among the samples",
                found=f"{missing[0]} and {len(missing) - 1} more are not",
                do="test on the whole corpus that the lists belong to",
            )  # fmt: skip
        shared = {(c.corpus, c.subject) for c in test} & {(c.corpus, c.subject) for c in train}
        if shared:
            raise InputError(f"fold list {test_list}", expected="subjects that are not trained on", found=f"{shared}")
        number = re.search(r"fold(\d+)", test_list.name)
        folds.append(
            Fold(
                number[1] if number else test_list.stem,
                np.array(sorted(where[clip] for clip in set(train) & where.keys()), np.int64),
                np.array(sorted(where[clip] for clip in set(test)), np.int64),
            )
        )
    if not folds:
        raise InputError(
            f"folds {folder}", expected="a folder with *fold<i>_test_data.txt or *fold<i>_data2.txt", found="none"
        )
    return Protocol(f"lists of {folder.name}", tuple(folds), _digest(folds))


def read_table(sample_ids: Sequence[str], of: Persons, path: Path) -> Protocol:
    """Folds of your own: a CSV with columns sample_id and fold; each fold is tested by what is in no other.

    Raises:
        InputError: a sample without fold, or a person in two.
    """
    import csv

    try:
        with path.open(encoding="utf-8", newline="") as file:
            fold_of = {row["sample_id"]: row["fold"] for row in csv.DictReader(file)}
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise InputError(
            f"fold file {path}", expected="a CSV with columns sample_id and fold", found=str(error)
        ) from error
    absent = [name for name in sample_ids if name not in fold_of]
    if absent:
        raise InputError(f"fold file {path}", expected="every sample", found=f"no {absent[0]} ({len(absent)} missing)")
    names, part = np.unique([fold_of[name] for name in sample_ids], return_inverse=True)
    for person in np.unique(of):
        if len(np.unique(part[of == person])) > 1:
            raise InputError(f"fold file {path}", expected="each subject in one fold", found=f"{person} in several")
    return _of_parts(path.stem, part, names.tolist())


def _of_parts(name: str, part: npt.NDArray[np.integer], names: Sequence[str]) -> Protocol:
    folds = [Fold(n, np.flatnonzero(part != i), np.flatnonzero(part == i)) for i, n in enumerate(names)]
    return Protocol(name, tuple(folds), _digest(folds))


def _digest(folds: Sequence[Fold]) -> str:
    digest = hashlib.sha256()
    for fold in folds:
        for side in (fold.train, fold.test):
            digest.update(np.array([len(side), *side], "<i8").tobytes())
    return digest.hexdigest()
