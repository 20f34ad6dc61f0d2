"""Make one shard: a pure function of the plan, the number of the shard and the photos."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from miex.dataset.frames import SUFFIX
from miex.dataset.plan_file import CONFIG_FILE, Plan, PlanRows, has_plan, read_faces, read_record
from miex.dataset.shard import Failure, Sample, ShardRecord, read_shard_record, write_shard
from miex.dataset.verify import kept_sample, sound_samples
from miex.errors import InputError, OutputError
from miex.executors.base import Executor
from miex.executors.local import keep_memory, one_thread
from miex.faces import VERSION as FACES_VERSION
from miex.generators.base import Generator
from miex.generators.registry import generator_of, refuse_weights
from miex.generators.weights import find_weights
from miex.storage.base import Storage
from miex.synthesis.render import render_identity

State = Literal["missing", "failed", "damaged"]


@dataclass(frozen=True)
class ShardTask:
    """One shard, as the work of one worker.

    Attributes:
        out: where the plan lies, and the shards go.
        shard: number of the shard.
        plan: digest of the plan.
        faces_root: folder that the photos' paths are relative to.
        state: of the shard: missing, there with failed rows, or damaged. What is good of the last two is kept as it is,
            and the rest is rendered.
        weights: file of the generator's weights; None: it is found by its sha256, or there is none.
    """

    out: Storage
    shard: int
    plan: str
    faces_root: Path
    state: State = "missing"
    weights: Path | None = None

    def __str__(self) -> str:
        return f"shard {self.shard} of {self.out.address}"


@dataclass(frozen=True)
class ShardResult:
    """What a worker says: how many samples were made, how many failed, how many bytes; and whether this worker put
    them there, or found that another one had."""

    shard: int
    made: int
    failed: int
    bytes: int
    own: bool


def begun(executor: Executor, plan: Plan, faces_root: Path, weights: Path | None) -> AbstractContextManager[Executor]:
    """The executor, whose processes load what rendering needs while the caller does other work: before its first shard,
    each renders the first sample of a plan, which need not be written yet."""
    row, face = (next(blocks).slice(0, 1).to_pylist()[0] for blocks in (plan.shards(), plan.face_blocks()))
    return executor.begun(partial(_render_first, faces_root, face, row, dict(plan.settings), weights), plan.n_shards)


def _render_first(
    faces_root: Path, face: dict[str, Any], row: dict[str, Any], settings: dict[str, Any], weights: Path | None
) -> None:
    with one_thread():
        list(render_identity(faces_root, face, [row], settings, _generator(settings, weights)))


def make_shard(task: ShardTask) -> ShardResult:
    """Render the rows of a shard, and commit it, unless another process has done so.

    Raises:
        OutputError: the shard cannot be written, or another plan lies there by now.
        InputError: the plan or the photos cannot be read here, or the plan's generator is not the installed one.
    """
    _prove_within_reach(task)
    keep_memory()
    missing = task.state == "missing"
    if missing and (there := read_shard_record(task.out, task.shard)):
        return result_of(there)
    with one_thread():
        samples = render_shard(task) if missing else _mended(task)
        record, own = write_shard(task.out, task.shard, task.plan, samples, damaged=task.state == "damaged")
    return result_of(record, own=own)


def _mended(task: ShardTask) -> Iterator[Sample | Failure]:
    """The samples of a shard that is there: those that are proven byte for byte as they are, the rest rendered."""
    settings, _, plan = opened(task.out, task.plan, task.weights)
    suffix = SUFFIX[settings["frame_format"]]
    sound = sound_samples(task.out, task.shard, task.plan)
    rest = iter(render_shard(task, leave_out=sound.samples.keys()))
    for sample_id in plan.shard(task.shard)["sample_id"].to_pylist():
        if sample_id in sound.samples:
            yield kept_sample(task.out, task.shard, sound.samples[sample_id], suffix)
            continue
        made = next(rest)
        if isinstance(made, Failure) and sample_id in sound.unread:
            raise sound.unread[sample_id]  # it may be good: a disk that answers again gives it back
        yield made


def result_of(record: ShardRecord, *, own: bool = False) -> ShardResult:
    """The summary of a record."""
    return ShardResult(record.shard, len(record.samples), len(record.failed), record.bytes, own)


def _prove_within_reach(task: ShardTask) -> None:
    """Raise InputError for a worker that sees other files than the process that sent it here: without a plan it can do
    nothing, and without the folder of the photos every sample would fail."""
    lacking = [] if has_plan(task.out) else [f"{CONFIG_FILE} of {task.out.address}"]
    lacking += [] if task.faces_root.is_dir() else [f"folder {task.faces_root}"]
    if lacking:
        raise InputError(
            f"{task}, on {platform.node() or 'this machine'}",
            expected="the plan and its photos under the same paths on every machine",
            found=f"no {lacking[0]} there",
            do="put both where all machines see them (a network disk, or a bucket for the set), or run miex there",
        )


def render_shard(
    task: ShardTask, *, most: int | None = None, leave_out: Collection[str] = ()
) -> Iterator[Sample | Failure]:
    """The samples of a shard, in the order of the plan; one that cannot be made is a Failure with its reason.

    Args:
        task: which shard of which plan.
        most: rows; the rest is left out. None: all.
        leave_out: ids of samples that are not rendered.

    Raises:
        InputError: the plan cannot be read; its generator is not the installed one, or has no weights at hand.
        UsageError: weights for a generator that has none; or its faces move unevenly, and the generator moves both
            sides alike.
    """
    settings, generator, plan = opened(task.out, task.plan, task.weights)
    table = plan.shard(task.shard).slice(0, most)
    rows = [row for row in table.to_pylist() if row["sample_id"] not in leave_out]
    faces = read_faces(task.out, list(dict.fromkeys(row["identity"] for row in rows)))
    if any(row["asymmetry"] is not None or row["sides"] is not None for row in rows):
        generator.require_sides("nuisance asymmetry, or AUs on one side alone")
    by_identity = {face["identity"]: face for face in faces.to_pylist()}
    for identity, own in groupby(rows, key=itemgetter("identity")):
        yield from render_identity(task.faces_root, by_identity[identity], list(own), settings, generator)


@lru_cache(maxsize=2)
def opened(out: Storage, plan: str, weights: Path | None) -> tuple[dict[str, Any], Generator[Any], PlanRows]:
    """Settings, generator and rows of the plan that lies there; see `ShardTask`."""
    # keyed by the digest, so that a new plan in the same folder is read again
    record = read_record(out)
    if (found := record["digests"]["plan"]) != plan:
        raise OutputError(
            f"plan {out.address}", expected=f"plan {plan[:12]}…", found=f"plan {found[:12]}…",
            do="give another `out`: another process of miex has just put its plan there",
        )  # fmt: skip
    settings = record["settings"]
    if settings["faces_version"] != FACES_VERSION:
        raise InputError(
            f"plan {out.address}",
            expected=f"faces of version {FACES_VERSION}, as in the installed miex",
            found=f"version {settings['faces_version']}",
            do="install the version of miex that plan.json names, or make a new plan",
        )
    return settings, _generator(settings, weights), PlanRows(out, record)


def _generator(settings: dict[str, Any], weights: Path | None) -> Generator[Any]:
    generator = generator_of(settings["generator"], find=partial(find_weights, given=weights))
    refuse_weights(generator, weights)
    return generator
