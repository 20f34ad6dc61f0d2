"""Show the pairs of a set as flickering pictures, in notebooks and in the browser."""

from __future__ import annotations

import base64
import io
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from miex.aus.vector import AU_NUMBERS, AUArray
from miex.dataset.frames import XMP
from miex.images import Image
from miex.storage.local import write_whole

MILLISECONDS = 400  # each of the two frames
SHOWN = 6  # pairs of a set in a notebook
_SIDE = 128  # of a picture in a notebook, CSS pixels


def flicker(onset: Image, apex: Image) -> bytes:
    """A WebP picture that goes from onset to apex and back without end; lossless, and marked synthetic.

    Args:
        onset, apex: uint8 RGB [size, size, 3].
    """
    content = io.BytesIO()
    first, second = PillowImage.fromarray(onset), PillowImage.fromarray(apex)
    first.save(
        content, "WEBP", save_all=True, append_images=[second], duration=MILLISECONDS, loop=0, lossless=True, xmp=XMP
    )
    return content.getvalue()


def show(onset: Image, apex: Image, caption: str) -> Path:
    """Show the pair flickering: in a notebook below the cell, otherwise in the web browser.

    Returns:
        The picture, a temporary file that is not deleted.
    """
    content = flicker(onset, apex)
    path = Path(tempfile.mkdtemp(prefix="miex-")) / "flicker.webp"
    write_whole(path, content)
    display = _notebook_display()
    if display is None:
        webbrowser.open(path.as_uri())
    else:
        display(_Page(figure(content, caption)))
    return path


def figure(content: bytes, caption: str) -> str:
    """HTML of a WebP picture with a line below."""
    data = base64.b64encode(content).decode()
    return (
        f'<figure style="display:inline-block;margin:4px;width:{_SIDE}px">'
        f'<img style="width:{_SIDE}px" alt="{escape(caption)}" src="data:image/webp;base64,{data}">'
        f'<figcaption style="font-size:11px;overflow-wrap:anywhere">{escape(caption)}</figcaption></figure>'
    )


def aus_that_are_on(aus: AUArray) -> dict[int, float]:
    """{AU number: intensity} of the AUs of a vector float32 [17] that are not 0."""
    return {AU_NUMBERS[i]: round(float(aus[i]), 2) for i in np.flatnonzero(aus)}


def table(rows: Mapping[str, Sequence[object]], columns: Sequence[str]) -> str:
    """HTML of a small table; its rows by their first cell."""
    head = "".join(f"<th>{escape(str(cell))}</th>" for cell in ("", *columns))
    body = "".join(
        f"<tr><th>{escape(name)}</th>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
        for name, cells in rows.items()
    )
    return f"<table><tr>{head}</tr>{body}</table>"


class _Page:
    def __init__(self, html: str) -> None:
        self._html = html

    def _repr_html_(self) -> str:
        return self._html


def _notebook_display() -> Callable[[object], object] | None:
    """What shows things in the notebook that this runs in; None elsewhere."""
    ipython = sys.modules.get("IPython")  # whoever runs in a notebook has it loaded
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    display: Callable[[object], object] = ipython.display.display  # type: ignore[union-attr]
    return display
