"""Find a corpus by its name, or a corpus of your own by its path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from miex.corpora.corpus import Corpus, Reading
from miex.corpora.folders import files_below
from miex.corpora.mappings import OWN
from miex.errors import InputError, UsageError
from miex.plugins import Registry
from miex.tables.table import Sheet, read_sheets

ADDED = Registry("corpus", "miex.corpora", {}, base="miex.corpora.corpus:Corpus")  # of installed packages


@lru_cache(maxsize=1)
def corpora() -> dict[str, Corpus]:
    """Every corpus by its name, in the order in which they are listed; those of installed packages come last."""
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
    known = {kind.name: kind() for kind in kinds}
    for name in ADDED.names():
        with suppress(InputError):  # asking for it by name says why; other corpora are not affected
            known.setdefault(name, ADDED.make(name))
    return known


def corpus_named(name: str) -> Corpus:
    """The corpus of that name. Raises UsageError for an unknown one, InputError for that of a broken package."""
    known = _known(name)
    if known is None:
        raise UsageError(
            f"corpus {name!r}",
            expected="one of " + ", ".join(corpora()),
            do="check the spelling; a corpus of your own is read as plain",
        )
    return known


def _known(name: str) -> Corpus | None:
    """The corpus of that name, if there is one. Raises InputError where its package is broken."""
    name = name.strip().lower()
    if name not in corpora() and name in ADDED.names():
        ADDED.make(name)
    return corpora().get(name)


def corpus_at(name: str, path: Path | str) -> Corpus:
    """The reader for the corpus of that name at that path.

    A table with the columns of `readers.plain` is read as a corpus of your own, whatever the name. If no known corpus
    has the name, so is any other file, and a folder with clips.csv.

    Raises:
        UsageError: no corpus has that name, and the path holds none of your own.
    """
    from miex.corpora.readers.plain import Plain

    path, own = Path(path), Plain(name)
    known = _known(name)
    if path.is_file() and own.is_table(path):
        return own
    if known is not None:
        return known
    if path.is_file() or (path / own.fake_table).is_file():
        return own
    raise UsageError(
        f"corpus {name!r}",
        expected=f"one of {', '.join(corpora())}; or for a corpus of your own, its table or a folder with clips.csv",
        found=f"no such table: {path}",
        do="check the name and the path, or write a clips.csv with columns subject, clip and emotion",
    )


def read(name: str, path: Path | str, **options: Any) -> Reading:
    """The clips of a corpus.

    Args:
        name: as `miex corpora list` prints it, or any other for a corpus of your own (see `corpus_at`).
        path: its folder, or its table alone.
        options: as in `Corpus.read`.

    Raises:
        UsageError: no corpus of that name.
        InputError: what lies there is not that corpus. If it is another one that miex knows, this is said.
    """
    corpus = corpus_at(name, path)
    with recognizing(corpus, Path(path), options.get("table")):
        return corpus.read(path, **options)


@contextmanager
def recognizing(corpus: Corpus, path: Path, table: Path | str | None = None) -> Iterator[None]:
    """While a corpus is read: if it is another one that lies there, the error names it.

    Raises:
        InputError: the table has the name, or the columns and clips, of another corpus' table; or, in place of another
            InputError, the folders are those of another corpus.
    """
    there = Path(table) if table else next(iter(corpus.find_tables(path)), path)
    # of what cannot be read no corpus needs to be asked
    sheets = _opened(there) if there.is_file() and corpus.name != OWN else []
    if corpus.tables and sheets and not corpus.named_as_table([there]):
        for other in _others(corpus):
            if other.named_as_table([there]):
                raise _wrong(corpus, other, there)
    # rows that cannot be read need not be raised
    if corpus.tables and sheets and not corpus.is_table(there, sheets) and (theirs := _theirs(corpus, there, sheets)):
        raise _wrong(corpus, theirs, there)
    try:
        yield
    except InputError as error:
        theirs = _theirs(corpus, there, sheets) if there.is_file() else _folders(corpus, path)
        if theirs is None:
            raise
        raise _wrong(corpus, theirs, there if there.is_file() else path) from error


def _opened(table: Path) -> list[Sheet]:
    try:
        return read_sheets(table)
    except InputError:  # reading says it
        return []


def _others(corpus: Corpus) -> list[Corpus]:
    return [other for other in corpora().values() if other.name not in (corpus.name, "compmie", OWN)]


def _theirs(corpus: Corpus, table: Path, sheets: Sequence[Sheet]) -> Corpus | None:
    """The corpus whose table it is."""
    likely = (other for other in _others(corpus) if other.is_table(table, sheets))
    return next((other for other in likely if _reads(other, table)), None)


def _reads(corpus: Corpus, table: Path) -> bool:
    try:
        return not corpus.read(table, on_error="collect").problems
    except InputError:
        return False


def _folders(corpus: Corpus, path: Path) -> Corpus | None:
    """The corpus whose folders these are."""
    if corpus.name == OWN or not path.is_dir():
        return None
    return next((other for other in _others(corpus) if _lies_in(path, other)), None)


def _lies_in(path: Path, corpus: Corpus) -> bool:
    return bool(corpus.named_as_table(files_below(path)) if corpus.tables else corpus.trees(path, ()))


def _wrong(asked: Corpus, found: Corpus, where: Path) -> InputError:
    return InputError(
        f"{asked.title} in {where}", expected=f"{asked.title}'s", found=f"this is {found.title}'s",
        do=f"read it as {found.name}, or give the path of {asked.title}",
    )  # fmt: skip
