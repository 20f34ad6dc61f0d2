"""Requirements of a set, such as "identical == 0, au_slope(12) > 0.8", and whether what was measured meets them.

A requirement is about the set as a whole: the columns of its samples are what `Dataset.where` asks about. What cannot
be measured does not meet any requirement.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from miex.arguments import shown
from miex.aus.vector import AU_INDEX, AU_NUMBERS
from miex.dataset import Dataset
from miex.dataset.also import LEAST
from miex.dataset.choose import ok_rows
from miex.dataset.samples import read_samples
from miex.errors import UsageError
from miex.labels import Label
from miex.quality.audit import ONLY, Audit
from miex.quality.identity import IdentityKept
from miex.storage import Place, storage_at

_COMPARED: Final = {
    "==": operator.eq, "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}  # fmt: skip


@dataclass(frozen=True)
class Requirement:
    """What is required of one measure.

    Attributes:
        name: of MEASURES.
        au: number of the AU that is meant; None for a measure that takes none.
        sign: one of == != < <= > >=.
        bound: what the measure is compared with.
    """

    name: str
    au: int | None
    sign: str
    bound: float

    def __str__(self) -> str:
        return f"{self.name}{'' if self.au is None else f'({self.au})'} {self.sign} {self.bound:.15g}"


@dataclass(frozen=True)
class Verdict:
    """Whether a set meets a requirement.

    Attributes:
        requirement: what was required.
        met: whether what was measured meets it; False where nothing could be measured.
        measured: what was; None where nothing could be.
        basis: of how many it was measured, or why it could not be.
    """

    requirement: Requirement
    met: bool
    measured: float | None
    basis: str

    def __str__(self) -> str:
        told = self.basis if self.measured is None else f"{self.measured:.6g} ({self.basis})"
        return f"{'met' if self.met else 'NOT MET'}: {self.requirement}: {told}"

    def plain(self) -> dict[str, Any]:
        """The same as JSON values; what is infinite is a text."""
        value = self.measured
        return {
            "requirement": str(self.requirement),
            "met": self.met,
            "measured": value if value is None or np.isfinite(value) else str(value),
            "basis": self.basis,
        }


@dataclass(frozen=True)
class Facts:
    """What requirements are judged by.

    Attributes:
        samples: samples.parquet, failed rows included.
        faces: faces.parquet; landmarks may be missing.
        classes: of the plan: labels or emotions.
        audit: what was measured on frames; None: nothing.
        part: whether these are only some samples of the set, which need not have all of its classes.
    """

    samples: pa.Table
    faces: pa.Table
    classes: Sequence[str]
    audit: Audit | None
    part: bool = False


class _Unmeasured(Exception):
    """Why a measure could not be taken."""


_Found = tuple[float, str]  # the value, and of how many it was measured


class Measure(NamedTuple):
    """What a requirement may be about.

    Attributes:
        meaning: one sentence.
        take: takes it of the facts, and of the place of an AU; raises _Unmeasured.
        of_au: whether it takes an AU, as in au_slope(12).
    """

    meaning: str
    take: Callable[[Facts, int], _Found]
    of_au: bool = False


def read_requirements(text: str) -> tuple[Requirement, ...]:
    """The requirements in a text, separated by commas: a measure, a comparison, a number.

    Raises:
        UsageError: it says something else; where, and what could stand there.
    """
    reader = _Reader(text)
    found = [reader.requirement()]
    while not reader.ended():
        reader.take(",", "a comma, or the end")
        found.append(reader.requirement())
    return tuple(found)


class _Reader:
    """Reads a text from left to right."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def requirement(self) -> Requirement:
        name = self.take(r"\w+", f"a measure: {', '.join(MEASURES)}", known=MEASURES)
        au = None
        if MEASURES[name].of_au:
            self.take(r"\(", f"the number of an AU in parentheses: {name}(12)")
            au = int(
                self.take(r"\w+", f"one of AU {', '.join(map(str, AU_NUMBERS))}", known=list(map(str, AU_NUMBERS)))
            )
            self.take(r"\)", "a closing parenthesis")
        sign = self.take(r"[=!<>]+", f"one of {' '.join(_COMPARED)}", known=_COMPARED)
        number = r"[+-]?([0-9]{1,99}\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?(?![\w.%])"  # never infinite
        bound = self.take(number, "a number, such as 0.95")
        return Requirement(name, au, sign, float(bound))

    def take(self, pattern: str, expected: str, *, known: Any = None) -> str:
        """The next part of the text, which has to match the pattern and be among those known."""
        self._skip()
        match = re.compile(pattern).match(self._text, self._at)
        if match is None or (known is not None and match[0] not in known):
            found = match[0] if match else self._text[self._at :].split(maxsplit=1)[0] if not self.ended() else ""
            raise UsageError(
                f"`require` {shown(self._text)}",
                expected=expected,
                found=f"{shown(found)} at character {self._at + 1}" if found else "the end of the text",
                do="miex report --measures tells what each measure is" if known is MEASURES else "",
            )
        self._at = match.end()
        return match[0]

    def ended(self) -> bool:
        self._skip()
        return self._at == len(self._text)

    def _skip(self) -> None:
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1


