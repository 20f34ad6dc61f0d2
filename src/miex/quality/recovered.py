"""What comes back of a set's own AUs when they are read off its frames: the measure of AUs realized."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from miex.aus.vector import AU_NUMBERS, AUArray
from miex.dataset import open as open_set
from miex.dataset.choose import choose
from miex.errors import UsageError
from miex.executors.base import Executor, Progress, silent
from miex.executors.local import one_thread
from miex.extraction.flow import SIZE, EmbeddedExtractor
from miex.faces.landmarks import Landmarker
from miex.images import Image
from miex.nuisances.apply import shown_aus
from miex.quality.recovery import Recovery, recovery

_PAIRS_PER_TASK = 8


def recovered_aus(
    folder: Path, extractor: EmbeddedExtractor, *, n: int = 300, seed: int = 0, executor: Executor,
    progress: Progress = silent,
) -> tuple[Recovery, AUArray, AUArray]:  # fmt: skip
    """Read the AUs of a set's apex frames against their onset frames, and compare.

    Args:
        folder: a finished set of frames of at least 256 px.
        extractor: what reads them.
        n: how many samples, chosen as those of the gallery.
        seed: of the choice.
        executor: where the work is done.
        progress: called with pairs done and pairs in all.

    Returns:
        The comparison, and what it compares: known changes (apex − onset) and what was read, float32 [n, 17] each, in
        the order of the plan.

    Raises:
        UsageError: smaller frames, or too few samples.
    """
    dataset = open_set(folder)
    size = dataset.record["settings"]["size"]
    if size < SIZE:
        raise UsageError(
            f"recovered AUs of {folder}", expected=f"frames of at least {SIZE} px", found=f"{size} px",
            do=f"make a set with --size {SIZE}: below, the motion drowns in noise",
        )  # fmt: skip
    rows = choose(dataset.table, n, seed)
    tasks = [(folder, rows[i : i + _PAIRS_PER_TASK], extractor) for i in range(0, len(rows), _PAIRS_PER_TASK)]
    found: dict[int, tuple[AUArray, AUArray]] = {}
    for part in executor.map(_read, tasks):
        found |= part
        progress(len(found), len(rows), "")
    known, read = (np.stack([found[row][k] for row in rows]) for k in (0, 1))
    return recovery(known, read), known, read


def _read(task: tuple[Path, list[int], EmbeddedExtractor]) -> dict[int, Any]:
    folder, rows, extractor = task
    dataset = open_set(folder)
    found = {}
    with one_thread(), Landmarker(extractor.model) as landmarker:
        for i in rows:
            row = dataset.table.slice(i, 1).to_pylist()[0]
            shown = shown_aus(row)[[0, row["apex"]]]  # with the nuisances
            read = read_change(extractor, landmarker, dataset.pair(i))
            found[i] = ((shown[1] - shown[0]).mean(-1), read)
    return found


def read_change(
    extractor: EmbeddedExtractor, landmarker: Landmarker, pair: tuple[Image, Image], rest: Image | None = None
) -> AUArray:
    """AUs read off a pair, apex − onset, float32 [17]; NaN where no face is found.

    Both frames are read against the rest crop: intensities that are read are never negative, so against the onset an
    AU that fades could not be seen. Without a rest crop the onset stands for it.
    """
    neutral, onset, apex = extractor.aus_of([pair[0] if rest is None else rest, *pair], landmarker)
    return np.asarray(apex - onset if np.isfinite(neutral).all() else np.full_like(apex, np.nan), np.float32)


def describe_recovery(found: Recovery) -> dict[str, object]:
    """The numbers of a comparison as JSON values: for each AU slope, correlation, and what it is most taken for."""
    aus = {}
    for i, au in enumerate(AU_NUMBERS):
        if not np.isfinite(found.slope[i]):
            continue
        others = np.abs(np.delete(found.crosstalk[i], i))
        most = int(np.argmax(others))
        aus[str(au)] = {
            "pairs": int(found.pairs[i]),
            "slope": round(float(found.slope[i]), 3),
            "correlation": round(float(found.correlation[i]), 3),
            "false_alarm": round(float(found.false_alarm[i]), 4),
            "most_taken_for": AU_NUMBERS[most + (most >= i)],
            "crosstalk": round(float(others[most]), 3),
        }
    return {"pairs": found.n, "aus": aus}
