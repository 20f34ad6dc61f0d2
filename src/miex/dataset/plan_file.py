"""A plan, its digest, and its files: written and read shard by shard, so that it may be larger than memory."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import metadata
from itertools import chain
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from miex import __version__
from miex.dataset.proven import ProvenFile, root_of, write_blocks
from miex.dataset.schema import AU_COLUMNS, FACES_SCHEMA, PLAN_SCHEMA
from miex.errors import InputError
from miex.labels import Label
from miex.stable import MOST_BYTES, json_digest, object_of, prove_sealed, table_digest
from miex.storage import Place, storage_at
from miex.storage.base import Storage

FORMAT = 5  # of the folder: grows when readers and files of two versions would not understand each other
PLAN_FILE, FACES_FILE, CONFIG_FILE = "plan.parquet", "faces.parquet", "plan.json"
ID = re.compile(r"[A-Za-z0-9_-]+")
_NOT_CONTENT = frozenset({"path"})  # every other column of the faces is seen in the samples
_FACES_PER_BLOCK = 256  # of a block, and of what is read at once: landmarks make them large


@dataclass(frozen=True)
class Plan:
    """A whole plan.

    Attributes:
        shards: gives the rows of every shard in their order, tables of PLAN_SCHEMA; each has `settings["shard_size"]`
            rows but the last. Every call begins anew, and gives the same.
        n_rows: of all shards.
        face_blocks: gives the rows of all identities, in the order of their samples, tables of FACES_SCHEMA; in
            blocks as the digest wants them.
        n_faces: of all identities.
        settings: what changes pixels or labels beside the two tables (size, format, generator, shard size), as JSON.
        config: the options that the plan was made with, as JSON; not in the digest, only for people and messages.
        faces_root: folder that the photos' paths are relative to, where the plan was made.
        known: its digests, if they are known already.
        place: its storage, once it is written.
    """

    shards: Callable[[], Iterator[pa.Table]]
    n_rows: int
    face_blocks: Callable[[], Iterator[pa.Table]]
    n_faces: int
    settings: Mapping[str, Any]
    config: Mapping[str, Any]
    faces_root: str
    known: Mapping[str, str] | None = None
    place: Storage | None = None

    def __repr__(self) -> str:
        generator = self.settings["generator"]
        parts = [
            f"{self.n_rows:,} samples planned",
            f"{self.n_faces:,} identities",
            f"{generator['name']} {generator['version']}",
            *([f"plan {self.known['plan'][:4]}…"] if self.known else []),
        ]
        return " · ".join(parts)

    @property
    def shard_size(self) -> int:
        """Rows of a shard."""
        return int(self.settings["shard_size"])

    @property
    def n_shards(self) -> int:
        """How many shards it has."""
        return -(-self.n_rows // self.shard_size)

    @property
    def rows(self) -> pa.Table:
        """All rows in one table: for plans that fit into memory."""
        return pa.concat_tables([PLAN_SCHEMA.empty_table(), *self.shards()])

    @property
    def faces(self) -> pa.Table:
        """All identities in one table of FACES_SCHEMA: for plans that fit into memory."""
        return pa.concat_tables([FACES_SCHEMA.empty_table(), *self.face_blocks()])

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """See `digests_of`; goes through all rows, unless they are known."""
        return self.known or digests_of(self, root_of(table_digest(rows) for rows in self.shards()))


def digests_of(plan: Plan, rows: str) -> dict[str, str]:
    """sha256 of rows (the digest of the digests of its shards), faces and settings, and of all three under "plan"."""
    blocks = (table_digest(block, _NOT_CONTENT) for block in plan.face_blocks())
    parts = {
        "rows": rows,
        "faces": root_of(blocks),
        "settings": json_digest(plan.settings),
    }
    return {"plan": json_digest(parts), **parts}


def face_blocks(faces: pa.Table) -> Iterator[pa.Table]:
    """The rows of all identities, as a plan gives them."""
    return (faces.slice(first, _FACES_PER_BLOCK) for first in range(0, faces.num_rows, _FACES_PER_BLOCK))


def versions() -> dict[str, str]:
    """What made a set, recorded beside its digest: pixels are promised only for the same versions."""
    packages = (
        "numpy",
        "scipy",
        "pyarrow",
        "opencv-contrib-python-headless",
        "mediapipe",
        "pillow",
        "isal",
        "numba",
    )
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "miex": __version__,
        **{name: metadata.version(name) for name in packages},
    }


def write_plan(
    plan: Plan,
    out: Place,
    *,
    check: Callable[[dict[str, str]], None] = lambda digests: None,
    made_with: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Write plan.parquet, faces.parquet and, last, plan.json; a folder without plan.json holds no plan.

    The rows are drawn once, and go shard by shard into the file.

    Args:
        plan: to write.
        out: where to.
        check: called with the digests, before anything is replaced: what it raises leaves all as it was.
        made_with: versions to record, by default those installed.

    Returns:
        The plan's digests.

    Raises:
        InputError: the photos' folder has a name that cannot be told.
        OutputError: it cannot be written.
    """
    from miex.dataset.records import is_folder  # as in `read_record`

    out, n_frames = storage_at(out), 0
    if not is_folder(plan.faces_root):
        raise InputError(
            f"folder of photos {plan.faces_root!r}", expected="an absolute path that can be shown as text",
            do="rename the folder: its name holds what commands a terminal, or no characters of UTF-8",
        )  # fmt: skip

    def counted() -> Iterator[pa.Table]:
        nonlocal n_frames
        for rows in plan.shards():
            n_frames += pc.sum(pc.list_value_length(rows["aus"])).as_py() or 0
            yield rows

    with out.writing(PLAN_FILE) as draft:
        rows = write_blocks(
            draft, counted(), PLAN_SCHEMA, block_rows=plan.shard_size, told=lambda: {"frames": n_frames}
        )
        digests = digests_of(plan, rows)
        check(digests)

    paths: list[str] = []

    def noted() -> Iterator[pa.Table]:
        for faces in plan.face_blocks():
            paths.append(table_digest(faces.select(sorted(_NOT_CONTENT))))
            yield faces

    with out.writing(FACES_FILE) as draft:
        size = _FACES_PER_BLOCK
        write_blocks(
            draft, noted(), FACES_SCHEMA, block_rows=size, group_rows=size, left_out=_NOT_CONTENT,
            told=lambda: {"paths": root_of(paths)},
        )  # fmt: skip
    record = {
        "format": FORMAT,
        "digests": digests,
        "rows": plan.n_rows,
        "frames": n_frames,
        "settings": plan.settings,
        "config": plan.config,
        "faces_root": plan.faces_root,
        "versions": made_with or versions(),
    }
    text = json.dumps({**record, "digest": json_digest(record)}, indent=2, ensure_ascii=False)
    out.write(CONFIG_FILE, f"{text}\n".encode())
    return digests