def judge_set(
    requirements: Sequence[Requirement], place: Place, audit: Audit | None, *, where: str | None = None
) -> list[Verdict]:
    """The same of a finished set, with what was measured on its frames; or of its samples that meet a query (see
    `Dataset.where`), made or failed, which every verdict tells.

    Raises:
        UsageError: the query is none.
        InputError: the set is not finished, or damaged.
    """
    if not requirements:
        return []
    samples = read_samples(place)
    dataset = Dataset(storage_at(place), samples)
    faces = dataset.identities
    if where is not None:
        samples = dataset.where(where).table
        faces = faces.filter(pc.is_in(faces["identity"], samples["identity"].unique()))
    facts = Facts(samples, faces, dataset.record["config"]["classes"], audit, part=where is not None)
    return [replace(one, basis=f"{one.basis}, where {where}") if where else one for one in judge(requirements, facts)]


def judge(requirements: Sequence[Requirement], facts: Facts) -> list[Verdict]:
    """Whether a set meets each requirement, in their order."""
    return [_judged(one, facts) for one in requirements]


def _judged(requirement: Requirement, facts: Facts) -> Verdict:
    try:
        at = 0 if requirement.au is None else AU_INDEX[requirement.au]
        value, basis = MEASURES[requirement.name].take(facts, at)
        if np.isnan(value):
            raise _Unmeasured("it has no value for these samples")
    except _Unmeasured as reason:
        return Verdict(requirement, False, None, f"not measured: {reason}")
    return Verdict(requirement, _COMPARED[requirement.sign](value, requirement.bound), value, basis)


# counted in the tables


def _count(n: int, what: str) -> str:
    plural = {"person": "people", "identity": "identities"}
    return f"{n:,} {what if n == 1 else plural.get(what, f'{what}s')}"


def _made(facts: Facts) -> pa.Table:
    made = facts.samples.take(ok_rows(facts.samples))
    if not made.num_rows:
        raise _Unmeasured("no sample was made")
    return made


def _n_samples(facts: Facts, _: int) -> _Found:
    return float(len(ok_rows(facts.samples))), f"of {facts.samples.num_rows:,} planned"


def _n_failed(facts: Facts, _: int) -> _Found:
    n = facts.samples.num_rows
    return float(n - len(ok_rows(facts.samples))), f"of {n:,} planned"


def _n_identical(facts: Facts, _: int) -> _Found:
    failed = pc.not_equal(facts.samples["status"], "ok")
    refused = pc.sum(pc.and_(failed, pc.starts_with(facts.samples["reason"], "identical"))).as_py() or 0
    stored = facts.audit.identical if facts.audit else 0
    looked = f", and {stored:,} stored, of {facts.audit.n:,} compared" if facts.audit else ""
    return float(refused + stored), f"{refused:,} refused when {facts.samples.num_rows:,} were made{looked}"


def _balance(facts: Facts, _: int) -> _Found:
    made = facts.samples.take(ok_rows(facts.samples))
    by_label = set(facts.classes) <= {label.name for label in Label}
    names = [Label(label).name for label in made["label"].to_pylist()] if by_label else made["emotion"].to_pylist()
    counts = {name: names.count(name) for name in facts.classes}
    if facts.part:
        counts = {name: n for name, n in counts.items() if n}
    if not (most := max(counts.values(), default=0)):
        raise _Unmeasured("no sample was made")
    if len(counts) < 2:
        raise _Unmeasured(f"these samples are all of the class {next(iter(counts))}")
    return min(counts.values()) / most, ", ".join(f"{name} {n:,}" for name, n in counts.items())


def _blinks(facts: Facts, _: int) -> _Found:
    made = _made(facts)
    seen = 0
    for blink, apex in zip(made["blink"].to_pylist(), made["apex"].to_pylist(), strict=True):
        seen += blink is not None and max(blink[0], blink[apex]) >= LEAST
    return seen / made.num_rows, _count(made.num_rows, "sample")


