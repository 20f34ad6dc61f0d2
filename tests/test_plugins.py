"""What a package of yours adds is found by name, and what is wrong with it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from miex.corpora import catalog
from miex.errors import InputError, UsageError
from miex.generators.registry import GENERATORS, describe, generator_of, make_generator
from miex.sources.registry import SOURCES

CODE = """
from miex.corpora.readers.plain import Plain
from miex.generators.muscle import MuscleGenerator
from miex.sources.expert import ExpertSource

class Wax(MuscleGenerator):
    name = "wax"

class Neighbors(Plain):
    name = "neighbors"

class Textbook(ExpertSource):
    name = "textbook"
"""
ENTRIES = """
[miex.generators]
wax = my_faces:Wax
muscle = my_faces:Wax
broken = my_faces:Missing
[miex.corpora]
neighbors = my_faces:Neighbors
[miex.sources]
textbook = my_faces:Textbook
"""


@pytest.fixture
def my_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as pip installs it: its code, and beside it what it says of itself."""
    (tmp_path / "my_faces.py").write_text(CODE)
    facts = tmp_path / "my_faces-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my-faces\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_its_generator_corpus_and_source_are_found_by_name(my_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_generator("wax")
    assert (type(made).__module__, made.name) == ("my_faces", "wax")
    assert generator_of(describe(made)).settings == made.settings
    assert GENERATORS.names() == ["muscle", "broken", "wax"]
    assert make_generator("muscle").name == "muscle"  # miex's own names cannot be taken
    monkeypatch.setattr(catalog, "corpora", catalog.corpora.__wrapped__)  # not what was found before it was there
    assert list(catalog.corpora())[-1] == "neighbors"
    assert type(catalog.corpus_named("neighbors")).__module__ == "my_faces"
    assert SOURCES.load("textbook").name == "textbook"
    assert SOURCES.names()[-1] == "textbook"


def test_without_it_nobody_knows_the_name() -> None:
    with pytest.raises(UsageError, match=r"generator 'wax'(.|\n)*one of muscle"):
        make_generator("wax")


def test_a_broken_package_is_named(my_package: Path) -> None:
    with pytest.raises(InputError, match=r"'broken' of my-faces(.|\n)*my_faces:Missing(.|\n)*AttributeError"):
        make_generator("broken")
