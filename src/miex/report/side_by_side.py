"""compare.html: one self-contained page with the same samples of two sets side by side.

It belongs to the tables of a comparison, not to a set's gallery: a gallery tells of one set, lies in its folder, and is
written anew with it, whatever becomes of other sets.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from html import escape
from importlib import resources

import numpy as np

from miex.aus.vector import AU_NAMES, AU_NUMBERS
from miex.dataset import Dataset
from miex.dataset.frames import encode_frame
from miex.images import Image, decode_image
from miex.report.build import gallery_sample
from miex.report.gallery import GallerySample, inline_source, licences_of

AMPLIFIED = 10


def render_side_by_side(
    names: tuple[str, str], samples: tuple[Dataset, Dataset], tables: Sequence[str], *, only: str = ""
) -> str:
    """The page, as HTML. It needs neither network nor server, and no script: its content security policy forbids them.

    Args:
        names: of the sets.
        samples: of each set, those that are shown, in the same order.
        tables: what was measured, as HTML.
        only: end of the title, which says of which samples the page tells; empty: of all.
    """
    titles = [f"{side} = {name} ({_generator(one)})" for side, name, one in zip("ab", names, samples, strict=True)]
    pairs = [tuple(gallery_sample(one, i) for one in samples) for i in range(len(samples[0]))]
    template = resources.files(__package__).joinpath("side_by_side.html").read_text("utf-8")
    parts = {
        "policy": f"default-src 'none'; img-src data:; style-src {inline_source(template, 'style')}; "
        "base-uri 'none'; form-action 'none'",
        "title": escape(" · ".join(titles) + only),
        "shown": f"{len(pairs):,} of those that both sets hold, a stratified random choice.",
        "samples": "\n".join(_sample(a, b, titles) for a, b in pairs),
        "tables": "".join(tables),
        "licences": "".join(_licences([one for pair in pairs for one in pair])),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def difference(onset: Image, apex: Image) -> Image:
    """128 + 10 · (apex − onset), clipped, uint8 as the frames."""
    return np.asarray(np.clip(128 + AMPLIFIED * (apex.astype(np.int16) - onset), 0, 255), np.uint8)


def _generator(samples: Dataset) -> str:
    generator = samples.record["settings"]["generator"]
    return f"{generator['name']} {generator['version']}"


def _sample(a: GallerySample, b: GallerySample, titles: Sequence[str]) -> str:
    emotion, source = (escape(text.replace("_", " ")) for text in (a.emotion, a.source))
    sides = "".join(_side(one, title) for one, title in zip((a, b), titles, strict=True))
    return (
        f'<article class="sample" data-sample="{escape(a.sample_id)}"><div class="what">'
        f'<p class="label">{escape(a.label)}</p><p>{emotion} · {source}</p>'
        f'<p class="muted">{escape(a.sample_id)}</p>{_aus(a, b)}</div>{sides}</article>'
    )


def _side(sample: GallerySample, title: str) -> str:
    onset, apex = sample.frames[0], sample.frames[sample.apex]
    decoded = [decode_image(one, sample.sample_id) for one in (onset, apex)]
    figures = [_figure("onset", onset, sample.mime), _figure("apex", apex, sample.mime)]
    amplified = _figure("difference", encode_frame(difference(*decoded), "png"), "image/png", "difference × 10")
    also = f'<p class="also">also seen: {escape(" · ".join(sample.also_seen) or "nothing")}</p>'
    return (
        f'<div class="side"><h3>{escape(title)}</h3><div class="frames">{"".join(figures)}</div>{amplified}{also}</div>'
    )


def _figure(kind: str, content: bytes, mime: str, caption: str = "") -> str:
    text, data = caption or kind, base64.b64encode(content).decode()
    picture = f'<img alt="{text}" src="data:{mime};base64,{data}">'
    return f'<figure class="{kind}">{picture}<figcaption>{text}</figcaption></figure>'


def _aus(a: GallerySample, b: GallerySample) -> str:
    """Intensities at onset and apex of every AU that is on; of both sets where their plans differ."""
    ends = [one.aus[[0, one.apex]] for one in (a, b)]
    differ = not np.array_equal(ends[0], ends[1])
    shown = ends if differ else ends[:1]
    on = [i for i in range(len(AU_NUMBERS)) if any(one[:, i].any() for one in shown)]
    rows = "".join(
        f"<tr><th><b>AU {AU_NUMBERS[i]}</b> {AU_NAMES[AU_NUMBERS[i]]}</th>"
        + "".join(f"<td>{_change(*one[:, i])}</td>" for one in shown)
        + "</tr>"
        for i in on
    )
    head = "<tr><th></th><th>a</th><th>b</th></tr>" if differ else ""
    return f'<table class="aus">{head}{rows}</table>'


def _change(onset: float, apex: float) -> str:
    return f"{onset:.2f} → {apex:.2f}" if onset else f"{apex:.2f}"


def _licences(samples: Sequence[GallerySample]) -> list[str]:
    return [
        f"<li><strong>{escape(entry['licence'] or 'licence not stated')}</strong> · "
        f"{escape(entry['attribution'] or 'attribution not stated')}</li>"
        for entry in licences_of(samples)
    ]
