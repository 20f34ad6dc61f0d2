"""gallery.html: one self-contained page that shows a set, its pairs flickering between onset and apex."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_NAMES, AU_NUMBERS, N_AUS, AUArray
from miex.errors import UsageError
from miex.labels import Label

if TYPE_CHECKING:
    import pyarrow as pa

_MIME = frozenset({"image/png", "image/webp", "image/jpeg"})
_SOURCES = ("real_mie", "early_mae", "coded_mie", "expert")  # in the order of the paper
_INTENSITY_BINS = 20
_MOST_BINS = 30

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GallerySample:
    """One card of the sheet.

    Attributes:
        sample_id, identity, label, emotion, source: as in the plan; the label by its name.
        virtual: whether the identity is a virtual one.
        frames: encoded images as stored; the first is the onset. With more than two the card plays the sequence.
        mime: image/png, image/webp or image/jpeg.
        apex: index of the apex frame.
        aus: intensities in [0, 1] of every frame, float32 [n_frames, 17].
        motion_mean_px … ssim: measures of the pair onset → apex (see miex.measure.pair); psnr may be inf.
        licence, attribution: of the photo.
    """

    sample_id: str
    identity: str
    virtual: bool
    label: str
    emotion: str
    source: str
    frames: tuple[bytes, ...]
    mime: str
    apex: int
    aus: AUArray
    motion_mean_px: float
    motion_p95_px: float
    motion_mean_iod: float
    motion_p95_iod: float
    psnr: float
    ssim: float
    licence: str
    attribution: str


def render_gallery(
    *, title: str, facts: Mapping[str, str], samples: Sequence[GallerySample], table: pa.Table,
    measured: Mapping[str, Any] | None = None,
) -> str:  # fmt: skip
    """The page, as HTML. The same input gives the same text.

    It needs neither network nor server, and its content security policy forbids both, as well as any script but its
    own: names and emotions come from users' files.

    Args:
        title: name of the set.
        facts: what the header tells of it, in order.
        samples: the cards, in order.
        table: all of samples.parquet, for the distributions; only aggregates of it are embedded.
        measured: what was measured on the frames (`measured.describe_dear`); None: nothing yet.

    Raises:
        UsageError: a sample whose parts do not fit together.
    """
    statistics = _statistics(table)
    cards = [_card(sample) for sample in samples]
    data = {
        "facts": list(facts.items()),
        "auNumbers": AU_NUMBERS,
        "auNames": list(AU_NAMES.values()),
        "labels": _ordered({*statistics["labels"], *(sample.label for sample in samples)}, _LABELS),
        # one scale for every bar of the page, so that cards can be compared
        "auScale": max([statistics["au"]["upper"], *(_upper(sample.aus) for sample in samples)]),
        "samples": cards,
        "licences": _licences(samples),
        "statistics": statistics,
        "measured": measured,
    }
    template = resources.files(__package__).joinpath("gallery.html").read_text("utf-8")
    style, script = (_inline(template, tag) for tag in ("style", "script"))
    parts = {
        "policy": f"default-src 'none'; img-src data:; style-src {style}; script-src {script}; "
        "base-uri 'none'; form-action 'none'",
        "title": html.escape(title),
        "data": _json(data),
    }
    # in one pass: what is put in is never searched for placeholders
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def choose(table: pa.Table, n: int, seed: int) -> list[int]:
    """Rows for a sheet that shows variety: spread evenly over label × source × emotion, each identity as rarely as
    possible.

    A row's luck is a hash of (seed, sample_id) alone, so it does not depend on how the table is ordered or chunked.

    Args:
        table: samples.parquet, or part of it. Rows whose status is not "ok" are not chosen.
        n: how many, fewer if there are not as many.
        seed: of the choice.

    Returns:
        Row numbers, ascending: the order of the plan.
    """
    rows = _ok_rows(table)
    if n <= 0 or not len(rows):
        return []
    ids = table["sample_id"].take(rows).to_pylist()
    luck = np.array([_hash(seed, sample_id) for sample_id in ids], np.uint64)
    identity, identities = _codes(_texts(table, "identity", rows))
    keys = list(zip(*(_texts(table, name, rows) for name in ("label", "source", "emotion")), strict=True))
    of_key: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i in np.argsort(luck, kind="stable").tolist():
        of_key[keys[i]].append(i)
    strata = {key: np.array(members) for key, members in of_key.items()}  # members in the order of their luck
    quota = _quotas({key: len(members) for key, members in strata.items()}, n, seed)
    used = np.zeros(len(identities), np.int64)
    chosen: list[int] = []
    # strata with few identities choose first: the others can step aside for them
    for key in sorted(strata, key=lambda key: (len(np.unique(identity[strata[key]])), key)):
        members = strata[key]
        for _ in range(quota[key]):
            best = int(np.argmin(used[identity[members]]))  # the first, so the luckiest, of the rarest
            chosen.append(int(rows[members[best]]))
            used[identity[members[best]]] += 1
            members = np.delete(members, best)
    return sorted(chosen)


def _quotas(sizes: Mapping[tuple[str, ...], int], n: int, seed: int) -> dict[tuple[str, ...], int]:
    """How many from each (label, source, emotion): one each in turn until n are there or all are empty."""
    ranks: dict[tuple[str, ...], int] = {}
    groups: dict[tuple[str, ...], int] = defaultdict(int)
    for key in sorted(sizes, key=lambda key: _hash(seed, *key)):
        ranks[key] = groups[key[:2]]
        groups[key[:2]] += 1
    # where n does not suffice for all, every label and source comes before the second emotion of any
    order = sorted(sizes, key=lambda key: (ranks[key], _hash(seed, *key)))
    quota = dict.fromkeys(order, 0)
    left = min(n, sum(sizes.values()))
    while left:
        for key in order:
            if left and quota[key] < sizes[key]:
                quota[key] += 1
                left -= 1
    return quota


def _hash(seed: int, *parts: str) -> int:
    text = "\x1f".join((str(seed), *parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


_LABELS = tuple(label.name for label in Label)


def _statistics(table: pa.Table) -> dict[str, Any]:
    """What the distributions show, over all rows with status ok; active means an intensity above 0 at the apex."""
    rows = _ok_rows(table)
    names = {name: _texts(table, name, rows) for name in ("label", "source", "emotion")}
    labels = _ordered(names["label"], _LABELS)
    label, _ = _codes(names["label"], labels)
    apexes = _apexes(table, rows)
    upper = _upper(apexes)
    edges = np.linspace(0, upper, _INTENSITY_BINS + 1).round(6)
    on = apexes > 0
    return {
        "n": len(rows),
        "failed": table.num_rows - len(rows),
        "identities": len(set(_texts(table, "identity", rows))),
        "labels": labels,
        "counts": {
            "label": _counts(names["label"], label, labels, _LABELS),
            "source": _counts(names["source"], label, labels, _SOURCES),
            "emotion": _counts(names["emotion"], label, labels, ()),
        },
        "au": {
            "upper": upper,
            "edges": edges.tolist(),
            "n": [int((label == k).sum()) for k in range(len(labels))],
            "use": [[int(on[label == k, i].sum()) for k in range(len(labels))] for i in range(N_AUS)],
            "counts": [
                _stacked(apexes[on[:, i], i].astype(np.float64), label[on[:, i]], len(labels), edges)
                for i in range(N_AUS)
            ],
        },
        "motion": _histogram(table, "motion_p95_iod", rows, label, len(labels), from_zero=True),
        "psnr": _histogram(table, "psnr", rows, label, len(labels), from_zero=False),
    }


def _ok_rows(table: pa.Table) -> Ints:
    if "status" not in table.schema.names:
        return np.arange(table.num_rows)
    status = table["status"].to_numpy()
    return np.flatnonzero(status == "ok")


def _texts(table: pa.Table, name: str, rows: Ints) -> list[str]:
    """A column of text; labels, which are numbers in samples.parquet, by their names."""
    values = table[name].take(rows).to_pylist()
    if name == "label":
        return [_LABELS[v] if isinstance(v, int) and 0 <= v < len(_LABELS) else str(v) for v in values]
    return ["" if value is None else str(value) for value in values]


def _codes(values: Sequence[str], order: Sequence[str] = ()) -> tuple[Ints, list[str]]:
    """Position of each value in `order`, or in the sorted distinct values; and that order."""
    names = list(order) or sorted(set(values))
    index = {name: i for i, name in enumerate(names)}
    return np.fromiter((index[value] for value in values), np.int64, len(values)), names


def _ordered(values: Sequence[str] | set[str], first: Sequence[str]) -> list[str]:
    """The distinct values: those of `first` in its order, then the others by name."""
    there = set(values)
    return [name for name in first if name in there] + sorted(there.difference(first))


def _apexes(table: pa.Table, rows: Ints) -> npt.NDArray[np.float32]:
    """AU intensities of the apex frames, float32 [rows, 17]."""
    if not len(rows):
        return np.zeros((0, N_AUS), np.float32)
    # chunk by chunk: the flattened values of one Arrow array are limited to 2³¹
    found = []
    for chunk in table.select(["aus", "apex"]).take(rows).to_batches():
        frames, apex = chunk.column("aus"), chunk.column("apex").to_numpy()
        lengths = frames.value_lengths().to_numpy()
        intensities = frames.flatten().flatten().to_numpy().reshape(-1, N_AUS)
        found.append(intensities[np.cumsum(lengths) - lengths + apex])
    return np.concatenate(found)


def _upper(intensities: npt.NDArray[np.float32]) -> float:
    """End of a scale for these intensities: 0.1, 0.2 … 1."""
    highest = float(intensities.max(initial=0))
    return min(max(math.ceil(highest * 10 - 1e-5), 1), 10) / 10  # float32 puts 0.3 a little above 0.3


def _counts(values: list[str], label: Ints, labels: list[str], first: Sequence[str]) -> list[dict[str, Any]]:
    codes, names = _codes(values)
    table = np.zeros((len(names), len(labels)), np.int64)
    np.add.at(table, (codes, label), 1)
    found = {name: table[i].tolist() for i, name in enumerate(names)}
    # without an order of their own (emotions): those of one label together
    order = _ordered(values, first) if first else sorted(names, key=lambda name: (int(np.argmax(found[name])), name))
    return [{"name": name, "n": found[name]} for name in order]


def _stacked(values: Floats, label: Ints, n_labels: int, edges: Floats) -> list[list[int]]:
    """Counts [n_labels][bins]; what lies a rounding error beyond the ends belongs to the bin there."""
    inside = np.clip(values, edges[0], edges[-1])
    return [np.histogram(inside[label == k], edges)[0].tolist() for k in range(n_labels)]


def _histogram(
    table: pa.Table, name: str, rows: Ints, label: Ints, n_labels: int, *, from_zero: bool
) -> dict[str, Any]:
    values = np.array(table[name].take(rows).to_numpy(), np.float64)
    finite = np.isfinite(values)
    edges = _edges(values[finite], from_zero=from_zero)
    return {
        "edges": edges.tolist(),
        "counts": _stacked(values[finite], label[finite], n_labels, edges),
        "infinite": int(np.isposinf(values).sum()),
        "unknown": int((~finite & ~np.isposinf(values)).sum()),
        "median": _number(np.median(values[finite])) if finite.any() else None,
    }


def _edges(values: Floats, *, from_zero: bool) -> Floats:
    """At most 30 bins over the values, their edges at multiples of 1, 2 or 5 × 10ⁿ."""
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = (min(0.0, values.min()) if from_zero else values.min()), values.max()
    span = max(high - low, abs(high) * 1e-3, 1e-6)
    power = 10.0 ** math.floor(math.log10(span / _MOST_BINS))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if span / (power * factor) <= _MOST_BINS - 1)
    first, last = math.floor(low / step), math.ceil(high / step)
    return np.round(np.arange(first, max(last, first + 1) + 1) * step, 12)


def _card(sample: GallerySample) -> dict[str, Any]:
    n, aus = len(sample.frames), np.asarray(sample.aus)
    problems = {
        f"MIME type {sample.mime!r}, expected one of {', '.join(sorted(_MIME))}": sample.mime not in _MIME,
        f"{n} frames, expected at least onset and apex": n < 2,
        f"apex {sample.apex} of {n} frames": not 0 <= sample.apex < n,
        f"AU vectors {list(aus.shape)}, expected [{n}, {N_AUS}]": aus.shape != (n, N_AUS),
    }
    found = [text for text, wrong in problems.items() if wrong]
    if found:
        raise UsageError(f"sample {sample.sample_id} for the gallery", found="; ".join(found))
    return {
        "id": sample.sample_id,
        "identity": sample.identity,
        "virtual": sample.virtual,
        "label": sample.label,
        "emotion": sample.emotion,
        "source": sample.source,
        "mime": sample.mime,
        "frames": [base64.b64encode(frame).decode() for frame in sample.frames],
        "apex": sample.apex,
        "onsetAUs": [_number(z) for z in aus[0]],
        "apexAUs": [_number(z) for z in aus[sample.apex]],
        "motion": {
            name: [_number(getattr(sample, f"motion_{name}_{unit}")) for unit in ("px", "iod")]
            for name in ("mean", "p95")
        },
        "psnr": _number(sample.psnr),
        "ssim": _number(sample.ssim),
    }


def _licences(samples: Sequence[GallerySample]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str], list[GallerySample]] = defaultdict(list)
    for sample in samples:
        groups[sample.licence or "", sample.attribution or ""].append(sample)
    return [
        {
            "licence": licence,
            "attribution": attribution,
            "samples": len(group),
            "identities": len({sample.identity for sample in group}),
        }
        for (licence, attribution), group in sorted(groups.items())
    ]


def _number(value: Any) -> float | str | None:
    """Six digits are more than anyone reads; JSON has no infinity and no NaN."""
    value = float("nan") if value is None else float(value)
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return None if math.isnan(value) else float(f"{value:.6g}")


def _json(data: Any) -> str:
    """JSON that can stand in a script element: no text can end the element or open a comment in it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII, so no surrogate spoils the file either
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _inline(template: str, tag: str) -> str:
    """The source expression of a content security policy that allows just this inline element."""
    element = re.search(rf"<{tag}>(.*?)</{tag}>", template, re.DOTALL)
    assert element is not None
    return f"'sha256-{base64.b64encode(hashlib.sha256(element[1].encode()).digest()).decode()}'"
