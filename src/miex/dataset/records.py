"""What readers of a set rely on in its plan.json, in the records of its shards, and in the descriptions of its samples,
whoever wrote them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from miex.aus.vector import AU_NUMBERS
from miex.dataset.frames import FrameFormat
from miex.errors import first_wrong
from miex.tables.written import visible

MOST_SIDE = 1024  # of frames, pixels
MOST_PER_SHARD = 100_000  # samples whose record is still read

_MOST_PATH = 4096  # characters
MOST_MEASURED = 1e6  # of pixels, decibels …: no measure of a frame comes near

_Measure = Annotated[float, Field(ge=-MOST_MEASURED, le=MOST_MEASURED)] | None
_Place = Annotated[int, Field(ge=0, lt=2**63)]


class _Made(BaseModel):
    """A sample that was made, with the MEASURE_COLUMNS."""

    model_config = ConfigDict(extra="forbid", strict=True)
    sample_id: str
    offset: _Place
    bytes: _Place
    crc32: Annotated[int, Field(ge=0, lt=2**32)]
    motion_mean_px: _Measure = None
    motion_p95_px: _Measure = None
    motion_mean_iod: _Measure = None
    motion_p95_iod: _Measure = None
    motion_from: str | None = None
    psnr: _Measure = None
    ssim: _Measure = None


class _Failed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    sample_id: str
    reason: str


class _ShardRecord(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    shard: Annotated[int, Field(ge=0)]
    plan: str
    rows: Annotated[int, Field(ge=0)]
    sha256: str
    bytes: _Place
    samples: list[_Made]
    failed: list[_Failed]


_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Count = Annotated[int, Field(ge=0)]


class _Digests(BaseModel):
    model_config = ConfigDict(strict=True)
    plan: _Digest
    rows: _Digest
    faces: _Digest
    settings: _Digest


class _Generator(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    name: str
    version: str | int
    settings: dict[str, Any]
    options: dict[str, str | int | float | bool | None] = {}


_Share = Annotated[float, Field(ge=0, le=1)]  # of a frame's side, or an intensity


class _Settings(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    size: Annotated[int, Field(ge=1, le=MOST_SIDE)]
    eye_line: _Share
    eye_mouth: _Share
    shard_size: Annotated[int, Field(ge=1, le=MOST_PER_SHARD)]
    frame_format: FrameFormat
    faces_version: int
    generator: _Generator


class _Corpus(BaseModel):
    """Where real AUs come from, as cards and pages tell it."""

    model_config = ConfigDict(extra="allow", strict=True)
    corpus: str
    clips: _Count
    subjects: _Count
    licence: str | None
    attribution: str | None
    extractor: str | None = None
    version: str | None = None
    unseen_aus: list[int] | None = None

    @model_validator(mode="after")
    def _of_an_extractor(self) -> Self:
        if "extractor" in self.model_fields_set and None in (self.extractor, self.version, self.unseen_aus):
            raise ValueError("extractor, version and unseen_aus, all of them or none")
        return self


class _Source(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    corpora: list[_Corpus] = []
    table: str = ""
    mu: _Share | None = None
    nu: _Share | None = None
    spread: _Share | None = None

    @model_validator(mode="after")
    def _of_a_table(self) -> Self:
        if self.table and None in (self.mu, self.nu):
            raise ValueError("table, mu and nu, all of them or none")
        return self


class _Config(BaseModel):
    """What was asked for: cards and pages tell it."""

    model_config = ConfigDict(extra="allow", strict=True)
    classes: Annotated[list[str], Field(min_length=1)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    frames: Annotated[int, Field(ge=2)] | Literal["all"]
    until: Literal["apex", "offset"]
    fps: Annotated[float, Field(gt=0, le=1000)]
    nuisances: str
    sources: dict[str, _Source]


_Package = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\z")]
_Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]*\z", max_length=100)]


def _folder(path: str) -> str:
    if not is_folder(path):
        raise ValueError("an absolute path, or an address in a bucket")
    return path


class _PlanRecord(BaseModel):
    """plan.json: what every reader of a set relies on."""

    model_config = ConfigDict(strict=True)
    format: int
    digests: _Digests
    rows: _Count
    frames: _Count
    settings: _Settings
    config: _Config
    faces_root: Annotated[str, AfterValidator(_folder)]
    versions: dict[_Package, _Version]

    @field_validator("versions")
    @classmethod
    def _of_miex(cls, versions: dict[str, str]) -> dict[str, str]:
        if "miex" not in versions:
            raise ValueError("one of miex")
        return versions


_Vector = Annotated[list[_Share], Field(min_length=len(AU_NUMBERS), max_length=len(AU_NUMBERS))]


class _Description(BaseModel):
    """The .json member of a sample."""

    model_config = ConfigDict(extra="allow", strict=True)
    sample_id: str
    label: str
    label_index: int
    emotion: str
    source: str
    identity: str
    photo: str
    apex: int
    au_numbers: list[int]
    aus: list[_Vector]
    rendered_left: list[_Vector]
    rendered_right: list[_Vector]
    sides: list[Literal[-1, 0, 1]] | None = None
    also_seen: list[str]
    virtual: bool
    nuisances: dict[str, Any]
    kind: str = ""
    person: str = ""
    licence: str = ""
    attribution: str = ""
    synthetic: Literal[True]
    generator: str


def is_folder(path: str) -> bool:
    """Whether a text can be the path of a folder on some system, or its address in a bucket: pages and messages show
    it."""
    whole = PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute() or re.match(r"[a-z0-9]+://.", path)
    return (
        bool(whole)
        and len(path) <= _MOST_PATH
        and not re.search(r"[\t\n\ud800-\udfff]", path)
        and visible(path) == path
    )


def prove_description(description: Any) -> None:
    """Raises ValueError for what describes no sample."""
    try:
        _prove(_Description, description)
    except ValueError as error:
        raise ValueError(f"description, {error}") from error


def prove_plan_record(record: Any) -> None:
    """Raises ValueError for what is no plan.json."""
    _prove(_PlanRecord, record)


def prove_shard_record(record: Any) -> None:
    """Raises ValueError for what is no record of a shard."""
    _prove(_ShardRecord, record)


def _prove(model: type[BaseModel], record: Any) -> None:
    try:
        model.model_validate(record)
    except ValidationError as error:
        wrong = first_wrong(error)
        raise ValueError(f"{wrong.where}: {wrong.found}, expected {wrong.expected}") from error
