"""Render the samples of a plan while they are read, without storing them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from miex.api.synthesize import SetLike, place_of
from miex.api.work import SOURCES, PathLike, path
from miex.arguments import NONE, PATH, checking, instance_of

if TYPE_CHECKING:
    from miex.planning.rows import Draws
    from miex.sources.source import AUSource
    from miex.storage.base import Storage
    from miex.synthesis.stream import Stream

PLANNED = PATH | instance_of("a plan, or a set", "miex.dataset.reader:Dataset", "miex.dataset.plan_file:Plan")


@checking(plan=PLANNED, sources=SOURCES | NONE)
def stream(
    plan: SetLike,
    *,
    shuffle: bool = True,
    seed: int = 0,
    new_draws: bool = False,
    sources: Sequence[AUSource] | None = None,
    block: int | None = None,
    rank: int | None = None,
    world: int | None = None,
    faces: PathLike | None = None,
    weights: PathLike | None = None,
    max_failed: float = 0.01,
) -> Stream:
    """The samples of a plan, each rendered when it is asked for. Nothing is stored, and memory stays the same however
    many there are.

    They are those of the set that `run` would make, in every value: frames, AUs, label, provenance. Frames of a plan
    with `frame_format` jpeg are compressed and decoded, as a reader of the stored set sees them. Samples that cannot be
    rendered are left out, as they are there. Of a set that is stored, frames are rendered again, too.

    Args:
        plan: a plan or set, or its folder.
        shuffle: in random order, another one in each epoch. Identities come in random order, and the samples of a block
            are shuffled, so that a face is prepared once for all of its samples (see docs/streaming.md).
        seed: random seed of the order.
        new_draws: whether AUs, motion and nuisances are drawn anew in each epoch. Sample n of epoch e is that of
            the same id in the set of another seed (`miex.planning.rows.epoch_seed`); epoch 0 is the plan's.
        sources: AU sources that the plan was made with, for new draws. Default: the expert source, if the plan has no
            other and its table is one of miex.
        block: samples that are shuffled together, and held in memory at most. Default: as many as have 128 MB of
            frames.
        rank, world: which share of how many; together they give each sample once, and their sizes differ by one sample
            at most. Default: those of torch.distributed if it is initialized, else 0 of 1.
        faces: folder of the photos, if they have been moved.
        weights: file of the generator's weights. Default: it is found by its sha256, where `synthesize` looks.
        max_failed: fraction of samples that may fail in an epoch.

    Returns:
        An iterable of `SampleData`: iterating gives an epoch, and the next time the next one. Its `state_dict` and
        `load_state_dict` resume it, its `torch` and `loader` are for training with torch.

    Raises:
        UsageError: a value is out of range, the sources are not those of the plan, or a selection of a set is given,
            whose own `stream` reads it.
        InputError: there is no plan, it is damaged, or photos or generator cannot be used.
    """
    from miex.dataset.epochs import rank_and_world
    from miex.faces.photos import photos_root
    from miex.synthesis.stream import stream_of

    number, of = rank_and_world(rank, world)
    out = place_of(plan, "read the frames that are stored, by the selection's own `stream`, or give the set")
    return stream_of(
        out, faces_root=None if faces is None else photos_root(path(faces)).resolve(),
        weights=None if weights is None else path(weights).absolute(),
        draws=new_draws_of(out, sources) if new_draws else None,
        seed=seed if shuffle else None, block=block, number=number, of=of, max_failed=max_failed,
    )  # fmt: skip


def new_draws_of(out: Storage, sources: Sequence[AUSource] | None) -> Draws:
    """How the rows of the plan that lies there are drawn anew; errors are those of `stream`."""
    from miex.dataset.plan_file import read_plan
    from miex.planning.rows import draws_of

    planned = read_plan(out)
    return draws_of(planned.config, sources, planned.n_faces, f"plan {out.address}")
