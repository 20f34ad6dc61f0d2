"""Export a set to other forms."""

from __future__ import annotations

from dataclasses import dataclass

from miex.api.work import PathLike, Stages, Workers, executor, path, stage
from miex.arguments import PATH, TEXT, checking, instance_of, whole
from miex.corpora.mappings import mapping_named
from miex.dataset.reader import Dataset, open_dataset
from miex.errors import UsageError, one_of

FORMS = ("flow", "folder")


@dataclass(frozen=True)
class Exported:
    """How many samples were written, and for a folder how many frames."""

    samples: int
    frames: int | None = None


@checking(dataset=PATH | instance_of("a set", "miex.dataset.reader:Dataset"), classes=TEXT, side=whole(8))
def export(
    dataset: Dataset | PathLike,
    out: PathLike,
    *,
    to: str = "flow",
    classes: str | None = None,
    flow: str = "dis",
    seed: int = 0,
    side: int = 28,
    workers: Workers = 1,
    progress: Stages | None = None,
) -> Exported:
    """Export a set as optical flow maps or as image files.

    Args:
        dataset: a set, a selection of one, or its folder.
        out: file to write, ending in .npz; for a folder, a new or empty one.
        to: form of the export: flow (maps of u, v and strain from onset to apex) or folder (every frame as an image
            file, and a table that can be read as a corpus).
        classes: with flow, name of the mapping that gives the classes, as in `miex.examples`; samples of none are not
            written.
        flow: optical flow method: dis, tvl1 or farneback.
        seed: random seed of the crops of the maps.
        side: side of the square maps, in pixels.
        workers, progress: as in `miex.synthesize`.

    Raises:
        UsageError: the form, method, mapping or file name is not one of these.
        InputError: the set is not finished, or damaged.
        OutputError: the file cannot be written, or the folder is not empty.
    """
    one_of(to, FORMS, "`to`")
    if to == "flow" and path(out).suffix != ".npz":
        raise UsageError(f"`out` {out}", expected="a name that ends in .npz")
    mapping = None if classes is None else mapping_named(classes, "`classes`")
    work = executor(workers)
    found = dataset if isinstance(dataset, Dataset) else open_dataset(path(dataset))
    if to == "folder":
        from miex.dataset.export.folder import export_folder

        return Exported(len(found), export_folder(found, path(out), progress=stage(progress, "writing samples")))
    from miex.recognition.flow_file import flow_set, write_flow_set
    from miex.recognition.inputs.flow import METHODS

    method = one_of(flow, METHODS, "`flow`")
    doing = stage(progress, "computing flow")
    maps = flow_set(found, mapping=mapping, method=method, seed=seed, side=side, executor=work, progress=doing)
    write_flow_set(maps, path(out))
    return Exported(len(maps["label"]))