def has_plan(out: Storage) -> bool:
    """Whether a plan lies there."""
    return out.size(CONFIG_FILE) is not None


def read_record(out: Place) -> dict[str, Any]:
    """plan.json of a set, proven by its own digest.

    Raises:
        InputError: there is none, or it is not a plan of this format, or damaged.
    """
    from miex.dataset.records import prove_plan_record  # loads pydantic, which `import miex.dataset` need not

    out = storage_at(out)
    asked, do = f"plan {out.address}", "make one with miex plan, or give the folder of one"
    try:
        record = object_of(out.read(CONFIG_FILE, MOST_BYTES))
    except FileNotFoundError:
        raise InputError(asked, expected=f"a folder with {CONFIG_FILE}", found="none", do=do) from None
    except ValueError as error:
        raise _damaged(out, str(error)) from error
    if isinstance(record.get("format"), int) and record["format"] != FORMAT:
        found = f"format {record['format']}"
        raise InputError(asked, expected=f"format {FORMAT}", found=found, do="use the version of miex that made it")
    try:
        prove_sealed(record)
        prove_plan_record(record)
        _prove_digests(record["digests"], record["settings"])
    except ValueError as error:
        raise _damaged(out, str(error)) from error
    return record


def _prove_digests(digests: Mapping[str, str], settings: Mapping[str, Any]) -> None:
    """Raises ValueError if the settings are not those of the digests, or these not those of the plan."""
    found = {**{name: digests[name] for name in ("rows", "faces")}, "settings": json_digest(settings)}
    if found["settings"] != digests["settings"]:
        raise ValueError("settings that do not match their digest")
    if json_digest(found) != digests["plan"]:
        raise ValueError("a digest of the plan that is not that of rows, faces and settings")


