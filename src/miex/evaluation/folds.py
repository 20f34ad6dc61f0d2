"""Subject-disjoint folds: k-fold, leave one subject or corpus out, published lists, and tables of your own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from miex.corpora.people import corpus_key, person_key
from miex.errors import InputError, UsageError
from miex.stable import stable_hash
from miex.storage.documents import read_bytes
from miex.tables.cells import in_thousands, whole
from miex.tables.table import Columns
from miex.tables.table import read_table as table_rows

Indices = npt.NDArray[np.int64]
Persons = npt.NDArray[np.str_]
_MOST_ROWS = 10_000_000
_MOST_DRAWN = 1000  # orders of people that are tried for one draw
_PART = re.compile(r"train(ing)?|test(ing)?|val(id(ation)?)?|dev", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Fold:
    """One fold.

    Attributes:
        name: "0", "1", …, or the subject or corpus that is left out.
        train, test: positions among the samples, int64, ascending; no position is in both.
    """

    name: str
    train: Indices
    test: Indices


@dataclass(frozen=True, eq=False)
class Protocol:
    """Folds, with a name for tables.

    Attributes:
        name: name of the protocol, such as "3-fold", "LOSO" or "lists of micro_3fold".
        folds: the folds, in order.
        digest: sha256 of the training and test positions of all folds; report it with results.
    """

    name: str
    folds: tuple[Fold, ...]
    digest: str


def persons(corpus: npt.ArrayLike, subject: npt.ArrayLike) -> Persons:
    """Name of the person behind each sample, str [n], such as `casme2/1` for sub01 of CASME II.

    Args:
        corpus, subject: corpus and subject of each sample [n], in any known spelling.

    Raises:
        InputError: a sample has no corpus, or no subject, or a code that is not that of one subject.
    """
    pairs = list(zip(np.asarray(corpus).tolist(), np.asarray(subject).tolist(), strict=True))
    found = [person_key(*pair) for pair in pairs]
    names = []
    for row, (pair, who) in enumerate(zip(pairs, found, strict=True)):
        if who is None:
            raise InputError(
                f"folds by subject: sample {row}", expected="a corpus and the number of a subject",
                found=f"{pair[0]!r}, {pair[1]!r}",
                do="give only samples of real corpora, with their subjects (sub01, S01, 006), not with codes of clips",
            )  # fmt: skip
        names.append("/".join(who))
    return np.array(names, np.str_)


def k_fold(of: Persons, k: int, seed: int = 0) -> Protocol:
    """Subject-disjoint k-fold cross-validation.

    Subjects are shuffled by the seed and sorted by their number of samples, then each goes into the fold that has the
    fewest samples so far.

    Args:
        of: the person behind each sample (see `persons`).
        k: number of folds.
        seed: random seed of the shuffle.

    Raises:
        UsageError: there are fewer than 2 folds, or fewer subjects than folds.
    """
    names, counts = np.unique(of, return_counts=True)
    if not 2 <= k <= len(names):
        raise UsageError(
            f"{k}-fold", expected="at least 2 folds, and at least as many subjects", found=f"{len(names)} subjects"
        )
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(names))
    order = order[np.argsort(-counts[order], kind="stable")]
    part, size = np.zeros(len(names), np.int64), np.zeros(k, np.int64)
    for person in order:
        part[person] = size.argmin()
        size[part[person]] += counts[person]
    return _of_parts(f"{k}-fold", part[np.searchsorted(names, of)], [str(i) for i in range(k)])


def leave_one_subject_out(of: Persons) -> Protocol:
    """Leave-one-subject-out cross-validation: one fold per subject.

    On the composite of MEGC 2019 this is its composite database evaluation (CDE).

    Raises:
        UsageError: there is only one subject.
    """
    names, part = np.unique(of, return_inverse=True)
    if len(names) < 2:
        raise UsageError("leave one subject out", expected="at least 2 subjects", found=f"{len(names)}")
    return _of_parts("LOSO", part, names.tolist())


def leave_one_corpus_out(of: Persons) -> Protocol:
    """Leave-one-corpus-out cross-validation: one fold per corpus, which is tested after training on all others.

    Raises:
        UsageError: there is only one corpus.
    """
    names, part = np.unique([person.split("/")[0] for person in of.tolist()], return_inverse=True)
    if len(names) < 2:
        raise UsageError("leave one corpus out", expected="at least 2 corpora", found=f"{len(names)}: {names[0]}")
    return _of_parts("LOCO", part, names.tolist())


def drawn_people(of: Persons, labels: npt.ArrayLike, draws: int, *, least: int = 2, seed: int = 0) -> list[list[str]]:
    """Random orders of all people: the first of each are those to train on, as many as one likes (see `training_on`).

    So a draw with more people holds those of the draw with fewer. An order whose first `least` people show one class
    alone is drawn again, since nothing can be told apart there.

    Args:
        of: the person behind each sample (see `persons`).
        labels: class of each sample.
        draws: how many orders. More of them begin with the same ones.
        least: smallest number of people that are trained on.
        seed: random seed of the orders.

    Raises:
        InputError: no draw of so few people shows two classes.
    """
    names, row = np.unique(of, return_inverse=True)
    classes, code = np.unique(np.asarray(labels), return_inverse=True)
    shows = np.zeros((len(names), len(classes)), bool)
    shows[row, code] = True
    found = []
    for number in range(draws):
        for again in range(_MOST_DRAWN):
            order = np.random.Generator(np.random.PCG64(stable_hash("people", seed, number, again))).permutation(
                len(names)
            )
            if shows[order[:least]].any(0).sum() > 1:
                found.append(names[order].tolist())
                break
        else:
            raise InputError(
                f"{least} people to train on, drawn from {len(names)}", expected="samples of at least two classes",
                found="one class in every draw", do="train on more people, or add samples of other classes",
            )  # fmt: skip
    return found


def training_on(of: Persons, people: Collection[str], name: str = "") -> Protocol:
    """One fold that trains on some people and tests everybody else.

    Args:
        of: the person behind each sample (see `persons`).
        people: whom to train on.
        name: name of protocol and fold.

    Raises:
        UsageError: nobody is left to train on, or to be tested.
    """
    chosen = np.isin(of, list(people))
    if chosen.all() or not chosen.any():
        raise UsageError(
            f"training on {len(people)} people", expected="samples of others, too, which are tested",
            found=f"{len(set(of.tolist()))} people in all", do="train on fewer people",
        )  # fmt: skip
    fold = Fold(name, np.flatnonzero(chosen), np.flatnonzero(~chosen))
    return Protocol(name, (fold,), _digest([fold]))


@dataclass(frozen=True)
class ListedClip:
    """A clip in a published list: its corpus and subject as keys of `corpora.people`, and its code in lower case."""

    corpus: str
    subject: str
    clip: str


def clip_key(corpus: object, subject: object, clip: object) -> ListedClip:
    """The key by which a clip is found in lists; spellings of one clip (`s01_ne_01`, `s1_ne_01`) have the same key.

    Raises:
        InputError: it does not say of whom the clip is.
    """
    who = person_key(corpus, subject)
    if who is None:
        raise InputError(
            f"clip {clip!r} in lists of folds", expected="a corpus and the number of a subject",
            found=f"{corpus!r}, {subject!r}", do="name the subject as its corpus does (sub01, S01, 006)",
        )  # fmt: skip
    return ListedClip(*who, re.sub(r"^s0*(\d+)_(?=ne|po|sur)", r"s\1_", str(clip).strip().lower()))


def read_list(path: Path) -> list[ListedClip]:
    """Read the clips of a fold list as published with the MiE-X paper (ECCV 2022).

    It has two lines per sample, the paths of onset frame and apex frame.

    Raises:
        InputError: the list cannot be read, or a line is not a path in a known layout.
    """
    try:
        lines = [line.strip() for line in read_bytes(path).decode().splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"fold list {path}", expected="a text file that can be read", found=str(error)) from error
    try:
        clips = [_listed(line, path, number) for number, line in enumerate(lines, 1)]
    except InputError as error:
        error.asked = error.asked if str(path) in error.asked else f"fold list {path}, {error.asked}"
        raise
    if len(clips) % 2 or clips[::2] != clips[1::2]:
        raise InputError(
            f"fold list {path}", expected="two lines per sample, for its onset and its apex",
            found=f"{len(clips)} lines" + (", two of which differ in their clip" if len(clips) % 2 == 0 else ""),
            do="use the list as it was published",
        )  # fmt: skip
    return clips[::2]


def _listed(line: str, path: Path, number: int) -> ListedClip:
    parts = Path(line.replace("\\", "/")).parts
    corpus = corpus_key(re.sub(r"_(cropped|final).*", "", parts[1], flags=re.I)) if len(parts) > 3 else None
    clip = parts[-2] if len(parts) > 3 else ""
    if corpus == "mmew":
        return clip_key(corpus, clip.split("-")[0], clip)  # …/emotion/S01-02-003/1.jpg
    if corpus is None:
        raise InputError(
            f"fold list {path}, line {number}", expected="a path such as Data/CORPUS/SUBJECT/…/CLIP/FRAME", found=line
        )  # fmt: skip
    return clip_key(corpus, parts[2], clip)


def published(clips: Sequence[ListedClip], folder: Path) -> Protocol:
    """Read the folds of a folder of lists, as published with the MiE-X paper (ECCV 2022).

    Training lists are used as they are, including what they leave out: those of MMEW never train on subject 30.

    Args:
        clips: the key of each sample (see `clip_key`).
        folder: folder with `*fold<i>_train_data.txt` and `*fold<i>_test_data.txt`, or `*fold<i>_data01.txt` (training)
            and `*fold<i>_data2.txt` (test).

    Raises:
        InputError: there are no such lists, a list cannot be read, a clip to test is not among the samples, or a
            subject is both trained on and tested.
    """
    where = {clip: i for i, clip in enumerate(clips)}
    folds = []
    for test_list in sorted(folder.glob("*fold*_test_data.txt")) or sorted(folder.glob("*fold*_data2.txt")):
        name = test_list.name.replace("_test_data", "_train_data").replace("_data2", "_data01")
        test, train = read_list(test_list), read_list(test_list.with_name(name))
        missing = [clip for clip in test if clip not in where]
        if missing:
            raise InputError(
                f"fold list {test_list}", expected="only clips that are among the samples",
                found=f"{len(missing)} other clips, such as {missing[0].clip} of {missing[0].corpus}",
                do="give all samples of the corpus that the lists are for",
            )  # fmt: skip
        shared = {(c.corpus, c.subject) for c in test} & {(c.corpus, c.subject) for c in train}
        if shared:
            people = ", ".join(sorted(f"{corpus}/{subject}" for corpus, subject in shared))
            raise InputError(
                f"fold list {test_list}", expected="subjects that are not trained on in the same fold",
                found=f"{people} in both lists", do="use the lists as they were published, or correct them",
            )  # fmt: skip
        number = re.search(r"fold(\d+)", test_list.name)
        folds.append(
            Fold(
                number[1] if number else test_list.stem,
                np.array(sorted(where[clip] for clip in set(train) & where.keys()), np.int64),
                np.array(sorted(where[clip] for clip in set(test)), np.int64),
            )
        )
    if not folds:
        if folder.is_dir():
            _prove_no_parts({child.name for child in folder.iterdir()}, f"`folds` {folder}", "list each fold")
        raise InputError(
            f"`folds` {folder}",
            expected="a folder with lists *fold<i>_test_data.txt or *fold<i>_data2.txt",
            found="no such file",
            do="check the path",
        )
    return Protocol(f"lists of {folder.name}", tuple(folds), _digest(folds))


def read_table(sample_ids: Sequence[str], of: Persons, path: Path) -> Protocol:
    """Read folds of your own from a table (CSV or xlsx) with columns sample_id and fold.

    Each fold tests its own samples, after training on all others.

    Args:
        sample_ids: id of each sample [n].
        of: the person behind each sample (see `persons`).
        path: the table.

    Raises:
        InputError: the file cannot be read, a sample has no fold or two, a subject is in several folds, or folds are
            called like parts of which one is to be tested (train, test).
    """
    fold_of: dict[str, str] = {}
    names = {"sample_id": ("sample_id", "sample"), "fold": ("fold",)}
    columns = Columns(names, needed=tuple(names), most=_MOST_ROWS, even=True)
    for row in table_rows(path, columns, "fold file", do="name the columns sample_id and fold"):
        fold = _fold_name(row.said("fold"))
        if in_thousands(fold):
            raise row.wrong("fold", "the number or name of a fold")
        if not fold:
            raise row.wrong("fold", "the number or name of a fold", do="give every sample a fold, or leave its row out")
        if fold_of.setdefault(row.text("sample_id"), fold) != fold:
            raise row.wrong("sample_id", "each sample in one fold", do="leave one of the rows of this sample")
    _prove_no_parts(set(fold_of.values()), f"fold file {path}", "number the folds")
    absent = [name for name in sample_ids if name not in fold_of]
    if absent:
        raise InputError(
            f"fold file {path}", expected="a row for every sample",
            found=f"no row for {absent[0]} ({len(absent)} samples are missing)", do="add the missing rows",
        )  # fmt: skip
    folds, part = np.unique([fold_of[name] for name in sample_ids], return_inverse=True)
    for person in np.unique(of):
        if len(np.unique(part[of == person])) > 1:
            raise InputError(
                f"fold file {path}", expected="all samples of a subject in the same fold",
                found=f"subject {person} in several folds", do="assign folds by subject",
            )  # fmt: skip
    return _of_parts(path.stem, part, folds.tolist())


def _prove_no_parts(names: Collection[str], asked: str, folds: str) -> None:
    """Raises InputError for names of parts, of which only one is to be tested: every fold is."""
    parts = sorted(name for name in names if _PART.fullmatch(name))
    if parts:
        raise InputError(
            asked, expected="folds, each of which is tested after training on all others",
            found="parts called " + ", ".join(parts),
            do=f"{folds}; to train on one part and test another once: miex train, then miex evaluate --model",
        )  # fmt: skip


def _fold_name(text: str) -> str:
    """The same for 2 and 2.0, which pandas writes."""
    try:
        number = whole(text)
    except ValueError:
        return text
    return "" if number is None else str(number)


def _of_parts(name: str, part: npt.NDArray[np.integer], names: Sequence[str]) -> Protocol:
    folds = [Fold(n, np.flatnonzero(part != i), np.flatnonzero(part == i)) for i, n in enumerate(names)]
    return Protocol(name, tuple(folds), _digest(folds))


def _digest(folds: Sequence[Fold]) -> str:
    digest = hashlib.sha256()
    for fold in folds:
        for side in (fold.train, fold.test):
            digest.update(np.array([len(side), *side], "<i8").tobytes())
    return digest.hexdigest()
