"""A stratified choice of varied samples."""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from miex.labels import Label

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
    # some at a time: a list of all ids takes more memory than their columns
    some = table.select(["sample_id"]).take(rows).to_batches(max_chunksize=4096)
    ids = (text for batch in some for text in batch.column(0).to_pylist())
    luck = np.fromiter((_hash(seed, text) for text in ids), np.uint64, len(rows))
    identity, identities = codes_of(table, "identity", rows)
    codes, names = zip(*(codes_of(table, name, rows) for name in ("label", "source", "emotion")), strict=True)
    lucky = np.argsort(luck, kind="stable")
    kinds, of_kind = np.unique(np.stack(codes, 1)[lucky], axis=0, return_inverse=True)
    strata = {  # members in the order of their luck
        tuple(texts[code] for texts, code in zip(names, kind, strict=True)): lucky[of_kind.reshape(-1) == k]
        for k, kind in enumerate(kinds)
    }
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
    return np.flatnonzero(pc.equal(table["status"], "ok"))


def codes_of(table: pa.Table, name: str, rows: Ints, order: Sequence[str] = ()) -> tuple[Ints, list[str]]:
    """Place of each value of a column of text in `order`, or in the sorted distinct values; and that order.

    Labels, which are numbers in samples.parquet, go by their names.
    """
    found = table[name].take(rows).combine_chunks().dictionary_encode("encode")
    texts = [_text(name, value) for value in found.dictionary.to_pylist()]
    names = list(order) or sorted(set(texts))
    index = {text: i for i, text in enumerate(names)}
    places = np.array([index[text] for text in texts], np.int64)
    return places[found.indices.to_numpy()], names


def _text(name: str, value: str | int | None) -> str:
    if name == "label":
        return LABELS[value] if isinstance(value, int) and 0 <= value < len(LABELS) else str(value)
    return "" if value is None else str(value)
