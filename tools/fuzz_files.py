"""Throw damaged and odd files at every reader of miex: `python -m tools.fuzz_files [INPUTS] [FIRST_SEED]`.

Each input is a file that miex reads again, or others send (of a set, AUs, flow maps, recipes, expert tables, weights,
lists, videos), written whole by this tool and then changed: values of JSON and TOML for others of any kind, columns of
Parquet, shapes and types of arrays, and bytes. Where a file holds its own digest, half of them are changed with the
digest made anew, as whoever means harm would. A reader must give a whole result or an error of miex that names the
file. Inputs are read in a process that may take 3 GiB and 20 seconds for one, so that one which ends or halts it is
found, too. (Tables as text and workbooks are those of `tools.fuzz_tables`, pictures those of `tools.fuzz_images`.)
"""

from __future__ import annotations

import io
import json
import random
import struct
import tempfile
import tomllib
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from miex.aus.tracks import Credit, Track, read_table, table_of, tracks_of, write_parquet
from miex.aus.vector import N_AUS
from miex.corpora.readers.plain import Plain
from miex.dataset import open as open_set
from miex.dataset.description import describe_sample
from miex.dataset.export.forms import FORMS, export_as
from miex.dataset.frames import encode_frame
from miex.dataset.plan_file import Plan, face_blocks, read_plan, write_plan
from miex.dataset.proven import root_of, write_blocks
from miex.dataset.samples import read_samples, write_samples
from miex.dataset.schema import FACES_SCHEMA, PLAN_SCHEMA, ROWS_SCHEMA, SAMPLES_SCHEMA
from miex.dataset.shard import Sample, read_shard_record, read_stored, record_name, write_shard
from miex.dataset.verify import verify
from miex.errors import MiexError, UsageError
from miex.evaluation.folds import published, read_list
from miex.evaluation.results import PREDICTIONS, Results, StoredRun
from miex.executors.base import silent
from miex.faces.layouts import LAYOUTS
from miex.faces.photos import look_through
from miex.images import clip_length, read_clip
from miex.labels import Label
from miex.recognition.flow_file import faces_in, read_flow
from miex.recognition.recipe import load_recipe
from miex.recognition.view import Put, View, stored
from miex.report.card import dataset_card
from miex.report.gathered import gathered
from miex.report.statistics import statistics_of
from miex.sources.expert import ExpertSource, load_table
from miex.sources.pool import Pool, PoolClip, read_pool, write_pool
from miex.stable import json_digest
from miex.storage.local import Folder
from tools.fuzz_tables import damaged
from tools.fuzzing import fuzz

BATCH = 400
MOST_MEMORY = 3 * 2**30  # torch alone takes more than one of addresses
MOST_SECONDS = 20
NAME = "fuzzed"
N = 6  # samples, clips, examples of a whole file
SIDE = 32
SHARD = 2
OFTEN = 3  # times that files other than those of sets are taken as often: a set takes longest to read
WORDS = (
    b"\0", b"null", b"-1", b"NaN", b"1e999", b"{", b"[", b'"', b"'", b"\n", b"\xff", b"PK\3\4", b"PAR1", b"\x93NUMPY",
    b"../", b"[[x]]", b"=", b"," , b"ustar\0", b"9" * 20,
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 2**31, 2**63, 2**64, 10**400, 0.5, -0.5, 1e308, float("nan"), float("inf"), "", "x",
    "../x", "/etc/passwd", "C:\\x", "a" * 70_000, "\0", "\ud800", "Zoë", "nan", "ststnet", "flow", "[bold]", [], {},
    [[]], [None], ["x"] * 3, [1, "x", None], {"x": 1}, {"": None}, {"name": None}, [{}], [[0.0] * 17], [[0.0] * 16],
)  # fmt: skip
Files = dict[str, bytes]


class Kind(NamedTuple):
    """What is read.

    Attributes:
        name: of the kind.
        whole: gives its whole files by name.
        change: changes one of them.
        read: reads what lies in a folder.
    """

    name: str
    whole: Callable[[], Files]
    change: Callable[[Files, random.Random], None]
    read: Callable[[Path], object]


# Whole files


def _files(folder: Path) -> Files:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _written(write: Callable[[Path], object]) -> Callable[[], Files]:
    @cache
    def whole() -> Files:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / NAME
            folder.mkdir()
            write(folder)
            return _files(folder)

    return whole


def _aus(luck: np.random.Generator, *shape: int) -> list[Any]:
    found: list[Any] = luck.random((*shape, N_AUS), np.float32).tolist()
    return found


def _row(i: int, luck: np.random.Generator) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(PLAN_SCHEMA.names)
    face = f"face{i % 2}"
    row.update(
        sample_id=f"{face}-expert-positive-{i}", round=i, identity=face, photo=f"{i % 2:016x}", source="expert",
        label=i % 3, emotion="happiness", apex=1, seed=i, aus=_aus(luck, 2), rendered_left=_aus(luck, 2),
        rendered_right=_aus(luck, 2),
    )  # fmt: skip
    return row


