"""Flow files: an .npz of flow maps, with the class of each and who stands behind it; and what a path holds."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from miex.dataset import Dataset
from miex.dataset import open as open_set
from miex.dataset.plan_file import CONFIG_FILE
from miex.dataset.schema import ROWS_SCHEMA
from miex.errors import InputError, UsageError
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.recognition.examples import Arrays, Examples, rows_of
from miex.recognition.inputs.base import make_input
from miex.recognition.inputs.flow import SIDE, FlowMethod
from miex.recognition.places import of_set
from miex.recognition.view import LABELS, REAL
from miex.storage.local import write_whole

_ALIASES = {"corpus": ("dataset",)}  # what the public flow files of MEGC 2019 call it


def flow_set(
    dataset: Dataset,
    *,
    method: FlowMethod = "dis",
    seed: int = 0,
    side: int = SIDE,
    executor: Executor = IN_PROCESS,
    progress: Progress = silent,
) -> dict[str, npt.NDArray[Any]]:
    """Maps of every sample, from the stored frames (never from the generator's field).

    Args:
        dataset: the set.
        method, seed, side: see `inputs.flow.FlowMaps`.
        executor: where the work is done.
        progress: called with samples done and samples in all.

    Returns:
        flow uint8 [n, side, side, 3], label int64 [n] and, str [n], what the leak guard and folds need to know:
        sample_id, source, corpus, subject, photo (empty where there is none), in the order of the set.
    """
    examples = of_set(dataset)
    made = make_input({"name": "flow", "method": method, "seed": seed, "side": side})
    maps = examples.array(made, executor=executor, progress=progress)
    texts = {name: examples.rows[name].to_pylist() for name in ROWS_SCHEMA.names if name != "label"}
    return {
        "flow": maps,
        "label": examples.labels,
        **{name: np.asarray([text or "" for text in column], np.str_) for name, column in texts.items()},
    }


def write_flow_set(maps: dict[str, npt.NDArray[Any]], out: Path) -> None:
    """Write the arrays of `flow_set` as a compressed .npz; the same arrays give the same bytes.

    Raises:
        UsageError: a name that does not end in .npz.
        OutputError: it cannot be written.
    """
    if out.suffix != ".npz":
        raise UsageError(f"flow file {out}", expected="a name that ends in .npz")
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **maps)
    write_whole(out, content.getvalue())


def read_flow(path: Path) -> Examples:
    """Examples of a flow file: an .npz with flow uint8 [n, s, s, 3] and label int [n].

    Where the file has them, str [n] sample_id (or clip), source, corpus (or dataset), subject and photo are taken
    over; rows with a subject but no source are clips of a corpus. `label_names`, str [classes], names classes other
    than negative, positive, surprise. A file that says nothing of where its maps come from keeps that unknown: source
    is null, which the leak guard refuses.

    Raises:
        InputError: no such file, no .npz, or arrays of another kind.
    """
    asked = f"flow file {path}"
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(asked, expected="an .npz file with arrays flow and label", found=str(error)) from error
    flow, label = arrays.get("flow"), arrays.get("label")
    if flow is None or label is None:
        raise InputError(asked, expected="arrays flow and label", found=", ".join(arrays) or "none")
    if flow.dtype != np.uint8 or flow.ndim != 4 or flow.shape[1] != flow.shape[2] or flow.shape[3] != 3:
        raise InputError(asked, expected="flow uint8 [n, s, s, 3]", found=f"{flow.dtype} {list(flow.shape)}")
    names = tuple(map(str, arrays["label_names"])) if "label_names" in arrays else LABELS
    if label.shape != (len(flow),) or label.dtype.kind not in "iu" or not np.isin(label, range(len(names))).all():
        raise InputError(
            asked, expected=f"label int [{len(flow)}] of classes 0 to {len(names) - 1}",
            found=f"{label.dtype} {list(label.shape)}" + (f", up to {label.max()}" if label.size else ""),
            do="name other classes in an array label_names",
        )  # fmt: skip
    texts = {name: _texts(arrays, name, len(flow), asked) for name in ROWS_SCHEMA.names if name != "label"}
    if "source" not in arrays:
        texts["source"] = [REAL if subject else None for subject in texts["subject"]]
    if "sample_id" not in arrays:
        clips = arrays["clip"].tolist() if "clip" in arrays else [str(i) for i in range(len(flow))]
        parts = zip(texts["corpus"], texts["subject"], clips, strict=True)
        texts["sample_id"] = ["/".join(filter(None, part)) for part in parts]
    return Examples(rows_of(label.tolist(), texts), Arrays(flow, "flow maps"), names)


def load_examples(where: Path) -> Examples:
    """Examples of a flow file (.npz), or of the folder of a stored set.

    Raises:
        UsageError: something else.
    """
    if where.suffix == ".npz":
        return read_flow(where)
    if not (where / CONFIG_FILE).is_file():
        raise UsageError(
            f"examples {where}", expected="a flow file .npz, or the folder of a set", found="neither",
            do="make a set with miex synthesize, or a flow file of one with miex export --to flow",
        )  # fmt: skip
    return of_set(open_set(where))


def _texts(arrays: dict[str, npt.NDArray[Any]], name: str, n: int, asked: str) -> list[str | None]:
    for key in (name, *_ALIASES.get(name, ())):
        if key in arrays:
            if arrays[key].shape != (n,) or arrays[key].dtype.kind != "U":
                raise InputError(asked, expected=f"{key} str [{n}]", found=f"{arrays[key].dtype} {arrays[key].shape}")
            return [text or None for text in arrays[key].tolist()]
    return [None] * n
