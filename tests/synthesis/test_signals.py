"""Real processes that are killed or told to stop, each at a known point of its work."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from miex.dataset.plan_file import read_plan
from miex.dataset.shard import SHARDS
from miex.dataset.verify import verify
from miex.storage.local import is_leftover
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.run import run_plan
from tests.support import photo_folder, plan_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and named pipes")

PIPES_ARE_FILES = """
import stat
regular = stat.S_ISREG
stat.S_ISREG = lambda mode: regular(mode) or stat.S_ISFIFO(mode)
"""
SECONDS = 60  # for what must happen at once, on however busy a machine


@dataclass(frozen=True)
class Lab:
    """Photos of four people, a plan with a shard for each of them, and what its finished set must hold.

    A photo can be held: in its place lies a named pipe, at which whoever reads it waits. So the work stands still at a
    known point, however fast or slow the machine is. miex refuses pipes; its processes take them for plain files here.
    """

    photos: Path
    out: Path
    expected: dict[str, bytes]

    def photo(self, shard: int) -> Path:
        plan = read_plan(self.out)
        identity = plan.rows["identity"][shard * plan.shard_size].as_py()
        return self.photos / plan.faces["path"][plan.faces["identity"].to_pylist().index(identity)].as_py()

    @contextlib.contextmanager
    def holding(self, *shards: int) -> Iterator[None]:
        photos = [self.photo(shard) for shard in shards]
        for photo in photos:
            photo.rename(photo.with_suffix(".held"))
            os.mkfifo(photo)
        try:
            yield
        finally:
            for photo in photos:
                photo.with_suffix(".held").replace(photo)

    def feed(self, shard: int, process: subprocess.Popen[str]) -> None:
        """Give the photo to the one who waits for it."""
        photo = self.photo(shard)
        pipes: list[int] = []

        def opened() -> bool:
            try:
                pipes.append(os.open(photo, os.O_WRONLY | os.O_NONBLOCK))
            except OSError as error:  # nobody reads there yet
                if error.errno != errno.ENXIO:
                    raise
            return bool(pipes)

        wait_until(opened, process)
        os.set_blocking(pipes[0], True)
        with os.fdopen(pipes[0], "wb") as file:
            file.write(photo.with_suffix(".held").read_bytes())

    @contextlib.contextmanager
    def running(self, workers: int) -> Iterator[subprocess.Popen[str]]:
        """A run of the plan, in a process group of its own that does not outlive the block."""
        command = [sys.executable, "-m", "miex", "run", str(self.out), "--workers", str(workers)]
        places = [str(self.out.parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, env=env) as process:
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def names(self) -> set[str]:
        return {path.name.split(".tmp-")[0] + ".draft" * is_leftover(path.name) for path in self.files()}

    def files(self) -> list[Path]:
        return [path for path in (self.out / SHARDS, self.out) if path.is_dir() for path in path.iterdir()]

    def contents(self) -> dict[str, bytes]:
        files = [*(self.out / SHARDS).iterdir(), self.out / "samples.parquet"]
        return {path.name: path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Lab:
    folder = tmp_path_factory.mktemp("made")
    photos, out = photo_folder(folder / "photos", 4), folder / "set"
    adopt_plan(plan_of(photos, model, size=64, shard_size=3), out)
    run_plan(out)
    assert verify(out).problems == ()
    return Lab(photos, out, Lab(photos, out, {}).contents())


@pytest.fixture
def lab(made: Lab, tmp_path: Path) -> Lab:
    """Nothing made yet."""
    lab = Lab(made.photos, tmp_path / "set", made.expected)
    (tmp_path / "sitecustomize.py").write_text(PIPES_ARE_FILES)
    lab.out.mkdir()
    for name in ("plan.json", "plan.parquet", "faces.parquet"):
        shutil.copy(made.out / name, lab.out)
    return lab


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert process.poll() is None, "it ended first"
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
    assert process.poll() is None


@pytest.mark.parametrize(("workers", "held"), [(1, 1), (2, 3)])
def test_a_killed_run_leaves_whole_shards_and_goes_on(lab: Lab, workers: int, held: int) -> None:
    before = {f"{shard:05d}.json" for shard in range(held)}
    with lab.holding(held), lab.running(workers) as process:
        wait_until(lambda: before | {f"{held:05d}.tar.draft"} <= lab.names(), process)
        process.kill()
        process.communicate(timeout=SECONDS)  # the pipe is at its end when the workers, too, are gone
    assert process.returncode == -signal.SIGKILL
    names = lab.names()
    assert f"{held:05d}.tar.draft" in names
    assert not {f"{held:05d}.json", "samples.parquet"} & names  # there was work left
    for path in lab.files():
        assert path.name not in before or path.read_bytes() == lab.expected[path.name]
    run_plan(lab.out)
    assert lab.contents() == lab.expected
    assert verify(lab.out).problems == ()


def test_a_job_that_is_terminated_says_how_to_go_on(lab: Lab) -> None:
    with lab.holding(1), lab.running(workers=1) as process:
        wait_until(lambda: {"00000.json", "00001.tar.draft"} <= lab.names(), process)
        process.terminate()
        _, said = process.communicate(timeout=SECONDS)
    stopped(lab, process.returncode, said, records={"00000.json"})


def test_control_c_lets_shards_in_work_end_and_starts_no_more(lab: Lab) -> None:
    with lab.holding(1, 2), lab.running(workers=2) as process:
        wait_until(lambda: {"00000.json", "00001.tar.draft", "00002.tar.draft"} <= lab.names(), process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers, too
        for shard in (1, 2):
            lab.feed(shard, process)
        _, said = process.communicate(timeout=SECONDS)
    stopped(lab, process.returncode, said, records={"00000.json", "00001.json", "00002.json"})


def stopped(lab: Lab, code: int, said: str, records: set[str]) -> None:
    assert code == 130, said
    assert "continues from there" in said
    assert "Traceback" not in said
    names = lab.names()
    assert {name for name in names if name.endswith(".json") and name != "plan.json"} == records
    assert not {name for name in names if name.endswith(".draft")}
    run_plan(lab.out)
    assert lab.contents() == lab.expected
