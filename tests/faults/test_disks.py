"""Disks that fail and processes that are killed, at every act of a run: what is there is whole, and a run goes on."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import miex.dataset
from miex.api.export import export
from miex.aus.tracks import Credit, Track, table_of, write_parquet
from miex.corpora.clip import Clip
from miex.dataset.plan_file import (
    CONFIG_FILE,
    FACES_FILE,
    PLAN_FILE,
    Plan,
    PlanRows,
    read_faces,
    read_plan,
    read_record,
)
from miex.dataset.samples import SAMPLES_FILE, read_samples
from miex.dataset.shard import Failure, Sample, StoredSample, read_shard_record, read_stored, tar_name
from miex.dataset.verify import verify
from miex.errors import InputError, OutputError, PartialFailureError
from miex.executors.base import InProcess, Outcome
from miex.extraction.extractor import AUExtractor, extract_clips, track_name
from miex.faces.photos import default_pool
from miex.report.build import write_report
from miex.storage.base import Storage
from miex.storage.local import LOCK_FILE, Folder, is_leftover
from miex.synthesis import worker
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.repair import repair_set
from miex.synthesis.run import run_plan
from miex.synthesis.worker import ShardTask, render_shard
from tests.faults.disk import (
    BROKEN,
    FLAKY,
    FORBIDDEN,
    FULL,
    KILL,
    MEETS,
    READ_ONLY,
    Call,
    Disk,
    Fault,
    Killed,
    calls_of,
    some,
)
from tests.faults.tally import HARMLESS, SEEN, Tally
from tests.support import plan_of, pool_of, track

NAMES = {
    FULL: "a full disk", READ_ONLY: "a read-only disk", BROKEN: "a broken disk", FLAKY: "one call fails (EIO)",
    FORBIDDEN: "one call is forbidden (EACCES)", KILL: "a kill between two calls",
}  # fmt: skip
MADE_AGAIN = {SAMPLES_FILE}  # while shards are made, it is not there


def contents(out: Path) -> dict[str, bytes]:
    """Every file but the lock."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name != LOCK_FILE)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def plan(model: Path) -> Plan:
    """Six samples in three shards."""
    return plan_of(default_pool(), model, ids=2, size=64, shard_size=2)


