"""A stream gives what a reader of the stored set sees, each sample once, in any number of shares."""

from __future__ import annotations

import json
import shutil
import time
import weakref
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import miex
from miex.dataset.epochs import share, shuffler
from miex.dataset.plan_file import read_plan, write_plan
from miex.dataset.reader import SampleData
from miex.dataset.shard import Failure
from miex.errors import InputError, PartialFailureError, UsageError
from miex.faces.photos import default_pool
from miex.planning.rows import epoch_seed
from miex.storage.local import Folder
from miex.synthesis import render
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.order import blocks, line
from miex.synthesis.render import Row, Seen
from miex.synthesis.run import run_plan
from miex.synthesis.stream import Renderer, Stream, stream_of
from tests.support import plan_of, with_tables


def same(a: SampleData, b: SampleData) -> bool:
    plain = ("sample_id", "apex", "also_seen", "label", "emotion", "source", "identity", "provenance")
    arrays = ("frames", "aus", "rendered")
    return all(getattr(a, name) == getattr(b, name) for name in plain) and all(
        getattr(a, name).dtype == getattr(b, name).dtype and np.array_equal(getattr(a, name), getattr(b, name))
        for name in arrays
    )


@pytest.mark.parametrize(
    "asked", [{}, {"frame_format": "jpeg", "nuisances": "all"}, {"frames": 3, "until": "offset", "nuisances": "clean"}]
)
def test_a_stream_gives_the_samples_of_the_stored_set(tmp_path: Path, model: Path, asked: dict[str, Any]) -> None:
    adopt_plan(plan_of(default_pool(), model, ids=3, per=2, shard_size=5, size=64, **asked), tmp_path)
    streamed = list(miex.stream(tmp_path, block=7))  # nothing is stored yet
    run_plan(tmp_path)
    stored = {sample.sample_id: sample for sample in miex.open(tmp_path)}
    assert len(streamed) == len(stored) == 18
    assert all(same(sample, stored[sample.sample_id]) for sample in streamed)


def test_an_epoch_with_new_draws_is_the_set_of_another_seed(tmp_path: Path, model: Path) -> None:
    for name, seed in (("plan", 5), ("other", epoch_seed(5, 2))):
        adopt_plan(plan_of(default_pool(), model, ids=2, size=64, seed=seed), tmp_path / name)
    source = miex.sources.expert("du2014")
    stream = miex.stream(tmp_path / "plan", new_draws=True, sources=[source], shuffle=False)
    epochs = [list(stream) for _ in range(3)]
    for epoch, name in ((0, "plan"), (2, "other")):
        expected = list(miex.stream(tmp_path / name, shuffle=False))
        assert all(same(a, b) for a, b in zip(epochs[epoch], expected, strict=True))
    assert not any(np.array_equal(a.frames, b.frames) for a, b in zip(*epochs[:2], strict=True))
    assert len({json.dumps([sample.sample_id for sample in epoch]) for epoch in epochs}) == 1
    # found by what the plan says of it
    again = miex.stream(tmp_path / "plan", new_draws=True, shuffle=False)
    again.set_epoch(2)
    assert all(same(a, b) for a, b in zip(again, epochs[2], strict=True))
    with pytest.raises(UsageError, match=r"mu 0\.1 → 0\.2"):
        miex.stream(tmp_path / "plan", new_draws=True, sources=[miex.sources.expert("du2014", mu=0.2)])


def test_new_draws_keep_triplets_whose_number_is_fixed(tmp_path: Path, model: Path) -> None:
    adopt_plan(plan_of(default_pool(), model, ids=2, size=64, triplets=3), tmp_path)
    stream = miex.stream(tmp_path, new_draws=True, shuffle=False)
    for a, b in zip(list(stream), list(stream), strict=True):
        assert np.array_equal(a.aus, b.aus)
        assert not np.array_equal(a.frames, b.frames)


class Rows:
    """A plan of identities with so many rows each, read in parts."""

    def __init__(self, counts: Sequence[int], part_rows: int) -> None:
        self.table = pa.table({"identity": [f"{i}" for i, n in enumerate(counts) for _ in range(n)]})
        self.n_rows, self.part_rows = self.table.num_rows, part_rows

    def part(self, number: int) -> pa.Table:
        return self.table.slice(number * self.part_rows, self.part_rows)


