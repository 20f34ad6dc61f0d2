"""What a plan is made of, without photos: an index of faces that nobody took, and the name of a generator."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from miex.faces.index import INDEX_SCHEMA

GENERATOR = {"name": "muscle", "version": 1, "settings": {}}


def fake_index(n: int, reason: str = "") -> pa.Table:
    """n photos with one and the same upright face."""
    mesh = np.zeros((478, 3), np.float32)
    mesh[[33, 133]] = [(180, 200, 0), (220, 200, 0)]
    mesh[[362, 263]] = [(280, 200, 0), (320, 200, 0)]
    mesh[[61, 291]] = [(210, 300, 0), (290, 300, 0)]
    rows = []
    for i in range(n):
        digest = hashlib.sha256(f"photo {i}".encode()).hexdigest()
        rows.append(
            {
                "path": f"{i}.jpg",
                "sha256": digest,
                "identity": digest[:16],
                "width": 500,
                "height": 500,
                "n_faces": 1,
                "inter_ocular": 100.0,
                "yaw": 0.0,
                "pitch": 0.0,
                "roll": 0.0,
                "landmarks": mesh.ravel(),
                "licence": "CC0",
                "attribution": "nobody",
                "kind": "synthetic",
                "person": "",
                "reason": reason,
                "detail": "",
            }
        )
    return pa.Table.from_pylist(rows, schema=INDEX_SCHEMA)