@pytest.fixture(scope="module")
def planned(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That plan, and nothing made of it yet. Read only."""
    out = tmp_path_factory.mktemp("planned")
    adopt_plan(plan, out)
    return out


@pytest.fixture(scope="module")
def undisturbed(planned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set of that plan, as nobody disturbed it. Read only."""
    out = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(planned, out, dirs_exist_ok=True)
    run_plan(out)
    assert verify(out).problems == ()
    return out


Rendered = dict[int, list[Sample | Failure]]


@pytest.fixture(scope="module")
def rendered(undisturbed: Path) -> Rendered:
    plan, out = read_plan(undisturbed), Folder(undisturbed)
    tasks = [ShardTask(out, shard, plan.digests["plan"], Path(plan.faces_root)) for shard in range(plan.n_shards)]
    return {task.shard: list(render_shard(task)) for task in tasks}


@pytest.fixture
def rendered_once(monkeypatch: pytest.MonkeyPatch, rendered: Rendered) -> Rendered:
    """What rendering gives, shard by shard: rendered once for all runs, for these tests are about files."""
    made = dict(rendered)
    monkeypatch.setattr(
        worker,
        "render_shard",
        lambda task, leave_out=(): [one for one in made[task.shard] if one.sample_id not in leave_out],
    )
    monkeypatch.setattr(worker, "_probe", lambda *_: worker.Probe(seconds=0.01, bytes=10_000))
    return made


def lasts(finished: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """What is written last, and says of the rest, named beside it, that it is there."""
    tars = [name for name in finished if name.endswith(".tar")]
    yield from ((name.replace(".tar", ".json"), [name]) for name in tars)
    yield SAMPLES_FILE, tars
    yield CONFIG_FILE, [PLAN_FILE, FACES_FILE]


def readable(out: Path) -> dict[str, StoredSample]:
    """What a reader gets of a finished set."""
    found = {}
    with suppress(InputError):
        there = miex.dataset.open(out)
        for i, sample_id in enumerate(there.table["sample_id"].to_pylist()):
            with suppress(InputError):
                found[sample_id] = there.stored(i)
    return found


Work = Callable[[Path], Any]


def fails_everywhere(
    work: Work, start: Path, finished: dict[str, bytes], folder: Path, faults: Sequence[Fault], tally: Tally,
    where: str, most: int | None,
) -> None:  # fmt: skip
    """At calls of a work: a clear error or a kill, only whole files under their names, and again it gets done.

    Args:
        work: what is done in a folder.
        start: what lies there before.
        finished: what lies there when it is done, byte for byte.
        folder: for copies of it.
        faults: which come.
        tally: of what came of them.
        where: name of the work.
        most: how often each comes at most; None: at every call that can meet it.
    """
    before = contents(start)
    out = folder / "set"
    shutil.copytree(start, out)
    calls = calls_of(lambda: work(out), out)
    assert contents(out) == finished
    for fault in faults:
        for at in some([call for call in calls if call.act in MEETS[fault]], most):
            shutil.rmtree(out)
            shutil.copytree(start, out)
            ended = disturbed(work, out, at, fault)
            if ended is None:
                continue
            tally.add(NAMES[fault], where, ended)
            there = contents(out)
            drafts = {name for name in there if is_leftover(name)}
            # who lives cleans up, where it can delete
            assert not drafts or fault in (KILL, READ_ONLY, BROKEN) or at.act == "delete", (fault, at)
            for name in there.keys() - drafts:
                assert there[name] in (finished.get(name), before.get(name)), (fault, at, name)
            for name in before.keys() & finished.keys():  # what is good stays
                rest = (name, name.replace(".json", ".tar") if name != CONFIG_FILE else name)
                good = all(before.get(part) == finished[part] for part in rest)
                assert not good or name in MADE_AGAIN or name in there, (fault, at, name)
            if where.startswith("repair"):  # record and tar may be of two times; nothing that was readable is lost
                assert there.keys() >= before.keys(), (fault, at)
                assert readable(out).items() >= readable(start).items(), (fault, at)
            for last, first in lasts(finished) if not where.startswith("repair") else ():
                parts = [[found.get(name) for name in (last, *first)] for found in (there, finished, before)]
                assert parts[0][0] is None or parts[0] in parts[1:], (fault, at, last)
            if ended == HARMLESS:
                assert {name: there[name] for name in there.keys() - drafts} == finished, (fault, at)
            work(out)
            again = contents(out)
            if where == "report":  # who makes shards removes leftovers
                again = {name: content for name, content in again.items() if not is_leftover(name)}
            assert again == finished, (fault, at)


def disturbed(work: Work, out: Path, at: Call, fault: Fault) -> str | None:
    """Do the work with a fault: whether it was seen; None where the call was not made (Arrow reads in threads)."""
    disk = Disk(out, at, fault)
    try:
        with disk:
            work(out)
    except Killed:
        assert fault is KILL
        return SEEN
    except (OutputError, InputError) as error:
        told = str(out) in error.asked and os.strerror(int(fault.with_)) in str(error) and bool(error.do)  # type: ignore[call-overload]
    else:
        return HARMLESS if at in disk.calls else None
    assert told, (fault, at)
    return SEEN


@pytest.fixture
def fails(every: bool, tally: Tally, tmp_path: Path) -> Callable[..., None]:
    def check(where: str, work: Work, start: Path, finished: dict[str, bytes], few: int) -> None:
        fails_everywhere(work, start, finished, tmp_path, list(NAMES), tally, where, None if every else few)

    return check


def test_a_run(planned: Path, undisturbed: Path, rendered_once: Rendered, fails: Callable[..., None]) -> None:
    fails("run", run_plan, planned, contents(undisturbed), 6)


def test_a_plan_that_is_put_down(plan: Plan, planned: Path, tmp_path: Path, fails: Callable[..., None]) -> None:
    (tmp_path / "empty").mkdir()
    fails("plan", lambda out: adopt_plan(plan, out), tmp_path / "empty", contents(planned), 5)


def test_a_plan_that_is_put_down_again(plan: Plan, undisturbed: Path, fails: Callable[..., None]) -> None:
    """Of a set that is there, nothing is lost at any moment."""
    fails("plan, over a finished set", lambda out: adopt_plan(plan, out), undisturbed, contents(undisturbed), 4)


def test_a_repair(undisturbed: Path, rendered_once: Rendered, tmp_path: Path, fails: Callable[..., None]) -> None:
    damaged = shutil.copytree(undisturbed, tmp_path / "damaged")
    tar = damaged / tar_name(1)
    tar.write_bytes(tar.read_bytes().replace(b'"synthetic":true', b'"synthetic":null', 1))
    fails("repair of a damaged shard", repaired, damaged, contents(undisturbed), 5)


def test_a_repair_without_the_photo(undisturbed: Path, rendered_once: Rendered, tmp_path: Path, every: bool) -> None:
    """What cannot be made again takes nothing along, whatever fails besides, and comes back when it can be made."""
    damaged = shutil.copytree(undisturbed, tmp_path / "damaged")
    tar = damaged / tar_name(1)
    tar.write_bytes(tar.read_bytes().replace(b'"synthetic":true', b'"synthetic":null', 1))
    made = rendered_once[1]
    good, out = readable(damaged), tmp_path / "out"
    assert len(good) == 5

    def without_photo(out: Path) -> None:
        with suppress(PartialFailureError):
            repair_set(out)

    rendered_once[1] = [Failure(one.sample_id, "no photo") for one in made]
    calls = calls_of(lambda: without_photo(shutil.copytree(damaged, out)), out)
    for fault in (KILL, FLAKY, FULL):
        for at in some([call for call in calls if call.act in MEETS[fault]], None if every else 12):
            shutil.rmtree(out)
            shutil.copytree(damaged, out)
            with suppress(Killed, InputError, OutputError), Disk(out, at, fault):
                without_photo(out)
            assert readable(out).items() >= good.items(), (fault, at)
    rendered_once[1] = made
    repair_set(out)
    assert contents(out) == contents(undisturbed)


def repaired(out: Path) -> None:
    repair_set(out)


def test_a_repair_of_failed_rows(
    planned: Path, undisturbed: Path, rendered_once: Rendered, tmp_path: Path, fails: Callable[..., None]
) -> None:
    lacking = shutil.copytree(planned, tmp_path / "lacking")
    first, second = rendered_once[1]
    rendered_once[1] = [Failure(first.sample_id, "no luck"), second]
    assert run_plan(lacking, max_failed=1).failed == 1
    rendered_once[1] = [first, second]
    fails("repair of failed rows", repaired, lacking, contents(undisturbed), 3)


def test_a_report(undisturbed: Path, tmp_path: Path, fails: Callable[..., None]) -> None:
    set_ = tmp_path / "before" / "set"  # pages bear its name
    shutil.copytree(undisturbed, set_)
    write_report(set_)
    fails("report", write_report, undisturbed, contents(set_), 2)


def test_verify(undisturbed: Path, every: bool, tally: Tally) -> None:
    """What it cannot read it does not call clean."""
    clean, before = verify(undisturbed), contents(undisturbed)
    calls = calls_of(lambda: verify(undisturbed), undisturbed)
    for fault in (BROKEN, FLAKY, FORBIDDEN):
        for at in some([call for call in calls if call.act in MEETS[fault]], None if every else 12):
            try:
                with Disk(undisturbed, at, fault):
                    found = verify(undisturbed)
            except InputError:
                outcome = SEEN
            else:
                outcome = SEEN if found.problems else HARMLESS
                assert found.problems or found == clean, (fault, at)
            tally.add(NAMES[fault], "verify", outcome)
    assert contents(undisturbed) == before


def test_a_repair_that_was_killed_has_lost_nothing(undisturbed: Path, rendered_once: Rendered, tmp_path: Path) -> None:
    out = shutil.copytree(undisturbed, tmp_path / "out")
    for shard in (0, 2):
        tar = out / tar_name(shard)
        tar.write_bytes(tar.read_bytes()[:-1] + b"x")  # as many bytes as before
    before = contents(out)
    with pytest.raises(Killed), Disk(out, Call("create", f"{tar_name(0)}.draft", 0)):
        repair_set(out)
    assert {name: one for name, one in contents(out).items() if not is_leftover(name)} == before
    repair_set(out)
    assert contents(out) == contents(undisturbed)


class Dying(InProcess):
    """Each task's worker dies once, and leaves what it wrote."""

    def run(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Outcome[Any, Any]]:
        for task in tasks:
            with pytest.raises(Killed), Disk(task.out.path, Call("fsync", f"{tar_name(task.shard)}.draft", 0)):
                function(task)
            yield from super().run(function, [task])


def test_what_dead_workers_left_is_removed(
    planned: Path, undisturbed: Path, rendered_once: Rendered, tmp_path: Path
) -> None:
    out = shutil.copytree(planned, tmp_path / "out")
    seen: list[int] = []

    def look(*_: object) -> None:
        seen.append(sum(is_leftover(name) and not name.startswith(SAMPLES_FILE) for name in contents(out)))

    run_plan(out, executor=Dying(), progress=look)
    assert seen == [0, 0, 1, 2, 3]
    assert contents(out) == contents(undisturbed)


def first_sample(out: Storage) -> StoredSample:
    record = read_shard_record(out, 0)
    assert record
    sample = record.samples[0]
    return read_stored(out, 0, sample["offset"], sample["bytes"], sample["crc32"], sample["sample_id"])


@pytest.mark.parametrize(
    "reader",
    [
        lambda out: read_plan(out).rows,
        lambda out: PlanRows(out, read_record(out)).shard(1),
        lambda out: read_faces(out, read_plan(out).faces["identity"].to_pylist()),
        first_sample,
        read_samples,
    ],
)
def test_what_cannot_be_read_is_an_input_error(
    undisturbed: Path, reader: Callable[[Storage], Any], tally: Tally
) -> None:
    folder = Folder(undisturbed)
    for at in calls_of(lambda: reader(folder), undisturbed):
        with pytest.raises(InputError) as caught, Disk(undisturbed, at, BROKEN):
            reader(folder)
        assert str(undisturbed) in caught.value.asked
        assert os.strerror(errno.EIO) in caught.value.found
        tally.add(NAMES[BROKEN], "readers", SEEN)


def test_too_little_room_is_told_before_any_work(
    planned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(planned, tmp_path / "out")
    monkeypatch.setattr(Folder, "free_bytes", lambda self: 20_000)
    with pytest.raises(
        OutputError,
        match=r"room for 6 samples(.|\n)*expected: about (.|\n)* KB(.|\n)*found: 20 KB free(.|\n)*free space",
    ):
        run_plan(out)
    assert contents(out) == contents(planned)


# What is written beside sets


def whole_or_nothing(
    where: str, work: Work, start: Path, folder: Path, tally: Tally, every: bool, *, last: str, resumes: bool = True
) -> None:
    """At calls of a work: a clear error, only whole files under their names, and none is lost that was there.

    Args:
        where: name of the work.
        work: what is done in a folder.
        start: what lies there before.
        folder: for copies of it.
        tally: of what came of the faults.
        every: whether every call is met.
        last: the file that says of all others that they are there.
        resumes: whether the same work goes on in the folder that it was stopped in; what does not is taken back.
    """

    def kept(out: Path) -> dict[str, bytes]:
        """What a reader takes for whole: no drafts, and no events for TensorBoard, which are added to."""
        return {
            name: one for name, one in contents(out).items() if not (is_leftover(name) or name.startswith("events/"))
        }

    before, out = contents(start), folder / "out"
    shutil.copytree(start, out)
    calls = calls_of(lambda: work(out), out)
    finished = kept(out)
    for fault in NAMES:
        for at in some([call for call in calls if call.act in MEETS[fault]], None if every else 4):
            shutil.rmtree(out)
            shutil.copytree(start, out)
            ended = disturbed(work, out, at, fault)
            if ended is None:
                continue
            tally.add(NAMES[fault], where, ended)
            there = kept(out)
            passing = {"checkpoint.safetensors", "log.csv"}  # of a training, which the next ones replace
            for name in there.keys() - passing:
                assert there[name] in (finished.get(name), before.get(name)), (fault, at, name)
            assert before.keys() <= there.keys(), (fault, at)
            if there.get(last) == finished[last] != before.get(last):
                assert {**there, **finished} == {**finished, **there}, (fault, at)
            if ended == HARMLESS:
                assert there == finished, (fault, at)
            if not resumes and ended == SEEN and fault in (FULL, FLAKY, FORBIDDEN):  # on others nothing can be deleted
                assert contents(out) == before, (fault, at)
                assert not [*out.iterdir()], (fault, at)
            if resumes or (fault in (FULL, FLAKY, FORBIDDEN) and ended == SEEN):
                work(out)
                assert kept(out) == finished, (fault, at)


def test_a_pool(tmp_path: Path, tally: Tally, every: bool) -> None:
    """One that is there is replaced, or stays."""
    from miex.sources.pool import Pool, read_pool, write_pool

    (tmp_path / "start").mkdir()
    write_pool(Pool(pool_of(2), Credit("CC0", "nobody")), tmp_path / "start" / "pool.parquet")
    made = Pool(pool_of(4), Credit("CC0", "nobody"))
    whole_or_nothing(
        "AU pool, over another", lambda out: write_pool(made, out / "pool.parquet"), tmp_path / "start", tmp_path,
        tally, every, last="pool.parquet",
    )  # fmt: skip
    assert len(read_pool(tmp_path / "out" / "pool.parquet").clips) == 4


def test_aus_that_are_extracted(tmp_path: Path, tally: Tally, every: bool) -> None:
    """Each clip has a file of its own, and the table comes last."""
    frame = tmp_path / "frame.png"
    frame.write_bytes(b"frame")
    clips = [
        Clip(
            corpus="mine",
            subject="s",
            clip=f"c{i}",
            emotion="",
            label=None,
            onset=0,
            apex=1,
            offset=1,
            frames=(frame,) * 2,
        )
        for i in range(2)
    ]

    class Known(AUExtractor):
        name, version = "known", "1"

        def extract(self, clip: Clip) -> Track:
            return track(track_name(clip), 2)

    def work(out: Path) -> None:
        tracks = extract_clips(clips, Known(), out / "parts", executor=InProcess())
        write_parquet(table_of(tracks, Credit()), out / "aus.parquet")

    (tmp_path / "start").mkdir()
    whole_or_nothing("table of AUs", work, tmp_path / "start", tmp_path, tally, every, last="aus.parquet")


@pytest.mark.parametrize("to", ["folder", "flow", "huggingface", "webdataset"])
def test_an_export(undisturbed: Path, tmp_path: Path, tally: Tally, every: bool, to: str) -> None:
    """A folder gets its table or its card last; what is unfinished is not continued, but deleted, where that can be."""
    if to == "flow":
        pytest.importorskip("torch")
    last = {"flow": "maps.npz", "folder": "clips.csv"}.get(to, "README.md")

    def work(out: Path) -> None:
        export(undisturbed, out / last if to == "flow" else out, to=to)

    (tmp_path / "start").mkdir()
    whole_or_nothing(
        f"export as {to}", work, tmp_path / "start", tmp_path, tally, every, last=last, resumes=to == "flow"
    )


@pytest.fixture
def events_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of events have the same name in all trainings, which else says when they began."""
    pytest.importorskip("tensorboardX")
    monkeypatch.setattr(
        "miex.storage.training.time", SimpleNamespace(time=lambda: 0.0, monotonic=count(0, 60).__next__)
    )


@pytest.mark.usefixtures("events_of_one_name")
def test_a_training(tmp_path: Path, tally: Tally, every: bool) -> None:
    pytest.importorskip("torch")
    from miex.recognition.train import train
    from tests.recognition.planted import QUICK, planted

    recipe, data = QUICK.but(samples_seen=128), planted(60)
    (tmp_path / "start").mkdir()
    whole_or_nothing(
        "training", lambda out: train(data, recipe, folder=out, checkpoint_seconds=0), tmp_path / "start", tmp_path,
        tally, every, last="recognizer.safetensors",
    )  # fmt: skip


@pytest.mark.usefixtures("events_of_one_name")
def test_events_on_a_full_disk_do_not_halt_a_training(tmp_path: Path) -> None:
    """However many there are: an error, in the thread that trains."""
    from miex.storage.training import EVENTS, TrainingFolder

    def work() -> None:
        kept = TrainingFolder(tmp_path, {}, "product", ["step", "loss"], ["loss"])
        for step in range(300):
            kept.wrote({"step": step, "loss": 0.5})
        kept.close([])

    write = next(call for call in calls_of(work, tmp_path) if call.act == "write" and call.name.startswith(EVENTS))
    with Disk(tmp_path, write, FULL), pytest.raises(OutputError, match=f"{tmp_path}(.|\n)*free space"):
        work()
