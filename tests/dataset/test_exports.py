"""Exports, and sets themselves, opened by the libraries that others use: what is read is what was stored."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import miex
from miex.aus.vector import AU_NUMBERS
from miex.dataset.export import huggingface, webdataset
from miex.dataset.export.parts import in_parts
from miex.dataset.frames import DIGITAL_SOURCE_TYPE
from miex.dataset.reader import Dataset
from miex.errors import InputError, OutputError, UsageError
from miex.faces.photos import default_pool
from miex.labels import Label
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.run import run_plan
from tests.support import command, facts, plan_of

FORMS = ("huggingface", "webdataset")
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """Sequences of differing lengths, with all nuisances, in shards of four. Read only."""
    out = tmp_path_factory.mktemp("sequences") / "mie-x"
    adopt_plan(
        plan_of(
            default_pool(), model, ids=2, per=2, size=32, frames="all", until="offset", fps=40, nuisances="all",
            shard_size=4,
        ),
        out,
    )  # fmt: skip
    run_plan(out)
    miex.write_report(out, audit=0)
    return out


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Hugging Face's `datasets`, without network and with a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in OFFLINE.items():
            patch.setenv(name, value)
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        datasets = pytest.importorskip("datasets", reason="datasets is not installed (extra: oracles)")
        datasets.disable_progress_bars()
        yield datasets


def stored(dataset: Dataset) -> dict[str, tuple[tuple[bytes, ...], dict[str, Any]]]:
    found = (dataset.stored(i) for i in range(len(dataset)))
    return {one.description["sample_id"]: (one.frames, one.description) for one in found}


# what every form promises


def test_shards_hold_what_they_may() -> None:
    assert list(in_parts([], 10)) == []
    assert list(in_parts([4, 4, 4, 40, 1], 9)) == [range(2), range(2, 3), range(3, 4), range(4, 5)]
    assert list(in_parts([1] * 5, 100, rows=2)) == [range(2), range(2, 4), range(4, 5)]


@pytest.mark.parametrize("form", FORMS)
def test_the_same_set_gives_the_same_bytes(made: Path, tmp_path: Path, form: str) -> None:
    dataset = miex.open(made)
    for name in ("a", "b"):
        dataset.export(tmp_path / name, to=form)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 2
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)
    with pytest.raises(OutputError, match="new or empty"):
        dataset.export(tmp_path / "a", to=form)
    text = (tmp_path / "a" / "README.md").read_text()
    assert dataset.record["digests"]["plan"] in text
    assert "NASA, portrait of Eileen Collins" in text


@pytest.mark.parametrize("form", FORMS)
def test_damaged_samples_are_skipped_where_asked(made: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "set"
    shutil.copytree(made, out)
    (out / "shards" / "00001.tar").unlink()
    with pytest.raises(InputError, match=r"00001\.tar"):
        miex.export(out, tmp_path / "none", to=form)
    written = miex.export(out, tmp_path / "some", to=form, on_error="skip")
    assert (written.samples, len(written.skipped)) == (8, 4)


def test_commands(made: Path, tmp_path: Path) -> None:
    surprise = miex.open(made).where("label == 'surprise'")
    frames = sum(len(one) for one, _ in stored(surprise).values())
    for form in FORMS:
        out = tmp_path / form
        written = facts("export", made, "--to", form, "--where", "label == 'surprise'", "--out", out)
        assert (written["samples"], written["frames"]) == (4, frames)
    refused = command("export", made, "--to", "webdataset", "--where", "label == 'suprise'", "--out", tmp_path / "no")
    assert refused.returncode == UsageError.exit_code
    assert "--where" in refused.stderr
    assert "did you mean surprise?" in refused.stderr
    none = command("export", made, "--to", "folder", "--where", "AU12 > 2", "--out", tmp_path / "no")
    assert none.returncode == UsageError.exit_code
    assert "at least one sample" in none.stderr


# each form by itself, read without the library


def test_parquet_is_read_by_anyone(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface, "MOST_BYTES", 60_000)
    monkeypatch.setattr(huggingface, "GROUP_ROWS", 2)
    dataset = miex.open(made)
    dataset.export(tmp_path / "out", to="huggingface")
    files = sorted((tmp_path / "out" / "data").iterdir())
    assert len(files) > 1
    assert files[-1].name == f"train-{len(files) - 1:05d}-of-{len(files):05d}.parquet"
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert [row["sample_id"] for row in rows] == dataset.table["sample_id"].to_pylist()
    groups = [pq.ParquetFile(file).metadata for file in files]
    assert all(one.row_group(i).num_rows <= 2 for one in groups for i in range(one.num_row_groups))
    expected = stored(dataset)
    for row, sample in zip(rows, dataset, strict=True):
        frames, described = expected[row["sample_id"]]
        assert tuple(frame["bytes"] for frame in row["frames"]) == frames
        assert row["label"] == Label[sample.label]
        np.testing.assert_array_equal(np.asarray(row["aus"], np.float32), sample.aus)
        assert all(row[name] == described[name] for name in ("licence", "attribution", "also_seen", "generator"))
        assert row["synthetic"] is True


def test_tars_are_read_by_anyone(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webdataset, "MOST_BYTES", 60_000)
    dataset = miex.open(made)
    dataset.export(tmp_path / "out", to="webdataset", seed=1)
    order, found = [], {}
    for file in sorted((tmp_path / "out").glob("*.tar")):
        with tarfile.open(file) as tar:
            for member in tar:
                key, _, kind = member.name.partition(".")
                if kind == "000.png":
                    order.append(key)
                content = tar.extractfile(member)
                assert content
                found.setdefault(key, {})[kind] = content.read()
    ids = dataset.table["sample_id"].to_pylist()
    assert sorted(order) == sorted(ids)
    assert order != ids
    for key, (frames, described) in stored(dataset).items():
        assert tuple(found[key][f"{k:03d}.png"] for k in range(len(frames))) == frames
        assert json.loads(found[key]["json"]) == described
        assert int(found[key]["cls"]) == described["label_index"]
    assert len(list((tmp_path / "out").glob("*.tar"))) > 1


# the libraries themselves


def check_marked(frame: dict[str, Any], expected: bytes) -> None:
    assert frame["bytes"] == expected
    assert DIGITAL_SOURCE_TYPE.encode() in frame["bytes"]


def test_datasets_loads_a_set_itself(hub: Any, made: Path) -> None:
    rows = hub.load_dataset(str(made), split="train")
    dataset = miex.open(made)
    assert rows["__key__"] == dataset.table["sample_id"].to_pylist()
    names = [name for name in rows.column_names if name.endswith(".png")]
    lengths = {len(sample.frames) for sample in dataset}
    assert len(lengths) > 1
    assert len(names) == max(lengths)
    for row, sample in zip(rows, dataset, strict=True):
        there = [np.asarray(row[name]) for name in names if row[name] is not None]
        assert np.array_equal(there, sample.frames)
        said = row["json"]
        np.testing.assert_allclose(said["aus"], sample.aus, atol=1e-6)
        assert (said["label"], said["apex"]) == (sample.label, sample.apex)
        assert said["attribution"] == sample.provenance["attribution"]
        drawn = {name: value for name, value in said["nuisances"].items() if value is not None}
        assert drawn.keys() == sample.provenance["nuisances"].keys()


@pytest.mark.parametrize("form", ["set", *FORMS])
def test_the_hub_reads_the_header_of_every_card(hub: Any, made: Path, tmp_path: Path, form: str) -> None:
    from huggingface_hub import DatasetCard  # datasets brings it

    if form != "set":
        miex.open(made).export(tmp_path / "out", to=form)
    card = DatasetCard.load(made / "README.md" if form == "set" else tmp_path / "out" / "README.md")
    data = card.data.to_dict()
    assert data["license"] == "other"
    assert data["task_categories"] == ["video-classification"]
    assert data["size_categories"] == ["n<1K"]
    (config,) = data["configs"]
    (files,) = config["data_files"]
    assert list((made if form == "set" else tmp_path / "out").glob(files["path"]))


def test_datasets_loads_the_parquet_export(hub: Any, made: Path, tmp_path: Path) -> None:
    dataset = miex.open(made)
    dataset.export(tmp_path / "out", to="huggingface")
    rows = hub.load_dataset(str(tmp_path / "out"), split="train")
    assert rows.features["label"].names == [label.name for label in Label]
    assert isinstance(rows.features["frames"].feature, hub.Image)
    assert rows.features["aus"] == hub.List(hub.List(hub.Value("float32"), length=len(AU_NUMBERS)))
    for row, sample in zip(rows, dataset, strict=True):
        assert row["sample_id"] == sample.sample_id
        assert np.array_equal([np.asarray(frame) for frame in row["frames"]], sample.frames)
        assert rows.features["label"].int2str(row["label"]) == sample.label
    plain = rows.cast_column("frames", hub.List(hub.Image(decode=False)))
    for row, (frames, _) in zip(plain, stored(dataset).values(), strict=True):
        for frame, expected in zip(row["frames"], frames, strict=True):
            check_marked(frame, expected)
    streamed = next(iter(hub.load_dataset(str(tmp_path / "out"), split="train", streaming=True)))
    assert streamed["sample_id"] == rows[0]["sample_id"]
    mine = rows.train_test_split(test_size=0.5, stratify_by_column="label", seed=0)  # what classes are for
    assert len(mine["train"]) == 6


def test_datasets_loads_the_webdataset_export(hub: Any, made: Path, tmp_path: Path) -> None:
    dataset = miex.open(made)
    dataset.export(tmp_path / "out", to="webdataset")
    rows = hub.load_dataset(str(tmp_path / "out"), split="train")
    assert rows.features["cls"].names == [label.name for label in Label]
    by_id = {sample.sample_id: sample for sample in dataset}
    assert {row["__key__"] for row in rows} == by_id.keys()
    assert all(row["cls"] == Label[by_id[row["__key__"]].label] for row in rows)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves tars open
@pytest.mark.parametrize("what", ["set", "export"])
def test_webdataset_reads_sets_and_exports(made: Path, tmp_path: Path, what: str) -> None:
    wds = pytest.importorskip("webdataset", reason="webdataset is not installed (extra: oracles)")
    dataset = miex.open(made)
    tars = sorted((made / "shards").glob("*.tar"))
    if what == "export":
        dataset.export(tmp_path / "out", to="webdataset")
        tars = sorted((tmp_path / "out").glob("*.tar"))
    samples = {sample.sample_id: sample for sample in dataset}
    read = list(wds.WebDataset([str(tar) for tar in tars], shardshuffle=False).decode("rgb8"))
    assert {one["__key__"] for one in read} == samples.keys()
    for one in read:
        sample = samples[one["__key__"]]
        frames = [one[name] for name in sorted(one) if name.endswith(".png")]
        assert np.array_equal(frames, sample.frames)
        assert one["json"]["apex"] == sample.apex
        if what == "export":
            assert one["cls"] == Label[sample.label]


def test_torch_and_numpy_read_a_selection_of_sequences(made: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (extra: train)")
    chosen = miex.open(made).where("label != 'positive' and AU45 == 0")
    loader = torch.utils.data.DataLoader(chosen.torch(), batch_size=2, collate_fn=list)
    read = {item["sample_id"]: item for batch in loader for item in batch}
    assert read.keys() == {sample.sample_id for sample in chosen}
    for sample in chosen:
        assert np.array_equal(read[sample.sample_id]["frames"].permute(0, 2, 3, 1).numpy(), sample.frames)
