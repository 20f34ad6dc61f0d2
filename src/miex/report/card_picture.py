"""card.svg, the picture of a set's README.md: samples per emotion, AUs that are on, and how far faces move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from miex.aus.vector import AU_NUMBERS

_COLORS = {"negative": "#bb5566", "positive": "#004488", "surprise": "#ddaa33"}  # as in the gallery
_WIDTH, _LEFT, _ROW, _PLOT = 720, 150, 18, 110  # pixels: of the picture, of names, of a row, height of a histogram
_LONG = 24  # letters of a name


def card_picture(statistics: Mapping[str, Any]) -> str:
    """The text of card.svg, of `statistics_of` the samples; the same samples give the same bytes."""
    labels, n = statistics["labels"], statistics["n"]
    shapes: list[str] = []
    y = 24.0
    for k, label in enumerate(labels):
        shapes += [_bar(_LEFT + 110 * k, y - 10, 10, 10, label, ""), _text(_LEFT + 110 * k + 16, y, label)]
    y += 26
    shapes.append(_text(12, y, f"samples per emotion ({n:,} in all)", bold=True))
    emotions = statistics["counts"]["emotion"]
    for row in emotions:
        y += _ROW
        shapes += _row(y, row["name"], row["n"], labels, max(sum(one["n"]) for one in emotions), f"{sum(row['n']):,}")
    y += 32
    shapes.append(_text(12, y, "coded AUs that are on at the apex, share of the samples", bold=True))
    for au, use in zip(AU_NUMBERS, statistics["au"]["use"], strict=True):
        if sum(use):
            y += _ROW
            shapes += _row(y, f"AU {au}", use, labels, n, f"{sum(use) / n:.1%}")
    y += 32
    shapes.append(_text(12, y, "motion from onset to apex, 95th percentile, inter-ocular distances", bold=True))
    y += 10
    shapes += _histogram(y, statistics["motion"], labels)
    height = y + _PLOT + 28
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height:g}" '
        f'viewBox="0 0 {_WIDTH} {height:g}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="{_WIDTH}" height="{height:g}" fill="#fff"/>\n' + "\n".join(shapes) + "\n</svg>\n"
    )


def _row(y: float, name: str, counts: Sequence[int], labels: Sequence[str], most: int, said: str) -> Iterator[str]:
    short = name if len(name) <= _LONG else f"{name[: _LONG - 1]}…"
    yield _text(_LEFT - 8, y, short, anchor="end")
    x, scale = float(_LEFT), (_WIDTH - _LEFT - 70) / max(most, 1)
    for label, count in zip(labels, counts, strict=True):
        if count:
            yield _bar(x, y - 11, count * scale, 13, label, f"{name}, {label}: {count:,}")
            x += count * scale
    yield _text(x + 6, y, said)


def _histogram(y: float, motion: dict[str, Any], labels: Sequence[str]) -> Iterator[str]:
    edges, counts = motion["edges"], motion["counts"]
    most = max((sum(one) for one in zip(*counts, strict=True)), default=0)
    width = (_WIDTH - 24) / max(len(edges) - 1, 1)
    for b in range(len(edges) - 1):
        top = y + _PLOT
        for k, label in enumerate(labels):
            if counts[k][b]:
                height = _PLOT * counts[k][b] / most
                top -= height
                what = f"{edges[b]:g} to {edges[b + 1]:g}, {label}: {counts[k][b]:,}"
                yield _bar(12 + b * width, top, width - 1, height, label, what)
    yield f'<line x1="12" x2="{_WIDTH - 12}" y1="{y + _PLOT:g}" y2="{y + _PLOT:g}" stroke="#777"/>'
    yield _text(12, y + _PLOT + 16, f"{edges[0]:g}")
    yield _text(_WIDTH - 12, y + _PLOT + 16, f"{edges[-1]:g}", anchor="end")


def _bar(x: float, y: float, width: float, height: float, label: str, title: str) -> str:
    told = f"<title>{escape(title)}</title>" if title else ""
    color = _COLORS.get(label, "#777")
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{color}">{told}</rect>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight} fill="#222">{escape(text)}</text>'