def _damaged(out: Storage, found: str) -> InputError:
    return InputError(
        f"plan {out.address}", expected=f"a whole {CONFIG_FILE}", found=found,
        do="run miex plan with the options of the first run to write it again; existing shards are kept",
    )  # fmt: skip


def _changed(out: Storage, name: str) -> InputError:
    return InputError(
        f"plan {out.address}", expected=f"a {name} that matches its digest in {CONFIG_FILE}", found="a changed one",
        do="run miex plan with the options of the first run to write it again",
    )  # fmt: skip


def read_plan(out: Place) -> Plan:
    """The plan of a set. Its rows and faces are read, and proven by their digests, when they are asked for.

    Raises:
        InputError: there is no plan, or its tables do not match their digests.
    """
    out = storage_at(out)
    record = read_record(out)
    faces, rows = PlanFaces(out, record), PlanRows(out, record)
    return Plan(
        rows.shards, rows.n_rows, faces.blocks, faces.n_rows, record["settings"], record["config"],
        record["faces_root"], record["digests"], out,
    )  # fmt: skip


class PlanRows:
    """The rows of a set's plan, shard by shard, without its faces.

    Args:
        out: the set.
        record: its plan.json.

    Attributes:
        n_rows: of all shards.
        part_rows: of each part but the last; a part is what is read at once, several shards.

    Raises:
        InputError: plan.parquet is damaged, or another one.
    """

    def __init__(self, out: Storage, record: Mapping[str, Any]) -> None:
        self._out = out
        self._file = _open(out, PLAN_FILE, PLAN_SCHEMA, record["digests"]["rows"])
        self.n_rows, self.part_rows = self._file.n_rows, self._file.group_rows
        if self._file.block_rows != record["settings"]["shard_size"]:
            raise _changed(out, PLAN_FILE)
        for name, found in (("rows", self.n_rows), ("frames", self._file.told.get("frames"))):
            if record[name] != found:
                raise _damaged(out, f"{name}: {record[name]}, and {PLAN_FILE} has {found}")

    def shards(self) -> Iterator[pa.Table]:
        """The rows of every shard, in their order."""
        return (self._checked(rows) for rows in self._file.blocks())

    def shard(self, number: int) -> pa.Table:
        """The rows of one shard, without reading much more of the plan."""
        return self._checked(self._file.block(number))

    def part(self, number: int) -> pa.Table:
        """The rows of one part."""
        return self._checked(self._file.group(number))

    def _checked(self, rows: pa.Table) -> pa.Table:
        _check_names(self._out, rows["sample_id"], rows["identity"])
        check_rows(rows, f"{PLAN_FILE} of {self._out.address}")
        return rows


class PlanFaces:
    """The identities of a set's plan, some at a time.

    Args:
        out: the set.
        record: its plan.json.

    Attributes:
        n_rows: of all blocks.

    Raises:
        InputError: faces.parquet is damaged, or another one.
    """

    def __init__(self, out: Storage, record: Mapping[str, Any]) -> None:
        self._out, self._digest = out, record["digests"]["faces"]
        self._file = self._lying_there()
        self.n_rows = self._file.n_rows

    def blocks(self) -> Iterator[pa.Table]:
        """All of them, block by block. That none is there twice is proven of each block."""
        for faces in self._file.blocks():
            _check_faces(self._out, faces)
            yield faces

    def of(self, identities: Collection[str]) -> pa.Table:
        """The rows that these identities have, without reading much of the rest; with the paths of now, though what was
        read last is kept: the same plan is written again when photos have moved.

        Raises:
            InputError: faces.parquet is damaged, another one, or has none of an identity.
        """
        now = self._lying_there()
        if now.told != self._file.told:
            self._file = now
        found = self._file.select("identity", identities)
        _check_faces(self._out, found)
        return found

    def _lying_there(self) -> ProvenFile:
        return _open(self._out, FACES_FILE, FACES_SCHEMA, self._digest, _NOT_CONTENT)


def read_faces(out: Storage, identities: Collection[str]) -> pa.Table:
    """The rows of faces.parquet that these identities have; errors are those of `PlanFaces`."""
    return PlanFaces(out, read_record(out)).of(identities)


