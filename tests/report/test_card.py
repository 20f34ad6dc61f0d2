"""README.md of a set: what comes from anyone's photos and tables stays text there."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt  # rich brings it

import miex
from miex.dataset.card_parts import cell
from miex.dataset.export.forms import FORMS
from miex.errors import InputError
from miex.tables.written import visible

HOSTILE = (
    '<script>alert(1)</script> <img src=x onerror=alert(1)> [click](javascript:alert(1)) ![x](http://a/b.png) | # a '
    "`code` **bold** &lt;b&gt; \\<i\\> ~~gone~~"
)  # fmt: skip


def test_what_comes_from_anyone_stays_text(tmp_path: Path, face_photo: Path, model: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / face_photo.name).write_bytes(face_photo.read_bytes())
    with (photos / "faces.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "licence", "attribution"], [face_photo.name, HOSTILE, HOSTILE]])
    out = tmp_path / 'a "set" <b> `of` [mine](x)'
    miex.synthesize(out, faces=photos, ids=1, per=1, size=32, landmarker=model)
    text = (out / "README.md").read_text()
    body = text.split("---\n", 2)[2]
    shown = MarkdownIt("commonmark", {"html": True}).enable("table").render(body)
    assert shown.count("<img") == shown.count('<img src="card.svg"') == 1
    for tag in ("<script", "<img src=x", "<a ", "<b>", "<i>", "<strong"):
        assert tag not in shown
    assert re.sub("</?code>", "", html.unescape(shown)).count(HOSTILE) == 2
    assert f"<h1>{html.escape(out.name, quote=True)}: " in shown.replace("&#x27;", "'")
    assert f"open({json.dumps(out.name)})" in html.unescape(shown)
    page = (out / "gallery.html").read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Jo, https://doi.org/10.1/x_y (2022)", "Jo, `https://doi.org/10.1/x_y` (2022)"),
        ("www.a.org me@a.org MAILTO:me ftp://a", "`www.a.org` `me@a.org` `MAILTO:me` `ftp://a`"),
        ("http://a/`b`|c", "``http://a/`b`\\|c``"),
        ("`www.a`", "`` `www.a` ``"),
        ("<https://a> @home", "`<https://a>` @home"),
        ("\x1b[31mred\x07 \u202egpj.exe\x9b", r"\\u001b\[31mred\\u0007 \\u202egpj.exe\\u009b"),
        ("", "not stated"),
    ],
)
def test_a_cell_makes_no_link_and_commands_no_terminal(text: str, shown: str) -> None:
    assert cell(text) == shown
    link = re.compile("</?code>")
    read = MarkdownIt("commonmark").enable("table").render(f"| {shown} |\n|---|\n")
    assert visible(text) in link.sub("", html.unescape(read)) or not text


def test_a_set_without_a_sample_says_so_and_is_not_exported(tmp_path: Path, face_photo: Path, model: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "empty"
    photos.mkdir()
    photo = photos / face_photo.name
    photo.write_bytes(face_photo.read_bytes())
    miex.plan(out, faces=photos, size=32, landmarker=model)
    photo.write_bytes(b"another one")
    said: list[str] = []
    made = miex.run(out, max_failed=1, say=said.append)
    assert (len(made), made.summary.failed) == (0, 3)
    assert [note for note in said if "warning: the set holds no sample: all 3 that are planned failed" in note]
    text = (out / "README.md").read_text()
    assert "**This set holds no sample.** None of the 3 that are planned could be made (3 changed)." in text
    assert "load_dataset(" not in text
    assert "[0]" not in text
    for to in ("flow", *FORMS):
        place = tmp_path / f"{to}.npz"
        with pytest.raises(InputError, match=r"at least one sample(.|\n)*none"):
            miex.export(out, place, to=to)
        assert not place.exists()
    photo.write_bytes(face_photo.read_bytes())
    made = miex.repair(out)
    assert len(made) == 3
    with pytest.raises(InputError, match=r"at least one sample(.|\n)*choose others"):
        made[:0].export(tmp_path / "part")
    assert "load_dataset(" in (out / "README.md").read_text()
