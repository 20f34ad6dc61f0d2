"""Numbers below 1 are written with their leading zero: 0.05, in prose, comments and code alike."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
# a point and digits with neither a number nor a name around them: not v1.2, `file.7z` or {:.2f}
BARE = re.compile(r"(?<![\w.>})\]\\…])\.\d+(?!\w|\.\w)")


def strings(tree: ast.Module) -> Iterator[str]:
    """Every string but for format specifications."""
    specs = {id(part) for node in ast.walk(tree) if isinstance(node, ast.FormattedValue) and node.format_spec
             for part in ast.walk(node.format_spec)}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in specs:
            yield node.value


def docstrings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield ast.get_docstring(node) or ""


def written(path: Path) -> Iterator[str]:
    """What people read in a file; of tests not the strings, which are what users may type."""
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        yield from text.splitlines()
        return
    tree = ast.parse(text)
    yield from docstrings(tree) if "tests" in path.relative_to(ROOT).parts else strings(tree)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.NUMBER):
            yield token.string


def test_numbers_have_their_leading_zero() -> None:
    files = [
        path
        for folder in ("src", "docs", "examples", "tests", "tools", "benchmarks")
        for path in (ROOT / folder).rglob("*")
    ]
    files = [path for path in [*files, *ROOT.glob("*")] if path.suffix in (".py", ".md", ".toml")]
    assert len(files) > 200
    found = {
        f"{path.relative_to(ROOT)}: {text.strip()}" for path in files for text in written(path) if BARE.search(text)
    }
    assert not found


def test_bare_numbers_are_told_from_names() -> None:
    for text in (".05", "above .05, or", "(.5)", "a = -.75", "12=.2", "up to .3."):
        assert BARE.search(text), text
    for text in ("0.05", "OpenCV 5.0", "sub01.7z", ".7z", "<id>.000.png", "shards/00000.tar", "{}.0", r"\.0+", "1.2.3"):
        assert not BARE.search(text), text
