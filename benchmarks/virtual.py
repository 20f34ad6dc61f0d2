"""How far virtual identities are from the photo that they were made from, and from other people.

    python -m benchmarks.virtual --faces DIR [--photos 40] [--out FILE]

A set of two identities for each photo: the photo itself, and a relative made from it. `miex report` measures SFace's
distances between their faces at rest.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.audit import audited, spread
from benchmarks.page import page, parser
from miex.faces.photos import default_pool, list_photos, photos_root


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser("virtual", __doc__)
    options.add_argument("--faces", type=Path, default=default_pool())
    options.add_argument("--photos", type=int, default=40, help="how many, chosen evenly from the folder")
    given = options.parse_args(arguments)
    with page("Virtual identities, against their photo and other people", options, given):
        measure(given.faces, given.photos)


def measure(faces: Path, photos: int) -> None:
    """Print the table."""
    names = list_photos(faces)
    chosen = names[:: max(1, len(names) // photos)][:photos]
    if len(chosen) < 2:
        print("Fewer than two photos: nothing to compare.")
        return
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "photos")
        kept.mkdir()
        for name in chosen:
            shutil.copy(photos_root(faces) / name, kept)
        found = audited("virtual", Path(folder), kept, ids=2 * len(chosen), classes=["negative"])
    distances = found.audit.identity["SFace"]
    print(f"{2 * len(chosen)} identities of {len(chosen)} photos, 128 px. Distances by SFace, between faces at rest:")
    print("the median, in brackets 5 to 95 %.\n")
    print("| between | pairs of faces | distance | least | most |\n|---|---|---|---|---|")
    for name, values in (("a photo and its relative", distances.relatives), ("two people", distances.people)):
        print(f"| {name} | {len(values):,} | {spread(values, 3)} | {values.min():.3f} | {values.max():.3f} |")


if __name__ == "__main__":
    main()
