"""Files of weights: safetensors, with a header that describes them and holds digests that are checked on reading."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from miex import __version__
from miex.errors import InputError
from miex.stable import canonical_json, json_of
from miex.storage.local import write_whole

FORMAT = 1
Kind = Literal["recognizer", "checkpoint"]
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_DAMAGED = "the file is damaged: restore it from a copy, or delete it and train again"


def weights_digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 of names, dtypes, shapes and values, in the order of names; it does not depend on the file's layout."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(canonical_json([name, _dtype(value), list(value.shape)]).encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def forms(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Dtype and shape of each tensor, such as "float32 [3, 400]"."""
    return {name: f"{_dtype(value)} {list(value.shape)}" for name, value in tensors.items()}


def write_weights(path: Path, kind: Kind, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a file of weights, as a whole or not at all. The same header and tensors give the same bytes.

    Args:
        path: path of the file.
        kind: kind of the file; `read_weights` refuses files of the other kind.
        header: JSON values to keep with the weights.
        tensors: the weights, by name.

    Raises:
        InputError: a weight is NaN or infinite.
        OutputError: the file cannot be written.
    """
    ready = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    _finite(ready, f"{kind} {path}")
    facts = {"format": FORMAT, "kind": kind, "miex": __version__, **header, "weights_digest": weights_digest(ready)}
    text = canonical_json({**facts, "header_digest": _header_digest(facts)})
    # a single entry, because the order in which safetensors writes several differs from call to call
    write_whole(path, save(ready, {"header": text}))


def read_weights(path: Path, kind: Kind) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read header and tensors of a file that `write_weights` wrote, and check them against their digests.

    No code in the file is run.

    Raises:
        InputError: there is no such file, it is of another kind or format, it does not match its digests, or a weight
            is NaN or infinite.
    """
    asked = f"{kind} {path}"
    try:
        if not path.is_file():  # reading a pipe would wait forever
            raise FileNotFoundError("no such file")
        with safe_open(path, framework="pt") as file:
            header = json_of((file.metadata() or {}).get("header", "null"))
            if not isinstance(header, dict) or "header_digest" not in header:
                raise ValueError("no header of miex")
            _same("a header", str(header.pop("header_digest")), _header_digest(header), asked)
            # copies, so that a later change of the file cannot alter what was checked
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a dict)
    except InputError:
        raise
    except Exception as error:  # a damaged file fails in the reader in any way it likes
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            asked, expected="a file of weights that miex wrote", found=lines[0][:200],
            do="check the path; if the file is damaged, restore it from a copy, or delete it and train again",
        ) from error  # fmt: skip
    there = [header.get(name) for name in ("kind", "format", "miex")]
    if there[:2] != [kind, FORMAT]:
        raise InputError(
            asked, expected=f"a {kind} in format {FORMAT}",
            found=f"a {there[0]} in format {there[1]}, written by miex {there[2]}",
            do="give another file, or use the version of miex that wrote it",
        )  # fmt: skip
    _same("weights", str(header.get("weights_digest")), weights_digest(tensors), asked)
    _finite(tensors, asked)
    return header, tensors


def _header_digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()


def _same(what: str, stated: str, found: str, asked: str) -> None:
    if stated != found:
        raise InputError(asked, expected=f"{what} of sha256 {stated}", found=f"sha256 {found}", do=_DAMAGED)


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The first tensor in which a value is NaN or infinite, and how many are; None if all are finite."""
    for name, value in tensors.items():
        # minimum and maximum (both NaN if any value is) are found faster than all values that are not finite
        if value.dtype in FLOATS and value.numel() and not torch.isfinite(torch.stack(value.aminmax())).all():
            return f"{name}: {int((~torch.isfinite(value)).sum())} of {value.numel()} are NaN or infinite"
    return None


def _finite(tensors: Mapping[str, Tensor], asked: str) -> None:
    if found := not_finite(tensors):
        raise InputError(asked, expected="finite weights", found=found, do="train again with a smaller learning rate")


def _dtype(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")
