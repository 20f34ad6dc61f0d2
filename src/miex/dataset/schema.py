"""The columns of all tables of a set: name, type and meaning. Tables, cards and exports are made from these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from miex.aus.vector import N_AUS, SIDES, AUArray, on_sides
from miex.nuisances.columns import NUISANCES


class Column(NamedTuple):
    """One column of a table; `meaning` with units and index base."""

    name: str
    type: pa.DataType
    meaning: str


_TEXT = pa.string()
_AUS = pa.list_(pa.list_(pa.float32(), N_AUS))  # one vector per frame
PLAN_COLUMNS: Final = (
    Column(
        "sample_id",
        _TEXT,
        "identity-source-class-round; the class is a label or, in a set planned by emotion, an emotion",
    ),
    Column("round", pa.int32(), "number of the sample among those of its identity, source and class, from 0"),
    Column("identity", _TEXT, "the face that is shown"),
    Column(
        "photo",
        _TEXT,
        "first 16 digits of the photo's sha256; shared by virtual identities from one photo: split sets by it",
    ),
    Column("source", _TEXT, "source of the AUs: real_mie, early_mae, coded_mie or expert"),
    Column("label", pa.int8(), "0 negative, 1 positive, 2 surprise"),
    Column(
        "emotion",
        _TEXT,
        "the finer category that was drawn, such as happiness or disgust; negative where its source knows no finer one",
    ),
    Column("corpus", _TEXT, "corpus that the AUs come from; null for the expert source"),
    Column("subject", _TEXT, "subject of that corpus"),
    Column("clip", _TEXT, "clip of that subject"),
    Column("onset_frame", pa.int32(), "onset in that clip, 0-based; null if unknown"),
    Column("apex_frame", pa.int32(), "apex in that clip, 0-based"),
    Column("apex", pa.int16(), "index of the apex among the sample's own frames, 0-based"),
    Column("aus", _AUS, "coded AUs, as their source drew them: intensities in [0, 1], one vector of 17 per frame"),
    Column(
        "sides",
        pa.list_(pa.int8(), N_AUS),
        "for each of the 17 AUs, the side on which alone it is coded: 1 the person's left, −1 the right, 0 both; null "
        "where all are on both",
    ),
    Column("seed", pa.uint64(), "random seed of this sample"),
    Column(
        "mixture",
        pa.float32(),
        "share of the second way to move a face, in [0, 1], in a set whose generator mixes two (muscle: blendshapes "
        "beside the anatomy); null in others",
    ),
    *(Column(n.name, n.type, f"nuisance: {n.meaning}; null if off") for n in NUISANCES),
    Column(
        "rendered_left",
        _AUS,
        "AUs that the person's left side performs: the coded ones as nuisances change them, blinks and other muscles; "
        "form and range as in aus",
    ),
    Column("rendered_right", _AUS, "the same of the person's right side"),
)
FACES_COLUMNS: Final = (
    Column("identity", _TEXT, "id of the identity"),
    Column("path", _TEXT, "path of the photo, relative to the folder of photos"),
    Column("sha256", _TEXT, "sha256 of the photo"),
    Column("width", pa.int32(), "width of the photo, pixels"),
    Column("height", pa.int32(), "height of the photo, pixels"),
    Column("landmarks", pa.list_(pa.float32()), "478 × (x, y, z), photo pixels, rounded to 1/64"),
    Column("yaw", pa.float32(), "yaw of the head, degrees"),
    Column("pitch", pa.float32(), "pitch of the head, degrees"),
    Column("roll", pa.float32(), "roll of the head, degrees"),
    Column("crop_x", pa.float64(), "center of the crop, photo pixels"),
    Column("crop_y", pa.float64(), "center of the crop, photo pixels"),
    Column("crop_side", pa.float64(), "side of the crop, photo pixels"),
    Column("crop_roll", pa.float64(), "roll of the crop, radians"),
    Column(
        "virtual",
        pa.bool_(),
        "whether the photo's face is changed; to a face recognizer still the same person",
    ),
    Column("virtual_seed", pa.uint64(), "seed of that change; null where there is none"),
    Column("kind", _TEXT, "kind of the photo, real or synthetic, if its list says so"),
    Column("person", _TEXT, "person in the photo, if its list says so"),
    Column("licence", _TEXT, "licence of the photo"),
    Column("attribution", _TEXT, "attribution of the photo"),
)
MEASURE_COLUMNS: Final = (
    Column("motion_mean_px", pa.float64(), "length of the motion onset → apex, mean over the face, pixels"),
    Column("motion_p95_px", pa.float64(), "the same, 95th percentile"),
    Column("motion_mean_iod", pa.float64(), "the mean in inter-ocular distances"),
    Column("motion_p95_iod", pa.float64(), "the percentile in inter-ocular distances"),
    Column("motion_from", _TEXT, "field: the generator's own displacement; flow: the optical flow of the frames"),
    Column("psnr", pa.float64(), "peak signal-to-noise ratio of the gray pair, dB; null if only colors differ"),
    Column("ssim", pa.float64(), "structural similarity of the gray pair"),
)
RESULT_COLUMNS: Final = (
    Column("shard", pa.int32(), "number of the shard that holds the sample, from 0"),
    Column("offset", pa.int64(), "place of its first member in the tar of that shard, bytes"),
    Column("bytes", pa.int64(), "size of all its members"),
    Column("crc32", pa.uint32(), "CRC-32 of these bytes"),
    Column("status", _TEXT, "ok or failed"),
    Column("reason", _TEXT, "why the sample could not be made"),
    *MEASURE_COLUMNS,
)


AU_COLUMNS: Final = ("aus", *(f"rendered_{side}" for side in SIDES))  # coded, and as rendered on each side


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


def rendered_aus(row: Mapping[str, Any]) -> AUArray:
    """The AUs that the face performs in a row of a plan, nuisances included, float32 [n, 17, 2] in [0, 1].

    The last axis is the person's left and right side. `row["aus"]` holds the coded ones alone.
    """
    # not np.stack, which takes twice as long
    return np.array([row[f"rendered_{side}"] for side in SIDES], np.float32).transpose(1, 2, 0).copy()


def coded_aus(row: Mapping[str, Any]) -> AUArray:
    """The coded AUs of a row of a plan on the sides that they are coded on, float32 [n, 17, 2] in [0, 1]."""
    return on_sides(row["aus"], row["sides"])
