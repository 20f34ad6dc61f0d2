"""Flow maps with a planted signal, and a recipe that learns it in seconds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from miex.dataset.schema import ROWS_SCHEMA
from miex.recognition.recipe import Recipe
from miex.recognition.view import View, in_memory

QUICK = Recipe(
    name="quick", samples_seen=3200, batch=64, learning_rate=4e-3, schedule="one-cycle", label_smoothing=0.05
)


def planted(n: int = 240, seed: int = 0, source: str = "real", classes: int = 3, side: int = 28) -> View:
    """Class k raises v in the k-th quarter of the rows; all else is noise. Ten people."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    maps = rng.normal(128, 20, (n, side, side, 3))
    for i, k in enumerate(labels):
        maps[i, k * side // 4 : (k + 1) * side // 4, :, 1] += 40
    columns = {
        "sample_id": [f"{seed}-{i}" for i in range(n)],
        "label": labels.tolist(),
        "source": [source] * n,
        "corpus": ["casme2" if source == "real" else None] * n,
        "subject": [f"s{i % 10}" if source == "real" else None for i in range(n)],
        "photo": [None if source == "real" else f"p{i % 10}" for i in range(n)],
    }
    names = ("negative", "positive", "surprise", "others")[:classes]
    return in_memory(maps.clip(0, 255).astype(np.uint8), pa.table(columns, schema=ROWS_SCHEMA), names)
