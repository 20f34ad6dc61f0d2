"""Arrays of examples: complete or absent, computed once, checked when opened, and never sent to other processes."""

from __future__ import annotations

import os
import pickle
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from miex.errors import InputError
from miex.executors.local import LocalProcesses
from miex.recognition import view as view_module
from miex.recognition.examples import Arrays, Examples, FrameSource, of_maps
from miex.recognition.inputs.base import Input
from miex.recognition.inputs.flow import FlowMaps
from miex.recognition.view import ARRAY, RECORD, ROWS, View, in_memory
from tests.support import Shuffled


def maps(n: int = 70, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 28, 28, 3), dtype=np.uint8)


def examples(n: int = 70, seed: int = 0) -> Examples:
    return of_maps(maps(n, seed), (np.arange(n) % 3).tolist(), source="expert", prefix=f"x{seed}")


@dataclass(frozen=True, eq=False)
class Counted(FrameSource):
    """Maps that leave a trace each time they are computed."""

    arrays: Arrays
    traces: Path

    @property
    def digest(self) -> str:
        return self.arrays.digest

    def part(self, first: int, count: int) -> Counted:
        return Counted(self.arrays.part(first, count), self.traces)

    def examples(self, takes: Input) -> Iterator[Any]:
        (self.traces / f"{os.getpid()}-{time.monotonic_ns()}").touch()
        time.sleep(0.05)
        return self.arrays.examples(takes)


def counted(folder: Path, n: int = 70) -> Examples:
    folder.mkdir(exist_ok=True)
    plain = examples(n)
    assert isinstance(plain.frames, Arrays)
    return Examples(plain.rows, Counted(plain.frames, folder))


def test_the_array_holds_what_was_made_whoever_made_it(tmp_path: Path) -> None:
    plain = examples()
    views = [
        plain.through(FlowMaps(), tmp_path / name, executor=executor)
        for name, executor in (("a", Shuffled()), ("b", LocalProcesses(2)))
    ]
    for view in views:
        assert np.array_equal(view.batch(), maps())
        assert view.rows.equals(plain.rows)
        assert view.digest == in_memory(maps(), plain.rows).digest
    files = [{path.name: path.read_bytes() for path in (tmp_path / side).glob("*/*")} for side in "ab"]
    assert files[0] == files[1]
    assert set(files[0]) == {ARRAY, ROWS, RECORD}
    assert np.array_equal(np.load(next((tmp_path / "a").glob(f"*/{ARRAY}"))), maps())


@pytest.mark.skipif(not Path("/proc/self/smaps").is_file(), reason="needs the list of mapped files of Linux")
def test_pages_of_a_large_file_are_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_module, "_LARGE", 0)
    view = examples().through(FlowMaps(), tmp_path)
    (path,) = tmp_path.glob(f"*/{ARRAY}")

    def held() -> int:
        parts = Path("/proc/self/smaps").read_text().split(str(path))[1:]
        return sum(int(re.search(r"Rss: +(\d+) kB", part)[1]) for part in parts)

    array = view.parts[0].array
    assert array.sum() > 0
    assert held() > 0
    first = view.batch([0])
    assert held() == 0
    assert np.array_equal(first, array[:1])  # and are read again


def test_it_is_made_once_for_each_input_and_rows(tmp_path: Path) -> None:
    traces, cache = tmp_path / "traces", tmp_path / "cache"
    made = counted(traces)
    for _ in range(2):
        made.through(FlowMaps(), cache)
    once = len(list(traces.iterdir()))
    assert once == 3  # chunks of 70
    made.through(FlowMaps(normalize="unit"), cache)  # the preparation of batches changes no stored example
    assert len(list(traces.iterdir())) == once
    made.through(FlowMaps(side=56), cache)
    assert len(list(traces.iterdir())) == 2 * once
    fewer = Examples(made.rows.slice(0, 40), made.frames.part(0, 40))
    assert len(fewer.through(FlowMaps(), cache)) == 40
    assert len(list(cache.glob(f"*/{RECORD}"))) == 3


def make_in_another_process(folder: Path) -> None:
    counted(folder / "traces").through(FlowMaps(), folder / "cache")


