"""The main job end to end: same plan, same bytes, whatever the workers, kills and resumes."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import miex.dataset
from miex.dataset.frames import DIGITAL_SOURCE_TYPE, encode_frame
from miex.dataset.plan_file import read_plan, write_plan
from miex.dataset.samples import SAMPLES_FILE, read_samples
from miex.dataset.shard import SHARDS
from miex.dataset.verify import check_shards, verify
from miex.errors import InputError, OutputError, PartialFailureError
from miex.executors.base import IN_PROCESS, Executor, InProcess, Result
from miex.executors.local import LocalProcesses
from miex.faces.photos import default_pool
from miex.images import decode_image, gray
from miex.report.build import write_report
from miex.stable import json_digest
from miex.storage.local import Folder
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.measures import psnr, ssim
from miex.synthesis.repair import repair_set
from miex.synthesis.run import _samples_follow, run_plan
from miex.synthesis.worker import ShardResult, ShardTask, begun, make_shard
from tests.support import Shuffled, photo_folder, plan_of, with_tables


def shard_bytes(out: Path) -> dict[str, str]:
    """sha256 of everything that a set promises to be the same."""
    files = [*sorted((out / SHARDS).iterdir()), out / "samples.parquet"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def copy_plan(finished: Path, out: Path) -> Path:
    out.mkdir(exist_ok=True)
    for name in ("plan.json", "plan.parquet", "faces.parquet"):
        shutil.copy(finished / name, out)
    return out


def test_workers_and_order_do_not_change_a_byte(finished: Path, tmp_path: Path) -> None:
    out = copy_plan(finished, tmp_path / "two")
    summary = run_plan(out, executor=LocalProcesses(2))
    assert summary.made == summary.rendered == 36
    assert shard_bytes(out) == shard_bytes(finished)


def test_tar_members_are_reproducible_and_webdataset_names(finished: Path) -> None:
    rows = read_plan(finished).rows.slice(0, 4).to_pylist()
    with tarfile.open(finished / SHARDS / "00000.tar") as tar:
        members = tar.getmembers()
    expected = [f"{row['sample_id']}.{end}" for row in rows for end in ("000.png", "001.png", "json")]
    assert [m.name for m in members] == expected
    for member in members:
        assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
        assert member.mode == 0o644


def test_frames_are_marked_synthetic(finished: Path) -> None:
    with tarfile.open(finished / SHARDS / "00000.tar") as tar:
        file = tar.extractfile(tar.getmembers()[0])
        assert file
        with Image.open(file) as image:
            assert DIGITAL_SOURCE_TYPE.encode() in image.info["xmp"]


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 7, 3), (5, 1, 3), (33, 20, 3), (20, 33), (1, 1), (128, 128, 3)])
def test_a_png_is_what_two_other_readers_see(shape: tuple[int, ...]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (2 * shape[0], *shape[1:]), np.uint8)[::2]  # rows apart in memory
    content = encode_frame(frame, "png")
    with Image.open(io.BytesIO(content)) as image:
        assert np.array_equal(np.asarray(image), frame)
    seen = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(seen if frame.ndim == 2 else cv2.cvtColor(seen, cv2.COLOR_BGR2RGB), frame)


@pytest.mark.parametrize("frame_format", ["png", "webp", "jpeg"])
def test_each_format_is_marked_and_reads_back(frame_format: str) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    content = encode_frame(frame, frame_format)
    # the same bytes wherever the frame lies in memory
    assert {encode_frame(frame.copy(), frame_format) for _ in range(50)} == {content}
    assert DIGITAL_SOURCE_TYPE.encode() in content
    again = decode_image(content, "frame")
    if frame_format == "jpeg":
        assert again.shape == frame.shape
    else:
        assert (again == frame).all()


def test_without_a_camera_onset_is_the_crop_and_apex_is_not(model: Path, tmp_path: Path) -> None:
    adopt_plan(plan_of(default_pool(), model, ids=2, size=96, nuisances="off"), tmp_path)
    run_plan(tmp_path)
    assert verify(tmp_path, executor=InProcess()).identical == 0
    with tarfile.open(tmp_path / SHARDS / "00000.tar") as tar:
        names = [m.name for m in tar.getmembers() if m.name.endswith(".png")]
        frames = [decode_image(tar.extractfile(name).read(), name) for name in names]  # type: ignore[union-attr]
    onset, apex = frames[0], frames[1]
    assert (onset != apex).any()
    assert (onset[:6] == apex[:6]).all()  # above the face nothing moves


def test_what_samples_take_is_told_by_the_first_that_a_plan_has(finished: Path) -> None:
    plan = read_plan(finished)
    first = plan.faces["identity"][0].as_py()
    n = next(plan.shards())["identity"].to_pylist().count(first)
    made = np.mean([sample["bytes"] for sample in read_samples(finished).slice(0, n).to_pylist()])
    with begun(IN_PROCESS, plan, Path(plan.faces_root), None, 1) as (_, said):
        assert said().bytes == pytest.approx(made)
        assert said().seconds > 0
    in_another_order = replace(plan, face_blocks=lambda: iter([plan.faces.slice(5)]))
    with begun(IN_PROCESS, in_another_order, Path(plan.faces_root), None, 1) as (_, said):
        assert said().bytes == 0  # what is wrong, if anything is, is told by the shards


def test_processes_begin_for_shards_that_are_missing_alone(finished: Path, tmp_path: Path) -> None:
    asked: list[int] = []

    class Watched(InProcess):
        @contextmanager
        def begun(self, first: Callable[[], Result], most: int) -> Iterator[tuple[Executor, Callable[[], Result]]]:
            asked.append(most)
            yield self, first

    out = shutil.copytree(finished, tmp_path / "set")
    for shard in (1, 4):
        (out / SHARDS / f"0000{shard}.json").unlink()
    assert run_plan(out, executor=Watched()).rendered == 8
    assert asked == [2]


def test_a_signal_while_the_writer_of_samples_starts_ends_the_run(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, submit = copy_plan(finished, tmp_path / "out"), ThreadPoolExecutor.submit

    def interrupted(self: ThreadPoolExecutor, *args: Any, **options: Any) -> None:
        submit(self, *args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_plan(out)
    assert not (out / SAMPLES_FILE).exists()


def test_a_signal_ends_the_writer_of_samples_though_all_shards_are_there(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def write(*_: Any, wait: Callable[[int], None], **__: Any) -> None:
        for i in range(3000):
            wait(0)
            looked.append(i)
            time.sleep(0.01)

    def stop() -> None:
        with _samples_follow(Folder(finished), read_plan(finished), {0}):
            while not looked:
                time.sleep(0.01)
            raise KeyboardInterrupt

    monkeypatch.setattr("miex.synthesis.run.write_samples", write)
    with pytest.raises(KeyboardInterrupt):
        stop()
    assert len(looked) < 3000


def test_resume_makes_only_what_is_missing(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    kept = {p: p.stat().st_mtime_ns for p in (out / SHARDS).iterdir() if "00004" not in p.name}
    (out / SHARDS / "00004.json").unlink()  # a shard without its record does not exist
    (out / SHARDS / f"00009.tar.tmp-{'0f' * 16}").write_bytes(b"left over")
    assert run_plan(out).rendered == 4
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert shard_bytes(out) == shard_bytes(finished)


@pytest.mark.parametrize("after", [3, 8])
def test_a_run_that_fails_leaves_its_shards_and_no_samples_parquet(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    out = shutil.copytree(finished, tmp_path / "set", ignore=lambda *_: {SHARDS, SAMPLES_FILE})
    made: list[int] = []

    def make(task: ShardTask) -> ShardResult:
        if len(made) == after:
            raise OutputError("the disk", expected="room", found="none", do="make room")
        made.append(task.shard)
        return make_shard(task)

    with monkeypatch.context() as patched:
        patched.setattr("miex.synthesis.run.make_shard", make)
        with pytest.raises(OutputError, match="make room"):
            run_plan(out, executor=Shuffled())
    assert {path.stem for path in (out / SHARDS).iterdir()} == {f"{shard:05d}" for shard in made}
    assert {path.name for path in out.iterdir()} <= {path.name for path in finished.iterdir()} - {SAMPLES_FILE}
    run_plan(out, executor=Shuffled())
    assert (out / SAMPLES_FILE).read_bytes() == (finished / SAMPLES_FILE).read_bytes()


def test_samples_parquet_waits_for_the_verdict_on_what_failed(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last shard is there, and all are read: whether too many rows failed is known only then."""
    out = shutil.copytree(finished, tmp_path / "set", ignore=lambda *_: {SHARDS, SAMPLES_FILE})

    def refused(*_: object) -> None:
        time.sleep(0.5)  # in which samples.parquet would be there
        raise PartialFailureError("samples", expected="all", found="some", do="remove the cause")

    with monkeypatch.context() as patched:
        patched.setattr("miex.synthesis.run.check_failed", refused)
        with pytest.raises(PartialFailureError):
            run_plan(out)
    assert not (out / SAMPLES_FILE).exists()