def _face(i: int, luck: np.random.Generator) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(FACES_SCHEMA.names)
    row.update(
        identity=f"face{i}", path=f"{i}.jpg", sha256=f"{i:064x}", width=90, height=90, yaw=0.0, pitch=0.0, roll=0.0,
        landmarks=luck.random(478 * 3, np.float32).tolist(), crop_x=45.0, crop_y=45.0, crop_side=60.0, crop_roll=0.0,
        virtual=False, kind="real", person="p", licence="MIT", attribution="Jo",
    )  # fmt: skip
    return row


def _write_set(folder: Path) -> None:
    luck = np.random.default_rng(0)
    rows = pa.Table.from_pylist([_row(i, luck) for i in range(2 * SHARD)], schema=PLAN_SCHEMA)
    faces = pa.Table.from_pylist([_face(i, luck) for i in range(2)], schema=FACES_SCHEMA)
    settings = {
        "size": SIDE, "frame_format": "png", "shard_size": SHARD, "eye_line": 0.4, "eye_mouth": 0.4,
        "generator": {"name": "muscle", "version": "1", "settings": {}}, "faces_version": 1,
    }  # fmt: skip
    plan = Plan(
        lambda: (rows.slice(i, SHARD) for i in (0, SHARD)),
        2 * SHARD,
        lambda: face_blocks(faces),
        faces.num_rows,
        settings,
        {
            "nuisances": "off",
            "frames": 2,
            "classes": ["positive"],
            "seed": 0,
            "until": "apex",
            "fps": 200.0,
            "sources": {"expert": {"table": "micro", "mu": 0.1, "nu": 0.3}},
        },
        "/photos",
    )
    digests, place = write_plan(plan, folder), Folder(folder)
    for shard, part in enumerate(plan.shards()):
        samples = []
        for row in part.to_pylist():
            frames = [encode_frame(luck.integers(0, 256, (SIDE, SIDE, 3), np.uint8), "png") for _ in range(2)]
            face = faces.to_pylist()[int(row["identity"][-1])]
            measures = {"motion_mean_px": 0.5, "motion_from": "field", "psnr": None}
            description = describe_sample(face, row, settings)
            samples.append(Sample(row["sample_id"], tuple(frames), ".png", description, measures))
        write_shard(place, shard, digests["plan"], samples)
    write_samples(place, plan)


@cache
def _one_sample() -> Files:
    files = _SET()
    size = json.loads(files["shards/00000.json"])["samples"][0]["bytes"]
    return {"shards/00000.tar": files["shards/00000.tar"][:size]}


def _write_pool(folder: Path) -> None:
    luck = np.random.default_rng(1)
    clips = [
        PoolClip(
            "casme2", f"sub{i:02d}", f"EP{i}", "micro", "happiness", Label(i % 3), 1, 2, 4,
            np.arange(5, dtype=np.int32), luck.random((5, N_AUS), np.float32), np.ones(N_AUS, bool),
            np.zeros(N_AUS, np.float32), 5, "x", "1",
        )
        for i in range(1, N)
    ]  # fmt: skip
    write_pool(Pool(tuple(clips), Credit("MIT", "Jo")), folder / "pool.parquet")


def _write_aus(folder: Path) -> None:
    luck = np.random.default_rng(2)
    tracks = [
        Track(
            f"s{i}/c{i}", np.arange(4, dtype=np.int32), luck.random((4, N_AUS), np.float32), np.ones(4, np.float32),
            "x", "1",
        )
        for i in range(3)
    ]  # fmt: skip
    write_parquet(table_of(tracks, Credit()), folder / "aus.parquet")


def _write_clips(folder: Path) -> None:
    rows = {
        "subject": [f"s{i}" for i in range(N)], "clip": [f"c{i}" for i in range(N)], "emotion": ["fear"] * N,
        "onset": list(range(N)), "apex": [i + 3 for i in range(N)], "offset": [i + 5 for i in range(N)],
        "label": [0, 1, 2] * 2, "aus": ["4+7"] * N,
    }  # fmt: skip
    pq.write_table(pa.table(rows), folder / "clips.parquet")


def _write_flow(folder: Path) -> None:
    luck = np.random.default_rng(3)
    names = np.array([f"s{i}" for i in range(N)])
    np.savez_compressed(
        folder / "flow.npz", flow=luck.integers(0, 256, (N, 28, 28, 3), np.uint8), label=np.arange(N) % 3,
        sample_id=names, corpus=np.array(["casme2"] * N), subject=names, photo=names, face=names,
        label_names=np.array(["a", "b", "c"]),
    )  # fmt: skip


def _rows() -> pa.Table:
    columns = {name: [f"x{i}" for i in range(N)] for name in ROWS_SCHEMA.names}
    return pa.table({**columns, "label": [i % 3 for i in range(N)]}, schema=ROWS_SCHEMA)


def _make_inputs(put: Put) -> dict[int, str]:
    put(0, np.random.default_rng(4).integers(0, 256, (N, 4, 4, 3), np.uint8))
    return {2: "no face"}


def _write_inputs(folder: Path) -> None:
    stored(folder / "inputs", _rows(), (4, 4, 3), np.dtype(np.uint8), {"of": "nothing"}, _make_inputs)
    (folder / "inputs.lock").unlink(missing_ok=True)


