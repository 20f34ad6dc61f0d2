"""Export sets and corpora to other forms, and import flow maps of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from miex.api.examples import ONE_DATA, corpus_in, examples, faces_of, readable_samples, say_unread, selected, tables_of
from miex.api.work import PathLike, Say, Stages, Workers, executor, path, stage, unsaid
from miex.arguments import NAMES, PATH, TEXT, checking, whole
from miex.dataset.export.forms import FORMS, export_as
from miex.dataset.reader import ON_ERROR, Dataset, open_dataset
from miex.errors import InputError, UsageError, one_of

if TYPE_CHECKING:
    from miex.api.examples import Data


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        samples: number of samples.
        frames: number of frames; None for flow maps.
        skipped: ids of the samples that were left out, with `on_error` skip, because they cannot be read.
    """

    samples: int
    frames: int | None = None
    skipped: tuple[str, ...] = ()


@checking(dataset=ONE_DATA, classes=TEXT, side=whole(8))
def export(
    dataset: Data,
    out: PathLike,
    *,
    to: str = "flow",
    where: str | None = None,
    classes: str | None = None,
    flow: str = "dis",
    seed: int = 0,
    side: int = 28,
    no_apex: str = "refuse",
    on_error: str = "raise",
    landmarker: PathLike | None = None,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Exported:
    """Export a set, or the clips of a corpus, as optical flow maps; or a set as files for other programs.

    Args:
        dataset: a set, a selection of one, or its folder; with flow, also clips of a corpus or NAME=PATH of one.
        out: file to write, ending in .npz; for other forms than flow, a new or empty folder, which
            may be in a bucket; what was written there is deleted if the export cannot be completed.
        to: form of the export: flow (maps of u, v and strain from onset to apex), folder (every frame as an image
            file, and a table that can be read as a corpus), huggingface (Parquet files that `datasets.load_dataset`
            reads) or webdataset (shuffled tars, for `webdataset`). But for flow, frames are those of the set, each
            marked as synthetic, and every sample keeps its licence and attribution.
        where: query that chooses samples of a set, such as "label == 'positive' and source == 'expert'" (see
            `Dataset.where`).
        classes: with flow, name of the mapping that gives the classes, as in `miex.examples`; samples of none are not
            written.
        flow: optical flow method: dis, tvl1 or farneback.
        seed: random seed of the crops of the maps of a set, which are drawn from tight to loose (see
            `recognition.inputs.crops`); real clips are all cropped alike. For webdataset, of the order of the samples.
        side: side of the square maps, in pixels.
        no_apex: treatment of real clips, as in `miex.examples`.
        on_error: treatment of damaged samples of a set, and of clips that cannot be read, as in `miex.examples`.
        landmarker, workers, progress, say: as in `miex.synthesize`.

    Raises:
        UsageError: the form, method, mapping or file name is not one of these, or the clips of a corpus are to be
            written as image files, which they are.
        InputError: the set is not finished, or holds no sample, or samples are damaged, or clips cannot be read; with
            `on_error` skip, all of them.
        OutputError: the file cannot be written, or the folder is not empty.
    """
    one_of(to, ("flow", *FORMS), "`to`")
    if to == "flow":
        from miex.recognition.flow_file import flow_set, prove_target, write_flow_set

        prove_target(path(out))
    work, dataset = executor(workers), selected(dataset, where)
    if to != "flow":
        if not isinstance(dataset, PathLike | Dataset) or (isinstance(dataset, PathLike) and corpus_in(dataset)):
            raise UsageError(
                f"`to` {to} of {dataset}", expected="a set", found="what is none",
                do="export as flow; the frames of a corpus are image files already",
            )  # fmt: skip
        found = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
        left_out: dict[str, str] = {}
        if one_of(on_error, ON_ERROR, "`on_error`") == "skip":
            found, left_out = readable_samples(found, say, progress)
        written = export_as(to, found, out, seed=seed, progress=stage(progress, "writing samples"))
        return Exported(len(found), written, tuple(left_out))
    from miex.recognition.inputs.flow import METHODS

    method = one_of(flow, METHODS, "`flow`")
    doing = stage(progress, "computing flow")
    taken = examples(
        dataset, classes=classes, no_apex=no_apex, on_error=on_error, landmarker=landmarker, progress=progress, say=say
    )
    if not len(taken):
        raise InputError(f"flow maps of {dataset}", expected="at least one sample with a class", found="none")
    skipped = [*taken.skipped]

    def unread(found: Mapping[str, str]) -> None:
        say_unread(taken, say, found)
        skipped.extend(found)

    maps = flow_set(taken, method=method, seed=seed, side=side, executor=work, progress=doing, unread=unread)
    if faces := faces_of(dataset):
        shown = [faces.get(photo, ()) for photo in maps["photo"].tolist()]
        maps["face"] = np.asarray(["/".join(filter(None, who)) for who in shown], np.str_)
    if table := next(iter(tables_of(dataset) or ()), ""):
        maps["au_table"] = np.where(maps["source"] == "expert", table, "")
    write_flow_set(maps, path(out))
    return Exported(len(maps["label"]), skipped=tuple(skipped))


@checking(channels=TEXT | NAMES, corpus=TEXT, clips=PATH, side=whole(8))
def import_flow(
    folder: PathLike,
    out: PathLike,
    *,
    channels: str | Sequence[str],
    corpus: str = "compmie",
    clips: PathLike | None = None,
    side: int = 28,
) -> Exported:
    """Make a flow file of flow maps that others published as image files.

    A file is called <subject>_<clip>.png; the folder that it lies in is its class (0, 1, 2, or a name). Of folders
    <subject>/u_train and <subject>/u_test, as of STSTNet, those of u_test are read: they hold every map once.

    Args:
        folder: the folder of the maps.
        out: file to write, ending in .npz.
        channels: which of u, v and os (optical strain) the red, green and blue channel of the files hold, such as
            "os,v,u", which OpenCV makes of maps u, v, os. It cannot be seen in the files.
        corpus: name of the corpus, if `clips` does not say it; compmie means CASME II, SMIC and SAMM, told by subjects
            such as sub01, s01 and 006.
        clips: table with the columns subject, clip and label, for maps whose folder names no class.
        side: side of the square maps, in pixels.

    Raises:
        UsageError: the channels are not u, v and os, or the name does not end in .npz.
        InputError: there is no map, one cannot be read, is gray or of another size, or its class or corpus is unknown
            or said in two ways.
        OutputError: the file cannot be written.
    """
    from miex.recognition.flow_file import import_pictures, prove_target, write_flow_set

    prove_target(path(out))
    order = channels.split(",") if isinstance(channels, str) else channels
    maps = import_pictures(path(folder), order, corpus=corpus, table=None if clips is None else path(clips), side=side)
    write_flow_set(maps, path(out))
    return Exported(len(maps["label"]))
