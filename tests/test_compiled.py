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
CALLED = """
import numpy as np
from miex.compiled import compiled
FACTOR, OFFSETS = {factor}, np.array([{offset}])

@compiled
def scaled(x: float, by: float = {default}) -> float:
    return {times} * x * by
"""
CALLS = """
from called import FACTOR, OFFSETS, scaled
from miex.compiled import compiled

@compiled
def through(x: float) -> float:
    return scaled(x) * FACTOR + OFFSETS[0]

print(through(21.0), sum(through.stats.cache_hits.values()))
"""
AS_THEY_WERE = {"times": 2, "factor": 1, "offset": 0.0, "default": 1}


def started(script: Path, cache: Path) -> subprocess.Popen[str]:
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(Path(miex.__file__).parents[1])}
    # a source that is written twice within a second is the same to Python's own cache
    return subprocess.Popen(
        [sys.executable, "-B", str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )


def ended(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=120)
    assert not process.returncode, err
    return out.strip()


def run(script: Path, cache: Path) -> str:
    return ended(started(script, cache))


def test_kernels_that_were_cut_off_or_changed_are_compiled_again(tmp_path: Path) -> None:
    script, cache = tmp_path / "kernel.py", tmp_path / "cache"
    script.write_text(KERNEL)
    assert [run(script, cache) for _ in range(2)] == ["42.0 0", "42.0 1"]
    (file,) = cache.rglob("*.nbc")
    whole = file.read_bytes()
    draft = file.with_name(f"{file.name}.tmp-{'0f' * 16}")  # of a process that was killed
    draft.touch()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in (b"", whole[:100], b"no kernel", bytes(flipped)):
        file.write_bytes(content)
        assert [run(script, cache) for _ in range(2)] == ["42.0 0", "42.0 1"]
    assert not draft.exists()


def test_a_kernel_that_cannot_be_kept_is_used_all_the_same(tmp_path: Path) -> None:
    script, cache = tmp_path / "kernel.py", tmp_path / "cache"
    script.write_text(KERNEL)
    run(script, cache)
    (file,) = cache.rglob("*.nbc")
    file.unlink()
    file.mkdir()  # where it is written, whoever runs the test
    assert run(script, cache) == "42.0 0"


@pytest.mark.parametrize(
    ("change", "expected"), [(("21.0", "21"), "42 0"), (("2 * x", "3 * x"), "63.0 0")], ids=["types", "source"]
)
def test_the_file_of_another_kernel_is_not_taken_for_it(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    script, cache = tmp_path / "kernel.py", tmp_path / "cache"
    script.write_text(KERNEL)
    run(script, cache)
    (file,) = cache.rglob("*.nbc")
    content = file.read_bytes()
    script.write_text(KERNEL.replace(*change))
    assert run(script, cache) == expected
    (other,) = {*cache.rglob("*.nbc")} - {file}
    other.write_bytes(content)
    assert run(script, cache) == expected


def test_a_kernel_is_compiled_again_when_what_it_takes_from_elsewhere_has_changed(tmp_path: Path) -> None:
    script, called, cache = tmp_path / "calls.py", tmp_path / "called.py", tmp_path / "cache"
    script.write_text(CALLS)
    called.write_text(CALLED.format(**AS_THEY_WERE))
    assert [run(script, cache) for _ in range(2)] == ["42.0 0", "42.0 1"]
    for changed, expected in (("times", 63.0), ("factor", 126.0), ("offset", 45.0), ("default", 126.0)):
        source = CALLED.format(**{**AS_THEY_WERE, changed: 3})
        called.write_text(source)
        assert run(script, cache) == f"{expected} 0"
        assert len(list(cache.rglob("*through*"))) == 1, "kernels of earlier sources are not kept"
    called.write_text(f'"""Words."""\n\n{source}')
    assert run(script, cache) == f"{expected} 1"


def test_processes_that_compile_at_once_leave_a_kernel_for_all(tmp_path: Path) -> None:
    script, cache = tmp_path / "kernel.py", tmp_path / "cache"
    for times in (2, 3):  # the second finds the files of the first
        script.write_text(KERNEL.replace("2 * x", f"{times} * x"))
        assert {ended(process) for process in [started(script, cache) for _ in range(4)]} <= {
            f"{times * 21.0} 0",
            f"{times * 21.0} 1",
        }
        assert run(script, cache) == f"{times * 21.0} 1"
        assert len(list(cache.rglob("*.*"))) == 1


def test_a_kernel_that_reads_what_may_change_unseen_is_refused(tmp_path: Path) -> None:
    script, called = tmp_path / "calls.py", tmp_path / "called.py"
    called.write_text("FACTOR = 2\n")
    script.write_text(KERNEL.replace("@compiled", "import called\n\n@compiled").replace("2 * x", "called.FACTOR * x"))
    with pytest.raises(AssertionError, match="a kernel reads numbers"):
        run(script, tmp_path / "cache")


def test_without_a_compiler_a_kernel_is_its_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    script = tmp_path / "kernel.py"
    script.write_text(KERNEL.replace(", sum(twice.stats.cache_hits.values())", ""))
    assert run(script, tmp_path / "cache") == "42.0"


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
