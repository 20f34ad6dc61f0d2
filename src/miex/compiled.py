"""Functions compiled to machine code by numba: loops over cells and pixels that numpy could only do in many passes.

A kernel is compiled when it is first called, which takes about a second, and kept on disk for later processes: beside
the source or, where that cannot be written, in the user's cache. Arithmetic is IEEE's, in the order of the source.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """The function, compiled when it is first called; it takes numbers and arrays only, and changes arrays in place."""
    try:
        found = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # nowhere to keep it: each process compiles its own
        found = numba.njit(nogil=True, error_model="numpy")(function)
    return cast(F, found)


@compiled
def eased(t: float) -> float:
    """`easing.ease` of a number, for kernels."""
    t = min(1.0, max(0.0, t))
    return t * t * (3 - 2 * t)