def _write_runs(folder: Path) -> None:
    row = {"sample_id": "a", "corpus": "casme2", "subject": "1", "label": 1, "last": [0.1, 0.2, 0.7]}
    table = pa.Table.from_pylist([{**row, "best_on_test": None}] * N, schema=PREDICTIONS)
    Results(folder).add(StoredRun({"seed": 1}, {"loss": 0.5}, table))


def _write_recipe(folder: Path) -> None:
    text = 'like = "fixed"\nname = "mine"\nepochs = 3\nbatch = 16\nlearning_rate = 0.01\n[input]\nside = 28\n'
    (folder / "recipe.toml").write_text(text)


def _write_table(folder: Path) -> None:
    text = resources.files("miex.sources").joinpath("tables", "micro.toml").read_bytes()
    (folder / "table.toml").write_bytes(text)


def _write_manifest(folder: Path) -> None:
    entry = f'sha256 = "{0:064x}"\nname = "x"\nfamily = "original"\nlicence = "MIT"\nscale = 1.0\norigin = "me"\n'
    (folder / "weights.toml").write_text(f"[[weights]]\n{entry}")


def _write_training(folder: Path) -> None:
    record = {"product": "recognizer.safetensors", "what": {"seed": 1, "recipe": {"name": "x"}}}
    (folder / "training.json").write_text(json.dumps(record))
    (folder / "log.csv").write_text("step,loss\n1,0.5\n")


def _write_recognizer(folder: Path) -> None:
    from miex.recognition.method import make_method
    from miex.recognition.recognizer import Recognizer

    recipe = load_recipe("fixed")
    Recognizer(make_method(recipe, 3), recipe).save(folder / "recognizer.safetensors")


def _write_checkpoint(folder: Path) -> None:
    import torch

    from miex.storage.weights import write_weights

    tensors = {"a": torch.ones(3, 4), "b": torch.zeros(2, dtype=torch.int64)}
    write_weights(folder / "checkpoint.safetensors", "checkpoint", {"what": {"seed": 1}, "step": 3}, tensors)


