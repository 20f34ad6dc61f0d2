"""Reading a set back: what was planned is what is read."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import miex.dataset
from miex.dataset.plan_file import read_plan
from miex.errors import InputError, UsageError
from miex.labels import Label


def test_samples_are_the_plan_rows_in_order(finished: Path) -> None:
    dataset = miex.dataset.open(finished)
    rows = read_plan(finished).rows.to_pylist()
    assert len(dataset) == len(rows) == 36
    for sample, row in zip(dataset, rows, strict=True):
        assert sample.sample_id == row["sample_id"]
        assert sample.label == Label(row["label"]).name
        assert (sample.emotion, sample.source, sample.identity) == (row["emotion"], row["source"], row["identity"])
        assert np.array_equal(sample.aus, np.array(row["aus"], np.float32))
        assert sample.frames.shape == (2, 96, 96, 3)
        assert sample.frames.dtype == np.uint8
        assert sample.provenance["synthetic"] is True


def test_frames_are_the_members_of_the_tar_as_another_reader_sees_them(finished: Path) -> None:
    sample = miex.dataset.open(str(finished))[5]
    with tarfile.open(finished / "shards" / "00001.tar") as tar:
        for frame, name in zip(sample.frames, ("000", "001"), strict=True):
            file = tar.extractfile(f"{sample.sample_id}.{name}.png")
            assert file
            with Image.open(io.BytesIO(file.read())) as image:
                assert np.array_equal(frame, np.asarray(image))
    onset, apex = sample.pair
    assert np.array_equal(onset, sample.frames[0])
    assert np.array_equal(apex, sample.frames[1])


def test_indexing_is_that_of_a_sequence(finished: Path) -> None:
    dataset = miex.dataset.open(finished)
    assert dataset[-1].sample_id == dataset[35].sample_id
    assert [s.sample_id for s in dataset[3:9:2]] == [dataset[i].sample_id for i in (3, 5, 7)]
    for i in (36, -37):
        with pytest.raises(IndexError):
            dataset[i]


def test_selection(finished: Path) -> None:
    dataset = miex.dataset.open(finished)
    surprise = dataset.select(label="surprise")
    assert len(surprise) == 12
    assert {s.label for s in surprise} == {"surprise"}
    assert len(dataset.select(label=2)) == len(dataset.select(label=Label.surprise)) == 12
    one = dataset[0]  # whatever a sample says of itself selects it
    alike = dataset.select(label=one.label, emotion=one.emotion, source=one.source, identity=one.identity)
    assert one.sample_id in [s.sample_id for s in alike]
    assert len(dataset.select(label=["surprise", "positive"])) == 24
    identity = dataset[0].identity
    assert {s.identity for s in dataset.select(identity=identity, source="expert")} == {identity}
    assert len(surprise.select(emotion="surprise", identity=[identity])) == 1
    every = sum(len(dataset.select(emotion=e)) for e in set(dataset.table["emotion"].to_pylist()))
    assert every == 36


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"label": "happy"}, "negative, positive, surprise"),
        ({"emotion": "bored"}, "one of .*surprise"),
        ({"source": ["expert", "early_mae"]}, "early_mae.*\n.*one of expert"),
    ],
)
def test_selection_names_what_is_there(finished: Path, choice: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        miex.dataset.open(finished).select(**choice)


def test_licences_travel_with_the_samples(finished: Path) -> None:
    dataset = miex.dataset.open(finished)
    attribution = {row["identity"]: row["attribution"] for row in dataset.faces.to_pylist()}
    for sample in dataset[:4]:
        assert sample.provenance["attribution"] == attribution[sample.identity] != ""


def test_unfinished_set_is_refused(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"samples\.parquet"):
        miex.dataset.open(tmp_path)
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    (out / "samples.parquet").unlink()
    with pytest.raises(InputError, match="miex run"):
        miex.dataset.open(out)


def one_word_changed(tar: bytes) -> bytes:
    return tar.replace(b'"label":"positive"', b'"label":"negative"', 2)


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:2000], lambda b: b"\0" * len(b), lambda b: b[512:] + b"\0" * 512, one_word_changed],
)
def test_damaged_shard_is_an_error_not_a_wrong_sample(finished: Path, tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    tar = out / "shards" / "00000.tar"
    tar.write_bytes(damage(tar.read_bytes()))
    with pytest.raises(InputError, match="the members of that sample"):
        miex.dataset.open(out)[1]


def test_torch_dataset(finished: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (extra: train)")
    dataset = miex.dataset.open(finished)
    items = pickle.loads(pickle.dumps(dataset.torch()))  # as a DataLoader's workers get it
    assert len(items) == 36
    item, sample = items[7], dataset[7]
    assert item["frames"].shape == (2, 3, 96, 96)
    assert item["frames"].dtype == torch.uint8
    assert np.array_equal(item["frames"].permute(0, 2, 3, 1).numpy(), sample.frames)
    assert item["label"].item() == Label[sample.label]
    assert np.array_equal(item["rendered"].numpy(), sample.rendered)
    assert item["sample_id"] == sample.sample_id
    batch = next(iter(torch.utils.data.DataLoader(items, batch_size=5)))
    assert batch["frames"].shape == (5, 2, 3, 96, 96)
    assert batch["aus"].shape == (5, 2, 17)


def test_a_stored_set_is_streamed_in_epochs_of_their_own_order(finished: Path) -> None:
    dataset = miex.dataset.open(finished)
    plain = dataset.table["sample_id"].to_pylist()
    stream = dataset.stream(seed=3)
    first, second = ([sample.sample_id for sample in stream] for _ in range(2))
    assert sorted(first) == sorted(second) == sorted(plain)
    assert len({tuple(order) for order in (plain, first, second)}) == 3
    assert [sample.sample_id for sample in dataset.stream(shuffle=False)] == plain
    again = dataset.stream(seed=3)
    begun = [next(iter(again)).sample_id for _ in range(5)]
    resumed = dataset.stream(seed=3)
    resumed.load_state_dict(json.loads(json.dumps(again.state_dict())))
    assert begun + [sample.sample_id for sample in resumed] == first
    assert np.array_equal(next(iter(resumed)).frames, dataset[plain.index(second[0])].frames)
    for other in (dataset.stream(seed=4), dataset[:35].stream(seed=3), dataset[::-1].stream(seed=3)):
        with pytest.raises(UsageError, match="state of a stream"):
            other.load_state_dict(again.state_dict())
    with pytest.raises(UsageError, match="`seed`"):
        dataset.stream(seed=-1)


@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_and_workers_share_a_stored_set(finished: Path, workers: int) -> None:
    """Ranks of torch.distributed are played: each asks for its share as a process of its own would."""
    torch = pytest.importorskip("torch", reason="torch is not installed (extra: train)")
    dataset = miex.dataset.open(finished)
    given = []
    for rank in range(2):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (("is_initialized", True), ("get_rank", rank), ("get_world_size", 2)):
                patch.setattr(torch.distributed, name, lambda value=value: value)
            items = dataset.stream(seed=1).torch()
        loader = torch.utils.data.DataLoader(items, batch_size=4, num_workers=workers)
        for epoch in range(2):
            items.set_epoch(epoch)
            given.append([name for batch in loader for name in batch["sample_id"]])
        assert given[-1] != given[-2]
    assert [len(names) for names in given] == [18] * 4
    everything = sorted(dataset.table["sample_id"].to_pylist())
    assert sorted(given[0] + given[2]) == sorted(given[1] + given[3]) == everything
    counted = dataset.stream(seed=1).loader(4, workers=workers)
    assert sorted(name for batch in counted for name in batch["sample_id"]) == everything


def test_without_torch_the_error_says_how_to_get_it(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("torch_dataset", "torch_stream"):
        monkeypatch.delitem(sys.modules, f"miex.dataset.{name}", raising=False)
    with pytest.raises(UsageError, match=r"pip install 'miex\[train\]'"):
        miex.dataset.open(finished).torch()
    with pytest.raises(UsageError, match=r"miex\[train\]"):
        miex.dataset.open(finished).stream().loader(4)
