"""What a package of yours adds is found by name, and what is wrong with it is said."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from miex.corpora import catalog
from miex.dataset.verify import verify
from miex.errors import InputError, UsageError
from miex.generators.registry import GENERATORS, describe, generator_of, make_generator
from miex.planning.config import PlanConfig
from miex.planning.rows import build_plan
from miex.sources.expert import load_table
from miex.sources.registry import SOURCES
from tests.plan_fixture import GENERATOR, fake_index

CODE = """
from miex.corpora.readers.plain import Plain
from miex.generators.muscle import MuscleGenerator
from miex.sources.expert import ExpertSource

NUMBER = 3

class Wax(MuscleGenerator):
    name = "wax"

class Nameless(MuscleGenerator):
    pass

class Neighbors(Plain):
    name = "neighbors"

class Raising(MuscleGenerator):
    name = "raising"

    def __init__(self):
        raise ZeroDivisionError("no wax left")

class Generator:
    name = "stranger"

class Textbook(ExpertSource):
    name = "textbook"
"""
RECOGNIZER = """
from torch import nn

from miex.recognition.inputs.flow import FlowMaps
from miex.recognition.networks.base import Network

class Corner(FlowMaps):
    \"\"\"Maps of the same flow, in another hand.\"\"\"
    name = "corner"

class Linear(Network):
    citation, published, inputs = "none", "none", ("corner",)

    def __init__(self, shape, classes):
        super().__init__(shape, classes)
        self.classifier = nn.Linear(shape[0] * shape[1] * shape[2], classes)

    def forward(self, x):
        return self.classifier(x.flatten(1))
"""
ENTRIES = """
[miex.generators]
wax = my_faces:Wax
muscle = my_faces:Wax
broken = my_faces:Missing
nameless = my_faces:Nameless
raising = my_faces:Raising
stranger = my_faces:Generator
number = my_faces:NUMBER
[miex.corpora]
casme2 = my_faces:Neighbors
missing = my_faces:Missing
neighbors = my_faces:Neighbors
[miex.sources]
textbook = my_faces:Textbook
number = my_faces:NUMBER
[miex.recognizers]
linear = my_nets:Linear
number = my_faces:NUMBER
[miex.inputs]
number = my_faces:NUMBER
corner = my_nets:Corner
"""


@pytest.fixture
def my_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as pip installs it: its code, and beside it what it says of itself."""
    (tmp_path / "my_faces.py").write_text(CODE)
    (tmp_path / "my_nets.py").write_text(RECOGNIZER)
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
    assert GENERATORS.names() == ["muscle", "ganimation", "broken", "nameless", "number", "raising", "stranger", "wax"]
    assert make_generator("muscle").name == "muscle"  # miex's own names cannot be taken
    monkeypatch.setattr(catalog, "corpora", catalog.corpora.__wrapped__)  # not what was found before it was there
    assert list(catalog.corpora())[-1] == "neighbors"
    assert type(catalog.corpus_named("neighbors")).__module__ == "my_faces"
    assert SOURCES.load("textbook").name == "textbook"
    source, config = SOURCES.load("textbook")(load_table("du2014")), PlanConfig(classes=("fear", "anger"))
    plan = build_plan(config, fake_index(1), [source], GENERATOR, faces_root="")
    assert plan.rows["emotion"].to_pylist() == ["fear", "anger"]
    assert SOURCES.names()[-2:] == ["number", "textbook"]


