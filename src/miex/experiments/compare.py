"""Two sets side by side, sample by sample where they share samples: motion, AUs, sharpness, likeness to the face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_NUMBERS
from miex.dataset import Dataset
from miex.dataset.choose import choose
from miex.errors import UsageError
from miex.evaluation.significance import Interval, bootstrap_mean
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.executors.local import one_thread
from miex.images import gray
from miex.quality.identity import distances_of
from miex.quality.measured import Measured, measure
from miex.quality.recovery import Recovery, recovery
from miex.recognition.inputs.crops import MIDDLE
from miex.recognition.inputs.flow import optical_flow
from miex.recognition.places import stored_layout

_PAIRS_PER_TASK = 16
# Columns of samples.parquet that say how far the AUs moved the skin and how much the picture changed.
_STORED = {
    "motion_mean_iod": ("motion of the AUs, mean over the face", "% of inter-ocular distance", 100.0),
    "motion_p95_iod": ("motion of the AUs, 95th percentile", "% of inter-ocular distance", 100.0),
    "psnr": ("PSNR of the gray pair", "dB", 1.0),
    "ssim": ("SSIM of the gray pair", "", 1.0),
}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """One measure of two sets.

    Attributes:
        name, unit: what it is.
        n: samples of each set; where samples are shared, the same ones.
        a, b: means.
        difference: b − a, with its 95 % interval and p that it is 0, by a bootstrap over photos.
    """

    name: str
    unit: str
    n: tuple[int, int]
    a: float
    b: float
    difference: Interval


@dataclass(frozen=True, eq=False)
class Comparison:
    """What was measured.

    Attributes:
        shared: samples that both sets have, by id; below 2 nothing is paired.
        only: samples that only the one and only the other has.
        same_aus: shared samples whose planned AUs are the same at onset and apex.
        measures: the measures.
        direction: of shared samples that were looked at, the cosine between the flow in one set and in the other:
            mean and 95 % interval over photos; None where none is shared.
        aus: AUs read off the frames against those that the frames were made with, for each set; None where there are
            too few samples, or no landmark model.
        notes: what was left out, and why: sentences.
    """

    shared: int
    only: tuple[int, int]
    same_aus: int
    measures: Sequence[Measure]
    direction: Interval | None
    aus: tuple[Recovery | None, Recovery | None]
    notes: Sequence[str] = field(default=())

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "shared": self.shared, "only": list(self.only), "same_aus": self.same_aus,
            "measures": [{**vars(one), "difference": vars(one.difference)} for one in self.measures],
            "direction": None if self.direction is None else vars(self.direction),
            "aus": {f"AU{AU_NUMBERS[i]}": numbers for i, numbers in self.read_aus().items()},
            "notes": list(self.notes),
        }  # fmt: skip

    def read_aus(self) -> dict[int, list[tuple[int, float, float] | None]]:
        """Of each AU, by its place among the 17, that can be judged: pairs, slope, correlation in one set and in the
        other; None where it cannot be judged there."""

        def of(found: Recovery | None, i: int) -> tuple[int, float, float] | None:
            if found is None or not np.isfinite(found.slope[i]):
                return None
            return int(found.pairs[i]), round(float(found.slope[i]), 4), round(float(found.correlation[i]), 4)

        rows = {i: [of(found, i) for found in self.aus] for i in range(len(AU_NUMBERS))}
        return {i: both for i, both in rows.items() if any(both)}


def compare_sets(
    a: Dataset, b: Dataset, *, n: int = 200, seed: int = 0, model: Path | None, sface: Path | None,
    faces_root: Path | None = None, executor: Executor = IN_PROCESS,
    progress: Callable[[str], Progress] = lambda name: silent,
) -> Comparison:  # fmt: skip
    """Compare two sets. Samples of the same id are compared with each other; where there are none, sets as wholes.

    Args:
        a, b: finished sets.
        n: samples whose frames are looked at, chosen as those of the gallery; the stored measures are of all.
        seed: of the choice.
        model: file of the landmark model; None: AUs and likeness are left out.
        sface: file of the SFace model; None: likeness is measured by the shape of the mesh alone.
        faces_root: folder that the photos' paths are relative to; default: where each plan found them.
        executor: where the work is done.
        progress: called with a stage's name, gives its progress.

    Raises:
        UsageError: fewer than 2 samples to look at.
        InputError: a damaged set.
    """
    if min(n, len(a), len(b)) < 2:
        raise UsageError(f"`n` {n} of sets of {len(a)} and {len(b)} samples", expected="at least 2 samples of each")
    both = in_both(a, b)
    shared = len(both[0])
    paired = shared > 1  # one pair says nothing of a spread
    whole = both if paired else (a, b)
    notes = [] if paired else ["The sets share no samples: they are compared as wholes, not sample by sample."]
    if paired:
        rows = choose(whole[0].table, n, seed)
        some = whole[0][rows], whole[1][rows]
    else:
        some = a[choose(a.table, n, seed)], b[choose(b.table, n, seed)]
    if (drawn := _drawn(some)) != "photo":
        each = {"identity": "virtual identities", "sample_id": "samples"}[drawn]
        notes.append(f"All faces are of one photo: intervals are over its {each} and say nothing of other people.")
    table = _Measures(notes)
    _stored(whole, paired, table)
    flows = [
        _flows(one, executor, progress(f"flow of {name}")) for one, name in zip(some, ("one", "other"), strict=True)
    ]
    lengths = [np.linalg.norm(flow, axis=-1).mean((1, 2)) for flow in flows]
    table.add(
        "motion seen by optical flow, mean", f"px of a {MIDDLE.rows} × {MIDDLE.columns} crop", lengths, some, paired
    )
    direction = None
    if paired:
        direction = bootstrap_mean(_cosines(*flows), some[0].table[_drawn(some)].to_pylist())
    looked: list[list[Measured]] = []
    for one, name in zip(some, ("one", "other"), strict=True):
        root = faces_root or Path(one.record["faces_root"])
        looked.append(
            measure(
                one, model=model, sface=sface, faces_root=root, executor=executor, progress=progress(f"AUs of {name}")
            )
        )
    _seen(looked, some, paired, table)
    if model is None:
        notes.append("AUs and likeness were not measured: no landmark model was at hand (miex doctor --fetch).")
    else:
        if sface is None:
            notes.append("Likeness was measured by shape alone: no SFace model was at hand (miex doctor --fetch).")
        _faces(looked, some, paired, table)
    aus = [_recovered(one) for one in looked] if model is not None else [None, None]
    return Comparison(
        shared, (len(a) - shared, len(b) - shared), _same_aus(*whole) if paired else 0, table.rows, direction,
        (aus[0], aus[1]), tuple(notes),
    )  # fmt: skip


def in_both(a: Dataset, b: Dataset) -> tuple[Dataset, Dataset]:
    """The samples that both sets have, by id, in the order of the first."""
    place = {name: i for i, name in enumerate(b.table["sample_id"].to_pylist())}
    ids = a.table["sample_id"].to_pylist()
    left = [i for i, name in enumerate(ids) if name in place]
    return a[left], b[[place[ids[i]] for i in left]]


def _drawn(samples: Sequence[Dataset]) -> str:
    """Whose samples belong together when a bootstrap draws: those of a photo; where there is one, of an identity …."""
    columns = ("photo", "identity", "sample_id")
    return next(name for name in columns if all(len(one.table[name].unique()) > 1 for one in samples))


def _same_aus(a: Dataset, b: Dataset) -> int:
    both = zip(a.table.select(["aus", "apex"]).to_pylist(), b.table.select(["aus", "apex"]).to_pylist(), strict=True)
    ends = ([[row["aus"][i] for i in (0, row["apex"])] for row in rows] for rows in both)
    return sum(one == other for one, other in ends)


@dataclass
class _Measures:
    """The measures as they come; what cannot be compared becomes a note."""

    notes: list[str]
    rows: list[Measure] = field(default_factory=list)

    def add(
        self, name: str, unit: str, values: Sequence[npt.ArrayLike], samples: tuple[Dataset, Dataset], paired: bool
    ) -> None:
        """Compare two arrays of values, one of each sample; NaN where it could not be taken."""
        a, b = (np.asarray(one, np.float64) for one in values)
        taken = np.isfinite(a), np.isfinite(b)
        keep = [taken[0] & taken[1]] * 2 if paired else list(taken)
        left = samples[0][keep[0]], samples[1][keep[1]]
        if min(map(len, left)) < 2:
            self.notes.append(f"Not compared, for fewer than two samples have it: {name}.")
            return
        groups = [one.table[_drawn(left)].to_pylist() for one in left]
        a, b = a[keep[0]], b[keep[1]]
        against = None if paired else (a, groups[0])
        difference = bootstrap_mean(b - a if paired else b, groups[1], against=against)
        self.rows.append(Measure(name, unit, (len(a), len(b)), float(a.mean()), float(b.mean()), difference))


def _stored(whole: tuple[Dataset, Dataset], paired: bool, table: _Measures) -> None:
    """Measures that the sets hold of all their samples."""
    ways = [set(one.table["motion_from"].to_pylist()) for one in whole]
    comparable = ways[0] == ways[1]
    if not comparable:
        table.notes.append(
            "Motion of the AUs was not compared: one set has it from its generator's displacement, the other from "
            "optical flow."
        )
    for column, (name, unit, times) in _STORED.items():
        if column.startswith("motion") and not comparable:
            continue
        values = [np.asarray(one.table[column].to_numpy(zero_copy_only=False), np.float64) * times for one in whole]
        table.add(name, unit, values, whole, paired)


def _flows(samples: Dataset, executor: Executor, progress: Progress) -> npt.NDArray[np.float32]:
    """Optical flow of each pair in the crop in which flow recognizers are tested, averaged over 5 × 5 px: float32
    [n, rows, columns, 2], px of the crop."""
    starts = range(0, len(samples), _PAIRS_PER_TASK)
    found: dict[int, npt.NDArray[np.float32]] = {}
    for first, flows in executor.map(_flow, [(i, samples[i : i + _PAIRS_PER_TASK]) for i in starts]):
        found[first] = flows
        progress(min(len(samples), len(found) * _PAIRS_PER_TASK), len(samples), "")
    return np.concatenate([found[i] for i in starts])


def _flow(task: tuple[int, Dataset]) -> tuple[int, npt.NDArray[np.float32]]:
    first, samples = task
    layout, flows = stored_layout(samples), []
    with one_thread():
        for i in range(len(samples)):
            onset, apex = (MIDDLE.cut(gray(frame), layout) for frame in samples.pair(i))
            small = MIDDLE.columns // 5, MIDDLE.rows // 5
            flows.append(cv2.resize(optical_flow(onset, apex), small, interpolation=cv2.INTER_AREA))
    return first, np.stack(flows)


def _cosines(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> Floats:
    """The cosine between two flows of each sample, [n]; 0 where one of them is still."""
    x, y = (flow.reshape(len(flow), -1).astype(np.float64) for flow in (a, b))
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    dots = (x * y).sum(1)
    return np.asarray(np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0), np.float64)


def _seen(looked: Sequence[Sequence[Measured]], some: tuple[Dataset, Dataset], paired: bool, table: _Measures) -> None:
    """How sharp the faces are, and where they move, as the audit has it."""
    none, unit = (float("nan"), float("nan")), "% of inter-ocular distance"
    sharp = [[one.sharpness or none for one in side] for side in looked]
    moved = [[(one.motion.asked, one.motion.unasked) if one.motion else none for one in side] for side in looked]
    for values, names, of in (
        (sharp, ("sharpness of the onset, 1: as the photo", "sharpness of the apex, 1: as the photo"), ""),
        (moved, ("motion seen where AUs ask for it", "motion seen where no AU asks for it"), unit),
    ):
        for i, name in enumerate(names):
            table.add(name, of, [[one[i] for one in side] for side in values], some, paired)


def _faces(looked: Sequence[Sequence[Measured]], some: tuple[Dataset, Dataset], paired: bool, table: _Measures) -> None:
    """What was read of faces: how much of the AUs, and how far the apex is from the face at rest."""

    def of(take: Callable[[Measured], float]) -> list[list[float]]:
        return [[take(one) for one in side] for side in looked]

    def read(one: Measured) -> float:
        return float("nan") if one.read is None else float(np.abs(one.read).sum())

    without = sum(not np.isfinite(one).all() for side in of(read) for one in side)
    if without:
        table.notes.append(f"In {without} samples of the two sets no face was found again: their AUs were not read.")
    made = of(lambda one: float(np.abs(one.known).sum()))
    table.add("AU intensity of the frames, nuisances included, sum", "", made, some, paired)
    table.add("AU intensity read off the frames, sum", "", of(read), some, paired)
    faceless = sum(not one.frames for side in looked for one in side)
    if faceless:
        table.notes.append(
            f"In {faceless} samples likeness was not measured: no photo at hand, or no face found again."
        )
    described = [frame for side in looked for one in side for frame in one.frames or ()]
    for name, distances in distances_of(described).items():

        def moved(one: Measured, by: Any = distances) -> float:
            return float(by([one.frames[2]], [one.frames[0]])[0, 0]) if one.frames else float("nan")

        table.add(f"{name} distance of the apex to the face at rest", "", of(moved), some, paired)


def _recovered(side: Sequence[Measured]) -> Recovery | None:
    known = np.stack([one.known for one in side])
    read = np.stack([np.full_like(one.known, np.nan) if one.read is None else one.read for one in side])
    try:
        return recovery(known, read)
    except UsageError:
        return None  # too few samples
