"""The page of a benchmark, in Markdown: title, command, machine, and whatever it prints; `--out FILE` stores it.

The pages in docs/results are what these commands wrote; tests/test_numbers.py compares the README with them.
"""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from benchmarks.machine import load, machine
from miex.storage.local import write_whole


def parser(name: str, doc: str | None) -> argparse.ArgumentParser:
    """What every benchmark takes: nothing but `--out`."""
    made = argparse.ArgumentParser(
        f"python -m benchmarks.{name}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--out", type=Path, metavar="FILE", help="Markdown file to store the page in.")
    return made


@contextmanager
def page(title: str, options: argparse.ArgumentParser, given: argparse.Namespace) -> Iterator[None]:
    """While it is open, what is printed is the page's; it is stored whole or, after an error, not at all."""
    kept = _Kept(sys.stdout)
    with redirect_stdout(kept):
        print(f"# {title}\n\n`{command(options, given)}`\n\n{machine()}\n")
        yield
        print(f"\nLoad at the end: {load()}.")
    if given.out is not None:
        write_whole(given.out, (kept.getvalue().strip() + "\n").encode())


def command(options: argparse.ArgumentParser, given: argparse.Namespace) -> str:
    """The command with what differs from its defaults, but where files lie."""
    words = [options.prog]
    for name, value in vars(given).items():
        if name == "out" or value == options.get_default(name):
            continue
        words.append("--" + name.replace("_", "-"))
        if isinstance(value, Path):
            words.append("FILE" if value.suffix else "DIR")
        elif isinstance(value, list):
            words += ["FILE …"] if isinstance(value[0], Path) else map(str, value)
        elif value is not True:
            words.append(shlex.quote(str(value)))
    return " ".join(words)


class _Kept(io.StringIO):
    """Text that is also shown."""

    def __init__(self, shown: io.TextIOBase) -> None:
        super().__init__()
        self._shown = shown

    def write(self, text: str) -> int:
        self._shown.write(text)
        return super().write(text)

    def flush(self) -> None:
        self._shown.flush()
