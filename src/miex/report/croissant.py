"""croissant.json of a set: what its files and columns are, for programs. Croissant 1.1, a vocabulary of JSON-LD 1.1."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

import pyarrow as pa

from miex.dataset import Dataset
from miex.dataset.card_parts import USES
from miex.dataset.description import generator_text
from miex.dataset.frames import MIME, STATEMENT, SUFFIX
from miex.dataset.plan_file import FACES_FILE, PLAN_FILE
from miex.dataset.samples import SAMPLES_FILE
from miex.dataset.schema import FACES_COLUMNS, PLAN_COLUMNS, RESULT_COLUMNS, Column
from miex.dataset.shard import SHARDS
from miex.storage.base import Storage, as_input_errors

_PARQUET = "application/x-parquet"
_METHOD = "Liu, Wang, Gedeon & Zheng: How to Synthesize a Large-Scale and Trainable Micro-Expression Dataset? ECCV 2022"
# The context of the specification: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(dataset: Dataset) -> str:
    """The text of croissant.json: JSON with the files of a set, their digests, and every column with its meaning.

    `mlcroissant validate` accepts it, and `mlcroissant.Dataset(…).records("samples")` reads it. Frames are declared as
    files, not as records: mlcroissant unpacks a tar into a folder that it names by the relative path of the tar alone,
    so that frames of one set could be taken for those of another. It holds no date, link or author: add
    `datePublished`, `url` and `creator` when you publish the set.
    """
    record = dataset.record
    settings, digest = record["settings"], record["digests"]["plan"]
    suffix = SUFFIX[settings["frame_format"]]
    files = {
        SAMPLES_FILE: "samples: the plan, and where each sample is stored, with its measures",
        FACES_FILE: "identities: photo, crop, pose, licence, attribution",
        PLAN_FILE: "the plan that the set was made from",
    }
    return json.dumps(
        {
            "@context": _CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
            "name": dataset.storage.name,
            "description": f"{STATEMENT} {len(dataset):,} samples, each with frames, AU vectors of every frame, and a "
            "label; every frame is marked as synthetic in its metadata (IPTC digital source type).",
            "version": f"1.0.0+{digest[:12]}",
            "license": _licences(dataset),
            "citeAs": _METHOD,
            "keywords": ["micro-expressions", "facial action units", "faces", "synthetic data"],
            "rai:dataCollection": f"Synthesized by miex {record['versions'].get('miex', '')}, generator "
            f"{generator_text(settings)}, from photos of faces and vectors of "
            f"action units; plan {digest}.",
            "rai:dataUseCases": USES[0],
            "rai:dataLimitations": USES[1],
            "rai:personalSensitiveInformation": "Faces of people, whose photos keep their licences and attributions "
            f"({FACES_FILE}); expressions that they did not make.",
            "distribution": [
                *(_file(dataset.storage, name, meaning) for name, meaning in files.items()),
                _files("shards", f"{SHARDS}/*.tar", "application/x-tar", "members of each sample, in WebDataset form"),
                _files("images", f"*{suffix}", MIME[suffix], "frames, each marked as synthetic", inside="shards"),
            ],
            "recordSet": [
                _table("samples", SAMPLES_FILE, (*PLAN_COLUMNS, *RESULT_COLUMNS), "sample_id"),
                _table("faces", FACES_FILE, FACES_COLUMNS, "identity"),
            ],
        },
        indent=1,
        ensure_ascii=False,
    )


def _licences(dataset: Dataset) -> list[str]:
    """Of the faces, and of the corpora that AUs come from."""
    corpora = (
        facts["licence"]
        for settings in dataset.record["config"]["sources"].values()
        for facts in settings.get("corpora", ())
    )
    stated = {licence or "not stated" for licence in (*dataset.identities["licence"].to_pylist(), *corpora)}
    return sorted(stated) or ["not stated"]


def _file(storage: Storage, name: str, meaning: str) -> dict[str, Any]:
    with as_input_errors(f"reading {name} of {storage.address}"), storage.open(name) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # BinaryIO has readinto
    return {
        "@type": "cr:FileObject", "@id": name, "name": name, "description": meaning, "contentUrl": name,
        "contentSize": f"{storage.size(name)} B", "encodingFormat": _PARQUET, "sha256": digest,
    }  # fmt: skip


def _files(name: str, pattern: str, kind: str, meaning: str, *, inside: str | None = None) -> dict[str, Any]:
    where = {} if inside is None else {"containedIn": {"@id": inside}}
    return {
        "@type": "cr:FileSet", "@id": name, "name": name, "description": meaning, **where, "encodingFormat": kind,
        "includes": pattern,
    }  # fmt: skip


def _table(name: str, file: str, columns: Iterable[Column], key: str) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "key": {"@id": f"{name}/{key}"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column.name}",
                "name": column.name,
                "description": column.meaning,
                **_type(column.type),
                "source": {"fileObject": {"@id": file}, "extract": {"column": column.name}},
            }
            for column in columns
        ],
    }


def _type(kind: pa.DataType) -> dict[str, Any]:
    """Type and shape of a column's values."""
    shape = []
    while pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        shape.append(str(kind.list_size) if pa.types.is_fixed_size_list(kind) else "-1")
        kind = kind.value_type
    names = (
        (pa.types.is_string, "sc:Text"),
        (pa.types.is_boolean, "sc:Boolean"),
        (pa.types.is_integer, "sc:Integer"),
        (pa.types.is_floating, "sc:Float"),
    )
    found = {"dataType": next(name for fits, name in names if fits(kind))}
    return {**found, "isArray": True, "arrayShape": ",".join(shape)} if shape else found
