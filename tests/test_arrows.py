"""The house's arrows: who may import whom, and what a plain import may cost."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import miex

SOURCE = Path(miex.__file__).parent
# What must load nothing of any room, and what everyone may load.
GROUND = {
    "arguments", "errors", "labels", "stable", "unpacked", "images", "executors", "storage", "easing", "figures",
    "plugins", "tables", "compiled",
}  # fmt: skip
# What each room may load beside itself and the ground, by itself or through others; a whole room, or some of its files.
MAY_LOAD: dict[str, set[str]] = {
    **{name: set() for name in sorted(GROUND)},
    "aus": set(),
    "faces": set(),
    "corpora": {"aus"},
    "nuisances": {"aus", "generators.grid"},
    "generators": {"aus", "faces"},
    "dataset": {"aus", "nuisances.columns"},
    "extraction": {"aus", "corpora", "faces", "generators"},
    "sources": {"aus", "corpora"},
    "planning": {"aus", "corpora", "dataset", "faces", "generators.grid", "nuisances", "sources"},
    "synthesis": {"aus", "corpora", "dataset", "faces", "generators", "nuisances", "planning", "sources"},
    "recognition": {"aus", "corpora", "dataset", "faces", "nuisances.columns"},
    "generator_training": {"aus", "corpora", "dataset", "extraction", "faces", "generators", "nuisances"},
    "evaluation": {"corpora.people"},
    "quality": {"aus", "corpora", "dataset", "extraction", "faces", "generators", "nuisances"},
    "report": {
        "aus",
        "corpora",
        "dataset",
        "extraction",
        "faces",
        "generators",
        "nuisances",
        "quality",
        "sources",
        "easing",
    },
    "web": {"aus", "corpora", "dataset", "faces", "generators", "nuisances", "planning", "sources", "synthesis"},
    "experiments": {
        "aus",
        "corpora",
        "dataset",
        "evaluation",
        "extraction",
        "faces",
        "generators",
        "nuisances",
        "quality",
        "recognition",
    },
}
# The two rooms on top, which may load every other.
FREE = {"api", "commands", "__init__", "__main__"}
# Where names of `miex.api` may be had from below it, when they are asked for: what `import miex` offers.
DOORS = {"miex", "miex.corpora"}
MOST_FOR_READING = 20  # modules of miex that `import miex.dataset` may load: each worker of a torch loader starts by it
# What takes long to load, or belongs to an extra
HEAVY = {
    "torch", "cv2", "mediapipe", "ray", "pyarrow", "numpy", "obstore", "scipy", "numba", "matplotlib", "pydantic",
    "starlette", "uvicorn", "anyio",
}  # fmt: skip


def imports(path: Path) -> set[str]:
    return names(ast.parse(path.read_text()))


def names(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").parts[0]


FILES = sorted(SOURCE.rglob("*.py"))


def loaded(*modules: str) -> set[str]:
    """Every module that is there after these were imported by a fresh interpreter."""
    code = f"import sys\nfor name in {modules!r}: __import__(name)\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def module(path: Path) -> str:
    return ".".join(("miex", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


def test_every_room_is_known() -> None:
    assert {room(path) for path in FILES} <= MAY_LOAD.keys() | FREE


@pytest.fixture(scope="module")
def loaded_by_room() -> dict[str, set[str]]:
    """The modules of miex that are there after those of a room were imported, and none before.

    One interpreter does it room by room: what is not of miex stays, for to load it takes the time.
    """
    rooms = {name: sorted({module(path) for path in FILES if room(path) == name}) for name in sorted(MAY_LOAD)}
    code = """
import json, sys
found = {}
for room, modules in json.load(sys.stdin).items():
    for name in [name for name in sys.modules if name.split(".")[0] == "miex"]:
        del sys.modules[name]
    for name in modules:
        try:
            __import__(name)
        except ModuleNotFoundError as error:  # in an environment without extras
            if error.name not in ("torch", "ray", "obstore", "safetensors", "starlette", "uvicorn"):
                raise
    found[room] = [name for name in sys.modules if name.startswith("miex.")]
print(json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(rooms), capture_output=True, text=True, check=True
    )
    return {name: set(modules) for name, modules in json.loads(done.stdout).items()}


@pytest.mark.parametrize("name", sorted(MAY_LOAD))
def test_a_room_loads_only_what_it_stands_on(loaded_by_room: dict[str, set[str]], name: str) -> None:
    found = {module.removeprefix("miex.") for module in loaded_by_room[name]}
    assert name in found
    may = MAY_LOAD[name] | GROUND | {name}
    # a package is loaded with any file in it
    packages = {entry.split(".")[0] for entry in may}
    odd = {n for n in found if n not in packages and not any(n == m or n.startswith(f"{m}.") for m in may)}
    assert not odd


