"""Kernels that are kept on disk: whatever became of their files, the next process computes the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import miex
from miex.compiled import interpolated

KERNEL = """
from miex.compiled import compiled

@compiled
def twice(x: float) -> float:
    return 2 * x

print(twice(21.0), sum(twice.stats.cache_hits.values()))
"""


def run(script: Path, cache: Path) -> str:
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(Path(miex.__file__).parents[1])}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=env, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_kernels_that_were_cut_off_are_compiled_again(tmp_path: Path, suffix: str) -> None:
    script, cache = tmp_path / "kernel.py", tmp_path / "cache"
    script.write_text(KERNEL)
    assert [run(script, cache) for _ in range(2)] == ["42.0 0", "42.0 1"]
    (file,) = cache.rglob(f"*{suffix}")
    for content in (b"", file.read_bytes()[:100], b"no kernel"):
        file.write_bytes(content)
        assert [run(script, cache) for _ in range(2)] == ["42.0 0", "42.0 1"]


def test_a_kernel_that_cannot_be_kept_is_used_all_the_same(tmp_path: Path) -> None:
    script, cache = tmp_path / "kernel.py", tmp_path / "cache"
    script.write_text(KERNEL)
    run(script, cache)
    (index,) = cache.rglob("*.nbi")
    index.unlink()
    index.mkdir()  # where numba writes, whoever runs the test
    assert run(script, cache) == "42.0 0"


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_values_between_places_are_those_of_numpy_to_the_bit(kind: npt.DTypeLike) -> None:
    rng = np.random.default_rng(3)
    xs, values = np.cumsum(rng.integers(0, 3, 12) + rng.random(12)).astype(kind), rng.normal(size=12).astype(kind)
    xs[4] = xs[5]  # a step
    asked, near = [*rng.uniform(-2, xs[-1] + 2, 200), *xs.tolist()], 0
    for x, expected in zip(asked, np.interp(asked, xs, values), strict=True):
        found, near = interpolated(xs, values, x, near)
        assert found == expected
        assert near == max(0, np.searchsorted(xs, x, "right") - 1)