def _ganimation(form: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        from dataclasses import replace

        import torch
        from safetensors.torch import save_file

        from miex.generators.ganimation.checkpoints import tensors_of
        from miex.generators.ganimation.networks import ORIGINAL, GeneratorNetwork

        network = GeneratorNetwork(replace(ORIGINAL, width=4, blocks=1))
        tensors = tensors_of(network, "original")
        if form == "safetensors":
            save_file(tensors, folder / "net.safetensors")
        else:
            torch.save(tensors, folder / "net.pth", _use_new_zipfile_serialization=form == "zip")

    return write


def _write_folds(folder: Path) -> None:
    for part, numbers in (("train", range(2, 6)), ("test", range(1, 2))):
        lines = [f"Data/CASME2_cropped/sub{i:02d}/EP{i}/{frame}.jpg" for i in numbers for frame in (1, 9)]
        (folder / f"3_fold0_{part}_data.txt").write_text("\n".join(lines) + "\n")


def _write_photos(folder: Path) -> None:
    (folder / "list.txt").write_text("# photos\na.jpg\nb/c.png\n")


def _write_ffhq(folder: Path) -> None:
    entries = {str(i): {"metadata": {"license": "MIT", "author": "Jo", "photo_url": "x"}} for i in range(2)}
    (folder / "ffhq-dataset-v2.json").write_text(json.dumps(entries))


def _write_video(folder: Path) -> None:
    luck = np.random.default_rng(5)
    video = cv2.VideoWriter(str(folder / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (48, 32))
    for _ in range(4):
        video.write(luck.integers(0, 256, (32, 48, 3), np.uint8))
    video.release()


# Readers


def _read_set(folder: Path) -> None:
    try:
        verify(folder)
    except MiexError as error:
        _prove_named(error)
    plan = read_plan(folder)
    assert repr(plan)
    for rows in plan.shards():
        assert rows.schema.equals(PLAN_SCHEMA)
    try:
        for shard in range(2):
            read_shard_record(Folder(folder), shard)
        read_samples(folder)
    except MiexError as error:
        _prove_named(error)
    made = open_set(folder)
    assert repr(made)
    for sample in made:
        assert sample.frames.shape[1:] == (SIDE, SIDE, 3)
        assert repr(sample)
        assert sample.pair
    samples = gathered([read_samples(folder)])
    assert dataset_card(made, samples, statistics_of(samples)).encode()
    for form in FORMS:
        with tempfile.TemporaryDirectory() as out:
            export_as(form, made, out, seed=0, progress=silent)


def _read_sample(folder: Path) -> None:
    content = (folder / "shards/00000.tar").read_bytes()
    seen = read_stored(Folder(folder), 0, 0, len(content), zlib.crc32(content), "face0-expert-positive-0")
    assert seen.frames


def _read_aus(folder: Path) -> None:
    for track in tracks_of(read_table(folder / "aus.parquet")).values():
        assert ((track.aus >= 0) & (track.aus <= 1) | np.isnan(track.aus)).all()
        assert isinstance(track.clip, str)


def _read_a_pool(folder: Path) -> None:
    pool = read_pool(folder / "pool.parquet")
    assert repr(pool)
    assert pool.facts
    for clip in pool.clips:
        assert clip.span
        assert clip.person


def _read_clips(folder: Path) -> None:
    for clip in Plain("mine").read(folder / "clips.parquet", on_error="collect").clips:
        assert clip.onset is None or clip.onset >= 0


def _read_flow(folder: Path) -> None:
    maps = read_flow(folder / "flow.npz")
    assert maps.rows.num_rows == len(maps.labels)
    with suppress(MiexError):  # maps of another size
        assert len(maps.array(load_recipe("fixed").takes)) == len(maps.labels)
    faces_in(folder / "flow.npz")


def _read_inputs(folder: Path) -> None:
    found = stored(folder / "inputs", _rows(), (4, 4, 3), np.dtype(np.uint8), {"of": "nothing"}, _make_inputs)
    view = View((found,), tuple(Label.__members__))
    assert len(view.batch()) == len(view)
    assert len(found.marks) == len(view)


def _read_runs(folder: Path) -> None:
    for run in Results(folder).all():
        assert run.counts(3).sum() == len(run.predictions)


def _read_recipe(folder: Path) -> None:
    recipe = load_recipe(str(folder / "recipe.toml"))
    assert recipe.digest
    assert recipe.takes.shape


def _read_expert(folder: Path) -> None:
    source = ExpertSource(load_table(str(folder / "table.toml")))
    assert source.settings
    for label in Label:
        with suppress(UsageError):  # a table need not have every label
            source.sample(label, rng=np.random.default_rng(0))


def _read_manifest(folder: Path) -> None:
    from miex.generators.ganimation.manifest import known_weights

    known_weights("1" * 64, folder / "net.pth")


def _read_training(folder: Path) -> None:
    from miex.storage.training import TrainingFolder

    TrainingFolder(folder, {"seed": 1, "recipe": {"name": "x"}}, "recognizer.safetensors", ["step"], [])


def _read_recognizer(folder: Path) -> None:
    from miex.recognition.recognizer import load_recognizer

    load_recognizer(folder / "recognizer.safetensors")


def _read_checkpoint(folder: Path) -> None:
    from miex.storage.weights import read_weights

    read_weights(folder / "checkpoint.safetensors", "checkpoint")


def _read_ganimation(folder: Path) -> None:
    from miex.generators.ganimation.checkpoints import inspect, load_generator

    (file,) = folder.glob("net.*")
    if inspect(file).problems:
        load_generator(file)
        raise AssertionError("problems, and yet it loads")
    load_generator(file)


def _read_folds(folder: Path) -> None:
    clips = [clip for file in sorted(folder.glob("*_data.txt")) for clip in read_list(file)]
    published(clips, folder)


def _read_photos(folder: Path) -> None:
    assert look_through(folder / "list.txt").photos


def _read_ffhq(folder: Path) -> None:
    facts = LAYOUTS["ffhq"].facts(folder, ["00000/00000.png", "00000/00001.png"])
    assert all(isinstance(text, str) for fact in facts.values() for text in fact.values())


def _read_video(folder: Path) -> None:
    count, rate = clip_length(folder / "clip.avi")
    assert count >= 0
    assert rate is None or rate > 0
    for i, frame in enumerate(read_clip(folder / "clip.avi")):
        assert frame.dtype == np.uint8
        if i > 50:
            break


# Changes


def _bytes(name: str, *words: bytes) -> Callable[[Files, random.Random], None]:
    def change(files: Files, luck: random.Random) -> None:
        content = files[name]
        at = luck.choice([0, 0, max(0, len(content) - 300)])  # mostly where headers and footers are
        end = at + luck.choice([40, 300, len(content)])
        files[name] = content[:at] + damaged(content[at:end], luck, (*WORDS, *words)) + content[end:]

    return change


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a value: what holds it, and the key or index there."""
    found: list[tuple[Any, Any]] = []
    for key, inside in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        found += [(value, key), *_places(inside)]
    return found


def _altered(value: Any, luck: random.Random) -> Any:
    """The value with some others in it."""
    value = json.loads(json.dumps(value))
    if luck.random() < 0.05:
        return deepcopy(luck.choice(ODD))
    for _ in range(luck.randrange(1, 4)):
        places = _places(value)
        if not places:
            break
        holder, key = luck.choice(places)
        match luck.randrange(6):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[luck.choice(["", "x", "name", "rows", "label", "12", "99"])] = deepcopy(holder[key])
            case 2:
                other, there = luck.choice(places)
                holder[key] = json.loads(json.dumps(other[there]))
            case _:
                holder[key] = deepcopy(luck.choice(ODD))
    return value


def _nested(text: str, luck: random.Random) -> str:
    """The text with a value in it that is nested deeply, or a number of many digits."""
    ends = [i for i, letter in enumerate(text) if letter in ":=,["]
    at = luck.choice(ends) + 1 if ends else 0
    deep = luck.choice([900, 20_000])
    return text[:at] + luck.choice(["[" * deep, "[" * deep + "]" * deep, '{"a":' * deep, "9" * 5_000]) + text[at:]


def _json(name: str, *, sealed: bool = False) -> Callable[[Files, random.Random], None]:
    def change(files: Files, luck: random.Random) -> None:
        choice = luck.random()
        if choice < 0.2:
            _bytes(name)(files, luck)
            return
        value = _altered(json.loads(files[name]), luck)
        if sealed and isinstance(value, dict) and luck.random() < 0.9:
            value.pop("digest", None)
            try:
                value["digest"] = json_digest(value)
            except ValueError:
                value["digest"] = ""
        text = json.dumps(value)
        files[name] = (_nested(text, luck) if choice > 0.95 else text).encode()

    return change


def _toml_text(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml_text(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_text, value)) + "]"
    if isinstance(value, float):
        return "nan" if value != value else "inf" if value == float("inf") else repr(value)
    return json.dumps(value)  # null is no value of TOML: a mistake that people make


def _toml(name: str) -> Callable[[Files, random.Random], None]:
    def change(files: Files, luck: random.Random) -> None:
        choice = luck.random()
        if choice < 0.3:
            _bytes(name)(files, luck)
            return
        value = _altered(tomllib.loads(files[name].decode()), luck)
        entries = value.items() if isinstance(value, dict) else [("x", value)]
        text = "".join(f"{json.dumps(key)} = {_toml_text(one)}\n" for key, one in entries)
        files[name] = (_nested(text, luck) if choice > 0.95 else text).encode()

    return change


TYPES = (
    pa.int8(), pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.string(), pa.large_string(), pa.binary(),
    pa.bool_(), pa.null(), pa.timestamp("us"), pa.date32(), pa.list_(pa.float32()), pa.list_(pa.string()),
    pa.struct([("a", pa.int8())]), pa.decimal128(12, 2), pa.dictionary(pa.int32(), pa.string()),
)  # fmt: skip


def _value(luck: random.Random, kind: pa.DataType) -> Any:
    """A value of that type, or null."""
    tries = [luck.choice(ODD) for _ in range(12)]
    for one in (*tries, None):
        try:
            if isinstance(one, str) and luck.random() < 0.9:
                one.encode()
            return pa.scalar(one, kind).as_py()
        except (pa.ArrowException, ValueError, TypeError, OverflowError):
            continue
    return None


def _column(luck: random.Random, old: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    values = old.to_pylist()
    if kind == old.type:
        for _ in range(luck.randrange(1, 3)):
            if values:
                at, deep = luck.randrange(len(values)), luck.random()
                inner = values[at]
                while isinstance(inner, list) and inner and isinstance(inner[0], list) and deep < 0.5:
                    inner = luck.choice(inner)
                if isinstance(inner, list) and inner and not isinstance(inner[0], list) and deep < 0.7:
                    inner[luck.randrange(len(inner))] = luck.choice([None, float("nan"), -1.0, 2.0, 1e30])
                elif isinstance(values[at], list) and deep < 0.85:
                    values[at] = luck.choice([[], values[at][:1], values[at] * 2, None])
                else:
                    values[at] = _value(luck, kind)
    else:
        values = [_value(luck, kind) for _ in values]
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return pa.nulls(len(values), kind)


def _changed_table(table: pa.Table, luck: random.Random, *, types: bool = True) -> pa.Table:
    meta = dict(table.schema.metadata or {})
    meta.pop(b"miex.digest", None)  # of whoever changes a file and can make it anew
    for _ in range(luck.randrange(1, 4)):
        if not table.num_columns:
            break
        at = luck.randrange(table.num_columns)
        name = table.schema.names[at]
        match luck.randrange(10) if types else 9:
            case 0:
                table = table.remove_column(at)
            case 1:
                table = table.rename_columns([luck.choice(["", "x", "label", *table.schema.names])
                                              if i == at else n for i, n in enumerate(table.schema.names)])  # fmt: skip
            case 2:
                table = table.append_column(luck.choice(["x", name]), table[at])
            case 3 | 4:
                table = table.set_column(at, name, _column(luck, table[at], luck.choice(TYPES)))
            case 5:
                table = table.slice(0, luck.randrange(table.num_rows + 1))
            case 6:
                table = pa.concat_tables([table, table.slice(0, 1)])
            case 7:
                key = luck.choice([*meta, b"licence"])
                meta[key] = luck.choice([b"", b"\xff", b"null", b"{}", b"[" * 20_000, b'{"what": 1, "facts": []}'])
            case _:
                table = table.set_column(at, name, _column(luck, table[at], table.schema.types[at]))
    return table.replace_schema_metadata(meta)


def _parquet(name: str = "") -> Callable[[Files, random.Random], None]:
    def change(files: Files, luck: random.Random) -> None:
        file = name or next(iter(files))
        if luck.random() < 0.25:
            _bytes(file)(files, luck)
            return
        table = _changed_table(pq.ParquetFile(io.BytesIO(files[file])).read(), luck)
        content = io.BytesIO()
        pq.write_table(table, content)
        files[file] = content.getvalue()

    return change


def _resealed(files: Files, changes: dict[str, str], luck: random.Random) -> None:
    """plan.json with other digests of its tables."""
    record = json.loads(files["plan.json"])
    record.pop("digest")
    record["digests"].update(changes)
    if luck.random() < 0.9:
        record["digests"]["plan"] = json_digest({k: v for k, v in record["digests"].items() if k != "plan"})
    files["plan.json"] = json.dumps({**record, "digest": json_digest(record)}).encode()


def _plan(files: Files, luck: random.Random) -> None:
    """plan.json with other values, whose digests mostly fit."""
    part = luck.choice(["settings", "config", ""])
    if not part:
        _json("plan.json", sealed=True)(files, luck)
        return
    record = json.loads(files["plan.json"])
    record[part] = _altered(record[part], luck)
    files["plan.json"] = json.dumps(record).encode()
    try:
        _resealed(files, {"settings": json_digest(record["settings"])}, luck)
    except ValueError:  # of what has no digest
        return


def _described(files: Files, luck: random.Random) -> None:
    """A sample with another description, or other frames, whose checksum and digests fit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _put(files, folder)
        place, record = Folder(folder), read_shard_record(Folder(folder), 0)
        assert record
        samples = []
        for made in record.samples:
            stored = read_stored(place, 0, made["offset"], made["bytes"], made["crc32"], made["sample_id"])
            measures = {key: made[key] for key in made.keys() - {"sample_id", "offset", "bytes", "crc32"}}
            frames, description, suffix = stored.frames, stored.description, ".png"
            match luck.randrange(8):
                case 0:
                    frames = luck.choice([frames[:1], (*frames, frames[0]), frames[::-1], (frames[0], b"")])
                case 1:
                    side, kind = luck.choice([SIDE, SIDE // 2, 2 * SIDE]), luck.choice(("png", "webp", "jpeg"))
                    frames = (encode_frame(np.zeros((side, side, 3), np.uint8), kind), *frames[1:])
                case 2:
                    suffix = luck.choice([".webp", ".jpg", ".gif", ""])
                case _:
                    description = _altered(description, luck)
            samples.append(Sample(made["sample_id"], frames, suffix, description, measures))
        place.delete(record_name(0))
        try:
            write_shard(place, 0, record.plan, samples)
        except ValueError:  # of what no file can be written with
            return
        write_samples(place, read_plan(place))
        files.update(_files(folder))


def _proven(name: str, digest: str | None, schema: pa.Schema) -> Callable[[Files, random.Random], None]:
    def change(files: Files, luck: random.Random) -> None:
        choice = luck.random()
        if choice < 0.15:
            _bytes(name)(files, luck)
            return
        table = pq.ParquetFile(io.BytesIO(files[name])).read()
        content, rows = io.BytesIO(), luck.choice([SHARD, SHARD, SHARD, 1, 256])
        if digest == "faces":
            rows = 256
        if choice < 0.6:
            table = _changed_table(table.replace_schema_metadata(None).cast(schema), luck, types=False)
            left_out = {"path"} if digest == "faces" else ()
            blocks = [table.slice(i, rows) for i in range(0, max(1, table.num_rows), rows)]
            told = json.loads(pq.read_metadata(io.BytesIO(files[name])).metadata[b"miex.blocks"])["told"]
            root = write_blocks(content, blocks, schema, block_rows=rows, left_out=left_out, told=lambda: told)
            if digest:
                _resealed(files, {digest: root}, luck)
        else:
            facts = {"rows": SHARD, "group": 8192, "digests": ["0" * 64] * luck.choice([0, 1, 2, 3]), "told": {}}
            if luck.random() < 0.5:
                meta = {"miex.blocks": json.dumps(_altered(facts, luck))}
            else:
                meta = {"miex.blocks": json.dumps(facts)}
            if luck.random() < 0.5:
                table = _changed_table(table, luck)
            pq.write_table(table.replace_schema_metadata(meta), content)
            if digest:
                _resealed(files, {digest: root_of(facts["digests"])}, luck)  # type: ignore[arg-type]
        files[name] = content.getvalue()

    return change


def _npy_header(luck: random.Random, data: bytes) -> bytes:
    dtype = luck.choice(["'|u1'", "'<i8'", "'<f8'", "'<U4'", "'|O'", "'<U999999999'", "'<c16'", "'<M8[s]'",
                         "[('a','<i4')]", "'|V8'", "'|S3'", "'>i8'", "'|b1'", "'|u1', 'x': 1", "'<f2'",
                         "'|U0'", "None"])  # fmt: skip
    shape = luck.choice([f"({N}, 28, 28, 3)", f"({N},)", "()", "(0,)", "(-1,)", "(1000000000000,)", f"({N}, 28, 28)",
                         "(2, 14, 84, 3)", "(True,)", "('a',)", f"({N}, 1)", "(99999999999999999999999,)"])  # fmt: skip
    order = luck.choice(["False", "False", "True", "None"])
    text = f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}"
    header = text.ljust(118).encode() + b"\n"
    return (
        b"\x93NUMPY"
        + luck.choice([b"\1\0", b"\1\0", b"\2\0", b"\x09\0"])
        + struct.pack("<H", len(header))
        + header
        + data
    )


def _npz(name: str) -> Callable[[Files, random.Random], None]:
    def change(files: Files, luck: random.Random) -> None:
        choice = luck.random()
        if choice < 0.35:
            _bytes(name, b"PK\1\2", b"PK\5\6")(files, luck)
            return
        with zipfile.ZipFile(io.BytesIO(files[name])) as archive:
            parts = {one: archive.read(one) for one in archive.namelist()}
        chosen = luck.choice([*parts, "flow.npy", "label.npy"])
        data = parts[chosen][128:]
        match luck.randrange(8):
            case 0:
                parts[chosen] = damaged(parts[chosen][:140], luck, WORDS) + parts[chosen][140:]
            case 6 | 7:  # texts of code points that are no characters
                points = np.full((N, 2), luck.choice([0xD800, 0xDFFF, 0x110000, 2**32 - 1, 0, 0x10FFFF]), "<u4")
                points[luck.randrange(N), 0] = luck.choice([0, 65])
                made = io.BytesIO()
                np.save(made, np.frombuffer(points.tobytes(), luck.choice(["<U2", ">U2"])))
                parts[luck.choice(["subject", "corpus", "sample_id", "clip", "photo", "face"]) + ".npy"] = (
                    made.getvalue()
                )
            case 1:
                del parts[chosen]
            case 2:
                parts[luck.choice(["x", "../x.npy", "flow", "clip.npy", "dataset.npy", "label_names.npy"])] = parts[
                    chosen
                ]
            case _:
                parts[chosen] = _npy_header(luck, data if luck.random() < 0.7 else luck.randbytes(luck.randrange(64)))
        content = io.BytesIO()
        with zipfile.ZipFile(
            content, "w", luck.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_LZMA])
        ) as new:
            for part, inside in parts.items():
                new.writestr(part, inside)
        files[name] = content.getvalue()

    return change


def _array(files: Files, luck: random.Random) -> None:
    """An array of an input cache, its record, or its rows."""
    names = list(files)
    name = luck.choice(names)
    if name.endswith(".json"):
        _json(name)(files, luck)
    elif name.endswith(".parquet"):
        _parquet(name)(files, luck)
    elif luck.random() < 0.5:
        _bytes(name)(files, luck)
    else:
        files[name] = _npy_header(luck, files[name][128:])


def _safetensors(name: str) -> Callable[[Files, random.Random], None]:
    def change(files: Files, luck: random.Random) -> None:
        choice = luck.random()
        content = files[name]
        (size,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + size])
        data = content[8 + size :]
        if choice < 0.25:
            _bytes(name)(files, luck)
            return
        if choice < 0.55:
            header = _altered(header, luck)
        elif "__metadata__" in header:
            facts = json.loads(header["__metadata__"]["header"])
            facts = _altered(facts, luck)
            if isinstance(facts, dict):
                facts.pop("header_digest", None)
                try:
                    facts["header_digest"] = json_digest(facts)
                except ValueError:
                    facts["header_digest"] = ""
            text = json.dumps(facts)
            header["__metadata__"]["header"] = _nested(text, luck) if choice > 0.97 else text
        else:
            one = luck.choice([key for key in header if key != "__metadata__"])
            header[one][luck.choice(["dtype", "shape", "data_offsets"])] = luck.choice(
                [[2**40, 2], [0, 0], [-1], "F64", "F8_E4M3", "I64", "BOOL", [0, 10**12], [], [1] * 70]
            )
        text = json.dumps(header)
        if choice > 0.98:
            text = _nested(text, luck)
        encoded = text.encode()
        claimed = len(encoded) if luck.random() < 0.9 else luck.choice([0, 2**31, 2**63, 2**64 - 1])
        files[name] = struct.pack("<Q", claimed) + encoded + data

    return change