def test_its_recognizer_learns_from_its_input_and_is_stored(my_package: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from miex.recognition.recipe import load_recipe
    from miex.recognition.recognizer import load_recognizer
    from miex.recognition.train import train
    from tests.recognition.planted import QUICK, planted

    recipe = QUICK.but(recognizer="linear", input={"name": "corner"}, samples_seen=3200)
    made = train(planted(), recipe)
    assert type(made.method).__module__ == "my_nets"
    fresh = planted(seed=1)
    assert (made.predict(fresh).argmax(1) == fresh.labels).mean() > 0.95
    made.save(tmp_path / "made")
    again = load_recognizer(tmp_path / "made")
    assert (again.weights_digest, again.recipe.takes.name) == (made.weights_digest, "corner")
    with pytest.raises(UsageError, match="input corner"):
        train(planted(), load_recipe("fixed").but(recognizer="linear"))


def test_without_it_nobody_knows_the_name() -> None:
    with pytest.raises(UsageError, match=r"generator 'wax'(.|\n)*one of muscle"):
        make_generator("wax")


def test_a_broken_package_is_named(my_package: Path) -> None:
    with pytest.raises(InputError, match=r"'broken' of my-faces(.|\n)*my_faces:Missing(.|\n)*AttributeError"):
        make_generator("broken")
    with pytest.raises(
        InputError, match=r"whose name is 'nameless'(.|\n)*named 'muscle'"
    ):  # a plan would find that one
        make_generator("nameless")


def test_what_is_of_another_kind_or_fails_is_named_with_its_package(my_package: Path) -> None:
    with pytest.raises(InputError, match=r"'raising' of my-faces(.|\n)*ZeroDivisionError: no wax left"):
        make_generator("raising")
    for name in ("stranger", "number"):
        with pytest.raises(InputError, match=rf"'{name}' of my-faces(.|\n)*subclass of miex.generators.base.Generator"):
            make_generator(name)
    with pytest.raises(InputError, match=r"'number' of my-faces(.|\n)*found: 3"):
        SOURCES.load("number")
    pytest.importorskip("torch")
    from miex.recognition.inputs.base import make_input
    from miex.recognition.method import method_class

    with pytest.raises(InputError, match=r"'number' of my-faces(.|\n)*Method\n  found: 3"):
        method_class("number")
    with pytest.raises(InputError, match=r"'number' of my-faces(.|\n)*Input\n  found: 3"):
        make_input({"name": "number"})


def test_a_broken_corpus_holds_no_other_up(my_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "corpora", catalog.corpora.__wrapped__)
    assert type(catalog.corpus_named("casme2")).__module__ == "miex.corpora.readers.casme2"
    assert catalog.corpus_named("neighbors").name == "neighbors"
    with pytest.raises(InputError, match="'missing' of my-faces"):
        catalog.corpus_named("missing")


def test_installed_into_a_fresh_environment_it_is_found_by_every_process(tmp_path: Path) -> None:
    """A wheel, pip, an environment of its own that sees miex: a set by its generator, made by two workers."""
    wheel = tmp_path / "my_faces-1.0-py3-none-any.whl"
    good = "[miex.generators]\nwax = my_faces:Wax\n[miex.corpora]\nneighbors = my_faces:Neighbors\n"
    good += "[miex.sources]\ntextbook = my_faces:Textbook\n[miex.recognizers]\nlinear = my_nets:Linear\n"
    facts = {
        "METADATA": "Metadata-Version: 2.1\nName: my-faces\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": good,
    }
    files = {"my_faces.py": CODE, "my_nets.py": RECOGNIZER}
    files |= {f"my_faces-1.0.dist-info/{name}": text for name, text in facts.items()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        record = "my_faces-1.0.dist-info/RECORD"
        archive.writestr(record, "".join(f"{name},,\n" for name in [*files, record]))
    fresh = tmp_path / "fresh"
    venv.create(fresh, with_pip=False, symlinks=True)
    python = next(path for path in (fresh / "bin" / "python", fresh / "Scripts" / "python.exe") if path.exists())
    (site,) = fresh.glob("**/site-packages")
    (site / "miex-as-here.pth").write_text("".join(f"{path}\n" for path in sys.path if path))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(python)]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", str(wheel)], check=True)
    out = tmp_path / "set"
    asked = ["synthesize", "--out", str(out), "--ids", "2", "--size", "64", "--generator", "wax", "--workers", "2"]
    subprocess.run([python, "-m", "miex", *asked, "--shard-size", "3"], check=True, timeout=300)
    settings = json.loads((out / "plan.json").read_text())["settings"]
    assert settings["generator"]["name"] == "wax"
    assert verify(out).problems == ()
    listed = subprocess.run([python, "-m", "miex", "corpora", "list", "--json"], check=True, capture_output=True)
    assert "neighbors" in {row["name"] for row in json.loads(listed.stdout)}
    here = subprocess.run([sys.executable, "-m", "miex", "corpora", "list", "--json"], check=True, capture_output=True)
    assert "neighbors" not in here.stdout.decode()
