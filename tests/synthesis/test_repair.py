"""Repair: what is bad gets its bytes back, what failed is tried again, and nothing else is touched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import miex
import miex.dataset
from miex.api.synthesize import report
from miex.dataset.pages import PAGES, SUMS
from miex.dataset.plan_file import FACES_FILE
from miex.dataset.samples import SAMPLES_FILE, read_samples
from miex.dataset.shard import SHARDS, read_shard_record, record_name, tar_name
from miex.dataset.verify import verify
from miex.errors import InputError, OutputError, PartialFailureError
from miex.faces import planned
from miex.storage.local import LOCK_FILE, Folder
from miex.synthesis import worker
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.repair import repair_set
from miex.synthesis.run import run_plan
from tests.support import Shuffled, flip_bit, photo_folder, plan_of, stored_samples, write_over


def contents(out: Path) -> dict[str, bytes]:
    """Shards, records and samples.parquet."""
    return {path.name: path.read_bytes() for path in [*(out / SHARDS).iterdir(), out / SAMPLES_FILE]}


def written_at(out: Path, *besides: int) -> dict[str, tuple[int, int]]:
    """When each file of the other shards was written, and which file it is."""
    others = [path for path in (out / SHARDS).iterdir() if int(path.stem) not in besides]
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in others}


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """The finished set of 9 shards of 4 samples, to damage."""
    shutil.copytree(finished, tmp_path / "set")
    return tmp_path / "set"


Damage = Callable[[Path], object]


def in_sample(out: Path) -> None:
    flip_bit(out / tar_name(2), 5000)


def in_header(out: Path) -> None:
    flip_bit(out / tar_name(2), 3)


def in_end_mark(out: Path) -> None:
    """Of no sample, and so no reader would see it."""
    flip_bit(out / tar_name(2), (out / tar_name(2)).stat().st_size - 1)


def cut(out: Path) -> None:
    path = out / tar_name(2)
    path.write_bytes(path.read_bytes()[:-1024])


def longer(out: Path) -> None:
    with (out / tar_name(2)).open("ab") as file:
        file.write(bytes(512))


def in_record(out: Path) -> None:
    """The record stays JSON: a number in it is another."""
    path = out / record_name(2)
    path.write_text(path.read_text().replace('"offset":0,', '"offset":512,', 1))


def cut_record(out: Path) -> None:
    path = out / record_name(2)
    path.write_bytes(path.read_bytes()[:100])


def another_record(out: Path) -> None:
    shutil.copy(out / record_name(3), out / record_name(2))


def another_shard(out: Path) -> None:
    """Whole, record and all, but made of something else: one description is not the plan's."""
    first, *others = stored_samples(out, 2)
    changed = replace(first, description={**first.description, "emotion": "bored"})
    write_over(out, 2, [changed, *others])


@pytest.mark.parametrize(
    "damage",
    [
        in_sample, in_header, in_end_mark, cut, longer, in_record, cut_record, another_record, another_shard,
        lambda out: (out / tar_name(2)).write_bytes(b""),
        lambda out: (out / tar_name(2)).unlink(),
        lambda out: (out / record_name(2)).unlink(),
    ],
)  # fmt: skip
def test_a_damaged_shard_gets_its_bytes_back(out: Path, finished: Path, damage: Damage) -> None:
    damage(out)
    assert contents(out) != contents(finished)
    before = written_at(out, 2)
    assert repair_set(out).rendered == 4
    assert contents(out) == contents(finished)
    assert written_at(out, 2) == before


def test_many_at_once_in_any_order(out: Path, finished: Path) -> None:
    in_sample(out)
    (out / record_name(0)).unlink()
    (out / tar_name(7)).write_bytes(b"not a tar")
    (out / SAMPLES_FILE).write_bytes(b"PAR1")
    before = written_at(out, 0, 2, 7)
    told: list[tuple[int, int, str]] = []
    summary = repair_set(out, executor=Shuffled(), progress=lambda *what: told.append(what))
    assert (summary.rendered, summary.made, summary.failed) == (12, 36, 0)
    assert contents(out) == contents(finished)
    assert written_at(out, 0, 2, 7) == before
    assert told[:9] == [(i, 9, "shards checked") for i in range(1, 10)]
    assert told[9][:2] == (24, 36)
    assert told[9][2].startswith("starting")
    assert told[10:] == [(done, 36, "0 failed") for done in (24, 28, 32, 36)]


