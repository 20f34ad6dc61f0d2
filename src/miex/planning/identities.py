"""Choose the faces of a plan, and locate them in their photos."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from miex.dataset.schema import FACES_SCHEMA
from miex.errors import InputError
from miex.faces.crop import place_crop
from miex.planning.config import PlanConfig
from miex.stable import stable_hash


def choose_faces(index: pa.Table, config: PlanConfig) -> pa.Table:
    """The identities of a plan, table of FACES_SCHEMA, ordered by photo and then identity (hashes, so by no order of
    names): a photo is read and aligned once for all that are made from it.

    The first `ids` photos by hash; if there are fewer, virtual identities: first one of each photo, by hash, then a
    second of each, and so on.

    Raises:
        InputError: no photo can be used.
    """
    reasons = index["reason"].to_pylist()
    hashes = index["identity"].to_pylist()
    usable = sorted((row for row, reason in enumerate(reasons) if not reason), key=lambda row: hashes[row])
    if not usable:
        found = ", ".join(f"{n} {reason}" for reason, n in Counter(reasons).most_common())
        raise InputError(
            "faces for a plan",
            expected="at least one photo with a usable face",
            found=found,
            do="run miex faces index on the folder to see the reasons",
        )
    n = config.ids or len(usable)
    chosen = [(hashes[row], row, False) for row in usable[:n]]
    variant = 0
    while len(chosen) < n:
        variant += 1
        relatives = [(f"{stable_hash('virtual', hashes[row], variant):016x}", row, True) for row in usable]
        chosen += sorted(relatives)[: n - len(chosen)]
    identities, rows, virtual = zip(*sorted(chosen, key=lambda one: (hashes[one[1]], one[0])), strict=True)
    photos = index.take(list(rows))
    meshes = photos["landmarks"].combine_chunks().flatten().to_numpy().reshape(n, -1, 3)
    places = [place_crop(mesh, config.crop) for mesh in meshes]
    columns = {
        **{name: photos[name] for name in FACES_SCHEMA.names if name in photos.schema.names},
        "identity": identities,
        "crop_x": [place.x for place in places],
        "crop_y": [place.y for place in places],
        "crop_side": [place.side for place in places],
        "crop_roll": [place.roll for place in places],
        "virtual": virtual,
        "virtual_seed": [int(name, 16) if made else None for name, made in zip(identities, virtual, strict=True)],
    }
    return pa.Table.from_pydict({name: columns[name] for name in FACES_SCHEMA.names}, schema=FACES_SCHEMA)
