"""Identify people across real corpora: one name per corpus, one spelling per subject, and corpora that share people."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

# The name that stands for each corpus, and other ways it is written. Blanks and signs do not count, nor do the names of
# parts and releases at the end: SAMM and SAMM Long Videos, SMIC-HS and SMIC-E-VIS film the same people under the same
# codes.
CORPORA: dict[str, tuple[str, ...]] = {
    "casme": ("casme1", "casmei"),
    "casme2": ("casmeii",),
    "casme_sq": ("casmesquared",),  # CAS(ME)²
    "casme3": ("casmeiii",),  # CAS(ME)³
    "samm": (),
    "smic": (),
    "mmew": (),
    "4dme": (),
    "ckplus": ("ck", "ck+", "cohnkanade"),
    "oulu_casia": ("oulu",),
    "ravdess": (),
    "disfa": ("disfa+",),
    "bp4d": ("bp4d+",),
    "mmi": (),
    "cremad": (),
}
# One laboratory filmed these over the years and numbered its subjects anew each time: a person may be in several. The
# first is the Institute of Psychology of the Chinese Academy of Sciences, the second the University of Oulu.
LABS: tuple[frozenset[str], ...] = (
    frozenset({"casme", "casme2", "casme_sq", "casme3"}),
    frozenset({"smic", "4dme", "oulu_casia"}),
)
# Participants 1, 2, … of the table of CAS(ME)², by the numbers of their folders (s15, s16, …).
CASME_SQ_FOLDERS = (15, 16, *range(19, 28), *range(29, 39), 40)
Person = tuple[str, str]

_PARTS = re.compile(r"(micro|macro|part|long|videos?|lv|raw|selected|cropped|hs|vis|nir|[ace])*")
_UNKNOWN = frozenset({"", "unknown", "none", "null", "nan", "na"})
# What may stand before the number of a subject; after other words (EP01, img1) it is the number of a clip or file.
_WORDS = "subject|subj|sub|spno|sp|sn|s|person|participant|actor|p|number|no|nr|id|f|m"
_ONE_NUMBER = re.compile(rf"[\W_]*(?P<words>(?:(?:{_WORDS})[\W_]*){{0,2}})(?P<number>[0-9]+)[\W_]*")
_POWER = re.compile(r"cas(?:\(me\)\W*|me\s*\^\s*)([23])(?!\d)")  # CAS(ME)^2 and CASME^2, which are not CASME 2


def _folded(text: str) -> str:
    return re.sub(r"[\W_]", "", text)


_NAMES = {_folded(name): corpus for corpus, others in CORPORA.items() for name in (corpus, *others)}


def _plain(name: object) -> str:
    raised = str(name).replace("²", "^2").replace("³", "^3")
    return unicodedata.normalize("NFKC", raised).strip().lower()


def corpus_key(name: object) -> str | None:
    """The corpus of that name as CORPORA names it: `CASME II`, `casme-2` → casme2; `CAS(ME)²` → casme_sq.

    Returns:
        A name that is not in CORPORA in lower case, letters and digits alone. None where nothing is named: None, an
        empty text, "unknown", "?", "nan".
    """
    text = _plain(name)
    power = _POWER.match(text)
    if power:
        return {"2": "casme_sq", "3": "casme3"}[power[1]]
    folded = _folded(text)
    if folded in _UNKNOWN:
        return None
    ends = (end for end in range(len(folded), 0, -1) if folded[:end] in _NAMES and _PARTS.fullmatch(folded[end:]))
    end = next(ends, None)
    return folded if end is None else _NAMES[folded[:end]]


def subject_key(subject: object) -> str | None:
    """One spelling for a subject, whatever its corpus: `sub01`, `s1`, `S01`, `006` and 6, `6.0`, `spNO.6` → "6".

    The numbers of a code are the subject; only codes without a number keep their letters. People whose codes differ in
    letters alone (`F01`, `M01`) fall together: a guard then refuses too much, never too little.

    Returns:
        None where nobody is named: None, an empty text, "unknown", "?", "nan".
    """
    text = _subject_text(subject)
    if _folded(text) in _UNKNOWN:
        return None
    numbers = [number.lstrip("0") or "0" for number in re.findall(r"\d+", text)]
    return "-".join(numbers) or _folded(text)


def person_key(corpus: object, subject: object) -> Person | None:
    """The person of that subject code in a corpus, the same in any spelling: CASME II and `casme2_sub01` → casme2, "1".

    In a corpus of CORPORA every subject has one number, so that a code must be one number: alone, after a word for
    subjects (`sub`, `S`, `spNO.`), or after the corpus' own name. Anything else, such as the code of a clip (`006_1_2`,
    `s1_ne_01`, `EP01`), does not say who it is. In BP4D the letter belongs to the subject: F001 is not M001.

    CAS(ME)² has two numberings: its table counts participants 1 to 22, its folders are called s15 to s40. Both give the
    name of the folder; 15 to 22 without the letter s may be either, and do not say who it is.

    In other corpora the subject is the whole of what follows the corpus' name, in lower case, whatever signs and zeros
    stand in it: `A 01`, `a_1` → "a-1", which is not "b-1".

    Returns:
        Corpus and subject as keys; None where corpus or subject is not named, or the subject is not one person's code.
    """
    key = corpus_key(corpus)
    return None if key is None else _person(key, _subject_text(subject))


@lru_cache(maxsize=1 << 14)
def _person(corpus: str, text: str) -> Person | None:
    known = corpus in CORPORA
    for end in range(len(text), 0, -1):
        if text[end - 1 : end + 1].isdigit() and end < len(text):
            continue  # within a number
        named = corpus_key(text[:end])
        if named == corpus or (known and named in CORPORA):
            if named != corpus:
                return None  # the code of another corpus
            text = text[end:]
            break
    if not known:
        if _folded(text) in _UNKNOWN:
            return None
        return corpus, "-".join(part.lstrip("0") or "0" for part in re.findall(r"\d+|[^\W\d_]+", text))
    found = _ONE_NUMBER.fullmatch(text)
    if found is None:
        return None
    words, number = _folded(found["words"]), found["number"].lstrip("0") or "0"
    if corpus == "bp4d":
        return (corpus, words[-1] + number) if words[-1:] in ("f", "m") else None
    if corpus == "casme_sq":
        folder = _folder_of_casme_sq(words, int(number))
        return None if folder is None else (corpus, f"s{folder}")
    return corpus, number


def _folder_of_casme_sq(words: str, number: int) -> int | None:
    """The folder of a participant of CAS(ME)²; None where it may be of either numbering, or there is none."""
    if number < CASME_SQ_FOLDERS[0]:
        return CASME_SQ_FOLDERS[number - 1] if number else None
    ambiguous = number <= len(CASME_SQ_FOLDERS) and words != "s"
    return number if number in CASME_SQ_FOLDERS and not ambiguous else None


def photographed(folders: Iterable[str], file: str, stated: str | None = None) -> tuple[str, str | None] | None:
    """The person of a corpus that a photo says it shows: by what its list states, its folders, or its file's name.

    Args:
        folders: the names of its folders, outermost first: `CASME2-RAW`, `sub01`, `EP02_01f`.
        file: its own name, which may begin with that of the corpus: `casme2_sub01.jpg`.
        stated: the person that a list beside it states: `casme2/sub01`, or `sub01` in a folder of the corpus.

    Returns:
        Corpus and subject as keys, the subject None where only the corpus is known, or the list contradicts the folders
        or the name; None if no corpus of CORPORA is named.
    """
    corpus, subject = None, None
    for folder in folders:
        if (named := corpus_key(folder)) in CORPORA:
            corpus, subject = named, None
        elif corpus is not None and subject is None and (found := person_key(corpus, folder)):
            subject = found[1]
    if own := _beginning_with_corpus(file.rpartition(".")[0]):
        corpus, subject = own
    if not stated:
        return None if corpus is None else (corpus, subject)
    said = _beginning_with_corpus(stated)
    if corpus is None:
        return said
    if said is None:
        found = person_key(corpus, stated)
        said = corpus, found and found[1]
    if subject is None and said[0] == corpus:
        return said
    return corpus, subject if said == (corpus, subject) else None


def _beginning_with_corpus(text: str) -> tuple[str, str | None] | None:
    """Corpus and subject of a text that begins with the name of a corpus of CORPORA; None if it does not."""
    beginnings = (text[: at.start()] for at in re.finditer(r"[\W_]|$", text))
    corpora = [named for start in beginnings if (named := corpus_key(start)) in CORPORA]
    if not corpora:
        return None
    found = person_key(corpora[-1], text)
    return str(corpora[-1]), found and found[1]


def _subject_text(subject: object) -> str:
    return re.sub(r"(?<=\d)\.0+$", "", _plain(subject))


def same_lab(a: str, b: str) -> bool:
    """Whether two corpora, as `corpus_key` names them, are different ones whose laboratory may have filmed the same
    people for both."""
    return a != b and any(a in lab and b in lab for lab in LABS)