def _median_of(column: str, facts: Facts, _: int) -> _Found:
    made = _made(facts)
    values = made[column]
    if column == "psnr":  # nothing is noted where the gray frames are equal and only colors differ
        values = pc.fill_null(values, float("inf"))
    found = np.asarray(values.drop_null().to_numpy(), np.float64)
    if not len(found):
        raise _Unmeasured(f"no sample has a value in the column {column}")
    return float(np.median(found)), _count(len(found), "sample")


def _faces_of(facts: Facts) -> list[dict[str, Any]]:
    columns = ["identity", "sha256", "person", "virtual"]
    rows: list[dict[str, Any]] = facts.faces.select(columns).to_pylist()
    return rows


def _n_faces(facts: Facts, _: int) -> _Found:
    return float(facts.faces.num_rows), "identities"


def _n_people(facts: Facts, _: int) -> _Found:
    faces = _faces_of(facts)
    named = [face["person"] for face in faces if face["person"]]
    photos = {face["sha256"] for face in faces if not face["person"]}
    told = [f"{_count(len(set(named)), 'person')} by name in {len(named):,} of them"] if named else []
    told += [f"{_count(len(photos), 'nameless photo')}, each counted as one"] if photos else []
    found = float(len(set(named)) + len(photos))
    return found, f"{_count(len(faces), 'identity')}: {', and '.join(told) or 'none'}"


def _n_photos(facts: Facts, _: int) -> _Found:
    return float(len({face["sha256"] for face in _faces_of(facts)})), f"{facts.faces.num_rows:,} identities"


def _virtual(facts: Facts, _: int) -> _Found:
    if not facts.faces.num_rows:
        raise _Unmeasured("the set has no faces")
    return float(np.mean(facts.faces["virtual"].to_pylist())), _count(facts.faces.num_rows, "face")


# measured on frames


def _audit(facts: Facts) -> Audit:
    if facts.audit is None:
        raise _Unmeasured("no frames were looked at (audit 0)")
    if not facts.audit.n:
        raise _Unmeasured("no sample was made")
    return facts.audit


def _of_measured(n: int, audit: Audit) -> str:
    return f"{n:,} of {_count(audit.n, 'measured sample')}"


def _n_measured(facts: Facts, _: int) -> _Found:
    audit = _audit(facts)
    return float(audit.n), f"of {audit.of:,} samples"


def _faceless(facts: Facts, _: int) -> _Found:
    audit = _audit(facts)
    if audit.faceless is None:
        raise _without(audit, "whether the frames show a face")
    return audit.faceless / audit.n, _count(audit.n, "measured sample")


def _without(audit: Audit, what: str) -> _Unmeasured:
    reasons = [note for note in audit.notes if not note.startswith(ONLY)]
    return _Unmeasured(" ".join(reasons) or f"{what} was not measured in these samples")


def _identity(value: Callable[[IdentityKept], float], facts: Facts, _: int) -> _Found:
    audit = _audit(facts)
    for name, kept in audit.identity.items():  # SFace comes first, if it is there
        return float(value(kept)), f"by {name}, {_of_measured(len(kept.apex), audit)}, {kept.n_faces:,} faces"
    raise _without(audit, "identity")


def _of_au(value: Callable[[Any, int], float], facts: Facts, i: int) -> _Found:
    audit = _audit(facts)
    found, au = audit.recovery, AU_NUMBERS[i]
    if found is None:
        raise _without(audit, "what AUs the frames show")
    if np.isnan(found.slope[i]):
        raise _Unmeasured(
            f"AU {au} is on in {_count(int(found.pairs[i]), 'pair')} of {found.n:,}; it takes 10 with and 10 without it"
        )
    return float(value(found, i)), f"AU {au} is on in {found.pairs[i]:,} of {_count(found.n, 'pair')}"


def _crosstalk(found: Any, i: int) -> float:
    return float(np.abs(np.delete(found.crosstalk[i], i)).max())


def _sharpness(end: str, facts: Facts, _: int) -> _Found:
    audit = _audit(facts)
    if audit.sharpness is None:
        raise _without(audit, "sharpness")
    values: npt.NDArray[np.float64] = getattr(audit.sharpness, end)
    return float(np.median(values)), _of_measured(len(values), audit)


def _motion(part: str, facts: Facts, _: int) -> _Found:
    audit = _audit(facts)
    if audit.moved is None:
        raise _without(audit, "motion")
    values = audit.moved.asked if part == "asked" else audit.moved.unasked
    if not len(values):
        raise _without(audit, "motion that no AU asked for")
    value = audit.moved.ratio if part == "ratio" else float(np.median(values))
    return value, _of_measured(len(values), audit)