def _pickle(name: str) -> Callable[[Files, random.Random], None]:
    def change(files: Files, luck: random.Random) -> None:
        content = files[name]
        if content[:2] == b"PK" and luck.random() < 0.7:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                parts = {one: archive.read(one) for one in archive.namelist()}
            chosen = luck.choice([next(one for one in parts if one.endswith("data.pkl")), *parts])
            parts[chosen] = damaged(
                parts[chosen], luck, (*WORDS, b"ctorch\nload\n", b"FloatStorage", b"K\xff", b"}", b"(", b"R")
            )
            made = io.BytesIO()
            with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as new:
                for part, inside in parts.items():
                    new.writestr(part, inside)
            files[name] = made.getvalue()
        else:
            head = luck.choice([300, 6_000, len(content)])
            files[name] = damaged(content[:head], luck, WORDS) + content[head:]

    return change


def _tar(files: Files, luck: random.Random) -> None:
    """A tar: bytes, or a header with another kind and size and the right checksum."""
    name = "shards/00000.tar"
    content = bytearray(files[name])
    if luck.random() < 0.4:
        at = luck.choice([i for i in range(0, len(content), 512) if content[i + 257 : i + 262] == b"ustar"])
        content[at + 156 : at + 157] = luck.choice([b"S", b"x", b"g", b"L", b"K", b"2", b"5", b"1", b"\0", b"7", b"0"])
        size = luck.choice(
            [b"00000000001\0", b"77777777777\0", b"\x80" + b"\0" * 3 + b"\1" * 8, b"-0000000001\0", None]
        )
        if size:
            content[at + 124 : at + 136] = size
        content[at + 148 : at + 156] = b" " * 8
        content[at + 148 : at + 156] = b"%06o\0 " % sum(content[at : at + 512])
        files[name] = bytes(content)
    else:
        files[name] = bytes(content[:512]) if luck.random() < 0.02 else damaged(bytes(content), luck, WORDS)


