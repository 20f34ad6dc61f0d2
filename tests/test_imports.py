"""The house's arrows: who may import whom, and what a plain import may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import miex

SOURCE = Path(miex.__file__).parent
# What each room may import of the others, the whole room or one file of it; data flows from left to right.
ALLOWED = {
    "errors": set(),
    "paths": {"errors"},
    "parallel": set(),
    # clips of real corpora become AUs; all that their readers know of AUs is which there are
    "aus": {"errors", "paths", "parallel", "corpora"},
    "faces": {"errors", "paths", "parallel"},
    "corpora": {"errors", "paths", "parallel", "aus.vector"},
    "generators": {"errors", "aus", "faces"},
    "measure": {"errors", "parallel", "aus", "corpora", "faces", "generators"},
    "plan": {"errors", "paths", "aus", "faces"},
    "synthesis": {"errors", "paths", "parallel", "aus", "faces", "generators", "measure", "plan"},
    "dataset": {"errors", "paths", "aus", "faces", "plan", "synthesis"},
    "recognition": {
        "__version__",
        "errors",
        "paths",
        "parallel",
        "aus",
        "corpora.clip",
        "faces",
        "measure",
        "plan",
        "dataset",
    },
    "report": {"errors", "paths", "parallel", "aus", "faces", "generators", "measure", "plan", "synthesis", "dataset"},
    "evaluation": {"errors", "paths", "parallel", "corpora", "plan.schema"},
    "experiments": {"__version__", "errors", "paths", "parallel", "aus", "plan", "recognition", "evaluation"},
    "doctor": {"__version__", "errors", "paths", "faces", "synthesis"},
}
FREE = {
    "cli",
    "cli_aus",
    "cli_corpora",
    "cli_generators",
    "cli_train",
    "console",
    "__init__",
    "__main__",
}  # commands see everything


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


def test_every_room_is_known() -> None:
    assert {room(path) for path in FILES} <= ALLOWED.keys() | FREE


@pytest.mark.parametrize("path", [p for p in FILES if room(p) not in FREE], ids=lambda p: str(p.relative_to(SOURCE)))
def test_arrows_run_one_way(path: Path) -> None:
    found = [name.split(".")[1:] for name in imports(path) if name.startswith("miex.")]
    allowed = ALLOWED[room(path)] | {room(path)}
    assert not [name for name in found if not {name[0], ".".join(name[:2])} & allowed]


def test_files_import_each_other_in_no_circle() -> None:
    def name(path: Path) -> str:
        return ".".join(("miex", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")

    files = {name(path): path for path in FILES}
    arrows = {}
    for file, path in files.items():
        at_once = ast.Module([node for node in ast.parse(path.read_text()).body if "Import" in type(node).__name__], [])
        # what is imported is a file, or something in one
        arrows[file] = {n if n in files else n.rpartition(".")[0] for n in names(at_once)} & files.keys()
    TopologicalSorter(arrows).prepare()  # raises CycleError


@pytest.mark.parametrize("command", ["import miex", "import miex.cli"])
def test_plain_import_is_light(command: str) -> None:
    heavy = {"torch", "cv2", "mediapipe", "ray", "pyarrow", "numpy"}
    code = f"import sys; {command}; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_torch_files_import_torch() -> None:
    users = {p.name for p in FILES if any(name.split(".")[0] == "torch" for name in imports(p))}
    nets = {"ststnet.py", "off_apexnet.py", "htnet.py", "flow_resnet18.py", "hoof_svm.py"}
    assert users == {"torch_dataset.py", "network.py", "recognizer.py", "train.py"} | nets