@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=30), part_rows=st.integers(1, 40),
    most=st.integers(1, 9), world=st.integers(1, 7), workers=st.integers(1, 4), size=st.integers(1, 50),
    seed=st.none() | st.integers(0, 5),
)  # fmt: skip
def test_shares_partition_the_line(
    counts: list[int], part_rows: int, most: int, world: int, workers: int, size: int, seed: int | None
) -> None:
    plan = Rows(counts, part_rows)

    def read(first: int, last: int) -> list[tuple[int, int]]:
        rng = None if seed is None else shuffler(seed, 0)
        found = []
        for block in blocks(line(plan, first, last, most=most, rng=rng), size):  # type: ignore[arg-type]
            assert sum(len(group.at) for group in block) <= size
            for group in block:
                names = group.rows["identity"].take(group.at).to_pylist()
                assert len(set(names)) == 1
                assert len(names) <= most
                found += [(int(names[0]), int(at)) for at in group.at]
        return found

    whole = read(0, plan.n_rows)
    assert len(whole) == plan.n_rows
    pieces = [
        share(*share(0, plan.n_rows, rank, world), worker, workers)
        for rank in range(world)
        for worker in range(workers)
    ]
    lengths = [last - first for first, last in pieces]
    assert max(lengths) - min(lengths) <= 2  # one for ranks, one for workers
    assert [row for first, last in pieces for row in read(first, last)] == whole
    if seed is None:
        assert [identity for identity, _ in whole] == [int(name) for name in plan.table["identity"].to_pylist()]


class Held:
    """Counts the frames that are in memory."""

    now = most = 0

    def take(self, frames: np.ndarray) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        weakref.finalize(frames, self.drop)

    def drop(self) -> None:
        self.now -= 1


@dataclass(frozen=True)
class Painted(Renderer):
    """Frames that cost nothing; it counts what is held, and fails for rows that are told."""

    held: Held | None = None
    fails: frozenset[str] = frozenset()

    def show(self, face: dict[str, Any], rows: Sequence[Row], epoch: int) -> list[Seen | Failure]:
        made: list[Seen | Failure] = []
        for row in rows:
            assert row["identity"] == face["identity"]
            frames = np.zeros((2, 4, 4, 3), np.uint8)
            if self.held is not None:
                self.held.take(frames)
            failed = row["sample_id"] in self.fails
            made.append(Failure(row["sample_id"], "odd") if failed else Seen(row, frames, {"also_seen": []}))
        return made