def _text(files: Files, luck: random.Random) -> None:
    name = luck.choice([*files])
    words = [b"\xef\xbb\xbf", b"../a.jpg", b"/a.jpg", b"\r\n", b"\0", b"Data/SMIC_cropped/s1/s1_ne_01/1.jpg",
             b"Data/MMEW/x/S01/1", b"Data/x/", b"//", b"\\", b"sub01", b"\xed\xa0\x80"]  # fmt: skip
    if luck.random() < 0.05:
        files[name] = files[name].decode().encode(luck.choice(["utf-16", "utf-8-sig", "utf-32"]))
    files[name] = damaged(files[name], luck, words)


_SET, _NET = _written(_write_set), "net.pth"
LIGHT = (
    Kind("plan.json", _SET, _plan, _read_set),
    Kind("plan.parquet", _SET, _proven("plan.parquet", "rows", PLAN_SCHEMA), _read_set),
    Kind("faces.parquet", _SET, _proven("faces.parquet", "faces", FACES_SCHEMA), _read_set),
    Kind("samples.parquet", _SET, _proven("samples.parquet", None, SAMPLES_SCHEMA), _read_set),
    Kind("record of a shard", _SET, _json("shards/00000.json", sealed=True), _read_set),
    Kind("tar of a shard", _SET, _tar, _read_set),
    Kind("samples of a shard", _SET, _described, _read_set),
    Kind("members of a sample", _one_sample, _tar, _read_sample),
    Kind("AU table", _written(_write_aus), _parquet("aus.parquet"), _read_aus),
    Kind("AU pool", _written(_write_pool), _parquet("pool.parquet"), _read_a_pool),
    Kind("index of clips", _written(_write_clips), _parquet("clips.parquet"), _read_clips),
    Kind("flow file", _written(_write_flow), _npz("flow.npz"), _read_flow),
    Kind("cache of inputs", _written(_write_inputs), _array, _read_inputs),
    Kind("stored run", _written(_write_runs), _parquet(), _read_runs),
    Kind("recipe", _written(_write_recipe), _toml("recipe.toml"), _read_recipe),
    Kind("expert table", _written(_write_table), _toml("table.toml"), _read_expert),
    Kind("lists of folds", _written(_write_folds), _text, _read_folds),
    Kind("list of photos", _written(_write_photos), _text, _read_photos),
    Kind("metadata of FFHQ", _written(_write_ffhq), _json("ffhq-dataset-v2.json"), _read_ffhq),
    Kind("video", _written(_write_video), _bytes("clip.avi", b"LIST", b"idx1", b"00dc", b"MJPG"), _read_video),
)
TRAINED = (  # by readers that need torch
    Kind("weights.toml", _written(_write_manifest), _toml("weights.toml"), _read_manifest),
    Kind("training.json", _written(_write_training), _json("training.json"), _read_training),
    Kind("recognizer", _written(_write_recognizer), _safetensors("recognizer.safetensors"), _read_recognizer),
    Kind("checkpoint", _written(_write_checkpoint), _safetensors("checkpoint.safetensors"), _read_checkpoint),
    Kind("GANimation, zip", _written(_ganimation("zip")), _pickle(_NET), _read_ganimation),
    Kind("GANimation, old", _written(_ganimation("old")), _pickle(_NET), _read_ganimation),
    Kind(
        "GANimation, safetensors",
        _written(_ganimation("safetensors")),
        _safetensors("net.safetensors"),
        _read_ganimation,
    ),
)
KINDS = (*LIGHT, *TRAINED)


