"""Some of the shards of a plan, as people write them: 0-9,20-29 or 3/8."""

from __future__ import annotations

import re

from miex.errors import UsageError

FORM = "ranges of shards such as 0-9,20-29 (both ends included), or a part such as 3/8 (the third of eight)"
_RANGE, _PART = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?"), re.compile(r"([0-9]{1,18})/([0-9]{1,18})")


def shards_of(asked: str, n: int) -> list[int]:
    """The numbers of the shards that are asked for, sorted.

    Parts are consecutive shards, differ by at most one in length, and together are all; of more parts than shards some
    are empty.

    Args:
        asked: ranges separated by commas, or one part.
        n: how many shards the plan has.

    Raises:
        UsageError: text of another form, or a shard that the plan does not have.
    """
    text = re.sub(r"\s", "", asked)
    if part := _PART.fullmatch(text):
        i, parts = map(int, part.groups())
        if not 1 <= i <= parts:
            which = f"a part from 1/{parts} to {parts}/{parts}" if parts else "a part of at least one, such as 1/1"
            raise UsageError(f"`shards` {asked}", expected=which)
        return list(range(n * (i - 1) // parts, n * i // parts))
    chosen: set[int] = set()
    for word in text.split(","):
        found = _RANGE.fullmatch(word)
        if not found:
            raise UsageError(f"`shards` {asked}", expected=FORM)
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise UsageError(f"`shards` {asked}", expected=FORM, found=f"{word}, which ends before it begins")
        if last >= n:
            raise UsageError(f"`shards` {asked}", expected=f"shards from 0 to {n - 1}: the plan has {n:,}", found=word)
        chosen.update(range(first, last + 1))
    return sorted(chosen)
