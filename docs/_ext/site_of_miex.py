"""What the documentation has beyond Sphinx: notebooks as pages, the commands' own help, and a proof of every link."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import typer
from docutils import nodes
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from miex.commands.main import app as program

log = logging.getLogger(__name__)


class Notebook(MystParser):
    """A page from a notebook's cells: text as it stands, code and what it gave as blocks."""

    supported = ("ipynb",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        text = []
        for cell in json.loads(inputstring)["cells"]:
            source = "".join(cell["source"])
            text.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
            text += ["```text\n" + "".join(given["data"]["text/plain"]) + "\n```" for given in cell.get("outputs", ())]
        super().parse("\n\n".join(text), document)


def commands(group: object, name: str) -> Iterator[tuple[str, object]]:
    """Every command below a group, with the words that call it."""
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


class Commands(SphinxDirective):
    """`{miex-commands}`: a section for each command, with what its `--help` says."""

    def run(self) -> list[nodes.Node]:
        text = []
        for name, command in commands(typer.main.get_command(program), "miex"):
            with command.make_context(name, [], resilient_parsing=True) as context:
                said, _, options = command.get_help(context).partition("\n\n")[2].partition("\n\n")
            text.append(f"## `{name}`\n\n{' '.join(said.split())}\n\n```text\n{options.rstrip()}\n```")
        return self.parse_text_to_nodes("\n\n".join(text), allow_section_headings=True)


def titled(app: Sphinx, page: str, source: list[str]) -> None:
    """A page that a command wrote as a bare table gets its name as its title."""
    if page.startswith("results/") and not source[0].startswith("# "):
        source[0] = f"# {page.partition('/')[2]}\n\n{source[0]}"


def signed(app: Sphinx, kind: str, name: str, thing: object, options: object, signature: str, returned: str) -> object:
    """A signature names its default functions, without the words that Python prints around them."""
    return (re.sub(r"<function (\w+)[^>]*>", r"\1", signature), returned) if signature else None


class Links(HTMLParser):
    """The anchors of a page, and the addresses that it names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.addresses: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and (name == "id" or (tag == "a" and name == "name")):
                self.anchors.add(value)
            elif value and name in ("href", "src"):
                self.addresses.add(value)


def prove_links(app: Sphinx, exception: Exception | None) -> None:
    """Every address within the site must lead somewhere; those that lead out are listed, since no network is used."""
    if exception is not None or app.builder.name != "html":
        return
    site = Path(app.outdir)
    pages = {path: Links(path.read_text("utf-8")) for path in site.rglob("*.html") if "_static" not in path.parts}
    outside: set[str] = set()
    wrong, within = [], 0
    for path, page in pages.items():
        for address in page.addresses:
            if urlsplit(address).scheme or address.startswith("//"):
                outside.add(address)
                continue
            place, anchor = urldefrag(address)
            target = (path.parent / unquote(place.partition("?")[0])).resolve() if place else path
            within += 1
            if not target.exists() or (anchor and target in pages and unquote(anchor) not in pages[target].anchors):
                wrong.append(f"{path.relative_to(site)}: {address}")
    (site.parent / "external-links.txt").write_text("".join(f"{address}\n" for address in sorted(outside)), "utf-8")
    if wrong:
        raise SphinxError("links that lead nowhere:\n" + "\n".join(sorted(wrong)))
    log.info(f"{len(pages)} pages, {within} links within them lead somewhere; {len(outside)} lead out of the site")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_source_suffix(".ipynb", "ipynb")
    app.add_source_parser(Notebook)
    app.add_directive("miex-commands", Commands)
    app.connect("source-read", titled)
    app.connect("autodoc-process-signature", signed)
    app.connect("build-finished", prove_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
