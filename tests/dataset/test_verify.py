"""Verify: whatever is wrong with a set is found, and told by the shard or the file."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from miex.dataset.pages import PAGES, REPORT, SUMS, write_sums
from miex.dataset.plan_file import CONFIG_FILE, FACES_FILE, PLAN_FILE
from miex.dataset.samples import SAMPLES_FILE, read_samples
from miex.dataset.shard import SHARDS, read_stored, record_name, tar_name
from miex.dataset.verify import verify
from miex.errors import InputError
from miex.report.build import write_report
from miex.stable import canonical_json
from miex.storage.local import Folder
from miex.synthesis.run import run_plan
from tests.support import flip_bit, put_samples, stored_samples, write_over


def test_verify_compares_samples_with_the_plan(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    samples = read_samples(out)
    at = samples.schema.get_field_index("label")
    turned = samples.set_column(at, "label", pa.array([(x + 1) % 3 for x in samples["label"].to_pylist()], pa.int8()))
    put_samples(out, turned)
    (out / SHARDS / "00099.tar").write_bytes(b"")
    problems = verify(out).problems
    assert problems == (
        "shards/00099.tar: not of this plan",
        "samples.parquet: label are not what plan and records say",
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"label": "surprise"}, 'label "'),
        ({"aus": [[0.0] * 17, [1.0] * 17]}, "aus "),
        ({"aus": [[0.0]]}, "aus "),
        ({"emotion": "bored"}, "emotion "),
        ({"photo": "0" * 16}, "photo "),
        ({"licence": "CC0"}, "licence "),
        ({"corpus": "casme2"}, 'corpus null → "casme2"'),
        ({"subject": "01"}, "subject "),
        ({"synthetic": False}, "synthetic true → false"),
        ({"generator": "muscle 1"}, "generator "),
        ({"nuisances": {"blink": 9.0}}, "nuisances."),
        ({"more": None}, "more entries"),
    ],
)
def test_verify_compares_descriptions_with_the_plan(
    finished: Path, tmp_path: Path, change: dict[str, object], named: str
) -> None:
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    first, *others = stored_samples(out, 0)
    changed = replace(first, description=first.description | change)
    write_over(out, 0, [changed, *others])
    problems = [p for p in verify(out).problems if "samples.parquet" not in p]
    assert len(problems) == 1
    assert problems[0].startswith(f"shard 00000, {first.sample_id}: not as planned: {named}")


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda out: (out / SHARDS / "00001.tar").write_bytes(b"short"), "shard 00001: 5 bytes, its record says"),
        (lambda out: (out / SHARDS / "00001.tar").unlink(), "shard 00001: no shards/00001.tar"),
        (lambda out: (out / SHARDS / "00002.json").unlink(), "shard 00002: not there"),
        (lambda out: (out / SHARDS / "00002.json").write_text("{"), "shard 00002: "),
        (lambda out: (out / "samples.parquet").unlink(), "samples.parquet"),
        (lambda out: (out / "samples.parquet").write_bytes(b"PAR1"), "samples.parquet"),
        (lambda out: flip_bit(out / SHARDS / "00003.tar", 5000), "shard 00003: sha256"),
    ],
)
def test_verify_finds_damage(finished: Path, tmp_path: Path, damage, found: str) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    assert verify(out).problems == ()
    damage(out)
    problems = verify(out).problems
    assert len(problems) == 1
    assert found in problems[0]


def test_verify_finds_an_identical_pair_and_a_foreign_sample(finished: Path, tmp_path: Path) -> None:
    """Records can be right and samples wrong: verify looks into them."""
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    first, *others = stored_samples(out, 0)
    still = replace(first, frames=(first.frames[0],) * 2)
    write_over(out, 0, [still, *others])
    record = json.loads((out / SHARDS / "00000.json").read_text())
    for key in ("offset", "bytes", "crc32"):
        record["samples"][1][key] = record["samples"][2][key]
    del record["digest"]
    record["digest"] = hashlib.sha256(canonical_json(record).encode()).hexdigest()
    (out / SHARDS / "00000.json").write_text(json.dumps(record))
    report = verify(out)
    assert len(report.problems) == 4, report.problems
    assert "not behind the sample before it" in report.problems[0]
    assert report.problems[3].startswith("samples.parquet: ")
    assert "onset and apex are the same picture" in report.problems[1]
    assert record["samples"][0]["sample_id"] in report.problems[1]
    assert "the members of that sample" in report.problems[2]
    assert record["samples"][2]["sample_id"] in report.problems[2]
    assert report.identical == 1


def _redo(out: Path, tar: bytes, **fields: object) -> None:
    """Put another tar in the place of shard 0, and a record that agrees with it."""
    (out / SHARDS / "00000.tar").write_bytes(tar)
    record = json.loads((out / SHARDS / "00000.json").read_text())
    del record["digest"]
    record |= {"sha256": hashlib.sha256(tar).hexdigest(), "bytes": len(tar), **fields}
    record["digest"] = hashlib.sha256(canonical_json(record).encode()).hexdigest()
    (out / SHARDS / "00000.json").write_text(json.dumps(record))


@pytest.mark.parametrize("appended", [b"", b"\0" * 20480])
def test_verify_finds_members_behind_the_last_sample(finished: Path, tmp_path: Path, appended: bytes) -> None:
    """Records can be right and tars hold more: whoever reads shards/*.tar reads that, too."""
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    with tarfile.open(out / SHARDS / "00000.tar", "a") as tar:
        if not appended:
            info = tarfile.TarInfo("another.000.png")
            info.size = 5
            tar.addfile(info, io.BytesIO(b"bytes"))
    _redo(out, (out / SHARDS / "00000.tar").read_bytes() + appended)
    (problem,) = verify(out).problems
    assert "behind its last sample" in problem


def test_a_member_that_is_there_twice_or_claims_more_than_is_there_is_no_sample(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    sample = json.loads((out / SHARDS / "00000.json").read_text())["samples"][0]
    tar = (out / SHARDS / "00000.tar").read_bytes()
    first = tar[: sample["bytes"]]
    frame = first[: 512 + -(-int(first[124:135], 8) // 512) * 512]

    def told(content: bytes) -> str:
        (out / SHARDS / "00000.tar").write_bytes(content)
        with pytest.raises(InputError) as error:
            read_stored(Folder(out), 0, 0, len(content), zlib.crc32(content), sample["sample_id"])
        return str(error.value)

    assert "is there twice" in told(frame + first)
    info = tarfile.TarInfo(f"{sample['sample_id']}.000.png")
    info.size = 2**40
    assert "no plain file" in told(info.tobuf() + first)
    info.size, info.type = 0, tarfile.SYMTYPE
    assert "no plain file" in told(info.tobuf() + first)


def test_a_place_that_is_far_outside_takes_no_memory(finished: Path) -> None:
    assert len(Folder(finished).read_range(f"{SHARDS}/00000.tar", 512, 2**60)) > 0
    assert Folder(finished).read_range(f"{SHARDS}/00000.tar", 2**40, 1) == b""


def test_every_problem_is_told_beside_a_record_that_cannot_be_read(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    (out / SHARDS / "00000.json").write_text("{")
    samples = read_samples(out)
    at = samples.schema.get_field_index("emotion")
    turned = samples.set_column(at, "emotion", pa.array(["bored"] * samples.num_rows))
    put_samples(out, turned)
    flip_bit(out / SHARDS / "00003.tar", 5000)
    problems = verify(out).problems
    assert len(problems) == 3
    assert all(name in problem for name, problem in zip(("00000", "00003", "emotion"), problems, strict=True))


def test_a_sampled_check_still_looks_at_every_record_and_size(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    report = verify(out, sample=0.2)
    assert (report.shards, report.problems) == (2, ())
    for shard in range(9):
        with (out / SHARDS / f"{shard:05d}.tar").open("ab") as file:
            file.write(b"more")
    problems = verify(out, sample=0.2).problems
    assert [problem[:11] for problem in sorted(problems)] == [f"shard {shard:05d}" for shard in range(9)]
    for shard in range(9):
        (out / SHARDS / f"{shard:05d}.json").unlink()
    assert len(verify(out, sample=0.2).problems) == 9


def test_pages_are_proven(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    place = Folder(out)
    for name in PAGES:
        place.write(name, f"{name}: as written".encode())
    assert len(verify(out).problems) == len(PAGES)  # nobody says what they were
    write_sums(place, PAGES)
    assert verify(out).problems == ()
    subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=out, check=True, capture_output=True)
    for i, name in enumerate(PAGES):
        flip_bit(out / name, i)
        (problem,) = verify(out).problems
        assert problem.startswith(f"{name}: sha256")
        flip_bit(out / name, i)
    (out / "README.md").unlink()
    assert verify(out).problems == ("README.md: not there, but in SHA256SUMS (miex repair writes it again)",)
    write_sums(place, ["README.md"])
    assert verify(out).problems == ()
    flip_bit(out / SUMS, 3)
    assert len(verify(out).problems) == 1


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 20 * 2**30)  # without a byte on the disk


@pytest.mark.skipif(os.name != "posix", reason="pipes, devices and sparse files")
@pytest.mark.parametrize("put", [pipe, endless, huge])
def test_what_has_no_end_is_told_at_once(finished: Path, tmp_path: Path, put: Callable[[Path], None]) -> None:
    out = shutil.copytree(finished, tmp_path / "set")
    write_report(out, n=1)
    for name in (*REPORT, SUMS, tar_name(1), record_name(1), SAMPLES_FILE, PLAN_FILE, FACES_FILE, CONFIG_FILE):
        path = out / name
        content = path.read_bytes()
        path.unlink()
        put(path)
        try:
            problems: tuple[str, ...] = verify(out, sample=0.01).problems or verify(out).problems
        except InputError as error:
            problems = (str(error),)
        # of a list of faces every shard needs all
        telling = [one for one in problems if Path(name).name in one or (path.stem == "00001" and "00001" in one)]
        assert telling, (name, problems)
        assert len(problems) == 1 or name in (SUMS, FACES_FILE), (name, problems)
        path.unlink()
        path.write_bytes(content)
    assert verify(out).problems == ()


def test_a_line_that_is_no_digest_is_named_and_written_anew(finished: Path, tmp_path: Path) -> None:
    out = shutil.copytree(finished, tmp_path / "set")
    write_report(out, n=1)
    for junk in (b"junk\n", b"\n", b"0" * 64 + b"  another.txt\n", b"no line break"):
        with (out / SUMS).open("ab") as file:
            file.write(junk)
        (problem, *_) = verify(out).problems
        assert problem.startswith(SUMS)
        write_sums(Folder(out), REPORT)
        assert verify(out).problems == ()


def test_a_missing_tar_is_called_missing(finished: Path, tmp_path: Path) -> None:
    out = shutil.copytree(finished, tmp_path / "set")
    for shard in range(9):
        (out / tar_name(shard)).unlink()
    problems = verify(out, sample=0.1).problems
    assert len(problems) == 9
    assert all("no shards/0000" in problem for problem in problems)


@pytest.mark.parametrize("offset", [2**40, 2**62])
def test_a_place_beyond_the_tar_names_the_sample(finished: Path, offset: int) -> None:
    with pytest.raises(InputError, match="sample s1 of"):
        read_stored(Folder(finished), 0, offset, 1024, 0, "s1")


@pytest.mark.parametrize(
    ("name", "value"),
    [("psnr", 1e308), ("psnr", "x"), ("motion_mean_px", -1e308), ("motion_from", 1.0), ("other", 1.0)],
)
def test_measures_are_what_frames_can_have(finished: Path, tmp_path: Path, name: str, value: object) -> None:
    """In a record whose own digest is right, too: pages and statistics are made of them."""
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    path = out / record_name(0)
    record = json.loads(path.read_text())
    del record["digest"]
    record["samples"][0][name] = value
    record["digest"] = hashlib.sha256(canonical_json(record).encode()).hexdigest()
    path.write_text(json.dumps(record))
    assert any(problem.startswith("shard 00000: ") and name in problem for problem in verify(out).problems)
    with pytest.raises(InputError, match=name):
        run_plan(out)
