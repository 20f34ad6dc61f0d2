"""What lossy frames cost: how much JPEG changes the difference between onset and apex.

    python -m benchmarks.formats [--faces DIR] [--out FILE]

Pairs of the default settings and of `--nuisances off`, 128 px, are encoded as sets store them and decoded. The change
is the L2 norm of (apex − onset, decoded) − (apex − onset), over that of apex − onset; PNG and lossless WebP change
nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import miex
from benchmarks.page import page, parser
from miex.dataset.frames import encode_frame
from miex.images import Image, decode_image

SAMPLES = 300


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser("formats", __doc__)
    options.add_argument("--faces", type=Path, help="Folder of photos. Default: the embedded face.")
    given = options.parse_args(arguments)
    with page("How much JPEG changes the difference between onset and apex", options, given):
        print_changes(given.faces)


def print_changes(faces: Path | None) -> None:
    """Print the table."""
    print("Relative L2 change of apex − onset, 128 px.\n")
    print("| nuisances | format | pairs | median | 5 % | 95 % | bytes |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for nuisances in ("off", "face"):
            made = miex.synthesize(
                Path(folder, nuisances), faces=faces, ids=SAMPLES // 3, nuisances=nuisances, workers=2
            )
            pairs = [made.pair(i) for i in range(len(made))]
            for name in ("png", "webp", "jpeg"):
                found = [_change(*pair, name) for pair in pairs]
                low, middle, high = np.quantile([change for change, _ in found], (0.05, 0.5, 0.95))
                size = np.mean([size for _, size in found])
                shown = " | ".join(f"{share:.0%}" for share in (middle, low, high))
                print(f"| {nuisances} | {name} | {len(found):,} | {shown} | {size:,.0f} |")


def _change(onset: Image, apex: Image, name: str) -> tuple[float, float]:
    """The change, and the mean size of the two files in bytes."""
    encoded = [encode_frame(frame, name) for frame in (onset, apex)]
    before, after = (
        np.subtract(b, a, dtype=np.float64) for a, b in ((onset, apex), [decode_image(one, name) for one in encoded])
    )
    change = float(np.linalg.norm(after - before) / np.linalg.norm(before))
    return change, float(np.mean([len(one) for one in encoded]))


if __name__ == "__main__":
    main()