def read_identities(out: Storage) -> pa.Table:
    """All of faces.parquet but the landmarks, which are nearly all of it.

    Raises:
        InputError: faces.parquet is damaged, or another one.
    """
    blocks = chain([FACES_SCHEMA.empty_table()], PlanFaces(out, read_record(out)).blocks())
    found = pa.concat_tables([faces.drop_columns("landmarks") for faces in blocks])
    _prove_each_once(out, found)
    return found


def _open(
    out: Storage, name: str, schema: pa.Schema, digest: str, left_out: frozenset[str] = frozenset()
) -> ProvenFile:
    file = ProvenFile(partial(out.open, name), schema, f"{name} of {out.address}", left_out=left_out)
    if file.root != digest:
        raise _changed(out, name)
    return file


_ALWAYS = ("sample_id", "round", "identity", "photo", "source", "label", "emotion", "apex", "seed")


def check_rows(rows: pa.Table, where: str) -> None:
    """Raises InputError for rows that are no samples, whoever wrote them: their digests are only those of the file."""
    odd = next((name for name in (*_ALWAYS, *AU_COLUMNS) if rows[name].null_count), None)
    found = f"none in column {odd}" if odd else ""
    if not found:
        lengths = [np.asarray(pc.list_value_length(rows[name])) for name in AU_COLUMNS]
        labels, apexes = np.asarray(rows["label"]), np.asarray(rows["apex"])
        if len(rows) and not np.isin(labels, list(Label)).all():
            found = f"label {labels[~np.isin(labels, list(Label))][0]}"
        elif any((length != lengths[0]).any() for length in lengths[1:]):
            found = "AUs of another number of frames on one side"
        elif ((apexes < 0) | (apexes >= lengths[0])).any():
            found = "an apex that is none of the frames"
        elif not all(map(_intensities, (rows[name] for name in AU_COLUMNS))):
            found = "AUs that are no intensities"
        elif not set(pc.unique(pc.list_flatten(rows["sides"])).to_pylist()) <= {-1, 0, 1}:
            found = "AUs on no side"
    if found:
        do = "do not use it: it was not made by miex"
        raise InputError(where, expected="samples with AUs in [0, 1], label and apex", found=found, do=do)


def _intensities(column: pa.ChunkedArray) -> bool:
    for chunk in column.chunks:
        vectors = chunk.flatten()
        values = vectors.flatten()
        if vectors.null_count or values.null_count:
            return False
        array = np.asarray(values)
        if not ((array >= 0) & (array <= 1)).all():
            return False
    return True


def _check_faces(out: Storage, faces: pa.Table) -> None:
    if missing := next((name for name in ("identity", "path", "sha256", "virtual") if faces[name].null_count), None):
        raise _other_faces(out, f"none in column {missing}")
    _prove_each_once(out, faces)
    _check_names(out, faces["identity"], paths=faces["path"])


def _prove_each_once(out: Storage, faces: pa.Table) -> None:
    if len(faces) != pc.count_distinct(faces["identity"]).as_py():
        raise _other_faces(out, "an identity twice")


def _other_faces(out: Storage, found: str) -> InputError:
    do = "do not run this plan: it was not made by miex"
    return InputError(f"{FACES_FILE} of {out.address}", expected="an identity in each row", found=found, do=do)


def _check_names(out: Storage, *ids: pa.ChunkedArray, paths: pa.ChunkedArray | None = None) -> None:
    """Refuse ids and paths that lead elsewhere: ids become names in tars, paths are opened, files come from anyone."""
    odd = [text for column in ids for text in pc.unique(column).to_pylist() if not ID.fullmatch(str(text))]
    odd += [path for path in pc.unique(paths).to_pylist() if not _is_below(path)] if paths is not None else []
    if odd:
        raise InputError(
            f"plan {out.address}",
            expected="ids of letters, digits, - and _, and photos below their folder",
            found=repr(odd[0]),
            do="do not run this plan: it was not made by miex",
        )


def _is_below(path: str) -> bool:
    return not (
        "\0" in path
        or PurePosixPath(path).is_absolute()
        or PureWindowsPath(path).drive
        or ".." in PurePosixPath(path).parts
    )
