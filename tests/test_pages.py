"""What the pages of the documentation show runs as it stands there; where it does not, the page says why."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

import miex
from miex.aus.vector import AU_NAMES
from miex.commands.main import app
from miex.corpora.people import subject_key
from tests.support import command

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NOTEBOOK = DOCS / "first-set.ipynb"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
CAN_TRAIN = all(importlib.util.find_spec(name) for name in ("torch", "safetensors", "sklearn", "tensorboardX"))
# a comment above a block says why it does not run; in `bash`, there is nothing of miex but what other pages run
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>\S[^\n]*) -->\n)?```(?P<language>python|sh|bash)\n(?P<code>.*?)```", re.DOTALL
)


class Block(NamedTuple):
    language: str
    code: str
    why: str | None  # it does not run


def blocks(path: Path) -> list[Block]:
    return [Block(found["language"], found["code"], found["why"]) for found in BLOCK.finditer(path.read_text("utf-8"))]


def lines(code: str) -> Iterator[list[str]]:
    """The words of every command of a block."""
    for line in code.replace("\\\n", " ").splitlines():
        for words in line.split("&&"):
            found = shlex.split(words.removeprefix("$ "), comments=True)
            if found and found[0] == "miex":
                yield found[1:]


def parse(words: list[str]) -> None:
    """As the program does before it begins; nothing is run."""
    command, words = typer.main.get_command(app), list(words)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    with command.make_context("miex", words):
        pass


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_command_of_a_page_is_one(path: Path) -> None:
    """Those that do not run, too: command, options and the form of their values."""
    for block in blocks(path):
        if block.language != "python":
            for words in lines(block.code):
                parse(words)


def test_a_command_that_is_none_is_seen() -> None:
    for words in ("synthesise", "synthesize --face photos", "synthesize --ids some", "run mie-x too-much"):
        with pytest.raises(Exception, match=r"synthesise|--face|integer|too-much"):
            parse(words.split())


# Pages of which blocks run, one after the other, in one namespace and one folder, as a reader would type them.
RUNNING = [path for path in PAGES if any(b.why is None and b.language != "bash" for b in blocks(path))]


@pytest.mark.parametrize("path", RUNNING, ids=lambda path: path.stem)
def test_the_blocks_of_a_page_run(path: Path, place: Path) -> None:
    names: dict[str, Any] = {}
    for block in blocks(path):
        if block.why is not None or block.language == "bash":
            continue
        if re.search(r"torch|miex\.(train|evaluate|worth)\(", block.code) and not CAN_TRAIN:
            continue
        if block.language == "python":
            exec(compile(block.code, path.name, "exec"), names)
            continue
        ran = list(lines(block.code))
        assert ran, f"{path.name}: a block without a command of miex is called bash"
        for words in ran:
            done = command(*words)
            assert done.returncode == 0, (path.name, words, done.stderr)
    if path.stem == "your-corpus":  # who must not be trained on, told from the rows themselves
        rows = names["made"].table.to_pylist()
        tested = [(row["corpus"], subject_key(row["subject"] or "")) == ("casme2", "1") for row in rows]
        assert names["mask"].tolist() == [not one for one in tested]
        assert any(tested)


def test_the_notebook_runs_and_prints_what_it_shows(place: Path) -> None:
    """Without Jupyter: what the last expression of a cell is, is what Jupyter would show."""
    cells = [cell for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    names: dict[str, Any] = {}
    shown = 0
    for cell in cells:
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, NOTEBOOK.name, "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names)
        for output in cell["outputs"]:
            assert repr(value) == "".join(output["data"]["text/plain"])
            shown += 1
    assert shown >= 3
    assert len(names["made"]) == 18


def test_all_that_miex_offers_has_its_place_among_the_functions() -> None:
    text = (DOCS / "api.md").read_text("utf-8")
    named = set(re.findall(r"\.\. auto(?:function|class|exception):: miex\.([\w.]+)", text))
    assert set(miex.__all__) - {"corpora", "generators", "sources"} <= named
    for module in ("corpora", "sources", "generators"):
        offered = set(getattr(miex, module).__all__) - set(miex.__all__)
        assert {f"{module}.{name}" for name in offered} <= named


def test_the_glossary_has_every_au_in_its_order() -> None:
    rows = re.findall(r"^\| (\d+) \| (\d+) \| ([\w ]+) \|", (DOCS / "glossary.md").read_text("utf-8"), re.MULTILINE)
    assert [(int(i), int(au), name) for i, au, name in rows] == [(i, *pair) for i, pair in enumerate(AU_NAMES.items())]


def test_the_site_builds_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    """`make docs`, with all warnings as errors; the extension proves every link within the site."""
    for name in ("sphinx", "myst_parser", "pydata_sphinx_theme"):
        pytest.importorskip(name)
    build = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "-n",
        "--keep-going",
        "-b",
        "html",
        str(DOCS),
        str(tmp_path / "html"),
    ]
    done = subprocess.run(build, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert re.search(r"\d+ pages, \d+ links within them lead somewhere", done.stdout)
