"""The columns of sets and exports as Hugging Face's `datasets` describes them: its features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from miex.dataset.frames import SUFFIX, FrameFormat
from miex.labels import Label
from miex.nuisances.columns import NUISANCES

Feature = dict[str, Any]
IMAGE: Final[Feature] = {"_type": "Image"}
LABEL: Final[Feature] = {"names": [label.name for label in Label], "_type": "ClassLabel"}


def feature_of(kind: pa.DataType) -> Feature:
    """A column of an Arrow type, in the form that is kept in Parquet files."""
    if pa.types.is_fixed_size_list(kind):
        return {"feature": feature_of(kind.value_type), "length": kind.list_size, "_type": "Sequence"}
    if pa.types.is_list(kind):
        return {"feature": feature_of(kind.value_type), "_type": "Sequence"}
    names = {"float": "float32", "double": "float64"}
    return {"dtype": names.get(str(kind), str(kind)), "_type": "Value"}


def members_of(frame_format: FrameFormat, n_frames: int, *, labels: bool) -> list[dict[str, Any]]:
    """The members of a sample in a tar, one column each, in the form that stands in the header of a README.md.

    They are declared, since samples have different numbers of frames, and know different things of themselves.

    Args:
        frame_format: of the set.
        n_frames: the most that a sample has.
        labels: whether a member `.cls` holds the label.
    """
    suffix = SUFFIX[frame_format].lstrip(".")
    text, truth, whole = (feature_of(kind) for kind in (pa.string(), pa.bool_(), pa.int64()))
    number = feature_of(pa.float32())
    vectors = {"feature": {"feature": number, "_type": "Sequence"}, "_type": "Sequence"}
    described: dict[str, Any] = {
        "sample_id": text, "label": text, "label_index": whole, "emotion": text, "source": text, "apex": whole,
        "au_numbers": {"feature": whole, "_type": "Sequence"}, "aus": vectors, "rendered_left": vectors,
        "rendered_right": vectors, "sides": {"feature": whole, "_type": "Sequence"},
        "also_seen": {"feature": text, "_type": "Sequence"}, "identity": text, "photo": text,
        "virtual": truth, "corpus": text, "subject": text, "clip": text, "onset_frame": whole,
        "apex_frame": whole, "mixture": number,
        "nuisances": {one.name: _free(feature_of(one.type)) for one in NUISANCES}, "kind": text,
        "person": text, "licence": text, "attribution": text, "synthetic": truth, "generator": text,
    }  # fmt: skip
    columns = {f"{i:03d}.{suffix}": IMAGE for i in range(n_frames)} | ({"cls": LABEL} if labels else {})
    return _listed({**columns, "json": described, "__key__": text, "__url__": text})


def _free(feature: Feature) -> Feature:
    """The same without lengths, which JSON does not have."""
    if "feature" not in feature:
        return feature
    return {"feature": _free(feature["feature"]), "_type": "Sequence"}


def _listed(features: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, **_in_yaml(feature)} for name, feature in features.items()]


def _in_yaml(feature: Feature) -> dict[str, Any]:
    kind = feature.get("_type")
    if kind == "Value":
        return {"dtype": feature["dtype"]}
    if kind == "Image":
        return {"dtype": "image"}
    if kind == "ClassLabel":
        return {"dtype": {"class_label": {"names": {str(i): name for i, name in enumerate(feature["names"])}}}}
    if kind == "Sequence":
        inner = _in_yaml(feature["feature"])
        return {"sequence": inner["dtype"] if isinstance(inner.get("dtype"), str) else inner}
    return {"struct": _listed(feature)}
