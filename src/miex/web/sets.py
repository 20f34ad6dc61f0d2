"""One set in the studio: which samples meet a query, small pictures of them, and all of one."""

from __future__ import annotations

from threading import Lock
from typing import Any

import cv2
import numpy as np

from miex.aus.vector import AU_NUMBERS, SIDES
from miex.dataset.choose import LABELS, codes_of
from miex.dataset.reader import Dataset
from miex.dataset.schema import MEASURE_COLUMNS, rendered_aus
from miex.dataset.where import Rows
from miex.images import Image

TILE = 128  # side of a small picture, pixels at most
TILES = 256  # at most told of at once
FACETS = ("label", "emotion", "source")
MOST_NAMES = 5000  # identities that a page offers
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]


class SetPages:
    """What the pages of a set ask for."""

    def __init__(self, dataset: Dataset, name: str) -> None:
        self.dataset, self.name = dataset, name
        self._lock = Lock()  # of the query, whose columns are kept
        # a page's query opens no file, whoever typed it
        self._rows = Rows(dataset, "this query", lists=False)
        every = np.arange(len(dataset))
        self._codes = {
            column: codes_of(dataset.table, column, every, LABELS if column == "label" else ()) for column in FACETS
        }

    def about(self) -> dict[str, Any]:
        """What the page shows of the set as a whole."""
        table, motion = self.dataset.table, np.asarray(self.dataset.table["motion_p95_px"], np.float64)
        identities = sorted(table["identity"].unique().to_pylist())
        return {
            "name": self.name,
            "told": repr(self.dataset),
            "digest": self.dataset.record["digests"]["plan"],
            "samples": len(self.dataset),
            "identities": identities[:MOST_NAMES],
            "n_identities": len(identities),
            "most_motion": round(float(motion.max(initial=0)), 2),
            "facets": {column: self._counted(column, self._codes[column][0]) for column in FACETS},
        }

    def chosen(self, query: str) -> dict[str, Any]:
        """The places of the samples that meet a query, all for an empty one, and what they are, counted.

        Raises:
            UsageError: it is no query.
        """
        if query.strip():
            with self._lock:
                places = self._rows.places(self._rows.query(query))
        else:
            places = np.arange(len(self.dataset))
        counted = {column: self._counted(column, codes[places]) for column, (codes, _) in self._codes.items()}
        return {"rows": places.tolist(), "facets": counted}

    def _counted(self, column: str, codes: Any) -> dict[str, int]:
        counts, names = np.bincount(codes, minlength=len(self._codes[column][1])), self._codes[column][1]
        return {name: int(n) for name, n in zip(names, counts, strict=True)}

    def tiles(self, places: list[int]) -> list[dict[str, Any]]:
        """What stands below small pictures. Raises IndexError."""
        self._prove(places)
        columns = ["sample_id", "identity", "label", "emotion"]
        rows: list[dict[str, Any]] = self.dataset.table.select(columns).take(np.array(places, np.int64)).to_pylist()
        return [{**row, "label": LABELS[row["label"]]} for row in rows]

    def strip(self, place: int) -> bytes:
        """Onset and apex side by side, small, as a JPEG file. Raises IndexError, DamagedError."""
        self._prove([place])
        small = [_small(frame) for frame in self.dataset.pair(place)]
        return cv2.imencode(".jpg", np.hstack(small)[..., ::-1], _JPEG)[1].tobytes()

    def frame(self, place: int, k: int) -> tuple[bytes, str]:
        """A frame as it is stored, and its media type. Raises IndexError, DamagedError."""
        self._prove([place])
        stored = self.dataset.stored(place)
        return stored.frames[k], stored.mime

    def sample(self, place: int) -> dict[str, Any]:
        """All that is known of a sample. Raises IndexError, DamagedError."""
        self._prove([place])
        row: dict[str, Any] = self.dataset.table.slice(place, 1).to_pylist()[0]
        stored = self.dataset.stored(place)
        apex, rendered = row["apex"], rendered_aus(row)
        coded = np.asarray(row["aus"], np.float32)
        aus = [
            {
                "au": au,
                "coded": _plain(coded[[0, apex], i]),
                **{side: _plain(rendered[[0, apex], i, k]) for k, side in enumerate(SIDES)},
            }
            for i, au in enumerate(AU_NUMBERS)
            if coded[[0, apex], i].any() or rendered[[0, apex], i].any()
        ]
        told = stored.description
        hidden = {"au_numbers", "also_seen", *(name for name in told if "aus" in name or name.startswith("rendered"))}
        return {
            "sample_id": row["sample_id"], "label": LABELS[row["label"]], "emotion": row["emotion"],
            "source": row["source"], "identity": row["identity"], "frames": len(stored.frames), "apex": apex,
            "aus": aus, "also_seen": told["also_seen"],
            "measures": {column.name: _number(row[column.name]) for column in MEASURE_COLUMNS if column.name in row},
            "provenance": {name: value for name, value in told.items() if name not in hidden},
        }  # fmt: skip

    def _prove(self, places: list[int]) -> None:
        if not all(0 <= place < len(self.dataset) for place in places):
            raise IndexError(f"sample of {len(self.dataset)}")


def _small(frame: Image) -> Image:
    if len(frame) <= TILE:
        return frame
    return np.asarray(cv2.resize(frame, (TILE, TILE), interpolation=cv2.INTER_AREA), np.uint8)


def _plain(values: Any) -> list[float]:
    return [round(float(value), 3) for value in values]


def _number(value: Any) -> Any:
    """JSON knows no infinity."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
