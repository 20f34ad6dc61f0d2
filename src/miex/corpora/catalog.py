"""Every corpus by its name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from miex.corpora.corpus import Corpus, Reading
from miex.errors import UsageError


@lru_cache(maxsize=1)
def corpora() -> dict[str, Corpus]:
    """Every corpus by its name, in the order in which they are listed."""
    from miex.corpora.readers.casme import Casme
    from miex.corpora.readers.casme2 import Casme2
    from miex.corpora.readers.casme3 import Casme3A, Casme3AMacro, Casme3C, Casme3CMacro
    from miex.corpora.readers.casme_sq import CasmeSq
    from miex.corpora.readers.ckplus import CKPlus
    from miex.corpora.readers.compmie import CompMiE
    from miex.corpora.readers.fourdme import FourDME
    from miex.corpora.readers.mmew import Mmew, MmewMacro
    from miex.corpora.readers.oulu_casia import OuluCasia
    from miex.corpora.readers.plain import Plain
    from miex.corpora.readers.samm import Samm, SammLong
    from miex.corpora.readers.smic import Smic, SmicE, SmicENir, SmicEVis, SmicNir, SmicVis

    kinds: tuple[type[Corpus], ...] = (
        CompMiE, Casme, Casme2, Samm, SammLong, Smic, SmicVis, SmicNir, SmicE, SmicEVis, SmicENir, Mmew, MmewMacro,
        CasmeSq, Casme3A, Casme3AMacro, Casme3C, Casme3CMacro, FourDME, CKPlus, OuluCasia, Plain,
    )  # fmt: skip
    return {kind.name: kind() for kind in kinds}


def corpus_named(name: str) -> Corpus:
    """The corpus of that name. Raises UsageError for an unknown one."""
    try:
        return corpora()[name.strip().lower()]
    except KeyError:
        raise UsageError(
            f"corpus {name!r}", expected="one of " + ", ".join(corpora()), do="a set of your own: plain"
        ) from None


def read(name: str, path: Path | str, **options: Any) -> Reading:
    """The clips of a corpus; options as in `Corpus.read`."""
    return corpus_named(name).read(path, **options)
