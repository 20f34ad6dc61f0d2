"""Pictures of AUs: what sources draw, what a set plays, and what is read off its frames again."""

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
    """What was drawn.

    Attributes:
        pictures: their files.
        recovered: per AU what came back of it, as JSON values; None where nothing was read again.
    """

    pictures: list[Path]
    recovered: dict[str, Any] | None = None


@checking(sources=SOURCES)
def pictures_of_sources(
    sources: Sequence[AUSource], out: PathLike, *, samples: int = 1000, seed: int = 0
) -> AUPictures:
    """Histograms and co-occurrence of what each source draws, and all side by side.

    Args:
        sources: where the AUs come from.
        out: folder for the pictures.
        samples: triplets drawn for each source and class.
        seed: of what is drawn.
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
    """The same for the AUs of a set or plan; and the AUs read off its frames, against those of the plan.

    Args:
        folder: of the set or plan.
        out: folder for the pictures.
        recovered: whether frames are read.
        pairs: how many pairs are.
        seed: of their choice.
        workers, landmarker, progress, say: as in `miex.synthesize`.

    Raises:
        InputError: no plan there; to read frames, a set that is not finished or whose frames are too small.
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
