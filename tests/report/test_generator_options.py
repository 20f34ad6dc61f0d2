"""A set says which generator made it, with the options that are not as by default, wherever it names the generator."""

from __future__ import annotations

from pathlib import Path

import pytest

import miex
from miex.errors import InputError, OutputError
from miex.generators.muscle import MuscleGenerator
from miex.generators.registry import describe, generator_of
from miex.storage.local import Folder

FEW = {"ids": 1, "size": 32, "nuisances": "off", "classes": ["surprise"]}


def test_a_set_names_the_options_of_its_generator(tmp_path: Path, model: Path) -> None:
    made = miex.synthesize(tmp_path, generator_options={"basis": "mixed"}, landmarker=model, **FEW)  # type: ignore[arg-type]
    said = f"muscle {MuscleGenerator.version}, basis=mixed"
    assert made[0].provenance["generator"] == said
    assert said in repr(made)
    folder = Folder(tmp_path)
    for page in ("README.md", "gallery.html", "croissant.json"):
        assert said in folder.read(page).decode(), page
    miex.export(made, tmp_path / "maps", to="huggingface")
    assert said in (tmp_path / "maps/README.md").read_text("utf-8")
    with pytest.raises(OutputError, match="generator_option basis: mixed → the default"):
        miex.synthesize(tmp_path, landmarker=model, **FEW)  # type: ignore[arg-type]


def test_what_is_as_by_default_is_not_named() -> None:
    assert "options" not in describe(MuscleGenerator())
    assert "options" not in describe(MuscleGenerator(basis="anatomy"))
    told = describe(MuscleGenerator(basis="mixed"))
    assert told["options"] == {"basis": "mixed"}
    assert generator_of(told).settings == told["settings"]
    with pytest.raises(InputError, match=r"options\.basis"):
        generator_of({**told, "options": {"basis": "blendshapes"}})
