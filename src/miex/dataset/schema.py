"""Every column of a set: its name, its type, what it means. Tables, cards and exports are made from these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import pyarrow as pa

from miex.aus.vector import N_AUS
from miex.nuisances.columns import NUISANCES


class Column(NamedTuple):
    """One column of a table; `meaning` with units and index base."""

    name: str
    type: pa.DataType
    meaning: str


_TEXT = pa.string()
PLAN_COLUMNS: Final = (
    Column("sample_id", _TEXT, "identity-source-label-round"),
    Column("round", pa.int32(), "of samples for this identity, source and label, from 0"),
    Column("identity", _TEXT, "whose face it is"),
    Column("photo", _TEXT, "first 16 digits of its sha256; virtual relatives share it: split sets by it"),
    Column("source", _TEXT, "where the AUs come from: real_mie, early_mae, coded_mie, expert"),
    Column("label", pa.int8(), "0 negative, 1 positive, 2 surprise"),
    Column("emotion", _TEXT, "the finer category that was drawn"),
    Column("corpus", _TEXT, "that real AUs come from; null for the expert source"),
    Column("subject", _TEXT, "of that corpus"),
    Column("clip", _TEXT, "of that subject"),
    Column("onset_frame", pa.int32(), "of that clip, 0-based; null where it is not known"),
    Column("apex_frame", pa.int32(), "of that clip, 0-based"),
    Column("apex", pa.int16(), "index of the apex among the sample's own frames, 0-based"),
    Column("aus", pa.list_(pa.list_(pa.float32(), N_AUS)), "intensities in [0, 1], one vector per frame"),
    Column("seed", pa.uint64(), "of what is drawn for this sample"),
    *(Column(n.name, n.type, f"nuisance: {n.meaning}; null: off") for n in NUISANCES),
)
FACES_COLUMNS: Final = (
    Column("identity", _TEXT, "whose face it is"),
    Column("path", _TEXT, "of the photo, relative to the folder of photos"),
    Column("sha256", _TEXT, "of the photo"),
    Column("width", pa.int32(), "of the photo, pixels"),
    Column("height", pa.int32(), "of the photo, pixels"),
    Column("landmarks", pa.list_(pa.float32()), "478 × (x, y, z), photo pixels, rounded to 1/64"),
    Column("yaw", pa.float32(), "of the head, degrees"),
    Column("pitch", pa.float32(), "of the head, degrees"),
    Column("roll", pa.float32(), "of the head, degrees"),
    Column("crop_x", pa.float64(), "center of the crop, photo pixels"),
    Column("crop_y", pa.float64(), "center of the crop, photo pixels"),
    Column("crop_side", pa.float64(), "of the crop, photo pixels"),
    Column("crop_roll", pa.float64(), "of the crop, radians"),
    Column("virtual", pa.bool_(), "whether it is another person made from the photo"),
    Column("virtual_seed", pa.uint64(), "of that person; null for the person of the photo"),
    Column("kind", _TEXT, "of the photo, real or synthetic, where its list says so"),
    Column("person", _TEXT, "whose photo it is, where its list says so"),
    Column("licence", _TEXT, "of the photo"),
    Column("attribution", _TEXT, "of the photo"),
)
MEASURE_COLUMNS: Final = (
    Column("motion_mean_px", pa.float64(), "length of the motion onset → apex, mean over the face, pixels"),
    Column("motion_p95_px", pa.float64(), "the same, 95th percentile"),
    Column("motion_mean_iod", pa.float64(), "the mean in inter-ocular distances"),
    Column("motion_p95_iod", pa.float64(), "the percentile in inter-ocular distances"),
    Column("motion_from", _TEXT, "field: the generator's own displacement; flow: the optical flow of the frames"),
    Column("psnr", pa.float64(), "of the gray pair, dB; null where only colors differ"),
    Column("ssim", pa.float64(), "structural similarity of the gray pair"),
)
RESULT_COLUMNS: Final = (
    Column("shard", pa.int32(), "whose tar holds it, from 0"),
    Column("offset", pa.int64(), "of its first member in that tar, bytes"),
    Column("bytes", pa.int64(), "of all its members"),
    Column("crc32", pa.uint32(), "of these bytes"),
    Column("status", _TEXT, "ok or failed"),
    Column("reason", _TEXT, "why it could not be made"),
    *MEASURE_COLUMNS,
)


def schema_of(columns: Iterable[Column]) -> pa.Schema:
    """Their Arrow schema."""
    return pa.schema([(column.name, column.type) for column in columns])


PLAN_SCHEMA: Final = schema_of(PLAN_COLUMNS)
FACES_SCHEMA: Final = schema_of(FACES_COLUMNS)
SAMPLES_SCHEMA: Final = schema_of((*PLAN_COLUMNS, *RESULT_COLUMNS))
# What travels with a sample wherever it goes: its class, and who stands behind it (leak guard, folds).
ROWS_SCHEMA: Final = pa.schema(
    [PLAN_SCHEMA.field(name) for name in ("sample_id", "label", "source", "corpus", "subject", "photo")]
)