def test_reading_a_set_loads_neither_what_made_it_nor_what_learns_from_it() -> None:
    modules = loaded("miex.dataset")
    others = {"miex.generators", "miex.synthesis", "miex.planning", "miex.api"}
    assert not (HEAVY - {"numpy", "pyarrow", "cv2"} | {"webbrowser", *others}) & modules
    assert len([name for name in modules if name.split(".")[0] == "miex"]) <= MOST_FOR_READING


def test_files_import_each_other_in_no_circle() -> None:
    files = {module(path): path for path in FILES}
    arrows = {}
    for file, path in files.items():
        at_once = ast.Module([node for node in ast.parse(path.read_text()).body if "Import" in type(node).__name__], [])
        # what is imported is a file, or something in one
        arrows[file] = {n if n in files else n.rpartition(".")[0] for n in names(at_once)} & files.keys()
    TopologicalSorter(arrows).prepare()  # raises CycleError


def test_only_commands_stand_on_the_api_and_nothing_on_commands() -> None:
    users: dict[str, set[str]] = {"api": set(), "commands": set()}
    for path in FILES:
        for name in users:
            if any(used.startswith(f"miex.{name}.") for used in imports(path)):
                users[name].add("commands" if room(path) == "commands" else module(path))
    assert users["api"] - {n for n in users["api"] if n.startswith("miex.api")} == {"commands", *DOORS}
    assert users["commands"] == {"commands", "miex.__main__"}


@pytest.mark.parametrize("command", ["", "; dir(miex)", "; miex.commands.main.app(['--help'], standalone_mode=False)"])
def test_the_start_is_light(command: str) -> None:
    code = f"import sys, miex, miex.commands.main{command}; print(); print(sorted({HEAVY} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_only_torch_files_import_torch() -> None:
    users = {module(p) for p in FILES if any(name.split(".")[0] == "torch" for name in imports(p))}
    needed = {"imagenet", "loader", "method", "recognizer", "train"}
    painting = {"checkpoints", "exported", "generator", "inference", "networks"}
    for_types_alone = {f"inputs.{name}" for name in ("base", "clips", "flow", "frames")}
    methods = ("miex.recognition.networks.", "miex.recognition.handcrafted.")
    assert {name for name in users if not name.startswith(methods)} == {
        "miex.dataset.torch_dataset",
        "miex.dataset.torch_stream",
        "miex.executors.machine",
        "miex.storage.training",
        "miex.storage.weights",
        *(f"miex.generator_training.{name}" for name in ("losses", "sheet", "train", "watch")),
        *(f"miex.generators.ganimation.{name}" for name in painting),
        *(f"miex.recognition.{name}" for name in needed | for_types_alone),
    }
    reading = {"examples", "flow_file", "places", "recipe", "streamed", "view"}
    assert "torch" not in loaded(*(f"miex.recognition.{name}" for name in reading | for_types_alone))
    predicting = ("miex.api.predict", "miex.api.recognizer_card")
    own = {"default_recognizer", "predictor", "suitable"}
    assert "torch" not in loaded(*predicting, *(f"miex.recognition.{name}" for name in own))
    assert "torch" not in loaded("miex.generators.registry", "miex.generators.ganimation.manifest")


def test_no_module_of_tests_imports_another() -> None:
    """What several share stands in a file of its own: a test can be moved, and run, alone."""
    tests = Path(__file__).parent
    shared = {name for path in tests.rglob("test_*.py") for name in imports(path) if name.startswith("tests.")}
    assert shared
    assert not [name for name in shared if ".test_" in name]


def test_contributing_shows_the_true_graph() -> None:
    text = (SOURCE.parents[1] / "CONTRIBUTING.md").read_text()
    (block,) = (one for one in text.split("```") if one.lstrip("\n").startswith("aus "))
    shown: dict[str, set[str]] = {}
    for line in block.strip("\n").splitlines():
        if not line.startswith(" "):
            room, _, line = line.partition(" ")
            shown[room] = set()
        shown[room] |= {name.strip() for name in line.split(",")} - {"–", ""}
    assert shown == {room: rooms for room, rooms in MAY_LOAD.items() if room not in GROUND}
    ground = text[text.index("The ground (") : text.index("imports no room")]
    assert {name for name in GROUND if f"`{name}`" in ground} == GROUND
