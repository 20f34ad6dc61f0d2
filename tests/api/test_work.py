"""Where work runs, and a script that forgets what workers do with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from miex.api import work
from miex.errors import UsageError
from miex.executors.base import IN_PROCESS
from miex.executors.local import LocalProcesses, available_workers
from tests.support import photo_folder

SCRIPT = """
import miex

def main():
    made = miex.synthesize({out!r}, faces={faces!r}, size=64, shard_size=3, workers=2)
    print(made)

{call}
"""


def run(tmp_path: Path, call: str) -> subprocess.CompletedProcess[str]:
    faces = photo_folder(tmp_path / "faces", 2)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(out=str(tmp_path / "out"), faces=str(faces), call=call))
    command = [sys.executable, str(script)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_a_script_with_a_guard_may_start_workers(tmp_path: Path, model: Path) -> None:
    done = run(tmp_path, 'if __name__ == "__main__":\n    main()')
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("6 samples · 2 identities · muscle ")


def test_a_script_without_one_is_told_so(tmp_path: Path, model: Path) -> None:
    done = run(tmp_path, "main()")
    assert done.returncode != 0
    last = done.stderr[done.stderr.rindex("miex.executors.base.WorkerDiedError") :]
    assert 'if __name__ == "__main__":' in last
    assert "every one ended before its first task" in last
    assert "fewer `workers`" not in done.stderr  # the advice for workers without memory


def test_workers_are_numbers_or_executors() -> None:
    assert work.executor(1) is IN_PROCESS
    assert work.executor(3) == LocalProcesses(3)
    assert work.executor(IN_PROCESS) is IN_PROCESS
    assert work.processes(None) == available_workers()
    with pytest.raises(UsageError, match="`workers` 0"):
        work.executor(0)
