"""gallery.html: one self-contained page that shows a set, its pairs flickering between onset and apex."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from miex.aus.vector import AU_NAMES, AU_NUMBERS, N_AUS, AUArray
from miex.dataset.choose import LABELS
from miex.errors import UsageError
from miex.report.statistics import number, ordered, upper_end

_MIME = frozenset({"image/png", "image/webp", "image/jpeg"})


@dataclass(frozen=True)
class GallerySample:
    """One card of the sheet.

    Attributes:
        sample_id, identity, label, emotion, source: as in the plan; the label by its name.
        virtual: whether the identity is a virtual one.
        frames: encoded images, the first is the onset. With more than two the card plays the sequence.
        shrunk: whether they are smaller than those that are stored.
        mime: image/png, image/webp or image/jpeg.
        apex: index of the apex frame.
        aus: coded intensities in [0, 1] of every frame, float32 [n_frames, 17].
        also_seen: what is seen beside them, in words (`dataset.also`).
        motion_mean_px … ssim: measures of the pair onset → apex (see miex.synthesis.measures); psnr may be inf.
        licence, attribution: of the photo.
    """

    sample_id: str
    identity: str
    virtual: bool
    label: str
    emotion: str
    source: str
    frames: tuple[bytes, ...]
    shrunk: bool
    mime: str
    apex: int
    aus: AUArray
    also_seen: tuple[str, ...]
    motion_mean_px: float
    motion_p95_px: float
    motion_mean_iod: float
    motion_p95_iod: float
    psnr: float
    ssim: float
    licence: str
    attribution: str


def render_gallery(
    *, title: str, facts: Mapping[str, str], samples: Sequence[GallerySample], statistics: Mapping[str, Any],
    measured: Mapping[str, Any] | None = None,
) -> str:  # fmt: skip
    """The page, as HTML. The same input gives the same text.

    It needs neither network nor server, and its content security policy forbids both, as well as any script but its
    own: names and emotions come from users' files.

    Args:
        title: name of the set.
        facts: what the header tells of it, in order.
        samples: the cards, in order.
        statistics: the distributions over all samples (`statistics_of`).
        measured: what was measured on the frames (`quality.audit.describe_audit`); None: nothing yet.

    Raises:
        UsageError: a sample whose parts do not fit together.
    """
    cards = [_card(sample) for sample in samples]
    data = {
        "facts": list(facts.items()),
        "auNumbers": AU_NUMBERS,
        "auNames": list(AU_NAMES.values()),
        "labels": ordered({*statistics["labels"], *(sample.label for sample in samples)}, LABELS),
        # one scale for every bar of the page, so that cards can be compared
        "auScale": max([statistics["au"]["upper"], *(upper_end(sample.aus) for sample in samples)]),
        "samples": cards,
        "shrunk": any(sample.shrunk for sample in samples),
        "licences": licences_of(samples),
        "statistics": statistics,
        "measured": measured,
    }
    template = resources.files(__package__).joinpath("gallery.html").read_text("utf-8")
    style, script = (inline_source(template, tag) for tag in ("style", "script"))
    parts = {
        "policy": f"default-src 'none'; img-src data:; style-src {style}; script-src {script}; "
        "base-uri 'none'; form-action 'none'",
        "title": html.escape(title),
        "data": _json(data),
    }
    # in one pass: what is put in is never searched for placeholders
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


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
        "onsetAUs": [number(z) for z in aus[0]],
        "apexAUs": [number(z) for z in aus[sample.apex]],
        "alsoSeen": sample.also_seen,
        "motion": {
            name: [number(getattr(sample, f"motion_{name}_{unit}")) for unit in ("px", "iod")]
            for name in ("mean", "p95")
        },
        "psnr": number(sample.psnr),
        "ssim": number(sample.ssim),
    }


def licences_of(samples: Sequence[GallerySample]) -> list[dict[str, Any]]:
    """Whose photos the samples show: licence, attribution, and how many samples and identities each stands for."""
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


def _json(data: Any) -> str:
    """JSON that can stand in a script element: no text can end the element or open a comment in it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII, so no surrogate spoils the file either
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def inline_source(template: str, tag: str) -> str:
    """The source expression of a content security policy that allows just this inline element."""
    element = re.search(rf"<{tag}>(.*?)</{tag}>", template, re.DOTALL)
    assert element is not None
    return f"'sha256-{base64.b64encode(hashlib.sha256(element[1].encode()).digest()).decode()}'"
