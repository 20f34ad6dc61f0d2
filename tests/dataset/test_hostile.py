"""Sets whose digests all fit, and whose values do not: whoever reads them gets an error that names what is wrong."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

import miex.dataset
from miex.dataset.frames import encode_frame
from miex.dataset.plan_file import CONFIG_FILE, read_plan, read_record, write_plan
from miex.dataset.samples import SAMPLES_FILE, read_samples, write_samples
from miex.dataset.schema import SAMPLES_SCHEMA
from miex.dataset.shard import Sample, read_shard_record, record_name
from miex.errors import InputError
from miex.images import decode_image
from miex.stable import json_digest, json_of
from miex.storage.local import Folder
from tests.support import command, put_samples, stored_samples, with_tables, write_over


@pytest.fixture(scope="module")
def lent(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(finished, tmp_path_factory.mktemp("lent") / "set"))


@pytest.fixture
def out(lent: Path, finished: Path) -> Path:
    """A set of one's own, as it was made."""
    for name in ("plan.json", "plan.parquet", "faces.parquet", SAMPLES_FILE, "shards/00000.tar", "shards/00000.json"):
        shutil.copyfile(finished / name, lent / name)
    return lent


def altered(out: Path, change: Callable[[Sample], Sample]) -> None:
    """Change the first sample of a set, and all digests with it."""
    first, *others = stored_samples(out, 0)
    write_over(out, 0, [change(first), *others])
    write_samples(Folder(out), read_plan(out))


def described(**values: Any) -> Callable[[Sample], Sample]:
    return lambda sample: replace(sample, description={**sample.description, **values})


def without(name: str) -> Callable[[Sample], Sample]:
    return lambda sample: replace(
        sample, description={key: value for key, value in sample.description.items() if key != name}
    )


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (without("also_seen"), "description, also_seen: nothing"),
        (without("virtual"), "description, virtual: nothing"),
        (described(also_seen=5), "description, also_seen: 5"),
        (described(also_seen=[1, None]), r"description, also_seen\.0: 1"),
        (described(virtual="no"), "description, virtual: 'no'"),
        (described(licence=5), "description, licence: 5"),
        (described(synthetic=False), "description, synthetic: False"),
        (described(aus=[[0.5] * 16] * 2), r"description, aus\.0"),
        (described(label="happy"), "description, label: 'happy', expected 'negative'"),
        (described(identity="nobody"), "description, identity: 'nobody'"),
        (lambda sample: replace(sample, frames=sample.frames[:1]), "1 frames"),
        (lambda sample: replace(sample, frames=(*sample.frames, sample.frames[0])), "3 frames"),
        (lambda sample: replace(sample, suffix=".webp"), "frames named as image/webp"),
        (lambda sample: replace(sample, frames=(sample.frames[0], b"")), "frame that is no image"),
        (lambda sample: replace(sample, frames=tuple(map(other_size, sample.frames))), "frame 0 of 64 × 64 px in png"),
        (lambda sample: replace(sample, frames=tuple(map(other_format, sample.frames))), "of 96 × 96 px in webp"),
    ],
)
def test_a_sample_that_is_not_as_planned_is_an_error_when_it_is_read(
    out: Path, change: Callable[[Sample], Sample], found: str
) -> None:
    altered(out, change)
    dataset = miex.dataset.open(out)
    name = dataset.table["sample_id"][0].as_py()
    for read in (dataset.stored, dataset.__getitem__, dataset.pair):
        with pytest.raises(InputError, match=found) as error:
            read(0)
        assert name in str(error.value)
        assert "shard 00000" in str(error.value)
    assert dataset[1].sample_id == dataset.table["sample_id"][1].as_py()
    assert list(dataset[:3].readable()[1]) == [name]


def other_size(frame: bytes) -> bytes:
    return encode_frame(np.asarray(cv2.resize(decode_image(frame, ""), (64, 64)), np.uint8), "png")


