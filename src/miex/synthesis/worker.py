"""Make one shard: a pure function of the plan, the number of the shard and the photos."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tarfile import BLOCKSIZE
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from miex.dataset.frames import SUFFIX
from miex.dataset.plan_file import CONFIG_FILE, Plan, PlanFaces, PlanRows, has_plan, read_record
from miex.dataset.shard import Failure, Sample, ShardRecord, members, read_shard_record, write_shard
from miex.dataset.verify import kept_sample, sound_samples
from miex.errors import InputError, OutputError
from miex.executors.base import Executor
from miex.executors.local import keep_memory, one_thread
from miex.faces import VERSION as FACES_VERSION
from miex.storage.base import Storage

if TYPE_CHECKING:
    from miex.generators.base import Generator

State = Literal["missing", "failed", "damaged"]
_PROBED = 12  # samples, at most, that tell what the others take


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


@dataclass(frozen=True)
class Probe:
    """What a sample takes: seconds of one worker, and bytes of a tar."""

    seconds: float
    bytes: float


def begun(
    executor: Executor, plan: Plan, faces_root: Path, weights: Path | None, n_shards: int
) -> AbstractContextManager[tuple[Executor, Callable[[], Probe]]]:
    """The executor, whose processes, no more than there are shards to make, load what rendering needs while the caller
    does other work: before its first shard, each renders the first samples of the first face of a plan, which need not
    be written yet. Beside it, who says what they took."""
    (face,) = next(plan.face_blocks()).slice(0, 1).to_pylist()
    # of a plan by somebody else, in another order, it may have none there
    rows = [row for row in next(plan.shards()).slice(0, _PROBED).to_pylist() if row["identity"] == face["identity"]]
    # little is sent: a process that ends at once must not leave behind a pipe that is full, which Python waits for
    face["landmarks"] = np.asarray(face["landmarks"], np.float32)
    first = partial(_probe, faces_root, face, rows, dict(plan.settings), weights)
    return executor.begun(first, n_shards)


def _probe(
    faces_root: Path,
    face: dict[str, Any],
    rows: list[dict[str, Any]],
    settings: dict[str, Any],
    weights: Path | None,
) -> Probe:
    generator, faces = _generator(settings, weights), {face["identity"]: face}
    with one_thread():
        list(_rendered(faces_root, faces, rows, settings, generator))  # pays for what is compiled or loaded once
        start = time.perf_counter()
        made = list(_rendered(faces_root, faces, rows, settings, generator))
        seconds = (time.perf_counter() - start) / max(1, len(rows))
    # a member takes its header and a multiple of a block
    sizes = [
        sum((1 + math.ceil(len(content) / BLOCKSIZE)) * BLOCKSIZE for _, content in members(sample))
        for sample in made
        if not isinstance(sample, Failure)
    ]
    return Probe(seconds, sum(sizes) / max(1, len(sizes)))


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
    there = opened(task.out, task.plan, task.weights)
    suffix = SUFFIX[there.settings["frame_format"]]
    sound = sound_samples(task.out, task.shard, task.plan)
    rest = iter(render_shard(task, leave_out=sound.samples.keys()))
    for sample_id in there.rows.shard(task.shard)["sample_id"].to_pylist():
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


def render_shard(task: ShardTask, *, leave_out: Collection[str] = ()) -> Iterator[Sample | Failure]:
    """The samples of a shard, in the order of the plan; one that cannot be made is a Failure with its reason.

    Args:
        task: which shard of which plan.
        leave_out: ids of samples that are not rendered.

    Raises:
        InputError: the plan cannot be read; its generator is not the installed one, or has no weights at hand.
        UsageError: weights for a generator that has none; or its faces move unevenly, and the generator moves both
            sides alike.
    """
    there = opened(task.out, task.plan, task.weights)
    rows = [row for row in there.rows.shard(task.shard).to_pylist() if row["sample_id"] not in leave_out]
    faces = {face["identity"]: face for face in there.faces.of({row["identity"] for row in rows}).to_pylist()}
    return _rendered(task.faces_root, faces, rows, there.settings, there.generator)


def _rendered(
    faces_root: Path,
    faces: dict[str, dict[str, Any]],
    rows: list[dict[str, Any]],
    settings: dict[str, Any],
    generator: Generator[Any],
) -> Iterator[Sample | Failure]:
    """Samples, in the order of their rows; faces: by identity."""
    from miex.synthesis.render import render_identity  # who sends workers here renders nothing

    if any(row["asymmetry"] is not None or row["sides"] is not None for row in rows):
        generator.require_sides("nuisance asymmetry, or AUs on one side alone")
    for identity, own in groupby(rows, key=itemgetter("identity")):
        yield from render_identity(faces_root, faces[identity], list(own), settings, generator)


class Opened(NamedTuple):
    """A plan that lies somewhere, and the generator that it wants."""

    settings: dict[str, Any]
    generator: Generator[Any]
    rows: PlanRows
    faces: PlanFaces


@lru_cache(maxsize=2)
def opened(out: Storage, plan: str, weights: Path | None) -> Opened:
    """The plan that lies there; see `ShardTask`."""
    # keyed by the digest, so that a new plan in the same folder is read again
    record = read_record(out)
    if (found := record["digests"]["plan"]) != plan:
        raise OutputError(
            f"plan {out.address}", expected=f"plan {plan[:12]}…", found=f"plan {found[:12]}…",
            do="give another `out`: another process of miex has just put its plan there",
        )  # fmt: skip
    settings = record["settings"]
    prove_faces_version(out, settings)
    return Opened(settings, _generator(settings, weights), PlanRows(out, record), PlanFaces(out, record))


def prove_faces_version(out: Storage, settings: Mapping[str, Any]) -> None:
    """Raises InputError for the settings of a plan whose faces the installed miex would align otherwise."""
    if settings["faces_version"] != FACES_VERSION:
        raise InputError(
            f"plan {out.address}",
            expected=f"faces of version {FACES_VERSION}, as in the installed miex",
            found=f"version {settings['faces_version']}",
            do="install the version of miex that plan.json names, or make a new plan",
        )


def _generator(settings: dict[str, Any], weights: Path | None) -> Generator[Any]:
    from miex.generators.registry import generator_of, refuse_weights  # load kernels, which only rendering needs
    from miex.generators.weights import find_weights

    generator = generator_of(settings["generator"], find=partial(find_weights, given=weights))
    refuse_weights(generator, weights)
    return generator
