"""What readers of a set rely on in its plan.json and in the records of its shards, whoever wrote them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from miex.dataset.frames import FrameFormat
from miex.errors import first_wrong

MOST_SIDE = 1024  # of frames, pixels
MOST_PER_SHARD = 100_000  # samples whose record is still read

_Place = Annotated[int, Field(ge=0, lt=2**63)]


class _Made(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, float | str | None]  # its measures
    sample_id: str
    offset: _Place
    bytes: _Place
    crc32: Annotated[int, Field(ge=0, lt=2**32)]


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


class _Settings(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    size: Annotated[int, Field(ge=1, le=MOST_SIDE)]
    shard_size: Annotated[int, Field(ge=1, le=MOST_PER_SHARD)]
    frame_format: FrameFormat
    generator: _Generator


class _PlanRecord(BaseModel):
    """plan.json: what every reader of a set relies on."""

    model_config = ConfigDict(strict=True)
    format: int
    digests: _Digests
    rows: _Count
    frames: _Count
    settings: _Settings
    config: dict[str, Any]
    faces_root: str
    versions: dict[str, str]


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
