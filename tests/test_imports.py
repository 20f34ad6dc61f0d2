"""The house's arrows: who may import whom, and what a plain import may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import miex

SOURCE = Path(miex.__file__).parent
# What each room may import of the others; data flows from left to right.
ALLOWED = {
    "errors": set(),
    "paths": {"errors"},
    "parallel": set(),
    "aus": {"errors", "paths"},
    "faces": {"errors", "paths", "parallel"},
    "corpora": {"errors", "paths", "parallel", "aus"},
    "generators": {"errors", "aus", "faces"},
    "measure": {"errors", "aus", "faces", "generators"},
    "plan": {"errors", "paths", "aus", "faces"},
    "synthesis": {"errors", "paths", "parallel", "aus", "faces", "generators", "measure", "plan"},
    "dataset": {"errors", "paths", "aus", "faces", "plan", "synthesis"},
    "recognition": {"errors", "paths", "parallel", "aus", "faces", "measure", "plan", "dataset"},
    "report": {"errors", "paths", "aus", "faces", "plan", "synthesis", "dataset"},
    "doctor": {"__version__", "errors", "paths", "faces", "synthesis"},
}
FREE = {"cli", "cli_corpora", "__init__", "__main__"}  # cli sees everything


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
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
    rooms = {name.split(".")[1] for name in imports(path) if name.startswith("miex.")}
    assert rooms - {room(path)} <= ALLOWED[room(path)]


@pytest.mark.parametrize("command", ["import miex", "import miex.cli"])
def test_plain_import_is_light(command: str) -> None:
    heavy = {"torch", "cv2", "mediapipe", "ray", "pyarrow", "numpy"}
    code = f"import sys; {command}; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_torch_files_import_torch() -> None:
    users = {p.name for p in FILES if any(name.split(".")[0] == "torch" for name in imports(p))}
    assert users == {"torch_dataset.py"}