@pytest.mark.parametrize("damage", [lambda out: None, lambda out: flip_bit(out / SAMPLES_FILE, 2000)])
def test_whole_shards_stay(out: Path, finished: Path, damage: Damage) -> None:
    """samples.parquet is written anew, whatever it was."""
    damage(out)
    before = written_at(out)
    assert repair_set(out).rendered == 0
    assert written_at(out) == before
    assert contents(out) == contents(finished)


def test_a_run_takes_a_damaged_shard_for_whole_and_a_reader_does_not(out: Path) -> None:
    """A run looks at sizes alone, for a set is large; who reads a sample proves it."""
    report(out, audit=0, samples=1)
    in_sample(out)
    said: list[str] = []
    assert miex.run(out, say=said.append).summary.rendered == 0
    assert said == ["warning: 36 samples were there and have not been looked at; miex verify proves them"]
    row = next(i for i, row in enumerate(miex.dataset.open(out).table.to_pylist()) if row["shard"] == 2)
    with pytest.raises(InputError, match="miex repair"):
        miex.dataset.open(out)[row]
    repair_set(out)
    assert miex.dataset.open(out)[row].frames.any()


# rows that failed


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return photo_folder(tmp_path / "photos", 3)


def lost(photo: Path) -> Path:
    planned._aligned.cache_clear()
    return photo.rename(photo.with_suffix(".lost"))


def found(photo: Path) -> Path:
    return photo.rename(photo.with_suffix(".png"))


def test_what_failed_is_made_again_and_nothing_else(photos: Path, model: Path, tmp_path: Path) -> None:
    plan = plan_of(photos, model, size=64, shard_size=3)
    out, undisturbed = tmp_path / "out", tmp_path / "undisturbed"
    for place in (out, undisturbed):
        adopt_plan(plan, place)
    run_plan(undisturbed)
    photo = lost(photos / "0.png")
    assert run_plan(out, max_failed=0.5).failed == 3
    (bad,) = (shard for shard in range(3) if read_shard_record(Folder(out), shard).failed)  # type: ignore[union-attr]
    before = written_at(out, bad)
    with pytest.raises(PartialFailureError, match="3 failed"):
        repair_set(out)
    found(photo)
    assert repair_set(out).rendered == 3
    assert contents(out) == contents(undisturbed)
    assert written_at(out, bad) == before
    assert set(read_samples(out)["status"].to_pylist()) == {"ok"}


def test_a_better_shard_is_never_replaced(photos: Path, model: Path, tmp_path: Path) -> None:
    out, empty = tmp_path / "out", tmp_path / "empty"
    adopt_plan(plan_of(photos, model, size=64), out)
    photo = lost(photos / "0.png")
    assert run_plan(out, max_failed=0.5).failed == 3
    before = contents(out), written_at(out)
    with pytest.raises(InputError, match="no folder"):  # the photos moved, and nobody says where
        repair_set(out, faces_root=tmp_path / "gone")
    assert (contents(out), written_at(out)) == before
    empty.mkdir()
    repair_set(out, faces_root=empty, max_failed=1)  # nothing can be made from here
    assert (contents(out), written_at(out)) == before
    other = lost(photos / "1.png")
    found(photo)
    assert repair_set(out).failed == 0  # what is there of the other photo needs it no more
    found(other)
    assert verify(out).problems == ()


# photos that are gone


