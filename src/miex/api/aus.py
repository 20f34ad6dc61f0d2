"""Plots of AUs: those that sources draw, those of a set, and those read from its frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miex.api.work import SOURCES, PathLike, Say, Stages, Workers, embedded_extractor, executor, path, stage, unsaid
from miex.arguments import checking

if TYPE_CHECKING:
    from miex.sources.source import AUSource


@dataclass(frozen=True)
class AUPictures:
    """The plots that were written.

    Attributes:
        pictures: their files.
        recovered: for each AU, how well it was recovered from the frames, as JSON values; None if no frames were read.
    """

    pictures: list[Path]
    recovered: dict[str, Any] | None = None


@checking(sources=SOURCES)
def pictures_of_sources(
    sources: Sequence[AUSource], out: PathLike, *, samples: int = 1000, seed: int = 0
) -> AUPictures:
    """Plot histograms and co-occurrence of the AUs of each source, and all sources side by side.

    Args:
        sources: where the AUs come from.
        out: folder for the pictures.
        samples: number of AU triplets drawn per source and class.
        seed: random seed of the draws.
    """
    from miex.report.au_drawn import drawn_triplets, write_pictures

    return AUPictures(write_pictures({s.name: drawn_triplets(s, samples, seed) for s in sources}, path(out)))


@checking()
def pictures_of_set(
    folder: PathLike,
    out: PathLike,
    *,
    recovered: bool = False,
    pairs: int = 300,
    seed: int = 0,
    workers: Workers = 1,
    landmarker: PathLike | None = None,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> AUPictures:
    """Plot the AUs of a set or plan, and compare those read from its frames with those of the plan.

    Args:
        folder: folder of the set or plan.
        out: folder for the plots.
        recovered: whether to read AUs from frames.
        pairs: number of pairs to read.
        seed: random seed of the choice of pairs.
        workers, landmarker, progress, say: as in `miex.synthesize`.

    Raises:
        InputError: the folder holds no plan; or, with `recovered`, the set is not finished or its frames are too small.
    """
    from miex.report.au_drawn import planned_triplets, write_pictures

    work = executor(workers)
    written = write_pictures(planned_triplets(path(folder)), path(out))
    if not recovered:
        return AUPictures(written)
    from miex.figures import write_picture
    from miex.quality.recovery import describe_recovery, recovered_aus
    from miex.report.au_pictures import recovery_picture

    found, known, read = recovered_aus(
        path(folder), embedded_extractor(landmarker, say), n=pairs, seed=seed, executor=work,
        progress=stage(progress, "reading AUs of pairs"),
    )  # fmt: skip
    picture = path(out) / "recovered.png"
    write_picture(recovery_picture(found, known, read, f"AUs read off {path(folder).resolve().name}"), picture)
    return AUPictures([*written, picture], describe_recovery(found))
