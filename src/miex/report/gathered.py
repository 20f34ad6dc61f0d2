"""What the pages of a set need of its samples, gathered block by block: some 250 bytes of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from miex.aus.vector import AU_INDEX, N_AUS, on_sides
from miex.dataset.also import LEAST
from miex.dataset.choose import Ints, ok_rows
from miex.dataset.schema import AU_COLUMNS, MEASURE_COLUMNS
from miex.nuisances.columns import NAMES

_KEPT = ("sample_id", "identity", "source", "label", "emotion", *(column.name for column in MEASURE_COLUMNS))


@dataclass(frozen=True)
class Gathered:
    """The samples of a set, as its pages tell of them.

    Attributes:
        made: a row of each sample that was made, in the order of the plan: who and what it is, and its measures, by
            the columns of samples.parquet; and
            frames: how many it has;
            apex_aus: coded AUs at the apex, 17 intensities in [0, 1];
            coded, beside: change of the AUs from onset to apex, sums of |change| over the 17: of the coded ones, and of
            what is rendered beside them, the mean of both sides;
            blink, others: whether AU 45, and another AU, is rendered with another intensity at onset or apex than the
            coded one;
            residual: root mean square of the residual motion at the apex, inter-ocular distances; null if it is off;
            head, pictures: whether the head moves, or there are local shifts; whether there is other light, noise or
            compression.
        places: of these samples in samples.parquet, int64.
        reasons: why others could not be made, and how many each.
    """

    made: pa.Table
    places: Ints
    reasons: Counter[str]


def gathered(blocks: Iterable[pa.Table]) -> Gathered:
    """What pages need of samples.parquet, or of part of it, which is given in blocks."""
    made: list[pa.Table] = []
    places: list[Ints] = []
    reasons: Counter[str] = Counter()
    n = 0
    for rows in blocks:
        ok = ok_rows(rows)
        made.append(_short(rows.take(ok)))
        places.append(ok + n)
        n += rows.num_rows
        if len(ok) < rows.num_rows:
            reasons.update(rows.filter(pc.not_equal(rows["status"], "ok"))["reason"].to_pylist())
    return Gathered(pa.concat_tables(made), np.concatenate(places), reasons)


def _short(rows: pa.Table) -> pa.Table:
    coded, left, right = (_ends(rows, name) for name in AU_COLUMNS)
    alone = np.array([one or [0] * N_AUS for one in rows["sides"].to_pylist()], np.int8).reshape(-1, 1, N_AUS)
    beside = np.stack([left, right], -1) - on_sides(coded, alone)
    differs = np.abs(beside).max((1, 3), initial=0) >= LEAST
    change, more = (np.abs(ends[:, 1] - ends[:, 0]) for ends in (coded, beside))
    on = {name: rows[name].is_valid().to_numpy() for name in NAMES}
    found: dict[str, Any] = {
        **{name: rows[name] for name in _KEPT if name in rows.column_names},
        "frames": pc.list_value_length(rows["aus"]),
        "apex_aus": pa.FixedSizeListArray.from_arrays(np.ascontiguousarray(coded[:, 1]).reshape(-1), N_AUS),
        "coded": change.sum(-1),
        "beside": more.mean(-1).sum(-1),
        "blink": differs[:, AU_INDEX[45]],
        "others": np.delete(differs, AU_INDEX[45], 1).any(-1),
        "residual": pa.array((one and one[1] for one in rows["residual"].to_pylist()), pa.float64()),
        "head": on["head"] | on["turn"] | on["outliers"],
        "pictures": on["light"] | on["noise"] | on["compression"],
    }
    return pa.table(found)


def _ends(rows: pa.Table, name: str) -> npt.NDArray[np.float32]:
    """AU intensities of onset and apex, float32 [rows, 2, 17]."""
    found = [np.zeros((0, 2, N_AUS), np.float32)]
    for chunk in rows.select([name, "apex"]).to_batches():
        frames, apex = chunk.column(name), chunk.column("apex").to_numpy()
        lengths = frames.value_lengths().to_numpy()
        intensities = frames.flatten().flatten().to_numpy().reshape(-1, N_AUS)
        first = np.cumsum(lengths) - lengths
        found.append(np.stack([intensities[first], intensities[first + apex]], 1))
    return np.concatenate(found)
