"""One flipped bit in any file that miex reads again: it is seen, or the same values are read; never others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import miex.dataset
from miex.aus.tracks import Credit, read_table, table_of, write_parquet
from miex.dataset.pages import PAGES, REFUSED, SUMS, page_problems, write_sums
from miex.dataset.plan_file import CONFIG_FILE, FACES_FILE, PLAN_FILE, read_plan
from miex.dataset.samples import SAMPLES_FILE
from miex.dataset.schema import ROWS_SCHEMA
from miex.dataset.shard import read_shard_record, record_name, tar_name
from miex.dataset.verify import verify
from miex.errors import InputError, OutputError
from miex.evaluation.results import PREDICTIONS, Results, StoredRun
from miex.faces import index
from miex.faces.landmarks import Detection
from miex.faces.photos import default_pool
from miex.faces.seen import Seen
from miex.report.build import write_report
from miex.sources.pool import Pool, read_pool, write_pool
from miex.storage.local import Folder
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.run import run_plan
from miex.tables.written import csv_text
from tests.faults.tally import HARMLESS, SEEN, Tally
from tests.support import flip_bit, plan_of, pool_of, track

Read = Callable[[], Any]


def plain(value: Any) -> Any:
    """What can be compared: tables and arrays by their bytes, NaN equal to itself."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, pa.Table):
        return value.schema.to_string(show_field_metadata=True), repr(value.to_pylist())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


