"""AU sources named by corpus and path: pools, corpora from which AUs are extracted, annotation tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from miex.api.corpora import Clips, read
from miex.api.work import PathLike, Say, Stages, Workers, path, unsaid
from miex.arguments import PATH, TEXT, Kind, checking, many
from miex.corpora.people import corpus_key
from miex.errors import InputError, UsageError, one_of
from miex.generators.registry import generator_class
from miex.sources import AUSource, Pool, coded_mie, early_mae, expert, perturbed, read_pool, real_mie
from miex.sources.early_mae import ONSETS, parse_windows
from miex.sources.origin import ORIGINS

Named = Iterable[tuple[str, PathLike]]  # corpora: name and path of each


def _take_named(value: Any) -> Any:
    name, where = value
    return TEXT.take(name), PATH.take(where)


_NAMED = many(Kind("a name and a path", _take_named), "a list of corpora, each a name and a path")


@checking(real=_NAMED, early=_NAMED, coded=_NAMED, onset=TEXT)
def named_sources(
    *,
    real: Named = (),
    early: Named = (),
    coded: Named = (),
    table: str | None = None,
    mu: float = 0.1,
    nu: float = 0.3,
    origin: str | None = None,
    generator: str = "muscle",
    window: Sequence[str] = (),
    onset: str = "first",
    noise: float = 0,
    workers: Workers = 1,
    landmarker: PathLike | None = None,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> list[AUSource]:
    """The sources of a set, in the order real_mie, early_mae, coded_mie, expert.

    Args:
        real, early: corpora, each with the path of its pool (.parquet) or its folder; from a folder the embedded
            extractor reads the AUs, once, and keeps them in the user's cache.
        coded: corpora, each with the path of its annotation table.
        table: expert table; None: no expert source.
        origin: zero point of real AUs; None: the one that suits the generator.
        noise: largest random change of each AU that is on at the apex.
        mu, nu, window, onset: as in `miex.sources`.

    Raises:
        UsageError: there is no source at all, or a value is out of range.
        InputError: a pool or corpus cannot be read.
    """
    # muscle adds to the rest that the photo shows; generators trained on real AUs (GANimation) take them as they are
    start = one_of(origin or ("relative" if generator == "muscle" else "absolute"), ORIGINS, "`au_origin`")
    parse_windows(window)
    one_of(onset, ONSETS, "`early_onset`")

    def pools(given: Named, asked: str, kind: str) -> list[Pool]:
        return [
            _pool_file(name, path(where), asked) if path(where).suffix == ".parquet" else
            _pool_of(read(name, where), path(where), kind, workers, landmarker, progress, say)
            for name, where in given
        ]  # fmt: skip

    made: list[AUSource] = []
    sides = generator_class(generator).sides
    if real := list(real):
        made.append(real_mie(*pools(real, "real_mie", "micro"), origin=start))
    if early := list(early):
        made.append(early_mae(*pools(early, "early_mae", "macro"), origin=start, window=window, onset=onset))
    if coded := list(coded):
        made.append(coded_mie([clip for name, where in coded for clip in read(name, where)], mu=mu, nu=nu, sides=sides))
    if table is not None:
        made.append(expert(table, mu=mu, nu=nu, sides=sides))
    if not made:
        raise UsageError("no source of AUs", expected="at least one", do="name a source, such as `expert` micro-dfme")
    return [perturbed(source, noise) for source in made] if noise else made


def _pool_file(name: str, file: Path, asked: str) -> Pool:
    found = read_pool(file)
    corpora = {corpus_key(clip.corpus) for clip in found.clips}
    if corpus_key(name) not in corpora:
        raise UsageError(
            f"`{asked}` {name}={file}", expected=f"a pool of {name}", found=f"clips of {', '.join(map(str, corpora))}",
            do="give the name of the corpus that the pool was made from: the leak guard relies on it",
        )  # fmt: skip
    return found


def _pool_of(
    clips: Clips,
    where: Path,
    kind: str,
    workers: Workers,
    landmarker: PathLike | None,
    progress: Stages | None,
    say: Say,
) -> Pool:
    kept = clips.of([clip for clip in clips if clip.label is not None and clip.kind == kind])
    if not kept:
        raise InputError(
            f"corpus {clips.corpus} in {where}", expected=f"{kind}-expressions with a label", found="none",
            do="for a corpus of your own, its table says so in the columns kind and label",
        )  # fmt: skip
    return kept.extract(workers=workers, landmarker=landmarker, progress=progress, say=say).pool()
