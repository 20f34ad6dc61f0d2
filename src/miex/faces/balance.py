"""How even a pool of faces is: kinds, licences, people, head pose and light, as far as they are known.

What people are (their sex, their origin) is neither asked nor guessed. The light of a face is that of its photo: lamp,
camera and skin together. Whether a face smiles at rest is not measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

_SPREAD = (0.05, 0.5, 0.95)
_SPREADS = {
    "yaw": "yaw of the head, degrees, positive to the right of the picture",
    "pitch": "pitch of the head, degrees, positive downward",
    "light": "light of the face in its photo, median gray level",
}
_STATED = {"kind": "kinds", "licence": "licences"}


def balance_of(faces: pa.Table) -> dict[str, Any]:
    """The balance of identities, as JSON values.

    Args:
        faces: usable rows of an index, or faces.parquet.

    Returns:
        faces: how many there are; kind, licence: {what is stated, or "": how many}, the most first; named: how many
        have a person's name; people: how many names; largest_person: share of the faces that show the most frequent
        one, None without names; virtual: share of virtual identities, None in an index; yaw, pitch, light: 5 %, median
        and 95 %, None where they are not known.
    """
    n = faces.num_rows
    names = set(faces.column_names)
    people = Counter(filter(None, faces["person"].to_pylist()))
    found: dict[str, Any] = {"faces": n}
    for column in _STATED:
        found[column] = dict(Counter(value or "" for value in faces[column].to_pylist()).most_common())
    found |= {"named": people.total(), "people": len(people)}
    found["largest_person"] = round(max(people.values()) / n, 4) if people else None
    found["virtual"] = round(sum(faces["virtual"].to_pylist()) / n, 4) if n and "virtual" in names else None
    for column in _SPREADS:
        values = faces[column].drop_null().to_numpy() if column in names else np.zeros(0)
        found[column] = [round(float(q), 1) for q in np.quantile(values, _SPREAD)] if len(values) else None
    return found


def balance_rows(balance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same as rows of a table: what, and how much."""
    rows = [
        (text, ", ".join(f"{value or 'not stated'} {n:,}" for value, n in balance[column].items()))
        for column, text in _STATED.items()
        if balance[column]
    ]
    if balance["virtual"] is not None:
        rows.append(("virtual identities", f"{balance['virtual']:.0%}"))
    told = "none"
    if balance["named"]:
        told = f"{balance['people']:,}, in {balance['named']:,} of {balance['faces']:,} faces"
        told += f"; the most frequent one in {balance['largest_person']:.1%}"
    rows.append(("people named", told))
    for column, text in _SPREADS.items():
        if (spread := balance[column]) is not None:
            low, middle, high = (f"{value:g}".replace("-", "−") for value in spread)
            rows.append((text, f"{low} to {high} (5 to 95 %), median {middle}"))
    return rows