@pytest.fixture(scope="module")
def planned(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plan of the finished set, and 6 rows for each of its 36."""
    plan = read_plan(finished)
    rows = plan.rows.to_pylist()
    many = [
        {**row, "round": 10 * row["round"] + k, "sample_id": f"{row['sample_id'][:-4]}{k:04d}"}
        for row in rows
        for k in range(6)
    ]
    many.sort(key=lambda row: row["identity"])
    out = tmp_path_factory.mktemp("planned")
    write_plan(with_tables(plan, rows=pa.Table.from_pylist(many, schema=plan.rows.schema)), out)
    return out


def painted(out: Path, *, held: Held | None = None, fails: frozenset[str] = frozenset(), **how: Any) -> Stream:
    stream = stream_of(Folder(out), **how)
    own = {name: getattr(stream.renderer, name) for name in Renderer.__dataclass_fields__}
    return replace(stream, renderer=Painted(**own, held=held, fails=fails))


def ids(samples: Any) -> list[str]:
    return [sample.sample_id for sample in samples]


def test_epochs_have_orders_of_their_own_that_repeat(planned: Path) -> None:
    stream = painted(planned, block=50)
    epochs = [ids(stream) for _ in range(3)]
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert all(sorted(epoch) == sorted(epochs[0]) and len(set(epoch)) == 216 for epoch in epochs)
    again = painted(planned, block=50)
    again.set_epoch(1)
    assert ids(again) == epochs[1]
    assert ids(painted(planned, block=50, seed=7)) != epochs[0]
    # 18 samples of an identity would stand together if only identities were shuffled
    neighbors = [a[:16] == b[:16] for a, b in zip(epochs[0], epochs[0][1:], strict=False)]
    assert np.mean(neighbors) < 0.5


@pytest.mark.parametrize("seed", [0, None])
@pytest.mark.parametrize("after", [0, 50, 117, 216])
def test_a_stream_goes_on_in_the_middle_of_an_epoch(planned: Path, seed: int | None, after: int) -> None:
    whole = ids(painted(planned, block=50, seed=seed))
    stream = painted(planned, block=50, seed=seed)
    if after < len(whole):
        for n, sample in enumerate(stream):
            if n == after:
                break
            assert sample.sample_id == whole[n]
        stream.given -= 1  # of which the loop took one more than it kept
        assert stream.given == after
    else:
        stream.given = after
    state = json.loads(json.dumps(stream.state_dict()))
    resumed = painted(planned, block=50, seed=seed)
    resumed.load_state_dict(state)
    assert ids(resumed) == whole[after:]
    assert resumed.epoch == 1


def test_a_state_of_another_stream_is_refused(planned: Path, finished: Path) -> None:
    state = painted(planned, block=50).state_dict()
    for other in (
        painted(planned, block=51), painted(planned, block=50, seed=1), painted(finished, block=50),
        painted(planned, block=50, number=1, of=2),
    ):  # fmt: skip
        with pytest.raises(UsageError, match="state of a stream"):
            other.load_state_dict(state)


def test_memory_holds_a_block_however_many_samples_there_are(planned: Path, finished: Path) -> None:
    for out in (finished, planned):
        held, seen = Held(), 0
        for _ in painted(out, held=held, block=24):
            seen += 1
        assert seen >= 36
        assert held.most <= 24 + 1  # and the one that was given last


def test_a_face_is_prepared_once_for_its_samples(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adopt_plan(plan_of(default_pool(), model, ids=3, per=3, size=32), tmp_path)
    prepared: Counter[str] = Counter()
    prepare = render._prepare

    def counted(root: Path, face: dict[str, Any], *rest: Any) -> Any:
        prepared[face["identity"]] += 1
        return prepare(root, face, *rest)

    monkeypatch.setattr(render, "_prepare", counted)
    assert len(list(miex.stream(tmp_path))) == 27
    assert set(prepared.values()) == {1}


def test_samples_that_fail_are_left_out_and_counted(planned: Path) -> None:
    whole = ids(painted(planned, block=50))
    fails = frozenset({whole[3], whole[60]})
    stream = painted(planned, block=50, fails=fails)
    got = []
    for sample in stream:
        got.append(sample.sample_id)
        seen = dict(stream.failed)
    assert got == [name for name in whole if name not in fails]
    assert seen == dict.fromkeys(fails, "odd")
    with pytest.raises(PartialFailureError, match="2 failed"):
        list(painted(planned, block=50, fails=fails, max_failed=0.005))


def test_ranks_share_an_epoch(planned: Path) -> None:
    streams = [miex.stream(planned, rank=rank, world=3) for rank in range(3)]
    assert sum(map(len, streams)) == 216
    for how in ({"rank": 0}, {"world": 2}, {"rank": 2, "world": 2}):
        with pytest.raises(UsageError, match="`rank`"):
            miex.stream(planned, **how)
    torch = pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("is_initialized", True), ("get_rank", 1), ("get_world_size", 3)):
            patch.setattr(torch.distributed, name, lambda value=value: value)
        assert miex.stream(planned).state_dict()["share"] == streams[1].state_dict()["share"]


def test_what_cannot_be_streamed_is_refused(tmp_path: Path, planned: Path) -> None:
    with pytest.raises(InputError, match="plan"):
        miex.stream(tmp_path / "none")
    moved = tmp_path / "moved"
    shutil.copytree(planned, moved)
    with pytest.raises(InputError, match="photos"):
        miex.stream(moved, faces=tmp_path / "gone")


def batches(loader: Any) -> list[list[str]]:
    return [list(batch["sample_id"]) for batch in loader]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_resumes_exactly(planned: Path, workers: int) -> None:
    pytest.importorskip("torch")

    def made() -> Any:
        return painted(planned, block=50).loader(10, workers=workers, persistent_workers=workers > 0)

    loader = made()
    whole, following = batches(loader), batches(loader)
    assert sorted(name for batch in whole for name in batch) == sorted(ids(painted(planned)))
    assert following != whole
    assert len(whole) == len(following) == len(loader)
    part, stopped = made(), []
    for batch in part:
        stopped.append(list(batch["sample_id"]))
        if len(stopped) == 7:
            state = json.loads(json.dumps(part.state_dict()))
            break
    resumed = made()
    resumed.load_state_dict(state)
    assert stopped + batches(resumed) == whole
    assert batches(resumed) == following
    with pytest.raises(UsageError, match="workers"):
        painted(planned, block=50).loader(10, workers=1 if workers else 2).load_state_dict(state)
    stream = painted(planned, block=50)
    for other in (state, {**stream.state_dict(), "given": len(stream) + 1}, {**stream.state_dict(), "epoch": -1}):
        with pytest.raises(UsageError, match="state of a stream"):
            stream.load_state_dict(other)
    with pytest.raises(UsageError, match="state of a loader"):
        made().load_state_dict(stream.state_dict())
    shares = len(state["given"])
    for odd in (
        {"turn": -1}, {"turn": shares}, {"turn": True}, {"turn": "0"}, {"epoch": 1.0},
        *({"given": [value, *state["given"][1:]]} for value in (999, -3, 1.5, "1", None)),
    ):  # fmt: skip
        with pytest.raises(UsageError, match="state of a"):
            made().load_state_dict({**state, **odd})
    for odd_one in (None, [1]):
        for what in (stream, made(), stream.torch()):
            with pytest.raises(UsageError, match="`state`"):
                what.load_state_dict(odd_one)
    for batch_size, several, name in ((0, 0, "batch_size"), (2.0, 0, "batch_size"), (2, -1, "workers")):
        with pytest.raises(UsageError, match=f"`{name}`"):
            stream.loader(batch_size, workers=several)  # type: ignore[arg-type]


def late(number: int) -> None:
    time.sleep(0.5 * number)


def test_workers_that_start_late_take_their_own_share(planned: Path) -> None:
    """Batches of the others are given, and counted, before a late worker has begun."""
    pytest.importorskip("torch")

    def made() -> Any:
        stream = painted(planned, block=50)
        return stream.loader(5, workers=2, prefetch_factor=1, persistent_workers=True, worker_init_fn=late)

    loader, whole = made(), batches(painted(planned, block=50).loader(5, workers=2))
    assert batches(loader) == whole
    part = made()
    for i, _ in enumerate(part):
        if i == 4:
            break
    resumed = made()
    resumed.load_state_dict(part.state_dict())
    assert batches(resumed) == whole[5:]
    assert batches(part) == whole[5:]


def test_workers_of_any_loader_share_a_stream(planned: Path, tmp_path: Path, model: Path) -> None:
    torch = pytest.importorskip("torch")
    dataset = painted(planned, block=50).torch()
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2)
    assert sorted(item["sample_id"] for item in loader) == sorted(ids(painted(planned)))
    adopt_plan(plan_of(default_pool(), model, ids=2, size=32), tmp_path)
    run_plan(tmp_path)
    stored = {item["sample_id"]: item for item in (miex.open(tmp_path).torch()[i] for i in range(6))}
    for item in miex.stream(tmp_path).torch():
        assert all(torch.equal(item[name], stored[item["sample_id"]][name]) for name in item.keys() - {"sample_id"})


def test_a_dataset_in_a_worker_tells_where_it_is(planned: Path) -> None:
    torch = pytest.importorskip("torch")
    dataset = painted(planned, block=50).torch()
    with pytest.MonkeyPatch.context() as patch:  # as it is in a worker
        from miex.dataset import torch_stream

        patch.setattr(torch_stream, "get_worker_info", lambda: torch.utils.data._utils.worker.WorkerInfo(
            id=1, num_workers=2, seed=0, dataset=dataset
        ))  # fmt: skip
        one = iter(dataset)
        begun = [next(one)["sample_id"] for _ in range(20)]
        state = dataset.state_dict()
        other = painted(planned, block=50).torch()
        other.load_state_dict(state)
        rest = [item["sample_id"] for item in other]
    assert begun + rest == ids(painted(planned, block=50).share(1, 2))