def _prove_named(error: MiexError) -> None:
    if NAME not in str(error):
        raise AssertionError(f"no file named: {error}")


def _put(files: Files, folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def make(seed: int, kinds: tuple[Kind, ...] = KINDS) -> tuple[str, Files]:
    """The kind of a seed's input, and those of its files that are not whole."""
    luck = random.Random(seed)
    kind = luck.choice([one for one in kinds for _ in range(1 if one.read is _read_set else OFTEN)])
    files = dict(kind.whole())
    if luck.random() > 0.01:
        kind.change(files, luck)
    return kind.name, {name: content for name, content in files.items() if kind.whole().get(name) != content}


def taken(what: str, files: Files) -> str:
    """How an input of that kind was taken: read, refused, or what went wrong."""
    (kind,) = (one for one in KINDS if one.name == what)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / NAME
        _put({**kind.whole(), **files}, folder)
        try:
            kind.read(folder)
        except MiexError as error:
            return "refused" if NAME in str(error) else f"no file named: {error}"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            trace, where = error.__traceback__, ""
            while trace is not None:
                code = trace.tb_frame.f_code
                if "/miex/" in code.co_filename or "fuzz_files" in code.co_filename:
                    where = f"{Path(code.co_filename).name}:{trace.tb_lineno}"
                trace = trace.tb_next
            return f"{type(error).__name__}: {str(error)[:200]} ({where})"
    return "read"


def judge(seed: int, kinds: tuple[Kind, ...] = KINDS) -> tuple[str, str]:
    """What the input of a seed is, and how it was taken."""
    what, files = make(seed, kinds)
    return what, taken(what, files)


def _prepare() -> None:
    for kind in KINDS:
        kind.whole()  # what is written and imported for it takes no time of an input


if __name__ == "__main__":
    fuzz(
        "tools.fuzz_files", judge, inputs=20_000, batch=BATCH, memory=MOST_MEMORY, seconds=MOST_SECONDS,
        prepare=_prepare,
    )  # fmt: skip
