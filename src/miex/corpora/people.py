"""Identify people across real corpora: one name per corpus, one spelling per subject, and corpora that share people."""

from __future__ import annotations

import re
import unicodedata

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
# One laboratory filmed these over the years and numbered its subjects anew each time: a person may be in several.
LABS: tuple[frozenset[str], ...] = (frozenset({"casme", "casme2", "casme_sq", "casme3"}),)

_PARTS = re.compile(r"(micro|macro|part|long|videos?|lv|raw|selected|cropped|hs|vis|nir|[ace])*")
_UNKNOWN = frozenset({"", "unknown", "none", "null", "nan", "na"})
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
    """One spelling for a subject within a corpus: `sub01`, `s1`, `S01`, `006` and 6, `6.0`, `spNO.6` → "6".

    The numbers of a code are the subject; only codes without a number keep their letters. People whose codes differ in
    letters alone (`F01`, `M01`) fall together: a guard then refuses too much, never too little.

    Returns:
        None where nobody is named: None, an empty text, "unknown", "?", "nan".
    """
    text = re.sub(r"(?<=\d)\.0+$", "", _plain(subject))
    if _folded(text) in _UNKNOWN:
        return None
    numbers = [number.lstrip("0") or "0" for number in re.findall(r"\d+", text)]
    return "-".join(numbers) or _folded(text)


def same_lab(a: str, b: str) -> bool:
    """Whether two corpora, as `corpus_key` names them, are different ones whose laboratory may have filmed the same
    people for both."""
    return a != b and any(a in lab and b in lab for lab in LABS)
