"""What is seen in a sample beside its coded AUs, in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from miex.aus.vector import AU_INDEX, AU_NUMBERS, SIDES
from miex.dataset.schema import coded_aus, rendered_aus

LEAST = float(np.float32(0.005))  # of an AU's intensity, which is written with two decimals
_BLINK = AU_INDEX[45]
_EYES = " % of the distance between the eyes"


def also_seen(row: Mapping[str, Any]) -> list[str]:
    """On which sides coded AUs are alone; and all that nuisances add to the frames, or change in them, as planned.

    One text for each thing: a coded AU on one side, a blink, each AU that is rendered with another intensity than the
    coded one, residual motion, the head, local shifts, light, noise, compression. AUs are given at onset and apex ("AU
    7: 0 → 0.05"), once where both are the same, and for each side where the sides differ (L and R are the person's
    own); motion in parts of the distance between the eyes. What is too small to be written is left out.

    Args:
        row: of a plan.
    """
    return [*_of_aus(row), *_of_motion(row), *_of_pictures(row)]


def _of_aus(row: Mapping[str, Any]) -> Iterator[str]:
    rendered, apex = rendered_aus(row), row["apex"]
    for au, side in zip(AU_NUMBERS, row["sides"] or (), strict=False):
        if side:
            yield f"AU {au} on the {SIDES[side < 0]} side alone"
    differ = np.abs(rendered - coded_aus(row)).max((0, 2)) >= LEAST
    sides = rendered.transpose(1, 2, 0).tolist()
    for i in sorted(np.flatnonzero(differ).tolist(), key=lambda i: i != _BLINK):  # a blink is seen first
        left, right = sides[i]
        text = _path(left, apex)
        if left != right and (other := _path(right, apex)) != text:
            text = f"L {text}, R {other}"
        coded = [frame[i] for frame in row["aus"]]
        known = f" (coded {_path(coded, apex)})" if any(coded) else ""
        yield ("blink: " if i == _BLINK else f"AU {AU_NUMBERS[i]}: ") + text + known


def _path(values: list[float], apex: int) -> str:
    """An intensity from onset to apex, and the highest of a sequence if that is elsewhere."""
    ends = [_short(values[k]) for k in (0, apex)]
    text = ends[0] if ends[0] == ends[1] else " → ".join(ends)
    highest = values.index(max(values))
    beyond = values[highest] >= max(values[0], values[apex]) + LEAST
    return text + (f", {_short(values[highest])} at frame {highest}" if beyond else "")


def _short(value: float) -> str:
    return "0" if value < LEAST else f"{value:.2f}"


def _of_motion(row: Mapping[str, Any]) -> Iterator[str]:
    apex = row["apex"]
    if row["residual"] is not None:
        yield from _if_any("residual motion ", 100 * row["residual"][1], ".2f", _EYES)
    if row["head"] is not None:
        right, down, roll, zoom = row["head"][apex]
        parts = [
            *_if_any("", 100 * np.hypot(right, down), ".1f", _EYES),
            *_if_any("turned by ", abs(np.degrees(roll)), ".1f", "°"),
            *_if_any("nearer by " if zoom > 0 else "farther by ", abs(100 * zoom), ".1f", " %"),
        ]
        if parts:
            yield "head " + ", ".join(parts)
    if row["turn"] is not None:
        yield from _if_any("face turned aside by ", np.degrees(np.hypot(*row["turn"][apex])), ".1f", "°")
    if row["outliers"]:
        longest = max(100 * float(np.hypot(right, down)) for *_, right, down in row["outliers"])
        n = len(row["outliers"])
        yield f"{n} local shift{'s' * (n > 1)} of up to {longest:.1f}{_EYES}"


def _of_pictures(row: Mapping[str, Any]) -> Iterator[str]:
    if row["light"] is not None:
        brightness, right, down = row["light"][row["apex"]]
        parts = [
            *_if_any("brighter by " if brightness > 0 else "darker by ", abs(100 * brightness), ".1f", " %"),
            *_if_any("uneven by ", 100 * np.hypot(right, down), ".1f", " %"),
        ]
        if parts:
            yield "light " + ", ".join(parts)
    if row["noise"]:
        yield from _if_any("noise of ", row["noise"], ".1f", " gray levels")
    if row["compression"] is not None:
        yield f"JPEG quality {row['compression']}"


def _if_any(what: str, value: float, digits: str, unit: str) -> Iterator[str]:
    text = format(value, digits)
    if float(text):
        yield what + text + unit
