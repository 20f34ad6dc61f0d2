"""Flow files: flow maps in an .npz, with the class and origin of each; and what a path holds, flow file or set."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from miex.corpora.mappings import ClassMapping
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

_ALIASES = {"corpus": ("dataset",)}  # its name in the published flow files of MEGC 2019


def flow_set(
    dataset: Dataset,
    *,
    mapping: ClassMapping | None = None,
    method: FlowMethod = "dis",
    seed: int = 0,
    side: int = SIDE,
    executor: Executor = IN_PROCESS,
    progress: Progress = silent,
) -> dict[str, npt.NDArray[Any]]:
    """Compute the flow maps of a set, from its stored frames (not from the displacement fields of the generator).

    Args:
        dataset: the set.
        mapping: its classes, as in `places.of_set`.
        method, seed, side: see `inputs.flow.FlowMaps`.
        executor: runs the work.
        progress: called with the number of samples done, and of all samples.

    Returns:
        Arrays by name, in the order of the set: flow uint8 [n, side, side, 3], label int64 [n], and for the leak guard
        and folds, str [n] each: sample_id, source, corpus, subject, photo (empty where there is none). If the classes
        are not negative, positive and surprise, label_names, str [classes], names them.

    Raises:
        InputError: a frame cannot be read.
    """
    examples = of_set(dataset, mapping)
    made = make_input({"name": "flow", "method": method, "seed": seed, "side": side})
    maps = examples.array(made, executor=executor, progress=progress)
    texts = {name: examples.rows[name].to_pylist() for name in ROWS_SCHEMA.names if name != "label"}
    names = {} if examples.label_names == LABELS else {"label_names": np.asarray(examples.label_names, np.str_)}
    return {
        "flow": maps,
        "label": examples.labels,
        **names,
        **{name: np.asarray([text or "" for text in column], np.str_) for name, column in texts.items()},
    }


def write_flow_set(maps: dict[str, npt.NDArray[Any]], out: Path) -> None:
    """Write the arrays of `flow_set` as a compressed .npz. The same arrays give the same bytes.

    Raises:
        UsageError: the name does not end in .npz.
        OutputError: the file cannot be written.
    """
    if out.suffix != ".npz":
        raise UsageError(f"flow file {out}", expected="a name that ends in .npz")
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **maps)
    write_whole(out, content.getvalue())


def read_flow(path: Path) -> Examples:
    """Read the examples of a flow file: an .npz with arrays flow, uint8 [n, s, s, 3], and label, int [n]
    or names of classes, str [n].

    These arrays, str [n] each, may be missing: sample_id (or clip), source, corpus (or dataset), subject, photo. If
    source is missing, rows with a subject are taken as clips of a corpus, and rows without one as of unknown source,
    which the leak guard refuses. An array label_names, str [classes], names the classes if they are not negative,
    positive and surprise.

    Raises:
        InputError: there is no such file, it is not an .npz, or an array has another shape or type.
    """
    asked = f"flow file {path}"
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(
            asked, expected="an .npz with arrays flow and label", found=str(error),
            do="check the path, and that the file is complete",
        ) from error  # fmt: skip
    flow, label = arrays.get("flow"), arrays.get("label")
    if flow is None or label is None:
        raise InputError(
            asked, expected="arrays flow and label", found=", ".join(arrays) or "no arrays",
            do="rename the arrays in the file",
        )  # fmt: skip
    if flow.dtype != np.uint8 or flow.ndim != 4 or flow.shape[1] != flow.shape[2] or flow.shape[3] != 3:
        raise InputError(asked, expected="an array flow, uint8 [n, s, s, 3]", found=f"{flow.dtype} {list(flow.shape)}")
    names = tuple(map(str, arrays["label_names"])) if "label_names" in arrays else LABELS
    if len(set(names)) < len(names):
        raise InputError(f"{asked}: label_names", expected="each name once", found=", ".join(names))
    if label.dtype.kind == "U":  # words, as people write them from folders
        words = [text.strip() for text in label.ravel().tolist()]
        if set(words) <= set(names):
            label = np.array([names.index(word) for word in words], np.int64).reshape(label.shape)
    if label.shape != (len(flow),) or label.dtype.kind not in "iu" or not np.isin(label, range(len(names))).all():
        raise InputError(
            asked,
            expected=f"an array label, int [{len(flow)}], of classes 0 to {len(names) - 1}, or of {', '.join(names)}",
            found=f"{label.dtype} {list(label.shape)}{_odd_label(label, names)}",
            do="if there are other classes, add an array label_names with their names",
        )  # fmt: skip
    texts = {name: _texts(arrays, name, len(flow), asked) for name in ROWS_SCHEMA.names if name != "label"}
    if "source" not in arrays:
        texts["source"] = [REAL if subject else None for subject in texts["subject"]]
    if "sample_id" not in arrays:
        clips = arrays["clip"].tolist() if "clip" in arrays else [str(i) for i in range(len(flow))]
        parts = zip(texts["corpus"], texts["subject"], clips, strict=True)
        texts["sample_id"] = ["/".join(filter(None, part)) for part in parts]
    return Examples(rows_of(label.tolist(), texts), Arrays(flow, "flow maps"), names)


def _odd_label(label: npt.NDArray[Any], names: tuple[str, ...]) -> str:
    known = {*names, *range(len(names))}
    return next((f", such as {str(value)[:40]!r}" for value in label.ravel().tolist() if value not in known), "")


def load(where: Path) -> Examples | Dataset:
    """Read the examples of a flow file (.npz), or open the set in a folder.

    Raises:
        UsageError: the path is neither.
        InputError: the file or set cannot be read.
    """
    if where.suffix == ".npz":
        return read_flow(where)
    if not (where / CONFIG_FILE).is_file():
        raise UsageError(
            f"examples {where}", expected="a flow file .npz, the folder of a set, or a corpus as NAME=PATH",
            found="none of these",
            do="check the path; miex synthesize makes a set, and miex export --to flow makes a flow file of it",
        )  # fmt: skip
    return open_set(where)


def _texts(arrays: dict[str, npt.NDArray[Any]], name: str, n: int, asked: str) -> list[str | None]:
    for key in (name, *_ALIASES.get(name, ())):
        if key in arrays:
            if arrays[key].shape != (n,) or arrays[key].dtype.kind != "U":
                raise InputError(
                    asked, expected=f"an array {key}, str [{n}]", found=f"{arrays[key].dtype} {arrays[key].shape}"
                )
            return [text or None for text in arrays[key].tolist()]
    return [None] * n