def _unchanged(facts: Facts, _: int) -> _Found:
    audit = _audit(facts)
    if audit.outside is None:
        raise _without(audit, "what changes off the face")
    return audit.outside.unchanged / audit.outside.n, _of_measured(audit.outside.n, audit)


MEASURES: Final[dict[str, Measure]] = {
    "samples": Measure("Number of samples that were made.", _n_samples),
    "failed": Measure("Number of samples that could not be made.", _n_failed),
    "identical": Measure(
        "Number of pairs whose onset and apex are the same picture: those that were refused for it, and those stored,"
        " of the samples that are measured.",
        _n_identical,
    ),
    "balance": Measure(
        "Samples of the smallest class over samples of the largest, in [0, 1]; of a part, among the classes that it"
        " has.",
        _balance,
    ),
    "blinks": Measure("Share of the samples in which a blink is seen at onset or apex.", _blinks),
    "motion_mean_px": Measure(
        "Motion from onset to apex as planned, mean over the face, pixels: median over all samples.",
        partial(_median_of, "motion_mean_px"),
    ),
    "motion_mean_iod": Measure(
        "The same in inter-ocular distances.",
        partial(_median_of, "motion_mean_iod"),
    ),
    "motion_p95_px": Measure(
        "The 95th percentile over the face, pixels: median over all samples.", partial(_median_of, "motion_p95_px")
    ),
    "motion_p95_iod": Measure("The same in inter-ocular distances.", partial(_median_of, "motion_p95_iod")),
    "psnr": Measure(
        "Peak signal-to-noise ratio of the gray pair, dB: median over all samples.", partial(_median_of, "psnr")
    ),
    "ssim": Measure("Structural similarity of the gray pair: median over all samples.", partial(_median_of, "ssim")),
    "faces": Measure("Number of identities.", _n_faces),
    "people": Measure(
        "Number of people that they show, as faces.csv names them; each photo without a name is one, together with the"
        " virtual identities that are made from it.",
        _n_people,
    ),
    "photos": Measure("Number of photos that they are made from.", _n_photos),
    "virtual": Measure("Share of the identities that are virtual.", _virtual),
    "measured": Measure("Number of samples whose frames are measured (audit), as is all that follows.", _n_measured),
    "faceless": Measure(
        "Share of the samples in whose frames no face is found; identity and AUs are measured in the others.", _faceless
    ),
    "identity": Measure(
        "Share of the apexes to which no other person's rest face is nearer than their own: by SFace, without it by"
        " the shape of the mesh.",
        partial(_identity, lambda kept: kept.own_apex),
    ),
    "identity_onset": Measure("The same of the onsets.", partial(_identity, lambda kept: kept.own_onset)),
    "identity_ratio": Measure(
        "Median distance of the apexes to their rest face over the median distance between people.",
        partial(_identity, lambda kept: kept.ratio),
    ),
    "au_slope": Measure(
        "How much of an AU is read off the frames per intensity that they were made with, onset to apex; 1 is perfect.",
        partial(_of_au, lambda found, i: found.slope[i]),
        of_au=True,
    ),
    "au_correlation": Measure(
        "Correlation of an AU as it is read with its intensity; 1 is perfect.",
        partial(_of_au, lambda found, i: found.correlation[i]),
        of_au=True,
    ),
    "au_crosstalk": Measure(
        "How much of another AU is read per intensity of this one, whichever is read most; 0 is perfect.",
        partial(_of_au, _crosstalk),
        of_au=True,
    ),
    "au_false_alarm": Measure(
        "Standard deviation of what is read of an AU where it is off; 0 is perfect.",
        partial(_of_au, lambda found, i: found.false_alarm[i]),
        of_au=True,
    ),
    "sharpness": Measure(
        "Fine detail of the apex against its photo's: median; 1 is as sharp.", partial(_sharpness, "apex")
    ),
    "sharpness_onset": Measure("The same of the onset.", partial(_sharpness, "onset")),
    "motion": Measure(
        "Motion seen in the frames where AUs move the face, % of the inter-ocular distance: median.",
        partial(_motion, "asked"),
    ),
    "stray_motion": Measure("The same where none does.", partial(_motion, "unasked")),
    "motion_ratio": Measure("motion over stray_motion: signal to noise.", partial(_motion, "ratio")),
    "unchanged": Measure(
        "Share of the samples in which pixels to which no skin moves are those of the rest face, to the bit.",
        _unchanged,
    ),
}