@pytest.fixture
def flips(every: bool, tally: Tally) -> Callable[..., None]:
    """Flip bits of a file, and read each time what it says."""

    def check(path: Path, kind: str, read: Read, few: int, many: int = 2000) -> None:
        true, size = plain(read()), path.stat().st_size
        n = min(size * 8, many if every else few)
        silent = []
        for i in range(n):
            at, bit = divmod((i * size * 8) // n, 8)
            flip_bit(path, at, bit)
            try:
                found = plain(read())
            except (InputError, OutputError):
                tally.add("a flipped bit", kind, SEEN)
            else:
                if found == true:
                    tally.add("a flipped bit", kind, HARMLESS)
                else:
                    silent.append((at, bit))
            flip_bit(path, at, bit)
        assert not silent, f"{kind}: {len(silent)} of {n}, such as {silent[:8]}"
        assert plain(read()) == true

    return check


@pytest.fixture(scope="module", params=["png", "webp", "jpeg"])
def small(request: pytest.FixtureRequest, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of three samples in two shards."""
    out = tmp_path_factory.mktemp(request.param)
    adopt_plan(plan_of(default_pool(), model, ids=1, size=32, shard_size=2, frame_format=request.param), out)
    run_plan(out)
    assert verify(out).problems == ()
    return out


def everything(out: Path) -> Any:
    """What readers see of a set."""
    there = miex.dataset.open(out)
    plan = read_plan(out)
    samples = [plain(there[i]) for i in range(len(there))]
    return [samples, there.table, plan.rows, plan.faces, plan.settings, plan.config, plan.faces_root, plan.digests]


@pytest.mark.parametrize("name", [PLAN_FILE, FACES_FILE, CONFIG_FILE, SAMPLES_FILE, tar_name(0)])
def test_what_readers_read_of_a_set(small: Path, name: str, flips: Callable[..., None]) -> None:
    kind = f"{name.replace('00000', small.name[:-1])}, by its readers"
    flips(small / name, kind, lambda: everything(small), 40, 400)


def test_a_record(small: Path, flips: Callable[..., None]) -> None:
    name = record_name(0)
    flips(small / name, f"{name}, by its reader", lambda: read_shard_record(Folder(small), 0), 60)


@pytest.mark.parametrize("name", [PLAN_FILE, FACES_FILE, CONFIG_FILE, SAMPLES_FILE, tar_name(0), record_name(0)])
def test_verify_sees_it(small: Path, name: str, flips: Callable[..., None]) -> None:
    def verified() -> Any:
        report = verify(small)
        if report.problems:
            raise InputError("; ".join(report.problems))
        return [report, everything(small)]

    flips(small / name, f"{name.replace('00000', small.name[:-1])}, by verify", verified, 15, 200)


@pytest.fixture(scope="module")
def paged(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of three samples with its pages, and a photo that was refused."""
    photos, out = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("paged")
    shutil.copytree(default_pool(), photos, dirs_exist_ok=True)
    (photos / "none.png").write_bytes(b"no photo")
    adopt_plan(plan_of(photos, model, ids=1, size=32), out)
    run_plan(out)
    write_report(out, n=1)
    refused = [{"path": "none.png", "reason": "unreadable"}]
    Folder(out).write(REFUSED, csv_text(tuple(refused[0]), [tuple(one.values()) for one in refused]).encode())
    write_sums(Folder(out), [REFUSED])
    assert verify(out).problems == ()
    return out


@pytest.mark.parametrize("name", [*PAGES, SUMS])
def test_verify_sees_it_in_what_people_open(paged: Path, name: str, flips: Callable[..., None]) -> None:
    """Every bit of a page counts."""

    def verified() -> Any:
        if problems := page_problems(Folder(paged)):
            raise InputError("; ".join(problems))
        return [(paged / page).read_bytes() for page in PAGES]

    flips(paged / name, f"{name}, by verify", verified, 40, 2000)


def test_every_bit_of_the_sums_is_seen(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for name in PAGES:
        folder.write(name, name.encode())
    write_sums(folder, PAGES)
    assert page_problems(folder) == []
    true = folder.read(SUMS)
    silent = []
    for at, bit in ((at, bit) for at in range(len(true)) for bit in range(8)):
        (tmp_path / SUMS).write_bytes(true[:at] + bytes([true[at] ^ 1 << bit]) + true[at + 1 :])
        if not page_problems(folder):
            silent.append((at, bit))
    assert silent == []


def test_a_table_of_aus(tmp_path: Path, flips: Callable[..., None]) -> None:
    path = tmp_path / "aus.parquet"
    write_parquet(table_of([track("s1/a", 9), track("s2/b", 7)], Credit("CC0", "nobody")), path)
    flips(path, "table of AUs", lambda: read_table(path), 250)


def test_a_pool(tmp_path: Path, flips: Callable[..., None]) -> None:
    path = tmp_path / "pool.parquet"
    write_pool(Pool(pool_of(4), Credit("CC0", "nobody")), path)
    flips(path, "AU pool", lambda: read_pool(path), 250)


def test_a_run_of_an_evaluation(tmp_path: Path, flips: Callable[..., None]) -> None:
    store, what = Results(tmp_path), {"fold": 1}
    rows = [
        {"sample_id": f"{i}", "corpus": "samm", "subject": "006", "label": i % 3, "last": [0.5, 0.25, 0.25]}
        for i in range(9)
    ]
    store.add(StoredRun(what, {"n": 9, "loss": 0.5}, pa.Table.from_pylist(rows, schema=PREDICTIONS)))
    flips(store.path(what), "stored run", lambda: store.all(), 250)


def test_landmarks_in_the_cache(tmp_path: Path, flips: Callable[..., None]) -> None:
    """What is damaged there is detected again."""
    path, rng = tmp_path / "a.npz", np.random.default_rng(0)
    detection = Detection(rng.random((1, 478, 3), np.float32), rng.random((1, 3), np.float32))
    index._save_cached(path, (40, 30), detection, Seen(*rng.random(len(fields(Seen))).tolist()), "a note")

    def read() -> Any:
        found = index._load_cached(path)
        if found is None:
            raise InputError("landmarks")
        return found

    flips(path, "landmarks in the cache", read, 300)


def test_a_flow_file(tmp_path: Path, flips: Callable[..., None]) -> None:
    pytest.importorskip("torch")
    from miex.recognition.flow_file import faces_in, read_flow, write_flow_set

    path, rng = tmp_path / "flow.npz", np.random.default_rng(0)
    texts = {name: np.array([f"{name}{i}" for i in range(4)]) for name in ("sample_id", "subject", "photo", "face")}
    same = {"source": np.array(["expert"] * 4), "corpus": np.array([""] * 4)}
    flow = rng.integers(0, 255, (4, 8, 8, 3), np.uint8)
    write_flow_set({"flow": flow, "label": np.array([0, 1, 2, 0]), **texts, **same}, path)

    def read() -> Any:
        found = read_flow(path)
        return [found.rows, found.label_names, vars(found.frames), faces_in(path)]

    flips(path, "flow file", read, 300)


@pytest.mark.parametrize("name", ["array.npy", "rows.parquet", "record.json"])
def test_stored_examples(tmp_path: Path, name: str, flips: Callable[..., None]) -> None:
    """The inputs of recognizers in the cache, one of which could not be read."""
    pytest.importorskip("torch")
    from miex.recognition.view import stored

    rng = np.random.default_rng(0)
    maps = rng.integers(0, 255, (4, 4, 4, 3), np.uint8)
    texts: dict[str, Any] = {name: [f"{name}{i}" for i in range(4)] for name in ROWS_SCHEMA.names}
    rows = pa.table({**texts, "label": [0, 1, 2, 0]}, schema=ROWS_SCHEMA)

    def make(put: Callable[..., None]) -> dict[int, str]:
        put(0, maps)
        return {2: "no face"}

    def read() -> Any:
        found = stored(tmp_path / "x", rows, (4, 4, 3), np.dtype(np.uint8), "maps", make)
        return [np.array(found.array), found.rows, found.marks.to_pylist(), found.unread]

    read()
    flips(tmp_path / "x" / name, f"{name} of stored examples", read, 200)


def test_whose_photos_a_flow_file_shows(tmp_path: Path, flips: Callable[..., None]) -> None:
    pytest.importorskip("torch")
    from miex.recognition.flow_file import faces_in, write_flow_set

    path = tmp_path / "flow.npz"
    write_flow_set({"photo": np.array(["a", "b"]), "face": np.array(["casme2/1", "casme2/2"])}, path)
    flips(path, "faces of a flow file", lambda: faces_in(path), 300)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A finished training, and one that was killed after a checkpoint."""
    pytest.importorskip("torch")
    from miex.recognition.train import train
    from tests.faults.disk import Killed
    from tests.recognition.planted import QUICK, planted

    folder = tmp_path_factory.mktemp("trained")
    recipe, data = QUICK.but(samples_seen=640), planted(60)

    def kill(step: int, steps: int, loss: float) -> None:
        if step == steps // 2:
            raise Killed

    train(data, recipe, folder=folder / "whole", checkpoint_seconds=0)
    with pytest.raises(Killed):
        train(data, recipe, folder=folder / "killed", progress=kill, checkpoint_seconds=0)
    return folder / "whole", folder / "killed"


def test_a_recognizer(trained: tuple[Path, Path], flips: Callable[..., None]) -> None:
    from miex.recognition.recognizer import MODEL, load_recognizer
    from tests.recognition.planted import planted

    path, data = trained[0] / MODEL, planted(12, seed=1)

    def read() -> Any:
        made = load_recognizer(path)
        return [made.predict(data), made.history, made.label_names]

    flips(path, "recognizer", read, 60, 600)


def test_a_checkpoint(trained: tuple[Path, Path], flips: Callable[..., None]) -> None:
    from miex.storage.training import CHECKPOINT
    from miex.storage.weights import read_weights

    path = trained[1] / CHECKPOINT

    def read() -> Any:
        plain_, tensors = read_weights(path, "checkpoint")
        return [plain_, {name: value.numpy() for name, value in tensors.items()}]

    flips(path, "checkpoint", read, 60, 1000)


@pytest.mark.parametrize("name", ["training.json", "log.csv"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_training_that_goes_on(
    trained: tuple[Path, Path], which: int, name: str, tmp_path: Path, flips: Callable[..., None]
) -> None:
    """Its record and its log: the recognizer is the same, or it is refused."""
    from miex.recognition.train import train
    from tests.recognition.planted import QUICK, planted

    recipe, data, first = QUICK.but(samples_seen=640), planted(60), trained[which]
    damaged = shutil.copy(first / name, tmp_path / name)

    def read() -> Any:
        again = tmp_path / "again"
        shutil.rmtree(again, ignore_errors=True)
        shutil.copytree(first, again)
        shutil.copy(damaged, again / name)
        made = train(data, recipe, folder=again, checkpoint_seconds=1000)
        return made.weights_digest

    flips(tmp_path / name, f"{name} of a training that is {('finished', 'resumed')[which]}", read, 6, 60)