def other_format(frame: bytes) -> bytes:
    return encode_frame(decode_image(frame, ""), "webp")


def test_half_a_surrogate_pair_is_no_text() -> None:
    for text in (b'{"licence": "\\ud800"}', b'{"a": [{"\\udfff": 1}]}', b'"\\ude00\\ud83d"'):
        with pytest.raises(ValueError, match="no text"):
            json_of(text)
    assert json_of(b'{"\\ud83d\\ude00": "\\u00e4"}') == {"😀": "ä"}


def sealed(out: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change plan.json, and its own digest with it."""
    record = json.loads((out / CONFIG_FILE).read_text())
    record.pop("digest")
    change(record)
    (out / CONFIG_FILE).write_text(json.dumps({**record, "digest": json_digest(record)}))


def update(part: str, **values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda record: record[part].update(values)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (update("settings", size=32), "settings that do not match their digest"),
        (update("settings", eye_line=0.39), "settings that do not match their digest"),
        (update("settings", eye_line=1e9), r"settings\.eye_line"),
        (update("settings", eye_line="x"), r"settings\.eye_line: 'x'"),
        (lambda record: record["settings"].pop("eye_mouth"), r"settings\.eye_mouth: nothing"),
        (update("digests", plan="0" * 64), "digest of the plan"),
        (update("digests", faces="0" * 64), "digest of the plan"),
        (lambda record: record.update(config={}), r"config\.classes: nothing"),
        (update("config", classes=None), r"config\.classes: None"),
        (update("config", nuisances=[1]), r"config\.nuisances"),
        (update("config", sources=5), r"config\.sources: 5"),
        (update("config", sources="expert"), r"config\.sources: 'expert'"),
        (update("config", sources={"expert": [1, 2]}), r"config\.sources\.expert"),
        (update("config", sources={"expert": {"table": "micro", "mu": "a"}}), r"config\.sources\.expert\.mu"),
        (update("config", sources={"expert": {"table": "micro"}}), "table, mu and nu"),
        (update("config", sources={"real_mie": {"corpora": [{"licence": 5}]}}), r"corpora\.0\.corpus"),
        (update("versions", numpy="1\n# x"), r"versions\.numpy"),
        (update("versions", numpy=""), r"versions\.numpy"),
        (update("versions", **{"a b": "1"}), r"versions\.a b"),
        (lambda record: record["versions"].pop("miex"), r"versions.*miex"),
        (lambda record: record.update(faces_root="photos"), "faces_root: 'photos'"),
        (lambda record: record.update(faces_root=""), "faces_root: ''"),
        (lambda record: record.update(faces_root="/photos\x1b[2J"), "faces_root"),
        (lambda record: record.update(faces_root="/a\nb"), "faces_root"),
        (lambda record: record.update(faces_root="/" + "a" * 5000), "faces_root"),
    ],
)
def test_a_plan_that_does_not_hold_what_readers_rely_on_is_refused(
    out: Path, change: Callable[[dict[str, Any]], object], found: str
) -> None:
    sealed(out, change)
    for read in (read_record, read_samples, read_plan):
        with pytest.raises(InputError, match=found):
            read(out)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (update("config", seed=1), r"config: seed \d+ is planned, and the options give"),
        (update("config", nuisances="all"), "config: nuisances all draw"),
        (lambda record: record["config"]["sources"]["expert"].update(nu=0.31), "config: .* draws another aus"),
    ],
)
def test_verify_compares_what_was_asked_for_with_what_is_planned(
    out: Path, change: Callable[[dict[str, Any]], object], found: str
) -> None:
    assert miex.verify(out).problems == ()
    sealed(out, change)
    (problem,) = miex.verify(out, sample=0.1).problems
    assert re.search(found, problem)
    assert command("verify", out).returncode == 4


@pytest.mark.parametrize("content", ["null", "[]", "5", '"text"', "true", "{}"])
def test_what_is_no_object_is_told_as_that(out: Path, content: str) -> None:
    for name in (CONFIG_FILE, record_name(0)):
        (out / name).write_text(content)
        with pytest.raises(InputError) as refused:
            read_record(out) if name == CONFIG_FILE else read_shard_record(Folder(out), 0)
        assert refused.value.found == ("no digest of its own" if content == "{}" else f"{content}, which is no object")


@pytest.mark.parametrize("root", ["/a\x1bb", "/a\nb", "/a\udcffb", "photos"])
def test_a_plan_of_photos_that_cannot_be_named_is_not_begun(root: str, finished: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder of photos"):
        write_plan(replace(read_plan(finished), faces_root=root), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_roots_of_photos_are_paths_of_any_system(finished: Path, tmp_path: Path) -> None:
    for root in ("/photos/of me", "C:\\photos", "\\\\server\\photos", "s3://bucket/photos"):
        write_plan(replace(read_plan(finished), faces_root=root), tmp_path)
        assert read_plan(tmp_path).faces_root == root


@pytest.mark.parametrize(("name", "many"), [("rows", 10**12), ("frames", 10**15), ("frames", 71)])
def test_rows_and_frames_of_a_plan_are_those_of_its_table(out: Path, name: str, many: int) -> None:
    sealed(out, lambda record: record.update({name: many}))
    with pytest.raises(InputError, match=rf"{name}: {many}, and plan\.parquet has"):
        read_plan(out)
    with pytest.raises(InputError, match=f"{many:,} {name}, as plan"):
        miex.dataset.open(out)


def test_files_of_two_sets_in_one_folder_are_refused_by_every_reader(out: Path, tmp_path: Path) -> None:
    plan = read_plan(out)
    other = replace(plan, settings={**plan.settings, "eye_line": 0.39}, known=None)  # the same rows and faces
    write_plan(other, out)
    both = f"{other.digests['plan'][:12]}(.|\n)*{plan.digests['plan'][:12]}"
    with pytest.raises(InputError, match=both):
        miex.dataset.open(out)
    for to in ("folder", "webdataset"):
        done = command("export", out, "--to", to, "--out", tmp_path / to)
        assert done.returncode == 3
        assert plan.digests["plan"][:12] in done.stderr
    assert command("report", out, "--audit", 0).returncode == 3


@pytest.mark.parametrize(
    "values", [{"identity": "nobody"}, {"sample_id": "../../evil"}, {"emotion": "\x1b[31m"}, {"photo": ""}]
)
def test_the_rows_of_samples_are_those_of_the_plan(out: Path, values: dict[str, Any]) -> None:
    rows = read_samples(out).to_pylist()
    rows[0].update(values)
    put_samples(out, pa.Table.from_pylist(rows, schema=SAMPLES_SCHEMA))
    with pytest.raises(InputError, match="the rows of the plan"):
        read_samples(out)


def test_more_frames_in_a_row_of_samples_than_planned_are_refused(out: Path) -> None:
    rows = read_samples(out).to_pylist()
    for name in ("aus", "rendered_left", "rendered_right"):
        rows[0][name] += rows[0][name][-1:] * 3
    put_samples(out, pa.Table.from_pylist(rows, schema=SAMPLES_SCHEMA))
    with pytest.raises(InputError, match="the rows of the plan"):
        read_samples(out)


def test_an_identity_without_a_face_is_an_error(out: Path, tmp_path: Path) -> None:
    plan = read_plan(out)
    rows, faces, kept = plan.rows, plan.faces, plan.faces.slice(1)  # read before they are written over
    write_plan(with_tables(plan, rows=rows, faces=kept), out)
    write_samples(Folder(out), read_plan(out))
    dataset = miex.dataset.open(out)
    with pytest.raises(InputError, match=f"no {faces['identity'][0]}"):
        dataset.faces  # noqa: B018
    assert command("export", out, "--to", "folder", "--out", tmp_path / "out").returncode == 3
