"""Flow files: flow maps in an .npz, with the class and origin of each; and what a path holds, flow file or set."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from miex.corpora.corpus import Key, key_of
from miex.corpora.folders import IMAGE
from miex.corpora.mappings import emotion_labels, emotion_named
from miex.corpora.people import corpus_key
from miex.dataset import Dataset
from miex.dataset import open as open_set
from miex.dataset.plan_file import has_plan
from miex.dataset.schema import ROWS_SCHEMA
from miex.errors import InputError, OutputError, UsageError
from miex.executors.base import IN_PROCESS, Executor, Progress, silent
from miex.images import Image, read_image
from miex.labels import Label, label_named
from miex.recognition.examples import Arrays, Examples, input_cache, rows_of
from miex.recognition.inputs.base import make_input
from miex.recognition.inputs.flow import SIDE, FlowMethod
from miex.recognition.view import LABELS, REAL
from miex.stable import npz_arrays
from miex.storage import is_bucket, storage_at
from miex.storage.base import as_output_errors
from miex.storage.local import write_whole
from miex.tables.cells import whole
from miex.tables.table import Columns, read_table

_ALIASES = {"corpus": ("dataset",)}  # its name in the published flow files of MEGC 2019


def flow_set(
    examples: Examples,
    *,
    method: FlowMethod = "dis",
    seed: int = 0,
    side: int = SIDE,
    executor: Executor = IN_PROCESS,
    progress: Progress = silent,
    unread: Callable[[Mapping[str, str]], None] = lambda found: None,
) -> dict[str, npt.NDArray[Any]]:
    """Compute the flow maps of examples from their frames (of a set not from the generator's displacement fields).

    Args:
        examples: of a set, or of real clips.
        method, seed, side: see `inputs.flow.FlowMaps`.
        executor: runs the work.
        progress: called with the number of samples done, and of all samples.
        unread: as in `Examples.through`.

    Returns:
        Arrays by name, in the order of the examples: flow uint8 [n, side, side, 3], label int64 [n], and for the leak
        guard and folds, str [n] each: sample_id, source, corpus, subject, photo (empty where there is none). If the
        classes are not negative, positive and surprise, label_names, str [classes], names them.

    Raises:
        InputError: a frame cannot be read.
    """
    made = make_input({"name": "flow", "method": method, "seed": seed, "side": side})
    maps = examples.through(made, input_cache(), executor=executor, progress=progress, unread=unread)
    texts = {name: maps.rows[name].to_pylist() for name in ROWS_SCHEMA.names if name != "label"}
    names = {} if examples.label_names == LABELS else {"label_names": np.asarray(examples.label_names, np.str_)}
    return {
        "flow": maps.batch(),
        "label": maps.labels,
        **names,
        **{name: np.asarray([text or "" for text in column], np.str_) for name, column in texts.items()},
    }


def write_flow_set(maps: dict[str, npt.NDArray[Any]], out: Path) -> None:
    """Write the arrays of `flow_set` as a compressed .npz. The same arrays give the same bytes.

    Raises:
        UsageError: the name does not end in .npz.
        OutputError: the file cannot be written, or something else than a file is there.
    """
    prove_target(out)
    content = io.BytesIO()
    np.savez_compressed(content, **cast(Any, maps))  # its types take a name for `allow_pickle`, which numpy 2.0 has not
    write_whole(out, content.getvalue())


def prove_target(out: Path) -> None:
    """Prove that a flow file may be written there: a new one, or in the place of a file.

    Raises:
        UsageError: the name does not end in .npz.
        OutputError: a folder, device or pipe is there, which is never replaced.
    """
    if out.suffix != ".npz":
        raise UsageError(f"flow file {out}", expected="a name that ends in .npz")
    with as_output_errors(f"flow file {out}"):
        there = out.exists() and not out.is_file()
    if there:
        raise OutputError(
            f"flow file {out}", expected="a new name, or that of a file", found="a folder, device or pipe",
            do="give another `out`",
        )  # fmt: skip


def read_flow(path: Path) -> Examples:
    """Read the examples of a flow file: an .npz with arrays flow, uint8 [n, s, s, 3], and label, int [n]
    or names of classes, str [n].

    These arrays, str [n] each, may be missing: sample_id (or clip), source, corpus (or dataset), subject, photo. If
    source is missing, rows with a subject are taken as clips of a corpus, and rows without one as of unknown source,
    which the leak guard refuses. An array face, str [n], may say whom each photo shows (see `faces_in`),
    and au_table, str [n], from which expert table the AUs of each were drawn (see `tables_in`). An array label_names,
    str [classes], names the classes if they are not negative, positive and surprise.

    Raises:
        InputError: there is no such file, it is not an .npz, or an array has another shape or type.
    """
    asked = f"flow file {path}"
    arrays = _arrays(path)
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
    return Examples(
        rows_of(label.tolist(), texts),
        Arrays(flow, "flow maps"),
        names,
        _faces(arrays, asked),
        au_tables=_tables(arrays, asked),
    )


def faces_in(path: Path) -> dict[str, str | None]:
    """Each photo that a flow file names, and whom its array face, str [n], says it shows: `casme2/1`, or None.

    Raises:
        InputError: there is no such file, it is not an .npz, or an array has another shape or type.
    """
    return _faces(_arrays(path, "photo", "face"), f"flow file {path}")


def tables_in(path: Path) -> tuple[str, ...]:
    """The expert tables that AUs of a flow file's maps were drawn from, each once.

    An array au_table, str [n], says so: name and first digits of the sha256 of the table's numbers, such as
    `micro-dfme 0f1e2d3c`; empty where a map is of another source. Maps of source expert without it are of table "".

    Raises:
        InputError: there is no such file, it is not an .npz, or an array has another shape or type.
    """
    return _tables(_arrays(path, "source", "au_table"), f"flow file {path}")


def _tables(arrays: Mapping[str, npt.NDArray[Any]], asked: str) -> tuple[str, ...]:
    n = arrays["source"].size if "source" in arrays else 0
    pairs = zip(_texts(arrays, "source", n, asked), _texts(arrays, "au_table", n, asked), strict=True)
    return tuple(sorted({table or "" for source, table in pairs if source == "expert"}))


def _faces(arrays: Mapping[str, npt.NDArray[Any]], asked: str) -> dict[str, str | None]:
    n = arrays["photo"].size if "photo" in arrays else 0
    if not n:
        return {}
    pairs = zip(_texts(arrays, "photo", n, asked), _texts(arrays, "face", n, asked), strict=True)
    return {photo: who for photo, who in pairs if photo is not None}


def _arrays(path: Path, *names: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of these names that are in a flow file; by default all."""
    try:
        if not path.is_file():  # reading a pipe would wait forever
            raise FileNotFoundError("no such file")
        with path.open("rb") as file:
            return npz_arrays(file, *names)
    except Exception as error:  # a damaged file fails in zip and npy in any way it likes
        raise InputError(
            f"flow file {path}", expected="an .npz with arrays flow and label", found=str(error),
            do="check the path, and that the file is complete",
        ) from error  # fmt: skip


def _odd_label(label: npt.NDArray[Any], names: tuple[str, ...]) -> str:
    known = {*names, *range(len(names))}
    return next((f", such as {str(value)[:40]!r}" for value in label.ravel().tolist() if value not in known), "")


_LOSSLESS = (".png", ".bmp", ".tif", ".tiff")
CHANNELS = ("u", "v", "os")  # of a flow map: motion to the right, down, and optical strain
_TABLE = Columns(
    {
        "corpus": ("corpus", "dataset", "data"),
        "subject": ("subject", "sub"),
        "clip": ("clip", "filename", "filename_o"),
        "label": ("label",),
    },
    needed=("subject", "clip", "label"),
    headerless=("corpus", "subject", "clip", "label"),  # as in the ground truth of MEGC 2019
)
# How the composite of MEGC 2019 calls subjects of its three corpora.
_COMPOSITE = {"casme2": r"sub\d+", "smic": r"s\d+", "samm": r"\d{3}"}


def import_pictures(
    folder: Path, channels: Sequence[str], *, corpus: str = "compmie", table: Path | None = None, side: int = SIDE
) -> dict[str, npt.NDArray[Any]]:
    """Read flow maps that others published as image files, in the layouts of STSTNet (Liong et al., FG 2019) and HTNet.

    A file is called <subject>_<clip>.png (or .bmp, .tif). Its class is the folder that it lies in (0, 1, 2, or a name);
    where the folder names none, a table says it. With leave-one-subject-out folders (<subject>/u_train and
    <subject>/u_test) those of u_test are read, which hold every map once.

    Args:
        folder: the folder of the maps, or of the subjects.
        channels: which of u, v and os (optical strain) the red, green and blue channel of the files hold. It cannot be
            seen in them: OpenCV, which writes its first channel as blue, makes os, v, u of a map u, v, os.
        corpus: the corpus, for the leak guard, if the table does not say it; compmie means CASME II, SMIC and SAMM,
            told by subjects such as sub01, s01 and 006.
        table: table with the columns subject, clip and label, and corpus if there are several; without a header in the
            order corpus, subject, clip, label. A label may also be the name of an emotion.
        side: side of the square maps, in pixels.

    Returns:
        Arrays as of `flow_set`, in the order of the sample ids.

    Raises:
        UsageError: the channels are not u, v and os.
        InputError: there is no map, one cannot be read, has another size, is gray or of a format that changes values,
            or stands twice with different pixels; or class or corpus of one is unknown, or said in two ways.
    """
    given = [name.strip().lower() for name in channels]
    if sorted(given) != sorted(CHANNELS):
        raise UsageError(
            f"`channels` {','.join(channels)}", expected="u, v and os in the order of red, green and blue",
            do="ask whoever made the files; OpenCV makes os,v,u of maps u, v, os",
        )  # fmt: skip
    stated = {} if table is None else _stated(table)
    rows: dict[str, tuple[Image, int, str, str]] = {}
    order = [given.index(name) for name in CHANNELS]
    for file in _pictures(folder):
        subject, _, clip = file.stem.strip().partition("_")
        known = _known(stated.get(key_of(subject, clip), {}), corpus, file)
        label, said = _class_of(file.parent.name), _class_of(known.get("label", ""))
        if None not in (label, said) and label != said:
            raise InputError(
                f"flow map {file}", expected=f"the class of its folder, {file.parent.name}",
                found=f"{known['label']} in {table}", do="correct the one that is wrong",
            )  # fmt: skip
        label = said if label is None else label
        if label is None or not clip:
            raise InputError(
                f"flow map {file}", expected="<subject>_<clip>.png in the folder of a class, 0 to 2, or in the table",
                found="no class" if clip else "no clip",
                do="give a table with the columns subject, clip and label (`clips`)",
            )  # fmt: skip
        of = known.get("corpus") or _corpus_of(subject, corpus, file)
        pixels = _map(file, side)[..., order]
        name = f"{of}/{subject}/{clip}"
        again = rows.setdefault(name, (np.ascontiguousarray(pixels), label, of, subject))
        if again[1] != label or not np.array_equal(again[0], pixels):
            raise InputError(f"flow map {file}", expected="each clip once", found=f"another map or class of {name}")
    if not rows:
        raise InputError(
            f"flow maps in {folder}", expected="files such as 006/u_test/0/006_006_1_2.png, or sub01_EP02_01f.png",
            found="none" if folder.is_dir() else "no such folder",
        )  # fmt: skip
    names = sorted(rows)
    maps, labels, corpora, subjects = zip(*(rows[name] for name in names), strict=True)
    return {
        "flow": np.stack(maps),
        "label": np.asarray(labels, np.int64),
        "sample_id": np.asarray(names, np.str_),
        "source": np.asarray([REAL] * len(names), np.str_),
        "corpus": np.asarray(corpora, np.str_),
        "subject": np.asarray(subjects, np.str_),
        "photo": np.asarray([""] * len(names), np.str_),
    }


def _pictures(folder: Path) -> list[Path]:
    """The files of maps below a folder. Raises InputError for one of a format that changes the values."""
    found = []
    for file in sorted(folder.rglob("*")):
        below = file.relative_to(folder).parts
        if "u_train" in below[:-1] or any(part.startswith((".", "__MACOSX")) for part in below) or not file.is_file():
            continue
        if file.suffix.lower() in _LOSSLESS:
            found.append(file)
        elif IMAGE.fullmatch(file.name) or file.suffix.lower() == ".gif":
            raise InputError(
                f"flow map {file}", expected="a file " + ", ".join(_LOSSLESS),
                found=f"{file.suffix}, which may have changed the values", do="give the original maps, or move it away",
            )  # fmt: skip
    return found


def _map(file: Path, side: int) -> Image:
    pixels = read_image(file)
    if pixels.shape[:2] != (side, side):
        raise InputError(
            f"flow map {file}", expected=f"{side} × {side} pixels", found=f"{pixels.shape[1]} × {pixels.shape[0]}",
            do="if all maps are so, give their `side`; else remove what is no flow map",
        )  # fmt: skip
    if (pixels == pixels[..., :1]).all():
        raise InputError(
            f"flow map {file}", expected="u, v and os in three channels", found="a gray image: all channels are equal",
            do="remove what is no flow map",
        )  # fmt: skip
    return pixels


def _stated(table: Path) -> dict[Key, dict[str, Mapping[str, str]]]:
    """{key of subject and clip: {corpus: cells}} of a table."""
    found: dict[Key, dict[str, Mapping[str, str]]] = {}
    for row in read_table(table, _TABLE):
        label = _class_of(row.text("label"))
        if label is None:
            raise row.wrong("label", "0 (negative), 1 (positive), 2 (surprise), one of these words, or an emotion")
        corpus = row.cells.get("corpus", "")
        cells = {**row.cells, "corpus": corpus_key(corpus) or corpus}
        key = key_of(row.text("subject"), row.text("clip"))
        again = found.setdefault(key, {}).setdefault(cells["corpus"], cells)
        if _class_of(again["label"]) != label:
            raise row.wrong("label", f"{again['label']}, as in another row of this clip")
    return found


def _known(stated: Mapping[str, Mapping[str, str]], corpus: str, file: Path) -> Mapping[str, str]:
    """The cells of a clip; of clips of several corpora that are called so, those of the corpus that is named, or of the
    nearest folder that is called like one."""
    if len(stated) < 2:
        return next(iter(stated.values()), {})
    near = next((stated[of] for of in map(corpus_key, (corpus, *reversed(file.parts))) if of and of in stated), None)
    if near is None:
        raise InputError(
            f"flow map {file}", expected="a clip of one corpus", found="the same clip of " + ", ".join(stated),
            do="put the maps of each corpus into a folder of its name, or read them one by one with its `corpus`",
        )  # fmt: skip
    return near


def _class_of(text: str) -> int | None:
    """The class that a number, a label or an emotion means, in any spelling."""
    with suppress(UsageError):
        return int(label_named(text))
    with suppress(ValueError):
        number = whole(text)
        return number if number in set(Label) else None
    return emotion_labels().get(emotion_named(text))


def _corpus_of(subject: str, corpus: str, file: Path) -> str:
    if corpus != "compmie":
        return corpus
    for name, form in _COMPOSITE.items():
        if re.fullmatch(form, subject, re.ASCII):
            return name
    raise InputError(
        f"flow map {file}", expected="a subject of CASME II (sub01), SMIC (s01) or SAMM (006)", found=repr(subject),
        do="give the name of its corpus as `corpus`: the leak guard relies on it",
    )  # fmt: skip


def is_flow_file(place: str | Path) -> bool:
    """Whether this is the path of a flow file."""
    return not is_bucket(place) and Path(place).suffix == ".npz"


def load(place: str | Path) -> Examples | Dataset:
    """Read the examples of a flow file (.npz), or open the set in a folder or bucket.

    Raises:
        UsageError: the path is neither.
        InputError: the file or set cannot be read.
    """
    if is_flow_file(place):
        return read_flow(Path(place).expanduser())
    where = storage_at(place)
    if not has_plan(where):
        next(where.names(), None)  # tells of a bucket that is not there
        raise UsageError(
            f"examples {place}", expected="a flow file .npz, the folder of a set, or a corpus as NAME=PATH",
            found="none of these",
            do="check the path; miex synthesize makes a set, and miex export --to flow makes a flow file of it",
        )  # fmt: skip
    return open_set(where)


def _texts(arrays: Mapping[str, npt.NDArray[Any]], name: str, n: int, asked: str) -> list[str | None]:
    for key in (name, *_ALIASES.get(name, ())):
        if key in arrays:
            if arrays[key].shape != (n,) or arrays[key].dtype.kind != "U":
                raise InputError(
                    asked, expected=f"an array {key}, str [{n}]", found=f"{arrays[key].dtype} {arrays[key].shape}"
                )
            return [text or None for text in arrays[key].tolist()]
    return [None] * n
