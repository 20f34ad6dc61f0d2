"""The audit of a set: measures of the stored frames of a random subsample.

Do the frames show the AUs of the plan, is each face still nearest to its own identity and as sharp as its photo, and
did nothing move but what AUs asked for? Frames are measured as they are stored, whatever their size. The standard is
the same for every set: what an AU looks like, and where it moves skin, is defined by the muscle generator, whichever
generator made the frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from miex.dataset import open as open_set
from miex.dataset.choose import choose
from miex.dataset.frames import LOSSY
from miex.errors import UsageError
from miex.executors.base import Executor, Progress, silent
from miex.extraction.flow import SIZE
from miex.nuisances.columns import NUISANCES
from miex.quality.identity import FrameDescriptor, IdentityKept, distances_of, identity_kept
from miex.quality.measured import SENSOR, Measured, measure
from miex.quality.recovery import Recovery, describe_recovery, recovery
from miex.storage import Place

Floats = npt.NDArray[np.float64]

ONLY = "Only samples that meet a query were measured, and are shown"  # the note that is no reason
_WHOLE_FRAME = tuple(nuisance.name for nuisance in NUISANCES if nuisance.scope == "frame")


@dataclass(frozen=True)
class Outside:
    """Pixels where no skin moves, against the rest crop.

    Attributes:
        n: samples.
        unchanged: samples whose onset and apex keep each of those pixels to the bit.
        changed: in how many pixels each of the others differs, onset and apex together, int64, ascending.
        still: share of the frame that those pixels are, mean over all frames.
    """

    n: int
    unchanged: int
    changed: npt.NDArray[np.int64]
    still: float


@dataclass(frozen=True)
class Sharpness:
    """Fine detail of the face against the rest crop (`quality.sharpness`); 1: as sharp.

    Attributes:
        onset, apex: float64 [n].
    """

    onset: Floats
    apex: Floats


@dataclass(frozen=True)
class Moved:
    """Motion of the face from onset to apex (`quality.motion`), % of the inter-ocular distance.

    Attributes:
        asked: where AUs move the skin, float64 [n].
        unasked: where none does, of the samples that leave enough of the face still, float64 [n or fewer].
        still: share of the face that no AU moves, mean over those.
    """

    asked: Floats
    unasked: Floats
    still: float

    @property
    def ratio(self) -> float:
        """Signal to noise: median motion asked for over median motion not asked for; inf where that is 0."""
        if not len(self.unasked):
            return float("nan")
        noise = float(np.median(self.unasked))
        return float(np.median(self.asked)) / noise if noise else float("inf")


@dataclass(frozen=True)
class Audit:
    """What was measured.

    Attributes:
        n, of, seed: samples measured, samples of the set, seed of the choice.
        size: side of the frames, pixels.
        identical: pairs whose onset and apex are the same picture.
        faceless: samples in whose frames no face was found; None: not looked for.
        recovery: AUs read off the frames against those that they were made with, changes from onset to apex; None:
            not measured.
        identity: by descriptor; empty: not measured.
        outside, sharpness, moved: None: not measured.
        notes: what was left out or is weaker, and why: sentences.
    """

    n: int
    of: int
    seed: int
    size: int
    identical: int
    faceless: int | None
    recovery: Recovery | None
    identity: dict[str, IdentityKept]
    outside: Outside | None
    sharpness: Sharpness | None
    moved: Moved | None
    notes: tuple[str, ...]


def audit_set(
    place: Place, *, n: int = 60, seed: int = 0, where: str | None = None, model: Path | None, sface: Path | None,
    faces_root: Path | None = None, executor: Executor, progress: Progress = silent,
) -> Audit:  # fmt: skip
    """Measure a random subsample of a set, chosen as the samples of the gallery.

    Args:
        place: of a finished set.
        n: samples, at least one.
        seed: of the choice.
        where: query that the samples meet (see `Dataset.where`), as a note says; None: all may be chosen.
        model: file of the landmark model; None: AUs and identity are left out.
        sface: file of the SFace model; None: identity is measured by the shape of the mesh alone.
        faces_root: folder that the photos' paths are relative to; default: where the plan found them. Without a photo,
            AUs are read against the onset, and the rest is left out.
        executor: where the work is done.
        progress: called with samples done and samples in all.

    Raises:
        InputError: the set is not finished, or damaged.
    """
    dataset = open_set(place) if where is None else open_set(place).where(where)
    record = dataset.record
    rows = choose(dataset.table, n, seed)
    size = record["settings"]["size"]
    if not rows:
        nothing = ("There is no sample whose frames could be measured.",)
        return Audit(0, 0, seed, size, 0, None, None, {}, None, None, None, nothing)
    moved = _moves_everything(record["config"]["nuisances"], dataset.table.take(rows).to_pylist(), record["settings"])
    root = faces_root or Path(record["faces_root"])
    measured = measure(
        dataset[rows],
        model=model,
        sface=sface,
        faces_root=root,
        outside=not moved,
        executor=executor,
        progress=progress,
    )
    faces = {face["identity"]: face for face in dataset.identities.to_pylist()}
    only = [] if where is None else [f"{ONLY}: {where}"]
    notes = [*only, *_notes(measured, model, size), *([moved] if moved else [])]
    return Audit(
        n=len(rows), of=len(dataset), seed=seed, size=size, identical=sum(one.identical for one in measured),
        faceless=_faceless(measured) if model else None,
        recovery=_recovered(measured, notes) if model else None,
        identity=_identity(measured, faces, sface, notes) if model else {},
        outside=_outside(measured),
        sharpness=_sharpness(measured, notes),
        moved=_moved(measured, notes),
        notes=tuple(notes),
    )  # fmt: skip


def _moves_everything(nuisances: str, rows: list[dict[str, Any]], settings: dict[str, Any]) -> str:
    """Why pixels off the face must not be expected to hold still, a sentence; empty if they must."""
    parts = [part for part in _WHOLE_FRAME if any(row[part] not in (None, 0, []) for row in rows)]
    if parts:
        return (
            f"Pixels off the face were not compared: nuisances ({nuisances}) change them on purpose: "
            + ", ".join(parts)
            + "."
        )
    if settings["frame_format"] in LOSSY:
        return f"Pixels off the face were not compared: {settings['frame_format']} changes all of them."
    return ""


def _notes(measured: list[Measured], model: Path | None, size: int) -> list[str]:
    notes = []
    if model is None:
        notes.append("AUs and identity were not measured: no landmark model was at hand (miex doctor --fetch).")
    elif size < SIZE:
        notes.append(
            f"AUs were read from frames of {size} px, enlarged to {SIZE} px. That is less accurate than frames of"
            f" {SIZE} px, in which the same motion covers more pixels: low slopes need not be the frames' fault."
        )
    lost = sum(not one.rest for one in measured)
    if lost:
        notes.append(
            f"{lost} of {len(measured)} photos are not where the plan found them. For these, AUs were read against the"
            " onset, and nothing else was measured. Run report again with their folder: `faces`."
        )
    return notes


def _faceless(measured: list[Measured]) -> int:
    return sum(one.read is None or bool(np.isnan(one.read).any()) for one in measured)


def _recovered(measured: list[Measured], notes: list[str]) -> Recovery | None:
    known = np.stack([one.known for one in measured])
    read = np.stack([np.full_like(one.known, np.nan) if one.read is None else one.read for one in measured])
    if faceless := _faceless(measured):
        notes.append(f"In {faceless} of {len(measured)} samples no face was found: their AUs were not read.")
    try:
        return recovery(known, read)
    except UsageError as error:
        notes.append(f"AUs were not compared, which takes {error.expected}.")
        return None


def _identity(
    measured: list[Measured], faces: dict[str, dict[str, Any]], sface: Path | None, notes: list[str]
) -> dict[str, IdentityKept]:  # fmt: skip
    rest: dict[str, FrameDescriptor] = {}
    onset, apex, own = [], [], []
    for one in measured:
        if one.frames:
            rest.setdefault(one.identity, one.frames[0])
            onset.append(one.frames[1])
            apex.append(one.frames[2])
            own.append(one.identity)
    who = list(rest)
    people = [person_of(faces[name]) for name in who]
    photos = [faces[name]["path"] for name in who]
    if len(set(people)) < 2:
        notes.append("Identity was not measured: it takes two people whose photos are there.")
        return {}
    if sface is None:
        notes.append("Identity was measured by shape alone: no SFace model was at hand (miex doctor --fetch).")
    same, related = (np.array([[a == b for b in keys] for a in keys]) for keys in (people, photos))
    index = [who.index(name) for name in own]
    return {
        name: identity_kept(onset, apex, index, list(rest.values()), same=same, related=related, distances=distances)
        for name, distances in distances_of([*rest.values(), *onset, *apex]).items()
    }


def person_of(face: dict[str, Any]) -> tuple[str, str]:
    """Whom a face shows. A virtual identity is nobody but itself; so is a photo of nobody known."""
    named = face["person"] and not face["virtual"]
    return ("person", face["person"]) if named else ("identity", face["identity"])


def _outside(measured: list[Measured]) -> Outside | None:
    compared = [one for one in measured if one.changed is not None]
    if not compared:
        return None
    changed = np.sort(np.array([one.changed for one in compared], np.int64))
    still = float(np.mean([one.still for one in compared]))
    return Outside(len(compared), int((changed == 0).sum()), changed[changed > 0], still)


def _sharpness(measured: list[Measured], notes: list[str]) -> Sharpness | None:
    found = [one.sharpness for one in measured if one.sharpness]
    if (without := sum(one.rest for one in measured) - len(found)) > 0:
        notes.append(
            f"Sharpness and motion were not measured in {without} of {len(measured)} samples: nuisances change every"
            f" pixel on purpose ({', '.join(SENSOR)})."
        )
    if not found:
        return None
    onset, apex = np.array(found, np.float64).T
    return Sharpness(onset, apex)


def _moved(measured: list[Measured], notes: list[str]) -> Moved | None:
    found = [one.motion for one in measured if one.motion]
    if not found:
        return None
    judged = [one for one in found if np.isfinite(one.unasked)]
    if len(judged) < len(found):
        notes.append(
            f"In {len(found) - len(judged)} of {len(measured)} samples AUs, nuisances included, move nearly all of the"
            " face: motion that none asked for was not measured there."
        )
    asked, unasked = np.array([one.asked for one in found]), np.array([one.unasked for one in judged])
    still = float(np.mean([one.still for one in judged])) if judged else 0.0
    return Moved(asked[np.isfinite(asked)], unasked, still)


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def describe_audit(audit: Audit) -> dict[str, Any]:
    """The numbers as JSON values, rounded; NaN is null."""
    outside = audit.outside
    return {
        "measured": audit.n,
        "of": audit.of,
        "seed": audit.seed,
        "size": audit.size,
        "identical": audit.identical,
        "faceless": audit.faceless,
        "aus": describe_recovery(audit.recovery) | {"crosstalk": _matrix(audit.recovery.crosstalk)}
        if audit.recovery
        else None,
        "identity": {
            name: {
                "onset": _spread(kept.onset),
                "apex": _spread(kept.apex),
                "relatives": _spread(kept.relatives),
                "people": _spread(kept.people),
                "ratio": _rounded(kept.ratio),
                "own_onset": _rounded(kept.own_onset),
                "own_apex": _rounded(kept.own_apex),
                "faces": kept.n_faces,
            }
            for name, kept in audit.identity.items()
        },
        "outside": None
        if outside is None
        else {
            "measured": outside.n,
            "unchanged": outside.unchanged,
            "still": _rounded(outside.still),
            "pixels": {"median": float(np.median(outside.changed)), "most": int(outside.changed[-1])}
            if len(outside.changed)
            else None,
        },
        "sharpness": None
        if audit.sharpness is None
        else {"onset": _spread(audit.sharpness.onset), "apex": _spread(audit.sharpness.apex)},
        "motion": None
        if audit.moved is None
        else {
            "asked": _spread(audit.moved.asked),
            "unasked": _spread(audit.moved.unasked),
            "ratio": _rounded(audit.moved.ratio),
            "still": _rounded(audit.moved.still),
        },
        "notes": list(audit.notes),
    }


def _spread(distances: Floats) -> dict[str, Any] | None:
    if not len(distances):
        return None
    return {"n": len(distances), "quantiles": [_rounded(q) for q in np.quantile(distances, QUANTILES)]}


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def _matrix(values: npt.NDArray[np.float64]) -> list[list[float | None]]:
    return [[None if np.isnan(v) else round(float(v), 3) for v in row] for row in values]
