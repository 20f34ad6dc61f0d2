"""A file of weights that claims more than it holds is refused, before memory is taken for a tensor."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from miex.errors import InputError  # noqa: E402
from miex.generators.ganimation.checkpoints import inspect  # noqa: E402
from miex.storage.weights import read_weights, write_weights  # noqa: E402


@pytest.mark.parametrize(
    ("facts", "claimed"),
    [
        ({"shape": [2**40, 2]}, None),
        ({"shape": [2**40, 2], "data_offsets": [0, 2**43]}, None),
        ({"shape": [2**32, 2**32], "data_offsets": [0, 0]}, None),
        ({"shape": [0, 2**63], "data_offsets": [0, 48]}, None),
        ({"data_offsets": [0, 10**12]}, None),
        ({"data_offsets": [-1, 47]}, None),
        ({"data_offsets": [48, 0]}, None),
        ({"dtype": "F64"}, None),
        ({}, 2**31),
        ({}, 2**64 - 1),
    ],
)
def test_weights_that_claim_more_than_the_file_holds(
    facts: dict[str, Any], claimed: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.safetensors"
    write_weights(path, "checkpoint", {}, {"a": torch.ones(3, 4)})
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    header["a"] |= facts
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if claimed is None else claimed) + text + content[8 + size :])
    monkeypatch.setattr("torch.Tensor.clone", lambda *_: pytest.fail("a tensor is made"))
    with pytest.raises(InputError, match=r"x\.safetensors"):
        read_weights(path, "checkpoint")
    assert inspect(path).problems


def test_a_header_is_proven_before_memory_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    write_weights(path, "checkpoint", {"epoch": 3}, {"a": torch.ones(3, 4)})
    path.write_bytes(path.read_bytes().replace(b'epoch\\":3', b'epoch\\":4'))
    monkeypatch.setattr("torch.Tensor.clone", lambda *_: pytest.fail("a tensor is made"))
    with pytest.raises(InputError, match="a header of sha256"):
        read_weights(path, "checkpoint")