def test_a_damaged_shard_without_its_photos_loses_nothing(photos: Path, model: Path, tmp_path: Path) -> None:
    """One flipped bit, and no photo: what is proven stays to the byte, and the rest comes back with the photos."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    adopt_plan(plan_of(photos, model, size=64, shard_size=9), out)
    miex.run(out)
    shutil.copytree(out, whole)
    flip_bit(out / tar_name(0), 5000)
    before = miex.dataset.open(out).readable()[0]
    stored = {row["sample_id"]: before.stored(i) for i, row in enumerate(before.table.to_pylist())}
    assert len(stored) == 8
    gone = [lost(photos / f"{i}.png") for i in range(3)]
    with pytest.raises(PartialFailureError, match="1 failed"):
        miex.repair(out)
    there = miex.dataset.open(out)
    assert {row["sample_id"]: there.stored(i) for i, row in enumerate(there.table.to_pylist())} == stored
    assert (out / "README.md").exists()
    assert verify(out).problems == ()
    for photo in gone:
        found(photo)
    assert miex.repair(out).summary.failed == 0
    assert contents(out) == contents(whole)


@pytest.mark.parametrize("damage", ["bits of the record", "the record"])
def test_samples_parquet_knows_what_a_lost_record_knew(photos: Path, model: Path, tmp_path: Path, damage: str) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    adopt_plan(plan_of(photos, model, size=64, shard_size=9), out)
    run_plan(out)
    shutil.copytree(out, whole)
    if damage == "the record":
        (out / record_name(0)).unlink()
    else:
        flip_bit(out / record_name(0), 300)
    for i in range(3):
        lost(photos / f"{i}.png")
    repair_set(out)
    assert contents(out) == contents(whole)


def test_what_cannot_be_begun_changes_nothing(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_sample(out)
    cut_record(out)
    (out / tar_name(4)).unlink()
    before = contents(out), written_at(out)
    with pytest.raises(InputError, match="no folder"):
        repair_set(out, faces_root=tmp_path / "gone")
    with monkeypatch.context() as patched:
        patched.setattr("miex.synthesis.worker.FACES_VERSION", "another")
        worker.opened.cache_clear()
        with pytest.raises(InputError, match="version"):
            repair_set(out)
    with monkeypatch.context() as patched:
        patched.setattr(Folder, "free_bytes", lambda self: 10)
        with pytest.raises(OutputError, match="room for"):
            repair_set(out)
    assert (contents(out), written_at(out)) == before


def test_a_damaged_list_of_faces_damages_no_shard(out: Path) -> None:
    flip_bit(out / FACES_FILE, 1000)  # of a landmark
    before = contents(out), written_at(out)
    for work in (repair_set, verify):
        with pytest.raises(InputError, match="faces"):
            work(out)
    (out / tar_name(4)).unlink()
    (out / record_name(4)).unlink()
    del before[0][Path(tar_name(4)).name], before[0][Path(record_name(4)).name]
    with pytest.raises(InputError, match="faces"):
        run_plan(out)
    there = contents(out), written_at(out)
    assert there[0] == before[0]
    assert there[1].items() <= before[1].items()


@pytest.mark.parametrize("work", [run_plan, repair_set])
def test_a_folder_under_the_name_of_a_tar_is_told_and_nothing_is_deleted(
    out: Path, work: Callable[[Path], object]
) -> None:
    (out / tar_name(2)).unlink()
    (out / tar_name(2)).mkdir()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != LOCK_FILE}
    with pytest.raises(InputError, match="take the folder away"):
        work(out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != LOCK_FILE} == before


def test_a_run_replaces_a_cut_tar_and_keeps_what_is_good_of_it(photos: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    adopt_plan(plan_of(photos, model, size=64, shard_size=9), out)
    run_plan(out)
    last = miex.dataset.open(out).table.to_pylist()[-1]
    (out / tar_name(0)).write_bytes((out / tar_name(0)).read_bytes()[: last["offset"] + 100])
    for i in range(3):
        lost(photos / f"{i}.png")
    summary = run_plan(out, max_failed=1)
    assert (summary.made, summary.failed) == (8, 1)
    assert verify(out).problems == ()


def test_a_report_that_fails_leaves_every_page_as_it_was(out: Path) -> None:
    report(out, audit=0, samples=36)
    in_sample(out)
    before = {name: (out / name).read_bytes() for name in (*PAGES, SUMS) if (out / name).exists()}
    with pytest.raises(InputError, match="miex repair"):
        report(out, audit=0, samples=36, seed=1)
    assert {name: (out / name).read_bytes() for name in before} == before


def test_a_repair_writes_sums_without_what_is_none(out: Path) -> None:
    report(out, audit=0, samples=1)
    with (out / SUMS).open("a") as file:
        file.write("junk\n")
    miex.repair(out)
    assert verify(out).problems == ()
