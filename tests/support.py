"""What several tests share."""

from __future__ import annotations

import io
import json
import random
import signal
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from typer.models import CommandInfo

from miex.aus.tracks import Track
from miex.aus.vector import AUArray
from miex.commands.main import main
from miex.dataset.plan_file import Plan, face_blocks, read_plan
from miex.dataset.proven import write_blocks
from miex.dataset.samples import SAMPLES_FILE
from miex.dataset.schema import SAMPLES_SCHEMA
from miex.dataset.shard import Sample, read_shard_record, read_stored, record_name, write_shard
from miex.executors.base import InProcess, Outcome, Result, Task
from miex.faces.index import index_photos
from miex.faces.photos import default_pool, list_photos
from miex.generators.registry import describe, make_generator
from miex.labels import Label
from miex.nuisances.columns import nuisances_of
from miex.nuisances.draw import draw
from miex.planning.config import PlanConfig
from miex.planning.rows import build_plan
from miex.sources.expert import ExpertSource, load_table
from miex.sources.pool import PoolClip
from miex.storage.local import Folder


def plan_of(
    photos: Path,
    model: Path,
    *,
    mu: float = 0.1,
    generator: str = "muscle",
    chosen: dict[str, Any] | None = None,
    **config: object,
) -> Plan:
    """The plan of a folder of photos, as `miex plan` makes it."""
    index = index_photos(photos, model=lambda: model)
    source = ExpertSource(load_table("du2014"), mu, 0.3)
    told = describe(make_generator(generator, options=chosen))
    return build_plan(PlanConfig(**config), index, [source], told, faces_root=str(photos.resolve()))


def nuisances_drawn(level: str, aus: AUArray, apex: int, seed: int) -> dict[str, Any]:
    """Nuisances of one sample, as its row of a plan has them."""
    drawn = draw(nuisances_of(level), aus, np.array([len(aus)]), np.array([apex]), [seed])
    per_frame = ("blink", "others", "head", "turn", "light")
    for name, values in drawn.items():
        if values is not None:
            found = values if isinstance(values, list) else values.tolist()
            drawn[name] = found if name in per_frame else found[0]
    return drawn


def with_tables(plan: Plan, *, rows: pa.Table | None = None, faces: pa.Table | None = None) -> Plan:
    """The plan with other tables, in memory; its digests are theirs."""
    table, size = plan.rows if rows is None else rows, plan.shard_size
    people = plan.faces if faces is None else faces
    return replace(
        plan,
        shards=lambda: (table.slice(first, size) for first in range(0, table.num_rows, size)),
        n_rows=table.num_rows,
        face_blocks=partial(face_blocks, people),
        n_faces=people.num_rows,
        known=None,
    )


def stored_samples(out: Path, shard: int) -> list[Sample]:
    """The samples of a shard as they lie there: to write them again, one of them changed."""
    record = read_shard_record(Folder(out), shard)
    assert record
    found = []
    for row in record.samples:
        stored = read_stored(Folder(out), shard, row["offset"], row["bytes"], row["crc32"], row["sample_id"])
        measures = {name: row[name] for name in row.keys() - {"sample_id", "offset", "bytes", "crc32"}}
        found.append(Sample(row["sample_id"], stored.frames, ".png", stored.description, measures))
    return found


def track(clip: str, n: int) -> Track:
    """AUs of n frames, drawn."""
    rng = np.random.default_rng(n)
    return Track(
        clip, np.arange(n, dtype=np.int32), rng.random((n, 17), np.float32), rng.random(n, np.float32), "flow", "1"
    )


def pool_of(n: int) -> tuple[PoolClip, ...]:
    """Clips of n people, drawn."""
    rng = np.random.default_rng(0)
    return tuple(
        PoolClip(
            "casme2", f"sub{i}", "EP01", "micro", "happiness", Label(i % 3), 0, 3, 6, np.arange(7, dtype=np.int32),
            rng.random((7, 17), np.float32), np.arange(17) != i, rng.random(17, np.float32), 7, "flow", "1",
        )
        for i in range(n)
    )  # fmt: skip


def write_over(out: Path, shard: int, samples: Sequence[Sample]) -> None:
    """Put other samples in the place of a shard that is there, whole, record and all."""
    Folder(out).delete(record_name(shard))
    write_shard(Folder(out), shard, read_plan(out).digests["plan"], samples)


def put_samples(out: Path, table: pa.Table) -> None:
    """Write samples.parquet with other rows, as whoever writes it would: all digests of the file fit."""
    plan = read_plan(out)
    told, size = {"plan": plan.digests["plan"]}, plan.shard_size
    blocks = [table.slice(first, size) for first in range(0, table.num_rows, size)]
    with Folder(out).writing(SAMPLES_FILE) as draft:
        write_blocks(draft, blocks, SAMPLES_SCHEMA, block_rows=size, told=lambda: told)


def flip_bit(path: Path, at: int, bit: int = 0) -> None:
    """Damage a file in one place; twice is not at all."""
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


def photo_folder(folder: Path, n: int) -> Path:
    """n photos 0.png, 1.png …: the default face in different light, so that each has other bytes."""
    folder.mkdir(parents=True)
    pool = default_pool()
    with Image.open(pool / list_photos(pool)[0]) as image:
        photo = np.asarray(image.convert("RGB"), np.float64)
    for i in range(n):
        Image.fromarray((photo * (1 - 0.02 * i)).astype(np.uint8)).save(folder / f"{i}.png")
    return folder


def png(width: int, height: int, depth: int, color: int, rows: bytes) -> bytes:
    """A PNG by the specification: what it claims in its header need not be what it holds."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Shuffled(InProcess):
    """One task after the other, in another order than they were given."""

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Outcome[Task, Result]]:
        assert len(tasks) > 1
        return super().run(function, random.Random(1).sample(list(tasks), len(tasks)))


@dataclass(frozen=True)
class Done:
    """What a command said, and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: object) -> Done:
    """What `miex …` does, in this process: another one would first load for seconds what is loaded here.

    So would its workers: it has one unless `--workers` says otherwise.
    """
    streams = {name: io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for name in ("stdout", "stderr")}
    handlers = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    code: object = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["miex", *map(str, arguments)])
        patch.setattr("miex.executors.local.available_workers", lambda: 1)
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        try:
            main()
        except SystemExit as end:
            code = end.code
        finally:
            for kind, handler in handlers.items():
                signal.signal(kind, handler)
    assert code is None or isinstance(code, int)
    for stream in streams.values():
        stream.seek(0)
    return Done(code or 0, streams["stdout"].read(), streams["stderr"].read())


def command_name(info: CommandInfo) -> str:
    """What users type of a command: its name, or that of its function."""
    assert info.callback
    return info.name or info.callback.__name__.replace("_", "-")


def facts(*arguments: object) -> dict[str, Any]:
    """What a command prints as JSON."""
    done = command(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
