"""The list of recognizers says what each takes, and how many parameters it has beside the published number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import miex
from miex.recognition.method import METHODS, make_method
from miex.recognition.recipe import load_recipe
from tests.support import facts


def test_every_recognizer_is_listed_with_its_own_recipe(tmp_path: Path) -> None:
    found = {one.name: one for one in miex.recognizers().recognizers}
    assert list(found) == METHODS.names()
    for name in ("ststnet", "branches"):
        assert found[name].parameters == make_method(load_recipe(found[name].recipe), 3).parameter_count
        assert f"{found[name].parameters:,}" in found[name].published
    assert found["branches"].input == "pair 2 × 224 × 224 × 3"
    assert found["branches"].backbones[0] == "resnet18"
    listed = facts("recognizers", "--out", tmp_path)["recognizers"]
    assert listed == json.loads(json.dumps([vars(one) for one in found.values()]))
    assert "22,488,451" in (tmp_path / "recognizers.md").read_text()