def test_two_processes_at_once_end_with_one(tmp_path: Path) -> None:
    context = get_context("spawn")
    both = [context.Process(target=make_in_another_process, args=(tmp_path,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert len({path.name.split("-")[0] for path in (tmp_path / "traces").iterdir()}) == 1  # the other one waited
    (folder,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    assert {path.name for path in folder.iterdir()} == {ARRAY, ROWS, RECORD}
    assert np.array_equal(examples().through(FlowMaps(), tmp_path / "cache").batch(), maps())


def test_what_was_interrupted_is_not_there(tmp_path: Path) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(done: int, total: int, note: str) -> None:
        if done > 40:
            raise Interrupted

    with pytest.raises(Interrupted):
        examples().through(FlowMaps(), tmp_path, progress=interrupt)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert np.array_equal(examples().through(FlowMaps(), tmp_path).batch(), maps())


@pytest.mark.parametrize(("name", "harmless"), [(ARRAY, 2), (ROWS, 20), (RECORD, 4)])
def test_damage_is_seen_when_it_is_opened(tmp_path: Path, name: str, harmless: int) -> None:
    """60 bits are flipped; only those that change nothing that is read (blanks, statistics of columns) may pass."""
    plain = examples()
    plain.through(FlowMaps(), tmp_path)
    path = next(tmp_path.glob(f"*/{name}"))
    whole, refused = path.read_bytes(), []
    for place in np.linspace(0, len(whole) - 1, 60).astype(int):
        content = bytearray(whole)
        content[place] ^= 1
        path.write_bytes(content)
        try:
            view = plain.through(FlowMaps(), tmp_path)
            assert np.array_equal(view.batch(), maps())
            assert view.rows.equals(plain.rows)
        except InputError as error:
            refused.append(error)
    assert len(refused) >= 60 - harmless
    assert all(str(path.parent) in error.asked and "computed again" in error.do for error in refused)


def test_an_array_that_is_cut_off_or_gone_is_named(tmp_path: Path) -> None:
    view = examples().through(FlowMaps(), tmp_path)
    path = next(tmp_path.glob(f"*/{ARRAY}"))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=ARRAY):
        view.batch([0])
    path.unlink()
    with pytest.raises(InputError, match=ARRAY):
        view.batch([0])


def stored_and_at_hand(tmp_path: Path) -> Iterator[View]:
    yield examples().through(FlowMaps(), tmp_path)
    yield in_memory(maps(), examples().rows)


def test_parts_and_joins_are_those_of_numpy(tmp_path: Path) -> None:
    for a in stored_and_at_hand(tmp_path):
        b = examples(50, seed=1).through(FlowMaps(), tmp_path)
        picked = np.random.default_rng(2).integers(0, 70, 30)
        both = a.take(picked).joined(b).joined(a)
        pixels = np.concatenate([maps()[picked], maps(50, 1), maps()])
        ids = np.concatenate([np.asarray(view.rows["sample_id"].to_pylist()) for view in (a.take(picked), b, a)])
        some = np.random.default_rng(3).integers(0, len(both), 80)
        assert np.array_equal(both.batch(), pixels)
        assert np.array_equal(both.batch(some), pixels[some])
        assert np.array_equal(both.batch(slice(20, 60)), pixels[20:60])
        assert both.take(some).rows["sample_id"].to_pylist() == ids[some].tolist()
        turned = both.labelled((both.labels + 1) % 3)
        assert np.array_equal(turned.take(some).labels, (both.labels[some] + 1) % 3)
        assert turned.take(some).rows["label"].to_pylist() == turned.take(some).labels.tolist()
        assert np.array_equal(turned.joined(b).labels, np.concatenate([turned.labels, b.labels]))
        batch = both.batch([1])
        batch[:] = 0  # a copy
        assert np.array_equal(both.batch([1]), pixels[[1]])
        assert a.take(np.arange(70)).digest == a.digest


def test_other_examples_orders_or_classes_have_another_digest(tmp_path: Path) -> None:
    a = examples().through(FlowMaps(), tmp_path)
    others = [
        a.take([1, 0]), a.take([0, 1]), a.take(np.arange(69)), a.labelled((a.labels + 1) % 3),
        examples(seed=1).through(FlowMaps(), tmp_path), examples().through(FlowMaps(side=32), tmp_path),
        View(a.parts, ("no", "yes", "maybe")), a.joined(a),
    ]  # fmt: skip
    assert len({view.digest for view in (a, *others)}) == 9


def test_views_that_do_not_fit_are_not_joined(tmp_path: Path) -> None:
    a = examples().through(FlowMaps(), tmp_path)
    for other in (examples().through(FlowMaps(side=56), tmp_path), View(a.parts, ("no", "yes", "maybe"))):
        with pytest.raises(InputError, match="joining"):
            a.joined(other)


def test_no_examples_are_a_view_too(tmp_path: Path) -> None:
    nothing = examples(0)
    view = nothing.through(FlowMaps(), tmp_path)
    assert view.batch().shape == (0, 28, 28, 3)
    assert len(view) == 0


def test_it_travels_by_name(tmp_path: Path) -> None:
    view = examples().through(FlowMaps(), tmp_path).take([5, 3])
    assert np.array_equal(view.batch(), maps()[[5, 3]])
    assert view.rows.num_rows == 2
    sent = pickle.dumps(view)
    assert len(sent) < 1000
    again: View = pickle.loads(sent)
    assert np.array_equal(again.batch(), maps()[[5, 3]])
    assert again.digest == view.digest
