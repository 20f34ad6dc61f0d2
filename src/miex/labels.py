"""The three classes of micro-expressions, in the order of MEGC 2019."""

from __future__ import annotations

from enum import IntEnum

from miex.errors import UsageError


class Label(IntEnum):
    """The three classes, in the order of MEGC 2019."""

    negative = 0
    positive = 1
    surprise = 2


def label_named(name: str) -> Label:
    """The label of that name. Raises UsageError for any other name."""
    try:
        return Label[name.strip().lower()]
    except KeyError:
        raise UsageError(
            f"label {name!r}",
            expected="one of " + ", ".join(label.name for label in Label),
            do="check the spelling; emotions are grouped into these three labels",
        ) from None
