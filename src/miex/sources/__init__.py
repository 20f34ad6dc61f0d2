"""AU sources: real_mie, early_mae, coded_mie and expert; and how an expression unfolds in time.

`miex.sources.expert()`, `real_mie(…)`, `early_mae(…)`, `coded_mie(…)` and `perturbed(…)` each make a source. Modules
of the same names are loaded first, so that each name here means the function.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from miex.arguments import PATH, TEXT, checking, instance_of, many
from miex.corpora.clip import Clip
from miex.errors import one_of
from miex.sources.coded_mie import CodedMiESource
from miex.sources.early_mae import ONSETS, EarlyMaESource, parse_windows
from miex.sources.expert import ExpertSource, load_table
from miex.sources.origin import ORIGINS
from miex.sources.pool import Pool, read_pool
from miex.sources.real_mie import RealMiESource
from miex.sources.source import AUSource, PerturbedSource

__all__ = ["AUSource", "Pool", "coded_mie", "early_mae", "expert", "perturbed", "read_pool", "real_mie"]

_POOL = PATH | instance_of("a pool", "miex.sources.pool:Pool")
_CLIPS = many(instance_of("a clip", "miex.corpora.clip:Clip"), "clips, as `miex.corpora.read` gives them")


@checking()
def expert(table: str | Path = "micro-dfme", *, mu: float = 0.1, nu: float = 0.3, sides: bool = True) -> ExpertSource:
    """AUs drawn as an expert table has them: the onset is zero, intensities are uniform.

    Args:
        table: micro-dfme, micro, dfme, du2014, du2014-compound, mie-x-code, or a TOML file.
        mu, nu: smallest and largest intensity.
        sides: whether the generator moves the sides of a face apart. If not, sets with an AU on one side alone are left
            out, and the others are as frequent among each other as in the table.

    Raises:
        UsageError: there is no such table, or not 0 < mu ≤ nu ≤ 1.
        InputError: the file is not an expert table.
    """
    return ExpertSource(load_table(str(Path(table).expanduser())), mu, nu, sides)


@checking(pools=_POOL)
def real_mie(*pools: Pool | str | Path, origin: str = "relative") -> RealMiESource:
    """AUs of the annotated onset and apex of real micro-expressions.

    Args:
        pools: AU pools of one or several corpora, or their files.
        origin: zero point of the AUs: relative (to the person's resting face) or absolute (as extracted).

    Raises:
        UsageError: another origin, or a corpus is in two pools.
        InputError: a file is not a pool.
    """
    return RealMiESource(_pools(pools), one_of(origin, ORIGINS, "`origin`"))


@checking(pools=_POOL, onset=TEXT)
def early_mae(
    *pools: Pool | str | Path, origin: str = "relative", window: Iterable[str] = (), onset: str = "first"
) -> EarlyMaESource:
    """AUs of an early frame of real macro-expressions.

    Args:
        pools, origin: as for `real_mie`.
        window: part of a clip from which the apex is drawn: paper (0.3 to 0.5 of its length), mie-x-code, or CORPUS=α:β
            for one corpus.
        onset: first (frame of the clip), or rest (the person's resting face), for clips that begin mid-expression.

    Raises:
        UsageError: another origin, window or onset, or a corpus is in two pools.
        InputError: a file is not a pool.
    """
    windows, start = parse_windows(window), one_of(onset, ONSETS, "`onset`")
    return EarlyMaESource(_pools(pools), one_of(origin, ORIGINS, "`origin`"), windows, start)


@checking(clips=_CLIPS)
def coded_mie(clips: Iterable[Clip], *, mu: float = 0.1, nu: float = 0.3, sides: bool = True) -> CodedMiESource:
    """AUs that human coders noted in micro-expressions, on the side that they noted: the onset is zero, intensities are
    drawn.

    Args:
        clips: clips of one or several corpora, from `miex.corpora.read`; frames are not needed.
        mu, nu: smallest and largest intensity of AUs that were coded without an intensity letter.
        sides: whether the generator moves the sides of a face apart. If not, clips with an AU on one side alone are
            left out.

    Raises:
        UsageError: not 0 < mu ≤ nu ≤ 1.
    """
    return CodedMiESource(tuple(clips), mu=mu, nu=nu, sides=sides)


@checking(source=instance_of("a source of AUs", "miex.sources.source:AUSource"))
def perturbed(source: AUSource, amount: float) -> PerturbedSource:
    """A source whose apexes vary at random: each AU that is on changes by up to `amount`.

    Raises:
        UsageError: not 0 < amount ≤ 1.
    """
    return PerturbedSource(source, amount)


def _pools(pools: Iterable[Pool | str | Path]) -> tuple[Pool, ...]:
    return tuple(pool if isinstance(pool, Pool) else read_pool(Path(pool).expanduser()) for pool in pools)
