"""What is known of a file of weights by its sha256 (weights.toml)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from miex.errors import InputError, first_wrong
from miex.storage.documents import MOST_TEXT, read_bytes, toml_of

MANIFEST = Path(__file__).with_name("weights.toml")


class KnownWeights(BaseModel):
    """An entry of a manifest; weights.toml says what its fields are."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    name: str
    family: Literal["original", "replicate"]
    licence: str
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    origin: str


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    weights: list[KnownWeights]


def known_weights(sha256: str, file: Path) -> KnownWeights | None:
    """What is known of a file: by miex, or by the weights.toml beside it; None if that is nothing.

    Raises:
        InputError: that weights.toml is not one.
    """
    beside = file.with_name(MANIFEST.name)
    for manifest in (MANIFEST, *([beside] if beside.is_file() else [])):
        for entry in _read(manifest).weights:
            if entry.sha256 == sha256:
                return entry
    return None


def _read(path: Path) -> _Manifest:
    asked = f"description of weights {path}"
    try:
        return _Manifest.model_validate(toml_of(read_bytes(path, MOST_TEXT)))
    except ValidationError as error:
        wrong = first_wrong(error)
        raise InputError(f"{asked}, {wrong.where}", expected=wrong.expected, found=wrong.found) from error
    except (OSError, ValueError) as error:
        raise InputError(asked, expected="TOML", found=str(error)) from error
