"""A stratified choice of varied samples."""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from miex.labels import Label

if TYPE_CHECKING:
    import pyarrow as pa

Ints = npt.NDArray[np.int64]


def choose(table: pa.Table, n: int, seed: int) -> list[int]:
    """Choose varied rows: as many of each label × source, of these as many of each emotion as there are, and each
    identity as rarely as possible.

    Ties are broken by a hash of (seed, sample_id), which does not depend on how the table is ordered or chunked.

    Args:
        table: samples.parquet, or part of it. Rows whose status is not "ok" are not chosen.
        n: how many, fewer if there are not as many.
        seed: of the choice.

    Returns:
        Row numbers, ascending: the order of the plan.
    """
    rows = ok_rows(table)
    if n <= 0 or not len(rows):
        return []
    ids = table["sample_id"].take(rows).to_pylist()
    luck = np.array([_hash(seed, sample_id) for sample_id in ids], np.uint64)
    identity, identities = codes_of(texts_of(table, "identity", rows))
    keys = list(zip(*(texts_of(table, name, rows) for name in ("label", "source", "emotion")), strict=True))
    of_key: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i in np.argsort(luck, kind="stable").tolist():
        of_key[keys[i]].append(i)
    strata = {key: np.array(members) for key, members in of_key.items()}  # members in the order of their luck
    quota = _quotas({key: len(members) for key, members in strata.items()}, n, seed)
    used = np.zeros(len(identities), np.int64)
    chosen: list[int] = []
    # strata with few identities choose first: the others can step aside for them
    for key in sorted(strata, key=lambda key: (len(np.unique(identity[strata[key]])), key)):
        members = strata[key]
        for _ in range(quota[key]):
            best = int(np.argmin(used[identity[members]]))  # the first, so the luckiest, of the rarest
            chosen.append(int(rows[members[best]]))
            used[identity[members[best]]] += 1
            members = np.delete(members, best)
    return sorted(chosen)


def _quotas(sizes: Mapping[tuple[str, ...], int], n: int, seed: int) -> dict[tuple[str, ...], int]:
    """How many from each (label, source, emotion): to each label and source in turn, and there to each emotion."""
    emotions: dict[tuple[str, ...], deque[tuple[str, ...]]] = defaultdict(deque)  # whose turn it is, first
    for key in sorted(sizes, key=lambda key: _hash(seed, *key)):
        emotions[key[:2]].append(key)
    turns = deque(sorted(emotions, key=lambda group: _hash(seed, *group)))
    quota = dict.fromkeys(sizes, 0)
    left = n
    while left and turns:
        group = turns.popleft()
        key = emotions[group].popleft()
        quota[key] += 1
        left -= 1
        if quota[key] < sizes[key]:
            emotions[group].append(key)
        if emotions[group]:
            turns.append(group)
    return quota


def _hash(seed: int, *parts: str) -> int:
    text = "\x1f".join((str(seed), *parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


LABELS = tuple(label.name for label in Label)


def ok_rows(table: pa.Table) -> Ints:
    if "status" not in table.schema.names:
        return np.arange(table.num_rows)
    status = table["status"].to_numpy()
    return np.flatnonzero(status == "ok")


def texts_of(table: pa.Table, name: str, rows: Ints) -> list[str]:
    """A column of text; labels, which are numbers in samples.parquet, by their names."""
    values = table[name].take(rows).to_pylist()
    if name == "label":
        return [LABELS[v] if isinstance(v, int) and 0 <= v < len(LABELS) else str(v) for v in values]
    return ["" if value is None else str(value) for value in values]


def codes_of(values: Sequence[str], order: Sequence[str] = ()) -> tuple[Ints, list[str]]:
    """Position of each value in `order`, or in the sorted distinct values; and that order."""
    names = list(order) or sorted(set(values))
    index = {name: i for i, name in enumerate(names)}
    return np.fromiter((index[value] for value in values), np.int64, len(values)), names
