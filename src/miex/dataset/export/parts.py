"""What exports to shards share: where the output goes, how samples are shared out, and the card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from miex.aus.vector import AU_NUMBERS
from miex.dataset.card_parts import USES, cell, face_lines, header, label_lines, source_lines
from miex.dataset.description import generator_text
from miex.dataset.frames import STATEMENT
from miex.dataset.pages import README
from miex.dataset.plan_file import ID
from miex.dataset.reader import Dataset
from miex.errors import InputError, OutputError
from miex.storage import Place, storage_at
from miex.storage.base import KEPT, Draft, Storage

MOST_BYTES = 256 * 2**20  # of a shard, about: several for each worker of a loader, and few enough files for a hub


class Target:
    """A new or empty folder, or one in a bucket, that a set is exported to while its block runs.

    When the block does not end well, what was written is deleted: half an export is of no use, and takes room, which
    may be what is lacking.

    Raises:
        OutputError: the folder holds something, or cannot be read.
        InputError: there is no sample, or an id cannot be part of a file's name.
    """

    def __init__(self, dataset: Dataset, place: Place) -> None:
        self._out = storage_at(place)
        self._names: list[str] = []
        _prove(dataset, self._out)

    def __enter__(self) -> Target:
        return self

    def writing(self, name: str) -> AbstractContextManager[Draft]:
        """See `Storage.writing`."""
        self._names.append(name)
        return self._out.writing(name)

    def write(self, name: str, content: bytes) -> None:
        """See `Storage.write`."""
        self._names.append(name)
        self._out.write(name, content)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        left = "what this export had written is deleted"
        try:
            self._out.take_back(self._names)
        except OutputError:
            left = "delete what this export has written: it cannot be continued"
        if isinstance(error, OutputError):
            error.do = f"{error.do.removesuffix(KEPT)}; {left}"


def _prove(dataset: Dataset, out: Storage) -> None:
    if not len(dataset):
        raise InputError(
            f"export of {dataset.storage.address}", expected="at least one sample", found="none",
            do="choose others" if dataset.part
            else "remove the cause for which none could be made, which README.md of the set tells, and run miex repair",
        )  # fmt: skip
    try:
        there = next(out.names(), None)
    except InputError as error:
        raise OutputError(f"output folder {out.address}", found=error.found, do="give a new `out`") from error
    if there:
        raise OutputError(
            f"output folder {out.address}", expected="a new or empty folder", found=there, do="give a new `out`"
        )
    for sample_id in dataset.table["sample_id"].to_pylist():
        if not ID.fullmatch(sample_id):
            raise InputError(
                f"set {dataset.storage.address}",
                expected="sample ids of letters, digits, - and _",
                found=repr(sample_id),
            )


def in_parts(sizes: Sequence[int], most: int, *, rows: int | None = None) -> Iterator[range]:
    """Consecutive ranges whose sizes sum to at most `most`, one that is larger by itself, of at most `rows` rows."""
    first, held = 0, 0
    for i, size in enumerate(sizes):
        if i > first and (held + size > most or i - first == rows):
            yield range(first, i)
            first, held = i, 0
        held += size
    if first < len(sizes):
        yield range(first, len(sizes))


def sizes_of(dataset: Dataset) -> list[int]:
    """Size of each sample as stored, bytes."""
    sizes: list[int] = np.asarray(dataset.table["bytes"].to_pylist(), np.int64).tolist()
    return sizes


def write_card(
    out: Target, dataset: Dataset, files: str, opened: Sequence[str], features: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Write README.md of an export.

    Args:
        out: where it lies.
        dataset: what was exported.
        files: pattern of its files.
        opened: lines of Python that open it.
        features: see `card_parts.header`.
    """
    record = dataset.record
    settings = record["settings"]
    lines = [
        *header(dataset, files, features),
        f"# {cell(dataset.storage.name)}: a synthetic micro-expression set",
        "",
        f"{STATEMENT} Every frame says so in its metadata (IPTC digital source type).",
        "",
        f"{len(dataset):,} samples of {settings['size']} × {settings['size']} px, made by miex with"
        f" {cell(generator_text(settings))}; plan"
        f" `{record['digests']['plan']}`, seed {record['config']['seed']}."
        + " They are a selection: the set has others, too."
        * dataset.part,
        "",
        "```python",
        *opened,
        "```",
        "",
        "Frames are in order, the first is the onset; `apex` is the index of the apex. AU vectors, one per frame, hold"
        f" intensities in [0, 1] of AU {', '.join(map(str, AU_NUMBERS))}: `aus` as coded, `rendered_left` and"
        " `rendered_right` as each side of the face performs them. To split by people, split by `photo`.",
        "",
        "## Uses",
        "",
        *(f"- {use}" for use in USES),
        "",
        "## Labels",
        "",
        *label_lines(dataset.table),
        *source_lines(record["config"]["sources"]),
        *face_lines(dataset),
    ]
    out.write(README, "\n".join(lines).encode())
