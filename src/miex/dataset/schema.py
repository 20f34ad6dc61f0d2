"""Every column of a set: its name, its type, what it means."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from miex.aus.vector import N_AUS
from miex.nuisances.columns import COLUMNS as CAMERA_COLUMNS

PLAN_SCHEMA: Final = pa.schema(
    [
        ("sample_id", pa.string()),  # identity-source-label-round
        ("round", pa.int32()),
        ("identity", pa.string()),
        ("photo", pa.string()),  # first 16 digits of its sha256; virtual relatives share it: split sets by it
        ("source", pa.string()),  # real_mie, early_mae, coded_mie, expert
        ("label", pa.int8()),  # 0 negative, 1 positive, 2 surprise
        ("emotion", pa.string()),
        ("corpus", pa.string()),  # corpus … apex_frame: where real AUs came from; null for the expert source
        ("subject", pa.string()),
        ("clip", pa.string()),
        ("onset_frame", pa.int32()),  # 0-based
        ("apex_frame", pa.int32()),
        ("apex", pa.int16()),  # index of the apex among the sample's own frames
        ("aus", pa.list_(pa.list_(pa.float32(), N_AUS))),  # one vector per frame, in [0, 1]
        ("seed", pa.uint64()),
        *CAMERA_COLUMNS.items(),
    ]
)
FACES_SCHEMA: Final = pa.schema(
    [
        ("identity", pa.string()),
        ("path", pa.string()),  # relative to the pool
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("landmarks", pa.list_(pa.float32())),  # of the photo: 478 × (x, y, z), photo pixels, rounded to 1/64
        ("yaw", pa.float32()),
        ("pitch", pa.float32()),
        ("roll", pa.float32()),
        ("crop_x", pa.float64()),  # center, side and angle (radians) of the crop in the photo
        ("crop_y", pa.float64()),
        ("crop_side", pa.float64()),
        ("crop_roll", pa.float64()),
        ("virtual", pa.bool_()),
        ("virtual_seed", pa.uint64()),  # null for the person of the photo
        ("kind", pa.string()),
        ("person", pa.string()),
        ("licence", pa.string()),
        ("attribution", pa.string()),
    ]
)
# What travels with a sample wherever it goes: its class, and who stands behind it (leak guard, folds).
ROWS_SCHEMA: Final = pa.schema(
    [PLAN_SCHEMA.field(name) for name in ("sample_id", "label", "source", "corpus", "subject", "photo")]
)


MEASURES = ("motion_mean_px", "motion_p95_px", "motion_mean_iod", "motion_p95_iod", "psnr", "ssim")
SAMPLES_SCHEMA = pa.schema(
    [
        *PLAN_SCHEMA,
        ("shard", pa.int32()),
        ("offset", pa.int64()),  # of the sample's first member in the shard's tar
        ("bytes", pa.int64()),  # of all its members
        ("status", pa.string()),  # ok or failed
        ("reason", pa.string()),
        *((name, pa.float64()) for name in MEASURES),  # see measure.pair.PairMeasures
    ]
)
