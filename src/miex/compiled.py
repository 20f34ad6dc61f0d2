"""Functions compiled to machine code by numba: loops over cells and pixels that numpy could only do in many passes.

A kernel is compiled when it is first called, which takes about a second, and kept on disk for later processes: beside
the source or, where that cannot be written, in the user's cache. Arithmetic is IEEE's, in the order of the source.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """The function, compiled when it is first called; it takes numbers and arrays only, and changes arrays in place."""
    try:
        found = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # nowhere to keep it: each process compiles its own
        found = numba.njit(nogil=True, error_model="numpy")(function)
    else:
        _heal(getattr(found, "_cache"))  # noqa: B009 (numba shows it to nobody)
    return cast(F, found)


def _heal(cache: Any) -> None:
    """Have kernels compiled anew whose files cannot be read, as a power failure leaves them, and used where they cannot
    be written, as on a full disk. numba raises in both."""
    load, save = cache.load_overload, cache.save_overload

    def load_or_forget(*asked: Any) -> Any:
        try:
            return load(*asked)
        except Exception:  # pickle raises any error for a file that was cut off
            with suppress(OSError):
                cache.flush()
            return None

    def save_if_possible(*made: Any) -> None:
        with suppress(OSError):
            save(*made)

    cache.load_overload, cache.save_overload = load_or_forget, save_if_possible


@compiled
def eased(t: float) -> float:
    """`easing.ease` of a number, for kernels."""
    t = min(1.0, max(0.0, t))
    return t * t * (3 - 2 * t)


@compiled
def interpolated(xs: npt.NDArray[Any], values: npt.NDArray[Any], x: float, near: int) -> tuple[float, int]:
    """`np.interp` at one place, rounded as there, for kernels; numba's own takes many seconds to compile.

    Args:
        xs: places, ascending; values: there.
        x: the place.
        near: a number of one that may be near it, from which it is looked for.

    Returns:
        The value, and the number of the last place that is not beyond x, or 0.
    """
    last = len(xs) - 1
    if x >= xs[last]:
        return np.float64(values[last]), last
    if x < xs[0]:
        return np.float64(values[0]), 0
    k = near
    while x < xs[k]:
        k -= 1
    while x >= xs[k + 1]:
        k += 1
    start, before = np.float64(xs[k]), np.float64(values[k])
    return float((values[k + 1] - before) / (xs[k + 1] - start) * (x - start) + before), k
