"""Where AUs are counted from: the neutral face of the extractor, or the person's own rest."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from miex.aus.vector import AUArray
from miex.errors import UsageError

Origin = Literal["relative", "absolute"]


def origin_named(name: str) -> Origin:
    """The origin of that name. Raises UsageError for any other name."""
    for origin in get_args(Origin):
        if name == origin:
            return origin  # type: ignore[no-any-return]
    raise UsageError(f"AU origin {name!r}", expected="relative or absolute")


def moved(aus: AUArray, rest: AUArray, origin: Origin) -> AUArray:
    """AUs [..., 17] counted from the origin, in [0, 1].

    absolute: as they are (the paper's way): the person's resting bias travels as if it were expression.
    relative: minus the person's rest; below it 0, since no generator here pushes a muscle. So an AU that relaxes
    below the person's rest is lost.
    """
    return aus if origin == "absolute" else np.maximum(aus - rest, np.float32(0))
