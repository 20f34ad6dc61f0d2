"""Functions compiled to machine code by numba: loops over cells and pixels that numpy could only do in many passes.

A kernel is compiled when it is first called, which takes about a second, and kept on disk for later processes: beside
the source or, where that cannot be written, in the user's cache. Arithmetic is IEEE's, in the order of the source.
"""

from __future__ import annotations

import hashlib
import inspect
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps

from miex.errors import MiexError
from miex.stable import stable_hash
from miex.storage.local import Folder

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """The function, compiled when it is first called; it takes numbers and arrays only, and changes arrays in place."""
    found: Any = numba.njit(nogil=True, error_model="numpy")(function)
    if not isinstance(found, Dispatcher):  # NUMBA_DISABLE_JIT: the function itself
        return function
    with suppress(RuntimeError):  # nowhere to keep it: each process compiles its own
        setattr(found, "_cache", _Kept(found))  # noqa: B010 (where numba keeps its own)
    return cast(F, found)


class _Kept(FunctionCache):
    """A kernel's machine code on disk: a file for what it was compiled from, the types that it takes and the processor.

    numba's own cache numbers its files and lists them before they are written: of two processes that compile at once
    after an upgrade, one may read what the other's file held before. Nor does it see that another kernel which this
    one calls, or a number that it reads, has changed elsewhere.
    """

    def __init__(self, kernel: Dispatcher) -> None:
        super().__init__(kernel.py_func)  # type: ignore[no-untyped-call]
        self.kernel, self.folder = kernel, Folder(Path(self.cache_path))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kernel for arguments of these types; None, so that it is compiled, where no whole file of it is found."""
        target_context.refresh()
        key, name = self._asked(sig, target_context.codegen())
        try:
            found = (self.folder.path / name).read_bytes()
        except OSError:
            return None
        digest, content = found[:32], found[32:]
        if digest != hashlib.sha256(content).digest():  # cut off by a power failure
            return None
        there, made = pickle.loads(content)
        return self._impl.rebuild(target_context, made) if there == key else None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a kernel and forget those of earlier sources; it is used all the same where it cannot be kept."""
        if not self._impl.check_cachable(data):
            return
        key, name = self._asked(sig, data.codegen)
        content = dumps((key, self._impl.reduce(data)))  # type: ignore[no-untyped-call]
        with suppress(OSError, MiexError):
            self.folder.path.mkdir(parents=True, exist_ok=True)
            with self.folder.writing(name) as file:
                file.write(hashlib.sha256(content).digest() + content)
            of_all, of_source, _, _ = name.rsplit(".", 3)
            for path in self.folder.path.glob(f"{of_all}.*.nbc"):
                if not path.name.startswith(f"{of_all}.{of_source}."):
                    path.unlink()
            self.folder.remove_leftovers()  # of processes that were killed while they wrote

    def _asked(self, sig: Any, codegen: Any) -> tuple[Any, str]:
        """What identifies a kernel, and its file's name, of the function's, Python's, its sources' and the rest."""
        function, sources = self.kernel.py_func, f"{stable_hash(*_sources(self.kernel, set())):016x}"
        checked: bool = getattr(numba.config, "BOUNDSCHECK")  # noqa: B009 (numba names it to no type checker)
        rest = (numba.__version__, checked, self._index_key(sig, codegen))  # type: ignore[no-untyped-call]
        name = f"{function.__module__}.{function.__qualname__}".replace("<", "").replace(">", "")
        return (sources, rest), f"{name}.{sys.implementation.cache_tag}.{sources}.{stable_hash(rest):016x}.nbc"


def _sources(kernel: Dispatcher, seen: set[Dispatcher]) -> Iterator[str]:
    """All that a kernel is compiled from: its code, the numbers and arrays that it reads, and the same of the kernels
    that it calls, which become part of it.

    Raises:
        TypeError: it reads something else, of which a change would not be seen.
    """
    seen.add(kernel)
    function, code = kernel.py_func, kernel.py_func.__code__
    yield repr((
        function.__module__, function.__qualname__, function.__defaults__, function.__kwdefaults__,
        code.co_code, _told(code.co_consts), code.co_names, code.co_varnames, sorted(kernel.targetoptions.items()),
    ))  # fmt: skip
    read = inspect.getclosurevars(function)
    for name, value in sorted({**read.nonlocals, **read.globals}.items()):
        if not isinstance(value, Dispatcher):
            yield f"{name} {_told(value)}"
        elif value not in seen:
            yield from _sources(value, seen)


def _told(value: object) -> str:
    """All of a value, in text."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_told, value))})"
    if isinstance(value, np.ndarray):
        return repr((value.dtype, value.shape, value.tobytes()))
    if value is None or value is np or isinstance(value, np.generic) or type(value) in (bool, int, float, str):
        return repr(value)
    raise TypeError(f"a kernel reads numbers, arrays, tuples of them and numpy, and none of {value!r}")


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
