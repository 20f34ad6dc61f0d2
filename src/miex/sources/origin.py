"""The zero point of AUs: the extractor's neutral face, or the person's own resting face."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from miex.aus.vector import AUArray

Origin = Literal["relative", "absolute"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)


def counted_from(origin: Origin, aus: AUArray, rest: AUArray) -> AUArray:
    """AUs counted from the origin, float32 [..., 17] in [0, 1].

    absolute: as they are (the paper's way): the person's resting bias travels as if it were expression.
    relative: minus the person's rest; below it 0, since no generator here pushes a muscle. So an AU that relaxes
    below the person's rest is lost.

    Args:
        origin: of the two.
        aus: as extracted, float32 [..., 17] in [0, 1].
        rest: the person's AUs at rest, float32 [17].
    """
    return aus if origin == "absolute" else np.maximum(aus - rest, np.float32(0))