def test_a_run_ends_when_samples_parquet_cannot_be_written(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(finished, tmp_path / "set", ignore=lambda *_: {SHARDS, SAMPLES_FILE})

    def full(*_: object, wait: Callable[[int], None], **__: object) -> None:
        wait(0)
        raise OutputError("the disk", expected="room", found="none", do="make room")

    with monkeypatch.context() as patched:
        patched.setattr("miex.synthesis.run.write_samples", full)
        with pytest.raises(OutputError, match="make room"):
            run_plan(out)
    assert 1 <= len(list((out / SHARDS).glob("*.tar"))) < 9, "it goes on"


def test_another_plan_is_refused_and_nothing_is_lost(finished: Path, tmp_path: Path, model: Path) -> None:
    before = shard_bytes(finished)
    for change, message in (({"mu": 0.2}, r"sources.expert.mu 0.1 → 0.2"), ({"size": 64}, "size 96 → 64")):
        other = plan_of(default_pool(), model, **{"ids": 12, "shard_size": 4, "size": 96, **change})
        with pytest.raises(OutputError, match=message):
            adopt_plan(other, finished)
    assert adopt_plan(plan_of(default_pool(), model, ids=12, shard_size=4, size=96), finished).was_there
    assert shard_bytes(finished) == before
    (tmp_path / "thesis.docx").write_text("not ours")
    with pytest.raises(OutputError, match=r"thesis\.docx"):
        adopt_plan(other, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.docx"]


def test_one_writer_at_a_time(finished: Path, tmp_path: Path) -> None:
    out = copy_plan(finished, tmp_path / "busy")
    with Folder(out).locked(), pytest.raises(OutputError, match="another process of miex"):
        run_plan(out)


def test_photo_that_changed_or_went_is_a_row_with_a_reason_and_repair_mends_it(tmp_path: Path, model: Path) -> None:
    photos = photo_folder(tmp_path / "photos", 4)
    out = tmp_path / "out"
    adopt_plan(plan_of(photos, model, shard_size=3, size=64), out)
    kept = (photos / "0.png").read_bytes()
    (photos / "0.png").unlink()
    (photos / "1.png").write_bytes((photos / "2.png").read_bytes())
    with pytest.raises(PartialFailureError, match=r"[36] failed"):
        run_plan(out)
    summary = run_plan(out, max_failed=0.5)
    assert (summary.made, summary.failed) == (6, 6)
    samples = read_samples(out).to_pylist()
    reasons = {row["reason"].split(":")[0] for row in samples if row["status"] == "failed"}
    assert reasons == {"unreadable", "changed"}
    assert all((row["motion_mean_px"] is None) == (row["status"] == "failed") for row in samples)
    (photos / "0.png").write_bytes(kept)
    assert run_plan(out, max_failed=0.5).rendered == 0  # resuming does not try again
    assert (retried := repair_set(out, max_failed=0.5)).failed == 3
    assert retried.made == 9
    report = verify(out)
    assert (report.failed, report.problems) == (3, ())


def test_photos_may_move(tmp_path: Path, model: Path) -> None:
    photos = photo_folder(tmp_path / "photos", 1)
    out = tmp_path / "out"
    adopt_plan(plan_of(photos, model, size=64), out)
    moved = photos.rename(tmp_path / "moved")
    assert run_plan(out, faces_root=moved).failed == 0


@pytest.mark.parametrize("place", [("generator", "version"), ("faces_version",)])
def test_plan_of_another_version_is_refused(finished: Path, tmp_path: Path, place: tuple[str, ...]) -> None:
    out = copy_plan(finished, tmp_path / "old")
    record = json.loads((out / "plan.json").read_text())
    *path, last = place
    reduce(dict.__getitem__, path, record["settings"])[last] = 999
    record["digests"] = dict(replace(read_plan(finished), settings=record["settings"], known=None).digests)
    del record["digest"]
    record["digest"] = json_digest(record)
    (out / "plan.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="version 999"):
        run_plan(out)


def test_pool_that_moved_or_was_renamed_is_followed(tmp_path: Path, model: Path) -> None:
    photos = photo_folder(tmp_path / "photos", 1)
    out = tmp_path / "out"
    adopt_plan(plan_of(photos, model, size=64, shard_size=1), out)
    assert (run_plan(out, shards="0").made, check_shards(Folder(out), read_plan(out))[0].problems) == (1, ())
    moved = photos.rename(tmp_path / "moved")
    (moved / "0.png").rename(moved / "other name.png")
    assert adopt_plan(plan_of(moved, model, size=64, shard_size=1), out).was_there
    summary = run_plan(out)
    assert (summary.failed, summary.rendered) == (0, summary.samples - 1)
    assert verify(out).problems == ()


def test_a_plan_that_another_run_put_there_is_not_run(finished: Path, tmp_path: Path) -> None:
    out = copy_plan(finished, tmp_path / "out")
    with pytest.raises(OutputError, match="another process of miex has just put its plan there"):
        run_plan(out, digest="0" * 64)
    assert not (out / SHARDS).exists()


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("faces", "path", "../elsewhere.png"),
        ("faces", "path", "/etc/passwd"),
        ("faces", "path", "C:\\photos\\a.png"),
        ("rows", "sample_id", "../../evil"),
        ("rows", "identity", "a/b"),
    ],
)
def test_names_that_leave_their_folder_are_refused(
    finished: Path, tmp_path: Path, table: str, column: str, value: str
) -> None:
    plan = read_plan(finished)
    rows = getattr(plan, table)
    values = [value, *rows[column].to_pylist()[1:]]
    at = rows.schema.get_field_index(column)
    forged = with_tables(plan, **{table: rows.set_column(at, column, pa.array(values))})
    write_plan(forged, tmp_path)  # in itself consistent, digest and all
    with pytest.raises(InputError, match="not made by miex"):
        run_plan(tmp_path)
    assert not (tmp_path / SHARDS).exists()


def test_grays_that_are_equal_are_no_error(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RGB may differ where gray does not: PSNR is infinite, which JSON does not know."""
    monkeypatch.setattr("miex.synthesis.measures.psnr", lambda a, b: float("inf"))
    out = tmp_path / "out"
    adopt_plan(plan_of(default_pool(), model, ids=1, size=64), out)
    assert run_plan(out).failed == 0
    assert set(read_samples(out)["psnr"].to_pylist()) == {None}
    write_report(out)
    assert verify(out).problems == ()


def test_measures_of_a_lossy_set_are_those_of_its_stored_frames(tmp_path: Path, model: Path) -> None:
    adopt_plan(plan_of(default_pool(), model, ids=2, size=64, frame_format="jpeg"), tmp_path)
    run_plan(tmp_path)
    dataset = miex.dataset.open(tmp_path)
    for sample, row in zip(dataset, dataset.table.to_pylist(), strict=True):
        onset, apex = (gray(frame) for frame in sample.pair)
        assert row["psnr"] == pytest.approx(psnr(onset, apex))
        assert row["ssim"] == pytest.approx(ssim(onset, apex))


@pytest.mark.parametrize("damage", [b"", b"{", b'{"format": 5}', None])
def test_a_plan_file_that_is_damaged_or_gone_is_written_again(
    finished: Path, tmp_path: Path, model: Path, damage: bytes | None
) -> None:
    out = shutil.copytree(finished, tmp_path / "set")
    before = shard_bytes(out)
    (out / "plan.json").unlink() if damage is None else (out / "plan.json").write_bytes(damage)
    with pytest.raises(InputError, match="miex plan"):
        run_plan(out)
    with pytest.raises(OutputError, match="of which shards lie there"):
        adopt_plan(plan_of(default_pool(), model, ids=12, shard_size=4, size=64), out)
    adopt_plan(plan_of(default_pool(), model, ids=12, shard_size=4, size=96), out)
    assert run_plan(out).rendered == 0
    assert shard_bytes(out) == before
    assert verify(out).problems == ()


def test_somebody_elses_plan_file_is_left_alone(tmp_path: Path, model: Path) -> None:
    (tmp_path / "plan.json").write_text('{"rocket": "to the moon"}')
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"whole plan\.json"):
        adopt_plan(plan_of(default_pool(), model, ids=1, size=64), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} - {".miex.lock"} == {"plan.json", "notes.txt"}
